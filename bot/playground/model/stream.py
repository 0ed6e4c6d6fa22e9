"""The local model's answer on its way: at a natural pace, in a stream or whole, and its faults."""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from bot.playground.model import answers
from bot.playground.model.completions import (
    ChunkEvents,
    common_headers,
    completion_limit,
    encode,
    whole_completion,
)
from bot.playground.model.exchanges import Exchange
from bot.playground.model.faults import ModelFault

_BATCH = 255  # tokens beside the first in one write at full speed: about 60 KB

# Of the time of one token, up to a half: uneven as a real stream is, the same in every run.
_JITTER = tuple(random.Random(11).uniform(0.0, 0.5) for _ in range(251))

# SO_LINGER on, for no time: closing sends a RST and not a FIN (socket(7); Winsock's are shorts).
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


@dataclass(frozen=True)
class Plan:
    """What an undisturbed answer consists of, and the fault that disturbs it."""

    reasoning: Sequence[str]
    tokens: Sequence[str]
    finish_reason: str
    fault: ModelFault

    @classmethod
    def of(
        cls, tokens: Sequence[str], body: dict[str, Any], fault: ModelFault, *, thinks: int
    ) -> Self:
        reasoning = answers.prose(fault.reasoning or thinks)
        limit = None if fault.endless else completion_limit(body)
        finish_reason = "stop"
        if limit is not None and len(reasoning) + len(tokens) > limit:
            finish_reason = "length"
            reasoning = reasoning[:limit]
            tokens = tokens[: limit - len(reasoning)]
        if fault.filtered:
            finish_reason, tokens = "content_filter", tokens[: fault.after]
        return cls(reasoning, tokens, finish_reason, fault)

    @property
    def length(self) -> int:
        return len(self.reasoning) + len(self.tokens)


class Pace:
    """When each token is due: a fixed schedule, so that being late once delays nothing after it."""

    def __init__(self, rate: float, first_at: float) -> None:
        self._rate = rate  # tokens per second
        self._first_at = first_at
        self._offset = 0
        self._loop = asyncio.get_running_loop()

    async def start(self, number: int) -> None:
        """Wait for the first token of the ``number``-th request."""
        self._offset = number * 37  # a step through the jitter that two neighbours do not share
        await asyncio.sleep(self._first_at - self._loop.time())

    async def wait(self, position: int) -> int:
        """Wait until this token is due; how many after it are due as well."""
        if self._rate == math.inf:
            await asyncio.sleep(0)  # let the other streams have their turn
            return _BATCH
        jitter = _JITTER[(position + self._offset) % len(_JITTER)]
        late = self._loop.time() - self._first_at - (position + jitter) / self._rate
        if late < 0:
            await asyncio.sleep(-late)
            return 0
        return int(late * self._rate)


class Stream:
    """One answer on its way as server-sent events."""

    def __init__(self, request: web.Request, exchange: Exchange, plan: Plan, pace: Pace) -> None:
        self._request = request
        self._exchange = exchange
        self._plan = plan
        self._fault = plan.fault
        self._pace = pace
        body = exchange.record.body
        options = body.get("stream_options") or {}
        self._reports = bool(options.get("include_usage")) and plan.fault.usage
        self._events = ChunkEvents(body["model"], plan.fault.sse, with_usage=self._reports)
        self._response = web.StreamResponse(
            headers={
                **common_headers(),
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
                "x-accel-buffering": "no",
            }
        )

    async def run(self) -> web.StreamResponse:
        fault, tokens = self._fault, self._plan.tokens
        await self._response.prepare(self._request)
        self._exchange.update(status=200)
        await self._write(self._events.role())
        await self._send(self._plan.reasoning, "reasoning_content")
        await self._send(tokens[: fault.after], fault.field)
        if fault.line is not None:
            await self._write(self._events.event(fault.line))
        if fault.then is not None:
            return await self._break_off()
        if fault.after is not None:
            await self._send(tokens[fault.after :], fault.field)
        while fault.endless and tokens:
            await self._send(tokens, fault.field)
        return await self._finish()

    async def _send(self, tokens: Sequence[str], field: str) -> None:
        """One write per token, or several tokens in one when they are due already."""
        before, after = self._events.around(field)
        sent, gather = 0, self._fault.sse.gather
        while sent < len(tokens):
            last = min(sent + gather, len(tokens)) - 1
            position = self._exchange.record.tokens_sent + last - sent
            end = last + 1 + await self._pace.wait(position)
            batch = tokens[sent:end]
            await self._write(b"".join([before + encode(token) + after for token in batch]))
            sent += len(batch)
            self._count(len(batch), field)

    def _count(self, tokens: int, field: str) -> None:
        record = self._exchange.record
        if field == "reasoning_content":
            self._exchange.update(
                tokens_sent=record.tokens_sent + tokens,
                reasoning_sent=record.reasoning_sent + tokens,
            )
        else:
            self._exchange.update(tokens_sent=record.tokens_sent + tokens)

    async def _finish(self) -> web.StreamResponse:
        await self._write(self._events.finish(self._plan.finish_reason))
        usage = self._exchange.record.generated if self._reports else None
        last = self._events.usage(usage) if usage is not None else b""
        await self._write(last + self._events.event(b"[DONE]"))
        self._exchange.finish("complete", reported=usage)
        return self._response

    async def _break_off(self) -> web.StreamResponse:
        how = self._fault.then
        assert how is not None
        if how == "stall":
            await asyncio.Event().wait()  # ends by cancellation, when the client closes
            raise AssertionError("nothing sets this event")
        self._exchange.finish(how)
        if how == "reset":
            return reset(self._request, self._response)
        if how == "cut":
            _close(self._request)
        return self._response

    async def _write(self, data: bytes) -> None:
        size = self._fault.sse.split
        if size is None:
            await self._response.write(data)
            return
        for start in range(0, len(data), size):
            await self._response.write(data[start : start + size])
            await asyncio.sleep(0)  # or the pieces would leave together


async def whole(
    request: web.Request, exchange: Exchange, plan: Plan, pace: Pace
) -> web.StreamResponse:
    """The answer in one piece, after the time that it takes to generate.

    Of the faults in mid-stream a stall stalls; those that break off (reset, cut, end, error) all
    reset the connection; a garbage line has no place here and is left out.
    """
    if plan.length:
        await pace.wait(plan.length - 1)
    if plan.fault.then == "stall":
        await asyncio.Event().wait()
    if plan.fault.then is not None:
        exchange.finish("reset")
        return reset(request, web.Response())
    exchange.update(status=200, tokens_sent=plan.length, reasoning_sent=len(plan.reasoning))
    usage = exchange.record.generated if plan.fault.usage else None
    texts = {plan.fault.field: "".join(plan.tokens)}
    if plan.reasoning:
        texts["reasoning_content"] = "".join(plan.reasoning)
    completion = whole_completion(
        exchange.record.body["model"], texts, finish_reason=plan.finish_reason, usage=usage
    )
    exchange.finish("complete", reported=usage)
    headers = {**common_headers(), "content-type": "application/json"}
    return web.Response(body=encode(completion), headers=headers)


def reset(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Reset the connection; the response is what aiohttp wants to finish, in vain."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return response


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()

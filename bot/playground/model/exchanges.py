"""The requests that the local model was sent: as records, and live."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web

from bot.playground.model.completions import Usage
from bot.playground.model.errors import Refusal

Finished = Literal[
    "complete",  # everything was sent, whatever its finish_reason
    "refused",  # an HTTP error instead of an answer
    "reset",  # the rest by a fault: see ModelFault
    "cut",
    "ended early",
    "closed by the client",
    "closed by the server's stop",
]

_KEPT = 10_000  # requests; a playground may run for weeks


class Request(msgspec.Struct, frozen=True):
    """One request for a completion, as far as it has come. Times are of the event loop's clock."""

    body: dict[str, Any]  # empty until read
    headers: Mapping[str, str]  # names in lower case; without the key
    received_at: float
    question: str = ""  # the text of the last user message
    status: int | None = None  # of HTTP; None until it is sent
    finished: Finished | None = None  # None while it runs
    closed_at: float | None = None
    tokens_sent: int = 0  # reasoning included
    reasoning_sent: int = 0
    prompt_usage: Usage = Usage()  # what the prompt counts; nothing for a refused one
    usage: Usage | None = None  # what was reported to the client, if anything was

    @property
    def generated(self) -> Usage:
        """What this request really used, also when nobody was told."""
        prompt = self.prompt_usage
        return Usage(
            prompt.prompt_tokens, self.tokens_sent, prompt.cached_tokens, self.reasoning_sent
        )


@dataclass
class UsageSent:
    """Running totals over the ended requests, to reconcile a client's books with."""

    reported: Usage = field(default_factory=Usage)  # sum of the usage that clients were sent
    generated: Usage = field(default_factory=Usage)  # sum of what was really used, told or not


class Exchanges:
    """The latest requests, as they stand now, and the totals over all."""

    def __init__(self) -> None:
        self.records: dict[int, Request] = {}  # oldest first
        self.usage_sent = UsageSent()
        self.listeners: list[Callable[[int, Request], None]] = []
        self._arrivals = 0
        self._changed = asyncio.Event()

    def begin(self, request: web.Request) -> Exchange:
        number = self._arrivals
        self._arrivals += 1
        if len(self.records) >= _KEPT:
            del self.records[next(iter(self.records))]
        hidden = ("authorization", "api-key")  # a real key must not end up in a test's output
        headers = {k.lower(): v for k, v in request.headers.items() if k.lower() not in hidden}
        exchange = Exchange(self, number, headers)
        self.records[number] = exchange.record
        self._tell(exchange)
        return exchange

    def changed(self, exchange: Exchange) -> None:
        if exchange.number in self.records:
            self.records[exchange.number] = exchange.record
        self._tell(exchange)

    def _tell(self, exchange: Exchange) -> None:
        self._changed.set()
        for listener in self.listeners:
            listener(exchange.number, exchange.record)

    async def until(self, predicate: Callable[[], bool], *, within: float) -> None:
        """Wait until the predicate holds; it is asked again after each change.

        Raises TimeoutError after ``within`` seconds.
        """
        try:
            async with asyncio.timeout(within):
                while not predicate():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            states = Counter(record.finished or "running" for record in self.records.values())
            raise TimeoutError(f"not within {within} s; requests: {dict(states)}") from None


class Exchange:
    """The live end of one request: keeps its record up to date."""

    def __init__(self, exchanges: Exchanges, number: int, headers: Mapping[str, str]) -> None:
        self._exchanges = exchanges
        self.number = number
        self.started_at = asyncio.get_running_loop().time()
        self.record = Request({}, headers, self.started_at)

    def update(self, **changes: Any) -> None:
        """Called for every token: msgspec's replace takes 0.3 µs, that of dataclasses 3."""
        self.record = msgspec.structs.replace(self.record, **changes)
        self._exchanges.changed(self)

    def refuse(self, refusal: Refusal) -> web.Response:
        self.update(status=refusal.status)
        self.finish("refused")
        return refusal.response()

    def finish(self, how: Finished, *, reported: Usage | None = None) -> None:
        """The first word counts: what comes after the end is the clearing up."""
        if self.record.finished is not None:
            return
        closed_at = asyncio.get_running_loop().time()
        self.update(finished=how, closed_at=closed_at, usage=reported)
        totals = self._exchanges.usage_sent
        totals.generated += self.record.generated
        totals.reported += reported or Usage()

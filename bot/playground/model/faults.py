"""What goes wrong on purpose, or is unusual, in the local model's answers.

Odd shapes follow the compatible server that the constructor of the fault names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from bot.playground.model.completions import Sse, encode
from bot.playground.model.errors import (
    SERVER_ERROR,
    Refusal,
    RefusalStyle,
    context_exceeded,
    http_error,
    openai_error,
    rate_limit_exceeded,
    unsupported_parameter,
)


class ModelFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes wrong, or is unusual, in one answer. Made by the methods below."""

    refusal: Refusal | None = None
    delay: float = 0.0  # seconds before the first byte of the response
    after: int | None = None  # tokens of the answer before `line` and `then`
    line: bytes | None = None  # the data of an extra SSE event
    then: Literal["reset", "cut", "ended early", "stall"] | None = None
    filtered: bool = False  # finish_reason content_filter after `after` tokens
    field: str = "content"  # the field of the delta that carries the text
    reasoning: int = 0  # tokens of reasoning_content before the text
    endless: bool = False  # the answer begins anew whenever it ends
    usage: bool = True  # False: never reported, even where asked for
    sse: Sse = Sse()

    @classmethod
    def http(cls, status: int) -> ModelFault:
        """An HTTP error as OpenAI (or, with 502, the proxy before it) words it."""
        return cls(refusal=http_error(status))

    @classmethod
    def rate_limited(cls, retry_after: float | None = 1.0) -> ModelFault:
        """429 ``rate_limit_exceeded``; seconds, or None for no Retry-After."""
        return cls(refusal=rate_limit_exceeded(retry_after))

    @classmethod
    def quota(cls) -> ModelFault:
        """429 ``insufficient_quota``: trying again is of no use."""
        message = (
            "You exceeded your current quota, please check your plan and billing details. For "
            "more information on this error, read the docs: "
            "https://platform.openai.com/docs/guides/error-codes/api-errors."
        )
        kind = "insufficient_quota"
        return cls(refusal=openai_error(429, message, type=kind, code=kind))

    @classmethod
    def context(cls, limit: int = 8192, prompt: int = 9000) -> ModelFault:
        """400 ``context_length_exceeded``, in tokens."""
        return cls(refusal=context_exceeded(limit, prompt=prompt, completion=0))

    @classmethod
    def unsupported(cls, name: str, style: RefusalStyle = "openai") -> ModelFault:
        """400 ``unsupported_parameter``, or 422 with ``style="pydantic"``."""
        return cls(refusal=unsupported_parameter(name, value=None, style=style))

    @classmethod
    def prompt_filtered(cls) -> ModelFault:
        """400 ``content_filter``, as Azure OpenAI refuses a prompt."""
        message = (
            "The response was filtered due to the prompt triggering Azure OpenAI's content "
            "management policy. Please modify your prompt and retry."
        )
        code, param = "content_filter", "prompt"
        return cls(refusal=openai_error(400, message, code=code, param=param))

    @classmethod
    def filter(cls, after: int) -> ModelFault:
        """finish_reason ``content_filter`` after that many tokens."""
        return cls(after=after, filtered=True)

    @classmethod
    def slow(cls, delay: float) -> ModelFault:
        """Nothing at all for that many seconds, then the answer."""
        return cls(delay=delay)

    @classmethod
    def reset(cls, after: int | None = None) -> ModelFault:
        """A TCP reset after that many tokens; None: before the response begins."""
        return cls(after=after, then="reset")

    @classmethod
    def cut(cls, after: int) -> ModelFault:
        """The connection closes after that many tokens, inside the chunked body."""
        return cls(after=after, then="cut")

    @classmethod
    def end(cls, after: int) -> ModelFault:
        """The body ends properly after that many tokens: no finish_reason, no [DONE]."""
        return cls(after=after, then="ended early")

    @classmethod
    def stall(cls, after: int) -> ModelFault:
        """Silence after that many tokens, until the client closes."""
        return cls(after=after, then="stall")

    @classmethod
    def error(cls, after: int, code: str = "server_error") -> ModelFault:
        """An SSE event ``{"error": ...}`` after that many tokens, then the body ends."""
        error = {"message": SERVER_ERROR, "type": "server_error", "param": None, "code": code}
        return cls(after=after, line=encode({"error": error}), then="ended early")

    @classmethod
    def garbage(cls, after: int, line: bytes = b'{"id":"chatcmpl-oops","choi') -> ModelFault:
        """An SSE event that is not JSON after that many tokens, then the rest of the answer."""
        return cls(after=after, line=line)

    @classmethod
    def binary(cls, after: int) -> ModelFault:
        """An SSE event that is not even UTF-8 after that many tokens, then the rest."""
        return cls.garbage(after, b"\x00\xff\xfe\x80\x1f\x8b")

    @classmethod
    def without_usage(cls) -> ModelFault:
        """No usage in the answer, although asked for."""
        return cls(usage=False)

    @classmethod
    def reasons(cls, tokens: int = 20) -> ModelFault:
        """``reasoning_content`` deltas with a null content first, as DeepSeek sends them."""
        return cls(reasoning=tokens)

    @classmethod
    def never_ends(cls) -> ModelFault:
        """The answer again and again, whatever the limit on its length, until the client closes."""
        return cls(endless=True)

    @classmethod
    def refuses(cls) -> ModelFault:
        """The text comes as ``refusal`` deltas, as OpenAI declines a request."""
        return cls(field="refusal")

    @classmethod
    def written(
        cls,
        *,
        newline: bytes = b"\n",
        space: bool = True,
        comments: bool = False,
        split: int | None = None,
        gather: int = 1,
    ) -> ModelFault:
        """Unusual but allowed server-sent events: see ``Sse``."""
        return cls(sse=Sse(newline, space, comments, split, gather))


class Faults:
    """The faults to come, each for a number of requests."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, fault: ModelFault, *, times: float = 1, matching: str = "") -> None:
        """For the next ``times`` requests (``math.inf``: all) whose last user message contains
        ``matching``; the faults added first come first.
        """
        self._waiting.append(_Waiting(fault, times, matching))

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self, fault: ModelFault) -> float:
        """How many requests are still to meet this fault."""
        return sum(waiting.times for waiting in self._waiting if waiting.fault == fault)

    def withdraw(self, fault: ModelFault) -> None:
        """Take one fault away, however often it was still to be met."""
        self._waiting = [waiting for waiting in self._waiting if waiting.fault != fault]

    def take(self, question: str) -> ModelFault | None:
        """The fault for this question, which counts as one of its times."""
        for waiting in self._waiting:
            if waiting.matching in question:
                waiting.times -= 1
                if waiting.times <= 0:
                    self._waiting.remove(waiting)
                return waiting.fault
        return None


@dataclass
class _Waiting:
    fault: ModelFault
    times: float
    matching: str

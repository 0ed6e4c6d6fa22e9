"""Chat completions on the wire: what a request says, and the JSON and the events of an answer.

The shapes follow OpenAI's API reference (chat completions, streaming).
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

encode = msgspec.json.Encoder().encode

LIMITS = ("max_completion_tokens", "max_tokens")


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as OpenAI counts them: reasoning is part of completion, cached is part of prompt."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    def on_the_wire(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


class Sse(msgspec.Struct, frozen=True):
    """How events are written; all of it is allowed by the standard, little of it is usual."""

    newline: bytes = b"\n"
    space: bool = True  # after "data:"
    comments: bool = False  # ": keep-alive" before every event
    split: int | None = None  # bytes in one write: lines are torn apart
    gather: int = 1  # tokens in one write: lines arrive together


class ChunkEvents:
    """The bytes of one answer's events. What all have in common is encoded once."""

    def __init__(self, model: str, sse: Sse, *, with_usage: bool) -> None:
        comment = b": keep-alive" + sse.newline * 2 if sse.comments else b""
        self._before = comment + (b"data: " if sse.space else b"data:")
        self._after = sse.newline * 2
        head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
            "service_tier": "default",
            "system_fingerprint": "fp_local",
        }
        self._head = encode(head)[:-1]
        self._usage = b',"usage":null}' if with_usage else b"}"

    def event(self, data: bytes) -> bytes:
        return self._before + data + self._after

    def role(self) -> bytes:
        delta = {"role": "assistant", "content": "", "refusal": None}
        return self._chunk(encode(delta), finish_reason=None)

    def finish(self, reason: str) -> bytes:
        return self._chunk(b"{}", finish_reason=reason)

    def usage(self, usage: Usage) -> bytes:
        tail = b',"choices":[],"usage":' + encode(usage.on_the_wire()) + b"}"
        return self.event(self._head + tail)

    def around(self, field: str) -> tuple[bytes, bytes]:
        """The bytes before and after the JSON string of one token."""
        null_content = b"" if field == "content" else b'"content":null,'
        delta = b"{" + null_content + encode(field) + b":\0}"
        before, after = self._chunk(delta, finish_reason=None).split(b"\0")
        return before, after

    def _chunk(self, delta: bytes, *, finish_reason: str | None) -> bytes:
        reason = encode(finish_reason)
        choice = b'{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}' % (delta, reason)
        return self.event(self._head + b',"choices":[' + choice + b"]" + self._usage)


def whole_completion(
    model: str, texts: Mapping[str, str], *, finish_reason: str, usage: Usage | None
) -> dict[str, Any]:
    """An answer in one piece; ``texts`` are the fields of its message."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": None, **texts},
        "logprobs": None,
        "finish_reason": finish_reason,
    }
    completion = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "service_tier": "default",
        "system_fingerprint": "fp_local",
    }
    return completion if usage is None else {**completion, "usage": usage.on_the_wire()}


def question_of(body: Mapping[str, Any]) -> str:
    """The text of the last user message, also of a body that will be refused."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


# How clients ask for the rest of an answer, in a last message behind it.
_GO_ON = re.compile(r"\b(?:go on|continue)\b.{0,40}\bwhere\b", re.IGNORECASE | re.DOTALL)


def broken_off(body: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Where the last message asks to go on with the answer before it: the body up to the question
    of that answer, and what is written of the answer."""
    if [message["role"] for message in body["messages"][-3:]] != ["user", "assistant", "user"]:
        return None
    *spoken, answer, last = body["messages"]
    if not _GO_ON.search(text_of(last.get("content"))):
        return None
    return {**body, "messages": spoken}, text_of(answer.get("content"))


def text_of(content: object) -> str:
    """The text of a message's content: a string, or the text among its parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def prompt_text(body: Mapping[str, Any]) -> str:
    return "".join(text_of(message.get("content")) for message in body["messages"])


def completion_limit(body: Mapping[str, Any]) -> int | None:
    return next((body[name] for name in LIMITS if body.get(name) is not None), None)


def estimate(text: str) -> int:
    """Tokens of a text: a quarter of its characters, rounded up."""
    return -(-len(text) // 4)


def model_card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "local"}


def common_headers() -> dict[str, str]:
    return {"x-request-id": f"req_{uuid.uuid4().hex}", "openai-version": "2020-10-01"}

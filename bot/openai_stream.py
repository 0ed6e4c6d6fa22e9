"""The bytes of a streamed answer become `Delta`s and `Usage`: server-sent events of JSON.

Read here and not by the SDK, whose stream of pydantic objects costs some twenty times as much for
each delta.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec

from bot.errors import BotError, ContentFiltered, CutAtTokenLimit, StreamBroken
from bot.messages import Delta, Usage
from bot.openai_errors import error_in_stream

# A server may send keep-alives for ever. This many time-outs without a word are a stall too.
SILENT_TIMEOUTS = 5

# Events have some hundred bytes. A line that grows beyond this will never end.
LONGEST_LINE = 1024 * 1024  # bytes

# Characters; some 19 messages in Slack. A server that ignores the limit on the answer would write
# for ever, and so may one that was given none.
LONGEST_ANSWER = 200_000

# Seconds. A model that thinks for so long, or sends events without a word in them, will not end.
LONGEST_STREAM = 3600.0

# What no text holds, but for tab and line breaks, and Slack may refuse: control characters, and
# code points that are none.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


# Of what is decoded only this is looked at; `Any` where compatible servers send other types than
# OpenAI does.


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: Any = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: Any = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct):
    """A streamed chunk (platform.openai.com/docs/api-reference/chat-streaming), as far as used."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_lines = msgspec.json.Decoder(_Chunk).decode_lines


class Events:
    """Server-sent events cut from bytes as they come: chunks, or the data of other lines."""

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line without an end as yet; it grows in place

    def feed(self, data: bytes) -> Iterable[_Chunk | bytes]:
        end = data.rfind(b"\n") + 1
        whole = bytes(self._rest) + data[:end] if end else b""
        if end:
            self._rest.clear()
        self._rest += data[end:]
        if len(self._rest) > LONGEST_LINE:
            raise StreamBroken("endless line")
        return _chunks(whole) or _lines(whole)

    def end(self) -> Iterable[_Chunk | bytes]:
        return self.feed(b"\n")


def _chunks(lines: bytes) -> list[_Chunk]:
    """All at once, which takes less than half the time; none where a line is not as most are.

    No line break stands within JSON, so what follows one is not of anybody's text.
    """
    broken = b"\n" + lines
    try:
        chunks = _decode_lines(broken.replace(b"\ndata: ", b"\n"))
    except msgspec.DecodeError:
        return []
    return chunks if len(chunks) == broken.count(b"\ndata: ") else []


def _lines(lines: bytes) -> Iterator[bytes]:
    return (line[5:].strip() for line in lines.split(b"\n") if line.startswith(b"data:"))


async def read(
    data: AsyncIterator[bytes], silence: float, ending: "Ending"
) -> AsyncGenerator[Delta | Usage, None]:
    """The pieces of one stream. The text of one read comes as one delta."""
    loop = asyncio.get_running_loop()
    events = Events()
    began = heard = loop.time()
    async for read in data:
        text = ""
        try:
            for found in events.feed(read):
                text += ending.take(found)
        except BotError:
            if text := ending.mend(text):  # what was written before the error stays
                yield Delta(text)
            raise
        if text := ending.mend(text):
            yield Delta(text)
        if ending.has_spoken:
            heard, ending.has_spoken = loop.time(), False
            ending.first_chunk = ending.first_chunk or heard
        elif loop.time() - heard > SILENT_TIMEOUTS * silence:
            raise StreamBroken("only keep-alives")
        if loop.time() - began > LONGEST_STREAM:
            raise StreamBroken("endless")
        ending.check_length()
    for piece in _last(events, ending):
        yield piece
    ending.check()


def _last(events: Events, ending: "Ending") -> Iterator[Delta | Usage]:
    text = "".join([ending.take(found) for found in events.end()])
    if text := ending.mend(text, is_last=True):
        yield Delta(text)
    if ending.usage:
        yield ending.usage


class Ending:
    """What a stream has said of its end: finish reason, usage, ``[DONE]``."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.first_chunk: float | None = None  # when it came, by the loop's clock
        self.has_spoken = False  # a choice came, with text or (reasoning models) without
        self.is_torn = False  # halves of characters came: `mend` the text
        self._half = ""
        self._room = LONGEST_ANSWER  # characters
        self._finish_reason: object = None
        self._done = False

    def take(self, found: _Chunk | bytes) -> str:
        """The text in one event; whatever else it says is kept."""
        chunk = self._decoded(found) if isinstance(found, bytes) else found
        if chunk is None:
            return ""
        if chunk.error or chunk.object == "error":  # the latter is vLLM's older way
            raise error_in_stream(chunk.error)
        if chunk.usage is not None:
            self.usage = _usage(chunk.usage) or self.usage
        if not chunk.choices:
            return ""
        self.has_spoken = True
        choice = chunk.choices[0]
        self._finish_reason = choice.finish_reason or self._finish_reason
        delta = choice.delta
        return (_text(delta.content) or _text(delta.refusal)) if delta else ""

    def _decoded(self, line: bytes) -> _Chunk | None:
        if line == b"[DONE]":
            self._done = True
            return None
        try:
            return _decode(line)
        except msgspec.DecodeError as error:
            if not line:  # `data:` alone
                return None
            self.is_torn = True
            return _decode_torn(line, error)

    def mend(self, text: str, *, is_last: bool = False) -> str:
        """The text as it can be shown: no longer than an answer may be, without what is no
        character, its surrogates joined; a first half waits for its second.
        """
        if self.is_torn:
            text, self._half = self._half + text, ""
            if "\ud800" <= text[-1:] <= "\udbff" and not is_last:
                text, self._half = text[:-1], text[-1]
            text = joined(text)
        text = text[: self._room]
        self._room -= len(text)
        return UNPRINTABLE.sub("\ufffd", text)

    def check_length(self) -> None:
        """:raises CutAtTokenLimit: the answer has become as long as it may."""
        if self._room <= 0:
            raise CutAtTokenLimit(f"{LONGEST_ANSWER} characters, which is our limit")

    def check(self) -> None:
        """Raises unless the answer is whole. A stream can end cleanly in mid-sentence."""
        if self._finish_reason == "length":
            raise CutAtTokenLimit
        if self._finish_reason == "content_filter":
            raise ContentFiltered
        if not (self._finish_reason or self._done):
            raise StreamBroken("ended without a finish reason")


def _decode_torn(line: bytes, error: msgspec.DecodeError) -> _Chunk:
    r"""A chunk with half a character: JavaScript's JSON.stringify writes it as ``"\ud83d"``."""
    try:
        return msgspec.convert(json.loads(line), _Chunk)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors too
        raise StreamBroken("unreadable chunk") from error


def joined(text: str) -> str:
    """With surrogates joined to characters; a half that stays alone becomes U+FFFD."""
    if text.isascii():  # the usual case costs nothing
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(content: Any) -> str:
    """A text, or the text among parts: Mistral's reasoning models send a list of them."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _usage(reported: Any) -> Usage | None:
    try:
        usage = msgspec.convert(reported, _Usage, strict=False)  # some count in floats or strings
    except msgspec.ValidationError:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        cached_tokens=prompt.cached_tokens if prompt else None,
        output_tokens=usage.completion_tokens,
        reasoning_tokens=completion.reasoning_tokens if completion else None,
    )

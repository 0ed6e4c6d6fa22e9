"""A chat completions server as a `Model`: `Delta`s and `Usage` out, errors translated.

It speaks to OpenAI and to compatible servers. The SDK owns the request, the key, the time-outs
and the errors before the first byte; the stream itself is read from the raw response, because the
SDK's stream of pydantic objects costs some twenty times as much for each delta.
"""

import asyncio
import base64
import copy
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import httpx2
import msgspec
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

from bot.errors import (
    BotError,
    ContentFiltered,
    CutAtTokenLimit,
    ImagesRefused,
    KeyRejected,
    ModelNotFound,
    QuestionTooLong,
    QuotaUsedUp,
    RateLimited,
    RequestRefused,
    StreamBroken,
    Transient,
    Unavailable,
)
from bot.logs import event
from bot.messages import ChatMessage, Delta, Image, Usage

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0  # seconds
LOOPBACK = ("localhost", "127.0.0.1", "::1")

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

# In mid-stream the SDK translates nothing: these are the transport's own.
TRANSPORT_ERRORS = (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError, OSError)

# Parameters that some compatible servers and models refuse, and what to send instead.
SUBSTITUTES: Mapping[str, str | None] = {
    "stream_options": None,
    "max_completion_tokens": "max_tokens",
    "temperature": None,
}

# The names of the limit on the answer. A lower one than this leaves no room for an answer.
CAPS = ("max_completion_tokens", "max_tokens")
LEAST_CAP = 256  # tokens
CHARACTERS_PER_TOKEN = 4  # about, in English

# How servers say that the prompt is too long, that the limit on the answer is part of it, and that
# a filter refused the prompt: OpenRouter's 403 "requires moderation and your input was flagged".
TOO_LONG = ("context_length", "context length", "context window", "maximum context", "too long")
WITH_CAP = ("completion", "max_tokens")
FILTERED = (
    "content_filter",
    "content_policy",
    "content management policy",
    "moderation",
    "flagged",
)

# Models that see, by how their names begin after the maker's (`openai/gpt-4o`), or by a word in
# them; and some that begin so and do not (the makers' lists of models, 2026). Of all others the
# operator can say so.
SEEING = (
    *("chatgpt-4o", "gpt-4-turbo", "gpt-4.1", "gpt-4.5", "gpt-4o", "gpt-5", "o1", "o3", "o4"),
    *("claude-", "gemini-", "gemma-3", "gemma3", "grok-4", "nova-lite", "nova-pro", "nova-premier"),
    *("bakllava", "internvl", "llama-4", "llama4", "llava", "minicpm-v", "mistral-medium"),
    *("mistral-small-3", "mistral-small3", "molmo", "moondream", "phi-4-multimodal", "pixtral"),
)
SEEING_WORDS = ("vision", "-vl", "2vl", "2.5vl", "3vl")
BLIND = (
    *("claude-2", "claude-instant", "gpt-4o-audio", "gpt-4o-mini-audio", "mistral-small-3.0"),
    *("o1-mini", "o1-preview", "o3-mini"),
)

# How servers say that they take no images: OpenAI's "image_url is only supported by certain
# models", OpenRouter's 404 "No endpoints found that support image input", vLLM's "is not a
# multimodal model", llama.cpp's 500 with a hint at its mmproj, others' "must be a string" and
# "unknown variant `image_url`"; and that they do not take this one: "invalid_image_format".
IMAGE_STATUSES = (400, 404, 415, 422, 500, 501)
ABOUT_IMAGES = ("image", "multimodal", "multi-modal", "vision", "mmproj", "must be a string")
NO_IMAGES = (
    "only supported by",
    "support image",
    "not support",
    "unsupported content",
    "multimodal model",
    "unknown variant",
    "must be a string",
    "mmproj",
    "not enabled",
    "text-only",
)

# The fields of an error's body in which a server speaks for itself.
SAID_IN = ("error", "message", "code", "type", "param", "detail", "loc", "msg")


class OpenAIModels:
    """The models of one server that may answer, each with what was learned of it."""

    def __init__(self, first: "OpenAIModel", others: Iterable[str] = ()) -> None:
        self._first = first
        self._models = {name: first.beside(name) for name in others} | {first.name: first}

    def named(self, name: str) -> "OpenAIModel":
        return self._models[name]

    async def close(self) -> None:
        await self._first.close()  # they share its connections


class OpenAIModel:
    """One model of one server, over one HTTP session without a cap on its connections."""

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str,
        model: str,
        temperature: float | None,
        max_tokens: int | None,
        timeout: float,
        sees: bool | None = None,
    ) -> None:
        """``sees``: whether it takes images; None: its name tells, and the server's refusal."""
        self.name = model
        self.sees = names_a_seeing_model(model) if sees is None else sees
        self._learns_to_see = sees is None
        self._timeout = timeout
        self._temperature, self._max_tokens = temperature, max_tokens
        self._refused: frozenset[str] = frozenset()  # parameters without which it has to do
        self._most_tokens: int | None = None  # of an answer, beside prompts that leave no more room
        self._client = AsyncOpenAI(
            api_key=api_key or "none",  # servers without keys ignore it; the SDK wants one
            base_url=base_url,
            max_retries=0,
            timeout=httpx2.Timeout(timeout, connect=CONNECT_TIMEOUT),
            http_client=DefaultAioHttpClient(
                # 0: aiohttp's word for no cap.
                limits=httpx2.Limits(max_connections=0, keepalive_expiry=60.0),
                # A proxy in the environment cannot reach a server on this machine.
                trust_env=urlsplit(base_url).hostname not in LOOPBACK,
            ),
        )

    def beside(self, name: str) -> "OpenAIModel":
        """Another model of the same server, over the same connections; nothing is known of it.

        That this one takes images, the operator has said of this one; that none are to be sent, of
        all of them.
        """
        other = copy.copy(self)
        other.name = name
        other._learns_to_see = self._learns_to_see or self.sees
        other.sees = other._learns_to_see and names_a_seeing_model(name)
        other._refused, other._most_tokens = frozenset(), None
        return other

    async def close(self) -> None:
        await self._client.close()

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[Delta | Usage, None]:
        """The answer as it is written; see `bot.writer.Model`."""
        body = [_on_the_wire(message) for message in messages]
        while True:
            options = self._options(temperature, max_tokens)
            with _Request(self.name) as request:
                try:
                    async with self._client.chat.completions.with_streaming_response.create(
                        model=self.name,
                        messages=body,  # type: ignore[arg-type]
                        stream=True,
                        **options,
                    ) as response:
                        if "html" in response.headers.get("content-type", ""):
                            raise RequestRefused("a web page came back: is OPENAI_BASE_URL right?")
                        async for piece in _read(
                            response.iter_bytes(), self._timeout, request.ending
                        ):
                            yield piece
                    return
                except openai.APIError as error:
                    if not self._learns_from(error, options, messages):
                        self._look_at_refusal(error, messages)
                        raise translate(error) from error
                    request.error = "ParameterRefused"
                except TRANSPORT_ERRORS as error:
                    raise StreamBroken(type(error).__name__) from error
                except ValueError as error:  # aiohttp's, of a URL with user and password in it
                    raise RequestRefused(
                        f"the address of the model's server cannot be used: {type(error).__name__}"
                    ) from error

    def _learns_from(
        self, error: openai.APIError, sent: Mapping[str, Any], messages: Sequence[ChatMessage]
    ) -> bool:
        """The server refused a parameter that it can do without, or with less of: so be it."""
        if getattr(error, "status_code", 0) not in (400, 422):
            return False
        if _says(error, *TOO_LONG):
            return _says(error, *WITH_CAP) and self._lowers_cap(sent, messages)
        # OpenAI names it in `param`, others only somewhere in the body.
        said = _said(error.body)
        refused = [name for name in sent if name in SUBSTITUTES and name in said]
        for name in refused:
            self._do_without(name)
        return bool(refused)

    def _look_at_refusal(self, error: openai.APIError, messages: Sequence[ChatMessage]) -> None:
        """:raises ImagesRefused: the server does not take images, or not one of these."""
        if not any(message.images for message in messages):
            return
        is_about_images = _says(error, *ABOUT_IMAGES) and not _says(error, *TOO_LONG, *FILTERED)
        if getattr(error, "status_code", 0) not in IMAGE_STATUSES or not is_about_images:
            return
        if self._learns_to_see and _says(error, *NO_IMAGES):
            self.sees = False
            event(log, "model.takes_no_images", model=self.name)
        raise ImagesRefused(_reason(error)) from error

    def _lowers_cap(self, sent: Mapping[str, Any], messages: Sequence[ChatMessage]) -> bool:
        """Prompt and limit are too much together, and the limit is most of it: it is halved."""
        name = next((name for name in CAPS if name in sent), None)
        prompt = sum(len(message.content) for message in messages) // CHARACTERS_PER_TOKEN
        if name is None or sent[name] <= max(LEAST_CAP, prompt):
            return False
        lowered = max(LEAST_CAP, sent[name] // 2)
        if self._most_tokens is None or self._most_tokens > lowered:  # no other stream was first
            self._most_tokens = lowered
            event(log, "model.parameter_lowered", parameter=name, to=lowered)
        return True

    def _do_without(self, name: str) -> None:
        if name in self._refused:  # another stream, refused in the same moment, was first
            return
        self._refused |= {name}
        event(log, "model.parameter_refused", parameter=name, instead=SUBSTITUTES[name])

    def _options(self, temperature: float | None, max_tokens: int | None) -> dict[str, Any]:
        """The parameters of a request; where one is None, it is as the model is set up."""
        cap = self._max_tokens if max_tokens is None else max_tokens
        if cap is not None and self._most_tokens is not None:
            cap = min(cap, self._most_tokens)
        wanted = {
            "stream_options": {"include_usage": True},
            "max_completion_tokens": cap,
            "temperature": self._temperature if temperature is None else temperature,
        }
        names = {name: SUBSTITUTES[name] if name in self._refused else name for name in wanted}
        return {
            name: wanted[original]
            for original, name in names.items()
            if name is not None and wanted[original] is not None
        }


def names_a_seeing_model(name: str) -> bool:
    own = name.lower().rpartition("/")[2]
    has_word = any(word in own for word in SEEING_WORDS)
    return (own.startswith(SEEING) or has_word) and not own.startswith(BLIND)


def _on_the_wire(message: ChatMessage) -> dict[str, Any]:
    """Images come as parts after the text that names them
    (platform.openai.com/docs/guides/images)."""
    text = _joined(message.content)
    if not message.images:  # a plain string is what every server takes
        return {"role": message.role, "content": text}
    return {
        "role": message.role,
        "content": [{"type": "text", "text": text}, *map(_image_part, message.images)],
    }


def _image_part(image: Image) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{data}"}}


# -- the stream


# `Any` where compatible servers send other types than OpenAI does.


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


class _Events:
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


async def _read(
    data: AsyncIterator[bytes], silence: float, ending: "_Ending"
) -> AsyncGenerator[Delta | Usage, None]:
    """The pieces of one stream. The text of one read comes as one delta."""
    loop = asyncio.get_running_loop()
    events = _Events()
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


def _last(events: _Events, ending: "_Ending") -> Iterator[Delta | Usage]:
    text = "".join([ending.take(found) for found in events.end()])
    if text := ending.mend(text, is_last=True):
        yield Delta(text)
    if ending.usage:
        yield ending.usage


class _Ending:
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
            raise _error_in_stream(chunk.error)
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
            text = _joined(text)
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


@dataclass(slots=True)
class _Request:
    """One request to the server. When it is over, the event ``model.asked`` tells of it."""

    model: str
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    ending: _Ending = field(default_factory=_Ending)
    error: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        now = asyncio.get_running_loop().time()
        usage, first = self.ending.usage or Usage(), self.ending.first_chunk
        if self.ending.has_spoken:  # for the first time in the read that brought an error
            first = first or now
        event(
            log,
            "model.asked",
            level=logging.DEBUG,
            model=self.model,
            seconds=now - self.began,
            seconds_to_first_chunk=None if first is None else first - self.began,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            error=_failure(kind) or self.error,
        )


def _failure(kind: type[BaseException] | None) -> str | None:
    """What a request failed of; one whose answer was cut at its limit did not."""
    if kind is None or kind is CutAtTokenLimit:
        return None
    return kind.__name__ if issubclass(kind, Exception) else "Stopped"  # nobody reads on


def _decode_torn(line: bytes, error: msgspec.DecodeError) -> _Chunk:
    r"""A chunk with half a character: JavaScript's JSON.stringify writes it as ``"\ud83d"``."""
    try:
        return msgspec.convert(json.loads(line), _Chunk)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors too
        raise StreamBroken("unreadable chunk") from error


def _joined(text: str) -> str:
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


# -- errors


def translate(error: openai.APIError) -> BotError:
    """The SDK's error as ours. Its words go nowhere: they can quote the prompt or the key."""
    if isinstance(error, openai.APITimeoutError | openai.APIConnectionError):
        return Unavailable("the model", type(error).__name__)
    status = error.status_code if isinstance(error, openai.APIStatusError) else 0
    if _says(error, "insufficient_quota", "billing_hard_limit_reached") or status == 402:
        return QuotaUsedUp(_reason(error))
    if status == 429 and isinstance(error, openai.APIStatusError):
        return RateLimited("the model", retry_after(error.response.headers))
    if status in (408, 409) or status >= 500:
        return _unavailable(error)
    return _refusal(status, error)


def _unavailable(error: openai.APIError) -> Transient:
    headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
    return Unavailable("the model", _reason(error), retry_after=retry_after(headers))


def _refusal(status: int, error: openai.APIError) -> BotError:
    if _says(error, *FILTERED):
        return ContentFiltered(_reason(error))
    if status in (401, 403):
        return KeyRejected(_reason(error))
    if status == 404:
        return _not_found(error)
    if status == 413 or _says(error, *TOO_LONG):
        return QuestionTooLong(_reason(error))
    return RequestRefused(_reason(error))


def _not_found(error: openai.APIError) -> BotError:
    """No such model; or no such page, where the server gives no code and speaks of no model."""
    if error.code or _says(error, "model"):
        return ModelNotFound(_reason(error))
    return RequestRefused(f"{_reason(error)}: is OPENAI_BASE_URL right?")


def _error_in_stream(error: Any) -> BotError:
    """``data: {"error": ...}``: what goes wrong after the first byte."""
    if "insufficient_quota" in str(error):
        return QuotaUsedUp("in mid-stream")
    code = error.get("code") or error.get("type") if isinstance(error, Mapping) else None
    return StreamBroken(f"error in mid-stream: {_word(code)}")


def _says(error: openai.APIError, *words: str) -> bool:
    said = _said(error.body).lower()
    return any(word in said for word in words)


def _said(body: object) -> str:
    """The server's own words in the body of an error, without what it echoes of the request.

    Google sends a list, FastAPI ``detail`` with ``loc`` and ``msg``, others only a string.
    """
    if isinstance(body, Mapping):
        return " ".join(_said(body[name]) for name in SAID_IN if name in body)
    if isinstance(body, list):
        return " ".join(map(_said, body))
    return body if isinstance(body, str) else ""


def _reason(error: openai.APIError) -> str:
    status = error.status_code if isinstance(error, openai.APIStatusError) else "-"
    request = error.request_id if isinstance(error, openai.APIStatusError) else None
    return f"HTTP {status} code={_word(error.code)} param={_word(error.param)} request={request}"


def _word(code: object) -> str:
    """An error code for the log, and nothing that is more than a code."""
    text = str(code)
    return text if text.replace("_", "").replace(".", "").isalnum() and len(text) < 60 else "?"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``retry-after-ms`` or ``retry-after`` (seconds or a date)."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        with suppress(KeyError, ValueError):
            return max(0.0, float(headers[name]) / unit)
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None

"""A chat completions server as a `Model`: `Delta`s and `Usage` out, errors translated.

It speaks to OpenAI and to compatible servers. The SDK owns the request, the key, the time-outs
and the errors before the first byte; the stream itself `openai_stream` reads.
"""

import asyncio
import base64
import copy
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

from bot.errors import CutAtTokenLimit, ImagesRefused, RequestRefused, StreamBroken
from bot.logs import event
from bot.messages import ChatMessage, Delta, Image, Usage
from bot.openai_errors import FILTERED, TOO_LONG, WITH_CAP, reason, says, translate, words_in
from bot.openai_stream import Ending, joined, read

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0  # seconds
LOOPBACK = ("localhost", "127.0.0.1", "::1")

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
                        async for piece in read(
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
        if says(error, *TOO_LONG):
            return says(error, *WITH_CAP) and self._lowers_cap(sent, messages)
        # OpenAI names it in `param`, others only somewhere in the body.
        own = words_in(error.body)
        refused = [name for name in sent if name in SUBSTITUTES and name in own]
        for name in refused:
            self._do_without(name)
        return bool(refused)

    def _look_at_refusal(self, error: openai.APIError, messages: Sequence[ChatMessage]) -> None:
        """:raises ImagesRefused: the server does not take images, or not one of these."""
        if not any(message.images for message in messages):
            return
        is_about_images = says(error, *ABOUT_IMAGES) and not says(error, *TOO_LONG, *FILTERED)
        if getattr(error, "status_code", 0) not in IMAGE_STATUSES or not is_about_images:
            return
        if self._learns_to_see and says(error, *NO_IMAGES):
            self.sees = False
            event(log, "model.takes_no_images", model=self.name)
        raise ImagesRefused(reason(error)) from error

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
    text = joined(message.content)
    if not message.images:  # a plain string is what every server takes
        return {"role": message.role, "content": text}
    return {
        "role": message.role,
        "content": [{"type": "text", "text": text}, *map(_image_part, message.images)],
    }


def _image_part(image: Image) -> dict[str, Any]:
    data = base64.b64encode(image.data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{data}"}}


@dataclass(slots=True)
class _Request:
    """One request to the server. When it is over, the event ``model.asked`` tells of it."""

    model: str
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    ending: Ending = field(default_factory=Ending)
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

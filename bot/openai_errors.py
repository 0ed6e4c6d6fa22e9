"""What goes wrong at the model's server, as errors of ours.

Of a server's own words only its codes are kept: the rest can quote the prompt or the key.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from bot.errors import (
    BotError,
    ContentFiltered,
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

# The fields of an error's body in which a server speaks for itself.
SAID_IN = ("error", "message", "code", "type", "param", "detail", "loc", "msg")


def translate(error: openai.APIError) -> BotError:
    """The SDK's error as ours. Its words go nowhere: they can quote the prompt or the key."""
    if isinstance(error, openai.APITimeoutError | openai.APIConnectionError):
        return Unavailable("the model", type(error).__name__)
    status = error.status_code if isinstance(error, openai.APIStatusError) else 0
    if says(error, "insufficient_quota", "billing_hard_limit_reached") or status == 402:
        return QuotaUsedUp(reason(error))
    if status == 429 and isinstance(error, openai.APIStatusError):
        return RateLimited("the model", retry_after(error.response.headers))
    if status in (408, 409) or status >= 500:
        return _unavailable(error)
    return _refusal(status, error)


def _unavailable(error: openai.APIError) -> Transient:
    headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
    return Unavailable("the model", reason(error), retry_after=retry_after(headers))


def _refusal(status: int, error: openai.APIError) -> BotError:
    if says(error, *FILTERED):
        return ContentFiltered(reason(error))
    if status in (401, 403):
        return KeyRejected(reason(error))
    if status == 404:
        return _not_found(error)
    if status == 413 or says(error, *TOO_LONG):
        return QuestionTooLong(reason(error))
    return RequestRefused(reason(error))


def _not_found(error: openai.APIError) -> BotError:
    """No such model; or no such page, where the server gives no code and speaks of no model."""
    if error.code or says(error, "model"):
        return ModelNotFound(reason(error))
    return RequestRefused(f"{reason(error)}: is OPENAI_BASE_URL right?")


def error_in_stream(error: Any) -> BotError:
    """``data: {"error": ...}``: what goes wrong after the first byte."""
    if "insufficient_quota" in str(error):
        return QuotaUsedUp("in mid-stream")
    code = error.get("code") or error.get("type") if isinstance(error, Mapping) else None
    return StreamBroken(f"error in mid-stream: {_word(code)}")


def says(error: openai.APIError, *words: str) -> bool:
    """Whether the server's own words have one of these, in small letters."""
    own = words_in(error.body).lower()
    return any(word in own for word in words)


def words_in(body: object) -> str:
    """The server's own words in the body of an error, without what it echoes of the request.

    Google sends a list, FastAPI ``detail`` with ``loc`` and ``msg``, others only a string.
    """
    if isinstance(body, Mapping):
        return " ".join(words_in(body[name]) for name in SAID_IN if name in body)
    if isinstance(body, list):
        return " ".join(map(words_in, body))
    return body if isinstance(body, str) else ""


def reason(error: openai.APIError) -> str:
    """For the log."""
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

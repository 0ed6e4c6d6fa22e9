"""How the local model says no: HTTP errors in the words of OpenAI and of compatible servers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec
from aiohttp import web

from bot.playground.model.completions import common_headers, encode

RefusalStyle = Literal["openai", "pydantic"]

SERVER_ERROR = "The server had an error while processing your request. Sorry about that!"


class Refusal(msgspec.Struct, frozen=True):
    """An HTTP answer instead of a completion."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}

    def response(self) -> web.Response:
        return web.Response(
            status=self.status,
            body=self.body,
            headers={**common_headers(), **self.headers, "content-type": self.content_type},
        )


def openai_error(
    status: int,
    message: str,
    *,
    type: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Refusal:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return Refusal(status, encode({"error": error}), headers=headers or {})


def unsupported_parameter(name: str, *, value: object, style: RefusalStyle) -> Refusal:
    """The refusal of a parameter that this server, or this model, does not know."""
    if style == "pydantic":
        detail = {
            "type": "extra_forbidden",
            "loc": ["body", name],
            "msg": "Extra inputs are not permitted",
            "input": value,
        }
        return Refusal(422, encode({"detail": [detail]}))
    if name == "temperature":  # OpenAI's reasoning models know it, but with one value only
        message = (
            f"Unsupported value: 'temperature' does not support {value} with this model. "
            "Only the default (1) value is supported."
        )
        return openai_error(400, message, code="unsupported_value", param=name)
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    if name == "max_tokens":
        message += " Use 'max_completion_tokens' instead."
    return openai_error(400, message, code="unsupported_parameter", param=name)


def context_exceeded(limit: int, *, prompt: int, completion: int) -> Refusal:
    message = f"This model's maximum context length is {limit} tokens. "
    if completion:
        message += (
            f"However, you requested {prompt + completion} tokens ({prompt} in the messages, "
            f"{completion} in the completion). "
            "Please reduce the length of the messages or completion."
        )
    else:
        message += (
            f"However, your messages resulted in {prompt} tokens. "
            "Please reduce the length of the messages."
        )
    return openai_error(400, message, code="context_length_exceeded", param="messages")


def rate_limit_exceeded(retry_after: float | None) -> Refusal:
    """429; seconds, or None for no Retry-After."""
    headers = {}
    if retry_after is not None:
        headers["retry-after"] = str(math.ceil(retry_after))
        headers["retry-after-ms"] = str(round(retry_after * 1000))
    message = (
        "Rate limit reached for local-model in organization org-local on requests per min "
        f"(RPM): Limit 3, Used 3, Requested 1. Please try again in {retry_after or 20:g}s."
    )
    kind, code = "requests", "rate_limit_exceeded"
    return openai_error(429, message, type=kind, code=code, headers=headers)


def http_error(status: int) -> Refusal:
    """An HTTP error as OpenAI (or, with 502, the proxy before it) words it."""
    if status == 429:
        return rate_limit_exceeded(1.0)
    if status == 502:
        return Refusal(502, _BAD_GATEWAY, "text/html")
    message, kind, code = _HTTP_ERRORS.get(status, (SERVER_ERROR, "server_error", None))
    return openai_error(status, message, type=kind, code=code)


_HTTP_ERRORS: dict[int, tuple[str, str, str | None]] = {
    400: ("Invalid request.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: (
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    404: (
        "The model `gpt-none` does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    408: ("Request timed out.", "timeout", None),
    409: ("The resource was changed by another request.", "conflict", None),
    503: ("The engine is currently overloaded, please try again later.", "overloaded", None),
}
_BAD_GATEWAY = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center></body>
</html>
"""

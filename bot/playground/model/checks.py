"""What is wrong with a request for a completion, in OpenAI's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from bot.playground.model.completions import LIMITS, completion_limit, estimate, prompt_text
from bot.playground.model.errors import Refusal, context_exceeded, openai_error
from bot.playground.model.images import all_images

UNKNOWN_MODEL = "no-such-model"  # the one name that is refused; every other is served


def parse(raw: bytes) -> tuple[dict[str, Any], Refusal | None]:
    """The body, or an empty one and its refusal."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if isinstance(body, dict):
        return body, None
    message = "We could not parse the JSON body of your request."
    return {}, openai_error(400, message)


def check_key(request: web.Request, key: str | None) -> Refusal | None:
    if key is None:
        return None
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not given:
        message = "You didn't provide an API key in an Authorization header using Bearer auth."
        return openai_error(401, message)
    if given != key:
        shown = f"{given[:4]}****{given[-2:]}"
        message = f"Incorrect API key provided: {shown}."
        return openai_error(401, message, code="invalid_api_key")
    return None


def check_body(body: Mapping[str, Any]) -> Refusal | None:
    """What is wrong with a body by itself; None if nothing is."""
    return next(filter(None, (check(body) for check in _CHECKS)), None)


def check_model(body: Mapping[str, Any]) -> Refusal | None:
    name = body.get("model")
    if not isinstance(name, str) or not name:
        return openai_error(400, "you must provide a model parameter")
    if name != UNKNOWN_MODEL:
        return None
    message = f"The model `{name}` does not exist or you do not have access to it."
    return openai_error(404, message, code="model_not_found")


def _check_messages(body: Mapping[str, Any]) -> Refusal | None:
    messages = body.get("messages")
    if messages is None:
        message = "Missing required parameter: 'messages'."
        return openai_error(400, message, code="missing_required_parameter", param="messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        message = "Invalid type for 'messages': expected an array of objects."
        return openai_error(400, message, code="invalid_type", param="messages")
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead."
        )
        return openai_error(400, message, code="empty_array", param="messages")
    return next(filter(None, map(_check_message, range(len(messages)), messages)), None)


def _check_message(index: int, message: Mapping[str, Any]) -> Refusal | None:
    role = message.get("role")
    if role not in _ROLES:
        param = f"messages[{index}].role"
        text = f"Invalid value: '{role}'. Supported values are: {', '.join(map(repr, _ROLES))}."
        return openai_error(400, text, code="invalid_value", param=param)
    content = message.get("content")
    # An assistant that called a tool or declined has none: the only role that may be silent.
    if isinstance(content, str | list) or (content is None and role == "assistant"):
        return None
    param = f"messages[{index}].content"
    text = f"Invalid value for '{param}': expected a string or an array of content parts."
    return openai_error(400, text, param=param)


def _check_temperature(body: Mapping[str, Any]) -> Refusal | None:
    value = body.get("temperature")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = "Invalid type for 'temperature': expected a decimal."
        return openai_error(400, text, code="invalid_type", param="temperature")
    if 0 <= value <= 2:
        return None
    side, sign, bound = ("above maximum", "<=", 2) if value > 2 else ("below minimum", ">=", 0)
    text = (
        f"Invalid 'temperature': decimal {side} value. "
        f"Expected a value {sign} {bound}, but got {value} instead."
    )
    code = "decimal_above_max_value" if value > 2 else "decimal_below_min_value"
    return openai_error(400, text, code=code, param="temperature")


def _check_limits(body: Mapping[str, Any]) -> Refusal | None:
    given = [name for name in LIMITS if body.get(name) is not None]
    if len(given) > 1:
        text = f"Setting '{given[0]}' and '{given[1]}' at the same time is not supported."
        return openai_error(400, text, code="invalid_parameter_combination", param=given[0])
    for name in given:
        value = body[name]
        if isinstance(value, bool) or not isinstance(value, int):
            text = f"Invalid type for '{name}': expected an integer."
            return openai_error(400, text, code="invalid_type", param=name)
        if value < 1:
            text = (
                f"Invalid '{name}': integer below minimum value. "
                f"Expected a value >= 1, but got {value} instead."
            )
            return openai_error(400, text, code="integer_below_min_value", param=name)
    return None


def _check_stream_options(body: Mapping[str, Any]) -> Refusal | None:
    options = body.get("stream_options")
    if options is None:
        return None
    if not isinstance(options, dict):
        text = "Invalid type for 'stream_options': expected an object."
        return openai_error(400, text, code="invalid_type", param="stream_options")
    if body.get("stream"):
        return None
    text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    return openai_error(400, text, param="stream_options")


def check_context(body: Mapping[str, Any], limit: int | None) -> Refusal | None:
    if limit is None:
        return None
    prompt, completion = prompt_tokens(body), completion_limit(body) or 0
    if prompt + completion <= limit:
        return None
    return context_exceeded(limit, prompt=prompt, completion=completion)


def prompt_tokens(body: Mapping[str, Any]) -> int:
    return estimate(prompt_text(body)) + sum(image.tokens for image in all_images(body))


_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_CHECKS: tuple[Callable[[Mapping[str, Any]], Refusal | None], ...] = (
    check_model,
    _check_messages,
    _check_temperature,
    _check_limits,
    _check_stream_options,
)

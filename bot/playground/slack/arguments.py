"""The arguments of a Web API call, whichever way they were sent."""

import json
from collections.abc import Mapping
from typing import Any

from bot.playground.slack.errors import ApiError


class Args:
    """The arguments of one call, from a form (all strings) or from JSON."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        return str(self.values.get(name, "")).lower() in ("1", "true")

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.values.get(name) or default)
        except (TypeError, ValueError):
            raise ApiError("invalid_arguments") from None

    def json(self, name: str, *, error: str) -> Any:
        """A structure, which in a form (and often in JSON too) is a string of JSON."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ApiError(error) from None

    def needs(self, *names: str) -> None:
        for name in names:
            if not self.text(name):
                raise ApiError("invalid_arguments", response_metadata=_missing(name))


def _missing(name: str) -> dict[str, list[str]]:
    return {"messages": [f"[ERROR] missing required field: {name}"]}

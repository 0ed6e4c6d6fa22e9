"""Reading JSON of which nothing is certain: what has not the expected shape counts as absent."""

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]


def an_object(value: object) -> Object:
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def objects(value: object) -> list[Object]:
    return [item for item in items(value) if isinstance(item, Mapping)]


def a_string(value: object) -> str:
    return value if isinstance(value, str) else ""


def strings(value: object) -> list[str]:
    return [item for item in items(value) if isinstance(item, str)]


def a_number(value: object) -> int:
    """Booleans are numbers in Python, not in JSON."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0

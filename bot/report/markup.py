"""HTML and SVG that are safe because of how they are made: what is not `Markup` is escaped."""

import re
from collections.abc import Iterable
from html import escape


class Markup(str):
    """Of which every part went through this module."""

    __slots__ = ()


Part = Markup | str

# What no UTF-8 can carry or no HTML may hold, and marks that turn the letters after them around.
_UNSHOWABLE = re.compile("[\0-\x08\x0b-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_NAME = re.compile("[a-z][a-zA-Z0-9-]*")
_VOID = ("meta", "br")


def text(untrusted: str) -> Markup:
    """Anything at all as text, also within the quotes of an attribute."""
    return Markup(escape(_UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", untrusted)))


def join(parts: Iterable[Part]) -> Markup:
    return Markup("".join(part if isinstance(part, Markup) else text(part) for part in parts))


def element(name: str, /, *children: Part, **attributes: str | float | None) -> Markup:
    """``class_`` is spelled so, ``data_x`` becomes ``data-x``; None is left out.

    Names are ours; what comes from elsewhere is a value or a child.
    """
    written = "".join(_attribute(*item) for item in attributes.items())
    if not _NAME.fullmatch(name):
        raise ValueError(f"<{name}> is no element")
    end = "" if name in _VOID else f"{join(children)}</{name}>"
    return Markup(f"<{name}{written}>{end}")


def _attribute(name: str, value: str | float | None) -> str:
    if value is None:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if not _NAME.fullmatch(name) or name.startswith("on"):
        raise ValueError(f"{name!r} is no attribute of ours")
    return f' {name}="{text(str(value))}"'

"""HTML that is safe because of how it is made: whatever is not ``Html`` is escaped."""

import re
from collections.abc import Iterable
from html import escape


class Html(str):
    """Markup of which every part went through this module; joined with ``+`` it is text again."""

    __slots__ = ()


Part = Html | str

_TAG = re.compile(
    "a|blockquote|br|button|code|details|div|em|fieldset|h[1-6]|hr|input|label|legend|li|ol"
    "|optgroup|option|p|pre|s|select|span|strong|summary|table|tbody|td|textarea|th|thead|tr|u|ul"
)
_VOID = ("br", "hr", "input")
_ATTRIBUTE = re.compile(
    "checked|class|dir|disabled|href|label|max|maxlength|min|minlength|multiple|name|placeholder|rel"
    "|required|role|rows|selected|start|step|target|title|type|value|(?:data|aria)-[a-z-]+"
)
_HREF = re.compile(r"(?:https?|mailto):[!-~]+")

# What no UTF-8 can carry or no HTML may hold, and the two marks that turn the letters after them
# around, with which "evil.exe" can be made to look like "exe.live".
_UNSHOWABLE = re.compile("[\0\ud800-\udfff\u202d\u202e]")


def text(untrusted: str) -> Html:
    """Anything at all as text, also within the quotes of an attribute."""
    return Html(escape(_UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", untrusted)))


def join(parts: Iterable[Part]) -> Html:
    """The parts one after the other."""
    return Html("".join([part if isinstance(part, Html) else text(part) for part in parts]))


def tag(name: str, /, *children: Part, **attributes: str | bool | None) -> Html:
    """One element; ``class_`` is spelled so, ``data_x`` becomes ``data-x``.

    ``True`` is an attribute without a value; one that is ``False`` or ``None`` is left out.
    """
    if not _TAG.fullmatch(name):
        raise ValueError(f"The page has no use for <{name}>.")
    opening = f"<{name}{''.join([_attribute(*item) for item in attributes.items()])}>"
    return Html(opening if name in _VOID else f"{opening}{join(children)}</{name}>")


def lines(untrusted: str) -> Html:
    """Text with its line breaks."""
    return Html(text(untrusted).replace("\n", "<br>"))


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if not _ATTRIBUTE.fullmatch(name):
        raise ValueError(f"The page has no use for the attribute {name}.")
    if value is True:
        return f" {name}"
    if name == "href" and not _HREF.fullmatch(value):
        raise ValueError("A link leads to http, https or mailto.")
    return f' {name}="{text(value)}"'

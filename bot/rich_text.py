"""Slack's rich_text blocks (what its editor makes of a message) as Markdown for the model."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

Element = Mapping[str, Any]

_DEEPEST = 16  # nested elements; Slack nests three deep, anything deeper is an accident
_WIDEST = 8  # levels of indentation of a list, as many as Slack's editor has

# How elements that stand for something are shown: a sign and the field that follows it.
_SIGNS = {
    "text": ("", "text"),
    "user": ("@", "user_id"),
    "usergroup": ("@", "usergroup_id"),
    "channel": ("#", "channel_id"),
    "broadcast": ("@", "range"),
    "color": ("", "value"),
    "date": ("", "fallback"),
}
_MARKS = {"bold": "**", "italic": "*", "strike": "~~"}  # in the order in which they are nested
_WORDS = re.compile(r"\S(?:.*\S)?")  # of one line


def from_rich_text(block: Element) -> str:
    """A ``rich_text`` block in Markdown; what is malformed or unknown in it is left out.

    The elements: docs.slack.dev, "Rich text block". People and channels are shown by their ids.
    """
    return _from_children(block, 0)


def _from_children(parent: Element, depth: int) -> str:
    """Blocks, a blank line between them; but a nested list is a list of its own in Slack."""
    text = last = ""
    for child in _elements(parent):
        rendered = _from_block(child, depth + 1).strip("\n")
        if not rendered.strip():
            continue
        kind = _string(child, "type")
        glue = "\n" if kind == last == "rich_text_list" else "\n\n"
        text += (glue if text else "") + rendered
        last = kind
    return text


def _from_block(block: Element, depth: int) -> str:
    if depth > _DEEPEST:
        return ""
    render = _BLOCKS.get(_string(block, "type"))
    if render is not None:
        return render(block, depth)
    return _from_children(block, depth) if _elements(block) else _inline([block])


def _section(block: Element, depth: int) -> str:
    return _inline(_elements(block))


def _list(block: Element, depth: int) -> str:
    ordered = _string(block, "style") == "ordered"
    # Four spaces nest under "- " and under "1. " alike.
    margin = "    " * min(_number(block, "indent"), _WIDEST)
    lines: list[str] = []
    for number, item in enumerate(_elements(block), _number(block, "offset") + 1):
        marker = f"{number}. " if ordered else "- "
        first, *others = _from_block(item, depth + 1).strip("\n").split("\n")
        lines.append(f"{margin}{marker}{first}")
        lines += (f"{margin}{' ' * len(marker)}{line}" if line else "" for line in others)
    return "\n".join(lines)


def _preformatted(block: Element, depth: int) -> str:
    code = "".join(map(_shown, _elements(block))).removesuffix("\n")
    info = re.sub(r"[\s`]", "", _string(block, "language"))
    ticks = _longer_than_in(code, at_least=3)
    return f"{ticks}{info}\n{code}\n{ticks}"


def _quote(block: Element, depth: int) -> str:
    lines = _inline(_elements(block)).strip("\n").split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


_BLOCKS: dict[str, Callable[[Element, int], str]] = {
    "rich_text": _from_children,
    "rich_text_section": _section,
    "rich_text_list": _list,
    "rich_text_preformatted": _preformatted,
    "rich_text_quote": _quote,
}


def _inline(elements: Iterable[Element]) -> str:
    """Neighbours of one style share their marks: **a****b** would not be bold."""
    return "".join(
        _marked("".join(map(_from_inline, group)), style)
        for style, group in groupby(elements, key=_style)
    )


def _style(element: Element) -> tuple[str, ...]:
    style = element.get("style")
    if not isinstance(style, Mapping):
        return ()
    names = ("code", *_MARKS) if _string(element, "type") != "link" else tuple(_MARKS)
    return tuple(name for name in names if style.get(name) is True)


def _marked(text: str, style: tuple[str, ...]) -> str:
    """Marks stand next to a word, line by line: white space stays outside of them."""
    if not style:
        return text
    opening = "".join(_MARKS[name] for name in style if name in _MARKS)
    closing = "".join(_MARKS[name] for name in reversed(style) if name in _MARKS)

    def marked(match: re.Match[str]) -> str:
        return opening + (_code_span(match[0]) if "code" in style else match[0]) + closing

    return _WORDS.sub(marked, text)


def _code_span(text: str) -> str:
    ticks = _longer_than_in(text, at_least=1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _longer_than_in(text: str, *, at_least: int) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(longest + 1, at_least)


def _from_inline(element: Element) -> str:
    if _string(element, "type") != "link":
        return _shown(element)
    url, label = _string(element, "url"), _string(element, "text")
    if not label or label in (url, url.removeprefix("mailto:")):
        return label or url
    style = element.get("style")
    if isinstance(style, Mapping) and style.get("code") is True:
        return f"[{_code_span(label)}]({url})"
    label = re.sub(r"[\[\]]", r"\\\g<0>", label)
    return f"[{label}]({url})"


def _shown(element: Element) -> str:
    """What Slack shows, without any style."""
    kind = _string(element, "type")
    if kind == "link":
        return _string(element, "text") or _string(element, "url")
    if kind == "emoji":
        return _emoji(element)
    sign, field = _SIGNS.get(kind, ("", "text"))
    text = _string(element, field)
    return f"{sign}{text}" if text else ""


def _emoji(element: Element) -> str:
    """The character where Slack gives its code points (1f44d-1f3fd), else ``:name:``."""
    try:
        text = "".join(chr(int(code, 16)) for code in _string(element, "unicode").split("-"))
        text.encode()
    except (ValueError, OverflowError):
        text = ""
    name = _string(element, "name")
    return text or (f":{name}:" if name else "")


def _elements(parent: Element) -> list[Element]:
    found = parent.get("elements")
    if not isinstance(found, list):
        return []
    return [element for element in found if isinstance(element, Mapping)]


def _string(element: Element, field: str) -> str:
    found = element.get(field)
    return found if isinstance(found, str) else ""


def _number(element: Element, field: str) -> int:
    found = element.get(field)
    return max(found, 0) if isinstance(found, int) else 0

"""Slack's own mrkdwn, as it stands on the wire, as HTML.

Source: docs.slack.dev/messaging/formatting-message-text. Every literal ``<`` is escaped there: what
stands in angle brackets is a link, a mention or a special sequence.
"""

import re

from bot.playground.page import emoji, links
from bot.playground.page.html import Html, Part, join, lines, tag
from bot.playground.page.names import BROADCASTS, Names, broadcast, channel, person

_FENCE = re.compile(r"```(?:\r?\n)?(.+?)(?:\r?\n)?```[ \t]*\r?\n?", re.DOTALL)
_QUOTED = re.compile(r"(?:^(?:&gt;|>)(?!(?:&gt;|>){2}).*(?:\n|\Z))+", re.MULTILINE)
_ALL_QUOTED = re.compile(r"^(?:&gt;|>){3}(.*)", re.MULTILINE | re.DOTALL)
_QUOTE_MARK = re.compile(r"^(?:&gt;|>) ?", re.MULTILINE)

_REFERENCE = re.compile(r"<([^<>\n]+)>")
_CODE = r"`[^`\n]+`"


def _span(mark: str, name: str) -> str:
    """Marks count at the edges of words: not in 2*3*4, nor next to white space inside."""
    # Atomic: what was read as code is not tried again letter by letter, which would take for ever.
    inside = rf"(?>{_CODE}|{_REFERENCE.pattern.replace('(', '(?:')}|[^{mark}\n])+?"
    return rf"(?<![^\W_]){mark}(?=[^\s{mark}])(?P<{name}>{inside})(?<!\s){mark}(?![^\W_]|{mark})"


_INLINE = re.compile(
    rf"(?P<code>{_CODE})|<(?P<reference>[^<>\n]+)>"
    rf"|{_span(chr(92) + '*', 'strong')}|{_span('_', 'em')}|{_span('~', 's')}"
)

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}  # Slack escapes these and nothing else
_ENTITY = re.compile("|".join(_ENTITIES))


def render(text: str, *, names: Names) -> Html:
    """Marks, quotes, code, links and mentions; lines stay lines."""
    parts: list[Html] = []
    at = 0
    for fence in _FENCE.finditer(text):
        parts += _prose(text[at : fence.start()].removesuffix("\n"), names), _block(fence[1], names)
        at = fence.end()
    return join((*parts, _prose(text[at:], names)))


def plain(text: str) -> Html:
    """The text of a ``plain_text`` object, in which only the names of emoji mean something."""
    return lines(emoji.spelled_out(text))


def _block(code: str, names: Names) -> Html:
    return tag("pre", tag("code", _code(code, names)))


def _prose(text: str, names: Names) -> Html:
    everything = _ALL_QUOTED.search(text)
    if everything is not None:
        quoted = tag("blockquote", _inline(everything[1].strip(), names))
        return join((_quotes(text[: everything.start()].removesuffix("\n"), names), quoted))
    return _quotes(text, names)


def _quotes(text: str, names: Names) -> Html:
    parts: list[Html] = []
    at = 0
    for quoted in _QUOTED.finditer(text):
        inside = _QUOTE_MARK.sub("", quoted[0].removesuffix("\n"))
        parts += (
            _inline(text[at : quoted.start()].removesuffix("\n"), names),
            tag("blockquote", _inline(inside, names)),
        )
        at = quoted.end()
    return join((*parts, _inline(text[at:], names)))


def _inline(text: str, names: Names) -> Html:
    parts: list[Html] = []
    at = 0
    for found in _INLINE.finditer(text):
        parts += _words(text[at : found.start()]), _found(found, names)
        at = found.end()
    return join((*parts, _words(text[at:])))


def _found(found: re.Match[str], names: Names) -> Html:
    kind = str(found.lastgroup)
    if kind == "code":
        return tag("code", _code(found["code"][1:-1], names))
    if kind == "reference":
        return _reference(found["reference"], names)
    return tag(kind, _inline(found[kind], names))


def _code(code: str, names: Names) -> Html:
    """In code links and mentions are still what they are; nothing else is."""
    parts: list[Part] = []
    at = 0
    for found in _REFERENCE.finditer(code):
        parts += _unescape(code[at : found.start()]), _reference(found[1], names)
        at = found.end()
    return join((*parts, _unescape(code[at:])))


def _reference(inside: str, names: Names) -> Html:
    target, _, label = inside.partition("|")
    label = _unescape(label)
    sign, id = target[:1], target[1:]
    if sign == "@" and id:
        return person(id, names=names, label=label)
    if sign == "#" and id:
        return channel(id, names=names, label=label)
    if sign == "!" and id:
        return _special(id, label)
    url = _unescape(target)
    reads = label or url.removeprefix("mailto:")
    return links.link(url, _words(reads), reads=reads) or _words(f"<{inside}>")


def _special(id: str, label: str) -> Html:
    if id in BROADCASTS:
        return broadcast(id)
    if id.startswith("subteam^"):
        return broadcast((label or id.removeprefix("subteam^")).removeprefix("@"))
    return _words(label or f"<!{id}>")  # of a date: what to show where it cannot be formatted


def _words(text: str) -> Html:
    return plain(_unescape(text))


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)

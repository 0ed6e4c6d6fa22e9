"""The Markdown of Slack's ``markdown`` block as HTML.

The parser says what there is; each piece of HTML is made here. HTML in the text is text.
"""

import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.token import Token

from bot.playground.page import code, emoji, links
from bot.playground.page.html import Html, join, tag, text
from bot.playground.page.names import BROADCASTS, Names, broadcast, channel, person


def render(markdown: str, *, names: Names) -> Html:
    """Paragraphs, lists, tables, code and what else a model writes."""
    return tag("div", _Renderer(names).html(_PARSER.parse(markdown)), class_="markdown")


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802
        """What is no link to follow stays the text that it was."""
        return links.address(url) is not None


def _parser() -> MarkdownIt:
    # tasklists: the parser's own; breaks: Slack keeps the line breaks of a message.
    options = {"html": False, "linkify": True, "breaks": True, "maxNesting": 20, "tasklists": True}
    parser = _Parser("js-default", options)
    # Only what has a scheme: main.py and README.md are domains, too.
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    return parser


_PARSER = _parser()

_MENTION = re.compile(
    rf"<(?:@(?P<person>[A-Z0-9]+)|#(?P<channel>[A-Z0-9]+)|!(?P<broadcast>{'|'.join(BROADCASTS)}))"
    r"(?:\|(?P<label>[^<>|\n]*))?>"
)


class _Renderer:
    def __init__(self, names: Names) -> None:
        self._names = names

    def html(self, tokens: Sequence[Token]) -> Html:
        """Tokens nest by pairs of an opening and a closing one."""
        parts: list[Html] = []
        outer: list[tuple[int, list[Html]]] = []  # where an element opens, what stands before it
        for at, token in enumerate(tokens):
            if token.nesting == 1:
                outer.append((at, parts))
                parts = []
            elif token.nesting == -1:
                inside = join(parts)
                start, parts = outer.pop()
                parts.append(_element(tokens[start:at], inside))
            else:
                parts.append(self._leaf(token))
        return join(parts)

    def _leaf(self, token: Token) -> Html:
        if token.type == "inline":
            return self.html(token.children or [])
        make = _LEAVES.get(token.type)
        return make(token) if make else self._words(token.content)

    def _words(self, words: str) -> Html:
        parts: list[Html] = []
        at = 0
        for found in _MENTION.finditer(words):
            parts += text(emoji.spelled_out(words[at : found.start()])), self._mention(found)
            at = found.end()
        return join((*parts, text(emoji.spelled_out(words[at:]))))

    def _mention(self, found: re.Match[str]) -> Html:
        label = found["label"] or ""
        if found["person"]:
            return person(found["person"], names=self._names, label=label)
        if found["channel"]:
            return channel(found["channel"], names=self._names, label=label)
        return broadcast(found["broadcast"])


def _element(tokens: Sequence[Token], inside: Html) -> Html:
    """The element that ``tokens`` open and fill."""
    opening = tokens[0]
    if opening.hidden:  # a paragraph in a list without blank lines
        return inside
    make = _ELEMENTS.get(opening.tag)
    return make(tokens, inside) if make else tag(opening.tag, inside)


def _link(tokens: Sequence[Token], inside: Html) -> Html:
    href = str(tokens[0].attrs["href"])
    return links.link(href, inside, reads=_reads(tokens[1:])) or inside


def _item(tokens: Sequence[Token], inside: Html) -> Html:
    checked = tokens[0].meta.get("checked")
    if checked is None:
        return tag("li", inside)
    return tag("li", "☑ " if checked else "☐ ", inside, class_="task")


def _ordered_list(tokens: Sequence[Token], inside: Html) -> Html:
    start = tokens[0].attrs.get("start")
    return tag("ol", inside, start=None if start is None else str(start))


def _table(_: Sequence[Token], inside: Html) -> Html:
    return tag("div", tag("table", inside), class_="table")


def _cell(tokens: Sequence[Token], inside: Html) -> Html:
    # The parser writes "text-align:right" as a style, which the page allows nowhere.
    _, _, side = str(tokens[0].attrs.get("style", "")).partition(":")
    return tag(tokens[0].tag, inside, class_=f"align-{side}" if side else None)


_ELEMENTS: dict[str, Callable[[Sequence[Token], Html], Html]] = {
    "a": _link,
    "li": _item,
    "ol": _ordered_list,
    "table": _table,
    "td": _cell,
    "th": _cell,
}


def _fence(token: Token) -> Html:
    language, *_ = unescapeAll(token.info).split() or [""]
    return code.block(token.content, language)


def _image(token: Token) -> Html:
    return links.image(_reads(token.children or []), str(token.attrs.get("src", "")))


_LEAVES: dict[str, Callable[[Token], Html]] = {
    "code_block": lambda token: code.block(token.content),
    "code_inline": lambda token: tag("code", token.content),
    "fence": _fence,
    "hardbreak": lambda _: tag("br"),
    "hr": lambda _: tag("hr"),
    "image": _image,
    "softbreak": lambda _: tag("br"),
}


def _reads(tokens: Sequence[Token]) -> str:
    """What stands there to read, without its looks."""
    return "".join(_reads(token.children) if token.children else token.content for token in tokens)

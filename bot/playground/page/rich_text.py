"""Slack's ``rich_text`` block, in which each word says how it looks, as HTML.

Source: docs.slack.dev/reference/block-kit/blocks/rich-text-block.
"""

from collections.abc import Callable

from bot.playground.page import emoji, links, mrkdwn
from bot.playground.page.html import Html, join, lines, tag
from bot.playground.page.names import Names, broadcast, channel, person
from bot.playground.page.shape import Object, a_number, a_string, an_object, objects

_MOST_INDENT = 8  # the deepest level of a list


def render(block: Object, *, names: Names) -> Html:
    """The whole block."""
    return tag("div", elements_html(block, names=names), class_="rich-text")


def elements_html(block: Object, *, names: Names) -> Html:
    """What stands in the block, such as in the cell of a table."""
    return join([_element(element, names) for element in objects(block.get("elements"))])


def _element(element: Object, names: Names) -> Html:
    kind = element.get("type")
    if kind == "rich_text_list":
        return _list(element, names)
    inside = _leaves(element, names)
    if kind == "rich_text_preformatted":
        return tag("pre", tag("code", inside))
    return tag("blockquote" if kind == "rich_text_quote" else "p", inside)


def _list(element: Object, names: Names) -> Html:
    """Slack sends each run of items of one depth as a list of its own."""
    ordered = element.get("style") == "ordered"
    indent = min(max(a_number(element.get("indent")), 0), _MOST_INDENT)
    offset = a_number(element.get("offset"))
    return tag(
        "ol" if ordered else "ul",
        *[tag("li", _leaves(item, names)) for item in objects(element.get("elements"))],
        class_=f"indent-{indent}" if indent else None,
        start=str(offset + 1) if ordered and offset > 0 else None,
    )


def _leaves(element: Object, names: Names) -> Html:
    return join([_styled(leaf, names) for leaf in objects(element.get("elements"))])


_STYLES = {"code": "code", "strike": "s", "italic": "em", "bold": "strong", "underline": "u"}


def _styled(leaf: Object, names: Names) -> Html:
    make = _LEAVES.get(a_string(leaf.get("type")), _text)
    made = make(leaf, names)
    style = an_object(leaf.get("style"))
    for name, element in _STYLES.items():
        if style.get(name) is True:
            made = tag(element, made)
    return made


def _text(leaf: Object, _: Names) -> Html:
    return lines(a_string(leaf.get("text")))


def _link(leaf: Object, _: Names) -> Html:
    url = a_string(leaf.get("url"))
    reads = a_string(leaf.get("text")) or url
    return links.link(url, mrkdwn.plain(reads), reads=reads) or lines(f"{reads} ({url})")


def _emoji(leaf: Object, _: Names) -> Html:
    return lines(_character(a_string(leaf.get("unicode"))) or emoji.character(_field(leaf, "name")))


def _character(code_points: str) -> str:
    """Of "1f1e9-1f1ea"; empty if that is none."""
    try:
        return "".join([chr(int(point, 16)) for point in code_points.split("-")])
    except (ValueError, OverflowError):
        return ""


def _date(leaf: Object, _: Names) -> Html:
    return lines(a_string(leaf.get("fallback")) or str(a_number(leaf.get("timestamp"))))


def _field(leaf: Object, name: str) -> str:
    return a_string(leaf.get(name))


_LEAVES: dict[str, Callable[[Object, Names], Html]] = {
    "broadcast": lambda leaf, _: broadcast(_field(leaf, "range")),
    "channel": lambda leaf, names: channel(_field(leaf, "channel_id"), names=names),
    "color": lambda leaf, _: lines(_field(leaf, "value")),
    "date": _date,
    "emoji": _emoji,
    "link": _link,
    "team": lambda leaf, _: broadcast(_field(leaf, "team_id")),
    "user": lambda leaf, names: person(_field(leaf, "user_id"), names=names),
    "usergroup": lambda leaf, _: broadcast(_field(leaf, "usergroup_id")),
}

"""Rich text is shown with the looks that each of its words asks for."""

from typing import Any

import pytest

from bot.playground.page import rich_text
from tests.page.allowed_html import HOSTILE, NAMES, check, shown


def render(*elements: dict[str, Any]) -> str:
    html = rich_text.render({"type": "rich_text", "elements": list(elements)}, names=NAMES)
    check(html)
    prefix, suffix = '<div class="rich-text">', "</div>"
    assert html.startswith(prefix)
    assert html.endswith(suffix)
    return html[len(prefix) : -len(suffix)]


def section(*leaves: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(leaves)}


def words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text, "style": style}


def test_words_have_their_styles() -> None:
    html = render(section(words("a", bold=True, italic=True), words(" b\n"), words("c", code=True)))

    assert html == "<p><strong><em>a</em></strong> b<br><code>c</code></p>"


def test_quotes_and_code_are_blocks() -> None:
    quote = {"type": "rich_text_quote", "elements": [words("a")]}
    code = {"type": "rich_text_preformatted", "elements": [words("<b>")]}

    assert render(quote, code) == "<blockquote>a</blockquote><pre><code>&lt;b&gt;</code></pre>"


def test_a_list_knows_its_depth_and_where_it_goes_on() -> None:
    items = [section(words("a")), section(words("b"))]
    bullets = {"type": "rich_text_list", "style": "bullet", "elements": items}
    numbers = {"type": "rich_text_list", "style": "ordered", "elements": items}

    assert render(bullets) == "<ul><li>a</li><li>b</li></ul>"
    assert render(numbers | {"indent": 1, "offset": 2}) == (
        '<ol class="indent-1" start="3"><li>a</li><li>b</li></ol>'
    )


def test_mentions_emoji_and_dates_read_as_in_slack() -> None:
    leaves: list[dict[str, Any]] = [
        {"type": "user", "user_id": "U0ANA"},
        {"type": "channel", "channel_id": "C0GENERAL"},
        {"type": "broadcast", "range": "here"},
        {"type": "usergroup", "usergroup_id": "S1"},
        {"type": "emoji", "name": "tada"},
        {"type": "emoji", "name": "flag-at", "unicode": "1f1e6-1f1f9"},
        {"type": "emoji", "name": "ours"},
        {"type": "date", "timestamp": 1, "format": "{date}", "fallback": "Feb 18"},
        {"type": "color", "value": "#ff0000"},
    ]

    html = render(section(*[part for leaf in leaves for part in (leaf, words(" "))]))

    assert shown(html) == "@Ana #general @here @S1 🎉 🇦🇹 :ours: Feb 18 #ff0000 "


def test_a_link_shows_its_true_host_where_its_text_looks_like_another() -> None:
    link = {"type": "link", "url": "https://evil.example/", "text": "good.example"}

    assert shown(render(section(link))) == "good.example (evil.example)"


def test_a_link_that_could_do_something_is_text() -> None:
    html = render(section({"type": "link", "url": "javascript:alert(1)", "text": "click"}))

    assert html == "<p>click (javascript:alert(1))</p>"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_that_is_written_can_run(hostile: str) -> None:
    kinds = ("text", "user", "channel", "broadcast", "usergroup", "team", "emoji", "color", "date")
    names = ("text", "user_id", "channel_id", "range", "usergroup_id", "team_id", "name", "value")
    fields = dict.fromkeys((*names, "fallback", "unicode", "url"), hostile)

    render(section(*[{"type": kind} | fields for kind in (*kinds, "link", hostile)]))

"""Markup is safe because of how it is made."""

import pytest

from bot.playground.page import emoji
from bot.playground.page.html import Html, join, tag


def test_what_is_no_markup_yet_is_escaped() -> None:
    assert tag("p", "<b>", tag("em", "&"), title='"') == (
        '<p title="&quot;">&lt;b&gt;<em>&amp;</em></p>'
    )
    assert join([Html("<br>") + "<br>"]) == "&lt;br&gt;&lt;br&gt;"


@pytest.mark.parametrize("name", ["script", "style", "img", "iframe", "svg", "form", "p onclick"])
def test_there_are_no_elements_that_could_do_something(name: str) -> None:
    with pytest.raises(ValueError, match="no use for"):
        tag(name)


@pytest.mark.parametrize("name", ["onclick", "style", "src", "id", "formaction", "data-x onclick"])
def test_there_are_no_attributes_that_could_do_something(name: str) -> None:
    with pytest.raises(ValueError, match="no use for"):
        tag("p", **{name: "x"})


@pytest.mark.parametrize("href", ["javascript:x", " https://a.example", "data:,x", "/x", "HTTPS:"])
def test_there_are_no_links_but_those_to_follow(href: str) -> None:
    with pytest.raises(ValueError, match="http, https or mailto"):
        tag("a", href=href)


def test_a_reaction_of_any_name_can_be_shown() -> None:
    assert [emoji.character(name) for name in ("tada", "wave::skin-tone-3", "ours")] == [
        "🎉",
        "👋",
        ":ours:",
    ]

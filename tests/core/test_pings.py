"""The model's Markdown cannot ping, and is otherwise left as it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pings import neutralise, undo_neutralise

steady = settings(deadline=None, derandomize=True, database=None, max_examples=200)

pieces = st.sampled_from(
    [*"<@!#|>_.a9-é＠", "<!", "<@", "<#", "U1", "C1", "S1", "here", "Channel", "everyone"]
) | st.sampled_from(["subteam^", "date^", "&lt;", "\u200d"])
gaps = st.sampled_from([" ", "\n", "\r\n"])
texts = st.lists(pieces | gaps, max_size=12).map("".join) | st.text(max_size=40).map(
    lambda text: text.replace("\u200b", "")
)


@pytest.mark.parametrize(
    "text",
    [
        "<·!here>",
        "<·!here|here>",
        "<·!CHANNEL>",
        "<·!everyone",
        "<·!subteam^S123|@·everyone>",
        "<·@U123> and <·@W123|x>, not <@x>",
        "<·@B123>",
        "<·@u123>",
        "<·#C123|general>",
        "@·here",
        "@·Channel, look",
        "**@·everyone**",
        "_@·here_",
        "`@·here`",
        r"\@·here",
        "大家@·here请看",
        "@·here/@·channel",
        "@·here.",
    ],
)
def test_what_pings_is_broken(text: str) -> None:
    broken = text.replace("·", "\u200b")
    plain = text.replace("·", "")

    assert neutralise(plain) == broken
    assert neutralise(broken) == broken
    assert undo_neutralise(broken) == plain


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE html>",
        "<!-- here -->",
        "<!date^1392734382^{date}|Feb 18>",
        "<!hereafter>",
        "@dataclass",
        "@channels_list",
        "@channel_list",
        "@hereafter",
        "ana@channel.com",
        "<@user>",
        "<@UList items>",
        "<#include>",
        "a < b and c > d",
        "&lt;!channel&gt;",  # Slack's own way to write it literally
        "＠here",  # full-width: no mention in Slack
        "@\u200dhere",
        "@ here",
    ],
)
def test_everything_else_is_untouched(text: str) -> None:
    assert neutralise(text) == text


@steady
@given(texts, texts)
def test_it_works_line_by_line(first: str, second: str) -> None:
    assert neutralise(f"{first}\n{second}") == f"{neutralise(first)}\n{neutralise(second)}"


@steady
@given(texts)
def test_it_can_be_repeated_and_undone(text: str) -> None:
    assert neutralise(neutralise(text)) == neutralise(text)
    assert undo_neutralise(neutralise(text)) == text


@steady
@given(texts)
def test_it_adds_zero_width_spaces_only(text: str) -> None:
    assert neutralise(text).replace("\u200b", "") == text.replace("\u200b", "")

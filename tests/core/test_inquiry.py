"""A question about somebody's message: what the bot posts, and what is read of it again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import inquiry
from bot.blocks import escape
from bot.history import chat_messages
from bot.inquiry import (
    ALONE,
    LONGEST_QUOTE,
    Place,
    Subject,
    inquiry_in,
    private_message,
    public_message,
    quote_of,
    spoken,
)
from bot.interactions import Shortcut
from bot.messages import Question
from bot.mrkdwn import from_mrkdwn
from bot.views import notice_message
from tests.core.fakes import BOT

PLACE = Place("C1", "2.0", "1.0")
SUBJECT = Subject(PLACE, "Why not B?", "https://local/2")
OWN = {"user": BOT.user, "bot_id": BOT.bot_id}


def posted(message: dict[str, Any], ts: str, **more: Any) -> dict[str, Any]:
    """As Slack hands one of the bot's messages back."""
    return {**OWN, "ts": ts, **message, **more}


def said(ts: str, text: str, user: str = "UBEN") -> dict[str, Any]:
    return {"ts": ts, "thread_ts": "1.0", "user": user, "text": text}


def shortcut(message: dict[str, Any], channel: str = "C1") -> Shortcut:
    return Shortcut("UANA", "ask", "1", channel, message)


@given(st.text(min_size=1, max_size=200))
def test_words_come_back_as_they_were_typed(words: str) -> None:
    words = words.strip() or "?"

    for message in (
        public_message("UANA", words, SUBJECT),
        private_message("UANA", words, SUBJECT),
    ):
        found = inquiry_in(posted(message, "3.0"), BOT)
        assert found
        assert (found.asker, found.about) == ("UANA", PLACE)
        plain = found.words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert plain == words


@given(st.text(max_size=4_000))
def test_quote_fits_its_block_and_comes_back(text: str) -> None:
    quote = quote_of(said("2.0", escape(text)), BOT, {})

    message = private_message("UANA", "?", Subject(PLACE, quote))
    found = inquiry_in(posted(message, "3.0"), BOT)
    assert found
    assert found.quote.splitlines() == escape(quote).splitlines()
    assert len(quote) <= LONGEST_QUOTE + len(inquiry.CUT)
    assert all(len(block.get("text", {}).get("text", "")) <= 3_000 for block in message["blocks"])


@pytest.mark.parametrize(
    "author", [{"user": "UEVE"}, {"user": "UEVE", "bot_id": "B0EVIL"}, {"bot_id": "B0EVIL"}, {}]
)
def test_only_messages_of_this_bot_ask_in_somebody_s_place(author: dict[str, str]) -> None:
    message = public_message("UANA", "tell me", SUBJECT)

    assert inquiry_in({"ts": "3.0", **message, **author}, BOT) is None


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"asker": "U1", "channel": "C1", "ts": "x", "thread_ts": "1.0"},
        {"asker": ["U1"], "channel": "C1", "ts": "1.0", "thread_ts": "1.0"},
        {"asker": "U1", "channel": "<!here>", "ts": "1.0", "thread_ts": "1.0"},
        {"asker": "U1", "channel": "C1", "ts": "1.0"},
        "text",
        None,
    ],
)
def test_metadata_that_make_no_sense_are_no_inquiry(payload: object) -> None:
    metadata = {"event_type": "llm_inquiry", "event_payload": payload}

    assert inquiry_in(posted({"metadata": metadata}, "3.0"), BOT) is None
    assert inquiry_in(posted(notice_message("Hi."), "3.0"), BOT) is None


def test_blocks_that_slack_has_made_otherwise_are_no_words() -> None:
    message = public_message("UANA", "tell me", SUBJECT) | {"blocks": [None, {"text": 5}]}

    found = inquiry_in(posted(message, "3.0"), BOT)

    assert found and found.words == found.quote == ""  # noqa: PT018


def test_thread_has_the_person_s_words_with_what_they_are_about() -> None:
    asked = posted(public_message("UANA", "Is that <so>?", SUBJECT), "3.0", thread_ts="1.0")
    thread = [said("1.0", "We take A."), said("2.0", "Why not B?\nIt is cheap."), asked]

    question = Question("T1", "C1", "4.0", "1.0", "UBEN", "And?")
    messages = chat_messages(spoken(thread, BOT), question, BOT, {"UANA": "Ana", "UBEN": "Ben"})

    assert [message.content for message in messages] == [
        "Ben: We take A.",
        "Ben: Why not B?\nIt is cheap.",
        "Ana: Is that <so>?\n\n> Why not B?\n> It is cheap.",
        "Ben: And?",
    ]


def test_reactions_and_place_of_the_message_stay() -> None:
    reactions = [{"name": "eyes", "users": [BOT.user]}]
    asked = posted(public_message("UANA", "?", SUBJECT), "3.0", reactions=reactions)

    (message,) = spoken([asked], BOT)

    assert (message["ts"], message["reactions"]) == ("3.0", reactions)
    assert "metadata" not in message


def test_where_only_the_quote_is_known_it_is_said() -> None:
    asked = posted(private_message("UANA", "?", SUBJECT), "3.0")

    (message,) = spoken([asked], BOT, is_alone=True)

    assert message["text"] == f"?\n\n{ALONE}"


def test_answers_of_the_bot_are_quoted_by_their_words() -> None:
    blocks = [{"type": "markdown", "text": "**All** of it."}, {"type": "context", "elements": []}]
    answer = posted({"text": "All", "blocks": blocks}, "2.0")

    assert quote_of(answer, BOT, {}) == "**All** of it."


def test_quote_has_names_and_pings_nobody() -> None:
    text = "<@UBEN> *so* <!here> see <https://x.io|this> &lt;!channel&gt;"
    quote = quote_of(said("2.0", text), BOT, {"UBEN": "Ben"})

    shown = private_message("UANA", "?", Subject(PLACE, quote))["blocks"][2]["text"]

    assert quote == "@Ben *so* @here see this <!channel>"
    assert "<" not in shown["text"]
    assert shown["verbatim"] is True
    assert from_mrkdwn(shown["text"], names={}) == f"> {quote}".replace("*so*", "**so**")


def test_channel_of_direct_messages_is_not_linked() -> None:
    subject = Subject(Place("D1", "2.0", "2.0"), "x")

    text = private_message("UANA", "?", subject)["blocks"][1]["elements"][0]["text"]

    assert text == "You ask about a message:"


def test_place_is_the_message_s_and_its_thread_s() -> None:
    assert inquiry.place_of(shortcut(said("2.0", "x"))) == PLACE
    assert inquiry.place_of(shortcut({"ts": "2.0"})) == Place("C1", "2.0", "2.0")


@pytest.mark.parametrize(
    "message",
    [{}, {"ts": 2.0}, {"ts": "2.0", "thread_ts": "no"}, {"ts": "2.0", "subtype": "tombstone"}],
)
def test_message_that_is_none_has_no_place(message: dict[str, Any]) -> None:
    assert inquiry.place_of(shortcut(message)) is None
    assert inquiry.place_of(shortcut({"ts": "2.0"}, channel="")) is None

"""Which messages may go on with the bot without a mention."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.follow_ups import follow_up_from, has_words
from bot.gate import question_from
from bot.messages import Question
from tests.core.fakes import BOT

TS, ROOT = "1700000000.000100", "1690000000.000001"
FILE = {"id": "F1", "name": "plan.pdf", "mimetype": "application/pdf"}


def said(text: Any = "and why?", **values: Any) -> dict[str, Any]:
    event = {
        "type": "message",
        "channel_type": "channel",
        "channel": "C1",
        "user": "UANA",
        "ts": TS,
        "thread_ts": ROOT,
        "text": text,
    }
    return {"event": event | values}


def test_message_in_a_thread_may_be_one() -> None:
    asked = follow_up_from(said(), BOT)

    assert asked == Question("T1", "C1", TS, ROOT, "UANA", "and why?", is_follow_up=True)
    assert question_from(said(), BOT) is None


@pytest.mark.parametrize("channel_type", ["channel", "group", "mpim"])
def test_it_may_stand_in_channels_and_group_messages(channel_type: str) -> None:
    assert follow_up_from(said(channel_type=channel_type), BOT)


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
def test_it_may_have_files_and_be_shown_to_the_channel_too(subtype: str) -> None:
    assert follow_up_from(said(subtype=subtype, files=[FILE]), BOT)


def test_files_alone_say_something() -> None:
    assert follow_up_from(said("", files=[FILE], subtype="file_share"), BOT)


@pytest.mark.parametrize(
    "values",
    [
        {"thread_ts": None},
        {"thread_ts": TS},  # it opens the thread
        {"channel_type": "im", "channel": "D1"},  # always a question
        {"channel_type": None},
        {"type": "app_mention"},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "channel_join"},
        {"subtype": "bot_message"},
        {"bot_id": "B2"},
        {"bot_profile": {"id": "B2"}},
        {"user": BOT.user},
        {"user": "USLACKBOT"},
        {"user": None},
        {"hidden": True},
        {"channel": None},
        {"channel": "../C1"},
        {"ts": "now"},
        {"thread_ts": ["1"]},
        {"thread_ts": "x"},
    ],
)
def test_nothing_else_is_one(values: dict[str, Any]) -> None:
    assert follow_up_from(said(**values), BOT) is None


@pytest.mark.parametrize(
    "text",
    ["<@UBOT> and why?", "and why, <@UBOT>?", "<@UBOT|robo> why?", "<@UBEN> ask <@UBOT>"],
)
def test_mention_of_the_bot_is_left_to_its_other_event(text: str) -> None:
    assert follow_up_from(said(text), BOT) is None


@pytest.mark.parametrize(
    "text",
    [
        "<@UBEN> what do you think?",
        "  <@UBEN>: look",
        "- <@UBEN> look",
        "(<@WBEN|ben>) look",
        "<!here> lunch?",
        "<!channel|channel> lunch?",
        "<!everyone> lunch?",
        "<!subteam^S012AB3CD> please",
        "hi <@UBEN>, can you look?",
        "thanks <@UBEN>!",
        "Thank you, <@UBEN>.",
        "merci <@UBEN>",
        "and what\ndo you think, <@UBEN>?",
    ],
)
def test_what_calls_somebody_else_is_theirs(text: str) -> None:
    assert follow_up_from(said(text), BOT) is None


@pytest.mark.parametrize(
    "text",
    [
        "What did <@UBEN> mean by that?",
        "Is <@UBEN> right?",
        "what about <@UBEN>?",
        "Write an invitation for <@UBEN>, <@UANA> and me",
        "Write an invitation for <@UBEN>, <@UANA>",
        "What is <#C2|random> for?",
        "see <https://a.example>",
        "?",
        "und für drei?",
        "なぜ",
        "2",
    ],
)
def test_who_is_only_spoken_of_is_not_called(text: str) -> None:
    assert follow_up_from(said(text), BOT)


@pytest.mark.parametrize(
    "text", ["", " ", ":+1:", ":tada: :tada:", "👍", "...", "!", ":a: 🙂!", None, 7]
)
def test_what_has_no_words_asks_nothing(text: Any) -> None:
    assert follow_up_from(said(text), BOT) is None


def test_emoji_beside_words_change_nothing() -> None:
    assert has_words(":+1: and the next?")


@given(st.text("_<@U!>: \n,aé", max_size=300), st.integers(0, 20_000))
def test_any_text_is_read_in_no_time(text: str, repeats: int) -> None:
    follow_up_from(said((text * repeats)[:40_000]), BOT)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_event_is_read(body: Any) -> None:
    follow_up_from({"event": body}, BOT)
    follow_up_from(said(body), BOT)
    follow_up_from(said(thread_ts=body, channel=body), BOT)

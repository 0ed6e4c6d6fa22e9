"""Which events are questions."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.gate import is_wordless, question_from
from bot.messages import File, Question
from tests.core.fakes import BOT, question

TS = "1700000000.000100"
ROOT = "1690000000.000001"


def mention(**values: Any) -> dict[str, Any]:
    defaults = {"type": "app_mention", "channel": "C1", "user": "UANA", "ts": TS}
    return {"event": defaults | {"text": "<@UBOT> why?"} | values}


def direct(**values: Any) -> dict[str, Any]:
    defaults = {"type": "message", "channel_type": "im", "channel": "D1", "user": "UANA", "ts": TS}
    return {"event": defaults | {"text": "why?"} | values}


def without(body: dict[str, Any], field: str) -> dict[str, Any]:
    return {"event": {name: value for name, value in body["event"].items() if name != field}}


# -- what is a question


def test_mention_is_a_question_in_a_thread_of_its_own() -> None:
    asked = question_from(mention(), BOT)

    assert asked == Question(
        team="T1",
        channel="C1",
        ts=TS,
        thread_ts=TS,
        user="UANA",
        text="<@UBOT> why?",
    )
    assert asked.opens_thread
    assert not asked.is_dm


def test_mention_in_a_thread_is_asked_in_that_thread() -> None:
    asked = question_from(mention(thread_ts=ROOT), BOT)

    assert asked is not None
    assert (asked.ts, asked.thread_ts, asked.opens_thread) == (TS, ROOT, False)


def test_direct_message_needs_no_mention() -> None:
    asked = question_from(direct(), BOT)

    assert asked is not None
    assert (asked.text, asked.thread_ts, asked.is_dm) == ("why?", TS, True)


@pytest.mark.parametrize("channel", ["C1", "G1"])
def test_mention_in_a_group_direct_message_is_a_question(channel: str) -> None:
    asked = question_from(mention(channel=channel, channel_type="mpim"), BOT)

    assert asked is not None


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
def test_files_and_broadcast_replies_are_people_talking(subtype: str) -> None:
    assert question_from(direct(subtype=subtype), BOT) is not None
    assert question_from(mention(subtype=subtype), BOT) is not None


def test_member_of_an_enterprise_grid_may_ask() -> None:
    asked = question_from(mention(user="W012AB3CD"), BOT)

    assert asked is not None
    assert asked.user == "W012AB3CD"


def test_edited_mention_names_the_same_turn() -> None:
    first = question_from(mention(), BOT)
    again = question_from(mention(text="<@UBOT> how?", edited={"user": "UANA", "ts": "1.2"}), BOT)

    assert first is not None
    assert again is not None
    assert first.key == again.key


def test_team_is_the_bots_own_in_a_channel_shared_with_another() -> None:
    asked = question_from(mention() | {"team_id": "TOTHER"}, BOT)

    assert asked is not None
    assert asked.team == "T1"


def test_files_are_known_by_name_title_or_not_at_all() -> None:
    files = [{"name": "a.pdf"}, {"title": "Plan"}, {"id": "F1"}, "odd", {"name": 7}]

    asked = question_from(direct(text="", subtype="file_share", files=files), BOT)

    assert asked is not None
    assert [file.name for file in asked.files] == ["a.pdf", "Plan", "a file", "7"]


def test_forwarded_message_is_part_of_the_question() -> None:
    forwarded = {"is_share": True, "author_name": "Ben", "text": "The build is red.\nHelp!"}

    asked = question_from(direct(text="what now?", attachments=[forwarded]), BOT)

    assert asked is not None
    assert asked.text == "what now?\n\n> The build is red.\n> Help!"


# -- what is not


@pytest.mark.parametrize(
    "subtype",
    [
        "message_changed",
        "message_deleted",
        "message_replied",
        "bot_message",
        "channel_join",
        "channel_topic",
        "assistant_app_thread",
        "tombstone",
        "reminder_add",
        "something_new",
        "",
        7,
        ["file_share"],
        {"file_share": 1},
    ],
)
def test_other_subtypes_are_no_question(subtype: object) -> None:
    assert question_from(direct(subtype=subtype), BOT) is None
    assert question_from(mention(subtype=subtype), BOT) is None


@pytest.mark.parametrize(
    "author",
    [
        {"bot_id": "B2"},
        {"bot_id": "B1"},
        {"bot_profile": {"name": "Jira"}},
        {"user": "UBOT"},
        {"user": "USLACKBOT"},
        {"user": None},
        {"user": ""},
        {"user": ["UANA"]},
    ],
)
def test_only_people_are_answered(author: dict[str, Any]) -> None:
    assert question_from(direct(**author), BOT) is None
    assert question_from(mention(**author), BOT) is None


def test_mention_in_a_direct_message_is_left_to_its_message_event() -> None:
    assert question_from(mention(channel="D1"), BOT) is None
    assert question_from(direct(text="<@UBOT> why?"), BOT) is not None


@pytest.mark.parametrize("channel_type", ["channel", "group", "mpim", "app_home", None])
def test_message_outside_of_direct_messages_is_no_question(channel_type: str | None) -> None:
    assert question_from(direct(channel="C1", channel_type=channel_type), BOT) is None


def test_hidden_message_is_no_question() -> None:
    assert question_from(direct(hidden=True), BOT) is None


@pytest.mark.parametrize("field", ["type", "channel", "user", "ts"])
def test_event_without_what_an_answer_needs_is_no_question(field: str) -> None:
    assert question_from(without(mention(), field), BOT) is None
    assert question_from(without(direct(), field), BOT) is None


@pytest.mark.parametrize("ts", ["", "now", "1", "1.2.3", "-1.5", "1700000000.0001 ", "١.٢", 1.5])
def test_ts_that_is_none_is_no_question(ts: object) -> None:
    assert question_from(mention(ts=ts), BOT) is None
    assert question_from(mention(thread_ts="x" if ts == "" else ts), BOT) is None


def test_question_without_text_has_an_empty_one() -> None:
    asked = question_from(direct(text=None), BOT)

    assert asked is not None
    assert asked.text == ""


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"event": None},
        {"event": []},
        {"event": "message"},
        {"type": "app_rate_limited", "team_id": "T1"},
        {"event": {"type": "reaction_added", "user": "UANA"}},
    ],
)
def test_what_is_no_message_is_no_question(body: dict[str, Any]) -> None:
    assert question_from(body, BOT) is None


ODD: list[Any] = [
    None,
    True,
    7,
    1.5,
    "",
    "C1",
    "D1",
    "UANA",
    TS,
    "im",
    "file_share",
    [],
    ["x", None, 7],
    [{"name": []}, {"title": {}}, {"text": ["x"]}, {"text": "x\ny"}],
    {},
    {"type": "app_mention"},
]
FIELDS = [
    "type",
    "channel",
    "channel_type",
    "user",
    "ts",
    "thread_ts",
    "text",
    "subtype",
    "files",
    "attachments",
    "bot_id",
    "hidden",
]
EVENTS = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ODD), max_size=4)


@given(event=st.sampled_from(ODD) | EVENTS, odd=EVENTS, kind=st.sampled_from([mention, direct]))
@settings(deadline=None, max_examples=200)
def test_no_json_is_too_odd(event: object, odd: dict[str, Any], kind: Any) -> None:
    question_from({"event": event}, BOT)
    asked = question_from(kind(**odd), BOT)

    assert asked is None or all(isinstance(part, str) for part in (*asked.key, asked.text))


# -- mentions without words


@pytest.mark.parametrize(
    "text",
    [
        "<@UBOT>",
        " <@UBOT|robo> ",
        "<@UBOT>, <@UBOT>!",
        "<@UBOT>\u00a0",  # Slack's editor puts one behind a mention
        "<@UBOT>\u200b\n",
        "",
    ],
)
def test_mention_alone_is_wordless(text: str) -> None:
    assert is_wordless(question(text), BOT)


@pytest.mark.parametrize(
    "text", ["<@UBOT> why?", "<@UBOT> ?", "??", "<@UBEN>", "<@UBOT> :+1:", "👍", "+", "1."]
)
def test_anything_more_is_not(text: str) -> None:
    assert not is_wordless(question(text), BOT)


def test_file_alone_is_not_wordless() -> None:
    assert not is_wordless(question("<@UBOT>", files=(File("F1PLAN", "plan.pdf"),)), BOT)


def test_forwarded_message_alone_is_not_wordless() -> None:
    asked = question_from(direct(text="", attachments=[{"text": "The build is red."}]), BOT)

    assert asked is not None
    assert not is_wordless(asked, BOT)

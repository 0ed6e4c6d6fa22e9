"""What of Slack's payloads is a wish about an earlier question, and what is not believed."""

from typing import Any

import pytest

from bot.draft import UNFINISHED, WHOLE, Offer, Part
from bot.interactions import Press, interaction_from
from bot.messages import TurnKey
from bot.views import reply_message
from bot.wishes import Aim, Deletion, Edit, SessionStop, Wish, aim_of, turn_named, wish_from
from tests.core.fakes import BOT, question

ASKED = question("why tides?", channel="D1", ts="1700000000.000100")
EDITED_TS = "1700000050.000000"
MESSAGE = {"type": "message", "user": "UANA", "text": "why tides?", "ts": ASKED.ts}


def wish(**event: Any) -> Wish | None:
    return wish_from({"type": "event_callback", "event": event}, BOT)


def changed(after: dict[str, Any], before: dict[str, Any] = MESSAGE) -> Wish | None:
    return wish(
        type="message",
        subtype="message_changed",
        channel="D1",
        channel_type="im",
        hidden=True,
        message=after,
        previous_message=before,
        ts="1700000050.000100",
    )


def edited(text: str = "why moons?", **values: Any) -> dict[str, Any]:
    return {**MESSAGE, "text": text, "edited": {"user": "UANA", "ts": EDITED_TS}, **values}


# -- edits


def test_other_words_are_an_edit() -> None:
    expected = question("why moons?", channel="D1", ts=ASKED.ts)

    assert changed(edited()) == Edit(expected, EDITED_TS)


def test_edit_in_a_thread_keeps_its_thread() -> None:
    found = changed(edited(thread_ts="1600000000.000001"))

    assert isinstance(found, Edit)
    assert found.question.thread_ts == "1600000000.000001"


def test_edited_mention_in_a_channel_comes_as_another_mention() -> None:
    event = edited("<@UBOT> why moons?") | {"type": "app_mention", "channel": "C1"}

    found = wish(**event)

    assert isinstance(found, Edit)
    assert (found.question.key, found.edited_ts) == (TurnKey("T1", "C1", ASKED.ts), EDITED_TS)


@pytest.mark.parametrize(
    "after",
    [
        edited("why tides?"),  # the same words
        {**MESSAGE, "attachments": [{"fallback": "a page"}]},  # a link unfolded
        {**MESSAGE, "thread_ts": MESSAGE["ts"], "reply_count": 1},  # its first reply
        {**MESSAGE, "text": "why moons?"},  # nobody edited it
        edited(edited="yes"),
        edited(edited={"ts": "now"}),
        edited(bot_id="B9"),
        edited(user=BOT.user),
        edited(user=None),
        edited(user="nobody <!channel>"),
        edited(ts="1e9"),
        edited(subtype="channel_topic"),
        None,
        "text",
    ],
)
def test_other_changes_are_none(after: Any) -> None:
    assert changed(after) is None


def test_mention_that_nobody_edited_is_none() -> None:
    assert wish(**(MESSAGE | {"type": "app_mention", "channel": "C1"})) is None


# -- deletions


@pytest.mark.parametrize(
    "message",
    [MESSAGE, {**MESSAGE, "user": BOT.user, "bot_id": BOT.bot_id}],
    ids=["a person's", "the bot's, which may have asked in somebody's place"],
)
def test_deleted_message_is_told(message: dict[str, Any]) -> None:
    found = wish(
        type="message",
        subtype="message_deleted",
        channel="D1",
        deleted_ts=ASKED.ts,
        previous_message=message,
    )

    assert found == Deletion(TurnKey("T1", "D1", ASKED.ts))


def test_message_with_replies_leaves_a_tombstone_which_says_the_same() -> None:
    tombstone = {"subtype": "tombstone", "user": "USLACKBOT", "ts": ASKED.ts, "text": "Deleted."}

    assert changed(tombstone) == Deletion(TurnKey("T1", "D1", ASKED.ts))


@pytest.mark.parametrize(
    "values",
    [
        {"deleted_ts": None},
        {"deleted_ts": "1700000000.000100:evil"},
        {"channel": "general"},
        {"previous_message": {**MESSAGE, "bot_id": "BOTHER"}},
    ],
)
def test_deletion_that_concerns_no_question_is_none(values: dict[str, Any]) -> None:
    event = {"channel": "D1", "deleted_ts": ASKED.ts, "previous_message": MESSAGE} | values

    assert wish(type="message", subtype="message_deleted", **event) is None


# -- Slack's own control


def test_stopped_session_is_told_with_who_stopped_it() -> None:
    event = {"channel": "D1", "thread_ts": ASKED.ts, "user": "UANA", "streaming_message_ts": []}

    assert wish(type="agent_session_stopped", **event) == SessionStop(
        ("T1", "D1", ASKED.ts), "UANA"
    )


@pytest.mark.parametrize("name", ["channel", "thread_ts", "user"])
@pytest.mark.parametrize("value", [None, 7, "<!channel>"])
def test_session_of_nobody_or_nowhere_is_none(name: str, value: object) -> None:
    event = {"channel": "D1", "thread_ts": ASKED.ts, "user": "UANA"} | {name: value}

    assert wish(type="agent_session_stopped", **event) is None


@pytest.mark.parametrize(
    "body", [{}, {"event": None}, {"event": []}, {"event": {"type": "message"}}]
)
def test_anything_else_is_none(body: dict[str, Any]) -> None:
    assert wish_from(body, BOT) is None


# -- buttons


def beneath(*offers: Offer, asked: int = 1, turn: TurnKey = ASKED.key) -> dict[str, Any]:
    """One of the bot's messages, as Slack hands it back with a press."""
    part = Part("Because.", is_last=True, is_final=True, offers=offers)
    message = reply_message(part, turn=turn, number=0, asked=asked)
    return {"ts": "1700000001.000001", "user": BOT.user, "bot_id": BOT.bot_id, **message}


def pressed(
    message: dict[str, Any], action: dict[str, Any], *, user: str = "UBEN", channel: str = "D1"
) -> Press:
    body = {
        "type": "block_actions",
        "user": {"id": user},
        "channel": {"id": channel},
        "container": {"message_ts": message["ts"]},
        "message": message,
        "actions": [action],
    }
    found = interaction_from(body)
    assert isinstance(found, Press)
    return found


def element(message: dict[str, Any], action_id: str) -> dict[str, Any]:
    every = [each for block in message["blocks"] for each in block.get("elements", ())]
    return next(each for each in every if each.get("action_id") == action_id)


@pytest.mark.parametrize("deed", ["stop", "continue", "retry"])
def test_button_says_what_is_wanted_of_which_turn(deed: Offer) -> None:
    message = beneath("stop", *UNFINISHED, asked=3)

    aim = aim_of(pressed(message, element(message, deed)), BOT)

    assert aim == Aim(deed, ASKED.key, 3, is_proven=True)  # type: ignore[arg-type]


def test_menu_and_thumbs_say_it_in_what_was_chosen() -> None:
    message = beneath(*WHOLE)
    more, thumbs = element(message, "more"), element(message, "rate")
    chosen = {"action_id": "more", "selected_option": more["options"][0]}
    actions = [
        chosen,
        {"action_id": "rate", "value": thumbs["positive_button"]["value"]},
        {"action_id": "rate", "value": thumbs["negative_button"]["value"]},
    ]

    aims = [aim_of(pressed(message, action), BOT) for action in actions]

    assert [aim and aim.deed for aim in aims] == ["regenerate", "up", "down"]


def test_message_s_own_metadata_counts_and_not_the_button() -> None:
    message = beneath("stop")
    other = TurnKey("T1", "D1", "1700000000.000999")
    action = element(message, "stop") | {"value": f"1 {other}"}

    aim = aim_of(pressed(message, action), BOT)

    assert aim
    assert (aim.turn, aim.is_proven) == (ASKED.key, True)


@pytest.mark.parametrize(
    "values",
    [{"metadata": None}, {"user": "UEVE", "bot_id": "B9"}, {"metadata": {"event_type": 1}}],
)
def test_without_metadata_of_the_bot_s_own_it_is_to_be_checked(values: dict[str, Any]) -> None:
    message = beneath("stop") | values

    aim = aim_of(pressed(message, element(message, "stop")), BOT)

    assert aim == Aim("stop", ASKED.key, 1, is_proven=False)


def test_turn_of_another_channel_is_none() -> None:
    message = beneath("stop")

    assert aim_of(pressed(message, element(message, "stop"), channel="C2"), BOT) is None


def test_turn_of_another_workspace_is_none() -> None:
    message = beneath("stop", turn=TurnKey("T9", "D1", ASKED.ts))

    assert aim_of(pressed(message, element(message, "stop")), BOT) is None


@pytest.mark.parametrize(
    "action",
    [
        {"action_id": "stop", "value": ""},
        {"action_id": "stop", "value": "T1:D1:1700000000.000100"},
        {"action_id": "stop", "value": "one T1:D1:1700000000.000100"},
        {"action_id": "stop", "value": "1 T1:D1"},
        {"action_id": "stop", "value": f"1 {'x' * 500}"},
        {"action_id": "destroy", "value": "1 T1:D1:1700000000.000100"},
        {"action_id": "rate", "value": "sideways 1 T1:D1:1700000000.000100"},
        {"action_id": "more", "value": "1 T1:D1:1700000000.000100"},
    ],
)
def test_button_that_is_none_of_ours_is_none(action: dict[str, Any]) -> None:
    message = beneath("stop") | {"metadata": None}

    assert aim_of(pressed(message, action), BOT) is None


@pytest.mark.parametrize("text", ["", "T1", "T1:D1", "T1:D1:x", ":::", "T1:D1:1.1:2", "t1:d1:1.1"])
def test_what_is_no_key_names_no_turn(text: str) -> None:
    assert turn_named(text) is None


def test_key_names_its_turn() -> None:
    assert turn_named(str(ASKED.key)) == ASKED.key

"""What a thread tells of a turn that another process began."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.draft import Draft, Part
from bot.errors import BotError, QuestionGone, TooLate, TriedTooOften
from bot.files import files_of
from bot.messages import Turn
from bot.standing import (
    MOST_ATTEMPTS,
    OLDEST,
    Standing,
    StandingMessage,
    hopeless,
    part_of,
    standing,
)
from bot.views import notice_message, plain_message, reply_message
from tests.core.fakes import BOT, question, turn_of

ASKED = question("why?", thread_ts="1600000000.000001")
TURN = turn_of(ASKED, attempts=1)
QUESTION = {"type": "message", "ts": ASKED.ts, "user": ASKED.user, "text": "why?"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def reply(
    ts: str,
    text: str,
    number: int = 0,
    *,
    is_last: bool = False,
    rank: tuple[int, int] = (0, 0),
    **values: Any,
) -> dict[str, Any]:
    """One of the bot's messages, as Slack gives it back."""
    part = Part(text, is_last=is_last, is_final=is_last)
    message = reply_message(part, turn=TURN.key, number=number, rank=rank)
    return {
        "type": "message",
        "ts": ts,
        "user": BOT.user,
        "bot_id": BOT.bot_id,
        **message,
        **values,
    }


def found(*messages: dict[str, Any]) -> Standing:
    return standing([QUESTION, *messages], TURN, BOT)


def texts(what: Standing) -> list[str]:
    return [message.text for message in what.reply]


# -- the question


def test_question_is_read_from_the_thread_as_it_is_now() -> None:
    sea = {"id": "F0SEA", "name": "sea.png"}
    edited = QUESTION | {"text": "why tides?", "files": [sea]}

    what = standing([edited], TURN, BOT)

    assert what.question == replace(ASKED, text="why tides?", files=files_of({"files": [sea]}))
    assert (what.reply, what.surplus, what.is_whole) == ((), (), False)


def test_other_messages_are_no_question() -> None:
    what = standing([QUESTION | {"ts": "1700000000.000101"}], TURN, BOT)

    assert what == Standing(None)


def test_tombstone_of_a_deleted_question_is_no_question() -> None:
    """Slack leaves one where a deleted message has replies."""
    tombstone = QUESTION | {
        "subtype": "tombstone",
        "user": "USLACKBOT",
        "text": "This message was deleted.",
    }

    assert standing([tombstone, reply("1.1", "Because")], TURN, BOT).question is None


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
def test_question_with_a_file_or_also_sent_to_the_channel_is_one(subtype: str) -> None:
    assert standing([QUESTION | {"subtype": subtype}], TURN, BOT).question


@pytest.mark.parametrize(
    ("reactions", "expected"),
    [
        ([{"name": "eyes", "users": ["UANA", BOT.user], "count": 2}], True),
        ([{"name": "eyes", "users": ["UANA"], "count": 1}], False),
        ([{"name": "tada", "users": [BOT.user], "count": 1}], False),
        ([{"name": "eyes"}, "eyes", None], False),
        ("eyes", False),
        (None, False),
    ],
)
def test_own_reaction_on_the_question_is_seen(reactions: object, expected: bool) -> None:
    what = standing([QUESTION | {"reactions": reactions}], TURN, BOT)

    assert what.has_reaction is expected


# -- the reply


def test_reply_is_found_in_the_order_of_its_parts() -> None:
    what = found(reply("1.2", "two", 1), reply("1.1", "one", 0), reply("1.3", "three", 2))

    assert what.reply == (
        StandingMessage("1.1", "one"),
        StandingMessage("1.2", "two"),
        StandingMessage("1.3", "three"),
    )
    assert what.surplus == ()
    assert not what.is_whole


def test_reply_whose_last_edit_was_made_is_whole() -> None:
    what = found(reply("1.1", "one"), reply("1.2", "two", 1, is_last=True))

    assert what.is_whole
    assert texts(what) == ["one", "two"]


@pytest.mark.parametrize(
    ("tag", "outcome"),
    [({"outcome": "failed"}, "failed"), ({}, "complete"), ({"outcome": ["odd"]}, "complete")],
)
def test_whole_reply_says_what_came_of_the_answer(tag: dict[str, Any], outcome: str) -> None:
    message = reply("1.1", "one", is_last=True)
    payload = message["metadata"]["event_payload"]
    del payload["outcome"]
    payload.update(tag)

    assert found(message).outcome == outcome


def test_reply_of_another_turn_is_none_of_this_one() -> None:
    turn = TURN.key._replace(ts="9.9")
    other = reply_message(Part("other", is_last=True), turn=turn, number=0)

    assert found(reply("1.1", "x") | other) == found()


@pytest.mark.parametrize(
    "author", [{"user": "UBEN", "bot_id": None}, {"user": "UBOT2", "bot_id": "B2"}]
)
def test_metadata_forged_by_others_counts_for_nothing(author: dict[str, Any]) -> None:
    assert found(reply("1.1", "forged", is_last=True, **author)) == found()


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "T1:C1:1700000000.000100",
        [],
        {},
        {"turn": str(TURN.key)},
        {"turn": str(TURN.key), "part": "0"},
        {"turn": str(TURN.key), "part": None},
        {"turn": None, "part": 0},
        {"turn": ["T1"], "part": 0},
    ],
)
def test_metadata_of_another_form_counts_for_nothing(payload: object) -> None:
    metadata = {"event_type": "llm_reply", "event_payload": payload}

    assert found(reply("1.1", "odd", metadata=metadata)) == found()


def test_is_last_counts_only_where_it_is_true() -> None:
    metadata = reply("1.1", "x")["metadata"]
    metadata["event_payload"]["is_last"] = "true"

    assert not found(reply("1.1", "x", metadata=metadata)).is_whole


def test_notices_are_no_text_of_the_reply() -> None:
    part = Part("Because", "I am being restarted. This answer goes on in a moment.")
    message = reply("1.1", "") | reply_message(part, turn=TURN.key, number=0)

    assert texts(found(message)) == ["Because"]
    assert found(reply("1.1", "") | notice_message("a notice")) == found(reply("1.1", ""))


def test_reply_that_is_only_a_notice_is_found_without_a_text() -> None:
    assert found(reply("1.1", "")).reply == (StandingMessage("1.1", ""),)


def test_plain_reply_is_read_too() -> None:
    message = reply("1.1", "") | plain_message(Part("# Tides"), turn=TURN.key, number=0)

    assert texts(found(message)) == ["# Tides"]


# -- what is surplus


def test_of_two_messages_for_one_part_the_older_was_given_up() -> None:
    what = found(reply("1.1", "old"), reply("1.2", "new"), reply("1.3", "two", 1))

    assert texts(what) == ["new", "two"]
    assert what.surplus == ("1.1",)


def test_what_stands_above_a_part_that_was_posted_anew_was_given_up_with_it() -> None:
    what = found(reply("1.1", "old"), reply("1.2", "two", 1), reply("1.3", "new"))

    assert texts(what) == ["new"]
    assert what.surplus == ("1.1", "1.2")


def test_what_follows_a_gap_was_given_up() -> None:
    what = found(reply("1.1", "one"), reply("1.3", "three", 2), reply("1.4", "four", 3))

    assert texts(what) == ["one"]
    assert what.surplus == ("1.3", "1.4")


def test_post_of_an_earlier_process_that_lands_late_is_surplus() -> None:
    late = reply("1.2", "an older beginning", rank=(1, 1))

    what = found(reply("1.1", "So", rank=(2, 1)), late, reply("1.3", "it is.", 1, is_last=True))

    assert (texts(what), what.surplus) == (["So", "it is."], ("1.2",))


def test_post_that_was_made_again_and_lands_all_the_same_is_surplus() -> None:
    late = reply("1.2", "So", rank=(2, 1))

    what = found(reply("1.1", "So it is.", is_last=True, rank=(2, 2)), late)

    assert (texts(what), what.surplus) == (["So it is."], ("1.2",))
    assert what.is_whole


def test_reply_whose_beginning_is_gone_has_only_surplus() -> None:
    what = found(reply("1.2", "two", 1, is_last=True))

    assert what.reply == ()
    assert what.surplus == ("1.2",)
    assert not what.is_whole


def test_what_follows_the_last_part_is_left_of_a_longer_attempt() -> None:
    what = found(
        reply("1.1", "short, and whole", is_last=True), reply("1.2", "two", 1), reply("1.3", "3", 2)
    )

    assert what.is_whole
    assert texts(what) == ["short, and whole"]
    assert what.surplus == ("1.2", "1.3")


def test_last_part_that_was_given_up_makes_nothing_whole() -> None:
    what = found(reply("1.1", "old", is_last=True), reply("1.2", "new"))

    assert not what.is_whole
    assert what.surplus == ("1.1",)


@pytest.mark.parametrize("number", [-1, 10**9])
def test_number_that_no_part_has_is_surplus(number: int) -> None:
    what = found(reply("1.1", "one"), reply("1.2", "odd", number))

    assert texts(what) == ["one"]
    assert what.surplus == ("1.2",)


PARTS = st.lists(st.tuples(st.integers(-1, 4), st.booleans()), max_size=8)


@given(PARTS)
def test_every_message_of_the_turn_is_reply_or_surplus(parts: list[tuple[int, bool]]) -> None:
    messages = [
        reply(f"1.{at}", f"text {at}", number, is_last=is_last)
        for at, (number, is_last) in enumerate(parts)
    ]

    what = found(*messages)

    named = [message.ts for message in what.reply] + list(what.surplus)
    assert sorted(named) == sorted(message["ts"] for message in messages)
    numbers = [part_of(m, TURN.key, BOT) for m in messages if m["ts"] in named[: len(what.reply)]]
    assert sorted(number for number in numbers if number is not None) == list(
        range(len(what.reply))
    )


@given(st.text("ab *`#|\n", max_size=3000))
def test_parts_of_a_draft_are_read_back_as_they_were_shown(text: str) -> None:
    draft = Draft(limit=300)
    draft.push(text)
    draft.end()
    parts = draft.parts()

    what = found(
        *(reply(f"1.{n:03}", part.text, n, is_last=part.is_last) for n, part in enumerate(parts))
    )

    assert texts(what) == [part.text for part in parts]
    assert what.is_whole


# -- whether there is any point in going on

HALF = Standing(ASKED, (StandingMessage("1.1", "Because"),))


@pytest.mark.parametrize(
    ("what", "values", "expected"),
    [
        (HALF, {}, None),
        (Standing(ASKED), {}, None),
        (HALF, {"attempts": MOST_ATTEMPTS - 1}, None),
        (HALF, {"attempts": MOST_ATTEMPTS}, TriedTooOften),
        (Standing(ASKED), {"attempts": MOST_ATTEMPTS}, TriedTooOften),
        (HALF, {"attempts": 9, "handovers": 10 - MOST_ATTEMPTS}, None),  # planned stops
        (HALF, {"attempts": 9, "handovers": 9 - MOST_ATTEMPTS}, TriedTooOften),
        (HALF, {"accepted_at": NOW - OLDEST}, None),
        (HALF, {"accepted_at": NOW - OLDEST - timedelta(seconds=1)}, TooLate),
        (replace(HALF, question=None), {}, QuestionGone),
        (replace(HALF, is_whole=True), {"attempts": 99}, None),
        (Standing(None), {}, None),
    ],
)
def test_point_in_going_on(
    what: Standing, values: dict[str, Any], expected: type[BotError] | None
) -> None:
    turn = replace(TURN, **({"accepted_at": NOW} | values))

    error = hopeless(what, turn, NOW)

    assert type(error) is (expected or type(None))


# -- asked for again


def again(**values: Any) -> Turn:
    return replace(TURN, asked=2, **values)


def outdated(*messages: dict[str, Any], turn: Turn | None = None) -> Standing:
    return standing([QUESTION, *messages], turn or again(), BOT)


def answering(asked: int, ts: str, text: str, number: int = 0, **values: Any) -> dict[str, Any]:
    message = reply(ts, text, number, **values)
    message["metadata"]["event_payload"]["asked"] = asked
    return message


def test_reply_to_what_was_asked_before_is_not_whole_but_outdated() -> None:
    what = outdated(reply("1.1", "Because.", is_last=True))

    assert (what.is_whole, what.is_outdated) == (False, True)
    assert texts(what) == ["Because."]


def test_reply_that_has_begun_to_answer_anew_is_outdated_no_more() -> None:
    what = outdated(answering(2, "1.1", "Anew"), answering(1, "1.2", "old", 1, is_last=True))

    assert (what.is_whole, what.is_outdated) == (False, False)
    assert texts(what) == ["Anew", "old"]


def test_reply_that_answers_anew_to_its_end_is_whole_and_the_rest_surplus() -> None:
    what = outdated(
        answering(2, "1.1", "Anew.", is_last=True), answering(1, "1.2", "old", 1, is_last=True)
    )

    assert (what.is_whole, what.surplus) == (True, ("1.2",))


def test_nothing_is_not_outdated() -> None:
    assert not outdated().is_outdated


def test_number_that_is_none_counts_as_the_first() -> None:
    what = outdated(answering("two", "1.1", "Because.", is_last=True))  # type: ignore[arg-type]

    assert what.is_outdated


def test_hope_is_counted_from_the_last_time_it_was_asked() -> None:
    turn = again(attempts=MOST_ATTEMPTS + 2, attempts_before=MOST_ATTEMPTS)
    old = replace(turn, accepted_at=NOW - 2 * OLDEST, asked_at=NOW)

    assert hopeless(outdated(turn=old), old, NOW) is None
    assert isinstance(
        hopeless(outdated(turn=old), replace(old, attempts=2 * MOST_ATTEMPTS), NOW), TriedTooOften
    )

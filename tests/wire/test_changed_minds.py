"""Turns that people change their minds about, the same on a SQLite file and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from bot.errors import AskedTooFast
from bot.messages import DELETED, Outcome, Question, Turn, TurnKey, Usage, UsageRecord
from bot.opinions import Tally
from bot.store import Store, opened
from bot.store.schema import asked_again, turns
from bot.usage import Selection

THREAD = "1700000000.000100"
MINUTE = timedelta(minutes=1)
SECRET = "the merger with Initech"


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url) as store:
        yield store


def asked(number: int = 1, *, user: str = "UANA", channel: str = "C1") -> Question:
    ts = f"1700000000.{number * 100:06}"
    return Question("T1", channel, ts, THREAD, user, SECRET)


def record(turn: Turn, *, attempt: int = 1, outcome: Outcome = "complete") -> UsageRecord:
    return UsageRecord(
        at=datetime.now(UTC),
        key=turn.key,
        user=turn.user,
        model="gpt-4o-mini",
        usage=Usage(100, 0, 20, 0),
        seconds_to_first_delta=0.5,
        seconds=2.0,
        requests=1,
        outcome=outcome,
        attempt=attempt,
    )


async def accepted(store: Store, question: Question) -> Turn:
    turn = await store.turns.accept(question)
    assert turn
    return turn


async def answered(store: Store, question: Question) -> Turn:
    turn = await accepted(store, question)
    await store.turns.begin(turn, record(turn))
    await store.turns.finish(turn, "complete", record(turn))
    return turn


async def found(store: Store, key: TurnKey) -> Turn:
    turn = await store.turns.find(key)
    assert turn
    return turn


def ordered(turns: Iterable[Turn]) -> list[str]:
    return [turn.key.ts for turn in turns]


# -- stop


async def test_stop_is_written_down_with_who_it_was(store: Store) -> None:
    turn = await accepted(store, asked())

    stopped = await store.turns.stop(turn.key, "UBEN")

    assert stopped
    assert (stopped.stopped_by, stopped.is_stopped) == ("UBEN", True)
    assert (await found(store, turn.key)).stopped_by == "UBEN"


async def test_first_stop_counts(store: Store) -> None:
    turn = await accepted(store, asked())
    await store.turns.stop(turn.key, DELETED)

    assert await store.turns.stop(turn.key, "UBEN") is None
    assert (await found(store, turn.key)).stopped_by == DELETED


async def test_turn_that_is_over_is_not_stopped(store: Store) -> None:
    turn = await answered(store, asked())

    assert await store.turns.stop(turn.key, "UANA") is None
    assert not (await found(store, turn.key)).is_stopped


async def test_stop_survives_the_process_that_heard_of_it(url: str) -> None:
    async with opened(url) as store:
        turn = await accepted(store, asked())
        await store.turns.stop(turn.key, "UANA")
    async with opened(url) as store:
        (taken,) = await store.turns.take_all()

    assert taken.stopped_by == "UANA"


# -- asked for again


async def test_answer_that_was_asked_for_before_the_last_one_began_is_no_crash(
    store: Store,
) -> None:
    """It was corrected in the moment between its acceptance and its first attempt."""
    turn = await accepted(store, asked())
    await store.turns.correct(turn.key, edited_ts="1700000001.000000", within=MINUTE, most=None)
    await store.turns.begin(turn, record(turn))

    again = await store.turns.finish(turn, "stopped", record(turn))

    assert again
    assert (again.attempts, again.attempts_now) == (1, 0)


async def test_turn_that_is_asked_for_again_is_unfinished_and_this_process_s(store: Store) -> None:
    turn = await answered(store, asked())

    again = await store.turns.ask_again(turn.key, asked=1, is_continued=True, by="UANA", most=None)

    assert again
    assert (again.asked, again.attempts, again.attempts_before) == (2, 1, 1)
    assert (again.is_finished, again.is_continued, again.is_resumed) == (False, True, True)
    assert again.owner == store.turns.owner
    assert again.asked_at
    assert await store.turns.mine(turn.key) == again


async def test_same_wish_told_twice_is_one(store: Store) -> None:
    turn = await answered(store, asked())

    wishes = [
        store.turns.ask_again(turn.key, asked=1, is_continued=False, by="UANA", most=None)
        for _ in range(20)
    ]
    answers = await asyncio.gather(*wishes)

    assert sum(answer is not None for answer in answers) == 1
    assert (await found(store, turn.key)).asked == 2


async def test_what_was_never_asked_is_not_asked_again(store: Store) -> None:
    key = asked().key

    assert (
        await store.turns.ask_again(key, asked=1, is_continued=False, by="UANA", most=None) is None
    )
    assert (
        await store.turns.correct(key, edited_ts="1700000050.000000", within=MINUTE, most=None)
        is None
    )
    assert await store.turns.find(key) is None


async def test_it_comes_after_what_its_thread_waits_for_and_before_what_is_asked_later(
    store: Store,
) -> None:
    first = await answered(store, asked(1))
    second = await accepted(store, asked(2))

    again = await store.turns.ask_again(
        first.key, asked=1, is_continued=False, by="UANA", most=None
    )
    third = await accepted(store, asked(3))

    assert again
    assert await store.turns.is_next(second)
    assert not await store.turns.is_next(again)
    assert ordered(await store.turns.unfinished(first.thread)) == ordered([second, again, third])
    await store.turns.finish(second, "complete", None)
    assert await store.turns.is_next(again)
    assert not await store.turns.is_next(third)


async def test_stop_is_forgotten_when_it_is_asked_for_again(store: Store) -> None:
    turn = await accepted(store, asked())
    await store.turns.stop(turn.key, "UANA")
    await store.turns.finish(turn, "stopped", None)

    again = await store.turns.ask_again(turn.key, asked=1, is_continued=False, by="UANA", most=None)

    assert again
    assert not again.is_stopped


async def test_each_time_it_is_asked_for_costs_a_record_of_its_own(store: Store) -> None:
    turn = await answered(store, asked())
    again = await store.turns.ask_again(turn.key, asked=1, is_continued=False, by="UANA", most=None)
    assert again

    await store.turns.begin(again, record(again, attempt=2))
    await store.turns.finish(again, "cut", record(again, attempt=2, outcome="cut"))

    whole = await store.ledger.whole()
    assert (whole.answers, whole.usage.output_tokens) == (2, 40)


async def test_attempt_that_was_never_begun_counts_if_it_was_recorded(store: Store) -> None:
    turn = await accepted(store, asked())
    await store.turns.finish(turn, "stopped", record(turn, outcome="stopped"))

    again = await store.turns.ask_again(turn.key, asked=1, is_continued=False, by="UANA", most=None)

    assert again
    assert again.attempts == 1


# -- while it is answered


async def test_turn_that_was_asked_for_again_meanwhile_is_not_finished(store: Store) -> None:
    turn = await accepted(store, asked())
    await store.turns.begin(turn, record(turn))
    await store.turns.correct(turn.key, edited_ts="1700000050.000000", within=MINUTE, most=None)

    again = await store.turns.finish(turn, "complete", record(turn))

    assert again
    assert (again.asked, again.attempts) == (2, 1)
    assert await store.turns.mine(turn.key)
    assert (await store.ledger.whole()).answers == 1
    assert await store.turns.finish(again, "complete", record(again, attempt=2)) is None
    assert (await found(store, turn.key)).is_finished


async def test_turn_that_another_took_over_is_not_asked_again_here(store: Store, url: str) -> None:
    turn = await accepted(store, asked())
    async with opened(url) as other:
        await other.turns.take_all()
        await other.turns.correct(turn.key, edited_ts="1700000050.000000", within=MINUTE, most=None)

        assert await store.turns.finish(turn, "complete", record(turn)) is None
        assert (await store.ledger.whole()).answers == 0


# -- corrected


async def test_edit_keeps_an_unfinished_turn_s_place_and_owner(store: Store) -> None:
    turn = await accepted(store, asked())

    corrected = await store.turns.correct(
        turn.key, edited_ts="1700000050.000000", within=MINUTE, most=None
    )

    assert corrected
    assert (corrected.place, corrected.owner) == (turn.place, turn.owner)
    assert (corrected.asked, corrected.is_continued) == (2, False)


async def test_edit_is_heard_once_though_it_is_told_in_several_events(store: Store) -> None:
    turn = await accepted(store, asked())

    answers = [
        await store.turns.correct(turn.key, edited_ts=edited, within=MINUTE, most=None)
        for edited in ("1700000050.000000", "1700000050.000000", "1700000049.000000")
    ]
    later = await store.turns.correct(
        turn.key, edited_ts="1700000051.000000", within=MINUTE, most=None
    )

    assert [answer is not None for answer in answers] == [True, False, False]
    assert later
    assert later.asked == 3


async def test_answer_that_ended_longer_ago_is_not_corrected(store: Store) -> None:
    turn = await answered(store, asked())
    long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=61)
    async with store.ledger._engine.begin() as connection:
        await connection.execute(update(turns).values(finished_at=long_ago))

    late = await store.turns.correct(
        turn.key, edited_ts="1700000050.000000", within=MINUTE, most=None
    )

    assert late is None
    assert (await found(store, turn.key)).is_finished


async def test_answer_that_ended_just_now_is_corrected(store: Store) -> None:
    turn = await answered(store, asked())

    again = await store.turns.correct(
        turn.key, edited_ts="1700000050.000000", within=MINUTE, most=None
    )

    assert again
    assert (again.is_finished, again.owner) == (False, store.turns.owner)


# -- the rest


async def test_messages_are_noted_also_when_the_turn_has_just_been_finished(store: Store) -> None:
    turn = await answered(store, asked())

    await store.turns.note_messages(turn.key, ["1700000001.000001"])

    assert (await found(store, turn.key)).messages == ("1700000001.000001",)


async def test_first_question_of_each_channel_is_known(store: Store) -> None:
    firsts = [
        (await accepted(store, asked(number, channel=channel))).is_first
        for number, channel in ((1, "D1"), (2, "D1"), (3, "D2"))
    ]

    assert firsts == [True, False, True]


async def press(
    store: Store, turn: Turn, *, asked_for: int = 1, most: int | None, by: str = "UANA"
) -> Turn | None:
    """Somebody wants that answer anew."""
    return await store.turns.ask_again(
        turn.key, asked=asked_for, is_continued=False, by=by, most=most
    )


async def test_what_is_asked_for_again_counts_as_a_question(store: Store) -> None:
    first, second = await answered(store, asked(1)), await answered(store, asked(2))

    for turn, number in ((first, 1), (first, 2), (second, 1)):
        assert await press(store, turn, asked_for=number, most=5)
    third = await answered(store, asked(3))

    with pytest.raises(AskedTooFast) as refused:
        await press(store, third, most=5)
    with pytest.raises(AskedTooFast):
        await store.turns.correct(second.key, edited_ts="1700000050.000000", within=MINUTE, most=5)

    assert (refused.value.most, refused.value.first_at) == (5, second.accepted_at)
    fourth = await accepted(store, asked(4))
    assert len(await store.turns.asked_before(fourth, within=MINUTE, most=10)) == 6
    since = datetime.now(UTC) - MINUTE
    lately = await store.turns.asked_lately("T1", "UANA", since=since, most=10)
    assert (len(lately), lately[0]) == (7, fourth.accepted_at)
    assert await press(store, third, most=5, by="UADA")  # an admin, who has asked nothing yet


async def test_what_was_asked_long_ago_does_not_count(store: Store) -> None:
    turn = await answered(store, asked(1))
    for number in (1, 2):
        assert await press(store, turn, asked_for=number, most=3)
    async with store._engine.begin() as connection:
        long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=2)
        await connection.execute(update(turns).values(accepted_at=long_ago))
        await connection.execute(update(asked_again).values(at=long_ago))

    assert await press(store, turn, asked_for=3, most=1)

    await store.retention.prune(None, now=datetime.now(UTC) + timedelta(days=2))
    async with store._engine.connect() as connection:
        assert (await connection.execute(select(asked_again))).all() == []


async def test_who_is_forgotten_has_asked_for_nothing_again(store: Store) -> None:
    turn = await answered(store, asked(1, user="UGONE"))
    await press(store, turn, most=None, by="UGONE")

    await store.retention.forget("UGONE")

    async with store._engine.connect() as connection:
        assert (await connection.execute(select(asked_again))).all() == []


async def test_what_a_process_died_in_is_found_until_more_is_known_of_it(store: Store) -> None:
    turn = await accepted(store, asked(1))
    foreboding = replace(record(turn), usage=Usage(input_tokens=50), is_estimate=True)
    await store.turns.begin(turn, foreboding)
    begun = replace(turn, attempts=1)

    lost = await store.turns.lost(begun)

    assert lost == foreboding
    assert await store.turns.lost(replace(begun, attempts=2)) is None
    await store.turns.record(replace(foreboding, usage=Usage(50, None, 7, None)))
    assert await store.turns.lost(begun) is None


# -- what people think


async def test_latest_opinion_of_a_person_counts_and_forgets_the_earlier_reason(
    store: Store,
) -> None:
    since, key = datetime.now(UTC) - MINUTE, asked().key
    await store.feedback.rate(key, attempt=1, user="UANA", is_good=False)
    await store.feedback.explain(key, user="UANA", reason="It is wrong.")
    first = await store.feedback.newest(Selection(since), limit=10)

    await store.feedback.rate(key, attempt=2, user="UANA", is_good=True)
    second = await store.feedback.newest(Selection(since), limit=10)

    assert [(each.is_good, each.reason) for each in first] == [(False, "It is wrong.")]
    assert [(each.attempt, each.is_good, each.reason) for each in second] == [(2, True, None)]


async def test_reason_is_kept_only_of_who_found_it_bad(store: Store) -> None:
    since, key = datetime.now(UTC) - MINUTE, asked().key
    await store.feedback.rate(key, attempt=1, user="UANA", is_good=True)

    for user in ("UANA", "UBEN"):
        await store.feedback.explain(key, user=user, reason="It is wrong.")

    assert [each.reason for each in await store.feedback.newest(Selection(since), limit=10)] == [
        None
    ]


async def test_opinions_are_counted_by_channel(store: Store) -> None:
    since = datetime.now(UTC) - MINUTE
    opinions = [("C1", True), ("C1", False), ("C1", True), ("C2", False)]
    for number, (channel, is_good) in enumerate(opinions, 1):
        key = asked(number, channel=channel).key
        await store.feedback.rate(key, attempt=1, user="UANA", is_good=is_good)

    tally = await store.feedback.tally(Selection(since))
    before = await store.feedback.tally(Selection(since - MINUTE, since))

    assert tally == [Tally("C1", good=2, bad=1), Tally("C2", good=0, bad=1)]
    assert before == []


async def test_opinions_are_those_of_a_workspace_and_of_a_time(store: Store) -> None:
    key = asked().key
    other = key._replace(team="T2")
    for each in (key, other):
        await store.feedback.rate(each, attempt=1, user="UANA", is_good=True)
    now = datetime.now(UTC)

    async def seen(**values: Any) -> list[TurnKey]:
        return [each.key for each in await store.feedback.newest(Selection(**values), limit=10)]

    assert await seen() == [other, key]
    assert await seen(team="T1") == [key]
    assert await seen(team="T1", channels=("C2",)) == []
    assert await seen(since=now - MINUTE, until=now - MINUTE / 2) == []


async def test_reasons_alone_can_be_read_the_newest_first(store: Store) -> None:
    for number in range(1, 6):
        key = asked(number).key
        await store.feedback.rate(key, attempt=1, user="UANA", is_good=False)
        if number % 2:
            await store.feedback.explain(key, user="UANA", reason="It is wrong.")

    found = await store.feedback.newest(Selection(), limit=2, is_explained=True)

    assert [opinion.key for opinion in found] == [asked(5).key, asked(3).key]


async def test_opinions_go_with_what_is_pruned_and_with_who_is_forgotten(store: Store) -> None:
    now = datetime.now(UTC)
    await accepted(store, asked(1, user="UGONE"))
    await store.feedback.rate(asked(1).key, attempt=1, user="UBEN", is_good=True)  # of theirs
    await store.feedback.rate(asked(2).key, attempt=1, user="UGONE", is_good=False)  # by them
    await store.feedback.rate(asked(3).key, attempt=1, user="UBEN", is_good=True)
    turn = await found(store, asked(1).key)
    await store.turns.finish(turn, "complete", None)

    await store.retention.forget("UGONE")
    left = await store.feedback.newest(Selection(now - MINUTE), limit=10)
    await store.retention.prune(now + MINUTE, now=now + MINUTE)

    assert [(each.key, each.user) for each in left] == [(asked(3).key, "UBEN")]
    assert await store.feedback.newest(Selection(now - MINUTE), limit=10) == []

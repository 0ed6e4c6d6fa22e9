"""Which question is answered when, with a store and a clock of the test's own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.control_views import DROPPED
from bot.errors import Transient, Unavailable
from bot.messages import DELETED, Question, Turn, TurnKey
from bot.queue import ACKNOWLEDGED_WITHIN, LOOK_AGAIN, NOTICEABLE, Asked, Queue
from tests.conftest import VirtualTimeLoop
from tests.core.fakes import question, turn_of

AWAY = Unavailable("the database", "OperationalError")
THREAD = "1700000000.000100"


@dataclass
class Row:
    turn: Turn
    owner: str | None
    is_finished: bool = False


class Records:
    """The table of turns that several processes share, and this process's view of it.

    The next calls of a method meet the ``errors``; those of ``LOST`` take effect all the same. A
    call takes ``latency`` seconds, and none comes through while the database ``is_away``.
    """

    LOST = Unavailable("the database", "the answer was lost")

    def __init__(self, *, latency: float = 0.0) -> None:
        self.rows: dict[TurnKey, Row] = {}
        self.errors: dict[str, list[Exception]] = {}
        self.is_away = False
        self.calls: list[str] = []
        self.released: list[TurnKey] = []
        self._latency = latency

    async def accept(self, question: Question) -> Turn | None:
        await self._reach("accept")
        turn = None
        if question.key not in self.rows:
            turn = self.written(question)
        return await self._answered("accept", turn)

    async def mine(self, key: TurnKey) -> Turn | None:
        await self._reach("mine")
        row = self.rows.get(key)
        if row is None or row.is_finished or row.owner != "me":
            return None
        return replace(row.turn, is_next=False, is_resumed=True)

    async def is_next(self, turn: Turn) -> bool:
        await self._reach("is_next")
        return self._is_next(turn)

    async def release(self, keys: Collection[TurnKey]) -> None:
        await self._reach("release")
        for key in keys:
            self.released.append(key)
            self.rows[key].owner = None

    def written(self, asked: Question, *, owner: str = "me") -> Turn:
        """Puts a turn into the table, as any process does that accepts it."""
        turn = turn_of(asked, place=len(self.rows) + 1, is_next=False)
        turn = replace(turn, is_next=self._is_next(turn))
        self.rows[asked.key] = Row(turn, owner)
        return turn

    def finish(self, key: TurnKey) -> None:
        self.rows[key].is_finished = True

    def _is_next(self, turn: Turn) -> bool:
        return not any(
            row.turn.thread == turn.thread and row.turn.place < turn.place and not row.is_finished
            for row in self.rows.values()
        )

    async def _reach(self, method: str) -> None:
        self.calls.append(method)
        await asyncio.sleep(self._latency)
        if self.is_away:
            raise AWAY
        if (errors := self.errors.get(method)) and errors[0] is not self.LOST:
            raise errors.pop(0)

    async def _answered(self, method: str, turn: Turn | None) -> Turn | None:
        if errors := self.errors.get(method):
            raise errors.pop(0)
        return turn


class Office:
    """A queue whose answers take some seconds, and note when they began and ended."""

    def __init__(
        self, *, at_once: int = 100, takes: float = 1.0, records: Records | None = None
    ) -> None:
        self.records = records or Records()
        self.takes: dict[TurnKey, float] = {}
        self.began: list[tuple[str, float]] = []
        self.ended: list[tuple[str, float]] = []
        self.resumed: list[str] = []  # without their question
        self.answered: list[Asked] = []
        self.renewed: list[Asked] = []
        self.instead: dict[TurnKey, list[Asked]] = {}  # what is asked in place of an answer
        self.told: list[tuple[str, float, str]] = []
        self.queue = Queue(self.records, self, self._tell, at_once=at_once)
        self.at_most = 0
        self._at_once = 0
        self._takes = takes
        self._start = now()

    async def ask(self, *asked: Question) -> None:
        for each in asked:
            await self.queue.accept(each)

    def ask_again(self, asked: Question) -> None:
        """As the store does it with a turn that was over."""
        row = self.records.rows[asked.key]
        place = max(each.turn.place for each in self.records.rows.values()) + 1
        row.turn = replace(row.turn, asked=row.turn.asked + 1, place=place, is_next=False)
        row.is_finished = False
        self.queue.ask_again(row.turn)

    async def until_idle(self) -> None:
        assert await self.queue.finished(within=1e6)

    def seconds(self) -> float:
        return round(now() - self._start, 3)

    async def answer(self, turn: Turn, question: Question | None) -> Asked | None:
        self.began.append((turn.key.ts, self.seconds()))
        self.answered.append((turn, question))
        self.resumed += [] if question else [turn.key.ts]
        self._at_once += 1
        self.at_most = max(self.at_most, self._at_once)
        try:
            await asyncio.sleep(self.takes.get(turn.key, self._takes))
            if instead := self.instead.get(turn.key):
                return instead.pop()
            self.records.finish(turn.key)
            self.ended.append((turn.key.ts, self.seconds()))
        finally:
            self._at_once -= 1
        return None

    def renew(self, turn: Turn, question: Question | None) -> None:
        self.renewed.append((turn, question))

    async def _tell(self, turn: Turn, sentence: str) -> None:
        self.told.append((turn.key.ts, self.seconds(), sentence))


def now() -> float:
    return asyncio.get_running_loop().time()


def in_thread(number: int, **values: Any) -> Question:
    """The so-manieth question of one thread."""
    return question(ts=f"1700000000.{number:06}", thread_ts=THREAD, **values)


def alone(number: int, **values: Any) -> Question:
    """A question that opens a thread."""
    return question(ts=f"16000{number:05}.000001", **values)


def order(events: Sequence[tuple[str, float]]) -> list[str]:
    return [ts for ts, _ in events]


@pytest.fixture(autouse=True)
async def _nothing_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, why: complaints.append(why))
    yield
    assert asyncio.all_tasks() - before == {asyncio.current_task()}
    assert complaints == []


# -- order


async def test_question_begins_at_once() -> None:
    office = Office()

    await office.ask(alone(1))
    await office.until_idle()

    assert office.began == [(alone(1).ts, 0.0)]
    assert office.resumed == []
    assert office.records.calls == ["accept"]


async def test_questions_of_a_thread_are_answered_one_at_a_time_in_order() -> None:
    office = Office(takes=2.0)

    await office.ask(*map(in_thread, range(1, 5)))
    await office.until_idle()

    assert office.began == [(in_thread(n).ts, 2.0 * (n - 1)) for n in range(1, 5)]
    assert office.at_most == 1


async def test_different_threads_are_answered_in_parallel() -> None:
    office = Office(takes=2.0)

    await office.ask(*map(alone, range(10)))
    await office.until_idle()

    assert office.began == [(alone(n).ts, 0.0) for n in range(10)]


async def test_same_thread_ts_in_another_channel_is_another_thread() -> None:
    office = Office()

    await office.ask(in_thread(1), in_thread(1, channel="C2"))
    await office.until_idle()

    assert [at for _, at in office.began] == [0.0, 0.0]


async def test_messages_of_one_moment_keep_their_order_though_the_database_answers_in_another() -> (
    None
):
    office = Office()
    slow = iter([0.3, 0.0, 0.2, 0.1])

    async def accept(question: Question) -> Turn | None:
        await asyncio.sleep(next(slow))
        return await Records.accept(office.records, question)

    office.records.accept = accept  # type: ignore[method-assign]

    await asyncio.gather(*(office.queue.accept(in_thread(n)) for n in range(1, 5)))
    await office.until_idle()

    assert order(office.began) == [in_thread(n).ts for n in range(1, 5)]


async def test_only_so_many_are_answered_at_once_and_the_others_in_the_order_they_came() -> None:
    office = Office(at_once=3, takes=5.0)

    await office.ask(*map(alone, range(10)))
    await asyncio.sleep(1)
    assert (office.queue.running, office.queue.waiting) == (3, 7)
    await office.until_idle()

    assert order(office.began) == [alone(n).ts for n in range(10)]
    assert office.at_most == 3
    assert [at for _, at in office.ended] == [5.0] * 3 + [10.0] * 3 + [15.0] * 3 + [20.0]


async def test_one_that_waits_for_its_thread_takes_no_room_from_others() -> None:
    office = Office(at_once=2, takes=5.0)

    await office.ask(in_thread(1), in_thread(2), in_thread(3), alone(1))
    await office.until_idle()

    assert dict(office.began)[alone(1).ts] == 0.0


async def test_an_answer_that_breaks_lets_the_next_of_its_thread_begin(
    caplog: pytest.LogCaptureFixture,
) -> None:
    office = Office()

    async def breaks(turn: Turn, question: Question | None) -> Asked | None:
        office.records.finish(turn.key)
        office.began.append((turn.key.ts, office.seconds()))
        raise KeyError("what people wrote")

    office.answer = breaks  # type: ignore[method-assign]

    with caplog.at_level(logging.INFO):
        await office.ask(in_thread(1), in_thread(2))
        await office.until_idle()

    assert len(office.began) == 2
    assert "turn.broke" in [record.getMessage() for record in caplog.records]
    assert "what people wrote" not in str([vars(record) for record in caplog.records])


async def test_a_thousand_questions_are_all_answered_and_each_once() -> None:
    office = Office(at_once=50, takes=3.0)
    asked = [question(ts=f"{n}.000001", thread_ts=f"{n % 97}.0", user=f"U{n}") for n in range(1000)]

    await asyncio.gather(*map(office.queue.accept, asked))
    await office.until_idle()

    assert sorted(order(office.ended)) == sorted(each.ts for each in asked)
    for thread in range(97):
        of_thread = [float(ts) for ts, _ in office.ended if float(ts) % 97 // 1 == thread]
        assert of_thread == sorted(of_thread)
    assert office.at_most == 50
    assert (office.queue.running, office.queue.waiting, office.queue.keys) == (0, 0, [])
    assert office.queue._lines == {}


# -- what those hear who wait


async def test_who_waits_for_a_thread_is_told_so_once() -> None:
    office = Office(takes=20.0)

    await office.ask(in_thread(1), in_thread(2))
    await office.until_idle()

    (told,) = office.told
    assert told[:2] == (in_thread(2).ts, NOTICEABLE)
    assert "of a thread one after the other" in told[2]


async def test_who_waits_for_room_is_told_their_number_in_line() -> None:
    office = Office(at_once=2, takes=20.0)

    await office.ask(*map(alone, range(5)))
    await office.until_idle()

    told = sorted(office.told)
    assert [ts for ts, _, _ in told] == [alone(n).ts for n in (2, 3, 4)]
    for number, (_, at, sentence) in enumerate(told, start=1):
        assert at == NOTICEABLE
        assert f"number {number} in line" in sentence


async def test_number_counts_only_those_that_wait_for_room() -> None:
    office = Office(at_once=1, takes=20.0)

    await office.ask(in_thread(1), in_thread(2), in_thread(3), alone(1))
    await asyncio.sleep(NOTICEABLE + 0.1)

    (sentence,) = [sentence for ts, _, sentence in office.told if ts == alone(1).ts]
    assert "number 1 in line" in sentence
    await office.queue.abandon()


async def test_who_begins_before_it_is_noticeable_is_told_nothing() -> None:
    office = Office(at_once=1, takes=NOTICEABLE - 0.5)

    await office.ask(alone(1), alone(2))
    await office.until_idle()

    assert office.told == []


async def test_word_that_is_still_on_its_way_is_recalled_when_the_answer_begins() -> None:
    office = Office(at_once=1, takes=NOTICEABLE + 1)
    words: list[str] = []

    async def tell_slowly(turn: Turn, sentence: str) -> None:
        await asyncio.sleep(60)  # its budget is spent, say
        words.append(sentence)

    office.queue._tell = tell_slowly

    await office.ask(alone(1), alone(2))
    await office.until_idle()

    assert words == []


async def test_nobody_is_told_of_a_turn_that_is_resumed() -> None:
    office = Office(at_once=1, takes=20.0)
    turns = [office.records.written(alone(n)) for n in range(3)]

    office.queue.resume(turns)
    await office.until_idle()

    assert office.told == []
    assert office.resumed == [alone(n).ts for n in range(3)]


async def test_turns_that_may_have_killed_their_processes_are_answered_one_at_a_time() -> None:
    office = Office(takes=10.0)
    turns = [
        replace(office.records.written(alone(n)), attempts=attempts)
        for n, attempts in enumerate([3, 2, 4, 0])
    ]

    office.queue.resume(turns)
    await office.until_idle()

    assert dict(office.began) == {
        alone(0).ts: 0.0,
        alone(1).ts: 0.0,
        alone(2).ts: 10.0,
        alone(3).ts: 0.0,
    }


# -- turns of other processes


async def test_resumed_turn_comes_before_those_of_its_thread_that_wait_here() -> None:
    office = Office(at_once=1)
    earlier = office.records.written(in_thread(1), owner="other")

    await office.ask(in_thread(2), in_thread(3))
    await asyncio.sleep(1)
    assert office.began == []
    office.records.rows[earlier.key].owner = "me"
    office.queue.resume([earlier])
    await office.until_idle()

    assert order(office.began) == [in_thread(n).ts for n in (1, 2, 3)]


async def test_resumed_turns_of_one_thread_are_answered_in_order_though_they_come_in_another() -> (
    None
):
    office = Office(at_once=1)
    turns = [office.records.written(in_thread(n), owner="other") for n in range(1, 5)]

    office.queue.resume([turns[2], turns[0]])
    office.queue.resume([turns[3], turns[1]])
    await office.until_idle()

    assert order(office.began) == [in_thread(n).ts for n in range(1, 5)]


async def test_predecessor_in_another_process_is_waited_for_and_its_end_is_heard_of() -> None:
    office = Office()
    earlier = office.records.written(in_thread(1), owner="other")
    await office.ask(in_thread(2))

    await asyncio.sleep(1.5)
    office.records.finish(earlier.key)
    office.queue.look_again(earlier.thread)
    await office.until_idle()

    assert office.began == [(in_thread(2).ts, 1.5)]


async def test_news_of_another_thread_wakes_nobody() -> None:
    office = Office()
    earlier = office.records.written(in_thread(1), owner="other")
    await office.ask(in_thread(2))
    await asyncio.sleep(1)
    looked = len(office.records.calls)

    office.queue.look_again(("T1", "C2", THREAD))
    await asyncio.sleep(0.1)

    assert len(office.records.calls) == looked
    office.records.finish(earlier.key)
    await office.until_idle()


async def test_news_that_were_lost_delay_a_question_by_seconds() -> None:
    office = Office()
    earlier = office.records.written(in_thread(1), owner="other")
    await office.ask(in_thread(2))

    await asyncio.sleep(1.0)
    office.records.finish(earlier.key)
    await office.until_idle()

    assert office.began == [(in_thread(2).ts, LOOK_AGAIN)]


async def test_news_that_come_while_the_database_is_asked_are_not_missed() -> None:
    office = Office(records=Records(latency=0.2))
    earlier = office.records.written(in_thread(1), owner="other")
    await office.ask(in_thread(2))
    await asyncio.sleep(0.1)  # the first look is under way, and will say no

    async def is_next(turn: Turn) -> bool:
        answer = office.records._is_next(turn)
        await asyncio.sleep(0.2)
        return answer

    office.records.is_next = is_next  # type: ignore[method-assign]
    office.queue.look_again(earlier.thread)
    await asyncio.sleep(0.25)  # the second
    office.records.finish(earlier.key)
    office.queue.look_again(earlier.thread)
    await office.until_idle()

    assert office.began[0][1] < 1.0


async def test_only_the_first_of_a_line_asks_the_database() -> None:
    office = Office()
    office.records.written(in_thread(1), owner="other")
    await office.ask(*map(in_thread, range(2, 30)))

    await asyncio.sleep(10 * LOOK_AGAIN + 0.1)

    assert office.records.calls.count("is_next") == 11
    await office.queue.abandon()


async def test_turn_that_another_process_took_over_is_dropped_and_the_next_waits_for_it() -> None:
    office = Office(takes=5.0)
    await office.ask(in_thread(1), in_thread(2))
    await asyncio.sleep(1)

    office.records.rows[in_thread(1).key].owner = "other"
    office.queue.drop([in_thread(1).key])
    await asyncio.sleep(1)

    assert office.queue.keys == [in_thread(2).key]
    assert order(office.began) == [in_thread(1).ts]
    office.records.finish(in_thread(1).key)
    office.queue.look_again(("T1", "C1", THREAD))
    await office.until_idle()
    assert order(office.ended) == [in_thread(2).ts]


async def test_turn_that_waits_is_dropped_too_and_unknown_ones_are_no_matter() -> None:
    office = Office(at_once=1, takes=5.0)
    await office.ask(alone(1), alone(2), alone(3))

    office.queue.drop([alone(2).key, alone(9).key])
    await office.until_idle()

    assert order(office.ended) == [alone(1).ts, alone(3).ts]


async def test_turn_that_comes_back_while_it_is_being_dropped_is_handed_on() -> None:
    """Its end here may still write that nobody owns it, so it cannot go on at once."""
    office = Office(takes=5.0)
    slowly: list[str] = []

    async def answer(turn: Turn, question: Question | None) -> Asked | None:
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(1)  # the database is slow to hear of its end
            slowly.append(turn.key.ts)
        return None

    office.answer = answer  # type: ignore[method-assign]
    await office.ask(alone(1))
    await asyncio.sleep(1)

    office.queue.drop([alone(1).key])
    office.queue.resume([office.records.rows[alone(1).key].turn])
    await office.until_idle()

    assert slowly == [alone(1).ts]
    assert office.records.released == [alone(1).key]


async def test_turn_that_is_resumed_twice_is_answered_once() -> None:
    office = Office()
    turn = office.records.written(alone(1))

    office.queue.resume([turn, turn])
    office.queue.resume([turn])
    await office.until_idle()

    assert len(office.began) == 1


async def test_dropped_in_its_first_moment_it_leaves_all_the_same() -> None:
    office = Office()
    turn = office.records.written(alone(1))

    office.queue.resume([turn])
    office.queue.drop([turn.key])  # before its task took a step
    await office.until_idle()

    assert office.queue.keys == []
    assert office.began == []


# -- accepting


async def test_duplicate_is_answered_once() -> None:
    office = Office()

    await asyncio.gather(*(office.queue.accept(alone(1)) for _ in range(20)))
    await office.ask(alone(1))
    await office.until_idle()
    await office.ask(alone(1))
    await office.until_idle()

    assert len(office.began) == 1


async def test_question_that_another_process_accepted_is_not_answered_here() -> None:
    office = Office()
    office.records.written(alone(1), owner="other")

    await office.ask(alone(1))
    await office.until_idle()

    assert office.began == []


async def test_acceptance_whose_answer_was_lost_is_found_and_answered() -> None:
    office = Office()
    office.records.errors["accept"] = [Records.LOST]

    await office.ask(alone(1))
    await office.until_idle()

    assert order(office.ended) == [alone(1).ts]
    assert office.records.calls == ["accept", "accept", "mine", "is_next"]


async def test_turn_that_is_resumed_before_its_acceptance_was_heard_of_is_answered_once() -> None:
    """The database was lost in between, and what this process owns in it was looked up anew."""
    office = Office()

    async def accept(question: Question) -> Turn | None:
        turn = office.records.written(question)
        await asyncio.sleep(1)
        return turn

    office.records.accept = accept  # type: ignore[method-assign]
    accepting = asyncio.create_task(office.queue.accept(alone(1)))
    await asyncio.sleep(0.5)

    office.queue.resume([office.records.rows[alone(1).key].turn])
    await accepting
    await office.until_idle()

    assert order(office.ended) == [alone(1).ts]


async def test_request_that_is_cancelled_is_written_down_and_answered_all_the_same() -> None:
    office = Office(records=Records(latency=0.5))
    request = asyncio.create_task(office.queue.accept(alone(1)))
    await asyncio.sleep(0.1)

    request.cancel()
    await asyncio.wait({request})
    await office.until_idle()

    assert request.cancelled()
    assert order(office.ended) == [alone(1).ts]


async def test_request_that_is_cancelled_while_the_database_fails_leaves_no_complaint() -> None:
    office = Office(records=Records(latency=0.5))
    office.records.errors["accept"] = [ValueError("what people wrote")]
    request = asyncio.create_task(office.queue.accept(alone(1)))
    await asyncio.sleep(0.1)

    request.cancel()
    await office.until_idle()

    assert office.began == []


async def test_database_that_is_away_for_a_moment_is_not_noticed() -> None:
    office = Office()
    office.records.errors["accept"] = [AWAY, AWAY]

    await office.ask(alone(1))
    await office.until_idle()

    assert order(office.ended) == [alone(1).ts]


@pytest.mark.parametrize("latency", [0.0, 1.0, 30.0])
async def test_database_that_is_away_is_said_in_time_for_slack_to_send_it_again(
    latency: float,
) -> None:
    office = Office(records=Records(latency=latency))
    office.records.is_away = True

    with pytest.raises(Transient):
        await office.ask(alone(1))

    assert office.seconds() == ACKNOWLEDGED_WITHIN < 3.0
    await office.queue.abandon()


async def test_question_that_was_not_acknowledged_is_still_written_down_and_answered_once() -> None:
    office = Office()
    office.records.is_away = True
    for _ in range(2):  # Slack sends it again at once
        with pytest.raises(Transient):
            await office.ask(alone(1))

    office.records.is_away = False
    await office.until_idle()
    await office.ask(alone(1))  # and a minute later, when it is acknowledged
    await office.until_idle()

    assert order(office.ended) == [alone(1).ts]


async def test_order_of_a_thread_is_kept_through_an_outage() -> None:
    office = Office()
    office.records.is_away = True
    outcomes = await asyncio.gather(
        *(office.queue.accept(in_thread(n)) for n in range(1, 5)), return_exceptions=True
    )
    assert all(isinstance(outcome, Transient) for outcome in outcomes)

    office.records.is_away = False
    await office.until_idle()

    assert order(office.began) == [in_thread(n).ts for n in range(1, 5)]


async def test_error_that_is_no_outage_is_raised_at_once() -> None:
    office = Office()
    office.records.errors["accept"] = [ValueError("no such table")]

    with pytest.raises(ValueError, match="no such table"):
        await office.ask(alone(1))

    assert office.seconds() == 0.0


async def test_database_that_is_away_when_a_turn_would_begin_is_waited_for() -> None:
    office = Office()
    earlier = office.records.written(in_thread(1), owner="other")
    await office.ask(in_thread(2))
    await asyncio.sleep(0.1)
    office.records.finish(earlier.key)
    office.records.is_away = True
    office.queue.look_again(earlier.thread)

    await asyncio.sleep(600)
    assert office.began == []
    office.records.is_away = False
    await office.until_idle()

    assert order(office.ended) == [in_thread(2).ts]


# -- closing


async def test_closing_leaves_what_waits_to_others_and_lets_the_rest_finish() -> None:
    office = Office(at_once=2, takes=5.0)
    await office.ask(*map(alone, range(4)), in_thread(1))
    await asyncio.sleep(1)

    await office.queue.close()

    assert office.records.released == [alone(2).key, alone(3).key, in_thread(1).key]
    assert await office.queue.finished(within=20)
    assert sorted(order(office.ended)) == [alone(0).ts, alone(1).ts]


async def test_closing_in_its_first_moment_leaves_a_turn_to_others() -> None:
    office = Office()
    office.queue.resume([office.records.written(alone(1))])  # its task has taken no step yet

    await office.queue.close()

    assert office.records.released == [alone(1).key]
    assert await office.queue.finished(within=1)
    assert office.queue.keys == []


async def test_question_that_comes_while_closing_is_written_down_and_left_to_others() -> None:
    office = Office(records=Records(latency=0.5))
    accepting = asyncio.create_task(office.queue.accept(alone(1)))
    await asyncio.sleep(0.1)

    await office.queue.close()
    assert await office.queue.finished(within=20)
    await accepting

    assert office.began == []
    assert office.records.rows[alone(1).key].owner is None


async def test_duplicate_that_comes_while_closing_takes_nothing_from_the_running_answer() -> None:
    office = Office(takes=5.0)
    await office.ask(alone(1))
    await asyncio.sleep(1)
    await office.queue.close()

    await office.ask(alone(1))

    assert office.records.rows[alone(1).key].owner == "me"
    assert await office.queue.finished(within=20)
    assert order(office.ended) == [alone(1).ts]


async def test_turns_that_were_taken_over_in_the_moment_of_closing_are_given_back() -> None:
    office = Office()
    turn = office.records.written(alone(1))
    await office.queue.close()

    office.queue.resume([turn])
    assert await office.queue.finished(within=1)

    assert office.records.released == [turn.key]


async def test_closing_without_a_database_only_says_so(caplog: pytest.LogCaptureFixture) -> None:
    office = Office(at_once=1, takes=5.0)
    await office.ask(alone(1), alone(2))
    await asyncio.sleep(1)
    office.records.is_away = True

    await office.queue.close()

    assert "turns.not_released" in [record.getMessage() for record in caplog.records]
    assert await office.queue.finished(within=20)


async def test_end_is_not_waited_for_longer_than_it_may_take() -> None:
    office = Office(takes=100.0)
    await office.ask(alone(1))

    assert not await office.queue.finished(within=20)
    assert office.seconds() == 20.0

    await office.queue.abandon()
    assert await office.queue.finished(within=0)
    assert office.ended == []


async def test_abandoning_in_the_first_moment_leaves_nothing_behind() -> None:
    office = Office()
    office.queue.resume([office.records.written(alone(1))])

    await office.queue.abandon()

    assert office.queue.keys == []


# -- stopped, and asked for again


def stopped(office: Office, asked: Question, *, by: str = "UANA") -> Turn:
    return replace(office.records.rows[asked.key].turn, stopped_by=by)


async def test_question_that_is_stopped_in_its_thread_s_line_is_dropped_with_a_word() -> None:
    office = Office(takes=5.0)
    await office.ask(in_thread(1), in_thread(2), in_thread(3))
    await asyncio.sleep(1)
    office.takes[in_thread(2).key] = 0.0

    office.queue.renew(stopped(office, in_thread(2)))
    await asyncio.sleep(1)

    assert office.told == [(in_thread(2).ts, 1.0, DROPPED)]
    assert order(office.ended) == [in_thread(2).ts]  # handed over at once, to be ended
    await office.until_idle()
    assert order(office.ended)[1:] == [in_thread(1).ts, in_thread(3).ts]


async def test_answer_that_another_process_began_says_itself_that_it_was_stopped() -> None:
    office = Office(takes=5.0)
    await office.ask(in_thread(1), in_thread(2))
    await asyncio.sleep(1)
    office.takes[in_thread(2).key] = 0.0

    office.queue.renew(replace(stopped(office, in_thread(2)), messages=("1.5",)))
    await asyncio.sleep(1)

    assert office.told == []
    assert order(office.ended) == [in_thread(2).ts]
    await office.until_idle()


async def test_answer_that_only_ends_what_was_stopped_is_told_what_is_asked_in_its_place() -> None:
    office = Office(takes=5.0)
    turn = replace(office.records.written(alone(1)), stopped_by="UANA", is_resumed=True)
    office.queue.resume([turn])
    await asyncio.sleep(1)
    again = replace(turn, asked=2, stopped_by=None)

    office.queue.renew(again)
    await office.until_idle()

    assert office.renewed == [(again, None)]


async def test_question_that_is_stopped_while_it_waits_for_room_takes_none() -> None:
    office = Office(at_once=1, takes=5.0)
    await office.ask(alone(1), alone(2), alone(3))
    await asyncio.sleep(1)
    office.takes[alone(2).key] = 0.0

    office.queue.renew(stopped(office, alone(2)))
    await office.until_idle()

    assert dict(office.began) == {alone(1).ts: 0.0, alone(2).ts: 1.0, alone(3).ts: 5.0}


async def test_deleted_question_that_waited_is_dropped_without_a_word() -> None:
    office = Office(at_once=1, takes=5.0)
    await office.ask(alone(1), alone(2))
    await asyncio.sleep(1)

    office.queue.renew(stopped(office, alone(2), by=DELETED))
    await asyncio.sleep(1)
    told = list(office.told)
    await office.until_idle()

    assert told == []


async def test_question_that_is_stopped_in_the_moment_of_its_room_leaves_the_room() -> None:
    office = Office(at_once=1, takes=5.0)
    await office.ask(alone(1), alone(2), alone(3))
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + 5.0, lambda: office.queue.renew(stopped(office, alone(2))))

    await office.until_idle()

    assert sorted(order(office.ended)) == [alone(n).ts for n in (1, 2, 3)]
    assert office.queue.keys == []


async def test_running_answer_is_told_that_it_is_stopped() -> None:
    office = Office(takes=5.0)
    await office.ask(alone(1))
    await asyncio.sleep(1)
    turn = stopped(office, alone(1))

    office.queue.renew(turn)
    office.queue.renew(turn)
    await office.until_idle()

    assert office.renewed == [(turn, None)]
    assert office.told == []


async def test_stop_of_a_turn_of_another_process_is_none_of_ours() -> None:
    office = Office()

    office.queue.renew(replace(turn_of(alone(1)), stopped_by="UANA"))

    assert (office.renewed, office.began) == ([], [])


async def test_other_wording_of_a_question_that_waits_is_what_is_answered() -> None:
    office = Office(at_once=1, takes=5.0)
    await office.ask(alone(1), alone(2))
    await asyncio.sleep(1)
    corrected = replace(office.records.rows[alone(2).key].turn, asked=2, is_resumed=True)
    office.answered.clear()

    office.queue.ask_again(corrected, replace(alone(2), text="else?"))
    await office.until_idle()

    turn, asked = office.answered[-1]
    assert asked
    assert (turn.asked, turn.is_resumed, asked.text) == (2, False, "else?")


async def test_turn_that_is_asked_for_again_comes_after_what_its_thread_waits_for() -> None:
    office = Office(takes=5.0)
    await office.ask(in_thread(1))
    await office.until_idle()
    await office.ask(in_thread(2), in_thread(3))
    await asyncio.sleep(1)

    office.ask_again(in_thread(1))
    await office.ask(in_thread(4))
    await office.until_idle()

    assert [ts[-1] for ts in order(office.began)] == ["1", "2", "3", "1", "4"]


async def test_answer_that_something_else_is_asked_in_place_of_is_followed_by_that() -> None:
    office = Office(takes=1.0)
    again = replace(turn_of(in_thread(1)), asked=2, is_resumed=True)
    office.instead[in_thread(1).key] = [(again, None)]

    await office.ask(in_thread(1), in_thread(2))
    await office.until_idle()

    assert [turn.asked for turn, _ in office.answered] == [1, 2, 1]
    assert [ts[-1] for ts in order(office.began)] == ["1", "1", "2"]


async def test_turn_that_is_asked_for_again_while_closing_is_left_to_others() -> None:
    office = Office()
    await office.ask(alone(1))
    await office.until_idle()
    await office.queue.close()

    office.ask_again(alone(1))
    await office.until_idle()

    assert office.records.released == [alone(1).key]


async def test_word_of_another_process_is_looked_up() -> None:
    office = Office(takes=5.0)
    await office.ask(alone(1))
    await asyncio.sleep(1)
    row = office.records.rows[alone(1).key]
    row.turn = replace(row.turn, stopped_by="UANA")

    office.queue.look_up(alone(1).key)
    office.queue.look_up(alone(2).key)
    await office.until_idle()

    assert [turn.stopped_by for turn, _ in office.renewed] == ["UANA"]
    assert office.records.calls.count("mine") == 1


# -- in whatever order things happen

Event = tuple[str, int]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "take over", "drop", "outage", "lost"]),
        st.integers(1, 12),
    ),
    max_size=40,
)


@given(EVENTS, st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_each_is_answered_once_and_a_thread_in_order(
    events: list[Event], at_once: int
) -> None:
    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(_play(events, at_once))
    finally:
        loop.close()


async def _play(events: list[Event], at_once: int) -> None:
    """Two processes on one table; what one drops, the other has taken over."""
    records = Records(latency=0.05)
    office = Office(at_once=at_once, takes=1.5, records=records)
    for what, number in events:
        asked = in_thread(number, channel=f"C{number % 3}")
        await _happen(office, what, asked)
        await asyncio.sleep(0.3)
    records.is_away = False
    while not all(row.is_finished for row in records.rows.values()):
        for row in list(records.rows.values()):  # the other process answers its own
            if row.owner == "other" and records._is_next(row.turn):
                records.finish(row.turn.key)
                office.queue.look_again(row.turn.thread)
        await asyncio.sleep(0.5)
        assert office.seconds() < 600
    await office.until_idle()

    mine = order(office.ended)
    assert len(mine) == len(set(mine))
    for channel in range(3):
        places = [
            records.rows[key].turn.place
            for ts in mine
            for key in [TurnKey("T1", f"C{channel}", ts)]
            if key in records.rows
        ]
        assert places == sorted(places)
    assert office.at_most <= at_once
    assert office.queue.keys == []


async def _happen(office: Office, what: str, asked: Question) -> None:
    records = office.records
    row = records.rows.get(asked.key)
    if what == "ask":
        await asyncio.gather(office.queue.accept(asked), return_exceptions=True)
    elif what == "take over" and row is None:
        office.queue.resume([replace(records.written(asked), is_next=False, is_resumed=True)])
    elif what == "drop" and row and row.owner == "me" and not row.is_finished:
        row.owner = "other"
        office.queue.drop([asked.key])
    elif what == "outage":
        records.is_away = not records.is_away
    elif what == "lost":
        records.errors.setdefault("accept", []).append(Records.LOST)

"""Pace and limits over a real database, also where several processes share it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.admission import Admission, Rules
from bot.budgets import EACH, Limit, Scope, Subject
from bot.channel_settings import Offer
from bot.errands import Errands
from bot.errors import Refused, RefusedPrivately
from bot.messages import Question, Turn, Usage, UsageRecord
from bot.people import People, Person
from bot.prices import Prices
from bot.store import Store, opened

DOLLAR = 10**12
COST = Decimal("0.10")  # of each answer


class Slack:
    """Everybody is a member; who was told what."""

    def __init__(self) -> None:
        self.whispers: list[str] = []
        self.messages: list[str] = []

    async def person(self, user: str) -> Person:
        return Person(user)

    async def whisper(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        self.whispers.append(user)

    async def tell(self, user: str, sentence: str) -> None:
        self.messages.append(user)

    async def admins(self) -> list[str]:
        return ["UADA"]


class Process:
    """One replica: it admits questions, and answers them for a while."""

    def __init__(self, store: Store, slack: Slack, *, per_minute: int | None = None) -> None:
        self.store = store
        self.errands = Errands()
        self.admission = Admission(
            Rules(per_minute=per_minute),
            people=People(slack),
            asked=store.turns,
            budgets=store.limits,
            channels=store.channels,
            offer=Offer(("a model", "another")),
            prices=Prices(()),
            teller=slack,
            errands=self.errands,
        )

    async def accept(self, asked: Question) -> Turn:
        turn = await self.store.turns.accept(asked)
        assert turn
        return turn

    async def begin(self, turn: Turn) -> UsageRecord:
        """What stays of the answer should the process die now: nothing yet but its input."""
        record = _record(turn, Usage(input_tokens=0), Decimal(0))
        await self.store.turns.begin(turn, record)
        return record

    async def end(self, turn: Turn) -> None:
        await self.store.turns.finish(turn, "complete", _record(turn, Usage(10, 0, 10, 0), COST))

    async def refuse(self, turn: Turn) -> None:
        await self.store.turns.finish(turn, "refused", None)


def _record(turn: Turn, usage: Usage, cost: Decimal) -> UsageRecord:
    return UsageRecord(
        at=datetime.now(UTC),
        key=turn.key,
        user=turn.user,
        model="a model",
        usage=usage,
        seconds_to_first_delta=None,
        seconds=1.0,
        requests=1,
        outcome="complete",
        cost=cost,
        priced_on="2026-11-25",
    )


def asked(number: int, *, user: str = "UANA", channel: str = "C1") -> Question:
    ts = f"17000{number:05}.000100"
    return Question("T1", channel, ts, ts, user, "why?")


def limit(dollars: str, scope: Scope = "workspace", who: str = "T1") -> Limit:
    return Limit(Subject(scope, who), int(Decimal(dollars) * DOLLAR), "dollars", "month")


@pytest.fixture
def slack() -> Slack:
    return Slack()


@pytest.fixture
async def processes(urls: list[str], slack: Slack) -> AsyncIterator[list[Process]]:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened(url)) for url in urls]
        for number, store in enumerate(stores):
            store.turns.owner = str(number)
        processes = [Process(store, slack, per_minute=5) for store in stores]
        yield processes
        for process in processes:
            await process.errands.abandon()


async def admits(process: Process, turn: Turn) -> bool:
    try:
        await process.admission.admit(turn)
    except Refused:
        return False
    return True


# -- pace


async def test_person_s_questions_are_counted_in_all_processes(
    processes: list[Process], slack: Slack
) -> None:
    admitted = []
    for number in range(8):
        process = processes[number % len(processes)]
        turn = await process.accept(asked(number))
        is_admitted = await admits(process, turn)
        await (process.end(turn) if is_admitted else process.refuse(turn))
        admitted.append(is_admitted)

    assert admitted == [True] * 5 + [False] * 3
    assert slack.whispers == ["UANA"] * 3


async def test_burst_is_let_through_up_to_the_bound(processes: list[Process]) -> None:
    turns = [
        (process, await process.accept(asked(number)))
        for number in range(12)
        for process in [processes[number % len(processes)]]
    ]

    admitted = await asyncio.gather(*(admits(process, turn) for process, turn in turns))

    assert admitted == [True] * 5 + [False] * 7


async def test_others_may_ask_meanwhile(processes: list[Process]) -> None:
    process = processes[0]
    for number in range(6):
        await process.accept(asked(number))

    assert await admits(process, await process.accept(asked(9, user="UBEN")))


async def test_person_may_ask_again_a_minute_later(processes: list[Process]) -> None:
    process = processes[0]
    for number in range(5):
        await process.accept(asked(number))
    turn = await process.accept(asked(9))

    assert not await admits(process, turn)
    later = replace(turn, accepted_at=turn.accepted_at + timedelta(seconds=60))
    assert await admits(process, later)


# -- limits


async def test_beyond_the_limit_comes_only_what_ran_already(processes: list[Process]) -> None:
    """Answers end while others ask, in all processes; the sums are those of the ledger."""
    await processes[0].store.limits.set("T1", limit("1.00"), by="UADA", at=datetime.now(UTC))
    at_once, begun, most = 4, 0, 0
    running: set[str] = set()
    room = asyncio.Semaphore(at_once)

    async def answer(number: int) -> None:
        nonlocal begun, most
        process = processes[number % len(processes)]
        turn = await process.accept(asked(number, user=f"U{number:03}"))
        async with room:
            if not await admits(process, turn):
                await process.refuse(turn)
                return
            await process.begin(turn)
            running.add(turn.key.ts)
            begun, most = begun + 1, max(most, len(running))
            for _ in range(number % 7):  # some take longer than others
                await asyncio.sleep(0)
            await process.end(turn)
            running.discard(turn.key.ts)

    await asyncio.gather(*(answer(number) for number in range(40)))

    (use,) = await processes[0].store.limits.uses("T1", "C1", "UANA", now=datetime.now(UTC))
    assert use.used == int(begun * COST * DOLLAR)
    assert 10 <= begun < 10 + at_once  # ten of them are the limit
    assert most <= at_once


@pytest.mark.parametrize(
    ("held", "refusal"),
    [
        (limit("0.10"), Refused),
        (limit("0.10", "channel", "C1"), Refused),
        (limit("0.10", "channel", EACH), Refused),
        (limit("0.10", "person", "UANA"), RefusedPrivately),
        (limit("0.10", "person", EACH), RefusedPrivately),
        (limit("0", "channel", "C1"), Refused),
    ],
)
async def test_each_kind_of_limit_holds(
    processes: list[Process], held: Limit, refusal: type[Refused]
) -> None:
    first, *_, last = [*processes, *processes]
    if held.amount:
        turn = await first.accept(asked(1))
        await first.begin(turn)
        await first.end(turn)
    await last.store.limits.set("T1", held, by="UADA", at=datetime.now(UTC))

    with pytest.raises(Refused) as refused:
        await last.admission.admit(await last.accept(asked(2)))

    assert type(refused.value) is refusal
    expected = "has no budget" if not held.amount else "used up"
    assert expected in refused.value.sentence


async def test_raised_limit_lets_questions_in_again(processes: list[Process]) -> None:
    process, other = processes[0], processes[-1]
    turn = await process.accept(asked(1))
    await process.begin(turn)
    await process.end(turn)
    now = datetime.now(UTC)
    await process.store.limits.set("T1", limit("0.10"), by="UADA", at=now)
    second = await other.accept(asked(2))
    assert not await admits(other, second)

    await process.store.limits.set("T1", limit("1"), by="UADA", at=now)

    assert await admits(other, second)


async def test_warning_comes_once_in_all_processes(processes: list[Process], slack: Slack) -> None:
    process = processes[0]
    for held in (limit("1.00"), limit("1.00", "channel", "C1"), limit("1.00", "person", EACH)):
        await process.store.limits.set("T1", held, by="UADA", at=datetime.now(UTC))
    for number in range(8):
        turn = await process.accept(asked(number))
        await process.begin(turn)
        await process.end(turn)

    turns = [
        (each, await each.accept(replace(asked(20 + number), user="UANA")))
        for number in range(4)
        for each in [processes[number % len(processes)]]
    ]
    later = timedelta(minutes=2)  # so that nobody asks too fast
    await asyncio.gather(
        *(admits(each, replace(turn, accepted_at=turn.accepted_at + later)) for each, turn in turns)
    )
    for each in processes:
        assert await each.errands.finished(within=10)

    assert slack.whispers == ["UANA", "UANA"]  # of the channel's limit, and of their own
    assert slack.messages == ["UADA"]

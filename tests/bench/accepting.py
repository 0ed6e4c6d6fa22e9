"""Writing a question down, which its acknowledgement waits for, and keeping it waiting."""

import asyncio
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bot.channel_settings import AS_EVERYWHERE, ChannelSettings
from bot.messages import Question, Turn, Usage, UsageRecord
from bot.queue import Queue
from bot.settings import database_url
from bot.store import Store, opened
from tests.bench.measure import percentile
from tests.bench.tables import Figure, in_ms
from tests.postgres import postgres_server

ACCEPTED = 400
PAUSE = 0.005  # seconds between two questions
WITHIN = {"SQLite": 0.005, "PostgreSQL": 0.010}  # seconds, at the median
WAITING = 2_000
ROOM = 8  # KiB


async def accept() -> list[Figure]:
    """From the queue's being asked to its answer: all of it comes before the acknowledgement."""
    figures = []
    async with _sqlite() as url, opened(url) as store:
        figures += await _accepting("SQLite", store)
        figures += await _following("SQLite", store)
        figures += [await _waiting(store)]
    with postgres_server() as server:
        async with server.database() as url, opened(url) as store:
            figures += await _accepting("PostgreSQL", store)
            figures += await _following("PostgreSQL", store)
    return figures


@dataclass(frozen=True)
class _Answers:
    """As the queue knows them; nobody wants anything else here."""

    give: Callable[[Turn], Awaitable[None]]

    async def answer(self, turn: Turn, _: Question | None) -> None:
        await self.give(turn)

    def renew(self, turn: Turn, question: Question | None) -> None: ...


async def _accepting(name: str, store: Store) -> list[Figure]:
    """One after the other, and each answered at once."""
    clock = asyncio.get_running_loop().time

    async def answer(turn: Turn) -> None:
        await store.turns.finish(turn, "complete", None)

    queue = Queue(store.turns, _Answers(answer), _tell, at_once=100)
    took = []
    for number in range(ACCEPTED):
        began = clock()
        await queue.accept(_question(number))
        took.append(clock() - began)
        await asyncio.sleep(PAUSE)
    await queue.finished(within=10)
    typical, target = median(took), WITHIN[name]
    what = f"accepting a question, {name}"
    return [
        Figure(f"{what}: median", in_ms(typical), in_ms(target), typical < target),
        Figure(f"{what}: 99th percentile", in_ms(percentile(took, 99))),
    ]


async def _following(name: str, store: Store) -> list[Figure]:
    """The same for messages without a mention: those that go on in a thread with an answer, and
    those that do not, of which a workspace may have many."""
    clock = asyncio.get_running_loop().time
    goes_on = store.channels.goes_on
    follows, seen = ChannelSettings(follows_up=True), AS_EVERYWHERE.digest
    await store.channels.set("T1", "C1", follows, seen=seen, by="U1", at=datetime.now(UTC))
    root = _question(2_000_000)
    asked = await store.turns.accept(root)
    assert asked
    await store.turns.finish(asked, "complete", _record(asked))

    async def answer(turn: Turn) -> None:
        await store.turns.finish(turn, "complete", None)

    queue = Queue(store.turns, _Answers(answer), _tell, at_once=100)
    took: list[float] = []
    passed_over: list[float] = []
    for number in range(1, ACCEPTED + 1):
        said = replace(root, ts=f"{2_000_000_000 + number}.000100", is_follow_up=True)
        began = clock()
        assert await goes_on(said)
        await queue.accept(said)
        took.append(clock() - began)
        began = clock()
        assert not await goes_on(replace(said, thread_ts="1.000100"))
        passed_over.append(clock() - began)
        await asyncio.sleep(PAUSE)
    await queue.finished(within=10)
    typical, target = median(took), WITHIN[name]
    return [
        Figure(f"accepting a follow-up, {name}", in_ms(typical), in_ms(target), typical < target),
        Figure(f"passing a message over, {name}", in_ms(median(passed_over))),
    ]


async def _waiting(store: Store) -> Figure:
    """Behind one that takes for ever."""

    async def answer(turn: Turn) -> None:
        await asyncio.Future()

    queue = Queue(store.turns, _Answers(answer), _tell, at_once=1)
    await queue.accept(_question(1_000_000))
    tracemalloc.start()
    for number in range(1, WAITING + 1):
        await queue.accept(_question(1_000_000 + number))
    room = tracemalloc.get_traced_memory()[0] / WAITING / 1024
    tracemalloc.stop()
    await queue.abandon()
    return Figure(
        f"memory of a waiting question, of {WAITING:,}",
        f"{room:.1f} KiB",
        f"{ROOM} KiB",
        room < ROOM,
    )


def _question(number: int) -> Question:
    """Each opens a thread."""
    ts = f"{1_700_000_000 + number}.000100"
    return Question("T1", "C1", ts, ts, "U1", "What are the tides, and why are there two a day?")


def _record(turn: Turn) -> UsageRecord:
    return UsageRecord(
        at=datetime.now(UTC),
        key=turn.key,
        user=turn.user,
        model="a-model",
        usage=Usage(1, 0, 1, 0),
        seconds_to_first_delta=None,
        seconds=1.0,
        requests=1,
        outcome="complete",
    )


async def _tell(turn: Turn, sentence: str) -> None:
    """Nobody listens here."""


@asynccontextmanager
async def _sqlite() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield database_url(str(Path(folder) / "bot.db"))

"""A steady load for many minutes: memory stays flat, nothing piles up, no call is refused.

    python -m tests.chaos.soak --minutes 20

It looks at the process from outside: its memory, its open files and sockets, its threads. A line a
minute; at the end, whether all of that is as it was when the process had warmed up.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import get_args

import psutil

from bot.playground.process import log_line
from bot.playground.slack import LocalSlack
from tests.chaos import records
from tests.chaos.fleet import Fleet, fleet
from tests.chaos.plan import Database, Plan, Question
from tests.chaos.scene import STARTS_WITHIN, environment, servers
from tests.postgres import postgres_server

MINUTES = 20.0
MINUTE = 60.0  # seconds
LOOKS = 6  # in a minute

QUESTIONS = 30  # a minute; more than Slack lets an app show live all the time
THREAD = 3  # questions in each thread

# The part of the soak that counts as warming up: caches fill, the allocator settles.
WARM_UP = 0.3

# By how much the memory of the last third may exceed that of the first after the warm-up.
MOST_GROWTH = 0.05
# How many more sockets, files or threads than after the warm-up: a call more may be under way.
MOST_MORE = 4


@dataclass(frozen=True)
class Look:
    """What the processes held at one moment, all together."""

    rss: int  # bytes
    sockets: int
    files: int  # descriptors of any kind
    threads: int
    running: int  # questions that were asked and not answered yet


@dataclass(frozen=True)
class Trend:
    """One figure after the warm-up: in the first third of the rest, and in the last."""

    name: str
    before: float
    after: float
    is_flat: bool


def questions(minutes: float) -> tuple[Question, ...]:
    """Evenly spread, three to a thread, of three lengths."""
    every = MINUTE / QUESTIONS
    asked = []
    for number in range(round(minutes * QUESTIONS)):
        asked.append(
            Question(
                number=number,
                at=number * every,
                root=number - number % THREAD,
                channel=number // THREAD % 30,
                person="Ana",
                words=(60, 200, 500)[number % 3],
                orders="[[rate 80]]",
            )
        )
    return tuple(asked)


def trends(looks: Sequence[Look]) -> list[Trend]:
    """Whether what matters stayed as it was."""
    warm = looks[int(len(looks) * WARM_UP) :]
    third = max(1, len(warm) // 3)
    first, last = warm[:third], warm[-third:]
    before, after = (median(look.rss for look in part) / 2**20 for part in (first, last))
    found = [Trend("memory (MiB)", before, after, is_flat=after <= before * (1 + MOST_GROWTH))]
    for name in ("sockets", "files", "threads"):
        before, after = (mean(getattr(look, name) for look in part) for part in (first, last))
        found.append(Trend(name, before, after, is_flat=after <= before + MOST_MORE))
    return found


class Soak:
    def __init__(self, slack: LocalSlack, fleet: Fleet, database_url: str) -> None:
        self.looks: list[Look] = []
        self._slack = slack
        self._fleet = fleet
        self._database_url = database_url
        self._roots: dict[int, tuple[str, str]] = {}  # channel and ts by number

    async def ask(self, asked: Sequence[Question]) -> None:
        began = _now()
        for question in asked:
            await asyncio.sleep(began + question.at - _now())
            opening = question.root == question.number
            channel, root = self._roots.get(question.root, (f"place-{question.channel}", ""))
            text = f"<@{self._slack.bot_user_id}> {question.text}"
            ts = await self._slack.say(channel, question.person, text, thread_ts=root or None)
            if opening:
                self._roots[question.number] = (channel, ts)

    async def watch(self) -> None:
        """Looks at the processes again and again, and says once a minute what it sees."""
        while True:
            await asyncio.sleep(MINUTE / LOOKS)
            self.looks.append(await self._look())
            if len(self.looks) % LOOKS == 0:
                print(self._line(), flush=True)

    async def _look(self) -> Look:
        processes = [psutil.Process(slot.pid) for slot in self._fleet.slots if slot.pid]
        return Look(
            rss=sum(process.memory_info().rss for process in processes),
            sockets=sum(len(process.net_connections("all")) for process in processes),
            files=sum(process.num_fds() for process in processes),
            threads=sum(process.num_threads() for process in processes),
            running=await records.unfinished(self._database_url),
        )

    def _line(self) -> str:
        look = self.looks[-1]
        refused = sum(call.refused for call in self._slack.calls)
        return (
            f"{len(self.looks) // LOOKS:3} min  {look.rss / 2**20:7.1f} MiB  "
            f"{look.sockets} sockets  {look.files} files  {look.threads} threads  "
            f"{look.running} under way  {len(self._slack.calls)} calls, {refused} refused"
        )


async def soak(database: Database, minutes: float) -> bool:
    """Whether all was flat, answered and never refused."""
    asked = questions(minutes)
    plan = Plan(0, database, 1 if database == "sqlite" else 3, minutes * MINUTE, "edit", asked, ())
    async with _stage(plan) as (slack, processes, database_url):
        soaking = Soak(slack, processes, database_url)
        watching = asyncio.create_task(soaking.watch())
        await soaking.ask(asked)
        books = await _finished(database_url)
        watching.cancel()
        await processes.stop()
    refused = Counter(call.method for call in slack.calls if call.refused)
    complete = sum(turn.outcome == "complete" for turn in books.turns.values())
    loud = [line for line in processes.lines if log_line(line)[0] not in ("DEBUG", "INFO")]
    found = trends(soaking.looks)
    for trend in found:
        verdict = "flat" if trend.is_flat else "GROWS"
        print(f"{trend.name:<14} {trend.before:8.1f} -> {trend.after:8.1f}  {verdict}")
    print(f"answered       {complete} of {len(asked)}")
    print(f"refused        {dict(refused) or 'nothing'}")
    print(f"warnings       {len(loud)}", *loud[:10], sep="\n  ")
    return complete == len(asked) and not refused and all(trend.is_flat for trend in found)


@asynccontextmanager
async def _stage(plan: Plan) -> AsyncIterator[tuple[LocalSlack, Fleet, str]]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        url = f"sqlite:///{folder / 'bot.db'}"
        if plan.database == "postgres":
            url = await stack.enter_async_context(stack.enter_context(postgres_server()).database())
        slack, model = await servers(stack, plan)
        environments = [environment(slack, model, url)] * plan.replicas
        processes = await stack.enter_async_context(fleet(environments, folder))
        await slack.until(lambda: slack.connections == plan.replicas, timeout=STARTS_WITHIN)
        yield slack, processes, url


async def _finished(database_url: str) -> records.Records:
    async with asyncio.timeout(2 * MINUTE):
        while await records.unfinished(database_url):  # noqa: ASYNC110 - a database
            await asyncio.sleep(0.5)
    return await records.read(database_url)


def _now() -> float:
    return asyncio.get_running_loop().time()


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--database", choices=get_args(Database), default="sqlite")
    options = parser.parse_args(words)
    return 0 if asyncio.run(soak(options.database, options.minutes)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

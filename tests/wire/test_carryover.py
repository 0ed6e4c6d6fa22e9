"""What a process has called of Slack, as the next one on the same SQLite file finds it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path

import pytest

from bot.carryover import EVERY, CarryOver
from bot.store import opened
from bot.store.calls import CallsLeft
from bot.turnstile import UNSAID_RETRY_AFTER
from bot.window import Window


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def process(path: Path, window: Window, *, team: str = "T1") -> AsyncIterator[CallsLeft]:
    async with opened(f"sqlite+aiosqlite:///{path}") as store:
        left = store.calls_left(team)
        assert left
        async with CarryOver({"chat.update": window}, left).kept():
            yield left


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


def called(window: Window, *, times: int) -> None:
    for _ in range(times):
        window.take(now())
        window.answered(now())


async def test_next_process_counts_what_was_called_before(path: Path) -> None:
    before, after = Window(48), Window(48)

    async with process(path, before):
        called(before, times=30)
    async with process(path, after):
        assert after.free(now()) == 18
        assert after.next_free(now()) == pytest.approx(before.next_free(now()), abs=0.1)


async def test_calls_under_way_count_and_their_slots_free_in_time(path: Path) -> None:
    before, after = Window(48), Window(48)

    async with process(path, before):
        before.take(now())
    async with process(path, after):
        assert after.free(now()) == 47
        assert after.free(now() + 61) == 48


async def test_what_slack_was_seen_to_allow_is_not_forgotten(path: Path) -> None:
    before, after = Window(48), Window(48)

    async with process(path, before):
        called(before, times=20)
        before.take(now())
        before.refused(now(), until=now() + UNSAID_RETRY_AFTER)
    async with process(path, after):
        assert after.limit == 20
        assert after.free(now()) == 0
        assert after.next_free(now()) == pytest.approx(now() + UNSAID_RETRY_AFTER, abs=1)


async def test_killed_process_has_left_word_of_its_calls(path: Path) -> None:
    before, after = Window(48), Window(48)

    async with process(path, before) as left:
        called(before, times=30)
        async with asyncio.timeout(20 * EVERY):
            while after.free(now()) == 48:  # as it would be found in this moment
                await asyncio.sleep(EVERY / 10)
                await left.load({"chat.update": after})

        assert after.free(now()) == 18


async def test_each_workspace_has_its_own(path: Path) -> None:
    before, after = Window(48), Window(48)

    async with process(path, before):
        called(before, times=30)
    async with process(path, after, team="T2"):
        assert after.free(now()) == 48


async def test_clock_that_was_set_back_holds_nobody_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = Window(48), Window(48)

    async with process(path, before):
        called(before, times=48)
    hour_ago = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: hour_ago)
    async with process(path, after):
        assert after.free(now()) == 48
        assert after.next_free(now()) == inf

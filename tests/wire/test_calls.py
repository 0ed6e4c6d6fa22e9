"""Slack's limits as several processes share them in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from contextvars import ContextVar

import pytest
from sqlalchemy import func, select

from bot.errors import Unavailable
from bot.store import calls as module
from bot.store import opened
from bot.store.calls import SharedCalls
from bot.store.schema import calls
from bot.store.transactions import transaction
from bot.window import Window
from tests.postgres import Postgres

# How far the clock of a process is ahead of that of the test, in seconds.
ahead: ContextVar[float] = ContextVar("ahead", default=0.0)


def now() -> float:
    return asyncio.get_running_loop().time() + ahead.get()


@pytest.fixture(autouse=True)
def _clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_now", now)


@pytest.fixture
async def three(postgres_url: str) -> AsyncIterator[list[SharedCalls]]:
    """Of three processes."""
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened(postgres_url)) for _ in range(3)]
        shares = [store.shares("T1") for store in stores]
        yield [each for each in shares if each]


async def test_slots_are_drawn_until_there_are_none(three: list[SharedCalls]) -> None:
    window = {"chat.update": Window(5)}

    drawn = [await shares.draw(window, kept_back=0) for shares in three * 3]

    assert [each.is_granted for each in drawn] == [True] * 5 + [False] * 4
    assert len(drawn[-1].states["chat.update"]["answered"]) == 5


async def test_all_or_none_of_several_budgets_is_drawn(three: list[SharedCalls]) -> None:
    one, other, _ = three
    posts = {"chat.postMessage": Window(10), "chat.postMessage:C1": Window(1)}

    assert (await one.draw(posts, kept_back=0)).is_granted
    refused = await other.draw(posts, kept_back=0)

    assert not refused.is_granted
    assert len(refused.states["chat.postMessage"]["answered"]) == 1
    elsewhere = {"chat.postMessage": Window(10), "chat.postMessage:C2": Window(1)}
    assert (await other.draw(elsewhere, kept_back=0)).is_granted


async def test_teams_do_not_share(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        for team in ("T1", "T2"):
            shares = store.shares(team)
            assert shares
            assert (await shares.draw({"chat.update": Window(1)}, kept_back=0)).is_granted


async def test_sqlite_has_nobody_to_share_with(tmp_path: object) -> None:
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/bot.db") as store:
        assert store.shares("T1") is None


@pytest.mark.parametrize("skews", [(0.0, 0.0, 0.0), (0.0, 1e6, -1e6)], ids=["one", "many"])
async def test_three_processes_never_draw_more_than_one_may_whatever_their_clocks_say(
    three: list[SharedCalls], skews: tuple[float, ...]
) -> None:
    """Limits of so many in a quarter of a second, that the test may end."""
    limit, period = 7, 0.25
    loop = asyncio.get_running_loop()
    granted: list[tuple[float, float]] = []  # asked and answered
    ends = loop.time() + 3 * period

    async def draw_on(shares: SharedCalls, skew: float) -> None:
        ahead.set(skew)
        while loop.time() < ends:
            before = loop.time()
            drawn = await shares.draw({"chat.update": Window(limit, period)}, kept_back=0)
            granted.extend([(before, loop.time())] if drawn.is_granted else [])

    await asyncio.gather(
        *(draw_on(shares, skew) for shares, skew in zip(three, skews, strict=True))
    )

    granted.sort()
    for (first, _), (_, later) in zip(granted, granted[limit:], strict=False):
        assert later - first >= period
    assert len(granted) >= 2 * limit


async def test_refusal_holds_all_and_is_believed_by_all(three: list[SharedCalls]) -> None:
    one, other, _ = three
    window = {"chat.update": Window(48)}
    for _ in range(10):
        await one.draw(window, kept_back=0)

    await one.refused(window, retry_after=30.0)

    drawn = await other.draw(window, kept_back=0)
    assert not drawn.is_granted
    assert drawn.states["chat.update"]["believed"] == 9
    assert 28 < drawn.states["chat.update"]["held_until"] - now() < 30.5


async def test_refusal_of_what_nobody_has_drawn_is_believed_too(three: list[SharedCalls]) -> None:
    window = {"chat.update": Window(48)}

    await three[0].refused(window, retry_after=30.0)

    assert not (await three[1].draw(window, kept_back=0)).is_granted


async def test_what_each_keeps_back_is_told_to_the_others(three: list[SharedCalls]) -> None:
    one, other, third = three
    window = {"chat.update": Window(48)}

    assert (await one.draw(window, kept_back=3)).kept_elsewhere == 0
    assert (await other.draw(window, kept_back=2)).kept_elsewhere == 3
    assert (await third.draw(window, kept_back=0)).kept_elsewhere == 5
    assert (await one.draw(window, kept_back=1)).kept_elsewhere == 2


async def test_what_others_keep_back_is_left_to_them_where_that_is_asked(
    three: list[SharedCalls],
) -> None:
    one, other, _ = three
    window = {"chat.update": Window(5)}
    await one.draw(window, kept_back=3)

    drawn = [
        (await other.draw(window, kept_back=0, leaves_kept=leaves)).is_granted
        for leaves in (True, True, False, False, False)
    ]

    assert drawn == [True, False, True, True, True]


async def test_who_drew_nothing_for_a_minute_keeps_nothing_back(
    three: list[SharedCalls], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, _ = three
    window = {"chat.update": Window(48)}
    await one.draw(window, kept_back=3)

    monkeypatch.setattr(module, "KEPT_FOR", 0.0)

    assert (await other.draw(window, kept_back=2)).kept_elsewhere == 0


async def test_many_that_draw_from_overlapping_budgets_do_not_lock_each_other_out(
    three: list[SharedCalls],
) -> None:
    async def draw(number: int) -> bool:
        windows = {"chat.postMessage": Window(1000), f"chat.postMessage:C{number % 5}": Window(50)}
        return (await three[number % 3].draw(windows, kept_back=0)).is_granted

    async with asyncio.timeout(20):
        drawn = await asyncio.gather(*map(draw, range(90)))

    assert all(drawn)


async def test_draw_that_is_given_up_holds_nobody_up(three: list[SharedCalls]) -> None:
    one, other, _ = three
    window = {"chat.update": Window(1000)}
    for pause in (0.0, 0.001, 0.002, 0.004, 0.008):
        drawing = asyncio.create_task(one.draw(window, kept_back=0))
        await asyncio.sleep(pause)
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)

        async with asyncio.timeout(5):
            assert (await other.draw(window, kept_back=0)).is_granted


async def test_database_that_is_away_is_said(
    postgres: Postgres, three: list[SharedCalls], postgres_url: str
) -> None:
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    window = {"chat.update": Window(48)}
    await three[0].draw(window, kept_back=0)

    await asyncio.to_thread(postgres.stop)
    with pytest.raises(Unavailable):
        await three[0].draw(window, kept_back=0)
    with pytest.raises(Unavailable):
        await three[0].refused(window, retry_after=1.0)
    await asyncio.to_thread(postgres.start)

    drawn = await three[1].draw(window, kept_back=0) if await healed(three[1]) else None
    assert drawn
    assert len(drawn.states["chat.update"]["answered"]) >= 2  # what was drawn before still counts


async def healed(shares: SharedCalls) -> bool:
    async with asyncio.timeout(5):
        while True:
            try:
                await shares.draw({"chat.update": Window(48)}, kept_back=0)
            except Unavailable:
                continue
            return True


async def test_a_row_is_kept_for_each_kind_of_call_and_no_more(three: list[SharedCalls]) -> None:
    for shares in three:
        for _ in range(5):
            await shares.draw({"chat.update": Window(48), "users.info": Window(9)}, kept_back=0)

    async with transaction(three[0]._engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(calls)) == 2

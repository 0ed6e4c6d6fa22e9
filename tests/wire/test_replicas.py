"""Processes that share a PostgreSQL: who is alive, and who takes over. And the one on a SQLite."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bot.errors import CannotStart, Unavailable
from bot.messages import Question, Turn, TurnKey
from bot.settings import database_url
from bot.store import Store, opened
from bot.store.replicas import ALIVE, BEAT, Replica
from bot.store.schema import turns as turns_table
from bot.store.transactions import transaction
from bot.store.turns import NEWS, TAKEN_AT_ONCE
from tests.postgres import Postgres

THREAD = "1700000000.000001"
SOON = 3 * BEAT  # seconds in which the turns of a dead process are another's


def asked(number: int, **values: Any) -> Question:
    question = Question("T1", "C1", f"1700000000.{number:06}", THREAD, "UANA", "why?")
    return replace(question, **values)


@dataclass
class Bot:
    """A process as the others see it, and the turns that it goes on with."""

    store: Store
    under_way: dict[TurnKey, Turn] = field(default_factory=dict)
    resumed: list[TurnKey] = field(default_factory=list)
    dropped: list[TurnKey] = field(default_factory=list)
    news: list[tuple[str, str, str]] = field(default_factory=list)
    looked_up: list[TurnKey] = field(default_factory=list)
    is_paused: bool = True
    log: list[str] = field(default_factory=list)

    @property
    def member(self) -> Replica:
        assert isinstance(self.store.member, Replica)
        return self.store.member

    @property
    def name(self) -> str:
        return self.store.turns.owner

    @property
    def keys(self) -> Collection[TurnKey]:
        return list(self.under_way)

    def resume(self, turns: Iterable[Turn]) -> None:
        for turn in turns:
            assert turn.key not in self.under_way
            self.under_way[turn.key] = turn
            self.resumed.append(turn.key)

    def drop(self, keys: Iterable[TurnKey]) -> None:
        for key in keys:
            self.under_way.pop(key, None)
            self.dropped.append(key)

    def look_again(self, thread: tuple[str, str, str]) -> None:
        self.news.append(thread)

    def look_up(self, key: TurnKey) -> None:
        self.looked_up.append(key)

    def pause(self) -> None:
        self.is_paused = True
        self.log.append("pause")

    def go_on(self) -> None:
        self.is_paused = False
        self.log.append("go on")

    async def accept(self, *questions: Question) -> list[Turn]:
        turns = [await self.store.turns.accept(question) for question in questions]
        accepted = [turn for turn in turns if turn]
        self.under_way |= {turn.key: turn for turn in accepted}
        return accepted

    async def die(self) -> None:
        """As a process that is killed: its connections end, and nothing is cleared away."""
        self.under_way.clear()
        await self.member.leave()


@asynccontextmanager
async def bot_on(url: str) -> AsyncIterator[Bot]:
    async with opened(url) as store:
        bot = Bot(store)
        await store.member.join(bot)
        try:
            yield bot
        finally:
            await store.member.leave()


@asynccontextmanager
async def bots_on(url: str, count: int) -> AsyncIterator[list[Bot]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(bot_on(url)) for _ in range(count)]


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[list[Bot]]:
    async with bots_on(postgres_url, 2) as bots:
        yield bots


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator[Any]:
    """A connection of somebody who looks after the server."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def until(happened: Callable[[], bool], within: float = 10.0) -> float:
    """The seconds that it took."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def cut(admin: Any, bot: Bot) -> None:
    """Ends the session by which the others see this process, and that one only."""
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
        "AND mode = 'ExclusiveLock' AND classid = $1::oid AND objid = $2::oid",
        ALIVE,
        int(bot.name),
    )


async def owners(bot: Bot) -> dict[str, str | None]:
    async with transaction(bot.store._engine) as connection:
        rows = await connection.execute(turns_table.select())
        return {row.ts: row.owner for row in rows}


# -- being alive


async def test_process_that_joined_lives_and_may_show(pair: list[Bot]) -> None:
    for bot in pair:
        assert bot.member.is_alive
        assert not bot.is_paused


async def test_others_are_counted_as_they_come_and_go(postgres_url: str) -> None:
    async with bot_on(postgres_url) as first:
        assert await first.member.others() == 0
        async with bots_on(postgres_url, 2) as more:
            assert await first.member.others() == 2
            assert await more[0].member.others() == 2
            await more[1].member.leave()
            await wait_for_others(first, 1)
        await wait_for_others(first, 0)


async def wait_for_others(bot: Bot, count: int) -> None:
    async with asyncio.timeout(5):
        while await bot.member.others() != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_process_that_looks_after_the_dead_is_not_counted_twice(
    pair: list[Bot], admin: Any
) -> None:
    await admin.fetchval("SELECT pg_try_advisory_lock_shared($1, $2)", ALIVE, 42)

    assert await pair[0].member.others() == 1


async def test_processes_of_another_database_of_the_server_are_no_others(
    postgres: Postgres, postgres_url: str
) -> None:
    async with (
        postgres.database() as elsewhere,
        bot_on(elsewhere),
        bot_on(postgres_url) as bot,
    ):
        assert await bot.member.others() == 0


async def test_who_leaves_is_no_help_to_others_though_it_still_runs(pair: list[Bot]) -> None:
    """When all are stopped at once, nobody goes on at once, and people are told so."""
    leaving, staying = pair

    await leaving.member.take_nothing_more()

    await wait_for_others(staying, 0)
    assert await leaving.member.others() == 1


async def test_others_are_counted_while_the_session_beats(pair: list[Bot]) -> None:
    """Both ask the database, and neither disturbs the other."""
    one, other = pair
    counts = []

    async def count() -> None:
        for _ in range(100):
            counts.append(await one.member.others())
            one.member._news.set()  # beat again
            await asyncio.sleep(0)

    await asyncio.gather(count(), count())

    assert set(counts) == {1}
    assert one.log == other.log == ["go on"]


async def test_four_that_start_at_once_all_live(postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        bots = await asyncio.gather(
            *(stack.enter_async_context(bot_on(postgres_url)) for _ in range(4))
        )

        assert await asyncio.gather(*(bot.member.others() for bot in bots)) == [3] * 4


# -- taking over


async def test_turns_of_a_process_that_ended_are_taken_over_within_three_beats(
    pair: list[Bot],
) -> None:
    dying, living = pair
    accepted = await dying.accept(asked(1), asked(2))

    await dying.die()

    await until(lambda: len(living.resumed) == 2, within=SOON)
    assert living.resumed == [turn.key for turn in accepted]
    assert all(turn.is_resumed for turn in living.under_way.values())
    assert set((await owners(living)).values()) == {living.name}


async def test_each_turn_of_the_dead_goes_to_one_of_the_living(
    postgres_url: str,
) -> None:
    async with bots_on(postgres_url, 3) as bots:
        dying, *living = bots
        questions = [asked(n, thread_ts=f"1700000000.{n:06}") for n in range(1, 5 * TAKEN_AT_ONCE)]
        await dying.accept(*questions)

        await dying.die()
        await until(lambda: sum(len(bot.resumed) for bot in living) >= len(questions))

    taken = [key for bot in living for key in bot.resumed]
    assert sorted(taken) == sorted(question.key for question in questions)


async def test_who_takes_over_much_tells_the_others_that_there_is_more(
    postgres_url: str, admin: Any
) -> None:
    heard: list[str] = []
    await admin.add_listener(NEWS, lambda *news: heard.append(news[-1]))
    async with opened(postgres_url) as dead, opened(postgres_url) as living:
        for number in range(1, TAKEN_AT_ONCE + 2):
            await dead.turns.accept(asked(number))

        first = await living.turns.take_over(dead.turns.owner)
        await until(lambda: heard == [""])
        second = await living.turns.take_over(dead.turns.owner)
        await admin.fetchval("SELECT 1")

    assert (len(first), len(second)) == (TAKEN_AT_ONCE, 1)
    assert heard == [""]


async def test_turns_that_were_given_up_are_taken_at_once(pair: list[Bot]) -> None:
    one, other = pair
    (turn,) = await one.accept(asked(1))
    await one.member.take_nothing_more()
    one.under_way.clear()

    await one.store.turns.suspend(turn, None)

    assert await until(lambda: bool(other.resumed)) < BEAT / 2
    assert other.resumed == [turn.key]


async def test_process_that_leaves_takes_nothing_over(pair: list[Bot]) -> None:
    leaving, other = pair
    await leaving.member.take_nothing_more()
    (turn,) = await other.accept(asked(1))

    await other.member.leave()
    await asyncio.sleep(2 * BEAT)

    assert leaving.resumed == []
    assert await owners(leaving) == {turn.key.ts: other.name}


async def test_turns_left_by_all_are_taken_by_the_first_that_starts(postgres_url: str) -> None:
    async with bot_on(postgres_url) as first:
        accepted = await first.accept(asked(1), asked(2))
        await first.die()

    async with bot_on(postgres_url) as second:
        await until(lambda: len(second.resumed) == 2, within=SOON)

    assert second.resumed == [turn.key for turn in accepted]


async def test_nobody_takes_over_from_a_process_that_stands_still(postgres_url: str) -> None:
    """As one does that was stopped: its session lasts, and it may go on showing any moment."""
    async with bot_on(postgres_url) as still:
        (turn,) = await still.accept(asked(1))
        session = await asyncpg.connect(postgres_url)
        await still.member.leave()
        await session.execute("SELECT pg_advisory_lock($1, $2)", ALIVE, int(still.name))

        async with bot_on(postgres_url) as other:
            await asyncio.sleep(2 * BEAT)
            assert other.resumed == []
            await session.close()
            await until(lambda: other.resumed == [turn.key], within=SOON)


async def test_living_process_keeps_its_turns(pair: list[Bot]) -> None:
    one, other = pair
    await one.accept(asked(1))
    await other.accept(asked(2))

    for _ in range(3):
        for bot in pair:
            bot.member._news.set()
        await asyncio.sleep(BEAT / 2)

    assert one.resumed == other.resumed == []


# -- news


async def test_end_of_a_turn_is_heard_of_in_the_other_process(pair: list[Bot]) -> None:
    one, other = pair
    (turn,) = await one.accept(asked(1))

    await one.store.turns.finish(turn, "complete", None)

    await until(lambda: bool(other.news))
    assert other.news == [("T1", "C1", THREAD)]


async def test_what_is_wanted_of_a_turn_is_heard_of_in_all_processes(pair: list[Bot]) -> None:
    one, other = pair
    (turn,) = await one.accept(asked(1))

    await other.store.turns.stop(turn.key, "UANA")
    await until(lambda: bool(one.looked_up))
    mine = await one.store.turns.mine(turn.key)
    await other.store.turns.correct(
        turn.key, edited_ts="1700000050.000000", within=timedelta(minutes=1), most=None
    )
    await until(lambda: len(one.looked_up) == 2)

    assert mine
    assert mine.stopped_by == "UANA"
    assert one.looked_up == [turn.key] * 2


async def test_what_was_wanted_while_nobody_could_hear_of_it_is_looked_up(
    postgres_url: str, admin: Any
) -> None:
    async with bot_on(postgres_url) as bot:
        (turn,) = await bot.accept(asked(1))
        await cut(admin, bot)
        await until(lambda: bot.is_paused)

        await until(lambda: not bot.is_paused)

        assert bot.looked_up == [turn.key]


@pytest.mark.parametrize("news", ["", ":", "a:b", "a:b:c:d", "🙂", "x" * 7000])
async def test_odd_news_harm_nobody(pair: list[Bot], admin: Any, news: str) -> None:
    await admin.execute("SELECT pg_notify('llmbot_turns', $1)", news)
    await admin.execute("SELECT pg_notify('llmbot_wishes', $1)", news)
    await asyncio.sleep(0.1)

    assert all(bot.log == ["go on"] for bot in pair)


# -- losing the session


async def test_process_whose_session_is_cut_shows_nothing_and_goes_on_with_its_own(
    postgres_url: str, admin: Any
) -> None:
    async with bot_on(postgres_url) as bot:
        (turn,) = await bot.accept(asked(1))

        await cut(admin, bot)
        paused_after = await until(lambda: bot.is_paused)
        await until(lambda: not bot.is_paused)

        assert paused_after < BEAT / 2
        assert bot.keys == [turn.key]
        assert bot.dropped == bot.resumed == []
        assert await owners(bot) == {turn.key.ts: bot.name}


async def test_turns_that_others_took_in_the_meantime_are_dropped(
    pair: list[Bot], admin: Any
) -> None:
    cut_off, other = pair
    first, second = await cut_off.accept(asked(1), asked(2))
    await cut(admin, cut_off)
    await until(lambda: cut_off.is_paused)

    await other.store.turns.take_over(cut_off.name)
    await until(lambda: not cut_off.is_paused)

    assert sorted(cut_off.dropped) == [first.key, second.key]
    assert cut_off.keys == cut_off.resumed == []


async def test_each_turn_is_with_one_process_however_often_sessions_are_cut(
    postgres_url: str, admin: Any
) -> None:
    async with bots_on(postgres_url, 3) as bots:
        for round_ in range(4):
            for place, bot in enumerate(bots):
                await bot.accept(asked(round_ * 10 + place + 1, channel=f"C{place}"))
            for bot in bots[: round_ % 3 + 1]:
                await cut(admin, bot)
            await until(lambda: any(bot.is_paused for bot in bots))
            await until(lambda: not any(bot.is_paused for bot in bots))
        await asyncio.sleep(2 * BEAT)

        held = {key: bot.name for bot in bots for key in bot.keys}
        assert sum(len(list(bot.keys)) for bot in bots) == len(held) == 12
        assert await owners(bots[0]) == {key.ts: name for key, name in held.items()}


async def test_session_that_the_server_still_believes_in_is_ended_by_its_own_process(
    postgres_url: str, admin: Any
) -> None:
    """The network was cut, and the server has not noticed."""
    async with bot_on(postgres_url) as bot:
        (turn,) = await bot.accept(asked(1))
        half_open = await asyncpg.connect(postgres_url)
        await cut(admin, bot)
        await half_open.execute("SELECT pg_advisory_lock($1, $2)", ALIVE, int(bot.name))
        await until(lambda: bot.is_paused)

        await until(lambda: not bot.is_paused, within=5)

        assert bot.keys == [turn.key]
        assert half_open.is_closed()


async def test_acceptance_that_was_not_heard_of_is_resumed_when_the_session_is_back(
    postgres_url: str, admin: Any
) -> None:
    async with bot_on(postgres_url) as bot:
        turn = await bot.store.turns.accept(asked(1))  # but the answer was lost
        assert turn

        await cut(admin, bot)
        await until(lambda: bot.is_paused)
        await until(lambda: not bot.is_paused)

        assert bot.resumed == [turn.key]


async def test_after_the_server_was_restarted_each_goes_on_with_its_own(
    postgres: Postgres, postgres_url: str
) -> None:
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    async with bots_on(postgres_url, 3) as bots:
        for place, bot in enumerate(bots):
            await bot.accept(asked(place + 1, channel=f"C{place}"))
        before = [list(bot.keys) for bot in bots]

        await asyncio.to_thread(postgres.stop)
        await until(lambda: all(bot.is_paused for bot in bots))
        await asyncio.sleep(BEAT)
        await asyncio.to_thread(postgres.start)
        await until(lambda: not any(bot.is_paused for bot in bots))
        await asyncio.sleep(2 * BEAT)

        assert [list(bot.keys) for bot in bots] == before
        assert all(bot.dropped == bot.resumed == [] for bot in bots)


async def test_server_that_is_away_at_the_start_is_waited_for(
    postgres: Postgres, postgres_url: str
) -> None:
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    async with opened(postgres_url) as store:
        await asyncio.to_thread(postgres.stop)
        bot = Bot(store)
        joining = asyncio.create_task(store.member.join(bot))
        await asyncio.sleep(BEAT)
        assert not joining.done()

        await asyncio.to_thread(postgres.start)
        await asyncio.wait_for(joining, 10)

        assert store.member.is_alive
        await store.member.leave()


async def test_server_that_is_starting_is_as_one_that_is_away(
    postgres: Postgres, postgres_url: str
) -> None:
    """Whatever it answers until it is there, and however that comes to us: try again."""
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    await asyncio.to_thread(postgres.stop, at_once=True)  # then it takes longer to start
    starting = asyncio.create_task(asyncio.to_thread(postgres.start))

    async def try_on() -> None:
        while not starting.done():
            with suppress(Unavailable):
                async with opened(postgres_url):
                    pass

    await asyncio.gather(*(try_on() for _ in range(6)))
    await starting


async def test_joining_that_is_given_up_leaves_nothing_behind(
    postgres: Postgres, postgres_url: str
) -> None:
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    before = asyncio.all_tasks()
    async with opened(postgres_url) as store:
        await asyncio.to_thread(postgres.stop)
        joining = asyncio.create_task(store.member.join(Bot(store)))
        await asyncio.sleep(0.1)

        joining.cancel()
        await asyncio.wait({joining})
        await store.member.leave()

        assert asyncio.all_tasks() - before == set()
        await asyncio.to_thread(postgres.start)


# -- what cannot be a replica


async def test_pooler_that_shares_connections_is_found_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one, two statements of one session reach two processes of the server."""
    backends = iter([101, 101, 102])

    async def through_a_pooler(_self: Replica, _connection: Any) -> int:
        return next(backends)

    monkeypatch.setattr(Replica, "_beat", through_a_pooler)
    async with opened(postgres_url) as store:
        bot = Bot(store)
        await store.member.join(bot)
        store.member._news.set()  # type: ignore[union-attr]

        with pytest.raises(CannotStart, match="pooler"):
            await asyncio.wait_for(store.member.ended(), 5)
        assert bot.is_paused
        with pytest.raises(CannotStart):
            await store.member.leave()


async def test_pooler_that_knows_no_keepalives_is_named(postgres_url: str) -> None:
    """pgbouncer, for one, turns a connection away that sets what it does not know."""
    words = b"SFATAL\0C08P01\0Munsupported startup parameter: tcp_keepalives_idle\0\0"

    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # whether it speaks TLS
        writer.write(b"N")
        await reader.read(1000)
        writer.write(b"E" + (len(words) + 4).to_bytes(4, "big") + words)
        writer.close()

    pooler = await asyncio.start_server(turn_away, "127.0.0.1", 0)
    port = pooler.sockets[0].getsockname()[1]
    async with pooler, opened(postgres_url) as store:
        behind = Replica(f"postgresql://bot@127.0.0.1:{port}/bot", store._engine, store.turns)

        with pytest.raises(CannotStart, match="pooler"):
            await asyncio.wait_for(behind.join(Bot(store)), 5)


async def test_direct_connection_is_no_pooler(postgres_url: str) -> None:
    async with bot_on(postgres_url) as bot:
        ended = asyncio.create_task(bot.member.ended())
        for _ in range(5):
            bot.member._news.set()
            await asyncio.sleep(0.05)

        assert not ended.done()
        ended.cancel()


# -- the one process of a SQLite file


@pytest.fixture
def file(tmp_path: Path) -> str:
    return database_url(str(tmp_path / "bot.db"))


async def test_second_process_on_a_file_is_refused_in_words(file: str) -> None:
    async with opened(file) as first, opened(file) as second:
        await first.member.join(Bot(first))

        with pytest.raises(CannotStart, match=r"another process of this bot runs on bot\.db"):
            await second.member.join(Bot(second))
        await first.member.leave()


async def test_file_is_free_again_when_its_process_has_left(file: str) -> None:
    async with opened(file) as first, opened(file) as second:
        await first.member.join(Bot(first))
        await first.member.leave()

        await second.member.join(Bot(second))

        assert second.member.is_alive
        await second.member.leave()


async def test_process_that_starts_on_a_file_goes_on_with_all_that_was_left(file: str) -> None:
    async with opened(file) as first:
        one = await first.turns.accept(asked(1))
        two = await first.turns.accept(asked(2))
        assert one
        assert two
        await first.turns.finish(one, "complete", None)

    async with opened(file) as second:
        bot = Bot(second)
        await second.member.join(bot)
        assert bot.resumed == [two.key]
        assert await second.member.others() == 0
        await second.member.take_nothing_more()
        await second.member.leave()


async def test_report_beside_the_process_needs_no_lock(file: str) -> None:
    async with opened(file) as serving:
        await serving.member.join(Bot(serving))
        async with opened(file) as report:
            assert await report.turns.accept(asked(1))
        await serving.member.leave()

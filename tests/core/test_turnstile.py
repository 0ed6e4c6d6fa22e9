"""Replies that wait for their turn, in virtual time: in one process, and in several that share."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import RateLimited, Unavailable
from bot.pacing import KNOWN_FOR, Call, Claim, Limits, Pacer
from bot.turnstile import DRAW_AGAIN, UNSAID_RETRY_AFTER, Budget, Closed, Drawn, Late, Turnstile
from bot.window import MINUTE, Window
from tests.conftest import VirtualTimeLoop

AWAY = Unavailable("the database", "OperationalError")


class Street:
    """Where replies pass a turnstile and make calls of some seconds; who did, and when."""

    def __init__(self, *, shares: "Pool | None" = None, **limits: int) -> None:
        self.turnstile = Turnstile(Pacer(Limits(**limits)), shares)
        self.passed: list[tuple[float, str]] = []
        self._start = asyncio.get_running_loop().time()

    @property
    def now(self) -> float:
        return round(self.time - self._start, 3)

    @property
    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def claim(self, channel: str = "C1", *, must: bool = True, can_but_wait: bool = True) -> Claim:
        claim = Claim(channel, must=must, since=self.time, can_but_wait=can_but_wait)
        self.turnstile.join(claim)
        return claim

    async def call(
        self,
        name: str,
        claim: Claim | None = None,
        *,
        call: Call = "chat.update",
        takes: float = 0.0,
        error: Exception | None = None,
    ) -> None:
        async with self.turnstile.passing(claim or self.claim(), call):
            self.passed.append((self.now, name))
            await asyncio.sleep(takes)
            if error:
                raise error


class Table:
    """The budgets of all processes together, as the database keeps them."""

    def __init__(self) -> None:
        self.states: dict[str, Any] = {}
        self.kept: dict[object, tuple[int, float]] = {}  # and since when
        self.lock = asyncio.Lock()


class Pool:
    """One process's way to the table. A draw takes ``latency`` seconds to and fro."""

    def __init__(self, table: Table, *, latency: float = 0.0) -> None:
        self.latency = latency
        self.is_away = False
        self.draws = 0
        self._table = table

    async def draw(
        self, windows: Mapping[str, Window], *, kept_back: int, leaves_kept: bool = False
    ) -> Drawn:
        self.draws += 1
        async with self._table.lock:
            await self._travel()
            now = asyncio.get_running_loop().time()
            shared = self._shared(windows)
            self._table.kept[self] = (kept_back, now)
            elsewhere = sum(
                kept
                for pool, (kept, at) in self._table.kept.items()
                if pool is not self and now < at + MINUTE
            )
            least = elsewhere if leaves_kept else 0
            is_granted = all(window.free(now) > least for window in shared.values())
            if is_granted:
                for window in shared.values():
                    window.draw(now, answered_within=1.0)
            self._save(shared)
        await self._travel()
        return Drawn(is_granted, {name: shared[name].state(0.0) for name in shared}, elsewhere)

    async def refused(self, windows: Mapping[str, Window], *, retry_after: float) -> None:
        await self._travel()
        now = asyncio.get_running_loop().time()
        shared = self._shared(windows)
        for window in shared.values():
            window.undraw(now, held_until=now + retry_after)
        self._save(shared)

    def _shared(self, windows: Mapping[str, Window]) -> dict[str, Window]:
        return {name: windows[name].like(self._table.states.get(name, {}), 0.0) for name in windows}

    def _save(self, shared: Mapping[str, Window]) -> None:
        self._table.states |= {name: window.state(0.0) for name, window in shared.items()}

    async def _travel(self) -> None:
        await asyncio.sleep(self.latency)
        if self.is_away:
            raise AWAY


def streets(count: int, *, latency: float = 0.0, **limits: int) -> list[Street]:
    """Processes that share their budgets."""
    table = Table()
    return [Street(shares=Pool(table, latency=latency), **limits) for _ in range(count)]


def most_within(times: list[float], seconds: float) -> int:
    return max(sum(start <= at < start + seconds for at in times) for start in times)


@pytest.fixture(autouse=True)
async def _nothing_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, why: complaints.append(why))
    yield
    assert asyncio.all_tasks() - before == {asyncio.current_task()}
    assert complaints == []


async def settle() -> None:
    """Lets all run that can run without time going by."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_free_way_is_passed_at_once() -> None:
    street = Street()

    await street.call("edit")

    assert street.passed == [(0.0, "edit")]


async def test_who_finds_no_slot_waits_until_one_frees() -> None:
    street = Street(updates=2)

    await asyncio.gather(*(street.call(name, takes=3) for name in ("a", "b", "c")))

    assert street.passed == [(0.0, "a"), (0.0, "b"), (63.0, "c")]


async def test_call_that_fails_takes_its_slot_all_the_same() -> None:
    street = Street(updates=1)

    with pytest.raises(Unavailable):
        await street.call("fails", error=Unavailable("Slack", "HTTP 500"))
    await street.call("next")

    assert street.passed == [(0.0, "fails"), (60.0, "next")]


async def test_refusal_holds_the_method_for_all_replies() -> None:
    street = Street()
    await asyncio.gather(street.call("taken"), street.call("taken"))

    with pytest.raises(RateLimited):
        await street.call("refused", error=RateLimited("Slack", 90.0))
    await asyncio.gather(
        street.call("edit"), street.call("edit"), street.call("post", call="chat.postMessage")
    )

    assert street.passed[2:] == [(0.0, "refused"), (0.0, "post"), (90.0, "edit"), (90.0, "edit")]


@pytest.mark.parametrize("unsaid", [None, 0.0])
async def test_refusal_that_names_no_time_holds_the_method_too(unsaid: float | None) -> None:
    street = Street()

    with pytest.raises(RateLimited):
        await street.call("refused", error=RateLimited("Slack", unsaid))
    await street.call("edit")

    assert street.passed[-1] == (UNSAID_RETRY_AFTER, "edit")


async def test_refusal_comes_too_late_for_calls_under_way_and_holds_those_that_wait() -> None:
    street = Street(updates=2)

    await asyncio.gather(
        street.call("under way", takes=5),
        street.call("refused", takes=1, error=RateLimited("Slack", 90.0)),
        street.call("waits"),
        return_exceptions=True,
    )

    assert street.passed == [(0.0, "under way"), (0.0, "refused"), (91.0, "waits")]


async def test_last_edit_passes_others_that_waited_longer() -> None:
    street = Street(updates=2)
    await street.call("first")
    await street.call("second")
    interim = street.claim(must=False)
    last = street.claim()

    await asyncio.gather(street.call("interim", interim), street.call("last", last))

    assert street.passed[2:] == [(60.0, "last"), (60.0, "interim")]


async def test_reply_that_hurries_while_it_waits_comes_first() -> None:
    street = Street(updates=1)
    await street.call("first")
    older, hurrying = street.claim(must=False), street.claim(must=False)
    waiting = asyncio.gather(street.call("older", older), street.call("hurrying", hurrying))
    await asyncio.sleep(1)

    hurrying.must = True
    street.turnstile.turn()
    await waiting

    assert street.passed[1:] == [(60.0, "hurrying"), (120.0, "older")]


async def test_who_is_cancelled_while_waiting_gives_its_place_to_the_next() -> None:
    street = Street(updates=1)
    await street.call("first")
    impatient = asyncio.create_task(street.call("impatient"))
    await asyncio.sleep(1)
    patient = asyncio.create_task(street.call("patient"))
    await asyncio.sleep(1)

    impatient.cancel()
    await patient

    assert street.passed == [(0.0, "first"), (60.0, "patient")]


@pytest.mark.parametrize("is_told_first", [True, False])
async def test_slot_granted_in_the_moment_of_a_cancellation_is_not_lost(
    is_told_first: bool,
) -> None:
    street = Street(updates=1, posts=1)
    in_the_way = street.claim("C2")
    in_the_way.has_open_message = True
    leaving = street.claim(must=False)
    waiting = asyncio.create_task(street.call("cancelled", leaving, call="chat.postMessage"))
    await settle()

    if is_told_first:
        waiting.cancel()
    street.turnstile.leave(in_the_way)  # lets through who waits, though it has not heard so yet
    if not is_told_first:
        waiting.cancel()
    await settle()
    street.turnstile.leave(leaving)
    await street.call("next", call="chat.postMessage")

    assert [name for _, name in street.passed] == ["next"]
    assert street.now <= 60.0


async def test_who_is_cancelled_in_its_call_frees_the_slot_a_minute_later() -> None:
    street = Street(updates=1)
    calling = asyncio.create_task(street.call("cancelled", takes=100))
    await asyncio.sleep(7)

    calling.cancel()
    await street.call("next")

    assert street.passed == [(0.0, "cancelled"), (67.0, "next")]


async def test_reply_that_leaves_lets_those_pass_that_waited_for_its_reserve() -> None:
    street = Street(updates=1)
    open_reply = street.claim()
    open_reply.has_open_message = True
    waiting = asyncio.create_task(
        street.call("begins", street.claim("C2", must=False), call="chat.postMessage")
    )
    await asyncio.sleep(10)

    street.turnstile.leave(open_reply)
    await waiting

    assert street.passed == [(10.0, "begins")]


# -- last edits that come too late


async def test_last_edit_that_finds_no_slot_is_late_at_once() -> None:
    street = Street(updates=1)
    await street.call("first")

    with pytest.raises(Late):
        await street.call("last", street.claim(can_but_wait=False))

    assert street.now == 0.0
    assert street.turnstile._waiting == {}


async def test_last_edits_that_wait_are_late_when_slack_refuses_another() -> None:
    street = Street()
    refused = street.call("refused", takes=0.5, error=RateLimited("Slack", 20.0))
    calls = [street.call(f"under way {n}", takes=3) for n in range(4)]
    waits = street.call("waits", street.claim(can_but_wait=False))

    outcomes = await asyncio.gather(refused, *calls, waits, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [RateLimited, *[type(None)] * 4, Late]
    assert "waits" not in [name for _, name in street.passed]


async def test_last_edit_for_which_there_is_no_other_way_waits() -> None:
    street = Street(updates=1)
    await street.call("first")

    await street.call("last", street.claim(can_but_wait=True))

    assert street.passed == [(0.0, "first"), (60.0, "last")]


async def test_interim_edit_that_waits_is_late_when_its_answer_ends() -> None:
    street = Street(updates=1)
    await street.call("first")
    claim = street.claim(must=False, can_but_wait=False)
    waiting = asyncio.create_task(street.call("interim", claim))
    await asyncio.sleep(5)

    street.turnstile.ended(claim)

    with pytest.raises(Late):
        await waiting
    assert street.now == 5.0


async def test_who_is_late_may_post_at_once() -> None:
    street = Street(updates=1)
    await street.call("first")
    claim = street.claim(can_but_wait=False)

    with pytest.raises(Late):
        await street.call("last", claim)
    await street.call("the rest", claim, call="chat.postMessage")

    assert street.passed[-1] == (0.0, "the rest")


async def test_no_timer_is_left_when_nobody_waits() -> None:
    street = Street(updates=1)
    await street.call("first")
    waiting = asyncio.create_task(street.call("second"))
    await asyncio.sleep(1)

    waiting.cancel()
    await settle()

    assert street.turnstile._timer is None
    assert not street.turnstile._waiting


async def test_calls_beyond_a_budget_wait_their_turn_in_order() -> None:
    budget, began, turns = Budget("reactions.add", 2), asyncio.get_running_loop().time(), []

    async def call(number: int) -> None:
        async with budget.turn():
            turns.append((number, round(asyncio.get_running_loop().time() - began)))

    await asyncio.gather(*map(call, range(5)))

    assert turns == [(0, 0), (1, 0), (2, 60), (3, 60), (4, 120)]


async def test_a_call_that_ends_an_answer_goes_before_those_that_begin_one() -> None:
    budget, began, turns = Budget("conversations.replies", 2), asyncio.get_running_loop().time(), []

    async def call(name: str, *, ends: bool = False) -> None:
        async with budget.turn(ends=ends):
            turns.append((name, round(asyncio.get_running_loop().time() - began)))

    beginning = [asyncio.create_task(call(f"begins {n}")) for n in range(5)]
    await asyncio.sleep(5)
    ending = [asyncio.create_task(call(f"ends {n}", ends=True)) for n in range(2)]
    await asyncio.gather(*beginning, *ending)

    assert turns == [
        *(("begins 0", 0), ("begins 1", 0), ("ends 0", 60), ("ends 1", 60)),
        *(("begins 2", 120), ("begins 3", 120), ("begins 4", 180)),
    ]


async def test_a_refused_call_holds_the_budget_for_all() -> None:
    budget, began = Budget("reactions.add", 10), asyncio.get_running_loop().time()

    with pytest.raises(RateLimited):
        async with budget.turn():
            raise RateLimited("Slack", 7.0)
    async with budget.turn():
        pass

    assert round(asyncio.get_running_loop().time() - began) == 7


# -- paused and closed


async def test_nobody_passes_in_a_pause_and_all_go_on_after_it() -> None:
    street = Street()
    street.turnstile.pause()
    waiting = asyncio.gather(street.call("one"), street.call("two"))
    await asyncio.sleep(100)
    assert street.passed == []

    street.turnstile.resume()
    await waiting

    assert sorted(street.passed) == [(100.0, "one"), (100.0, "two")]


async def test_call_under_way_in_a_pause_comes_to_its_end() -> None:
    street = Street(updates=1)
    calling = asyncio.create_task(street.call("under way", takes=5))
    await asyncio.sleep(1)

    street.turnstile.pause()
    await calling

    assert street.now == 5.0


async def test_slot_that_frees_in_a_pause_is_taken_after_it() -> None:
    street = Street(updates=1)
    await street.call("first")
    waiting = asyncio.create_task(street.call("second"))
    await asyncio.sleep(1)

    street.turnstile.pause()
    await asyncio.sleep(99)
    street.turnstile.resume()
    await waiting

    assert street.passed[-1] == (100.0, "second")


async def test_last_edits_are_not_late_for_a_pause() -> None:
    """Others may have taken over: what would be posted instead is theirs to post."""
    street = Street(updates=1)
    street.turnstile.pause()
    waiting = asyncio.create_task(street.call("last", street.claim(can_but_wait=False)))
    await asyncio.sleep(10)

    street.turnstile.resume()
    await waiting

    assert street.passed == [(10.0, "last")]


async def test_closed_it_turns_away_who_waits_and_who_comes() -> None:
    street = Street(updates=1)
    calling = asyncio.create_task(street.call("under way", takes=5))
    await settle()
    waiting = asyncio.create_task(street.call("waits"))
    await settle()

    street.turnstile.close()

    with pytest.raises(Closed):
        await waiting
    with pytest.raises(Closed):
        await street.call("comes")
    await calling
    assert street.passed == [(0.0, "under way")]
    assert street.turnstile._pacer._updates._under_way == 0


# -- several processes


async def test_free_way_is_passed_at_once_by_all() -> None:
    one, other = streets(2)

    await asyncio.gather(one.call("one"), other.call("other"))

    assert one.passed == [(0.0, "one")]
    assert other.passed == [(0.0, "other")]


async def test_slots_that_others_have_taken_are_waited_for() -> None:
    one, other = streets(2, updates=3)
    await asyncio.gather(one.call("a"), one.call("b"), one.call("c"))

    await other.call("d")

    assert other.passed == [(61.0, "d")]  # taken to have been answered after a second


@pytest.mark.parametrize("latency", [0.0, 0.02, 0.4])
async def test_together_they_never_make_more_calls_than_one_may(latency: float) -> None:
    three = streets(3, latency=latency, updates=12)
    began = asyncio.get_running_loop().time()

    async def ask(street: Street, number: int) -> None:
        await asyncio.sleep(number * 1.7)
        await street.call(f"edit {number}", takes=0.3)

    await asyncio.gather(*(ask(street, number) for street in three for number in range(25)))

    times = sorted(at for street in three for at, _ in street.passed)
    assert len(times) == 75
    assert most_within(times, MINUTE) <= 12
    # None is wasted: 75 calls at 12 a minute, each slot a second late.
    assert asyncio.get_running_loop().time() - began <= 61 * (75 / 12) + 5


async def test_nobody_starves_beside_a_busy_process() -> None:
    """A process that asks all the time, and one that asks once a minute."""
    busy, quiet = streets(2, latency=0.01, updates=10)
    waits = []

    async def asks_once(minute: int) -> None:
        await asyncio.sleep(60 * minute + 7)
        asked = quiet.now
        await quiet.call(f"quiet {minute}")
        waits.append(quiet.now - asked)

    await asyncio.gather(
        *(busy.call(f"busy {number}") for number in range(60)),
        *(asks_once(minute) for minute in range(4)),
    )

    assert max(waits) < 2 * MINUTE + 2


async def test_posts_of_two_processes_into_one_channel_keep_its_pace() -> None:
    one, other = streets(2, latency=0.01)

    await asyncio.gather(
        *(
            street.call(f"post {number}", call="chat.postMessage", takes=0.1)
            for street in (one, other)
            for number in range(5)
        )
    )

    times = sorted(at for street in (one, other) for at, _ in street.passed)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= 1.0
    assert max(gaps) <= 1.5


async def test_refusal_of_one_holds_all() -> None:
    one, other = streets(2)
    with pytest.raises(RateLimited):
        await one.call("refused", error=RateLimited("Slack", 90.0))

    await asyncio.gather(other.call("edit"), other.call("post", call="chat.postMessage"))

    assert other.passed == [(0.0, "post"), (90.0, "edit")]


async def test_what_one_has_learned_all_believe() -> None:
    one, other = streets(2, updates=48)
    await asyncio.gather(*(one.call(f"taken {number}") for number in range(10)))
    with pytest.raises(RateLimited):
        await one.call("refused", error=RateLimited("Slack", 5.0))

    await other.call("edit")

    assert other.turnstile._pacer._updates.limit == 10
    assert other.passed[0][0] == 61.0


async def test_edits_that_others_keep_back_for_the_ends_of_their_answers_are_left_to_them() -> None:
    one, other = streets(2, updates=3)
    for number in range(2):
        growing = one.claim(f"C{number}", must=False)
        await one.call("begins", growing, call="chat.postMessage")
        growing.has_open_message = True
    growing = one.claim("C3")
    await one.call("tells that two are kept", growing, call="chat.postMessage")

    first = other.claim("C4", must=False)
    await other.call("begins", first, call="chat.postMessage")
    first.has_open_message = True
    second = asyncio.create_task(
        other.call("does not", other.claim("C5", must=False), call="chat.postMessage")
    )
    await asyncio.sleep(KNOWN_FOR - 1)

    assert [name for _, name in other.passed] == ["begins"]
    second.cancel()
    await asyncio.wait({second})


async def test_interim_edit_leaves_to_others_what_they_keep_back_and_a_last_one_does_not() -> None:
    one, other = streets(2, updates=2)
    for number in range(2):
        growing = one.claim(f"C{number}", must=False)
        await one.call("begins", growing, call="chat.postMessage")
        growing.has_open_message = True
    await one.call("tells that two are kept", one.claim("C3"), call="chat.postMessage")
    interim = asyncio.create_task(other.call("interim", other.claim("C4", must=False)))
    await asyncio.sleep(10)

    await other.call("last", other.claim("C5"))

    assert [name for _, name in other.passed] == ["last"]
    interim.cancel()
    await asyncio.wait({interim})


async def test_what_a_process_kept_back_that_is_no_more_is_forgotten() -> None:
    """It may have been the last to draw, and nobody asks anything of those that remain."""
    gone, other = streets(2, updates=2)
    for number in range(2):
        growing = gone.claim(f"C{number}", must=False)
        await gone.call("begins", growing, call="chat.postMessage")
        growing.has_open_message = True
    await gone.call("tells that two are kept", gone.claim("C3"), call="chat.postMessage")

    await other.call("learns it", other.claim("C4"), call="chat.postMessage")
    await asyncio.wait_for(other.call("interim", other.claim("C5", must=False)), 2 * MINUTE)

    assert [name for _, name in other.passed] == ["learns it", "interim"]


async def test_database_that_is_away_is_waited_for() -> None:
    table = Table()
    street = Street(shares=Pool(table))
    pool = street.turnstile._shares
    assert isinstance(pool, Pool)
    pool.is_away = True
    waiting = asyncio.create_task(street.call("edit"))
    await asyncio.sleep(30)
    assert street.passed == []
    assert pool.draws <= 30 / DRAW_AGAIN + 1

    pool.is_away = False
    await waiting

    assert street.now <= 30 + DRAW_AGAIN
    assert street.turnstile._pacer._updates._under_way == 0


async def test_who_waits_for_others_slots_does_not_ask_the_database_all_the_time() -> None:
    one, other = streets(2, updates=2)
    await asyncio.gather(one.call("a"), one.call("b"))

    await asyncio.gather(*(other.call(f"waits {number}") for number in range(4)))

    pool = other.turnstile._shares
    assert isinstance(pool, Pool)
    assert pool.draws <= 12


async def test_draw_that_comes_back_in_a_pause_lets_nobody_through() -> None:
    (street,) = streets(1, latency=1.0)
    waiting = asyncio.create_task(street.call("edit"))
    await asyncio.sleep(1.5)

    street.turnstile.pause()
    await asyncio.sleep(10)
    assert street.passed == []
    street.turnstile.resume()
    await waiting

    assert [name for _, name in street.passed] == ["edit"]


async def test_draw_that_comes_back_when_closed_lets_nobody_through() -> None:
    (street,) = streets(1, latency=1.0)
    waiting = asyncio.create_task(street.call("edit"))
    await asyncio.sleep(1.5)

    street.turnstile.close()

    with pytest.raises(Closed):
        await waiting
    assert street.passed == []


async def test_who_is_cancelled_in_a_draw_gives_its_place_to_the_next() -> None:
    (street,) = streets(1, latency=1.0, updates=1)
    leaving = asyncio.create_task(street.call("cancelled"))
    await asyncio.sleep(0.5)
    staying = asyncio.create_task(street.call("next"))
    await settle()

    leaving.cancel()
    await staying

    assert [name for _, name in street.passed] == ["next"]
    assert street.now <= 65


async def test_calls_of_a_budget_are_shared_too() -> None:
    table = Table()
    budgets = [Budget("users.info", 5, Pool(table, latency=0.01)) for _ in range(2)]
    began, times = asyncio.get_running_loop().time(), []

    async def call(budget: Budget) -> None:
        async with budget.turn():
            times.append(asyncio.get_running_loop().time() - began)

    await asyncio.gather(*(call(budget) for budget in budgets for _ in range(10)))

    assert len(times) == 20
    assert most_within(times, MINUTE) <= 5


ASKED = st.lists(
    st.tuples(
        st.integers(0, 2),  # which process
        st.floats(0, 150),  # when
        st.sampled_from(["chat.update", "chat.update", "chat.postMessage"]),
        st.sampled_from([0.05, 0.4, 0.9]),  # seconds that Slack takes
        st.booleans(),  # whether it is the last of its reply
    ),
    max_size=60,
)


@given(ASKED, st.sampled_from([0.0, 0.03, 0.5]), st.integers(2, 8))
@settings(max_examples=60, deadline=None)
def test_whatever_three_processes_ask_for_limits_are_kept_and_all_is_done(
    asked: list[tuple[int, float, Call, float, bool]], latency: float, updates: int
) -> None:
    loop = VirtualTimeLoop()

    async def play() -> None:
        three = streets(3, latency=latency, updates=updates)

        async def ask(
            number: int, place: int, at: float, call: Call, takes: float, must: bool
        ) -> None:
            await asyncio.sleep(at)
            street = three[place]
            claim = street.claim(f"C{number % 4}", must=must)
            try:
                await street.call(call, claim, call=call, takes=takes)
            finally:
                street.turnstile.leave(claim)

        await asyncio.gather(*(ask(number, *each) for number, each in enumerate(asked)))
        passed = [each for street in three for each in street.passed]
        assert len(passed) == len(asked)
        edits = [at for at, name in passed if name == "chat.update"]
        assert not edits or most_within(edits, MINUTE) <= updates
        for street in three:
            pacer = street.turnstile._pacer
            assert pacer._updates._under_way == pacer._posts._under_way == 0
            assert not street.turnstile._waiting

    try:
        loop.run_until_complete(play())
    finally:
        loop.close()

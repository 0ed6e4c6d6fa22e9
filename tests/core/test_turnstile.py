"""Replies that wait for their turn, in virtual time."""

import asyncio

import pytest

from bot.errors import RateLimited, Unavailable
from bot.pacing import Call, Claim, Limits, Pacer
from bot.turnstile import UNSAID_RETRY_AFTER, Budget, Late, Turnstile


class Street:
    """Where replies pass a turnstile and make calls of some seconds; who did, and when."""

    def __init__(self, **limits: int) -> None:
        self.turnstile = Turnstile(Pacer(Limits(**limits)))
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


async def test_a_refused_call_holds_the_budget_for_all() -> None:
    budget, began = Budget("reactions.add", 10), asyncio.get_running_loop().time()

    with pytest.raises(RateLimited):
        async with budget.turn():
            raise RateLimited("Slack", 7.0)
    async with budget.turn():
        pass

    assert round(asyncio.get_running_loop().time() - began) == 7

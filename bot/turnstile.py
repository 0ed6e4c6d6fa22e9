"""Lets replies through to Slack one call at a time, in the order that the pacer decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

from bot.errors import RateLimited
from bot.pacing import Call, Claim, Pacer, Window

# Seconds to hold a method where Slack refuses without saying for how long.
UNSAID_RETRY_AFTER = 10.0

# Seconds between two looks at a budget that only answers can free.
MOMENT = 0.5


class Late(Exception):
    """A last edit cannot be made in time: the text has to go another way."""


class Turnstile:
    """The waiting side of a `Pacer`: one timer and a future for each waiting reply."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._waiting: dict[Claim, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def join(self, claim: Claim) -> None:
        self._pacer.join(claim, _now())

    def leave(self, claim: Claim) -> None:
        self._pacer.leave(claim)
        self.turn()

    def ended(self, claim: Claim) -> None:
        """The answer is written: what its claim waits for is its last call."""
        claim.must = True
        self._pacer.ended(claim, _now())
        self.turn()

    @asynccontextmanager
    async def passing(self, claim: Claim, call: Call) -> AsyncIterator[None]:
        """Waits until the claim may make its call; inside, it makes it.

        :raises Late: a last edit could not be made in time.
        """
        await self._enter(claim, call)
        try:
            yield
        except RateLimited as error:
            retry_after = error.retry_after or UNSAID_RETRY_AFTER
            self._pacer.refused(claim, call, _now(), retry_after=retry_after)
            raise
        except BaseException:
            self._pacer.answered(claim, call, _now())
            raise
        else:
            self._pacer.answered(claim, call, _now())
        finally:
            self.turn()

    async def _enter(self, claim: Claim, call: Call) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting[claim] = granted
        claim.wants = call
        self.turn()
        try:
            await granted
        except (asyncio.CancelledError, Late):
            if claim.wants is None:  # granted in the same moment, or before this was heard
                self._pacer.returned(claim, call)
            claim.wants = None
            self._waiting.pop(claim, None)
            self.turn()
            raise

    def turn(self) -> None:
        """Grants all that can be granted now. Called when anything changed."""
        now = _now()
        while claim := self._pacer.grant(now):
            granted = self._waiting.pop(claim)
            if not granted.done():
                granted.set_result(None)
        for claim in self._pacer.late(now):
            if not self._waiting[claim].done():
                self._waiting[claim].set_exception(Late())
        if self._timer:
            self._timer.cancel()
            self._timer = None
        chance = self._pacer.next_chance(now) if self._waiting else inf
        if chance < inf:
            self._timer = asyncio.get_running_loop().call_at(chance, self.turn)


class Budget:
    """The calls of one method: first come, first served, and never more than Slack allows."""

    def __init__(self, limit: int) -> None:
        self._window = Window(limit)
        self._line = asyncio.Lock()  # wakes its waiters in the order in which they came

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._line:
            while self._window.free(_now()) <= 0:
                frees_in = self._window.next_free(_now()) - _now()
                await asyncio.sleep(min(max(frees_in, 0.01), MOMENT))
            self._window.take(_now())
        try:
            yield
        except RateLimited as error:
            held = error.retry_after or UNSAID_RETRY_AFTER
            self._window.refused(_now(), until=_now() + held)
            raise
        except BaseException:
            self._window.answered(_now())
            raise
        else:
            self._window.answered(_now())


def _now() -> float:
    return asyncio.get_running_loop().time()

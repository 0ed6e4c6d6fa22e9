"""Lets replies through to Slack one call at a time, in the order that the pacer decides."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Any, NamedTuple, Protocol

from bot.errors import RateLimited, SlackRefused, Transient
from bot.pacing import Call, Claim, Pacer
from bot.window import Window

# Seconds to hold a method where Slack refuses without saying for how long.
UNSAID_RETRY_AFTER = 10.0

# Seconds between two looks at a budget that only answers can free.
MOMENT = 0.5

# Calls whose budgets tell what other processes keep back for the ends of what they have begun.
KEEPING = frozenset({"chat.update", "chat.postMessage", "chat.startStream"})

# Seconds after which a draw is tried again that failed because the database is away.
DRAW_AGAIN = 0.5


class Drawn(NamedTuple):
    """What a draw has told of the budgets, by name; see `bot.window.Window.state`."""

    is_granted: bool
    states: Mapping[str, Any]
    kept_elsewhere: int  # calls that other processes keep back


class Shares(Protocol):
    """Budgets that several processes draw from. Every call may raise `Transient`."""

    async def draw(
        self, windows: Mapping[str, Window], *, kept_back: int, leaves_kept: bool = False
    ) -> Drawn:
        """A slot of each, or of none. ``kept_back`` is told to the other processes; with
        ``leaves_kept``, what they keep back is left to them."""

    async def refused(self, windows: Mapping[str, Window], *, retry_after: float) -> None:
        """Slack refused the call that was drawn last."""


class Late(Exception):
    """A last edit cannot be made in time: the text has to go another way."""


class Closed(Exception):
    """This process shows no more: another goes on where it stopped."""


class Turnstile:
    """The waiting side of a `Pacer`: one timer and a future for each waiting reply.

    ``shares`` are the budgets of all processes together; without, this is the only one.
    """

    def __init__(self, pacer: Pacer, shares: Shares | None = None) -> None:
        self._pacer = pacer
        self._shares = shares
        self._waiting: dict[Claim, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._is_closed = False

    def pause(self) -> None:
        """Lets nobody through: other processes may answer these questions now."""
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self.turn()

    def close(self) -> None:
        """Lets nobody through for good. Calls under way come to their end."""
        self._is_closed = True
        for granted in self._waiting.values():
            if not granted.done():
                granted.set_exception(Closed())

    def join(self, claim: Claim) -> None:
        self._pacer.join(claim, _now())

    def stay(self, claim: Claim) -> None:
        """For calls after the end of an answer, which is no new one."""
        self._pacer.stay(claim)

    def leave(self, claim: Claim) -> None:
        self._pacer.leave(claim)
        self.turn()

    def ended(self, claim: Claim) -> None:
        """The answer is written: what its claim waits for is its last call."""
        claim.must = True
        self._pacer.ended(claim, _now())
        self.turn()

    @asynccontextmanager
    async def passing(self, claim: Claim, call: Call) -> AsyncIterator[Call]:
        """Waits until the claim may make its call; inside, it makes it. Which one, if its lane
        leaves that open, it is told.

        :raises Late: a last edit could not be made in time.
        :raises Closed: nobody is let through any more.
        """
        try:
            call = await self._enter(claim, call)
            try:
                yield call
            except RateLimited as error:
                await self._refused(claim, call, error.retry_after or UNSAID_RETRY_AFTER)
                raise
            except SlackRefused:
                self._pacer.declined(claim, call, _now())
                raise
            except BaseException:
                self._pacer.answered(claim, call, _now())
                raise
            else:
                self._pacer.answered(claim, call, _now())
        finally:
            self.turn()

    async def _enter(self, claim: Claim, call: Call) -> Call:
        granted = await self._wait(claim, call)
        while self._shares and not await self._draw(self._shares, claim, granted):
            granted = await self._wait(claim, call)
        return granted

    async def _wait(self, claim: Claim, call: Call) -> Call:
        if self._is_closed:
            raise Closed
        granted = asyncio.get_running_loop().create_future()
        self._waiting[claim] = granted
        claim.wants = call
        self.turn()
        try:
            await granted
        except (asyncio.CancelledError, Late, Closed):
            if claim.wants is None:  # granted in the same moment, or before this was heard
                self._pacer.returned(claim, claim.granted or call)
            claim.wants = None
            self._waiting.pop(claim, None)
            raise
        return claim.granted or call

    async def _draw(self, shares: Shares, claim: Claim, call: Call) -> bool:
        """Whether what the pacer grants is there: another process may have been first."""
        windows = self._pacer.windows(claim, call)
        drawn, is_granted = None, False
        try:
            drawn = await _drawn(
                shares,
                windows,
                kept_back=self._pacer.kept_back(call),
                leaves_kept=call == "chat.update" and not claim.must,
            )
            is_granted = drawn.is_granted and not (self._is_paused or self._is_closed)
        finally:
            if not is_granted:
                self._pacer.returned(claim, call)
        if call in KEEPING:
            self._pacer.learn_kept(call, drawn.kept_elsewhere, _now())
        _adopt(windows, drawn)
        return is_granted

    async def _refused(self, claim: Claim, call: Call, retry_after: float) -> None:
        held = self._pacer.refused(claim, call, _now(), retry_after=retry_after)
        await _tell_refusal(self._shares, held, retry_after)

    def turn(self) -> None:
        """Grants all that can be granted now. Called when anything changed."""
        if self._is_paused or self._is_closed:
            return
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
    """The calls of one method: never more than Slack allows, those that end something before
    those that begin something, and else first come, first served."""

    def __init__(self, method: str, limit: int, shares: Shares | None = None) -> None:
        self._shares = shares
        self._window = Window(limit, is_hardy=True)
        self._windows = {method: self._window}
        # Each wakes its waiters in the order in which they came.
        self._line, self._ending = asyncio.Lock(), asyncio.Lock()

    @property
    def window(self) -> Window:
        return self._window

    @asynccontextmanager
    async def turn(self, *, ends: bool = False) -> AsyncIterator[None]:
        """``ends``: an answer comes to its end with this call."""
        async with self._ending if ends else self._line:
            while (self._ending.locked() and not ends) or not await self._take():
                frees_in = self._window.next_free(_now()) - _now()
                await asyncio.sleep(min(max(frees_in, 0.01), MOMENT))
        try:
            yield
        except RateLimited as error:
            held = error.retry_after or UNSAID_RETRY_AFTER
            self._window.refused(_now(), until=_now() + held)
            await _tell_refusal(self._shares, self._windows, held)
            raise
        except BaseException:
            self._window.answered(_now())
            raise
        else:
            self._window.answered(_now())

    async def _take(self) -> bool:
        """Whether a slot was free; it is taken."""
        if self._window.free(_now()) <= 0:
            return False
        self._window.take(_now())
        if self._shares is None:
            return True
        drawn = None
        try:
            drawn = await _drawn(self._shares, self._windows, kept_back=0)
        finally:
            if drawn is None or not drawn.is_granted:
                self._window.returned()
        _adopt(self._windows, drawn)
        return drawn.is_granted


async def _drawn(
    shares: Shares, windows: Mapping[str, Window], *, kept_back: int, leaves_kept: bool = False
) -> Drawn:
    """However long the database is away."""
    while True:
        try:
            return await shares.draw(windows, kept_back=kept_back, leaves_kept=leaves_kept)
        except Transient:
            await asyncio.sleep(DRAW_AGAIN)


async def _tell_refusal(
    shares: Shares | None, windows: Mapping[str, Window], retry_after: float
) -> None:
    """To the other processes; where the database is away, they meet it themselves."""
    if shares:
        with suppress(Transient):
            await shares.refused(windows, retry_after=retry_after)


def _adopt(windows: Mapping[str, Window], drawn: Drawn) -> None:
    for name, window in windows.items():
        window.adopt(drawn.states[name], 0.0)


def _now() -> float:
    return asyncio.get_running_loop().time()

"""How many calls of one kind Slack takes, counted and learned: a budget.

Arithmetic on times, which are seconds of the event loop's clock.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, repeat
from math import inf
from typing import Any

MINUTE = 60.0  # seconds

# A belief falls to no less than this part of what is documented: a process that has just started
# does not know what the one before it has used of the minute.
LEAST_SHARE = 8

# Seconds without a refusal before a belief that was refused again and again rises once more.
LONGEST_PATIENCE = 15 * MINUTE

# Fresh calls of one kind under way at a time: enough for twenty a second and more, and where Slack
# allows less than it documents, no more than these are refused before the first refusal is heard.
UNDER_WAY = 5
FRESH = 1.0  # seconds; a call that takes longer is slow, and holds nobody up


class Window:
    """How many calls of one kind may start now: what is believed, until Slack says otherwise.

    A slot frees a whole period after its call was *answered*. Slack's limiter is unpublished, and
    this stays within so-many-a-minute whatever its form: a token bucket with a burst does not.

    A refusal lowers the belief to what Slack has just shown to accept. It rises again by a tenth
    after a minute without a refusal, and more patiently after each rise that was refused.

    One that ``is_hardy`` never falls below half of what is documented, and rises by a third each
    minute: for calls that many wait for and nobody sees, a refusal is better than a long time in
    which few are made. Few that were accepted lately say little: Slack refuses for a moment too.
    """

    def __init__(
        self, limit: int, period: float = MINUTE, *, burst: float = 1.0, is_hardy: bool = False
    ) -> None:
        self._documented = max(1, int(limit * burst))
        self._believed = self._documented
        self._period = period * burst
        self._is_hardy = is_hardy
        self._patience = MINUTE
        self._rises_at = inf
        self._answered: deque[float] = deque()
        self._under_way = 0
        self._started: deque[float] = deque()
        self._held_until = -inf

    @property
    def limit(self) -> int:
        """Calls in a period, as believed."""
        return self._believed

    def free(self, now: float) -> int:
        """How many calls may start at ``now``."""
        self._forget(now)
        if now < self._held_until:
            return 0
        return self._unused

    def accepted(self, now: float) -> int:
        """Calls whose slots are not free again."""
        self._forget(now)
        return len(self._answered)

    def next_free(self, now: float) -> float:
        """When there may be more than now; infinite while only answers can tell."""
        if now < self._held_until:
            return self._held_until
        # When the belief was lowered, more than one old call has to leave first.
        surplus = max(0, -self._unused)
        if len(self._answered) <= surplus:
            return inf
        return min(self._answered[surplus] + self._period, self._rises_at)

    def starts(self, now: float) -> Iterator[float]:
        """When the next calls may start, each in its turn; infinite where only answers can tell."""
        self._forget(now)
        earliest = max(now, self._held_until)
        yield from repeat(earliest, max(0, self._unused))
        for answered in islice(self._answered, max(0, -self._unused), None):
            yield max(earliest, answered + self._period)
        yield from repeat(inf)

    def frees_in(self, now: float) -> Iterator[float]:
        """In how many seconds each slot that is taken now frees, the soonest first."""
        return (answered + self._period - now for answered in self._answered)

    def take(self, now: float) -> None:
        self._under_way += 1
        self._started.append(now)

    def is_busy(self, now: float) -> bool:
        """Whether enough calls are out of which Slack has had no time yet to refuse one."""
        return min(self._under_way, len(self.fresh(now))) >= UNDER_WAY

    def fresh(self, now: float) -> Sequence[float]:
        """When the calls of the latest `FRESH` seconds began."""
        while self._started and self._started[0] + FRESH <= now:
            self._started.popleft()
        return self._started

    def answered(self, now: float) -> None:
        self._under_way -= 1
        self._answered.append(now)

    def returned(self) -> None:
        """A call under way was not counted."""
        self._under_way -= 1

    def refused(self, now: float, *, until: float) -> None:
        """Slack refused a call under way: nothing of this kind before ``until``."""
        self.returned()
        is_first = self._held_until <= now  # not one of several that are refused at once
        if is_first and self._held_until > -inf and not self._is_hardy:
            self._patience = min(2 * self._patience, LONGEST_PATIENCE)
        self._held_until = max(self._held_until, until)
        self._forget(now)
        least = max(self._documented // (2 if self._is_hardy else LEAST_SHARE), 1)
        self._believed = min(self._believed, max(len(self._answered), least))
        self._rises_at = max(now, until) + self._patience

    def draw(self, now: float, *, answered_within: float) -> None:
        """Takes a slot that is free, for a call that is made now; nobody tells its answer.

        Where the pace is one a second, it is taken to come within a tenth of that.
        """
        self._answered.append(now + min(answered_within, self._period / 10))

    def undraw(self, now: float, *, held_until: float) -> None:
        """Slack refused the call that was drawn last: see `refused`."""
        if self._answered:
            self._answered.pop()
        self.take(now)
        self.refused(now, until=held_until)

    def like(self, state: Mapping[str, Any], offset: float) -> "Window":
        """One with these limits and what several processes know together; `state` made it."""
        window = Window(self._documented, self._period, is_hardy=self._is_hardy)
        if state:
            window.adopt(state, offset)
        return window

    @property
    def mark(self) -> object:
        """Another one after each call that was made, answered or refused."""
        newest = self._answered[-1] if self._answered else None
        return newest, self._under_way, self._believed, self._held_until

    def state(self, offset: float) -> dict[str, Any]:
        """All but the calls under way, for a clock that is ``offset`` ahead."""
        return {
            "answered": [at + offset for at in self._answered],
            # What is documented may be another number in the process that reads this.
            "believed": None if self._believed == self._documented else self._believed,
            "patience": self._patience,
            "rises_at": None if self._rises_at == inf else self._rises_at + offset,
            "held_until": None if self._held_until == -inf else self._held_until + offset,
        }

    def left_behind(self, now: float, offset: float) -> dict[str, Any]:
        """`state` for the next process: calls under way count as answered ``now``."""
        state = self.state(offset)
        state["answered"] += [now + offset] * self._under_way
        return state

    def adopt(self, state: Mapping[str, Any], offset: float) -> None:
        """What several processes know together. Own calls under way are among those."""
        answered = sorted(at - offset for at in state["answered"])
        self._answered = deque(answered[: max(0, len(answered) - self._under_way)])
        self._believed = min(state["believed"] or self._documented, self._documented)
        self._patience = state["patience"]
        rises_at, held_until = state["rises_at"], state["held_until"]
        self._rises_at = inf if rises_at is None else rises_at - offset
        self._held_until = -inf if held_until is None else held_until - offset

    @property
    def _unused(self) -> int:
        """Slots that nothing holds; below 0 where the belief was lowered meanwhile."""
        return self._believed - len(self._answered) - self._under_way

    def is_idle(self, now: float) -> bool:
        return self.free(now) == self._documented

    def _forget(self, now: float) -> None:
        while self._answered and self._answered[0] + self._period <= now:
            self._answered.popleft()
        if now >= self._rises_at:
            rise = self._believed // (3 if self._is_hardy else 10)
            self._believed = min(self._documented, self._believed + max(1, rise))
            is_restored = self._believed == self._documented
            self._rises_at = inf if is_restored else now + self._patience
            self._patience = MINUTE if is_restored else self._patience

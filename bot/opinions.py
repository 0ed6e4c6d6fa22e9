"""What people think of answers: who found which one good or bad, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bot.messages import TurnKey


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one person thinks of one answer."""

    at: datetime  # UTC
    key: TurnKey  # of the turn
    attempt: int  # of the turn, whose text the person saw
    user: str
    is_good: bool
    reason: str | None = None  # in the person's words


@dataclass(frozen=True, slots=True)
class Tally:
    """How many found answers good or bad."""

    channel: str  # "": all of them
    good: int
    bad: int

    @property
    def count(self) -> int:
        return self.good + self.bad

    @property
    def share(self) -> float:
        """Of the good ones, 0 to 1."""
        return self.good / self.count if self.count else 0.0


def tally_of(tallies: Iterable[Tally], channel: str = "") -> Tally:
    """All in one."""
    good = bad = 0
    for tally in tallies:
        good, bad = good + tally.good, bad + tally.bad
    return Tally(channel, good, bad)

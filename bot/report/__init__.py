"""What answers cost, as an admin reads it: sums with their shares, and where they rise.

`table`, `sheet` and `document` write it as text, CSV and JSON, `page` as a page with charts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from math import inf
from typing import Literal

from bot.messages import plain_name
from bot.opinions import Tally
from bot.periods import Period
from bot.usage import FORGOTTEN_DM, FORGOTTEN_USER, By, Total, total_of

Measure = Literal["cost", "tokens", "answers"]

DIRECT = "direct message"  # where nobody knows with whom
FORGOTTEN = "(forgotten)"


@dataclass(frozen=True)
class Report:
    """Sums over a period, and over as much time before it.

    ``names`` are those of channels and people by id. They are what people chose: see `label`.
    """

    period: Period
    by: tuple[By, ...]
    totals: Sequence[Total]
    earlier: Sequence[Total] | None  # by the same, but never by day; None: there is no time before
    names: Mapping[str, str] = field(default_factory=dict)
    made_at: datetime | None = None
    tallies: Sequence[Tally] | None = None  # of what people think, by channel; None: not asked

    @cached_property
    def whole(self) -> Total:
        return total_of(self.totals)

    @cached_property
    def whole_earlier(self) -> Total | None:
        return None if self.earlier is None else total_of(self.earlier)

    @cached_property
    def measure(self) -> Measure:
        """What shares and trends are of: money where there is a price for any of it."""
        if self.whole.cost:
            return "cost"
        return "tokens" if self.whole.tokens else "answers"

    @cached_property
    def rows(self) -> list["Row"]:
        """Days in order, then whatever has most first; none where nothing is recorded."""
        earlier = {total.group: total for total in self.earlier or ()}
        rows = [
            Row(
                total,
                tuple(map(self.label, self.by, total.group)),
                earlier.get(total.group, Total()) if self.has_trends else None,
            )
            for total in self.totals
            if total.answers or total.others
        ]
        return sorted(rows, key=self._place)

    @property
    def has_trends(self) -> bool:
        """Row by row. A day has none: the days before are other days."""
        return self.earlier is not None and "day" not in self.by

    def share(self, total: Total) -> float | None:
        """Of the whole, 0 to 1; None where it is not known."""
        whole, part = amount(self.whole, self.measure), amount(total, self.measure)
        return None if part is None or not whole else float(part / whole)

    def trend(self, total: Total, earlier: Total | None) -> float | None:
        """By how much more it is than before, as a share of that; infinite where that was none."""
        if earlier is None:
            return None
        now, then = amount(total, self.measure), amount(earlier, self.measure)
        if now is None or (not now and not then):
            return None
        return float(now / then) - 1 if then else inf

    def label(self, by: By, value: str) -> str:
        """What a person reads in the place of an id."""
        if value == FORGOTTEN_USER:
            return FORGOTTEN
        if value == FORGOTTEN_DM:
            return f"{DIRECT} {FORGOTTEN}"
        name = self.names.get(value)
        if name is None or by not in ("channel", "user"):
            return value
        return plain_name(name) if by == "user" or is_direct(value) else f"#{plain_name(name)}"

    def _place(self, row: "Row") -> tuple[str, Decimal, int, int, tuple[str, ...]]:
        total = row.total
        day = total.group[self.by.index("day")] if "day" in self.by else ""
        return (day, -(total.cost or Decimal()), -total.tokens, -total.answers, row.labels)


@dataclass(frozen=True, slots=True)
class Row:
    """One group, what it is called, and what it was before; None where that is not told."""

    total: Total
    labels: tuple[str, ...]
    earlier: Total | None


def is_direct(channel: str) -> bool:
    return channel.startswith("D")


def amount(total: Total, measure: Measure) -> Decimal | None:
    """None where nobody knows."""
    if measure == "cost":
        return Decimal() if total.cost is None and not is_partial(total) else total.cost
    return Decimal(total.tokens if measure == "tokens" else total.answers)


def is_partial(total: Total) -> bool:
    """Its cost is at least so much: something in it has no known one."""
    return bool(total.unpriced or total.unreported)


def notes(total: Total) -> list[str]:
    """What the sums do not hold, or hold though it is not certain; each a sentence."""
    found = []
    if total.estimated:
        found.append(
            f"The tokens of {counted(total.estimated, 'record')} are estimated: the provider never "
            "reported them, mostly because a stream broke."
        )
    if total.unreported:
        found.append(
            f"Of {counted(total.unreported, 'record')} nobody knows the tokens: they are in no sum."
        )
    if total.unpriced:
        found.append(
            f"{counted(total.unpriced, 'record')} have no known cost, as their models have no "
            "price: name one in PRICES_FILE. What is recorded already stays without."
        )
    if total.others:
        calls = counted(total.others, "call")
        found.append(f"{calls} to the model beside the answers: in the tokens and the cost.")
    if total.resumed:
        were = "was" if total.resumed == 1 else "were"
        found.append(
            f"{counted(total.resumed, 'answer')} {were} begun again after a process stopped or "
            "died, and counted once more."
        )
    return found


def tally_in_words(tally: Tally) -> str:
    """``83 % of 12 answers good (10 good, 2 bad)``."""
    answers = "1 answer" if tally.count == 1 else f"{tally.count:,} answers"
    return (
        f"{share_in_words(tally.share)} of {answers} good ({tally.good:,} good, {tally.bad:,} bad)"
    )


def share_in_words(share: float | None) -> str:
    """``34 %``, ``<1 %``."""
    if share is None:
        return "-"
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def trend_in_words(trend: float | None) -> str:
    """``+12 %``, ``new``, ``×11``; beyond a hundred times, how many says nothing."""
    if trend is None:
        return "-"
    if trend == inf:
        return "new"
    if trend >= 9.5:
        return f"×{trend + 1:.0f}" if trend < 99 else ">×100"
    return f"{trend * 100:+.0f} %".replace("-0 ", "+0 ")


def counted(count: int, noun: str) -> str:
    """``1 answer``, ``1,200 answers``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

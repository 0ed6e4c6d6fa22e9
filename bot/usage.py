"""What answers cost, in sums: which records, grouped how; and one record in words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Literal, get_args

from bot.messages import Usage, UsageRecord

# By what sums can be grouped: several at once, in any order.
By = Literal["channel", "user", "model", "day", "outcome"]
BY: tuple[By, ...] = get_args(By)

# How much is counted of each group: what was used and paid; also how answers ended; also how long
# people waited for them. What is not counted is 0 in a `Total`, and unknown in its `Usage`.
Detail = Literal["used", "ended", "waited"]

NOTHING = Usage()

# In the place of ids of people who are to be forgotten, and of their direct messages.
FORGOTTEN_USER = "UFORGOTTEN"
FORGOTTEN_DM = "DFORGOTTEN"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are summed; None and () exclude nothing. Days are those of ``zone``."""

    since: datetime | None = None
    until: datetime | None = None  # no longer in it
    team: str | None = None
    channels: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Total:
    """The sums of one group of records. What nobody knows is in no sum, but counted by itself.

    A record is one attempt at an answer, or another call to the model. Each attempt is an answer
    of its own here, also where somebody asked for it anew; ``resumed`` counts those that go on for
    a process that stopped or died.
    """

    group: tuple[str, ...] = ()  # one value for each thing that it is grouped by
    answers: int = 0
    complete: int = 0
    cut: int = 0
    stopped: int = 0
    failed: int = 0
    resumed: int = 0  # among the answers
    others: int = 0  # calls to the model that were no answers
    unreported: int = 0  # records of which nobody knows the tokens
    estimated: int = 0  # whose tokens are estimated
    unpriced: int = 0  # whose model has no known price
    usage: Usage = NOTHING
    cost: Decimal | None = None  # US dollars; None: nothing in it has a price
    waits: int = 0  # answers that showed anything
    seconds_waited: float = 0.0  # for the first words of them, in all

    @property
    def tokens(self) -> int:
        return (self.usage.input_tokens or 0) + (self.usage.output_tokens or 0)

    @property
    def seconds_to_first_words(self) -> float | None:
        """On average."""
        return self.seconds_waited / self.waits if self.waits else None

    def __add__(self, other: "Total") -> "Total":
        """The sums of both, of no group."""
        # Spelled out, as tens of thousands are added for a page: a loop over fields takes thrice.
        return Total(
            (),
            self.answers + other.answers,
            self.complete + other.complete,
            self.cut + other.cut,
            self.stopped + other.stopped,
            self.failed + other.failed,
            self.resumed + other.resumed,
            self.others + other.others,
            self.unreported + other.unreported,
            self.estimated + other.estimated,
            self.unpriced + other.unpriced,
            self.usage + other.usage,
            _sum(self.cost, other.cost),
            self.waits + other.waits,
            self.seconds_waited + other.seconds_waited,
        )


# Waiting for the first words is counted in steps: so many milliseconds wide, up to so many. What
# takes longer is in a last step without an end.
WAIT_STEPS = ((100, 2_000), (500, 10_000), (5_000, 120_000))


def wait_within(waits: Counter[int], share: float) -> float | None:
    """Seconds within which that share of answers showed their first words, up to half a step off.

    ``waits`` counts answers by the number of the step.
    """
    wanted = share * waits.total()
    if not wanted:
        return None
    ends = list(_wait_ends())
    seen = 0
    for step, count in sorted(waits.items()):
        if seen + count >= wanted:
            low, high = (ends[step - 1] if step else 0.0), ends[min(step, len(ends) - 1)]
            return low + (high - low) * (wanted - seen) / count
        seen += count
    return ends[-1]


def _wait_ends() -> Iterator[float]:
    """Where each step ends, in seconds."""
    at = 0
    for width, end in WAIT_STEPS:
        while at < end:
            at += width
            yield at / 1_000


def total_of(totals: Sequence[Total]) -> Total:
    """The sums of all, of no group."""
    return sum(totals, Total())


def grouped(totals: Sequence[Total], *columns: int) -> list[Total]:
    """Sums over all but these columns of the groups, in the order in which they first come."""
    sums: dict[tuple[str, ...], Total] = {}
    for total in totals:
        group = tuple(total.group[column] for column in columns)
        sums[group] = sums.get(group, Total()) + total
    return [replace(total, group=group) for group, total in sums.items()]


def in_words(record: UsageRecord) -> str:
    """One record as ``name: value`` lines."""
    fields: dict[str, Any] = record.fields() | {
        "is_resumed": "yes" if record.is_resumed else "no",
        "is_estimate": "yes" if record.is_estimate else "no",
        "cost": None if record.cost is None else f"${record.cost.normalize():f}",
        "seconds": f"{record.seconds:.2f}",
        "seconds_to_first_delta": None
        if record.seconds_to_first_delta is None
        else f"{record.seconds_to_first_delta:.2f}",
    }
    width = max(map(len, fields))
    return "\n".join(
        f"{name.ljust(width)}  {'unknown' if value is None else value}"
        for name, value in fields.items()
    )


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return other if one is None else one if other is None else one + other

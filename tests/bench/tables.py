"""What is printed: figures with their targets, and a table of the loads."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from tests.bench.loads import Outcome
from tests.bench.patterns import STREAM, TIMER
from tests.bench.stage import OURS

NAMES = {OURS: "this bot", TIMER: "an edit a second", STREAM: "chat_stream of the SDK"}
MISSED = "MISSED"
# What rounding may hide: posted whole is behind by exactly half the stream.
_ROUNDING = 0.01


@dataclass(frozen=True)
class Figure:
    what: str
    measured: str
    target: str = "-"
    is_met: bool = True


@dataclass(frozen=True)
class Cell:
    """A value with its target, if it has one."""

    measured: str
    target: str = ""
    is_met: bool = True

    def __str__(self) -> str:
        target = f" ({self.target})" if self.target else ""
        return f"{self.measured}{target}" + ("" if self.is_met else f" {MISSED}")


def figure_lines(figures: Sequence[Figure]) -> list[str]:
    rows = [("figure", "measured", "target", "")]
    for each in figures:
        rows.append((each.what, each.measured, each.target, "" if each.is_met else MISSED))
    return _aligned(rows)


def outcome_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """A row for each load; targets in brackets. A pattern bot has none."""
    heads = (
        "load",
        "answered by",
        "limits",
        "complete",
        "refused",
        "behind, median",
        "model's end to whole text, p95",
    )
    rows = [(o.load.title, NAMES[o.module], o.form, *map(str, cells(o))) for o in outcomes]
    return _aligned([heads, *rows])


def is_met(outcome: Outcome) -> bool:
    return all(cell.is_met for cell in cells(outcome))


def cells(outcome: Outcome) -> tuple[Cell, Cell, Cell, Cell]:
    """Complete, refused, behind, and from the model's end to the whole text."""
    complete = f"{outcome.complete} of {outcome.load.answers}"
    refused = sum(outcome.refused.values())
    if outcome.module != OURS:
        return (
            Cell(complete),
            Cell(f"{refused}"),
            Cell(in_seconds(outcome.behind)),
            Cell(in_seconds(outcome.after_end)),
        )
    behind, most_behind = outcome.behind, outcome.most_behind
    after_end, most_after_end = outcome.after_end, outcome.most_after_end
    worst = max(outcome.refused.values(), default=0)
    most_refused = outcome.load.most_refused
    return (
        Cell(complete, "all", outcome.complete == outcome.load.answers),
        Cell(
            _by_method(outcome),
            f"{most_refused} a method" if most_refused else "0",
            worst <= most_refused,
        ),
        Cell(in_seconds(behind))
        if most_behind is None
        else Cell(in_seconds(behind), in_seconds(most_behind), behind <= most_behind + _ROUNDING),
        Cell(in_seconds(after_end), in_seconds(most_after_end), after_end <= most_after_end),
    )


def _by_method(outcome: Outcome) -> str:
    return (
        " + ".join(
            f"{count} {method.removeprefix('chat.')}" for method, count in outcome.refused.items()
        )
        or "0"
    )


def in_seconds(value: float) -> str:
    return "never" if value == inf else f"{value:.2f} s"


def in_ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]

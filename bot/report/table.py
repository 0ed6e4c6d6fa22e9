"""A report as text for a terminal."""

import unicodedata
from collections.abc import Sequence

from bot import money
from bot.opinions import tally_of
from bot.report import (
    Report,
    Row,
    is_partial,
    notes,
    share_in_words,
    tally_in_words,
    trend_in_words,
)
from bot.usage import Total

# Left out where there is nothing in them.
SPARSE = ("cut", "stopped", "failed", "cached", "reasoning")


def table(report: Report) -> str:
    """A line for each group and one for all, numbers to the right; then what is to be known."""
    if not report.rows:
        return f"No answers are recorded: {report.period.in_words}."
    rows = [cells(report, row) for row in report.rows]
    if len(rows) > 1:
        rows.append(cells(report, whole_row(report)))
    lines = aligned([heads(report), *rows], left=len(report.by))
    return "\n".join([_headline(report), "", *lines, *_footnotes(report)])


def heads(report: Report) -> list[str]:
    trend = ["trend"] if report.has_trends else []
    return [*report.by, *_columns(report.whole), "cost", "share", *trend]


def cells(report: Report, row: Row) -> list[str]:
    """As many as `heads`."""
    counts = _counts(row.total)
    trend = [trend_in_words(report.trend(row.total, row.earlier))] if report.has_trends else []
    return [
        *map(printable, row.labels),
        *(_number(counts[name]) for name in _columns(report.whole)),
        _cost(report, row.total),
        share_in_words(report.share(row.total)),
        *trend,
    ]


def whole_row(report: Report) -> Row:
    labels = ("all", *("" for _ in report.by[1:])) if report.by else ()
    return Row(report.whole, labels, report.whole_earlier)


def _headline(report: Report) -> str:
    compared = f", compared with {report.period.before_in_words}" if report.has_trends else ""
    return f"{report.period.in_words}{compared}"


def _footnotes(report: Report) -> list[str]:
    found = notes(report.whole)
    if is_partial(report.whole):
        found.append("A cost with a + is at least so much.")
    if report.measure != "cost":
        found.append(f"Shares and trends are of {report.measure}, as nothing has a known cost.")
    opinions = tally_of(report.tallies or ())
    if opinions.count:
        found.append(f"People found {tally_in_words(opinions)}.")
    return ["", *found] if found else []


def _columns(whole: Total) -> dict[str, int | None]:
    """The counts that are shown, in this order."""
    return {name: value for name, value in _counts(whole).items() if value or name not in SPARSE}


def _counts(total: Total) -> dict[str, int | None]:
    return {
        "answers": total.answers,
        "complete": total.complete,
        "cut": total.cut,
        "stopped": total.stopped,
        "failed": total.failed,
        "input": total.usage.input_tokens,
        "cached": total.usage.cached_tokens,
        "output": total.usage.output_tokens,
        "reasoning": total.usage.reasoning_tokens,
    }


def _cost(report: Report, total: Total) -> str:
    mark = "+" if is_partial(total) else " " if is_partial(report.whole) else ""
    return ("-" if total.cost is None else money.in_words(total.cost)) + mark


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def printable(text: str) -> str:
    """Without what would move a terminal's cursor, or turn the letters after it around."""
    return "".join(c if c.isprintable() else "?" for c in text)


def aligned(rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Lines in which columns stand below each other, the first ones to the left."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell + " " * (width - _width(cell))
            if number < left
            else " " * (width - _width(cell)) + cell
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _width(text: str) -> int:
    """In columns of a terminal, in which Chinese, Japanese and Korean letters take two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )

"""A report as CSV for spreadsheets and programs."""

import csv
from io import StringIO

from bot.report import Report, Row
from bot.usage import Total

# With which a cell would be a formula to a spreadsheet, or run a program when it is opened
# (owasp.org, CSV injection). An apostrophe before them makes it text.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")


def sheet(report: Report) -> str:
    """A line for each group under one of names. Numbers are bare, costs in US dollars.

    What is not known is empty.
    """
    written = StringIO()
    writer = csv.writer(written)  # its line ends are CRLF (RFC 4180)
    heads = [head for by in report.by for head in _heads(by)]
    earlier = ["earlier_answers", "earlier_tokens", "earlier_cost"] if report.has_trends else []
    writer.writerow([*heads, *numbers(Total()), *earlier])
    for row in report.rows:
        writer.writerow([*_labels(report, row), *numbers(row.total).values(), *_earlier(row)])
    return written.getvalue()


def numbers(total: Total) -> dict[str, int | str | None]:
    """All there is to know of a group. Money as text: it has more decimals than floats can hold."""
    wait = total.seconds_to_first_words
    return {
        "answers": total.answers,
        "complete": total.complete,
        "cut": total.cut,
        "stopped": total.stopped,
        "failed": total.failed,
        "resumed": total.resumed,
        "other_calls": total.others,
        "input_tokens": total.usage.input_tokens,
        "cached_tokens": total.usage.cached_tokens,
        "output_tokens": total.usage.output_tokens,
        "reasoning_tokens": total.usage.reasoning_tokens,
        "cost": None if total.cost is None else f"{total.cost.normalize():f}",
        "records_without_tokens": total.unreported,
        "records_with_estimated_tokens": total.estimated,
        "records_without_price": total.unpriced,
        "seconds_to_first_words": None if wait is None else f"{wait:.3f}",
    }


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _heads(by: str) -> list[str]:
    return [by, f"{by}_name"] if by in ("channel", "user") else [by]


def _labels(report: Report, row: Row) -> list[str]:
    cells = []
    for by, value, label in zip(report.by, row.total.group, row.labels, strict=True):
        cells.append(harmless(value))
        if by in ("channel", "user"):
            cells.append("" if label == value else harmless(label))
    return cells


def _earlier(row: Row) -> list[int | str | None]:
    if row.earlier is None:
        return []
    return [row.earlier.answers, row.earlier.tokens, numbers(row.earlier)["cost"]]

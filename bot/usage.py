"""Usage as tables for people: sums of `UsageRecord`s, and one record in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.messages import Usage, UsageRecord


@dataclass(frozen=True, slots=True)
class Total:
    """The sums of one channel. Tokens that were never reported are in no sum."""

    channel: str
    answers: int
    complete: int
    unreported: int  # answers for which the provider reported no tokens
    usage: Usage


def table(totals: Sequence[Total]) -> str:
    """A line for each channel and one for all, numbers to the right."""
    if not totals:
        return "No answers are recorded yet."
    heads = ("channel", "answers", "complete", "input", "cached", "output", "reasoning")
    rows = [heads, *(_cells(total) for total in totals)]
    if len(totals) > 1:
        rows.append(_cells(total_of(totals)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    unreported = sum(total.unreported for total in totals)
    if unreported:
        answers = "1 answer" if unreported == 1 else f"{unreported:,} answers"
        lines.append(f"\nThe tokens of {answers} were not reported and are not counted.")
    return "\n".join(lines)


def total_of(totals: Sequence[Total]) -> Total:
    return Total(
        "all",
        sum(total.answers for total in totals),
        sum(total.complete for total in totals),
        sum(total.unreported for total in totals),
        sum((total.usage for total in totals), Usage()),
    )


def in_words(record: UsageRecord) -> str:
    """One record as ``name: value`` lines."""
    fields = record.fields() | {
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


def _cells(total: Total) -> tuple[str, ...]:
    usage = total.usage
    return (
        total.channel,
        f"{total.answers:,}",
        f"{total.complete:,}",
        *(
            "-" if tokens is None else f"{tokens:,}"
            for tokens in (
                usage.input_tokens,
                usage.cached_tokens,
                usage.output_tokens,
                usage.reasoning_tokens,
            )
        ),
    )

"""A report as JSON for programs."""

import json
from typing import Any

from bot.opinions import Tally
from bot.report import Report, Row
from bot.report.sheet import numbers
from bot.usage import Total


def document(report: Report) -> str:
    """One object. What is not known is null; costs are exact, in US dollars, as text."""
    period = report.period
    return json.dumps(
        {
            "period": {
                "first_day": period.first and period.first.isoformat(),
                "last_day": period.last.isoformat(),
                "time_zone": str(period.zone),
            },
            "made_at": report.made_at and report.made_at.isoformat(),
            "by": report.by,
            "rows": [_row(report, row) for row in report.rows],
            "total": _numbers(report.whole),
            "earlier_total": report.whole_earlier and _numbers(report.whole_earlier),
            "opinions": report.tallies and [_opinions(report, tally) for tally in report.tallies],
        },
        indent=2,
        ensure_ascii=False,
    )


def _row(report: Report, row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = dict(zip(report.by, row.total.group, strict=True))
    for by, value, label in zip(report.by, row.total.group, row.labels, strict=True):
        if label != value:
            fields[f"{by}_name"] = label
    fields |= _numbers(row.total) | {"share": report.share(row.total)}
    return fields | ({"earlier": _numbers(row.earlier)} if row.earlier else {})


def _opinions(report: Report, tally: Tally) -> dict[str, Any]:
    label = report.label("channel", tally.channel)
    name = {} if label == tally.channel else {"channel_name": label}
    return {"channel": tally.channel, **name, "good": tally.good, "bad": tally.bad}


def _numbers(total: Total) -> dict[str, Any]:
    wait = total.seconds_to_first_words
    return numbers(total) | {"seconds_to_first_words": wait and round(wait, 3)}

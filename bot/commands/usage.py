"""``python -m bot usage``: what answers cost, as a table, CSV, JSON or a page with charts."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from bot.commands import Refused, missing_database
from bot.commands.progress import Progress
from bot.periods import Period, period, zone_named
from bot.report import DIRECT, Report, is_direct
from bot.report.document import document
from bot.report.page import Overview, page
from bot.report.sheet import sheet
from bot.report.table import table
from bot.settings import ReportSettings
from bot.store import Ledger, Store, opened
from bot.usage import BY, By, Detail, Selection, Total, grouped

T = TypeVar("T")

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": table,
    "csv": sheet,
    "json": document,
}

# How much of it each reads of the ledger.
DETAILS: Mapping[str, Detail] = {
    "table": "ended",
    "csv": "waited",
    "json": "waited",
    "html": "ended",
}

EXAMPLES = """\
examples:
  python -m bot usage                                  the last 30 days by channel
  python -m bot usage --by user --since 2026-11        this November by person
  python -m bot usage --by day model --format csv --output usage.csv
  python -m bot usage --since 1month --format html --output usage.html
"""


def add_to(commands: Any) -> None:
    command = commands.add_parser(
        "usage",
        help="what answers cost: by channel, person, model, day",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--by", nargs="+", choices=BY, default=["channel"], metavar="WHAT", help=" ".join(BY)
    )
    command.add_argument(
        "--since", metavar="WHEN", help="2026-11-01, 2026-11, 7d, 2w, 1month, all (default: 30d)"
    )
    command.add_argument(
        "--until", metavar="WHEN", help="the last day, in the same forms (default: today)"
    )
    command.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="whose days: Europe/Berlin, ... (UTC)"
    )
    for name, what in (("channel", "channels"), ("user", "people"), ("model", "models")):
        command.add_argument(
            f"--{name}", nargs="+", default=[], metavar="ID", help=f"only these {what}"
        )
    command.add_argument("--team", metavar="ID", help="only this workspace")
    command.add_argument(
        "--format", choices=[*FORMATS, "html"], default="table", help="html: a page with charts"
    )
    command.add_argument("--output", metavar="FILE", help="write it there (default: print it)")
    command.add_argument("--ids", action="store_true", help="do not ask Slack for names")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> None:
    settings = ReportSettings.from_env(env)
    now = datetime.now(UTC)
    try:
        zone = zone_named(options.timezone)
        found = period(options.since, options.until, now=now, zone=zone, default="30d")
    except ValueError as error:
        raise Refused(f"The period is not clear: {error}.") from error
    if missing := missing_database(settings):
        print(f"No answers are recorded yet: there is no database {missing}.")
        return
    by = cast(tuple[By, ...], tuple(dict.fromkeys(options.by)))
    reading = Reading(options, settings, found, by, now)
    _write(asyncio.run(reading.written()), options.output)


@dataclass
class Reading:
    """One report, from the ledger to its text."""

    options: argparse.Namespace
    settings: ReportSettings
    period: Period
    by: tuple[By, ...]
    now: datetime
    progress: Progress = field(default_factory=Progress)
    steps: int = 2  # queries in all
    done: int = 0

    async def written(self) -> str:
        """:raises SQLAlchemyError: the database cannot be used."""
        try:
            async with opened(self.settings.database_url) as store:
                if self.options.format == "html":
                    self.steps = 6 if self.by == ("channel",) else 8
                    return page(await self._overview(store))
                report = await self._report(store)
                names = await self._names(store.ledger, (self.by, report.totals))
                return FORMATS[self.options.format](replace(report, names=names))
        finally:
            self.progress.clear()

    async def _report(self, store: Store) -> Report:
        detail = DETAILS[self.options.format]
        totals = await self._step(store.ledger.totals(self.by, self.selection, detail=detail))
        before = await self._earlier(store.ledger, self.by)
        return await self._reported(store, totals, before)

    async def _reported(
        self, store: Store, totals: Sequence[Total], before: Sequence[Total] | None
    ) -> Report:
        # What people think is not known by whose answer it is of, nor by which model.
        is_of_some = self.options.user or self.options.model
        tallies = None if is_of_some else await store.feedback.tally(self.selection)
        return Report(self.period, self.by, totals, before, {}, self.now, tallies)

    async def _overview(self, store: Store) -> Overview:
        selection, ledger = self.selection, store.ledger
        by_day = await self._step(ledger.totals(("day", "channel"), selection, detail="ended"))
        people = await self._step(ledger.totals(("user",), selection, detail="used"))
        models = await self._step(ledger.totals(("model",), selection, detail="used"))
        waits = await self._step(ledger.waits(selection))
        channels_before = await self._earlier(ledger, ("channel",))
        people_before = await self._earlier(ledger, ("user",))
        channels = grouped(by_day, 1)
        report = (
            await self._reported(store, channels, channels_before)
            if self.by == ("channel",)
            else await self._report(store)
        )
        names = await self._names(
            ledger, (self.by, report.totals), (("channel",), channels), (("user",), people)
        )
        return Overview(
            replace(report, names=names),
            by_day,
            people,
            models,
            waits,
            channels_before,
            people_before,
        )

    @property
    def selection(self) -> Selection:
        options = self.options
        return Selection(
            since=self.period.since,
            until=self.period.until,
            team=options.team,
            channels=tuple(options.channel),
            users=tuple(options.user),
            models=tuple(options.model),
            zone=self.period.zone,
        )

    async def _earlier(self, ledger: Ledger, by: Sequence[By]) -> list[Total] | None:
        """The time before, by the same but the day."""
        span = self.period.before(self.now)
        if span is None:
            return None
        selection = replace(self.selection, since=span[0], until=span[1])
        others = [each for each in by if each != "day"]
        detail: Detail = "waited" if self.options.format == "json" else "used"
        return await self._step(ledger.totals(others, selection, detail=detail))

    async def _step(self, query: Awaitable[T]) -> T:
        self.progress.show("reading the usage log", self.done, self.steps)
        self.done += 1
        return await query

    async def _names(
        self, ledger: Ledger, *groups: tuple[Sequence[By], Sequence[Total]]
    ) -> dict[str, str]:
        """Of the channels and people in these groups, those with most first."""
        if self.options.ids:
            return {}
        ids = list(dict.fromkeys(id for by, totals in groups for id in _ids(by, totals)))
        partners = await ledger.partners(self.selection) if any(map(is_direct, ids)) else {}
        names = await self._asked([*ids, *partners.values()])
        return names | {
            channel: f"{DIRECT} with {names.get(user, user)}" for channel, user in partners.items()
        }

    async def _asked(self, ids: Sequence[str]) -> dict[str, str]:
        """The names that Slack tells."""
        if not self.settings.slack_bot_token:
            return {}
        from bot.commands.names import names_of  # with Slack's SDK: it takes half a second

        names = await names_of(
            list(dict.fromkeys(ids)),
            self.settings,
            lambda done, of: self.progress.show("asking names", done, of),
        )
        self.progress.clear()
        for problem in names.problems:
            print(problem, file=sys.stderr)
        return names.known


def _ids(by: Sequence[By], totals: Sequence[Total]) -> Iterator[str]:
    """Of channels and people, those with most first."""
    columns = [number for number, each in enumerate(by) if each in ("channel", "user")]
    most = sorted(totals, key=lambda total: (total.cost or 0, total.tokens), reverse=True)
    for total in most if columns else ():
        yield from (total.group[column] for column in columns)


def _write(text: str, output: str | None) -> None:
    if output is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    try:
        # newline: the lines of CSV end as they are, on every system.
        Path(output).write_text(text if text.endswith("\n") else text + "\n", "utf-8", newline="")
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}.") from error

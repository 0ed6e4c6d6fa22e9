"""What was used, shown to whoever asks: their own to everybody, all of it to admins.

Who asks is looked up each time, and decides alone what they see: whatever a button or a menu
carries chooses a period and nothing else.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from bot.blocks import Json, escape, message, section
from bot.budgets import Use
from bot.errors import SlackRefused
from bot.interactions import Command, Press, Visit
from bot.opinions import Opinion, Tally
from bot.people import People
from bot.periods import DAY, Period, period
from bot.report import Report
from bot.report.sheet import sheet
from bot.usage import By, Detail, Selection, Total, grouped
from bot.usage_views import (
    PERIODS,
    Own,
    Workspace,
    file_message,
    help_message,
    own_home,
    own_message,
    workspace_home,
    workspace_message,
)
from bot.views import notice_message

DEFAULT = "this month"

LONGEST = 40  # characters of a period

# Of a CSV that Slack does not take as a file: the characters of each block, and how many blocks.
TEXT_BLOCK = 2_800
TEXT_BLOCKS = 10

REASONS = 3  # of people who found answers bad, the newest

ADMINS_ONLY = "Only admins see what others use."

NO_FILES = (
    "I may not send files: with the scope `files:write` this would have been one. "
    "Here are {shown} of its {lines} lines."
)

# Answers, of which each may be a line.
MOST_BY_DAY = 50_000

SHEET: tuple[By, ...] = ("day", "channel", "user", "model")


class Ledger(Protocol):
    async def totals(
        self, by: Sequence[By], selection: Selection, *, detail: Detail
    ) -> list[Total]:
        """The sums of each group, in no order."""


class Feedback(Protocol):
    async def tally(self, selection: Selection) -> list[Tally]: ...

    async def newest(
        self, selection: Selection, *, limit: int, is_explained: bool = False
    ) -> list[Opinion]: ...


class Budgets(Protocol):
    async def uses(self, team: str, channel: str, user: str, *, now: datetime) -> list[Use]:
        """The limits that hold for a question, and how much of each was used."""

    async def standing(self, team: str, *, now: datetime) -> list[Use]:
        """How much was used of each limit."""


class Surfaces(Protocol):
    """Every call may raise `Transient` or `SlackRefused`."""

    async def respond(
        self, response_url: str, message: dict[str, Any], *, replaces: bool = False
    ) -> None: ...

    async def show_home(self, user: str, view: dict[str, Any]) -> None: ...

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]:
        """The channel of the direct messages, and the message's ``ts``."""

    async def reply(self, channel: str, thread_ts: str, message: dict[str, Any]) -> None: ...

    async def upload(self, channel: str, thread_ts: str, *, name: str, content: bytes) -> None: ...


class Channels(Protocol):
    async def shown_there(self, channel: str) -> list[Json]:
        """What is set for a channel, for anybody there. May raise `Transient`."""


class Names(Protocol):
    async def names(self, users: Iterable[str]) -> dict[str, str]:
        """The display names of those whose name can be had. Raises nothing."""


async def written(report: Report) -> str:
    """As CSV, in a thread: many lines take a second."""
    return await asyncio.to_thread(sheet, report)


class UsageDesk:
    def __init__(
        self,
        team: str,
        *,
        people: People,
        ledger: Ledger,
        feedback: Feedback,
        budgets: Budgets,
        surfaces: Surfaces,
        names: Names,
        url: str = "",
        channels: Channels,
        write: Callable[[Report], Awaitable[str]] = written,
    ) -> None:
        """``url`` is the workspace's, for links to messages; ``write`` makes the CSV."""
        self._team = team
        self._people = people
        self._ledger = ledger
        self._feedback = feedback
        self._budgets = budgets
        self._surfaces = surfaces
        self._names = names
        self._url = url
        self._channels = channels
        self._write = write

    async def help(self, command: Command) -> None:
        """``/llm`` alone, or with words that mean nothing."""
        is_admin = await self._people.is_admin(command.user)
        here = await self._channels.shown_there(command.channel)
        shown = help_message(is_admin=is_admin, here=here)
        await self._surfaces.respond(command.response_url, shown)

    async def answer(self, command: Command, words: str) -> None:
        """``/llm usage``, perhaps with a period."""
        try:
            shown = await self._message(command.user, command.channel, words)
        except ValueError as error:
            shown = notice_message(f"The period is not clear: {error}.")
        await self._surfaces.respond(command.response_url, shown)

    async def choose(self, press: Press) -> None:
        """Another period, from the menu."""
        shown = await self._message(press.user, press.channel, _offered(press.value))
        await self._surfaces.respond(press.response_url, shown, replaces=True)

    async def send_sheet(self, press: Press) -> None:
        """The CSV, to an admin's direct messages."""
        if not await self._people.is_admin(press.user):
            await self._surfaces.direct(press.user, notice_message(ADMINS_ONLY))
            return
        now = datetime.now(UTC)
        try:
            span = asked_period(press.value[:LONGEST], now)
        except ValueError:
            span = asked_period(DEFAULT, now)
        report = await self._sheet(span, now)
        channel, ts = await self._surfaces.direct(press.user, file_message(report))
        text = await self._write(report)
        await self._send(channel, ts, text, name=f"usage-{span.first or 'all'}-{span.last}.csv")

    async def visit(self, visit: Visit) -> None:
        """The App Home, as it is now."""
        now = datetime.now(UTC)
        span = asked_period(DEFAULT, now)
        if await self._people.is_admin(visit.user):
            workspace = await self._workspace(span, now)
            own = await self._own_of(workspace, visit.user, "", now)
            view = workspace_home(workspace, own, asked=DEFAULT)
        else:
            view = own_home(await self._own(visit.user, "", span, now))
        await self._surfaces.show_home(visit.user, view)

    async def _message(self, user: str, channel: str, words: str) -> Json:
        """:raises ValueError: the period is not clear."""
        asked = " ".join(words.lower().split())[:LONGEST] or DEFAULT
        now = datetime.now(UTC)
        span = asked_period(asked, now)
        chosen = asked if asked in PERIODS else None
        if not await self._people.is_admin(user):
            return own_message(await self._own(user, channel, span, now), chosen=chosen)
        workspace = await self._workspace(span, now)
        own = await self._own_of(workspace, user, channel, now)
        return workspace_message(workspace, own, chosen=chosen, asked=asked)

    async def _own(self, user: str, channel: str, span: Period, now: datetime) -> Own:
        selection = self._selection(span)
        person, here = replace(selection, users=(user,)), replace(selection, channels=(channel,))
        return Own(
            await self._report(span, (), now, person),
            await self._report(span, (), now, here) if _is_shared(channel) else None,
            await self._uses(user, channel, now),
        )

    async def _own_of(self, workspace: Workspace, user: str, channel: str, now: datetime) -> Own:
        """The same, read off sums that are there already."""
        return Own(
            _picked(workspace.people, user),
            _picked(workspace.channels, channel) if _is_shared(channel) else None,
            await self._uses(user, channel, now),
        )

    async def _uses(self, user: str, channel: str, now: datetime) -> list[Use]:
        """The limits that are the person's, or the channel's."""
        uses = await self._budgets.uses(self._team, channel, user, now=now)
        scopes = ("person", "channel") if _is_shared(channel) else ("person",)
        return [use for use in uses if use.limit.subject.scope in scopes]

    async def _workspace(self, span: Period, now: datetime) -> Workspace:
        everybody = self._selection(span)
        places = await self._report(span, ("channel", "model"), now, everybody)
        return Workspace(
            channels=_regrouped(places, "channel"),
            people=await self._report(span, ("user",), now, everybody),
            models=_regrouped(places, "model"),
            days=await self._ledger.totals(("day",), everybody, detail="waited"),
            tallies=await self._feedback.tally(everybody),
            reasons=await self._feedback.newest(everybody, limit=REASONS, is_explained=True),
            url=self._url,
            uses=await self._budgets.standing(self._team, now=now),
        )

    async def _sheet(self, span: Period, now: datetime) -> Report:
        """By all there is; where that would be too many lines, not by day."""
        selection = self._selection(span)
        (whole,) = await self._ledger.totals((), selection, detail="used")
        by = SHEET if whole.answers <= MOST_BY_DAY else SHEET[1:]
        report = await self._report(span, by, now, selection, detail="waited")
        users = {total.group[by.index("user")] for total in report.totals}
        return replace(report, names=await self._names.names(users))

    async def _report(
        self,
        span: Period,
        by: tuple[By, ...],
        now: datetime,
        selection: Selection,
        *,
        detail: Detail = "used",
    ) -> Report:
        totals = await self._ledger.totals(by, selection, detail=detail)
        before = None if "day" in by else span.before(now)
        if before is None:
            return Report(span, by, totals, None)
        then = replace(selection, since=before[0], until=before[1])
        return Report(span, by, totals, await self._ledger.totals(by, then, detail="used"))

    def _selection(self, span: Period) -> Selection:
        return Selection(since=span.since, until=span.until, team=self._team, zone=span.zone)

    async def _send(self, channel: str, thread_ts: str, text: str, *, name: str) -> None:
        """As a file; as text where the app may not send any."""
        try:
            await self._surfaces.upload(channel, thread_ts, name=name, content=text.encode())
        except SlackRefused as error:
            if error.code != "missing_scope":
                raise
            await self._surfaces.reply(channel, thread_ts, as_text(text))


def asked_period(words: str, now: datetime) -> Period:
    """``today``, ``7d``, ``this month``, ``last month``, ``2026-10``, one date or two.

    :raises ValueError: saying what is wrong.
    """
    month = f"{now:%Y-%m}"
    if words == "this month":
        return period(month, None, now=now, default=month)
    if words == "last month":
        first = asked_period("this month", now).first
        assert first
        before = f"{first.replace(day=1) - DAY:%Y-%m}"
        return period(before, before, now=now, default=month)
    since, _, until = words.partition(" ")
    if re.fullmatch(r"\d+ ?[a-z]+|all", words):  # so far back from today
        return period(words, None, now=now, default=month)
    return period(since, until or since, now=now, default=month)


def as_text(text: str) -> Json:
    """As many of the lines as fit into a message."""
    lines = text.splitlines()
    blocks: list[str] = []
    shown = 0
    for line in map(escape, lines):
        if not blocks or len(blocks[-1]) + len(line) + 1 > TEXT_BLOCK:
            if len(blocks) == TEXT_BLOCKS or len(line) > TEXT_BLOCK:
                break
            blocks.append("")
        blocks[-1] += line + "\n"
        shown += 1
    words = NO_FILES.format(shown=shown, lines=len(lines))
    return message([section(words), *(section(f"```\n{block}```") for block in blocks)], text=words)


def _regrouped(report: Report, by: By) -> Report:
    """By one of the things that it is by, without reading all of it again."""
    column = report.by.index(by)
    earlier = None if report.earlier is None else grouped(report.earlier, column)
    return replace(report, by=(by,), totals=grouped(report.totals, column), earlier=earlier)


def _picked(report: Report, id: str) -> Report:
    """What somebody, or a channel, has in a report by people or by channels."""
    earlier = None if report.earlier is None else _of(report.earlier, id)
    return replace(report, by=(), totals=_of(report.totals, id), earlier=earlier)


def _of(totals: Sequence[Total], id: str) -> list[Total]:
    return [replace(total, group=()) for total in totals if total.group == (id,)] or [Total()]


def _is_shared(channel: str) -> bool:
    """Whether others are in it; "" is none."""
    return bool(channel) and not channel.startswith("D")


def _offered(value: str) -> str:
    return value if value in PERIODS else DEFAULT

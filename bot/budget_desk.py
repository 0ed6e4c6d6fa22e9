"""Limits of use: set and removed by admins, shown to those for whom they hold.

Whoever opens, chooses, sends or removes something is looked up each time. Nothing that a form
carries says who somebody is.
"""

import logging
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from bot import budget_views as views
from bot.blocks import Json
from bot.budgets import Change, Limit, Span, Subject, Unit, Use, why_not, why_not_there
from bot.channel_settings import ChannelSettings, models_chosen
from bot.interactions import Command, Press, Submission, Unfit
from bot.logs import event
from bot.people import People
from bot.prices import Prices
from bot.views import notice_message

log = logging.getLogger(__name__)


class Limits(Protocol):
    """Every call may raise `Transient`."""

    async def uses(self, team: str, channel: str, user: str, *, now: datetime) -> list[Use]: ...

    async def all(self, team: str) -> list[Limit]: ...

    async def standing(self, team: str, *, now: datetime) -> list[Use]: ...

    async def changes(self, team: str, *, most: int) -> list[Change]: ...

    async def set(self, team: str, limit: Limit, *, by: str, at: datetime) -> Limit | None:
        """What was set before."""

    async def remove(
        self, team: str, subject: Subject, every: Span, *, by: str, at: datetime
    ) -> Limit | None:
        """What was set."""


class Channels(Protocol):
    async def all(self, team: str) -> Mapping[str, ChannelSettings]:
        """What is set for channels. May raise `Transient`."""


class Surfaces(Protocol):
    """Every call may raise `Transient` or `SlackRefused`."""

    async def respond(
        self, response_url: str, message: dict[str, Any], *, replaces: bool = False
    ) -> None: ...

    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str: ...

    async def update_modal(self, view_id: str, view: dict[str, Any]) -> None: ...

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]: ...


class BudgetDesk:
    """``model`` is the one that answers: a limit in dollars needs a price for it."""

    def __init__(
        self,
        team: str,
        *,
        people: People,
        limits: Limits,
        channels: Channels,
        surfaces: Surfaces,
        model: str,
        prices: Prices,
    ) -> None:
        self._team = team
        self._people = people
        self._limits = limits
        self._channels = channels
        self._surfaces = surfaces
        self._model = model
        self._prices = prices

    async def answer(self, command: Command, _: str) -> None:
        """``/llm budget``: the form for an admin, for others what holds for them here."""
        if await self._people.is_admin(command.user):
            await self._surfaces.open_modal(command.trigger_id, await self._modal())
            return
        now = datetime.now(UTC)
        uses = await self._limits.uses(self._team, command.channel, command.user, now=now)
        own = [use for use in uses if use.limit.subject.scope != "workspace"]
        await self._surfaces.respond(command.response_url, views.own_budgets_message(own))

    async def open(self, press: Press) -> None:
        """The same form, from a button."""
        if await self._people.is_admin(press.user):
            await self._surfaces.open_modal(press.trigger_id, await self._modal())
        else:
            await self._surfaces.direct(press.user, notice_message(views.ADMINS_ONLY))

    async def choose(self, press: Press) -> None:
        """Whom the limit is for has been chosen: the form asks which channel, or who."""
        view = await self._modal_for(press.user, whom=press.value)
        await self._surfaces.update_modal(press.view_id, view)

    async def remove(self, press: Press) -> None:
        named = views.removed_from(press.value)
        said = ""
        if named and await self._people.is_admin(press.user):
            subject, every = named
            before = await self._limits.remove(
                self._team, subject, every, by=press.user, at=datetime.now(UTC)
            )
            if before:
                said = views.changed(subject, before, None)
                self._log(press.user, before.subject, every, "none")
        whom = press.entered.get(views.WHOM, "")
        view = await self._modal_for(press.user, whom=whom, said=said)
        await self._surfaces.update_modal(press.view_id, view)

    def submit(self, submission: Submission) -> Coroutine[Any, Any, Json]:
        """What is to be done, and then shown in the place of the form.

        :raises Unfit: the form cannot be taken as it is.
        """
        limit = views.limit_from(submission.entered, team=self._team)
        if problem := why_not(limit, self._model, self._prices):
            raise Unfit(views.UNIT, problem)
        return self._save(submission.user, limit, whom=submission.entered.get(views.WHOM, ""))

    async def _save(self, user: str, limit: Limit, *, whom: str) -> Json:
        if not await self._people.is_admin(user):
            return views.refused_modal(views.ADMINS_ONLY)
        if problem := await self._problem(limit):
            raise Unfit(views.UNIT, problem)
        before = await self._limits.set(self._team, limit, by=user, at=datetime.now(UTC))
        self._log(user, limit.subject, limit.every, limit.in_words)
        return await self._modal(whom=whom, said=views.changed(limit.subject, before, limit))

    async def _problem(self, limit: Limit) -> str | None:
        """With the models that channels have chosen."""
        limits = await self._limits.all(self._team)
        chosen = models_chosen(await self._channels.all(self._team))
        return why_not_there(limit, limits, chosen, self._prices)

    async def _modal_for(self, user: str, *, whom: str = "", said: str = "") -> Json:
        if await self._people.is_admin(user):
            return await self._modal(whom=whom, said=said)
        return views.refused_modal(views.ADMINS_ONLY)

    async def _modal(self, *, whom: str = "", said: str = "") -> Json:
        """For admins: it shows what each of them used for whom a limit is set."""
        unit: Unit = "dollars" if self._prices.of(self._model) else "tokens"
        budgets = views.Budgets(
            await self._limits.all(self._team),
            await self._limits.standing(self._team, now=datetime.now(UTC)),
            await self._limits.changes(self._team, most=views.MOST_CHANGES),
            unit,
        )
        return views.budgets_modal(budgets, whom=whom, said=said)

    def _log(self, user: str, subject: Subject, every: Span, limit: str) -> None:
        event(log, "budget.set", by=user, whom=subject.in_words, every=every, limit=limit)

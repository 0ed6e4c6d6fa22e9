"""The settings of channels: changed by admins and whoever made the channel, shown to anybody there.

Who opens or sends the form is looked up each time, for the channel that is about to change. Nothing
that a form carries says who somebody is or what they may do; nor does any message: settings change
by this form alone.
"""

import logging
from collections.abc import Collection, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol

from bot import channel_views as views
from bot.blocks import Json
from bot.budgets import Limit, why_not_model
from bot.channel_settings import Change, ChannelSettings, Offer, is_channel
from bot.errors import SlackRefused
from bot.interactions import Command, Press, Submission, Unfit
from bot.logs import event
from bot.people import People
from bot.prices import Prices
from bot.views import notice_message

log = logging.getLogger(__name__)

# Changes that are read to find out what somebody's form showed. Where more were made while it was
# open, all that differs is left to that person.
MOST_MEANWHILE = 50


class Channels(Protocol):
    """Every call may raise `Transient`."""

    async def of(self, team: str, channel: str) -> ChannelSettings: ...

    async def changes(self, team: str, channel: str, *, most: int) -> list[Change]: ...

    async def set(
        self, team: str, channel: str, after: ChannelSettings, *, seen: str, by: str, at: datetime
    ) -> bool:
        """In place of the settings with that digest. False: somebody has set others meanwhile."""


class Limits(Protocol):
    async def all(self, team: str) -> list[Limit]:
        """May raise `Transient`."""


class Surfaces(Protocol):
    """Every call may raise `Transient` or `SlackRefused`."""

    async def creator(self, channel: str) -> str | None:
        """Who made the channel; None: Slack does not say."""

    async def respond(
        self, response_url: str, message: dict[str, Any], *, replaces: bool = False
    ) -> None: ...

    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str: ...

    async def update_modal(self, view_id: str, view: dict[str, Any]) -> None: ...

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]: ...


class ChannelDesk:
    """``listed`` are the channels in which the operator lets the bot answer; none: all."""

    def __init__(
        self,
        team: str,
        *,
        people: People,
        channels: Channels,
        limits: Limits,
        surfaces: Surfaces,
        offer: Offer,
        prices: Prices,
        listed: Collection[str] = (),
    ) -> None:
        self._team = team
        self._people = people
        self._channels = channels
        self._limits = limits
        self._surfaces = surfaces
        self._offer = offer
        self._prices = prices
        self._listed = listed

    async def shown_there(self, channel: str) -> list[Json]:
        """What is set there, as ``/llm`` shows it to anybody; nothing of direct messages."""
        return views.in_words(await self._here(channel)) if is_channel(channel) else []

    async def answer(self, command: Command, _: str) -> None:
        """``/llm settings``: the form for whoever may change them, for others what is set."""
        if not is_channel(command.channel):
            await self._surfaces.respond(command.response_url, notice_message(views.NO_DIRECT))
        elif why_not := await self._why_not(command.user, command.channel):
            shown = views.settings_message(await self._here(command.channel), why_not)
            await self._surfaces.respond(command.response_url, shown)
        else:
            view = views.settings_modal(await self._here(command.channel))
            await self._surfaces.open_modal(command.trigger_id, view)

    async def open(self, press: Press) -> None:
        """The form: for a channel chosen in the App Home, or again where it has just been saved."""
        if press.is_home:
            await self._open_chosen(press)
        else:
            view = await self._form_for(press.user, press.value)
            await self._surfaces.update_modal(press.view_id, view)

    async def _open_chosen(self, press: Press) -> None:
        if not await self._people.is_admin(press.user):
            await self._surfaces.direct(press.user, notice_message(views.ADMINS_ONLY))
            return
        channel = press.entered.get(views.CHOSEN, "")
        if is_channel(channel):
            view = views.settings_modal(await self._here(channel))
        else:
            view = views.refused_modal(views.NONE_CHOSEN)
        await self._surfaces.open_modal(press.trigger_id, view)

    def submit(self, submission: Submission) -> Coroutine[Any, Any, Json]:
        """What is to be done, and then shown in the place of the form.

        :raises Unfit: the form cannot be taken as it is.
        """
        channel, seen = views.shown_in(submission.about)
        settings = views.settings_from(submission.entered, self._offer, seen=seen)
        return self._save(submission.user, channel, settings, seen)

    async def _save(self, user: str, channel: str, settings: ChannelSettings, seen: str) -> Json:
        """:raises Unfit: a budget holds that could not be kept with that model."""
        if refusal := await self._refusal(user, channel):
            return refusal
        if settings.model:
            limits = await self._limits.all(self._team)
            if problem := why_not_model(limits, channel, settings.model, self._prices):
                raise Unfit(views.block_of(views.MODEL, seen), problem)
        now = datetime.now(UTC)
        if not await self._channels.set(self._team, channel, settings, seen=seen, by=user, at=now):
            since = await self._since(channel, seen)
            return views.not_saved_modal(await self._here(channel), settings, since)
        event(
            log,
            "channel.set",
            by=user,
            channel=channel,
            is_allowed=settings.is_allowed,
            follows_up=settings.follows_up,
            model=settings.model,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            instructions=len(settings.instructions),  # characters: words are not for the log
        )
        return views.saved_modal(await self._here(channel))

    async def _form_for(self, user: str, channel: str) -> Json:
        refusal = await self._refusal(user, channel)
        return refusal or views.settings_modal(await self._here(channel))

    async def _refusal(self, user: str, channel: str) -> Json | None:
        """What is shown in the form's place to somebody who may not set that channel."""
        if not is_channel(channel):
            return views.refused_modal(views.NONE_CHOSEN)
        why_not = await self._why_not(user, channel)
        return views.refused_modal(why_not) if why_not else None

    async def _since(self, channel: str, seen: str) -> list[Change]:
        """What has been changed since the settings were those with that digest, the newest first;
        nothing where that is not known."""
        changes = await self._channels.changes(self._team, channel, most=MOST_MEANWHILE)
        for count, change in enumerate(changes, start=1):
            if change.before.digest == seen:
                return changes[:count]
        return []

    async def _here(self, channel: str) -> views.Here:
        return views.Here(
            channel,
            await self._channels.of(self._team, channel),
            self._offer,
            await self._channels.changes(self._team, channel, most=views.MOST_CHANGES),
            is_listed=not self._listed or channel in self._listed,
        )

    async def _why_not(self, user: str, channel: str) -> str | None:
        """Why somebody may not change the settings of a channel; None: they may.

        Whoever made it may, if they are a member of this workspace: a guest or somebody of another
        organisation has no say in what it pays for.
        """
        if await self._people.is_admin(user):
            return None
        person = await self._people.who(user)
        if person.is_guest or person.is_external:
            return views.NOT_YOURS
        try:
            creator = await self._surfaces.creator(channel)
        except SlackRefused as error:
            return views.NO_SCOPE if error.code == "missing_scope" else views.NOT_SHOWN
        return None if creator == user else views.NOT_YOURS

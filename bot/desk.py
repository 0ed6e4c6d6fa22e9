"""What people do besides writing is taken here, acknowledged at once, and seen to in a task."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.blocks import Json
from bot.errands import Errands
from bot.errors import BotError, SlackRefused
from bot.interactions import (
    Command,
    Interaction,
    Opening,
    Press,
    Shortcut,
    Submission,
    Unfit,
    Visit,
)
from bot.logs import broke, event
from bot.views import notice_message

log = logging.getLogger(__name__)

# Seconds that a form may keep its person waiting; Slack gives up after 3.
FORM_WITHIN = 2.0

# What is seen to when it is acknowledged.
_SeenTo = Command | Press | Visit | Opening | Shortcut

TOO_SLOW = "That took me too long: Slack opens a form only within 3 seconds. Please try again."
DONE = "Done."
NOT_SHOWN = "Slack did not let me show this. The reason is in my log."


# docs.slack.dev/surfaces/modals#close: all views of the person's stack.
CLOSED: Json = {"response_action": "clear"}


class Surfaces(Protocol):
    """Every call may raise `Transient` or `SlackRefused`."""

    async def respond(
        self, response_url: str, message: dict[str, Any], *, replaces: bool = False
    ) -> None: ...

    async def update_modal(self, view_id: str, view: dict[str, Any]) -> None: ...

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of modal. ``submit`` checks what was entered at once and returns the rest of the work,
    which ends in the view to show, or None: nothing but its closing. Both may find it `Unfit`.
    ``notice`` makes a view of a sentence.
    """

    submit: Callable[[Submission], Coroutine[Any, Any, Json | None]]
    notice: Callable[[str], Json]


@dataclass(frozen=True, slots=True)
class Routes:
    """Who sees to what. Commands get the words after their name."""

    help: Callable[[Command], Awaitable[None]]
    commands: Mapping[str, Callable[[Command, str], Awaitable[None]]] = field(default_factory=dict)
    presses: Mapping[str, Callable[[Press], Awaitable[None]]] = field(default_factory=dict)
    # Those that are written down first: their acknowledgement says that they are.
    written: Mapping[str, Callable[[Press], Awaitable[None]]] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(default_factory=dict)  # by callback_id
    shortcuts: Mapping[str, Callable[[Shortcut], Awaitable[None]]] = field(default_factory=dict)
    visit: Callable[[Visit], Awaitable[None]] | None = None
    opening: Callable[[Opening], Awaitable[None]] | None = None


class Desk:
    def __init__(self, routes: Routes, surfaces: Surfaces, errands: Errands) -> None:
        self._routes = routes
        self._surfaces = surfaces
        self._errands = errands

    async def take(self, interaction: Interaction) -> Json | None:
        """Returns what its acknowledgement says, if anything: at once, but for a form's answer.

        :raises Transient: it is not to be acknowledged, as it could not be written down.
        """
        if isinstance(interaction, Press) and interaction.action_id in self._routes.written:
            await self._routes.written[interaction.action_id](interaction)
            return None
        if isinstance(interaction, Submission):
            return await self._take_form(interaction)
        if work := self._work(interaction):
            self._errands.run(self._see_to(interaction, work))
        return None

    def _work(self, interaction: _SeenTo) -> Awaitable[None] | None:
        routes = self._routes
        match interaction:
            case Command():
                name, _, words = interaction.text.strip().partition(" ")
                command = routes.commands.get(name.lower())
                return command(interaction, words) if command else routes.help(interaction)
            case Press():
                press = routes.presses.get(interaction.action_id)
                return press(interaction) if press else None
            case Visit():
                return routes.visit(interaction) if routes.visit else None
            case Opening():
                return routes.opening(interaction) if routes.opening else None
            case Shortcut():
                shortcut = routes.shortcuts.get(interaction.callback_id)
                return shortcut(interaction) if shortcut else None

    async def _see_to(self, interaction: _SeenTo, work: Awaitable[None]) -> None:
        try:
            await work
        except BotError as error:
            event(log, "interaction.failed", level=logging.WARNING, reason=error)
            await self._tell(interaction, _sentence(error))
        except Exception as error:
            broke(log, "interaction.broke", error)
            await self._tell(interaction, BotError.sentence)

    async def _tell(self, interaction: _SeenTo, sentence: str) -> None:
        """Privately, where there is a way; whoever opens the App Home again sees it then."""
        if isinstance(interaction, Visit | Opening):
            return
        notice = notice_message(sentence)
        try:
            if interaction.response_url:
                await self._surfaces.respond(interaction.response_url, notice)
            else:
                await self._surfaces.direct(interaction.user, notice)
        except BotError as error:
            event(log, "person.not_told", level=logging.WARNING, reason=error)

    async def _take_form(self, submission: Submission) -> Json | None:
        form = self._routes.forms.get(submission.callback_id)
        if form is None:
            return None
        try:
            work = form.submit(submission)
        except Unfit as unfit:
            return _errors(unfit)
        saving = self._errands.run(self._shown(form, work))
        # Shielded: Slack's patience may end before it is done.
        await asyncio.wait({saving}, timeout=FORM_WITHIN)
        if saving.done():
            return _acknowledged(saving.result())
        self._errands.run(self._show_later(submission, form, saving))
        return _acknowledged(form.notice("Just a moment ..."))

    async def _shown(
        self, form: Form, work: Coroutine[Any, Any, Json | None]
    ) -> Json | Unfit | None:
        try:
            return await work
        except Unfit as unfit:
            return unfit
        except BotError as error:
            event(log, "form.failed", level=logging.WARNING, reason=error)
            return form.notice(_sentence(error))
        except Exception as error:
            broke(log, "form.broke", error)
            return form.notice(BotError.sentence)

    async def _show_later(
        self, submission: Submission, form: Form, saving: asyncio.Task[Json | Unfit | None]
    ) -> None:
        result = await saving
        # Its fields are gone by now, so the sentence stands alone.
        view = form.notice(str(result)) if isinstance(result, Unfit) else result
        view = view or form.notice(DONE)  # nothing closes a form that was acknowledged
        try:
            await self._surfaces.update_modal(submission.view_id, view)
        except BotError as error:
            event(log, "form.not_shown", level=logging.WARNING, reason=error)


def _acknowledged(result: Json | Unfit | None) -> Json:
    if result is None:
        return CLOSED
    if isinstance(result, Unfit):
        return _errors(result)
    return {"response_action": "update", "view": result}


def _errors(unfit: Unfit) -> Json:
    return {"response_action": "errors", "errors": unfit.errors}


def _sentence(error: BotError) -> str:
    if isinstance(error, SlackRefused):
        return TOO_SLOW if error.code == "expired_trigger_id" else NOT_SHOWN
    return error.sentence

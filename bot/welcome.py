"""What somebody finds in the direct messages with the bot before they have asked anything."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from bot.blocks import Json, message, section
from bot.errors import LACKING, RateLimited, SlackRefused, Transient
from bot.interactions import Opening
from bot.logs import event
from bot.retries import until_recorded

log = logging.getLogger(__name__)

# Ready-made questions, by what is read of them; at most four (docs.slack.dev/reference/methods/
# assistant.threads.setSuggestedPrompts). Each is asked as it stands, so it must need nothing more.
PROMPTS: Mapping[str, str] = {
    "Explain something": "Help me understand something. Ask me first what it is.",
    "Draft a message": "Help me write a message to my team. Ask me first what it is about.",
    "Shorten a text": "I will send you a text. Give me its points in a few short lines.",
    "Find a mistake": "I will send you some code or a formula. Find what is wrong with it.",
}

GREETING = (
    "Hello! I am a language model in Slack.\n"
    "• Ask me anything *here*: each message begins a thread, and in it I remember what was said.\n"
    "• *In a channel*, invite me and mention me; I read the thread, and answer in it.\n"
    "• While I write, *Stop* ends it. Edit your question, and I answer the new words.\n"
    "• `/llm` shows what you have used."
)

# Many people, without a look at the database each time one of them comes back.
REMEMBERED = 10_000


class Records(Protocol):
    async def greet(self, team: str, user: str) -> bool:
        """Whether that is to be done now, and by this process: it is written down as done, once
        and for all. False also for people who have asked before. May raise `Transient`."""

    async def ungreet(self, team: str, user: str) -> None:
        """It came to nothing. May raise `Transient`."""


class Surfaces(Protocol):
    """Every call may raise `Transient` or `SlackRefused`."""

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]: ...

    async def suggest(self, channel: str, prompts: list[dict[str, str]]) -> None: ...


class Welcome:
    """Slack tells of each look at the direct messages; most are of people who know the bot."""

    def __init__(
        self,
        team: str,
        *,
        records: Records,
        surfaces: Surfaces,
        may_ask: Callable[[str], Awaitable[bool]],
    ) -> None:
        """``may_ask`` tells of a person; where it raises `BotError`, that cannot be known."""
        self._team = team
        self._may_ask = may_ask
        self._records = records
        self._surfaces = surfaces
        self._known: set[str] = set()
        self._has_prompts = True  # as far as is known

    async def open(self, opening: Opening) -> None:
        await self._suggest(opening.channel)
        if opening.user not in self._known and await self._may_ask(opening.user):
            await self._greet(opening.user)

    async def _suggest(self, channel: str) -> None:
        if not self._has_prompts:
            return
        prompts = [{"title": title, "message": words} for title, words in PROMPTS.items()]
        try:
            await self._surfaces.suggest(channel, prompts)
        except SlackRefused as error:  # a workspace without, or a scope is missing
            self._has_prompts = error.code not in LACKING
            event(log, "prompts.refused", level=logging.WARNING, code=error.code)
        except Transient as error:  # they open it again
            event(log, "prompts.lost", reason=error)

    async def _greet(self, user: str) -> None:
        is_first = await until_recorded(lambda: self._records.greet(self._team, user))
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known.add(user)
        if not is_first:
            return
        try:
            await self._surfaces.direct(user, greeting())
        except RateLimited:  # certainly not there: next time
            await until_recorded(lambda: self._records.ungreet(self._team, user))
            self._known.discard(user)


def greeting() -> Json:
    return message([section(GREETING)], text=GREETING)

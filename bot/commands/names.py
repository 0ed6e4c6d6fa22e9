"""Names for the ids of a report, asked of Slack; what it does not tell stays an id."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from bot import features, web_api
from bot.errors import BotError, SlackRefused
from bot.settings import ReportSettings
from bot.turnstile import Budget

# Seconds for all of them: a report is not worth a longer wait.
NAMES_WITHIN = 30.0

# Calls a minute: half of what Slack allows, as the running bot lives on the same budget.
PEOPLE, CHANNELS = 48, 24

AT_ONCE = 6

# Errors that concern one id; any other would come for all (docs.slack.dev, users.info and
# conversations.info).
OF_ONE = frozenset({"user_not_found", "user_not_visible", "users_not_found", "channel_not_found"})

Heard = Callable[[int, int], None]  # told how many are known, and of how many


@dataclass
class Names:
    """Those that were had, and sentences on why others were not."""

    known: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


async def names_of(ids: Sequence[str], settings: ReportSettings, heard: Heard) -> Names:
    """Of people and channels, the first ones first. Raises nothing of Slack's."""
    names = Names()
    people = [id for id in ids if id.startswith(("U", "W"))]
    channels = [id for id in ids if id.startswith(("C", "G"))]
    if not settings.slack_bot_token or not (people or channels):
        return names
    token, api_url = settings.slack_bot_token, settings.slack_api_url
    try:
        async with (
            asyncio.timeout(NAMES_WITHIN),
            web_api.connected(token, api_url=api_url) as client,
        ):
            await asyncio.gather(
                _Lookups(client, names, heard, len(ids), "users.info", PEOPLE).run(people),
                _Lookups(client, names, heard, len(ids), "conversations.info", CHANNELS).run(
                    channels
                ),
            )
    except TimeoutError:
        left = len(people) + len(channels) - len(names.known)
        names.problems.append(f"{left} names could not be had within {NAMES_WITHIN:.0f} seconds.")
    return names


@dataclass
class _Lookups:
    """Of one kind of id, until Slack says something that holds for all of them."""

    client: AsyncWebClient
    names: Names
    heard: Heard
    count: int  # of both kinds
    method: str
    limit: int
    is_over: bool = False

    async def run(self, ids: Sequence[str]) -> None:
        gate, budget = asyncio.Semaphore(AT_ONCE), Budget(self.method, self.limit)

        async def one(id: str) -> None:
            async with gate:
                if not self.is_over:
                    await self._look_up(id, budget)

        await asyncio.gather(*map(one, ids))

    async def _look_up(self, id: str, budget: Budget) -> None:
        try:
            async with budget.turn():
                name = await web_api.name_of(self.client, id)
        except BotError as error:
            if not (isinstance(error, SlackRefused) and error.code in OF_ONE) and not self.is_over:
                self.is_over = True
                self.names.problems.append(self._in_words(error))
            return
        if name:
            self.names.known[id] = name
            self.heard(len(self.names.known), self.count)

    def _in_words(self, error: BotError) -> str:
        what = "people" if self.method == "users.info" else "channels"
        if isinstance(error, SlackRefused) and error.code == "missing_scope":
            scopes = "users:read" if what == "people" else features.in_words(features.INFO)
            return f"For names of {what} the app needs {scopes}: their ids are shown."
        return f"Slack does not tell the names of {what} ({error}): their ids are shown."

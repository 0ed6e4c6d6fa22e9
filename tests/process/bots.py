"""Several processes of one bot, and what an answer of theirs says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.playground.model.answers import prose
from tests.bot_process import BotProcess, started
from tests.chaos import records
from tests.chaos.records import Records
from tests.process.conftest import Stage, local_servers

TOKENS = 100
WORDS = "".join(prose(TOKENS)).split()


@dataclass
class Bots(Stage):
    """Several processes of one bot, on one database."""

    database_url: str = ""
    folder: Path = Path()
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    all: list[BotProcess] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "SLACK_API_URL": self.slack.api_url,
            "OPENAI_BASE_URL": self.model.base_url,
            "DATABASE_URL": self.database_url,
            "QUESTIONS_PER_MINUTE": "0",  # tests ask faster than any person
        }

    async def start(self) -> BotProcess:
        bot = await self.stack.enter_async_context(started(self.env, folder=self.folder))
        self.all.append(bot)
        await bot.says("bot.started")
        return bot

    async def holder(self, ts: str) -> BotProcess:
        """The process that accepted a question; it says so right after the ack."""
        await self.slack.until(lambda: all(each.acked for each in self.slack.deliveries))
        for bot in self.all:
            if any(found["ts"] == ts for found in bot.events("question.accepted")):
                return bot
        raise AssertionError(f"Nobody accepted {ts}.")

    async def books(self) -> Records:
        """The records, once no turn is under way any more."""
        async with asyncio.timeout(30):
            while await records.unfinished(self.database_url):  # noqa: ASYNC110 - a database
                await asyncio.sleep(0.02)
        return await records.read(self.database_url)

    def turn(self, ts: str) -> str:
        return f"{self.slack.team_id}:{self.places[ts]}:{ts}"


@asynccontextmanager
async def bots(database_url: str, folder: Path) -> AsyncIterator[Bots]:
    async with local_servers() as (slack, model), AsyncExitStack() as stack:
        none_yet: Any = None
        yield Bots(slack, model, none_yet, {}, database_url, folder, stack)

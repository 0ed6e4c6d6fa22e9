"""A workspace with the bot in it, for each test a new one."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.playground.model import LocalModel
from bot.playground.slack import LocalSlack
from tests.bot_process import BotProcess, running


@dataclass
class Stage:
    slack: LocalSlack
    model: LocalModel
    bot: BotProcess

    async def ask(self, text: str, *, channel: str = "general", **said: Any) -> str:
        """Ana mentions the bot; the ``ts`` of her message."""
        mention = f"<@{self.slack.bot_user_id}> {text}"
        return await self.slack.say(channel, said.pop("user", "Ana"), mention, **said)

    def replies(self, thread_ts: str, *, channel: str = "general") -> list[str]:
        """What the bot has said in a thread, message by message."""
        thread = self.slack.thread(channel, thread_ts)
        texts = self.slack.screen(channel, thread_ts)
        return [text for said, text in zip(thread, texts, strict=True) if self._is_bots(said)]

    async def whole(self, thread_ts: str, *, channel: str = "general", count: int = 1) -> str:
        """The bot's words in a thread once ``count`` replies there have had their last edit."""

        def is_whole() -> bool:
            thread = self.slack.thread(channel, thread_ts)
            return sum(map(self._is_last, thread)) >= count

        await self.slack.until(is_whole, timeout=30)
        return "\n\n".join(self.replies(thread_ts, channel=channel))

    def _is_bots(self, message: Mapping[str, Any]) -> bool:
        return message.get("user") == self.slack.bot_user_id

    def _is_last(self, message: Mapping[str, Any]) -> bool:
        payload = (message.get("metadata") or {}).get("event_payload") or {}
        return self._is_bots(message) and payload.get("is_last") is True


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(redelivery_after=(3.0, 0.2, 0.2, 0.2)) as server:
        yield server


@pytest.fixture
async def model() -> AsyncIterator[LocalModel]:
    async with LocalModel(tokens_per_second=400, first_token_after=0.05) as server:
        yield server


@pytest.fixture
async def stage(slack: LocalSlack, model: LocalModel, tmp_path: Path) -> AsyncIterator[Stage]:
    async with running(slack, model.base_url, folder=tmp_path, LOG_LEVEL="DEBUG") as bot:
        yield Stage(slack, model, bot)

"""A workspace with the bot in it, for each test a new one."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from bot.playground.model import LocalModel, Request
from bot.playground.slack import Limits, LocalSlack
from tests.bot_process import BotProcess, quick_starts, running


@dataclass
class Stage:
    slack: LocalSlack
    model: LocalModel
    bot: BotProcess
    places: dict[str, str] = field(default_factory=dict)  # the channel of each message

    async def say(
        self,
        text: str,
        *,
        user: str = "Ana",
        channel: str = "",
        in_thread: str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """Somebody says something; its ``ts``. In a new channel, unless another is named.

        ``files`` are what they attach, by name.

        Slack takes one post a second in a channel, and these tests should not wait for that.
        """
        place = self.places[in_thread] if in_thread else channel
        place = place or self.slack.add_channel(f"place-{len(self.places)}")
        attached = [self.slack.upload(user, name, data) for name, data in (files or {}).items()]
        ts = await self.slack.say(place, user, text, thread_ts=in_thread, files=attached)
        self.places[ts] = place
        return ts

    async def ask(self, text: str, **where: Any) -> str:
        """The same, with a mention of the bot."""
        return await self.say(f"<@{self.slack.bot_user_id}> {text}", **where)

    def thread(self, ts: str) -> list[Any]:
        return self.slack.thread(self.places[ts], ts)

    def status(self, ts: str) -> str:
        return self.slack.status(self.places[ts], ts)

    def reactions(self, ts: str) -> dict[str, list[str]]:
        return self.slack.reactions(self.places[ts], ts)

    def replies(self, ts: str) -> list[str]:
        """What the bot has said in a thread, message by message."""
        texts = self.slack.screen(self.places[ts], ts)
        said = zip(self.thread(ts), texts, strict=True)
        return [text for message, text in said if self._is_bots(message)]

    async def whole(self, ts: str, *, count: int = 1) -> str:
        """The bot's words in a thread once ``count`` replies there have had their last edit."""
        await self.slack.until(
            lambda: sum(map(self._is_last, self.thread(ts))) >= count, timeout=30
        )
        return "\n\n".join(self.replies(ts))

    def calls(self, method: str, thread_ts: str) -> int:
        """How often a method was called for the bot's messages in a thread."""
        own = {message["ts"] for message in self.thread(thread_ts)}
        return sum(
            call.method == method
            and (call.args.get("thread_ts") == thread_ts or call.args.get("ts") in own)
            for call in self.slack.calls
        )

    def requests(self, words: str) -> list[Request]:
        """What the model was asked in which the question holds these words."""
        return [request for request in self.model.requests if words in request.question]

    def _is_bots(self, message: Mapping[str, Any]) -> bool:
        return message.get("user") == self.slack.bot_user_id

    def _is_last(self, message: Mapping[str, Any]) -> bool:
        payload = (message.get("metadata") or {}).get("event_payload") or {}
        return self._is_bots(message) and payload.get("is_last") is True


@asynccontextmanager
async def local_servers(**slack: Any) -> AsyncIterator[tuple[LocalSlack, LocalModel]]:
    """A Slack that repeats events soon, and a model that writes fast."""
    async with (
        LocalSlack(redelivery_after=(3.0, 0.2, 0.2, 0.2), **slack) as server,
        LocalModel(tokens_per_second=400, first_token_after=0.05) as model,
    ):
        yield server, model


@pytest.fixture(scope="session", autouse=True)
def _quick_starts() -> Iterator[None]:
    """What is imported, and how `python -m bot` is started, the tests of commands show."""
    with quick_starts():
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("bot")
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=folder, LOG_LEVEL="DEBUG") as bot,
    ):
        yield Stage(slack, model, bot)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(shared_stage: Stage) -> AsyncIterator[Stage]:
    """One process for all tests of a module: each test asks in threads of its own."""
    yield shared_stage
    assert shared_stage.bot.process.returncode is None, shared_stage.bot.log
    shared_stage.slack.faults.clear()
    shared_stage.slack.limits = Limits.off()
    shared_stage.slack.workspace.rich_text_blocks = False
    shared_stage.slack.workspace.subscribe_channel_messages = False
    shared_stage.model.faults.clear()

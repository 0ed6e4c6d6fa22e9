"""Where a load plays: a local Slack, a local model, and a bot in a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from bot.cut import join
from bot.playground.model import LocalModel
from bot.playground.model.exchanges import Request
from bot.playground.slack import Delivery, Entry, Limits, LocalSlack
from bot.playground.slack.blocks import visible_text
from bot.playground.slack.workspace import BOT_ID, Change, Message
from tests import bot_process
from tests.bench.measure import Answer, Show, Text

LATENCY = 0.08  # seconds that a call to the real Slack takes, about
OURS = "bot"  # the module of the bot itself

Thread = tuple[str, str]  # a channel's id and the ts of the root


@dataclass
class Stage:
    slack: LocalSlack
    model: LocalModel
    bot: bot_process.BotProcess
    process: psutil.Process  # the bot's

    async def ask(self, channel: str, text: str) -> tuple[str, Delivery]:
        """Asks as Ana; the message's ts, and how its event was delivered."""
        ts = await self.slack.say(channel, "Ana", f"<@{self.slack.bot_user_id}> {text}")
        return ts, self.slack.deliveries[-1]

    def cpu(self) -> float:
        """Seconds of CPU that the bot has used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Bytes that the bot has in memory."""
        return int(self.process.memory_info().rss)


@asynccontextmanager
async def running(
    *,
    limits: Limits | None = None,
    latency: float = 0.0,
    module: str = OURS,
    at_once: int = 200,
    streaming: str = "edit",
) -> AsyncIterator[Stage]:
    async with (
        LocalSlack(limits=limits, latency=latency) as slack,
        LocalModel() as model,
        bot_process.running(
            slack,
            model.base_url,
            module=module,
            LOG_LEVEL="WARNING",
            MAX_CONCURRENT_ANSWERS=str(at_once),
            SLACK_STREAMING=streaming,
        ) as bot,
    ):
        yield Stage(slack, model, bot, psutil.Process(bot.process.pid))


class Finishes:
    """Counts the bot's answers that have had their last edit."""

    def __init__(self, slack: LocalSlack) -> None:
        self.threads: set[Thread] = set()
        self._slack = slack
        slack.listeners.append(self._hear)

    async def reach(self, count: int, *, within: float) -> None:
        """Raises ``TimeoutError`` when that takes more seconds."""
        await self._slack.until(lambda: len(self.threads) >= count, timeout=within)

    def _hear(self, entry: Entry) -> None:
        if not isinstance(entry, Change) or entry.kind not in ("post", "update"):
            return
        message = self._slack.workspace.channels[entry.channel].messages[entry.ts]
        if message.get("metadata", {}).get("event_payload", {}).get("is_last"):
            self.threads.add((entry.channel, entry.thread_ts))


class Watch:
    """Notes what the local Slack shows and what the local model writes, and when."""

    def __init__(self, stage: Stage) -> None:
        self._slack = stage.slack
        self._screens: dict[Thread, list[tuple[float, list[Message]]]] = {}
        self._written: dict[int, list[float]] = {}  # when each token was, by request
        self._requests: dict[int, Request] = {}
        stage.slack.listeners.append(self._see)
        stage.model.listeners.append(self._read)

    def answer(self, thread: Thread, *, asked: float, mark: str, text: Text) -> Answer:
        """The answer in a thread to the question with ``mark`` in it, for which the model wrote
        ``text``."""
        shows = [
            Show(at, text.tokens_in(shown), text.words_in(shown), text.is_whole(shown))
            for at, messages in self._screens.get(thread, ())
            for shown in [join([said(message) for message in messages])]
        ]
        asking = [number for number, each in self._requests.items() if mark in each.question]
        if not asking:
            return Answer(asked, shows=shows)
        latest = asking[-1]
        return Answer(asked, self._written[latest], self._requests[latest].closed_at, shows)

    def _see(self, entry: Entry) -> None:
        """Messages are replaced and never changed, so it is enough to keep them."""
        if not isinstance(entry, Change) or entry.kind not in ("post", "update", "delete"):
            return
        replies = self._slack.workspace.channels[entry.channel].replies(entry.thread_ts)
        own = [message for message in replies if message.get("bot_id") == BOT_ID]
        if own or entry.kind == "delete":
            screens = self._screens.setdefault((entry.channel, entry.thread_ts), [])
            screens.append((self._slack.clock(), own))

    def _read(self, number: int, request: Request) -> None:
        self._requests[number] = request
        written = self._written.setdefault(number, [])
        new = request.tokens_sent - request.reasoning_sent - len(written)
        if new > 0:
            written += [asyncio.get_running_loop().time()] * new


def said(message: Message) -> str:
    """What a message of a bot says of its answer; what the bot says for itself is left out."""
    blocks = message.get("blocks")
    if not blocks:
        return visible_text(message)
    own = [block for block in blocks if block["type"] != "context"]
    return visible_text({"blocks": own}) if own else ""

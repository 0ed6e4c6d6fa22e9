"""Doubles that work: a Slack that one can look at, and a model that says what it is told to."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from bot.errors import BotError, SlackRefused, Unavailable
from bot.messages import ChatMessage, Delta, Identity, Question, TurnKey, Usage, UsageRecord

BOT = Identity(team="T1", user="UBOT", bot_id="B1", name="Robo")
USAGE = Usage(input_tokens=100, cached_tokens=0, output_tokens=20, reasoning_tokens=0)


def question(text: str = "why?", **values: Any) -> Question:
    defaults = {"team": "T1", "channel": "C1", "ts": "1700000000.000100", "user": "UANA"}
    values = defaults | {"thread_ts": values.get("ts", defaults["ts"])} | values
    return Question(text=text, **values)


class FakeChat:
    """A thread of Slack. ``errors`` are raised by the next calls of a method, None is no error."""

    def __init__(self, *, latency: float = 0.0, thread: Sequence[dict[str, Any]] = ()) -> None:
        self.latency = latency
        self.messages: dict[str, dict[str, Any]] = {}  # the bot's, by ts
        self.history: list[str] = []  # what was shown, post by post and edit by edit
        self.statuses: list[str] = []
        self.reactions: set[str] = set()
        self.calls: list[tuple[float, str]] = []
        self.errors: dict[str, list[BotError | None]] = {}
        self.lost_answers = 0  # so many posts take effect, but their answer is lost
        self._thread = list(thread)

    @property
    def screen(self) -> list[str]:
        return [shown(message) for message in self.messages.values()]

    async def post(self, channel: str, thread_ts: str, message: dict[str, Any]) -> str:
        await self._call("post")
        ts = f"1700000001.{len(self.calls):06}"
        self.messages[ts] = message
        self.history.append(shown(message))
        self.statuses.append("")
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("Slack", "lost")
        return ts

    async def update(self, channel: str, ts: str, message: dict[str, Any]) -> None:
        await self._call("update")
        if ts not in self.messages:
            raise SlackRefused("chat.update", "message_not_found")
        self.messages[ts] = message
        self.history.append(shown(message))

    async def delete(self, channel: str, ts: str) -> None:
        await self._call("delete")
        del self.messages[ts]

    async def find_reply(
        self, channel: str, thread_ts: str, *, turn: TurnKey, number: int
    ) -> str | None:
        await self._call("find_reply")
        for ts, message in self.messages.items():
            tag = message["metadata"]["event_payload"]
            if tag["turn"] == str(turn) and tag["part"] == number:
                return ts
        return None

    async def set_status(self, channel: str, thread_ts: str, status: str) -> None:
        await self._call("set_status")
        self.statuses.append(status)

    async def add_reaction(self, channel: str, ts: str, name: str) -> None:
        await self._call("add_reaction")
        self.reactions.add(name)

    async def remove_reaction(self, channel: str, ts: str, name: str) -> None:
        await self._call("remove_reaction")
        self.reactions.discard(name)

    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        await self._call("thread")
        return self._thread

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        known = {"UANA": "Ana", "UBEN": "Ben"}
        return {user: known[user] for user in users if user in known}

    async def _call(self, method: str) -> None:
        self.calls.append((asyncio.get_running_loop().time(), method))
        if self.latency:
            await asyncio.sleep(self.latency)
        errors = self.errors.get(method)
        if errors and (error := errors.pop(0)):
            raise error


class FakeModel:
    """Plays one script for each request: text and usage are yielded, numbers are seconds of
    silence, errors are raised. The last script is played for all further requests."""

    name = "fake-model"

    def __init__(self, *scripts: Sequence[str | float | Usage | BotError]) -> None:
        self.scripts = list(scripts)
        self.asked: list[Sequence[ChatMessage]] = []
        self.closed = 0

    async def stream(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[Delta | Usage, None]:
        self.asked.append(messages)
        script = self.scripts[min(len(self.asked), len(self.scripts)) - 1]
        try:
            for step in script:
                if isinstance(step, BotError):
                    raise step
                if isinstance(step, str):
                    yield Delta(step)
                elif isinstance(step, Usage):
                    yield step
                else:
                    await asyncio.sleep(step)
        finally:
            self.closed += 1


class FakeLedger:
    def __init__(self) -> None:
        self.records: list[UsageRecord] = []

    async def record(self, record: UsageRecord) -> None:
        self.records.append(record)


def shown(message: dict[str, Any]) -> str:
    """A message as a person sees it; notices in brackets."""
    lines = []
    for block in message["blocks"]:
        if block["type"] == "markdown":
            lines.append(block["text"])
        else:
            lines.append("[" + "".join(e["text"] for e in block["elements"]) + "]")
    return "\n".join(lines)

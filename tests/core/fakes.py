"""Doubles that work: a Slack that one can look at, and a model that says what it is told to."""

import asyncio
from collections import defaultdict, deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Any, TypeVar

from bot.channel_settings import AS_EVERYWHERE, ChannelSettings, Offer
from bot.errands import Errands
from bot.errors import BotError, RateLimited, SlackRefused, Unavailable
from bot.files import Reading
from bot.messages import (
    ChatMessage,
    Delta,
    File,
    Identity,
    Outcome,
    Question,
    Turn,
    TurnKey,
    Usage,
    UsageRecord,
)
from bot.pacing import Lane, Limits, Pacer
from bot.prices import Prices
from bot.responder import Responder
from bot.standing import UNMARKED, is_unmarked
from bot.stream import Streams
from bot.turnstile import Turnstile
from bot.writer import Writer

BOT = Identity(team="T1", user="UBOT", bot_id="B1", name="Robo")
USAGE = Usage(input_tokens=100, cached_tokens=0, output_tokens=20, reasoning_tokens=0)

# Among `FakeChat.errors`: the call takes effect, and only its answer is lost on the way back.
LOST = Unavailable("Slack", "the answer was lost")

# A step of a model's script: text and usage are yielded, numbers are seconds of silence, errors
# are raised, anything else is called.
Step = str | float | Usage | Exception | Callable[[], object]


def question(text: str = "why?", **values: Any) -> Question:
    defaults = {"team": "T1", "channel": "C1", "ts": "1700000000.000100", "user": "UANA"}
    values = defaults | {"thread_ts": values.get("ts", defaults["ts"])} | values
    return Question(text=text, **values)


def turn_of(asked: Question, /, **values: Any) -> Turn:
    now = datetime.now(UTC)
    turn = Turn(asked.key, asked.thread_ts, asked.user, place=1, accepted_at=now, is_next=True)
    return replace(turn, **values)


@dataclass(slots=True)
class Call:
    method: str
    channel: str
    ts: str  # of the message that it changes, where it changes one
    at: float
    until: float = inf


@dataclass(slots=True)
class Limit:
    """So many calls in so many seconds, by each of the ways in which Slack may count them."""

    calls: int
    seconds: float = 60.0
    arrived: deque[float] = field(default_factory=deque)
    bucket: float = inf  # what is left in a bucket that is full at first and drips full again

    def refuses(self, now: float) -> bool:
        since = now - self.arrived[-1] if self.arrived else inf
        self.bucket = min(self.calls, self.bucket + since * self.calls / self.seconds)
        while self.arrived and self.arrived[0] <= now - self.seconds + 1e-6:
            self.arrived.popleft()
        same_period = [at for at in self.arrived if at // self.seconds == now // self.seconds]
        self.arrived.append(now)
        self.bucket -= 1
        too_many = max(len(self.arrived), len(same_period) + 1) > self.calls
        return too_many or self.bucket < -1e-6


class FakeChat:
    """A Slack that shows what the bot does to it. A call takes effect half way through.

    The next calls of a method meet the ``errors`` (None is no error) and the ``latencies`` that
    are put down for it; ``down_until`` a time of the clock, nothing can be reached.
    """

    def __init__(
        self,
        *,
        latency: float | Callable[[], float] = 0.0,
        thread: Sequence[dict[str, Any]] = (),
        limits: dict[str, Limit] | None = None,
    ) -> None:
        self.messages: dict[str, dict[str, Any]] = {}  # the bot's, by ts
        self.history: list[str] = []  # what was shown, post by post and edit by edit
        self.statuses: list[str] = []  # what the status line read, one after the other
        self.reactions: set[str] = set()
        self.calls: list[Call] = []
        self.refused: list[Call] = []  # by the limits
        self.errors: dict[str, list[Exception | None]] = {}
        self.latencies: dict[str, list[float]] = {}
        self.down_until = -inf
        self.limits = limits or {}
        self.channel_limits: dict[str, Limit] = defaultdict(lambda: Limit(1, 1.0))
        self._latency = latency
        self._thread = list(thread)
        self._turns: dict[str, str] = {}  # by ts
        self._threads: dict[str, str] = {}  # by ts
        self._reacted: set[tuple[str, str]] = set()  # message and name
        self.streams: dict[str, float] = {}  # when each that is under way began, by ts
        self.stopped_streams: set[str] = set()  # by a person, in Slack
        self.stream_life = 300.0  # seconds
        self.stream_size = 10_600  # bytes
        self.closed_streams: set[str] = set()  # that Slack does not let be edited afterwards

    @property
    def screen(self) -> list[str]:
        return [shown(message) for message in self.messages.values()]

    @property
    def status(self) -> str:
        return self.statuses[-1] if self.statuses else ""

    def screen_of(self, asked: Question) -> list[str]:
        return [
            shown(message)
            for ts, message in self.messages.items()
            if self._turns[ts] == str(asked.key)
        ]

    def times(self, method: str) -> list[float]:
        """When the calls of a method began."""
        return [call.at for call in self.calls if call.method == method]

    async def post(self, channel: str, thread_ts: str, message: dict[str, Any]) -> str:
        async with self._call("post", channel):
            ts = f"1700000001.{len(self._turns) + 1:06}"
            self._turns[ts] = message["metadata"]["event_payload"]["turn"]
            self._threads[ts] = thread_ts
            self.messages[ts] = message
            self.history.append(shown(message))
            if self.status:  # Slack clears it when an app replies
                self.statuses.append("")
        return ts

    async def update(self, channel: str, ts: str, message: dict[str, Any]) -> None:
        async with self._call("update", channel, ts):
            if ts not in self.messages:
                raise SlackRefused("chat.update", "message_not_found")
            if self._is_streaming(ts):
                raise SlackRefused("chat.update", "streaming_state_conflict")
            if ts in self.closed_streams:
                raise SlackRefused("chat.update", "block_mismatch")
            self.messages[ts] = message
            self.history.append(shown(message))

    async def start_stream(self, question: Question, text: str) -> str:
        async with self._call("start", question.channel):
            ts = f"1700000001.{len(self._turns) + 1:06}"
            self._turns[ts], self._threads[ts] = str(question.key), question.thread_ts
            self.streams[ts] = _now()
            self._show_streamed(ts, {"blocks": []}, text)
            if self.status:
                self.statuses.append("")
        return ts

    async def append_stream(self, channel: str, ts: str, text: str) -> None:
        async with self._call("append", channel, ts):
            self._check_streaming("chat.appendStream", ts)
            if ts in self.stopped_streams:
                raise SlackRefused("chat.appendStream", "stopped_by_user")
            self._show_streamed(ts, self.messages[ts], text)

    async def stop_stream(self, channel: str, ts: str, end: dict[str, Any]) -> None:
        async with self._call("stop", channel, ts):
            self._check_streaming("chat.stopStream", ts)
            del self.streams[ts]
            self._show_streamed(ts, self.messages[ts], end.get("markdown_text", ""))
            ended = self.messages[ts]
            ended["blocks"] = [*ended["blocks"], *end.get("blocks", [])]
            if "metadata" in end:
                ended["metadata"] = end["metadata"]
            self.history[-1] = shown(ended)

    def _show_streamed(self, ts: str, message: dict[str, Any], text: str) -> None:
        stood = "".join(block["text"] for block in message["blocks"] if block["type"] == "markdown")
        if len((stood + text).encode()) > self.stream_size:
            raise SlackRefused("chat.appendStream", "msg_too_long")
        self.messages[ts] = message | {"blocks": [{"type": "markdown", "text": stood + text}]}
        self.history.append(shown(self.messages[ts]))

    def _check_streaming(self, method: str, ts: str) -> None:
        if ts not in self.messages:
            raise SlackRefused(method, "message_not_found")
        if not self._is_streaming(ts):
            raise SlackRefused(method, "message_not_in_streaming_state")

    def _is_streaming(self, ts: str) -> bool:
        if ts in self.streams and self.streams[ts] + self.stream_life <= _now():
            del self.streams[ts]
        return ts in self.streams

    async def delete(self, channel: str, ts: str) -> None:
        async with self._call("delete", channel, ts):
            if ts not in self.messages:
                raise SlackRefused("chat.delete", "message_not_found")
            del self.messages[ts]
            self.streams.pop(ts, None)  # as the local Slack has it

    async def find_reply(
        self, channel: str, thread_ts: str, turn: TurnKey, *, with_streams: bool = False
    ) -> dict[str, int]:
        async with self._call("find_reply", channel):
            found = self._own_messages(thread_ts)
        tags = {
            message["ts"]: message["metadata"]["event_payload"]
            for message in found
            if "metadata" in message
        }
        parts: dict[str, int] = {
            ts: tag["part"] for ts, tag in tags.items() if tag["turn"] == str(turn)
        }
        unmarked = [message["ts"] for message in found if is_unmarked(message, turn, BOT)]
        return parts | (dict.fromkeys(unmarked, UNMARKED) if with_streams else {})

    async def set_status(self, channel: str, thread_ts: str, status: str) -> None:
        async with self._call("set_status", channel):
            self.statuses.append(status)

    async def add_reaction(self, channel: str, ts: str, name: str) -> None:
        async with self._call("add_reaction", channel):
            self.reactions.add(name)
            self._reacted.add((ts, name))

    async def remove_reaction(self, channel: str, ts: str, name: str) -> None:
        async with self._call("remove_reaction", channel):
            self.reactions.discard(name)
            self._reacted.discard((ts, name))

    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        async with self._call("thread", channel):
            read = [*self._thread, *self._own_messages(thread_ts)]
        return [self._with_reactions(message) for message in read]

    def _own_messages(self, thread_ts: str) -> list[dict[str, Any]]:
        author = {"user": BOT.user, "bot_id": BOT.bot_id}
        return [
            {"ts": ts, **author, **message}
            for ts, message in sorted(self.messages.items())
            if self._threads[ts] == thread_ts
        ]

    def _with_reactions(self, message: dict[str, Any]) -> dict[str, Any]:
        names = [name for ts, name in self._reacted if ts == message["ts"]]
        reactions = [{"name": name, "users": [BOT.user], "count": 1} for name in names]
        return message | {"reactions": reactions} if reactions else message

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        known = {"UANA": "Ana", "UBEN": "Ben"}
        try:
            async with self._call("names", ""):
                pass
        except BotError:
            return {}
        return {user: known[user] for user in users if user in known}

    def known_name(self, user: str) -> str | None:
        return {"UANA": "Ana", "UBEN": "Ben"}.get(user)

    @asynccontextmanager
    async def _call(self, method: str, channel: str, ts: str = "") -> AsyncIterator[None]:
        call = Call(method, channel, ts, _now())
        self.calls.append(call)
        one_way = self._next_latency(method) / 2
        try:
            await asyncio.sleep(one_way)
            error = self._next_error(call)
            if error is None or error is LOST:
                yield
            await asyncio.sleep(one_way)
            if error:
                raise error
        finally:
            call.until = _now()

    def _next_latency(self, method: str) -> float:
        if scripted := self.latencies.get(method):
            return scripted.pop(0)
        return self._latency() if callable(self._latency) else self._latency

    def _next_error(self, call: Call) -> Exception | None:
        if _now() < self.down_until:
            return Unavailable("Slack", "down")
        if scripted := self.errors.get(call.method):
            return scripted.pop(0)
        limits = [self.limits[call.method]] if call.method in self.limits else []
        if limits and call.method == "post":
            limits.append(self.channel_limits[call.channel])
        refusals = [limit.refuses(_now()) for limit in limits]  # each of them counts
        if any(refusals):
            self.refused.append(call)
            return RateLimited("Slack", 30.0)
        return None


def slack_limits() -> dict[str, Limit]:
    """Slack's own figures, where the bot keeps a margin below them."""
    return {
        "update": Limit(50),
        "post": Limit(300),
        "start": Limit(20),
        "append": Limit(100),
        "stop": Limit(20),
    }


class FakeModel:
    """Plays one script for each request. The last one is played for all further requests."""

    def __init__(
        self, *scripts: Sequence[Step], sees: bool = True, name: str = "fake-model"
    ) -> None:
        self.name = name
        self.sees = sees
        self.scripts = list(scripts)
        self.asked: list[Sequence[ChatMessage]] = []
        self.asked_at: list[float] = []
        self.options: list[tuple[float | None, int | None]] = []  # temperature and longest answer
        self.closed = 0

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[Delta | Usage, None]:
        self.asked.append(messages)
        self.options.append((temperature, max_tokens))
        self.asked_at.append(_now())
        script = self.scripts[min(len(self.asked), len(self.scripts)) - 1]
        try:
            for step in script:
                if isinstance(step, str):
                    yield Delta(step)
                elif isinstance(step, Usage):
                    yield step
                elif isinstance(step, Exception):
                    raise step
                elif isinstance(step, int | float):
                    await asyncio.sleep(step)
                else:
                    step()
        finally:
            self.closed += 1


class FakeModels:
    """Models by name."""

    def __init__(self, *models: Any) -> None:
        self._models = {model.name: model for model in models}

    def named(self, name: str) -> Any:
        return self._models[name]


class FakeFiles:
    """Has read these files before; of others it knows nothing. It takes ``seconds``."""

    def __init__(
        self, readings: Mapping[str, Reading] | None = None, *, seconds: float = 0
    ) -> None:
        self.readings = readings or {}
        self.seconds = seconds
        self.asked: list[Sequence[File]] = []

    async def read(
        self, files: Sequence[File], on_reading: Callable[[str], None]
    ) -> Mapping[str, Reading]:
        self.asked.append(files)
        on_reading(files[0].name)
        await asyncio.sleep(self.seconds)
        return {file.id: self.readings[file.id] for file in files if file.id in self.readings}


class FakeTurns:
    """Turns and their usage in memory; the next calls raise the ``errors``."""

    def __init__(self, *errors: Exception) -> None:
        self.taken_up: list[TurnKey] = []
        self.begun: list[UsageRecord] = []
        self.records: list[UsageRecord] = []  # of attempts that ended
        self.messages: dict[TurnKey, list[str]] = {}
        self.finished: dict[TurnKey, Outcome] = {}
        self.suspended: list[TurnKey] = []
        self.now: dict[TurnKey, Turn] = {}  # where a turn was asked for again
        self._errors = list(errors)

    async def take_up(self, turn: Turn) -> None:
        self.taken_up.append(turn.key)

    async def begin(self, turn: Turn, record: UsageRecord) -> None:
        self.begun.append(record)

    async def note_messages(self, key: TurnKey, messages: Sequence[str]) -> None:
        self.messages[key] = list(messages)

    async def lost(self, turn: Turn) -> UsageRecord | None:
        ended = {(record.key, record.attempt) for record in self.records}
        own = [record for record in self.begun if record.attempt == turn.attempts]
        return next((each for each in own if (each.key, each.attempt) not in ended), None)

    async def record(self, record: UsageRecord) -> None:
        self.records.append(record)

    async def finish(self, turn: Turn, outcome: Outcome, record: UsageRecord | None) -> Turn | None:
        if self._errors:
            raise self._errors.pop(0)
        self.records += [record] if record else []
        now = self.now.get(turn.key, turn)
        if now.asked > turn.asked:
            return now
        self.finished[turn.key] = outcome
        return None

    async def suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        self.suspended.append(turn.key)
        self.records += [record] if record else []


class FakeAdmission:
    """Lets everybody in, but for the next turns, which meet the ``errors`` (None is none)."""

    def __init__(self, *errors: Exception | None) -> None:
        self.asked: list[Turn] = []
        self._errors = list(errors)

    async def admit(self, turn: Turn) -> None:
        self.asked.append(turn)
        if self._errors and (error := self._errors.pop(0)):
            raise error

    async def why_not_there(self, team: str, user: str, channel: str) -> str | None:
        return None


class FakeChannels:
    """What is set for channels, by id; of others nothing."""

    def __init__(self, **channels: ChannelSettings) -> None:
        self.channels = channels

    async def of(self, team: str, channel: str) -> ChannelSettings:
        return self.channels.get(channel, AS_EVERYWHERE)

    async def all(self, team: str) -> Mapping[str, ChannelSettings]:
        return self.channels


Answering = TypeVar("Answering", bound=Responder)


def wired(
    chat: Any,
    model: Any,
    turns: Any,
    *,
    of: type[Answering] = Responder,  # type: ignore[assignment]
    admission: FakeAdmission | None = None,
    prices: Prices | None = None,
    limits: Limits | None = None,
    context_tokens: int = 4_000,
    files: FakeFiles | None = None,
    lane: Lane = "edit",
    channels: FakeChannels | None = None,
    others: Sequence[FakeModel] = (),  # models that channels may choose
) -> Answering:
    """A responder whose work beside the answers is as easily found as its turnstile."""
    admission = admission or FakeAdmission()
    writer = Writer(
        bot=BOT,
        chat=chat,
        models=FakeModels(model, *others),
        channels=channels or FakeChannels(),
        offer=Offer((model.name, *(other.name for other in others))),
        files=files or FakeFiles(),
        turns=turns,
        admission=admission,
        instructions="Be kind.",
        context_tokens=context_tokens,
    )
    return of(
        bot=BOT,
        chat=chat,
        writer=writer,
        turns=turns,
        admission=admission,
        turnstile=Turnstile(Pacer(limits)),
        prices=prices or Prices(()),
        errands=Errands(),
        streams=Streams(lane),
    )


def shown(message: dict[str, Any]) -> str:
    """A message as a person reads it; notices in brackets."""
    lines = []
    for block in message["blocks"]:
        if block["type"] == "markdown":
            lines.append(block["text"])
        elif block["type"] == "context":
            lines.append("[" + "".join(e["text"] for e in block["elements"]) + "]")
    return "\n".join(lines)


def buttons(message: dict[str, Any]) -> list[str]:
    """What a person can press beneath a message, by its ``action_id``."""
    kinds = ("actions", "context_actions")
    blocks = [block for block in message["blocks"] if block["type"] in kinds]
    return [element["action_id"] for block in blocks for element in block["elements"]]


def _now() -> float:
    return asyncio.get_running_loop().time()

"""What a run asks and what it breaks, and when: a function of the seed and nothing else.

It knows no process, no clock and no server. Times are seconds from the start of the load.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

from bot.playground.slack import Fault

Database = Literal["sqlite", "postgres"]
Streaming = Literal["edit", "native", "auto"]
Loss = Literal["cut", "silent", "warning", "refresh_requested"]
Moment = Literal["any", "asked", "post", "edit", "last edit"]

PEOPLE = ("Ana", "Ben", "Chloe", "Eve", "Finn", "Gil", "Hana", "Ivo")
CHANNELS = 30  # Slack takes one post a second into each

# Per minute. Slack lets an app read 50 threads in that time: a question in an older thread takes
# one reading, and an answer under way when its process dies takes several. More of either, and
# all would wait for Slack most of the time.
QUESTIONS = 33.0
DEEDS = {
    "kill": 2.2,  # at any moment
    "aimed kill": 1.0,  # as a certain call arrives
    "termination": 0.8,
    "freeze": 0.7,
    "slack fault": 8.0,
    "storm": 0.5,
    "slowness": 0.6,
    "socket": 0.8,
    "redelivery": 3.0,
    "database restart": 0.6,  # these two where there is a server
    "session cut": 0.8,
}


@dataclass(frozen=True)
class Question:
    """One question: its answer is made of words that say which question and which word they are."""

    number: int
    at: float
    root: int  # the number of the question that opened its thread; its own where it does
    channel: int | None  # None: a direct message
    person: str
    words: int
    orders: str  # directives for the local model
    fails: bool = False  # the model never answers it

    @property
    def mark(self) -> str:
        return f"q{self.number}:"

    @property
    def text(self) -> str:
        return f"{self.mark} {self.orders}"

    @cached_property
    def answer(self) -> str:
        """Paragraphs of 40 words, each word a token of the local model."""
        words = [f"{self.number:x}x{position:x}" for position in range(self.words)]
        return "\n\n".join(" ".join(words[at : at + 40]) for at in range(0, len(words), 40))


@dataclass(frozen=True)
class Kill:
    """``kill -9``: the processes end at once, and come back some seconds later."""

    at: float
    slots: tuple[int, ...]
    back_after: float
    moment: Moment = "any"  # else when the next such call has arrived, if one comes soon


@dataclass(frozen=True)
class Termination:
    """SIGTERM, and a new process when that one has ended: a step of a rolling restart."""

    at: float
    slot: int


@dataclass(frozen=True)
class Freeze:
    """SIGSTOP, and SIGCONT some seconds later."""

    at: float
    slot: int
    seconds: float


@dataclass(frozen=True)
class SlackFault:
    """The next calls of a method meet a fault."""

    at: float
    method: str
    fault: Fault
    times: int


@dataclass(frozen=True)
class Storm:
    """For some seconds Slack grants only a part of its limits."""

    at: float
    seconds: float
    scale: float


@dataclass(frozen=True)
class Slowness:
    """For some seconds each of Slack's answers takes so long."""

    at: float
    seconds: float
    latency: float


@dataclass(frozen=True)
class SocketLoss:
    """All connections are cut, fall silent, or are told that they end."""

    at: float
    how: Loss


@dataclass(frozen=True)
class Redelivery:
    """Slack sends again what it sent as the so-manieth last."""

    at: float
    back: int


@dataclass(frozen=True)
class DatabaseRestart:
    """The server stops (``at_once``: as after a crash) and is back some seconds later."""

    at: float
    down: float
    at_once: bool


@dataclass(frozen=True)
class SessionCut:
    """The server ends all sessions of the bot."""

    at: float


Deed = (
    Kill
    | Termination
    | Freeze
    | SlackFault
    | Storm
    | Slowness
    | SocketLoss
    | Redelivery
    | DatabaseRestart
    | SessionCut
)


@dataclass(frozen=True)
class Plan:
    seed: int
    database: Database
    replicas: int
    seconds: float  # of load
    streaming: Streaming  # as SLACK_STREAMING has it
    questions: Sequence[Question]  # by time, numbered from 0
    deeds: Sequence[Deed]  # by time

    @property
    def title(self) -> str:
        if self.database == "sqlite":
            return "One process on SQLite"
        return f"{self.replicas} processes on PostgreSQL"


def plan(
    seed: int,
    database: Database,
    *,
    seconds: float,
    streaming: Streaming = "edit",
    questions: int | None = None,
) -> Plan:
    """The plan of a run; ``questions`` defaults to what Slack's limits bear in that time."""
    chance = random.Random(f"{seed} {database}")  # seeded by its characters, on every machine
    replicas = 1 if database == "sqlite" else 3
    count = questions or round(QUESTIONS * seconds / 60)
    return Plan(
        seed,
        database,
        replicas,
        seconds,
        streaming,
        _questions(chance, count, seconds),
        _deeds(chance, database, replicas, seconds, streaming),
    )


def _questions(chance: random.Random, count: int, seconds: float) -> tuple[Question, ...]:
    times: list[tuple[float, int]] = []  # and in which thread
    thread = 0
    while len(times) < count:
        at = chance.uniform(0.0, seconds)
        for gap in _gaps(chance):
            at = min(at + gap, seconds)
            times.append((at, thread))
        thread += 1
    roots: dict[int, Question] = {}
    asked = []
    for number, (at, thread) in enumerate(sorted(times[:count])):
        question = _question(chance, number, at, roots.get(thread))
        roots.setdefault(thread, question)
        asked.append(question)
    return tuple(asked)


def _gaps(chance: random.Random) -> Sequence[float]:
    """Seconds between the questions of one thread: most have one, some several in a row."""
    if chance.random() < 0.8:
        return (0.0,)
    if chance.random() < 0.2:  # all in one breath
        return (0.0,) * 5
    return [0.0, *(chance.uniform(0.3, 8.0) for _ in range(chance.randint(1, 3)))]


def _question(chance: random.Random, number: int, at: float, root: Question | None) -> Question:
    words, rate = chance.choice(_LENGTHS)(chance)
    orders, fails = f"[[rate {rate}]]", False
    if chance.random() < 0.15:
        order = chance.choice(_PASSING).format(after=chance.randint(0, words - 1))
        orders += f" [[{order}]]"
    elif chance.random() < 0.02:
        orders, fails = f"[[{chance.choice(_LASTING)}]]", True
    return Question(
        number=number,
        at=at,
        root=root.number if root else number,
        channel=root.channel if root else _channel(chance),
        person=root.person if root else chance.choice(PEOPLE),
        words=words,
        orders=orders,
        fails=fails,
    )


def _channel(chance: random.Random) -> int | None:
    return None if chance.random() < 0.1 else chance.randrange(CHANNELS)


def _short(chance: random.Random) -> tuple[int, int]:
    return chance.randint(1, 150), chance.randint(40, 120)


def _middling(chance: random.Random) -> tuple[int, int]:
    return chance.randint(150, 500), chance.randint(100, 200)


def _long(chance: random.Random) -> tuple[int, int]:
    """Of several parts: one holds about 1,500 of these words."""
    return chance.randint(1_400, 3_600), chance.randint(300, 700)


# Words, and words a second.
_LENGTHS = (*[_short] * 12, *[_middling] * 7, _long)

# What the model does once and then no more, and what it does each time.
_PASSING = (
    "break {after} 1",
    "cut {after} 1",
    "end {after} 1",
    "error {after} 1",
    "garbage {after} 1",
    "stall {after} 1",
    "fail 500 2",
    "fail 429 1",
    "slow 4 1",
)
_LASTING = ("fail 400", "fail quota", "empty")


def _deeds(
    chance: random.Random, database: Database, replicas: int, seconds: float, streaming: Streaming
) -> tuple[Deed, ...]:
    makers: dict[str, Callable[[random.Random, float, int], Deed]] = {
        "kill": _kill,
        "aimed kill": _aimed_kill,
        "termination": lambda chance, at, slots: Termination(at, chance.randrange(slots)),
        "freeze": _freeze,
        "slack fault": _slack_fault if streaming == "edit" else _stream_fault,
        "storm": lambda chance, at, _: Storm(at, chance.uniform(5, 15), chance.uniform(0.3, 0.8)),
        "slowness": lambda chance, at, _: Slowness(at, chance.uniform(5, 15), _latency(chance)),
        "socket": lambda chance, at, _: SocketLoss(at, chance.choice(get_args(Loss))),
        "redelivery": lambda chance, at, _: Redelivery(at, chance.randint(1, 40)),
    }
    if database == "postgres":
        makers["database restart"] = _database_restart
        makers["session cut"] = lambda _, at, __: SessionCut(at)
    deeds = [
        make(chance, at, replicas)
        for name, make in makers.items()
        for at in _times(chance, max(1, round(DEEDS[name] * seconds / 60)), seconds)
    ]
    return tuple(sorted(deeds, key=lambda deed: deed.at))


def _times(chance: random.Random, count: int, seconds: float) -> Iterator[float]:
    """Spread over the load, but at no foreseeable moment."""
    for number in range(count):
        yield (number + chance.random()) * seconds / count


def _kill(chance: random.Random, at: float, replicas: int) -> Kill:
    killed = replicas if chance.random() < 0.1 else 1
    slots = tuple(sorted(chance.sample(range(replicas), killed)))
    return Kill(at, slots, back_after=chance.uniform(0.0, 2.0))


def _aimed_kill(chance: random.Random, at: float, replicas: int) -> Kill:
    """All processes, as whose call it is cannot be seen from outside."""
    moments: tuple[Moment, ...] = ("asked", "post", "edit", "last edit")
    moment = chance.choice(moments)
    return Kill(at, tuple(range(replicas)), back_after=chance.uniform(0.0, 1.0), moment=moment)


def _freeze(chance: random.Random, at: float, replicas: int) -> Freeze:
    return Freeze(at, chance.randrange(replicas), chance.uniform(1.0, 12.0))


def _latency(chance: random.Random) -> float:
    """Of each call, half before its effect. An edit of a process that was killed must not come
    after the last one of the process that took over, which nobody could prevent: that one needs
    more than a second to get there."""
    return chance.uniform(0.5, 2.0)


def _slack_fault(chance: random.Random, at: float, _: int) -> SlackFault:
    method, faults = chance.choice(_SLACK_FAULTS)
    return SlackFault(at, method, chance.choice(faults), chance.randint(1, 4))


def _stream_fault(chance: random.Random, at: float, _: int) -> SlackFault:
    """Half of those that meet what an answer says meet its streams."""
    fault = _slack_fault(chance, at, _)
    method = chance.choice((fault.method, *_STREAMED.get(fault.method, (fault.method,))))
    return replace(fault, method=method)


_STREAMED = {
    "chat.postMessage": ("chat.startStream",),
    "chat.update": ("chat.appendStream", "chat.stopStream"),
}
_BROKEN = (
    Fault.reset(),
    Fault.lost_answer(),
    Fault.unavailable(),
    Fault.slow(6.0, after=True),
)
_ANYWHERE = (*_BROKEN, Fault.refuse(retry_after=1), Fault.refuse(retry_after=4))
_SLACK_FAULTS: Sequence[tuple[str, Sequence[Fault]]] = (
    ("chat.postMessage", (*_ANYWHERE, Fault.rate_limited(), Fault.error("internal_error"))),
    ("chat.postMessage", (Fault.lost_answer(), Fault.slow(15.0, after=True))),
    ("chat.update", (*_ANYWHERE, Fault.error("internal_error"))),
    ("chat.update", (Fault.lost_answer(), Fault.reset())),
    # Not refused but by storms: the bot then believes in few readings for a long while.
    ("conversations.replies", _BROKEN),
    ("assistant.threads.setStatus", _ANYWHERE),
    ("users.info", _ANYWHERE),
    ("apps.connections.open", _ANYWHERE),
    ("auth.test", _ANYWHERE),
)


def _database_restart(chance: random.Random, at: float, _: int) -> DatabaseRestart:
    return DatabaseRestart(at, chance.uniform(0.0, 5.0), chance.random() < 0.5)

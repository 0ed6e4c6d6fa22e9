"""The loads: how many people ask what within which time, and what they may expect."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bot.playground.model.answers import prose
from bot.playground.slack import Limits
from bot.playground.slack.limits import Limiter, SlidingWindow, TokenBucket
from tests.bench.measure import Answer, Text, middle, percentile, queue_delays
from tests.bench.stage import LATENCY, OURS, Finishes, Stage, Thread, Watch, running

Form = Callable[[float, float], Limiter]
FORMS: Mapping[str, Form] = {"window": SlidingWindow, "bucket": TokenBucket}  # of the limits
CHANNEL_POST = 1.0  # seconds; Slack takes one post a second into one channel
PATIENCE = 150.0  # seconds after the last answer should be over


@dataclass(frozen=True)
class Load:
    """``answers`` people ask within ``seconds``; each answer has ``tokens`` at ``rate`` a second.

    ``most_behind`` and ``most_after_end`` (seconds) and ``most_refused`` (calls of one method)
    are the targets. ``scale`` is the part of the documented limits that the local Slack grants.
    """

    name: str
    title: str
    answers: int
    seconds: float
    tokens: int = 300
    rate: float = 40.0
    in_one_channel: bool = False
    scale: float = 1.0
    most_behind: float | None = None
    is_behind_at_most_as_posted_whole: bool = False
    most_after_end: float = 0.0
    most_refused: int = 0
    forms: Sequence[str] = ("window",)
    is_compared: bool = False  # the pattern bots are given it, too
    streaming: str = "edit"  # as SLACK_STREAMING has it

    @property
    def question(self) -> str:
        return f"[[rate {self.rate:g}]] [[tokens {self.tokens}]]"

    @property
    def patience(self) -> float:
        """Seconds from its first question until it is given up."""
        return self.seconds + self.tokens / self.rate + PATIENCE


BOTH = tuple(FORMS)
IN_ONE_LANE = (
    Load(
        "steady",
        "30 answers a minute, 3 minutes",
        answers=90,
        seconds=180.0,
        most_behind=3.0,
        most_after_end=0.5,
    ),
    Load(
        "one",
        "1 answer",
        answers=1,
        seconds=0.0,
        tokens=600,
        rate=50.0,
        most_behind=0.35,
        most_after_end=0.2,
        is_compared=True,
    ),
    Load(
        "crowd",
        "20 in 3 s, 20 channels",
        answers=20,
        seconds=3.0,
        most_behind=1.9,
        most_after_end=0.3,
        forms=BOTH,
        is_compared=True,
    ),
    Load(
        "rush",
        "60 in 3 s, 60 channels",
        answers=60,
        seconds=3.0,
        is_behind_at_most_as_posted_whole=True,
        most_after_end=0.5,
        is_compared=True,
    ),
    Load(
        "channel",
        "20 in 3 s, one channel",
        answers=20,
        seconds=3.0,
        in_one_channel=True,
        most_after_end=1.0,  # on top of what the channel's queue takes
        forms=BOTH,
    ),
    Load(
        "strict",
        "20 in 3 s, limits at 40 %",
        answers=20,
        seconds=3.0,
        scale=0.4,
        most_after_end=2.0,
        most_refused=5,
        forms=BOTH,
    ),
)

# The same in two lanes.
IN_TWO_LANES = (
    Load(
        "auto-steady",
        "30 answers a minute, 3 minutes, auto",
        answers=90,
        seconds=180.0,
        most_behind=1.5,
        most_after_end=0.5,
        streaming="auto",
    ),
    Load(
        "auto-one",
        "1 answer, auto",
        answers=1,
        seconds=0.0,
        tokens=600,
        rate=50.0,
        most_behind=0.25,
        most_after_end=0.2,
        streaming="auto",
    ),
    Load(
        "auto-crowd",
        "20 in 3 s, 20 channels, auto",
        answers=20,
        seconds=3.0,
        most_behind=0.75,
        most_after_end=0.3,
        forms=BOTH,
        streaming="auto",
    ),
    Load(
        "auto-rush",
        "60 in 3 s, 60 channels, auto",
        answers=60,
        seconds=3.0,
        most_behind=1.89,  # edits alone; two thirds of the answers have no other lane
        most_after_end=0.5,
        streaming="auto",
    ),
)
LOADS = (*IN_ONE_LANE, *IN_TWO_LANES)


@dataclass(frozen=True)
class Outcome:
    """What became of one load."""

    load: Load
    module: str  # the program that answered
    form: str
    answers: Sequence[Answer]
    refused: Counter[str]  # calls by method
    text: Text

    @property
    def complete(self) -> int:
        return sum(answer.is_complete for answer in self.answers)

    @property
    def behind(self) -> float:
        return middle(answer.behind for answer in self.answers if answer.written)

    @property
    def most_behind(self) -> float | None:
        if self.load.is_behind_at_most_as_posted_whole:
            return middle(answer.stream / 2 for answer in self.answers if answer.written)
        return self.load.most_behind

    @property
    def after_end(self) -> float:
        return percentile((answer.end_to_whole for answer in self.answers), 95)

    @property
    def most_after_end(self) -> float:
        if not self.load.in_one_channel:
            return self.load.most_after_end
        ends = [answer.ended for answer in self.answers if answer.ended is not None]
        queue = queue_delays(ends, every=CHANNEL_POST)
        return percentile(queue, 95) + self.load.most_after_end

    @property
    def started(self) -> float:
        """When the first was asked."""
        return min(answer.asked for answer in self.answers)


async def play(load: Load, *, form: str = "window", module: str = OURS) -> Outcome:
    """Lets the program ``module`` answer the questions of a load at Slack's limits."""
    limits = Limits.real(scale=load.scale, form=FORMS[form])
    text = Text(prose(load.tokens))
    async with running(
        limits=limits, latency=LATENCY, module=module, streaming=load.streaming
    ) as stage:
        watch, finishes = Watch(stage), Finishes(stage.slack)
        asked = await _ask_all(stage, load)
        with suppress(TimeoutError):  # what is missing will be seen
            if module == OURS:
                await finishes.reach(load.answers, within=load.patience)
            else:
                await _all_ended(stage, load)
        await asyncio.sleep(1.0)  # an edit may follow the last
        answers = [
            watch.answer(thread, asked=at, mark=_mark(number), text=text)
            for number, (thread, at) in enumerate(asked)
        ]
        refused = Counter(call.method for call in stage.slack.calls if call.refused)
    return Outcome(load, module, form, answers, refused, text)


async def _ask_all(stage: Stage, load: Load) -> list[tuple[Thread, float]]:
    """The threads, and when each question was asked."""
    names = ["load" if load.in_one_channel else f"load-{n}" for n in range(load.answers)]
    places = {name: stage.slack.add_channel(name) for name in dict.fromkeys(names)}
    clock = asyncio.get_running_loop().time
    start = clock()
    asked = []
    for number, name in enumerate(names):
        await asyncio.sleep(start + number * load.seconds / load.answers - clock())
        at = clock()
        ts, _ = await stage.ask(name, f"{load.question} {_mark(number)}")
        asked.append(((places[name], ts), at))
    return asked


def _mark(number: int) -> str:
    """By which a question is known again in the model's request."""
    return f"question-{number}."


async def _all_ended(stage: Stage, load: Load) -> None:
    """A pattern bot says at each answer's end that it will do no more for it."""
    bot = stage.bot
    async with asyncio.timeout(load.patience), bot.news:
        await bot.news.wait_for(lambda: len(bot.events("answer.ended")) >= load.answers)

"""A workspace's load, second by second: the pacer against a Slack that counts, as pure values.

Answers grow evenly while they are written. What is measured is what readers feel: for how long,
on average over an answer's time, its oldest unseen words have been waiting.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count, pairwise
from math import ceil, inf
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pacing import LATE, Call, Claim, Limits, Pacer
from bot.playground.slack import limits as slack
from bot.window import MINUTE, UNDER_WAY

Happening = Callable[[float], None]
Form = Callable[[float, float], slack.Limiter]

LATENCY = 0.08  # seconds; a call takes effect half way through
FORMS = (slack.SlidingWindow, slack.TokenBucket)
SECONDS = 7.5  # that an answer takes to write
WHOLE = SECONDS / 2  # seconds behind where an answer is posted whole at its end

forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and how long its answer takes to write."""

    at: float
    seconds: float = SECONDS
    channel: str = "C1"


@dataclass(eq=False, slots=True)
class Answer:
    claim: Claim
    began: float
    ends: float
    looks: list[tuple[float, float]] = field(default_factory=list)  # when; all words until when
    is_begun: bool = False  # a message stands there that can be edited
    is_under_way: bool = False
    whole_at: float = inf

    @property
    def lag(self) -> float:
        """Seconds from the end until all of it could be read."""
        return self.whole_at - self.ends

    @property
    def behind(self) -> float:
        """Seconds that the oldest unseen words had waited, on average while it was written."""
        area, since, seen = 0.0, self.began, self.began
        for at, until in [*self.looks, (inf, inf)]:
            now = min(at, self.ends)
            area += ((now - seen) ** 2 - (since - seen) ** 2) / 2
            if at >= self.ends:
                break
            since, seen = now, until
        return area / (self.ends - self.began)


class Load:
    """Replies as `bot.reply` makes them, one pacer, and a limiter that tells the truth."""

    def __init__(self, limits: slack.Limits, *, pacer: Pacer | None = None) -> None:
        self.answers: list[Answer] = []
        self.refused: list[tuple[float, Call]] = []
        self.sealed = 0
        self.calls: list[tuple[float, Call]] = []  # that Slack accepted
        self._limits = limits
        self._pacer = pacer or Pacer()
        self._events: list[tuple[float, int, Happening | None]] = []
        self._number = count()
        self._looks_at = inf

    def run(self, questions: Iterable[Asked]) -> "Load":
        for asked in questions:
            self._at(asked.at, partial(self._begin, asked))
        while self._events:
            now, _, happens = heappop(self._events)
            if happens:
                happens(now)
            elif now != self._looks_at:
                continue  # a look that was put off, or brought forward
            self._turn(now)
        return self

    def refusals(self, call: Call) -> int:
        return sum(refused == call for _, refused in self.refused)

    @property
    def behind(self) -> float:
        return median(answer.behind for answer in self.answers)

    @property
    def lag(self) -> float:
        return max(answer.lag for answer in self.answers)

    def _at(self, time: float, happens: Happening | None) -> None:
        heappush(self._events, (time, next(self._number), happens))

    def _begin(self, asked: Asked, now: float) -> None:
        claim = Claim(asked.channel, wants="chat.postMessage", since=now, began=now)
        answer = Answer(claim, now, now + asked.seconds)
        self.answers.append(answer)
        self._pacer.join(claim, now)
        self._at(answer.ends, partial(self._end, answer))

    def _end(self, answer: Answer, now: float) -> None:
        answer.claim.must = True
        self._pacer.ended(answer.claim, now)

    def _turn(self, now: float) -> None:
        """What `bot.turnstile` does."""
        while claim := self._pacer.grant(now):
            self._call(self._answer_of(claim), now)
        late = self._pacer.late(now)
        for claim in late:
            self.sealed += 1
            self._answer_of(claim).is_begun = claim.has_open_message = False
            claim.wants = "chat.postMessage"
        if late:
            self._turn(now)
            return
        self._looks_at = self._pacer.next_chance(now)
        if self._looks_at < inf:
            self._at(self._looks_at, None)

    def _answer_of(self, claim: Claim) -> Answer:
        return next(answer for answer in self.answers if answer.claim is claim)

    def _call(self, answer: Answer, now: float) -> None:
        call: Call = "chat.update" if answer.is_begun else "chat.postMessage"
        is_last = answer.claim.must
        answer.is_under_way = True
        self._at(now + LATENCY / 2, partial(self._arrive, answer, call, now, is_last))

    def _arrive(
        self, answer: Answer, call: Call, shows_until: float, is_last: bool, now: float
    ) -> None:
        wait = self._limits.admit(call, answer.claim.channel, now)
        if wait:
            self.refused.append((now, call))
            retry_after = max(1, ceil(wait))
            self._at(now + LATENCY / 2, partial(self._hear_no, answer, call, retry_after))
            return
        self.calls.append((now, call))
        answer.looks.append((now, shows_until))
        if is_last:
            answer.whole_at = now
        self._at(now + LATENCY / 2, partial(self._hear_yes, answer, call, shows_until))

    def _hear_yes(self, answer: Answer, call: Call, shows_until: float, now: float) -> None:
        claim = answer.claim
        self._pacer.answered(claim, call, now)
        answer.is_under_way = False
        if answer.whole_at < inf:
            claim.has_open_message = False
            self._pacer.leave(claim)
            return
        answer.is_begun = claim.has_open_message = True
        claim.since = shows_until
        claim.wants = "chat.update"

    def _hear_no(self, answer: Answer, call: Call, retry_after: float, now: float) -> None:
        self._pacer.refused(answer.claim, call, now, retry_after=retry_after)
        answer.is_under_way = False
        answer.claim.wants = call


def real(form: Form, *, scale: float = 1.0) -> slack.Limits:
    return slack.Limits.real(scale=scale, form=form)


def crowd(number: int, *, within: float, channels: int | None = None) -> list[Asked]:
    return [
        Asked(at=within * n / number, channel=f"C{n % (channels or number)}") for n in range(number)
    ]


def steady(minutes: float) -> list[Asked]:
    return [Asked(at=2.0 * n, channel=f"C{n}") for n in range(int(30 * minutes))]


SOLO = [Asked(0.0, 12.0)]
AFTER_ONE_ANOTHER = [Asked(14.0 * n, 12.0) for n in range(10)]
LONG = [Asked(0.0, 80.0)]
TWENTY = crowd(20, within=3.0)
SIXTY = crowd(60, within=3.0)
STEADY = steady(2)
ONE_CHANNEL = crowd(20, within=3.0, channels=1)

loads = pytest.mark.parametrize(
    "load",
    [SOLO, AFTER_ONE_ANOTHER, LONG, TWENTY, SIXTY, STEADY, ONE_CHANNEL],
    ids=["solo", "after one another", "long", "20 in 3 s", "60 in 3 s", "steady", "one channel"],
)


def queue(load: list[Asked]) -> float:
    """Seconds that the posts of the fullest channel take, one after the other."""
    most = max(Counter(asked.channel for asked in load).values())
    pace = Limits().posts_in_channel_every + LATENCY
    return 0.0 if most == 1 or load is AFTER_ONE_ANOTHER else most * pace + 1.0


@forms
@loads
def test_at_slacks_real_limits_nothing_is_refused_and_every_answer_ends_at_once(
    form: Form, load: list[Asked]
) -> None:
    after = Load(real(form)).run(load)

    assert after.refused == []
    assert after.sealed == 0
    assert after.lag <= LATE + queue(load)


@forms
@loads
def test_where_slack_allows_forty_percent_few_are_refused_and_no_answer_waits(
    form: Form, load: list[Asked]
) -> None:
    after = Load(real(form, scale=0.4)).run(load)

    assert after.refusals("chat.update") <= 5
    assert after.refusals("chat.postMessage") <= 5
    assert after.lag <= LATE + LATENCY + queue(load)


@forms
@pytest.mark.parametrize(
    ("load", "most"),
    [(SOLO, 0.35), (TWENTY, 1.9), (STEADY, 3.0), (SIXTY, WHOLE)],
    ids=["solo", "20 in 3 s", "steady", "60 in 3 s"],
)
def test_readers_are_not_far_behind(form: Form, load: list[Asked], most: float) -> None:
    assert Load(real(form)).run(load).behind <= most


@forms
def test_ten_minutes_at_forty_percent_teach_what_slack_allows(form: Form) -> None:
    after = Load(real(form, scale=0.4)).run(steady(10))

    assert len(after.refused) <= 5
    assert after.lag <= LATE + LATENCY


def test_believed_limit_is_not_exceeded_until_it_rises() -> None:
    after = Load(real(slack.SlidingWindow, scale=0.4)).run(STEADY)

    episodes = [at for at, _ in after.refused]
    assert all(
        later - earlier < LATENCY or later - earlier > MINUTE
        for earlier, later in pairwise(episodes)
    )


@forms
def test_posts_beyond_what_the_workspace_takes_are_not_tried_again_and_again(form: Form) -> None:
    """At a tenth Slack takes 30 posts a minute; a bucket refuses each for a moment only."""
    after = Load(real(form, scale=0.1)).run(SIXTY)

    assert after.refusals("chat.postMessage") <= 10


arrivals = st.lists(
    st.builds(
        Asked,
        at=st.floats(0, 90),
        seconds=st.floats(0.2, 40),
        channel=st.sampled_from([f"C{n}" for n in range(6)]),
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=40)
@given(
    questions=arrivals,
    scale=st.floats(0.1, 1.0),
    form=st.sampled_from(FORMS),
    burst=st.sampled_from([1.0, 0.3]),
)
def test_whatever_is_asked_and_however_little_slack_allows_every_answer_ends(
    questions: list[Asked], scale: float, form: Form, burst: float
) -> None:
    after = Load(real(form, scale=scale), pacer=Pacer(Limits(burst=burst))).run(questions)

    assert len(after.answers) == len(questions)
    assert after.lag <= LATE + LATENCY + queue(questions) + MINUTE * (scale < 0.2)
    assert after.refusals("chat.update") <= UNDER_WAY * 4

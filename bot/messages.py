"""The values that flow from a Slack event to an answer and its cost. No SDK inside."""

import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

Role = Literal["system", "user", "assistant"]

# complete: the model finished; cut: it reached its token limit; stopped: the bot was told to end
# it (by a person, a shutdown, a deleted reply); failed: an error ended it; refused: the model was
# not asked, because the person may not ask, asks too often, or a limit is reached.
Outcome = Literal["complete", "cut", "stopped", "failed", "refused"]


# Who stopped a turn whose question is there no more: Slack does not say who deleted it.
DELETED = ""


class TurnKey(NamedTuple):
    """Names a question for ever: Slack gives a message one ``ts``, but its events several ids."""

    team: str
    channel: str
    ts: str

    def __str__(self) -> str:
        return ":".join(self)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in its workspace, as ``auth.test`` tells it."""

    team: str
    user: str
    bot_id: str
    name: str
    enterprise: str = ""  # the organisation of several workspaces that its workspace is in, if any
    url: str = ""  # of the workspace, for links to messages


@dataclass(frozen=True, slots=True)
class File:
    """A file that hangs on a message, as Slack describes it. What is in it may be anything."""

    id: str
    name: str  # as `bot.files.shown_name` has it
    media_type: str = ""  # as it was declared
    size: int | None = None  # bytes
    url: str = ""  # from which it is downloaded; "" where Slack wants to be asked for it
    hurdle: str = ""  # why it cannot be read, one of `bot.files.HURDLES`; "": nothing is known


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as a model takes it."""

    media_type: str
    data: bytes = field(repr=False)
    width: int  # pixels
    height: int


@dataclass(frozen=True, slots=True)
class Question:
    """One message that wants an answer."""

    team: str
    channel: str
    ts: str
    thread_ts: str
    user: str
    text: str  # as on Slack's wire: mrkdwn, escaped
    files: tuple[File, ...] = ()
    is_posted: bool = False  # by the bot, in the person's place: what it says is read there
    is_follow_up: bool = False  # it does not mention the bot, which has answered in its thread

    @property
    def key(self) -> TurnKey:
        return TurnKey(self.team, self.channel, self.ts)

    @property
    def opens_thread(self) -> bool:
        """Nothing was said before it in its thread, so there is no history to read."""
        return self.ts == self.thread_ts

    @property
    def is_dm(self) -> bool:
        return self.channel.startswith("D")


@dataclass(frozen=True, slots=True)
class Turn:
    """The durable record of answering one question. It holds ids, never text."""

    key: TurnKey
    thread_ts: str
    user: str
    place: int  # in the order in which questions were accepted
    accepted_at: datetime  # UTC
    attempts: int = 0  # begun so far, by any process
    messages: tuple[str, ...] = ()  # the ts of what stands of the reply
    is_next: bool = False  # no earlier turn of its thread was unfinished when this was read
    is_resumed: bool = False  # another process accepted it, or this one before a restart
    is_first: bool = False  # of its channel
    owner: str | None = None  # the process that answers it
    taken_at: float | None = None  # when this process took it from a dead one, by the loop's clock
    asked: int = 1  # how often: people correct their questions, and ask for an answer anew
    asked_at: datetime | None = None  # UTC, the last time; None: when it was accepted
    attempts_before: int = 0  # of `attempts`, those for what was asked before
    handovers: int = 0  # of those for what is asked now, those that a planned stop ended
    is_continued: bool = False  # the answer goes on after what stands of it
    stopped_by: str | None = None  # the person who wants no more of it; or `DELETED`
    is_finished: bool = False
    is_follow_up: bool = False  # the bot was not mentioned: nobody may have meant it

    @property
    def thread(self) -> tuple[str, str, str]:
        return (self.key.team, self.key.channel, self.thread_ts)

    @property
    def is_stopped(self) -> bool:
        return self.stopped_by is not None

    @property
    def attempts_now(self) -> int:
        """Begun since it was asked for last."""
        return self.attempts - self.attempts_before

    @property
    def attempts_lost(self) -> int:
        """Those of them whose process died."""
        return self.attempts_now - self.handovers

    @property
    def private_thread_ts(self) -> str | None:
        """Where a private word on it is seen: Slack shows none in a thread without replies
        (docs.slack.dev/reference/methods/chat.postEphemeral)."""
        has_replies = bool(self.messages) or self.key.ts != self.thread_ts
        return self.thread_ts if has_replies else None

    def now_next(self) -> "Turn":
        return replace(self, is_next=True)

    def is_newer(self, other: "Turn") -> bool:
        """Whether it says more of what people want than another reading of the same turn."""
        return (self.asked, self.is_stopped) > (other.asked, other.is_stopped)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message as chat completion APIs take it."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()  # in the order in which the content names them


@dataclass(frozen=True, slots=True)
class Delta:
    """Some more text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model's provider counted them; None where it did not say.

    ``cached_tokens`` are part of ``input_tokens``, ``reasoning_tokens`` of ``output_tokens``.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None

    def __add__(self, other: "Usage") -> "Usage":
        """Sums what is known; unknown stays unknown only where both are."""
        return Usage(
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.reasoning_tokens, other.reasoning_tokens),
        )


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What one attempt at an answer cost. It holds ids and numbers, never anybody's words.

    An answer has more than one attempt where its process stopped or died before it was finished,
    or where somebody asked for it anew.
    ``requests`` counts those to the model whose stream began or failed.
    """

    at: datetime  # UTC, when the answer ended
    key: TurnKey
    user: str
    model: str
    usage: Usage
    seconds_to_first_delta: float | None
    seconds: float
    requests: int
    outcome: Outcome
    attempt: int = 1
    is_resumed: bool = False  # one before it, for the same wish, was not finished by its process
    purpose: str = "answer"  # or what a helper call to the model was for
    is_estimate: bool = False  # at least one stream ended without a report of its tokens
    cost: Decimal | None = None  # US dollars; None: the model has no known price
    priced_on: str | None = None  # the date of the price table, as YYYY-MM-DD

    def fields(self) -> dict[str, Any]:
        """The record flat, for a log line."""
        return {
            "team": self.key.team,
            "channel": self.key.channel,
            "ts": self.key.ts,
            "attempt": self.attempt,
            "is_resumed": self.is_resumed,
            "purpose": self.purpose,
            "user": self.user,
            "model": self.model,
            "input_tokens": self.usage.input_tokens,
            "cached_tokens": self.usage.cached_tokens,
            "output_tokens": self.usage.output_tokens,
            "reasoning_tokens": self.usage.reasoning_tokens,
            "is_estimate": self.is_estimate,
            "cost": self.cost,
            "priced_on": self.priced_on,
            "seconds_to_first_delta": self.seconds_to_first_delta,
            "seconds": self.seconds,
            "requests": self.requests,
            "outcome": self.outcome,
        }


def plain_name(name: str) -> str:
    """A display name as at most 80 letters, digits, spaces and ``. ' ’ - _``.

    People choose theirs, and may choose an instruction: without quotes, brackets, colons and
    invisible characters it cannot pass for more than a name.
    """
    kept = (c if c in ".'’-_" or unicodedata.category(c)[0] in "LMN" else " " for c in name)
    return " ".join("".join(kept).split())[:80].rstrip() or "somebody"


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other

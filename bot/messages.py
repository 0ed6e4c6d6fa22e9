"""The values that flow from a Slack event to an answer and its cost. No SDK inside."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

Role = Literal["system", "user", "assistant"]

# complete: the model finished; cut: it reached its token limit; stopped: the bot was told to end
# it (a shutdown, a deleted reply); failed: an error ended it.
Outcome = Literal["complete", "cut", "stopped", "failed"]


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


@dataclass(frozen=True, slots=True)
class Question:
    """One message that wants an answer."""

    team: str
    channel: str
    ts: str
    thread_ts: str
    user: str
    text: str  # as on Slack's wire: mrkdwn, escaped
    files: tuple[str, ...] = ()  # their names; the bot does not read them

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
class ChatMessage:
    """One message as chat completion APIs take it."""

    role: Role
    content: str


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
    """What one answer cost. It holds ids and numbers, never anybody's words.

    ``attempts`` counts the requests to the model whose stream began or failed. ``usage`` is what
    the provider reported, summed over them: a stream that broke reports nothing, so where there
    was more than one attempt the sum is a lower bound.
    """

    at: datetime  # UTC, when the answer ended
    key: TurnKey
    user: str
    model: str
    usage: Usage
    seconds_to_first_delta: float | None
    seconds: float
    attempts: int
    outcome: Outcome

    def fields(self) -> dict[str, Any]:
        """The record flat, for a log line."""
        return {
            "team": self.key.team,
            "channel": self.key.channel,
            "ts": self.key.ts,
            "user": self.user,
            "model": self.model,
            "input_tokens": self.usage.input_tokens,
            "cached_tokens": self.usage.cached_tokens,
            "output_tokens": self.usage.output_tokens,
            "reasoning_tokens": self.usage.reasoning_tokens,
            "seconds_to_first_delta": self.seconds_to_first_delta,
            "seconds": self.seconds,
            "attempts": self.attempts,
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

"""What stands in a thread of a turn that another process began: its question, and its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from bot.errors import BotError, QuestionGone, TooLate, TriedTooOften
from bot.gate import SPOKEN_SUBTYPES, question_in
from bot.history import answer_text, reply_tag
from bot.messages import Identity, Outcome, Question, Turn, TurnKey

# No more processes than this may die with a turn: it may be what they died of.
MOST_ATTEMPTS = 4

# After this long nobody waits for the answer any more.
OLDEST = timedelta(hours=1)

# On the question, where the workspace has no status line: an answer is coming.
REACTION = "eyes"


@dataclass(frozen=True, slots=True)
class StandingMessage:
    """A message of the reply, as it was found."""

    ts: str
    text: str  # the model's words in it
    is_last: bool = False  # it stands there as the end of an answer
    asked: int = 1  # `Turn.asked`: what it answers
    outcome: Outcome = "complete"  # of the answer that it is the end of


@dataclass(frozen=True, slots=True)
class Standing:
    """All that was found. A reply whose last edit was made needs no more."""

    question: Question | None  # None: it was deleted
    reply: tuple[StandingMessage, ...] = ()  # its parts, in order
    surplus: tuple[str, ...] = ()  # the ts of messages that are to be deleted
    is_whole: bool = False
    is_outdated: bool = False  # all of the reply is to what was asked before
    has_reaction: bool = False  # the bot's own, which said that an answer is coming
    outcome: Outcome = "complete"  # of a whole reply
    thread: Sequence[Mapping[str, Any]] | None = field(default=None, compare=False)  # as read


def standing(thread: Sequence[Mapping[str, Any]], turn: Turn, bot: Identity) -> Standing:
    """What a thread holds of a turn. Only this bot's own messages count as a reply.

    Where two messages are the same part, the older was given up: a process ended before it
    could delete it. So was what follows a gap, and what follows the last part.
    """
    question, has_reaction = None, False
    parts: dict[int, StandingMessage] = {}
    surplus: list[str] = []
    for message in thread:
        if _ts(message) == turn.key.ts and message.get("subtype") in SPOKEN_SUBTYPES:
            question, has_reaction = question_in(message, turn), _has_reaction(message, bot)
        number = part_of(message, turn.key, bot)
        if number is None:
            continue
        if number in parts:
            surplus.append(parts[number].ts)
        parts[number] = _as_it_stands(message, bot)
    reply: list[StandingMessage] = []
    for number, found in sorted(parts.items()):
        if number != len(reply) or any(earlier.is_last for earlier in reply):
            surplus.append(found.ts)
        else:
            reply.append(found)
    return Standing(
        question,
        tuple(reply),
        tuple(surplus),
        is_whole=any(found.is_last and found.asked == turn.asked for found in reply),
        is_outdated=bool(reply) and all(found.asked < turn.asked for found in reply),
        has_reaction=has_reaction,
        outcome=reply[-1].outcome if reply else "complete",
        thread=thread,
    )


def hopeless(found: Standing, turn: Turn, now: datetime) -> BotError | None:
    """Why there is no point in going on with what was found, if there is none."""
    if found.is_whole:
        return None
    if turn.attempts_lost >= MOST_ATTEMPTS:
        return TriedTooOften()
    if is_too_old(turn, now):
        return TooLate()
    return QuestionGone() if found.reply and not found.question else None


def is_too_old(turn: Turn, now: datetime) -> bool:
    return now - (turn.asked_at or turn.accepted_at) > OLDEST


def part_of(message: Mapping[str, Any], turn: TurnKey, bot: Identity) -> int | None:
    """Which part of that turn's reply it is; None where it is none."""
    tag = reply_tag(message, bot)
    number = tag.get("part") if tag and tag.get("turn") == str(turn) else None
    return number if isinstance(number, int) else None


def _as_it_stands(message: Mapping[str, Any], bot: Identity) -> StandingMessage:
    tag = reply_tag(message, bot) or {}
    asked: object = tag.get("asked")
    outcome: Outcome = tag.get("outcome", "complete")
    return StandingMessage(
        _ts(message),
        answer_text(message),
        is_last=tag.get("is_last") is True,
        asked=asked if isinstance(asked, int) else 1,
        outcome=outcome if outcome in get_args(Outcome) else "complete",
    )


def _has_reaction(message: Mapping[str, Any], bot: Identity) -> bool:
    reactions = message.get("reactions")
    return any(
        isinstance(reaction, Mapping)
        and reaction.get("name") == REACTION
        and bot.user in (reaction.get("users") or ())
        for reaction in (reactions if isinstance(reactions, list) else ())
    )


def _ts(message: Mapping[str, Any]) -> str:
    return str(message.get("ts"))

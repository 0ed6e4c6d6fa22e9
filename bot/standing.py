"""What stands in a thread of a turn that another process began: its question, and its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from bot.errors import BotError, QuestionGone, TooLate, TriedTooOften
from bot.gate import SPOKEN_SUBTYPES, question_in
from bot.history import answer_text, reply_tag
from bot.messages import Identity, Outcome, Question, Turn, TurnKey

# A turn is begun no more often than this: it may be what its processes died of.
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


@dataclass(frozen=True, slots=True)
class Standing:
    """All that was found. A reply whose last edit was made needs no more."""

    question: Question | None  # None: it was deleted
    reply: tuple[StandingMessage, ...] = ()  # its parts, in order
    surplus: tuple[str, ...] = ()  # the ts of messages that are to be deleted
    is_whole: bool = False
    has_reaction: bool = False  # the bot's own, which said that an answer is coming
    outcome: Outcome = "complete"  # of a whole reply
    thread: Sequence[Mapping[str, Any]] | None = field(default=None, compare=False)  # as read


def standing(thread: Sequence[Mapping[str, Any]], turn: Turn, bot: Identity) -> Standing:
    """What a thread holds of a turn. Only this bot's own messages count as a reply.

    Where two messages are the same part, the older was given up: a process ended before it
    could delete it. So was what follows a gap, and what follows the last part.
    """
    question, has_reaction = None, False
    parts: dict[int, Mapping[str, Any]] = {}
    surplus: list[str] = []
    for message in thread:
        if _ts(message) == turn.key.ts and message.get("subtype") in SPOKEN_SUBTYPES:
            question, has_reaction = question_in(message, turn), _has_reaction(message, bot)
        number = part_of(message, turn.key, bot)
        if number is None:
            continue
        if number in parts:
            surplus.append(_ts(parts[number]))
        parts[number] = message
    reply: list[StandingMessage] = []
    is_whole = False
    outcome: Outcome = "complete"
    for number, message in sorted(parts.items()):
        if is_whole or number != len(reply):
            surplus.append(_ts(message))
            continue
        reply.append(StandingMessage(_ts(message), answer_text(message)))
        is_whole, outcome = _is_last(message, bot), _outcome(message, bot)
    return Standing(question, tuple(reply), tuple(surplus), is_whole, has_reaction, outcome, thread)


def hopeless(found: Standing, turn: Turn, now: datetime) -> BotError | None:
    """Why there is no point in going on with what was found, if there is none."""
    if found.is_whole:
        return None
    if turn.attempts >= MOST_ATTEMPTS:
        return TriedTooOften()
    if is_too_old(turn, now):
        return TooLate()
    return QuestionGone() if found.reply and not found.question else None


def is_too_old(turn: Turn, now: datetime) -> bool:
    return now - turn.accepted_at > OLDEST


def part_of(message: Mapping[str, Any], turn: TurnKey, bot: Identity) -> int | None:
    """Which part of that turn's reply it is; None where it is none."""
    tag = reply_tag(message, bot)
    number = tag.get("part") if tag and tag.get("turn") == str(turn) else None
    return number if isinstance(number, int) else None


def _is_last(message: Mapping[str, Any], bot: Identity) -> bool:
    tag = reply_tag(message, bot)
    return tag is not None and tag.get("is_last") is True


def _outcome(message: Mapping[str, Any], bot: Identity) -> Outcome:
    tag = reply_tag(message, bot) or {}
    found: Outcome = tag.get("outcome", "complete")
    return found if found in get_args(Outcome) else "complete"


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

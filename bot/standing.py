"""What stands in a thread of a turn that another process began: its question, and its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.gate import is_tombstone, question_in
from bot.history import answer_text, reply_tag
from bot.messages import Identity, Question, Turn


@dataclass(frozen=True, slots=True)
class StandingMessage:
    """A message of the reply, as it was found."""

    ts: str
    text: str  # the model's words in it
    is_last: bool = False  # it stood there as the end of an answer


@dataclass(frozen=True, slots=True)
class Standing:
    """All that was found. A reply whose last edit was made needs no more, until it is asked for
    again."""

    question: Question | None  # None: it was deleted
    reply: tuple[StandingMessage, ...] = ()  # its parts, in order
    surplus: tuple[str, ...] = ()  # the ts of messages that are to be deleted
    is_whole: bool = False
    is_outdated: bool = False  # all of the reply is to what was asked before


def standing(thread: Sequence[Mapping[str, Any]], turn: Turn, bot: Identity) -> Standing:
    """What a thread holds of a turn. Only this bot's own messages count as a reply.

    Where two messages are the same part, the older was given up: a process ended before it
    could delete it. So was what follows a gap.
    """
    question = None
    parts: dict[int, StandingMessage] = {}
    surplus: list[str] = []
    is_whole, is_outdated = False, True
    for message in thread:
        if str(message.get("ts")) == turn.key.ts and not is_tombstone(message):
            question = question_in(message, turn)
        tag = reply_tag(message, bot)
        number = tag.get("part") if tag else None
        if tag is None or tag.get("turn") != str(turn.key) or not isinstance(number, int):
            continue
        if number in parts:
            surplus.append(parts[number].ts)
        is_last = tag.get("is_last") is True
        parts[number] = StandingMessage(str(message.get("ts")), answer_text(message), is_last)
        if tag.get("asked", 1) == turn.asked:
            is_outdated = False
            is_whole = is_whole or is_last
    reply: list[StandingMessage] = []
    for number, found in sorted(parts.items()):
        if number == len(reply):
            reply.append(found)
        else:
            surplus.append(found.ts)
    return Standing(question, tuple(reply), tuple(surplus), is_whole, is_outdated and bool(reply))

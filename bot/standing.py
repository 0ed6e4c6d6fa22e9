"""What stands in a thread of a turn that another process began: its question, and its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.gate import question_in
from bot.history import answer_text, reply_tag
from bot.messages import Identity, Question, Turn


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


def standing(thread: Sequence[Mapping[str, Any]], turn: Turn, bot: Identity) -> Standing:
    """What a thread holds of a turn. Only this bot's own messages count as a reply.

    Where two messages are the same part, the older was given up: a process ended before it
    could delete it. So was what follows a gap.
    """
    question = None
    parts: dict[int, Mapping[str, Any]] = {}
    surplus: list[str] = []
    is_whole = False
    for message in thread:
        if str(message.get("ts")) == turn.key.ts:
            question = question_in(message, turn)
        tag = reply_tag(message, bot)
        number = tag.get("part") if tag else None
        if tag is None or tag.get("turn") != str(turn.key) or not isinstance(number, int):
            continue
        if number in parts:
            surplus.append(str(parts[number].get("ts")))
        parts[number] = message
        is_whole = is_whole or tag.get("is_last") is True
    reply: list[StandingMessage] = []
    for number, message in sorted(parts.items()):
        found = StandingMessage(str(message.get("ts")), answer_text(message))
        if number == len(reply):
            reply.append(found)
        else:
            surplus.append(found.ts)
    return Standing(question, tuple(reply), tuple(surplus), is_whole)

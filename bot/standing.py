"""What stands in a thread of a turn that another process began: its question, and its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from bot.errors import BotError, QuestionGone, TooLate, TriedTooOften
from bot.gate import SPOKEN_SUBTYPES, question_in
from bot.history import answer_text, is_own, moment, notice_text, reply_tag
from bot.messages import Identity, Outcome, Question, Turn, TurnKey

# No more processes than this may die with a turn: it may be what they died of.
MOST_ATTEMPTS = 4

# After this long nobody waits for the answer any more.
OLDEST = timedelta(hours=1)

# In place of a part's number: a stream that nobody has ended, so that nothing says which it is.
UNMARKED = -1

# All that a stream may hold until it is stopped, as it was sent, or as Slack makes of it.
STREAMED_BLOCKS = frozenset({"markdown", "rich_text"})

# On the question, where the workspace has no status line: an answer is coming.
REACTION = "eyes"


@dataclass(frozen=True, slots=True)
class StandingMessage:
    """A message of the reply, as it was found."""

    ts: str
    text: str  # the model's words in it
    notice: str = field(default="", compare=False)  # the bot's own beneath them
    is_last: bool = False  # it stands there as the end of an answer
    asked: int = 1  # `Turn.asked`: what it answers
    outcome: Outcome = "complete"  # of the answer that it is the end of
    rank: tuple[int, int] = (0, 0)  # which process of those that answered it, which of its posts
    is_streamed: bool = False  # nobody has ended it as a stream, but perhaps Slack


@dataclass(frozen=True, slots=True)
class Standing:
    """All that was found. A reply whose last edit was made needs no more."""

    question: Question | None  # None: it was deleted
    reply: tuple[StandingMessage, ...] = ()  # its parts, in order
    surplus: tuple[str, ...] = ()  # the ts of messages that are to be deleted
    streams: frozenset[str] = frozenset()  # those of all messages here that may be streams still
    is_whole: bool = False
    is_outdated: bool = False  # all of the reply is to what was asked before
    has_reaction: bool = False  # the bot's own, which said that an answer is coming
    outcome: Outcome = "complete"  # of a whole reply
    thread: Sequence[Mapping[str, Any]] | None = field(default=None, compare=False)  # as read


def standing(
    thread: Sequence[Mapping[str, Any]],
    turn: Turn,
    bot: Identity,
    *,
    with_streams: bool = False,
) -> Standing:
    """What a thread holds of a turn. Only this bot's own messages count as a reply.

    Where two messages are the same part, that of an earlier process or post was given up, and could
    not be deleted before a process ended, or it came to stand there late. So was what follows a
    gap, and what follows the last part; and what stands above a part before it, as who posts one
    anew gives up all behind it.

    A stream says which part it is only when it is stopped. One that nobody stopped is known by its
    record or, ``with_streams``, because in a thread only one answer grows at a time.
    """
    question, has_reaction = None, False
    parts: dict[int, StandingMessage] = {}
    surplus: list[str] = []
    unmarked: list[StandingMessage] = []
    for message in thread:
        if _ts(message) == turn.key.ts and message.get("subtype") in SPOKEN_SUBTYPES:
            question, has_reaction = question_in(message, turn), _has_reaction(message, bot)
        number = part_of(message, turn.key, bot)
        if number is None:
            if _is_stream(message, turn, bot, with_streams=with_streams):
                unmarked.append(_as_streamed(message, turn))
            continue
        found = _as_it_stands(message, bot)
        if number in parts:
            older, found = sorted((parts[number], found), key=lambda each: each.rank)
            surplus.append(older.ts)
        parts[number] = found
    surplus += _place(unmarked, parts, turn)
    reply: list[StandingMessage] = []
    for number, found in sorted(parts.items()):
        is_below = all(moment(earlier.ts) < moment(found.ts) for earlier in reply)
        is_whole = any(earlier.is_last for earlier in reply)
        if number != len(reply) or is_whole or not is_below:
            surplus.append(found.ts)
        else:
            reply.append(found)
    return Standing(
        question,
        tuple(reply),
        tuple(surplus),
        streams=frozenset(stream.ts for stream in unmarked),
        is_whole=any(found.is_last and found.asked == turn.asked for found in reply),
        is_outdated=bool(reply) and all(found.asked < turn.asked for found in reply),
        has_reaction=has_reaction,
        outcome=reply[-1].outcome if reply else "complete",
        thread=thread,
    )


def _is_stream(
    message: Mapping[str, Any], turn: Turn, bot: Identity, *, with_streams: bool
) -> bool:
    is_recorded = _ts(message) in turn.messages and is_own(message, bot)
    is_known = is_recorded and not message.get("metadata")
    return is_known or (with_streams and is_unmarked(message, turn.key, bot))


def _place(
    streams: Sequence[StandingMessage], parts: dict[int, StandingMessage], turn: Turn
) -> list[str]:
    """Puts each where its record has it, and the newest behind all others, should it be one of
    which there is no record. What has no place is to be deleted."""
    surplus: list[str] = []
    recorded = [stream for stream in streams if stream.ts in turn.messages]
    unrecorded = [stream for stream in streams if stream.ts not in turn.messages]
    for stream in recorded:
        if (number := turn.messages.index(stream.ts)) in parts:
            surplus.append(stream.ts)
        else:
            parts[number] = stream
    for stream in reversed(unrecorded):
        # One that is older than a part was begun by a process before that which began the part.
        if all(moment(part.ts) < moment(stream.ts) for part in parts.values()):
            parts[max(parts, default=-1) + 1] = stream
        else:
            surplus.append(stream.ts)
    return surplus


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


def is_unmarked(message: Mapping[str, Any], turn: TurnKey, bot: Identity) -> bool:
    """Whether it may be a stream of that turn's reply that nobody has ended: the bot's own words
    after the question, without a sign of what they are. Its notices are no words, and all else
    that it says in threads has metadata."""
    blocks = message.get("blocks")
    kinds = {block.get("type") for block in blocks} if isinstance(blocks, list) else set()
    is_bare = is_own(message, bot) and not message.get("metadata")
    return is_bare and bool(kinds) and kinds <= STREAMED_BLOCKS and _is_after(message, turn)


def _is_after(message: Mapping[str, Any], turn: TurnKey) -> bool:
    return moment(_ts(message)) > moment(turn.ts)


def _as_streamed(message: Mapping[str, Any], turn: Turn) -> StandingMessage:
    return StandingMessage(_ts(message), answer_text(message), asked=turn.asked, is_streamed=True)


def _as_it_stands(message: Mapping[str, Any], bot: Identity) -> StandingMessage:
    tag = reply_tag(message, bot) or {}
    asked: object = tag.get("asked")
    outcome: Outcome = tag.get("outcome", "complete")
    return StandingMessage(
        _ts(message),
        answer_text(message),
        notice_text(message),
        is_last=tag.get("is_last") is True,
        asked=asked if isinstance(asked, int) else 1,
        outcome=outcome if outcome in get_args(Outcome) else "complete",
        rank=(_whole(tag.get("life")), _whole(tag.get("post"))),
    )


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 0


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

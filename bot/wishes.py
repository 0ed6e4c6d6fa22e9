"""What people want of an answer that is there or coming: Slack's payloads become values.

Nothing is believed here but what Slack itself says: who did it, and where.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.control_views import CONTINUE, RETRY, STOP
from bot.files import files_of
from bot.gate import is_id, is_spoken_by_a_person, is_tombstone, is_ts, text_of
from bot.history import is_own, reply_tag
from bot.interactions import Press
from bot.messages import Identity, Question, TurnKey

Deed = Literal["stop", "continue", "retry", "regenerate", "up", "down"]

_DEEDS: Mapping[str, Deed] = {
    STOP: "stop",
    CONTINUE: "continue",
    RETRY: "retry",
    "regenerate": "regenerate",  # the words of menus and thumbs stand in their values
    "up": "up",
    "down": "down",
}

# What `bot.control_views` puts into the value of a button.
_VALUE = re.compile(r"(?:(\w{1,20}) )?(\d{1,9}) (\S{1,120})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Edit:
    """A question has another wording now."""

    question: Question
    edited_ts: str  # the same in all events about one edit


@dataclass(frozen=True, slots=True)
class Deletion:
    """A message was deleted; perhaps it was a question."""

    key: TurnKey


@dataclass(frozen=True, slots=True)
class SessionStop:
    """Somebody used Slack's own control to stop what the bot does in a thread."""

    thread: tuple[str, str, str]
    user: str


Wish = Edit | Deletion | SessionStop


@dataclass(frozen=True, slots=True)
class Aim:
    """What a button beneath an answer was pressed for."""

    deed: Deed
    turn: TurnKey
    asked: int  # `Turn.asked` when the button was shown
    is_proven: bool  # the message itself says which turn it answers; else only the button does


def wish_from(body: Mapping[str, Any], bot: Identity) -> Wish | None:
    """What an Events API payload says that somebody wants of an earlier question, if anything."""
    event = body.get("event")
    if not isinstance(event, Mapping):
        return None
    match event.get("type"), event.get("subtype"):
        case "agent_session_stopped", _:
            return _session_stop(event, bot)
        case "app_mention", _:
            return _edit(event, event, bot)
        case "message", "message_changed":
            return _change(event, bot)
        case "message", "message_deleted":
            return _deletion(event, event.get("deleted_ts"), bot)
        case _:
            return None


def aim_of(press: Press, bot: Identity) -> Aim | None:
    """None for a press that is not about an answer in the channel where it was made.

    Which turn it concerns is told by the metadata of the message, if that is one of the bot's own
    and Slack hands it back; else by the button, and has to be checked.
    """
    value = _VALUE.fullmatch(press.value)
    deed = _DEEDS.get(value[1] or press.action_id) if value else None
    if not (value and deed and is_ts(press.message_ts)):
        return None
    tag = reply_tag(press.message, bot)
    turn = turn_named(str(tag.get("turn")) if tag else value[3])
    if turn is None or (turn.team, turn.channel) != (bot.team, press.channel):
        return None
    return Aim(deed, turn, int(value[2]), bool(tag))


def turn_named(text: str) -> TurnKey | None:
    """The key that reads so."""
    team, _, place = text.partition(":")
    channel, _, ts = place.partition(":")
    return TurnKey(team, channel, ts) if is_id(team) and is_id(channel) and is_ts(ts) else None


def _session_stop(event: Mapping[str, Any], bot: Identity) -> SessionStop | None:
    channel, thread_ts, user = event.get("channel"), event.get("thread_ts"), event.get("user")
    if not (is_id(channel) and is_ts(thread_ts) and is_id(user)):
        return None
    return SessionStop((bot.team, channel, thread_ts), user)


def _change(event: Mapping[str, Any], bot: Identity) -> Edit | Deletion | None:
    """Slack also sends it for links that unfolded, reactions of apps, first replies."""
    message, before = _mapping(event.get("message")), _mapping(event.get("previous_message"))
    if is_tombstone(message):
        return _deletion(event, message.get("ts"), bot)
    is_other = message.get("text") != before.get("text")
    return _edit(message, event, bot) if is_other else None


def _edit(message: Mapping[str, Any], event: Mapping[str, Any], bot: Identity) -> Edit | None:
    """In channels Slack sends an edited mention as ``app_mention`` once more."""
    edited_ts = _mapping(message.get("edited")).get("ts")
    channel, user, ts = event.get("channel"), message.get("user"), message.get("ts")
    thread_ts = message.get("thread_ts") or ts
    if not (is_ts(edited_ts) and is_spoken_by_a_person(message, bot)):
        return None
    if not (is_id(channel) and is_id(user) and is_ts(ts) and is_ts(thread_ts)):
        return None
    text, files = text_of(message), files_of(message)
    return Edit(Question(bot.team, channel, ts, thread_ts, user, text, files), edited_ts)


def _deletion(event: Mapping[str, Any], ts: object, bot: Identity) -> Deletion | None:
    channel = event.get("channel")
    before = _mapping(event.get("previous_message"))
    is_foreign = before.get("bot_id") and not is_own(before, bot)  # the bot posts questions as well
    if not (is_id(channel) and is_ts(ts)) or is_foreign:
        return None
    return Deletion(TurnKey(bot.team, channel, ts))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

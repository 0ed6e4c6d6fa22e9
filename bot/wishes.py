"""What people want of an answer that is there or coming: Slack's payloads become values.

Nothing is believed here but what Slack itself says: who did it, and where.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot import views
from bot.gate import (
    file_names,
    is_id,
    is_spoken_by_a_person,
    is_tombstone,
    is_ts,
    text_of,
)
from bot.history import reply_tag
from bot.messages import Identity, Question, TurnKey

Deed = Literal["stop", "continue", "retry", "regenerate", "up", "down"]

_DEEDS: Mapping[str, Deed] = {
    views.STOP: "stop",
    views.CONTINUE: "continue",
    views.RETRY: "retry",
    "regenerate": "regenerate",  # the words of menus and thumbs stand in their values
    "up": "up",
    "down": "down",
}

# What `bot.views` put into the value of a button.
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
class Press:
    """A button beneath an answer was pressed."""

    deed: Deed
    user: str
    channel: str
    message_ts: str
    turn: TurnKey
    asked: int  # `Turn.asked` when the button was shown
    is_proven: bool  # the message itself says which turn it answers; else only the button does
    trigger_id: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """What a person says was wrong with an answer."""

    turn: TurnKey
    user: str
    words: str


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


def press_from(body: Mapping[str, Any], bot: Identity) -> Press | None:
    """The press that a ``block_actions`` payload tells of; None for anything that is none of ours.

    Which turn it concerns is told by the metadata of the message, if that is one of the bot's own
    and Slack hands it back; else by the button, and has to be checked.
    """
    action, message = _first(body.get("actions")), _mapping(body.get("message"))
    user, channel = _mapping(body.get("user")).get("id"), _mapping(body.get("channel")).get("id")
    message_ts = _mapping(body.get("container")).get("message_ts")
    chosen = action.get("value") or _mapping(action.get("selected_option")).get("value")
    value = _VALUE.fullmatch(chosen) if isinstance(chosen, str) else None
    if not (value and is_id(user) and is_id(channel) and is_ts(message_ts)):
        return None
    deed = _DEEDS.get(value[1] or str(action.get("action_id")))
    tag = reply_tag(message, bot)
    turn = _key(str(tag.get("turn")) if tag else value[3])
    if deed is None or turn is None or (turn.team, turn.channel) != (bot.team, channel):
        return None
    trigger_id = str(body.get("trigger_id") or "")
    return Press(deed, user, channel, message_ts, turn, int(value[2]), bool(tag), trigger_id)


def reason_from(body: Mapping[str, Any]) -> Reason | None:
    """What a person wrote into the modal; None where that is nothing."""
    view, user = _mapping(body.get("view")), _mapping(body.get("user")).get("id")
    turn = _key(str(view.get("private_metadata")))
    values = _mapping(_mapping(view.get("state")).get("values"))
    typed = _mapping(_mapping(values.get(views.REASON)).get(views.REASON)).get("value")
    words = typed.strip()[: views.LONGEST_REASON] if isinstance(typed, str) else ""
    return Reason(turn, user, words) if turn and words and is_id(user) else None


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
    text, files = text_of(message), file_names(message)
    return Edit(Question(bot.team, channel, ts, thread_ts, user, text, files), edited_ts)


def _deletion(event: Mapping[str, Any], ts: object, bot: Identity) -> Deletion | None:
    channel = event.get("channel")
    if not (is_id(channel) and is_ts(ts)) or _mapping(event.get("previous_message")).get("bot_id"):
        return None
    return Deletion(TurnKey(bot.team, channel, ts))


def _key(text: str) -> TurnKey | None:
    team, _, place = text.partition(":")
    channel, _, ts = place.partition(":")
    return TurnKey(team, channel, ts) if is_id(team) and is_id(channel) and is_ts(ts) else None


def _first(actions: object) -> Mapping[str, Any]:
    return _mapping(actions[0]) if isinstance(actions, list) and actions else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

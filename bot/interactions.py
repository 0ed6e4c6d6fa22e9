"""What people do besides writing: commands, buttons, menus, forms, a look at the App Home.

Who did it is what Slack itself says. All else in a payload may have been made up by somebody, and
is read as text of bounded length, to be checked by whoever uses it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

# Characters of one value; Slack's own longest (docs.slack.dev, a text input's max_length).
LONGEST = 3_000

_ID = re.compile(r"[A-Z0-9]{2,32}", re.ASCII)

# Where an element says what is chosen or typed (docs.slack.dev/reference/block-kit/block-elements).
_CHOSEN = ("value", "selected_user", "selected_conversation", "selected_channel", "selected_date")


@dataclass(frozen=True, slots=True)
class Command:
    """``/llm`` with some words, in whatever channel or direct message the person is."""

    user: str
    channel: str
    text: str
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True)
class Press:
    """A button pressed or something chosen from a menu: in a message, a modal or the App Home."""

    user: str
    action_id: str
    value: str
    trigger_id: str
    channel: str = ""  # of the message
    message_ts: str = ""
    message: Mapping[str, Any] = field(default_factory=dict)  # as Slack hands it back
    response_url: str = ""  # to answer a press in a message
    view_id: str = ""
    is_home: bool = False
    entered: Mapping[str, str] = field(default_factory=dict)  # what a form holds, by action_id


@dataclass(frozen=True, slots=True)
class Submission:
    """A form sent off."""

    user: str
    callback_id: str
    view_id: str
    entered: Mapping[str, str]
    about: str = ""  # what the form was opened with


@dataclass(frozen=True, slots=True)
class Visit:
    """The App Home opened."""

    user: str


@dataclass(frozen=True, slots=True)
class Opening:
    """The direct messages with the bot opened."""

    user: str
    channel: str


@dataclass(frozen=True, slots=True)
class Shortcut:
    """An entry of the app's in the menu of a message, which the person sees."""

    user: str
    callback_id: str
    trigger_id: str
    channel: str
    message: Mapping[str, Any] = field(default_factory=dict)  # as Slack hands it over
    response_url: str = ""


Interaction = Command | Press | Submission | Visit | Opening | Shortcut


class Unfit(Exception):
    """A form that cannot be taken as it is: sentences for its fields, by their ``block_id``."""

    def __init__(
        self, block_id: str, sentence: str, others: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(sentence)
        self.errors = {block_id: sentence, **others}


def interaction_from(body: Mapping[str, Any]) -> Interaction | None:
    """What was done; None where that concerns nobody, or cannot be read."""
    if "command" in body:
        return _command(body)
    match body.get("type"):
        case "block_actions":
            return _press(body)
        case "view_submission":
            return _submission(body)
        case "message_action":
            return _shortcut(body)
        case "event_callback":
            return _visit(_mapping(body.get("event")))
        case _:
            return None


def _command(body: Mapping[str, Any]) -> Command | None:
    user, channel = _id(body.get("user_id")), _id(body.get("channel_id"))
    if not user:
        return None
    return Command(
        user,
        channel,
        _text(body.get("text")),
        trigger_id=_text(body.get("trigger_id")),
        response_url=_text(body.get("response_url")),
    )


def _press(body: Mapping[str, Any]) -> Press | None:
    user = _id(_mapping(body.get("user")).get("id"))
    actions = body.get("actions")
    action = _mapping(actions[0]) if isinstance(actions, list) and actions else {}
    action_id = _text(action.get("action_id"))
    if not (user and action_id):
        return None
    view = _mapping(body.get("view"))
    return Press(
        user,
        action_id,
        _value(action),
        trigger_id=_text(body.get("trigger_id")),
        channel=_id(_mapping(body.get("channel")).get("id")),
        message_ts=_text(_mapping(body.get("container")).get("message_ts")),
        message=_mapping(body.get("message")),
        response_url=_text(body.get("response_url")),
        view_id=_text(view.get("id")),
        is_home=view.get("type") == "home",
        entered=_entered(view),
    )


def _submission(body: Mapping[str, Any]) -> Submission | None:
    user, view = _id(_mapping(body.get("user")).get("id")), _mapping(body.get("view"))
    callback_id = _text(view.get("callback_id"))
    if not (user and callback_id):
        return None
    about = _text(view.get("private_metadata"))
    return Submission(user, callback_id, _text(view.get("id")), _entered(view), about)


def _shortcut(body: Mapping[str, Any]) -> Shortcut | None:
    user = _id(_mapping(body.get("user")).get("id"))
    callback_id = _text(body.get("callback_id"))
    if not (user and callback_id):
        return None
    return Shortcut(
        user,
        callback_id,
        _text(body.get("trigger_id")),
        channel=_id(_mapping(body.get("channel")).get("id")),
        message=_mapping(body.get("message")),
        response_url=_text(body.get("response_url")),
    )


def _visit(event: Mapping[str, Any]) -> Visit | Opening | None:
    """docs.slack.dev/reference/events/app_home_opened."""
    user, channel = _id(event.get("user")), _id(event.get("channel"))
    if event.get("type") != "app_home_opened" or not user:
        return None
    match event.get("tab"):
        case "home":
            return Visit(user)
        case "messages" if channel:
            return Opening(user, channel)
        case _:
            return None


def _entered(view: Mapping[str, Any]) -> dict[str, str]:
    """What the form's elements hold; those that hold nothing are not in it."""
    blocks = _mapping(_mapping(view.get("state")).get("values")).values()
    elements = [pair for block in blocks for pair in _mapping(block).items()]
    held = {str(action_id): _value(_mapping(element)) for action_id, element in elements}
    return {action_id: value for action_id, value in held.items() if value}


def _value(element: Mapping[str, Any]) -> str:
    option = _mapping(element.get("selected_option"))
    found = (_text(each) for each in (option.get("value"), *map(element.get, _CHOSEN)))
    return next(filter(None, found), "")


def _id(value: object) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def _text(value: object) -> str:
    return value[:LONGEST] if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

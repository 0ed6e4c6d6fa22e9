"""What Slack sends to an app: events in their envelope, slash commands, clicks, submissions."""

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from bot.playground.slack.workspace import APP_ID, BOT_USER_ID, TEAM_ID, Channel, Message, Person

Payload = dict[str, Any]


def encoded(value: object) -> bytes:
    """JSON. Half a character (a lone surrogate), which msgspec refuses, is escaped as in
    JavaScript: ``"\\ud83d"``."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def event_callback(event: Mapping[str, Any], *, event_id: str | None = None) -> Payload:
    """The envelope of the Events API (docs.slack.dev/apis/events-api)."""
    authorization = {
        "enterprise_id": None,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": "local",
        "team_id": TEAM_ID,
        "context_team_id": TEAM_ID,
        "context_enterprise_id": None,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": event_id or f"Ev{uuid.uuid4().hex[:10].upper()}",
        "event_time": int(time.time()),
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_hex(8)}",
    }


def slash_command(
    channel: Channel,
    person: Person,
    command: str,
    text: str,
    *,
    response_url: str,
    trigger_id: str,
) -> Payload:
    """docs.slack.dev/interactivity/implementing-slash-commands."""
    return {
        "token": "local",
        "team_id": TEAM_ID,
        "team_domain": "local",
        "channel_id": channel.id,
        "channel_name": channel.name or "directmessage",
        "user_id": person.id,
        "user_name": person.name,
        "command": command,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def block_actions(
    channel: Channel,
    person: Person,
    message: Message,
    action: Mapping[str, Any],
    *,
    response_url: str,
    values: Mapping[str, Any] = MappingProxyType({}),
    trigger_id: str = "",
) -> Payload:
    """docs.slack.dev/reference/interaction-payloads/block_actions-payload; from a message."""
    container = {
        "type": "message",
        "message_ts": message["ts"],
        "channel_id": channel.id,
        "is_ephemeral": "reader" in message,
    }
    if "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    return {
        **_interaction("block_actions", person),
        "container": container,
        "trigger_id": trigger_id,
        "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        "message": message,
        "state": {"values": dict(values)},
        "response_url": response_url,
        "actions": [action],
    }


def view_actions(
    person: Person, view: Mapping[str, Any], action: Mapping[str, Any], *, trigger_id: str
) -> Payload:
    """The same from a modal or the App Home."""
    return {
        **_interaction("block_actions", person),
        "container": {"type": "view", "view_id": view["id"]},
        "trigger_id": trigger_id,
        "view": view,
        "actions": [action],
    }


def message_action(
    channel: Channel,
    person: Person,
    message: Message,
    callback_id: str,
    *,
    response_url: str,
    trigger_id: str,
) -> Payload:
    """A shortcut of the app's, used on a message
    (docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload)."""
    return {
        **_interaction("message_action", person),
        "callback_id": callback_id,
        "trigger_id": trigger_id,
        "response_url": response_url,
        "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        "message_ts": message["ts"],
        "message": message,
        "action_ts": f"{time.time():.6f}",
    }


def view_submission(person: Person, view: Mapping[str, Any], *, trigger_id: str) -> Payload:
    """docs.slack.dev/reference/interaction-payloads/view-interactions-payload."""
    return {
        **_interaction("view_submission", person),
        "trigger_id": trigger_id,
        "view": view,
        "response_urls": [],
    }


def view_closed(person: Person, view: Mapping[str, Any]) -> Payload:
    """Ditto. The whole stack is gone when the view has ``clear_on_close``."""
    cleared = view["clear_on_close"]
    return {**_interaction("view_closed", person), "view": view, "is_cleared": cleared}


def _interaction(kind: str, person: Person) -> Payload:
    """What all interactions begin with."""
    user = {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team}
    return {
        "type": kind,
        "user": user,
        "api_app_id": APP_ID,
        "token": "local",
        "team": {"id": TEAM_ID, "domain": "local"},
        "enterprise": None,
        "is_enterprise_install": False,
    }

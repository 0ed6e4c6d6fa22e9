"""What Slack sends to an app: events in their envelope, slash commands, clicks."""

import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any

from bot.playground.slack.workspace import APP_ID, BOT_USER_ID, TEAM_ID, Channel, Message, Person

Payload = dict[str, Any]


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
    channel: Channel, person: Person, command: str, text: str, *, response_url: str
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
        "trigger_id": secrets.token_hex(8),
    }


def block_actions(
    channel: Channel,
    person: Person,
    message: Message,
    action: Mapping[str, Any],
    *,
    response_url: str,
) -> Payload:
    """docs.slack.dev/reference/interaction-payloads/block_actions-payload."""
    container = {
        "type": "message",
        "message_ts": message["ts"],
        "channel_id": channel.id,
        "is_ephemeral": "reader" in message,
    }
    if "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    return {
        "type": "block_actions",
        "user": {
            "id": person.id,
            "username": person.name,
            "name": person.name,
            "team_id": TEAM_ID,
        },
        "api_app_id": APP_ID,
        "token": "local",
        "container": container,
        "trigger_id": secrets.token_hex(8),
        "team": {"id": TEAM_ID, "domain": "local"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        "message": message,
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [action],
    }


def action(message: Message, action_id: str, *, value: str | None, action_ts: str) -> Payload:
    """What a click on the element with this ``action_id`` says; raises ``KeyError``.

    Feedback buttons are one element: ``value`` says which of the two was clicked.
    """
    for block in message.get("blocks", ()):
        for element in [*block.get("elements", ()), block.get("accessory") or {}]:
            if element.get("action_id") == action_id:
                clicked = _clicked(element, value)
                shown = {key: clicked[key] for key in ("value", "text") if key in clicked}
                return {
                    "type": element["type"],
                    "action_id": action_id,
                    "block_id": block["block_id"],
                    "action_ts": action_ts,
                    **shown,
                }
    raise KeyError(f"No element with action_id {action_id} in {message}")


def _clicked(element: Mapping[str, Any], value: str | None) -> Mapping[str, Any]:
    buttons = [element.get(name, {}) for name in ("positive_button", "negative_button")]
    return next((button for button in buttons if value and button.get("value") == value), element)

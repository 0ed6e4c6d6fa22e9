"""What of Slack each thing that the bot does needs: scopes, events, entries in its manifest.

`manifest.yml` has what answers to mentions and direct messages need, the README what to add to it
and the whole of both; tests hold all of them equal to this, and this to the calls in the code.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# What the bot may do, and why it must. `manifest.yml` asks for the same.
SCOPES: Mapping[str, str] = {
    "app_mentions:read": "hear that it is mentioned",
    "assistant:write": "suggest questions, and be an app that Slack shows as an assistant",
    "channels:history": "read threads in public channels",
    "chat:write": "answer, and show its status line",
    "commands": "be asked with /llm, or from the menu of a message",
    "groups:history": "read threads in private channels",
    "im:history": "hear direct messages and read their threads",
    "mpim:history": "read threads in group messages",
    "reactions:write": "show a first sign where there is no status line",
    "users:read": "call people by their names, and know guests and admins",
}

# Those without which it does less, and all the rest as well as ever.
DISPENSABLE = frozenset(
    {"assistant:write", "commands", "groups:history", "mpim:history", "reactions:write"}
)

# The message shortcut, as the manifest names it.
ASK = "ask_about_message"

MESSAGES = ("message.channels", "message.groups", "message.mpim")

# What a channel is called and who made it, by its kind: public, private, a group message
# (docs.slack.dev/reference/methods/conversations.info). Of direct messages neither is asked.
INFO = ("channels:read", "groups:read", "mpim:read")


@dataclass(frozen=True, slots=True)
class Feature:
    """What is to be added to `manifest.yml` for something more."""

    name: str
    without: str  # what becomes of it otherwise
    scopes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    shortcut: str = ""


FEATURES = (
    Feature(
        "Asking about a message",
        "nothing in the menu of a message leads to the bot",
        shortcut=ASK,
    ),
    Feature("Files", "files that people attach are not read", scopes=("files:read",)),
    Feature(
        "Edits and deletions in channels",
        "there the bot hears of edited mentions only",
        events=MESSAGES,
    ),
    Feature(
        "Follow-ups without a mention",
        "in threads the bot goes on only where it is mentioned",
        events=MESSAGES,
    ),
    Feature(
        "Settings by whoever made a channel",
        "only admins can change the settings of channels",
        scopes=INFO,
    ),
    Feature(
        "Names of channels in reports",
        "reports on the command line show channels by their ids",
        scopes=INFO,
    ),
    Feature(
        "CSV as a file",
        "CSV files of the usage come as text instead",
        scopes=("files:write",),
    ),
)

HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")

# Which scope each call needs (docs.slack.dev/reference/methods); of several, the one for the kind
# of channel. Without one: none at all.
METHODS: Mapping[str, tuple[str, ...]] = {
    "agents.sessions.rename": ("chat:write",),
    "apps.connections.open": (),  # with the app-level token
    "assistant.threads.setStatus": ("chat:write",),
    "assistant.threads.setSuggestedPrompts": ("assistant:write",),
    "auth.test": (),
    "chat.appendStream": ("chat:write",),
    "chat.delete": ("chat:write",),
    "chat.getPermalink": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.startStream": ("chat:write",),
    "chat.stopStream": ("chat:write",),
    "chat.update": ("chat:write",),
    "conversations.info": INFO,
    "conversations.replies": HISTORY,
    "files.completeUploadExternal": ("files:write",),
    "files.getUploadURLExternal": ("files:write",),
    "files.info": ("files:read",),
    "reactions.add": ("reactions:write",),
    "reactions.remove": ("reactions:write",),
    "users.info": ("users:read",),
    "users.list": ("users:read",),
    "views.open": (),
    "views.publish": (),
    "views.update": (),
}

# The same of what Slack tells by itself (docs.slack.dev/reference/events).
EVENTS: Mapping[str, str | None] = {
    "agent_session_stopped": "chat:write",
    "app_home_opened": None,
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
}


def switched_off(granted: Collection[str]) -> list[str]:
    """What the bot does less with these scopes than it could with all, in sentences."""
    lacking = ((feature, set(feature.scopes) - set(granted)) for feature in FEATURES)
    return [_off(feature, sorted(missing)) for feature, missing in lacking if missing]


def in_words(scopes: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *others, last = scopes
    return f"{', '.join(others)} and {last}" if others else last


def _off(feature: Feature, missing: list[str]) -> str:
    scopes = f"Scope {missing[0]} is" if len(missing) == 1 else f"Scopes {in_words(missing)} are"
    return f"{feature.name}: off. {scopes} not granted: {feature.without}."

"""What is to be seen in the workspace, as the page's frames say it: people, channels, messages.

Direct messages of everybody are in it: one person plays them all, and the page shows those of the
person who is played just now.
"""

from collections.abc import Collection, Iterator
from typing import Any

from bot.playground.page import emoji, kit
from bot.playground.page.names import Names
from bot.playground.page.typed import to_typed
from bot.playground.slack import LocalSlack
from bot.playground.slack.workspace import BOT_USER_ID, Channel, Message, Person, Status

Json = dict[str, Any]

TOMBSTONE = "tombstone"
BROADCAST = "thread_broadcast"


class Scene:
    """Reads the workspace. ``crowd`` holds the ids of the people whom nobody speaks as."""

    def __init__(self, slack: LocalSlack, *, crowd: Collection[str]) -> None:
        self._slack = slack
        self._workspace = slack.workspace
        self._crowd = crowd
        self._names = Names({}, {})
        # The workspace replaces a message that changes, so the same object looks the same.
        self._rendered: dict[tuple[str, str], tuple[Message, Names, str]] = {}

    def people(self) -> list[Json]:
        return [self._person(person) for person in self._workspace.people.values()]

    def channels(self) -> list[Json]:
        return [self._channel(channel) for channel in self._workspace.channels.values()]

    def messages(self) -> list[Json]:
        """All of them, ephemeral ones too, by ``ts``."""
        found = [
            self._message(channel, message)
            for channel in self._workspace.channels.values()
            for message in [*channel.messages.values(), *channel.ephemerals]
        ]
        return sorted(found, key=lambda message: str(message["ts"]))

    def message(self, channel: str, ts: str) -> Json:
        """The change that shows a message as it is now, or takes it away."""
        where = self._workspace.channels[channel]
        message = self._workspace.seen(where, ts)
        if message is None:
            return {"gone": {"channel": channel, "ts": ts}}
        return {"message": self._message(where, message)}

    def forget(self, channel: str, ts: str) -> None:
        """A message was deleted: its HTML is not kept any more."""
        self._rendered.pop((channel, ts), None)

    def statuses(self) -> list[Json]:
        now = self._slack.clock()
        return [
            _status(channel, thread_ts, status, now)
            for (channel, thread_ts), status in self._slack.statuses.items()
        ]

    def status(self, channel: str, thread_ts: str) -> Json:
        status = self._workspace.status(self._workspace.channels[channel], thread_ts)
        return _status(channel, thread_ts, status, self._slack.clock())

    def homes(self) -> list[Json]:
        return [self.home(user) for user in self._workspace.homes]

    def home(self, user: str) -> Json:
        view = self._workspace.homes.get(user)
        shown = self._view_html(view) if view else ""
        return {"user": user, "id": view["id"] if view else None, "html": shown}

    def modals(self) -> list[Json]:
        """Of everybody, each with its ``user``."""
        return [
            {**modal, "user": user}
            for user in self._workspace.modals
            for modal in self.modals_of(user)
        ]

    def modals_of(self, user: str) -> list[Json]:
        """The person's stack, the top last."""
        return [self._modal(view) for view in self._workspace.modals.get(user, ())]

    def prompts(self) -> list[Json]:
        return [self.prompts_of(*key) for key in self._workspace.prompts]

    def prompts_of(self, channel: str, thread_ts: str) -> Json:
        shown = self._workspace.prompts[channel, thread_ts]
        return {"channel": channel, "thread_ts": thread_ts, **shown}

    def titles(self) -> list[Json]:
        """How the app has named its sessions, which are threads."""
        return [self.title_of(*key) for key in self._workspace.titles]

    def title_of(self, channel: str, thread_ts: str) -> Json:
        title = self._workspace.titles[channel, thread_ts]
        return {"channel": channel, "thread_ts": thread_ts, "title": title}

    def names(self) -> Names:
        """How people and channels are called; the same object until one is added."""
        people = {id: person.display_name for id, person in self._workspace.people.items()}
        channels = {id: each.name for id, each in self._workspace.channels.items() if each.name}
        if (people, channels) != (self._names.people, self._names.channels):
            self._names = Names(people, channels)
        return self._names

    def channel_name(self, channel: Channel) -> str:
        """For reading: ``general``; for a group, its people; for a DM, the person."""
        if channel.kind in ("channel", "private"):
            return channel.name
        members = [person for person in self._workspace.people if person in channel.members]
        if channel.kind == "im":
            members.remove(BOT_USER_ID)
        members.sort(key=BOT_USER_ID.__eq__)  # the bot last
        return ", ".join(self._workspace.people[member].display_name for member in members)

    def _person(self, person: Person) -> Json:
        dm = self._workspace.find_channel(person.id)
        return {
            "id": person.id,
            "name": person.display_name,
            "role": self._role(person),
            "dm": dm.id if dm else None,
        }

    def _role(self, person: Person) -> str:
        if person.id in self._crowd:
            return "crowd"
        flags = {"app": person.is_bot, "admin": person.is_admin, "guest": person.is_guest}
        return next((role for role, holds in flags.items() if holds), "member")

    def _channel(self, channel: Channel) -> Json:
        return {
            "id": channel.id,
            "name": self.channel_name(channel),
            "kind": channel.kind,
            "members": [person for person in self._workspace.people if person in channel.members],
        }

    def _message(self, channel: Channel, message: Message) -> Json:
        ts, names = message["ts"], self.names()
        root = message.get("thread_ts")
        text = to_typed(message.get("text", ""), people=names.people, channels=names.channels)
        return {
            "channel": channel.id,
            "ts": ts,
            "thread_ts": root if root != ts else None,
            "user": message.get("user", ""),
            "html": self._html(channel, message),
            "text": text,
            "edited": "edited" in message,
            "deleted": message.get("subtype") == TOMBSTONE,
            "streaming": (channel.id, ts) in self._workspace.streams,
            "reader": message.get("reader"),
            "broadcast": message.get("subtype") == BROADCAST,
            "reactions": list(_reactions(message)),
            "replies": _replies(channel, ts),
        }

    def _html(self, channel: Channel, message: Message) -> str:
        key, names = (channel.id, message["ts"]), self.names()
        found, named, shown = self._rendered.get(key, (None, None, ""))
        if found is not message or named is not names:
            shown = str(kit.message_html(message, names=names))
            self._rendered[key] = (message, names, shown)
        return shown

    def _modal(self, view: Json) -> Json:
        close = _plain(view.get("close")) or "Cancel"
        return {
            "id": view["id"],
            "title": _plain(view.get("title")),
            "submit": _plain(view.get("submit")) or None,
            "close": close,
            "html": self._view_html(view),
            "errors": self._workspace.view_errors.get(view["id"], {}),
            "waiting": self._slack.is_submitting(view["id"]),
        }

    def _view_html(self, view: Json) -> str:
        state = (view.get("state") or {}).get("values")
        return str(kit.blocks_html(view.get("blocks", []), names=self.names(), state=state))


def _reactions(message: Message) -> Iterator[Json]:
    for reaction in message.get("reactions", ()):
        name = reaction["name"]
        yield {"name": name, "emoji": emoji.character(name), "people": reaction["users"]}


def _replies(channel: Channel, ts: str) -> Json | None:
    replies = channel.replies(ts)
    if not replies:
        return None
    people = list(dict.fromkeys(reply.get("user", "") for reply in replies))
    return {"count": len(replies), "people": people, "latest": replies[-1]["ts"]}


def _status(channel: str, thread_ts: str, status: Status | None, now: float) -> Json:
    return {
        "channel": channel,
        "thread_ts": thread_ts,
        "text": status.text if status else "",
        "loading": list(status.loading_messages) if status else [],
        "seconds": max(0.0, status.until - now) if status else 0.0,
    }


def _plain(text: object) -> str:
    return str(text.get("text", "")) if isinstance(text, dict) else ""

"""One workspace: its people, channels and messages, and the events each change makes.

A message is kept as the dict that Slack sends. It is replaced by another dict when it changes and
never changed in place, so an answer or an event may hold it without copying.
"""

import itertools
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.playground.slack.files import FileObject, Stored, describe
from bot.playground.slack.triggers import Triggers

Message = dict[str, Any]
Kind = Literal["channel", "private", "im", "mpim"]

TEAM_ID = "T0LOCAL"
APP_ID = "A0BOT"
BOT_USER_ID = "U0BOT"
BOT_ID = "B0BOT"

# Slack's word in events for our kinds (docs.slack.dev/reference/events/message).
CHANNEL_TYPES: Mapping[Kind, str] = {
    "channel": "channel",
    "private": "group",
    "im": "im",
    "mpim": "mpim",
}
STATUS_SECONDS = 120.0  # docs.slack.dev/reference/methods/assistant.threads.setStatus
FILES_KEPT = 512 * 1024 * 1024  # bytes; the oldest are forgotten, as if they had been deleted
# Of messages with these subtypes Slack also sends app_mention; of joins and topics it does not.
MENTIONING = (None, "file_share", "thread_broadcast", "bot_message")


@dataclass(slots=True, kw_only=True)
class Person:
    id: str
    name: str
    display_name: str
    is_admin: bool = False
    is_guest: bool = False
    is_bot: bool = False
    team: str = TEAM_ID  # another: of another organisation, in channels that both share


@dataclass(slots=True, kw_only=True)
class Upload:
    """A file on its way to a message."""

    name: str
    length: int  # bytes, as announced
    content: bytes | None = None
    is_shared: bool = False


@dataclass(slots=True, kw_only=True)
class Channel:
    id: str
    name: str
    kind: Kind
    members: set[str]
    creator: str = ""  # who made it
    is_archived: bool = False
    messages: dict[str, Message] = field(default_factory=dict)  # by ts, oldest first
    top: dict[str, None] = field(default_factory=dict)  # ts of what stands in the channel itself
    threads: dict[str, dict[str, None]] = field(default_factory=dict)  # root ts -> ts of replies
    ephemerals: list[Message] = field(default_factory=list)

    def replies(self, thread_ts: str) -> list[Message]:
        """The replies of a thread, oldest first, without its root."""
        return [self.messages[ts] for ts in self.threads.get(thread_ts, ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The line "<app> is thinking..." under a thread."""

    text: str
    loading_messages: tuple[str, ...]
    until: float  # seconds of the server's clock


@dataclass(slots=True, kw_only=True)
class Streaming:
    """A message that an app is streaming."""

    until: float  # seconds of the server's clock
    mode: str = ""  # the argument that brings its text, once there was any
    is_stopped: bool = False  # by a person: it takes no more text


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that a person could see changing."""

    kind: Literal["post", "update", "delete", "ephemeral", "status", "title", "prompts", "view"]
    channel: str = ""
    ts: str = ""
    thread_ts: str = ""
    user: str = ""


class Workspace:
    """The state behind the Web API and the screen.

    ``send`` is called with each event (a dict, without its envelope) that Slack would send to an
    app subscribed to ``app_mention`` and ``message.im``, and with ``subscribe_channel_messages``
    also to ``message.channels``, ``.groups`` and ``.mpim``. ``changed`` follows each change.
    With ``rich_text_blocks`` messages read back have ``rich_text`` in place of ``markdown``.
    """

    def __init__(
        self,
        *,
        send: Callable[[dict[str, Any]], None],
        changed: Callable[[Change], None],
        clock: Callable[[], float],
        upload_url: Callable[[str], str] = str,
        subscribe_channel_messages: bool = False,
        rich_text_blocks: bool = False,
    ) -> None:
        self.send = send
        self.changed = changed
        self.clock = clock
        self.upload_url = upload_url  # where the bytes of a file are sent, by its id
        self.subscribe_channel_messages = subscribe_channel_messages
        self.rich_text_blocks = rich_text_blocks
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.statuses: dict[tuple[str, str], Status] = {}
        self.streams: dict[tuple[str, str], Streaming] = {}  # by channel and ts
        self.titles: dict[tuple[str, str], str] = {}
        self.prompts: dict[tuple[str, str], dict[str, Any]] = {}
        self.sessions: dict[tuple[str, str], str] = {}
        self.homes: dict[str, dict[str, Any]] = {}  # App Home views by person
        self.modals: dict[str, list[dict[str, Any]]] = {}  # by person, the one in front last
        self.view_errors: dict[str, dict[str, str]] = {}  # by view and block_id
        self.files: dict[str, Stored] = {}
        self.uploads: dict[str, Upload] = {}  # by the file's id
        self.triggers = Triggers(clock)
        self._last_ts = 0
        self._numbers = itertools.count(1)
        self._settle()

    def _settle(self) -> None:
        self.add_person("Bot", id=BOT_USER_ID, is_bot=True)
        self.add_person("Ana")
        self.add_person("Ben")
        self.add_person("Chloe", is_admin=True)
        self.add_person("Dan", is_guest=True)
        people = [person.id for person in self.people.values()]
        self.add_channel("general", members=people, creator="U0CHLOE")
        self.add_channel("random", members=people, creator="U0BEN")
        group = [BOT_USER_ID, "U0ANA", "U0BEN", "U0CHLOE"]
        self.add_channel(
            "mpdm-ana--ben--chloe--bot-1",
            kind="mpim",
            members=group,
            creator="U0ANA",
            id="C0GROUP",
        )

    def add_person(
        self,
        name: str,
        *,
        id: str | None = None,
        display_name: str | None = None,
        is_admin: bool = False,
        is_guest: bool = False,
        is_bot: bool = False,
        team: str = TEAM_ID,
    ) -> str:
        """Add a person and the DM of the person with the bot; returns the person's id."""
        person = Person(
            id=id or self._new_id("U", name, self.people),
            name=name.lower(),
            display_name=display_name or name,
            is_admin=is_admin,
            is_guest=is_guest,
            is_bot=is_bot,
            team=team,
        )
        self.people[person.id] = person
        if person.id != BOT_USER_ID and not is_bot:
            members = [person.id, BOT_USER_ID]
            self.add_channel("", kind="im", members=members, id=dm_id(person.id))
        return person.id

    def add_channel(
        self,
        name: str,
        *,
        kind: Kind = "channel",
        members: Iterable[str] = (),
        bot: bool = True,
        creator: str = "",
        id: str | None = None,
    ) -> str:
        """Add a channel with ``members`` and, unless ``bot`` is false, the bot; returns its id.

        ``creator`` is who made it, by id or name; without one, Slack names nobody.
        """
        inside = {self.person(member).id for member in members}
        channel = Channel(
            id=id or self._new_id("C", name, self.channels),
            name=name,
            kind=kind,
            members=inside | {BOT_USER_ID} if bot else inside,
            creator=self.person(creator).id if creator else "",
        )
        self.channels[channel.id] = channel
        return channel.id

    def _new_id(self, prefix: str, name: str, taken: Mapping[str, object]) -> str:
        """An id that a person can read: U0ANA, C0GENERAL."""
        new = f"{prefix}0{re.sub('[^A-Z0-9]', '', name.upper())}"
        return new if new not in taken else f"{new}{next(self._numbers)}"

    def person(self, who: str) -> Person:
        """By id or name. Raises ``KeyError``."""
        found = self.people.get(who)
        if found is None:
            found = next((p for p in self.people.values() if p.name == who.lower()), None)
        if found is None:
            raise KeyError(f"No such person: {who}. There are: {', '.join(self.people)}")
        return found

    def channel(self, where: str) -> Channel:
        """By id or name, with or without ``#``. Raises ``KeyError``."""
        found = self.find_channel(where)
        if found is None:
            raise KeyError(f"No such channel: {where}. There are: {', '.join(self.channels)}")
        return found

    def find_channel(self, where: str) -> Channel | None:
        """Like ``channel``, but None when there is none; a person's id is the DM with the bot."""
        found = self.channels.get(dm_id(where) if where in self.people else where)
        if found is None and where:
            name = where.removeprefix("#")
            found = next((c for c in self.channels.values() if c.name == name), None)
        return found

    def new_ts(self) -> str:
        """Wall time in microseconds, strictly increasing in the workspace."""
        self._last_ts = max(time.time_ns() // 1000, self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def post(self, channel: Channel, message: Message) -> Message:
        """Store a new message, which has its ``ts``, and send its events."""
        ts, thread_ts = message["ts"], message.get("thread_ts")
        channel.messages[ts] = message
        if thread_ts and thread_ts != ts:
            channel.threads.setdefault(thread_ts, {})[ts] = None
        # A thread_ts that names no message is accepted, and the reply is then nowhere to be seen
        # (python-slack-sdk#840).
        if not thread_ts or message.get("subtype") == "thread_broadcast":
            channel.top[ts] = None
        self._clear_status(channel, message)
        self._send_message(channel, message)
        self._changed("post", channel, message)
        return message

    def replace(self, channel: Channel, message: Message) -> Message:
        """Put a changed message in the place of the one with its ``ts``."""
        previous = channel.messages[message["ts"]]
        channel.messages[message["ts"]] = message
        if self._listens(channel):
            ts = self.new_ts()
            self.send(
                {
                    "type": "message",
                    "subtype": "message_changed",
                    "message": message,
                    "previous_message": previous,
                    "channel": channel.id,
                    "hidden": True,
                    "ts": ts,
                    "event_ts": ts,
                    "channel_type": CHANNEL_TYPES[channel.kind],
                }
            )
        self._changed("update", channel, message)
        return message

    def remove(self, channel: Channel, ts: str) -> None:
        """Delete a message; a root with replies leaves a tombstone, as in Slack."""
        previous = channel.messages[ts]
        if channel.threads.get(ts):
            self.replace(channel, _tombstone(previous))
            return
        del channel.messages[ts]
        channel.top.pop(ts, None)
        channel.threads.get(previous.get("thread_ts", ""), {}).pop(ts, None)
        if self._listens(channel):
            event_ts = self.new_ts()
            self.send(
                {
                    "type": "message",
                    "subtype": "message_deleted",
                    "previous_message": previous,
                    "channel": channel.id,
                    "hidden": True,
                    "deleted_ts": ts,
                    "ts": event_ts,
                    "event_ts": event_ts,
                    "channel_type": CHANNEL_TYPES[channel.kind],
                }
            )
        self._changed("delete", channel, previous)

    def whisper(self, channel: Channel, message: Message) -> Message:
        """Store a message that only ``message["reader"]`` sees, or replace it by its ``ts``."""
        shown = [each["ts"] for each in channel.ephemerals]
        if message["ts"] in shown:
            channel.ephemerals[shown.index(message["ts"])] = message
        else:
            channel.ephemerals.append(message)
        self._changed("ephemeral", channel, message)
        return message

    def seen(self, channel: Channel, ts: str) -> Message | None:
        """The message with this ``ts``, also one that only one person sees."""
        private = (message for message in channel.ephemerals if message["ts"] == ts)
        return channel.messages.get(ts) or next(private, None)

    def take_away(self, channel: Channel, message: Message) -> None:
        """Delete a message, also one that only one person sees."""
        if "reader" not in message:
            self.remove(channel, message["ts"])
            return
        channel.ephemerals.remove(message)
        self._changed("delete", channel, message)

    def upload(
        self, person: Person, name: str, data: bytes, *, host: str, media_type: str | None
    ) -> FileObject:
        """Keep a file; it hangs on no message yet. Returns its file object."""
        id = f"F0{1_000 + next(self._numbers)}"
        described = describe(
            id, name, data, user=person.id, team=TEAM_ID, host=host, media_type=media_type
        )
        self.files[id] = Stored(described, data)
        while sum(len(stored.data) for stored in self.files.values()) > FILES_KEPT:
            del self.files[next(iter(self.files))]
        return described

    def say(
        self,
        channel: Channel,
        person: Person,
        text: str,
        *,
        thread_ts: str | None,
        subtype: str | None,
        files: Iterable[Mapping[str, Any]],
        extra: Mapping[str, Any],
    ) -> Message:
        """What a person (or another bot) writes, as Slack stores it."""
        message: Message = {
            "client_msg_id": str(uuid.uuid4()),
            "type": "message",
            "user": person.id,
            "text": text,
            "ts": self.new_ts(),
            "team": person.team,
        }
        if person.team != TEAM_ID:  # docs.slack.dev/apis/slack-connect
            message |= {"user_team": person.team, "source_team": person.team}
        if thread_ts:
            message["thread_ts"] = thread_ts
            root = channel.messages.get(thread_ts)
            if root is not None and "user" in root:
                message["parent_user_id"] = root["user"]
        if person.is_bot:
            message["bot_id"] = f"B{person.id[1:]}"
        attached = [dict(file) for file in files]
        if attached:
            message["files"] = attached
        kind = subtype or ("file_share" if attached else None)
        if kind:
            message["subtype"] = kind
        message.update(extra)
        channel.members.add(person.id)
        return self.post(channel, message)

    def mention(self, channel: Channel, message: Message) -> None:
        """Send ``app_mention`` if ``message`` mentions the bot in a channel.

        In DMs Slack sends none (docs.slack.dev/reference/events/app_mention).
        """
        own = message.get("user") == BOT_USER_ID
        if channel.kind == "im" or own or BOT_USER_ID not in channel.members:
            return
        if not mentions_bot(message["text"]) or message.get("subtype") not in MENTIONING:
            return
        event_ts = message["ts"] if "edited" not in message else message["edited"]["ts"]
        event = {**message, "type": "app_mention", "channel": channel.id, "event_ts": event_ts}
        event.pop("subtype", None)
        self.send(event)

    def _send_message(self, channel: Channel, message: Message) -> None:
        self.mention(channel, message)
        if self._listens(channel):
            self.send(
                {
                    **message,
                    "channel": channel.id,
                    "event_ts": message["ts"],
                    "channel_type": CHANNEL_TYPES[channel.kind],
                }
            )

    def _listens(self, channel: Channel) -> bool:
        if BOT_USER_ID not in channel.members:
            return False
        return channel.kind == "im" or self.subscribe_channel_messages

    def _changed(self, kind: Any, channel: Channel, message: Message) -> None:
        self.changed(
            Change(
                kind=kind,
                channel=channel.id,
                ts=message["ts"],
                thread_ts=message.get("thread_ts", ""),
                user=message.get("user", ""),
            )
        )

    def set_status(
        self, channel: Channel, thread_ts: str, text: str, loading_messages: Iterable[str] = ()
    ) -> None:
        """Show the status line for two minutes, or take it away when ``text`` is empty."""
        if text:
            self.statuses[channel.id, thread_ts] = Status(
                text=text,
                loading_messages=tuple(loading_messages),
                until=self.clock() + STATUS_SECONDS,
            )
        else:
            self.statuses.pop((channel.id, thread_ts), None)
        self.changed(Change(kind="status", channel=channel.id, thread_ts=thread_ts))

    def status(self, channel: Channel, thread_ts: str) -> Status | None:
        """The status line that is visible now."""
        found = self.statuses.get((channel.id, thread_ts))
        return found if found is not None and self.clock() < found.until else None

    def _clear_status(self, channel: Channel, message: Message) -> None:
        # "It is cleared when your app sends a reply": docs.slack.dev, the page of setStatus.
        if message.get("bot_id") == BOT_ID:
            key = (channel.id, message.get("thread_ts") or message["ts"])
            if self.statuses.pop(key, None):
                self.changed(Change(kind="status", channel=channel.id, thread_ts=key[1]))


def dm_id(person_id: str) -> str:
    """The id of a person's DM with the bot: U0ANA -> D0ANA."""
    return f"D{person_id[1:]}"


def mentions_bot(text: str) -> bool:
    return f"<@{BOT_USER_ID}>" in text or f"<@{BOT_USER_ID}|" in text


def _tombstone(message: Message) -> Message:
    return {
        "type": "message",
        "subtype": "tombstone",
        "text": "This message was deleted.",
        "user": "USLACKBOT",
        "hidden": True,
        "ts": message["ts"],
        "thread_ts": message["ts"],
    }

"""What a person does on the page: each verb with what it takes, checked, and carried out."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bot.playground.page.crowd import LARGEST, Crowd
from bot.playground.page.scene import TOMBSTONE, Scene
from bot.playground.page.switches import Switches
from bot.playground.page.typed import to_wire
from bot.playground.slack import LocalSlack
from bot.playground.slack.files import FileObject
from bot.playground.slack.screen import StillSubmitting
from bot.playground.slack.workspace import Channel, Message, Person

LONGEST_TEXT = 40_000  # characters; Slack cuts longer messages off

Json = dict[str, Any]
# A view's `state.values`: what an element holds, by block_id and action_id.
Option = dict[str, str | dict[str, str | bool | None] | None]
Held = dict[str, str | Option | list[str | Option] | None]
State = dict[str, dict[str, Held]]
Reaction = Annotated[str, Meta(pattern=r"^[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?$")]

MOST_FILES = 10  # of one message, as in Slack

_COMMAND = re.compile(r"(/\S*)\s*(.*)", re.DOTALL)


class Refused(Exception):
    """It cannot be done; the message is a sentence for the person who tried."""

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class Verb(Struct, forbid_unknown_fields=True, kw_only=True):
    """The base of what the verbs take."""


class Say(Verb):
    user: str
    channel: str
    text: str
    thread_ts: str | None = None
    files: Annotated[list[str], Meta(max_length=MOST_FILES)] = []  # ids of what was uploaded


class Edit(Verb):
    user: str
    channel: str
    ts: str
    text: str


class Delete(Verb):
    user: str
    channel: str
    ts: str


class React(Verb):
    user: str
    channel: str
    ts: str
    name: Reaction


class Stop(Verb):
    """Slack's own control over what the bot does in a thread."""

    user: str
    channel: str
    thread_ts: str


class Act(Verb):
    """On an element of a message (``channel`` and ``ts``), or of a modal or home (``view``)."""

    user: str
    block_id: str
    action_id: str
    channel: str = ""
    ts: str = ""
    view: str = ""
    value: str | None = None
    selected: str | list[str] | None = None
    state: State | None = None


class Submit(Verb):
    user: str
    view: str
    state: State


class Close(Verb):
    user: str
    view: str


class Home(Verb):
    """The App Home, or the direct messages with the app, come into view."""

    user: str
    tab: Literal["home", "messages"] = "home"


class Shortcut(Verb):
    """An entry of the app's in the menu of a message."""

    user: str
    channel: str
    ts: str
    callback_id: str


class Ask(Verb):
    number: Annotated[int, Meta(ge=1, le=LARGEST)]


class Switch(Verb):
    limits: Literal["off", "real"] | None = None
    form: Literal["window", "bucket"] | None = None
    scale: Annotated[float, Meta(ge=0.01, le=100)] | None = None
    latency: Annotated[float, Meta(ge=0, le=60)] | None = None
    model_rate: Annotated[float, Meta(gt=0, le=100_000)] | None = None


class Arm(Verb):
    key: str
    times: Annotated[int, Meta(ge=0, le=1000)]


class Nothing(Verb):
    pass


class Deeds:
    """Carries the verbs out. ``commands`` are the slash commands that the app has, ``shortcuts``
    its message shortcuts by their ``callback_id``.

    ``restart`` kills the bot and starts it again.
    """

    def __init__(
        self,
        slack: LocalSlack,
        scene: Scene,
        *,
        switches: Switches,
        crowd: Crowd,
        restart: Callable[[], Awaitable[None]],
        commands: Sequence[str],
        shortcuts: Sequence[str],
    ) -> None:
        self._slack = slack
        self._scene = scene
        self._switches = switches
        self._crowd = crowd
        self._restart_bot = restart
        self._commands = commands
        self._shortcuts = shortcuts
        self._verbs: dict[str, tuple[type[Verb], Callable[[Any], Awaitable[Json | None]]]] = {
            "say": (Say, self._say),
            "edit": (Edit, self._edit),
            "delete": (Delete, self._delete),
            "react": (React, self._react),
            "stop": (Stop, self._stop),
            "act": (Act, self._act),
            "submit": (Submit, self._submit),
            "close": (Close, self._close),
            "home": (Home, self._home),
            "shortcut": (Shortcut, self._shortcut),
            "crowd": (Ask, self._ask),
            "switch": (Switch, self._switch),
            "fault": (Arm, self._arm),
            "calm": (Nothing, self._calm),
            "restart": (Nothing, self._restart),
        }

    async def do(self, verb: str, body: bytes) -> Json:
        """Carries one out, and returns its answer. Raises ``Refused``."""
        if verb not in self._verbs:
            raise Refused(f"There is no verb {verb}.", status=404)
        takes, carry_out = self._verbs[verb]
        try:
            wish = msgspec.json.decode(body, type=takes)
        except msgspec.ValidationError as error:
            raise Refused(_in_words(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(f"This cannot be understood: {error}.") from None
        try:
            return await carry_out(wish) or {}
        except KeyError as error:  # Slack names with it what it does not have
            raise Refused(str(error.args[0]), status=404) from None

    async def _say(self, wish: Say) -> Json:
        person, channel = self._place(wish.user, wish.channel)
        files = [self._file(id, person) for id in wish.files]
        text = _some(wish.text) if wish.text.strip() or not files else ""
        if text.startswith("/"):
            if files:
                raise Refused("A command takes no files.")
            await self._command(person, channel, text, in_thread=wish.thread_ts is not None)
            return {"ts": None}
        root = self._root(channel, wish.thread_ts)
        ts = await self._slack.say(
            channel.id, person.id, self._wire(text), thread_ts=root, files=files
        )
        return {"ts": ts}

    def upload(self, user: str, name: str, data: bytes) -> str:
        """Keeps what a person is about to attach; returns the file's id. Raises ``Refused``."""
        return str(self._slack.upload(self._person(user).id, name, data)["id"])

    def _file(self, id: str, person: Person) -> FileObject:
        """One that the person uploaded."""
        stored = self._slack.workspace.files.get(id)
        if stored is None or stored.described["user"] != person.id:
            raise Refused("One of the files is not kept any more.", status=404)
        return stored.described

    async def _command(
        self, person: Person, channel: Channel, text: str, *, in_thread: bool
    ) -> None:
        match = _COMMAND.fullmatch(text)
        assert match is not None
        command, words = match.groups()
        if command not in self._commands:
            raise Refused(f"{command} is not a valid command.")
        if in_thread:
            raise Refused(f"{command} is not supported in threads. Sorry!")
        await self._slack.command(channel.id, person.id, command, self._wire(words))

    async def _edit(self, wish: Edit) -> None:
        channel, message = self._own(wish.user, wish.channel, wish.ts)
        text = self._wire(_some(wish.text))
        if text != message["text"]:
            await self._slack.edit(channel.id, wish.ts, text)

    async def _delete(self, wish: Delete) -> None:
        channel, _ = self._own(wish.user, wish.channel, wish.ts)
        await self._slack.delete(channel.id, wish.ts)

    async def _react(self, wish: React) -> None:
        person, channel, message = self._message(wish.user, wish.channel, wish.ts)
        if "reader" in message:
            raise Refused("Nobody can react to a message that only one person sees.")
        reacted = person.id in self._slack.reactions(channel.id, wish.ts).get(wish.name, ())
        change = self._slack.unreact if reacted else self._slack.react
        await change(channel.id, person.id, wish.ts, wish.name)

    async def _stop(self, wish: Stop) -> None:
        person, channel = self._place(wish.user, wish.channel)
        root = self._root(channel, wish.thread_ts)
        await self._slack.stop_session(channel.id, person.id, root or wish.thread_ts)

    async def _act(self, wish: Act) -> None:
        await self._act_in_view(wish) if wish.view else await self._act_on_message(wish)

    async def _act_on_message(self, wish: Act) -> None:
        person, channel, _ = self._message(wish.user, wish.channel, wish.ts)
        await self._slack.act(
            channel.id,
            person.id,
            wish.ts,
            wish.action_id,
            block_id=wish.block_id,
            value=wish.value,
            selected=wish.selected,
        )

    async def _act_in_view(self, wish: Act) -> None:
        person = self._seer(wish.user, wish.view)
        await self._slack.act_in_view(
            person.id,
            wish.view,
            wish.action_id,
            block_id=wish.block_id,
            value=wish.value,
            selected=wish.selected,
            state=wish.state,
        )

    async def _submit(self, wish: Submit) -> None:
        person = self._seer(wish.user, wish.view)
        try:
            await self._slack.submit(person.id, wish.view, wish.state)
        except StillSubmitting as error:
            raise Refused(str(error), status=409) from None

    async def _close(self, wish: Close) -> None:
        person = self._seer(wish.user, wish.view)
        await self._slack.close_view(person.id, wish.view)

    async def _home(self, wish: Home) -> None:
        await self._slack.open_home(self._person(wish.user).id, tab=wish.tab)

    async def _shortcut(self, wish: Shortcut) -> None:
        person, channel, message = self._message(wish.user, wish.channel, wish.ts)
        if wish.callback_id not in self._shortcuts:
            raise Refused(f"The app has no shortcut {wish.callback_id}.", status=404)
        if "reader" in message or message.get("subtype") == TOMBSTONE:
            raise Refused("Such a message has no menu.")
        await self._slack.shortcut(channel.id, person.id, wish.ts, wish.callback_id)

    async def _ask(self, wish: Ask) -> None:
        self._crowd.gather(wish.number)
        await self._crowd.ask(wish.number)

    async def _switch(self, wish: Switch) -> None:
        if wish.model_rate is not None and not self._switches.has_local_model:
            raise Refused("The configured model answers here, and it has a speed of its own.")
        self._switches.set_limits(limits=wish.limits, form=wish.form, scale=wish.scale)
        self._switches.set_speed(latency=wish.latency, tokens_per_second=wish.model_rate)

    async def _arm(self, wish: Arm) -> None:
        if not self._switches.knows(wish.key):
            raise Refused(f"There is no fault {wish.key}.", status=404)
        await self._switches.arm(wish.key, wish.times)

    async def _calm(self, _: Nothing) -> None:
        await self._switches.calm()

    async def _restart(self, _: Nothing) -> None:
        await self._restart_bot()

    def _wire(self, text: str) -> str:
        names = self._scene.names()
        return to_wire(text, people=names.people, channels=names.channels)

    def _person(self, user: str) -> Person:
        person = self._slack.workspace.people.get(user)
        if person is None:
            raise Refused(f"There is no person {user}.", status=404)
        if person.is_bot:
            raise Refused(f"{person.display_name} is an app, and speaks for itself.")
        return person

    def _place(self, user: str, channel: str) -> tuple[Person, Channel]:
        """A person and a channel that the person is in."""
        person = self._person(user)
        found = self._slack.workspace.channels.get(channel)
        if found is None or person.id not in found.members:
            raise Refused(f"{person.display_name} is in no channel {channel}.", status=404)
        return person, found

    def _message(self, user: str, channel: str, ts: str) -> tuple[Person, Channel, Message]:
        """A message that the person sees."""
        person, where = self._place(user, channel)
        message = self._slack.workspace.seen(where, ts)
        if message is None or message.get("reader", person.id) != person.id:
            raise Refused("There is no such message any more.", status=404)
        return person, where, message

    def _own(self, user: str, channel: str, ts: str) -> tuple[Channel, Message]:
        person, where, message = self._message(user, channel, ts)
        if message.get("user") != person.id or message.get("subtype") == TOMBSTONE:
            raise Refused("People change and delete their own messages only.", status=403)
        return where, message

    def _root(self, channel: Channel, thread_ts: str | None) -> str | None:
        """The root of the thread to answer in, also when one of its replies was named."""
        if thread_ts is None:
            return None
        root = channel.messages.get(thread_ts)
        if root is None:
            raise Refused("There is no such thread any more.", status=404)
        return str(root.get("thread_ts", thread_ts))

    def _seer(self, user: str, view: str) -> Person:
        """The person, who has this modal or home before them."""
        person, workspace = self._person(user), self._slack.workspace
        views = [*workspace.modals.get(person.id, ()), workspace.homes.get(person.id, {})]
        if view not in (each.get("id") for each in views):
            raise Refused("This view is not open any more.", status=404)
        return person


def _some(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise Refused("An empty message says nothing.")
    if len(stripped) > LONGEST_TEXT:
        this = f"this has {len(stripped):,}"
        raise Refused(f"A message may have {LONGEST_TEXT:,} characters; {this}.")
    return stripped


# What people can get wrong in the page's own fields, by the field.
_BOUNDS = {
    "number": f"From 1 to {LARGEST} people can ask at once.",
    "name": "A reaction's name has small letters, digits, and the signs _ + - '.",
    "scale": "The limits can be set to 0.01 up to 100 times Slack's.",
    "latency": "Slack can take from 0 to 60 seconds for a call.",
    "model_rate": "The model can write up to 100,000 tokens a second, and not none at all.",
    "times": "A fault can be met from 0 to 1,000 times.",
    "files": f"A message may have {MOST_FILES} files.",
}
_FIELD = re.compile(r"- at `\$\.(\w+)`")


def _in_words(error: msgspec.ValidationError) -> str:
    match = _FIELD.search(str(error))
    sentence = _BOUNDS.get(match[1]) if match else None
    return sentence or f"This cannot be understood: {error}."

"""What people do in a workspace, with its messages, buttons and modals, and what they see there."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.playground.slack import elements, payloads, views
from bot.playground.slack.blocks import visible_text
from bot.playground.slack.delivery import Delivery
from bot.playground.slack.errors import ApiError
from bot.playground.slack.files import FileObject
from bot.playground.slack.methods import set_reaction
from bot.playground.slack.responses import Responses
from bot.playground.slack.workspace import Change, Channel, Message, Person, Status, Workspace
from bot.playground.slack.workspace import Kind as ChannelKind

Selected = str | Sequence[str]

_CHOICES_KEPT = 1_000  # messages and persons; what was chosen longer ago is forgotten


class StillSubmitting(Exception):
    """The modal was submitted before, and the app has not answered yet."""


class Screen(ABC):
    """A workspace as the people in it use it; how the app hears of that is left to a server.

    Channels and people are named by their id or name, in every method.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._responses = Responses(workspace)
        self._submitted: set[Delivery] = set()  # submissions that wait for their ack
        self._chosen: dict[tuple[str, str, str], elements.State] = {}  # by channel, ts and person

    @abstractmethod
    async def deliver(
        self, event: dict[str, Any], *, event_id: str | None = None, **envelope: Any
    ) -> Delivery:
        """Send any event, in an envelope with the fields of ``envelope`` added or replaced."""

    @abstractmethod
    async def interact(self, payload: dict[str, Any]) -> Delivery:
        """Any slash command (it has ``command``) or interaction; sent once."""

    @abstractmethod
    def _response_url(self, key: str) -> str:
        """Where the app posts an answer, see ``Responses``."""

    @property
    @abstractmethod
    def file_host(self) -> str:
        """The address under which files are downloaded, ending in "/"."""

    # The workspace

    def add_person(self, name: str, **person: Any) -> str:
        """Add a person, who has a DM with the bot; returns the id. See ``Workspace.add_person``."""
        return self.workspace.add_person(name, **person)

    def add_channel(
        self,
        name: str,
        *,
        kind: ChannelKind = "channel",
        members: Iterable[str] = (),
        bot: bool = True,
        creator: str = "",
    ) -> str:
        """Add a channel with these people and, unless ``bot`` is false, the bot; returns its id."""
        return self.workspace.add_channel(
            name, kind=kind, members=members, bot=bot, creator=creator
        )

    def person(self, who: str) -> Person:
        """By id or name."""
        return self.workspace.person(who)

    def dm(self, who: str) -> str:
        """The id of a person's DM with the bot."""
        return self.workspace.channel(self.person(who).id).id

    # What people do

    async def say(
        self,
        channel: str,
        user: str,
        text: str,
        *,
        thread_ts: str | None = None,
        subtype: str | None = None,
        files: Iterable[Mapping[str, Any]] = (),
        **extra: Any,
    ) -> str:
        """Write a message; returns its ``ts``.

        ``text`` is as on the wire: ``&``, ``<`` and ``>`` typed by a person are ``&amp;``,
        ``&lt;`` and ``&gt;``, a mention is ``<@U0BOT>``. ``files`` are file objects, as `upload`
        returns them or any other. ``extra`` fields are added to the message.
        """
        message = self.workspace.say(
            self.workspace.channel(channel),
            self.person(user),
            text,
            thread_ts=thread_ts,
            subtype=subtype,
            files=files,
            extra=extra,
        )
        return str(message["ts"])

    def upload(
        self, user: str, name: str, data: bytes, *, media_type: str | None = None
    ) -> FileObject:
        """Upload a file, to be shared with `say`; returns its file object.

        Its type is guessed by its name, as Slack does, unless ``media_type`` names another.
        """
        who = self.person(user)
        return self.workspace.upload(who, name, data, host=self.file_host, media_type=media_type)

    async def edit(self, channel: str, ts: str, text: str) -> None:
        """Change a person's message; if it mentions the bot, ``app_mention`` comes again."""
        where = self.workspace.channel(channel)
        old = where.messages[ts]
        edited = {"user": old["user"], "ts": self.workspace.new_ts()}
        message = self.workspace.replace(where, {**old, "text": text, "edited": edited})
        self.workspace.mention(where, message)

    async def delete(self, channel: str, ts: str) -> None:
        """Delete a message of whomever."""
        self.workspace.remove(self.workspace.channel(channel), ts)

    async def react(self, channel: str, user: str, ts: str, name: str) -> None:
        """Add a person's reaction. No event is sent: ``deliver`` one if the app wants it."""
        where = self.workspace.channel(channel)
        people = [*self.reactions(channel, ts).get(name, []), self.person(user).id]
        reacting = list(dict.fromkeys(people))
        set_reaction(self.workspace, where, where.messages[ts], name, reacting)

    async def unreact(self, channel: str, user: str, ts: str, name: str) -> None:
        """Take a person's reaction away, if it is there. No event is sent."""
        where, who = self.workspace.channel(channel), self.person(user).id
        left = [each for each in self.reactions(channel, ts).get(name, []) if each != who]
        set_reaction(self.workspace, where, where.messages[ts], name, left)

    # What people do with interactive parts

    async def command(
        self, channel: str, user: str, command: str, text: str = "", **extra: Any
    ) -> Delivery:
        """A slash command such as ``/llm`` with its ``text``."""
        where, who = self.workspace.channel(channel), self.person(user)
        payload = payloads.slash_command(
            where,
            who,
            command,
            text,
            response_url=self._response_url(self._responses.key(where, who.id, "")),
            trigger_id=self.workspace.triggers.issue(who.id),
        )
        return await self.interact({**payload, **extra})

    async def shortcut(self, channel: str, user: str, ts: str, callback_id: str) -> Delivery:
        """Choose an entry of the app's in the menu of a message, which the bot need not see.

        Raises ``KeyError`` where there is no such message.
        """
        where, who = self.workspace.channel(channel), self.person(user)
        payload = payloads.message_action(
            where,
            who,
            where.messages[ts],
            callback_id,
            response_url=self._response_url(self._responses.key(where, who.id, "")),
            trigger_id=self.workspace.triggers.issue(who.id),
        )
        return await self.interact(payload)

    async def click(
        self, channel: str, user: str, ts: str, action_id: str, *, value: str | None = None
    ) -> Delivery:
        """Click a message's button, found by its ``action_id``: the simple case of ``act``."""
        return await self.act(channel, user, ts, action_id, value=value)

    async def act(
        self,
        channel: str,
        user: str,
        ts: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | None = None,
        selected: Selected | None = None,
    ) -> Delivery:
        """Use any interactive element of a message; ``block_id`` decides among several.

        ``value`` is what is typed, or chooses among feedback buttons, which share their
        ``action_id``. ``selected`` is the option's value, the id, the date or the time that is
        chosen, or a list of them. Raises ``KeyError`` for what is not there.
        """
        where, who = self.workspace.channel(channel), self.person(user)
        message = self.workspace.seen(where, ts)
        if message is None or message.get("reader", who.id) != who.id:
            raise KeyError(f"{who.name} sees no message {ts} in {where.name or where.id}.")
        block, element = elements.find(_blocks(message), action_id, block_id=block_id)
        action = elements.action(
            block, element, value=value, selected=selected, action_ts=self.workspace.new_ts()
        )
        payload = payloads.block_actions(
            where,
            who,
            message,
            action,
            values=self._choose(where, message, who, action),
            response_url=self._response_url(self._responses.key(where, who.id, ts)),
            trigger_id=self.workspace.triggers.issue(who.id),
        )
        return await self.interact(payload)

    async def act_in_view(
        self,
        user: str,
        view_id: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | None = None,
        selected: Selected | None = None,
        state: elements.State | None = None,
    ) -> Delivery:
        """Use an element of a modal or the App Home; the rest is as in ``act``.

        ``state`` is what else is typed and chosen there, as Slack's ``state.values``.
        """
        who = self.person(user)
        view = views.find_view(self.workspace, who.id, view_id)
        block, element = elements.find(view["blocks"], action_id, block_id=block_id)
        action = elements.action(
            block, element, value=value, selected=selected, action_ts=self.workspace.new_ts()
        )
        if state is not None:
            view = views.fill(self.workspace, who.id, view, state)
        values = elements.with_action(view["state"]["values"], action)
        view = views.fill(self.workspace, who.id, view, values)
        trigger_id = self.workspace.triggers.issue(who.id)
        return await self.interact(payloads.view_actions(who, view, action, trigger_id=trigger_id))

    async def submit(self, user: str, view_id: str, state: elements.State) -> Delivery:
        """Submit the modal in front, with what is typed and chosen in it as ``state.values``.

        What the app acknowledges this with happens to the modal, see ``views.obey``. Raises
        ``StillSubmitting`` when an earlier submission waits for that.
        """
        who = self.person(user)
        view = self._front(who, view_id)
        if self.is_submitting(view_id):
            raise StillSubmitting("This was sent already; the app has not answered yet.")
        view = views.fill(self.workspace, who.id, view, state)
        views.show_errors(self.workspace, who.id, view_id, {})
        trigger_id = self.workspace.triggers.issue(who.id)
        payload = payloads.view_submission(who, view, trigger_id=trigger_id)
        delivery = await self.interact(payload)
        self._submitted.add(delivery)
        self._view_changed(delivery)
        return delivery

    def is_submitting(self, view_id: str) -> bool:
        """Whether a submission of this modal waits for its ack."""
        return any(each.payload["view"]["id"] == view_id for each in self._submitted)

    async def close_view(self, user: str, view_id: str) -> Delivery | None:
        """Close the modal in front; with ``clear_on_close`` those below go with it.

        The app hears of it only if the view has ``notify_on_close``.
        """
        who = self.person(user)
        view = self._front(who, view_id)
        close = views.close_all if view["clear_on_close"] else views.close_top
        close(self.workspace, who.id)
        if not view["notify_on_close"]:
            return None
        return await self.interact(payloads.view_closed(who, view))

    async def open_home(self, user: str, *, tab: str = "home") -> Delivery:
        """Open the app's ``home`` or ``messages``."""
        who = self.person(user)
        event: dict[str, Any] = {
            "type": "app_home_opened",
            "user": who.id,
            "channel": self.dm(user),
            "tab": tab,
            "event_ts": self.workspace.new_ts(),
        }
        if tab == "home" and who.id in self.workspace.homes:
            event["view"] = self.workspace.homes[who.id]
        return await self.deliver(event)

    async def stop_session(self, channel: str, user: str, thread_ts: str) -> Delivery:
        """Use Slack's own control to stop what the app does in a thread
        (docs.slack.dev/reference/events/agent_session_stopped)."""
        where, who = self.workspace.channel(channel), self.person(user)
        streaming = [ts for place, ts in self.workspace.streams if place == where.id]
        in_thread = [ts for ts in streaming if where.messages[ts].get("thread_ts") == thread_ts]
        for ts in in_thread:
            self.workspace.streams[where.id, ts].is_stopped = True
        return await self.deliver(
            {
                "type": "agent_session_stopped",
                "channel": where.id,
                "thread_ts": thread_ts,
                "user": who.id,
                "streaming_message_ts": in_thread,
                "event_ts": self.workspace.new_ts(),
            }
        )

    # What one sees

    def screen(self, channel: str, thread_ts: str | None = None) -> list[str]:
        """The visible texts of a thread's replies, top to bottom, without its root.

        Without ``thread_ts``: of what stands in the channel itself.
        """
        if thread_ts is not None:
            return [visible_text(message) for message in self.thread(channel, thread_ts)]
        where = self.workspace.channel(channel)
        return [visible_text(where.messages[ts]) for ts in where.top]

    def thread(self, channel: str, thread_ts: str) -> list[Message]:
        """A thread's replies as stored, with their metadata; oldest first, without the root."""
        return self.workspace.channel(channel).replies(thread_ts)

    def message(self, channel: str, ts: str) -> Message:
        """A message as stored. Raises ``KeyError``."""
        return self.workspace.channel(channel).messages[ts]

    def status(self, channel: str, thread_ts: str) -> str:
        """The status line under a thread, empty when there is none."""
        status = self.workspace.status(self.workspace.channel(channel), thread_ts)
        return status.text if status else ""

    def title(self, channel: str, thread_ts: str) -> str:
        """How the app has named a session; empty where it has not."""
        return self.workspace.titles.get((self.workspace.channel(channel).id, thread_ts), "")

    def prompts(self, channel: str) -> list[Mapping[str, str]]:
        """The ready-made questions that the app offers in a channel, outside of threads."""
        shown = self.workspace.prompts.get((self.workspace.channel(channel).id, ""), {})
        return list(shown.get("prompts", ()))

    def modals(self, user: str) -> list[views.View]:
        """What is open before a person, the top last."""
        return list(self.workspace.modals.get(self.person(user).id, ()))

    @property
    def statuses(self) -> dict[tuple[str, str], Status]:
        """The visible status lines by channel and thread."""
        now = self.workspace.clock()
        return {at: status for at, status in self.workspace.statuses.items() if now < status.until}

    def reactions(self, channel: str, ts: str) -> dict[str, list[str]]:
        """Who reacted to a message, by the reaction's name."""
        message = self.message(channel, ts)
        return {each["name"]: each["users"] for each in message.get("reactions", ())}

    def ephemerals(self, channel: str, user: str) -> list[Message]:
        """What only this person sees in a channel, oldest first."""
        reader = self.person(user).id
        messages = self.workspace.channel(channel).ephemerals
        return [message for message in messages if message["reader"] == reader]

    # Inside

    def _front(self, who: Person, view_id: str) -> views.View:
        modals = self.workspace.modals.get(who.id, [])
        if not modals or modals[-1]["id"] != view_id:
            raise KeyError(f"{who.name} has no modal {view_id} in front.")
        return modals[-1]

    def _choose(
        self, channel: Channel, message: Message, who: Person, action: Mapping[str, Any]
    ) -> elements.State:
        """All that the person has chosen in the message by now."""
        at = (channel.id, message["ts"], who.id)
        chosen = elements.state(_blocks(message), self._chosen.get(at, {}))
        values = elements.with_action(chosen, action)
        if values:
            self._chosen[at] = values
        if len(self._chosen) > _CHOICES_KEPT:
            del self._chosen[next(iter(self._chosen))]
        return values

    def _settle(self, delivery: Delivery) -> None:
        """Do what the app sent along with its ack, once it is there or will never come."""
        if delivery.kind == "slash_commands":
            self._show_answer(delivery)
        elif delivery in self._submitted and delivery.done.is_set():
            self._submitted.discard(delivery)
            person, view_id = delivery.payload["user"]["id"], delivery.payload["view"]["id"]
            if delivery.acked:
                views.obey(self.workspace, person, view_id, delivery.response)
            else:
                views.fail(self.workspace, person, view_id)
            self._view_changed(delivery)

    def _view_changed(self, submission: Delivery) -> None:
        person = submission.payload["user"]["id"]
        self.workspace.changed(Change(kind="view", user=person))

    def _show_answer(self, delivery: Delivery) -> None:
        shown = delivery.response
        if isinstance(shown, dict) and (shown.get("text") or shown.get("blocks")):
            where = self.workspace.channel(delivery.payload["channel_id"])
            with contextlib.suppress(ApiError):
                self._responses.respond(where, delivery.payload["user_id"], "", shown)


def _blocks(message: Message) -> list[Mapping[str, Any]]:
    attached = (each.get("blocks", ()) for each in message.get("attachments", ()))
    return [*message.get("blocks", ()), *(block for blocks in attached for block in blocks)]

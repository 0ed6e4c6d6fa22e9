"""A local Slack: a server on loopback that an unchanged Slack app talks to, and its screen.

It knows Slack's wire (Web API, Events API, Socket Mode) and nothing of the app. Sources of what it
does are docs.slack.dev and the issues named in the code; ``rich_text_blocks`` and the form of the
limits are choices, because Slack does not publish them.
"""

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp import web

from bot.playground.slack import payloads
from bot.playground.slack.arguments import Args
from bot.playground.slack.blocks import visible_text
from bot.playground.slack.content import composed, signed
from bot.playground.slack.delivery import (
    REDELIVERY_AFTER,
    Connections,
    Deliveries,
    Delivery,
    HttpPost,
    Kind,
    Socket,
    Sockets,
)
from bot.playground.slack.errors import ApiError
from bot.playground.slack.faults import Faults
from bot.playground.slack.limits import Limits
from bot.playground.slack.methods import set_reaction
from bot.playground.slack.webapi import Call, WebApi, arguments, keep
from bot.playground.slack.workspace import (
    APP_ID,
    BOT_USER_ID,
    TEAM_ID,
    Change,
    Channel,
    Message,
    Person,
    Status,
    Workspace,
)
from bot.playground.slack.workspace import Kind as ChannelKind

T = TypeVar("T")

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "reactions:write",
    "users:read",
)
LARGEST_BODY = 16 * 1024 * 1024  # bytes

Entry = Call | Delivery | Change | Connections


class LocalSlack:
    """A workspace with a few people in it, and the server in front of it.

    ``limits`` may be exchanged while it runs. ``latency`` is how many seconds each Web API call
    takes, half of it before its effect and half after. ``redelivery_after`` is how many seconds
    Slack waits for an ack, then the pauses before it sends an event again. ``clock`` gives seconds
    (default: the event loop's). With ``request_url`` events go there, not over Socket Mode.

        async with LocalSlack(limits=Limits.real()) as slack:
            ts = await slack.say("general", "Ana", f"<@{slack.bot_user_id}> hello")
            await slack.until(lambda: slack.screen("general", ts) == ["Hello, Ana!"])
    """

    team_id = TEAM_ID
    app_id = APP_ID
    bot_user_id = BOT_USER_ID

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        latency: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        bot_token: str = "xoxb-local",
        app_token: str = "xapp-local",
        signing_secret: str = "local-signing-secret",
        clock: Callable[[], float] | None = None,
        scopes: Iterable[str] = SCOPES,
        redelivery_after: Sequence[float] = REDELIVERY_AFTER,
        subscribe_channel_messages: bool = False,
        rich_text_blocks: bool = False,
        request_url: str | None = None,
    ) -> None:
        self.bot_token = bot_token
        self.app_token = app_token
        self.signing_secret = signing_secret
        self.clock = clock or _loop_time
        # Add routes before it starts to serve a page beside Slack.
        self.app = web.Application(client_max_size=LARGEST_BODY)
        self.listeners: list[Callable[[Entry], None]] = []
        self.deliveries: list[Delivery] = []
        self.workspace = Workspace(
            send=self._send_event,
            changed=self._tell,
            clock=self.clock,
            subscribe_channel_messages=subscribe_channel_messages,
            rich_text_blocks=rich_text_blocks,
        )
        self.web_api = WebApi(
            self.workspace,
            tokens={bot_token: "bot", app_token: "app", "": "none"},
            scopes=scopes,
            limits=limits or Limits.off(),
            latency=latency,
            open_connection=self._connection_url,
            changed=self._tell,
        )
        self._host, self._port = host, port
        self._request_url = request_url
        self._redelivery_after = redelivery_after
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._tickets: set[str] = set()
        self._response_urls: dict[str, tuple[Channel, str, str]] = {}

    async def __aenter__(self) -> Self:
        self._sockets = Sockets(
            clock=self.clock, acked=self._acked, changed=self._tell, app_id=APP_ID
        )
        self._deliveries = Deliveries(
            sockets=self._sockets, redelivery_after=self._redelivery_after, changed=self._delivered
        )
        self._session = aiohttp.ClientSession()
        self.request_url = self._request_url
        self.app.router.add_route("*", "/api/{method}", self.web_api.serve)
        self.app.router.add_get("/link", self._serve_socket)
        self.app.router.add_post("/response/{id}", self._serve_response_url)
        # A call that sleeps in a fault must not hold the end of a test up.
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._deliveries.close()
        await self._sockets.close()
        await self._runner.cleanup()
        await self._session.close()

    @property
    def api_url(self) -> str:
        """The base of the Web API, as ``base_url`` of an ``AsyncWebClient``."""
        return f"http://{self._host}:{self._port}/api/"

    @property
    def limits(self) -> Limits:
        """The rate limits in force; assign others to start counting afresh."""
        return self.web_api.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.web_api.limits = limits

    @property
    def latency(self) -> float:
        """Seconds that a Web API call takes."""
        return self.web_api.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.web_api.latency = seconds

    @property
    def redelivery_after(self) -> Sequence[float]:
        """Seconds: to wait for an ack, then the pauses before an event is sent again."""
        return self._deliveries.redelivery_after

    @redelivery_after.setter
    def redelivery_after(self, seconds: Sequence[float]) -> None:
        self._deliveries.redelivery_after = seconds

    @property
    def scopes(self) -> list[str]:
        """What the bot's token was granted; change it in place."""
        return self.web_api.scopes

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose."""
        return self.web_api.faults

    @property
    def calls(self) -> list[Call]:
        """The Web API calls in the order of their arrival."""
        return self.web_api.calls

    @property
    def request_url(self) -> str | None:
        """Where events are posted; None: over Socket Mode."""
        http = self._deliveries.http
        return http.url if http else None

    @request_url.setter
    def request_url(self, url: str | None) -> None:
        http = HttpPost(url, self.signing_secret, self._session) if url else None
        self._deliveries.http = http

    async def verify_request_url(self) -> bool:
        """Whether the app at ``request_url`` answers ``url_verification`` with the challenge."""
        assert self._deliveries.http is not None, "Set request_url first."
        return await self._deliveries.http.verify()

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
    ) -> str:
        """Add a channel with these people and, unless ``bot`` is false, the bot; returns its id."""
        return self.workspace.add_channel(name, kind=kind, members=members, bot=bot)

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

        ``channel`` and ``user`` are ids or names. ``text`` is as on the wire: ``&``, ``<`` and
        ``>`` typed by a person are ``&amp;``, ``&lt;`` and ``&gt;``, a mention is ``<@U0BOT>``.
        ``extra`` fields are added to the message.
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
        people = self.reactions(channel, ts).get(name, [])
        reacting = [*people, self.person(user).id]
        set_reaction(self.workspace, where, where.messages[ts], name, reacting)

    async def command(
        self, channel: str, user: str, command: str, text: str = "", **extra: Any
    ) -> Delivery:
        """A slash command such as ``/llm`` with its ``text``."""
        where, who = self.workspace.channel(channel), self.person(user)
        url = self._response_url(where, who.id, "")
        payload = payloads.slash_command(where, who, command, text, response_url=url)
        return await self.interact({**payload, **extra})

    async def click(
        self, channel: str, user: str, ts: str, action_id: str, *, value: str | None = None
    ) -> Delivery:
        """Click a message's button, found by its ``action_id``.

        ``value`` chooses among feedback buttons, which share their ``action_id``.
        """
        where, who = self.workspace.channel(channel), self.person(user)
        message = self._message_seen(where, ts)
        action = payloads.action(message, action_id, value=value, action_ts=self.workspace.new_ts())
        url = self._response_url(where, who.id, ts)
        return await self.interact(
            payloads.block_actions(where, who, message, action, response_url=url)
        )

    async def interact(self, payload: dict[str, Any]) -> Delivery:
        """Any slash command (it has ``command``) or interaction; sent once."""
        kind: Kind = "slash_commands" if "command" in payload else "interactive"
        return self._start(Delivery(kind=kind, payload=payload))

    async def deliver(
        self, event: dict[str, Any], *, event_id: str | None = None, **envelope: Any
    ) -> Delivery:
        """Send any event, in an envelope with the fields of ``envelope`` added or replaced."""
        payload = payloads.event_callback(event, event_id=event_id)
        return self._start(Delivery(kind="events_api", payload={**payload, **envelope}))

    async def redeliver(self, delivery: Delivery) -> Delivery:
        """Send the same event (same ``event_id``) once more, marked as a repeat."""
        await self._deliveries.repeat(delivery)
        return delivery

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

    @property
    def statuses(self) -> dict[tuple[str, str], Status]:
        """The visible status lines by channel and thread."""
        now = self.clock()
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

    # The wire log

    def count(self, method: str, *, refused: bool = False) -> int:
        """Calls of a method that no limit refused; with ``refused`` those that one did."""
        return self.web_api.count(method, refused=refused)

    async def until(self, predicate: Callable[[], T], timeout: float = 10.0) -> T:  # noqa: ASYNC109
        """Wait until ``predicate`` is true and return its result.

        It is asked again after each call, delivery and visible change of this Slack, so it should
        depend on nothing else. Raises ``TimeoutError`` that shows the screen.
        """
        result = predicate()
        if result:
            return result
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiting = (predicate, future)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise TimeoutError(f"Not so within {timeout} s.\n{self._described()}") from None
        finally:
            self._waiting.remove(waiting)

    async def follow(self) -> AsyncIterator[Entry]:
        """Every entry from now on: calls (at arrival and when answered), deliveries, changes."""
        entries: asyncio.Queue[Entry] = asyncio.Queue()
        self.listeners.append(entries.put_nowait)
        try:
            while True:
                yield await entries.get()
        finally:
            self.listeners.remove(entries.put_nowait)

    # Sockets

    @property
    def connections(self) -> int:
        """How many Socket Mode connections are open."""
        return len(self._sockets)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every connection to come again; all but a ``warning`` also closes it."""
        await self._sockets.disconnect(reason)

    async def drop_sockets(self) -> None:
        """Cut all connections without a word."""
        self._sockets.drop()

    # Inside: events

    def _send_event(self, event: dict[str, Any]) -> None:
        self._start(Delivery(kind="events_api", payload=payloads.event_callback(event)))

    def _start(self, delivery: Delivery) -> Delivery:
        keep(self.deliveries, delivery)
        self._deliveries.start(delivery)
        return delivery

    def _acked(self, delivery: Delivery) -> None:
        self._deliveries.acknowledge(delivery)

    def _delivered(self, delivery: Delivery) -> None:
        """An attempt, an ack or the end of a delivery; a command's ack may carry a message."""
        shown = delivery.response if delivery.kind == "slash_commands" else None
        if isinstance(shown, dict) and (shown.get("text") or shown.get("blocks")):
            where = self.workspace.channel(delivery.payload["channel_id"])
            with contextlib.suppress(ApiError):
                self._respond(where, delivery.payload["user_id"], "", shown)
        self._tell(delivery)

    def _tell(self, entry: Entry) -> None:
        """Something changed: tell the listeners, and whoever waits in ``until``."""
        for listener in list(self.listeners):
            listener(entry)
        for predicate, future in self._waiting:
            if future.done():
                continue
            try:
                result = predicate()
            except Exception as error:
                future.set_exception(error)
            else:
                if result:
                    future.set_result(result)

    # Inside: sockets

    def _connection_url(self) -> str:
        ticket = uuid.uuid4().hex
        self._tickets.add(ticket)
        return f"ws://{self._host}:{self._port}/link?ticket={ticket}"

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if self.faults.refuse_sockets:
            return web.Response(status=503)
        if ticket not in self._tickets:
            return web.Response(status=403)
        self._tickets.discard(ticket)  # Slack's URLs open one connection only
        ws = web.WebSocketResponse(timeout=1.0)
        await ws.prepare(request)
        await self._sockets.serve(Socket(ws, request))
        return ws

    # Inside: response URLs

    def _response_url(self, channel: Channel, user: str, ts: str) -> str:
        key = secrets.token_hex(12)
        self._response_urls[key] = (channel, user, ts)
        return f"http://{self._host}:{self._port}/response/{key}"

    async def _serve_response_url(self, request: web.Request) -> web.Response:
        target = self._response_urls.get(request.match_info["id"])
        if target is None:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        try:
            self._respond(*target, await arguments(request))
        except ApiError as error:
            return web.json_response(error.answer, status=400)
        return web.json_response({"ok": True})

    def _respond(self, channel: Channel, user: str, ts: str, values: Mapping[str, Any]) -> None:
        """docs.slack.dev/interactivity/handling-user-interaction#message_responses."""
        args = Args(values)
        if args.flag("delete_original"):
            if ts in channel.messages:
                self.workspace.remove(channel, ts)
            return
        content = composed(args)
        if args.flag("replace_original") and ts in channel.messages:
            self.workspace.replace(channel, {**channel.messages[ts], **content})
            return
        message = {**signed(self.workspace), **content}
        if args.text("thread_ts"):
            message["thread_ts"] = args.text("thread_ts")
        if args.text("response_type") == "in_channel":
            self.workspace.post(channel, message)
        else:
            self.workspace.whisper(channel, {**message, "reader": user})

    # Inside: showing

    def _message_seen(self, channel: Channel, ts: str) -> Message:
        private = (message for message in channel.ephemerals if message["ts"] == ts)
        return channel.messages.get(ts) or next(private)

    def _described(self) -> str:
        """The end of each thread and of the call log, for a person who reads a failed test."""
        lines = []
        for channel in self.workspace.channels.values():
            for ts in channel.threads:
                shown = [text[-200:] for text in self.screen(channel.id, ts)]
                lines.append(f"{channel.id} {ts}: {shown}")
        calls = [f"{call.method} {call.status} {call.outcome}" for call in self.calls[-10:]]
        unacked = sum(not delivery.acked for delivery in self.deliveries)
        return "\n".join(
            [
                "Screen:",
                *(lines[-10:] or ["(no threads)"]),
                "Last calls:",
                *(calls or ["(none)"]),
                f"Events not acknowledged: {unacked}; connections: {self.connections}",
            ]
        )


def _loop_time() -> float:
    return asyncio.get_running_loop().time()

"""A local Slack: a server on loopback that an unchanged Slack app talks to, and its screen.

It knows Slack's wire (Web API, Events API, Socket Mode) and nothing of the app. Sources of what it
does are docs.slack.dev and the issues named in the code; ``rich_text_blocks`` and the form of the
limits are choices, because Slack does not publish them.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp import web

from bot.playground.slack import payloads
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
from bot.playground.slack.faults import Faults
from bot.playground.slack.filehost import FileHost
from bot.playground.slack.limits import Limits
from bot.playground.slack.screen import Screen
from bot.playground.slack.uploads import Uploads
from bot.playground.slack.webapi import Call, WebApi, keep
from bot.playground.slack.workspace import (
    APP_ID,
    BOT_USER_ID,
    TEAM_ID,
    Change,
    Workspace,
)

T = TypeVar("T")

# What an app is granted whose manifest asks for all that the README names; tests hold both equal.
SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "mpim:history",
    "mpim:read",
    "reactions:write",
    "users:read",
)
LARGEST_BODY = 16 * 1024 * 1024  # bytes

Entry = Call | Delivery | Change | Connections


class LocalSlack(Screen):
    """A workspace with a few people in it, and the server in front of it.

    ``limits`` may be exchanged while it runs. ``latency`` is how many seconds each Web API call
    takes, half of it before its effect and half after. ``redelivery_after`` is how many seconds
    Slack waits for an ack, then the pauses before it sends an event again. ``clock`` gives seconds
    (default: the event loop's). With ``request_url`` events go there, not over Socket Mode. Of more
    than ``calls_kept`` calls, or deliveries, the older half is dropped; the counts stay right.

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
        calls_kept: int = 100_000,
    ) -> None:
        self.bot_token = bot_token
        self.app_token = app_token
        self.signing_secret = signing_secret
        self.clock = clock or _loop_time
        # Add routes before it starts to serve a page beside Slack.
        self.app = web.Application(client_max_size=LARGEST_BODY)
        self.listeners: list[Callable[[Entry], None]] = []
        self.deliveries: list[Delivery] = []
        super().__init__(
            Workspace(
                send=self._send_event,
                changed=self._tell,
                clock=self.clock,
                upload_url=self._upload_url,
                subscribe_channel_messages=subscribe_channel_messages,
                rich_text_blocks=rich_text_blocks,
            )
        )
        self.web_api = WebApi(
            self.workspace,
            tokens={bot_token: "bot", app_token: "app", "": "none"},
            scopes=scopes,
            limits=limits or Limits.off(),
            latency=latency,
            open_connection=self._connection_url,
            changed=self._tell,
            calls_kept=calls_kept,
        )
        self._file_host = FileHost(
            self.workspace, self.web_api, changed=self._tell, kept=calls_kept
        )
        self._calls_kept = calls_kept
        self._host, self._port = host, port
        self._request_url = request_url
        self._redelivery_after = redelivery_after
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._tickets: set[str] = set()

    async def __aenter__(self) -> Self:
        self._sockets = Sockets(
            clock=self.clock,
            acked=self._acked,
            changed=self._tell,
            app_id=APP_ID,
            faults=self.faults,
        )
        self._deliveries = Deliveries(
            sockets=self._sockets, redelivery_after=self._redelivery_after, changed=self._delivered
        )
        self._session = aiohttp.ClientSession()
        self.request_url = self._request_url
        self.app.router.add_route("*", "/api/{method}", self.web_api.serve)
        self._file_host.add_routes(self.app)
        self.app.router.add_get("/link", self._serve_socket)
        self.app.router.add_post("/response/{id}", self._responses.serve)
        self.app.router.add_post("/upload/{id}", Uploads(self.workspace).serve)
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
    def file_host(self) -> str:
        return f"http://{self._host}:{self._port}/"

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

    # Deliveries

    async def interact(self, payload: dict[str, Any]) -> Delivery:
        kind: Kind = "slash_commands" if "command" in payload else "interactive"
        return self._start(Delivery(kind=kind, payload=payload))

    async def deliver(
        self, event: dict[str, Any], *, event_id: str | None = None, **envelope: Any
    ) -> Delivery:
        payload = payloads.event_callback(event, event_id=event_id)
        return self._start(Delivery(kind="events_api", payload={**payload, **envelope}))

    async def redeliver(self, delivery: Delivery) -> Delivery:
        """Send the same event (same ``event_id``) once more, marked as a repeat."""
        await self._deliveries.repeat(delivery)
        return delivery

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

    @property
    def pongs(self) -> int:
        """How many of our pings, one for each connection, the app has answered."""
        return self._sockets.pongs

    @property
    def warned_before(self) -> float:
        """Seconds between a ``warning`` and the end of the connection."""
        return self._sockets.warned_before

    @warned_before.setter
    def warned_before(self, seconds: float) -> None:
        self._sockets.warned_before = seconds

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every connection to come again; a ``warning`` ends it later, all others at once."""
        await self._sockets.disconnect(reason)

    def silence_sockets(self) -> None:
        """All connections stay open, and neither word nor pong comes over them any more."""
        self._sockets.silence()

    async def drop_sockets(self) -> None:
        """Cut all connections without a word."""
        self._sockets.drop()

    # Inside: events

    def _send_event(self, event: dict[str, Any]) -> None:
        self._start(Delivery(kind="events_api", payload=payloads.event_callback(event)))

    def _start(self, delivery: Delivery) -> Delivery:
        keep(self.deliveries, delivery, most=self._calls_kept)
        self._deliveries.start(delivery)
        self._tell(delivery)  # it may wait long for a connection
        return delivery

    def _acked(self, delivery: Delivery) -> None:
        self._deliveries.acknowledge(delivery)

    def _delivered(self, delivery: Delivery) -> None:
        """An attempt, an ack or the end of a delivery."""
        self._settle(delivery)
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
        if self.faults.expire_addresses:
            return web.Response(status=408)
        if ticket not in self._tickets:
            return web.Response(status=403)
        self._tickets.discard(ticket)  # Slack's URLs open one connection only
        ws = web.WebSocketResponse(timeout=1.0, autoping=False)  # a silent one answers no ping
        await ws.prepare(request)
        await self._sockets.serve(Socket(ws, request))
        return ws

    # Inside: the rest

    def _response_url(self, key: str) -> str:
        return f"http://{self._host}:{self._port}/response/{key}"

    def _upload_url(self, file_id: str) -> str:
        return f"http://{self._host}:{self._port}/upload/{file_id}"

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

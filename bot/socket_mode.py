"""Socket Mode: Slack's events over a WebSocket, which is replaced before it is lost.

The SDK's client (slack_sdk 3.47) repeats a failed connection with the same one-time address for
ever, closes the old connection before it opens the next, starts a task for each event without
bound, and cannot be told to take no more while its acknowledgements are still on their way.
(docs.slack.dev/apis/events-api/using-socket-mode)
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.errors import BotError, SlackRefused, Unavailable
from bot.logs import broke, event
from bot.retries import until_connected
from bot.web_api import proxy_for

log = logging.getLogger(__name__)

Address = Callable[[], Awaitable[str]]  # of a new connection; each is good for one
Dispatch = Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]

# Seconds.
OPENS_WITHIN = 10.0  # the handshake and Slack's greeting
PING_EVERY = 5.0
LINGERS_FOR = 12.0  # the old beside the new; Slack ends one about 10 s after its warning
LASTS = 10.0  # one that ended sooner lets the next one wait
OLD_AFTER = 3600.0  # Slack replaces each after about an hour; one that it forgot is replaced by us
ACKS_WITHIN = 3.0  # Slack waits no longer for an acknowledgement

# Pings. Slack's servers have been seen to answer after more than 5 s (bolt-js#2496).
MOST_UNANSWERED = 3

# Events. More of them wait unread: the store takes one after the other.
MOST_UNDER_WAY = 100

# Characters; Slack's largest events stay well below. Bytes; a larger frame ends its connection.
LARGEST_EVENT = 2 * 1024 * 1024
LARGEST_FRAME = 16 * 1024 * 1024

# Reasons for a replacement that tell of no trouble.
PLANNED = frozenset({"warning", "refresh_requested", "old"})

# Words after which another connection cannot stand as long as this one is open.
OUT_OF_PLACE = frozenset({"link_disabled", "too_many_websockets"})


@asynccontextmanager
async def receiving(
    address: Address, dispatch: Dispatch, *, saw_event: Callable[[], None]
) -> AsyncIterator["SocketMode"]:
    """Receives events while the context lasts, which begins when the first connection stands.

    ``dispatch`` decides about each event's acknowledgement: HTTP status 200, and no other.

    :raises SlackRefused: the first address is refused. Later refusals are waited out.
    """
    # Without a time-out of its own: it would be one for the life of a connection.
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        socket = SocketMode(session, address, Listener(dispatch, saw_event))
        try:
            await socket.start()
            yield socket
        finally:
            await socket.close()


class Listener:
    """Where the events of all connections go, a bounded number of them at a time."""

    def __init__(self, dispatch: Dispatch, saw_event: Callable[[], None]) -> None:
        self.dispatch = dispatch
        self.saw_event = saw_event
        self.places = asyncio.Semaphore(MOST_UNDER_WAY)


class SocketMode:
    """Keeps one connection open, and a second one while the first is being replaced.

    Fits the protocol `bot.server.Socket`.
    """

    def __init__(self, session: aiohttp.ClientSession, address: Address, listener: Listener):
        self._session = session
        self._address = address
        self._listener = listener
        self._links: list[Link] = []
        self._has_connected = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return any(link.is_alive for link in self._links)

    @property
    def silence(self) -> float | None:
        """Seconds since anything came, a pong at least; None while nothing can come."""
        heard = [link.heard_at for link in self._links if link.is_alive]
        return _now() - max(heard) if heard else None

    async def start(self) -> None:
        self._keeping = asyncio.create_task(self._keep_connected())
        self._keeping.add_done_callback(lambda _: self._has_connected.set())
        await self._has_connected.wait()
        if self._keeping.done():
            await self._keeping  # raises what ended it

    def leave(self) -> None:
        """Takes no event any more, and closes as soon as no acknowledgement is under way.

        Slack gives what comes from now on to other connections of the app, or keeps it.
        """
        if self._keeping:
            self._keeping.cancel()
        for link in self._links:
            link.leave()

    async def close(self) -> None:
        """The same, and waits for it; events that take too long stay unacknowledged."""
        self.leave()
        if self._keeping:
            await asyncio.gather(self._keeping, return_exceptions=True)
        links = list(self._links)
        if links:
            await asyncio.wait([link.running for link in links], timeout=ACKS_WITHIN)
        for link in links:
            await link.abandon()

    async def _keep_connected(self) -> None:
        while True:
            await until_connected(self._connect)

    async def _connect(self) -> None:
        """One connection, until the next one is due. Returns where that may be opened at once.

        :raises Transient: there was none, or not for long.
        :raises SlackRefused: there never was any, and Slack gives no address.
        """
        try:
            link = await self._open()
            reason = await link.falls_due()
        except BotError:
            raise
        except Exception as error:  # a mistake of ours must not end the receiving for good
            broke(log, "socket.broke", error)
            raise Unavailable("Slack", "socket: broke") from error
        level = logging.INFO if reason in PLANNED else logging.WARNING
        event(log, "socket.due", level=level, reason=reason, seconds=link.age)
        if link.age < LASTS:
            raise Unavailable("Slack", f"socket: {reason}")

    async def _open(self) -> "Link":
        """A new connection, which the older ones leave the field to."""
        ws = await self._handshake(await self._new_address())
        link = Link(ws, self._listener)
        self._links.append(link)
        link.running.add_done_callback(lambda _: self._links.remove(link))
        try:
            await link.greeted()
        except BaseException:
            link.leave()
            raise
        self._has_connected.set()
        for older in self._links[: self._links.index(link)]:
            older.retire()
        return link

    async def _new_address(self) -> str:
        try:
            return await self._address()
        except SlackRefused as error:
            if not self._has_connected.is_set():
                raise
            raise Unavailable("Slack", str(error)) from error  # it may be put right

    async def _handshake(self, url: str) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(OPENS_WITHIN):
                return await self._session.ws_connect(
                    url,
                    autoping=False,  # so that pings and pongs are heard
                    max_msg_size=LARGEST_FRAME,
                    proxy=proxy_for(url.replace("ws", "http", 1)),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise Unavailable("Slack", f"socket: HTTP {error.status}") from error
        except (aiohttp.ClientError, OSError) as error:  # a time-out is an OSError
            raise Unavailable("Slack", f"socket: {type(error).__name__}") from error


class Link:
    """One connection.

    When it is *due* for replacement it goes on taking events; when it *leaves* it takes none.
    """

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, listener: Listener) -> None:
        self.heard_at = self._opened_at = _now()
        self._ws = ws
        self._listener = listener
        self._is_greeted = False
        self._is_leaving = False
        self._unanswered = 0  # pings since anything was heard
        self._due_for = ""  # the reason for its replacement
        self._due = asyncio.Event()
        self._settled = asyncio.Event()  # greeted, or due before that
        self._retirement: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self.running = asyncio.create_task(self._run())

    @property
    def age(self) -> float:
        return _now() - self._opened_at

    @property
    def is_alive(self) -> bool:
        """Events can come over it."""
        is_open = self._is_greeted and not self._ws.closed and not self._is_leaving
        return is_open and self._unanswered <= MOST_UNANSWERED

    async def greeted(self) -> None:
        """:raises Unavailable: Slack has other words for us, or none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(OPENS_WITHIN):
                await self._settled.wait()
        if not self._is_greeted:
            raise Unavailable("Slack", f"socket: {self._due_for or 'no greeting'}")

    async def falls_due(self) -> str:
        """Returns the reason."""
        await self._due.wait()
        return self._due_for

    def retire(self) -> None:
        """Another one has taken its place: it leaves when nothing can be on its way any more."""
        loop = asyncio.get_running_loop()
        self._retirement = self._retirement or loop.call_later(LINGERS_FOR, self.leave)

    def leave(self) -> None:
        """Takes no event any more, and closes as soon as no acknowledgement is under way."""
        self._is_leaving = True
        self._close_if_idle()

    async def abandon(self) -> None:
        """Ends at once. What is not acknowledged stays so."""
        under_way = list(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self.leave()
        await asyncio.gather(self.running, return_exceptions=True)

    async def _run(self) -> None:
        """Ends when the connection has, and no event of it is under way."""
        aging = asyncio.get_running_loop().call_later(OLD_AFTER, self._fall_due, "old")
        pinging = asyncio.create_task(self._ping())
        try:
            async for message in self._ws:
                self.heard_at, self._unanswered = _now(), 0
                await self._hear(message)
        except Exception as error:
            broke(log, "socket.broke", error)
        finally:
            self._fall_due(f"closed ({self._ws.close_code})")
            aging.cancel()
            if self._retirement:
                self._retirement.cancel()
            pinging.cancel()
            await self._ws.close()
            await asyncio.gather(pinging, return_exceptions=True)
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY)
            if self._listener.places.locked():  # it is us who do not listen
                continue
            # Counted, not timed: a process that was stopped for a while has not listened either.
            self._unanswered += 1
            if self._unanswered > MOST_UNANSWERED:
                self._fall_due("silent")
            with suppress(ConnectionError):  # it is closing, as its reader sees too
                await self._ws.ping()

    async def _hear(self, message: aiohttp.WSMessage) -> None:
        match message.type:
            case aiohttp.WSMsgType.PING:
                with suppress(ConnectionError):
                    await self._ws.pong(message.data)
            case aiohttp.WSMsgType.TEXT:
                await self._read(message.data)

    async def _read(self, text: str) -> None:
        frame = _frame(text)
        match frame:
            case {"type": "hello"}:
                self._greet(frame.get("num_connections"))
            case {"type": "disconnect"}:
                self._be_told_to_go(str(frame.get("reason"))[:40])
            case {"envelope_id": str(), "payload": dict()}:
                await self._take(frame)
            case _:
                event(log, "socket.unreadable", level=logging.WARNING, characters=len(text))

    def _greet(self, connections: object) -> None:
        self._is_greeted = True
        self._settled.set()
        event(log, "socket.opened", connections=connections)

    def _be_told_to_go(self, reason: str) -> None:
        self._fall_due(reason)
        if reason in OUT_OF_PLACE:
            self.leave()

    def _fall_due(self, reason: str) -> None:
        self._due_for = self._due_for or reason
        self._due.set()
        self._settled.set()

    async def _take(self, envelope: dict[str, Any]) -> None:
        await self._listener.places.acquire()
        if self._is_leaving:  # Slack sends it again, to others
            self._listener.places.release()
            return
        self._listener.saw_event()
        task = asyncio.create_task(self._answer(envelope))
        self._under_way.add(task)
        task.add_done_callback(self._have_answered)

    def _have_answered(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._listener.places.release()
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._is_leaving and not self._under_way and not self.running.cancelling():
            self.running.cancel()  # a second time, it would not get to close

    async def _answer(self, envelope: dict[str, Any]) -> None:
        """Acknowledges the event where it may be; what is not acknowledged comes again."""
        try:
            response = await self._listener.dispatch(_request(envelope))
            if response.status == 200:
                await self._ws.send_str(json.dumps(_ack(envelope, response)))
        except ConnectionError:
            event(log, "socket.ack_lost", level=logging.WARNING)
        except Exception as error:
            broke(log, "event.failed", error)


def _frame(text: str) -> Any:
    """What Slack says in a frame; None where it is not to be read.

    By the standard library: msgspec takes no half of a character (``"\\ud83d"``), which a person
    can write.
    """
    if len(text) > LARGEST_EVENT:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _request(envelope: Mapping[str, Any]) -> AsyncBoltRequest:
    """With the headers that Slack sends over HTTP, where Bolt looks for them."""
    names = {"retry_attempt": "x-slack-retry-num", "retry_reason": "x-slack-retry-reason"}
    told = {names[key]: [str(envelope[key])] for key in names if envelope.get(key) is not None}
    return AsyncBoltRequest(mode="socket_mode", body=envelope["payload"], headers={**told})


def _ack(envelope: Mapping[str, Any], response: BoltResponse) -> dict[str, Any]:
    """Also with what a listener has to say to a command or a view, as Bolt's own adapter does."""
    ack: dict[str, Any] = {"envelope_id": envelope["envelope_id"]}
    if response.body:
        is_json = response.first_headers().get("content-type", "").startswith("application/json")
        ack["payload"] = json.loads(response.body) if is_json else {"text": response.body}
    return ack


def _now() -> float:
    return asyncio.get_running_loop().time()

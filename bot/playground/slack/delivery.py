"""How events reach the app: over Socket Mode or HTTP, again and again until they are acknowledged.

Slack sends an event that is not acknowledged within 3 s three times more: at once, after a minute,
after five (docs.slack.dev/apis/events-api). Socket Mode repeats look the same, with a new envelope
id (bolt-js#2487). Commands and interactions are sent once.
"""

import asyncio
import hashlib
import hmac
import itertools
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import web

from bot.playground.slack.faults import Faults
from bot.playground.slack.payloads import encoded

Kind = Literal["events_api", "slash_commands", "interactive"]

REDELIVERY_AFTER = (3.0, 0.0, 60.0, 300.0)  # seconds: to wait for an ack; pauses before the repeats
MOST_SOCKETS = 10  # connections of one app (docs.slack.dev/apis/events-api/using-socket-mode)
WARNED_BEFORE = 10.0  # seconds between the word that a connection ends, and its end


@dataclass(eq=False, slots=True, kw_only=True)
class Delivery:
    """One event, command or interaction on its way to the app."""

    kind: Kind
    payload: dict[str, Any]
    attempts: int = 0  # how often it was sent
    connected_after: float = 0.0  # seconds that it waited for a Socket Mode connection
    ack_seconds: float | None = None  # from sending to the ack; None while unacknowledged
    status: int | None = None  # of the latest HTTP answer
    response: Any = None  # what the app sent along with its ack
    gave_up: bool = False  # no more attempts will come
    reason: str = ""  # why the latest repeat was sent: timeout, http_error ...
    envelope_ids: list[str] = field(default_factory=list)  # of each attempt over Socket Mode
    done: asyncio.Event = field(default_factory=asyncio.Event)  # acknowledged or given up

    @property
    def acked(self) -> bool:
        return self.ack_seconds is not None

    @property
    def event_id(self) -> str:
        return str(self.payload.get("event_id", ""))

    async def wait(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - as in asyncio.wait_for
        """Return when it is acknowledged. Raises ``TimeoutError`` when that takes too long."""
        async with asyncio.timeout(timeout):
            await self.done.wait()
        if not self.acked:
            raise TimeoutError(f"Given up after {self.attempts} attempts: {self.payload}")


@dataclass(eq=False, slots=True)
class Socket:
    """One Socket Mode connection of the app."""

    ws: web.WebSocketResponse
    request: web.Request
    is_silent: bool = False  # open, and nothing is read from it or comes over it any more

    async def send(self, frame: dict[str, Any]) -> bool:
        """False when the connection is gone. What is sent into a silent one is lost."""
        if self.ws.closed:
            return False
        if self.is_silent:
            return True
        try:
            await self.ws.send_str(encoded(frame).decode())
        except ConnectionError:
            return False
        return True

    async def ping(self) -> None:
        if not self.ws.closed:
            await self.ws.ping(b"Ping from local")

    async def ends_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.ws.close()

    def drop(self) -> None:
        """Cut the connection without a close frame, as a broken network does."""
        if self.request.transport is not None:
            self.request.transport.abort()


@dataclass(frozen=True, slots=True)
class _Envelope:
    delivery: Delivery
    sent: float


@dataclass(frozen=True, slots=True, eq=False)
class Connections:
    """A Socket Mode connection came or went; so many are open now."""

    count: int


class Sockets:
    """The open connections; each envelope goes to one of them, in turn."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        acked: Callable[[Delivery], None],
        changed: Callable[[Connections], None],
        app_id: str,
        faults: Faults,
    ) -> None:
        self.warned_before = WARNED_BEFORE
        self.pongs = 0  # answers of the app to our pings
        self._clock = clock
        self._acked = acked
        self._changed = changed
        self._app_id = app_id
        self._faults = faults
        self._open: list[Socket] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._turn = itertools.count()
        self.connected = asyncio.Event()
        self._envelopes: dict[str, _Envelope] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, socket: Socket) -> None:
        """Greet the connection and read its acks until it ends."""
        is_one_too_many = len(self._open) >= MOST_SOCKETS
        turned_away = "too_many_websockets" if is_one_too_many else self._faults.turn_sockets_away
        if turned_away:
            await socket.send(_disconnect(turned_away))
            await socket.ws.close()
            return
        if self._faults.mute_sockets:
            socket.is_silent = True
            await self._listen(socket)
            return
        await socket.send(self._hello())
        self._open.append(socket)
        self.connected.set()
        self._changed(Connections(len(self)))
        try:
            await socket.ping()
            await self._listen(socket)
        finally:
            self._leave(socket)

    async def _listen(self, socket: Socket) -> None:
        async for frame in socket.ws:
            if socket.is_silent:
                continue
            match frame.type:
                case aiohttp.WSMsgType.TEXT:
                    self._read(frame.data)
                case aiohttp.WSMsgType.PING:
                    await socket.ws.pong(frame.data)
                case aiohttp.WSMsgType.PONG:
                    self.pongs += 1

    def _leave(self, socket: Socket) -> None:
        if socket not in self._open:
            return
        self._open.remove(socket)
        if not self._open:
            self.connected.clear()
        self._changed(Connections(len(self)))

    def _hello(self) -> dict[str, Any]:
        debug = {"host": "local", "build_number": 1, "approximate_connection_time": 3600}
        return {
            "type": "hello",
            "num_connections": len(self._open) + 1,
            "debug_info": debug,
            "connection_info": {"app_id": self._app_id},
        }

    async def send(self, delivery: Delivery) -> None:
        """Send one envelope, as soon as a connection is there."""
        envelope_id = str(uuid.uuid4())
        delivery.envelope_ids.append(envelope_id)
        frame: dict[str, Any] = {
            "envelope_id": envelope_id,
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
        }
        if delivery.kind == "events_api":
            frame["retry_attempt"] = delivery.attempts
            frame["retry_reason"] = delivery.reason
        await self.connected.wait()
        delivery.attempts += 1
        while True:
            await self.connected.wait()
            self._envelopes[envelope_id] = _Envelope(delivery, self._clock())
            socket = self._open[next(self._turn) % len(self._open)]
            if await socket.send(frame):
                return
            self._leave(socket)

    def forget(self, delivery: Delivery) -> None:
        """Its envelopes will not be acknowledged any more."""
        for envelope_id in delivery.envelope_ids:
            self._envelopes.pop(envelope_id, None)

    def _read(self, data: str) -> None:
        try:
            ack = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return
        envelope = self._envelopes.pop(ack.get("envelope_id"), None) if _is_ack(ack) else None
        if envelope is None or envelope.delivery.acked:
            return
        # An ack counts on whichever connection it comes; whether Slack sees it so is not known.
        envelope.delivery.ack_seconds = self._clock() - envelope.sent
        envelope.delivery.response = ack.get("payload")
        self._acked(envelope.delivery)

    async def disconnect(self, reason: str) -> None:
        """Tell every connection to come again: ``warning`` about 10 s before Slack closes it,
        ``refresh_requested``, ``link_disabled``. All but the warning close it here at once."""
        for socket in list(self._open):
            await socket.send(_disconnect(reason))
            if reason == "warning":
                ending = asyncio.create_task(socket.ends_after(self.warned_before))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
            else:
                self._leave(socket)
                await socket.ws.close()

    def silence(self) -> None:
        for socket in self._open:
            socket.is_silent = True

    def drop(self) -> None:
        for socket in list(self._open):
            self._leave(socket)
            socket.drop()

    async def close(self) -> None:
        ending = list(self._ending)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        for socket in list(self._open):
            self._leave(socket)
            await socket.ws.close(code=aiohttp.WSCloseCode.GOING_AWAY)


def _disconnect(reason: str) -> dict[str, Any]:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "local"}}


def _is_ack(ack: object) -> bool:
    return isinstance(ack, dict) and isinstance(ack.get("envelope_id"), str)


class HttpPost:
    """Events as signed requests to the app's own server
    (docs.slack.dev/authentication/verifying-requests-from-slack)."""

    def __init__(self, url: str, signing_secret: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._secret = signing_secret.encode()
        self._session = session

    async def send(self, delivery: Delivery, *, seconds: float) -> tuple[bool, bool]:
        """Post it; returns whether it was acknowledged and whether to try again."""
        retry = {}
        if delivery.attempts and delivery.kind == "events_api":
            retry["x-slack-retry-num"] = str(delivery.attempts)
            retry["x-slack-retry-reason"] = delivery.reason
        delivery.attempts += 1
        try:
            async with asyncio.timeout(seconds):
                status, headers, body = await self._post(*_body(delivery), retry)
        except TimeoutError:
            delivery.reason = "http_timeout"
            return False, True
        except aiohttp.ClientError:
            delivery.reason = "connection_failed"
            return False, True
        delivery.status = status
        delivery.reason = "http_error"
        if 200 <= status < 300:
            delivery.response = _decoded(body)
            return True, False
        return False, headers.get("x-slack-no-retry") != "1"

    async def verify(self) -> bool:
        """The ``url_verification`` handshake: does the app send the challenge back?"""
        challenge = uuid.uuid4().hex
        payload = {"type": "url_verification", "token": "local", "challenge": challenge}
        body = msgspec.json.encode(payload)
        status, _, answer = await self._post(body, "application/json", {})
        return status == 200 and challenge.encode() in answer

    async def _post(
        self, body: bytes, content_type: str, headers: dict[str, str]
    ) -> tuple[int, Any, bytes]:
        stamp = str(int(time.time()))
        base = b"v0:" + stamp.encode() + b":" + body
        signed = {
            **headers,
            "content-type": content_type,
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": f"v0={hmac.new(self._secret, base, hashlib.sha256).hexdigest()}",
        }
        async with self._session.post(self.url, data=body, headers=signed) as answer:
            return answer.status, answer.headers, await answer.read()


def _body(delivery: Delivery) -> tuple[bytes, str]:
    payload = encoded(delivery.payload)
    if delivery.kind == "events_api":
        return payload, "application/json"
    form = delivery.payload if delivery.kind == "slash_commands" else {"payload": payload}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {"text": body.decode(errors="replace")} if body else None


class Deliveries:
    """Owns every delivery under way; ``changed`` is called at each attempt, ack and end."""

    def __init__(
        self,
        *,
        sockets: Sockets,
        redelivery_after: Sequence[float],
        changed: Callable[[Delivery], None],
    ) -> None:
        self.http: HttpPost | None = None
        self._sockets = sockets
        self.redelivery_after = redelivery_after
        self._changed = changed
        self._tasks: dict[Delivery, asyncio.Task[None]] = {}

    def start(self, delivery: Delivery) -> None:
        """Send it, and repeat it until it is acknowledged, in a task of its own."""
        repeats = self.redelivery_after[1:] if delivery.kind == "events_api" else []
        self._spawn(delivery, repeats)

    async def repeat(self, delivery: Delivery) -> None:
        """Send it once more, whatever became of it before; no further repeats follow."""
        before = self._tasks.get(delivery)
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        delivery.ack_seconds = None
        delivery.gave_up = False
        delivery.done.clear()
        delivery.reason = delivery.reason or "timeout"
        self._spawn(delivery, [])

    def _spawn(self, delivery: Delivery, pauses: Sequence[float]) -> None:
        task = asyncio.get_running_loop().create_task(self._run(delivery, pauses))
        self._tasks[delivery] = task
        task.add_done_callback(lambda _: self._tasks.pop(delivery, None))

    def acknowledge(self, delivery: Delivery) -> None:
        delivery.done.set()
        self._changed(delivery)

    async def _run(self, delivery: Delivery, pauses: Sequence[float]) -> None:
        again = await self._attempt(delivery)
        for pause in pauses:
            if not again or await _happens(delivery.done, pause):
                break
            again = await self._attempt(delivery)
        self._sockets.forget(delivery)
        if not delivery.acked:
            delivery.gave_up = True
            self.acknowledge(delivery)

    async def _attempt(self, delivery: Delivery) -> bool:
        """Send it once; returns whether to send it again."""
        if self.http is not None:
            return await self._attempt_http(delivery, self.http)
        if not await self._is_connected(delivery):
            return True
        await self._sockets.send(delivery)
        self._changed(delivery)
        if await _happens(delivery.done, self.redelivery_after[0]):
            return False
        delivery.reason = "timeout"
        return True

    async def _is_connected(self, delivery: Delivery) -> bool:
        """Waits for a connection; not for ever with a command or a click, which a person sees."""
        clock = asyncio.get_running_loop().time
        began = clock()
        patience = None if delivery.kind == "events_api" else self.redelivery_after[0]
        is_connected = await _happens(self._sockets.connected, patience)
        delivery.connected_after += clock() - began
        return is_connected

    async def _attempt_http(self, delivery: Delivery, http: HttpPost) -> bool:
        clock = asyncio.get_running_loop().time
        sent = clock()
        acked, again = await http.send(delivery, seconds=self.redelivery_after[0])
        if acked:
            delivery.ack_seconds = clock() - sent
            self.acknowledge(delivery)
        else:
            self._changed(delivery)
        return again

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _happens(event: asyncio.Event, seconds: float | None) -> bool:
    """Whether the event happens within that many seconds; None: however long it takes."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True

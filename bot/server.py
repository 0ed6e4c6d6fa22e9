"""The port: events over HTTP, and ``/healthz``, which says whether the bot is receiving."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.logs import broke, event

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
HEALTH_PATH = "/healthz"

# Bytes. Slack's largest events (a long message with its blocks) stay well below.
MAX_BODY = 2 * 1024 * 1024

# Seconds for a whole request, which Slack sends at once; and those that requests under way get
# at the end, when all answers have been given.
BODY_WITHIN = 5.0
CLOSES_WITHIN = 2.0

# Seconds that the database gets to say whether it is ready; a platform asks every few seconds.
READY_WITHIN = 2.0


class Socket(Protocol):
    """The connection over which events come in Socket Mode."""

    @property
    def is_connected(self) -> bool: ...

    @property
    def silence(self) -> float | None:
        """Seconds since anything came over it, a pong at least; None while nothing can come."""

    def leave(self) -> None:
        """Takes no event any more; what was taken is still acknowledged."""


async def never() -> bool:
    """Of a database that is not open."""
    return False


@dataclass
class Door:
    """Where events come in, while the bot starts, runs and stops, and how well it is there."""

    over_http: bool  # False: events come over a WebSocket
    app: AsyncApp | None = None  # None: the bot is not ready
    socket: Socket | None = None  # None: over HTTP, where no connection can be lost
    is_database_ready: Callable[[], Awaitable[bool]] = never  # cheap: asked at each look
    is_closing: bool = False
    last_event: float | None = None  # by the loop's clock; None: none came yet

    def saw_event(self) -> None:
        """Slack has sent something."""
        self.last_event = asyncio.get_running_loop().time()

    def close(self) -> None:
        """The bot is about to stop: others may take what comes from now on."""
        self.is_closing = True
        if self.socket:
            self.socket.leave()

    async def health(self) -> dict[str, Any]:
        """What ``/healthz`` tells: no ids, no addresses, no secrets. Times are in seconds."""
        is_ready = await self._is_database_ready()
        now = asyncio.get_running_loop().time()
        return {
            "status": self._status(is_ready),
            "socket": self._socket(),
            "database": is_ready,
            "last_event_s": None if self.last_event is None else round(now - self.last_event, 1),
        }

    def _status(self, is_database_ready: bool) -> str:
        if self.is_closing:
            return "stopping"
        if self.app is None:
            return "starting"
        if self.socket and not self.socket.is_connected:
            return "not connected to Slack"
        return "ok" if is_database_ready else "no database"

    def _socket(self) -> dict[str, Any] | None:
        if self.socket is None:
            return None
        silence = self.socket.silence
        return {
            "connected": self.socket.is_connected,
            "silent_s": None if silence is None else round(silence, 1),
        }

    async def _is_database_ready(self) -> bool:
        try:
            async with asyncio.timeout(READY_WITHIN):
                return await self.is_database_ready()
        except Exception as error:
            broke(log, "health.unknown", error)
            return False


@asynccontextmanager
async def http(door: Door, *, host: str, port: int) -> AsyncIterator[int]:
    """Serves ``/healthz``, and ``/slack/events`` where events come over HTTP; yields the port.

    :raises OSError: the port cannot be had.
    """

    async def events(request: web.Request) -> web.Response:
        if door.app is None:
            return web.Response(status=503, text="starting")
        try:
            async with asyncio.timeout(BODY_WITHIN):
                await request.read()
        except TimeoutError:
            return _rejected(408, "time", "The request did not end.")
        except web.HTTPRequestEntityTooLarge:
            return _rejected(413, "size", "The request is too large.")
        try:
            _check_signature_form(request)
            bolt_request = await to_bolt_request(request)
            _check_event_form(bolt_request)
        except Exception:  # Bolt trips in many ways over what is no form and no JSON object
            return _rejected(400, "form", "This is not what Slack sends.")
        answer = await door.app.async_dispatch(bolt_request)
        if answer.status == 401:  # a wrong secret, a wrong clock, or somebody else
            _rejected(401, "signature")
        else:
            door.saw_event()
        return await to_aiohttp_response(answer)

    async def health(_: web.Request) -> web.Response:
        found = await door.health()
        return web.json_response(found, status=200 if found["status"] == "ok" else 503)

    site = web.Application(client_max_size=MAX_BODY)
    site.router.add_get(HEALTH_PATH, health)
    if door.over_http:
        site.router.add_post(EVENTS_PATH, events)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=CLOSES_WITHIN)
    await runner.setup()
    try:
        tcp = web.TCPSite(runner, host, port)
        await tcp.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _rejected(status: int, reason: str, words: str = "") -> web.Response:
    event(log, "request.rejected", level=logging.WARNING, reason=reason)
    return web.Response(status=status, text=words)


def _check_signature_form(request: web.Request) -> None:
    """Bolt, which checks the signature itself, trips over one that is malformed.

    :raises ValueError: it is.
    """
    stamp = request.headers.get("x-slack-request-timestamp", "0")
    signature = request.headers.get("x-slack-signature", "")
    if not (re.fullmatch(r"[0-9]{1,12}", stamp) and signature.isascii()):
        raise ValueError("malformed signature")


def _check_event_form(request: AsyncBoltRequest) -> None:
    """Bolt looks into ``event`` as soon as there is one.

    :raises ValueError: it is no object.
    """
    if not isinstance(request.body.get("event", {}), dict):
        raise ValueError("malformed event")

"""Where events come in: Socket Mode, or HTTP on a port; and ``/healthz`` for the operator."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.logs import event
from bot.slack import proxy_for, quiet_logger

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
HEALTH_PATH = "/healthz"

# Bytes. Slack's largest events (a long message with its blocks) stay well below.
MAX_BODY = 2 * 1024 * 1024

# Seconds for a whole request, which Slack sends at once; and those that requests under way get
# at the end, when all answers have been given.
BODY_WITHIN = 5.0
CLOSES_WITHIN = 2.0

IsConnected = Callable[[], Awaitable[bool]]


async def always() -> bool:
    """Over HTTP there is no connection that could be lost."""
    return True


@dataclass
class Door:
    """What the port tells and takes, while the bot starts, runs and stops."""

    over_http: bool  # False: events come over a WebSocket
    app: AsyncApp | None = None  # None: the bot is not ready
    is_connected: IsConnected = always
    is_closing: bool = False

    async def status(self) -> str:
        if self.is_closing:
            return "stopping"
        if self.app is None:
            return "starting"
        return "ok" if await self.is_connected() else "not connected to Slack"


@asynccontextmanager
async def socket_mode(app: AsyncApp, app_token: str, wss_url: str) -> AsyncIterator[IsConnected]:
    """Receives events over a WebSocket while the context lasts; tells whether it is connected.

    ``wss_url`` is the first connection's address; the client asks for further ones itself.
    """
    handler = AsyncSocketModeHandler(app, app_token, logger=quiet_logger())
    handler.client.wss_uri = wss_url
    # The SDK takes any proxy from the environment, also for hosts that NO_PROXY exempts.
    handler.client.proxy = proxy_for(wss_url.replace("ws", "http", 1))
    try:
        await handler.connect_async()  # type: ignore[no-untyped-call]
        yield handler.client.is_connected
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


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
                await request.read()  # 413 where it is too large
        except TimeoutError:
            return web.Response(status=408, text="The request did not end.")
        try:
            _check_signature_form(request)
            bolt_request = await to_bolt_request(request)
            _check_event_form(bolt_request)
        except Exception:  # Bolt trips in many ways over what is no form and no JSON object
            return web.Response(status=400, text="This is not what Slack sends.")
        answer = await door.app.async_dispatch(bolt_request)
        if answer.status == 401:  # a wrong secret, a wrong clock, or somebody else
            event(log, "request.rejected", level=logging.WARNING, reason="signature")
        return await to_aiohttp_response(answer)

    async def health(_: web.Request) -> web.Response:
        status = await door.status()
        return web.json_response({"status": status}, status=200 if status == "ok" else 503)

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

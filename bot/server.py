"""Where events come in: Socket Mode, or HTTP on a port; and ``/healthz`` for the operator."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from bot.slack import proxy_for, quiet_logger

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
HEALTH_PATH = "/healthz"

# Bytes. Slack's largest events (a long message with its blocks) stay well below.
MAX_BODY = 2 * 1024 * 1024

IsHealthy = Callable[[], Awaitable[bool]]


@asynccontextmanager
async def socket_mode(app: AsyncApp, app_token: str, wss_url: str) -> AsyncIterator[IsHealthy]:
    """Receives events over a WebSocket while the context lasts; tells whether it is connected.

    ``wss_url`` is the first connection's address; the client asks for further ones itself.
    """
    handler = AsyncSocketModeHandler(app, app_token, logger=quiet_logger())
    handler.client.wss_uri = wss_url
    # The SDK takes any proxy from the environment, also for hosts that NO_PROXY exempts.
    handler.client.proxy = proxy_for(wss_url.replace("ws", "http", 1))
    await handler.connect_async()  # type: ignore[no-untyped-call]
    try:
        yield handler.client.is_connected
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def http(
    app: AsyncApp | None, is_healthy: IsHealthy, *, host: str, port: int
) -> AsyncIterator[int]:
    """Serves ``/healthz``, and ``/slack/events`` where there is an app; yields the port.

    :raises OSError: the port cannot be had.
    """

    async def events(request: web.Request) -> web.Response:
        assert app is not None
        await request.read()  # 413 where it is too large
        try:
            _check_signature_form(request)
            bolt_request = await to_bolt_request(request)
        except Exception:  # Bolt trips in many ways over what is no form and no JSON object
            return web.Response(status=400, text="This is not what Slack sends.")
        return await to_aiohttp_response(await app.async_dispatch(bolt_request))

    async def health(_: web.Request) -> web.Response:
        if await is_healthy():
            return web.json_response({"status": "ok"})
        return web.json_response({"status": "not connected to Slack"}, status=503)

    site = web.Application(client_max_size=MAX_BODY)
    site.router.add_get(HEALTH_PATH, health)
    if app is not None:
        site.router.add_post(EVENTS_PATH, events)
    runner = web.AppRunner(site, access_log=None)
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

"""The open windows of the page: each is sent the newest state of what changed, when it can take it.

A window keeps which things changed and not how, so a slow browser never lags behind a backlog.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

logger = logging.getLogger(__name__)

Key = tuple[Any, ...]  # what changed: ("message", channel, ts)

# Seconds between two frames; what changes meanwhile goes together. A person sees no difference.
PAUSE = 0.04
HEARTBEAT = 20.0  # seconds; a browser that does not answer a ping is gone


class Windows:
    """``everything`` makes the first frame; ``change`` what is to be said of a key now."""

    def __init__(
        self,
        *,
        everything: Callable[[], dict[str, Any]],
        change: Callable[[Key], dict[str, Any] | None],
    ) -> None:
        self._everything = everything
        self._change = change
        self._windows: set[_Window] = set()
        self._some = asyncio.Event()

    def touch(self, *keys: Key) -> None:
        """These things changed."""
        for window in self._windows:
            window.touch(keys)

    async def some(self) -> None:
        """Waits until a window is open."""
        await self._some.wait()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """A window, from its opening to its end."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, timeout=1.0)
        await socket.prepare(request)
        window = _Window(socket)
        self._windows.add(window)
        self._some.set()
        sending = asyncio.create_task(self._send(window))
        try:
            async for _ in socket:  # nothing is said here, but the end is heard
                pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._windows.discard(window)
            if not self._windows:
                self._some.clear()
        return socket

    async def close(self) -> None:
        """Ends them all; the browsers come again by themselves."""
        for window in list(self._windows):
            await window.socket.close(code=1001)

    async def _send(self, window: "_Window") -> None:
        try:
            await _send_frame(window, self._everything())
            while True:
                keys = await window.changed()
                changes = [change for key in keys if (change := self._change(key)) is not None]
                if changes:
                    await _send_frame(window, {"type": "changes", "changes": changes})
                await asyncio.sleep(PAUSE)
        except ConnectionError:  # the browser went while we wrote
            pass
        except Exception:
            logger.exception("playground.window_failed")
        await window.socket.close()


class _Window:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self._dirty: dict[Key, None] = {}  # in the order of the first change
        self._news = asyncio.Event()

    def touch(self, keys: tuple[Key, ...]) -> None:
        self._dirty.update(dict.fromkeys(keys))
        self._news.set()

    async def changed(self) -> list[Key]:
        """What changed since it was asked last; waits for something."""
        await self._news.wait()
        self._news.clear()
        keys = list(self._dirty)
        self._dirty.clear()
        return keys


async def _send_frame(window: _Window, frame: dict[str, Any]) -> None:
    await window.socket.send_str(msgspec.json.encode(frame).decode())

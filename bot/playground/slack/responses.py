"""Response URLs: how an app answers a command or a click without a channel's permission."""

import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.playground.slack.arguments import Args
from bot.playground.slack.content import REPLACED, composed, signed
from bot.playground.slack.errors import ApiError
from bot.playground.slack.webapi import arguments
from bot.playground.slack.workspace import Channel, Message, Workspace

_KEPT = 1_000  # response URLs; an older one is as if it had been used up


class Responses:
    """The response URLs that were given out, each for a channel, a person and perhaps a message.

    docs.slack.dev/interactivity/handling-user-interaction#message_responses
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._targets: dict[str, tuple[Channel, str, str]] = {}  # oldest first

    def key(self, channel: Channel, person: str, ts: str) -> str:
        """The last part of a new response URL; ``ts`` is empty for a command."""
        if len(self._targets) >= _KEPT:
            del self._targets[next(iter(self._targets))]
        key = secrets.token_hex(12)
        self._targets[key] = (channel, person, ts)
        return key

    async def serve(self, request: web.Request) -> web.Response:
        target = self._targets.get(request.match_info["id"])
        if target is None:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        try:
            self.respond(*target, await arguments(request))
        except ApiError as error:
            return web.json_response(error.answer, status=400)
        return web.json_response({"ok": True})

    def respond(self, channel: Channel, person: str, ts: str, values: Mapping[str, Any]) -> None:
        """Show what the app answered, in the place of the message ``ts`` if it says so."""
        args = Args(values)
        shown = self._workspace.seen(channel, ts)
        if args.flag("delete_original"):
            if shown is not None:
                self._workspace.take_away(channel, shown)
            return
        content = composed(args)
        if args.flag("replace_original") and shown is not None:
            kept = {key: value for key, value in shown.items() if key not in REPLACED}
            self._replace(channel, {**kept, **content})
            return
        message = {**signed(self._workspace), **content}
        if args.text("thread_ts"):
            message["thread_ts"] = args.text("thread_ts")
        if args.text("response_type") == "in_channel":
            self._workspace.post(channel, message)
        else:
            self._workspace.whisper(channel, {**message, "reader": person})

    def _replace(self, channel: Channel, message: Message) -> None:
        if "reader" in message:
            self._workspace.whisper(channel, message)
        else:
            self._workspace.replace(channel, message)

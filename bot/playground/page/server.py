"""The page's server: its assets, ``/live`` for what is to be seen, ``/do/{verb}`` for deeds,
``/upload`` and ``/files/{id}`` for what people attach."""

import asyncio
import errno
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from aiohttp import web

from bot.playground.demo import IsFinished
from bot.playground.model import LocalModel, Request
from bot.playground.page.crowd import Crowd
from bot.playground.page.deeds import Deeds, Refused
from bot.playground.page.guard import HEADERS, is_everywhere, objection, own_address
from bot.playground.page.scene import Scene
from bot.playground.page.switches import Switches
from bot.playground.page.uploads import Uploads
from bot.playground.page.windows import Key, Windows
from bot.playground.page.wire import LogLine, Wire
from bot.playground.slack import Call, Delivery, Entry, LocalSlack
from bot.playground.slack.delivery import Connections
from bot.playground.slack.workspace import BOT_USER_ID, Change

logger = logging.getLogger(__name__)

DEFAULT_PORT = 8484
LARGEST_BODY = 256 * 1024  # bytes
ROWS_SHOWN = 300
TICK = 1.0  # seconds

ASSETS = Path(__file__).parent / "assets"
CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
}

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CannotListen(Exception):
    """Nobody can be served there; a sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A slash command, as the app's manifest describes it."""

    command: str
    hint: str = ""
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A message shortcut, ditto."""

    name: str
    callback_id: str


class Bot(Protocol):
    """The bot's process: see ``BotProcess``."""

    heard: list[Callable[[str], None]]
    listeners: list[Callable[[], None]]

    @property
    def ended(self) -> str: ...

    async def restart(self) -> None: ...


class Page:
    """The page of a local Slack, for any number of windows that all see the same.

    Without a ``port`` it takes 8484, or any free one if that is taken; 0 is any free one. Raises
    ``CannotListen`` for another that is taken. When it opens it sets the limits and the speed of
    ``slack`` as the switches say. ``secrets`` are never shown, nor are the tokens of ``slack``.
    """

    def __init__(
        self,
        slack: LocalSlack,
        model: LocalModel,
        *,
        bot: Bot,
        is_finished: IsFinished,
        host: str = "127.0.0.1",
        port: int | None = None,
        commands: Sequence[Command] = (),
        shortcuts: Sequence[Shortcut] = (),
        real_model: bool = False,
        secrets: Sequence[str] = (),
    ) -> None:
        self._slack = slack
        self._model = model
        self._bot = bot
        self._host = host
        self._port = port
        self._commands = commands
        self._shortcuts = shortcuts
        self._was_connected = False
        self._switches = Switches(slack, model, real_model=real_model)
        self._armed = self._switches.armed()
        self._crowd = Crowd(
            slack, is_finished=is_finished, changed=lambda: self._windows.touch(("crowd",))
        )
        self._scene = Scene(slack, crowd=self._crowd.people)
        self._wire = Wire(
            clock=slack.clock,
            name=self._name,
            secrets=[slack.bot_token, slack.app_token, slack.signing_secret, *secrets],
        )
        self._windows = Windows(everything=self._everything, change=self._change)
        self._deeds = Deeds(
            slack,
            self._scene,
            switches=self._switches,
            crowd=self._crowd,
            restart=bot.restart,
            commands=[command.command for command in commands],
            shortcuts=[shortcut.callback_id for shortcut in shortcuts],
        )
        self._uploads = Uploads(slack.workspace, self._deeds.upload)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._guarded])
        app.on_response_prepare.append(_dress)
        app.router.add_get("/", _serve_page)
        app.router.add_get("/assets/{name}", _serve_asset)
        app.router.add_get("/live", self._windows.serve)
        app.router.add_get("/wire/{id:[0-9]{1,12}}", self._serve_details)
        app.router.add_post("/do/{verb}", self._serve_deed)
        app.router.add_post("/upload", self._uploads.take)
        app.router.add_get("/files/{id:F[A-Z0-9]{1,32}}", self._uploads.serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            await self._listen()
        except BaseException:
            await self._runner.cleanup()
            raise
        self._switches.set_all()
        self._slack.listeners.append(self._slack_told)
        self._model.listeners.append(self._model_told)
        self._bot.listeners.append(self._bot_told)
        self._bot.heard.append(self._bot_heard)
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._slack.listeners.remove(self._slack_told)
        self._model.listeners.remove(self._model_told)
        self._bot.listeners.remove(self._bot_told)
        self._bot.heard.remove(self._bot_heard)
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        await self._crowd.close()
        await self._windows.close()
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        """For a browser on this computer."""
        if is_everywhere(self._host):
            return self._at("::1" if ":" in self._host else "127.0.0.1")
        return self._at(self._host)

    @property
    def address_elsewhere(self) -> str:
        """For a browser on another device, if the page listens for it."""
        return self._at(own_address(self._host)) if is_everywhere(self._host) else self.address

    def _at(self, host: str) -> str:
        return f"http://[{host}]:{self._port}/" if ":" in host else f"http://{host}:{self._port}/"

    async def _listen(self) -> None:
        wanted = DEFAULT_PORT if self._port is None else self._port
        try:
            await web.TCPSite(self._runner, self._host, wanted).start()
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            if taken and self._port is None:
                await web.TCPSite(self._runner, self._host, 0).start()
            elif taken:
                raise CannotListen(f"Port {wanted} of {self._host} is taken.") from None
            else:
                reason = _in_words(error)
                raise CannotListen(f"The page cannot listen at {self._host}: {reason}.") from None
        self._port = int(self._runner.addresses[0][1])

    # What the windows are told

    def _everything(self) -> Json:
        return {
            "type": "everything",
            "bot": self._bot_shown(),
            "people": self._scene.people(),
            "channels": self._scene.channels(),
            "commands": [asdict(command) for command in self._commands],
            "shortcuts": [asdict(shortcut) for shortcut in self._shortcuts],
            "messages": self._scene.messages(),
            "statuses": self._scene.statuses(),
            "homes": self._scene.homes(),
            "modals": self._scene.modals(),
            "prompts": self._scene.prompts(),
            "titles": self._scene.titles(),
            "switches": self._switches.shown(),
            "budgets": self._budgets(),
            "wire": self._wire.rows(ROWS_SHOWN),
            "crowd": self._crowd.shown(),
        }

    def _change(self, key: Key) -> Json | None:
        """What is to be said now of something that changed."""
        match key:
            case ("bot",):
                return {"bot": self._bot_shown()}
            case ("people",):
                return {"people": self._scene.people()}
            case ("channels",):
                return {"channels": self._scene.channels()}
            case ("switches",):
                return {"switches": self._switches.shown()}
            case ("budgets",):
                return {"budgets": self._budgets()}
            case ("crowd",):
                return {"crowd": self._crowd.shown()}
            case ("row", id):
                row = self._wire.row(id)
                return row and {"row": row}
        return self._change_of_scene(key)

    def _change_of_scene(self, key: Key) -> Json | None:
        match key:
            case ("message", channel, ts):
                return self._scene.message(channel, ts)
            case ("status", channel, thread_ts):
                return {"status": self._scene.status(channel, thread_ts)}
            case ("prompts", channel, thread_ts):
                return {"prompts": self._scene.prompts_of(channel, thread_ts)}
            case ("title", channel, thread_ts):
                return {"title": self._scene.title_of(channel, thread_ts)}
            case ("home", user):
                return {"home": self._scene.home(user)}
            case ("modals", user):
                return {"modals": {"user": user, "modals": self._scene.modals_of(user)}}
        raise ValueError(f"Nothing is known of {key}.")

    def _bot_shown(self) -> Json:
        name = self._slack.person(BOT_USER_ID).display_name
        why = self._bot.ended
        if why:
            state = "gone"
        elif self._slack.connections:
            state = "connected"
        else:
            state = "disconnected" if self._was_connected else "starting"
        return {"id": BOT_USER_ID, "name": name, "state": state, "why": why}

    def _budgets(self) -> list[Json]:
        used = self._slack.limits.used(self._slack.clock())
        return [{"method": method, **asdict(budget)} for method, budget in used.items()]

    def _name(self, id: str) -> str:
        workspace = self._slack.workspace
        if id in workspace.people:
            return workspace.people[id].display_name
        channel = workspace.channels.get(id)
        if channel is None:
            return id
        sign = "#" if channel.kind in ("channel", "private") else ""
        return f"{sign}{self._scene.channel_name(channel)}"

    # What happens

    def _slack_told(self, entry: Entry) -> None:
        match entry:
            case Change():
                self._changed(entry)
                return
            case Connections():
                self._was_connected = self._was_connected or entry.count > 0
                self._windows.touch(("bot",))
            case Call():
                self._windows.touch(("budgets",))
                self._look_at_faults()
                if entry.refused and entry.answered is not None:
                    self._crowd.refused()
            case Delivery():
                pass
        self._windows.touch(("row", self._wire.note(entry)))

    def _changed(self, change: Change) -> None:
        root = change.thread_ts or change.ts
        if change.kind in ("post", "update", "delete", "ephemeral"):
            # The root shows how many replies it has.
            roots = [("message", change.channel, root)] if self._has(change.channel, root) else []
            self._windows.touch(("message", change.channel, change.ts), *roots)
            if change.kind == "delete":
                self._scene.forget(change.channel, change.ts)
            self._crowd.look(change.channel, root)
        elif change.kind == "status":
            self._windows.touch(("status", change.channel, change.thread_ts))
        elif change.kind == "prompts":
            self._windows.touch(("prompts", change.channel, change.thread_ts))
        elif change.kind == "title":
            self._windows.touch(("title", change.channel, change.thread_ts))
        elif change.kind == "view":
            self._windows.touch(("home", change.user), ("modals", change.user))

    def _has(self, channel: str, ts: str) -> bool:
        return ts in self._slack.workspace.channels[channel].messages

    def _model_told(self, number: int, request: Request) -> None:
        self._windows.touch(("row", self._wire.note(request, key=("model", number))))
        self._look_at_faults()

    def _look_at_faults(self) -> None:
        armed = self._switches.armed()
        if armed != self._armed:
            self._armed = armed
            self._windows.touch(("switches",))

    def _bot_told(self) -> None:
        self._was_connected = False
        self._windows.touch(("bot",))

    def _bot_heard(self, line: str) -> None:
        self._windows.touch(("row", self._wire.note(LogLine(line), key=object())))

    async def _tick(self) -> None:
        """What changes with time alone."""
        told: dict[Key, object] = {}
        while True:
            await self._windows.some()
            for key in (("budgets",), ("crowd",)):
                now = self._change(key)
                if now != told.get(key):
                    told[key] = now
                    self._windows.touch(key)
            await asyncio.sleep(TICK)

    # Requests

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if sentence := objection(request, host=self._host):
                raise Refused(sentence, status=403)
            return await handler(request)
        except Refused as refusal:
            return web.json_response({"error": str(refusal)}, status=refusal.status)
        except web.HTTPRequestEntityTooLarge:
            said = f"That is more than {LARGEST_BODY // 1024} KiB."
            return web.json_response({"error": said}, status=413)
        except web.HTTPException as problem:
            return web.json_response({"error": f"{problem.reason}."}, status=problem.status)
        except Exception:
            logger.exception("playground.request_failed path=%s", request.path)
            said = "The playground made a mistake. Its terminal says more."
            return web.json_response({"error": said}, status=500)

    async def _serve_details(self, request: web.Request) -> web.Response:
        details = self._wire.details(int(request.match_info["id"]))
        if details is None:
            raise Refused("This row is not kept any more.", status=404)
        return web.json_response(details)

    async def _serve_deed(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise Refused("Only application/json is understood.", status=415)
        answer = await self._deeds.do(request.match_info["verb"], await request.read())
        self._touch_settings(request.match_info["verb"])
        return web.json_response(answer)

    def _touch_settings(self, verb: str) -> None:
        """The workspace tells of its changes itself; these are outside of it."""
        if verb in ("switch", "fault", "calm"):
            self._armed = self._switches.armed()
            self._windows.touch(("switches",), ("budgets",))
        if verb == "crowd":
            self._windows.touch(("people",), ("channels",), ("crowd",))


def _in_words(error: OSError) -> str:
    """Without the address as asyncio writes it; newer Pythons leave the number out of some."""
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    return os.strerror(error.errno or errno.EADDRNOTAVAIL)


async def _dress(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


async def _serve_page(_: web.Request) -> web.StreamResponse:
    return _file("index.html")


async def _serve_asset(request: web.Request) -> web.StreamResponse:
    return _file(request.match_info["name"])


def _file(name: str) -> web.Response:
    path = ASSETS / name
    known = re.fullmatch(r"[a-z0-9_-]+\.[a-z]+", name) and path.suffix in CONTENT_TYPES
    if not known or not path.is_file():
        raise Refused(f"There is no {name}.", status=404)
    kind = CONTENT_TYPES[path.suffix]
    return web.Response(body=path.read_bytes(), content_type=kind, charset="utf-8")

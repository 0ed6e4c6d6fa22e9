"""The page with a small Bolt app behind it, which uses what today's bot does not use yet."""

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.model import LocalModel
from bot.playground.page import Command, Page
from bot.playground.slack import Limits, LocalSlack

Json = dict[str, Any]
Result = TypeVar("Result")

WITHIN = 20.0  # seconds for anything that is asked of it
COMMANDS = (
    Command(command="/form", hint="[subject]", description="Opens a form"),
    Command(command="/whisper", description="Says something to you alone"),
)


@dataclass
class NoProcess:
    """In the place of the bot's process: the app runs here."""

    heard: list[Callable[[str], None]] = field(default_factory=list)
    listeners: list[Callable[[], None]] = field(default_factory=list)
    ended: str = ""

    async def restart(self) -> None:
        """It never ended."""


@dataclass(frozen=True)
class Stage:
    """Lives in a thread with a loop of its own; its methods are called from another."""

    loop: asyncio.AbstractEventLoop
    slack: LocalSlack
    client: AsyncWebClient
    page: Page

    @property
    def address(self) -> str:
        return self.page.address

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of what is done in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WITHIN)

    def say(self, user: str, channel: str, text: str, **more: Any) -> str:
        """Somebody says something; its ``ts``."""
        return self.run(self.slack.say(channel, user, text, **more))

    def drop_the_windows(self) -> None:
        """Their connections end, as when a computer sleeps."""
        self.run(self.page._windows.close())

    def call(self, method: str, **args: Any) -> Json:
        """The app calls the Web API."""
        answer = self.run(self.client.api_call(method, json=args))
        assert isinstance(answer.data, dict)
        return answer.data

    def post(self, *blocks: Json, channel: str = "C0GENERAL", **more: Any) -> str:
        """The app posts a message; its ``ts``."""
        args = {"channel": channel, "text": "A message", "blocks": blocks, **more}
        return str(self.call("chat.postMessage", **args)["ts"])


@contextmanager
def running() -> Iterator[Stage]:
    ready: asyncio.Queue[Stage] = asyncio.Queue()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    thread = threading.Thread(target=_play, args=(loop, ready, over))
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(ready.get(), loop).result(WITHIN)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def _play(
    loop: asyncio.AbstractEventLoop, ready: "asyncio.Queue[Stage]", over: asyncio.Event
) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(_serve(ready, over))


async def _serve(ready: "asyncio.Queue[Stage]", over: asyncio.Event) -> None:
    async with (
        LocalSlack() as slack,
        LocalModel() as model,
        aiohttp.ClientSession() as http,
        Page(slack, model, bot=NoProcess(), is_finished=bool, port=0, commands=COMMANDS) as page,
    ):
        slack.limits = Limits.off()
        slack.latency = 0.0
        client = AsyncWebClient(
            token=slack.bot_token, base_url=slack.api_url, session=http, retry_handlers=[]
        )
        handler = AsyncSocketModeHandler(_app(client), slack.app_token, web_client=client)
        await handler.connect_async()  # type: ignore[no-untyped-call]
        await ready.put(Stage(asyncio.get_running_loop(), slack, client, page))
        await over.wait()
        await handler.close_async()  # type: ignore[no-untyped-call]


def _app(client: AsyncWebClient) -> AsyncApp:
    """Tells everybody in #random what was pressed, chosen or sent."""
    app = AsyncApp(client=client)

    async def tell(words: str) -> None:
        await client.chat_postMessage(channel="C0RANDOM", text=words)

    @app.event("app_home_opened")
    async def show_home(ack: AsyncAck, event: Json) -> None:
        await ack()
        button = {"type": "button", "action_id": "home", "text": plain("Press me"), "value": "home"}
        blocks = [section("*Welcome home*"), actions(button)]
        view = {"type": "home", "blocks": blocks}
        await client.views_publish(user_id=event["user"], view=view)

    @app.command("/form")
    async def open_form(ack: AsyncAck, body: Json) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form(body["text"] or "Form"))

    @app.command("/whisper")
    async def whisper(ack: AsyncAck) -> None:
        await ack("Between us.")

    @app.view("form")
    async def take_form(ack: AsyncAck, view: Json) -> None:
        name = view["state"]["values"]["who"]["name"]["value"]
        if name == "nobody":
            await ack(response_action="errors", errors={"who": "That is no name."})
        elif name == "again":
            await ack(response_action="update", view=form("Once more"))
        else:
            await ack()
            kind = view["state"]["values"]["what"]["kind"]["selected_option"]["value"]
            await tell(f"{name} wants a {kind} one")

    @app.action(re.compile(""))  # any
    async def take_action(ack: AsyncAck, body: Json) -> None:
        await ack()
        await tell(f"{body['user']['username']} did {_done(body['actions'][0])}")

    return app


def _done(action: Json) -> str:
    """What the action says, in words."""
    option = action.get("selected_option") or {}
    options = [option["value"] for option in action.get("selected_options", ())]
    value = (
        action.get("value")
        or option.get("value")
        or action.get("selected_user")
        or action.get("selected_date")
    )
    return f"{action['action_id']}: {value or ', '.join(options)}"


# Block Kit


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def section(text: str, **more: Any) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": elements}


def options(*names: str) -> list[Json]:
    return [{"text": plain(name.title()), "value": name} for name in names]


def form(title: str) -> Json:
    """A modal that asks for a name and a size."""
    name = {"type": "plain_text_input", "action_id": "name"}
    sizes = options("small", "large")
    kind = {"type": "static_select", "action_id": "kind", "options": sizes}
    return {
        "type": "modal",
        "callback_id": "form",
        "title": plain(title),
        "submit": plain("Save"),
        "blocks": [
            {"type": "input", "block_id": "who", "label": plain("Name"), "element": name},
            {
                "type": "input",
                "block_id": "what",
                "dispatch_action": True,
                "label": plain("Size"),
                "element": kind,
            },
        ],
    }

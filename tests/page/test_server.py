"""The page's server, as the browser talks to it: frames, verbs, rows, and who may ask."""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.model import LocalModel
from bot.playground.page import CannotListen, Command, Page, Shortcut, server
from bot.playground.page.guard import HEADERS
from bot.playground.page.server import CONTENT_TYPES
from bot.playground.slack import LocalSlack
from bot.playground.slack.delivery import Connections

Json = dict[str, Any]
BOT = "U0BOT"
TOO_LONG = "A message may have 40,000 characters; this has 41,000."
KEY = "a-key-without-a-form"
LISTS = ("people", "channels", "budgets")
SINGLE = ("bot", "switches", "crowd")


@dataclass
class NoBot:
    """In the place of the bot's process: it only says what it is told to."""

    heard: list[Callable[[str], None]] = field(default_factory=list)
    listeners: list[Callable[[], None]] = field(default_factory=list)
    ended: str = ""
    restarts: int = 0

    async def restart(self) -> None:
        self.restarts += 1

    def says(self, line: str) -> None:
        for heard in self.heard:
            heard(line)

    def ends(self, why: str) -> None:
        self.ended = why
        for listener in self.listeners:
            listener()


class Window:
    """A browser's window: it keeps what it is told, as the page's own script does."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, everything: Json) -> None:
        self.socket = socket
        self.state = everything

    async def until(self, predicate: Callable[[], Any], *, within: float = 10.0) -> Any:
        async with asyncio.timeout(within):
            while not (found := predicate()):
                frame = await self.socket.receive_json()
                assert frame["type"] == "changes"
                for change in frame["changes"]:
                    self.apply(change)
        return found

    def apply(self, change: Json) -> None:
        ((kind, value),) = change.items()
        if kind in LISTS or kind in SINGLE:
            self.state[kind] = value
        elif kind == "modals":
            others = [each for each in self.state["modals"] if each["user"] != value["user"]]
            mine = [{**modal, "user": value["user"]} for modal in value["modals"]]
            self.state["modals"] = others + mine
        elif kind == "gone":
            self._put("messages", ("channel", "ts"), value, present=False)
        else:
            where, identity = KEPT[kind]
            self._put(
                where, identity, value, present=bool(value.get("text", True) or kind != "status")
            )

    def _put(self, where: str, identity: tuple[str, ...], value: Json, *, present: bool) -> None:
        def name(each: Json) -> tuple[Any, ...]:
            return tuple(each[key] for key in identity)

        others = {name(each): each for each in self.state[where]}
        others.pop(name(value), None) if not present else others.update({name(value): value})
        self.state[where] = list(others.values())

    def message(self, ts: str) -> Json:
        """As it is shown; empty when it is not."""
        return next((each for each in self.state["messages"] if each["ts"] == ts), {})

    def fault(self, key: str) -> int:
        return int(
            next(each for each in self.state["switches"]["faults"] if each["key"] == key)["armed"]
        )

    def rows(self, kind: str) -> list[Json]:
        return [row for row in self.state["wire"] if row["kind"] == kind]


KEPT = {
    "message": ("messages", ("channel", "ts")),
    "status": ("statuses", ("channel", "thread_ts")),
    "home": ("homes", ("user",)),
    "prompts": ("prompts", ("channel", "thread_ts")),
    "title": ("titles", ("channel", "thread_ts")),
    "row": ("wire", ("id",)),
}


@dataclass
class Stage:
    slack: LocalSlack
    model: LocalModel
    bot: NoBot
    page: Page
    http: aiohttp.ClientSession

    @property
    def api(self) -> AsyncWebClient:
        """What the bot would call."""
        return AsyncWebClient(token=self.slack.bot_token, base_url=self.slack.api_url)

    @property
    def origin(self) -> str:
        return self.page.address.rstrip("/")

    @asynccontextmanager
    async def window(self) -> AsyncIterator[Window]:
        headers = {"Origin": self.origin}
        async with self.http.ws_connect(f"{self.page.address}live", headers=headers) as socket:
            yield Window(socket, await socket.receive_json())

    async def do(self, verb: str, **wish: Any) -> Json:
        status, answer = await self.post(verb, json.dumps(wish), {})
        assert status == 200, answer
        return answer

    async def refused(self, verb: str, **wish: Any) -> str:
        """The sentence with which a verb is refused."""
        status, answer = await self.post(verb, json.dumps(wish), {})
        assert 400 <= status < 500
        return str(answer["error"])

    async def post(
        self, verb: str, body: str | bytes, headers: Mapping[str, str]
    ) -> tuple[int, Json]:
        usual = {"Origin": self.origin, "Content-Type": "application/json"}
        async with self.http.post(
            f"{self.page.address}do/{verb}", data=body, headers={**usual, **headers}
        ) as answer:
            return answer.status, await answer.json()

    async def say(self, text: str, *, user: str = "U0ANA", **where: Any) -> str:
        wish = {"user": user, "channel": "C0GENERAL", "text": text, **where}
        return str((await self.do("say", **wish))["ts"])


def is_finished(message: Mapping[str, Any]) -> bool:
    return message.get("user") == BOT and "done" in message["text"]


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as stage:
        yield stage


@asynccontextmanager
async def staged(
    *, clock: Callable[[], float] | None = None, real_model: bool = False
) -> AsyncIterator[Stage]:
    bot = NoBot()
    async with LocalSlack(clock=clock) as slack, LocalModel() as model:
        commands = [Command(command="/llm", hint="usage", description="What was used")]
        shortcuts = [Shortcut(name="Ask about this message", callback_id="ask")]
        page = Page(
            slack,
            model,
            bot=bot,
            is_finished=is_finished,
            port=0,
            commands=commands,
            shortcuts=shortcuts,
            real_model=real_model,
            secrets=["", KEY],
        )
        async with page, aiohttp.ClientSession() as http:
            slack.latency = 0.0
            yield Stage(slack, model, bot, page, http)


async def test_a_new_window_is_told_everything(stage: Stage) -> None:
    ts = await stage.say("Hello, *all*")
    async with stage.window() as window:
        state = window.state

    assert state["type"] == "everything"
    assert state["bot"] == {"id": BOT, "name": "Bot", "state": "starting", "why": ""}
    assert [(person["name"], person["role"]) for person in state["people"]] == [
        *[("Bot", "app"), ("Ana", "member"), ("Ben", "member"), ("Chloe", "admin")],
        ("Dan", "guest"),
    ]
    names = {channel["id"]: channel["name"] for channel in state["channels"]}
    assert names["C0GENERAL"] == "general"
    assert names["C0GROUP"] == "Ana, Ben, Chloe, Bot"
    assert names["D0ANA"] == "Ana"
    assert state["commands"][0]["command"] == "/llm"
    assert state["shortcuts"] == [{"name": "Ask about this message", "callback_id": "ask"}]
    (message,) = state["messages"]
    assert (message["ts"], message["user"], message["thread_ts"]) == (ts, "U0ANA", None)
    assert "all" in message["html"]
    assert state["switches"]["limits"] == "real"
    assert state["crowd"] is None


async def test_two_windows_see_the_same(stage: Stage) -> None:
    async with stage.window() as one, stage.window() as other:
        ts = await stage.say("@Bot, see #random")
        shown = await one.until(lambda: one.message(ts))

        assert await other.until(lambda: other.message(ts)) == shown
    assert 'data-user="U0BOT"' in shown["html"]
    assert shown["text"] == "@Bot, see #random"


async def test_a_person_edits_and_deletes_what_they_said(stage: Stage) -> None:
    async with stage.window() as window:
        ts = await stage.say("helo")
        where = {"user": "U0ANA", "channel": "C0GENERAL", "ts": ts}
        await stage.do("edit", **where, text="hello")
        await window.until(lambda: window.message(ts).get("edited"))
        edited = window.message(ts)
        await stage.do("delete", **where)
        await window.until(lambda: not window.message(ts))

    assert edited["text"] == "hello"


async def test_nothing_is_kept_of_what_was_deleted(stage: Stage) -> None:
    ts = await stage.say("helo")
    async with stage.window():
        kept = len(stage.page._scene._rendered)
    await stage.do("delete", user="U0ANA", channel="C0GENERAL", ts=ts)

    assert (kept, stage.page._scene._rendered) == (1, {})


async def test_others_messages_cannot_be_changed(stage: Stage) -> None:
    ts = await stage.say("mine")
    where = {"user": "U0BEN", "channel": "C0GENERAL", "ts": ts}

    assert "their own" in await stage.refused("edit", **where, text="yours")
    assert "their own" in await stage.refused("delete", **where)


async def test_the_root_of_a_thread_shows_its_replies(stage: Stage) -> None:
    async with stage.window() as window:
        root = await stage.say("root")
        reply = await stage.say("reply", user="U0BEN", thread_ts=root)
        below = await stage.say("below the reply", thread_ts=reply)
        await window.until(lambda: window.message(root).get("replies"))
        await window.until(lambda: window.message(root)["replies"]["count"] == 2)

        assert window.message(root)["replies"] == {
            "count": 2,
            "people": ["U0BEN", "U0ANA"],
            "latest": below,
        }
        assert window.message(below)["thread_ts"] == root
        await stage.do("delete", user="U0ANA", channel="C0GENERAL", ts=root)
        await window.until(lambda: window.message(root).get("deleted"))
        tombstone = window.message(root)

    assert "was deleted" in tombstone["html"]


async def test_slack_s_own_stop_control_tells_the_app(stage: Stage) -> None:
    root = await stage.say("why?")
    reply = await stage.say("and this?", thread_ts=root)

    await stage.do("stop", user="U0BEN", channel="C0GENERAL", thread_ts=reply)

    event = stage.slack.deliveries[-1].payload["event"]
    assert event["type"] == "agent_session_stopped"
    assert (event["user"], event["thread_ts"]) == ("U0BEN", root)


async def test_a_second_reaction_of_the_same_name_takes_it_away(stage: Stage) -> None:
    async with stage.window() as window:
        ts = await stage.say("nice")
        reaction = {"user": "U0BEN", "channel": "C0GENERAL", "ts": ts, "name": "tada"}
        await stage.do("react", **reaction)
        shown = await window.until(lambda: window.message(ts).get("reactions"))
        await stage.do("react", **reaction)
        await window.until(lambda: not window.message(ts)["reactions"])

    assert shown == [{"name": "tada", "emoji": "🎉", "people": ["U0BEN"]}]


async def test_an_ephemeral_message_carries_its_reader(stage: Stage) -> None:
    async with stage.window() as window:
        answer = await stage.api.chat_postEphemeral(channel="C0GENERAL", user="U0BEN", text="psst")
        ts = answer["message_ts"]
        shown = await window.until(lambda: window.message(ts))
    clicked = {"channel": "C0GENERAL", "ts": ts, "block_id": "b", "action_id": "a"}

    assert shown["reader"] == "U0BEN"
    assert "no such message" in await stage.refused("act", user="U0ANA", **clicked)


async def test_a_status_is_shown_and_taken_away(stage: Stage) -> None:
    async with stage.window() as window:
        ts = await stage.say("@Bot hi")
        thread = {"channel_id": "C0GENERAL", "thread_ts": ts}
        method = "assistant.threads.setStatus"
        await stage.api.api_call(method, json={**thread, "status": "is writing…"})
        (status,) = await window.until(lambda: window.state["statuses"])
        await stage.api.api_call(method, json={**thread, "status": ""})
        await window.until(lambda: not window.state["statuses"])

    assert status["text"] == "is writing…"
    assert 100 < status["seconds"] <= 120


BUTTON = {
    "type": "actions",
    "block_id": "stop",
    "elements": [
        {
            "type": "button",
            "action_id": "stop_now",
            "value": "1",
            "text": {"type": "plain_text", "text": "Stop"},
        }
    ],
}


async def test_a_click_reaches_the_app(stage: Stage) -> None:
    answer = await stage.api.chat_postMessage(channel="C0GENERAL", text="x", blocks=[BUTTON])
    where = {"user": "U0BEN", "channel": "C0GENERAL", "ts": answer["ts"], "block_id": "stop"}
    await stage.do("act", **where, action_id="stop_now", value="1")

    (delivery,) = stage.slack.deliveries
    assert delivery.payload["actions"][0]["action_id"] == "stop_now"
    assert delivery.payload["user"]["id"] == "U0BEN"
    assert "other" in await stage.refused("act", **where, action_id="other")


async def test_a_shortcut_is_used_on_a_message_that_one_sees(stage: Stage) -> None:
    ts = await stage.say("Look.")
    where = {"user": "U0ANA", "channel": "C0GENERAL"}

    await stage.do("shortcut", **where, ts=ts, callback_id="ask")
    payload = stage.slack.deliveries[-1].payload
    unknown = await stage.refused("shortcut", **where, ts=ts, callback_id="other")
    gone = await stage.refused("shortcut", **where, ts="1.0", callback_id="ask")
    others = {"user": "U0BEN", "channel": stage.slack.dm("Ana")}
    foreign = await stage.refused("shortcut", **others, ts=ts, callback_id="ask")

    assert (payload["type"], payload["message"]["text"]) == ("message_action", "Look.")
    assert "no shortcut other" in unknown
    assert "no such message" in gone
    assert "in no channel" in foreign


async def test_direct_messages_that_are_opened_and_their_names_are_told(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    async with stage.window() as window:
        await stage.do("home", user="U0ANA", tab="messages")
        await stage.api.agents_sessions_rename(channel_id=dm, thread_ts="1.0", title="The plan")
        (title,) = await window.until(lambda: window.state["titles"])

    assert stage.slack.deliveries[-1].payload["event"]["tab"] == "messages"
    assert title == {"channel": dm, "thread_ts": "1.0", "title": "The plan"}


async def test_the_home_and_a_modal_are_shown_to_their_person(stage: Stage) -> None:
    async with stage.window() as window:
        view = {"type": "home", "blocks": [BUTTON]}
        await stage.api.views_publish(user_id="U0ANA", view=view)
        (home,) = await window.until(lambda: window.state["homes"])
        await stage.do(
            "act", user="U0ANA", view=home_id(stage), block_id="stop", action_id="stop_now"
        )
        trigger_id = stage.slack.deliveries[-1].payload["trigger_id"]
        modal = {
            "type": "modal",
            "title": {"type": "plain_text", "text": "Settings"},
            "submit": {"type": "plain_text", "text": "Save"},
            "blocks": [BUTTON],
        }
        await stage.api.views_open(trigger_id=trigger_id, view=modal)
        (shown,) = await window.until(lambda: window.state["modals"])
        foreign = await stage.refused("submit", user="U0BEN", view=shown["id"], state={})
        await stage.do("submit", user="U0ANA", view=shown["id"], state={})
        await stage.do("close", user="U0ANA", view=shown["id"])
        await window.until(lambda: not window.state["modals"])

    assert home["user"] == "U0ANA"
    assert 'data-action="stop_now"' in home["html"]
    assert (shown["user"], shown["title"], shown["submit"]) == ("U0ANA", "Settings", "Save")
    assert "not open" in foreign
    assert "view_submission" in [each.payload.get("type") for each in stage.slack.deliveries]


MODAL = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Settings"},
    "submit": {"type": "plain_text", "text": "Save"},
    "blocks": [BUTTON],
}


async def opened(stage: Stage) -> str:
    """A modal before Ana; its id."""
    await stage.do("say", user="U0ANA", channel="C0GENERAL", text="/llm")
    return await shown(stage, stage.api.views_open)


async def shown(stage: Stage, show: Callable[..., Any]) -> str:
    """The id of what the app shows in answer to what was done last."""
    trigger_id = stage.slack.deliveries[-1].payload["trigger_id"]
    return str((await show(trigger_id=trigger_id, view=MODAL))["view"]["id"])


async def test_a_modal_is_submitted_once_until_the_app_has_answered(stage: Stage) -> None:
    stage.slack.redelivery_after = (0.5,)
    view = await opened(stage)
    async with stage.window() as window:
        before = window.state["modals"][0]["waiting"]
        submission = {"user": "U0ANA", "view": view, "state": {}}
        await stage.do("submit", **submission)
        await window.until(lambda: window.state["modals"][0]["waiting"])
        again = await stage.refused("submit", **submission)
        # No app is connected, so nobody answers.
        await window.until(lambda: window.state["modals"][0]["errors"])
        after = window.state["modals"][0]["waiting"]

    assert (before, after) == (False, False)
    assert "was sent already" in again
    types = [each.payload.get("type") for each in stage.slack.deliveries]
    assert types.count("view_submission") == 1


async def test_only_the_modal_in_front_is_submitted_and_closed(stage: Stage) -> None:
    below = await opened(stage)
    act = {"user": "U0ANA", "view": below, "block_id": "stop", "action_id": "stop_now"}
    await stage.do("act", **act)
    await shown(stage, stage.api.views_push)
    await stage.api.views_publish(user_id="U0ANA", view={"type": "home", "blocks": [BUTTON]})

    for view in (below, home_id(stage)):
        assert "in front" in await stage.refused("submit", user="U0ANA", view=view, state={})
        assert "in front" in await stage.refused("close", user="U0ANA", view=view)


@pytest.mark.parametrize("state", [{"b": []}, {"b": {"a": 1}}, {"b": {"a": {"value": [[1]]}}}])
async def test_what_is_no_state_is_refused_with_a_sentence(stage: Stage, state: Json) -> None:
    view = await opened(stage)
    act = {"user": "U0ANA", "view": view, "block_id": "stop", "action_id": "stop_now"}

    assert "cannot be understood" in await stage.refused("act", **act, state=state)
    assert "cannot be understood" in await stage.refused(
        "submit", user="U0ANA", view=view, state=state
    )


def home_id(stage: Stage) -> str:
    return str(stage.slack.workspace.homes["U0ANA"]["id"])


async def test_a_slash_command_goes_to_the_app_and_an_unknown_one_does_not(stage: Stage) -> None:
    where = {"user": "U0ANA", "channel": "C0GENERAL"}

    assert await stage.do("say", **where, text="/llm usage") == {"ts": None}
    assert stage.slack.deliveries[0].payload["text"] == "usage"
    assert "/foo is not a valid command." in await stage.refused("say", **where, text="/foo bar")
    root = await stage.say("root")
    assert "threads" in await stage.refused("say", **where, text="/llm usage", thread_ts=root)


@pytest.mark.parametrize(
    ("verb", "wish", "sentence"),
    [
        ("say", {"user": "U0NOBODY", "channel": "C0GENERAL", "text": "x"}, "no person U0NOBODY"),
        ("say", {"user": "U0BOT", "channel": "C0GENERAL", "text": "x"}, "is an app"),
        ("say", {"user": "U0ANA", "channel": "C0NONE", "text": "x"}, "no channel C0NONE"),
        ("say", {"user": "U0ANA", "channel": "D0BEN", "text": "x"}, "no channel D0BEN"),
        ("say", {"user": "U0ANA", "channel": "C0GENERAL", "text": "  "}, "empty message"),
        ("say", {"user": "U0ANA", "channel": "C0GENERAL", "text": 5}, "Expected `str`"),
        ("say", {"user": "U0ANA", "channel": "C0GENERAL"}, "missing required field `text`"),
        ("say", {"user": "U0ANA", "channel": "C0GENERAL", "text": "x" * 41_000}, TOO_LONG),
        (
            "say",
            {"user": "U0ANA", "channel": "C0GENERAL", "text": "x", "a": 1},
            "unknown field `a`",
        ),
        (
            "say",
            {"user": "U0ANA", "channel": "C0GENERAL", "text": "x", "thread_ts": "1"},
            "no such thread",
        ),
        ("edit", {"user": "U0ANA", "channel": "C0GENERAL", "ts": "1", "text": "x"}, "no such mess"),
        (
            "react",
            {"user": "U0ANA", "channel": "C0GENERAL", "ts": "1", "name": "<b>"},
            "A reaction's name",
        ),
        (
            "stop",
            {"user": "U0ANA", "channel": "C0GENERAL", "thread_ts": "1"},
            "no such thread",
        ),
        ("submit", {"user": "U0ANA", "view": "V1", "state": {}}, "not open"),
        ("crowd", {"number": 101}, "From 1 to 100 people can ask at once."),
        ("switch", {"latency": -1}, "from 0 to 60 seconds"),
        ("switch", {"limits": "none"}, "Invalid enum value"),
        ("fault", {"key": "flood", "times": 1}, "no fault flood"),
        ("dance", {}, "no verb dance"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_sentence(
    stage: Stage, verb: str, wish: Json, sentence: str
) -> None:
    assert sentence in await stage.refused(verb, **wish)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"user": "\\ud800"}'),
        b'{"user": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
async def test_what_is_no_json_object_is_refused_with_a_sentence(stage: Stage, body: bytes) -> None:
    status, answer = await stage.post("say", body, {})

    assert status == 400
    assert "cannot be understood" in answer["error"]


async def test_a_body_that_is_too_large_is_refused(stage: Stage) -> None:
    status, answer = await stage.post("say", b" " * 300_000, {})

    assert (status, answer) == (413, {"error": "That is more than 256 KiB."})


async def test_another_origin_and_another_host_are_refused(stage: Stage) -> None:
    say = json.dumps({"user": "U0ANA", "channel": "C0GENERAL", "text": "x"})
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "[", "Origin": "http://["},
    ):
        status, answer = await stage.post("say", say, headers)
        assert status == 403, headers
        assert answer["error"].endswith(".")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await stage.http.ws_connect(
                f"{stage.page.address}live", headers={"Origin": stage.origin, **headers}
            )
    status, _ = await stage.post("say", say, {"Content-Type": "text/plain"})
    assert status == 415
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await stage.http.ws_connect(f"{stage.page.address}live")
    async with stage.http.get(stage.page.address, headers={"Host": "evil.example"}) as page:
        assert page.status == 403
    assert stage.slack.screen("general") == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_page_answers_to_localhost_too_and_through_a_tunnel(
    stage: Stage, scheme: str
) -> None:
    host = f"localhost:{stage.origin.rpartition(':')[2]}"
    headers = {"Host": host, "Origin": f"{scheme}://{host}"}
    say = json.dumps({"user": "U0ANA", "channel": "C0GENERAL", "text": "x"})

    assert (await stage.post("say", say, headers))[0] == 200


async def test_a_page_for_all_devices_answers_to_no_other_name_either(stage: Stage) -> None:
    everywhere = Page(
        stage.slack, stage.model, bot=stage.bot, is_finished=is_finished, host="0.0.0.0", port=0
    )
    async with everywhere as page:
        assert page.address.startswith("http://127.0.0.1:")
        assert "0.0.0.0" not in page.address_elsewhere
        for host, status in (("evil.example", 403), ("192.168.1.7", 200)):
            async with stage.http.get(page.address, headers={"Host": host}) as answer:
                assert answer.status == status


async def test_every_answer_forbids_what_is_not_the_pages_own(stage: Stage) -> None:
    places = ["", "assets/index.html", "assets/nothing.js", "assets/..%2fserver.py", "nowhere"]
    for place in [*places, "wire/99", "do/say", "live"]:
        async with stage.http.get(f"{stage.page.address}{place}") as answer:
            given = {name: answer.headers.get(name) for name in HEADERS}
        assert given == HEADERS, place
    async with stage.window() as window:
        upgraded = window.socket._response.headers
    assert {name: upgraded.get(name) for name in HEADERS} == HEADERS


async def test_the_assets_are_served_as_what_they_are(stage: Stage) -> None:
    async with stage.http.get(stage.page.address) as page:
        assert page.content_type == "text/html"
        assert "<!doctype html>" in (await page.text()).lower()
    folder = Path(__file__).parents[2] / "bot" / "playground" / "page" / "assets"
    for path in folder.iterdir():
        async with stage.http.get(f"{stage.page.address}assets/{path.name}") as asset:
            assert asset.status == 200, path
            assert asset.content_type == CONTENT_TYPES[path.suffix]


async def test_rows_tell_what_went_over_the_wire(stage: Stage) -> None:
    async with stage.window() as window:
        await stage.say("@Bot hi")
        await stage.api.chat_postMessage(channel="C0GENERAL", text="hello")
        stage.bot.says("2026-01-31T12:00:00.000Z INFO answer.finished channel=C1 seconds=2.1")
        stage.bot.says("Traceback (most recent call last):")
        await window.until(lambda: len(window.rows("log")) == 2)
        call = await window.until(
            lambda: window.rows("call")[-1]["tone"] == "good" and window.rows("call")[-1]
        )
        quiet, loud = window.rows("log")

    assert (call["title"], call["about"]) == ("chat.postMessage", "#general")
    assert call["state"].startswith("200 in ")
    assert (quiet["title"], quiet["about"], quiet["tone"]) == (
        "answer.finished",
        "channel=C1 seconds=2.1",
        "plain",
    )
    assert loud["tone"] == "bad"


async def test_the_details_of_a_row_hold_the_payload_and_no_token(stage: Stage) -> None:
    tokens = (stage.slack.bot_token, stage.slack.app_token, stage.slack.signing_secret)
    async with stage.window() as window:
        said = f"I found {' and '.join(tokens)} and xoxp-1-2"
        await stage.api.chat_postMessage(
            channel="C0GENERAL", text=said, token=stage.slack.bot_token
        )
        app = AsyncWebClient(token=stage.slack.app_token, base_url=stage.slack.api_url)
        await app.apps_connections_open(app_token=stage.slack.app_token)
        stage.bot.says(f"xapp-1-A: {said}")
        await window.until(lambda: len(window.rows("call")) == 2 and window.rows("log"))
        await window.until(lambda: window.rows("call")[1]["tone"] == "good")
        details = [await detail(stage, row["id"]) for row in window.state["wire"]]

    text = json.dumps(details)
    assert "I found *** and *** and *** and ***" in text
    assert "ticket=***" in text
    for token in (*tokens, "xoxp-1", "xapp-1"):
        assert token not in text


async def detail(stage: Stage, row: int) -> Json:
    async with stage.http.get(f"{stage.page.address}wire/{row}") as answer:
        assert answer.status == 200
        return dict(await answer.json())


async def test_a_row_holds_no_token(stage: Stage) -> None:
    async with stage.window() as window:
        stage.bot.says(f"2026-01-31T12:00:00.000Z INFO {stage.slack.bot_token} with=sk-1")
        stage.bot.says(f"The key is {KEY}")
        await window.until(lambda: len(window.rows("log")) == 2)
        known, other = window.rows("log")

    assert (known["title"], known["about"]) == ("***", "with=***")
    assert other["title"] == "The key is ***"


async def test_a_row_tells_how_long_an_event_waited_for_a_connection(stage: Stage) -> None:
    await stage.say("@Bot hi")
    delivery = stage.slack.deliveries[-1]
    delivery.attempts, delivery.connected_after, delivery.ack_seconds = 1, 6.94, 0.008
    async with stage.window() as window:
        (row,) = window.rows("event")

    assert row["state"] == "waited 6.9 s for a connection, acked in 8 ms"


async def test_two_connections_are_two_rows(stage: Stage) -> None:
    async with stage.window() as window:
        for count in (1, 0, 1):
            for listener in stage.slack.listeners:
                listener(Connections(count))
        await window.until(lambda: len(window.rows("socket")) == 3)

        assert [row["state"] for row in window.rows("socket")] == [
            *("1 open", "none is open", "1 open")
        ]


async def test_a_request_to_the_model_is_a_row_that_grows(stage: Stage) -> None:
    stage.model.tokens_per_second = 1e6
    body = {"model": "local-model", "messages": [{"role": "user", "content": "[[say one two]]"}]}
    async with stage.window() as window:
        url = f"{stage.model.base_url}/chat/completions"
        async with stage.http.post(url, json=body):
            pass
        (row,) = await window.until(
            lambda: [row for row in window.rows("model") if row["tone"] == "good"]
        )

    assert row["about"] == "local-model"
    assert re.fullmatch(r"complete, \d+ \+ 2 tokens, \d\.\d s", row["state"])
    parts = (await detail(stage, row["id"]))["parts"]
    assert [part["title"] for part in parts] == ["Request", "Usage"]


async def test_a_fault_counts_down_as_it_is_met(stage: Stage) -> None:
    async with stage.window() as window:
        await stage.do("fault", key="refused_post", times=2)
        await window.until(lambda: window.fault("refused_post") == 2)
        with pytest.raises(Exception, match="ratelimited"):
            await stage.api.chat_postMessage(channel="C0GENERAL", text="x")
        await window.until(lambda: window.fault("refused_post") == 1)
        bad = await window.until(lambda: [r for r in window.rows("call") if r["tone"] == "bad"])
        await stage.do("fault", key="model_500", times=3)
        await stage.do("calm")
        await window.until(lambda: not window.fault("refused_post"))

        assert bad[0]["state"] == "429, Retry-After 5"
        assert not window.fault("model_500")
        await stage.api.chat_postMessage(channel="C0GENERAL", text="x")


async def test_every_fault_can_be_armed_and_says_what_to_watch(stage: Stage) -> None:
    async with stage.window() as window:
        for fault in window.state["switches"]["faults"]:
            assert fault["explanation"].endswith(".")
            await stage.do("fault", key=fault["key"], times=1)
        await window.until(
            lambda: all(
                fault["armed"] == 1 or fault["key"] == "cut_sockets"
                for fault in window.state["switches"]["faults"]
            )
        )


async def test_switches_take_effect_and_everybody_sees_them(stage: Stage) -> None:
    wanted = {"limits": "real", "form": "bucket", "scale": 0.5, "latency": 0.2, "model_rate": 80.0}
    async with stage.window() as window:
        await stage.do("switch", **wanted)
        await window.until(lambda: window.state["switches"]["scale"] == 0.5)
        shown = window.state["switches"]
    await stage.do("switch", scale=1.0, latency=0.0)
    await stage.api.users_info(user="U0ANA")

    assert {key: shown[key] for key in wanted} == wanted
    assert stage.slack.limits.scale == 1.0
    assert stage.model.tokens_per_second == 80.0
    async with stage.window() as window:
        (budget,) = window.state["budgets"]
    assert (budget["method"], budget["used"], budget["limit"]) == ("users.info", 1, 100)


async def test_what_is_left_of_a_budget_is_told_until_all_of_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "TICK", 0.01)
    now = [0.0]
    async with staged(clock=lambda: now[0]) as stage, stage.window() as window:
        await stage.api.users_info(user="U0ANA")
        await window.until(lambda: any(each["used"] for each in window.state["budgets"]))
        now[0] = 61.0

        await window.until(lambda: not any(each["used"] for each in window.state["budgets"]))


async def test_a_real_model_keeps_its_speed() -> None:
    async with staged(real_model=True) as stage:
        refused = await stage.refused("switch", model_rate=10.0, scale=0.5)
        async with stage.window() as window:
            switches = window.state["switches"]

    assert "speed of its own" in refused
    assert (switches["model_rate"], switches["scale"]) == (None, 1.0)


async def test_a_page_that_is_not_open_yet_changes_nothing(stage: Stage) -> None:
    stage.slack.latency = 7.0
    limits = stage.slack.limits
    Page(stage.slack, stage.model, bot=stage.bot, is_finished=is_finished)

    assert (stage.slack.latency, stage.slack.limits) == (7.0, limits)


async def test_a_crowd_asks_and_is_counted_until_all_are_answered(stage: Stage) -> None:
    async with stage.window() as window:
        await stage.do("crowd", number=2)
        await window.until(lambda: window.state["crowd"] and window.state["crowd"]["asked"] == 2)
        roots = [each for each in window.state["messages"] if "Bot" in each["html"]]
        for root in roots:
            await stage.api.chat_postMessage(
                channel=root["channel"], thread_ts=root["ts"], text="done"
            )
        await window.until(lambda: not window.state["crowd"]["running"])
        crowd = window.state["crowd"]
        people = [each for each in window.state["people"] if each["role"] == "crowd"]

    assert (crowd["answered"], crowd["refused"]) == (2, 0)
    assert {root["channel"] for root in roots} == {"C0GENERAL", "C0RANDOM"}
    assert len({root["html"] for root in roots}) == 2
    assert len(people) == 2


async def test_the_bots_end_is_told_and_it_can_be_started_again(stage: Stage) -> None:
    async with stage.window() as window:
        stage.bot.ends("The bot's process ended with status 1.")
        await window.until(lambda: window.state["bot"]["state"] == "gone")
        await stage.do("restart")

        assert window.state["bot"]["why"] == "The bot's process ended with status 1."
    assert stage.bot.restarts == 1


async def test_reloading_gives_the_same_as_having_watched(stage: Stage) -> None:
    async with stage.window() as watched:
        root = await stage.say("@Bot root")
        reply = await stage.api.chat_postMessage(
            channel="C0GENERAL", thread_ts=root, text="one", blocks=[BUTTON]
        )
        await stage.api.chat_update(channel="C0GENERAL", ts=reply["ts"], text="two")
        await stage.do("react", user="U0BEN", channel="C0GENERAL", ts=root, name="eyes")
        await stage.api.views_publish(user_id="U0ANA", view={"type": "home", "blocks": [BUTTON]})
        prompts = [{"title": "Hi", "message": "Hello"}]
        await stage.api.assistant_threads_setSuggestedPrompts(
            channel_id="D0ANA", thread_ts=root, prompts=prompts
        )
        await stage.do("crowd", number=1)
        last = await stage.say("the last", user="U0BEN", channel="D0BEN")
        await watched.until(lambda: watched.message(last) and watched.state["crowd"])
        await watched.until(lambda: watched.state["crowd"]["asked"] == 1)
        async with stage.window() as reloaded:
            seen, fresh = copy.deepcopy(watched.state), reloaded.state

    for key in ("people", "channels", "homes", "modals", "prompts", "switches"):
        assert seen[key] == fresh[key], key
    assert sorted(seen["messages"], key=lambda m: m["ts"]) == fresh["messages"]
    assert [row["id"] for row in seen["wire"]] == [row["id"] for row in fresh["wire"]]


async def test_a_port_that_is_taken_is_said(stage: Stage) -> None:
    port = int(stage.origin.rpartition(":")[2])
    another = Page(stage.slack, stage.model, bot=stage.bot, is_finished=is_finished, port=port)
    with pytest.raises(CannotListen, match=f"Port {port} of 127.0.0.1 is taken"):
        async with another:
            pass


async def test_a_host_of_another_computer_is_said_in_words(stage: Stage) -> None:
    another = Page(
        stage.slack, stage.model, bot=stage.bot, is_finished=is_finished, host="192.0.2.1", port=0
    )
    with pytest.raises(CannotListen, match=r"at 192\.0\.2\.1: [\w' ]+\.$"):
        async with another:
            pass


async def test_a_mistake_of_the_playground_is_said_with_the_same_headers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.slack, "open_home", None)
    home, origin = f"{stage.page.address}do/home", {"Origin": stage.origin}
    async with stage.http.post(home, json={"user": "U0ANA"}, headers=origin) as answer:
        assert answer.status == 500
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        assert "made a mistake" in (await answer.json())["error"]

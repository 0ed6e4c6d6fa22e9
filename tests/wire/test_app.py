"""How events come in: the Bolt app over real HTTP and Socket Mode, to a desk that keeps count."""

import asyncio
import hashlib
import hmac
import io
import json
import logging
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import server, socket_mode
from bot.__main__ import environment
from bot.app import Intake, bolt_app
from bot.errors import Unavailable
from bot.interactions import (
    Command,
    Interaction,
    Opening,
    Press,
    Shortcut,
    Submission,
    Visit,
)
from bot.messages import Identity, Question, Turn, TurnKey
from bot.playground.slack import Delivery, LocalSlack, payloads
from bot.queue import Queue
from bot.store import Turns, opened
from bot.web_api import connected, socket_url
from bot.wishes import Wish

BOT = Identity(team="T0LOCAL", user="U0BOT", bot_id="B0BOT", name="bot")
MENTION = f"<@{BOT.user}>"
SECRET = "the merger with Initech"

# Seconds, as Slack's 3 s, at once, 1 minute, 5 minutes. No acknowledgement here takes a second.
HASTY = (1.0, 0.0, 0.02, 0.02)
IMPATIENT = (0.2, 0.0, 0.02, 0.02)  # for what is never acknowledged


class Desk:
    """The bot behind the door: takes questions through the real store, answers when it is let."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.accepted: list[Question] = []
        self.answered: list[Question] = []
        self.released: list[TurnKey] = []
        self.errors: list[Exception] = []  # the next calls of accept raise these
        self.taken: list[Interaction] = []
        self.heeded: list[Wish] = []
        self.says: dict[str, Any] | None = None  # with each acknowledgement of those
        self.own_threads: set[str] = set()  # in which it is asked without a mention
        self.unsure: list[Exception] = []  # met where that is looked up
        self.may_accept, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_accept.set()
        self.may_answer.set()
        self._changed = asyncio.Condition()

    async def accept(self, question: Question) -> Turn | None:
        if self.errors:
            raise self.errors.pop(0)
        turn = await self._turns.accept(question)
        self.accepted += [question] if turn else []
        await self._tell()
        await self.may_accept.wait()
        return turn

    async def goes_on(self, question: Question) -> bool:
        if self.unsure:
            raise self.unsure.pop(0)
        return question.thread_ts in self.own_threads

    async def mine(self, key: TurnKey) -> Turn | None:
        return await self._turns.mine(key)

    async def is_next(self, turn: Turn) -> bool:
        return await self._turns.is_next(turn)

    async def release(self, keys: Collection[TurnKey]) -> None:
        self.released += keys
        await self._turns.release(keys)

    async def answer(self, turn: Turn, question: Question | None) -> None:
        assert question
        await self.may_answer.wait()
        self.answered.append(question)
        await self._turns.finish(turn, "complete", None)
        await self._tell()

    def renew(self, turn: Turn, question: Question | None) -> None:
        """Nobody wants anything else here."""

    async def heed(self, wish: Wish) -> None:
        self.heeded.append(wish)
        await self._tell()

    async def whisper(self, turn: Turn, sentence: str) -> None:
        """Nobody waits so long here."""

    async def take(self, interaction: Interaction) -> dict[str, Any] | None:
        self.taken.append(interaction)
        return self.says

    async def until_accepted(self, count: int = 1) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: len(self.accepted) >= count)

    async def until_answered(self, count: int = 1) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: len(self.answered) >= count)

    @property
    def texts(self) -> list[str]:
        return [question.text for question in self.accepted]

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(redelivery_after=HASTY) as slack:
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def desk(sqlite_url: str) -> AsyncIterator[Desk]:
    async with opened(sqlite_url) as store:
        yield Desk(store.turns)


@pytest.fixture
async def queue(desk: Desk) -> AsyncIterator[Queue]:
    queue = Queue(desk, desk, desk.whisper, at_once=100)
    yield queue
    await queue.abandon()


@pytest.fixture
def intake(queue: Queue, desk: Desk) -> Intake:
    return Intake(BOT, accept=queue.accept, goes_on=desk.goes_on, heed=desk.heed, desk=desk)


@pytest.fixture
async def app(slack: LocalSlack, intake: Intake) -> AsyncIterator[AsyncApp]:
    async with connected(None, api_url=slack.api_url) as client:
        yield bolt_app(intake, BOT, client, signing_secret=slack.signing_secret)


@pytest.fixture
async def events_url(slack: LocalSlack, app: AsyncApp) -> AsyncIterator[str]:
    """The bot over HTTP; Slack sends its events there."""
    async with server.http(over_http(app), host="127.0.0.1", port=0) as port:
        slack.request_url = f"http://127.0.0.1:{port}{server.EVENTS_PATH}"
        yield slack.request_url


@pytest.fixture
async def socket(slack: LocalSlack, app: AsyncApp) -> AsyncIterator[server.Socket]:
    """The bot over Socket Mode."""
    async with over_socket(slack, app) as socket:
        yield socket


@asynccontextmanager
async def over_socket(slack: LocalSlack, app: AsyncApp) -> AsyncIterator[server.Socket]:
    async with connected(None, api_url=slack.api_url) as client:
        address = partial(socket_url, client, slack.app_token)
        receiving = socket_mode.receiving(address, app.async_dispatch, saw_event=lambda: None)
        async with receiving as socket:
            yield socket


async def ready() -> bool:
    return True


def over_http(app: AsyncApp | None) -> server.Door:
    return server.Door(over_http=True, app=app, is_database_ready=ready)


def signed(
    body: bytes, secret: str = "local-signing-secret", *, age: float = 0.0
) -> dict[str, str]:
    stamp = str(int(time.time() - age))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest.hexdigest()}"}


def mention(text: str = "hello", **fields: Any) -> dict[str, Any]:
    ts = "1700000000.000100"
    message = {"user": "U0ANA", "text": f"{MENTION} {text}", "ts": ts, "channel": "C0GENERAL"}
    return {"type": "app_mention", "event_ts": ts, **message, **fields}


async def send(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]
) -> tuple[int, str]:
    headers = {"content-type": "application/json", **headers}
    async with session.post(url, data=io.BytesIO(body), headers=headers) as response:
        return response.status, await response.text()


# ---- questions over HTTP


async def test_mention_is_accepted_acknowledged_and_answered(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    ts = await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.deliveries[0].wait()
    await desk.until_answered()

    channel, user = slack.workspace.channel("general").id, slack.person("Ana").id
    assert desk.answered == [Question(BOT.team, channel, ts, ts, user, f"{MENTION} why?")]
    assert slack.deliveries[0].status == 200


async def test_direct_message_is_accepted(slack: LocalSlack, events_url: str, desk: Desk) -> None:
    await slack.say(slack.dm("Ana"), "Ana", "why?")
    await slack.deliveries[0].wait()

    assert desk.texts == ["why?"]


async def test_question_is_acknowledged_only_when_it_is_accepted(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    desk.may_accept.clear()
    await slack.say("general", "Ana", f"{MENTION} why?")
    await desk.until_accepted()
    before = slack.deliveries[0].acked

    desk.may_accept.set()
    await slack.deliveries[0].wait()

    assert not before


async def test_question_that_cannot_be_written_down_comes_again(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    desk.errors = [OSError("disk full"), OSError("disk full")]

    await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.deliveries[0].wait()

    assert slack.deliveries[0].attempts == 3
    assert slack.deliveries[0].reason == "http_error"
    assert desk.texts == [f"{MENTION} why?"]


async def test_redelivered_question_is_answered_once(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.deliveries[0].wait()

    await slack.redeliver(slack.deliveries[0])
    await slack.deliveries[0].wait()

    assert slack.deliveries[0].attempts == 2
    assert len(desk.accepted) == 1


async def test_twin_of_a_mention_is_not_answered(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    slack.workspace.subscribe_channel_messages = True

    await slack.say("general", "Ana", f"{MENTION} why?")
    for delivery in slack.deliveries:
        await delivery.wait()

    kinds = sorted(delivery.payload["event"]["type"] for delivery in slack.deliveries)
    assert kinds == ["app_mention", "message"]
    assert len(desk.accepted) == 1


async def test_mention_in_a_thread_that_goes_on_is_one_question(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    """Slack tells of it twice, by another event id each."""
    slack.workspace.subscribe_channel_messages = True
    root = await slack.say("general", "Ana", "lunch?")
    desk.own_threads.add(root)

    ts = await slack.say("general", "Ana", f"{MENTION} why?", thread_ts=root)
    for delivery in slack.deliveries:
        await delivery.wait()

    assert [question.ts for question in desk.accepted] == [ts]
    assert not desk.accepted[0].is_follow_up


async def test_one_message_is_one_question_whatever_its_events_say(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    """The same ``ts`` as a mention, and as a follow-up: in either order one turn."""
    root = "1690000000.000001"
    desk.own_threads.add(root)
    for number in (1, 2):
        ts = f"1700000000.{number:06}"
        said = {"channel": "C0GENERAL", "user": "U0ANA", "ts": ts, "thread_ts": root}
        events = [
            said | {"type": "app_mention", "text": f"{MENTION} why?"},
            said | {"type": "message", "channel_type": "channel", "text": "why?"},
        ]
        for event in events[:: 1 if number == 1 else -1]:
            await (await slack.deliver(event)).wait()

    assert [question.ts for question in desk.accepted] == ["1700000000.000001", "1700000000.000002"]


async def test_message_without_a_mention_is_a_question_where_its_thread_goes_on(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    slack.workspace.subscribe_channel_messages = True
    root, other = [await slack.say("general", "Ana", text) for text in ("one", "two")]
    desk.own_threads.add(root)

    for thread_ts in (root, other):
        await slack.say("general", "Ben", "and why?", thread_ts=thread_ts)
    await slack.say("general", "Ben", "<@U0ANA> and you?", thread_ts=root)
    for delivery in slack.deliveries:
        await delivery.wait()

    assert [(asked.text, asked.thread_ts) for asked in desk.accepted] == [("and why?", root)]
    assert desk.accepted[0].is_follow_up


async def test_message_of_which_nobody_knows_comes_again(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    """The database is away: whether it is a question is known when Slack sends it once more."""
    slack.workspace.subscribe_channel_messages = True
    root = await slack.say("general", "Ana", "one")
    desk.own_threads.add(root)
    desk.unsure.append(Unavailable("the database", "away"))

    await slack.say("general", "Ben", "and why?", thread_ts=root)
    await slack.deliveries[-1].wait()

    assert slack.deliveries[-1].attempts == 2
    assert desk.texts == ["and why?"]


async def test_edited_mention_is_not_answered_again(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    ts = await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.deliveries[0].wait()

    await slack.edit("general", ts, f"{MENTION} why not?")
    for delivery in slack.deliveries:
        await delivery.wait()

    assert len(slack.deliveries) >= 2
    assert desk.texts == [f"{MENTION} why?"]


async def test_own_messages_are_acknowledged_and_ignored(
    slack: LocalSlack, events_url: str, desk: Desk, session: aiohttp.ClientSession
) -> None:
    client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, session=session)
    answer = await client.chat_postMessage(channel=slack.dm("Ana"), text=f"{MENTION} hello")
    await client.chat_update(channel=answer["channel"], ts=answer["ts"], text="edited")
    for delivery in slack.deliveries:
        await delivery.wait()

    assert len(slack.deliveries) == 2
    assert desk.accepted == []


@pytest.mark.parametrize(
    "event",
    [
        mention(bot_id="B0OTHER"),
        mention(user=BOT.user),
        mention(user="USLACKBOT"),
        mention(subtype="message_changed"),
        mention(subtype=["odd"]),
        mention(channel=None),
        mention(ts=17),
        {"type": "message", "channel_type": "im", "subtype": "message_deleted", "channel": "D1"},
        {"type": "message", "channel_type": "channel", "channel": "C1", "user": "U1", "ts": "1.1"},
        {"type": "reaction_added", "user": "U1", "reaction": "eyes"},
        {"type": "app_home_opened", "user": "U1", "channel": "D1"},
        {"type": "tokens_revoked", "tokens": {"bot": ["U0BOT"]}},
        {"type": "an_event_of_the_future"},
        {"type": "message"},
        {},
    ],
)
async def test_event_that_asks_nothing_is_acknowledged(
    slack: LocalSlack, events_url: str, desk: Desk, event: dict[str, Any]
) -> None:
    delivery = await slack.deliver(event)
    await delivery.wait()

    assert delivery.attempts == 1
    assert desk.accepted == []


# ---- other requests over HTTP


async def test_commands_clicks_and_views_are_acknowledged(
    slack: LocalSlack, events_url: str
) -> None:
    channel, ana = slack.workspace.channel("general"), slack.person("Ana")
    url = "http://127.0.0.1:9/"
    message = {"ts": "1.1", "blocks": []}
    click = payloads.block_actions(
        channel, ana, message, {"action_id": "unknown", "type": "button"}, response_url=url
    )
    view = {"type": "modal", "callback_id": "unknown"}
    deliveries = [
        await slack.interact(click),
        await slack.command("general", "Ana", "/llm", "help"),
        await slack.interact({**click, "type": "view_submission", "view": view}),
        await slack.interact({**click, "type": "shortcut", "callback_id": "x"}),
        await slack.interact({**click, "type": "a_kind_of_the_future"}),
    ]
    for delivery in deliveries:
        await delivery.wait()

    assert [delivery.status for delivery in deliveries] == [200] * 5


async def what_people_do(slack: LocalSlack) -> list[Delivery]:
    """A command, a button, a form, looks at the App Home and the direct messages, a shortcut."""
    ts = await slack.say("general", "Ben", "Look.")
    channel, ana = slack.workspace.channel("general"), slack.person("Ana")
    action = {"action_id": "usage_sheet", "type": "button", "value": "7d"}
    click = payloads.block_actions(
        channel, ana, {"ts": "1.1", "blocks": []}, action, response_url="http://127.0.0.1:9/"
    )
    view = {"id": "V1", "type": "modal", "callback_id": "budgets", "state": {"values": {}}}
    deliveries = [
        await slack.command("general", "Ana", "/llm", "usage"),
        await slack.interact(click),
        await slack.interact(payloads.view_submission(ana, view, trigger_id="1.2.x")),
        await slack.open_home("Ana"),
        await slack.open_home("Ana", tab="messages"),
        await slack.shortcut("general", "Ana", ts, "ask_about_message"),
    ]
    for delivery in deliveries:
        await delivery.wait()
    return deliveries


async def test_what_people_do_comes_to_the_desk_over_http(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    await what_people_do(slack)

    kinds = [type(each) for each in desk.taken]
    assert kinds == [Command, Press, Submission, Visit, Opening, Shortcut]
    assert {each.user for each in desk.taken} == {"U0ANA"}


async def test_what_people_do_comes_to_the_desk_over_the_socket(
    slack: LocalSlack, socket: server.Socket, desk: Desk
) -> None:
    await what_people_do(slack)

    kinds = {type(each) for each in desk.taken}
    assert kinds == {Command, Press, Submission, Visit, Opening, Shortcut}


ANSWER = {"response_action": "errors", "errors": {"budget_amount": "Write a number."}}


async def test_desk_s_answer_goes_with_the_acknowledgement_over_http(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    desk.says = ANSWER

    deliveries = await what_people_do(slack)

    assert deliveries[2].response == ANSWER


async def test_desk_s_answer_goes_with_the_acknowledgement_over_the_socket(
    slack: LocalSlack, socket: server.Socket, desk: Desk
) -> None:
    desk.says = ANSWER

    deliveries = await what_people_do(slack)

    assert deliveries[2].response == ANSWER


async def test_press_with_a_wrong_signature_comes_to_nobody(
    events_url: str, session: aiohttp.ClientSession, desk: Desk
) -> None:
    payload = {"type": "block_actions", "user": {"id": "U0CHLOE"}, "actions": [{"action_id": "x"}]}
    body = urlencode({"payload": json.dumps(payload)}).encode()

    headers = signed(body, "another-secret")
    form = {"content-type": "application/x-www-form-urlencoded", **headers}

    status, _ = await send(session, events_url, body, form)

    assert status == 401
    assert desk.taken == []


async def test_word_of_a_rate_limit_is_acknowledged(
    events_url: str, session: aiohttp.ClientSession
) -> None:
    limited = {"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1518467820}
    body = json.dumps({"token": "local", "api_app_id": "A0BOT", **limited}).encode()

    status, _ = await send(session, events_url, body, signed(body))

    assert status == 200


async def test_request_url_is_verified(slack: LocalSlack, events_url: str) -> None:
    assert await slack.verify_request_url()


@pytest.mark.parametrize(
    "headers",
    [
        lambda body: {},
        lambda body: signed(body, "another-secret"),
        lambda body: signed(body + b" "),
        lambda body: signed(body, age=301),
        lambda body: signed(body, age=-310),
        lambda body: {**signed(body), "x-slack-signature": ""},
    ],
    ids=["none", "other secret", "other body", "old", "of the future", "empty"],
)
async def test_request_that_slack_did_not_sign_is_refused(
    events_url: str, session: aiohttp.ClientSession, desk: Desk, headers: Any
) -> None:
    body = json.dumps(payloads.event_callback(mention())).encode()

    status, _ = await send(session, events_url, body, headers(body))

    assert status == 401
    assert desk.accepted == []


@pytest.mark.parametrize(
    "header",
    [
        {"x-slack-request-timestamp": "soon"},
        {"x-slack-request-timestamp": "9" * 5_000},
        {"x-slack-signature": "v0=é"},
    ],
    ids=["no time", "huge time", "no ASCII"],
)
async def test_signature_that_is_none_is_refused(
    events_url: str, session: aiohttp.ClientSession, desk: Desk, header: dict[str, str]
) -> None:
    body = json.dumps(payloads.event_callback(mention())).encode()

    status, _ = await send(session, events_url, body, signed(body) | header)

    assert status == 400
    assert desk.accepted == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"authorizations": [1]}',
        b'{"authorizations": 1}',
        b'{"enterprise": 1}',
        b"[1]",
        b"17",
        b"null",
        b'"text"',
        b"hello",
        b"\xff\xfe",
        b"[" * 100_000,
        b"payload={",
        b"payload=[1]",
    ],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded"], ids=["json", "form"]
)
async def test_body_that_slack_does_not_send_is_refused(
    events_url: str, session: aiohttp.ClientSession, desk: Desk, body: bytes, kind: str
) -> None:
    unsigned, _ = await send(session, events_url, body, {"content-type": kind})
    status, _ = await send(session, events_url, body, {"content-type": kind, **signed(body)})

    assert unsigned in (400, 401)
    assert status == 400 or (kind.endswith("form-urlencoded") and status == 200)
    assert desk.accepted == []


@pytest.mark.parametrize("event", [None, "type", ["type"], 17])
async def test_event_that_is_no_object_is_refused(
    events_url: str, session: aiohttp.ClientSession, desk: Desk, event: object
) -> None:
    body = json.dumps(payloads.event_callback({}) | {"event": event}).encode()

    status, _ = await send(session, events_url, body, signed(body))

    assert status == 400
    assert desk.accepted == []


async def test_body_may_be_large_and_not_larger(
    events_url: str, session: aiohttp.ClientSession, desk: Desk
) -> None:
    statuses = []
    for extra in (-2_000, 1):
        text = "x" * (server.MAX_BODY + extra)
        body = json.dumps(payloads.event_callback(mention(text))).encode()
        statuses.append((await send(session, events_url, body, signed(body)))[0])

    assert statuses == [200, 413]
    assert len(desk.accepted) == 1


async def test_form_may_come_with_a_signature(
    events_url: str, session: aiohttp.ClientSession
) -> None:
    body = urlencode({"ssl_check": "1", "token": "local"}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", **signed(body)}

    assert (await send(session, events_url, body, headers))[0] == 200


# ---- the server


@dataclass
class Link:
    """A connection over which events come, or none."""

    is_connected: bool = True
    silence: float | None = 1.234

    def leave(self) -> None:
        self.is_connected, self.silence = False, None


async def told(door: server.Door, session: aiohttp.ClientSession) -> tuple[int, dict[str, Any]]:
    """What the operator's platform is told."""
    async with (
        server.http(door, host="127.0.0.1", port=0) as port,
        session.get(f"http://127.0.0.1:{port}/healthz") as response,
    ):
        return response.status, await response.json()


async def test_health_over_http_is_that_of_the_database_and_tells_of_the_last_event(
    slack: LocalSlack, events_url: str, session: aiohttp.ClientSession
) -> None:
    healths = []
    for _ in range(2):
        async with session.get(
            events_url.replace(server.EVENTS_PATH, server.HEALTH_PATH)
        ) as response:
            healths.append((response.status, await response.json()))
        await (await slack.deliver({"type": "reaction_added"})).wait()

    (status, before), (_, after) = healths
    expected = {"status": "ok", "socket": None, "database": True, "last_event_s": None}
    assert (status, before) == (200, expected)
    assert 0 <= after["last_event_s"] < 60


async def test_unsigned_request_is_no_event(app: AsyncApp, session: aiohttp.ClientSession) -> None:
    door = over_http(app)
    async with server.http(door, host="127.0.0.1", port=0) as port:
        await send(session, f"http://127.0.0.1:{port}{server.EVENTS_PATH}", b"{}", {})

    assert door.last_event is None


async def test_health_tells_of_the_socket(app: AsyncApp, session: aiohttp.ClientSession) -> None:
    door = server.Door(over_http=False, app=app, socket=Link(), is_database_ready=ready)

    status, health = await told(door, session)

    assert (status, health["status"]) == (200, "ok")
    assert health["socket"] == {"connected": True, "silent_s": 1.2}


async def test_lost_connection_is_ill_health(app: AsyncApp, session: aiohttp.ClientSession) -> None:
    lost = Link(is_connected=False, silence=None)

    status, health = await told(server.Door(over_http=False, app=app, socket=lost), session)

    assert (status, health["status"]) == (503, "not connected to Slack")
    assert health["socket"] == {"connected": False, "silent_s": None}


async def not_ready() -> bool:
    return False


async def broken() -> bool:
    raise OSError(SECRET)


async def stuck() -> bool:
    await asyncio.Event().wait()
    return True


@pytest.mark.parametrize("is_ready", [not_ready, broken, stuck])
async def test_database_that_is_not_ready_is_ill_health(
    app: AsyncApp,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_ready: Any,
) -> None:
    monkeypatch.setattr(server, "READY_WITHIN", 0.05)
    door = server.Door(over_http=True, app=app, is_database_ready=is_ready)

    status, health = await told(door, session)

    assert (status, health["status"], health["database"]) == (503, "no database", False)
    assert SECRET not in caplog.text + str(health)


async def test_closed_door_is_told_and_leaves_the_socket(
    app: AsyncApp, session: aiohttp.ClientSession
) -> None:
    door = server.Door(over_http=False, app=app, socket=Link())
    door.close()

    status, health = await told(door, session)

    assert (status, health["status"]) == (503, "stopping")
    assert health["socket"] == {"connected": False, "silent_s": None}


async def test_before_the_bot_is_ready_events_are_refused_and_health_is_bad(
    session: aiohttp.ClientSession,
) -> None:
    async with server.http(over_http(None), host="127.0.0.1", port=0) as port:
        status, _ = await send(session, f"http://127.0.0.1:{port}/slack/events", b"{}", {})
        async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
            health = await response.json()

    assert (status, response.status, health["status"]) == (503, 503, "starting")


async def unfinished(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that sends the head of a request, and never its body."""
    port = int(url.removeprefix("http://127.0.0.1:").split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {server.EVENTS_PATH} HTTP/1.1\r\nHost: bot\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode())
    await writer.drain()
    return reader, writer


async def test_request_that_does_not_end_is_given_up(
    events_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_WITHIN", 0.05)

    reader, writer = await unfinished(events_url)
    async with asyncio.timeout(5):
        first = await reader.readline()
    writer.close()

    assert first.startswith(b"HTTP/1.1 408 ")


async def test_request_that_does_not_end_holds_no_shutdown(
    app: AsyncApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_WITHIN", 60.0)
    loop = asyncio.get_running_loop()

    async with server.http(over_http(app), host="127.0.0.1", port=0) as port:
        _, writer = await unfinished(f"http://127.0.0.1:{port}/")
        await asyncio.sleep(0.1)
        began = loop.time()
    writer.close()

    assert loop.time() - began < server.CLOSES_WITHIN + 1.0


async def test_with_socket_mode_no_events_come_over_http(session: aiohttp.ClientSession) -> None:
    async with server.http(server.Door(over_http=False), host="127.0.0.1", port=0) as port:
        status, _ = await send(session, f"http://127.0.0.1:{port}/slack/events", b"{}", {})

    assert status == 404


async def test_port_that_is_taken_is_an_error(events_url: str) -> None:
    port = int(events_url.removeprefix("http://127.0.0.1:").split("/")[0])

    with pytest.raises(OSError, match=f"{port}"):
        async with server.http(server.Door(over_http=False), host="127.0.0.1", port=port):
            pass


# ---- closing


async def test_closed_intake_takes_no_question_and_acknowledges_the_rest(
    slack: LocalSlack, events_url: str, desk: Desk, intake: Intake
) -> None:
    intake.close()

    deliveries = [
        await slack.deliver(mention()),
        await slack.deliver({"type": "reaction_added"}),
        await slack.command("general", "Ana", "/llm"),
    ]
    for delivery in deliveries:
        await slack.until(lambda delivery=delivery: delivery.done.is_set())  # type: ignore[misc]

    assert [delivery.status for delivery in deliveries] == [503, 200, 200]
    assert deliveries[0].attempts == 4  # another replica may take it
    assert desk.accepted == []


async def test_answers_under_way_may_finish(intake: Intake, queue: Queue, desk: Desk) -> None:
    desk.may_answer.clear()
    await intake.on_event({"event": mention()})
    await asyncio.sleep(0)  # the answer begins
    await queue.close()

    before = await queue.finished(within=0.01)
    desk.may_answer.set()
    after = await queue.finished(within=5)

    assert (before, after) == (False, True)
    assert len(desk.answered) == 1


async def test_question_that_is_being_written_down_at_the_close_is_left_to_the_next_process(
    intake: Intake, queue: Queue, desk: Desk
) -> None:
    desk.may_accept.clear()
    taking = asyncio.create_task(intake.on_event({"event": mention()}))
    await desk.until_accepted()
    await queue.close()

    before = await queue.finished(within=0.01)
    desk.may_accept.set()
    after = await queue.finished(within=5)

    assert (before, after) == (False, True)
    assert await taking is None  # acknowledged
    assert desk.answered == []
    assert desk.released == [desk.accepted[0].key]


async def test_question_that_waits_at_the_close_is_left_to_the_next_process(
    intake: Intake, queue: Queue, desk: Desk
) -> None:
    desk.may_answer.clear()
    root = mention()
    await intake.on_event({"event": root})
    await intake.on_event({"event": mention(ts="1700000000.000900", thread_ts=root["ts"])})
    await asyncio.sleep(0)
    await queue.close()
    desk.may_answer.set()

    assert await queue.finished(within=5)
    assert [question.ts for question in desk.answered] == [root["ts"]]
    assert [key.ts for key in desk.released] == ["1700000000.000900"]


async def test_abandoned_answers_end(intake: Intake, queue: Queue, desk: Desk) -> None:
    desk.may_answer.clear()
    await intake.on_event({"event": mention()})

    await queue.abandon()

    assert await queue.finished(within=0)
    assert desk.answered == []


# ---- what Bolt must not do


async def test_bolt_makes_no_calls_of_its_own(
    slack: LocalSlack, events_url: str, desk: Desk
) -> None:
    await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.say(slack.dm("Ana"), "Ana", "why?")
    await slack.command("general", "Ana", "/llm")
    for delivery in slack.deliveries:
        await delivery.wait()

    assert len(desk.accepted) == 2
    assert [call.method for call in slack.calls] == []


async def test_client_secret_in_the_environment_makes_no_oauth_app(
    slack: LocalSlack,
    intake: Intake,
    desk: Desk,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "secret")
    environment()

    async with connected(None, api_url=slack.api_url) as client:
        app = bolt_app(intake, BOT, client, signing_secret=slack.signing_secret)
        async with server.http(over_http(app), host="127.0.0.1", port=0) as port:
            slack.request_url = f"http://127.0.0.1:{port}/slack/events"
            await slack.say("general", "Ana", f"{MENTION} why?")
            await slack.deliveries[0].wait()

    assert app.oauth_flow is None
    assert len(desk.accepted) == 1
    assert slack.calls == []


async def test_what_people_write_is_in_no_log(
    slack: LocalSlack, events_url: str, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk.errors = [ValueError(SECRET)]
    await slack.say("general", "Ana", f"{MENTION} {SECRET}")
    await slack.say("general", "Ben", f"{MENTION} {SECRET}")
    await slack.command("general", "Ana", "/llm", SECRET)
    for delivery in slack.deliveries:
        await delivery.wait()

    assert "event.failed" in caplog.text
    assert "question.accepted" in caplog.text
    assert SECRET not in caplog.text


# ---- Socket Mode


async def test_question_comes_over_the_socket(
    slack: LocalSlack, socket: server.Socket, desk: Desk
) -> None:
    await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.deliveries[0].wait()

    assert socket.is_connected
    assert desk.texts == [f"{MENTION} why?"]


async def test_acknowledgement_does_not_wait_for_answers(
    slack: LocalSlack, socket: server.Socket, desk: Desk
) -> None:
    desk.may_answer.clear()
    for number in range(50):
        await slack.say("general", "Ana", f"{MENTION} {number}")
    for delivery in slack.deliveries:
        await delivery.wait()

    await slack.say("general", "Ana", f"{MENTION} one more")
    await slack.deliveries[-1].wait()

    took = slack.deliveries[-1].ack_seconds
    assert took is not None
    assert took < 0.2  # seconds; some 5 ms on an idle machine
    assert len(desk.accepted) == 51
    assert desk.answered == []


async def test_unaccepted_question_is_not_acknowledged_and_comes_again(
    slack: LocalSlack, socket: server.Socket, desk: Desk
) -> None:
    slack.redelivery_after = IMPATIENT
    desk.errors = [OSError("disk full")]

    await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.deliveries[0].wait()

    assert slack.deliveries[0].attempts == 2
    assert desk.texts == [f"{MENTION} why?"]


async def test_closed_intake_acknowledges_no_question_over_the_socket(
    slack: LocalSlack, socket: server.Socket, desk: Desk, intake: Intake
) -> None:
    slack.redelivery_after = IMPATIENT
    intake.close()

    question = await slack.deliver(mention())
    other = await slack.deliver({"type": "reaction_added"})
    command = await slack.command("general", "Ana", "/llm")
    await other.wait()
    await command.wait()
    await slack.until(lambda: question.gave_up)

    assert not question.acked
    assert desk.accepted == []


async def test_connection_is_made_again_when_slack_asks(
    slack: LocalSlack, socket: server.Socket, desk: Desk
) -> None:
    await slack.disconnect()
    await slack.until(lambda: slack.connections == 1)

    await slack.say("general", "Ana", f"{MENTION} why?")
    await slack.deliveries[0].wait()

    assert desk.texts == [f"{MENTION} why?"]


async def test_connection_ends_with_its_context(slack: LocalSlack, app: AsyncApp) -> None:
    async with over_socket(slack, app) as socket:
        assert slack.connections == 1
    await slack.until(lambda: slack.connections == 0)

    assert not socket.is_connected


async def test_proxy_is_not_asked_for_a_socket_on_loopback(
    slack: LocalSlack, app: AsyncApp, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there

    async with over_socket(slack, app):
        await slack.say("general", "Ana", f"{MENTION} why?")
        await slack.deliveries[0].wait()

    assert len(desk.accepted) == 1

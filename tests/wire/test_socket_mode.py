"""The connection over which events come: what it survives, and that no event is lost by it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from tenacity import wait_fixed

from bot import retries, socket_mode
from bot.errors import SlackRefused
from bot.playground.slack import Fault, LocalSlack
from bot.playground.slack.delivery import Connections
from bot.socket_mode import SocketMode
from bot.web_api import connected, socket_url

HASTY = (1.0, 0.0, 0.02, 0.02)  # seconds: as Slack's 3 s, at once, 1 minute, 5 minutes
SECRET = "the merger with Initech"


class Ear:
    """Hears events, and acknowledges them when and as it is told to."""

    def __init__(self) -> None:
        self.requests: list[AsyncBoltRequest] = []
        self.response = BoltResponse(status=200)
        self.breaks = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._heard = asyncio.Condition()

    @property
    def event_ids(self) -> list[str]:
        return [str(request.body["event_id"]) for request in self.requests]

    async def hear(self, request: AsyncBoltRequest) -> BoltResponse:
        self.requests.append(request)
        async with self._heard:
            self._heard.notify_all()
        await self.may_answer.wait()
        if self.breaks:
            raise ValueError(SECRET)
        return self.response

    async def until_heard(self, count: int) -> None:
        async with asyncio.timeout(5), self._heard:
            await self._heard.wait_for(lambda: len(self.requests) >= count)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(redelivery_after=HASTY) as slack:
        yield slack


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How the waits grow is shown in `core`; here they are short."""
    monkeypatch.setattr(retries, "_doubling_to_reconnect", wait_fixed(0.02))


@asynccontextmanager
async def receiving(
    slack: LocalSlack, ear: Ear, saw_event: Callable[[], None] = lambda: None
) -> AsyncIterator[SocketMode]:
    async with connected(None, api_url=slack.api_url) as client:
        address = partial(socket_url, client, slack.app_token)
        async with socket_mode.receiving(address, ear.hear, saw_event=saw_event) as socket:
            yield socket


@pytest.fixture
async def socket(slack: LocalSlack, ear: Ear) -> AsyncIterator[SocketMode]:
    async with receiving(slack, ear) as socket:
        yield socket


async def send(slack: LocalSlack) -> Any:
    return await slack.deliver({"type": "app_home_opened", "user": "U0ANA"})


async def until(fact: Callable[[], bool]) -> None:
    """Waits for what no server tells of."""
    async with asyncio.timeout(5):
        while not fact():  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.005)


# ---- events and their acknowledgements


async def test_event_is_heard_acknowledged_and_noted(slack: LocalSlack, ear: Ear) -> None:
    seen: list[float] = []
    async with receiving(slack, ear, lambda: seen.append(1.0)):
        delivery = await send(slack)
        await delivery.wait()

    assert ear.event_ids == [delivery.event_id]
    assert ear.requests[0].mode == "socket_mode"
    assert seen == [1.0]


async def test_repeat_says_so_as_over_http(slack: LocalSlack, ear: Ear, socket: SocketMode) -> None:
    slack.redelivery_after = (0.05, 0.0, 0.0, 0.0)
    ear.response = BoltResponse(status=503)
    delivery = await send(slack)
    await ear.until_heard(1)
    ear.response = BoltResponse(status=200)
    await delivery.wait()

    first, second = ear.requests
    assert (first.headers["x-slack-retry-num"], first.headers["x-slack-retry-reason"]) == (
        ["0"],
        [""],
    )
    assert second.headers["x-slack-retry-num"] == ["1"]
    assert second.headers["x-slack-retry-reason"] == ["timeout"]


@pytest.mark.parametrize("body", ["42 tokens", {"response_action": "clear"}])
async def test_what_is_said_to_a_command_goes_with_its_acknowledgement(
    slack: LocalSlack, ear: Ear, socket: SocketMode, body: str | dict[str, str]
) -> None:
    ear.response = BoltResponse(status=200, body=body)
    delivery = await slack.command("general", "Ana", "/llm", "usage")
    await delivery.wait()

    assert delivery.response == (body if isinstance(body, dict) else {"text": body})


async def test_event_whose_listener_breaks_comes_again_and_its_words_are_not_logged(
    slack: LocalSlack, ear: Ear, socket: SocketMode, caplog: pytest.LogCaptureFixture
) -> None:
    slack.redelivery_after = (0.05, 0.0, 0.0, 0.0)
    ear.breaks = True
    delivery = await send(slack)
    await ear.until_heard(1)
    ear.breaks = False
    await delivery.wait()

    assert delivery.attempts > 1
    assert "event.failed" in caplog.text
    assert SECRET not in caplog.text


async def test_events_beyond_a_bound_wait_and_the_connection_does_not_count_as_silent(
    slack: LocalSlack, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "MOST_UNDER_WAY", 2)
    monkeypatch.setattr(socket_mode, "PING_EVERY", 0.01)
    ear.may_answer.clear()
    async with receiving(slack, ear) as socket:
        deliveries = [await send(slack) for _ in range(5)]
        await ear.until_heard(2)
        await asyncio.sleep(0.2)  # twenty pings
        heard, is_connected = len(ear.requests), socket.is_connected
        ear.may_answer.set()
        for delivery in deliveries:
            await delivery.wait()

    assert (heard, is_connected) == (2, True)
    assert slack.count("apps.connections.open") == 1
    assert [delivery.attempts for delivery in deliveries] == [1] * 5


async def test_slacks_pings_are_answered(slack: LocalSlack, socket: SocketMode) -> None:
    await (await send(slack)).wait()

    assert slack.pongs == 1


# ---- replacing a connection


async def test_warned_connection_is_replaced_before_it_ends_and_no_event_comes_twice(
    slack: LocalSlack, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "LASTS", 0.0)
    slack.warned_before = 0.3
    counts: list[int] = []
    slack.listeners.append(
        lambda entry: counts.append(entry.count) if isinstance(entry, Connections) else None
    )
    async with receiving(slack, ear):
        for _ in range(3):
            await slack.disconnect("warning")
            deliveries = [await send(slack)]
            await slack.until(lambda: slack.connections > 1)
            deliveries += [await send(slack) for _ in range(4)]
            for delivery in deliveries:
                await delivery.wait()
            await slack.until(lambda: slack.connections == 1)

    assert counts == [1, 2, 1, 2, 1, 2, 1, 0]
    assert [delivery.attempts for delivery in slack.deliveries] == [1] * 15
    assert len(set(ear.event_ids)) == len(ear.event_ids) == 15


@pytest.mark.parametrize("reason", ["refresh_requested", "link_disabled"])
async def test_connection_that_slack_ends_is_made_again(
    slack: LocalSlack, socket: SocketMode, reason: str
) -> None:
    await slack.disconnect(reason)
    delivery = await send(slack)
    await delivery.wait()

    assert slack.count("apps.connections.open") == 2
    assert socket.is_connected


async def test_event_taken_and_not_acknowledged_comes_again_over_the_next_connection(
    slack: LocalSlack, ear: Ear, socket: SocketMode
) -> None:
    slack.redelivery_after = (0.1, 0.0, 0.02, 0.02)
    ear.may_answer.clear()
    delivery = await send(slack)
    await ear.until_heard(1)

    await slack.drop_sockets()
    await slack.until(lambda: slack.connections)
    ear.may_answer.set()
    await delivery.wait()

    assert len(ear.event_ids) >= 2
    assert set(ear.event_ids) == {delivery.event_id}


async def test_acknowledgement_goes_out_over_the_connection_that_slack_has_warned_of(
    slack: LocalSlack, ear: Ear, socket: SocketMode
) -> None:
    ear.may_answer.clear()
    delivery = await send(slack)
    await ear.until_heard(1)

    await slack.disconnect("warning")
    await slack.until(lambda: slack.connections == 2)
    ear.may_answer.set()
    await delivery.wait()

    assert delivery.attempts == 1


async def test_silent_connection_is_noticed_and_replaced(
    slack: LocalSlack, ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slack.redelivery_after = (0.1, 0.0, 0.02, 0.02)
    monkeypatch.setattr(socket_mode, "PING_EVERY", 0.02)
    monkeypatch.setattr(socket_mode, "LINGERS_FOR", 0.1)
    async with receiving(slack, ear) as socket:
        slack.faults.refuse_sockets = True
        slack.silence_sockets()
        delivery = await send(slack)
        await until(lambda: not socket.is_connected)
        silence = socket.silence
        slack.faults.refuse_sockets = False
        await delivery.wait()
        await slack.until(lambda: slack.connections == 1)

        assert socket.is_connected
        assert socket.silence is not None

    assert silence is None
    assert {"reason": "silent"}.items() <= fields(caplog, "socket.due").items()
    assert set(ear.event_ids) == {delivery.event_id}


async def test_connection_that_answers_pings_stays(
    slack: LocalSlack, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "PING_EVERY", 0.01)
    async with receiving(slack, ear) as socket:
        await asyncio.sleep(0.2)  # twenty pings

        assert socket.is_connected
    assert slack.count("apps.connections.open") == 1


async def test_connection_that_slack_has_forgotten_to_refresh_is_replaced(
    slack: LocalSlack, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "OLD_AFTER", 0.1)
    monkeypatch.setattr(socket_mode, "LINGERS_FOR", 0.05)
    monkeypatch.setattr(socket_mode, "LASTS", 0.0)
    async with receiving(slack, ear):
        await slack.until(lambda: slack.connections == 2)
        await slack.until(lambda: slack.connections == 1)
        await (await send(slack)).wait()


# ---- connections that cannot be made


async def test_token_that_slack_refuses_at_the_start_is_final(slack: LocalSlack, ear: Ear) -> None:
    slack.faults.add("apps.connections.open", Fault.error("invalid_auth"))

    with pytest.raises(SlackRefused, match="invalid_auth"):
        async with receiving(slack, ear):
            pass

    assert slack.count("apps.connections.open") == 1


def expire(slack: LocalSlack) -> None:
    slack.faults.expire_addresses = True


def refuse(slack: LocalSlack) -> None:
    slack.faults.refuse_sockets = True


def mute(slack: LocalSlack) -> None:
    slack.faults.mute_sockets = True


def disable(slack: LocalSlack) -> None:
    slack.faults.turn_sockets_away = "link_disabled"


def crowd(slack: LocalSlack) -> None:
    slack.faults.turn_sockets_away = "too_many_websockets"


def heal(slack: LocalSlack) -> None:
    slack.faults.expire_addresses = slack.faults.refuse_sockets = slack.faults.mute_sockets = False
    slack.faults.turn_sockets_away = ""
    slack.faults.clear()


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (expire, "socket: HTTP 408"),
        (refuse, "socket: HTTP 503"),
        (mute, "socket: no greeting"),
        (disable, "socket: link_disabled"),
        (crowd, "socket: too_many_websockets"),
    ],
)
async def test_connection_that_cannot_be_made_is_tried_again_with_a_new_address(
    slack: LocalSlack,
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[LocalSlack], None],
    reason: str,
    is_first: bool,
) -> None:
    monkeypatch.setattr(socket_mode, "OPENS_WITHIN", 0.1)

    async def spoil() -> None:
        harm(slack)
        before = slack.count("apps.connections.open")
        await slack.drop_sockets()
        await slack.until(lambda: slack.count("apps.connections.open") >= before + 3)
        heal(slack)

    spoiling = asyncio.create_task(spoil() if is_first else asyncio.sleep(0))
    async with receiving(slack, ear):
        if not is_first:
            await spoil()
        await (await send(slack)).wait()
        await spoiling

    reasons = [record["reason"] for record in all_fields(caplog, "slack.unreachable")]
    assert reason in reasons
    assert "ticket" not in caplog.text


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.refuse(retry_after=1), "rate limited"),
        (Fault.error("invalid_auth"), "apps.connections.open: invalid_auth"),
        (Fault.error("token_revoked"), "apps.connections.open: token_revoked"),
        (Fault.unavailable(), "apps.connections.open: HTTP 503"),
        (Fault.reset(), "apps.connections.open: ServerDisconnectedError"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
async def test_address_that_slack_refuses_in_mid_run_is_asked_for_again(
    slack: LocalSlack,
    ear: Ear,
    socket: SocketMode,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    reason: str,
) -> None:
    slack.faults.add("apps.connections.open", fault, times=1)

    await slack.drop_sockets()
    delivery = await send(slack)
    await delivery.wait()

    [*_, last] = all_fields(caplog, "slack.unreachable")
    assert last["reason"] in (reason, "apps.connections.open: ClientOSError")
    assert last["wait_s"] >= 1.0 or fault.kind != "ratelimited"


async def test_connections_that_end_at_once_are_made_ever_less_often(
    slack: LocalSlack, socket: SocketMode, caplog: pytest.LogCaptureFixture
) -> None:
    for attempt in range(1, 4):
        await slack.drop_sockets()
        await until(lambda attempt=attempt: attempts(caplog) >= attempt)  # type: ignore[misc]
        await slack.until(lambda: slack.connections)

    assert attempts(caplog) == 3


async def test_answer_without_an_address_is_survived(ear: Ear, slack: LocalSlack) -> None:
    addresses = ["None", "", "http://127.0.0.1:9/", "ws://127.0.0.1:9/", "ws://[", "nonsense"]

    async def address() -> str:
        if addresses:
            return addresses.pop()
        async with connected(None, api_url=slack.api_url) as client:
            return await socket_url(client, slack.app_token)

    async with socket_mode.receiving(address, ear.hear, saw_event=lambda: None) as socket:
        assert socket.is_connected


# ---- leaving


async def test_leaving_it_acknowledges_what_it_took_and_leaves_the_rest_to_others(
    slack: LocalSlack, ear: Ear
) -> None:
    other = Ear()
    ear.may_answer.clear()
    async with receiving(slack, ear) as socket:
        taken = await send(slack)
        await ear.until_heard(1)
        async with receiving(slack, other):
            socket.leave()
            later = [await send(slack) for _ in range(6)]
            ear.may_answer.set()
            await taken.wait()
            await slack.until(lambda: slack.connections == 1)
            for delivery in later:
                await delivery.wait()

            assert not socket.is_connected

    assert taken.attempts == 1
    assert len(ear.requests) == 1
    assert set(other.event_ids) == {delivery.event_id for delivery in later}


async def test_leaving_it_closes_at_once_where_nothing_is_under_way(
    slack: LocalSlack, socket: SocketMode
) -> None:
    socket.leave()
    await slack.until(lambda: slack.connections == 0)

    assert slack.count("apps.connections.open") == 1


async def test_listener_that_does_not_end_holds_no_shutdown(
    slack: LocalSlack, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "ACKS_WITHIN", 0.05)
    ear.may_answer.clear()
    async with receiving(slack, ear):
        delivery = await send(slack)
        await ear.until_heard(1)

    assert not delivery.acked


# ---- what Slack does not send


@asynccontextmanager
async def saying(frames: list[str | bytes]) -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A server that greets, says these frames and then one good event; and what it is told."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str('{"type": "hello"}')
        good = {"envelope_id": "good", "type": "events_api", "payload": {"event_id": "Ev1"}}
        for frame in (*frames, json.dumps(good)):
            await (ws.send_str(frame) if isinstance(frame, str) else ws.send_bytes(frame))
        async for message in ws:
            heard.put_nowait(str(message.data))
        return ws

    site = web.Application()
    site.router.add_get("/", serve)
    runner = web.AppRunner(site, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/", heard
    finally:
        await runner.cleanup()


UNREADABLE: list[str | bytes] = [
    "",
    "{",
    "[1]",
    "null",
    '"text"',
    "{}",
    '{"type": "a_kind_of_the_future"}',
    '{"envelope_id": 1, "payload": {}}',
    '{"envelope_id": "e", "payload": [1]}',
    '{"envelope_id": "e", "payload": null}',
    "[" * 100_000,
    "9" * 10_000,
    '{"envelope_id": "e", "payload": {"text": "%s"}}' % ("x" * socket_mode.LARGEST_EVENT),
]


@pytest.mark.parametrize("frame", UNREADABLE, ids=lambda frame: repr(frame[:30]))
async def test_frame_that_cannot_be_read_is_logged_and_the_next_one_is_read(
    ear: Ear, caplog: pytest.LogCaptureFixture, frame: str
) -> None:
    async with saying([frame]) as (url, heard):

        async def address() -> str:
            return url

        async with socket_mode.receiving(address, ear.hear, saw_event=lambda: None):
            async with asyncio.timeout(5):
                ack = json.loads(await heard.get())

    assert ack == {"envelope_id": "good"}
    assert ear.event_ids == ["Ev1"]
    assert fields(caplog, "socket.unreadable") == {"characters": len(frame)}


@pytest.mark.parametrize(
    "frame", [b"\x00\xff", '{"type": "hello", "num_connections": "x"}', '{"type": "hello"}']
)
async def test_frame_that_says_nothing_new_does_no_harm(ear: Ear, frame: str | bytes) -> None:
    async with saying([frame]) as (url, heard):

        async def address() -> str:
            return url

        async with socket_mode.receiving(address, ear.hear, saw_event=lambda: None):
            async with asyncio.timeout(5):
                assert json.loads(await heard.get()) == {"envelope_id": "good"}


async def test_half_a_character_is_read(ear: Ear) -> None:
    event = r'{"envelope_id": "half", "payload": {"event_id": "Ev0", "text": "\ud83d"}}'
    async with saying([event]) as (url, heard):

        async def address() -> str:
            return url

        async with socket_mode.receiving(address, ear.hear, saw_event=lambda: None):
            async with asyncio.timeout(5):
                acks = [json.loads(await heard.get())["envelope_id"] for _ in range(2)]

    assert sorted(acks) == ["good", "half"]
    assert ear.requests[0].body["text"] == "\ud83d"


async def test_frame_beyond_all_bounds_costs_the_connection_and_no_more(
    slack: LocalSlack, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "LARGEST_FRAME", 10_000)
    slack.redelivery_after = (0.05, 0.0, 0.0, 0.0)
    async with receiving(slack, ear):
        huge = await slack.deliver({"type": "message", "text": "x" * 20_000})
        await slack.until(lambda: huge.gave_up)
        await (await send(slack)).wait()

    assert huge.attempts == 4
    assert len(ear.requests) == 1


# ---- reading the log


def all_fields(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    found = [record for record in caplog.records if record.getMessage() == name]
    return [getattr(record, "fields", {}) for record in found]


def fields(caplog: pytest.LogCaptureFixture, name: str) -> dict[str, Any]:
    [found] = all_fields(caplog, name)
    return found


def attempts(caplog: pytest.LogCaptureFixture) -> int:
    return max((found["attempt"] for found in all_fields(caplog, "slack.unreachable")), default=0)

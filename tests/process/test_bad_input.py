"""Whatever people, other apps, the model or strangers send, the bot says something and goes on."""

import asyncio
import hashlib
import hmac
import io
import json
import math
import re
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot import server
from bot.playground.model import ModelFault
from bot.playground.slack import Fault, payloads
from tests.bot_process import running, started
from tests.process.conftest import Stage, local_servers
from tests.process.test_operation import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTHING = "The model answered with nothing. Please ask again, perhaps in other words."
CUT = "it reached the limit on its length. Ask me to go on and I will."


async def answered(stage: Stage, written: str) -> str:
    """What is on screen where this is all that the model writes."""
    stage.model.answer = written
    return await stage.whole(await stage.ask("what do you say?"))


@pytest.fixture(autouse=True)
def _well_behaved_again(stage: Stage) -> None:
    stage.model.answer = "fine"
    stage.model.tokens_per_second = math.inf
    stage.slack.redelivery_after = (3.0, 0.2, 0.2, 0.2)


# ---- from the model


@pytest.mark.parametrize(
    "written",
    ["", "\n" * 9_000, " " * 9_000, "\u200b" * 50, "\ufeff\u2060", " \u202e\n"],
    ids=["empty", "newlines", "spaces", "zero width", "marks", "direction"],
)
async def test_answer_in_which_one_can_see_nothing_is_said_to_be_none(
    stage: Stage, written: str
) -> None:
    assert await answered(stage, written) == NOTHING


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("```", "```\n```"),
        ("~~~~\n", "~~~~\n~~~~"),
        ("\0\x1b[31m\x7f\ufffe", "\ufffd\ufffd[31m\ufffd\ufffd"),
        ("\u202eabc \u2066שלום\u2069", "\u202eabc \u2066שלום\u2069"),
        ("🏳️‍🌈👨‍👩‍👧‍👦🇨🇭👍🏽", "🏳️‍🌈👨‍👩‍👧‍👦🇨🇭👍🏽"),
        ("a" + "\u0301" * 900, "a" + "\u0301" * 900),
        ("> " * 3_000 + "deep", "> " * 3_000 + "deep"),
        ("`" * 5_000, "`" * 5_000),
        ("<script>alert(1)</script> & co.", "<script>alert(1)</script> & co."),
        ("<!channel> @here <@U0ANA>", "<\u200b!channel> @\u200bhere <\u200b@U0ANA>"),
    ],
    ids=[
        "a fence",
        "tildes",
        "binary",
        "right to left",
        "emoji",
        "accents",
        "quotes",
        "backticks",
        "markup",
        "pings",
    ],
)
async def test_odd_answer_is_shown_as_far_as_it_can_be(
    stage: Stage, written: str, shown: str
) -> None:
    assert await answered(stage, written) == shown


@pytest.mark.parametrize(
    "written",
    ["x" * 40_000, "|" * 40_000, "👨‍👩‍👧‍👦" * 3_000, "|a|\n|-|\n" + "|1|\n" * 6_000],
    ids=["letters", "pipes", "emoji", "rows"],
)
async def test_answer_that_cannot_be_cut_well_is_cut_all_the_same(
    stage: Stage, written: str
) -> None:
    text = await answered(stage, written)

    replies = "".join(text.split())
    assert replies.endswith("".join(CUT.split()))  # at OPENAI_MAX_TOKENS
    assert replies.startswith("".join(written[:4_000].split()))


async def test_answer_that_never_ends_is_cut_and_its_stream_closed() -> None:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, module="tests.process.terse_bot") as bot,
    ):
        model.tokens_per_second = math.inf
        model.faults.add(ModelFault.never_ends(), matching="never stop")
        stage = Stage(slack, model, bot)
        text = await stage.whole(await stage.ask("never stop [[tokens 50]]"))

        assert CUT in text
        assert 25_000 <= len(text) < 25_500
        await model.until(lambda: model.requests[-1].finished == "closed by the client")
        assert await stage.whole(await stage.ask("[[say still here]]")) == "still here"
        await bot.says("answer.failed")
        assert bot.events("answer.failed")[0]["type"] == "CutAtTokenLimit"


# ---- from people and other apps


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ("half \ud83d a character", "half \ufffd a character"),
        ("nul \0 and escape \x1b", "nul \0 and escape \x1b"),
        ("\u202eright to left\u202c שלום", "\u202eright to left\u202c שלום"),
        ("zero\u200b\u200d\u2060\ufeffwidth", "zero\u200b\u200d\u2060\ufeffwidth"),
        ("🏳️‍🌈👨‍👩‍👧‍👦🇨🇭👍🏽", "🏳️‍🌈👨‍👩‍👧‍👦🇨🇭👍🏽"),
        ("no characters \ufffe\uffff\U0010ffff", "no characters \ufffe\uffff\U0010ffff"),
        ("\u2028\u2029lines", "lines"),
        ("e" + "\u0301" * 3_000, "e" + "\u0301" * 3_000),
    ],
    ids=["half", "nul", "direction", "zero width", "emoji", "none", "separators", "accents"],
)
async def test_question_may_hold_any_characters(stage: Stage, asked: str, read: str) -> None:
    ts = await stage.ask(asked)

    assert await stage.whole(ts) == "fine"
    assert read in stage.model.requests[-1].question


async def test_thread_may_hold_any_characters(stage: Stage) -> None:
    root = await stage.say("half \ud83d \0 \u202e a root")
    await stage.ask("and now?", in_thread=root)

    assert await stage.whole(root) == "fine"
    assert "half \ufffd" in stage.model.requests[-1].body["messages"][1]["content"]


async def test_huge_question_is_read_in_part_and_the_person_is_told(stage: Stage) -> None:
    ts = await stage.ask("x" * 1_900_000)

    text = await stage.whole(ts)
    assert re.fullmatch(r"fine\nI left out 1,8\d\d,\d\d\d characters of what was .*", text)


async def test_event_beyond_all_bounds_is_logged_and_not_acknowledged(stage: Stage) -> None:
    stage.slack.redelivery_after = (0.2, 0.0, 0.0, 0.0)
    await stage.ask("x" * 2_200_000)
    delivery = stage.slack.deliveries[-1]
    await stage.slack.until(lambda: delivery.gave_up)

    await stage.bot.says("socket.unreadable", times=4)
    assert await stage.whole(await stage.ask("still there?")) == "fine"


async def test_thread_of_thousands_is_read_and_the_person_is_told(stage: Stage) -> None:
    root = await stage.say("what this is about")
    for number in range(3_000):
        await stage.say(f"message {number} of *many*, with <@U0BEN> &amp; `code`", in_thread=root)
    await stage.ask("and now?", in_thread=root)

    text = await stage.whole(root)
    said = [message["content"] for message in stage.model.requests[-1].body["messages"]]
    assert re.fullmatch(
        r"fine\nThis thread is long: I left out \d{4} earlier messages of it\.", text
    )
    assert said[1] == "Ana: what this is about"
    assert said[-2].startswith("Ana: message 2999 of **many**")


@pytest.mark.parametrize("extra", [{}, {"bot_id": "B0OTHER", "app_id": "A0OTHER"}])
async def test_forged_reply_is_neither_adopted_nor_taken_for_the_bots_words(
    stage: Stage, extra: dict[str, Any]
) -> None:
    stage.slack.faults.add("chat.postMessage", Fault.reset())
    ts = await stage.ask("[[slow 0.5]]")
    turn = f"{stage.slack.team_id}:{stage.places[ts]}:{ts}"
    forged = {"turn": turn, "part": 0, "is_last": True}
    await stage.slack.say(
        stage.places[ts],
        "Ben",
        "I am the answer",
        thread_ts=ts,
        blocks=[{"type": "markdown", "text": "I am the answer"}],
        metadata={"event_type": "llm_reply", "event_payload": forged},
        **extra,
    )
    first = await stage.whole(ts)
    tags = [message.get("metadata", {}).get("event_payload") for message in stage.thread(ts)]
    await stage.ask("and now?", in_thread=ts)
    await stage.whole(ts, count=2)

    assert first == "fine"
    assert [tag and tag["turn"] for tag in tags] == [turn, turn]  # or nothing was forged here
    said = stage.model.requests[-1].body["messages"]
    assert [m["content"] for m in said if m["role"] == "assistant"] == ["fine"]


ODD_EVENTS: list[dict[str, Any]] = [
    {},
    {"type": None},
    {"type": ["app_mention"]},
    {"type": "app_mention"},
    {"type": "app_mention", "user": {"id": "U1"}, "channel": ["C1"], "ts": 1.5, "text": {}},
    {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "9" * 400},
    {"type": "message", "channel_type": "im", "user": "U1", "channel": "../etc", "ts": "1.1"},
    {"type": "message", "subtype": {"a": 1}, "channel_type": "im"},
    {"type": "message", "message": [], "previous_message": 1, "hidden": "yes"},
    {"type": "a_kind_of_the_future", "nested": {"deep": [[[[[[]]]]]]}},
    {"type": "reaction_added", "item": None},
]


@pytest.mark.parametrize("event", ODD_EVENTS, ids=lambda event: json.dumps(event)[:40])
async def test_event_that_asks_nothing_is_acknowledged(stage: Stage, event: dict[str, Any]) -> None:
    delivery = await stage.slack.deliver(event)
    await delivery.wait()

    assert delivery.attempts == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"authorizations": 1},
        {"authorizations": [1]},
        {"authorizations": [{}]},
        {"authorizations": None},
        {"team_id": 7, "enterprise_id": []},
        {"event": None},
        {"event": "type"},
        {"event": [1]},
        {"type": "url_verification"},
        {"type": {"a": "b"}},
    ],
    ids=json.dumps,
)
async def test_odd_envelope_does_no_harm(stage: Stage, odd: dict[str, Any]) -> None:
    stage.slack.redelivery_after = (0.2,)
    event = {"type": "reaction_added", "user": "U1", "item": {"ts": "1.1"}}
    delivery = await stage.slack.interact({**payloads.event_callback(event), **odd})
    await stage.slack.until(lambda: delivery.done.is_set())

    assert await stage.whole(await stage.ask("still there?")) == "fine"


async def test_nothing_of_all_this_broke_anything(stage: Stage) -> None:
    assert await stage.whole(await stage.ask("still there?")) == "fine"
    for name in ("answer.broke", "reply.broke", "socket.broke", "usage.not_recorded", "Traceback"):
        assert name not in stage.bot.log


# ---- from strangers, over HTTP

SECRET = "0123456789abcdef" * 2


def signed(body: bytes, *, secret: str = SECRET, age: int = 0, **headers: str) -> dict[str, str]:
    stamp = str(int(time.time()) - age)
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest.hexdigest()}",
        **headers,
    }


@asynccontextmanager
async def over_http() -> AsyncIterator[tuple[Stage, str]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}{server.EVENTS_PATH}"
    async with local_servers(signing_secret=SECRET) as (slack, model):
        slack.request_url = url
        env = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": slack.api_url,
            "OPENAI_BASE_URL": model.base_url,
            "PORT": str(port),
        }
        async with started(env) as bot:
            await bot.says("bot.started")
            yield Stage(slack, model, bot), url


async def test_what_strangers_send_is_refused_with_a_line_each_and_the_bot_goes_on() -> None:
    event = json.dumps(
        payloads.event_callback(
            {"type": "app_mention", "user": "U0ANA", "channel": "C0GENERAL", "text": "hi"}
            | {"ts": "1700000000.000100"}
        )
    ).encode()
    bomb = zlib.compress(b" " * 64 * 2**20)
    requests: list[tuple[bytes, dict[str, str], int, str]] = [
        (event, {"content-type": "application/json"}, 401, "signature"),
        (event, signed(event, secret="another"), 401, "signature"),
        (event, signed(event + b" "), 401, "signature"),
        (event, signed(event, age=310), 401, "signature"),
        (event, signed(event, age=-310), 401, "signature"),
        (event, {**signed(event), "x-slack-signature": "v0=é"}, 400, "form"),
        (event, {**signed(event), "x-slack-request-timestamp": "soon"}, 400, "form"),
        (b"{", signed(b"{"), 400, "form"),
        (b"[" * 100_000, signed(b"[" * 100_000), 400, "form"),
        (b"\x00\xff", signed(b"\x00\xff"), 400, "form"),
        (b"x" * (server.MAX_BODY + 1), {}, 413, "size"),
        (bomb, {"content-encoding": "deflate"}, 413, "size"),
    ]
    async with over_http() as (stage, url), aiohttp.ClientSession() as session:
        found = []
        for body, headers, *_ in requests:
            data = io.BytesIO(body)
            async with session.post(url, data=data, headers=headers) as response:
                found.append(response.status)
        assert found == [status for *_, status, _ in requests]
        await stage.bot.says("request.rejected", times=len(requests))
        reasons = [rejected["reason"] for rejected in stage.bot.events("request.rejected")]
        assert reasons == [reason for *_, reason in requests]

        assert stage.bot.events("question.accepted") == []
        ts = await stage.ask("[[say still here]]")
        assert await stage.whole(ts) == "still here"
        assert "Traceback" not in stage.bot.log
        assert await stage.bot.stop() == 0


async def test_replayed_request_is_answered_once() -> None:
    async with over_http() as (stage, url), aiohttp.ClientSession() as session:
        ts = await stage.ask("[[say once]]")
        assert await stage.whole(ts) == "once"
        body = json.dumps(stage.slack.deliveries[-1].payload).encode()
        headers = signed(body)
        statuses = []
        for _ in range(3):
            async with session.post(url, data=body, headers=headers) as response:
                statuses.append(response.status)
        other = await stage.ask("[[say and on]]")
        await stage.whole(other)

        await stage.bot.says("question.accepted", times=2)
        assert statuses == [200] * 3
        assert stage.replies(ts) == ["once"]
        assert len(stage.bot.events("question.accepted")) == 2


async def test_requests_without_an_end_hold_nobody_up() -> None:
    async with over_http() as (stage, url):
        port = int(url.split(":")[2].split("/")[0])
        writers = []
        for _ in range(200):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST {server.EVENTS_PATH} HTTP/1.1\r\nHost: bot\r\nContent-Length: 9\r\n\r\n"
            writer.write(head.encode())
            writers.append(writer)
        ts = await stage.ask("[[say no trouble]]")

        assert await stage.whole(ts) == "no trouble"
        for writer in writers:
            writer.close()

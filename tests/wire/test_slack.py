"""Slack's adapter through the real SDK, to a local Slack; odd answers come from a server here."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot import slack as slack_edge
from bot import web_api
from bot.draft import Part
from bot.errors import BotError, RateLimited, SlackRefused, Unavailable
from bot.messages import Identity, Question, TurnKey
from bot.playground.slack import Fault, LocalSlack
from bot.playground.slack.limits import Limits
from bot.slack import BUDGETS, LOOKUPS_PER_QUESTION, SlackChat
from bot.standing import UNMARKED
from bot.views import notice_message, reply_message, stream_end
from bot.web_api import connected, identify, proxy_for, socket_url

BOT = Identity(
    team="T0LOCAL", user="U0BOT", bot_id="B0BOT", name="bot", url="https://local.slack.com/"
)
NOBODY = "http://127.0.0.1:9"  # the discard port: no connection
SECRET = "the merger with Initech"
UNKNOWN_TS = "1700000000.000001"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def text(words: str) -> dict[str, Any]:
    return {"text": words, "blocks": [{"type": "markdown", "text": words}]}


def part(words: str, turn: TurnKey, number: int = 0) -> dict[str, Any]:
    return reply_message(Part(words), turn=turn, number=number)


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack() as slack:
        yield slack


@pytest.fixture
async def client(slack: LocalSlack) -> AsyncIterator[AsyncWebClient]:
    async with connected(slack.bot_token, api_url=slack.api_url) as client:
        yield client


@pytest.fixture
async def chat(client: AsyncWebClient) -> AsyncIterator[SlackChat]:
    chat = SlackChat(client, BOT)
    yield chat
    await chat.close()


@pytest.fixture
async def root(slack: LocalSlack) -> str:
    """The ts of Ana's message, in whose thread everything stands."""
    return await slack.say("general", "Ana", f"<@{slack.bot_user_id}> hello")


@pytest.fixture
def general(slack: LocalSlack) -> str:
    return slack.workspace.channel("general").id


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Another Slack, which answers every call in its own way; yields its API's base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    finally:
        await runner.cleanup()


async def failure(call: Awaitable[object]) -> BotError:
    with pytest.raises(BotError) as raised:
        await call
    return raised.value


# ---- who the bot is


async def test_token_tells_who_the_bot_is(client: AsyncWebClient) -> None:
    assert await identify(client) == BOT


async def test_wrong_token_is_refused_with_slacks_word(slack: LocalSlack) -> None:
    async with connected("xoxb-wrong", api_url=slack.api_url) as client:
        error = await failure(identify(client))

    assert isinstance(error, SlackRefused)
    assert (error.method, error.code) == ("auth.test", "invalid_auth")


async def test_app_token_opens_a_socket(slack: LocalSlack, client: AsyncWebClient) -> None:
    assert (await socket_url(client, slack.app_token)).startswith("ws://127.0.0.1:")


async def test_wrong_app_token_opens_none(client: AsyncWebClient) -> None:
    error = await failure(socket_url(client, "xapp-wrong"))

    assert isinstance(error, SlackRefused)
    assert error.code == "invalid_auth"


# ---- what it shows


async def test_post_is_in_the_thread(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    ts = await chat.post(general, root, text("**Hello**, Ana"))

    assert slack.screen("general", root) == ["**Hello**, Ana"]
    assert slack.thread("general", root)[0]["ts"] == ts


async def test_links_in_a_post_do_not_unfurl(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    await chat.post(general, root, text("https://example.org"))

    assert not slack.calls[-1].args["unfurl_links"]
    assert not slack.calls[-1].args["unfurl_media"]


async def test_update_replaces_the_post_without_a_mark(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    ts = await chat.post(general, root, text("Hel"))

    await chat.update(general, ts, text("Hello"))

    assert slack.screen("general", root) == ["Hello"]
    assert "edited" not in slack.message("general", ts)
    assert slack.calls[-1].args["parse"] == "none"


async def test_deleted_post_is_gone(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    ts = await chat.post(general, root, text("Never mind"))

    await chat.delete(general, ts)

    assert slack.screen("general", root) == []


async def test_status_is_shown_until_it_is_cleared(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    await chat.set_status(general, root, "is thinking...")
    shown = slack.status("general", root)
    await chat.set_status(general, root, "")

    assert shown == "is thinking..."
    assert slack.status("general", root) == ""


async def test_reaction_comes_and_goes(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    await chat.add_reaction(general, root, "eyes")
    shown = slack.reactions("general", root)
    await chat.remove_reaction(general, root, "eyes")

    assert shown == {"eyes": [BOT.user]}
    assert slack.reactions("general", root) == {}


# ---- what it reads


async def test_thread_is_read_over_all_its_pages(
    slack: LocalSlack,
    chat: SlackChat,
    general: str,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slack_edge, "PAGE", 2)
    for number in range(5):
        await slack.say("general", "Ben", f"reply {number}", thread_ts=root)

    messages = await chat.thread(general, root)

    replies = [f"reply {number}" for number in range(5)]
    assert [message["text"] for message in messages] == [f"<@{BOT.user}> hello", *replies]
    assert slack.count("conversations.replies") == 3


async def test_page_that_comes_again_and_again_is_the_last(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    page = {"ok": True, "messages": [{"ts": root}], "response_metadata": {"next_cursor": "x"}}
    again = replace(Fault.error(""), body=page)
    slack.faults.add("conversations.replies", again, times=None)

    messages = await chat.thread(general, root)

    assert messages == [{"ts": root}]
    assert slack.count("conversations.replies") == 2


async def test_thread_comes_with_metadata(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    message = part("Hello", TurnKey("T", "C", "1.1"))
    await chat.post(general, root, message)

    messages = await chat.thread(general, root)

    assert messages[1]["metadata"] == message["metadata"]


async def test_thread_that_is_not_there_is_refused(chat: SlackChat, general: str) -> None:
    error = await failure(chat.thread(general, UNKNOWN_TS))

    assert isinstance(error, SlackRefused)
    assert error.code == "thread_not_found"


async def test_reply_is_found_by_turn_and_part(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    turn, other = TurnKey("T", general, root), TurnKey("T", general, "9.9")
    await chat.post(general, root, part("other", other))
    first = await chat.post(general, root, part("one", turn, 0))
    second = await chat.post(general, root, part("two", turn, 1))

    assert await chat.find_reply(general, root, turn) == {first: 0, second: 1}


@pytest.mark.parametrize("author", [{}, {"bot_id": "B0OTHER"}, {"app_id": "A0OTHER"}])
async def test_forged_reply_is_not_adopted(
    slack: LocalSlack, chat: SlackChat, general: str, root: str, author: dict[str, Any]
) -> None:
    turn = TurnKey("T", general, root)
    metadata = part("forged", turn)["metadata"]
    await slack.say("general", "Ben", "forged", thread_ts=root, metadata=metadata, **author)

    assert await chat.find_reply(general, root, turn) == {}


async def test_names_are_looked_up_once(slack: LocalSlack, chat: SlackChat) -> None:
    slack.add_person("Dora", display_name="Dora the Explorer")
    users = [slack.person(name).id for name in ("Ana", "Ben", "Dora")]

    names = [await chat.names(users) for _ in range(3)]

    assert (
        names[0] == names[2] == dict(zip(users, ["Ana", "Ben", "Dora the Explorer"], strict=True))
    )
    assert slack.count("users.info") == 3


async def test_names_that_cannot_be_had_are_left_out(slack: LocalSlack, chat: SlackChat) -> None:
    ana, ben = slack.person("Ana").id, slack.person("Ben").id
    slack.faults.add("users.info", Fault.unavailable(), where=lambda args: args["user"] == ben)

    assert await chat.names([ana, ben, "U0NOBODY"]) == {ana: "Ana"}
    assert await chat.names([ben]) == {ben: "Ben"}  # a passing error is not remembered


async def test_without_the_scope_there_are_no_names(slack: LocalSlack, chat: SlackChat) -> None:
    slack.scopes.remove("users:read")

    assert await chat.names([slack.person("Ana").id]) == {}


async def test_crowd_is_looked_up_in_part(slack: LocalSlack, chat: SlackChat) -> None:
    users = [slack.add_person(f"Person{number}") for number in range(60)]

    names = await chat.names(users)

    assert len(names) == slack.count("users.info") == LOOKUPS_PER_QUESTION


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"name": "ana", "profile": {"display_name": "", "real_name": "Ana B"}}, {"U1": "Ana B"}),
        ({"name": "ana", "profile": None}, {"U1": "ana"}),
        ({"profile": {}}, {}),
        (None, {}),
    ],
)
async def test_name_is_the_best_that_slack_knows(user: object, name: dict[str, str]) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"ok": True, "user": user})

    async with serving(handler) as url, connected("xoxb-1", api_url=url) as client:
        assert await SlackChat(client, BOT).names(["U1"]) == name


# ---- errors


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.refuse(retry_after=7), RateLimited),
        (Fault.rate_limited(), RateLimited),
        (Fault.error("internal_error"), Unavailable),
        (Fault.error("fatal_error"), Unavailable),
        (Fault.error("service_unavailable"), Unavailable),
        (Fault.error("request_timeout"), Unavailable),
        (Fault.unavailable(500), Unavailable),
        (Fault.unavailable(502), Unavailable),
        (Fault.unavailable(503), Unavailable),
        (Fault.unavailable(504), Unavailable),
        (Fault.reset(), Unavailable),
        (Fault.lost_answer(), Unavailable),
        (Fault.error("channel_not_found"), SlackRefused),
        (Fault.error("invalid_auth"), SlackRefused),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value.__name__,
)
async def test_fault_is_our_error_and_nothing_is_tried_again(
    slack: LocalSlack, chat: SlackChat, general: str, root: str, fault: Fault, kind: type[BotError]
) -> None:
    slack.faults.add("chat.postMessage", fault)

    error = await failure(chat.post(general, root, text("Hello")))

    assert type(error) is kind
    assert [call.method for call in slack.calls] == ["chat.postMessage"]


async def test_refusal_says_when_to_come_back(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    slack.faults.add("chat.postMessage", Fault.refuse(retry_after=7))
    slack.faults.add("chat.postMessage", Fault.rate_limited())

    errors = [await failure(chat.post(general, root, text("Hello"))) for _ in range(2)]

    assert [getattr(error, "retry_after", "?") for error in errors] == [7.0, None]


async def test_lost_answer_leaves_the_post(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    turn = TurnKey("T", general, root)
    slack.faults.add("chat.postMessage", Fault.lost_answer())

    await failure(chat.post(general, root, part("Hello", turn)))

    assert slack.screen("general", root) == ["Hello"]
    found = await chat.find_reply(general, root, turn)
    assert found == {slack.thread("general", root)[0]["ts"]: 0}


async def test_missing_scope_is_refused_with_slacks_word(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    slack.scopes.remove("reactions:write")

    error = await failure(chat.add_reaction(general, root, "eyes"))

    assert str(error) == "reactions.add: missing_scope"


async def test_call_that_takes_too_long_is_unavailable(
    slack: LocalSlack, general: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_api, "SHOWING_TIMEOUT", 0.1)
    slack.faults.add("chat.postMessage", Fault.slow(30))

    async with connected(slack.bot_token, api_url=slack.api_url) as client:
        error = await failure(SlackChat(client, BOT).post(general, root, text("Hello")))

    assert type(error) is Unavailable
    assert str(error) == "Slack: chat.postMessage: TimeoutError"


async def test_nobody_at_the_address_is_unavailable() -> None:
    async with connected("xoxb-1", api_url=f"{NOBODY}/api/") as client:
        error = await failure(identify(client))

    assert type(error) is Unavailable


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 200, "text": "<html>", "content_type": "text/html"}, Unavailable),
        ({"status": 200, "text": "upstream", "content_type": "text/plain"}, Unavailable),
        ({"status": 503, "text": "upstream", "content_type": "text/plain"}, Unavailable),
        ({"status": 200, "text": "", "content_type": "application/json"}, Unavailable),
        ({"status": 200, "text": "{", "content_type": "application/json"}, Unavailable),
        ({"status": 200, "text": "[1]", "content_type": "application/json"}, Unavailable),
        ({"status": 200, "text": "null", "content_type": "application/json"}, Unavailable),
        ({"status": 200, "body": b'{"\xff', "content_type": "application/json"}, Unavailable),
        ({"status": 200, "text": '{"ok": false}', "content_type": "application/json"}, Unavailable),
        ({"status": 429, "text": "<html>", "content_type": "text/html"}, RateLimited),
        ({"status": 429, "text": "slow down", "content_type": "text/plain"}, RateLimited),
    ],
)
async def test_answer_that_slack_does_not_give_is_understood(
    answer: dict[str, Any], kind: type[BotError]
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(**answer)

    async with serving(handler) as url, connected("xoxb-1", api_url=url) as client:
        error = await failure(SlackChat(client, BOT).delete("C1", "1.1"))

    assert type(error) is kind


@pytest.mark.parametrize(
    ("header", "seconds"), [("30", 30.0), ("1.5", 1.5), ("-1", 0.0), ("soon", None), ("", None)]
)
async def test_retry_after_may_be_anything(header: str, seconds: float | None) -> None:
    async def handler(_: web.Request) -> web.Response:
        answer = {"ok": False, "error": "ratelimited"}
        return web.json_response(answer, status=429, headers={"Retry-After": header})

    async with serving(handler) as url, connected("xoxb-1", api_url=url) as client:
        error = await failure(SlackChat(client, BOT).post("C1", "1.1", text("Hello")))

    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


async def test_error_repeats_nothing_of_token_or_text(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    errors = []
    for fault in (Fault.unavailable(), Fault.reset(), Fault.error("invalid_blocks", text=SECRET)):
        slack.faults.add("chat.postMessage", fault)
        errors.append(await failure(chat.post(general, root, text(SECRET))))

    said = " ".join(f"{error} {error.sentence}" for error in errors)
    assert SECRET not in said
    assert slack.bot_token not in said


async def test_what_people_write_is_in_no_log(
    slack: LocalSlack,
    chat: SlackChat,
    general: str,
    root: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    slack.faults.add("chat.postMessage", Fault.error("invalid_blocks"), skip=1)

    await chat.post(general, root, text(SECRET))
    await chat.thread(general, root)
    await failure(chat.post(general, root, text(SECRET)))

    assert SECRET not in caplog.text


# ---- budgets


async def test_call_beyond_the_budget_waits_and_is_not_refused(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    slack.limits = Limits.real()
    budget = BUDGETS["conversations.replies"]
    for _ in range(budget):
        await chat.thread(general, root)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await chat.thread(general, root)

    assert slack.count("conversations.replies") == budget
    assert slack.count("conversations.replies", refused=True) == 0


async def test_calls_under_way_count_in_the_budget(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    budget = BUDGETS["reactions.remove"]
    calls = [chat.remove_reaction(general, root, "eyes") for _ in range(budget + 5)]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await asyncio.gather(*calls, return_exceptions=True)

    assert slack.count("reactions.remove") == budget


async def test_method_that_slack_refused_is_left_alone_for_that_time(
    slack: LocalSlack, chat: SlackChat, general: str, root: str
) -> None:
    slack.faults.add("conversations.replies", Fault.refuse(retry_after=20))
    await failure(chat.thread(general, root))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await chat.thread(general, root)

    assert len(slack.calls) == 1
    await chat.add_reaction(general, root, "eyes")  # other methods are free


async def test_names_beyond_the_budget_are_left_out(slack: LocalSlack, chat: SlackChat) -> None:
    slack.limits = Limits.real()
    users = [slack.add_person(f"Person{number}") for number in range(120)]

    names = [await chat.names(users[start : start + 40]) for start in (0, 40, 80)]

    assert [len(each) for each in names] == [40, 40, BUDGETS["users.info"] - 80]
    assert slack.count("users.info", refused=True) == 0


# ---- connections


async def test_one_connection_serves_one_call_after_the_other() -> None:
    peers = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({"ok": True, "ts": "1.1", "messages": []})

    async with serving(handler) as url, connected("xoxb-1", api_url=url) as client:
        chat = SlackChat(client, BOT)
        ts = await chat.post("C1", "1.1", text("Hello"))
        await chat.update("C1", ts, text("Hello"))
        await chat.thread("C1", "1.1")
        await chat.delete("C1", ts)

    assert len(peers) == 1


async def test_hundreds_of_calls_are_under_way_at_once() -> None:
    count, arrived, all_here = 200, 0, asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        nonlocal arrived
        arrived += 1
        if arrived == count:
            all_here.set()
        await all_here.wait()
        return web.json_response({"ok": True, "ts": "1.1"})

    async with serving(handler) as url, connected("xoxb-1", api_url=url) as client:
        chat = SlackChat(client, BOT)
        posts = await asyncio.gather(*(chat.post("C1", "1.1", text("Hello")) for _ in range(count)))

    assert posts == ["1.1"] * count


# ---- proxies


@pytest.mark.parametrize(
    ("env", "url", "proxy"),
    [
        ({}, "https://slack.com/api/", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://slack.com/api/", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "https://slack.com/api/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://slack.com/api/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://slack.test/api/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "slack.com"}, "https://slack.com/api/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".slack.com"}, "https://wss.slack.com/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://slack.com/api/", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "x.org"}, "https://slack.com/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "http://127.0.0.1:80/api/", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://localhost:80/api/", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:80/api/", None),
    ],
)
def test_proxy_is_the_one_of_the_environment(
    env: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(url) == proxy


async def test_proxy_is_not_asked_for_loopback(
    slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.setenv("HTTPS_PROXY", NOBODY)

    async with connected(slack.bot_token, api_url=slack.api_url) as client:
        assert await identify(client) == BOT


async def test_calls_go_through_the_proxy(
    slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", slack.api_url.removesuffix("/api/"))

    async with connected(slack.bot_token, api_url="http://slack.test/api/") as client:
        assert await identify(client) == BOT


async def test_exempted_host_is_called_directly(
    slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", slack.api_url.removesuffix("/api/"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.2")

    async with connected(slack.bot_token, api_url="http://127.0.0.2:9/api/") as client:
        error = await failure(identify(client))

    assert type(error) is Unavailable
    assert slack.calls == []


async def test_names_that_are_slow_to_come_do_not_hold_the_answer_up(
    slack: LocalSlack, chat: SlackChat
) -> None:
    slack.faults.add("users.info", Fault.slow(8))

    began = asyncio.get_running_loop().time()
    names = await chat.names(["U0ANA", "U0BEN"])

    assert len(names) == 1
    assert asyncio.get_running_loop().time() - began < 5


# -- streams


async def stream_begun(slack: LocalSlack, chat: SlackChat, words: str) -> tuple[TurnKey, str]:
    """A question in #general, and a stream in its thread."""
    general = slack.workspace.channel("general").id
    ts = await slack.say(general, "Ana", "why?")
    asked = Question("T0LOCAL", general, ts, ts, slack.person("Ana").id, "why?")
    return asked.key, await chat.start_stream(asked, words)


async def test_stream_begins_grows_and_ends_as_a_part_of_its_turn(
    slack: LocalSlack, chat: SlackChat
) -> None:
    turn, ts = await stream_begun(slack, chat, "It is ")
    await chat.append_stream(turn.channel, ts, "**salty** ")
    end = stream_end(part("It is **salty** and wide.", turn), "and wide.")
    await chat.stop_stream(turn.channel, ts, end)

    assert slack.screen(turn.channel, turn.ts) == ["It is **salty** and wide."]
    assert await chat.find_reply(turn.channel, turn.ts, turn) == {ts: 0}


async def test_stream_that_nobody_ended_is_found_where_it_is_looked_for(
    slack: LocalSlack, chat: SlackChat
) -> None:
    turn, ts = await stream_begun(slack, chat, "It is ")
    await chat.post(turn.channel, turn.ts, notice_message("I am being restarted."))

    assert await chat.find_reply(turn.channel, turn.ts, turn) == {}
    found = await chat.find_reply(turn.channel, turn.ts, turn, with_streams=True)
    assert found == {ts: UNMARKED}
    slack.workspace.rich_text_blocks = True
    assert await chat.find_reply(turn.channel, turn.ts, turn, with_streams=True) == found


@pytest.mark.parametrize(
    "code", ["message_not_in_streaming_state", "stopped_by_user", "msg_too_long"]
)
async def test_what_slack_says_of_a_stream_is_told_by_its_code(
    slack: LocalSlack, chat: SlackChat, code: str
) -> None:
    turn, ts = await stream_begun(slack, chat, "It is ")
    slack.faults.add("chat.appendStream", Fault.error(code))

    with pytest.raises(SlackRefused) as refused:
        await chat.append_stream(turn.channel, ts, "salty")

    assert refused.value.code == code

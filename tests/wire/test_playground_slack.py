"""The local Slack behaves on the wire as Slack does, seen through the real Slack SDK."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.slack import Budget, Call, Entry, Fault, LocalSlack, workspace
from bot.playground.slack.blocks import as_rich_text, visible_text
from bot.playground.slack.limits import Limits, SlidingWindow, TokenBucket

HASTY = (0.1, 0.0, 0.02, 0.02)  # seconds: as Slack's 3 s, at once, 1 minute, 5 minutes


def markdown(text: str) -> list[dict[str, str]]:
    return [{"type": "markdown", "text": text}]


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack() as slack:
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def client(slack: LocalSlack, session: aiohttp.ClientSession) -> AsyncWebClient:
    return web_client(slack, session, slack.bot_token)


def web_client(slack: LocalSlack, session: aiohttp.ClientSession, token: str) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=slack.api_url, session=session, retry_handlers=[])


class App:
    """The receiving end of Socket Mode; acknowledges everything unless told not to."""

    def __init__(self, slack: LocalSlack, session: aiohttp.ClientSession) -> None:
        client = web_client(slack, session, slack.bot_token)
        self.socket = SocketModeClient(slack.app_token, web_client=client, ping_interval=0.05)
        self.socket.socket_mode_request_listeners.append(self._receive)
        self.frames: list[dict[str, Any]] = []
        self.socket.message_listeners.append(self._see)
        self.requests: list[SocketModeRequest] = []
        self.silent = 0  # so many requests are not acknowledged
        self.response: dict[str, Any] | None = None

    async def __aenter__(self) -> "App":
        await self.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.socket.close()  # type: ignore[no-untyped-call]

    async def connect(self) -> None:
        await self.socket.connect()  # type: ignore[no-untyped-call]

    async def _see(self, _client: object, frame: dict[str, Any], _raw: object) -> None:
        self.frames.append(frame)

    async def _receive(self, _client: object, request: SocketModeRequest) -> None:
        self.requests.append(request)
        if self.silent:
            self.silent -= 1
            return
        ack = SocketModeResponse(envelope_id=request.envelope_id, payload=self.response)
        await self.socket.send_socket_mode_response(ack)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [request.payload["event"] for request in self.requests]


@pytest.fixture
async def app(slack: LocalSlack, session: aiohttp.ClientSession) -> AsyncIterator[App]:
    async with App(slack, session) as app:
        yield app


async def all_acked(slack: LocalSlack) -> None:
    await slack.until(lambda: all(delivery.acked for delivery in slack.deliveries))


# Posting and reading


async def test_post_is_on_the_screen(slack: LocalSlack, client: AsyncWebClient) -> None:
    ts = await slack.say("general", "Ana", "question")

    answer = await client.chat_postMessage(
        channel="C0GENERAL", thread_ts=ts, text="short", blocks=markdown("**long**")
    )

    assert slack.screen("general", ts) == ["**long**"]
    assert answer["message"]["bot_id"] == "B0BOT"
    assert answer["ts"] == answer["message"]["ts"] > ts


async def test_ts_never_repeats(slack: LocalSlack) -> None:
    written = [await slack.say("general", "Ana", "again") for _ in range(100)]

    assert sorted(set(written)) == written


async def test_update_replaces_what_is_shown(slack: LocalSlack, client: AsyncWebClient) -> None:
    post = await client.chat_postMessage(channel="C0GENERAL", text="one", blocks=markdown("one"))

    answer = await client.chat_update(
        channel="C0GENERAL", ts=post["ts"], text="two", blocks=markdown("two")
    )

    assert slack.screen("general") == ["two"]
    assert answer["text"] == "two"
    assert "edited" not in slack.message("general", post["ts"])


async def test_update_with_text_alone_removes_blocks_and_shows_edited(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    post = await client.chat_postMessage(channel="C0GENERAL", text="one", blocks=markdown("one"))

    await client.chat_update(channel="C0GENERAL", ts=post["ts"], text="two")

    message = slack.message("general", post["ts"])
    assert "blocks" not in message
    assert message["edited"]["user"] == slack.bot_user_id


async def test_metadata_stays_when_an_update_omits_it(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    metadata = {"event_type": "turn", "event_payload": {"key": "k1"}}
    post = await client.chat_postMessage(channel="C0GENERAL", text="one", metadata=metadata)

    await client.chat_update(channel="C0GENERAL", ts=post["ts"], text="two")

    assert slack.message("general", post["ts"])["metadata"] == metadata

    await client.chat_update(channel="C0GENERAL", ts=post["ts"], text="three", metadata={})

    assert "metadata" not in slack.message("general", post["ts"])


async def test_metadata_is_returned_only_when_asked(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    ts = await slack.say("general", "Ana", "question")
    metadata = {"event_type": "turn", "event_payload": {}}
    await client.chat_postMessage(channel="C0GENERAL", thread_ts=ts, text="a", metadata=metadata)

    plain = await client.conversations_replies(channel="C0GENERAL", ts=ts)
    full = await client.conversations_replies(channel="C0GENERAL", ts=ts, include_all_metadata=True)

    assert "metadata" not in plain["messages"][1]
    assert full["messages"][1]["metadata"] == metadata


async def test_replies_come_in_pages_root_first(slack: LocalSlack, client: AsyncWebClient) -> None:
    root = await slack.say("general", "Ana", "root")
    for number in range(4):
        await slack.say("general", "Ben", str(number), thread_ts=root)

    texts, cursor = [], ""
    while True:
        page = await client.conversations_replies(
            channel="C0GENERAL", ts=root, limit=2, cursor=cursor
        )
        texts.append([message["text"] for message in page["messages"]])
        if not page["has_more"]:
            break
        cursor = page["response_metadata"]["next_cursor"]

    assert texts == [["root", "0"], ["1", "2"], ["3"]]


async def test_oldest_is_exclusive_unless_inclusive(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    root = await slack.say("general", "Ana", "root")
    first = await slack.say("general", "Ana", "first", thread_ts=root)
    await slack.say("general", "Ana", "second", thread_ts=root)

    where: dict[str, Any] = {"channel": "C0GENERAL", "ts": root, "oldest": first}
    later = await client.conversations_replies(**where)
    from_first = await client.conversations_replies(**where, inclusive=True)

    assert [message["text"] for message in later["messages"]] == ["root", "second"]
    assert [message["text"] for message in from_first["messages"]] == ["root", "first", "second"]


async def test_history_shows_the_newest_first_and_no_replies(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    root = await slack.say("random", "Ana", "old")
    await slack.say("random", "Ana", "reply", thread_ts=root)
    await slack.say("random", "Ana", "new")

    answer = await client.conversations_history(channel="C0RANDOM")

    assert [message["text"] for message in answer["messages"]] == ["new", "old"]
    assert answer["messages"][1]["reply_count"] == 1


async def test_reply_to_an_unknown_message_is_accepted_and_unseen(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    answer = await client.chat_postMessage(channel="C0GENERAL", thread_ts="1.000001", text="lost")

    assert answer["ok"]
    assert slack.screen("general") == []


async def test_deleted_root_leaves_a_tombstone(slack: LocalSlack, client: AsyncWebClient) -> None:
    root = await slack.say("general", "Ana", "root")
    await slack.say("general", "Ben", "reply", thread_ts=root)

    await slack.delete("general", root)

    answer = await client.conversations_replies(channel="C0GENERAL", ts=root)
    assert [message.get("subtype") for message in answer["messages"]] == ["tombstone", None]


async def test_bare_angle_brackets_come_back_escaped(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    post = await client.chat_postMessage(channel="C0GENERAL", text="a < b & <@U0ANA>")

    assert post["message"]["text"] == "a &lt; b &amp; <@U0ANA>"
    assert slack.screen("general") == ["a < b & <@U0ANA>"]


async def test_markdown_may_be_handed_back_as_rich_text(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.workspace.rich_text_blocks = True
    ts = await slack.say("general", "Ana", "question")
    await client.chat_postMessage(
        channel="C0GENERAL", thread_ts=ts, text="x", blocks=markdown("a **b**\n```py\nx = 1\n```")
    )

    answer = await client.conversations_replies(channel="C0GENERAL", ts=ts)

    (block,) = answer["messages"][1]["blocks"]
    assert [part["type"] for part in block["elements"]] == [
        "rich_text_section",
        "rich_text_preformatted",
    ]
    assert visible_text(answer["messages"][1]) == "a b\nx = 1"


def test_rich_text_shows_lists_quotes_and_links() -> None:
    text = "# Title\n> said *so*\n- one `x`\n- two\n\n1. [here](https://a.example)"

    shown = visible_text({"blocks": [as_rich_text(text)]})

    assert shown == "# Title\nsaid so\n• one x\n• two\n1. here"


async def test_ephemeral_is_seen_by_one_person(slack: LocalSlack, client: AsyncWebClient) -> None:
    await client.chat_postEphemeral(channel="C0GENERAL", user="U0BEN", text="psst")

    assert [message["text"] for message in slack.ephemerals("general", "Ben")] == ["psst"]
    assert slack.ephemerals("general", "Ana") == []
    assert slack.screen("general") == []


async def test_status_ends_with_the_reply(slack: LocalSlack, client: AsyncWebClient) -> None:
    dm = slack.dm("Ana")
    ts = await slack.say(dm, "Ana", "question")

    await client.assistant_threads_setStatus(channel_id=dm, thread_ts=ts, status="is thinking...")

    assert slack.status(dm, ts) == "is thinking..."

    await client.chat_postMessage(channel=dm, thread_ts=ts, text="answer")

    assert slack.statuses == {}


async def test_status_ends_after_two_minutes(session: aiohttp.ClientSession) -> None:
    now = 0.0
    async with LocalSlack(clock=lambda: now) as slack:
        client = web_client(slack, session, slack.bot_token)
        await client.assistant_threads_setStatus(
            channel_id="D0ANA", thread_ts="1.000001", status="is thinking..."
        )

        now = 119.0
        before = slack.status("D0ANA", "1.000001")
        now = 120.0

        assert (before, slack.status("D0ANA", "1.000001")) == ("is thinking...", "")


async def test_reactions_are_counted_once(slack: LocalSlack, client: AsyncWebClient) -> None:
    ts = await slack.say("general", "Ana", "question")
    await client.reactions_add(channel="C0GENERAL", timestamp=ts, name="eyes")
    await slack.react("general", "Ben", ts, "eyes")

    with pytest.raises(SlackApiError, match="already_reacted"):
        await client.reactions_add(channel="C0GENERAL", timestamp=ts, name="eyes")

    assert slack.reactions("general", ts) == {"eyes": ["U0BOT", "U0BEN"]}

    await client.reactions_remove(channel="C0GENERAL", timestamp=ts, name="eyes")
    with pytest.raises(SlackApiError, match="no_reaction"):
        await client.reactions_remove(channel="C0GENERAL", timestamp=ts, name="eyes")


async def test_reaction_is_taken_away_by_who_gave_it(slack: LocalSlack) -> None:
    ts = await slack.say("general", "Ana", "hello")
    for person in ("Ana", "Ben", "Ben"):
        await slack.react("general", person, ts, "eyes")

    await slack.unreact("general", "Chloe", ts, "eyes")
    await slack.unreact("general", "Ana", ts, "eyes")
    left = slack.reactions("general", ts)
    await slack.unreact("general", "Ben", ts, "eyes")

    assert (left, slack.reactions("general", ts)) == ({"eyes": ["U0BEN"]}, {})


async def test_people_are_told_apart(slack: LocalSlack, client: AsyncWebClient) -> None:
    admin = await client.users_info(user="U0CHLOE")
    guest = await client.users_info(user="U0DAN")

    assert admin["user"]["is_admin"]
    assert guest["user"]["is_restricted"]


async def test_views_are_kept(slack: LocalSlack, client: AsyncWebClient) -> None:
    view = {"type": "home", "blocks": [{"type": "divider"}]}

    await client.views_publish(user_id="U0ANA", view=view)

    assert slack.workspace.homes["U0ANA"]["blocks"] == [{"type": "divider"}]


# Refusals

POST = "chat.postMessage"
UPDATE = "chat.update"
HERE = {"channel": "C0GENERAL"}
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        (POST, {**HERE}, "no_text"),
        (POST, {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        (POST, {"channel": "C0STRANGE", "text": "x"}, "not_in_channel"),
        (POST, {"channel": "C0SECRET", "text": "x"}, "channel_not_found"),
        (POST, {**HERE, "text": "x", "thread_ts": "0"}, "invalid_thread_ts"),
        (POST, {**HERE, "text": "x", "blocks": markdown("x") * 51}, "msg_blocks_too_many"),
        (POST, {**HERE, "text": "x", "blocks": markdown("x" * 6001) * 2}, "msg_blocks_too_long"),
        (POST, {**HERE, "text": "x", "blocks": [SECTION]}, "invalid_blocks"),
        (POST, {**HERE, "text": "x", "blocks": [{"type": "poem"}]}, "invalid_blocks"),
        (POST, {**HERE, "text": "x", "blocks": "[{"}, "invalid_blocks_format"),
        (POST, {**HERE, "text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        (POST, {**HERE, "text": "x", "markdown_text": "x"}, "markdown_text_conflict"),
        (UPDATE, {**HERE, "ts": "OWN", "text": "x" * 4001}, "msg_too_long"),
        (UPDATE, {**HERE, "ts": "1.000001", "text": "x"}, "message_not_found"),
        (UPDATE, {**HERE, "ts": "ANA", "text": "x"}, "cant_update_message"),
        ("chat.delete", {**HERE, "ts": "ANA"}, "cant_delete_message"),
        ("conversations.replies", {**HERE, "ts": "1.000001"}, "thread_not_found"),
        ("conversations.replies", {**HERE, "ts": "ANA", "cursor": "?"}, "invalid_cursor"),
        ("conversations.replies", {**HERE, "ts": "ANA", "limit": "many"}, "invalid_arguments"),
        ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
        ("views.publish", {"user_id": "U0ANA", "view": "{"}, "invalid_arguments"),
        ("chat.shout", {}, "unknown_method"),
    ],
)
async def test_slack_refuses(
    slack: LocalSlack,
    client: AsyncWebClient,
    method: str,
    arguments: dict[str, Any],
    error: str,
) -> None:
    slack.add_channel("strange", bot=False)
    slack.add_channel("secret", kind="private", bot=False)
    own = await client.chat_postMessage(channel="C0GENERAL", text="own")
    known = {"OWN": own["ts"], "ANA": await slack.say("general", "Ana", "hers")}
    arguments = {**arguments, "ts": known.get(arguments.get("ts", ""), arguments.get("ts"))}

    with pytest.raises(SlackApiError) as refusal:
        await client.api_call(method, json=arguments)

    assert refusal.value.response["error"] == error


async def test_form_fields_may_carry_json(slack: LocalSlack, client: AsyncWebClient) -> None:
    blocks = '[{"type": "markdown", "text": "from a form"}]'

    await client.api_call("chat.postMessage", data={**HERE, "text": "x", "blocks": blocks})

    assert slack.screen("general") == ["from a form"]


async def test_long_text_is_cut_in_a_post(slack: LocalSlack, client: AsyncWebClient) -> None:
    answer = await client.chat_postMessage(channel="C0GENERAL", text="x" * 40_001)

    assert len(answer["message"]["text"]) == 40_000


@pytest.mark.parametrize(
    ("token", "method", "error"),
    [
        ("", "auth.test", "not_authed"),
        ("xoxb-other", "auth.test", "invalid_auth"),
        ("xapp-local", "auth.test", "not_allowed_token_type"),
        ("xoxb-local", "apps.connections.open", "not_allowed_token_type"),
    ],
)
async def test_wrong_token_is_refused(
    slack: LocalSlack, session: aiohttp.ClientSession, token: str, method: str, error: str
) -> None:
    with pytest.raises(SlackApiError, match=error):
        await web_client(slack, session, token).api_call(method)


async def test_granted_scopes_are_told_and_checked(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.scopes.remove("im:history")
    ts = await slack.say("general", "Ana", "question")

    identity = await client.auth_test()
    await client.conversations_replies(channel="C0GENERAL", ts=ts)
    with pytest.raises(SlackApiError) as refusal:
        await client.conversations_replies(channel=slack.dm("Ana"), ts=ts)

    assert "chat:write" in identity.headers["x-oauth-scopes"].split(",")
    assert refusal.value.response["error"] == "missing_scope"
    assert refusal.value.response["needed"] == "im:history"


@pytest.mark.parametrize(("body", "error"), [("{", "invalid_json"), ("[]", "json_not_object")])
async def test_malformed_body_is_an_error_of_slack(
    slack: LocalSlack, session: aiohttp.ClientSession, body: str, error: str
) -> None:
    url, headers = f"{slack.api_url}chat.postMessage", {"content-type": "application/json"}

    async with session.post(url, data=body, headers=headers) as response:
        answer = await response.json()

    assert (response.status, answer["error"]) == (200, error)


# Limits


def accepted(limiter: SlidingWindow | TokenBucket, times: list[float]) -> list[float]:
    taken = []
    for now in times:
        if limiter.wait(now) <= 0.0:
            limiter.take(now)
            taken.append(now)
    return taken


def test_sliding_window_frees_a_slot_after_its_minute() -> None:
    window = SlidingWindow(2, 60.0)

    assert accepted(window, [0.0, 10.0, 20.0, 59.0, 60.0, 61.0, 70.0]) == [0.0, 10.0, 60.0, 70.0]
    assert window.wait(80.0) == 40.0


def test_token_bucket_refills_evenly_after_a_burst() -> None:
    bucket = TokenBucket(2, 60.0)

    assert accepted(bucket, [0.0, 0.0, 0.0, 29.0, 30.0, 60.0]) == [0.0, 0.0, 30.0, 60.0]
    assert bucket.wait(60.0) == 30.0


@pytest.mark.parametrize("form", [SlidingWindow, TokenBucket])
def test_refused_call_takes_no_slot(form: type[SlidingWindow] | type[TokenBucket]) -> None:
    limits = Limits({"chat.update": 1}, form=form)
    limits.admit("chat.update", None, 0.0)

    waits = [limits.admit("chat.update", None, now) for now in (15.0, 30.0, 60.0)]

    assert waits == [45.0, 30.0, 0.0]


def test_limits_may_be_tighter_than_documented() -> None:
    limits = Limits.real(scale=0.4)

    assert [limits.admit("chat.update", None, 0.0) for _ in range(21)] == [0.0] * 20 + [60.0]

    limits.scale = 1.0

    assert [limits.admit("chat.update", None, 1.0) for _ in range(31)] == [0.0] * 30 + [59.0]


def test_one_channel_takes_one_post_per_second() -> None:
    limits = Limits.real()

    waits = [limits.admit("chat.postMessage", *at) for at in [("A", 0.0), ("A", 0.5), ("B", 0.5)]]

    assert waits == [0.0, 0.5, 0.0]


def test_window_tells_what_is_left_of_it() -> None:
    limits = Limits({"chat.update": 2})
    for now in (0.0, 10.0):
        limits.admit("chat.update", None, now)

    told = [limits.used(now)["chat.update"] for now in (10.0, 30.0, 60.0, 70.0)]

    assert told == [Budget(2, 2, 50.0), Budget(2, 2, 30.0), Budget(1, 2, 0.0), Budget(0, 2, 0.0)]


def test_bucket_tells_what_is_left_of_it() -> None:
    limits = Limits({"chat.update": 2}, form=TokenBucket)
    for now in (0.0, 0.0):
        limits.admit("chat.update", None, now)

    told = [limits.used(now)["chat.update"] for now in (0.0, 15.0, 30.0, 60.0)]

    assert told == [Budget(2, 2, 30.0), Budget(2, 2, 15.0), Budget(1, 2, 0.0), Budget(0, 2, 0.0)]


@pytest.mark.parametrize("form", [SlidingWindow, TokenBucket])
def test_looking_at_what_is_left_takes_nothing(
    form: type[SlidingWindow] | type[TokenBucket],
) -> None:
    looked, other = (Limits({"chat.update": 3}, form=form) for _ in range(2))

    for step in range(40):
        now = step * 7.0
        looked.used(now + 5.0)
        waits = [limits.admit("chat.update", None, now) for limits in (looked, other)]
        assert waits[0] == pytest.approx(waits[1])


def test_only_called_and_limited_methods_have_a_budget() -> None:
    real, off = Limits.real(scale=0.1), Limits.off()
    for limits in (real, off):
        limits.admit("auth.test", None, 0.0)
        limits.admit("chat.update", None, 0.0)

    assert real.used(1.0) == {"chat.update": Budget(used=1, limit=5, free_in=0.0)}
    assert off.used(1.0) == {}


async def test_refusal_says_when_to_come_back(session: aiohttp.ClientSession) -> None:
    now = 0.0
    async with LocalSlack(limits=Limits({"users.info": 1}), clock=lambda: now) as slack:
        client = web_client(slack, session, slack.bot_token)
        await client.users_info(user="U0ANA")
        now = 12.5
        with pytest.raises(SlackApiError) as refusal:
            await client.users_info(user="U0ANA")

        slack.limits = Limits.off()
        await client.users_info(user="U0ANA")

        response = refusal.value.response
        assert (response.status_code, response.headers["Retry-After"]) == (429, "48")
        assert response["error"] == "ratelimited"
        assert [call.retry_after for call in slack.calls] == [None, 48, None]
        assert slack.count("users.info") == 2
        assert slack.count("users.info", refused=True) == 1


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (Fault.refuse(retry_after=7), 429, "ratelimited"),
        (Fault.rate_limited(), 200, "rate_limited"),
        (Fault.error("missing_scope", needed="chat:write"), 200, "missing_scope"),
        (Fault.unavailable(503), 503, None),
    ],
)
async def test_fault_replaces_the_effect_once(
    slack: LocalSlack, client: AsyncWebClient, fault: Fault, status: int, error: str | None
) -> None:
    slack.faults.add("chat.postMessage", fault)

    with pytest.raises(SlackApiError) as refusal:
        await client.chat_postMessage(channel="C0GENERAL", text="first")
    await client.chat_postMessage(channel="C0GENERAL", text="second")

    assert refusal.value.response.status_code == status
    assert refusal.value.response.get("error") == error
    assert slack.screen("general") == ["second"]


async def test_reset_comes_before_the_effect(slack: LocalSlack, client: AsyncWebClient) -> None:
    slack.faults.add("chat.postMessage", Fault.reset())

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel="C0GENERAL", text="never")

    assert slack.screen("general") == []


async def test_lost_answer_leaves_the_effect(slack: LocalSlack, client: AsyncWebClient) -> None:
    slack.faults.add("chat.postMessage", Fault.lost_answer())

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel="C0GENERAL", text="done")

    assert slack.screen("general") == ["done"]
    assert slack.calls[-1].status is None


async def test_slow_call_takes_effect_before_its_answer(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.faults.add("chat.postMessage", Fault.slow(0.1, after=True))

    call = asyncio.create_task(client.chat_postMessage(channel="C0GENERAL", text="done"))
    await slack.until(lambda: slack.screen("general") == ["done"])

    assert slack.calls[-1].answered is None

    await call

    assert slack.calls[-1].ok


async def test_fault_may_wait_for_its_call(slack: LocalSlack, client: AsyncWebClient) -> None:
    refuse = Fault.error("channel_not_found")
    slack.faults.add(
        "chat.postMessage", refuse, times=None, skip=1, where=lambda args: args["text"] == "bad"
    )

    for text in ("bad", "good"):
        await client.chat_postMessage(channel="C0GENERAL", text=text)
    for _ in range(2):
        with pytest.raises(SlackApiError):
            await client.chat_postMessage(channel="C0GENERAL", text="bad")

    assert slack.screen("general") == ["bad", "good"]


async def test_latency_is_part_of_each_call(slack: LocalSlack, client: AsyncWebClient) -> None:
    slack.latency = 0.05

    await client.auth_test()

    call = slack.calls[-1]
    assert call.answered is not None
    assert call.answered - call.started >= 0.05


# Events


async def test_mention_reaches_the_app(slack: LocalSlack, app: App) -> None:
    ts = await slack.say("general", "Ana", "<@U0BOT> hello")
    await all_acked(slack)

    (event,) = app.events
    assert (event["type"], event["channel"], event["ts"]) == ("app_mention", "C0GENERAL", ts)
    assert app.frames[0]["type"] == "hello"
    assert app.frames[0]["num_connections"] == 1
    assert slack.deliveries[0].ack_seconds is not None


async def test_channel_message_without_mention_is_not_sent(slack: LocalSlack, app: App) -> None:
    await slack.say("general", "Ana", "hello")

    assert slack.deliveries == []


async def test_direct_message_reaches_the_app(slack: LocalSlack, app: App) -> None:
    await slack.say(slack.dm("Ana"), "Ana", "hello")
    await all_acked(slack)

    (event,) = app.events
    assert (event["type"], event["channel_type"], event["text"]) == ("message", "im", "hello")
    assert "thread_ts" not in event


async def test_mention_comes_twice_to_a_subscriber_of_channels(slack: LocalSlack, app: App) -> None:
    slack.workspace.subscribe_channel_messages = True

    await slack.say("general", "Ana", "<@U0BOT> hello")
    await all_acked(slack)

    assert [event["type"] for event in app.events] == ["app_mention", "message"]
    assert len({event["ts"] for event in app.events}) == 1
    assert len({delivery.event_id for delivery in slack.deliveries}) == 2


async def test_own_posts_and_edits_in_a_dm_come_back(
    slack: LocalSlack, app: App, client: AsyncWebClient
) -> None:
    dm = slack.dm("Ana")
    post = await client.chat_postMessage(channel=dm, text="one")
    await client.chat_update(channel=dm, ts=post["ts"], text="two")
    await all_acked(slack)

    assert [event.get("subtype") for event in app.events] == [None, "message_changed"]
    assert app.events[1]["message"]["bot_id"] == "B0BOT"


async def test_edited_mention_is_a_mention_again(slack: LocalSlack, app: App) -> None:
    ts = await slack.say("general", "Ana", "<@U0BOT> helo")
    await slack.edit("general", ts, "<@U0BOT> hello")
    await all_acked(slack)

    first, second = app.events
    assert first["ts"] == second["ts"]
    assert "edited" in second
    assert len({delivery.event_id for delivery in slack.deliveries}) == 2


async def test_deletion_in_a_dm_is_told(slack: LocalSlack, app: App) -> None:
    dm = slack.dm("Ana")
    ts = await slack.say(dm, "Ana", "hello")
    await slack.delete(dm, ts)
    await all_acked(slack)

    assert app.events[1]["subtype"] == "message_deleted"
    assert app.events[1]["deleted_ts"] == ts


async def test_unacknowledged_event_comes_again(slack: LocalSlack, app: App) -> None:
    slack.redelivery_after = HASTY
    app.silent = 2

    delivery = await slack.deliver({"type": "app_home_opened", "user": "U0ANA"})
    await delivery.wait()

    assert [request.retry_attempt for request in app.requests] == [0, 1, 2]
    assert [request.retry_reason for request in app.requests] == ["", "timeout", "timeout"]
    assert len({request.payload["event_id"] for request in app.requests}) == 1
    assert len({request.envelope_id for request in app.requests}) == 3


async def test_slack_gives_up_after_the_third_repeat(slack: LocalSlack, app: App) -> None:
    slack.redelivery_after = HASTY
    app.silent = 10

    delivery = await slack.deliver({"type": "app_home_opened"})
    await slack.until(lambda: delivery.gave_up)

    assert (delivery.attempts, delivery.ack_seconds) == (4, None)


async def test_event_waits_for_a_connection(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    delivery = await slack.deliver({"type": "app_home_opened"})
    async with App(slack, session):
        await delivery.wait()

    assert delivery.attempts == 1


async def test_redelivery_keeps_the_event_id(slack: LocalSlack, app: App) -> None:
    delivery = await slack.deliver({"type": "app_home_opened"}, event_id="Ev1")
    await delivery.wait()
    await slack.redeliver(delivery)
    await delivery.wait()

    assert [request.payload["event_id"] for request in app.requests] == ["Ev1", "Ev1"]
    assert [request.retry_attempt for request in app.requests] == [0, 1]


async def test_events_take_turns_among_connections(
    slack: LocalSlack, session: aiohttp.ClientSession, app: App
) -> None:
    async with App(slack, session) as other:
        for _ in range(4):
            await (await slack.deliver({"type": "app_home_opened"})).wait()

    assert (len(app.requests), len(other.requests)) == (2, 2)


async def test_event_of_a_broken_connection_comes_again(slack: LocalSlack, app: App) -> None:
    slack.redelivery_after = HASTY
    app.silent = 1
    delivery = await slack.deliver({"type": "app_home_opened"})
    await slack.until(lambda: delivery.attempts == 1)

    await slack.drop_sockets()
    await delivery.wait()

    assert delivery.attempts >= 2


async def test_client_reconnects_when_asked(slack: LocalSlack, app: App) -> None:
    await slack.disconnect("refresh_requested")
    await slack.until(lambda: slack.count("apps.connections.open") == 2 and slack.connections)

    delivery = await slack.deliver({"type": "app_home_opened"})
    await delivery.wait()

    assert delivery.acked


async def test_refused_connection_is_tried_again(
    slack: LocalSlack, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    slack.faults.refuse_sockets = True
    connecting = asyncio.create_task(App(slack, session).__aenter__())
    await slack.until(lambda: slack.count("apps.connections.open") == 1)

    slack.faults.refuse_sockets = False
    app = await connecting

    assert slack.connections == 1
    await app.__aexit__()


async def new_address(slack: LocalSlack, client: AsyncWebClient) -> str:
    return str((await client.apps_connections_open(app_token=slack.app_token))["url"])


async def test_expired_address_opens_no_connection(
    slack: LocalSlack, session: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    slack.faults.expire_addresses = True
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await session.ws_connect(await new_address(slack, client))

    assert refusal.value.status == 408


async def test_connection_may_be_turned_away(
    slack: LocalSlack, session: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    slack.faults.turn_sockets_away = "link_disabled"
    async with session.ws_connect(await new_address(slack, client)) as ws:
        first, last = await ws.receive_json(), await ws.receive()

    assert (first["type"], first["reason"]) == ("disconnect", "link_disabled")
    assert last.type is aiohttp.WSMsgType.CLOSE
    assert slack.connections == 0


async def test_eleventh_connection_is_one_too_many(
    slack: LocalSlack, session: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    opened = [await session.ws_connect(await new_address(slack, client)) for _ in range(11)]
    greetings = [await ws.receive_json() for ws in opened]

    assert [greeting["type"] for greeting in greetings] == ["hello"] * 10 + ["disconnect"]
    assert greetings[-1]["reason"] == "too_many_websockets"


async def test_connection_may_stay_mute(
    slack: LocalSlack, session: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    slack.faults.mute_sockets = True
    async with session.ws_connect(await new_address(slack, client)) as ws:
        await ws.ping()
        with pytest.raises(TimeoutError):
            await ws.receive(timeout=0.1)

    assert slack.connections == 0


async def test_silent_connection_takes_events_and_says_nothing(
    slack: LocalSlack, session: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    async with session.ws_connect(await new_address(slack, client), autoping=False) as ws:
        await ws.receive_json()
        await ws.receive()
        slack.silence_sockets()
        delivery = await slack.deliver({"type": "app_home_opened"})
        await slack.until(lambda: delivery.attempts == 1)
        await ws.ping()
        with pytest.raises(TimeoutError):
            await ws.receive(timeout=0.1)

        assert (slack.connections, delivery.acked) == (1, False)


async def test_warned_connection_goes_on_until_it_ends(
    slack: LocalSlack, session: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    slack.warned_before = 0.2
    async with session.ws_connect(await new_address(slack, client)) as ws:
        await ws.receive_json()
        await slack.disconnect("warning")
        await slack.deliver({"type": "app_home_opened"})
        frames = [await ws.receive_json(), await ws.receive_json()]
        last = await ws.receive()

    assert [frame["type"] for frame in frames] == ["disconnect", "events_api"]
    assert last.type is aiohttp.WSMsgType.CLOSE


async def test_app_answers_pings(slack: LocalSlack, app: App) -> None:
    await (await slack.deliver({"type": "app_home_opened"})).wait()

    assert slack.pongs == 1


async def test_connection_url_is_used_once(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    opened = await web_client(slack, session, slack.app_token).apps_connections_open(
        app_token=slack.app_token
    )

    async with session.ws_connect(opened["url"]) as ws:
        await ws.receive_json()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(opened["url"])


async def test_pings_are_answered(
    slack: LocalSlack, session: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    opened = await client.apps_connections_open(app_token=slack.app_token)

    async with session.ws_connect(opened["url"], autoping=False) as ws:
        await ws.receive_json()
        ping = await ws.receive(timeout=2.0)
        await ws.ping(b"sdk-ping-pong:1.5")
        pong = await ws.receive(timeout=2.0)

    assert ping.type == aiohttp.WSMsgType.PING
    assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"sdk-ping-pong:1.5")


async def test_ack_of_a_command_may_carry_its_answer(slack: LocalSlack, app: App) -> None:
    app.response = {"text": "42 tokens"}

    delivery = await slack.command("general", "Ana", "/llm", "usage")
    await delivery.wait()

    assert app.requests[0].type == "slash_commands"
    assert app.requests[0].payload["text"] == "usage"
    assert [message["text"] for message in slack.ephemerals("general", "Ana")] == ["42 tokens"]


async def test_response_url_replaces_the_clicked_message(
    slack: LocalSlack, app: App, client: AsyncWebClient, session: aiohttp.ClientSession
) -> None:
    button = {"type": "button", "action_id": "stop", "text": {"type": "plain_text", "text": "X"}}
    blocks = [{"type": "actions", "elements": [{**button, "value": "v"}]}]
    post = await client.chat_postMessage(channel="C0GENERAL", text="x", blocks=blocks)

    await (await slack.click("general", "Ana", post["ts"], "stop")).wait()
    payload = app.requests[0].payload
    answer = {"replace_original": True, "text": "stopped", "blocks": markdown("stopped")}
    await session.post(payload["response_url"], json=answer)

    assert payload["actions"][0]["value"] == "v"
    assert payload["message"]["ts"] == post["ts"]
    assert slack.screen("general") == ["stopped"]


async def test_the_newest_response_urls_work(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    urls = []
    for _ in range(1_001):
        delivery = await slack.command("general", "Ana", "/llm")
        urls.append(delivery.payload["response_url"])
    answers = [await session.post(url, json={"text": "hi"}) for url in (*urls[:2], urls[-1])]

    assert [answer.status for answer in answers] == [404, 200, 200]


async def test_the_newest_calls_and_deliveries_are_kept() -> None:
    async with LocalSlack(calls_kept=4) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        for _ in range(5):
            await client.users_info(user="U0ANA")
            await slack.open_home("Ana")

        assert (len(slack.calls), len(slack.deliveries)) == (3, 3)
        assert slack.count("users.info") == 5


# Events over HTTP


class Endpoint:
    """The app's own server, for events over HTTP."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def __aenter__(self) -> "Endpoint":
        app = web.Application()
        app.router.add_post("/slack/events", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/slack/events"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, body))
        if b"url_verification" in body:
            return web.json_response({"challenge": (await request.json())["challenge"]})
        return self.answers.pop(0) if self.answers else web.Response()


async def test_http_events_are_signed(slack: LocalSlack) -> None:
    async with Endpoint() as endpoint:
        slack.request_url = endpoint.url
        delivery = await slack.deliver({"type": "app_home_opened"})
        await delivery.wait()
        verified = await slack.verify_request_url()

    headers, body = endpoint.requests[0]
    assert SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)
    assert "x-slack-retry-num" not in headers
    assert (delivery.status, verified) == (200, True)


async def test_failed_http_event_comes_again(slack: LocalSlack) -> None:
    async with Endpoint(web.Response(status=500)) as endpoint:
        slack.request_url = endpoint.url
        await (await slack.deliver({"type": "app_home_opened"})).wait()

    headers, _ = endpoint.requests[1]
    assert (headers["x-slack-retry-num"], headers["x-slack-retry-reason"]) == ("1", "http_error")


async def test_app_may_decline_repeats(slack: LocalSlack) -> None:
    refusal = web.Response(status=503, headers={"x-slack-no-retry": "1"})
    async with Endpoint(refusal) as endpoint:
        slack.request_url = endpoint.url
        delivery = await slack.deliver({"type": "app_home_opened"})
        await slack.until(lambda: delivery.gave_up)

    assert (delivery.attempts, delivery.status) == (1, 503)


# Watching


async def test_waiting_in_vain_shows_the_screen(slack: LocalSlack, client: AsyncWebClient) -> None:
    ts = await slack.say("general", "Ana", "question")
    await client.chat_postMessage(channel="C0GENERAL", thread_ts=ts, text="half an answer")

    with pytest.raises(TimeoutError, match="half an answer"):
        await slack.until(lambda: slack.screen("general", ts) == ["an answer"], timeout=0.01)


async def test_error_in_a_predicate_reaches_the_test(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    waiting = asyncio.create_task(slack.until(lambda: slack.calls and slack.screen("nowhere")))
    await asyncio.sleep(0)
    await client.auth_test()

    with pytest.raises(KeyError, match="nowhere"):
        await waiting


async def test_entries_may_be_followed(slack: LocalSlack, client: AsyncWebClient) -> None:
    seen: list[Entry] = []
    slack.listeners.append(seen.append)

    await client.chat_postMessage(channel="C0GENERAL", text="hello")

    kinds = [entry.method if isinstance(entry, Call) else type(entry).__name__ for entry in seen]
    assert kinds == ["chat.postMessage", "Change", "chat.postMessage"]


async def test_event_is_told_before_the_app_is_there(slack: LocalSlack) -> None:
    seen: list[Entry] = []
    slack.listeners.append(seen.append)

    delivery = await slack.deliver({"type": "app_home_opened"})

    assert (seen, delivery.attempts) == ([delivery], 0)


async def test_event_tells_how_long_it_waited_for_the_app(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    delivery = await slack.deliver({"type": "app_home_opened"})
    async with App(slack, session):
        await delivery.wait()
        at_once = await slack.deliver({"type": "app_home_opened"})
        await at_once.wait()

    assert delivery.connected_after > at_once.connected_after


async def test_sixty_channels_may_ask_at_once(slack: LocalSlack, app: App) -> None:
    channels = [slack.add_channel(f"room-{number}", members=["Ana"]) for number in range(60)]

    for channel in channels:
        await slack.say(channel, "Ana", "<@U0BOT> hello")
    await all_acked(slack)

    assert {event["channel"] for event in app.events} == set(channels)


# ---- people of other organisations


async def test_person_of_another_organisation_is_told_apart(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    eve = slack.add_person("Eve", team="T0OTHER", is_admin=True)

    user = (await client.users_info(user=eve))["user"]
    ts = await slack.say("general", "Eve", f"<@{slack.bot_user_id}> hello")
    event = slack.deliveries[-1].payload["event"]

    assert (user["team_id"], user["is_admin"]) == ("T0OTHER", True)
    assert (event["ts"], event["user_team"], event["team"]) == (ts, "T0OTHER", "T0OTHER")


async def test_members_are_listed_page_by_page(slack: LocalSlack, client: AsyncWebClient) -> None:
    slack.add_person("Eve", team="T0OTHER")
    found: list[str] = []
    cursor = ""
    while True:
        answer = await client.users_list(limit=2, cursor=cursor or None)
        found += [member["id"] for member in answer["members"]]
        cursor = answer["response_metadata"]["next_cursor"]
        if not cursor:
            break

    assert found == ["U0BOT", "U0ANA", "U0BEN", "U0CHLOE", "U0DAN"]


# ---- files


async def test_file_is_uploaded_as_the_sdk_does_it(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    await client.files_upload_v2(
        channel="C0GENERAL", filename="a.csv", content="day,cost", initial_comment="Here:"
    )

    (message,) = slack.workspace.channel("general").messages.values()
    assert (message["text"], message["files"][0]["name"]) == ("Here:", "a.csv")
    assert slack.workspace.uploads[message["files"][0]["id"]].content == b"day,cost"


@pytest.mark.parametrize("length", [0, -1, 2**31])
async def test_file_of_such_a_length_is_refused(client: AsyncWebClient, length: int) -> None:
    with pytest.raises(SlackApiError, match=r"invalid_arguments|size_restricted"):
        await client.files_getUploadURLExternal(filename="a.csv", length=length)


async def test_file_is_shared_once_and_only_when_its_bytes_are_there(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    place = await client.files_getUploadURLExternal(filename="a.csv", length=3)
    files = [{"id": place["file_id"], "title": "a.csv"}]
    with pytest.raises(SlackApiError, match="file_not_found"):
        await client.files_completeUploadExternal(files=files, channel_id="C0GENERAL")

    async with aiohttp.ClientSession() as session:
        statuses = [
            (await session.post(place["upload_url"], data=data)).status
            for data in (b"four", b"abc", b"abc")
        ]
    await client.files_completeUploadExternal(files=files, channel_id="C0GENERAL")
    with pytest.raises(SlackApiError, match="file_not_found"):
        await client.files_completeUploadExternal(files=files, channel_id="C0GENERAL")

    assert statuses == [400, 200, 404]
    assert len(slack.workspace.channel("general").messages) == 1


# ---- what one person sees


async def test_private_message_is_not_seen_in_a_thread_without_replies(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    ts = await slack.say("general", "Ana", "hello")
    private: dict[str, Any] = {
        "channel": "C0GENERAL",
        "user": "U0ANA",
        "text": "psst",
        "thread_ts": ts,
    }
    await client.chat_postEphemeral(**private)
    before = slack.ephemerals("general", "Ana")

    await slack.say("general", "Ben", "hello yourself", thread_ts=ts)
    await client.chat_postEphemeral(**private)

    assert before == []
    assert [each["thread_ts"] for each in slack.ephemerals("general", "Ana")] == [ts]


# Files


async def download(
    session: aiohttp.ClientSession, file: dict[str, Any], token: str, *, name: str = "url_private"
) -> tuple[int, str, bytes]:
    headers = {"Authorization": f"Bearer {token}"}
    async with session.get(file[name], headers=headers) as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_file_is_described_as_slack_does(slack: LocalSlack) -> None:
    file = slack.upload("Ana", "the plan (v2).pdf", b"%PDF-1.7")
    ts = await slack.say("general", "Ana", "look", files=[file])

    message = slack.message("general", ts)
    assert (message["subtype"], message["files"]) == ("file_share", [file])
    assert (file["name"], file["mimetype"], file["filetype"], file["size"], file["user"]) == (
        "the plan (v2).pdf",
        "application/pdf",
        "pdf",
        8,
        "U0ANA",
    )
    assert (file["mode"], file["is_external"], file["file_access"]) == ("hosted", False, "visible")
    assert f"T0LOCAL-{file['id']}/download/" in file["url_private_download"]


async def test_file_can_claim_to_be_of_any_type(slack: LocalSlack) -> None:
    assert slack.upload("Ana", "a.py", b"1")["mimetype"] == "text/x-python"
    assert slack.upload("Ana", "a.png", b"1", media_type="text/plain")["mode"] == "snippet"
    assert slack.upload("Ana", "thing", b"1")["mimetype"] == "application/octet-stream"


@pytest.mark.parametrize("name", ["url_private", "url_private_download"])
async def test_file_is_handed_out_for_the_bots_token(
    slack: LocalSlack, session: aiohttp.ClientSession, name: str
) -> None:
    file = slack.upload("Ana", "größe/&#?.csv", b"a,b\n")

    found = await download(session, file, slack.bot_token, name=name)

    assert found == (200, "text/csv", b"a,b\n")
    assert [(call.method, call.token, call.ok) for call in slack.calls] == [
        ("files-pri", "bot", True)
    ]


async def test_without_token_or_scope_the_login_page_comes(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    file = slack.upload("Ana", "a.txt", b"secret")

    for token in ("xoxb-other", slack.app_token, ""):
        status, kind, page = await download(session, file, token)
        assert (status, kind) == (200, "text/html")
        assert b"Sign in" in page
    slack.scopes.remove("files:read")
    assert (await download(session, file, slack.bot_token))[1] == "text/html"


async def test_files_info_describes_and_wants_the_scope(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    file = slack.upload("Ana", "a.txt", b"x")

    assert (await client.files_info(file=file["id"]))["file"] == file
    with pytest.raises(SlackApiError, match="file_not_found"):
        await client.files_info(file="F0NONE")
    slack.scopes.remove("files:read")
    with pytest.raises(SlackApiError, match="missing_scope"):
        await client.files_info(file=file["id"])


async def test_download_meets_faults(slack: LocalSlack, session: aiohttp.ClientSession) -> None:
    file = slack.upload("Ana", "a.txt", b"x")
    slack.faults.add("files-pri", Fault.unavailable(503))

    assert (await download(session, file, slack.bot_token))[0] == 503
    assert (await download(session, file, slack.bot_token))[0] == 200


async def test_oldest_files_are_forgotten_when_there_are_too_many(
    slack: LocalSlack, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "FILES_KEPT", 10)
    old, new = (slack.upload("Ana", "a.txt", b"123456") for _ in range(2))

    assert (await download(session, old, slack.bot_token))[0] == 404
    assert (await download(session, new, slack.bot_token))[0] == 200

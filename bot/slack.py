"""Slack's Web API as the bot uses it: one HTTP session, errors translated, nothing retried."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot import views
from bot.errors import AskerUnknown, BotError, RateLimited, SlackRefused, Unavailable
from bot.logs import event
from bot.messages import Identity, Question, TurnKey
from bot.pacing import STREAMING, Window
from bot.people import Person
from bot.standing import UNMARKED, is_unmarked, part_of
from bot.turnstile import Budget, Shares

log = logging.getLogger(__name__)

# Seconds for one whole call. Slack answers most in a tenth of one.
CALL_TIMEOUT = 15.0

# What shows text gets longer: an edit given up too early could still take effect, after the last.
SHOWING_TIMEOUT = 60.0
SHOWING = frozenset({"chat.postMessage", "chat.update", "chat.delete", *STREAMING})

# Slack's own faults (docs.slack.dev, errors common to all methods): worth trying again.
PASSING_ERRORS = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "update_failed"}
)

# HTTP 429 says `ratelimited`; "too many messages" comes as `rate_limited`, perhaps with HTTP 200.
RATE_LIMIT_ERRORS = frozenset({"ratelimited", "rate_limited"})

# Calls a minute and workspace, less a margin (docs.slack.dev/apis/web-api/rate-limits).
# The pacer schedules posts and edits; these are what else the bot calls in mass.
BUDGETS: Mapping[str, int] = {
    "conversations.replies": 48,
    "users.info": 96,
    "users.list": 18,
    "reactions.add": 48,
    "reactions.remove": 18,
    "chat.delete": 48,
    "chat.postEphemeral": 96,
    "assistant.threads.setStatus": 580,
}

# The most that Slack gives at once (docs.slack.dev/reference/methods/conversations.replies).
PAGE = 1000

# As many as Slack recommends for users.list, and a minute's worth of calls at its Tier 2.
MEMBERS_PAGE = 200
MEMBER_PAGES = 18

# Slack's words for people who share nothing with the bot but a channel, or no longer that.
INVISIBLE = frozenset({"user_not_found", "user_not_visible"})

# Where Slack takes answers to commands and buttons.
SLACK_HOSTS = (".slack.com", ".slack-gov.com")

REMEMBERED_NAMES = 5_000
LOOKUPS_PER_QUESTION = 40
NAMES_WITHIN = 2.0  # seconds; a name is not worth a longer wait for the answer


def quiet_logger() -> logging.Logger:
    """For the SDK, which formats each payload for a DEBUG line unless its level is set."""
    logger = logging.getLogger("slack_sdk.bot")
    logger.setLevel(logging.WARNING)
    return logger


@asynccontextmanager
async def connected(token: str | None, *, api_url: str) -> AsyncIterator[AsyncWebClient]:
    """A client on one HTTP session, without the SDK's own retries.

    Without ``session=`` the SDK opens a connection for each call; with its default retries it
    posts a message twice when the answer to the first post is lost.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=SHOWING_TIMEOUT, sock_connect=CALL_TIMEOUT)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        client = AsyncWebClient(
            token=token,
            base_url=api_url,
            session=session,
            retry_handlers=[],
            logger=quiet_logger(),
        )
        client.proxy = proxy_for(api_url)  # the SDK's own choice ignores NO_PROXY
        yield client


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for ``url``, but for hosts that it exempts."""
    host = urlsplit(url).hostname or ""
    if host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(urlsplit(url).scheme) or proxies.get("http")


async def identify(client: AsyncWebClient) -> Identity:
    """Who this token speaks for."""
    return (await identify_with_scopes(client))[0]


async def identify_with_scopes(client: AsyncWebClient) -> tuple[Identity, frozenset[str]]:
    """Also what it may do: Slack says so in a header of each answer."""
    response = await _response(client, "auth.test", {})
    scopes = str(response.headers.get("x-oauth-scopes") or "")
    answer = _data(response)
    bot = Identity(
        team=str(answer["team_id"]),
        user=str(answer["user_id"]),
        bot_id=str(answer.get("bot_id") or ""),
        name=str(answer.get("user") or "the bot"),
        enterprise=str(answer.get("enterprise_id") or ""),
        url=str(answer.get("url") or ""),
    )
    return bot, frozenset(scope.strip() for scope in scopes.split(",") if scope.strip())


async def socket_url(client: AsyncWebClient, app_token: str) -> str:
    """The address of a new Socket Mode connection."""
    answer = await _translated(client, "apps.connections.open", {"app_token": app_token})
    return str(answer.get("url"))


async def file_info(client: AsyncWebClient, id: str) -> Mapping[str, Any]:
    """A file as Slack describes it; it wants the scope files:read."""
    answer = await _translated(client, "files.info", {"file": id})
    described = answer.get("file")
    return described if isinstance(described, dict) else {}


async def name_of(client: AsyncWebClient, id: str) -> str | None:
    """What a person or a channel is called. For channels, it needs scopes of its own.

    :raises BotError: Slack does not say.
    """
    if id.startswith(("U", "W")):
        return _name_of_person(await _translated(client, "users.info", {"user": id}))
    answer = await _translated(client, "conversations.info", {"channel": id})
    return (answer.get("channel") or {}).get("name")


class SlackChat:
    """Fits the protocols `bot.writer.Chat` and `bot.reply.ReplyChat`."""

    def __init__(
        self, client: AsyncWebClient, bot: Identity, *, shares: Shares | None = None
    ) -> None:
        self._client = client
        self._bot = bot
        self._budgets = {method: Budget(method, limit, shares) for method, limit in BUDGETS.items()}
        self._names: OrderedDict[str, str] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[None]] = {}

    @property
    def budgets(self) -> dict[str, Window]:
        """What is left of them, by method."""
        return {method: budget.window for method, budget in self._budgets.items()}

    async def close(self) -> None:
        """Ends look-ups under way."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def post(self, channel: str, thread_ts: str | None, message: dict[str, Any]) -> str:
        answer = await self._call(
            "chat.postMessage",
            channel=channel,
            thread_ts=thread_ts,
            unfurl_links=False,
            unfurl_media=False,
            **message,
        )
        return str(answer["ts"])

    async def update(self, channel: str, ts: str, message: dict[str, Any]) -> None:
        # parse: its default here is "client", which would make pings of bare names.
        await self._call("chat.update", channel=channel, ts=ts, parse="none", **message)

    async def start_stream(self, question: Question, text: str) -> str:
        # "Required when streaming to channels" (docs.slack.dev/reference/methods/chat.startStream).
        answer = await self._call(
            "chat.startStream",
            channel=question.channel,
            thread_ts=question.thread_ts,
            recipient_user_id=question.user,
            recipient_team_id=question.team,
            markdown_text=text,
        )
        return str(answer["ts"])

    async def append_stream(self, channel: str, ts: str, text: str) -> None:
        await self._call("chat.appendStream", channel=channel, ts=ts, markdown_text=text)

    async def stop_stream(self, channel: str, ts: str, end: dict[str, Any]) -> None:
        await self._call("chat.stopStream", channel=channel, ts=ts, **end)

    async def delete(self, channel: str, ts: str) -> None:
        await self._call("chat.delete", channel=channel, ts=ts)

    async def whisper(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        """Says something that only one person sees; Slack does not keep it."""
        await self._call(
            "chat.postEphemeral",
            channel=channel,
            thread_ts=thread_ts,
            user=user,
            **views.notice_message(sentence),
        )

    async def tell(self, user: str, sentence: str) -> None:
        """Says something in the direct messages with that person."""
        # A person's id is the channel of their direct messages, without a scope to open them
        # (docs.slack.dev/reference/methods/chat.postMessage).
        await self.post(user, None, views.notice_message(sentence))

    async def set_status(self, channel: str, thread_ts: str, status: str) -> None:
        await self._call(
            "assistant.threads.setStatus", channel_id=channel, thread_ts=thread_ts, status=status
        )

    async def add_reaction(self, channel: str, ts: str, name: str) -> None:
        await self._call("reactions.add", channel=channel, timestamp=ts, name=name)

    async def remove_reaction(self, channel: str, ts: str, name: str) -> None:
        await self._call("reactions.remove", channel=channel, timestamp=ts, name=name)

    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        """All pages of a thread, oldest message first, with metadata."""
        return await self._thread(channel, thread_ts)

    async def _thread(
        self, channel: str, thread_ts: str, *, ends: bool = False
    ) -> list[dict[str, Any]]:
        messages: dict[str, dict[str, Any]] = {}  # by ts, as further pages may repeat the root
        cursor = ""
        while True:
            more: dict[str, Any] = {"cursor": cursor} if cursor else {}
            answer = await self._call(
                "conversations.replies",
                ends=ends,
                channel=channel,
                ts=thread_ts,
                limit=PAGE,
                include_all_metadata=True,
                **more,
            )
            known = len(messages)
            messages |= {str(message.get("ts")): message for message in answer["messages"]}
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor or len(messages) == known:  # the latter would go on for ever
                return list(messages.values())

    async def look_at(self, channel: str, ts: str) -> None:
        """Returns where the bot can read that message."""
        await self._call("conversations.replies", channel=channel, ts=ts, limit=1)

    async def permalink(self, channel: str, ts: str) -> str:
        answer = await self._call("chat.getPermalink", channel=channel, message_ts=ts)
        return str(answer.get("permalink") or "")

    async def find_reply(
        self, channel: str, thread_ts: str, turn: TurnKey, *, with_streams: bool = False
    ) -> dict[str, int]:
        """All messages of that turn's reply that stand in the thread: by ``ts``, which part."""
        thread = await self._thread(channel, thread_ts, ends=True)
        found: dict[str, int] = {}
        for message in thread:
            part = part_of(message, turn, self._bot)
            if part is None and with_streams and is_unmarked(message, turn, self._bot):
                part = UNMARKED
            if part is not None:
                found[str(message.get("ts"))] = part
        return found

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        """The display names of those whose name can be had; looked up once, then remembered."""
        wanted = set(users)
        unknown = sorted(user for user in wanted if user not in self._names)
        lookups = [self._lookup(user) for user in unknown[:LOOKUPS_PER_QUESTION]]
        if lookups:  # those that take longer go on, for the next question
            await asyncio.wait(lookups, timeout=NAMES_WITHIN)
        return {user: self._names[user] for user in wanted if user in self._names}

    def known_name(self, user: str) -> str | None:
        return self._names.get(user)

    def _lookup(self, user: str) -> asyncio.Task[None]:
        """The look-up under way, or a new one."""
        if user not in self._lookups:
            lookup = asyncio.create_task(self._look_up(user))
            self._lookups[user] = lookup
            lookup.add_done_callback(lambda _: self._lookups.pop(user))
        return self._lookups[user]

    async def _look_up(self, user: str) -> None:
        try:
            answer = await self._call("users.info", user=user)
        except BotError:  # an id in its place does no harm
            return
        self._remember_name(user, answer)

    def _remember_name(self, user: str, answer: Mapping[str, Any]) -> None:
        if name := _name_of_person(answer):
            self._names[user] = name
            if len(self._names) > REMEMBERED_NAMES:
                self._names.popitem(last=False)

    async def person(self, user: str) -> Person:
        """Fits `bot.people.Directory`."""
        try:
            answer = await self._call("users.info", user=user)
        except SlackRefused as error:
            if error.code in INVISIBLE:
                return Person(user, is_external=True)
            raise AskerUnknown(str(error)) from error
        self._remember_name(user, answer)
        return _person(user, answer.get("user") or {}, self._bot)

    async def admins(self) -> list[str]:
        """The workspace's admins and owners, as far as they are among its first members."""
        return [person.user for person in await self.members() if person.is_admin]

    async def members(self) -> list[Person]:
        """The workspace's first members, in as few calls as Slack recommends; with their names."""
        found: list[Person] = []
        cursor = ""
        for _ in range(MEMBER_PAGES):
            more: dict[str, Any] = {"cursor": cursor} if cursor else {}
            answer = await self._call("users.list", limit=MEMBERS_PAGE, **more)
            for member in answer.get("members") or []:
                if not (member.get("deleted") or member.get("is_bot")):
                    user = str(member.get("id"))
                    self._remember_name(user, {"user": member})
                    found.append(_person(user, member, self._bot))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return found

    async def _call(
        self, method: str, *, ends: bool = False, **arguments: Any
    ) -> Mapping[str, Any]:
        """One call. Where its budget is spent, it waits its turn.

        :raises RateLimited: by Slack.
        :raises Unavailable: no answer, so that its effect is unknown; or Slack's own fault.
        :raises SlackRefused: with Slack's error code.
        """
        budget = self._budgets.get(method)
        if budget is None:
            return await _translated(self._client, method, arguments)
        async with budget.turn(ends=ends):
            return await _translated(self._client, method, arguments)


class Surfaces:
    """What the bot shows outside of threads: modals, the App Home, answers to commands, files.

    Every call may raise `Transient` or `SlackRefused`.
    """

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str:
        """Its id. A trigger is good for 3 seconds: `SlackRefused` with `expired_trigger_id`."""
        answer = await self._call("views.open", trigger_id=trigger_id, view=view)
        return str(answer["view"]["id"])

    async def update_modal(self, view_id: str, view: dict[str, Any]) -> None:
        await self._call("views.update", view_id=view_id, view=view)

    async def suggest(self, channel: str, prompts: list[dict[str, str]]) -> None:
        """Offers ready-made questions in the direct messages of a channel.

        With a thread's ``ts`` the call would do nothing, in silence
        (docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts).
        """
        await self._call(
            "assistant.threads.setSuggestedPrompts", channel_id=channel, prompts=prompts
        )

    async def entitle(self, channel: str, thread_ts: str, title: str) -> None:
        """Names a session, which is a thread of the direct messages."""
        await self._call(
            "agents.sessions.rename", channel_id=channel, thread_ts=thread_ts, title=title
        )

    async def show_home(self, user: str, view: dict[str, Any]) -> None:
        await self._call("views.publish", user_id=user, view=view)

    async def respond(
        self, response_url: str, message: dict[str, Any], *, replaces: bool = False
    ) -> None:
        """Answers a command or a button privately, also where the bot is no member.

        Slack takes five answers in half an hour.
        """
        _check_response_url(response_url, self._client.base_url)
        body = message | {"response_type": "ephemeral", "replace_original": replaces}
        await self._send(response_url, json=body)

    async def creator(self, channel: str) -> str | None:
        """Who made a channel; it wants ``channels:read``, for private ones ``groups:read``."""
        answer = await self._call("conversations.info", channel=channel)
        return (answer.get("channel") or {}).get("creator") or None

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]:
        """Says it in the direct messages with that person: their channel, and the ``ts``."""
        return await self._post(channel=user, **message)

    async def reply(self, channel: str, thread_ts: str, message: dict[str, Any]) -> None:
        await self._post(channel=channel, thread_ts=thread_ts, **message)

    async def upload(self, channel: str, thread_ts: str, *, name: str, content: bytes) -> None:
        """Posts a file into a thread; needs the scope ``files:write``."""
        place = await self._call("files.getUploadURLExternal", filename=name, length=len(content))
        await self._send(str(place["upload_url"]), data=content)
        await self._call(
            "files.completeUploadExternal",
            files=[{"id": str(place["file_id"]), "title": name}],
            channel_id=channel,
            thread_ts=thread_ts,
        )

    async def _post(self, **message: Any) -> tuple[str, str]:
        quietly = {"unfurl_links": False, "unfurl_media": False}
        answer = await self._call("chat.postMessage", **message, **quietly)
        return str(answer["channel"]), str(answer["ts"])

    async def _call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        return await _translated(self._client, method, arguments)

    async def _send(self, url: str, **body: Any) -> None:
        """To an address that Slack gave for this one purpose; no token goes there."""
        session = self._client.session
        assert session
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                async with session.post(url, proxy=self._client.proxy, **body) as response:
                    status = response.status
                    seconds = retry_after(response.headers)
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("Slack", type(error).__name__) from error
        if status == 429:
            raise RateLimited("Slack", seconds)
        if status >= 500:
            raise Unavailable("Slack", f"HTTP {status}")
        if status >= 300:
            raise SlackRefused("post", f"HTTP {status}")


def _check_response_url(url: str, api_url: str) -> None:
    """It comes with a payload: whatever that holds, only Slack is written to.

    :raises SlackRefused: it leads elsewhere.
    """
    asked, api = urlsplit(url), urlsplit(api_url)
    is_local = (asked.scheme, asked.netloc) == (api.scheme, api.netloc)
    host = asked.hostname or ""
    if not (is_local or (asked.scheme == "https" and host.endswith(SLACK_HOSTS))):
        raise SlackRefused("response_url", "another host")


def _person(user: str, found: Mapping[str, Any], bot: Identity) -> Person:
    """From the user object (docs.slack.dev/reference/objects/user-object).

    Somebody of another organisation may be an admin there, which is nothing here.
    """
    enterprise = (found.get("enterprise_user") or {}).get("enterprise_id")
    is_ours = found.get("team_id") == bot.team or bool(
        bot.enterprise and enterprise == bot.enterprise
    )
    is_external = not is_ours or found.get("is_stranger") is True
    is_guest = bool(found.get("is_restricted") or found.get("is_ultra_restricted"))
    return Person(
        user,
        is_admin=bool(found.get("is_admin") or found.get("is_owner"))
        and not (is_external or is_guest),
        is_guest=is_guest and not is_external,
        is_external=is_external,
    )


def _name_of_person(answer: Mapping[str, Any]) -> str | None:
    person = answer.get("user") or {}
    profile = person.get("profile") or {}
    name = profile.get("display_name") or profile.get("real_name") or person.get("name")
    return str(name) if name else None


async def _translated(
    client: AsyncWebClient, method: str, arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    return _data(await _response(client, method, arguments))


async def _response(
    client: AsyncWebClient, method: str, arguments: Mapping[str, Any]
) -> AsyncSlackResponse:
    # The SDK's method of that name knows which calls Slack takes as JSON and which as a form.
    call = getattr(client, method.replace(".", "_"))
    with _told(method):
        try:
            async with asyncio.timeout(SHOWING_TIMEOUT if method in SHOWING else CALL_TIMEOUT):
                response: AsyncSlackResponse = await call(**arguments)
        except SlackApiError as error:
            raise translate(method, error) from error
        # TimeoutError is an OSError; the last two: the SDK trips over what is no JSON object.
        except (aiohttp.ClientError, OSError, AttributeError, ValueError) as error:
            raise Unavailable("Slack", f"{method}: {type(error).__name__}") from error
    return response


@contextmanager
def _told(method: str) -> Iterator[None]:
    """When the call is over, the event ``slack.called`` tells of it."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    def tell(error: str | None) -> None:
        seconds = loop.time() - began
        event(log, "slack.called", level=logging.DEBUG, method=method, seconds=seconds, error=error)

    try:
        yield
    except BaseException as error:
        tell(_code(error))
        raise
    tell(None)


def _code(error: BaseException) -> str:
    """Slack's code for it, or one like those."""
    match error:
        case SlackRefused():
            return error.code
        case RateLimited():
            return "ratelimited"
        case Unavailable():
            return "unavailable"
    return type(error).__name__


def _data(response: AsyncSlackResponse) -> Mapping[str, Any]:
    return response.data if isinstance(response.data, dict) else {}


def translate(method: str, error: SlackApiError) -> BotError:
    """The SDK's error as ours."""
    response: Any = error.response
    # The SDK's response, or aiohttp's own where the body was no JSON.
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    code = str(data.get("error") or "") if isinstance(data, dict) else ""
    if status == 429 or code in RATE_LIMIT_ERRORS:
        return RateLimited("Slack", retry_after(response.headers))
    if status >= 500 or code in PASSING_ERRORS or not code:
        return Unavailable("Slack", f"{method}: {code or f'HTTP {status}'}")
    return SlackRefused(method, code)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds. Slack sends whole ones."""
    try:
        return max(0.0, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        return None

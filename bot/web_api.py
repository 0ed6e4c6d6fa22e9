"""Slack's Web API: one HTTP session, errors translated, nothing retried."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import BotError, RateLimited, SlackRefused, Unavailable
from bot.logs import event
from bot.messages import Identity
from bot.pacing import STREAMING

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
    answer = await call(client, "apps.connections.open", {"app_token": app_token})
    return str(answer.get("url"))


async def file_info(client: AsyncWebClient, id: str) -> Mapping[str, Any]:
    """A file as Slack describes it; it wants the scope files:read."""
    answer = await call(client, "files.info", {"file": id})
    described = answer.get("file")
    return described if isinstance(described, dict) else {}


async def name_of(client: AsyncWebClient, id: str) -> str | None:
    """What a person or a channel is called. For channels, it needs scopes of its own.

    :raises BotError: Slack does not say.
    """
    if id.startswith(("U", "W")):
        return name_of_person(await call(client, "users.info", {"user": id}))
    answer = await call(client, "conversations.info", {"channel": id})
    return (answer.get("channel") or {}).get("name")


def name_of_person(answer: Mapping[str, Any]) -> str | None:
    """The display name in an answer to ``users.info``."""
    person = answer.get("user") or {}
    profile = person.get("profile") or {}
    name = profile.get("display_name") or profile.get("real_name") or person.get("name")
    return str(name) if name else None


async def call(
    client: AsyncWebClient, method: str, arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    """One call of a method, by its documented name.

    :raises RateLimited: by Slack.
    :raises Unavailable: no answer, so that its effect is unknown; or Slack's own fault.
    :raises SlackRefused: with Slack's error code.
    """
    return _data(await _response(client, method, arguments))


async def _response(
    client: AsyncWebClient, method: str, arguments: Mapping[str, Any]
) -> AsyncSlackResponse:
    # The SDK's method of that name knows which calls Slack takes as JSON and which as a form.
    send = getattr(client, method.replace(".", "_"))
    with _told(method):
        try:
            async with asyncio.timeout(SHOWING_TIMEOUT if method in SHOWING else CALL_TIMEOUT):
                response: AsyncSlackResponse = await send(**arguments)
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

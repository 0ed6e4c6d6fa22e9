"""The bytes of files, from Slack's own hosts and from nowhere else: the token goes along."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from bot.errors import RateLimited, SlackRefused, Unavailable
from bot.files import LARGEST, Unreadable, file_from
from bot.messages import File
from bot.settings import SLACK_URL
from bot.web_api import file_info, identify_with_scopes, proxy_for, retry_after

# Where url_private_download leads, and where that is redirected in Enterprise Grid; each wants the
# token (docs.slack.dev/reference/objects/file-object; NousResearch/hermes-agent#114483).
SLACK_HOSTS = ("https://files.slack.com", "https://files-origin.slack.com")
MOST_REDIRECTS = 3

WITHIN = 20.0  # seconds for one file

SCOPE = "files:read"


class Downloads:
    """Fits `bot.reader.Fetch` with its method `fetch`."""

    def __init__(
        self, client: AsyncWebClient, session: aiohttp.ClientSession, *, token: str, api_url: str
    ) -> None:
        self._client = client
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        self._origins = allowed_origins(api_url)

    async def fetch(self, file: File) -> bytes:
        """All of the file, if Slack hands it out and it is not too large.

        :raises Unreadable: it cannot be had.
        :raises Transient: another attempt may help.
        """
        try:
            if not file.url:
                file = await self._described(file)
            async with asyncio.timeout(WITHIN):
                return await self._follow(file)
        except ValueError as error:  # aiohttp's and yarl's, of a malformed address
            raise Unreadable("unreachable") from error
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise Unavailable("Slack", f"file: {type(error).__name__}") from error
        except _Withheld:
            raise Unreadable(await self._why_withheld()) from None

    async def _described(self, file: File) -> File:
        """What a message does not say of a file from another organisation."""
        try:
            found = file_from(await file_info(self._client, file.id))
        except SlackRefused as error:
            known = {"missing_scope": "no_scope", "file_deleted": "deleted"}
            raise Unreadable(known.get(error.code, "withheld")) from error
        if found.hurdle or not found.url:
            raise Unreadable(found.hurdle or "withheld")
        return found

    async def _follow(self, file: File) -> bytes:
        url = URL(file.url)
        if _origin(url) not in self._origins:
            raise Unreadable("external")
        for _ in range(MOST_REDIRECTS + 1):
            async with self._session.get(
                url, headers=self._headers, allow_redirects=False, proxy=proxy_for(str(url))
            ) as response:
                location = response.headers.get("Location")
                if not (300 <= response.status < 400 and location):
                    return await _content(response, file)
                url = url.join(URL(location))
            if _origin(url) not in self._origins:
                raise _Withheld  # without permission: to the login page, on another host
        raise Unreadable("unreachable")

    async def _why_withheld(self) -> str:
        """Slack's login page tells no reason."""
        try:
            _, scopes = await identify_with_scopes(self._client)
        except SlackRefused:
            return "withheld"
        return "withheld" if SCOPE in scopes else "no_scope"


class _Withheld(Exception):
    """Slack does not hand it out to this token."""


@asynccontextmanager
async def downloading(
    client: AsyncWebClient, *, token: str, api_url: str
) -> AsyncIterator[Downloads]:
    """Over a session that keeps no cookies and unpacks nothing."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=WITHIN),
    ) as session:
        yield Downloads(client, session, token=token, api_url=api_url)


def allowed_origins(api_url: str) -> frozenset[str]:
    """Slack's file hosts; of another Web API (the playground's, a test's) its own as well."""
    own = () if api_url.startswith(SLACK_URL) else (_origin(URL(api_url)),)
    return frozenset((*SLACK_HOSTS, *own))


def _origin(url: URL) -> str:
    """Scheme, host and port; "" where there is none, or a user's name that would be sent along.

    Of the very object that the request is made of: two readers of one text can differ.
    """
    try:
        return "" if url.user or url.password else str(url.origin())
    except ValueError:
        return ""


async def _content(response: aiohttp.ClientResponse, file: File) -> bytes:
    """The bytes, if they are those of the file."""
    status = response.status
    if status == 429:
        raise RateLimited("Slack", retry_after(response.headers))
    if status >= 500:
        raise Unavailable("Slack", f"file: HTTP {status}")
    if status in (401, 403):
        raise _Withheld
    if status in (404, 410):
        raise Unreadable("deleted")
    if status != 200 or response.headers.get("Content-Encoding", "identity") != "identity":
        raise Unreadable("unreachable")
    body = await _body(response)
    if response.content_type == "text/html" and len(body) != file.size:
        raise _Withheld  # the login page, with status 200; what people attach may be HTML too
    return body


async def _body(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > LARGEST:
        raise Unreadable("too_large")
    body = bytearray()
    async for piece in response.content.iter_chunked(65536):
        body += piece
        if len(body) > LARGEST:
            raise Unreadable("too_large")
    return bytes(body)

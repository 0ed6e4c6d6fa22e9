"""Files from Slack's hosts and from nowhere else, over real connections."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot import downloads
from bot.downloads import Downloads, allowed_origins, downloading
from bot.errors import RateLimited, Transient, Unavailable
from bot.files import Unreadable, file_from
from bot.messages import File
from bot.playground.slack import Fault, LocalSlack

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def source(slack: LocalSlack, client: AsyncWebClient) -> AsyncIterator[Downloads]:
    async with downloading(client, token=slack.bot_token, api_url=slack.api_url) as source:
        yield source


def shared(slack: LocalSlack, name: str = "plan.pdf", data: bytes = b"%PDF-1.7") -> File:
    return file_from(slack.upload("Ana", name, data))


@asynccontextmanager
async def elsewhere(handler: Handler) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A server that is not Slack's: its address, and the requests that reach it."""
    reached: list[web.Request] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        reached.append(request)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", reached
    finally:
        await runner.cleanup()


@asynccontextmanager
async def slack_that(handler: Handler, slack: LocalSlack) -> AsyncIterator[tuple[Downloads, str]]:
    """Downloads from a host of Slack's that answers so; the Web API is the local one."""
    async with (
        elsewhere(handler) as (address, _),
        aiohttp.ClientSession() as session,
    ):
        client = AsyncWebClient(
            token=slack.bot_token, base_url=slack.api_url, session=session, retry_handlers=[]
        )
        async with downloading(client, token=slack.bot_token, api_url=address) as source:
            yield source, f"{address}file"


async def hurdle(call: Awaitable[object]) -> str:
    with pytest.raises(Unreadable) as raised:
        await call
    return raised.value.hurdle


async def test_file_comes_byte_by_byte(slack: LocalSlack, source: Downloads) -> None:
    data = bytes(range(256)) * 4_000

    assert await source.fetch(shared(slack, "größe & co.bin", data)) == data
    assert [(call.method, call.status) for call in slack.calls] == [("files-pri", 200)]


async def test_file_of_another_organisation_is_asked_for_first(
    slack: LocalSlack, source: Downloads
) -> None:
    asked = replace(shared(slack), url="")

    assert await source.fetch(asked) == b"%PDF-1.7"
    assert [call.method for call in slack.calls] == ["files.info", "files-pri"]


async def test_missing_scope_is_known_from_the_login_page(
    slack: LocalSlack, source: Downloads
) -> None:
    slack.scopes.remove("files:read")

    assert await hurdle(source.fetch(shared(slack))) == "no_scope"
    assert await hurdle(source.fetch(replace(shared(slack), url=""))) == "no_scope"


async def test_login_page_in_spite_of_the_scope_is_something_else(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    async with downloading(client, token="xoxb-revoked", api_url=slack.api_url) as source:
        assert await hurdle(source.fetch(shared(slack))) == "withheld"


async def test_login_page_does_not_pass_for_a_web_page_that_was_attached(
    slack: LocalSlack, source: Downloads
) -> None:
    page = shared(slack, "page.html", b"<html>mine</html>")

    assert await source.fetch(page) == b"<html>mine</html>"
    slack.scopes.remove("files:read")
    assert await hurdle(source.fetch(page)) == "no_scope"


async def test_deleted_file_is_gone(slack: LocalSlack, source: Downloads) -> None:
    file = shared(slack)
    slack.workspace.files.clear()

    assert await hurdle(source.fetch(file)) == "deleted"
    assert await hurdle(source.fetch(replace(file, url=""))) == "withheld"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.refuse(retry_after=7), RateLimited),
        (Fault.unavailable(502), Unavailable),
        (Fault.reset(), Unavailable),
    ],
)
async def test_passing_trouble_is_told_from_lasting(
    slack: LocalSlack, source: Downloads, fault: Fault, error: type[Transient]
) -> None:
    slack.faults.add(
        "files-pri", fault, times=2 if fault.reset_before else 1
    )  # aiohttp tries twice
    file = shared(slack)

    with pytest.raises(error) as raised:
        await source.fetch(file)

    assert raised.value.retry_after == (7.0 if error is RateLimited else None)
    assert await source.fetch(file) == b"%PDF-1.7"


async def test_slow_host_is_given_up(
    slack: LocalSlack, source: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "WITHIN", 0.1)
    slack.faults.add("files-pri", Fault.slow(5.0))

    with pytest.raises(Unavailable):
        await source.fetch(shared(slack))


# -- the token stays at home


async def leads_nowhere(_: web.Request) -> web.Response:
    return web.Response(body=b"%PDF-1.7")


@pytest.mark.parametrize("form", ["{0}file", "{0}file#files.slack.com", "//{1}/file", "file"])
async def test_token_goes_to_no_other_host(source: Downloads, form: str) -> None:
    async with elsewhere(leads_nowhere) as (address, reached):
        url = form.format(address, address.split("/")[2])

        assert await hurdle(source.fetch(File("F1A", "a", url=url))) == "external"
    assert reached == []


@pytest.mark.parametrize(
    "url",
    [
        "http://files.slack.com/x",
        "https://files.slack.com:444/x",
        "https://files.slack.com.evil.example/x",
        "https://user:secret@files.slack.com/x",
        "https://files.slack.com@evil.example/x",
        r"https://evil.example\@files.slack.com/x",
        "https://evil.example?https://files.slack.com/x",
        "file:///etc/passwd",
        "https://[::1",
        "https://files.slack.com:port/x",
    ],
)
async def test_address_that_only_looks_like_slacks_is_not_asked(
    source: Downloads, url: str
) -> None:
    assert await hurdle(source.fetch(File("F1A", "a", url=url))) in ("external", "unreachable")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_elsewhere_is_not_followed(slack: LocalSlack, status: int) -> None:
    async with elsewhere(leads_nowhere) as (address, reached):

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{address}file"})

        async with slack_that(redirect, slack) as (source, url):
            assert await hurdle(source.fetch(File("F1A", "a", url=url))) == "withheld"
    assert reached == []


async def test_redirect_within_slack_is_followed_with_the_token(slack: LocalSlack) -> None:
    async def redirect(request: web.Request) -> web.Response:
        if request.path == "/file":
            return web.Response(status=302, headers={"Location": "/origin/file"})
        return web.Response(body=request.headers["Authorization"].encode())

    async with slack_that(redirect, slack) as (source, url):
        assert await source.fetch(File("F1A", "a", url=url)) == b"Bearer xoxb-local"


async def test_redirects_in_a_circle_end(slack: LocalSlack) -> None:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/file"})

    async with slack_that(redirect, slack) as (source, url):
        assert await hurdle(source.fetch(File("F1A", "a", url=url))) == "unreachable"


def test_slacks_file_hosts_are_known() -> None:
    slacks = {"https://files.slack.com", "https://files-origin.slack.com"}

    assert allowed_origins("https://slack.com/api/") == slacks
    assert allowed_origins("http://127.0.0.1:8485/api/") == slacks | {"http://127.0.0.1:8485"}


# -- size


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(downloads, "LARGEST", 100_000)
    return 100_000


async def test_file_that_is_too_large_is_not_even_begun(
    slack: LocalSlack, source: Downloads, small_limit: int
) -> None:
    assert await source.fetch(shared(slack, data=b"x" * small_limit))
    assert await hurdle(source.fetch(shared(slack, data=b"x" * (small_limit + 1)))) == "too_large"


async def test_endless_file_is_cut_off(slack: LocalSlack, small_limit: int) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * 10_000)
                sent += 10_000
        return response

    async with slack_that(endless, slack) as (source, url):
        assert await hurdle(source.fetch(File("F1A", "a", url=url))) == "too_large"
    assert sent < 100 * small_limit


async def test_packed_answer_is_not_unpacked(slack: LocalSlack) -> None:
    async def packed(_: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})

    async with slack_that(packed, slack) as (source, url):
        assert await hurdle(source.fetch(File("F1A", "a", url=url))) == "unreachable"

"""The model's adapter, through the real SDK and its aiohttp transport, to servers on loopback."""

import asyncio
import json
import logging
import math
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest
from aiohttp import web

from bot import openai_stream
from bot.errors import (
    BotError,
    ContentFiltered,
    CutAtTokenLimit,
    ImagesRefused,
    KeyRejected,
    ModelNotFound,
    QuestionTooLong,
    QuotaUsedUp,
    RateLimited,
    RequestRefused,
    StreamBroken,
    Transient,
    Unavailable,
)
from bot.messages import ChatMessage, Delta, Image, Usage
from bot.openai_errors import retry_after
from bot.openai_model import OpenAIModel, OpenAIModels, names_a_seeing_model
from bot.openai_stream import Events
from bot.playground.model import LocalModel, ModelFault
from bot.playground.model.answers import prose
from tests import sample_files

# Reading the certificates of the system takes 50 ms for each client; loopback needs none.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

KEY = "sk-hunter2"
SECRET = "the merger with Initech"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx2, "create_ssl_context", lambda **_: NO_TLS)


@asynccontextmanager
async def asking(base_url: str, **settings: Any) -> AsyncIterator[OpenAIModel]:
    defaults = {
        "api_key": KEY,
        "model": "gpt-4o-mini",
        "temperature": None,
        "max_tokens": None,
        "timeout": 5.0,
    }
    model = OpenAIModel(base_url=base_url, **{**defaults, **settings})
    try:
        yield model
    finally:
        await model.close()


@pytest.fixture
async def server() -> AsyncIterator[LocalModel]:
    async with LocalModel(tokens_per_second=math.inf, first_token_after=0.0) as server:
        yield server


@pytest.fixture
async def model(server: LocalModel) -> AsyncIterator[OpenAIModel]:
    async with asking(server.base_url) as model:
        yield model


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server that answers every request in its own way; yields its base URL."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def answering(
    body: object, status: int = 200, headers: dict[str, str] | None = None, *, kind: str = ""
) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        content_type = kind or "application/json"
        return web.Response(status=status, text=text, headers=headers, content_type=content_type)

    return handler


def streaming(*events: object) -> Handler:
    """Server-sent events; ``[DONE]`` and the like as they are, all else as JSON."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return answering("".join(f"data: {line}\n\n" for line in lines), kind="text/event-stream")


def chunk(content: object = None, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, **choice}]}


STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


async def pieces(model: OpenAIModel, text: str = "hello") -> list[Delta | Usage]:
    return [piece async for piece in model.stream([ChatMessage("user", text)])]


async def answer(model: OpenAIModel, text: str = "hello") -> str:
    return text_of(await pieces(model, text))


async def failure(model: OpenAIModel, text: str = "hello") -> tuple[str, BotError]:
    """The text before the error, and the error."""
    received, error = await pieces_before_error(model, text)
    return text_of(received), error


async def pieces_before_error(
    model: OpenAIModel, text: str
) -> tuple[list[Delta | Usage], BotError]:
    received = []
    try:
        async for piece in model.stream([ChatMessage("user", text)]):
            received.append(piece)
    except BotError as error:
        return received, error
    pytest.fail("the stream ended without an error")


async def answer_to(handler: Handler) -> str:
    async with serving(handler) as url, asking(url) as model:
        return await answer(model)


async def failure_at(handler: Handler) -> tuple[str, BotError]:
    async with serving(handler) as url, asking(url) as model:
        return await failure(model)


def text_of(received: Sequence[Delta | Usage]) -> str:
    return "".join(piece.text for piece in received if isinstance(piece, Delta))


# ---- a good answer


async def test_answer_comes_as_deltas_and_usage_last(
    server: LocalModel, model: OpenAIModel
) -> None:
    received = await pieces(model, "[[tokens 30]]")

    assert text_of(received) == "".join(prose(30))
    assert [type(piece) for piece in received[-2:]] == [Delta, Usage]
    assert received[-1] == Usage(
        input_tokens=4, cached_tokens=0, output_tokens=30, reasoning_tokens=0
    )


async def test_deltas_come_as_they_are_written(server: LocalModel, model: OpenAIModel) -> None:
    loop, arrivals = asyncio.get_running_loop(), []

    async for _ in model.stream([ChatMessage("user", "[[tokens 20]] [[rate 100]]")]):
        arrivals.append(loop.time())

    assert len(arrivals) > 3
    assert arrivals[-1] - arrivals[0] > 0.1  # of 0.2 seconds


async def test_request_carries_the_settings_and_the_roles() -> None:
    async with (
        LocalModel(first_token_after=0.0) as server,
        asking(server.base_url, temperature=0.2, max_tokens=99) as model,
    ):
        messages = [ChatMessage("system", "Be brief."), ChatMessage("user", "[[say ok]]")]
        text = text_of([piece async for piece in model.stream(messages)])

    assert text == "ok"
    assert server.requests[0].body == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "[[say ok]]"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
        "max_completion_tokens": 99,
    }


async def test_what_is_not_set_is_not_sent(server: LocalModel, model: OpenAIModel) -> None:
    await answer(model)

    assert not {"temperature", "max_tokens", "max_completion_tokens"} & set(server.requests[0].body)


async def test_reasoning_is_counted_and_not_shown(server: LocalModel, model: OpenAIModel) -> None:
    received = await pieces(model, "[[think 8]] [[say done]]")

    assert text_of(received) == "done"
    assert isinstance(received[-1], Usage)
    assert (received[-1].output_tokens, received[-1].reasoning_tokens) == (9, 8)


async def test_models_own_refusal_is_its_answer(server: LocalModel, model: OpenAIModel) -> None:
    server.faults.add(ModelFault.refuses())

    assert await answer(model, "[[say I will not]]") == "I will not"


async def test_empty_answer_ends_without_a_delta(server: LocalModel, model: OpenAIModel) -> None:
    received = await pieces(model, "[[empty]]")

    assert [type(piece) for piece in received] == [Usage]


async def test_answer_without_usage_is_whole(server: LocalModel, model: OpenAIModel) -> None:
    server.faults.add(ModelFault.without_usage())

    received = await pieces(model, "[[say no numbers]]")

    assert received == [Delta("no numbers")]


@pytest.mark.parametrize(
    "fault",
    [
        ModelFault.written(newline=b"\r\n"),
        ModelFault.written(space=False),
        ModelFault.written(comments=True),
        ModelFault.written(split=1),
        ModelFault.written(split=7),
        ModelFault.written(gather=16),
        ModelFault.written(newline=b"\r\n", space=False, comments=True, split=5),
    ],
)
async def test_however_events_are_written_the_answer_is_whole(
    server: LocalModel, model: OpenAIModel, fault: ModelFault
) -> None:
    server.faults.add(fault)

    received = await pieces(model, "[[tokens 20]]")

    assert text_of(received) == "".join(prose(20))
    assert isinstance(received[-1], Usage)


async def test_characters_cut_in_the_middle_are_whole(
    server: LocalModel, model: OpenAIModel
) -> None:
    server.faults.add(ModelFault.written(split=1))

    assert await answer(model, "[[say für 20 € 👍]]") == "für 20 € 👍"


async def test_event_without_a_last_newline_counts() -> None:
    body = f"data: {json.dumps(chunk('whole', finish_reason='stop'))}"

    assert await answer_to(answering(body, kind="text/event-stream")) == "whole"


# ---- an answer that ends otherwise


async def test_cut_at_the_token_limit_gives_text_usage_and_then_the_error() -> None:
    async with (
        LocalModel(first_token_after=0.0, tokens_per_second=math.inf) as server,
        asking(server.base_url, max_tokens=12) as model,
    ):
        received, error = await pieces_before_error(model, "[[tokens 50]]")

    assert type(error) is CutAtTokenLimit
    assert text_of(received) == "".join(prose(50)[:12])
    assert isinstance(received[-1], Usage)
    assert received[-1].output_tokens == 12


async def test_filtered_answer_gives_the_text_before(
    server: LocalModel, model: OpenAIModel
) -> None:
    text, error = await failure(model, "[[tokens 50]] [[filter 20]]")

    assert type(error) is ContentFiltered
    assert text == "".join(prose(50)[:20])


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "eos", 1])
async def test_unknown_finish_reason_is_an_end(reason: object) -> None:
    assert await answer_to(streaming(chunk("all of it"), chunk(finish_reason=reason))) == (
        "all of it"
    )


async def test_done_alone_is_an_end() -> None:
    assert await answer_to(streaming(chunk("all of it"), "[DONE]")) == "all of it"


@pytest.mark.parametrize("directive", ["break 20", "cut 20", "end 20", "error 20", "garbage 20"])
async def test_broken_stream_is_transient_and_gives_the_text_before(
    server: LocalModel, model: OpenAIModel, directive: str
) -> None:
    text, error = await failure(model, f"[[tokens 90]] [[rate 500]] [[{directive}]]")

    assert type(error) is StreamBroken
    assert text
    assert "".join(prose(90)[:20]).startswith(text)


async def test_bytes_that_are_no_text_break_the_stream(
    server: LocalModel, model: OpenAIModel
) -> None:
    server.faults.add(ModelFault.binary(after=5))

    text, error = await failure(model, "[[tokens 90]] [[rate 500]]")

    assert type(error) is StreamBroken
    assert text == "".join(prose(90)[:5])


async def test_stalled_stream_is_broken_after_the_time_out(server: LocalModel) -> None:
    async with asking(server.base_url, timeout=0.1) as model:
        text, error = await failure(model, "[[tokens 90]] [[stall 20]]")
        await server.until(lambda: server.requests[0].finished is not None)

    assert type(error) is StreamBroken
    assert text == "".join(prose(90)[:20])
    assert server.requests[0].finished == "closed by the client"


async def test_keep_alives_without_a_word_are_a_stall() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.01)

    async with serving(handler) as url, asking(url, timeout=0.5) as model:
        _, error = await failure(model)

    assert str(error) == "the model: only keep-alives"


async def test_answer_that_never_ends_is_cut(server: LocalModel, model: OpenAIModel) -> None:
    server.faults.add(ModelFault.never_ends())

    text, error = await failure(model, "[[say all work and no play ]]")

    assert type(error) is CutAtTokenLimit
    assert len(text) == openai_stream.LONGEST_ANSWER
    await server.until(lambda: server.requests[0].finished == "closed by the client")


async def test_megabyte_in_one_delta_is_cut() -> None:
    text, error = await failure_at(streaming(chunk("x" * 1_000_000), STOP))

    assert type(error) is CutAtTokenLimit
    assert text == "x" * openai_stream.LONGEST_ANSWER


async def test_stream_without_a_word_does_not_go_on_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai_stream, "LONGEST_STREAM", 0.1)

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(f"data: {json.dumps(chunk(''))}\n\n".encode())
            await asyncio.sleep(0.01)

    async with serving(handler) as url, asking(url) as model:
        text, error = await failure(model)

    assert (text, str(error)) == ("", "the model: endless")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\x00b\x1b[31mc\x7f", "a\ufffdb\ufffd[31mc\ufffd"),
        ("\ufffe\uffff", "\ufffd\ufffd"),
        ("tab\tand\r\nline", "tab\tand\r\nline"),
        ("\u202eright to left\u200b\u200d 👩‍👩‍👧", "\u202eright to left\u200b\u200d 👩‍👩‍👧"),
    ],
    ids=["controls", "no characters", "white space", "all else"],
)
async def test_what_is_no_character_is_not_shown(written: str, shown: str) -> None:
    assert await answer_to(streaming(chunk(written), STOP)) == shown


async def test_half_a_character_can_be_asked(server: LocalModel, model: OpenAIModel) -> None:
    await answer(model, "\ud83d and \ud83d\udc4d")

    assert server.requests[0].question == "\ufffd and 👍"


async def test_reasoning_without_text_is_no_silence() -> None:
    thinking = {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]}
    requests = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for said in [*[thinking] * 35, chunk("done"), STOP]:
            await response.write(f"data: {json.dumps(said)}\n\n".encode())
            await asyncio.sleep(0.02)
        return response

    async with serving(handler) as url, asking(url, timeout=0.5) as model:
        assert await answer(model) == "done"

    assert requests == 1


async def test_line_without_an_end_breaks_the_stream_after_a_mebibyte() -> None:
    written = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"data: {json.dumps(chunk('so far'))}\n\ndata: ".encode())
        with suppress(ConnectionError):
            while written < 64 * 2**20:
                await response.write(b"x" * 2**16)
                written += 2**16
        return response

    text, error = await failure_at(handler)

    assert (text, str(error)) == ("so far", "the model: endless line")
    assert 2**20 <= written < 32 * 2**20  # some of it waits in the sockets


def test_long_line_in_many_small_reads_takes_no_time() -> None:
    events, started = Events(), time.process_time()
    line = b"data: " + b"x" * 900_000

    cut = [line[at : at + 7] for at in range(0, len(line), 7)]
    lines = [found for data in [*cut, b"\n"] for found in events.feed(data)]

    assert lines == [line[6:]]
    assert time.process_time() - started < 2  # seconds; each read once takes a tenth of one


@pytest.mark.parametrize(
    ("code", "kind"), [("insufficient_quota", QuotaUsedUp), ("server_error", StreamBroken)]
)
async def test_error_in_mid_stream_is_told_by_its_code(
    server: LocalModel, model: OpenAIModel, code: str, kind: type[BotError]
) -> None:
    server.faults.add(ModelFault.error(after=5, code=code))

    text, error = await failure(model, "[[tokens 90]]")

    assert type(error) is kind
    assert text == "".join(prose(90)[:5])


# ---- refusals before the first byte


@pytest.mark.parametrize(
    ("directive", "kind"),
    [
        ("400", RequestRefused),
        ("401", KeyRejected),
        ("402", QuotaUsedUp),
        ("403", KeyRejected),
        ("404", ModelNotFound),
        ("408", Unavailable),
        ("409", Unavailable),
        ("413", QuestionTooLong),
        ("422", RequestRefused),
        ("429", RateLimited),
        ("quota", QuotaUsedUp),
        ("context", QuestionTooLong),
        ("filter", ContentFiltered),
        ("500", Unavailable),
        ("502", Unavailable),
        ("503", Unavailable),
        ("529", Unavailable),
    ],
)
async def test_refusal_is_our_error(
    server: LocalModel, model: OpenAIModel, directive: str, kind: type[BotError]
) -> None:
    text, error = await failure(model, f"[[fail {directive}]]")

    assert type(error) is kind
    assert text == ""
    assert len(server.requests) == 1  # the SDK tries nothing again


async def test_unknown_model_is_not_found(server: LocalModel) -> None:
    async with asking(server.base_url, model="no-such-model") as model:
        _, error = await failure(model)

    assert type(error) is ModelNotFound


async def test_reset_before_the_response_is_unavailable(
    server: LocalModel, model: OpenAIModel
) -> None:
    server.faults.add(ModelFault.reset())

    _, error = await failure(model)

    assert type(error) is Unavailable


async def test_no_answer_within_the_time_out_is_unavailable(server: LocalModel) -> None:
    server.faults.add(ModelFault.slow(30))

    async with asking(server.base_url, timeout=0.1) as model:
        _, error = await failure(model)

    assert type(error) is Unavailable


async def test_nobody_at_the_address_is_unavailable() -> None:
    async with serving(answering({})) as url:
        pass

    async with asking(url) as model:
        _, error = await failure(model)

    assert type(error) is Unavailable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (503, Unavailable)])
async def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None, status: int, kind: type[BotError]
) -> None:
    _, error = await failure_at(answering({"error": {"message": "no"}}, status, headers))

    assert type(error) is kind
    assert isinstance(error, Transient)
    assert error.retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    seconds = retry_after({"retry-after": in_a_minute})

    assert seconds == pytest.approx(60, abs=2)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"error": "model 'x' not found, try pulling it first"}, ModelNotFound),
        (404, {"object": "error", "message": "no x", "code": 404}, ModelNotFound),
        (404, {"detail": "Not Found"}, RequestRefused),
        (404, {"error": {"message": "Invalid URL (POST /chat)", "code": None}}, RequestRefused),
        (404, "404 page not found", RequestRefused),
        (403, {"error": {"code": 403, "message": "x requires moderation and your input was flagged "
                         "for \"violence\""}}, ContentFiltered),
        (400, {"error": {"code": "content_policy_violation", "message": "no"}}, ContentFiltered),
        (503, {"error": {"message": "the moderation is overloaded"}}, Unavailable),
        (400, {"error": "the prompt exceeds the context length"}, QuestionTooLong),
        (400, {"detail": "This model's maximum context length is 4096 tokens"}, QuestionTooLong),
        (400, [{"error": {"code": 400, "message": "input is too long"}}], QuestionTooLong),
        (400, {"object": "error", "message": "maximum context length is 9", "code": 400},
         QuestionTooLong),
        (400, {"error": {"message": "no", "code": 1301, "type": None}}, RequestRefused),
        (400, {"error": None}, RequestRefused),
        (400, None, RequestRefused),
        (400, 17, RequestRefused),
        (400, "not JSON {", RequestRefused),
        (400, "", RequestRefused),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, QuotaUsedUp),
        (429, {"error": "slow down"}, RateLimited),
        (503, "<html>upstream connect error</html>", Unavailable),
    ],
)  # fmt: skip
async def test_errors_of_compatible_servers_are_understood(
    status: int, body: object, kind: type[BotError]
) -> None:
    _, error = await failure_at(answering(body, status))

    assert type(error) is kind


async def test_missing_page_is_refused_with_a_word_about_the_address() -> None:
    _, error = await failure_at(answering({"detail": "Not Found"}, 404))

    assert str(error).startswith("HTTP 404 ")
    assert str(error).endswith(": is OPENAI_BASE_URL right?")


async def test_address_that_no_request_can_be_sent_to_is_refused() -> None:
    async with asking("http://user:hunter3@127.0.0.1:9/v1") as model:
        _, error = await failure(model)

    assert type(error) is RequestRefused
    assert str(error) == "the address of the model's server cannot be used: ValueError"


# ---- parameters that a server refuses


@pytest.mark.parametrize("style", ["openai", "pydantic"])
@pytest.mark.parametrize("name", ["stream_options", "max_completion_tokens", "temperature"])
async def test_refused_parameter_is_left_out_from_then_on(style: Any, name: str) -> None:
    async with (
        LocalModel(first_token_after=0.0, refuses={name}, refuses_as=style) as server,
        asking(server.base_url, temperature=0.5, max_tokens=50) as model,
    ):
        answers = [await answer(model, "[[say ok]]") for _ in range(2)]

    assert answers == ["ok", "ok"]
    assert [name in request.body for request in server.requests] == [True, False, False]


@pytest.mark.parametrize("style", ["openai", "pydantic"])
async def test_limit_is_sent_under_its_older_name(style: Any) -> None:
    async with (
        LocalModel(
            first_token_after=0.0, refuses={"max_completion_tokens"}, refuses_as=style
        ) as server,
        asking(server.base_url, max_tokens=50) as model,
    ):
        await answer(model, "[[say ok]]")

    assert server.requests[-1].body["max_tokens"] == 50


async def test_server_that_refuses_everything_gets_the_bare_request() -> None:
    names = {"stream_options", "max_completion_tokens", "temperature"}
    async with (
        LocalModel(first_token_after=0.0, refuses=names, refuses_as="pydantic") as server,
        asking(server.base_url, temperature=0.5, max_tokens=50) as model,
    ):
        assert await answer(model, "[[say ok]]") == "ok"

    assert len(server.requests) == 4
    assert set(server.requests[-1].body) == {"model", "messages", "stream", "max_tokens"}


async def test_many_streams_refused_at_once_all_get_their_answer() -> None:
    async with (
        LocalModel(first_token_after=0.0, refuses={"stream_options"}) as server,
        asking(server.base_url) as model,
    ):
        answers = await asyncio.gather(*(answer(model, "[[say ok]]") for _ in range(10)))

    assert answers == ["ok"] * 10


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "No.", "param": "stream_options", "code": "unsupported_parameter"}},
        {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]},
        "I do not like your stream_options, max_completion_tokens and temperature",
    ],
)
async def test_refusal_that_persists_ends_in_an_error(body: object) -> None:
    bodies = []

    async def handler(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await answering(body, 400)(request)

    async with serving(handler) as url, asking(url) as model:
        _, error = await failure(model)

    assert type(error) is RequestRefused
    assert ["stream_options" in body for body in bodies] == [True, False]


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "messages"], "msg": "bad", "input": "the temperature?"}]},
        {"error": {"message": "No.", "param": "messages", "input": "my temperature"}},
        {"error": {"message": "'max_tokens' or 'max_completion_tokens' is too large: this model's "
                              "maximum context length is 2048 tokens"}},
    ],
)  # fmt: skip
async def test_refusal_of_something_else_changes_no_parameter(body: object) -> None:
    bodies = []

    async def handler(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await answering(body, 400)(request)

    async with serving(handler) as url, asking(url, temperature=0.5, max_tokens=50) as model:
        await failure(model)
        await failure(model)

    assert len(bodies) == 2
    assert all({"temperature", "max_completion_tokens"} <= set(body) for body in bodies)


def with_context(limit: int, bodies: list[dict[str, Any]], *, prompt: int = 200) -> Handler:
    """vLLM's, which takes the limit on the answer as part of the context."""

    async def handler(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        cap = bodies[-1]["max_completion_tokens"]
        if prompt + cap <= limit:
            return await streaming(chunk("ok"), STOP)(request)
        said = (
            f"This model's maximum context length is {limit} tokens. However, you requested "
            f"{prompt + cap} tokens ({prompt} in the messages, {cap} in the completion)."
        )
        return await answering({"object": "error", "message": said, "code": 400}, 400)(request)

    return handler


def caps(bodies: list[dict[str, Any]]) -> list[int]:
    return [body["max_completion_tokens"] for body in bodies]


async def test_limit_that_leaves_no_room_is_lowered_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    bodies: list[dict[str, Any]] = []

    async with (
        serving(with_context(4096, bodies)) as url,
        asking(url, max_tokens=4000) as model,
    ):
        answers = [await answer(model) for _ in range(2)]

    assert answers == ["ok", "ok"]
    assert caps(bodies) == [4000, 2000, 2000]
    assert caplog.text.count("model.parameter_lowered") == 1


async def test_limit_is_not_lowered_for_ever() -> None:
    bodies: list[dict[str, Any]] = []

    async with serving(with_context(0, bodies)) as url, asking(url, max_tokens=1000) as model:
        _, error = await failure(model)

    assert type(error) is QuestionTooLong
    assert caps(bodies) == [1000, 500, 256]


async def test_limit_stays_where_the_prompt_is_longer() -> None:
    bodies: list[dict[str, Any]] = []
    handler = with_context(4096, bodies, prompt=5000)

    async with serving(handler) as url, asking(url, max_tokens=1000) as model:
        _, error = await failure(model, "word " * 4000)

    assert type(error) is QuestionTooLong
    assert caps(bodies) == [1000]


async def test_many_streams_lower_the_limit_once() -> None:
    bodies: list[dict[str, Any]] = []

    async with (
        serving(with_context(4096, bodies)) as url,
        asking(url, max_tokens=4000) as model,
    ):
        answers = await asyncio.gather(*(answer(model) for _ in range(10)))

    assert answers == ["ok"] * 10
    assert set(caps(bodies)) == {4000, 2000}


# ---- keys, and what errors tell


async def test_server_without_keys_needs_none() -> None:
    async with (
        LocalModel(first_token_after=0.0) as server,
        asking(server.base_url, api_key=None) as model,
    ):
        assert await answer(model, "[[say ok]]") == "ok"


async def test_server_with_keys_gets_ours() -> None:
    async with LocalModel(first_token_after=0.0, key=KEY) as server:
        async with asking(server.base_url) as model:
            assert await answer(model, "[[say ok]]") == "ok"
        async with asking(server.base_url, api_key=None) as model:
            _, error = await failure(model)

    assert type(error) is KeyRejected


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500])
async def test_error_repeats_nothing_of_key_or_prompt(status: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        said = f"{request.headers['authorization']} may not ask: {await request.text()}"
        error = {"message": said, "code": said, "param": said, "type": said}
        return await answering({"error": error}, status)(request)

    async with serving(handler) as url, asking(url) as model:
        _, error = await failure(model, SECRET)

    assert KEY not in f"{error} {error.sentence}"
    assert SECRET not in f"{error} {error.sentence}"


async def test_error_in_the_stream_repeats_nothing_of_the_prompt() -> None:
    _, error = await failure_at(streaming({"error": {"message": SECRET, "code": SECRET}}))

    assert type(error) is StreamBroken
    assert SECRET not in f"{error} {error.sentence}"


async def test_error_names_status_and_code_for_the_log(
    server: LocalModel, model: OpenAIModel
) -> None:
    _, error = await failure(model, "[[fail context]]")

    assert "HTTP 400 code=context_length_exceeded param=messages" in str(error)


# ---- odd chunks of compatible servers


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": {}}]},
        chunk(None),
        chunk(""),
        chunk(17),
        chunk([]),
        {"choices": [], "usage": None},
        {"choices": [], "usage": "many"},
        {"error": None, "choices": []},
        {"error": {}, "choices": []},
        {"object": "chat.completion.chunk", "extra": {"deep": [1]}, "choices": [{"more": 1}]},
    ],
)
async def test_odd_chunk_without_text_does_no_harm(odd: object) -> None:
    assert await answer_to(streaming(chunk("before "), odd, chunk("after"), STOP)) == (
        "before after"
    )


async def test_empty_event_does_no_harm() -> None:
    assert await answer_to(streaming(chunk("before "), "", chunk("after"), STOP)) == "before after"


def torn(*halves: str) -> Handler:
    """Each in its own read, as JSON.stringify writes what is no whole character."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for said in [*map(chunk, halves), STOP]:
            await response.write(f"data: {json.dumps(said)}\n\n".encode())
            await asyncio.sleep(0.01)
        return response

    return handler


@pytest.mark.parametrize(
    ("halves", "text"),
    [
        (["so \ud83d", "\ude00!"], "so 😀!"),
        (["\ud83d", "", "\ude00"], "😀"),
        (["\ud83d", "\ude00\ud83d", "\ude01"], "😀😁"),
        (["\ud83d", "alone"], "\ufffdalone"),
        (["\ud83d", "\ud83d", "\ude00"], "\ufffd😀"),
        (["second \ude00", "alone"], "second \ufffdalone"),
        (["at the end \ud83d"], "at the end \ufffd"),
    ],
)
async def test_halves_of_a_character_are_joined(halves: list[str], text: str) -> None:
    assert await answer_to(streaming(*map(chunk, halves), STOP)) == text
    assert await answer_to(torn(*halves)) == text


async def test_text_may_come_in_parts() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "in parts"}, "x"]

    assert await answer_to(streaming(chunk(parts), STOP)) == "in parts"


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 2}, Usage(7, None, 2, None)),
        ({"prompt_tokens": 7.0, "completion_tokens": "2"}, Usage(7, None, 2, None)),
        ({"prompt_tokens": 7, "completion_tokens": None}, Usage(7)),
        ({"prompt_tokens": 7, "prompt_tokens_details": None}, Usage(7)),
        ({"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}, Usage(7, 3)),
        ({}, Usage()),
    ],
)
async def test_usage_keeps_what_is_unknown_apart_from_zero(
    reported: dict[str, Any], usage: Usage
) -> None:
    handler = streaming(chunk("x"), STOP, {"choices": [], "usage": reported}, "[DONE]")

    async with serving(handler) as url, asking(url) as model:
        assert (await pieces(model))[-1] == usage


async def test_usage_may_grow_with_every_chunk() -> None:
    counts = [chunk("x") | {"usage": {"completion_tokens": count}} for count in (1, 2, 3)]

    async with serving(streaming(*counts, STOP)) as url, asking(url) as model:
        received = await pieces(model)

    assert [piece for piece in received if isinstance(piece, Usage)] == [Usage(output_tokens=3)]


@pytest.mark.parametrize(
    "error",
    [
        {"error": "out of memory"},
        {"error": {"message": "out of memory"}},
        {"error": ["out", "of", "memory"]},
        {"object": "error", "message": "out of memory", "code": 500},
    ],
)
async def test_error_event_of_any_shape_breaks_the_stream(error: object) -> None:
    text, raised = await failure_at(streaming(chunk("so far"), error, "[DONE]"))

    assert type(raised) is StreamBroken
    assert text == "so far"
    assert "memory" not in str(raised)


@pytest.mark.parametrize(
    "handler",
    [
        answering({"choices": [{"message": {"content": "not streamed"}}]}),
        answering(""),
        streaming("[1, 2]"),
        streaming('"text"'),
        streaming({"choices": {"0": "zero"}}),
    ],
)
async def test_answer_that_is_no_stream_is_broken(handler: Handler) -> None:
    _, error = await failure_at(handler)

    assert type(error) is StreamBroken


async def test_web_page_is_refused_with_a_word_about_the_address() -> None:
    _, error = await failure_at(answering("<html>Welcome!</html>", kind="text/html"))

    assert type(error) is RequestRefused
    assert "OPENAI_BASE_URL" in str(error)


# ---- connections


async def test_leaving_early_closes_the_stream(server: LocalModel, model: OpenAIModel) -> None:
    async with aclosing(model.stream([ChatMessage("user", "[[tokens 9000]] [[rate 50]]")])) as it:
        await anext(it)

    await server.until(lambda: server.requests[-1].finished is not None)
    assert server.requests[-1].finished == "closed by the client"


async def test_cancelled_reader_closes_the_stream(server: LocalModel, model: OpenAIModel) -> None:
    reading = asyncio.create_task(answer(model, "[[tokens 9000]] [[rate 50]]"))
    await server.until(lambda: bool(server.requests) and server.requests[-1].tokens_sent > 2)
    reading.cancel()

    await server.until(lambda: server.requests[-1].finished is not None)
    await asyncio.gather(reading, return_exceptions=True)
    assert server.requests[-1].finished == "closed by the client"


async def test_connection_is_used_again() -> None:
    peers = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return await streaming(chunk("x"), STOP, "[DONE]")(request)

    async with serving(handler) as url, asking(url) as model:
        for _ in range(5):
            await answer(model)

    assert len(peers) == 1


async def test_hundreds_of_streams_are_open_at_once() -> None:
    count, arrived, all_here = 300, 0, asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal arrived
        arrived += 1
        if arrived == count:
            all_here.set()
        await all_here.wait()
        return await streaming(chunk("x"), STOP)(request)

    async with serving(handler) as url, asking(url, timeout=20) as model:
        answers = await asyncio.gather(*(answer(model) for _ in range(count)))

    assert answers == ["x"] * count


async def test_proxy_in_the_environment_is_not_asked_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert await answer_to(streaming(chunk("direct"), STOP)) == "direct"


# -- images

PNG, JPEG = sample_files.image(64, 48), sample_files.image(30, 20, format="JPEG")
PICTURES = (Image("image/png", PNG, 64, 48), Image("image/jpeg", JPEG, 30, 20))


async def said_about(model: OpenAIModel, *images: Image, text: str = "[[seen]]") -> str:
    messages = [ChatMessage("user", text, images)]
    return text_of([piece async for piece in model.stream(messages)])


async def test_images_arrive_after_the_text_that_names_them(
    server: LocalModel, model: OpenAIModel
) -> None:
    said = await said_about(model, *PICTURES)

    assert said == (
        f"user: image/png, 64 × 48 pixels, {len(PNG):,} bytes; "
        f"image/jpeg, 30 × 20 pixels, {len(JPEG):,} bytes"
    )
    (message,) = server.requests[0].body["messages"]
    assert message["content"][0] == {"type": "text", "text": "[[seen]]"}
    assert message["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_message_without_images_is_a_plain_string(
    server: LocalModel, model: OpenAIModel
) -> None:
    await said_about(model)

    assert server.requests[0].body["messages"] == [{"role": "user", "content": "[[seen]]"}]


@pytest.mark.parametrize(
    "name",
    [
        *("gpt-4o-mini", "gpt-4.1", "gpt-5.2-chat", "o3", "o4-mini", "chatgpt-4o-latest"),
        *("claude-sonnet-4-5", "anthropic/claude-3.5-haiku", "google/gemini-2.5-pro"),
        *("models/gemini-3-pro", "gemma3:27b", "llava:13b", "llama-4-scout", "pixtral-12b"),
        *("meta-llama/Llama-3.2-11B-Vision-Instruct", "qwen2.5vl:7b", "Qwen/Qwen3-VL-8B"),
        *("mistral-small-3.2", "grok-4", "grok-2-vision", "GPT-4o"),
    ],
)
def test_models_that_see_are_known_by_name(name: str) -> None:
    assert names_a_seeing_model(name)


@pytest.mark.parametrize(
    "name",
    [
        *("gpt-3.5-turbo", "gpt-4", "gpt-4-0613", "o1-mini", "o3-mini", "gpt-4o-audio-preview"),
        *("claude-2.1", "deepseek-chat", "llama3.1:8b", "mistral-large", "qwen3:8b", "phi-4"),
        *("local-model", "gpt-oss:20b", "openai/gpt-oss-120b", "my-gpt-4o", ""),
    ],
)
def test_of_other_models_it_is_not_presumed(name: str) -> None:
    assert not names_a_seeing_model(name)


@pytest.mark.parametrize("sees", [True, False])
async def test_operator_knows_better_than_the_name(sees: bool) -> None:
    async with asking("http://127.0.0.1:9/v1", model="my-model", sees=sees) as model:
        assert model.sees is sees


NO_IMAGES = [
    (400, {"error": {"message": "image_url is only supported by certain models.", "code": None}}),
    (404, {"error": {"message": "No endpoints found that support image input", "code": 404}}),
    (400, {"object": "error", "message": "some/model is not a multimodal model", "code": 400}),
    (500, {"error": {"message": "image input is not supported - hint: ... mmproj", "code": 500}}),
    (422, {"detail": [{"loc": ["body", "content"], "msg": "unknown variant `image_url`"}]}),
    (400, {"error": {"message": "'messages.0.content' must be a string", "code": None}}),
    (400, {"error": "this model does not support image input"}),
]


@pytest.mark.parametrize(("status", "body"), NO_IMAGES)
async def test_refused_images_are_told_apart_and_not_sent_again(status: int, body: object) -> None:
    async with serving(answering(body, status)) as url, asking(url) as model:
        with pytest.raises(ImagesRefused):
            await said_about(model, *PICTURES)

        assert model.sees is False


async def test_image_that_is_refused_alone_says_nothing_of_the_others() -> None:
    body = {"error": {"message": "Unsupported image.", "code": "invalid_image_format"}}

    async with serving(answering(body, 400)) as url, asking(url) as model:
        with pytest.raises(ImagesRefused):
            await said_about(model, *PICTURES)

        assert model.sees is True


async def test_operators_word_stands_against_a_refusal() -> None:
    status, body = NO_IMAGES[0]

    async with serving(answering(body, status)) as url, asking(url, sees=True) as model:
        with pytest.raises(ImagesRefused):
            await said_about(model, *PICTURES)

        assert model.sees is True


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": {"message": "context_length_exceeded: images"}}, QuestionTooLong),
        (400, {"error": {"code": "image_content_policy_violation"}}, ContentFiltered),
        (401, {"error": {"message": "no image for this key"}}, KeyRejected),
        (400, {"error": {"message": "temperature"}}, RequestRefused),
    ],
)
async def test_other_refusals_of_a_prompt_with_images_stay_what_they_are(
    status: int, body: object, error: type[BotError]
) -> None:
    async with serving(answering(body, status)) as url, asking(url) as model:
        with pytest.raises(error):
            await said_about(model, *PICTURES)

        assert model.sees is True


async def test_refusal_without_images_is_none_of_images() -> None:
    status, body = NO_IMAGES[0]

    async with serving(answering(body, status)) as url, asking(url) as model:
        with pytest.raises(RequestRefused):
            await said_about(model)


# ---- what channels choose


async def ask(model: OpenAIModel, **options: Any) -> list[Delta | Usage]:
    messages = [ChatMessage("user", "[[say ok]]")]
    return [piece async for piece in model.stream(messages, **options)]


async def test_request_is_as_the_channel_has_it(server: LocalModel) -> None:
    async with asking(server.base_url, temperature=0.2, max_tokens=99) as model:
        await ask(model, temperature=0.0, max_tokens=50)
        await ask(model)

    sent = [(r.body["temperature"], r.body["max_completion_tokens"]) for r in server.requests]
    assert sent == [(0.0, 50), (0.2, 99)]


async def test_channel_may_set_what_nobody_else_has_set(
    server: LocalModel, model: OpenAIModel
) -> None:
    await ask(model, temperature=1.5, max_tokens=50)

    body = server.requests[0].body
    assert (body["temperature"], body["max_completion_tokens"]) == (1.5, 50)


async def test_what_the_server_refused_of_one_channel_no_other_sends() -> None:
    refused = {"temperature", "max_completion_tokens"}
    async with (
        LocalModel(first_token_after=0.0, refuses=refused) as server,
        asking(server.base_url) as model,
    ):
        await ask(model, temperature=0.5, max_tokens=50)
        await ask(model, temperature=0.7, max_tokens=60)

    body = server.requests[-1].body
    assert "temperature" not in body
    assert (body["max_tokens"], "max_completion_tokens" in body) == (60, False)


async def test_limit_is_lowered_for_channels_with_a_higher_one_only() -> None:
    bodies: list[dict[str, Any]] = []

    async with serving(with_context(4096, bodies)) as url, asking(url) as model:
        for cap in (4000, 3000, 500):
            await ask(model, max_tokens=cap)

    assert caps(bodies) == [4000, 2000, 2000, 500]


async def test_models_of_one_server_are_told_apart(server: LocalModel) -> None:
    async with asking(server.base_url, temperature=0.2) as first:
        models = OpenAIModels(first, ["gpt-4o", "text-only", "gpt-4o-mini"])
        for name in ("gpt-4o", "gpt-4o-mini"):
            await ask(models.named(name))

        assert models.named("gpt-4o-mini") is first
        assert [models.named(name).sees for name in ("gpt-4o", "text-only")] == [True, False]

    assert [request.body["model"] for request in server.requests] == ["gpt-4o", "gpt-4o-mini"]
    assert all(request.body["temperature"] == 0.2 for request in server.requests)


async def test_what_one_model_refuses_the_others_are_still_asked(server: LocalModel) -> None:
    async with asking(server.base_url, temperature=0.2) as first:
        other = first.beside("other")
        first._do_without("temperature")
        await ask(first)
        await ask(other)

    assert ["temperature" in request.body for request in server.requests] == [False, True]


@pytest.mark.parametrize(
    ("said", "seeing"), [(None, (True, False)), (True, (True, False)), (False, (False, False))]
)
async def test_that_a_model_sees_is_said_of_that_one_and_that_none_does_of_all(
    server: LocalModel, said: bool | None, seeing: tuple[bool, bool]
) -> None:
    async with asking(server.base_url, model="a-model", sees=said) as first:
        assert first.sees is bool(said)
        assert (first.beside("gpt-4o").sees, first.beside("text-only").sees) == seeing

"""The local model, asked through the real SDK, and over plain HTTP where bytes matter."""

import asyncio
import base64
import json
import math
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from bot.playground.model import LocalModel, ModelFault, Request, Usage, answers, directives
from tests import sample_files

# Reading the certificates of the system takes 50 ms for each client; loopback needs none.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

CREATE: dict[str, Any] = {"model": "gpt-4o-mini", "temperature": 1}


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[tuple[LocalModel, AsyncOpenAI]]:
    """A model at full speed, unless told otherwise, and a client for it that never retries."""
    settings = {"tokens_per_second": math.inf, "first_token_after": 0.0, **settings}
    http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
    async with (
        LocalModel(**settings) as model,
        AsyncOpenAI(
            base_url=model.base_url, api_key="local", max_retries=0, http_client=http
        ) as client,
    ):
        yield model, client


@pytest.fixture
async def pair() -> AsyncIterator[tuple[LocalModel, AsyncOpenAI]]:
    async with running() as both:
        yield both


Pair = tuple[LocalModel, AsyncOpenAI]


def asking(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


async def chunks_of(
    client: AsyncOpenAI, text: str, *, usage: bool = True, **options: Any
) -> AsyncIterator[ChatCompletionChunk]:
    if usage:
        options["stream_options"] = {"include_usage": True}
    create = client.chat.completions.create
    stream = await create(messages=asking(text), stream=True, **CREATE | options)
    async with stream:
        async for chunk in stream:
            yield chunk


async def chunks(client: AsyncOpenAI, text: str, **options: Any) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in chunks_of(client, text, **options)]


async def ask(client: AsyncOpenAI, text: str, **options: Any) -> str:
    return text_of(await chunks(client, text, **options))


def text_of(received: list[ChatCompletionChunk]) -> str:
    deltas = [choice.delta.content for chunk in received for choice in chunk.choices]
    return "".join(delta or "" for delta in deltas)


def finish_reasons(received: list[ChatCompletionChunk]) -> list[str]:
    reasons = [choice.finish_reason for chunk in received for choice in chunk.choices]
    return [reason for reason in reasons if reason]


async def received_before_error(
    client: AsyncOpenAI, text: str
) -> tuple[list[ChatCompletionChunk], openai.APIError]:
    received = []
    try:
        async for chunk in chunks_of(client, text):
            received.append(chunk)
    except openai.APIError as error:
        return received, error
    pytest.fail("the stream ended without an error")


async def raw(model: LocalModel, text: str, **options: Any) -> bytes:
    """The body as it came, without any client's understanding of it."""
    body = {"model": "m", "stream": True, "messages": asking(text), **options}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{model.base_url}/chat/completions", json=body) as response,
    ):
        return await response.read()


# ---- a good answer


async def test_stream_has_the_shape_of_openai(pair: Pair) -> None:
    _, client = pair

    received = await chunks(client, "[[say two words]]")

    assert received[0].choices[0].delta.role == "assistant"
    assert text_of(received) == "two words"
    assert finish_reasons(received) == ["stop"]
    assert received[-1].choices == []
    assert {(chunk.id, chunk.object, chunk.model) for chunk in received} == {
        (received[0].id, "chat.completion.chunk", "gpt-4o-mini")
    }


async def test_usage_comes_last_and_only_if_asked_for(pair: Pair) -> None:
    _, client = pair

    asked = await chunks(client, "[[tokens 30]]")
    unasked = await chunks(client, "[[tokens 30]]", usage=False)

    assert [chunk.usage is not None for chunk in asked] == [False] * (len(asked) - 1) + [True]
    assert not any(chunk.usage for chunk in unasked)
    usage = asked[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (4, 30, 34)


async def test_body_is_server_sent_events_ended_by_done(pair: Pair) -> None:
    model, _ = pair

    lines = (await raw(model, "[[say hi]]")).decode().split("\n\n")

    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(line.removeprefix("data: "))["choices"] for line in lines[:-2])
    assert all('"usage"' not in line for line in lines)


async def test_answer_in_one_piece_equals_the_streamed_one(pair: Pair) -> None:
    _, client = pair
    question = "How do I begin?"

    whole = await client.chat.completions.create(messages=asking(question), **CREATE)

    assert whole.choices[0].message.content == await ask(client, question)
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 4


@pytest.mark.parametrize(
    ("question", "sign"),
    [
        ("write code for *batches* please", "```python"),
        ("compare two databases", "|---|"),
        ("a summary of this thread", "**The gist:**"),
        ("why is the sky blue", "\n1. "),
        ("Hello!", "stand-in"),
    ],
)
async def test_prepared_answer_suits_the_question(pair: Pair, question: str, sign: str) -> None:
    _, client = pair

    text = await ask(client, question)

    assert sign in text
    assert "local stand-in model" in text
    assert text == answers.prepared_answer(question)


@pytest.mark.parametrize(
    "text", ["", " ", "a\n\n  b\tc", "café ☕ 👩‍👩‍👧 x[0]  == `y`\r\n", "\x00\u2028é"]
)
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(answers.tokens_of(text)) == text


def test_prose_has_the_exact_length_and_closed_fences() -> None:
    for count in (0, 1, 7, 99, 600, 5000):
        tokens = answers.prose(count)

        assert len(tokens) == count
        assert "".join(tokens).count("```") % 2 == 0


def test_prose_ends_in_one_full_stop() -> None:
    for count in range(1, 700):
        text = "".join(answers.prose(count))

        assert not text.endswith(("..", ",.", ";.", "!.", "?.", ":.")), text[-20:]


async def test_tokens_keep_to_the_asked_rate() -> None:
    async with running(tokens_per_second=5.0, first_token_after=0.1) as (_, client):
        arrivals = []
        began = time.perf_counter()
        async for _chunk in chunks_of(client, "[[tokens 60]] [[rate 200]]"):
            arrivals.append(time.perf_counter() - began)

    assert arrivals[0] >= 0.1
    assert 0.1 + 59 / 200 <= arrivals[-1] < 0.8
    assert len(set(arrivals)) > 55  # one by one


async def test_max_tokens_cuts_the_answer_with_reason_length(pair: Pair) -> None:
    model, client = pair

    for name in ("max_tokens", "max_completion_tokens"):
        received = await chunks(client, "[[tokens 50]]", **{name: 12})
        assert finish_reasons(received) == ["length"]
        assert model.requests[-1].usage == Usage(prompt_tokens=4, completion_tokens=12)


async def test_repeated_long_prompt_is_reported_as_cached(pair: Pair) -> None:
    model, client = pair

    for end in ("first", "second"):
        await ask(client, "[[say ok]]" + "word " * 1200 + end)

    cached = [request.usage.cached_tokens for request in model.requests if request.usage]
    assert cached == [0, 1408]  # of 1,502 tokens, in steps of 128


async def test_twenty_thousand_tokens_take_little_time(pair: Pair) -> None:
    model, _ = pair
    await raw(model, "[[tokens 20000]]")

    began = time.process_time()
    body = await raw(model, "[[tokens 20000]]")

    assert body.count(b'"content":') == 20_001
    assert time.process_time() - began < 0.5  # seconds, the client's share included


# ---- steering


async def test_echo_shows_the_roles_of_the_prompt(pair: Pair) -> None:
    _, client = pair
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "[[echo]]"}]},
    ]

    answer = await client.chat.completions.create(messages=messages, **CREATE)

    assert answer.choices[0].message.content == "system: Be brief.\n\nuser: [[echo]]"


async def test_directives_of_earlier_paramsdo_not_count(pair: Pair) -> None:
    _, client = pair
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "[[fail 500]]"},
        {"role": "assistant", "content": "[[say no]]"},
        {"role": "user", "content": "[[say yes]]"},
    ]

    answer = await client.chat.completions.create(messages=messages, **CREATE)

    assert answer.choices[0].message.content == "yes"


async def answer_to(client: AsyncOpenAI, *said: str) -> str:
    """What follows in a thread in which a person and the model took turns."""
    roles = ("user", "assistant") * len(said)
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=False)]
    spoken = cast(list[ChatCompletionMessageParam], messages)
    answer = await client.chat.completions.create(messages=spoken, **CREATE)
    return answer.choices[0].message.content or ""


GO_ON = "Your answer above broke off. Go on exactly where it ends."
QUESTIONS = ["Ana: how do tides work?", "Ana: [[say One, two, three, four.]]", "Ana: [[tokens 90]]"]


@pytest.mark.parametrize("question", QUESTIONS)
async def test_answer_that_broke_off_goes_on_where_it_ends(pair: Pair, question: str) -> None:
    _, client = pair
    whole = await answer_to(client, question)
    written = whole[: len(whole) // 2].rsplit(maxsplit=1)[0]

    rest = await answer_to(client, "Ben: hi", "Hello!", question, written, GO_ON)

    assert written + rest == whole


async def test_answer_that_is_read_back_in_another_notation_goes_on_there_too(pair: Pair) -> None:
    _, client = pair
    question = "[[say **One** thing is certain, and it is that the tide comes back.]]"

    rest = await answer_to(client, question, "*One* thing is certain, and it", GO_ON)

    assert rest == " is that the tide comes back."


async def test_whole_answer_that_is_to_go_on_is_said_to_be_whole(pair: Pair) -> None:
    _, client = pair

    rest = await answer_to(client, "[[say That is it.]]", "That is it.", GO_ON)

    assert rest.strip() == "That was all of the prepared text."


async def test_empty_answer_ends_properly(pair: Pair) -> None:
    _, client = pair

    received = await chunks(client, "[[empty]]")

    assert text_of(received) == ""
    assert finish_reasons(received) == ["stop"]


async def test_unusable_directives_are_ignored(pair: Pair) -> None:
    _, client = pair

    text = await ask(client, "[[fail 999]] [[rate x]] [[tokens -1]] [[break]] [[nothing]] Hello")

    assert text == answers.prepared_answer("Hello")


async def test_documented_directives_are_those_that_work() -> None:
    documented = set(re.findall(r"^``\[\[(\w+)", directives.__doc__ or "", re.MULTILINE))

    texts = {"tokens", "say", "echo", "seen", "empty", "rate", "think"}
    assert documented == texts | set(directives.ORDERED_FAULTS)


async def test_own_answers_replace_the_prepared_ones() -> None:
    def shout(request: Request) -> str:
        return request.question.upper()

    async with running(answer=shout) as (_, client):
        assert await ask(client, "so it is") == "SO IT IS"


async def test_failure_can_be_asked_for_once(pair: Pair) -> None:
    model, client = pair
    question = "[[fail 503 1]] [[say back again]]"

    with pytest.raises(openai.InternalServerError):
        await ask(client, question)

    assert await ask(client, question) == "back again"
    assert [request.finished for request in model.requests] == ["refused", "complete"]


# ---- refusals


@pytest.mark.parametrize(
    ("directive", "error", "code"),
    [
        ("400", openai.BadRequestError, None),
        ("401", openai.AuthenticationError, "invalid_api_key"),
        ("403", openai.PermissionDeniedError, "unsupported_country_region_territory"),
        ("404", openai.NotFoundError, "model_not_found"),
        ("408", openai.APIStatusError, None),
        ("409", openai.ConflictError, None),
        ("429", openai.RateLimitError, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, "insufficient_quota"),
        ("context", openai.BadRequestError, "context_length_exceeded"),
        ("filter", openai.BadRequestError, "content_filter"),
        ("500", openai.InternalServerError, None),
        ("502", openai.InternalServerError, None),
        ("503", openai.InternalServerError, None),
    ],
)
async def test_failure_is_the_sdks_error(
    pair: Pair, directive: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    _, client = pair

    with pytest.raises(error) as raised:
        await ask(client, f"[[fail {directive}]]")

    assert raised.value.code == code
    if directive.isdigit():
        assert raised.value.status_code == int(directive)


async def test_rate_limit_says_when_to_come_back(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.rate_limited(retry_after=1.5))

    with pytest.raises(openai.RateLimitError) as raised:
        await ask(client, "hello")

    assert raised.value.response.headers["retry-after"] == "2"
    assert raised.value.response.headers["retry-after-ms"] == "1500"


async def test_bad_gateway_is_a_page_in_html(pair: Pair) -> None:
    model, _ = pair

    assert (await raw(model, "[[fail 502]]")).startswith(b"<html>")


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"model": "no-such-model"}, 404, "model_not_found"),
        ({"model": ""}, 400, None),
        ({"messages": []}, 400, "empty_array"),
        ({"messages": [{"role": "bot", "content": "x"}]}, 400, "invalid_value"),
        ({"messages": [{"role": "user", "content": None}]}, 400, None),
        ({"temperature": 2.5}, 400, "decimal_above_max_value"),
        ({"temperature": -1}, 400, "decimal_below_min_value"),
        ({"max_tokens": 0}, 400, "integer_below_min_value"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, 400, "invalid_parameter_combination"),
        ({"stream_options": {"include_usage": True}}, 400, None),
    ],
)
async def test_wrong_request_is_refused_as_openai_does(
    pair: Pair, options: dict[str, Any], status: int, code: str | None
) -> None:
    _, client = pair

    with pytest.raises(openai.APIStatusError) as raised:
        await client.chat.completions.create(**{"messages": asking("x"), **CREATE, **options})

    assert (raised.value.status_code, raised.value.code) == (status, code)


async def test_malformed_body_is_refused(pair: Pair) -> None:
    model, _ = pair
    url = f"{model.base_url}/chat/completions"

    async with aiohttp.ClientSession() as session, session.post(url, data=b"{not") as response:
        error = (await response.json())["error"]

    assert response.status == 400
    assert error["type"] == "invalid_request_error"
    assert model.requests[0].finished == "refused"


async def test_wrong_key_is_refused_and_the_right_one_is_not_kept() -> None:
    async with running(key="local") as (model, client):
        with pytest.raises(openai.AuthenticationError) as raised:
            await ask(client.with_options(api_key="another"), "hello")

        assert await ask(client, "[[say ok]]") == "ok"
        assert [each.id async for each in client.models.list()] == ["local-model"]

    assert raised.value.code == "invalid_api_key"
    assert not any("authorization" in request.headers for request in model.requests)


async def test_too_long_prompt_is_refused_with_the_numbers() -> None:
    async with running(context_tokens=100) as (_, client):
        with pytest.raises(openai.BadRequestError, match=r"100 tokens.*150 in the") as one:
            await ask(client, "x" * 600, max_tokens=10)

        assert one.value.code == "context_length_exceeded"
        assert await ask(client, "[[say fits]]")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("max_completion_tokens", 9, "unsupported_parameter"),
        ("stream_options", {"include_usage": True}, "unsupported_parameter"),
        ("temperature", 0.5, "unsupported_value"),
    ],
)
async def test_server_refuses_parameters_it_does_not_know(
    name: str, value: object, code: str
) -> None:
    async with running(refuses={name}) as (model, client):
        with pytest.raises(openai.BadRequestError) as raised:
            await ask(client, "x", usage=False, **{name: value})

        model.refuses_as = "pydantic"
        with pytest.raises(openai.UnprocessableEntityError) as other:
            await ask(client, "x", usage=False, **{name: value})

    assert (raised.value.code, raised.value.param) == (code, name)
    assert other.value.response.json()["detail"][0]["loc"] == ["body", name]


# ---- faults in mid-stream


async def test_reset_before_the_response_is_a_connection_error(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.reset())

    with pytest.raises(openai.APIConnectionError):
        await ask(client, "hello")

    assert model.requests[0].finished == "reset"
    assert model.requests[0].status is None


@pytest.mark.parametrize(("directive", "how"), [("break", "reset"), ("cut", "cut")])
async def test_broken_stream_gives_the_tokens_before_it(
    pair: Pair, directive: str, how: str
) -> None:
    model, client = pair
    model.tokens_per_second = 500

    received, error = await received_before_error(client, f"[[tokens 90]] [[{directive} 20]]")

    assert isinstance(error, openai.APIConnectionError)
    assert text_of(received) == "".join(answers.prose(90)[:20])
    assert (model.requests[0].finished, model.requests[0].tokens_sent) == (how, 20)


async def test_reset_is_a_real_one(pair: Pair) -> None:
    model, _ = pair
    host, port = model.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    body = json.dumps({"model": "m", "stream": True, "messages": asking("[[break 3]]")})
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())

    with pytest.raises(ConnectionResetError):
        await reader.read()

    writer.close()


async def test_early_end_looks_clean_but_has_no_finish_reason(pair: Pair) -> None:
    model, client = pair

    received = await chunks(client, "[[tokens 90]] [[end 20]]")

    assert text_of(received) == "".join(answers.prose(90)[:20])
    assert finish_reasons(received) == []
    assert b"[DONE]" not in await raw(model, "[[tokens 90]] [[end 20]]")


async def test_error_event_is_an_api_error_without_status(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.error(after=5, code="rate_limit_exceeded"))

    received, error = await received_before_error(client, "[[tokens 90]]")

    assert not isinstance(error, openai.APIStatusError)
    assert error.code == "rate_limit_exceeded"
    assert text_of(received) == "".join(answers.prose(90)[:5])


async def test_stall_lasts_until_the_client_closes(pair: Pair) -> None:
    model, client = pair
    patient = client.with_options(timeout=0.2)

    received, error = await received_before_error(patient, "[[tokens 90]] [[stall 20]]")
    await model.until(lambda: model.requests[0].finished is not None)

    assert isinstance(error, openai.APITimeoutError)
    assert text_of(received) == "".join(answers.prose(90)[:20])
    assert model.requests[0].finished == "closed by the client"


async def test_filter_ends_the_answer_with_its_reason(pair: Pair) -> None:
    _, client = pair

    received = await chunks(client, "[[tokens 90]] [[filter 20]]")

    assert text_of(received) == "".join(answers.prose(90)[:20])
    assert finish_reasons(received) == ["content_filter"]


async def test_endless_answer_heeds_no_limit(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.never_ends())
    stream = await client.chat.completions.create(
        model="local-model",
        messages=[{"role": "user", "content": "[[say again ]]"}],
        max_tokens=3,
        stream=True,
    )

    text = ""
    async for chunk in stream:
        text += chunk.choices[0].delta.content or ""
        if len(text) > 1_000:
            break
    await stream.close()

    assert set(text.split()) == {"again"}
    await model.until(lambda: model.requests[0].finished == "closed by the client")


@pytest.mark.parametrize("fault", [ModelFault.garbage(after=5), ModelFault.binary(after=5)])
async def test_garbage_is_followed_by_the_rest(pair: Pair, fault: ModelFault) -> None:
    model, _ = pair
    model.faults.add(fault)

    events = (await raw(model, "[[tokens 9]]")).split(b"\n\n")

    assert events[6] == b"data: " + (fault.line or b"")
    assert sum(b'"content":' in event for event in events) == 1 + 9
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(events[6].removeprefix(b"data: "))


async def test_slow_answer_sends_nothing_before_its_time(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.slow(5))

    with pytest.raises(openai.APITimeoutError):
        await ask(client.with_options(timeout=0.1), "hello")

    await model.until(lambda: model.requests[0].finished == "closed by the client")
    assert model.requests[0].status is None


async def test_usage_may_be_missing_although_asked_for(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.without_usage())

    received = await chunks(client, "hello")

    assert finish_reasons(received) == ["stop"]
    assert not any(chunk.usage for chunk in received)


# ---- unusual but right


@pytest.mark.parametrize(
    "fault",
    [
        ModelFault.written(newline=b"\r\n"),
        ModelFault.written(space=False),
        ModelFault.written(comments=True),
        ModelFault.written(split=7),
        ModelFault.written(gather=16),
        ModelFault.written(newline=b"\r\n", space=False, comments=True, split=5),
    ],
)
async def test_however_events_are_written_the_answer_is_whole(
    pair: Pair, fault: ModelFault
) -> None:
    model, client = pair
    model.faults.add(fault)

    received = await chunks(client, "[[tokens 40]] [[rate 1000]]")

    assert text_of(received) == "".join(answers.prose(40))
    assert received[-1].usage is not None


async def test_reasoning_comes_first_and_is_counted(pair: Pair) -> None:
    model, client = pair

    received = await chunks(client, "[[think 8]] [[say done]]")

    extras = [chunk.choices[0].delta.model_extra or {} for chunk in received if chunk.choices]
    thoughts = [extra["reasoning_content"] for extra in extras if "reasoning_content" in extra]
    assert thoughts == list(answers.prose(8))
    assert [chunk.choices[0].delta.content for chunk in received[1:9]] == [None] * 8
    assert text_of(received) == "done"
    assert model.requests[0].usage == Usage(
        prompt_tokens=6, completion_tokens=9, reasoning_tokens=8
    )


async def test_model_may_decline_in_refusal_deltas(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.refuses())

    received = await chunks(client, "[[say I will not]]")

    refusal = [chunk.choices[0].delta.refusal for chunk in received if chunk.choices]
    assert "".join(each or "" for each in refusal) == "I will not"
    assert text_of(received) == ""


# ---- records


async def test_faults_meet_the_paramsthey_match_as_often_as_said(pair: Pair) -> None:
    model, client = pair
    model.faults.add(ModelFault.http(500), times=2, matching="unlucky")

    assert await ask(client, "[[say fine]]") == "fine"
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            await ask(client, "[[say fine]] unlucky")
    assert await ask(client, "[[say fine]] unlucky") == "fine"


async def test_requests_show_when_the_client_closed_the_stream() -> None:
    async with running(tokens_per_second=200) as (model, client):
        async for _ in chunks_of(client, "[[tokens 5000]]"):
            if model.requests[0].tokens_sent >= 10:
                break
        await model.until(lambda: model.requests[0].finished is not None)

        request = model.requests[0]

    assert request.finished == "closed by the client"
    assert 10 <= request.tokens_sent < 100
    assert request.closed_at is not None
    assert 0.04 < request.closed_at - request.received_at < 1
    assert request.usage is None


async def test_totals_tell_what_was_reported_from_what_was_used(pair: Pair) -> None:
    model, client = pair

    await ask(client, "[[tokens 30]]")
    await ask(client, "[[tokens 30]]", usage=False)
    await received_before_error(client, "[[tokens 30]] [[break 20]]")
    with pytest.raises(openai.RateLimitError):
        await ask(client, "[[fail 429]]")

    assert model.usage_sent.reported == Usage(prompt_tokens=4, completion_tokens=30)
    assert model.usage_sent.generated == Usage(prompt_tokens=4 + 4 + 7, completion_tokens=80)


async def test_each_change_of_a_request_is_told_with_its_number() -> None:
    told: list[tuple[int, Request]] = []
    async with running(tokens_per_second=100) as (model, client):
        model.listeners.append(lambda number, request: told.append((number, request)))
        for _ in range(2):
            await ask(client, "[[tokens 30]]")

    first = [request for number, request in told if number == 0]
    tokens = [request.tokens_sent for request in first]
    assert {number for number, _ in told} == {0, 1}
    assert (first[0].body, first[-1].finished) == ({}, "complete")
    assert (tokens, tokens[0], tokens[-1]) == (sorted(tokens), 0, 30)
    assert len(set(tokens)) > 10


async def test_until_says_what_was_there_instead(pair: Pair) -> None:
    model, client = pair
    await ask(client, "hello")

    with pytest.raises(TimeoutError, match="'complete': 1"):
        await model.until(lambda: len(model.requests) == 2, timeout=0.05)


async def test_stopping_ends_open_streams_at_once_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session:
        async with LocalModel(first_token_after=0.0) as model:
            url = f"{model.base_url}/chat/completions"
            streams = []
            for text in ("[[tokens 5000]]", "[[stall 3]]", "[[slow 60]]"):
                body = {"model": "m", "stream": True, "messages": asking(text)}
                streams.append(asyncio.create_task(session.post(url, json=body).__aenter__()))
            await model.until(lambda: [each.question for each in model.requests].count("") == 0)
            await model.until(lambda: sum(each.tokens_sent > 2 for each in model.requests) == 2)
            began = time.perf_counter()
        took = time.perf_counter() - began
        await asyncio.gather(*streams, return_exceptions=True)

        assert took < 0.15
        assert asyncio.all_tasks() == before
    assert {each.finished for each in model.requests} == {"closed by the server's stop"}


async def test_hundred_streams_keep_their_schedule_together() -> None:
    async with running(tokens_per_second=100) as (model, _):
        began = time.perf_counter()
        bodies = await asyncio.gather(*[raw(model, f"[[tokens 50]] {n}") for n in range(100)])
        took = time.perf_counter() - began

    assert all(body.count(b'"content":') == 51 for body in bodies)
    assert 0.49 <= took < 2.0


# Images


def with_image(text: str, data: bytes, media_type: str = "image/png") -> dict[str, Any]:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    return {"role": "user", "content": parts}


async def said_to(client: AsyncOpenAI, *messages: dict[str, Any]) -> str:
    params = cast("list[ChatCompletionMessageParam]", list(messages))
    completion = await client.chat.completions.create(messages=params, **CREATE)
    return str(completion.choices[0].message.content)


async def test_model_says_which_images_it_sees(pair: Pair) -> None:
    _, client = pair
    png, jpeg = sample_files.image(640, 480), sample_files.image(30, 20, format="JPEG")

    said = await said_to(
        client,
        with_image("look", jpeg, "image/jpeg"),
        {"role": "assistant", "content": "I do."},
        with_image("[[seen]]", png),
    )

    assert said == (
        f"user: image/jpeg, 30 × 20 pixels, {len(jpeg):,} bytes\n"
        f"user: image/png, 640 × 480 pixels, {len(png):,} bytes"
    )
    assert await said_to(client, {"role": "user", "content": "[[seen]]"}) == "no images"


async def test_prepared_answer_mentions_the_image(pair: Pair) -> None:
    _, client = pair

    said = await said_to(client, with_image("What is this?", sample_files.image(64, 48)))

    assert said.startswith(
        "You sent me an image, of which I see this much:\n\n- image/png, 64 × 48"
    )


async def test_images_count_as_tokens(pair: Pair) -> None:
    model, client = pair

    await said_to(client, with_image("[[say yes]]", sample_files.image(640, 480)))

    assert model.requests[0].prompt_usage.prompt_tokens == 20 * 15 + 3


@pytest.mark.parametrize(
    "message",
    [
        with_image("x", b"no picture"),
        with_image("x", sample_files.image(), "image/tiff"),
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]},
        {"role": "user", "content": [{"type": "image_url"}]},
    ],
)
async def test_what_is_no_image_is_refused_as_openai_does(
    pair: Pair, message: dict[str, Any]
) -> None:
    _, client = pair

    with pytest.raises(openai.BadRequestError) as refused:
        await said_to(client, message)

    assert refused.value.code == "invalid_image_format"


async def test_model_that_sees_nothing_refuses_images() -> None:
    async with running(sees=False) as (_, client):
        with pytest.raises(openai.BadRequestError, match="only supported by certain models"):
            await said_to(client, with_image("x", sample_files.image()))

        assert await said_to(client, {"role": "user", "content": "[[say yes]]"}) == "yes"

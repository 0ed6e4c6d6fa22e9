"""`/metrics` as Prometheus reads it: real calls to a local Slack and a local model, counted."""

import logging
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest

from bot.errors import BotError, Unavailable
from bot.logs import event, heard_by
from bot.messages import ChatMessage, Identity, TurnKey, Usage, UsageRecord
from bot.metrics import Metrics, Moment, shown
from bot.openai_model import OpenAIModel
from bot.playground.model import LocalModel, ModelFault
from bot.playground.slack import Fault, LocalSlack
from bot.retries import ask_again, until_recorded
from bot.slack import SlackChat
from bot.web_api import connected
from tests.scrape import Reading, scraped

log = logging.getLogger("bot.test")

QUIET = Moment(running=0, waiting=0, is_receiving=True, is_database_ready=True)
RECORD = UsageRecord(
    at=datetime(2026, 1, 31, tzinfo=UTC),
    key=TurnKey("T1", "C1", "1.2"),
    user="U1",
    model="gpt-4o-mini",
    usage=Usage(100, 40, 30, 10),
    seconds_to_first_delta=0.6,
    seconds=4.0,
    requests=1,
    outcome="complete",
    cost=Decimal("0.25"),
)
REQUESTS = "gen_ai_client_operation_duration_seconds"


class Board:
    """The metrics, on show."""

    def __init__(self) -> None:
        self.metrics = Metrics("https://api.openai.com/v1")
        self.moment = QUIET
        self.port = 0

    async def look(self) -> Moment:
        return self.moment

    async def read(self) -> Reading:
        return await scraped(self.port)


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    board = Board()
    async with shown(board.metrics, board.look, host="127.0.0.1", port=0) as board.port:
        with heard_by(board.metrics.hear):
            yield board


def finished(record: UsageRecord) -> None:
    event(log, "answer.finished", **record.fields())


# -- answers


async def test_answers_are_counted_by_outcome_and_none_is_zero(board: Board) -> None:
    finished(RECORD)
    finished(RECORD)
    finished(replace(RECORD, outcome="failed"))

    reading = await board.read()
    outcomes = ("complete", "failed", "cut", "stopped")
    ended = [reading.of("llmbot_answers_total", outcome=outcome) for outcome in outcomes]
    assert ended == [2, 1, 0, 0]


async def test_tokens_and_cost_are_those_of_the_records(board: Board) -> None:
    finished(RECORD)
    finished(replace(RECORD, usage=Usage(1, None, 2, None), cost=Decimal("0.5")))

    reading = await board.read()
    kinds = ("input", "cached", "output", "reasoning")
    tokens = [reading.of(f"llmbot_{kind}_tokens_total", model="gpt-4o-mini") for kind in kinds]
    assert tokens == [101, 40, 32, 10]
    assert reading.of("llmbot_cost_usd_total", model="gpt-4o-mini") == 0.75


async def test_a_cost_that_is_unknown_is_not_shown_as_zero(board: Board) -> None:
    finished(replace(RECORD, model="mystery", cost=None))
    finished(replace(RECORD, model="unreachable", cost=None, usage=Usage()))

    reading = await board.read()
    assert reading.of("llmbot_cost_usd_total") is None
    assert reading.of("llmbot_unpriced_total", model="mystery") == 1
    assert reading.of("llmbot_unpriced_total", model="unreachable") is None


async def test_seconds_fall_into_buckets(board: Board) -> None:
    finished(RECORD)
    finished(replace(RECORD, seconds_to_first_delta=None, seconds=700.0))

    reading = await board.read()
    assert reading.of("llmbot_first_words_seconds_count") == 1
    assert reading.of("llmbot_first_words_seconds_bucket", le="0.5") == 0
    assert reading.of("llmbot_first_words_seconds_bucket", le="0.75") == 1
    assert reading.of("llmbot_answer_seconds_sum") == 704
    assert reading.of("llmbot_answer_seconds_bucket", le="600.0") == 1
    assert reading.of("llmbot_answer_seconds_bucket", le="+Inf") == 2


async def test_helper_calls_cost_but_are_no_answers(board: Board) -> None:
    finished(replace(RECORD, purpose="title"))

    reading = await board.read()
    assert reading.of("llmbot_answers_total") == 0
    assert reading.of("llmbot_answer_seconds_count") == 0
    assert reading.of("llmbot_cost_usd_total") == 0.25


# -- the moment


async def test_gauges_are_those_of_the_moment_of_the_look(board: Board) -> None:
    board.moment = Moment(running=3, waiting=2, is_receiving=True, is_database_ready=False)
    busy = await board.read()
    board.moment = QUIET
    quiet = await board.read()

    names = (
        "llmbot_answers_running",
        "llmbot_answers_waiting",
        "llmbot_receiving",
        "llmbot_database_ready",
    )
    assert [busy.of(name) for name in names] == [3, 2, 1, 0]
    assert [quiet.of(name) for name in names] == [0, 0, 1, 1]


async def test_the_process_is_measured_too(board: Board) -> None:
    reading = await board.read()

    assert (reading.of("process_resident_memory_bytes") or 0) > 1e6


# -- Slack


async def test_calls_to_slack_and_what_it_refuses_are_counted_by_method(board: Board) -> None:
    async with (
        LocalSlack() as slack,
        connected(slack.bot_token, api_url=slack.api_url) as client,
    ):
        chat = SlackChat(client, Identity("T0LOCAL", slack.bot_user_id, "B0BOT", "bot"))
        channel = slack.workspace.channel("general").id
        faults = [Fault.refuse(retry_after=1), Fault.unavailable(), Fault.lost_answer()]
        for fault in faults:
            slack.faults.add("chat.update", fault)
            with pytest.raises(BotError):
                await chat.update(channel, "1.2", {"text": "hello"})
        with pytest.raises(BotError):
            await chat.update(channel, "1.2", {"text": "hello"})
        ts = await chat.post(channel, None, {"text": "hello"})
        await chat.update(channel, ts, {"text": "hello again"})

    reading = await board.read()
    errors = reading.labels("llmbot_slack_errors_total")
    assert sorted(each["error"] for each in errors) == [
        "message_not_found",
        "ratelimited",
        "unavailable",
    ]
    assert reading.of("llmbot_slack_errors_total", error="unavailable") == 2
    assert {each["method"] for each in errors} == {"chat.update"}
    assert reading.of("llmbot_slack_call_seconds_count", method="chat.update") == 5
    assert reading.of("llmbot_slack_call_seconds_count", method="chat.postMessage") == 1


# -- the model


@pytest.fixture
async def server() -> AsyncIterator[LocalModel]:
    async with LocalModel(tokens_per_second=math.inf, first_token_after=0.0) as server:
        yield server


@pytest.fixture
async def model(server: LocalModel) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(
        api_key="sk-1",
        base_url=server.base_url,
        model="gpt-4o-mini",
        temperature=None,
        max_tokens=None,
        timeout=5.0,
    )
    yield model
    await model.close()


async def ask(model: OpenAIModel, text: str) -> None:
    async for _ in model.stream([ChatMessage("user", text)]):
        pass


async def test_a_request_to_the_model_is_measured_by_the_genai_conventions(
    board: Board, server: LocalModel, model: OpenAIModel
) -> None:
    await ask(model, "[[tokens 30]]")

    reading = await board.read()
    [labels] = reading.labels(f"{REQUESTS}_count")
    assert labels == {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": "gpt-4o-mini",
        "server_address": "api.openai.com",
        "server_port": "443",
        "error_type": "",
    }
    assert reading.of("gen_ai_client_operation_time_to_first_chunk_seconds_count") == 1
    assert reading.of("gen_ai_client_token_usage_sum", gen_ai_token_type="output") == 30
    asked = server.requests[0].prompt_usage.prompt_tokens
    assert reading.of("gen_ai_client_token_usage_sum", gen_ai_token_type="input") == asked


@pytest.mark.parametrize(
    ("order", "error", "chunks"),
    [
        ("[[fail 503]]", "Unavailable", None),
        ("[[fail 429]]", "RateLimited", None),
        ("[[fail 401]]", "KeyRejected", None),
        ("[[break 20]] [[tokens 60]]", "StreamBroken", 1),
        ("[[error 20]] [[tokens 60]]", "StreamBroken", 1),
    ],
)
async def test_failures_of_the_model_are_counted_by_their_kind(
    board: Board, model: OpenAIModel, order: str, error: str, chunks: int | None
) -> None:
    with pytest.raises(BotError):
        await ask(model, order)

    reading = await board.read()
    assert reading.of(f"{REQUESTS}_count") == 1
    assert reading.of(f"{REQUESTS}_count", error_type=error) == 1
    assert reading.of("gen_ai_client_operation_time_to_first_chunk_seconds_count") == chunks
    assert reading.of("gen_ai_client_token_usage_count") is None


async def test_an_answer_at_its_limit_is_no_failure(
    board: Board, server: LocalModel, model: OpenAIModel
) -> None:
    model._max_tokens = 20
    with pytest.raises(BotError):
        await ask(model, "[[tokens 60]]")

    reading = await board.read()
    assert reading.of(f"{REQUESTS}_count", error_type="") == 1
    assert reading.of("gen_ai_client_token_usage_sum", gen_ai_token_type="output") == 20


async def test_a_stream_that_nobody_reads_to_its_end_was_stopped(
    board: Board, model: OpenAIModel
) -> None:
    async with aclosing(model.stream([ChatMessage("user", "[[tokens 900]]")])) as pieces:
        async for _ in pieces:
            break

    assert (await board.read()).of(f"{REQUESTS}_count", error_type="Stopped") == 1


async def test_a_parameter_that_is_refused_costs_a_request_of_its_own(
    board: Board, server: LocalModel, model: OpenAIModel
) -> None:
    server.faults.add(ModelFault.unsupported("stream_options"))
    await ask(model, "[[tokens 30]]")

    reading = await board.read()
    assert reading.of(f"{REQUESTS}_count", error_type="ParameterRefused") == 1
    assert reading.of(f"{REQUESTS}_count", error_type="") == 1


# -- what is tried again, and all else


async def test_retries_are_counted_by_service(board: Board, model: OpenAIModel) -> None:
    await ask_again(lambda: ask(model, "[[fail 503 1]] [[say hello]]"), lambda *_: None)

    reading = await board.read()
    services = ("model", "slack", "database")
    assert [reading.of("llmbot_retries_total", service=each) for each in services] == [1, 0, 0]


async def test_a_database_that_is_away_is_counted(board: Board) -> None:
    failures: list[Exception] = [Unavailable("the database", "OperationalError")]

    async def call() -> None:
        if failures:
            raise failures.pop()

    await until_recorded(call)

    assert (await board.read()).of("llmbot_retries_total", service="database") == 1


async def test_every_other_event_is_counted_by_its_name(board: Board) -> None:
    event(log, "edit.late", channel="C1")
    event(log, "edit.late", channel="C2")
    event(log, "turn.given_up", level=logging.DEBUG, ts="1.2", reason="x")

    reading = await board.read()
    assert reading.of("llmbot_events_total", event="edit.late") == 2
    assert reading.of("llmbot_events_total", event="turn.given_up") == 1


async def test_nobody_and_no_place_is_named(board: Board) -> None:
    finished(RECORD)
    event(log, "question.accepted", channel="C1", ts="1.2", user="U1")

    text = (await board.read()).text
    assert [name for name in ("C1", "U1", "T1", "1.2") if f'"{name}"' in text] == []


# -- the page


async def test_what_is_shown_is_all_there_is(board: Board) -> None:
    base = f"http://127.0.0.1:{board.port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/") as other:
            assert other.status == 404
        async with session.post(f"{base}/metrics") as written:
            assert written.status == 405


async def test_prometheus_s_newer_format_is_spoken(board: Board) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"http://127.0.0.1:{board.port}/metrics") as answer,
    ):
        assert answer.content_type == "application/openmetrics-text"
        assert (await answer.text()).endswith("# EOF\n")


async def test_each_metric_has_a_help_text(board: Board) -> None:
    text = (await board.read()).text
    helps = [line.split(" ", 3) for line in text.splitlines() if line.startswith("# HELP")]

    assert all(len(line) == 4 and line[3] for line in helps)


async def test_buckets_grow(board: Board) -> None:
    finished(RECORD)
    reading = await board.read()

    for name in ("llmbot_first_words_seconds", "llmbot_answer_seconds"):
        edges = [float(each["le"]) for each in reading.labels(f"{name}_bucket")]
        assert all(one < other for one, other in pairwise(edges))

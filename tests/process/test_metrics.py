"""What operators see of a running bot: `/metrics`, lines in JSON, and what a collector gets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from bot.playground.model import ModelFault
from bot.playground.slack import Fault, LocalSlack
from tests.bot_process import BotProcess, command, running, started
from tests.collector import collecting
from tests.process.conftest import Stage, local_servers
from tests.scrape import Reading, scraped

SECRET = "the merger with Initech"
KEY = "gsk_hunter2hunter2"  # of no form that is known


@asynccontextmanager
async def on_stage(**env: Any) -> AsyncIterator[Stage]:
    async with local_servers() as (slack, model), running(slack, model.base_url, **env) as bot:
        await bot.says("bot.started")
        yield Stage(slack, model, bot)


def port_of(bot: BotProcess) -> int:
    return int(bot.events("metrics.shown")[0]["port"])


async def until(bot: BotProcess, holds: Callable[[Reading], bool]) -> Reading:
    """Reads `/metrics` until it holds; the answers' last lines come after what is on screen."""
    async with asyncio.timeout(20):
        while True:
            reading = await scraped(port_of(bot))
            if holds(reading):
                return reading
            await asyncio.sleep(0.05)


# -- /metrics


async def test_metrics_are_what_happened() -> None:
    async with on_stage(METRICS_PORT="0") as stage:
        stage.slack.faults.add("chat.postMessage", Fault.refuse(retry_after=1))
        said = [await stage.ask(f"[[say {word}]]") for word in ("one", "two")]
        broken = await stage.ask("[[break 60 1]] [[tokens 120]]")
        refused = await stage.ask("[[fail 400]]")
        for ts in (*said, broken, refused):
            await stage.whole(ts)
        reading = await until(
            stage.bot,
            lambda now: (
                now.of("llmbot_answers_total") == 4 and now.of("llmbot_answers_running") == 0
            ),
        )
        records = stage.bot.events("answer.finished")

    assert reading.of("llmbot_answers_total", outcome="complete") == 3
    assert reading.of("llmbot_answers_total", outcome="failed") == 1
    for kind in ("input_tokens", "output_tokens"):
        known = [int(record[kind]) for record in records if record[kind] != "-"]
        assert reading.of(f"llmbot_{kind}_total", model="gpt-4o-mini") == sum(known) > 0
    assert reading.of("llmbot_answer_seconds_count") == 4
    assert reading.of("llmbot_first_words_seconds_count") == 3

    requests = "gen_ai_client_operation_duration_seconds_count"
    assert reading.of(requests) == len(stage.model.requests) == 5
    assert reading.of(requests, error_type="StreamBroken") == 1
    assert reading.of(requests, error_type="RequestRefused") == 1
    assert reading.of("llmbot_retries_total", service="model") == 1
    assert reading.of("llmbot_retries_total", service="slack") == 1

    calls = [call.method for call in stage.slack.calls]
    for method in ("chat.postMessage", "auth.test", "apps.connections.open"):
        assert reading.of("llmbot_slack_call_seconds_count", method=method) == calls.count(method)
    [refusal] = reading.labels("llmbot_slack_errors_total")
    assert refusal == {"method": "chat.postMessage", "error": "ratelimited"}
    assert reading.of("llmbot_events_total", event="question.accepted") == 4


async def test_answers_that_run_and_questions_that_wait_are_seen() -> None:
    async with on_stage(METRICS_PORT="0", MAX_CONCURRENT_ANSWERS="1") as stage:
        await stage.ask("[[rate 5]] [[tokens 500]]")
        await stage.ask("[[say my turn]]")

        await until(
            stage.bot,
            lambda now: (
                (now.of("llmbot_answers_running"), now.of("llmbot_answers_waiting")) == (1, 1)
            ),
        )


async def test_metrics_are_shown_to_this_machine_only() -> None:
    async with on_stage(METRICS_PORT="0") as stage:
        process = psutil.Process(stage.bot.process.pid)
        listening = [
            (each.laddr.ip, each.laddr.port)
            for each in process.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        ]

        assert listening == [("127.0.0.1", port_of(stage.bot))]


async def test_without_a_port_nothing_is_shown() -> None:
    async with on_stage() as stage:
        process = psutil.Process(stage.bot.process.pid)
        states = [each.status for each in process.net_connections("tcp")]

        assert psutil.CONN_LISTEN not in states
        assert stage.bot.events("metrics.shown") == []


async def test_a_bot_that_waits_for_slack_can_be_seen_to() -> None:
    async with LocalSlack() as slack:
        slack.faults.add("auth.test", Fault.unavailable(), times=None)
        env = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.api_url,
            "OPENAI_API_KEY": "sk-none",
            "METRICS_PORT": "0",
        }
        async with started(env) as bot:
            await bot.says("slack.unreachable")
            waiting = await scraped(port_of(bot))
            slack.faults.clear()
            await bot.says("bot.started")
            going = await scraped(port_of(bot))

    assert waiting.of("llmbot_receiving") == 0
    assert (waiting.of("llmbot_retries_total", service="slack") or 0) >= 1
    assert waiting.of("llmbot_slack_errors_total", method="auth.test", error="unavailable") == 1
    assert going.of("llmbot_receiving") == 1
    assert going.of("llmbot_database_ready") == 1


async def test_a_lost_socket_shows() -> None:
    async with on_stage(METRICS_PORT="0") as stage:
        stage.slack.faults.refuse_sockets = True
        await stage.slack.drop_sockets()

        await until(stage.bot, lambda now: now.of("llmbot_receiving") == 0)


async def test_a_port_for_metrics_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, said = await command(
            tmp_path,
            SLACK_BOT_TOKEN="xoxb-1",
            SLACK_APP_TOKEN="xapp-1",
            OPENAI_API_KEY="sk-none",
            METRICS_PORT=port,
        )

    assert status == 1
    assert f"METRICS_PORT {port} cannot be had on METRICS_HOST 127.0.0.1" in said


# -- lines in JSON


async def test_lines_in_json_say_all_and_no_secrets(tmp_path: Path) -> None:
    async with on_stage(LOG_FORMAT="json", LOG_LEVEL="DEBUG", OPENAI_API_KEY=KEY) as stage:
        slack = stage.slack
        stage.model.faults.add(ModelFault.rate_limited(0.1), matching="Initech")
        answered = await stage.ask(f"{SECRET} [[say yes]]")
        failed = await stage.ask(f"{SECRET} [[fail 401]]")
        await stage.whole(answered)
        await stage.whole(failed)
        slack.faults.refuse_sockets = True
        await slack.drop_sockets()
        await stage.bot.says("slack.unreachable")
        assert await stage.bot.stop() == 0

    lines: list[dict[str, Any]] = [json.loads(line) for line in stage.bot.lines]
    assert all({"time", "level", "logger", "event"} <= line.keys() for line in lines)
    named = {line["event"] for line in lines}
    assert named >= {"bot.started", "slack.called", "model.asked", "call.retried", "bot.stopped"}
    outcomes = [line["outcome"] for line in lines if line["event"] == "answer.finished"]
    assert sorted(outcomes) == ["complete", "failed"]
    assert all(isinstance(line.get("seconds", 0.0), float) for line in lines)
    hidden = (KEY, slack.bot_token, slack.app_token, "Initech", "ticket=1", "[[")
    assert [secret for secret in hidden if secret in stage.bot.log] == []


# -- OpenTelemetry


async def test_what_the_model_took_goes_to_a_collector() -> None:
    async with collecting() as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=hunter2hunter2",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        async with on_stage(**env) as stage:
            await stage.whole(await stage.ask("[[tokens 30]]"))
            await stage.whole(await stage.ask("[[fail 400]]"))
            assert await stage.bot.stop() == 0  # the last numbers go out at the end
        host, port = stage.model.base_url.split("/")[2].split(":")

    assert collector.resource["service.name"] == "slack-llm-bot"
    assert collector.resource["deployment.environment.name"] == "test"
    assert collector.headers[-1]["api-key"] == "hunter2hunter2"
    assert "hunter2" not in stage.bot.log
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "server.address": host,
        "server.port": int(port),
    }
    durations = collector.points("gen_ai.client.operation.duration")
    assert [(attributes, count) for attributes, count, _ in durations] == [
        (common, 1),
        (common | {"error.type": "RequestRefused"}, 1),
    ]
    assert collector.metrics()["gen_ai.client.operation.duration"].unit == "s"
    [(first, count, _)] = collector.points("gen_ai.client.operation.time_to_first_chunk")
    assert (first, count) == (common, 1)
    tokens = collector.points("gen_ai.client.token.usage")
    assert [(each["gen_ai.token.type"], total) for each, _, total in tokens] == [
        ("input", stage.model.requests[0].prompt_usage.prompt_tokens),
        ("output", 30),
    ]


async def test_variables_of_opentelemetry_may_stand_in_the_dotenv_file(tmp_path: Path) -> None:
    async with collecting() as collector, local_servers() as (slack, model):
        (tmp_path / ".env").write_text(
            f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}\nOTEL_SERVICE_NAME=ours\n"
        )
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            await stage.whole(await stage.ask("[[say hello]]"))
            assert await bot.stop() == 0

        assert collector.resource["service.name"] == "ours"


async def test_a_missing_extra_is_one_line_and_the_bot_runs(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry.py").touch()  # hides the packages
    async with local_servers() as (slack, model):
        endpoint = "http://127.0.0.1:9"
        async with running(
            slack, model.base_url, folder=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint
        ) as bot:
            stage = Stage(slack, model, bot)
            assert await stage.whole(await stage.ask("[[say hello]]")) == "hello"

        [off] = bot.events("otel.off")
        assert "pip install" in off["reason"]


async def test_a_collector_that_is_away_delays_nobody() -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
    }
    async with on_stage(**env) as stage:
        assert await stage.whole(await stage.ask("[[say hello]]")) == "hello"
        async with asyncio.timeout(10):
            assert await stage.bot.stop() == 0
        assert "Traceback" not in stage.bot.log

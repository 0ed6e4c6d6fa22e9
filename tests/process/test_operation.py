"""What an operator sees when the bot starts, runs and stops."""

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.playground.slack import Fault, LocalSlack
from tests.bot_process import BotProcess, command, running, started
from tests.process.conftest import Stage, local_servers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_everything_that_is_missing_or_malformed_is_named_at_once(tmp_path: Path) -> None:
    status, said = await command(tmp_path, SLACK_BOT_TOKEN="xoxp-wrong", OPENAI_TEMPERATURE="hot")

    assert status == 1
    assert "SLACK_BOT_TOKEN must begin with xoxb-" in said
    assert "SLACK_APP_TOKEN is missing" in said
    assert "OPENAI_API_KEY is missing" in said
    assert "OPENAI_TEMPERATURE must be a number from 0 to 2" in said
    assert "Traceback" not in said


async def test_settings_come_from_a_dotenv_file_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_MODEL=from-file\nOPENAI_TEMPERATURE=5\n")

    _, said = await command(tmp_path)
    _, overruled = await command(tmp_path, OPENAI_TEMPERATURE="1")

    assert "OPENAI_TEMPERATURE" in said
    assert "OPENAI_TEMPERATURE" not in overruled


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"])
async def test_a_token_that_slack_refuses_ends_the_bot_with_a_word_about_it(
    name: str, tmp_path: Path
) -> None:
    wrong = {"SLACK_BOT_TOKEN": "xoxb-wrong", "SLACK_APP_TOKEN": "xapp-wrong"}[name]
    async with LocalSlack() as slack:
        tokens = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
        status, said = await command(
            tmp_path,
            **(tokens | {name: wrong}),
            SLACK_API_URL=slack.api_url,
            OPENAI_API_KEY="sk-none",
        )

    assert status == 1
    assert f"{name}: Slack does not accept it (invalid_auth)" in said
    assert wrong not in said


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with LocalSlack() as slack:
            status, said = await command(
                tmp_path,
                SLACK_BOT_TOKEN=slack.bot_token,
                SLACK_SIGNING_SECRET="0" * 32,
                SLACK_API_URL=slack.api_url,
                OPENAI_API_KEY="sk-none",
                PORT=port,
            )

    assert status == 1
    assert f"PORT {port} cannot be had on HOST 0.0.0.0" in said


async def test_a_port_that_is_taken_is_named_also_while_slack_is_away(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with asyncio.timeout(20):
            status, said = await command(
                tmp_path,
                SLACK_BOT_TOKEN="xoxb-1",
                SLACK_APP_TOKEN="xapp-1",
                SLACK_API_URL=f"http://127.0.0.1:{free_port()}/",
                OPENAI_API_KEY="sk-none",
                PORT=port,
            )

    assert status == 1
    assert f"PORT {port} cannot be had on HOST 0.0.0.0" in said


def socket_env(slack: LocalSlack, **env: str) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "OPENAI_API_KEY": "sk-none",
        **env,
    }


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
async def test_sigterm_ends_a_bot_that_waits_for_slack(method: str) -> None:
    async with LocalSlack() as slack:
        slack.faults.add(method, Fault.unavailable(), times=None)
        async with started(socket_env(slack)) as bot:
            await bot.says("slack.unreachable")
            async with asyncio.timeout(4):
                assert await bot.stop() == 0


async def test_sigterm_ends_a_bot_that_gets_no_socket_and_no_ticket_is_logged() -> None:
    async with LocalSlack() as slack:
        slack.faults.refuse_sockets = True
        async with started(socket_env(slack)) as bot:
            await bot.says("slack.unreachable")
            async with asyncio.timeout(4):
                assert await bot.stop() == 0
            assert bot.events("slack.unreachable")[0]["reason"] == "'socket: HTTP 503'"
            assert "ticket" not in bot.log
            assert "Traceback" not in bot.log


async def test_health_is_told_from_the_start_to_the_end() -> None:
    port = free_port()

    async def health(session: aiohttp.ClientSession) -> tuple[int, str]:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status, (await answer.json())["status"]

    async with local_servers() as (slack, model), aiohttp.ClientSession() as session:
        slack.faults.add("auth.test", Fault.unavailable(), times=None)
        env = socket_env(slack, OPENAI_BASE_URL=model.base_url, PORT=str(port))
        async with started(env) as bot:
            await bot.says("slack.unreachable")
            assert await health(session) == (503, "starting")
            slack.faults.clear()
            await bot.says("bot.started")
            assert await health(session) == (200, "ok")
            stage = Stage(slack, model, bot)
            ts = await stage.ask("[[rate 60]] [[tokens 120]]")
            await slack.until(lambda: stage.replies(ts))
            bot.process.send_signal(signal.SIGTERM)
            await bot.says("bot.stopping")
            assert await health(session) == (503, "stopping")
            assert await bot.process.wait() == 0


async def test_over_http_questions_are_answered_and_health_is_shown() -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    secret = "0123456789abcdef" * 2
    async with local_servers(signing_secret=secret) as (slack, model):
        slack.request_url = f"{base}/slack/events"
        env = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": secret,
            "SLACK_API_URL": slack.api_url,
            "OPENAI_BASE_URL": model.base_url,
            "PORT": str(port),
        }
        async with started(env) as bot, aiohttp.ClientSession() as session:
            await bot.says("bot.started")
            assert await slack.verify_request_url()
            stage = Stage(slack, model, bot)
            ts = await stage.ask("[[say over http]]")
            assert await stage.whole(ts) == "over http"
            async with session.get(f"{base}/healthz") as health:
                assert health.status == 200
            async with session.post(f"{base}/slack/events", json={"type": "x"}) as unsigned:
                assert unsigned.status == 401
            assert bot.events("bot.started")[0]["mode"] == "HTTP"
            assert await bot.stop() == 0


async def health_of(session: aiohttp.ClientSession, port: int) -> tuple[int, dict[str, Any]]:
    async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
        return answer.status, await answer.json()


async def test_in_socket_mode_health_follows_the_socket() -> None:
    port = free_port()
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, PORT=str(port)) as bot,
        aiohttp.ClientSession() as session,
    ):
        await bot.says("bot.started")
        status, health = await health_of(session, port)
        assert (status, health["status"], health["last_event_s"]) == (200, "ok", None)
        assert health["socket"]["connected"] is True
        slack.faults.refuse_sockets = True
        await slack.drop_sockets()
        async with asyncio.timeout(20):
            while (await health_of(session, port))[0] == 200:
                pass
        slack.faults.refuse_sockets = False
        ts = await Stage(slack, model, bot).ask("[[say there you are]]")
        await slack.deliveries[-1].wait(timeout=30)
        status, health = await health_of(session, port)
        assert (status, health["status"]) == (200, "ok")
        assert health["last_event_s"] < 30
        assert ts


async def _in_order_of_taking(*bots: BotProcess) -> list[BotProcess]:
    """The one that took the question, then the other."""
    saying = {asyncio.create_task(bot.says("question.accepted")): bot for bot in bots}
    done, others = await asyncio.wait(saying, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    return [saying[task] for task in (*done, *others)]


async def test_stopping_bot_leaves_new_questions_to_others_at_once(tmp_path: Path) -> None:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url) as bot,
        running(slack, model.base_url) as other,
    ):
        await slack.until(lambda: slack.connections == 2)
        stage = Stage(slack, model, bot)
        ts = await stage.ask("[[rate 60]] [[tokens 240]]")
        await slack.until(lambda: stage.replies(ts))
        first, second = await _in_order_of_taking(bot, other)
        first.process.send_signal(signal.SIGTERM)
        await slack.until(lambda: slack.connections == 1)
        later = [await stage.ask(f"[[say {number}]]") for number in range(4)]
        for number, late in enumerate(later):
            assert await stage.whole(late) == str(number)

        await second.says("question.accepted", times=4)
        assert [delivery.attempts for delivery in slack.deliveries] == [1] * 5
        assert await first.process.wait() == 0
        assert "shut down" not in await stage.whole(ts)


async def test_on_sigterm_running_answers_finish_and_new_questions_wait() -> None:
    async with local_servers() as (slack, model), running(slack, model.base_url) as bot:
        stage = Stage(slack, model, bot)
        ts = await stage.ask("[[rate 60]] [[tokens 120]]")
        await slack.until(lambda: stage.replies(ts))
        bot.process.send_signal(signal.SIGTERM)
        await bot.says("bot.stopping")
        late = await stage.ask("[[say too late]]")

        assert await bot.process.wait() == 0
        assert "shut down" not in await stage.whole(ts)
        assert stage.replies(late) == []
        assert not slack.deliveries[-1].acked


async def test_what_cannot_finish_says_so_and_is_recorded(tmp_path: Path) -> None:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=tmp_path) as bot,
    ):
        stage = Stage(slack, model, bot)
        ts = await stage.ask("[[rate 20]] [[tokens 2000]]")
        await slack.until(lambda: stage.replies(ts))
        bot.process.send_signal(signal.SIGTERM)
        await bot.says("bot.stopping")
        bot.process.send_signal(signal.SIGTERM)  # again: the operator does not want to wait

        assert await bot.process.wait() == 0
        assert "I am being restarted. This answer goes on in a moment." in stage.replies(ts)[-1]
        assert bot.events("answer.finished")[0]["outcome"] == "stopped"

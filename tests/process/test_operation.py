"""What an operator sees: starting, stopping, checking, reporting, trying it out."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from bot.playground.demo import inherited
from bot.playground.slack import Fault, LocalSlack
from tests.bot_process import running, started
from tests.process.conftest import Stage, local_servers


async def command(folder: Path, *words: str, **env: str) -> tuple[int, str]:
    """``python -m bot`` with these words in an empty environment: its status and all it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *words),
        env=inherited(os.environ) | env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


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
            await bot.says("connect")  # "Failed to connect (error: 503, ...", says the SDK
            async with asyncio.timeout(4):
                assert await bot.stop() == 0
            assert "ticket=***" in bot.log
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


async def test_in_socket_mode_health_follows_the_socket() -> None:
    port = free_port()
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, PORT=str(port)) as bot,
        aiohttp.ClientSession() as session,
    ):
        await bot.says("bot.started")
        async with session.get(f"http://127.0.0.1:{port}/healthz") as health:
            assert (health.status, await health.json()) == (200, {"status": "ok"})
        slack.faults.refuse_sockets = True
        await slack.drop_sockets()
        async with asyncio.timeout(20):
            while True:
                async with session.get(f"http://127.0.0.1:{port}/healthz") as health:
                    if health.status == 503:
                        break


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
        assert "I was shut down before I could finish this answer" in await stage.whole(ts)
        assert bot.events("answer.finished")[0]["outcome"] == "stopped"


async def test_usage_is_printed_per_channel(tmp_path: Path) -> None:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=tmp_path) as bot,
    ):
        stage = Stage(slack, model, bot)
        for place in ("general", "random", "general"):
            await stage.whole(await stage.ask("[[say twelve letters]]", channel=place))
        await bot.stop()
        records = bot.events("answer.finished")
    status, said = await command(tmp_path, "usage")

    assert status == 0
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line}
    spent = sum(int(r["input_tokens"]) for r in records if r["channel"] == "C0GENERAL")
    assert rows["C0GENERAL"][:3] == ["2", "2", str(spent)]
    assert rows["all"][0] == "3"


async def test_usage_without_any_answers_says_so(tmp_path: Path) -> None:
    said = "No answers are recorded yet: there is no database bot.db.\n"

    assert await command(tmp_path, "usage") == (0, said)
    assert os.listdir(tmp_path) == []


async def check(slack: LocalSlack, folder: Path, *words: str, **env: str) -> tuple[int, str]:
    settings = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
    }
    return await command(folder, "check", *words, **(settings | env))


async def test_check_finds_nothing_wrong_in_a_right_set_up(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        status, said = await check(slack, tmp_path, OPENAI_BASE_URL=model.base_url)

    assert status == 0, said
    assert "WRONG" not in said
    assert "@bot in workspace T0LOCAL" in said
    assert "Usage: reported" in said


async def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.scopes.remove("reactions:write")
        status, said = await check(
            slack,
            tmp_path,
            SLACK_APP_TOKEN="xapp-wrong",
            OPENAI_BASE_URL=model.base_url,
            OPENAI_MODEL="no-such-model",
            DATABASE_URL="sqlite:////nowhere/bot.db",
            DYNO="web.1",
        )

    assert status == 1
    assert "Scope reactions:write is missing" in said
    assert "SLACK_APP_TOKEN: Slack refuses it: invalid_auth" in said
    assert "Model no-such-model" in said
    assert "/nowhere/bot.db cannot be used" in said


async def test_check_warns_of_a_disk_that_is_thrown_away(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        _, said = await check(slack, tmp_path, OPENAI_BASE_URL=model.base_url, DYNO="web.1")

    assert "on Heroku is lost at each restart" in said


async def test_check_tells_the_operator_what_does_not_answer(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.faults.add("auth.test", Fault.unavailable(), times=None)
        status, said = await check(slack, tmp_path, OPENAI_BASE_URL=model.base_url)

        assert status == 1
        assert "SLACK_BOT_TOKEN: Slack does not answer: auth.test: HTTP 503." in said
        assert "ask again" not in said
        assert [call.method for call in slack.calls].count("auth.test") == 1


async def test_check_shows_no_key_in_the_models_address(tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{free_port()}/v1"
    async with LocalSlack() as slack:
        _, said = await check(slack, tmp_path, OPENAI_BASE_URL=f"{base}?key=hunter2")

    assert f"at {base}: The model does not answer" in said
    assert "hunter2" not in said


async def test_check_live_deletes_a_post_whose_answer_was_lost(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.faults.add("chat.postMessage", Fault.lost_answer(), skip=2)
        _, said = await check(
            slack, tmp_path, "--live", "C0GENERAL", OPENAI_BASE_URL=model.base_url
        )

        assert "Live, metadata: Slack does not answer" in said
        assert "Live: the trial messages are deleted" in said
        assert slack.screen("general") == []


async def test_check_live_says_that_its_first_post_may_be_left(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.faults.add("chat.postMessage", Fault.lost_answer())
        _, said = await check(
            slack, tmp_path, "--live", "C0GENERAL", OPENAI_BASE_URL=model.base_url
        )

    assert "a trial message may be left in C0GENERAL" in said
    assert "are deleted" not in said


async def test_check_live_counts_what_it_could_not_look_for(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.faults.add("chat.postMessage", Fault.lost_answer(), skip=4)
        slack.faults.add("conversations.replies", Fault.unavailable(), times=None)
        _, said = await check(
            slack, tmp_path, "--live", "C0GENERAL", OPENAI_BASE_URL=model.base_url
        )

    assert "Live: 1 trial messages may be left in C0GENERAL" in said


async def test_check_live_tries_a_channel_and_cleans_up(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        status, said = await check(
            slack, tmp_path, "--live", "C0GENERAL", OPENAI_BASE_URL=model.base_url
        )

        assert status == 0, said
        assert [line for line in said.splitlines() if "Live, metadata: reads back" in line]
        assert [line for line in said.splitlines() if "Live, pings: none" in line]
        assert slack.screen("general") == []


async def test_the_playground_asks_one_question_without_slack_and_without_a_key(
    tmp_path: Path,
) -> None:
    status, said = await command(tmp_path, "playground", "--ask", "[[say It works.]]")

    assert status == 0, said
    assert "@Bot [[say It works.]]" in said
    assert "\nIt works.\n" in said
    assert "outcome                 complete" in said
    assert os.listdir(tmp_path) == []


async def test_check_only_notes_a_scope_that_one_can_do_without(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.scopes.remove("assistant:write")
        status, said = await check(slack, tmp_path, OPENAI_BASE_URL=model.base_url)

    assert status == 0, said
    assert "note   Scope assistant:write is missing" in said


async def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"SYSTEM_PROMPT=Gr\xfc\xdfe\n")

    status, said = await command(tmp_path, "usage")

    assert status == 1
    assert ".env cannot be read" in said
    assert "Traceback" not in said


async def test_make_hands_a_question_on_as_it_was_typed(tmp_path: Path) -> None:
    typed = """He said "no" & paid $5; `touch made` $(touch made) 100 % 'sure'"""
    makefile = Path(__file__).parents[2] / "Makefile"
    commands = tmp_path / ".venv" / "bin"
    commands.mkdir(parents=True)
    (commands / "python").write_text('#!/bin/sh\nprintf "%s" "$4"\n')
    (commands / "python").chmod(0o755)
    (tmp_path / "requirements.txt").touch()
    (commands.parent / "ready").touch()

    process = await asyncio.create_subprocess_exec(
        *("make", "-s", "-f", str(makefile), "demo", f"ASK={typed}"),
        cwd=tmp_path,
        env=inherited(os.environ),
        stdout=subprocess.PIPE,
    )
    said, _ = await process.communicate()

    assert said.decode() == f"--ask={typed}"
    assert "made" not in os.listdir(tmp_path)

"""What the commands print: `usage`, `check`, `playground`, and `make demo`."""

import asyncio
import json
import os
import subprocess
from contextlib import redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.playground.process import inherited
from bot.playground.slack import Fault, LocalSlack
from tests.bot_process import command, running
from tests.process.conftest import Stage, local_servers


async def test_usage_is_told_per_channel_while_the_bot_runs(tmp_path: Path) -> None:
    """At the price of gpt-4o-mini: 0.15 dollars for a million tokens in, 0.60 for as many out."""
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=tmp_path) as bot,
    ):
        stage = Stage(slack, model, bot)
        for place in ("general", "random", "general"):
            await stage.whole(await stage.ask("[[say twelve letters]]", channel=place))
        async with asyncio.timeout(10), bot.news:
            await bot.news.wait_for(lambda: len(bot.events("answer.finished")) == 3)
        status, said = await command(tmp_path, "usage", "--format", "json", "--ids")
        records = bot.events("answer.finished")

    assert status == 0
    told = json.loads(said)
    channels = {row["channel"]: row for row in told["rows"]}
    spent = sum(int(r["input_tokens"]) for r in records if r["channel"] == "C0GENERAL")
    assert {name: row["answers"] for name, row in channels.items()} == {
        "C0GENERAL": 2,
        "C0RANDOM": 1,
    }
    assert channels["C0GENERAL"]["input_tokens"] == spent
    total = told["total"]
    cost = total["input_tokens"] * Decimal("0.15") + total["output_tokens"] * Decimal("0.60")
    assert total["cached_tokens"] == 0
    assert Decimal(total["cost"]) == cost / 1_000_000


async def test_usage_without_any_answers_says_so(tmp_path: Path) -> None:
    said = "No answers are recorded yet: there is no database bot.db.\n"

    assert await command(tmp_path, "usage") == (0, said)
    assert os.listdir(tmp_path) == []


async def check(slack: LocalSlack, folder: Path, *words: str, **env: str) -> tuple[int, str]:
    """The command in this process: a new one would spend seconds on importing the SDKs."""
    settings = inherited(os.environ) | bot_settings(slack) | env
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        patch.setattr(os, "environ", settings)
        patch.chdir(folder)
        status = await asyncio.to_thread(main, ["check", *words])
    return status, said.getvalue()


def bot_settings(slack: LocalSlack) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
    }


async def test_check_finds_nothing_wrong_in_a_right_set_up(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        settings = bot_settings(slack) | {"OPENAI_BASE_URL": model.base_url}
        status, said = await command(tmp_path, "check", **settings)

    assert status == 0, said
    assert "WRONG" not in said
    assert "@bot in workspace T0LOCAL" in said
    assert "Usage: reported" in said
    assert "Files: can be opened; images go to the model" in said


async def test_check_says_what_is_missing_without_a_scope_that_is_optional(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.scopes.remove("files:write")
        status, said = await check(slack, tmp_path, OPENAI_BASE_URL=model.base_url)

    assert status == 0
    off = "note   CSV as a file: off. Scope files:write is not granted: CSV files of the usage come"
    assert off in said


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
    base = "http://127.0.0.1:9/v1"  # nobody there
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
        assert "Live, native stream: begins, grows, ends, is found and edited" in said
        assert slack.screen("general") == []


async def test_check_live_says_where_only_edits_fit(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.faults.add("chat.startStream", Fault.error("feature_not_enabled"))
        status, said = await check(
            slack, tmp_path, "--live", "C0GENERAL", OPENAI_BASE_URL=model.base_url
        )

        assert status == 0, said
        assert "native stream: refused (feature_not_enabled), so replies are edited" in said
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


async def test_check_says_what_an_optional_scope_would_add(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.scopes.remove("files:read")
        status, said = await check(
            slack, tmp_path, OPENAI_BASE_URL=model.base_url, OPENAI_MODEL="local-model"
        )

    assert status == 0
    assert "Scope files:read is not granted: files that people attach are not read." in said
    assert "images do not go to the model, see OPENAI_VISION" in said


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

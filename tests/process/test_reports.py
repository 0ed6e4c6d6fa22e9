"""What the commands about usage print: `usage`, `budget`, `forget`, as an operator types them."""

import asyncio
import csv
import json
import os
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.commands import progress
from bot.commands.progress import Progress
from bot.messages import TurnKey, Usage, UsageRecord
from bot.playground.process import inherited
from bot.playground.slack import Fault, LocalSlack
from bot.settings import database_url
from bot.store import opened
from tests.bot_process import command

RECORD = UsageRecord(
    at=datetime.now(UTC),
    key=TurnKey("T0LOCAL", "C0GENERAL", "1.1"),
    user="U0ANA",
    model="gpt-4o-mini",
    usage=Usage(1_000, 400, 50, 0),
    seconds_to_first_delta=0.5,
    seconds=2.25,
    requests=1,
    outcome="complete",
    cost=Decimal("0.25"),
    priced_on="2026-11-25",
)


async def written(database: str) -> None:
    """Three answers: two in #general, one in a direct message; half of them long ago."""
    async with opened(database) as store:
        for number, (channel, user, days, cost) in enumerate(
            (
                ("C0GENERAL", "U0ANA", 0, "0.25"),
                ("C0GENERAL", "U0BEN", 1, "0.50"),
                ("D0BEN", "U0BEN", 2, "0.125"),
                ("C0GENERAL", "U0ANA", 40, "0.375"),
            )
        ):
            await store.ledger.record(
                replace(
                    RECORD,
                    at=datetime.now(UTC) - timedelta(days=days),
                    key=TurnKey("T0LOCAL", channel, f"1.{number}"),
                    user=user,
                    cost=Decimal(cost),
                )
            )


async def bot(folder: Path, *words: str, **env: str) -> tuple[int, str, str]:
    """The command in this process: a new one would spend a second on importing."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as said,
        redirect_stderr(StringIO()) as errors,
    ):
        patch.setattr(os, "environ", inherited(os.environ) | env)
        patch.chdir(folder)
        status = await asyncio.to_thread(main, words)
    return status, said.getvalue(), errors.getvalue()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """With a database of some answers where the commands look for one."""
    await written(database_url(str(tmp_path / "bot.db")))
    return tmp_path


def lines_of(said: str) -> dict[str, list[str]]:
    """The cells of a table by their first."""
    return {
        cells[0]: cells[1:]
        for line in said.splitlines()
        if (cells := re.split(r"\s{2,}", line.strip()))[0]
    }


def of_slack(slack: LocalSlack) -> dict[str, str]:
    return {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_API_URL": slack.api_url}


# -- usage


async def test_the_last_thirty_days_are_told_by_channel(folder: Path) -> None:
    status, said, errors = await bot(folder, "usage")

    assert (status, errors) == (0, "")
    rows = lines_of(said)
    assert rows["C0GENERAL"][:2] == ["2", "2"]
    assert rows["C0GENERAL"][-3:] == ["$0.75", "86 %", "+100 %"]
    assert rows["direct message with U0BEN"][-3:] == ["$0.12", "14 %", "new"]
    assert rows["all"][-3:] == ["$0.88", "100 %", "+133 %"]
    assert "compared with the 30 days before" in said


async def test_names_are_asked_of_slack(folder: Path) -> None:
    async with LocalSlack() as slack:
        _, channels, errors = await bot(folder, "usage", **of_slack(slack))
        _, people, _ = await bot(folder, "usage", "--by", "user", **of_slack(slack))

    assert errors == ""
    assert "#general" in lines_of(channels)
    assert "direct message with Ben" in lines_of(channels)
    assert {"Ana", "Ben"} <= set(lines_of(people))


async def test_without_the_scope_ids_are_shown_and_the_reason_is_told(folder: Path) -> None:
    async with LocalSlack() as slack:
        slack.scopes.remove("channels:read")
        status, said, errors = await bot(folder, "usage", **of_slack(slack))

    assert status == 0
    assert "C0GENERAL" in lines_of(said)
    assert "direct message with Ben" in lines_of(said)
    assert errors == (
        "For names of channels the app needs channels:read, groups:read and mpim:read: "
        "their ids are shown.\n"
    )


@pytest.mark.parametrize("words", [[], ["--format", "html"], ["--format", "csv"]])
async def test_no_report_waits_for_a_slack_that_is_away(folder: Path, words: list[str]) -> None:
    async with LocalSlack() as slack:
        for method in ("users.info", "conversations.info"):
            slack.faults.add(method, Fault.unavailable(), times=None)
        status, said, errors = await bot(folder, "usage", *words, **of_slack(slack))

    assert status == 0
    assert "C0GENERAL" in said
    assert "their ids are shown" in errors


async def test_only_channels_and_people_are_asked_for(folder: Path) -> None:
    async with LocalSlack() as slack:
        url = database_url(str(folder / "bot.db"))
        async with opened(url) as store:
            await store.ledger.record(replace(RECORD, model="Umbrella-1"))
        await bot(folder, "usage", "--by", "model", "outcome", "day", **of_slack(slack))

        assert slack.calls == []


async def test_nothing_is_asked_where_ids_are_wanted_or_there_is_no_token(folder: Path) -> None:
    async with LocalSlack() as slack:
        _, said, _ = await bot(folder, "usage", "--ids", **of_slack(slack))
        await bot(folder, "usage", SLACK_API_URL=slack.api_url, SLACK_BOT_TOKEN="xoxb-...")

        assert {"C0GENERAL", "D0BEN"} <= set(lines_of(said))
        assert slack.calls == []


async def test_a_report_can_be_narrowed(folder: Path) -> None:
    _, said, _ = await bot(
        *(folder, "usage", "--by", "day", "user", "--since", "all", "--user", "U0BEN"),
        *("--timezone", "Europe/Berlin", "--channel", "C0GENERAL"),
    )

    (row,) = [line for line in said.splitlines() if "U0BEN" in line]
    assert row.split()[2:4] == ["1", "1"]
    assert "Europe/Berlin" in said


async def test_csv_is_written_to_a_file(folder: Path) -> None:
    status, said, _ = await bot(
        *(folder, "usage", "--by", "user", "model", "--format", "csv", "--output", "usage.csv")
    )

    assert (status, said) == (0, "")
    with (folder / "usage.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["user"]: row for row in csv.DictReader(file)}
    assert rows["U0BEN"]["cost"] == "0.625"
    assert rows["U0ANA"]["earlier_cost"] == "0.375"
    assert (folder / "usage.csv").read_bytes().count(b"\r\n") == 3


async def test_json_is_for_programs(folder: Path) -> None:
    _, said, _ = await bot(folder, "usage", "--format", "json", "--since", "all")

    found = json.loads(said)
    assert found["total"]["cost"] == "1.25"
    assert found["earlier_total"] is None


async def test_opinions_are_told_but_of_some_people_alone(folder: Path) -> None:
    async with opened(database_url(str(folder / "bot.db"))) as store:
        await store.feedback.rate(RECORD.key, attempt=1, user="U0BEN", is_good=True)

    _, everybody, _ = await bot(folder, "usage")
    _, elsewhere, _ = await bot(folder, "usage", "--channel", "D0BEN")
    _, of_one, _ = await bot(folder, "usage", "--user", "U0ANA")

    assert "People found 100 % of 1 answer good (1 good, 0 bad)." in everybody
    assert "People found" not in elsewhere
    assert "People found" not in of_one


@pytest.mark.parametrize("by", ["channel", "model"])
async def test_the_page_is_written_to_a_file(folder: Path, by: str) -> None:
    status, _, _ = await bot(
        *(folder, "usage", "--by", by, "--format", "html", "--output", "usage.html")
    )

    assert status == 0
    page = (folder / "usage.html").read_text()
    assert page.startswith("<!doctype html>")
    assert f"By {by}" in page
    assert page.count("<h2>") == 9


async def test_what_cannot_be_done_is_refused_in_words(folder: Path) -> None:
    async def refused(*words: str, **env: str) -> str:
        status, said, errors = await bot(folder, *words, **env)
        assert (status, said) == (1, "")
        return errors

    (folder / "prices.toml").write_text("[models]\n")
    assert await refused("usage", "--since", "yore") == (
        "The period is not clear: 'yore' is no date: write a date (2026-11-01), a month "
        "(2026-11), or a time to go back (7d, 2w, 1month, 1y).\n"
    )
    assert "no time zone 'Nowhere'" in await refused("usage", "--timezone", "Nowhere")
    assert "nowhere/x.csv cannot be written: No such file" in await refused(
        "usage", "--output", "nowhere/x.csv"
    )
    assert "PRICES_FILE prices.toml: it needs the date" in await refused(
        "budget", PRICES_FILE="prices.toml"
    )


async def test_a_database_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Dear diary, " * 100)

    found = [
        await bot(tmp_path, "usage", DATABASE_URL=name)
        for name in (str(tmp_path), "diary.txt", "mysql://db/bot")
    ]

    assert [status for status, _, _ in found] == [1, 1, 1]
    said = [errors for _, _, errors in found]
    assert said[0] == "DATABASE_URL: the database cannot be used: unable to open database file\n"
    assert said[1] == "DATABASE_URL: the database cannot be used: file is not a database\n"
    assert "DATABASE_URL must look like sqlite:///path/to/bot.db" in said[2]


async def test_reports_and_budgets_are_the_same_on_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    await written(postgres_url)

    _, said, errors = await bot(tmp_path, "usage", DATABASE_URL=postgres_url)
    _, budget, _ = await bot(
        *(tmp_path, "budget", "set", "workspace", "1 dollar a day"), DATABASE_URL=postgres_url
    )
    status, page, _ = await bot(tmp_path, "usage", "--format", "html", DATABASE_URL=postgres_url)

    assert errors == ""
    assert lines_of(said)["all"][-3:] == ["$0.88", "100 %", "+133 %"]
    assert budget == "The budget of the workspace is $1.00 a day.\n"
    assert (status, "$0.88" in page) == (0, True)
    assert os.listdir(tmp_path) == []


async def test_a_long_read_has_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(progress, "PATIENCE", 0)
    shown, file = Terminal(), StringIO()
    for stream in (shown, file):
        bar = Progress(stream)
        bar.show("reading", 3, 6)
        bar.clear()

    assert shown.getvalue() == "\r[############............] reading: 3 of 6\x1b[K\r\x1b[K"
    assert file.getvalue() == ""


# -- budgets


async def test_budgets_are_set_listed_and_removed(folder: Path) -> None:
    none = await bot(folder, "budget")
    _, workspace, _ = await bot(folder, "budget", "set", "workspace", "10", "dollars", "a", "month")
    await bot(folder, "budget", "set", "each-person", "2k tokens a month")
    _, again, _ = await bot(folder, "budget", "set", "workspace", "1 dollar per month")
    _, listed, _ = await bot(folder, "budget")
    _, removed, _ = await bot(folder, "budget", "remove", "workspace", "month")
    _, changes, _ = await bot(folder, "budget", "changes")

    assert none[:2] == (
        0,
        "There are no budgets. How to set one: python -m bot budget --help\n",
    )
    assert workspace == "The budget of the workspace is $10.00 a month.\n"
    assert again == "The budget of the workspace is $1.00 a month. It was $10.00 a month.\n"
    assert "the workspace: $1.00 a month" in listed
    assert "each person: 2,000 tokens a month" in listed
    assert removed == "The budget of the workspace is removed. It was $1.00 a month.\n"
    newest = changes.splitlines()[1]
    assert newest.endswith("command line  the workspace  $1.00 a month → none")
    assert len(changes.splitlines()) == 5


@pytest.mark.parametrize("words", [(), ("changes",), ("remove", "workspace", "day")])
async def test_where_there_is_no_database_there_are_no_budgets_and_none_is_made(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    status, said, _ = await bot(tmp_path, "budget", *words)

    assert (status, said) == (0, "There are no budgets: there is no database bot.db.\n")
    assert not (tmp_path / "bot.db").exists()


async def test_what_is_no_budget_is_refused(folder: Path) -> None:
    async def refused(*words: str, **env: str) -> str:
        status, said, errors = await bot(folder, "budget", *words, **env)
        assert (status, said) == (1, "")
        return errors

    assert "dollars or tokens?" in await refused("set", "workspace", " 0 a month")
    assert "is none of: workspace" in await refused("set", "#general", "5 dollars a day")
    assert "There is no budget of each person" in await refused("remove", "each-person", "day")
    assert "the model local-model has no known price" in await refused(
        "set", "workspace", "5 dollars a day", OPENAI_MODEL="local-model"
    )
    _, listed, _ = await bot(folder, "budget")
    assert "There are no budgets" in listed


async def test_the_workspace_is_that_of_the_token_where_nothing_is_recorded(
    tmp_path: Path,
) -> None:
    async with LocalSlack() as slack:
        setting = ("budget", "set", "workspace", "9 tokens a day")
        status, _, why = await bot(tmp_path, *setting)
        asked, said, _ = await bot(tmp_path, *setting, **of_slack(slack))
        _, listed, _ = await bot(tmp_path, "budget", "--team", "T0LOCAL")

    assert (status, asked) == (1, 0)
    assert why == "Which workspace? Name it with --team, or set SLACK_BOT_TOKEN.\n"
    assert said == "The budget of the workspace is 9 tokens a day.\n"
    assert "the workspace: 9 tokens a day" in listed


# -- forget


async def test_a_person_is_forgotten_only_when_that_is_certain(folder: Path) -> None:
    asked, said, _ = await bot(folder, "forget", "--user", "U0BEN")
    _, before, _ = await bot(folder, "usage", "--by", "user")
    done, told, _ = await bot(folder, "forget", "--user", "U0BEN", "--yes")
    _, after, _ = await bot(folder, "usage", "--by", "user")

    assert asked == 1
    assert said.startswith("2 usage records of U0BEN. Nothing is changed yet.")
    assert "U0BEN" in before
    assert done == 0
    assert told == "2 usage records of U0BEN are nobody's now; 0 turns are gone.\n"
    assert "U0BEN" not in after
    assert lines_of(after)["(forgotten)"][-3] == "$0.62"
    assert lines_of(after)["all"][-3] == "$0.88"


@pytest.mark.parametrize("user", ["Ana", "C0GENERAL", "U", "U1; DROP TABLE usage"])
async def test_only_a_person_s_id_can_be_forgotten(folder: Path, user: str) -> None:
    status, said, errors = await bot(folder, "forget", "--user", user, "--yes")

    assert (status, said) == (1, "")
    assert "is no person's id" in errors


# -- as a process of its own


async def test_help_is_told_without_a_database_or_a_token(tmp_path: Path) -> None:
    for name in ("usage", "budget", "forget"):
        status, said = await command(tmp_path, name, "--help")
        assert (status, "usage: python -m bot" in said) == (0, True)
    assert os.listdir(tmp_path) == []

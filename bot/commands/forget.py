"""``python -m bot forget``: leaves no trace of a person in the database."""

import argparse
import asyncio
import re
from collections.abc import Mapping
from typing import Any

from bot.commands import Refused, missing_database
from bot.settings import ReportSettings
from bot.store import opened
from bot.usage import Selection


def add_to(commands: Any) -> None:
    command = commands.add_parser(
        "forget",
        help="remove a person from the usage log, the turns and the budgets",
        description="Removes a person's id from everything that is kept. What their answers cost "
        "stays in the sums, under nobody's name. It cannot be undone.",
    )
    command.add_argument("--user", required=True, metavar="ID", help="as in Slack: U0123ABCD")
    command.add_argument("--yes", action="store_true", help="do it, and do not ask")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    settings = ReportSettings.from_env(env)
    user = options.user.strip().upper()
    if not re.fullmatch(r"[UW][A-Z0-9]{2,}", user):
        raise Refused(f"{options.user!r} is no person's id: it begins with U or W, as U0123ABCD.")
    if missing := missing_database(settings):
        raise Refused(f"There is no database {missing}.")
    return asyncio.run(_forget(user, settings, is_sure=options.yes))


async def _forget(user: str, settings: ReportSettings, *, is_sure: bool) -> int:
    async with opened(settings.database_url) as store:
        if not is_sure:
            whole = await store.ledger.whole(Selection(users=(user,)))
            print(f"{_records(whole.answers + whole.others)} of {user}. Nothing is changed yet.")
            print("It cannot be undone. To go on, add --yes.")
            return 1
        removed = await store.retention.forget(user)
    print(
        f"{_records(removed.records)} of {user} are nobody's now; {removed.turns:,} turns are gone."
    )
    if removed.unfinished:
        print(f"Answers to {user} are under way: run this again when they are done.")
        return 1
    return 0


def _records(count: int) -> str:
    return "1 usage record" if count == 1 else f"{count:,} usage records"

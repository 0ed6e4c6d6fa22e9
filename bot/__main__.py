"""The command line: ``serve`` (the default), ``usage``, ``check``, ``playground``."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dotenv import dotenv_values
from sqlalchemy.exc import SQLAlchemyError

from bot import logs, usage
from bot.serve import CannotStart, serve
from bot.settings import DEFAULT_DATABASE, Settings, SettingsError, database_url
from bot.store import opened


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 with the reason on standard error."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, environment()) or 0)
    except SettingsError as error:
        problems = "\n".join(f"  {problem}" for problem in error.problems)
        return _fail(f"The bot cannot start. In the environment or .env:\n{problems}")
    except CannotStart as error:
        return _fail(f"The bot cannot start. {error}")
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        return _fail(f"DATABASE_URL: the database cannot be used: {reason}")
    except KeyboardInterrupt:
        return 130


def environment() -> Mapping[str, str]:
    """The process's variables over those of ``.env`` in the working directory.

    The path is explicit: ``load_dotenv()`` alone would search all folders above this file.
    """
    # Bolt turns into a multi-workspace OAuth app, and drops our token, where it sees these two.
    for name in ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"):
        os.environ.pop(name, None)
    from_file = {name: value for name, value in dotenv_values(Path(".env")).items() if value}
    return {**from_file, **os.environ}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot", description="An LLM bot for Slack.")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="")
    command = commands.add_parser("serve", help="run the bot (the default)")
    command.set_defaults(run=_serve)
    command = commands.add_parser("usage", help="print tokens and answers per channel")
    command.set_defaults(run=_usage)
    return parser


def _serve(_: argparse.Namespace, env: Mapping[str, str]) -> None:
    settings = Settings.from_env(env)
    logs.configure(settings.log_level)
    asyncio.run(serve(settings))


def _usage(_: argparse.Namespace, env: Mapping[str, str]) -> None:
    async def totals() -> list[usage.Total]:
        async with opened(_database(env)) as store:
            return await store.ledger.by_channel()

    print(usage.table(asyncio.run(totals())))


def _database(env: Mapping[str, str]) -> str:
    """Reports need the database and none of the keys."""
    text = env.get("DATABASE_URL", "").strip()
    try:
        return database_url(text) if text else DEFAULT_DATABASE
    except ValueError as error:
        raise SettingsError([f"DATABASE_URL {error}"]) from error


def _fail(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""The command line: ``serve`` (the default), ``usage``, ``budget``, ``forget``, ``check``,
``playground``.

Each command imports what it needs when it runs: the SDKs together take more than a second.
"""

import argparse
import asyncio
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from sqlalchemy.exc import SQLAlchemyError

from bot import logs, otel
from bot.commands import Refused, budget, forget, usage
from bot.errors import CannotStart, Unavailable
from bot.settings import Settings, SettingsError, database_url
from bot.store import opened
from bot.usage import in_words

# What the playground's model would cost if it cost anything, so that costs and limits are seen.
LOCAL_PRICES = """\
date = 2026-11-25
[models]
local-model = { input = 2.50, cached_input = 1.25, output = 10.00 }
local-model-large = { input = 10.00, cached_input = 5.00, output = 40.00 }
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 with the reason on standard error."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter shows "?"
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return int(options.run(options, environment()) or 0)
    except SettingsError as error:
        problems = "\n".join(f"  {problem}" for problem in error.problems)
        return _fail(f"The bot cannot start. In the environment or .env:\n{problems}")
    except CannotStart as error:
        return _fail(f"The bot cannot start. {error}")
    except Refused as error:
        return _fail(str(error))
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        return _fail(f"DATABASE_URL: the database cannot be used: {reason}")
    except Unavailable as error:
        return _fail(f"DATABASE_URL: {error}")
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def environment() -> Mapping[str, str]:
    """The process's variables over those of ``.env`` in the working directory.

    The path is explicit: ``load_dotenv()`` alone would search all folders above this file.
    """
    # Bolt turns into a multi-workspace OAuth app, and drops our token, where it sees these two.
    for name in ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"):
        os.environ.pop(name, None)
    try:
        values = dotenv_values(Path(".env"))
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError([f".env cannot be read: {error}"]) from error
    for name, value in values.items():
        if name.startswith("OTEL_") and value:  # OpenTelemetry's SDK reads its variables itself
            os.environ.setdefault(name, value)
    return {**{name: value for name, value in values.items() if value}, **os.environ}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot", description="An LLM bot for Slack.")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    command = commands.add_parser("serve", help="run the bot (the default)")
    command.set_defaults(run=_serve)
    for each in (usage, budget, forget):
        each.add_to(commands)
    command = commands.add_parser("check", help="test the set-up and say what is wrong")
    command.add_argument(
        "--live", metavar="CHANNEL", help="also post into this channel (its id), and clean up"
    )
    command.set_defaults(run=_check)
    command = commands.add_parser("playground", help="try the bot without Slack and without a key")
    command.add_argument("--ask", metavar="QUESTION", help="ask one question here; no page")
    command.add_argument(
        "--real-model", action="store_true", help="answer with the configured model, which costs"
    )
    command.add_argument(
        "--host", default="127.0.0.1", help="where the page listens (default: this computer only)"
    )
    command.add_argument(
        "--port", type=_port, help="of the page (default: 8484, or a free one; 0: a free one)"
    )
    command.add_argument("--open", action="store_true", help="open the page in the browser")
    command.set_defaults(run=_playground)
    return parser


def _serve(_: argparse.Namespace, env: Mapping[str, str]) -> None:
    settings = Settings.from_env(env)
    secrets = settings.secrets | otel.secrets(env)
    logs.configure(settings.log_level, form=settings.log_format, secrets=secrets)
    serve = _imported()
    exporting = otel.exporting(env, settings.openai_base_url)
    with exporting, asyncio.Runner(loop_factory=_event_loop()) as runner:
        runner.run(serve(settings))


def _imported() -> Callable[[Settings], Coroutine[Any, Any, None]]:
    """What serves, with all that it imports. None of that ever becomes garbage: to look it through
    would take a tenth of the start and, each time later, 30 ms in which no answer moves."""
    gc.disable()
    from bot.serve import serve

    gc.freeze()
    gc.enable()
    return serve


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: it spends about a third less CPU on each token."""
    try:
        import uvloop
    except ImportError:  # Windows, PyPy
        return None
    return uvloop.new_event_loop


def _check(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from bot.check import check

    async def wrong() -> int:
        count = 0
        async for finding in check(settings, env, live=options.live):
            print(finding, flush=True)
            count += finding.verdict == "WRONG"
        return count

    settings = Settings.from_env(env)
    return 1 if asyncio.run(wrong()) else 0


def _playground(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from bot.playground.process import inherited

    with tempfile.TemporaryDirectory() as folder:
        database = database_url(str(Path(folder, "bot.db")))
        settings = {"DATABASE_URL": database}
        if not options.real_model:
            prices = Path(folder, "prices.toml")
            prices.write_text(LOCAL_PRICES)
            settings |= {"OPENAI_MODEL": "local-model", "PRICES_FILE": str(prices)}
            settings["OPENAI_MODELS"] = "local-model-large, local-model-unpriced"
            settings["OPENAI_VISION"] = "yes"
        else:
            settings |= {name: value for name, value in env.items() if name.startswith("OPENAI_")}
        bot: dict[str, Any] = {
            "command": [sys.executable, "-m", "bot", "serve"],
            "environment": inherited(env) | settings,
            "folder": Path(folder),
            "is_finished": _is_finished,
            "real_model": options.real_model,
        }
        if options.ask is None:
            return _visit(options, bot)
        _ask(options.ask, bot)
        print("\nThe usage record of this answer:\n")
        print(asyncio.run(_newest_record(database)))
        return 0


def _visit(options: argparse.Namespace, bot: dict[str, Any]) -> int:
    from bot.features import ASK
    from bot.playground import run
    from bot.playground.page import CannotListen, Command, Shortcut

    ask = Shortcut(name="Ask about this message", callback_id=ASK)
    llm = Command(
        command="/llm",
        hint="usage | budget | settings",
        description="What was used, limits, and how I answer here",
    )
    where = {"host": options.host, "port": options.port, "opens_browser": options.open}
    bot["environment"]["LOG_LEVEL"] = "INFO"
    try:
        asyncio.run(run.visit(**bot, **where, commands=[llm], shortcuts=[ask]))
    except CannotListen as error:
        place = "Name another place with --host and --port."
        return _fail(f"The playground cannot start. {error} {place}")
    return 0


def _ask(question: str, bot: dict[str, Any]) -> None:
    from bot.playground import demo
    from bot.playground.process import BotDied

    bot["environment"]["LOG_LEVEL"] = "WARNING"
    try:
        asyncio.run(demo.ask(question, **bot))
    except (BotDied, TimeoutError) as error:
        raise CannotStart(f"The playground's bot did not answer. {error}") from error


def _is_finished(message: Mapping[str, Any]) -> bool:
    from bot.history import REPLY_EVENT

    metadata = message.get("metadata") or {}
    return metadata.get("event_type") == REPLY_EVENT and metadata["event_payload"]["is_last"]


async def _newest_record(database: str) -> str:
    async with opened(database) as store:
        record = await store.ledger.newest()
    return in_words(record) if record else "There is none."


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _fail(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

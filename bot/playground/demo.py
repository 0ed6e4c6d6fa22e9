"""One question asked as a person would, the reply printed as it grows."""

import asyncio
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from bot.playground.model import LocalModel
from bot.playground.process import BotProcess
from bot.playground.slack import LocalSlack

CHANNEL = "general"
PERSON = "Ana"

# Seconds. A bot that has not connected by then will not; an answer may take long.
STARTS_WITHIN = 30.0
ANSWERS_WITHIN = 600.0

# A fence is closed in every edit while code still grows in it.
_INTERIM_FENCE = re.compile(r"\n(`{3,}|~{3,})\s*\Z")

# Whether a message of the bot is the last of a finished reply.
IsFinished = Callable[[Mapping[str, Any]], bool]


async def ask(
    question: str,
    *,
    command: list[str],
    environment: Mapping[str, str],
    folder: Path,
    is_finished: IsFinished,
    real_model: bool = False,
    out: TextIO = sys.stdout,
) -> None:
    """Starts a local Slack and the bot, asks, and prints until the reply is finished.

    ``command`` starts the bot; ``environment`` is what it gets beside the addresses and tokens of
    the local servers; ``folder`` is where it runs. Unless ``real_model``, a local model answers.

    :raises BotDied: the bot did not start, or did not survive.
    :raises TimeoutError: it did not answer.
    """
    async with LocalSlack() as slack, LocalModel() as model:
        process = BotProcess(
            command,
            environment={**environment, **addresses(slack, None if real_model else model)},
            folder=folder,
            heard=lambda line: print(line, file=sys.stderr, flush=True),
        )
        async with process as bot:
            await bot.while_it_lives(slack.until(lambda: slack.connections, timeout=STARTS_WITHIN))
            await bot.while_it_lives(_converse(slack, question, is_finished, out))


def addresses(slack: LocalSlack, model: LocalModel | None) -> dict[str, str]:
    """The settings with which the bot finds the local servers."""
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        **({"OPENAI_BASE_URL": model.base_url} if model else {}),
    }


async def _converse(slack: LocalSlack, question: str, is_finished: IsFinished, out: TextIO) -> None:
    print(f"{PERSON} in #{CHANNEL}: @Bot {question}\n", file=out, flush=True)
    asked = asyncio.get_running_loop().time()
    ts = await slack.say(CHANNEL, PERSON, f"<@{slack.bot_user_id}> {question}")
    printer = _Printer(out)

    def show() -> bool:
        thread = slack.thread(CHANNEL, ts)
        ended = bool(thread) and is_finished(thread[-1])
        printer.status(slack.status(CHANNEL, ts))
        printer.text("\n\n".join(slack.screen(CHANNEL, ts)), ended=ended)
        return ended

    await slack.until(show, timeout=ANSWERS_WITHIN)
    posts = [call for call in slack.calls if call.method == "chat.postMessage" and call.ok]
    edits = slack.count("chat.update")
    whole = asyncio.get_running_loop().time() - asked
    print(
        f"\n\nFirst words after {posts[0].started - asked:.1f} s, all after {whole:.1f} s, "
        f"in {_count(len(posts), 'message')} and {_count(edits, 'edit')}.",
        file=out,
        flush=True,
    )


class _Printer:
    """Prints a growing text on a terminal or into a pipe: only ever what is new."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._printed = ""
        self._status = ""

    def status(self, status: str) -> None:
        if status and status != self._status:
            print(f"({status})\n", file=self._out, flush=True)
        self._status = status

    def text(self, text: str, *, ended: bool) -> None:
        stable = text if ended else _INTERIM_FENCE.sub("", text)
        if stable.startswith(self._printed):
            self._out.write(stable[len(self._printed) :])
        elif ended:
            self._out.write(f"\n\n(The reply was rewritten. It now reads:)\n\n{stable}")
        else:
            return
        self._out.flush()
        self._printed = stable


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""The playground on a page: local servers, the bot's process and the page, until it is ended."""

import asyncio
import contextlib
import os
import signal
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.playground.demo import IsFinished, addresses
from bot.playground.model import LocalModel
from bot.playground.page import Command, Page, Shortcut
from bot.playground.page.guard import is_loopback
from bot.playground.page.switches import SILENCE
from bot.playground.process import BotProcess, matters
from bot.playground.slack import LocalSlack

CALLS_KEPT = 2_000  # and as many deliveries: more than the page has rows for
# Seconds. A bot gives its running answers some time to end; Ctrl-C once more ends the wait.
STOPS_WITHIN = 30.0
ENDING = "Ending; the bot finishes what it is writing (Ctrl-C again ends it at once)."
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def visit(
    *,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    is_finished: IsFinished,
    host: str = "127.0.0.1",
    port: int | None = None,
    commands: Sequence[Command] = (),
    shortcuts: Sequence[Shortcut] = (),
    real_model: bool = False,
    opens_browser: bool = False,
) -> None:
    """Runs it all, prints the page's address, and returns after SIGINT or SIGTERM.

    ``command`` starts the bot; ``environment`` is what it gets beside the addresses and tokens of
    the local servers; ``folder`` is where it runs. Unless ``real_model``, a local model answers.

    :raises CannotListen: the page cannot be served at ``host`` and ``port``.
    """
    # As for an app that wants to hear of follow-ups, edits and deletions in channels.
    workspace = LocalSlack(calls_kept=CALLS_KEPT, subscribe_channel_messages=True)
    async with workspace as slack, LocalModel() as model:
        found = addresses(slack, None if real_model else model)
        patience = {} if real_model else {"OPENAI_TIMEOUT": str(SILENCE)}
        process = BotProcess(
            command,
            environment={**environment, **found, **patience},
            folder=folder,
            heard=_echo,
            stops_within=STOPS_WITHIN,
        )
        stopped = stop_signals(process)
        process.listeners.append(lambda: None if stopped.is_set() else _tell_end(process))
        page = Page(
            slack,
            model,
            bot=process,
            is_finished=is_finished,
            host=host,
            port=port,
            commands=commands,
            shortcuts=shortcuts,
            real_model=real_model,
            secrets=[value for name, value in environment.items() if name.endswith("_KEY")],
        )
        async with page:
            print(f"The playground is open: {page.address}  (Ctrl-C ends it)", flush=True)
            if not is_loopback(host):
                print(f"On other devices: {page.address_elsewhere}", flush=True)
                _warn(real_model=real_model)
            if opens_browser and _has_a_screen():
                webbrowser.open(page.address)
            async with process:
                await stopped.wait()


def _echo(line: str) -> None:
    if matters(line):
        _say(line)


def _say(line: str) -> None:
    """Where a person reads it, unless the terminal is gone: the end must not fail with it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _warn(*, real_model: bool) -> None:
    spends = ", and spend the money of its model" if real_model else ""
    print(f"Warning: whoever can reach this address can use it{spends}.", file=sys.stderr)


def _tell_end(process: BotProcess) -> None:
    if process.ended:
        _say(process.ended)


def stop_signals(process: BotProcess) -> asyncio.Event:
    """Set by Ctrl-C, by SIGTERM, and by the end of the terminal; the next one kills the bot."""
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set():
            process.kill()
        else:
            stopped.set()
            _say(ENDING)

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopped


def _has_a_screen() -> bool:
    """Whether a browser with windows can be expected; one for the terminal would take it over."""
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in names)

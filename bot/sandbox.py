"""Runs the parsers on a file in a process of its own, which may hang, explode or die."""

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from bot.files import HURDLES, MOST_TEXT, Kind, Reading, Unreadable, tidy
from bot.logs import event
from bot.messages import Image

log = logging.getLogger(__name__)

PARSERS = Path(__file__).with_name("parsers.py")

# Isolated: neither the environment nor the working directory decides what it imports. UTF-8
# whatever the system's language, and no file is written.
PYTHON = (sys.executable, "-I", "-B", "-X", "utf8")

# Of the environment only where the system finds its libraries; no token, no key, no password.
INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")

AT_ONCE = 2  # processes; each may take a core and a gigabyte
WITHIN = 20.0  # seconds for one file
MOST_OUTPUT = 16 * 1024 * 1024  # bytes

UNITS = ("", "characters", "pages", "rows", "slides")
MEDIA_TYPES = ("image/png", "image/jpeg")


class Sandbox:
    """``within`` is in seconds. ``program`` takes a kind and the most characters."""

    def __init__(
        self, *, at_once: int = AT_ONCE, within: float = WITHIN, program: Path = PARSERS
    ) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._within = within
        self._program = program

    async def parse(self, kind: Kind, data: bytes) -> Reading:
        """What is in a file that is no plain text.

        :raises Unreadable: with the reason.
        """
        async with self._places:
            output = await self._run(kind, data)
        head, _, payload = output.partition(b"\n")
        try:
            return _reading(json.loads(head), payload)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unreadable("broken") from error

    async def _run(self, kind: Kind, data: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(*PYTHON, str(self._program), kind, str(MOST_TEXT)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in INHERITED if name in os.environ},
            cwd=self._program.anchor,
        )
        feeding = asyncio.create_task(_feed(process, data))
        try:
            async with asyncio.timeout(self._within):
                output = await _drain(process)
                status = await process.wait()
        except TimeoutError:
            raise Unreadable("slow") from None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await feeding  # whose reader is gone
        if status:
            event(log, "parser.died", level=logging.WARNING, kind=kind, status=status)
            # By a signal: it went beyond its memory or its time.
            raise Unreadable("too_complex" if status < 0 else "broken")
        return output


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin
    with suppress(ConnectionError):  # it ended before it had read all
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _drain(process: asyncio.subprocess.Process) -> bytes:
    """All that it writes; a parser that has been taken over could write for ever."""
    assert process.stdout
    output = bytearray()
    while piece := await process.stdout.read(65536):
        output += piece
        if len(output) > MOST_OUTPUT:
            raise Unreadable("broken")
    return bytes(output)


def _reading(head: dict[str, object], payload: bytes) -> Reading:
    """What the process says is trusted no more than the file that it read."""
    hurdle, unit, error = str(head["hurdle"]), str(head["unit"]), str(head["error"])
    if hurdle:
        event(log, "parser.gave_up", hurdle=hurdle, type=error if error.isidentifier() else None)
        raise Unreadable(hurdle if hurdle in HURDLES else "broken")
    if head["media_type"] in MEDIA_TYPES:
        sides = _number(head["width"]), _number(head["height"])
        return Reading(image=Image(str(head["media_type"]), payload, *sides))
    if unit not in UNITS:
        raise ValueError("an unknown unit")
    text = tidy(payload.decode("utf-8", "replace"))[:MOST_TEXT]
    return Reading(text, unit=unit, read=_number(head["read"]), total=_number(head["total"]))


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 10**9:
        raise ValueError("no number")
    return value

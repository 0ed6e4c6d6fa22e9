"""Programs of the bot that begin with everything imported, which takes most of a second otherwise.

Each begins as a copy of a process that has done nothing but import (`fork`); from there on it is a
process as any other, with its own environment, folder and standard error. As a program this is
that process: ``python -m tests.forkserver FD``, with one end of a pair of sockets.
"""

import asyncio
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bot.playground.process import inherited

# What takes long of all that a bot has imported once it answers. Not `bot.__main__`: it is run.
IMPORTED = (
    *("bot.serve", "bot.commands.usage", "alembic.command", "aiosqlite", "uvloop"),
    *("anyio.streams.tls", "dotenv", "httpcore2", "truststore"),
    "openai.resources.chat.completions",
)

LONGEST_ORDER = 64 * 1024  # bytes

# Copies are for systems whose libraries bear it: Apple's end a process that looks for a proxy.
IS_POSSIBLE = sys.platform == "linux"


class Child:
    """A process that was started here; the part of `asyncio.subprocess.Process` that tests need."""

    def __init__(self, pid: int, stderr: asyncio.StreamReader, news: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stderr = stderr
        self.returncode: int | None = None
        self._ending = asyncio.create_task(self._listen(news))

    async def wait(self) -> int:
        return await asyncio.shield(self._ending)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def _listen(self, news: asyncio.StreamReader) -> int:
        self.returncode = int(await news.read())  # to the end, where the pipe is closed
        return self.returncode


class ForkServer:
    """The process that is copied."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    async def start(self, module: str, *, env: Mapping[str, str], folder: Path) -> Child:
        """``python -m module`` in ``folder``, with nothing but ``env``."""
        (errors, errors_in), (news, news_in) = os.pipe(), os.pipe()
        order = json.dumps({"module": module, "env": dict(env), "folder": str(folder)})
        socket.send_fds(self._line, [order.encode()], [errors_in, news_in])
        os.close(errors_in)
        os.close(news_in)
        stderr, told = await _reader(errors), await _reader(news)
        return Child(int(await told.readline()), stderr, told)


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """It ends with the context, after all that it started."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            env=inherited(os.environ),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    with process, ours:
        yield ForkServer(ours)


async def _reader(fd: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(fd, "rb"))
    return reader


# ---- the process that is copied


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the tests, which end this
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # a collection in a copy would write to all pages that they share
    while True:
        message, fds, *_ = socket.recv_fds(line, LONGEST_ORDER, 2)
        _bury(os.WNOHANG)
        if not message:
            break
        if os.fork() == 0:
            line.close()
            return _keep(json.loads(message), *fds)
        for fd in fds:
            os.close(fd)
    return _bury(0)


def _bury(how: int) -> None:
    """Waits for what has ended, so that its CPU time counts as ours."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass


def _keep(order: Mapping[str, Any], errors: int, news: int) -> None:
    """Has the program in a copy of its own, and tells its id and its exit status."""
    pid = os.fork()
    if pid == 0:
        os.close(news)
        return _become(order, errors)
    os.close(errors)
    with os.fdopen(news, "w") as telling:
        print(pid, file=telling, flush=True)
        with suppress(BrokenPipeError):  # nobody listens any more
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=telling, flush=True)
    return None


def _become(order: Mapping[str, Any], errors: int) -> None:
    os.dup2(errors, sys.stderr.fileno())
    os.close(errors)
    # The old one may believe that it can seek.
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv, sys.path[0] = [order["module"]], os.getcwd()  # where ``-m`` looks first
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""`python -m bot playground` as a process, for browsers to look at."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bot.playground.process import inherited


@dataclass(frozen=True)
class Playground:
    process: subprocess.Popen[str]
    address: str

    def do(self, verb: str, **wish: Any) -> dict[str, Any]:
        """What the page itself would send; the answer."""
        origin = self.address.rstrip("/")
        headers = {"Content-Type": "application/json", "Origin": origin}
        request = urllib.request.Request(
            f"{origin}/do/{verb}", data=json.dumps(wish).encode(), headers=headers
        )
        with _DIRECT.open(request, timeout=30) as answer:
            return dict(json.load(answer))

    def say(self, user: str, channel: str, text: str, **more: str) -> str:
        """Somebody says something; its ``ts``."""
        return str(self.do("say", user=user, channel=channel, text=text, **more)["ts"])

    def kill_the_bot(self) -> None:
        (bot,) = psutil.Process(self.process.pid).children()
        bot.kill()


# A proxy in the environment is not for this computer's own addresses.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def running(folder: Path) -> Iterator[Playground]:
    """It is ended by SIGTERM, and has to end well."""
    with subprocess.Popen(
        [sys.executable, "-m", "bot", "playground", "--port", "0"],
        env=inherited(os.environ),
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            address = re.search(r"http://[\w.]+:\d+/", line)
            assert address, line
            yield Playground(process, address[0])
        finally:
            process.terminate()
            process.communicate()  # it says that it ends
    assert process.returncode == 0

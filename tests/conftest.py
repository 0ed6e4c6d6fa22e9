"""Virtual time in the tests of `core`: a back-off of a minute passes at once. Databases.

Most databases are copies of one that has the bot's tables: to make these takes ten times as long,
and a process that opens a copy finds nothing to do. What makes them has tests of its own.
"""

import asyncio
import gc
import os
import selectors
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import pytest_asyncio
from hypothesis import settings
from sqlalchemy import create_engine

from bot.settings import database_url
from bot.store import opened
from bot.store.migrations import upgrade
from tests.postgres import Postgres, postgres_server

CORE = Path(__file__).parent / "core"

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# They take up to a minute each: at the end, all others would wait for one of them.
LONGEST = (
    "process/test_kills.py",
    "process/test_streams.py",
    "process/test_survival.py",
    "process/test_bad_input.py",
    "wire/test_replicas.py",
    "process/test_watchdog.py",
    "process/test_commands.py",
    "core/test_resume.py",
    "wire/test_sandbox.py",
    "wire/test_ledger.py",
    "process/test_reconciliation.py",
    "process/test_operation.py",
    "wire/test_turns.py",
    "process/test_playground.py",
    "wire/test_socket_mode.py",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Four times as many as cores: the tests of processes mostly wait. No more than they fill."""
    return min(4 * (os.cpu_count() or 1), 16)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """All that is collected lasts to the end: to look for garbage in it would only take long."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of each folder are spread over the whole, after those that take longest.

    So those who wait, as most tests of processes do, have beside them some who compute.
    """
    files = dict.fromkeys(item.path for item in items)
    of_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        of_folder[file.parent].append(file)

    def place(item: pytest.Item) -> tuple[int, float]:
        name = "/".join(item.path.parts[-2:])
        if name in LONGEST:
            return LONGEST.index(name), 0.0
        beside = of_folder[item.path.parent]
        return len(LONGEST), beside.index(item.path) / len(beside)

    items.sort(key=place)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Where it would wait for its next timer, its clock jumps there instead."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        super().__init__(_JumpingSelector(self))

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """Those under way, as `asyncio.all_tasks`, which looks at those of all loops that were."""
        return {task for task in self._tasks if not task.done()}

    def create_task(self, *arguments: Any, **named: Any) -> asyncio.Task[Any]:
        task = super().create_task(*arguments, **named)
        self._tasks.add(task)
        return task

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("Everything waits for everything else: no timer, nothing to read.")
        if not ready and timeout:
            self._loop.advance(timeout)
        return ready


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if CORE in item.path.parents:
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def _no_keys_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or pays with, what the developer's environment holds."""
    for name in list(os.environ):
        if name.startswith(("SLACK_", "OPENAI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the tests of this worker that ask for one."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_with_tables(postgres: Postgres) -> Iterator[str]:
    # A loop of its own: that of a session, and all that was made in it, ends with each test.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()
        yield runner.run(_with_tables(postgres, stack))
        runner.run(stack.aclose())


async def _with_tables(postgres: Postgres, stack: AsyncExitStack) -> str:
    url = await stack.enter_async_context(postgres.database())
    async with opened(url):
        return url


@pytest_asyncio.fixture
async def postgres_url(postgres: Postgres, _postgres_with_tables: str) -> AsyncIterator[str]:
    """A database of its own for each test, with the bot's tables."""
    async with postgres.database(like=_postgres_with_tables) as url:
        yield url


@pytest.fixture(scope="session")
def _file_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "bot.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, _file_with_tables: Path) -> str:
    """That of the file ``bot.db`` in the test's own folder, with the bot's tables."""
    return database_url(str(shutil.copyfile(_file_with_tables, tmp_path / "bot.db")))

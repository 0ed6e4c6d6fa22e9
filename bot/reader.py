"""Reads the files of a thread in parallel within a time limit, and remembers what was in them."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bot.errors import Transient
from bot.files import Kind, Reading, Unreadable, kind_of, text_reading
from bot.logs import broke, event
from bot.messages import File
from bot.retries import read_again

log = logging.getLogger(__name__)

# A file's bytes. Raises `Unreadable`, or `Transient` where another attempt may help.
Fetch = Callable[[File], Awaitable[bytes]]

# What is in a file of a kind that is not plain text. Raises `Unreadable`.
Parse = Callable[[Kind, bytes], Awaitable[Reading]]

WITHIN = 30.0  # seconds for all files of one answer
AT_ONCE = 4  # files, each of which is in memory as a whole meanwhile
MEMORY = 64 * 1024 * 1024  # bytes of what was read, kept for the next question in the thread

# What lies with the file and will be the same next time.
LASTING = frozenset(
    {
        "blank",
        "broken",
        "empty",
        "encrypted",
        "no_text",
        "too_complex",
        "too_large",
        "unknown",
    },
)


class FileReader:
    """Fits the protocol `bot.writer.Files`. ``memory`` is in bytes, ``within`` in seconds."""

    def __init__(
        self, fetch: Fetch, parse: Parse, *, memory: int = MEMORY, within: float = WITHIN
    ) -> None:
        self._fetch = fetch
        self._parse = parse
        self._memory = memory
        self._within = within
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._known: OrderedDict[tuple[str, int | None], Reading] = OrderedDict()
        self._weight = 0
        self._under_way: dict[str, asyncio.Task[Reading]] = {}

    async def close(self) -> None:
        """Ends what is being read."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def read(
        self, files: Sequence[File], on_reading: Callable[[str], None]
    ) -> Mapping[str, Reading]:
        """What is in them, by id. Those that take too long are read on, for the next question."""
        readings = {file.id: known for file in files if (known := self._remembered(file))}
        unknown = [file for file in files if file.id not in readings]
        if not unknown:
            return readings
        on_reading(unknown[0].name if len(unknown) == 1 else f"{len(unknown)} files")
        tasks = {file.id: self._reading(file) for file in unknown}
        await asyncio.wait(tasks.values(), timeout=self._within)
        for id, task in tasks.items():
            readings[id] = task.result() if task.done() else Reading(hurdle="slow")
        return readings

    def _reading(self, file: File) -> asyncio.Task[Reading]:
        """The attempt under way, or a new one: people ask again before the first has ended."""
        if file.id not in self._under_way:
            task = asyncio.create_task(self._read(file))
            self._under_way[file.id] = task
            task.add_done_callback(lambda _: self._under_way.pop(file.id))
        return self._under_way[file.id]

    async def _read(self, file: File) -> Reading:
        """Raises nothing."""
        began = asyncio.get_running_loop().time()
        try:
            async with self._slots:
                reading = await self._look_into(file)
        except Unreadable as error:
            reading = Reading(hurdle=error.hurdle)
        except Transient as error:
            event(log, "file.unreachable", level=logging.WARNING, reason=error)
            reading = Reading(hurdle="unreachable")
        except Exception as error:
            broke(log, "file.broke", error)
            return Reading(hurdle="broken")
        seconds = asyncio.get_running_loop().time() - began
        event(log, "file.read", id=file.id, hurdle=reading.hurdle or None, seconds=seconds)
        if not reading.hurdle or reading.hurdle in LASTING:
            self._remember(file, reading)
        return reading

    async def _look_into(self, file: File) -> Reading:
        data = await read_again(lambda: self._fetch(file), lambda *_: None)
        if not data:  # of whatever kind it would be
            raise Unreadable("empty")
        kind = kind_of(data)
        if kind is None:
            raise Unreadable("unknown")
        return text_reading(data) if kind == "text" else await self._parse(kind, data)

    def _remembered(self, file: File) -> Reading | None:
        key = (file.id, file.size)  # the text of a snippet can be edited
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def _remember(self, file: File, reading: Reading) -> None:
        self._known[file.id, file.size] = reading
        self._weight += reading.weight
        while self._weight > self._memory:
            _, forgotten = self._known.popitem(last=False)
            self._weight -= forgotten.weight

"""Which question is answered when: those of one thread in order, and only so many at once."""

import asyncio
import logging
from bisect import insort
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from bot.control_views import DROPPED
from bot.errands import Errands
from bot.errors import Transient, Unavailable
from bot.logs import broke, event
from bot.messages import DELETED, Question, Turn, TurnKey
from bot.retries import until_recorded
from bot.standing import MOST_ATTEMPTS

log = logging.getLogger(__name__)

T = TypeVar("T")

Thread = tuple[str, str, str]
Asked = tuple[Turn, Question | None]
Tell = Callable[[Turn, str], Coroutine[Any, Any, None]]

# Seconds. Slack sends an event again that is not acknowledged within 3.
ACKNOWLEDGED_WITHIN = 2.0

# Seconds after which a person is told that they wait; most waits are over before.
NOTICEABLE = 3.0

# Seconds between two looks at a turn that another process has to finish first. It says so at
# once; this is for news that were lost with a connection.
LOOK_AGAIN = 5.0

# Attempts after which a turn may be what its processes died of. Its last one is made while no other
# such turn is answered: what kills then kills alone, and innocent ones do not share its fate.
SUSPECT = MOST_ATTEMPTS - 1


class TurnRecords(Protocol):
    """What the queue needs of the store. Every call may raise `Transient`."""

    async def accept(self, question: Question) -> Turn | None:
        """Writes the question down; None where it had been before."""

    async def mine(self, key: TurnKey) -> Turn | None:
        """That turn, if it is this process's and unfinished."""

    async def is_next(self, turn: Turn) -> bool:
        """Whether no earlier turn of its thread is unfinished."""

    async def release(self, keys: Collection[TurnKey]) -> None:
        """Gives turns up, for whoever takes them."""


class Answers(Protocol):
    """Answers turns."""

    async def answer(self, turn: Turn, question: Question | None) -> Asked | None:
        """Returns when it is answered; what is asked in its place, where that came too late to be
        answered in the same go. Raises nothing."""

    def renew(self, turn: Turn, question: Question | None) -> None:
        """It was stopped, or something else is asked in its place while it is answered."""


@dataclass(eq=False, slots=True)
class _Entry:
    turn: Turn
    question: Question | None
    task: asyncio.Task[None] | None = None
    waiting: asyncio.Timeout | None = None
    is_running: bool = False
    is_dropped: bool = False
    again: Asked | None = None  # what is asked in its place
    moved: asyncio.Event = field(default_factory=asyncio.Event)  # its thread's line did
    telling: asyncio.TimerHandle | asyncio.Task[None] | None = None


class Queue:
    """Turns from their acceptance until they are answered; the tasks that answer them."""

    def __init__(self, turns: TurnRecords, answers: Answers, tell: Tell, *, at_once: int) -> None:
        self._turns = turns
        self._answers = answers
        self._tell = tell
        self._rooms = asyncio.Semaphore(at_once)
        self._suspects = asyncio.Lock()
        self._entries: dict[TurnKey, _Entry] = {}
        self._lines: dict[Thread, list[_Entry]] = {}  # by place
        self._doors: WeakValueDictionary[Thread, asyncio.Lock] = WeakValueDictionary()
        self._errands = Errands()
        self._before_room: dict[TurnKey, None] = {}  # in the order in which they came
        self._is_open = True

    @property
    def keys(self) -> list[TurnKey]:
        """The turns that this process has taken and not finished."""
        return list(self._entries)

    @property
    def running(self) -> int:
        return sum(entry.is_running for entry in self._entries.values())

    @property
    def waiting(self) -> int:
        return len(self._entries) - self.running

    def turn(self, key: TurnKey) -> Turn | None:
        """A turn that this process has taken, as far as it knows."""
        entry = self._entries.get(key)
        return entry.turn if entry else None

    def turns_in(self, thread: Thread) -> list[Turn]:
        """Those of a thread that this process has taken."""
        return [entry.turn for entry in self._lines.get(thread, ())]

    async def accept(self, question: Question) -> bool:
        """Returns when the question is written down, so that its event may be acknowledged;
        whether it was new.

        :raises Transient: not within the time for that, and Slack is to send it again. It is
            still tried, as nobody knows whether what failed was not written after all.
        """
        accepting = self._errands.run(self._accept(question))
        done, _ = await asyncio.wait({accepting}, timeout=ACKNOWLEDGED_WITHIN)
        if not done:
            raise Unavailable("the database", "not written down in time")
        return await accepting

    def resume(self, turns: Iterable[Turn]) -> None:
        """Turns that another process has left, or this one before a restart."""
        now = asyncio.get_running_loop().time()
        for turn in (replace(each, taken_at=now) for each in turns):
            earlier = self._entries.get(turn.key)
            if earlier and not earlier.is_dropped:
                continue
            if earlier or not self._is_open:
                self._errands.run(self._hand_on(turn, earlier))
            else:
                self._add(turn, None)

    def ask_again(self, turn: Turn, question: Question | None = None) -> None:
        """A turn of this process, asked for again: one that was over, or is not yet.

        Without a question it is read in the thread.
        """
        if turn.key in self._entries:
            self.renew(turn, question)
        elif self._is_open:
            self._add(turn, question)
        else:
            self._errands.run(self._release([turn.key]))

    def renew(self, turn: Turn, question: Question | None = None) -> None:
        """It was stopped, or asked for again. Nothing where this process does not answer it."""
        entry = self._entries.get(turn.key)
        if entry is None or not turn.is_newer(entry.turn):
            return
        if entry.is_running:
            entry.turn = turn
            self._answers.renew(turn, question)
            return
        entry.turn = replace(turn, is_resumed=entry.turn.is_resumed)
        entry.question = question
        if entry.waiting and turn.is_stopped:
            entry.waiting.reschedule(asyncio.get_running_loop().time())
            entry.waiting = None

    def look_up(self, key: TurnKey) -> None:
        """Another process was told that something is wanted of that turn."""
        if key in self._entries:
            self._errands.run(self._look_up(key))

    def drop(self, keys: Iterable[TurnKey]) -> None:
        """Turns that another process has taken over: it answers them."""
        for key in keys:
            entry = self._entries.get(key)
            if entry and entry.task:
                entry.is_dropped = True
                entry.task.cancel()

    def look_again(self, thread: Thread) -> None:
        """A turn of that thread came to its end."""
        if line := self._lines.get(thread):
            line[0].moved.set()

    async def close(self) -> None:
        """Begins no more answers: what waits is left to other processes, or to the next start."""
        self._is_open = False
        waiting = [entry for entry in self._entries.values() if not entry.is_running]
        await _ended([entry.task for entry in waiting if entry.task])
        await self._release([entry.turn.key for entry in waiting])

    async def finished(self, *, within: float) -> bool:
        """Waits for the answers under way, so many seconds at most; whether all are done."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while tasks := self._tasks():
                    await asyncio.wait(tasks)
        return not self._tasks()

    async def abandon(self) -> None:
        """Ends what is still under way, without another word."""
        await _ended(self._tasks())

    def _tasks(self) -> list[asyncio.Task[Any]]:
        """A question that is being written down counts: it will be acknowledged."""
        return [
            *(entry.task for entry in self._entries.values() if entry.task),
            *self._errands.tasks,
        ]

    async def _accept(self, question: Question) -> bool:
        thread = (question.team, question.channel, question.thread_ts)
        # Messages of one moment keep the order in which they came.
        async with self._doors.setdefault(thread, asyncio.Lock()):
            turn = await until_recorded(lambda: self._turns.accept(question))
            if turn is None and question.key not in self._entries:
                # An earlier try may have written it, and only the answer to that was lost.
                turn = await until_recorded(lambda: self._turns.mine(question.key))
        if turn is None or turn.key in self._entries:
            return False
        event(
            log, "question.accepted", channel=question.channel, ts=question.ts, user=question.user
        )
        if self._is_open:
            self._add(turn, None if turn.is_resumed else question)
        else:  # told to stop meanwhile
            await self._release([turn.key])
        return True

    async def _look_up(self, key: TurnKey) -> None:
        turn = await until_recorded(lambda: self._turns.mine(key))
        if turn:
            self.renew(turn)

    async def _hand_on(self, turn: Turn, earlier: _Entry | None) -> None:
        """Gives back what was taken over though this process cannot go on with it now."""
        if earlier and earlier.task:
            await asyncio.wait({earlier.task})  # it may still write down how it ended
        await self._release([turn.key])

    async def _release(self, keys: list[TurnKey]) -> None:
        try:
            if keys:
                await self._turns.release(keys)
        except Transient as error:  # whoever finds this process gone takes them all the same
            event(log, "turns.not_released", level=logging.WARNING, reason=error)

    def _add(self, turn: Turn, question: Question | None) -> None:
        entry = _Entry(turn, question)
        self._entries[turn.key] = entry
        insort(self._lines.setdefault(turn.thread, []), entry, key=lambda entry: entry.turn.place)
        entry.task = asyncio.create_task(self._run(entry))
        # Not within the task: one that is cancelled before its first step runs none of it.
        entry.task.add_done_callback(lambda _: self._leave(entry))

    async def _run(self, entry: _Entry) -> None:
        try:
            async with AsyncExitStack() as held:
                is_wanted = await self._turn_comes(entry, held)
                entry.is_running = True  # from here on its answer hears of all that is wanted
                if not is_wanted:
                    self._tell_dropped(entry)
                entry.again = await self._answers.answer(entry.turn, entry.question)
        except Exception as error:
            broke(log, "turn.broke", error, channel=entry.turn.key.channel)

    def _tell_dropped(self, entry: _Entry) -> None:
        """It was stopped while it waited. What stands of an answer begun before says so itself."""
        if entry.turn.stopped_by != DELETED and not entry.turn.messages:
            self._errands.run(self._tell(entry.turn, DROPPED))

    def _leave(self, entry: _Entry) -> None:
        del self._entries[entry.turn.key]
        line = self._lines[entry.turn.thread]
        line.remove(entry)
        if not line:
            del self._lines[entry.turn.thread]
        self.look_again(entry.turn.thread)
        if entry.again:
            self.ask_again(*entry.again)

    async def _turn_comes(self, entry: _Entry, held: AsyncExitStack) -> bool:
        """Waits until it is to be answered next; False: it was stopped before.

        What it then has for itself, a room, is ``held`` as long as it is answered.
        """
        loop = asyncio.get_running_loop()
        entry.telling = loop.call_later(NOTICEABLE, self._tell_waiting, entry)
        try:
            while not entry.turn.is_stopped:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None) as entry.waiting:
                        await self._first_in_line(entry)
                        await self._room(entry, held)
                        if not entry.turn.is_stopped:
                            return True
                await held.aclose()
            return False
        finally:
            entry.waiting = None
            entry.telling.cancel()

    async def _room(self, entry: _Entry, held: AsyncExitStack) -> None:
        self._before_room[entry.turn.key] = None
        try:
            if entry.turn.attempts_lost >= SUSPECT:
                await held.enter_async_context(self._suspects)
            await held.enter_async_context(self._rooms)
        finally:
            del self._before_room[entry.turn.key]

    async def _first_in_line(self, entry: _Entry) -> None:
        line = self._lines[entry.turn.thread]
        while True:
            entry.moved.clear()
            is_first = line[0] is entry
            if is_first and (entry.turn.is_next or await self._is_next(entry.turn)):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN if is_first else None):
                    await entry.moved.wait()

    async def _is_next(self, turn: Turn) -> bool:
        return await until_recorded(lambda: self._turns.is_next(turn))

    def _tell_waiting(self, entry: _Entry) -> None:
        if entry.question:
            entry.telling = self._errands.run(self._tell(entry.turn, self._reason(entry)))

    def _reason(self, entry: _Entry) -> str:
        """What the person waits for, in words for them."""
        if entry.turn.key in self._before_room:
            place = list(self._before_room).index(entry.turn.key) + 1
            return (
                "Many people are asking me right now, and I answer only so many at once. "
                f"Your question is number {place} in line; I have not forgotten it."
            )
        return (
            "I answer the questions of a thread one after the other. "
            "Yours comes when those before it are done; I have not forgotten it."
        )


async def _ended(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""How each deed of a plan is done to the running processes and servers."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import msgspec

from bot.playground.model import LocalModel, Request
from bot.playground.slack import Call, Delivery, Entry, LocalSlack
from tests.chaos.fleet import Fleet
from tests.chaos.plan import (
    DatabaseRestart,
    Deed,
    Freeze,
    Kill,
    Moment,
    Redelivery,
    SessionCut,
    SlackFault,
    Slowness,
    SocketLoss,
    Storm,
    Termination,
)
from tests.postgres import Postgres

LATENCY = 0.05  # seconds that a call to Slack takes while nothing slows it down
AIM = 6.0  # seconds that an aimed kill waits for its moment

CUT_SESSIONS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass
class Mischief:
    slack: LocalSlack
    model: LocalModel
    fleet: Fleet
    database_url: str
    postgres: Postgres | None  # None: on SQLite
    sent: list[Delivery] = field(default_factory=list)  # of the questions so far
    done: Counter[str] = field(default_factory=Counter)  # what was, in words

    async def do(self, deed: Deed) -> None:  # noqa: C901 - a table
        match deed:
            case Kill():
                await self._kill(deed)
            case Termination():
                self._count("terminated")
                self.fleet.slots[deed.slot].terminate()
            case Freeze():
                self._count("frozen")
                await self.fleet.slots[deed.slot].freeze(deed.seconds)
            case SlackFault():
                self._count(f"{deed.method} {deed.fault.kind}", deed.times)
                self.slack.faults.add(deed.method, deed.fault, times=deed.times)
            case Storm():
                await self._storm(deed)
            case Slowness():
                await self._slow_down(deed)
            case SocketLoss():
                await self._lose_sockets(deed)
            case Redelivery():
                await self._redeliver(deed)
            case DatabaseRestart():
                await self._restart_database(deed)
            case SessionCut():
                await self._cut_sessions()

    def calm(self) -> None:
        """No fault waits for its call any more."""
        self.slack.faults.clear()

    def _count(self, what: str, times: int = 1) -> None:
        self.done[what] += times

    async def _kill(self, deed: Kill) -> None:
        name = "killed" if deed.moment == "any" else f"killed, aimed at: {deed.moment}"

        def strike() -> None:
            for slot in deed.slots:
                if self.fleet.slots[slot].kill(back_after=deed.back_after):
                    self._count(name)

        if deed.moment == "any":
            strike()
        else:
            await self._aim(deed.moment, strike)

    async def _aim(self, moment: Moment, strike: Callable[[], None]) -> None:
        """Strikes when such a call has arrived, before it has its effect and is answered."""
        struck = asyncio.Event()

        def see(what: Moment) -> None:
            if what == moment and not struck.is_set():
                strike()
                struck.set()

        def hear(entry: Entry) -> None:
            if isinstance(entry, Call) and entry.answered is None:
                see(moment_of(entry))

        def read(_: int, request: Request) -> None:
            if request.question and not request.tokens_sent and not request.finished:
                see("asked")

        self.slack.listeners.append(hear)
        self.model.listeners.append(read)
        with suppress(TimeoutError):
            async with asyncio.timeout(AIM):
                await struck.wait()
        self.slack.listeners.remove(hear)
        self.model.listeners.remove(read)

    async def _storm(self, deed: Storm) -> None:
        self._count("storms")
        self.slack.limits.scale = deed.scale
        await asyncio.sleep(deed.seconds)
        self.slack.limits.scale = 1.0

    async def _slow_down(self, deed: Slowness) -> None:
        self._count("slow times")
        self.slack.latency = deed.latency
        await asyncio.sleep(deed.seconds)
        self.slack.latency = LATENCY

    async def _lose_sockets(self, deed: SocketLoss) -> None:
        self._count(f"sockets: {deed.how}")
        if deed.how == "cut":
            await self.slack.drop_sockets()
        elif deed.how == "silent":
            self.slack.silence_sockets()
        else:
            await self.slack.disconnect(deed.how)

    async def _redeliver(self, deed: Redelivery) -> None:
        if len(self.sent) < deed.back:
            return
        earlier = self.sent[-deed.back]
        self._count("sent again")
        await self.slack.deliver(earlier.payload["event"], event_id=earlier.event_id)

    async def _restart_database(self, deed: DatabaseRestart) -> None:
        assert self.postgres, "Only a server is restarted."
        if not self.postgres.is_ours:
            return
        self._count("database crashed" if deed.at_once else "database stopped")
        await asyncio.to_thread(self.postgres.stop, at_once=deed.at_once)
        await asyncio.sleep(deed.down)
        await asyncio.to_thread(self.postgres.start)

    async def _cut_sessions(self) -> None:
        try:
            connection = await asyncpg.connect(self.database_url)
        except (OSError, asyncpg.PostgresError):  # it is being restarted
            return
        self._count("sessions cut")
        await connection.execute(CUT_SESSIONS)
        await connection.close()


def moment_of(call: Call) -> Moment:
    match call.method:
        case "chat.postMessage" | "chat.startStream":
            return "post"
        case "chat.appendStream":
            return "edit"
    if call.method not in ("chat.update", "chat.stopStream"):
        return "any"
    metadata = call.args.get("metadata") or {}
    if isinstance(metadata, str):
        metadata = msgspec.json.decode(metadata)
    is_last = (metadata.get("event_payload") or {}).get("is_last")
    return "last edit" if is_last else "edit"

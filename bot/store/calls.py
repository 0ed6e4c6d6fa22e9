"""Slack's limits as several replicas share them, or one process leaves them to the next: a row for
each kind of call."""

import asyncio
import time
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, bindparam, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.store.schema import calls
from bot.store.transactions import transaction
from bot.store.turns import Turns
from bot.turnstile import Drawn
from bot.window import Window

# Seconds in which Slack answers a call that is made now. One that takes longer frees its slot a
# little early, which the margin below Slack's limits covers.
ANSWERED_WITHIN = 1.0

# Seconds after which a replica that drew nothing keeps nothing back any more.
KEPT_FOR = 60.0

# The server's, in seconds.
CLOCK: ColumnElement[Decimal] = literal_column("extract(epoch FROM clock_timestamp())")


class SharedCalls:
    """Fits the protocol `bot.turnstile.Shares`, on PostgreSQL.

    The windows are those of one process, in which it counts its own calls; a draw makes them
    agree with what all processes have made. The server's clock is the only one that counts.
    """

    def __init__(self, engine: AsyncEngine, team: str, turns: Turns) -> None:
        self._engine = engine
        self._team = team
        self._turns = turns  # whose owner is this process's name

    async def draw(
        self, windows: Mapping[str, Window], *, kept_back: int, leaves_kept: bool = False
    ) -> Drawn:
        async with transaction(self._engine) as connection:
            rows, offset = await self._locked(connection, windows)
            now = _now()
            shared = {name: windows[name].like(rows[name], offset) for name in windows}
            kept = {name: self._kept(rows[name], kept_back, now + offset) for name in windows}
            # The pace of a channel is kept by two kinds of calls, of which each keeps back another.
            of_workspace = [each for name, each in kept.items() if ":" not in name]
            elsewhere = max(map(self._elsewhere, of_workspace), default=0)
            least = elsewhere if leaves_kept else 0
            is_granted = all(window.free(now) > least for window in shared.values())
            if is_granted:
                for window in shared.values():
                    window.draw(now, answered_within=ANSWERED_WITHIN)
            states = {
                name: window.state(offset) | {"kept": kept[name]} for name, window in shared.items()
            }
            await self._save(connection, states)
        return Drawn(is_granted, {name: shared[name].state(0.0) for name in shared}, elsewhere)

    async def refused(self, windows: Mapping[str, Window], *, retry_after: float) -> None:
        async with transaction(self._engine) as connection:
            rows, offset = await self._locked(connection, windows)
            now = _now()
            states = {}
            for name, window in windows.items():
                shared = window.like(rows[name], offset)
                shared.undraw(now, held_until=now + retry_after)
                states[name] = rows[name] | shared.state(offset)
            await self._save(connection, states)

    async def _locked(
        self, connection: AsyncConnection, names: Collection[str]
    ) -> tuple[dict[str, Any], float]:
        """The rows, nobody else's until the transaction ends; and how far the server's clock is
        ahead of the loop's."""
        rows = [{"call": self._name(name), "state": {}} for name in sorted(names)]
        await connection.execute(postgresql.insert(calls).on_conflict_do_nothing(), rows)
        query = (
            select(calls.c.call, calls.c.state, CLOCK)
            .where(calls.c.call.in_([row["call"] for row in rows]))
            .order_by(calls.c.call)
            .with_for_update()
        )
        found = (await connection.execute(query)).all()
        offset = float(found[0][2]) - _now()
        by_name = {name: state for name, state, _ in found}
        return {name: by_name[self._name(name)] for name in names}, offset

    async def _save(self, connection: AsyncConnection, states: Mapping[str, Any]) -> None:
        saving = (
            update(calls).where(calls.c.call == bindparam("row")).values(state=bindparam("now"))
        )
        await connection.execute(
            saving, [{"row": self._name(name), "now": state} for name, state in states.items()]
        )

    def _name(self, call: str) -> str:
        return _row_name(self._team, call)

    def _kept(self, row: Mapping[str, Any], kept_back: int, now: float) -> dict[str, Any]:
        """How many calls each replica keeps back for the ends of its answers, and since when."""
        kept = row.get("kept", {}) | {self._turns.owner: (kept_back, now)}
        return {owner: each for owner, each in kept.items() if each[1] + KEPT_FOR > now}

    def _elsewhere(self, kept: Mapping[str, Any]) -> int:
        return sum(count for owner, (count, _) in kept.items() if owner != self._turns.owner)


class CallsLeft:
    """Fits the protocol `bot.carryover.Records`, on SQLite: the machine's clock counts."""

    def __init__(self, engine: AsyncEngine, team: str) -> None:
        self._engine = engine
        self._team = team

    async def load(self, windows: Mapping[str, Window]) -> None:
        by_row = {_row_name(self._team, name): window for name, window in windows.items()}
        query = select(calls.c.call, calls.c.state).where(calls.c.call.in_(by_row))
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        for name, state in rows:
            if state["at"] <= time.time():  # else it was set back, and the times say nothing
                by_row[name].adopt(state, _clock_ahead())

    async def save(self, windows: Mapping[str, Window]) -> None:
        now, ahead = _now(), _clock_ahead()
        rows = [
            {
                "call": _row_name(self._team, name),
                "state": window.left_behind(now, ahead) | {"at": now + ahead},
            }
            for name, window in windows.items()
        ]
        saving = sqlite.insert(calls)
        saving = saving.on_conflict_do_update(
            index_elements=[calls.c.call], set_={"state": saving.excluded.state}
        )
        async with transaction(self._engine) as connection:
            await connection.execute(saving, rows)


def _row_name(team: str, call: str) -> str:
    return f"{team}:{call}"


def _clock_ahead() -> float:
    """Seconds by which the machine's clock, which survives a restart, is ahead of the loop's."""
    return time.time() - _now()


def _now() -> float:
    return asyncio.get_running_loop().time()

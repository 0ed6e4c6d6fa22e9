"""What the bot's database holds of each question, read from outside."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import asyncpg

TURNS = (
    "SELECT team, channel, ts, place, attempts, outcome, "
    "finished_at IS NOT NULL AS is_finished FROM turns"
)
USAGE = (
    "SELECT team, channel, ts, attempt, purpose, outcome, requests, output_tokens, is_estimate "
    "FROM usage ORDER BY id"
)
UNFINISHED = "SELECT count(*) AS number FROM turns WHERE finished_at IS NULL"


@dataclass(frozen=True, slots=True)
class TurnRow:
    place: int
    attempts: int
    outcome: str | None
    is_finished: bool


@dataclass(frozen=True, slots=True)
class UsageRow:
    attempt: int
    purpose: str
    outcome: str
    requests: int
    output_tokens: int | None
    is_estimate: bool


@dataclass(frozen=True)
class Records:
    """By the turn's key as Slack's metadata spells it: ``team:channel:ts``."""

    turns: Mapping[str, TurnRow]
    usage: Mapping[str, Sequence[UsageRow]]


async def read(database_url: str) -> Records:
    turns = {_key(row): _turn(row) for row in await _rows(database_url, TURNS)}
    usage: dict[str, list[UsageRow]] = {}
    for row in await _rows(database_url, USAGE):
        usage.setdefault(_key(row), []).append(_usage(row))
    return Records(turns, usage)


async def unfinished(database_url: str) -> int:
    """How many turns are under way.

    :raises OSError, asyncpg.PostgresError, sqlite3.Error: the database is away, or empty.
    """
    (row,) = await _rows(database_url, UNFINISHED)
    return int(row["number"])


async def _rows(database_url: str, query: str) -> Sequence[Mapping[str, Any]]:
    if database_url.startswith("sqlite:///"):
        return await asyncio.to_thread(
            _rows_of_file, database_url.removeprefix("sqlite:///"), query
        )
    connection = await asyncpg.connect(database_url, timeout=5.0)
    try:
        return [dict(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def _rows_of_file(path: str, query: str) -> Sequence[Mapping[str, Any]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        file.row_factory = sqlite3.Row
        return [dict(row) for row in file.execute(query)]


def _key(row: Mapping[str, Any]) -> str:
    return f"{row['team']}:{row['channel']}:{row['ts']}"


def _turn(row: Mapping[str, Any]) -> TurnRow:
    return TurnRow(
        place=row["place"],
        attempts=row["attempts"],
        outcome=row["outcome"],
        is_finished=bool(row["is_finished"]),
    )


def _usage(row: Mapping[str, Any]) -> UsageRow:
    return UsageRow(
        attempt=row["attempt"],
        purpose=row["purpose"],
        outcome=row["outcome"],
        requests=row["requests"],
        output_tokens=row["output_tokens"],
        is_estimate=bool(row["is_estimate"]),
    )

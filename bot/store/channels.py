"""What is set for channels: by whom, since when, and what follows from it for a message."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, exists, func, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.channel_settings import AS_EVERYWHERE, Change, ChannelSettings
from bot.messages import Question
from bot.store.schema import channel_changes, channels, stored, turns
from bot.store.transactions import transaction, writing

NAMES = tuple(field.name for field in fields(ChannelSettings))


class Channels:
    """The settings of all channels in this database. They are read anew for each answer, so that
    a change counts at once, in whichever process.

    Every call raises `bot.errors.Unavailable` where the database cannot be reached.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, team: str, channel: str) -> ChannelSettings:
        query = select(channels).filter_by(team=team, channel=channel)
        async with transaction(self._engine) as connection:
            row = (await connection.execute(query)).first()
        return _settings(row) if row else AS_EVERYWHERE

    async def all(self, team: str) -> Mapping[str, ChannelSettings]:
        """By channel; those that are as all others are not in it."""
        query = select(channels).where(channels.c.team == team).order_by(channels.c.channel)
        async with transaction(self._engine) as connection:
            return {row.channel: _settings(row) for row in await connection.execute(query)}

    async def with_follow_ups(self) -> int:
        """In how many channels questions need no mention, of whatever workspace."""
        query = select(func.count()).select_from(channels).where(channels.c.follows_up)
        async with transaction(self._engine) as connection:
            return await connection.scalar(query) or 0

    async def set(
        self, team: str, channel: str, after: ChannelSettings, *, seen: str, by: str, at: datetime
    ) -> bool:
        """In place of the settings with that digest; who did it is written down with it.

        False: somebody has set others meanwhile, and they stay.
        """
        name = {"team": team, "channel": channel}
        query = select(channels).filter_by(**name).with_for_update()
        async with transaction(writing(self._engine)) as connection:
            row = (await connection.execute(query)).first()
            before = _settings(row) if row else AS_EVERYWHERE
            if before == after:
                return True
            if before.digest != seen:
                return False
            change_it = self._putting(name, after, is_first=row is None)
            if not (await connection.execute(change_it)).rowcount:
                return False
            change = {"before": before.as_json(), "after": after.as_json()}
            who = {"at": stored(at), "by": by}
            await connection.execute(insert(channel_changes).values({**name, **who, **change}))
        return True

    async def changes(self, team: str, channel: str, *, most: int = 10) -> list[Change]:
        """The newest first."""
        query = (
            select(channel_changes)
            .filter_by(team=team, channel=channel)
            .order_by(channel_changes.c.id.desc())
            .limit(most)
        )
        async with transaction(self._engine) as connection:
            return list(map(_change, await connection.execute(query)))

    async def goes_on(self, question: Question) -> bool:
        """Whether a message in a thread is a question without a mention: the channel has it so,
        and the bot has answered in that thread, as far as the record of turns goes back.

        One query over two indexes, however much was asked.
        """
        has_it_so = exists().where(
            channels.c.team == question.team,
            channels.c.channel == question.channel,
            channels.c.follows_up,
        )
        has_answered = exists().where(
            turns.c.team == question.team,
            turns.c.channel == question.channel,
            turns.c.thread_ts == question.thread_ts,
            literal_column("attempts > 0"),  # word for word as the index has it
        )
        async with transaction(self._engine) as connection:
            return bool(await connection.scalar(select(has_it_so & has_answered)))

    def _putting(self, name: Mapping[str, str], after: ChannelSettings, *, is_first: bool) -> Any:
        """Of two that set a channel for the first time at once, the later one changes nothing."""
        if after == AS_EVERYWHERE:
            return delete(channels).filter_by(**name)
        if not is_first:
            return update(channels).filter_by(**name).values(asdict(after))
        putting = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        return putting(channels).values({**name, **asdict(after)}).on_conflict_do_nothing()


def _settings(row: Any) -> ChannelSettings:
    return ChannelSettings(**{name: getattr(row, name) for name in NAMES})


def _change(row: Any) -> Change:
    before, after = map(ChannelSettings.from_json, (row.before, row.after))
    return Change(row.at.replace(tzinfo=UTC), row.by, row.channel, before, after)

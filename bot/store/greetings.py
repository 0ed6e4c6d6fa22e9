"""Whom the bot has told what it is, so that nobody is told twice."""

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.schema import greeted, turns
from bot.store.transactions import transaction


class Greetings:
    """The table of those who were greeted. Every call may raise `Unavailable`, as `transaction`
    does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def greet(self, team: str, user: str) -> bool:
        """Whether that is to be done now, by whoever asks: of several, one is told so.

        It is not for people who have asked a question before.
        """
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        greeting = insert(greeted).values(team=team, user=user).on_conflict_do_nothing()
        has_asked = exists().where(turns.c.team == team, turns.c.user == user)
        async with transaction(self._engine) as connection:
            is_new = (await connection.execute(greeting)).rowcount > 0
            return is_new and not await connection.scalar(select(has_asked))

    async def ungreet(self, team: str, user: str) -> None:
        """It came to nothing, and is to be done another time."""
        async with transaction(self._engine) as connection:
            await connection.execute(delete(greeted).filter_by(team=team, user=user))

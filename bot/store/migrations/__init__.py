"""Brings a database to the newest schema, from any earlier one, also when several start at once."""

from sqlalchemy import Connection, inspect, text

from bot.errors import CannotStart

# The newest of `versions`: a test holds it to the files. A database that has it is let alone.
HEAD = "0010"

# One process migrates, the others wait: this number's lock, for all databases of the server.
LOCK = 0x6C6C6D626F74  # "llmbot"


def upgrade(connection: Connection) -> None:
    """Within the connection's transaction.

    :raises CannotStart: a newer version of the program has changed the tables.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    version = _version(connection)
    if version == HEAD:
        return
    if version and version > HEAD:
        raise CannotStart(
            "DATABASE_URL: a newer version of the bot has used this database. Start that one."
        )
    # Here, as most of the time it is not needed and takes a sixth of a second.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "bot.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(version) if version else None

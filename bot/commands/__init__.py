"""What an operator asks on the command line beside the running bot."""

from pathlib import Path

from bot.settings import ReportSettings
from bot.store import is_postgres, sqlite_path


class Refused(Exception):
    """Why a command does nothing, in words for whoever typed it."""


def missing_database(settings: ReportSettings) -> str | None:
    """The SQLite file where it does not exist yet: a command that reads makes none."""
    if is_postgres(settings.database_url):
        return None
    path = sqlite_path(settings.database_url)
    return None if Path(path).exists() else path

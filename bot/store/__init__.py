"""What is kept: which questions were accepted, and what their answers cost. Ids, never text."""

from bot.store.database import Membership, Store, is_postgres, opened, sqlite_path
from bot.store.ledger import Ledger
from bot.store.limits import Limits
from bot.store.retention import Retention
from bot.store.turns import Turns

__all__ = [
    "Ledger",
    "Limits",
    "Membership",
    "Retention",
    "Store",
    "Turns",
    "is_postgres",
    "opened",
    "sqlite_path",
]

"""What is kept: which questions were accepted, what their answers cost, and what people think of
them. Ids and numbers, never text; but for the reasons that people write for those who run the bot.
"""

from bot.store.database import Membership, Store, is_postgres, opened, sqlite_path
from bot.store.feedback import Feedback
from bot.store.ledger import Ledger
from bot.store.limits import Limits
from bot.store.retention import Retention
from bot.store.turns import Turns

__all__ = [
    "Feedback",
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

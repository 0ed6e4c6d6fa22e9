"""What is kept: which questions were accepted, what their answers cost, what people think of them,
and what is set for channels. Ids and numbers, never text; but for what is written on purpose for
the bot or those who run it: the instructions of channels, and the reasons of people.
"""

from bot.store.channels import Channels
from bot.store.database import Membership, Store, is_postgres, opened, sqlite_path
from bot.store.feedback import Feedback
from bot.store.ledger import Ledger
from bot.store.limits import Limits
from bot.store.retention import Retention
from bot.store.turns import Turns

__all__ = [
    "Channels",
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

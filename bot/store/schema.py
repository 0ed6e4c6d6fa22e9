"""The tables as they are now; how they came to be is in `migrations`."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    text,
)

schema = MetaData()

# SQLite numbers the rows of a table by itself only where the key is an INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")


def stored(at: datetime) -> datetime:
    """A time as the columns have it: UTC, without saying so."""
    return at.astimezone(UTC).replace(tzinfo=None)


turns = Table(
    "turns",
    schema,
    Column("place", Number, primary_key=True),  # in the order in which they were asked
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("ts", String, nullable=False),
    Column("thread_ts", String, nullable=False),
    Column("user", String, nullable=False),
    Column("accepted_at", DateTime, nullable=False, server_default=func.now()),  # UTC
    Column("owner", String),  # the replica that answers it; NULL: none
    Column("attempts", Integer, nullable=False, server_default="0"),  # begun by any process
    Column("reply", JSON, nullable=False, server_default="[]"),  # the ts of the reply's
    Column("finished_at", DateTime),  # UTC
    Column("outcome", String),
    Column("is_first", Boolean, nullable=False, server_default=text("false")),  # of its channel
    Column("asked", Integer, nullable=False, server_default="1"),  # how often
    Column("asked_at", DateTime),  # UTC, the last time; NULL: when it was accepted
    Column("attempts_before", Integer, nullable=False, server_default="0"),  # it was asked last
    Column("handovers", Integer, nullable=False, server_default="0"),  # of the attempts since then
    Column("is_continued", Boolean, nullable=False, server_default=text("false")),
    Column("stopped_by", String),  # a person's id; "": the question was deleted
    Column("edited_ts", String),  # of the wording that was asked last
    Column("is_follow_up", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("team", "channel", "ts", name="turns_by_message"),
)

# What is under way, however many turns have passed.
Index(
    "turns_unfinished",
    turns.c.team,
    turns.c.channel,
    turns.c.thread_ts,
    turns.c.place,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)

# In which threads the model was asked, however many turns have passed. The condition is as
# `bot.store.channels` writes it: SQLite takes a partial index for the same words only.
Index(
    "turns_answered",
    turns.c.team,
    turns.c.channel,
    turns.c.thread_ts,
    sqlite_where=text("attempts > 0"),
    postgresql_where=text("attempts > 0"),
)

# How many questions somebody has asked lately, however many there are of others.
Index("turns_by_user", turns.c.team, turns.c.user, turns.c.accepted_at)

# When people asked for answers again, by a press or an edit: it counts as a question of theirs,
# whoever's answer it was. Kept for a day.
asked_again = Table(
    "asked_again",
    schema,
    Column("id", Number, primary_key=True),
    Column("at", DateTime, nullable=False),  # UTC
    Column("team", String, nullable=False),
    Column("user", String, nullable=False),
)

Index("asked_again_by_user", asked_again.c.team, asked_again.c.user, asked_again.c.at)

usage = Table(
    "usage",
    schema,
    Column("id", Number, primary_key=True),
    Column("at", DateTime, nullable=False),  # UTC
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("ts", String, nullable=False),  # of the question
    Column("attempt", Integer, nullable=False, server_default="1"),  # of the turn
    Column("is_resumed", Boolean, nullable=False, server_default=text("false")),
    Column("purpose", String, nullable=False, server_default="answer"),
    Column("user", String, nullable=False),
    Column("model", String, nullable=False),
    Column("input_tokens", Integer),  # NULL where nobody knows
    Column("cached_tokens", Integer),
    Column("output_tokens", Integer),
    Column("reasoning_tokens", Integer),
    Column("is_estimate", Boolean, nullable=False, server_default=text("false")),
    Column("cost", BigInteger),  # millionths of a millionth of a US dollar; NULL: no known price
    Column("priced_on", String),  # the date of the price table
    Column("seconds_to_first_delta", Float),
    Column("seconds", Float, nullable=False),
    Column("requests", Integer, nullable=False),  # to the model
    Column("outcome", String, nullable=False),
    UniqueConstraint("team", "channel", "ts", "attempt", "purpose", name="usage_once"),
)

Index("usage_by_time", usage.c.at)

# A workspace's, and somebody's own, without a look at all the others.
Index("usage_by_team", usage.c.team, usage.c.at)
Index("usage_by_user", usage.c.team, usage.c.user, usage.c.at)

# What people think of answers. A reason is the one thing here in a person's own words: they wrote
# it for those who run the bot.
feedback = Table(
    "feedback",
    schema,
    Column("id", Number, primary_key=True),
    Column("at", DateTime, nullable=False),  # UTC
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("ts", String, nullable=False),  # of the question
    Column("attempt", Integer, nullable=False),  # of the turn, whose text was seen
    Column("user", String, nullable=False),
    Column("is_good", Boolean, nullable=False),
    Column("reason", String),
    UniqueConstraint("team", "channel", "ts", "user", name="feedback_once"),
)

Index("feedback_by_time", feedback.c.at)

# Whom the bot has told what it is: once to each person.
greeted = Table(
    "greeted",
    schema,
    Column("team", String, primary_key=True),
    Column("user", String, primary_key=True),
    Column("at", DateTime, nullable=False, server_default=func.now()),  # UTC
)

# What is left of Slack's limits, where several replicas share them: a row for each kind of call.
calls = Table(
    "calls",
    schema,
    Column("call", String, primary_key=True),
    Column("state", JSON, nullable=False),
)

# How much may be used, and who said so. `bot.budgets` says what the words mean.
limits = Table(
    "limits",
    schema,
    Column("team", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("who", String, primary_key=True),  # an id, or * for each without a limit of its own
    Column("every", String, primary_key=True),
    Column("unit", String, nullable=False),
    Column("amount", BigInteger, nullable=False),  # as `usage.cost`, or tokens
)

limit_changes = Table(
    "limit_changes",
    schema,
    Column("id", Number, primary_key=True),
    Column("at", DateTime, nullable=False),  # UTC
    Column("by", String, nullable=False),
    Column("team", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("who", String, nullable=False),
    Column("every", String, nullable=False),
    Column("unit_before", String),  # NULL: there was none
    Column("amount_before", BigInteger),
    Column("unit_after", String),  # NULL: it was removed
    Column("amount_after", BigInteger),
)

# What is set for channels; those without a row are as all are. `bot.channel_settings` says what the
# columns mean. Instructions are the words of admins and of whoever made the channel.
channels = Table(
    "channels",
    schema,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("is_allowed", Boolean, nullable=False),
    Column("follows_up", Boolean, nullable=False),
    Column("instructions", String, nullable=False),
    Column("model", String),  # NULL, here and below: as everywhere
    Column("temperature", Float),
    Column("max_tokens", Integer),
)

channel_changes = Table(
    "channel_changes",
    schema,
    Column("id", Number, primary_key=True),
    Column("at", DateTime, nullable=False),  # UTC
    Column("by", String, nullable=False),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("before", JSON, nullable=False),  # as `ChannelSettings.as_json`
    Column("after", JSON, nullable=False),
)

# The last ones of a channel.
Index("channel_changes_by_channel", channel_changes.c.team, channel_changes.c.channel)

# The sums of `usage` that limits are held against, so that what may begin is known from a few rows,
# however much was used. Triggers on `usage` keep them (migration 0003), in the same transaction and
# for a quarter of what reading and writing them from here costs: whoever copies `usage` in a
# migration makes them anew. What is pruned stays in them; only current days and months matter.
spent = Table(
    "spent",
    schema,
    Column("team", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("who", String, primary_key=True),
    Column("period", String, primary_key=True),  # a day or a month, UTC
    # Billionths of a US dollar. Not as fine as `usage.cost`: they hold billions of dollars, for a
    # wrong price must not keep an answer from being recorded.
    Column("cost", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("unpriced", Integer, nullable=False),  # records without a cost
    Column("told_at", DateTime),  # when people were told that little is left
)

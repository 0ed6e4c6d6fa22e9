"""What alembic runs for each upgrade; the connection comes from `bot.store.migrations`."""

from alembic import context

from bot.store.schema import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema,
    render_as_batch=True,  # SQLite changes no columns: alembic copies the table
)
with context.begin_transaction():
    context.run_migrations()

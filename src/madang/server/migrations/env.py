"""What Alembic runs for each command: the changes, on the connection it was given."""

from alembic import context

from madang.server.database import all_tables
from madang.server.migrations.migrating import is_compared

connection = context.config.attributes["connection"]
# SQLite changes a table by writing a new one
context.configure(connection=connection, target_metadata=all_tables(), render_as_batch=True, include_name=is_compared)
with context.begin_transaction():
    context.run_migrations()

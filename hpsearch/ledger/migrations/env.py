"""How alembic reaches the ledger: over the connection that the store hands it."""

from alembic import context

from hpsearch.ledger.tables import metadata, version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=version.name,
)
with context.begin_transaction():
    context.run_migrations()

"""The migrations make the tables that the program knows, from nothing and from older ones."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import hpsearch
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.store import Store
from tests.conftest import study


def test_migrations_make_the_tables(database: Database) -> None:
    """What the migrations make is what ``tables`` says, column by column and index by index."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": tables.version.name, "compare_type": True}
        )
        assert compare_metadata(context, tables.metadata) == []


def test_store_of_the_first_version_is_brought_up_to_date(database: Database) -> None:
    """An older store gets the newer indexes when it is opened, and goes on."""
    store = Store(database)
    record = store.register(study(), {"dataset": "d"})
    leases = Leases(database, record.id, lag=4, seed=int, owner=Owner.of())
    assert Claim(0, 0) == leases.claim()
    before = store.trials(record.id)
    config = Config()
    config.set_main_option(
        "script_location", str(Path(hpsearch.__file__).parent / "ledger" / "migrations")
    )
    with database.write() as connection:
        for index in tables.trials.indexes:
            index.drop(connection)
        first = "CREATE INDEX hpsearch_trials_by_state ON hpsearch_trials (study_id, state)"
        connection.execute(sa.text(first))
        config.attributes["connection"] = connection
        command.stamp(config, "0001")
    opened = Database(database.url.render_as_string(hide_password=False))
    assert Store(opened).trials(record.id) == before
    test_migrations_make_the_tables(opened)
    opened.engine.dispose()

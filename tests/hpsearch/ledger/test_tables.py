"""A new store has the tables that the program knows, and migrations bring older ones to them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

import hpsearch
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import State
from hpsearch.ledger.store import Store
from hpsearch.study.config import dumps
from tests.conftest import study

OLDER = ("0001", "0002", "0003", "0005")


def test_store_has_the_tables(database: Database) -> None:
    """They are what ``tables`` says, column by column and index by index."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": tables.version.name, "compare_type": True}
        )
        assert compare_metadata(context, tables.metadata) == []
        checks = {
            check["name"]
            for table in tables.metadata.tables
            for check in sa.inspect(connection).get_check_constraints(table)
        }
    assert checks == {
        constraint.name
        for table in tables.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }


def test_new_store_is_like_one_that_the_migrations_made(url: str) -> None:
    """The database itself says of both the same."""
    Old(url, tables.REVISIONS[0])
    opened = Database(url)
    migrated = described(opened)
    tables.metadata.drop_all(opened.engine)
    tables.version.drop(opened.engine)
    opened.engine.dispose()
    again = Database(url)
    assert described(again) == migrated
    again.engine.dispose()


def described(database: Database) -> dict[str, Any]:
    """What a database says of its tables; only older stores have a default for `metrics`."""
    found = sa.inspect(database.engine)
    return {
        name: (
            {
                each["name"]: (str(each["type"]), each["nullable"])
                for each in found.get_columns(name)
            },
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(
                (str(each["name"]), each["column_names"])
                for each in found.get_unique_constraints(name)
            ),
            sorted(
                (each["constrained_columns"], each["referred_table"], each["referred_columns"])
                for each in found.get_foreign_keys(name)
            ),
            sorted((str(each["name"]), each["column_names"]) for each in found.get_indexes(name)),
            found.get_check_constraints(name),
        )
        for name in found.get_table_names()
    }


class Old:
    """A store as an older version left it: two studies, four trials, and their curves."""

    def __init__(self, url: str, revision: str) -> None:
        self.engine = sa.create_engine(url, poolclass=NullPool)
        config = Config()
        folder = Path(hpsearch.__file__).parent / "ledger" / "migrations"
        config.set_main_option("script_location", str(folder))
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            for id_ in (1, 2):
                definition = dumps(study(name=f"study {id_}").definition())
                self.insert(
                    connection,
                    tables.studies,
                    id=id_,
                    name=f"study {id_}",
                    definition=definition,
                    budget=6,
                    next_number=4,
                    created=1.5,
                    data_digests='{"dataset":"d"}',
                    **({"incarnation": f"{id_}"} if revision >= "0003" else {}),
                )
            for number, (state, value) in enumerate(
                [("COMPLETE", 0.5), ("PRUNED", None), ("FAIL", None), ("RUNNING", None)]
            ):
                self.trial(connection, 1, number, state, value)

    def trial(
        self, connection: sa.Connection, study_id: int, number: int, state: str, value: float | None
    ) -> None:
        """Enter a trial, and its curve if it has ended."""
        self.insert(
            connection,
            tables.trials,
            study_id=study_id,
            number=number,
            state=state,
            value=value,
            params="{}",
            epochs=0,
            seed=2**53 - number,
            attempts=1,
            crashes=0,
            started=1.5,
            ended=None if state == "RUNNING" else 2.5,
            weights_sha256="ab" if state in ("COMPLETE", "PRUNED") else None,
            reason={"PRUNED": "median", "FAIL": "ValueError"}.get(state),
            rungs="{}",
            hidden=state == "FAIL",
            in_optuna=True,
            in_mlflow=True,
        )
        if state != "RUNNING":
            row = {"study_id": study_id, "number": number, "epochs": b"", "steps": b""}
            self.insert(connection, tables.curves, **row)

    def insert(self, connection: sa.Connection, table: sa.Table, **row: Any) -> None:
        """Enter a row with just these columns."""
        light = sa.table(table.name, *(sa.column(name) for name in row))
        connection.execute(sa.insert(light).values(row))


@pytest.mark.parametrize("revision", OLDER)
def test_older_store_is_brought_up_to_date(url: str, revision: str) -> None:
    """It has the tables of a new one, keeps each study, trial and curve, and goes on."""
    Old(url, revision)
    opened = Database(url)
    test_store_has_the_tables(opened)
    store = Store(opened)
    first, second = store.studies()
    assert (first.name, second.name) == ("study 1", "study 2")
    assert first.incarnation != second.incarnation
    assert [(t.number, t.state, t.value, t.seed) for t in store.trials(first.id)] == [
        (0, State.COMPLETE, 0.5, 2**53),
        (1, State.PRUNED, None, 2**53 - 1),
        (2, State.FAIL, None, 2**53 - 2),
        (3, State.RUNNING, None, 2**53 - 3),
    ]
    assert sorted(store.curves(first.id)) == [0, 1, 2]
    leases = Leases(opened, second, lag=None, seed=int, owner=Owner.of())
    assert Claim(4, 4) == leases.claim()
    opened.engine.dispose()


@pytest.mark.parametrize("revision", OLDER)
def test_tables_that_refer_to_others_still_do(url: str, revision: str) -> None:
    """A trial of no study is refused by the tables that a migration built anew, as by any."""
    old = Old(url, revision)
    opened = Database(url)
    with pytest.raises(IntegrityError), opened.engine.begin() as connection:
        old.trial(connection, 99, 0, "RUNNING", None)
    opened.engine.dispose()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_an_older_store_took_for_one_has_diverged(url: str, value: float) -> None:
    """A COMPLETE trial of no finite value is PRUNED, and is to be written to the copies again."""
    old = Old(url, "0002")
    with old.engine.begin() as connection:
        old.trial(connection, 2, 0, "COMPLETE", value)
        old.trial(connection, 2, 1, "COMPLETE", 0.25)
    opened = Database(url)
    store = Store(opened)
    spoilt, whole = store.trials(2)
    assert (
        spoilt.state,
        spoilt.reason,
        spoilt.value,
        spoilt.weights_sha256,
        spoilt.in_optuna,
        spoilt.in_mlflow,
    ) == (State.PRUNED, "diverged", None, None, False, False)
    assert (
        whole.state,
        whole.value,
        whole.in_optuna,
        whole.in_mlflow,
    ) == (State.COMPLETE, 0.25, True, True)
    opened.engine.dispose()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_only_finite_values_are_taken(database: Database, value: float | None) -> None:
    """The database itself refuses a COMPLETE trial of no finite value."""
    record = Store(database).register(study(), {"dataset": "d"})
    Leases(database, record, lag=None, seed=int, owner=Owner.of()).claim()
    row = {"state": "COMPLETE", "value": value}
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(sa.update(tables.trials).values(row))


def test_id_of_a_deleted_study_is_never_given_again(database: Database) -> None:
    """Whoever still has the old id in hand finds no study, rather than another one."""
    store = Store(database)
    seen = []
    for _ in range(3):
        record = store.register(study(), {"dataset": "d"})
        seen.append(record.id)
        store.delete(record.id)
    assert sorted(set(seen)) == seen

"""How does a study get into another ledger as it is, trials that have not ended included?

Every column goes along: numbers, leases, curves, logs and the study's own identity. So two ledgers
may then know one study, as they do after a backup was restored: go on with one of them. What was
written to Optuna's storage and to MLflow counts as not written, until ``sync`` has looked.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.errors import StoreError, UsageError
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database, repeated
from hpsearch.ledger.records import StudyRecord, digest
from hpsearch.ledger.store import Store

_AT_ONCE = 500  # rows that one statement inserts
_ITS = [table for table in tables.metadata.sorted_tables if "study_id" in table.c]
"""The tables with rows of a study, each after those that it refers to."""
_Rows = list[dict[str, Any]]


def move(source: Store, target: Store, record: StudyRecord) -> str:
    """Copy a study into another ledger, in one transaction.

    Args:
        source: The ledger that it is in.
        target: The other, of either kind.
        record: The study.

    Returns:
        The digest of its finished trials, which both ledgers now give.

    Raises:
        UsageError: If workers hold trials of it, or the other ledger has a study of its name.
        StoreError: If a row of it is damaged, or a database failed.
    """
    source.refuse_running(record.id)
    given = _digest(source, record)  # reads every row into its record
    _put(target.database, record.name, *_rows(source.database, record))
    got = _digest(target, target.study(record.name))
    if got != given:
        raise StoreError(f"{target.database.where}: {record.name!r} has digest {got}, not {given}")
    return given


def _digest(store: Store, record: StudyRecord) -> str:
    return digest(store.finished(record.id), store.steps(record.id))


def _rows(database: Database, record: StudyRecord) -> tuple[_Rows, dict[sa.Table, _Rows]]:
    """The environments that a study's trials name, and its own rows in each table."""
    with database.read() as connection:
        if database.file is None:  # SQLite's transactions see one state by themselves
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        rows = {
            table: _all(connection, table, _of(table, record.id))
            for table in (tables.studies, *_ITS)
        }
        named = {row["environment"] for row in rows[tables.trials]} - {None}
        known = tables.environments.c.digest.in_(named)
        return _all(connection, tables.environments, known), rows


def _of(table: sa.Table, study_id: int) -> sa.ColumnElement[bool]:
    return (table.c.id if table is tables.studies else table.c.study_id) == study_id


def _all(connection: Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> _Rows:
    query = sa.select(table).where(where).order_by(*table.primary_key)
    return [dict(row) for row in connection.execute(query).mappings()]


@repeated
def _put(database: Database, name: str, environments: _Rows, rows: dict[sa.Table, _Rows]) -> None:
    studies = tables.studies
    with database.write() as connection:
        known = sa.select(studies.c.incarnation).where(studies.c.name == name)
        there = connection.execute(known).scalar()
        (study,) = rows[studies]
        if there is not None:
            also = "this very study" if there == study["incarnation"] else "another study"
            raise UsageError(f"{database.where} has {also} under the name {name!r} already")
        values = {column: value for column, value in study.items() if column != "id"}
        connection.execute(sa.insert(studies).values(**values))
        number = connection.execute(sa.select(studies.c.id).where(studies.c.name == name)).scalar()
        for environment in environments:
            database.insert_new(connection, tables.environments, **environment)
        unwritten = {tables.trials: {"in_optuna": False, "in_mlflow": False}}
        for table in _ITS:
            new = {"study_id": number, **unwritten.get(table, {})}
            placed = [row | new for row in rows[table]]
            for start in range(0, len(placed), _AT_ONCE):
                connection.execute(sa.insert(table), placed[start : start + _AT_ONCE])

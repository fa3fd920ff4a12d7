"""How is a finished study taken out of one ledger, and put into another?

Outside a ledger it is plain values: what a JSON document and files of bytes can hold. What comes
back was perhaps written by a stranger, so that it is inserted and read into its records in one
transaction: a row that is none undoes all of it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.errors import UsageError
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database, repeated
from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.rows import Reader, curves_of, environment, raw, trials_of
from hpsearch.study.config import dumps
from hpsearch.text import word

COLUMNS = (
    "number",
    "state",
    "value",
    "params",
    "epochs",
    "seed",
    "attempts",
    "crashes",
    "started",
    "ended",
    "weights_sha256",
    "reason",
    "rungs",
    "hidden",
    "environment",
    "folds",
)
"""Of a trial. Leases, and the marks of the projections, are the affair of one ledger alone."""
TABLES = ("params", "rungs")
"""Those of them that are JSON objects."""
_ADVICE = "another program has changed it: ask for another copy"


@dataclass(frozen=True, slots=True)
class Bits:
    """What a trial's training measured, as the ledger keeps it."""

    epochs: bytes
    steps: bytes
    outcomes: bytes | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A finished study, outside any ledger."""

    name: str
    definition: Mapping[str, Any]
    metrics: Sequence[str]
    budget: int
    created: float
    data: Mapping[str, Any]
    """The digests of the data, and the facts that were found of it."""
    reproduced: Mapping[str, Any] | None
    ended: Mapping[str, Any] | None
    """What ended it before it had all its trials."""
    openings: Sequence[Mapping[str, Any]]
    """Of the test part, in order."""
    environments: Mapping[str, Mapping[str, Any]]
    """By digest."""
    trials: Sequence[Mapping[str, Any]]
    """``COLUMNS`` of each, in the order of the numbers."""
    bits: Mapping[int, Bits]
    """Of every trial, by number."""


def take(database: Database, record: StudyRecord) -> Taken:
    """Take a copy of a study whose trials have all ended.

    Raises:
        UsageError: If it has no trial, or one that has not ended.
        StoreError: If a row is none.
    """
    with database.read() as connection:
        if database.file is None:  # SQLite's transactions see one state by themselves
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        rows = connection.execute(trials_of(record.id).order_by(tables.trials.c.number)).all()
        _validate(connection, Reader(database.where, record.name), record)
        going = sum(row.state in ("RUNNING", "WAITING") for row in rows)
        if going or not rows:
            what = f"{going} of its trials have not finished" if rows else "it has no trials"
            raise UsageError(
                f"{record.name!r}: {what}; first run: hpsearch run {word(record.name)}"
            )
        known = sorted({row.environment for row in rows if row.environment})
        query = sa.select(*raw(tables.environments)).where(tables.environments.c.digest.in_(known))
        environments = {
            row.digest: environment(database.where, row.digest, row.content)
            for row in connection.execute(query)
        }
        kept: dict[str, dict[int, Any]] = {
            column: {
                row.number: row.data for row in connection.execute(curves_of(record.id, column))
            }
            for column in ("epochs", "steps", "outcomes")
        }
    facts = {"facts": dict(record.data_facts)} if record.data_facts else {}
    return Taken(
        name=record.name,
        definition=record.study.definition(),
        metrics=list(record.metrics),
        budget=record.study.search.trials,
        created=record.created,
        data={**record.data_digests, **facts},
        reproduced=None if record.reproduced is None else dict(record.reproduced),
        ended=None if record.ended is None else asdict(record.ended),
        openings=[asdict(opening) for opening in record.openings],
        environments=environments,
        trials=[_plain(row) for row in rows],
        bits={
            row.number: Bits(
                bytes(kept["epochs"][row.number]),
                bytes(kept["steps"][row.number]),
                None if (scores := kept["outcomes"][row.number]) is None else bytes(scores),
            )
            for row in rows
        },
    )


@repeated
def put(database: Database, taken: Taken, where: str) -> None:
    """Enter a study that was taken out of another ledger; nothing of it if a row is none.

    Args:
        database: The ledger.
        taken: The study.
        where: Where it was read from, to be named in an error.

    Raises:
        UsageError: If the ledger has a study of that name.
        StoreError: If it is no study, or the database failed.
    """
    named = sa.select(*raw(tables.studies)).where(tables.studies.c.name == taken.name)
    with database.write() as connection:
        if connection.execute(named).first() is not None:
            raise UsageError(
                f"study {taken.name!r} is already in {database.where}; "
                f"choose another name with --name"
            )
        values = {
            "name": taken.name,
            "incarnation": secrets.token_hex(16),
            "definition": dumps(taken.definition),
            "metrics": dumps(list(taken.metrics)),
            "budget": taken.budget,
            "next_number": len(taken.trials),
            "created": taken.created,
            "data_digests": dumps(taken.data),
            "ended": None if taken.ended is None else dumps(taken.ended),
            "openings": dumps(list(taken.openings)) if taken.openings else None,
            "reproduced": None if taken.reproduced is None else dumps(taken.reproduced),
        }
        connection.execute(sa.insert(tables.studies).values(**values))
        reader = Reader(where, taken.name, _ADVICE)
        record = reader.record(connection.execute(named).one())
        for digest, content in taken.environments.items():
            database.insert_new(
                connection, tables.environments, digest=digest, content=dumps(content)
            )
        for trial in taken.trials:
            texts = {column: dumps(trial[column]) for column in TABLES}
            connection.execute(
                sa.insert(tables.trials).values(study_id=record.id, **{**trial, **texts})
            )
            bits = taken.bits[trial["number"]]
            connection.execute(
                sa.insert(tables.curves).values(
                    study_id=record.id,
                    number=trial["number"],
                    epochs=bits.epochs,
                    steps=bits.steps,
                    outcomes=bits.outcomes,
                )
            )
        _validate(connection, reader, record)


def _validate(connection: Connection, reader: Reader, record: StudyRecord) -> None:
    """Read every row of a study into its record.

    Raises:
        StoreError: If one is none.
    """
    finished = set()
    for row in connection.execute(trials_of(record.id)):
        trial = reader.trial(row, record.study)
        if trial.state.finished:
            finished.add(trial.number)
    for row in connection.execute(curves_of(record.id, "epochs")):
        reader.curve(row, record.metrics)
        finished.discard(row.number)
    if finished:
        raise reader.bad(tables.curves, min(finished), "epochs", "there is no such row")
    for row in connection.execute(curves_of(record.id, "steps")):
        reader.steps(row)
    for row in connection.execute(curves_of(record.id, "outcomes")):
        if row.data is not None:
            reader.outcomes(row)


def _plain(row: sa.Row[Any]) -> dict[str, Any]:
    found = {column: row._mapping[column] for column in COLUMNS}
    found |= {column: json.loads(found[column]) for column in TABLES}
    return found | {"hidden": bool(found["hidden"])}

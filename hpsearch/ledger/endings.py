"""How is it entered that a study ends before it has all its trials?

It says which key of ``[search]`` ended it and how many trials there are: the study is the beginning
of the longer one, and stays that when it is run again.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.ledger.database import Database, repeated
from hpsearch.ledger.records import FINISHED, Ended, State, StudyRecord, before
from hpsearch.ledger.rows import Reader, raw
from hpsearch.ledger.tables import studies, trials
from hpsearch.study.config import dumps


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a finished trial may end a study."""

    number: int
    value: float | None
    """None unless it is COMPLETE."""
    epochs: int
    """That it trained itself."""


def seen(connection: Connection, reader: Reader, study_id: int) -> list[Seen]:
    """The finished trials that never failed, in the order of their numbers."""
    query = sa.select(*raw(trials, "number", "state", "value", "epochs", "rungs")).where(
        trials.c.study_id == study_id, trials.c.state.in_(FINISHED), ~trials.c.hidden
    )
    return [
        Seen(
            reader.column(trials, "number", row),
            reader.column(trials, "value", row) if row.state == State.COMPLETE else None,
            reader.column(trials, "epochs", row) - before(reader.column(trials, "rungs", row)),
        )
        for row in connection.execute(query.order_by(trials.c.number))
    ]


def enter(connection: Connection, study: sa.ColumnElement[bool], ended: Ended) -> None:
    """Note that a study is at its end."""
    connection.execute(sa.update(studies).where(study).values(ended=dumps(asdict(ended))))


@repeated
def by_clock(database: Database, record: StudyRecord, past: float) -> float:
    """End a study whose ``max_time`` is over; the trials that are running are its last.

    It may be called again, if an answer was lost.

    Args:
        database: The ledger.
        record: The study.
        past: Seconds since the run began.

    Returns:
        After how many seconds this is to be asked again: another run may give it more time.
    """
    itself = studies.c.incarnation == record.incarnation
    reader = Reader(database.where, record.name)
    with database.write() as connection:
        row = connection.execute(sa.select(*raw(studies)).where(itself).with_for_update()).first()
        if row is None:
            return math.inf
        now = reader.record(row)
        if now.study.search.seconds > past:
            return now.study.search.seconds
        if now.ended is not None or row.next_number >= now.budget:
            return math.inf
        if row.next_number == 0:  # it has one trial at least
            return past
        enter(connection, itself, Ended("max_time", row.next_number))
        return math.inf

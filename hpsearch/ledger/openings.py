"""How often was a study's test part opened, and what did each time show?

An opening is entered before anything is scored on the test part, so that one which was cut short
counts, too; its result is entered once. Nothing takes either back but the study's own deletion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.errors import UnknownStudyError
from hpsearch.ledger.database import Database, repeated
from hpsearch.ledger.records import Opened, Opening, StudyRecord
from hpsearch.ledger.rows import Reader, raw
from hpsearch.ledger.tables import studies
from hpsearch.study.config import dumps


@repeated
def enter(database: Database, record: StudyRecord, study: str) -> None:
    """Enter another opening, unless somebody has entered one since the record was read.

    Args:
        database: The ledger's.
        record: The study whose test part it is.
        study: The name of the one whose trials are going to be scored on it.

    Raises:
        UnknownStudyError: If the study was deleted in the meantime.
    """
    with database.write() as connection:
        found = _openings(connection, database, record)
        if len(found) == len(record.openings):
            now = connection.execute(sa.select(database.now)).scalar_one()
            _write(connection, record, [*found, Opening(study, now, None)])


@repeated
def close(database: Database, record: StudyRecord, study: str, result: Opened) -> None:
    """Enter what an opening showed; the first result stays.

    Raises:
        UnknownStudyError: If the study was deleted in the meantime.
    """
    with database.write() as connection:
        found = _openings(connection, database, record)
        ended = [
            Opening(one.study, one.opened, result)
            if one.study == study and one.result is None
            else one
            for one in found
        ]
        if ended != list(found):
            _write(connection, record, ended)


def _openings(
    connection: Connection, database: Database, record: StudyRecord
) -> tuple[Opening, ...]:
    query = sa.select(*raw(studies)).where(studies.c.incarnation == record.incarnation)
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise UnknownStudyError("the study was deleted in the meantime")
    return Reader(database.where, record.name).record(row).openings


def _write(connection: Connection, record: StudyRecord, openings: Sequence[Opening]) -> None:
    own = studies.c.incarnation == record.incarnation
    text = dumps([asdict(one) for one in openings])
    connection.execute(sa.update(studies).where(own).values(openings=text))

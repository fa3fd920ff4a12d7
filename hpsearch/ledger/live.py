"""How far have the running trials come? Their epochs, as their workers last showed them."""

from __future__ import annotations

import sqlalchemy as sa

from hpsearch.ledger.database import Database
from hpsearch.ledger.records import Curve, State, StudyRecord
from hpsearch.ledger.rows import Reader, raw
from hpsearch.ledger.tables import trials


def live(database: Database, record: StudyRecord) -> dict[int, Curve]:
    """The curves so far of the trials that are running and have shown any, by number.

    A worker shows them from its first second on, every two seconds: see ``Leases.renew``.

    Raises:
        StoreError: If the database failed, or a row holds no curve.
    """
    number, data = raw(trials, "number", "live")
    query = sa.select(number, data.label("data")).where(
        trials.c.study_id == record.id, trials.c.state == State.RUNNING, trials.c.live.is_not(None)
    )
    reader = Reader(database.where, record.name)
    with database.read() as connection:
        rows = connection.execute(query.order_by(trials.c.number)).all()
    return {row.number: reader.live(row, record.metrics) for row in rows}

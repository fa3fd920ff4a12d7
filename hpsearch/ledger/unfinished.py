"""What has a claim to know of the trials that have not ended?

While it asks, all other claims of the study wait. So each question is the database's to answer: a
claim reads the trials that it may take, and none of the many that others are running.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.ledger.owner import may_be_free
from hpsearch.ledger.records import State
from hpsearch.ledger.rows import Reader, Unfinished, raw
from hpsearch.ledger.tables import trials


class Questions:
    """What is asked of the unfinished trials of one study, in one transaction.

    Args:
        connection: The transaction.
        reader: Reads the study's rows.
        study: Which trials are the study's.
    """

    def __init__(
        self, connection: Connection, reader: Reader, study: sa.ColumnElement[bool]
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._left = study & trials.c.state.in_([State.RUNNING, State.WAITING])

    def any(self) -> bool:
        """Whether there are any."""
        query = sa.select(sa.literal(1)).where(self._left).limit(1)
        return self._connection.execute(query).first() is not None

    def to_take(self, owner: str, now: float) -> Iterator[Unfinished]:
        """Those that nobody may be running: one's own first, then by number.

        Args:
            owner: Who asks. It runs none: one of its own is a claim whose answer got lost.
            now: The time by the database's clock.
        """
        columns = trials.c
        own = columns.owner == owner
        given_back = columns.state == State.WAITING
        free = own | given_back | may_be_free(columns.owner, columns.lease_until, now)
        query = sa.select(*raw(trials, "number", "state", "seed", "owner", "lease_until"))
        # By number alone, SQLite would walk through all finished ones.
        order = sa.case((own, 0), else_=1), columns.number
        rows = self._connection.execute(query.where(self._left, free).order_by(*order)).all()
        return map(self._reader.unfinished, rows)

    def oldest(self) -> int | None:
        """The lowest number of those that later trials look at; None if there are none."""
        # By the lowest of the column itself, SQLite would walk through all finished ones.
        query = sa.select(sa.func.min(trials.c.number + 0)).where(self._left, ~trials.c.hidden)
        return self._connection.execute(query).scalar()

    def counted(self) -> list[int]:
        """The numbers of those that later trials look at."""
        query = sa.select(*raw(trials, "number")).where(self._left, ~trials.c.hidden)
        rows = self._connection.execute(query)
        return [self._reader.column(trials, "number", row) for row in rows]

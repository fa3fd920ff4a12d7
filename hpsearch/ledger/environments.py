"""In which environments were a study's trials trained?"""

from __future__ import annotations

import sqlalchemy as sa

from hpsearch.ledger.database import Database
from hpsearch.ledger.rows import raw
from hpsearch.ledger.tables import trials


def of_study(database: Database, study_id: int) -> list[str]:
    """Their digests, in order."""
    mine = trials.c.study_id == study_id
    query = sa.select(*raw(trials, "environment")).where(mine, trials.c.environment.is_not(None))
    with database.read() as connection:
        return sorted(map(str, connection.execute(query.distinct()).scalars()))

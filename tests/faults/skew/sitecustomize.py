"""The database's clock, and that alone, is off by as many seconds as the file FAULT_CLOCK says.

Every Python that is started with this folder on its path sees it so, workers included.
"""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa

from hpsearch.ledger.database import Database

_true = Database.now
_file = Path(os.environ["FAULT_CLOCK"])


def _now(self: Database) -> sa.ColumnElement[float]:
    assert _true.fget is not None
    now: sa.ColumnElement[float] = _true.fget(self)
    return now + float(_file.read_text())


Database.now = property(_now)  # type: ignore[assignment,method-assign]

"""Which databases does this process have open? They are closed by name before it ends.

The last connection that is closed writes SQLite's log into its database. Whoever copies the file
alone would otherwise lack what is in the log.
"""

from __future__ import annotations

import atexit
from contextlib import suppress
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, Pool

_entries: WeakSet[ConnectionPoolEntry] = WeakSet()


@sa.event.listens_for(Pool, "connect")
def _opened(_: object, entry: ConnectionPoolEntry) -> None:
    """Whoever opened it: Optuna and MLflow keep connections, too."""
    _entries.add(entry)


@atexit.register
def close() -> None:
    """Close every connection that nobody is using."""
    for entry in list(_entries):
        if not entry.in_use:
            with suppress(Exception):  # a server that is gone has closed it
                entry.close()

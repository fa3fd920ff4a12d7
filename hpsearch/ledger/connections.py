"""Which databases does a process of hpsearch's own have open? They are closed when it ends.

The last connection that is closed writes SQLite's log into its database. Whoever copies the file
alone would otherwise lack what is in the log. Python closes connections, too, by its last look for
garbage, for which such a process does not wait.
"""

from __future__ import annotations

import atexit
import os
import threading
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from hpsearch.garbage import is_own

_entries: WeakSet[ConnectionPoolEntry] = WeakSet()
_lock = threading.Lock()


def _opened(_: object, entry: ConnectionPoolEntry) -> None:
    """Whoever opened it: Optuna and MLflow keep connections, too."""
    with _lock:
        _entries.add(entry)


def close() -> None:
    """Close every connection that nobody is using."""
    with _lock:
        entries = list(_entries)
    for entry in entries:
        if not entry.in_use:
            entry.close()


def _forget() -> None:
    """In a child: they are the parent's."""
    _entries.clear()
    _lock.release()


if is_own():
    sa.event.listen(Pool, "connect", _opened)
    atexit.register(close)
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget)

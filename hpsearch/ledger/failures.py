"""What does it mean that a database refused, and what is said of it?"""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError

from hpsearch.redact import redact

DAMAGED = "is damaged; restore a backup with `hpsearch restore`"
_LOCKED = "55P03"
"""What PostgreSQL calls a lock that another holds for too long."""
_LACKING = "22P05"
"""What PostgreSQL calls a character that the database's encoding does not have."""
_TOO_LATE = "25P03"
"""What PostgreSQL says to one that was silent for so long that it undid the transaction."""
_RACES = ("40001", "40P01")
"""What PostgreSQL calls a transaction that it undid so that another could commit."""


def read_only(error: BaseException) -> bool:
    """Whether a write was refused as such, by SQLite or PostgreSQL (which has codes for it)."""
    original = getattr(error, "orig", None)
    sqlite = str(getattr(original, "sqlite_errorname", ""))
    return sqlite.startswith("SQLITE_READONLY") or (
        getattr(original, "sqlstate", None) in ("25006", "42501")
    )


def advice(error: BaseException, waited: float) -> str:
    """What to do about it, where that is known; another's lock was waited for so many seconds."""
    original = getattr(error, "orig", None)
    name = str(getattr(original, "sqlite_errorname", "") or getattr(original, "sqlstate", ""))
    if name in ("SQLITE_FULL", "53100"):
        return "; free some space, then run the same command again"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", _LOCKED)):
        return f" by another program for more than {waited:.0f} s; close it, then try again"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "; restore a backup with `hpsearch restore`"
    if name == _LACKING or _speaks_otherwise(error):
        return "; use a database that was made WITH ENCODING 'UTF8' TEMPLATE template0"
    return ""


def lost_race(error: BaseException) -> bool:
    """Whether the same transaction may simply be taken again."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _RACES


def away(error: BaseException) -> bool:
    """Whether to try again: a server was lost, or undid this so that another could commit.

    It is not if the server refused: a full disk, no such table, ….
    """
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state == _TOO_LATE:
        return True
    if not isinstance(error, OperationalError | InterfaceError) or _speaks_otherwise(error):
        return False
    # 08: connection exceptions; 57P: shut down, or starting up; 40: serialization failures and
    # deadlocks. No state: never connected.
    return state is None or state.startswith(("08", "57P", "40"))


def _speaks_otherwise(error: BaseException) -> bool:
    """Whether a server has no way from UTF-8 to its encoding. It says so in any language."""
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", "") is None and " UTF8 " in str(original)


def reason(error: BaseException) -> str:
    """The driver's own words on one line."""
    original = getattr(error, "orig", None) or error
    if getattr(original, "sqlstate", None) == _LOCKED:
        return "database is locked"
    return redact(" ".join(str(original).split()))

"""The tree of errors a user can meet. Which exit code does each end with?

HpsearchError                    1  it ran and failed
├── UsageError                   2  bad usage or bad input
│   ├── StudyFileError           2  a study file that is missing or wrong
│   ├── StudyChangedError        2  a study in the store whose file now differs
│   ├── UnknownStudyError        2  no study of that name in the store
│   ├── UnknownTrialError        2  no such trial, or one that cannot be asked that
│   ├── DataError                2  a dataset that is missing or wrong
│   ├── DamagedError             3  an archive that is not what its manifest says
│   └── StoreOpenError           2  a store that cannot be opened
│       ├── NoStoreError         2  a store that is not there yet
│       └── StoreUnreachableError 2 a store that cannot be reached, and may be later
├── StoreError                   1  a store that failed on the way
│   └── StoreAwayError           1  a store that cannot be reached now, and may be back
│       └── LostRaceError        1  a transaction that was undone so that another could commit
├── DigestConflictError          1  one trial finished twice with different bits
├── TrackingError                1  MLflow that refused, or could not be written
│   └── TrackingAwayError        1  MLflow that cannot be reached now, and may be back
├── StoppedError                 1  it was told to stop, and changed nothing
└── NotComparableError           4  cannot be compared here

Every message is one line: what is wrong, where, and what to do.
"""

from __future__ import annotations


class HpsearchError(Exception):
    """The root: it ran and failed."""

    exit_code = 1


class UsageError(HpsearchError):
    """Bad usage or bad input; nothing was changed."""

    exit_code = 2


class StudyFileError(UsageError):
    """A study file that is missing, is not TOML, or says something impossible."""


class StudyChangedError(UsageError):
    """The store holds a study of this name with another definition or other data."""


class UnknownStudyError(UsageError):
    """No study of that name is in the store."""


class UnknownTrialError(UsageError):
    """No such trial, or one in a state that does not allow what was asked."""


class DataError(UsageError):
    """A dataset that is missing, malformed or too small."""


class DamagedError(UsageError):
    """An archive with another byte in it than it was written with."""

    exit_code = 3


class StoreOpenError(UsageError):
    """A store that is read-only, not a database, unreachable, or of a newer version."""


class NoStoreError(StoreOpenError):
    """A store that nothing has been written to yet."""


class StoreError(HpsearchError):
    """A store that failed on the way."""


class StoreAwayError(StoreError):
    """A store that cannot be reached now, and may be back: restarted, or cut off."""


class LostRaceError(StoreAwayError):
    """A transaction that the server undid, again and again, so that others could commit."""


class StoreUnreachableError(StoreOpenError, StoreAwayError):
    """A store that cannot be opened because its server is away."""


class DigestConflictError(HpsearchError):
    """The same trial finished twice with different bits."""


class TrackingError(HpsearchError):
    """MLflow could not be reached or refused; unless it is away, somebody has to mend that."""


class TrackingAwayError(TrackingError):
    """MLflow cannot be reached now, and may be back: restarted, or cut off."""


class StoppedError(HpsearchError):
    """It was told to stop before it had changed anything."""


class NotComparableError(HpsearchError):
    """The data or the environment differs, so a comparison would say nothing."""

    exit_code = 4


def one_line(error: BaseException) -> str:
    """What was raised and nobody expected: its kind and its words."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

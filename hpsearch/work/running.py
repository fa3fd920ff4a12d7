"""What are the workers at? The trials that are running, and how many epochs a second all train."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.errors import StoreAwayError
from hpsearch.ledger.live import live
from hpsearch.ledger.records import State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.study.config import Params
from hpsearch.work.news import News

_LOOK = 0.5  # seconds between two looks; workers show their epochs every two seconds
_WINDOW = 10.0  # seconds over which a rate is measured, or longer:
_ENOUGH = 10  # as many are counted, so that slow ones do not make it jump


class Rate:
    """How many a second, of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, count: int) -> float | None:
        """The rate now; None while too little is known."""
        now = time.monotonic()
        if not self._seen or count > self._seen[-1][1]:
            self._seen.append((now, count))
        while len(self._seen) > 1 and self._enough(now, count, *self._seen[1]):
            self._seen.popleft()
        (before, first) = self._seen[0]
        return (count - first) / (now - before) if count > first else None

    @staticmethod
    def _enough(now: float, count: int, before: float, first: int) -> bool:
        return now - before >= _WINDOW and count - first >= _ENOUGH


@dataclass(frozen=True, slots=True)
class Current:
    """A trial that is running, and has shown epochs: it has been for a second at least."""

    number: int
    params: Params
    values: Sequence[float]
    """The metric that the search looks at, by epoch."""


@dataclass(frozen=True, slots=True)
class Now:
    """What the workers are at."""

    trials: Sequence[Current] = ()
    epochs_a_second: float | None = None
    """None while too little is known."""


class Running:
    """Looks at what the workers are at, now and then.

    Args:
        store: The ledger.
        record: The study.
    """

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self._store = store
        self._record = record
        self._news = News(store, record)
        self._rate = Rate()
        self._ended = 0  # epochs of the trials that have ended since
        self._last = Now()
        self._next = 0.0

    def __call__(self) -> Now:
        """As it was last seen; while the store is away, as it was before."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOOK
            try:
                self._last = self._look()
            except StoreAwayError:
                return self._last
        return self._last

    def _look(self) -> Now:
        curves = live(self._store.database, self._record)
        self._ended += sum(trial.epochs for trial in self._news())
        rate = self._rate.update(self._ended + sum(map(len, curves.values())))
        running = self._store.trials(self._record.id, [State.RUNNING]) if curves else []
        column = self._record.study.column
        return Now(
            [
                Current(trial.number, trial.params, curves[trial.number][:, column].tolist())
                for trial in running
                if trial.number in curves
            ],
            rate,
        )

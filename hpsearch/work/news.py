"""Which trials of a study have ended since this was last asked?"""

from __future__ import annotations

from hpsearch.errors import StoreAwayError
from hpsearch.ledger.records import FINISHED, StudyRecord, Trial
from hpsearch.ledger.store import Store


class News:
    """Tells each trial that ends from now on, once, whoever trained it.

    Only numbers above those that have all been told are looked at, so that a long study costs no
    more than a short one.

    Args:
        store: The ledger.
        record: The study.
    """

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self._store = store
        self._id = record.id
        self._told: set[int] = set()
        self._below = -1  # up to this number, all are told
        self()

    def __call__(self) -> list[Trial]:
        """The trials, in the order of their numbers; none while the store is away."""
        try:
            ended = self._store.trials(self._id, FINISHED, above=self._below)
        except StoreAwayError:
            return []
        fresh = [trial for trial in ended if trial.number not in self._told]
        self._told.update(trial.number for trial in fresh)
        while self._below + 1 in self._told:
            self._below += 1
            self._told.remove(self._below)
        return fresh

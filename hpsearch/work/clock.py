"""When is the time of a run over?"""

from __future__ import annotations

import time
from contextlib import suppress

from hpsearch.errors import StoreAwayError
from hpsearch.ledger import endings
from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store


class Clock:
    """Begins with a run, and ends the study when its ``max_time`` is over."""

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self._store = store
        self._record = record
        self._began = time.monotonic()
        self._due = record.study.search.seconds

    def look(self) -> None:
        """To be called now and then."""
        past = time.monotonic() - self._began
        if past >= self._due:
            with suppress(StoreAwayError):  # it may be back at the next look
                self._due = endings.by_clock(self._store.database, self._record, past)

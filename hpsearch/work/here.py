"""How does a study run in this process? A worker on the calling thread, watched by another.

So a function runs that no other process can import, and on the thread that its author expects.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from hpsearch.errors import HpsearchError
from hpsearch.ledger.database import load_orm
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Projector
from hpsearch.settings import Settings
from hpsearch.training.seam import Trainer
from hpsearch.work.launch import Launch, Progress
from hpsearch.work.shelf import shelf
from hpsearch.work.worker import Worker

_LOOK = 0.1  # seconds between two looks at the trials


class Here(Launch):
    """A study that runs where ``work`` is called, while another thread iterates ``watch``.

    Args:
        store: The ledger.
        record: The study.
        settings: The workspace.
        trainer: What trains its trials.
        projector: What writes the projections beside them.
    """

    def __init__(
        self,
        store: Store,
        record: StudyRecord,
        settings: Settings,
        trainer: Trainer,
        projector: Projector,
    ) -> None:
        load_orm()  # on this thread, which asks the ledger as soon as the other one watches
        super().__init__(store, record, settings, workers=0, projector=projector)
        self._worker = Worker(store, record, trainer, Owner.of(), shelf(settings, record))
        self._over = threading.Event()

    def work(self) -> None:
        """Run trials until there is nothing left to do; ``over`` is yet to be called.

        Raises:
            KeyboardInterrupt: If that came; the trial that was running has been handed back.
        """
        try:
            self._worker.run(self._stop)
        except HpsearchError as error:
            self.failure = error

    def over(self) -> None:
        """Let whoever watches come to an end."""
        self._over.set()

    def _work(self) -> Iterator[Progress]:
        while not self._over.wait(_LOOK):
            yield self._progress()

"""Workers as threads of the test's own process: the same code as in processes, in a tenth of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from hpsearch.ledger.database import Database
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import StudyRecord, digest
from hpsearch.ledger.store import Store
from hpsearch.study.config import Study
from hpsearch.training.make import trainer
from hpsearch.work.worker import Worker


def ran(of: Study, folder: Path, workers: int, url: str | None = None) -> tuple[Store, StudyRecord]:
    """The study, run to its end by so many workers, in a store in the folder or at an address."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(Database(url or f"sqlite:///{folder / 'studies.db'}"))
    trains = trainer(of, folder, folder / "cache")
    record = store.register(trains.settled(of), trains.digests)
    failures: list[BaseException] = []

    def work(place: int) -> None:
        owner = replace(Owner.of(), host=f"host-{place}")
        own = trainer(of, folder, folder / "cache")
        try:
            Worker(store, record, own, owner).run(threading.Event())
        except BaseException as error:
            failures.append(error)

    crew = [threading.Thread(target=work, args=(place,)) for place in range(workers)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert not failures, failures
    return store, store.study(of.name)


def digest_of(of: Study, folder: Path, workers: int, url: str | None = None) -> str:
    """Its digest."""
    store, record = ran(of, folder, workers, url)
    assert store.counts(record.id).done
    told = digest(store.finished(record.id), store.steps(record.id))
    store.database.engine.dispose()
    return told

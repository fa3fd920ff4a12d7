"""How does a study run from Python? As from the command line, with what there is to say logged."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

from hpsearch.errors import NotComparableError
from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.redact import redact
from hpsearch.settings import Settings
from hpsearch.study.config import Study
from hpsearch.threads import begin
from hpsearch.training.seam import Trainer
from hpsearch.work.launch import Launch, Progress
from hpsearch.work.session import Session, begin_below, track

_logger = logging.getLogger("hpsearch")


def run(session: Session, workers: int) -> None:
    """Run a study to its end.

    Args:
        session: The study.
        workers: Processes; with 0 everything runs in this process.

    Raises:
        HpsearchError: If it did not end well.
        KeyboardInterrupt: If that came; the workers have handed their trials back.
    """
    for remark in session.remarks(max(workers, 1)):
        _tell(remark)
    _trained(session, workers, lambda: _confirm(session))


def run_given(
    store: Store,
    record: StudyRecord,
    definition: Study,
    trainer: Trainer,
    workers: int,
    places: Settings,
    *,
    tracking: bool,
) -> StudyRecord:
    """Run a study whose trials are given to its end.

    Args:
        store: The ledger.
        record: The study whose configurations they are.
        definition: The one to be run.
        trainer: What trains its trials.
        workers: Processes; with 0 everything runs in this process.
        places: The workspace.
        tracking: Whether MLflow is written.

    Raises:
        HpsearchError: If it did not end well.
        KeyboardInterrupt: If that came; the workers have handed their trials back.
    """
    session = begin_below(store, record, definition, trainer, places, tracking=tracking, tell=_tell)
    _trained(session, workers, lambda: None)
    return session.record


def tell(store: Store, record: StudyRecord, places: Settings) -> None:
    """Bring the MLflow run of a study up to date."""
    failure = track(store, record, places)
    if failure is not None:
        _tell(failure)


def _trained(session: Session, workers: int, after: Callable[[], None]) -> None:
    """Train all trials; then, where a function may be called that is in this process alone, more.

    Raises:
        HpsearchError: If it did not end well.
    """
    launch = _in_processes(session, workers) if workers else _here(session, after)
    after()
    failure = session.failure(launch)
    if failure is not None:
        raise failure


def _in_processes(session: Session, workers: int) -> Launch:
    launch = session.launch(workers)
    with closing(launch.watch()) as watched:
        _show(watched, session.record, session.store)
    return launch


def _here(session: Session, after: Callable[[], None]) -> Launch:
    """Run it on this thread, and what comes after, before the progress is over."""
    here = session.here()
    shown = threading.Thread(
        target=_show,
        args=(here.watch(), session.record, session.store),
        name="progress",
        daemon=True,
    )
    begin(shown)
    try:
        here.work()
        after()
    except BaseException:
        here.stop()
        raise
    finally:
        here.over()
        shown.join()
    return here


def _show(watched: Iterator[Progress], record: StudyRecord, store: Store) -> None:
    """Show the progress where somebody sees it; elsewhere, log only what there is to be told."""
    from hpsearch.commands.display import live, plain
    from hpsearch.work.news import News
    from hpsearch.work.running import Running

    if sys.stderr is not None and sys.stderr.isatty():
        live(watched, record, Running(store, record))
    elif "ipykernel" in sys.modules:
        plain(watched, record, News(store, record))
    else:
        for progress in watched:
            for message in progress.messages:
                _tell(message)


def _confirm(session: Session) -> None:
    """Train the best trial again once the study is done, if nobody has; say if it differed."""
    store, record = session.store, session.record
    best = store.best(record)
    if best is None or not store.counts(record.id).done:
        return
    known = store.study(record.name).reproduced
    try:
        done = session.confirmed(best)
    except NotComparableError as error:
        _tell(str(error))
        return
    if done != known and not done["identical"]:
        _tell(f"trial {best.number} did NOT reproduce: {done['first_difference']}")


def _tell(line: str) -> None:
    _logger.warning("%s", redact(line))

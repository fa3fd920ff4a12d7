"""Which command runs a whole study again? ``replay``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, say
from hpsearch.commands.wiring import (
    Json,
    Name,
    Workers,
    open_store,
    signals,
    trainer_of,
)
from hpsearch.errors import NotComparableError, UsageError
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.trust.replay import Difference

app = typer.Typer()

_SHOWN = 20
"""Trials that differ and are shown; --json has all."""


@app.command(epilog="Example: hpsearch replay book --workers 2")
def replay(
    name: Name,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Run a finished study again from its start, and compare every trial.

    It runs in a workspace of its own, which is removed afterwards.
    """
    from hpsearch.ledger.leases import ever_failed
    from hpsearch.report import views

    store = open_store()
    record = store.study(name)
    counts = store.counts(record.id)
    if counts.running or counts.waiting or not counts.finished:
        raise UsageError(
            f"{name!r} has {counts.running + counts.waiting or 'no'} trials "
            f"{'that have not finished' if counts.finished else 'yet'}; first run: "
            f"{settings.program()} run {word(name)}"
        )
    failed = ever_failed(store.database, record.id)
    if failed and record.study.search.looks_back:
        say(
            f"hpsearch: trial {failed[0]} failed once, and later trials did not learn from it; "
            f"they may differ now for that alone"
        )
    found, received = _again(store, record, counts.finished, workers)
    if received:
        say("hpsearch: stopped; nothing was changed")
        raise typer.Exit(128 + received[0])
    told = [difference for difference in found if difference.rounds_alike]
    if as_json:
        document(
            views.dumps(
                {
                    "identical": not found,
                    "trials": counts.finished,
                    "differences": [{"number": d.number, "first": d.what} for d in found],
                    "comparable": bool(told) or not found,
                }
            )
        )
    else:
        _tell(name, counts.finished, found)
    if found:
        raise typer.Exit(3 if told else NotComparableError.exit_code)


def _again(
    store: Store, record: StudyRecord, trials: int, workers: int | None
) -> tuple[list[Difference], list[int]]:
    """Run it in a workspace of its own: what differs there, and the signals that came."""
    from hpsearch.commands.display import watch
    from hpsearch.ledger.changes import changes_of
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.store import Store as Ledger
    from hpsearch.trust.replay import differences
    from hpsearch.work.launch import default_workers
    from hpsearch.work.session import begin

    trainer = trainer_of(record.study, record.folder)
    if trainer.digests != record.data_digests:
        raise NotComparableError(
            f"the data of {record.name!r} has changed since the study ran "
            f"({changes_of(record.data_digests, trainer.digests)}); restore the data"
        )
    folder = Path(record.folder) if record.folder else None
    with settings.scratch(settings.read()) as places:
        database = Database(places.storage)
        try:
            other = Ledger(database)
            study = record.study.with_trials(trials)
            session = begin(other, study, trainer, folder, places, tracking=False)
            variables = _as_recorded(store, record)
            launch = session.launch(workers or default_workers(), variables)
            with signals(launch.stop, launch.kill) as received:
                watch(launch, session.record, other)
            if received:
                return [], received
            if launch.failure is not None:
                raise launch.failure
            return differences((store, record), (other, session.record)), []
        finally:
            database.engine.dispose()


def _as_recorded(store: Store, record: StudyRecord) -> dict[str, str] | None:
    """With which variables workers may round as the recorded ones did; None for this process's.

    Where the trials were run in several environments, those of the first count.
    """
    from hpsearch.trust import compute, environment

    trials = store.trials(record.id)
    first = next((trial.environment for trial in trials if trial.environment), None)
    if record.study.compute is not None or first is None:
        return None
    with environment.single_thread():
        here = environment.rounding()
    there = store.environment(first)
    return None if environment.rounds_alike(there, here) else compute.like(there, here)


def _tell(name: str, trials: int, found: list[Difference]) -> None:
    if not found:
        out(f"{name}, run again: all {trials} trials are identical, bit for bit")
        return
    for difference in found[:_SHOWN]:
        out(f"trial {difference.number}: {difference.what}")
    if len(found) > _SHOWN:
        out(f"and {len(found) - _SHOWN} more trials")
    out(f"{name}, run again: {len(found)} of {trials} trials DIFFER")
    if not any(difference.rounds_alike for difference in found):
        out("this environment rounds differently: the differences say nothing about the study")

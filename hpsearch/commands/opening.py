"""Which command opens what was sealed? ``test``: the test part, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.confirm import run_given, searched, tell
from hpsearch.commands.printing import document, out
from hpsearch.commands.wiring import (
    Json,
    Name,
    NoTracking,
    Workers,
    open_store,
    unchanged_trainer,
)
from hpsearch.errors import UsageError
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.study.config import Study
    from hpsearch.training.seam import Trainer
    from hpsearch.trust.refit import Refit

SEEDS = 5

app = typer.Typer()


@app.command(name="test", epilog="Example: hpsearch test book")
def unseal(
    name: Name,
    seeds: Annotated[
        int, typer.Option(min=2, max=1000, help="New seeds for each configuration.")
    ] = SEEDS,
    again: Annotated[
        bool, typer.Option("--again", help="Open it once more. That is said for ever.")
    ] = False,
    workers: Workers = None,
    no_tracking: NoTracking = False,
    as_json: Json = False,
) -> None:
    """Open the test part, once: score the refit's networks, or the best trained on all else."""
    store = open_store()
    record = searched(store, name)
    if opened_before(record) and not again:
        _show(record, as_json=as_json)
        raise UsageError(
            f"the test part of {name!r} was opened before, as shown; to open it once more, and "
            f"have that said for ever: {settings.program()} test --again {word(name)}"
        )

    def run(definition: Study, trainer: Trainer) -> None:
        run_given(store, record, definition, trainer, workers, tracking=not no_tracking)

    record = open_once(store, record, seeds, run)
    if not no_tracking:
        tell(store, record)
    _show(record, as_json=as_json)


def opened_before(record: StudyRecord) -> bool:
    """Whether the test part was opened, and that has ended."""
    return bool(record.openings) and record.openings[-1].result is not None


def open_once(
    store: Store, record: StudyRecord, seeds: int, run: Callable[[Study, Trainer], object]
) -> StudyRecord:
    """Open the test part, or go on with an opening that has begun and not ended.

    Where the study has a refit, its networks are scored as they are.

    Args:
        store: The ledger.
        record: The study whose test part it is.
        seeds: New seeds for each configuration.
        run: Runs the study of the opening, with what trains its trials.

    Returns:
        The study, with its openings.
    """
    from hpsearch.ledger import openings
    from hpsearch.trust.confirming import find, require_ended
    from hpsearch.trust.opening import opened
    from hpsearch.trust.refit import refitted

    begun = record.openings[-1].study if record.openings and not opened_before(record) else None
    if begun is None:
        require_ended(store, record, "refit")
    refit = refitted(store, record)
    if begun == f"{record.name}/refit" or (begun is None and refit is not None):
        _with_refit(store, record, refit)
        return store.study(record.name)
    definition = _asked(store, record, seeds)
    trainer = unchanged_trainer(replace(record, study=definition))
    if not record.openings or opened_before(record):
        openings.enter(store.database, record, definition.name)
    try:
        run(definition, trainer)
    finally:
        own = find(store, definition.name)
        if own is not None and store.counts(own.id).done:  # perhaps with no training that completed
            openings.close(store.database, record, own.name, opened(store, record, own))
    return store.study(record.name)


def _with_refit(store: Store, record: StudyRecord, refit: Refit | None) -> None:
    """Score networks that are there."""
    from hpsearch.ledger import openings
    from hpsearch.training.make import data_of
    from hpsearch.trust import environment
    from hpsearch.trust.opening import opened_with
    from hpsearch.trust.refit import predictor

    if refit is None:
        raise UsageError(
            f"the test part of {record.name!r} was opened for a refit that is not there any more; "
            f"run: {settings.program()} refit {word(record.name)}"
        )
    trainer, places = unchanged_trainer(refit.record), settings.read()
    networks = predictor(store, refit, trainer, places)
    if not record.openings or opened_before(record):
        openings.enter(store.database, record, refit.record.name)
    assert record.study.data is not None
    _, parts = data_of(record.study.data, places.cache)
    with environment.single_thread():
        result = opened_with(record, refit, networks, parts.test)
    openings.close(store.database, record, refit.record.name, result)


def _asked(store: Store, record: StudyRecord, seeds: int) -> Study:
    """The next opening; one that has begun and not ended is gone on with as it was begun."""
    from hpsearch.trust.confirming import find
    from hpsearch.trust.opening import to_test

    begun = [one for one in record.openings if one.result is None]
    if not begun:
        return to_test(store, record, seeds=seeds, opening=len(record.openings) + 1)
    own = find(store, begun[-1].study)
    if own is not None:
        return own.study
    return to_test(store, record, seeds=seeds, opening=len(record.openings))


def _show(record: StudyRecord, *, as_json: bool) -> None:
    from hpsearch.report import opened, views

    if as_json:
        document(views.dumps(opened.document(record.openings)))
        return
    for line in opened.lines(record.openings):
        out(line)

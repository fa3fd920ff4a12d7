"""Which command opens what was sealed? ``test``: the test part, once."""

from __future__ import annotations

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
    """Open the test part: train the chosen configuration on all else, and score it, once."""
    from hpsearch.ledger import openings
    from hpsearch.trust.confirming import find
    from hpsearch.trust.opening import opened

    store = open_store()
    record = searched(store, name)
    last = record.openings[-1] if record.openings else None
    if last is not None and last.result is not None and not again:
        _show(record, as_json=as_json)
        raise UsageError(
            f"the test part of {name!r} was opened before, as shown; to open it once more, and "
            f"have that said for ever: {settings.program()} test --again {word(name)}"
        )
    definition = _asked(store, record, seeds)
    trainer = unchanged_trainer(replace(record, study=definition))
    if last is None or last.result is not None:
        openings.enter(store.database, record, definition.name)
    try:
        run_given(store, record, definition, trainer, workers, tracking=not no_tracking)
    finally:
        own = find(store, definition.name)
        if own is not None and store.counts(own.id).done:  # perhaps with no training that completed
            openings.close(store.database, record, own.name, opened(store, record, own))
    record = store.study(name)
    if not no_tracking:
        tell(store, record)
    _show(record, as_json=as_json)


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

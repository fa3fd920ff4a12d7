"""Which commands ask again, before a number is believed? ``confirm`` the best over new seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, say, table
from hpsearch.commands.wiring import (
    Json,
    Name,
    NoTracking,
    Workers,
    open_store,
    signals,
    unchanged_trainer,
)
from hpsearch.errors import HpsearchError, UsageError
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.study.config import Study
    from hpsearch.training.seam import Trainer
    from hpsearch.trust.confirming import Confirmation

TOP, SEEDS = 8, 5

app = typer.Typer()


@app.command(epilog="Example: hpsearch confirm book --top 8 --seeds 5")
def confirm(
    name: Name,
    top: Annotated[
        int | None,
        typer.Option(min=1, max=100, help=f"How many of the best trials. Default: {TOP}."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, max=1000, help=f"New seeds for each. Default: {SEEDS}.")
    ] = None,
    resplit: Annotated[
        bool | None,
        typer.Option(
            "--resplit/--no-resplit",
            help="Draw the training and validation part again for each seed, or keep those of the "
            "search. Default: draw again, except for a training of your own.",
        ),
    ] = None,
    workers: Workers = None,
    no_tracking: NoTracking = False,
    as_json: Json = False,
) -> None:
    """Train the best trials with new seeds, and find out which is the best and how good it is."""
    from hpsearch.report import confirmed, views

    store = open_store()
    record = searched(store, name)
    definition = asked(store, record, top, seeds, resplit)
    own = run_given(
        store, record, definition, unchanged_trainer(record), workers, tracking=not no_tracking
    )
    if not no_tracking:
        tell(store, record)
    found = outcome(store, record, own)
    if as_json:
        document(views.dumps(confirmed.document(found)))
        return
    table(list(confirmed.HEAD), confirmed.rows(found))
    for line in [confirmed.winner(found), *confirmed.remarks(found)]:
        out(line)


def searched(store: Store, name: str) -> StudyRecord:
    """A study whose search is over.

    Raises:
        UsageError: If it is not, or it is itself a study of given trials.
    """
    record = store.study(name)
    if record.study.given is not None:
        raise UsageError(f"{name!r} belongs to {record.study.given.study!r}; name that study")
    counts = store.counts(record.id)
    if not counts.done:
        raise UsageError(
            f"{name!r} has finished {counts.finished} of {counts.budget} trials; finish it first: "
            f"{settings.program()} run {word(name)}"
        )
    if not counts.complete:
        raise HpsearchError(f"{name!r} has no COMPLETE trial")
    return record


def asked(
    store: Store, record: StudyRecord, top: int | None, seeds: int | None, resplit: bool | None
) -> Study:
    """The confirmation that is asked for; one that is in the store already is gone on with.

    Raises:
        UsageError: If that is another one.
    """
    from hpsearch.ledger.records import State
    from hpsearch.trust.confirming import find
    from hpsearch.trust.contenders import to_confirm

    definition = to_confirm(
        record,
        store.ranked(record, store.trials(record.id, [State.COMPLETE])),
        top=top or TOP,
        seeds=seeds or SEEDS,
        resplit=resplit,
    )
    stored = find(store, definition.name)
    if stored is None or stored.study.given == definition.given:
        return definition
    if (top, seeds, resplit) == (None, None, None):
        return stored.study
    raise UsageError(
        f"{stored.name!r} is in the store with other configurations, seeds or draws of the data; "
        f"leave the options out, or delete it first: {settings.program()} delete "
        f"{word(stored.name)}"
    )


def outcome(store: Store, record: StudyRecord, own: StudyRecord) -> Confirmation:
    """What the confirmation ``own`` of a study came to.

    Raises:
        HpsearchError: If no configuration has all its seeds.
    """
    from hpsearch.trust.confirming import confirmation

    found = confirmation(store, record)
    if found is None:
        raise HpsearchError(
            f"no configuration of {own.name!r} was trained with all its seeds; for the reasons, "
            f"run: hpsearch trials {word(own.name)}"
        )
    return found


def run_given(
    store: Store,
    record: StudyRecord,
    definition: Study,
    trainer: Trainer,
    workers: int | None,
    *,
    tracking: bool,
) -> StudyRecord:
    """Run a study whose trials are given, or go on with it.

    Args:
        store: The ledger.
        record: The study whose configurations they are.
        definition: The one to be run.
        trainer: What trains its trials.
        workers: Processes; None for one per core.
        tracking: Whether MLflow is written.

    Raises:
        HpsearchError: If it did not come to its end.
    """
    from hpsearch.commands.display import watch
    from hpsearch.work.launch import default_workers
    from hpsearch.work.session import begin_below

    session = begin_below(
        *(store, record, definition, trainer, settings.read()), tracking=tracking, tell=_tell
    )
    launch = session.launch(workers or default_workers())
    with signals(launch.stop, launch.kill) as received:
        watch(launch, session.record, session.store)
    if received:
        counts = launch.counts
        say(
            f"hpsearch: stopped after {counts.finished} of {counts.budget} trainings; run the same "
            f"command to resume"
        )
        raise typer.Exit(128 + received[0])
    failure = session.failure(launch)
    if failure is not None:
        raise failure
    return session.record


def tell(store: Store, record: StudyRecord) -> None:
    """Bring the MLflow run of a study up to date."""
    from hpsearch.work.session import track

    failure = track(store, record, settings.read())
    if failure is not None:
        _tell(failure)


def _tell(line: str) -> None:
    say(f"hpsearch: {line}")

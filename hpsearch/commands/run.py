"""Which commands search? ``run``, ``worker`` and ``retry``."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch import settings
from hpsearch.commands.printing import out, say
from hpsearch.commands.wiring import (
    Name,
    find,
    open_store,
    own_home,
    signals,
    trainer_of,
    unchanged_trainer,
    validation_size,
    why_stopped,
)
from hpsearch.errors import (
    HpsearchError,
    NotComparableError,
)

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.training.seam import Trainer
    from hpsearch.work.launch import Launch

app = typer.Typer()


@app.command(epilog="Example: hpsearch run book --workers 2 --set training.epochs=20 --name mine")
def run(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study file, or the name of one in studies/.")
    ],
    trials: Annotated[
        int | None, typer.Option(help="Finished trials in total, in place of the file's.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes (default: one a core).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name in place of the file's.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Another value, such as data.seed=1."),
    ] = None,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Leave MLflow out; `sync` can add it later.")
    ] = False,
) -> None:
    """Run a study, or go on with it, until it has all its trials."""
    from hpsearch.data.facts import remarks
    from hpsearch.ledger.leases import stopped
    from hpsearch.projections.projector import Projector
    from hpsearch.report import views
    from hpsearch.study import file as study_file
    from hpsearch.trust.reproduce import confirm
    from hpsearch.work.launch import Launch, default_workers

    places = settings.read()
    changes = list(overrides or [])
    if trials is not None:
        changes.append(f"search.trials={trials}")
    own_home(places, create=True)
    file = find(study)
    definition = study_file.load(file, changes, name)
    folder = file.absolute().parent
    trainer = trainer_of(definition, folder)
    definition = trainer.settled(definition)
    store = open_store(create=True)
    record = store.register(definition, trainer.digests, trainer.facts(), str(folder))
    for remark in remarks(record.data_facts):
        say(f"hpsearch: {remark}")
    counts = store.counts(record.id)
    size = workers or default_workers()
    search = record.study.search
    if search.metric.endswith("loss") == (search.direction == "maximize"):
        say(f"hpsearch: search.direction: {search.direction} looks for the worst {search.metric}")
    if search.looks_back and size > search.lag:
        say(
            f"hpsearch: {size} workers, but a trial waits for those {search.lag} older (lag): "
            f"{size - search.lag} of them will often wait"
        )
    projector = Projector(
        store,
        record.name,
        places,
        tracking=not no_tracking,
        retrain=lambda trial: confirm(store, record, trial, trainer, places.cache),
    )
    launch = Launch(
        store,
        record,
        places,
        workers=min(size, counts.budget - counts.finished),
        projector=projector,
    )
    with signals(launch.stop, launch.kill) as received:
        _watch(launch, record)
    if received:
        counts = launch.counts
        say(
            f"hpsearch: stopped with {counts.finished} of {counts.budget} trials; the same command "
            f"goes on"
        )
        raise typer.Exit(128 + received[0])
    counts = store.counts(record.id)
    out(f"{record.name}: {counts.finished} of {counts.budget} trials ({views.counted(counts)})")
    best = store.best(record)
    if best is not None:
        _conclude(store, store.study(record.name), best, trainer, tracking=not no_tracking)
    if launch.failure is not None:
        raise launch.failure
    if not counts.done and stopped(store.database, record.id):
        raise HpsearchError(why_stopped(store, record))
    if not counts.done:
        raise HpsearchError(f"{record.name!r} has been given more trials meanwhile; run it again")
    if best is None:
        look = f"hpsearch trials {shlex.quote(record.name)}"
        raise HpsearchError(f"no trial of {record.name!r} completed; see: {look}")
    if projector.failure is not None:
        sync = f"hpsearch sync {shlex.quote(record.name)}"
        raise HpsearchError(
            f"{projector.failure}; no trial is lost: when that is mended, run {sync}"
        )


def _conclude(
    store: Store, record: StudyRecord, best: Trial, trainer: Trainer, *, tracking: bool
) -> None:
    """Say what came out, that it reproduces, and how to go on."""
    from hpsearch.report import views
    from hpsearch.trust.estimate import correction

    study, counts = record.study, store.counts(record.id)
    name = shlex.quote(record.name)
    out(f"best: trial {best.number}, {study.search.metric} {views.value_(best.value)}")
    if best.params:
        out(f"      {views.params(best.params)}")
    out(views.caution(study, counts, validation_size(record)))
    out(views.corrected(study, correction(store, record)))
    if counts.done:
        done = _confirmed(store, record, best, trainer)
        if done is None:
            out("not reproduced here; see above")
        elif done["identical"]:
            out(f"reproduced: trained again, {best.epochs} epochs and all weights identical")
        else:
            out(f"NOT reproduced; see: hpsearch reproduce {name}")
    if tracking and best.mlflow_run_id:
        out(
            f"MLflow: experiment {study.tracking.experiment or study.name!r}, run "
            f"{best.mlflow_run_id}"
        )
    if tracking and counts.unprojected:
        say(
            f"hpsearch: {counts.unprojected} trials are not in MLflow yet; add them with: "
            f"hpsearch sync {name}"
        )
    first = "hpsearch ui" if tracking else f"hpsearch sync {name}"
    out(f"go on with:  {first}  |  hpsearch reproduce {name}")


def _confirmed(
    store: Store, record: StudyRecord, best: Trial, trainer: Trainer
) -> Mapping[str, Any] | None:
    """How training the best trial again ended, which the projector may have done already."""
    from hpsearch.trust.reproduce import confirm

    done = record.reproduced
    if done and done["number"] == best.number:
        return done
    try:
        again = confirm(store, record, best, trainer, settings.read().cache)
    except NotComparableError as error:
        say(f"hpsearch: {error}")
        return None
    store.mark_reproduced(record.id, again.outcome)
    return again.outcome


@app.command(epilog="Example: hpsearch worker book")
def worker(
    name: Name,
    tied: Annotated[str | None, typer.Option("--tied", metavar="CODE_SHA256", hidden=True)] = None,
) -> None:
    """Join a study that is in the store: one more worker, from this shell or another host."""
    if tied is not None:
        _work(name, tied)
        return
    from hpsearch.ledger.leases import stopped
    from hpsearch.work.launch import Launch

    store = open_store()
    record = store.study(name)
    unchanged_trainer(record)
    store.touch(record.id)
    # In a process of its own, so that this one is left to count whom a trial takes down.
    launch = Launch(store, record, settings.read(), workers=1, projector=None)
    with signals(launch.stop, launch.kill) as received:
        for progress in launch.watch():
            for message in progress.messages:
                say(f"hpsearch: {message}")
    if received:
        raise typer.Exit(128 + received[0])
    if launch.failure is not None:
        raise launch.failure
    if not store.counts(record.id).done and stopped(store.database, record.id):
        raise HpsearchError(why_stopped(store, record))


def _work(name: str, code: str) -> None:
    """What a process does that a launcher with that code has started and tied to itself."""
    from hpsearch.ledger.owner import Owner
    from hpsearch.trust import environment
    from hpsearch.work.worker import Worker, patiently, tie

    if environment.code() != code:
        raise HpsearchError(
            f"the code in {environment.ROOT} is not what this run was "
            f"started with; start it again, and it goes on with the code that is there now"
        )
    stop, owner = threading.Event(), Owner.of(launcher=os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the launcher, who says so
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    tie()
    # One that takes another's place during an outage waits for its end, as the others do.
    store = patiently(stop, open_store)
    record = patiently(stop, lambda: store.study(name))
    Worker(store, record, unchanged_trainer(record), owner).run(stop)
    if stop.is_set():
        raise typer.Exit(128 + signal.SIGTERM)


@app.command(epilog="Example: hpsearch retry book && hpsearch run book")
def retry(name: Name) -> None:
    """Have a study's FAIL trials run again, under their numbers."""
    store = open_store()
    count = store.retry(store.study(name).id)
    out(f"{count} trials wait to be run again" if count else "no trial failed")


def _watch(launch: Launch, record: StudyRecord) -> None:
    """Show the progress on standard error: live on a terminal, a line now and then elsewhere."""
    from hpsearch.commands.display import live, plain

    (live if sys.stderr.isatty() else plain)(launch.watch(), record)

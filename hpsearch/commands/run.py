"""Which commands search? ``run``, ``worker`` and ``retry``."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands import complete
from hpsearch.commands.printing import out, say
from hpsearch.commands.wiring import (
    MOST,
    Name,
    NoTracking,
    Workers,
    find,
    find_stored,
    open_store,
    own_home,
    signals,
    trainer_of,
    unchanged_trainer,
    validation_size,
)
from hpsearch.errors import (
    HpsearchError,
    NoStoreError,
    NotComparableError,
    StoreAwayError,
    TrackingError,
    UnknownStudyError,
    UsageError,
)
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.work.limits import Limits
    from hpsearch.work.session import Session

HEALTH = 60.0  # seconds between two lines in which a worker says how far its study is

app = typer.Typer()


@app.command(epilog="Example: hpsearch run book --workers 2 --set training.epochs=20 --name mine")
def run(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study file, or the name of a study.",
            autocompletion=complete.files_and_studies,
        ),
    ],
    trials: Annotated[
        int | None, typer.Option(help="Run until this many trials have finished.")
    ] = None,
    workers: Workers = None,
    name: Annotated[str | None, typer.Option(help="Use this name instead of the file's.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Override a value in the study file.",
            autocompletion=complete.keys,
        ),
    ] = None,
    no_tracking: NoTracking = False,
    lower: Annotated[
        bool,
        typer.Option("--lower", help="Let a study in the store end with fewer trials than before."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show no progress, only warnings and the result.")
    ] = False,
    log_json: Annotated[
        bool,
        typer.Option("--log-json", help="Log each trial as a line of JSON on standard error."),
    ] = False,
    gpus: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Give each worker one of these GPUs, as in 0,1 (CUDA_VISIBLE_DEVICES). "
            "Default for --workers: one per GPU.",
        ),
    ] = None,
) -> None:
    """Run a study, or resume it, until all its trials have finished."""
    from hpsearch.commands.display import watch
    from hpsearch.report import views
    from hpsearch.study import file as study_file
    from hpsearch.work.launch import default_workers
    from hpsearch.work.session import begin

    places = settings.read()
    changes = list(overrides or [])
    if trials is not None:
        changes.append(f"search.trials={trials}")
    own_home(places, create=True)
    stored = find_stored(study)
    if stored is None:
        file = find(study, _names())
        definition = study_file.load(file, changes, name)
        folder: Path | None = file.absolute().parent
    else:
        definition = study_file.changed(stored.study, changes, name)
        folder = Path(stored.folder) if stored.folder else None
    trainer = trainer_of(definition, folder)
    store = open_store(create=True)
    before = _budget(store, definition.name)
    session = begin(
        store, definition, trainer, folder, places, tracking=not no_tracking, lower=lower
    )
    record = session.record
    budget = record.study.search.trials
    if budget < before:
        say(f"hpsearch: {record.name!r} now ends with {budget} trials, not {before}")
    devices = _devices(gpus)
    size = workers or len(devices) or default_workers()
    for remark in session.remarks(size):
        say(f"hpsearch: {remark}")
    launch = session.launch(size, gpus=devices)
    with signals(launch.stop, launch.kill) as received:
        watch(launch, record, store, "json" if log_json else "quiet" if quiet else "")
    if received:
        counts = launch.counts
        say(
            f"hpsearch: stopped after {counts.finished} of {counts.budget} trials; run the same "
            f"command to resume"
        )
        raise typer.Exit(128 + received[0])
    counts = store.counts(record.id)
    out(f"{record.name}: {counts.finished} of {counts.budget} trials ({views.counted(counts)})")
    record = store.study(record.name)
    if record.ended is not None:
        out(f"{record.ending}; to go on, change it with --set, or ask for more with --trials")
    if counts.done and counts.budget == record.study.points:
        out(
            f"all {counts.budget} points of the space have been tried, and none is trained twice "
            f"(`repeat = true` in [search] allows it)"
        )
    best = store.best(record)
    if best is not None:
        _conclude(session, best, tracking=not no_tracking)
    failure = session.failure(launch)
    if failure is not None:
        raise failure


def _devices(gpus: str | None) -> list[str]:
    """The CUDA devices that were listed, by number or UUID."""
    devices = [] if gpus is None else [device.strip() for device in gpus.split(",")]
    if not all(devices):
        raise UsageError(f"--gpus {gpus!r}: list devices as in 0,1")
    return devices


def _budget(store: Store, name: str) -> int:
    """To how many trials a study goes that is in the store; 0 of one that is not."""
    with suppress(UnknownStudyError):
        return store.study(name).study.search.trials
    return 0


def _names() -> list[str]:
    """The studies in the store, if there is one."""
    with suppress(NoStoreError):
        return [record.name for record in open_store().studies()]
    return []


def _conclude(session: Session, best: Trial, *, tracking: bool) -> None:
    """Say what came out, that it reproduces, and how to go on."""
    from hpsearch.report import views
    from hpsearch.search.edges import edges
    from hpsearch.search.known import widened
    from hpsearch.trust.estimate import correction

    store = session.store
    record = store.study(session.record.name)
    study, counts = record.study, store.counts(record.id)
    name, program = word(record.name), settings.program()
    out(f"best: trial {best.number}, {study.search.metric} {views.value_(best.value)}")
    if best.params:
        out(f"      {views.params(best.params)}")
    caution = views.caution(study, counts, validation_size(record))
    if caution:
        out(caution)
    out(views.corrected(study, correction(store, record)))
    if counts.done:
        out(_confirmed(session, best))
    if tracking and best.mlflow_run_id:
        out(f"MLflow: {_page(record, best.mlflow_run_id)}")
    if tracking and counts.unprojected:
        say(
            f"hpsearch: {counts.unprojected} trials are not in MLflow yet; to add them, run: "
            f"{program} sync {name}"
        )
    first = f"{program} ui --open" if tracking else f"{program} sync {name}"
    for edge in edges(study, widened(store, record).study.space, best.params):
        out(views.edge(edge))
    out(f"next:  {first}  |  {program} report {name}  |  {program} reproduce {name}")


def _page(record: StudyRecord, run_id: str) -> str:
    """Where the best trial's run is seen: its address where a server has one."""
    from hpsearch.projections.mlflow_look import Reader
    from hpsearch.redact import address

    places = settings.read()
    if places.tracking_uri.startswith(("http://", "https://")):
        with suppress(TrackingError):
            return address(places.tracking_uri).rstrip("/") + Reader(places, record).page_of(run_id)
    experiment = record.study.tracking.experiment or record.name
    return f"experiment {experiment!r}, run {run_id}"


def _confirmed(session: Session, best: Trial) -> str:
    """How training the best trial again ended, in words."""
    try:
        done = session.confirmed(best)
    except NotComparableError as error:
        say(f"hpsearch: {error}")
        return "not compared here; see above"
    if done["identical"]:
        return (
            f"reproduced: a second training gave the same {best.epochs} epochs and the same weights"
        )
    again = f"{settings.program()} reproduce {word(session.record.name)}"
    return f"NOT reproduced; for details, run: {again}"


@app.command(epilog="Example: hpsearch worker book")
def worker(
    name: Name,
    max_trials: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="End after this many trials.")
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Begin no trial after this many seconds."),
    ] = None,
    idle_exit: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="End after waiting this long for a trial while other workers run theirs.",
        ),
    ] = None,
    tied: Annotated[str | None, typer.Option("--tied", metavar="CODE_SHA256", hidden=True)] = None,
) -> None:
    """Work on a study that was started elsewhere."""
    from hpsearch.work.limits import Limits

    limits = Limits(max_trials, max_time, idle_exit)
    if tied is not None:
        _work(name, tied, limits)
        return
    from hpsearch.ledger.leases import stopped
    from hpsearch.work.launch import Launch
    from hpsearch.work.session import why_stopped

    store = open_store()
    record = store.study(name)
    unchanged_trainer(record)
    store.touch(record.id)
    # In a process of its own, so that this one is left to count whom a trial takes down.
    launch = Launch(store, record, settings.read(), workers=1, projector=None, limits=limits)
    before = launch.counts
    say(f"hpsearch: working on {name}: {_standing(store, record)}")
    healthy = time.monotonic()
    with signals(launch.stop, launch.kill) as received:
        for progress in launch.watch():
            for message in progress.messages:
                say(f"hpsearch: {message}")
            if time.monotonic() - healthy >= HEALTH:
                healthy = time.monotonic()
                with suppress(StoreAwayError):
                    say(f"hpsearch: {_standing(store, record)}")
    if received:
        say("hpsearch: stopped; run the same command to resume")
        raise typer.Exit(128 + received[0])
    if launch.failure is not None:
        raise launch.failure
    after = store.counts(record.id)
    since = after.finished - before.finished
    say(f"hpsearch: {_standing(store, record)}, {since} of them since this worker started")
    if not after.done and stopped(store.database, record.id):
        raise HpsearchError(why_stopped(store, record))


def _standing(store: Store, record: StudyRecord) -> str:
    counts = store.counts(record.id)
    return f"{counts.finished} of {counts.budget} trials have finished"


def _work(name: str, code: str, limits: Limits) -> None:
    """What a process does that a launcher with that code has started and tied to itself."""
    from hpsearch.ledger.owner import Owner
    from hpsearch.trust import environment
    from hpsearch.work.worker import Worker, patiently, tie

    if environment.code() != code:
        raise HpsearchError(
            f"the code in {environment.ROOT} has changed since this run started; run the same "
            f"command to resume with the new code"
        )
    stop, owner = threading.Event(), Owner.of(launcher=os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the launcher, who says so
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    tie()
    # One that takes another's place during an outage waits for its end, as the others do.
    store = patiently(stop, open_store)
    record = patiently(stop, lambda: store.study(name))
    Worker(store, record, unchanged_trainer(record), owner).run(stop, limits)
    if stop.is_set():
        raise typer.Exit(128 + signal.SIGTERM)


@app.command(epilog="Example: hpsearch retry book && hpsearch run book")
def retry(name: Name) -> None:
    """Rerun failed trials, keeping their numbers."""
    store = open_store()
    count = store.retry(store.study(name).id)
    out(f"{count} trials are waiting to be run again" if count else "no trial failed")

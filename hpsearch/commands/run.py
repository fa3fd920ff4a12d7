"""Which commands search? ``run`` and ``retry``; ``worker`` has a module of its own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands import complete
from hpsearch.commands.printing import NO_WEIGHTS, out, say
from hpsearch.commands.wiring import (
    Name,
    NoTracking,
    Workers,
    find,
    find_stored,
    open_store,
    own_home,
    signals,
    trainer_of,
    validation_size,
)
from hpsearch.errors import (
    NoStoreError,
    NotComparableError,
    TrackingError,
    UnknownStudyError,
    UsageError,
)
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.work.session import Session

app = typer.Typer()


@app.command(epilog="Example: hpsearch run book --workers 2 --set training.epochs=20 --name mine")
def run(
    context: typer.Context,
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
    on: Annotated[
        str | None,
        typer.Option(
            metavar="dask://HOST:PORT",
            help="Start the workers on a Dask cluster, which reaches the store, too.",
        ),
    ] = None,
    resources: Annotated[
        str | None,
        typer.Option(
            "--worker-resources",
            metavar="NAME=AMOUNT",
            help="What each worker needs of Dask, as in GPU=1,MEMORY=2e9.",
        ),
    ] = None,
) -> None:
    """Run a study, or resume it, until all its trials have finished."""
    from hpsearch.work.early import Early

    places = settings.read()
    early = None if on or gpus else context.with_resource(Early(places))
    from hpsearch.commands.display import watch
    from hpsearch.report import views
    from hpsearch.study import file as study_file
    from hpsearch.work.launch import default_workers
    from hpsearch.work.session import begin

    devices, needs = _devices(gpus), _resources(resources)
    if on is None and needs:
        raise UsageError("--worker-resources: needs --on dask://HOST:PORT")
    if on is not None and not on.startswith("dask://"):
        raise UsageError(f"--on {on}: must be dask://HOST:PORT")
    if on is not None and devices:
        raise UsageError("--gpus: are this machine's; with --on, use --worker-resources GPU=1")
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
    size = workers or len(devices) or default_workers()
    for remark in session.remarks(size):
        say(f"hpsearch: {remark}")
    launch = (
        session.on_dask(on, size, needs) if on else session.launch(size, gpus=devices, early=early)
    )
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


def _resources(given: str | None) -> dict[str, float]:
    """What a worker needs of Dask, by name."""
    try:
        pairs = [pair.split("=") for pair in given.split(",")] if given else []
        return {name.strip(): float(amount) for name, amount in pairs}
    except ValueError:
        raise UsageError(f"--worker-resources {given!r}: give amounts as in GPU=1") from None


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
    from hpsearch.ledger.front import front
    from hpsearch.ledger.ranking import tie
    from hpsearch.report import views
    from hpsearch.search.edges import edges
    from hpsearch.search.known import widened
    from hpsearch.trust.estimate import correction

    store = session.store
    record = store.study(session.record.name)
    study, counts = record.study, store.counts(record.id)
    name, program = word(record.name), settings.program()
    out(f"best: trial {best.number}, {study.search.metric} {views.value_(best.value)}")
    if told := tie(study, len(store.tied(record))):
        out(f"      {told}")
    if best.params:
        out(f"      {views.params(best.params)}")
    members = front(study, store.finished(record.id)) if study.search.also else []
    if members:
        out(f"{views.size_of_front(members)}; see: {program} best {name}")
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
    shown = [one.trial.params for one in members]
    for edge in edges(study, widened(store, record).study.space, best.params, shown):
        out(views.edge(edge))
    out(f"next:  {first}  |  {program} report {name}  |  {program} reproduce {name}")


def _page(record: StudyRecord, run_id: str) -> str:
    """Where the best trial's run is seen: its address where a server has one."""
    from hpsearch.projections.mlflow_content import StudyContent
    from hpsearch.projections.mlflow_look import Reader
    from hpsearch.redact import address

    places = settings.read()
    if places.tracking_uri.startswith(("http://", "https://")):
        with suppress(TrackingError):
            page = Reader(places, StudyContent(record)).page_of(run_id)
            return address(places.tracking_uri).rstrip("/") + page
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
        weights = " and the same weights" if best.weights_sha256 else f"; {NO_WEIGHTS}"
        return f"reproduced: a second training gave the same {best.epochs} epochs{weights}"
    again = f"{settings.program()} reproduce {word(session.record.name)}"
    return f"NOT reproduced; for details, run: {again}"


@app.command(epilog="Example: hpsearch retry book && hpsearch run book")
def retry(name: Name) -> None:
    """Rerun failed trials, keeping their numbers."""
    store = open_store()
    count = store.retry(store.study(name).id)
    out(f"{count} trials are waiting to be run again" if count else "no trial failed")

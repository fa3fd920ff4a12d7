"""The command line: parse, wire, print.

What is heavy is imported where it is used, so that ``hpsearch --help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import Abort, TyperException

from hpsearch import environment, settings
from hpsearch.errors import (
    HpsearchError,
    NoStoreError,
    NotComparableError,
    StudyFileError,
    TrackingError,
    UnknownTrialError,
    UsageError,
)

if TYPE_CHECKING:
    from hpsearch.data import Splits
    from hpsearch.launch import Launch
    from hpsearch.records import Trial
    from hpsearch.reproduce import Reproduction
    from hpsearch.store import Store, StudyRecord

app = typer.Typer(
    name="hpsearch",
    help="Hyperparameter search you can trust: the same study file gives the same trials.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A study in the store.")]
TrialNumber = Annotated[int | None, typer.Option("--trial", min=0, help="The trial's number.")]
_FOLDED = 1000  # rows that are folded to fit a terminal; 10,000 would take 4 s
_GRACE = 2.5  # seconds after which an epoch that goes on is broken off

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def main() -> None:
    """Run the command line, and end with the exit code that its outcome has."""
    environment.one_thread()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except HpsearchError as error:
        _say(f"hpsearch: {error}")
        code = error.exit_code
    except TyperException as error:
        _say(_usage(error))
        code = error.exit_code
    except Abort:
        _say("hpsearch: nothing was done")
        code = 1
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (OSError, MemoryError) as error:
        _say(f"hpsearch: {type(error).__name__}: {error}")
        code = 1
    sys.exit(code)


def _usage(error: TyperException) -> str:
    """What was wrong with the words of the command line, on one line."""
    command = getattr(getattr(error, "ctx", None), "command_path", "hpsearch")
    message = " ".join(error.format_message().split()).rstrip(".")
    if not message:  # no words at all: the help was shown
        return f"{command}: a command is missing; see above"
    end = " See" if message.endswith("?") else "; see"
    return f"{command}: {message[0].lower()}{message[1:]}{end}: {command} --help"


def _version(asked: bool) -> None:
    if asked:
        from hpsearch import __version__

        print(f"hpsearch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


# -- run


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
    from hpsearch import study_file, views
    from hpsearch.launch import Launch, default_workers
    from hpsearch.projector import Projector
    from hpsearch.reproduce import confirm

    places = settings.read()
    changes = list(overrides or [])
    if trials is not None:
        changes.append(f"search.trials={trials}")
    definition = study_file.load(_find(study), changes, name)
    splits = _splits(definition.data, places)
    store = _open(create=True)
    record = store.register(definition, splits.digests)
    counts = store.counts(record.id)
    size = workers or default_workers()
    search = record.study.search
    if search.metric.endswith("loss") == (search.direction == "maximize"):
        _say(f"hpsearch: search.direction: {search.direction} looks for the worst {search.metric}")
    if search.looks_back and size > search.lag:
        _say(
            f"hpsearch: {size} workers, but a trial waits for those {search.lag} older (lag): "
            f"{size - search.lag} of them will often wait"
        )
    launch = Launch(
        store,
        record,
        places,
        workers=min(size, counts.budget - counts.finished),
        projector=Projector(
            store,
            record.name,
            places,
            tracking=not no_tracking,
            retrain=lambda trial: confirm(store, record, trial, splits),
        ),
    )
    with _signals(launch.stop, launch.kill) as received:
        _watch(launch, record)
    counts = store.counts(record.id)
    if received:
        _say(
            f"hpsearch: stopped with {counts.finished} of {counts.budget} trials; the same command "
            f"goes on"
        )
        raise typer.Exit(128 + received[0])
    print(f"{record.name}: {counts.finished} of {counts.budget} trials ({views.counted(counts)})")
    best = store.best(record)
    if best is not None:
        _conclude(store, store.study(record.name), best, splits, tracking=not no_tracking)
    if launch.failure is not None:
        raise HpsearchError(launch.failure)
    if not counts.done:
        raise HpsearchError(_why_stopped(store, record))
    if best is None:
        look = f"hpsearch trials {shlex.quote(record.name)}"
        raise HpsearchError(f"no trial of {record.name!r} completed; see: {look}")


def _conclude(
    store: Store, record: StudyRecord, best: Trial, splits: Splits, *, tracking: bool
) -> None:
    """Say what came out, that it reproduces, and how to go on."""
    from hpsearch import views

    study, counts = record.study, store.counts(record.id)
    name = shlex.quote(record.name)
    print(f"best: trial {best.number}, {study.search.metric} {views.value_(best.value)}")
    if best.params:
        print(f"      {views.params(best.params)}")
    print(views.caution(study, counts, len(splits.validation.y)))
    if counts.done:
        done = _confirmed(store, record, best, splits)
        if done is None:
            print("not reproduced here; see above")
        elif done["identical"]:
            print(f"reproduced: trained again, {best.epochs} epochs and all weights identical")
        else:
            print(f"NOT reproduced; see: hpsearch reproduce {name}")
    if tracking and best.mlflow_run_id:
        print(
            f"MLflow: experiment {study.tracking.experiment or study.name!r}, run "
            f"{best.mlflow_run_id}"
        )
    if tracking and counts.unprojected:
        _say(
            f"hpsearch: {counts.unprojected} trials are not in MLflow yet; add them with: "
            f"hpsearch sync {name}"
        )
    first = "hpsearch ui" if tracking else f"hpsearch sync {name}"
    print(f"go on with:  {first}  |  hpsearch reproduce {name}")


def _confirmed(
    store: Store, record: StudyRecord, best: Trial, splits: Splits
) -> Mapping[str, Any] | None:
    """How training the best trial again ended, which the projector may have done already."""
    from hpsearch.reproduce import confirm

    done = record.reproduced
    if done and done["number"] == best.number:
        return done
    try:
        again = confirm(store, record, best, splits)
    except NotComparableError as error:
        _say(f"hpsearch: {error}")
        return None
    outcome = {
        "number": best.number,
        "identical": again.identical,
        "weights_sha256": again.weights_sha256,
    }
    store.mark_reproduced(record.id, outcome)
    return outcome


def _why_stopped(store: Store, record: StudyRecord) -> str:
    from hpsearch.leases import FAILS_IN_A_ROW
    from hpsearch.records import State

    failed = store.trials(record.id, [State.FAIL])
    reason = f"the last with: {failed[-1].reason}" if failed else "see hpsearch trials"
    return (
        f"stopped: the last {FAILS_IN_A_ROW} trials failed, {reason}; when that is mended, "
        f"`hpsearch retry {shlex.quote(record.name)}` runs them again"
    )


@app.command(epilog="Example: hpsearch worker book")
def worker(
    name: Name,
    tied: Annotated[bool, typer.Option("--tied", hidden=True)] = False,
) -> None:
    """Join a study that is in the store: one more worker, from this shell or another host."""
    from hpsearch.leases import Idle, released
    from hpsearch.owner import Owner
    from hpsearch.worker import Worker, patiently, tie

    stop = threading.Event()
    with _signals(stop.set, lambda: os._exit(130), ignore_interrupt=tied) as received:
        if tied:
            tie()
        # One that takes another's place during an outage waits for its end, as the others do.
        store = patiently(stop, _open) if tied else _open()
        record = patiently(stop, lambda: store.study(name))
        with _patience(stop, received, lambda: released(store.database, record.id, Owner.of())):
            ended = Worker(store, record, _unchanged_splits(record), Owner.of()).run(stop)
    if received:
        raise typer.Exit(128 + received[0])
    if tied:
        return
    if ended is Idle.STOPPED:
        raise HpsearchError(_why_stopped(store, record))


# -- look


@app.command(epilog="Example: hpsearch studies --json")
def studies(as_json: Json = False) -> None:
    """List the studies in the store."""
    from hpsearch import views

    try:
        store = _open()
        records = store.studies()
    except NoStoreError:
        records = []
    rows = [(r, store.counts(r.id), store.best(r)) for r in records]
    if as_json:
        documents = [
            views.status(r.name, counts) | {"best": best.value if best else None}
            for r, counts, best in rows
        ]
        print(views.dumps(documents))
        return
    if not rows:
        print("no studies yet; start one with: hpsearch run book")
        return
    _table(
        ["study", "trials", "best", "metric", "created"],
        [
            [
                r.name,
                f"{counts.finished}/{counts.budget}",
                views.value_(best.value if best else None),
                r.study.search.metric,
                views.iso(r.created)[:16].replace("T", " "),
            ]
            for r, counts, best in rows
        ],
    )


@app.command(epilog="Example: hpsearch status book")
def status(name: Name, as_json: Json = False) -> None:
    """Count a study's trials."""
    from hpsearch import views

    store = _open()
    record = store.study(name)
    counts = store.counts(record.id)
    if as_json:
        print(views.dumps(views.status(name, counts)))
        return
    print(f"{name}: {counts.finished} of {counts.budget} trials ({views.counted(counts)})")
    if counts.unprojected:
        print(
            f"{counts.unprojected} are not in Optuna's storage or MLflow yet; add them with: "
            f"hpsearch sync {shlex.quote(name)}"
        )


@app.command(epilog="Example: hpsearch trials book --json")
def trials(name: Name, as_json: Json = False) -> None:
    """List a study's trials."""
    from hpsearch import views

    store = _open()
    record = store.study(name)
    rows = store.trials(record.id)
    if as_json:
        print(views.dumps([views.trial(trial) for trial in rows]))
        return
    if not rows:
        print(f"{name}: none yet")
        return
    keys = [path.partition(".")[2] for path in record.study.space]
    reasons = ["reason"] if any(trial.reason for trial in rows) else []
    _table(
        ["trial", "state", record.study.search.metric, "epochs", *keys, *reasons],
        [
            [
                str(trial.number),
                str(trial.state),
                views.value_(trial.value),
                str(trial.epochs),
                *(views.value_(trial.params.get(path)) for path in record.study.space),
                *[trial.reason or "" for _ in reasons],
            ]
            for trial in rows
        ],
    )


@app.command(epilog="Example: hpsearch best book")
def best(name: Name, as_json: Json = False) -> None:
    """Show the best trial."""
    from hpsearch import config, views

    store = _open()
    record = store.study(name)
    trial = _best(store, record)
    if as_json:
        resolved = record.study.resolve(trial.params, trial.seed)
        print(views.dumps(views.trial(trial) | {"config": config.plain(resolved)}))
        return
    counts = store.counts(record.id)
    print(f"trial {trial.number} of {name}: {record.study.search.metric} {trial.value!r}")
    for path, value in trial.params.items():
        print(f"  {path} = {value!r}")
    print(f"  seed = {trial.seed}")
    if trial.mlflow_run_id:
        print(f"  MLflow run {trial.mlflow_run_id}")
    print(views.caution(record.study, counts, _validation_size(record)))
    print(f"its configuration:  hpsearch config {shlex.quote(name)} --trial {trial.number}")


@app.command(name="config", epilog="Example: hpsearch config book --trial 37 > winner.toml")
def config_(name: Name, trial: TrialNumber = None, as_json: Json = False) -> None:
    """Print a study's file, or a trial's resolved one: `run` accepts both."""
    from hpsearch import study_file, views

    store = _open()
    record = store.study(name)
    study = record.study
    if trial is not None:
        found = store.trial(record.id, trial)
        if study.space.keys() - found.params.keys():
            raise UnknownTrialError(f"trial {trial} has no values yet; it is {found.state}")
        study = study.of_trial(trial, study.resolve(found.params, found.seed))
    print(views.dumps(study.definition()) if as_json else study_file.toml(study).rstrip())


@app.command(epilog="Example: hpsearch curve book --trial 37 --json")
def curve(name: Name, trial: TrialNumber = None, as_json: Json = False) -> None:
    """Show the epochs of a trial (default: the best)."""
    from hpsearch import records, views

    store = _open()
    record = store.study(name)
    found = _best(store, record) if trial is None else store.trial(record.id, trial)
    if not found.state.finished:
        raise UnknownTrialError(f"trial {found.number} is {found.state}: it has no curve yet")
    rows = store.curves(record.id, [found.number])[found.number]
    if as_json:
        print(views.dumps(views.curve(found.number, rows)))
        return
    _table(
        ["epoch", *records.CURVES],
        [
            [str(epoch), *(f"{value:.4f}" for value in row)]
            for epoch, row in enumerate(rows.tolist(), start=1)
        ],
    )


@app.command(epilog="Example: hpsearch digest book")
def digest(name: Name, as_json: Json = False) -> None:
    """Print one SHA-256 over all finished trials: equal studies have equal ones."""
    from hpsearch import records, views

    store = _open()
    record = store.study(name)
    finished = store.finished(record.id)
    total = records.digest(finished, store.steps(record.id))
    if as_json:
        print(views.dumps({"study": name, "digest": total, "trials": len(finished)}))
        return
    print(total)


@app.command(epilog="Example: hpsearch report book --out figures")
def report(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to (default: reports/).")
    ] = None,
) -> None:
    """Draw a study: figures as PNG, which its MLflow run gets, too."""
    from hpsearch import report as reports

    places = settings.read()
    store = _open()
    record = store.study(name)
    figures = reports.draw(store, record, lambda: _unchanged_splits(record))
    files = reports.write(figures, out or places.home / "reports")
    for file in files:
        print(file)
    try:
        if not reports.track(places, record, files):
            _say(f"hpsearch: {name!r} has no MLflow run to add this to; make it: hpsearch sync")
    except TrackingError as error:
        _say(f"hpsearch: {error}; the figures are not in MLflow")


# -- act


@app.command(epilog="Example: hpsearch reproduce book --trial 37")
def reproduce(name: Name, trial: TrialNumber = None, as_json: Json = False) -> None:
    """Train a trial (default: the best) again, and compare every epoch and the weights."""
    from hpsearch import views
    from hpsearch.reproduce import reproduce as train_again

    store = _open()
    record = store.study(name)
    if trial is None:
        found = store.best(record)
        if found is None:
            raise UnknownTrialError(f"{name!r} has no COMPLETE trial to reproduce")
    else:
        found = store.trial(record.id, trial)
    outcome = train_again(store, record, found, _splits(record.study.data, settings.read()))
    if as_json:
        print(views.dumps(views.reproduction(outcome)))
    else:
        _tell(outcome, name)
    raise typer.Exit(outcome.exit_code)


def _tell(outcome: Reproduction, name: str) -> None:
    print(f"trial {outcome.number} of {name}, trained again: {outcome.epochs} epochs compared")
    if outcome.identical:
        print("identical: every loss and accuracy, bit for bit")
        print(f"weights sha256 {outcome.weights_sha256}")
    else:
        print(f"DIFFERENT: {outcome.first_difference}")
        print(f"weights sha256 {outcome.recorded_sha256} recorded, {outcome.weights_sha256} now")
        for difference in outcome.environment_differences:
            print(f"environment: {difference}")
        if not outcome.rounds_alike:
            print("this environment rounds otherwise: the difference says nothing of the trial")


@app.command(epilog="Example: hpsearch retry book && hpsearch run book")
def retry(name: Name) -> None:
    """Have a study's FAIL trials run again, under their numbers."""
    store = _open()
    count = store.retry(store.study(name).id)
    print(f"{count} trials wait to be run again" if count else "no trial failed")


@app.command(epilog="Example: hpsearch delete book --yes")
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Leave its MLflow runs where they are.")
    ] = False,
) -> None:
    """Remove a study, and what Optuna's storage and MLflow have of it."""
    from hpsearch import projector

    store = _open()
    record = store.study(name)
    counts = store.counts(record.id)
    if not yes:
        _confirm(f"Delete {name!r} with its {counts.finished} trials?")
    store.refuse_running(record.id)
    projector.delete(store, record, settings.read(), tracking=not no_tracking)
    store.delete(record.id)
    print(f"{name}: deleted")


@app.command(epilog="Example: hpsearch sync book --follow")
def sync(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: all.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep on doing it, where workers run elsewhere.")
    ] = False,
) -> None:
    """Write what Optuna's storage and MLflow lack; nothing when they lack nothing."""
    from hpsearch.projector import Projector, mend
    from hpsearch.reproduce import confirm

    places = settings.read()
    store = _open()

    def retrain(record: StudyRecord) -> Callable[[Trial], Reproduction]:
        return lambda trial: confirm(store, record, trial, _splits(record.study.data, places))

    def projector(record: StudyRecord) -> Projector:
        return Projector(store, record.name, places, retrain=retrain(record))

    records = [store.study(name)] if name else store.studies()
    if not follow:
        for record in records:
            written = mend(store, record, places, retrain(record))
            for line in written.removed:
                _say(line)
            print(
                f"{record.name}: {written.optuna} trials written to Optuna's storage, "
                f"{written.mlflow} to MLflow"
            )
        return
    stop = threading.Event()
    with _signals(stop.set, lambda: os._exit(130)) as received:
        _follow(store, name, projector, stop)
    if received:
        raise typer.Exit(128 + received[0])


def _follow(store: Store, name: str | None, projector: Any, stop: threading.Event) -> None:
    """Follow one study, or every study there is and every one that comes."""
    threads: dict[str, threading.Thread] = {}
    while not stop.is_set():
        for record in [store.study(name)] if name else store.studies():
            if record.name not in threads:
                threads[record.name] = threading.Thread(
                    target=projector(record).follow, args=(stop, _say), daemon=True
                )
                threads[record.name].start()
        stop.wait(1.0)
    for thread in threads.values():
        thread.join(4.0)


@app.command(epilog="Example: hpsearch verify book --reproduce 3")
def verify(
    name: Name,
    reproduce: Annotated[
        int, typer.Option(min=0, metavar="K", help="Train so many random trials again, too.")
    ] = 0,
    no_tracking: Annotated[bool, typer.Option("--no-tracking", help="Leave MLflow out.")] = False,
    as_json: Json = False,
) -> None:
    """Check that the store, Optuna's copy and MLflow keep what they promise; changes nothing."""
    from hpsearch import look, verify, views
    from hpsearch.reproduce import reproduce as train_again

    places = settings.read()
    store = _open()
    record = store.study(name)
    seen = look.take(store.database, name, places, tracking=not no_tracking)
    found = verify.judge(seen, tracking=not no_tracking)
    if reproduce:
        splits = _splits(record.study.data, places)
        more = verify.train_again(
            seen.ledger,
            reproduce,
            lambda number: train_again(store, record, store.trial(record.id, number), splits),
        )
        found.violations += more.violations
        found.notes += more.notes
    for note in found.notes:
        (_say if as_json else print)(f"note: {note}")
    if as_json:
        print(views.dumps(views.findings(found)))
    else:
        for violation in found.violations:
            print(f"{violation.invariant}: {violation.detail}")
        said = "every promise is kept" if found.ok else f"{len(found.violations)} VIOLATIONS"
        print(f"{name}: {len(seen.ledger.trials)} trials, {len(seen.runs)} runs in MLflow: {said}")
    raise typer.Exit(0 if found.ok else 1)


@app.command(epilog="Example: hpsearch backup studies-friday.db")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy is to be.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Copy the study store to a file, also while it is in use."""
    from hpsearch.backup import backup as copy

    content = copy(_open().database, file, force=force)
    print(f"{file}: a copy of {content}")


@app.command(epilog="Example: hpsearch restore studies-friday.db && hpsearch sync")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace a store that holds studies; it is kept.")
    ] = False,
) -> None:
    """Put a copy back as the study store; `sync` then brings MLflow to what it says."""
    from hpsearch.backup import restore as put_back

    content, kept = put_back(settings.read().storage, file, force=force)
    if kept is not None:
        print(f"the store that was there is kept as {kept}")
    print(f"restored {content}; bring MLflow to what it says with: hpsearch sync")


@app.command(epilog="Example: hpsearch ui --port 5001")
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on this workspace."""
    from hpsearch.tracking import Tracking

    places = settings.read()
    server = places.tracking_uri.startswith("http")
    if not server and not (places.home / "mlflow.db").exists():
        raise UsageError(f"{places.home}: no MLflow runs yet; `hpsearch run book` makes some")
    root = places.tracking_uri.rstrip("/") if server else f"http://127.0.0.1:{port}"
    print(f"MLflow UI: {root}" + ("" if server else "  (Ctrl-C ends it)"))
    with suppress(HpsearchError):  # MLflow's own pages are there without ours
        for record in _open().studies():
            page = Tracking(places, record, create=False).page
            if page:
                print(f"  {record.name}: {root}{page}")
    sys.stdout.flush()
    if server:
        return
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", places.tracking_uri, "--workers", "1"]
    command += ["--default-artifact-root", str(places.artifacts)]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    quiet["PYTHONWARNINGS"] = "ignore"  # of MLflow's own libraries, about one another
    os.execve(sys.executable, command, {**os.environ, **quiet})


# -- wiring


def _open(*, create: bool = False) -> Store:
    from hpsearch.database import Database
    from hpsearch.store import Store

    return Store(Database(settings.read().storage, create=create))


def _find(study: str) -> Path:
    """A study file by its path, or by its name in ``studies/`` here or in the package."""
    given = Path(study)
    if len(study) > 255 or given.suffix == ".toml" or given.is_file():
        return given
    package = Path(__file__).parent
    folders = [Path("studies"), package / "studies", package.parent / "studies"]
    for folder in folders:
        if (folder / f"{study}.toml").is_file():
            return folder / f"{study}.toml"
    names = sorted({file.stem for folder in folders for file in folder.glob("*.toml")})
    raise StudyFileError(f"no study file {study!r}; there are {', '.join(names)}, or give a path")


def _splits(described: Any, places: settings.Settings) -> Splits:
    from hpsearch import data

    dataset = data.load(described.dataset, cache=places.cache)
    return data.split(
        dataset,
        train=described.train,
        validation=described.validation,
        seed=described.seed,
        test=described.test,
        scaling=described.scaling,
    )


def _unchanged_splits(record: StudyRecord) -> Splits:
    splits = _splits(record.study.data, settings.read())
    if splits.digests != record.data_digests:
        raise UsageError(
            f"the data of {record.name!r} here is not what it was begun on (dataset sha256 "
            f"{record.data_digests['dataset'][:12]}, here {splits.digests['dataset'][:12]})"
        )
    return splits


def _validation_size(record: StudyRecord) -> int:
    described = record.study.data
    if isinstance(described.validation, int):
        return described.validation
    return round(described.train * described.validation)


def _best(store: Store, record: StudyRecord) -> Trial:
    trial = store.best(record)
    if trial is None:
        raise HpsearchError(f"{record.name!r} has no COMPLETE trial yet")
    return trial


@contextmanager
def _signals(stop: Any, kill: Any, *, ignore_interrupt: bool = False) -> Iterator[list[int]]:
    """First SIGINT or SIGTERM: stop in order. Another SIGINT: at once.

    Yields:
        The signals received so far.
    """
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        received.append(number)
        stop()
        if received.count(signal.SIGINT) > 1:
            kill()
            os._exit(128 + signal.SIGINT)

    numbers = [signal.SIGTERM, *([] if ignore_interrupt else [signal.SIGINT])]
    before = {number: signal.signal(number, handle) for number in numbers}
    if ignore_interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _patience(stop: threading.Event, received: list[int], release: Any) -> Iterator[None]:
    """End the process if an epoch goes on for too long after ``stop``; its trial is handed back."""
    over = threading.Event()

    def watch() -> None:
        stop.wait()
        if not over.wait(_GRACE):
            with suppress(HpsearchError):
                release()
            os._exit(128 + received[0])

    threading.Thread(target=watch, name="patience", daemon=True).start()
    try:
        yield
    finally:
        over.set()


# -- printing


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _confirm(question: str) -> None:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        _say("")
    if answer.strip().lower() not in ("y", "yes"):
        raise Abort


def _table(head: list[str], rows: list[list[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal or len(rows) > _FOLDED:
        _lines(head, rows)
        return
    # A Text is shown as it is; in a str, rich would take [words] in brackets for markup.
    table = Table(*head, box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _lines(head: list[str], rows: list[list[str]]) -> None:
    """The same table, a line a row however long it is."""
    from rich.cells import cell_len
    from rich.control import strip_control_codes

    cells = [[strip_control_codes(" ".join(c.splitlines())) for c in row] for row in [head, *rows]]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "   ".join(c + " " * (width - cell_len(c)) for c, width in zip(row, widths, strict=True))
        for row in cells
    ]
    lines.insert(1, "─" * (sum(widths) + 3 * (len(widths) - 1)))
    print("\n".join(line.rstrip() for line in lines))


def _watch(launch: Launch, record: StudyRecord) -> None:
    """Show the progress on standard error: live on a terminal, a line now and then elsewhere."""
    from hpsearch.display import live, plain

    (live if sys.stderr.isatty() else plain)(launch.watch(), record)

"""Which commands look? None of them changes anything."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, page, say, table
from hpsearch.commands.wiring import (
    Json,
    Name,
    TrialNumber,
    best_of,
    find,
    open_store,
    validation_size,
)
from hpsearch.errors import (
    NoStoreError,
    StudyFileError,
    UnknownStudyError,
    UnknownTrialError,
    UsageError,
)
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.front import Placed
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.search.known import Round
    from hpsearch.study.config import Study

app = typer.Typer()


@app.command(epilog="Example: hpsearch studies --json")
def studies(as_json: Json = False) -> None:
    """List all studies."""
    from hpsearch.report import views

    try:
        store = open_store()
        records = store.studies()
    except NoStoreError:
        records = []
    rows = [(r, store.counts(r.id), store.best(r)) for r in records]
    if as_json:
        documents = [
            views.status(r.name, counts)
            | {"best": best.value if best else None}
            | {"metric": r.study.search.metric, "created": views.iso(r.created)}
            for r, counts, best in rows
        ]
        document(views.dumps(documents))
        return
    if not rows:
        out(f"no studies yet; to run one: {settings.program()} run book")
        return
    table(
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
    """Show how far a study is, its best trial, and the ranges of its rounds."""
    from hpsearch.report import views

    store = open_store()
    record = store.study(name)
    counts = store.counts(record.id)
    trial, rate = store.best(record), _rate(store, record) if counts.running else None
    known = _rounds(store, record)
    rounds = views.rounds(known, store.trials(record.id) if known else [], counts.budget)
    members = _front(store, record)
    if as_json:
        more = {
            "best": None if trial is None else trial.value,
            "best_trial": None if trial is None else trial.number,
            "trials_per_minute": rate,
            "ended": None if record.ended is None else asdict(record.ended),
            **({"rounds": rounds} if known else {}),
            **({"front": [m.trial.number for m in members]} if record.study.search.also else {}),
        }
        document(views.dumps(views.status(name, counts) | more))
        return
    out(f"{name}: {counts.finished} of {counts.budget} trials ({views.counted(counts)})")
    if record.ended is not None:
        out(record.ending)
    if members:
        out(f"{views.size_of_front(members)}; see: {settings.program()} best {word(name)}")
    elif trial is not None:
        out(f"best: trial {trial.number}, {record.study.search.metric} {views.value_(trial.value)}")
    if rate is not None:
        out(f"{views.value_(rate, 3)} trials a minute")
    for each, told in zip(known, rounds, strict=True):
        epochs = f", {each.epochs} epochs each" if each.epochs is not None else ""
        of = f"{each.number} of {len(record.study.search.rounds)}"
        out(f"round {of}: {told['finished']} of {told['trials']} trials{epochs}")
        for path, open_ in each.space.items():
            out(f"  {path}: {views.searched(open_)}")
    if counts.unprojected and not counts.running:
        out(
            f"{counts.unprojected} trials are not in Optuna's storage or MLflow yet; to add them, "
            f"run: {settings.program()} sync {word(name)}"
        )


def _front(store: Store, record: StudyRecord) -> list[Placed]:
    """The trials that no other surpasses; nothing of a study with one objective."""
    if not record.study.search.also:
        return []
    from hpsearch.ledger.front import front

    return front(record.study, store.finished(record.id))


def _rounds(store: Store, record: StudyRecord) -> list[Round]:
    """Its rounds so far; nothing of a study without."""
    if not record.study.search.rounds:
        return []
    from hpsearch.search.known import rounds_of

    return list(rounds_of(store, record))


def _rate(store: Store, record: StudyRecord) -> float | None:
    """Trials a minute, over the last twenty that ended; None before there are two."""
    from hpsearch.ledger.records import FINISHED

    ended = sorted(trial.ended or 0.0 for trial in store.trials(record.id, FINISHED))[-20:]
    if len(ended) < 2 or ended[-1] == ended[0]:
        return None
    return 60 * (len(ended) - 1) / (ended[-1] - ended[0])


@app.command(epilog="Example: hpsearch best book")
def best(name: Name, as_json: Json = False) -> None:
    """Show the best trial, and what to expect of it on other examples."""
    from hpsearch.ledger.ranking import tie
    from hpsearch.report import confirmed, opened, views
    from hpsearch.search.edges import edges
    from hpsearch.search.known import widened
    from hpsearch.study import config
    from hpsearch.trust.confirming import confirmation
    from hpsearch.trust.estimate import correction

    store = open_store()
    record = store.study(name)
    if record.study.given is not None:
        raise UsageError(
            f"{name!r} compares configurations, and no trial of it is the best; run: "
            f"{settings.program()} best {word(record.study.given.study)}"
        )
    trial = best_of(store, record)
    again = confirmation(store, record)
    if as_json:
        resolved = record.study.resolve(trial.params, trial.seed)
        shown = views.trial(trial) | {"config": config.resolved_table(resolved)}
        shown["corrected"] = views.correction(correction(store, record))
        shown["confirmed"] = None if again is None else confirmed.document(again)
        shown["test"] = opened.document(record.openings)
        if record.study.search.also:
            shown["front"] = views.front(record.study, _front(store, record))
        document(views.dumps(shown))
        return
    for line in opened.lines(record.openings):
        out(line)
    for line in [] if again is None else [confirmed.winner(again), *confirmed.remarks(again)]:
        out(line)
    counts = store.counts(record.id)
    members = _front(store, record)
    if members:
        out(f"{views.size_of_front(members)}:")
        table(*views.table_of_front(record.study, members))
    out(f"trial {trial.number} of {name}: {record.study.search.metric} {trial.value!r}")
    if told := tie(record.study, len(store.tied(record))):
        out(f"  {told}")
    if trial.folds:
        each = ", ".join(views.value_(fold.value) for fold in trial.folds)
        out(f"  the mean of {len(trial.folds)} trainings: {each}")
    for path, value in trial.params.items():
        out(f"  {path} = {value!r}")
    out(f"  seed = {trial.seed}")
    if trial.mlflow_run_id:
        out(f"  MLflow run {trial.mlflow_run_id}")
    caution = views.caution(record.study, counts, validation_size(record))
    if caution:
        out(caution)
    out(views.corrected(record.study, correction(store, record)))
    front = [one.trial.params for one in members]
    for edge in edges(record.study, widened(store, record).study.space, trial.params, front):
        out(views.edge(edge))
    out(f"configuration:  {settings.program()} config --trial {trial.number} {word(name)}")


@app.command(name="config", epilog="Example: hpsearch config book --trial 37 > winner.toml")
def config_(name: Name, trial: TrialNumber = None, as_json: Json = False) -> None:
    """Print a study as a file, or one of its trials. `run` accepts both."""
    from hpsearch.report import views
    from hpsearch.study import file as study_file
    from hpsearch.study.conditions import filled

    try:
        store = open_store()
        record = store.study(name)
        study = record.study
    except (NoStoreError, UnknownStudyError):
        unrun = _unrun(name) if trial is None else None
        if unrun is None:
            raise
        study = unrun
    if trial is not None:
        found = store.trial(record.id, trial)
        if study.given is not None and study.given.part != "validation":
            did = (
                "scored on the test" if study.given.part == "test" else "trained on the validation"
            )
            raise UsageError(f"trial {trial} of {name!r} was {did} part, as no study file can ask")
        if not filled(study.space, found.params):
            raise UnknownTrialError(f"trial {trial} is {found.state}; it has no values yet")
        study = study.of_trial(trial, study.resolve(found.params, found.seed))
    if as_json:
        document(views.dumps(study.definition()))
        return
    page(study_file.toml(study).rstrip())


def _unrun(name: str) -> Study | None:
    """A study that is only a file as yet."""
    from hpsearch.study import file as study_file

    with suppress(StudyFileError):
        return study_file.load(find(name))
    return None


@app.command(epilog="Example: hpsearch curve book --trial 37 --json")
def curve(name: Name, trial: TrialNumber = None, as_json: Json = False) -> None:
    """Show the metrics of a trial after each epoch."""
    from hpsearch.report import views

    store = open_store()
    record = store.study(name)
    found = best_of(store, record) if trial is None else store.trial(record.id, trial)
    if not found.state.finished:
        raise UnknownTrialError(f"trial {found.number} is {found.state}; it has no curve yet")
    rows = store.curves(record.id, [found.number])[found.number]
    folds = views.folds(record.study, found, len(rows))
    if as_json:
        document(views.dumps(views.curve(found.number, rows, record.metrics, folds)))
        return
    told = [[str(fold)] for fold in folds] or [[]] * len(rows)
    table(
        ["epoch", *(["fold"] if folds else []), *record.metrics],
        [
            [str(epoch), *fold, *("-" if isnan(value) else f"{value:.4f}" for value in row)]
            for epoch, (fold, row) in enumerate(zip(told, rows.tolist(), strict=True), start=1)
        ],
    )


@app.command(epilog="Example: hpsearch log forest --trial 3")
def log(name: Name, trial: TrialNumber = None) -> None:
    """Show what the training of a trial printed, up to the last megabyte."""
    store = open_store()
    record = store.study(name)
    found = best_of(store, record) if trial is None else store.trial(record.id, trial)
    printed = store.log(record.id, found.number).decode(errors="replace")
    if not printed:
        say(f"hpsearch: trial {found.number} of {name!r} printed nothing")
        return
    for line in printed.splitlines():
        out(line)


@app.command(epilog="Example: hpsearch digest book")
def digest(name: Name, as_json: Json = False) -> None:
    """Print a SHA-256 of all finished trials. Equal studies have equal digests."""
    from hpsearch.ledger import records
    from hpsearch.report import views

    store = open_store()
    record = store.study(name)
    finished = store.finished(record.id)
    total = records.digest(finished, store.steps(record.id))
    if as_json:
        document(views.dumps({"study": name, "digest": total, "trials": len(finished)}))
        return
    out(total)

"""Which commands check? ``reproduce`` a trial, ``verify`` the stores."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hpsearch import settings
from hpsearch.commands.printing import NO_WEIGHTS, document, out, say
from hpsearch.commands.scratch import opened, with_data
from hpsearch.commands.wiring import (
    MOST,
    Json,
    Name,
    TrialNumber,
    open_store,
    trainer_of,
)
from hpsearch.errors import NotComparableError, UnknownTrialError, UsageError
from hpsearch.text import short

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.trust.reproduce import Reproduction
    from hpsearch.verify.findings import Findings
    from hpsearch.verify.ledger_reading import Ledger

app = typer.Typer()


@app.command(epilog="Example: hpsearch reproduce book --trial 37")
def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The name of a study; not with --run.")
    ] = None,
    trial: TrialNumber = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN_ID", help="A trial's run in MLflow. Needs nothing but MLflow."),
    ] = None,
    as_json: Json = False,
    tied: Annotated[Path | None, typer.Option("--tied", metavar="FILE", hidden=True)] = None,
) -> None:
    """Train a trial again, and compare every epoch and the weights.

    Where only the BLAS kernel or the CPU features differ from the recorded ones, and this CPU has
    those, it is trained with them.
    """
    from hpsearch.trust.reproduce import reproduce as train_again

    if (name is None) == (run is None) or (run is not None and trial is not None):
        raise UsageError("hpsearch reproduce: name a study, or a run in MLflow with --run alone")
    if run is not None:
        _from_mlflow(run, as_json)
    assert name is not None
    if tied is not None:
        _tied(name, trial or 0, tied)
    store = open_store()
    record = store.study(name)
    if trial is None:
        found = store.best(record)
        if found is None:
            raise UnknownTrialError(f"{name!r} has no COMPLETE trial yet")
    else:
        found = store.trial(record.id, trial)
    trainer = trainer_of(record.study, record.folder)
    _end(train_again(store, record, found, trainer, settings.read()), record, as_json)


def _from_mlflow(run: str, as_json: bool) -> NoReturn:
    """Train a trial again of which nothing is known but its run in MLflow."""
    from hpsearch.projections.recorded import recorded
    from hpsearch.training.make import trainer
    from hpsearch.trust.reproduce import reproduce as train_again

    taken = recorded(settings.read(), run)
    with (
        settings.scratch(settings.read()) as places,
        opened(with_data(taken, places), f"MLflow run {short(run)}", places) as (store, record),
    ):
        found = store.trial(record.id, taken.trials[0]["number"])
        trains = trainer(record.study, Path.cwd(), places.cache)
        _end(train_again(store, record, found, trains, places), record, as_json)


def _end(outcome: Reproduction, record: StudyRecord, as_json: bool) -> NoReturn:
    from hpsearch.report import views

    if as_json:
        document(views.dumps(views.reproduction(outcome)))
    else:
        _tell(outcome, record)
    raise typer.Exit(outcome.exit_code)


def _tied(name: str, number: int, file: Path) -> NoReturn:
    """What a process does that another has started because it rounds otherwise itself."""
    from safetensors.numpy import save_file

    from hpsearch.report import views
    from hpsearch.tied import tie
    from hpsearch.trust.reproduce import reproduce as train_again
    from hpsearch.trust.reproduce import rounds_here

    tie()
    store = open_store()
    record = store.study(name)
    trial = store.trial(record.id, number)
    if not rounds_here(store, trial):
        raise typer.Exit(NotComparableError.exit_code)
    outcome = train_again(store, record, trial, trainer_of(record.study, record.folder))
    if outcome.state:
        save_file(dict(outcome.state), file)
    document(views.dumps(views.reproduction(outcome)))
    raise typer.Exit(outcome.exit_code)


def _tell(outcome: Reproduction, record: StudyRecord) -> None:
    name = record.name
    out(f"trial {outcome.number} of {name}, trained again: {outcome.epochs} epochs compared")
    if outcome.elsewhere and record.study.compute is None:
        out(
            "started again with the recorded BLAS kernel and CPU features, since this process uses "
            "others"
        )
    if outcome.identical:
        out("identical: every metric, bit for bit")
        sha256 = outcome.weights_sha256
        out(f"weights sha256 {sha256}" if sha256 else f"{NO_WEIGHTS} to compare")
    elif outcome.within_tolerance:
        out(f"within the study's tolerance; {outcome.first_difference}")
    else:
        out(f"DIFFERENT: {outcome.first_difference}")
        if outcome.weights_sha256 == outcome.recorded_sha256 is None:
            out(f"{NO_WEIGHTS} to compare")
        elif outcome.weights_sha256 == outcome.recorded_sha256:
            out(f"the weights are the same: sha256 {outcome.weights_sha256}")
        else:
            out(f"weights sha256 {outcome.recorded_sha256} recorded, {outcome.weights_sha256} now")
        apart = ", ".join(f"{metric} {gap:.2g}" for metric, gap in outcome.gaps.items())
        out(f"largest differences: {apart}")
        for difference in outcome.environment_differences:
            out(f"environment: {difference}")
        if not outcome.rounds_alike:
            out(
                "this environment rounds differently, and this CPU or installation cannot do as "
                "recorded: bits cannot be compared here, and the difference says nothing about "
                "the trial"
            )


@app.command(epilog="Example: hpsearch verify book --reproduce 1/5")
def verify(
    name: Name,
    reproduce: Annotated[
        str,
        typer.Option(
            metavar="K",
            help="Also train K random trials again; or a share such as 1/5, another the next time.",
        ),
    ] = "0",
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Do not check MLflow.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that the study store, Optuna's storage and MLflow agree. Changes nothing."""
    from hpsearch.projections import buckets
    from hpsearch.report import views
    from hpsearch.verify import findings, look

    share = _share(reproduce)
    places = settings.read()
    store = open_store()
    record = store.study(name)
    seen = look.take(store.database, name, places, tracking=not no_tracking, fetch=buckets.fetch)
    found = findings.judge(seen, tracking=not no_tracking)
    if share:
        more = _train_again(store, record, seen.ledger, share)
        found.violations += more.violations
        found.notes += more.notes
    for note in found.notes:
        (say if as_json else out)(f"note: {note}")
    if as_json:
        document(views.dumps(views.findings(found)))
    else:
        for violation in found.violations:
            out(f"{violation.invariant}: {violation.detail}")
        out(f"checked: {', '.join(found.checked)}")
        said = "every promise is kept" if found.ok else f"{len(found.violations)} VIOLATIONS"
        out(f"{name}: {len(seen.ledger.trials)} trials, {len(seen.runs)} runs in MLflow: {said}")
    raise typer.Exit(0 if found.ok else 1)


def _share(text: str) -> int | Fraction:
    """How many trials, or which share of them.

    Raises:
        UsageError: If it is neither.
    """
    try:
        share = Fraction(text) if "/" in text else int(text)
        if 0 <= share <= (1 if isinstance(share, Fraction) else MOST):
            return share
    except (ValueError, ZeroDivisionError):
        pass
    raise UsageError(
        f"--reproduce: must be a number of trials, such as 3, or a share, such as 1/5; "
        f"it is {short(text)!r}"
    )


def _train_again(
    store: Store, record: StudyRecord, ledger: Ledger, share: int | Fraction
) -> Findings:
    from hpsearch.trust.reproduce import reproduce
    from hpsearch.trust.turns import Turns
    from hpsearch.verify import findings

    trainer, places = trainer_of(record.study, record.folder), settings.read()

    def train(number: int) -> Reproduction:
        return reproduce(store, record, store.trial(record.id, number), trainer, places)

    if isinstance(share, int):
        return findings.train_again(findings.some(ledger, share), train)
    every = findings.trainable(ledger)
    file = places.cache / "turns" / f"{record.incarnation}.json"
    turns = Turns(file, every, record.study.search.seed)
    chosen = turns.next(share)
    found = findings.train_again(chosen, train)
    had = turns.mark(chosen)
    found.notes.append(f"{had} of {len(every)} trials have been trained again in this round")
    return found

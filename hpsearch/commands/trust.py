"""Which commands check? ``reproduce`` a trial, ``verify`` the stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, say
from hpsearch.commands.wiring import (
    MOST,
    Json,
    Name,
    TrialNumber,
    open_store,
    trainer_of,
)
from hpsearch.errors import (
    UnknownTrialError,
)

if TYPE_CHECKING:
    from hpsearch.trust.reproduce import Reproduction

app = typer.Typer()


@app.command(epilog="Example: hpsearch reproduce book --trial 37")
def reproduce(name: Name, trial: TrialNumber = None, as_json: Json = False) -> None:
    """Train a trial again, and compare every epoch and the weights."""
    from hpsearch.report import views
    from hpsearch.trust.reproduce import reproduce as train_again

    store = open_store()
    record = store.study(name)
    if trial is None:
        found = store.best(record)
        if found is None:
            raise UnknownTrialError(f"{name!r} has no COMPLETE trial yet")
    else:
        found = store.trial(record.id, trial)
    outcome = train_again(store, record, found, trainer_of(record.study, record.folder))
    if as_json:
        document(views.dumps(views.reproduction(outcome)))
    else:
        _tell(outcome, name)
    raise typer.Exit(outcome.exit_code)


def _tell(outcome: Reproduction, name: str) -> None:
    out(f"trial {outcome.number} of {name}, trained again: {outcome.epochs} epochs compared")
    if outcome.identical:
        out("identical: every metric, bit for bit")
        out(f"weights sha256 {outcome.weights_sha256}")
    elif outcome.within_tolerance:
        out(f"within the study's tolerance; {outcome.first_difference}")
    else:
        out(f"DIFFERENT: {outcome.first_difference}")
        out(f"weights sha256 {outcome.recorded_sha256} recorded, {outcome.weights_sha256} now")
        for difference in outcome.environment_differences:
            out(f"environment: {difference}")
        if not outcome.rounds_alike:
            out("this environment rounds differently: the difference says nothing about the trial")


@app.command(epilog="Example: hpsearch verify book --reproduce 3")
def verify(
    name: Name,
    reproduce: Annotated[
        int,
        typer.Option(
            min=0, max=MOST, metavar="K", help="Also train this many random trials again."
        ),
    ] = 0,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Do not check MLflow.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that the study store, Optuna's storage and MLflow agree. Changes nothing."""
    from hpsearch.report import views
    from hpsearch.trust.reproduce import reproduce as train_again
    from hpsearch.verify import findings, look

    places = settings.read()
    store = open_store()
    record = store.study(name)
    seen = look.take(store.database, name, places, tracking=not no_tracking)
    found = findings.judge(seen, tracking=not no_tracking)
    if reproduce:
        trainer = trainer_of(record.study, record.folder)
        more = findings.train_again(
            seen.ledger,
            reproduce,
            lambda number: train_again(store, record, store.trial(record.id, number), trainer),
        )
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

"""Which command ends a search? ``refit``: its best, trained on all that the search has seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch import settings
from hpsearch.commands.confirm import run_given, searched, tell
from hpsearch.commands.opening import opened_before
from hpsearch.commands.printing import document, out
from hpsearch.commands.wiring import Json, Name, NoTracking, Workers, open_store, unchanged_trainer
from hpsearch.errors import HpsearchError
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.study.given import Configuration
    from hpsearch.trust.refit import Refit

app = typer.Typer()


@app.command(epilog="Example: hpsearch refit book --ensemble 5")
def refit(
    name: Name,
    ensemble: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="How many of the best configurations to average. Default: 1."
        ),
    ] = None,
    workers: Workers = None,
    no_tracking: NoTracking = False,
    as_json: Json = False,
) -> None:
    """Train the best configuration on the training and validation part, for test and register."""
    from hpsearch.report import views
    from hpsearch.trust.refit import asked

    store = open_store()
    record = searched(store, name)
    definition = asked(store, record, ensemble)
    trainer = unchanged_trainer(replace(record, study=definition))
    run_given(store, record, definition, trainer, workers, tracking=not no_tracking)
    if not no_tracking:
        tell(store, record)
    found = ended(store, record)
    if as_json:
        document(views.dumps(_document(found, name)))
        return
    for trial, configuration in zip(found.trials, found.configurations, strict=True):
        out(f"{_source(configuration)}: weights sha256 {trial.weights_sha256}")
    many = len(found.trials)
    what = "its network" if many == 1 else f"the mean of its {many} networks"
    shown = word(name)
    out(f"{found.record.name}: what predict, register and test take from now on is {what}")
    following = ["register"] if opened_before(store.study(name)) else ["test", "register"]
    out("next:  " + "  |  ".join(f"{settings.program()} {each} {shown}" for each in following))


def ended(store: Store, record: StudyRecord) -> Refit:
    """A study's refit, which has ended.

    Raises:
        HpsearchError: If no network of it was trained to its end.
    """
    from hpsearch.trust.refit import refitted

    found = refitted(store, record)
    if found is None:
        name = f"{record.name}/refit"
        raise HpsearchError(
            f"no network of {name!r} was trained to its end; for the reasons, run: "
            f"{settings.program()} trials {word(name)}"
        )
    return found


def _document(found: Refit, name: str) -> dict[str, Any]:
    networks = [
        {
            "trial": configuration.trial,
            "values": configuration.values,
            "seed": trial.seed,
            "weights_sha256": trial.weights_sha256,
        }
        for trial, configuration in zip(found.trials, found.configurations, strict=True)
    ]
    return {"study": name, "refit": found.record.name, "networks": networks}


def _source(configuration: Configuration) -> str:
    return "the baseline" if configuration.trial is None else f"trial {configuration.trial}"

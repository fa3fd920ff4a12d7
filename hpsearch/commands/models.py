"""Which commands serve the best model? ``register`` it, and let it ``predict``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, table
from hpsearch.commands.wiring import Json, Name, best_of, open_store, unchanged_trainer
from hpsearch.errors import HpsearchError, NotComparableError, UsageError
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.projections.registry import Score

app = typer.Typer()


@app.command(epilog="Example: hpsearch register book")
def register(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Make it the champion even if it is not better.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put the best model into MLflow's registry: the confirmed one, if there is one.

    The model is trained again first, and must give the recorded weights.
    """
    import numpy as np

    from hpsearch.projections.registry import WEIGHTS, Registry
    from hpsearch.training.network import NetworkTrainer, shape_of
    from hpsearch.training.predictor import Predictor, built
    from hpsearch.trust.reproduce import confirm

    store = open_store()
    record = store.study(name)
    if record.study.data is None:
        raise UsageError(f"{name!r} trains something of its own; only networks can be registered")
    if record.study.folds > 1:
        raise UsageError(
            f"{name!r} trains {record.study.folds} networks a trial, and none of them is the one "
            f"to serve; register a study that trains the best configuration once: "
            f"`hpsearch config {word(name)}` shows it"
        )
    trial, score = _chosen(store, record)
    if trial.mlflow_run_id is None:
        raise UsageError(f"{name!r} is not in MLflow yet; run: hpsearch sync {word(name)}")
    trainer = unchanged_trainer(record)
    if not isinstance(trainer, NetworkTrainer):
        raise UsageError(f"{name!r}: name the study that was confirmed or tested")
    places = settings.read()
    again = confirm(store, record, trial, trainer, places)
    if not again.identical:
        raise NotComparableError(
            f"trial {trial.number} did not reproduce: {again.first_difference}"
        )
    config: Any = record.study.resolve(trial.params, trial.seed)
    shape = shape_of(config, trainer.splits)
    network = built(shape, np.random.default_rng(0))
    network.load_state(again.state)
    found = Registry(places).register(
        name,
        trial.mlflow_run_id,
        Predictor(network, trainer.splits.preparation),
        shape,
        score,
        {
            "hpsearch.study": name,
            "hpsearch.number": str(trial.number),
            "hpsearch.reproduce": f"hpsearch reproduce {word(name)} --trial {trial.number}",
            WEIGHTS: str(trial.weights_sha256),
        },
        maximize=record.study.search.direction == "maximize",
        force=force,
    )
    if as_json:
        from hpsearch.report import views

        told = {"model": name, "version": found.version, "trial": trial.number}
        told |= {"champion": found.champion, "score": score.value, "confirmed": score.confirmed}
        document(views.dumps(told))
        return
    what = "registered" if found.new else "was registered before"
    out(f"trial {trial.number} of {name} {what} as version {found.version} of the model {name!r}")
    if found.champion:
        out(f"it is the champion: {_said(score)}")
    elif found.before is not None:
        out(
            f"version {found.before[0]} stays the champion ({_said(found.before[1])}; this one: "
            f"{_said(score)}); --force replaces it"
        )
    uri = f"models:/{name}@champion"
    out(f"to serve it: MLFLOW_TRACKING_URI={_uri(places)} mlflow models serve -m {word(uri)}")


def _uri(places: settings.Settings) -> str:
    from hpsearch.redact import address

    return word(address(places.tracking_uri))


def _said(score: Score) -> str:
    how = "confirmed over new seeds" if score.confirmed else "in the search"
    return f"{score.metric} {score.value:.4g} {how}"


def _chosen(store: Store, record: StudyRecord) -> tuple[Trial, Score]:
    """The confirmed winner where it is a trial of the search, and otherwise the best trial."""
    from hpsearch.projections.registry import Score
    from hpsearch.trust.confirming import confirmation

    metric, known = record.study.search.metric, confirmation(store, record)
    if known is not None and known.winner.trial is not None and known.winner.estimate is not None:
        trial = store.trial(record.id, known.winner.trial)
        return trial, Score(metric, known.winner.estimate.value, confirmed=True)
    best = best_of(store, record)
    return best, Score(metric, float(best.value or 0.0), confirmed=False)


@app.command(epilog="Example: hpsearch predict book digit.png")
def predict(
    name: Name,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Pictures, or one CSV or .npz file."),
    ],
    as_json: Json = False,
) -> None:
    """Let the registered champion of a study predict: labels with probabilities, or numbers."""
    from hpsearch.data.examples import read
    from hpsearch.projections.registry import Registry
    from hpsearch.report import views
    from hpsearch.training.predictor import Predictor
    from hpsearch.trust import environment

    with tempfile.TemporaryDirectory(prefix="hpsearch-champion-") as folder:
        version, place = Registry(settings.read()).champion(name, Path(folder))
        try:
            predictor = Predictor.load(place)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HpsearchError(f"version {version} of {name!r} cannot be read: {error}") from None
    known = predictor.preparation
    names, x = read(files, known)
    try:
        with environment.single_thread():
            answers = predictor.answers(x)
    except ValueError as error:
        raise UsageError(f"{files[0]}: {error}") from None
    if as_json:
        rows = [dict(zip(answers, row, strict=True)) for row in zip(*answers.values(), strict=True)]
        predictions = [{"example": n, **row} for n, row in zip(names, rows, strict=True)]
        document(views.dumps({"model": name, "version": version, "predictions": predictions}))
        return
    heads = [head for head in ("label", "probability", "value") if head in answers]
    columns = [answers[head] for head in heads]
    table(
        ["example", *heads],
        [[n, *map(views.value_, row)] for n, *row in zip(names, *columns, strict=True)],
    )

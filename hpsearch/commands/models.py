"""Which commands serve the best model? ``register`` it, and let it ``predict``."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch import settings
from hpsearch.commands.printing import document, out, table
from hpsearch.commands.wiring import Json, Name, best_of, open_store, unchanged_trainer
from hpsearch.errors import HpsearchError, NotComparableError, UsageError
from hpsearch.text import word

if TYPE_CHECKING:
    from hpsearch.ledger.records import StudyRecord
    from hpsearch.ledger.store import Store
    from hpsearch.projections.registry import Score
    from hpsearch.training.predictor import Predictor
    from hpsearch.trust.refit import Refit

app = typer.Typer()


@app.command(epilog="Example: hpsearch register book")
def register(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Make it the champion even if it is not better.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put the best model into MLflow's registry: the refit, or else the confirmed or best trial.

    The model is trained again first, and must give the recorded weights.
    """
    from hpsearch.projections.registry import WEIGHTS, Registry
    from hpsearch.trust.confirming import require_ended
    from hpsearch.trust.refit import refitted

    store = open_store()
    record = store.study(name)
    if record.study.data is None:
        raise UsageError(f"{name!r} trains something of its own; only networks can be registered")
    if record.study.given is not None:
        raise UsageError(f"{name!r}: name the study that was confirmed, refitted or tested")
    require_ended(store, record, "refit")
    places, refit = settings.read(), refitted(store, record)
    model = (
        _of_trial(store, record, places)
        if refit is None
        else _of_refit(store, record, refit, places)
    )
    score = model.score
    found = Registry(places).register(
        name,
        model.run_id,
        model.predictor,
        score,
        {
            "hpsearch.study": name,
            "hpsearch.number": str(model.trial),
            "hpsearch.reproduce": f"hpsearch reproduce {word(model.of)} --trial {model.trial}",
            WEIGHTS: model.weights_sha256,
        },
        maximize=record.study.search.direction == "maximize",
        force=force,
    )
    if as_json:
        from hpsearch.report import views

        told = {"model": name, "version": found.version, "trial": model.trial}
        told |= {"champion": found.champion, "score": score.value, "confirmed": score.confirmed}
        document(views.dumps({**told, "refit": score.refit}))
        return
    what = "registered" if found.new else "was registered before"
    out(f"{model.said} {what} as version {found.version} of the model {name!r}")
    if found.champion:
        out(f"it is the champion: {_said(score)}")
    elif found.before is not None:
        out(
            f"version {found.before[0]} stays the champion ({_said(found.before[1])}; this one: "
            f"{_said(score)}); --force replaces it"
        )
    uri = f"models:/{name}@champion"
    serve = (
        f"MLFLOW_TRACKING_URI={_uri(places)} mlflow models serve -m {word(uri)} --env-manager local"
    )
    out(f"to serve it: {serve}")


def _uri(places: settings.Settings) -> str:
    from hpsearch.redact import address

    return word(address(places.tracking_uri))


def _said(score: Score) -> str:
    how = "confirmed over new seeds" if score.confirmed else "in the search"
    return f"{score.metric} {score.value:.4g} {how}"


@dataclass(frozen=True, slots=True)
class _Model:
    """What is registered."""

    of: str
    """The study whose trials it is of."""
    trial: int
    """The first of them."""
    said: str
    """What a sentence calls it."""
    run_id: str
    predictor: Predictor
    weights_sha256: str
    score: Score


def _of_trial(store: Store, record: StudyRecord, places: settings.Settings) -> _Model:
    """The confirmed winner, and without a confirmation the best trial."""
    from hpsearch.training.network import NetworkTrainer, shape_of
    from hpsearch.training.predictor import Predictor, trained
    from hpsearch.trust.confirming import confirmation, require_ended
    from hpsearch.trust.reproduce import confirm

    refit = f"{settings.program()} refit {word(record.name)}"
    if record.study.folds > 1:
        raise UsageError(
            f"{record.name!r} trains {record.study.folds} networks a trial, none of which has seen "
            f"all examples; train one that has: {refit}"
        )
    require_ended(store, record, "confirm")
    known = confirmation(store, record)
    if known is None:
        trial = best_of(store, record)
    elif known.winner.trial is not None:
        trial = store.trial(record.id, known.winner.trial)
    else:
        raise UsageError(
            f"the confirmed winner of {record.name!r} is the baseline, which is no trial of the "
            f"search; train it: {refit}"
        )
    run_id = _run_of(record, trial.mlflow_run_id)
    trainer = unchanged_trainer(record)
    assert isinstance(trainer, NetworkTrainer)
    again = confirm(store, record, trial, trainer, places)
    if not again.identical:
        raise NotComparableError(
            f"trial {trial.number} did not reproduce: {again.first_difference}"
        )
    config: Any = record.study.resolve(trial.params, trial.seed)
    shape = shape_of(config, trainer.splits)
    return _Model(
        of=record.name,
        trial=trial.number,
        said=f"trial {trial.number} of {record.name}",
        run_id=run_id,
        predictor=Predictor([shape], [trained(shape, again.state)], trainer.splits.preparation),
        weights_sha256=str(trial.weights_sha256),
        score=_score(store, record, trial.number),
    )


def _of_refit(store: Store, record: StudyRecord, refit: Refit, places: settings.Settings) -> _Model:
    """The networks of a refit together."""
    from hpsearch.ledger.records import weights_digest
    from hpsearch.trust.refit import predictor

    run_id = _run_of(refit.record, refit.record.mlflow_run_id)
    trainer = unchanged_trainer(refit.record)
    found, many = predictor(store, refit, trainer, places), len(refit.trials)
    return _Model(
        of=refit.record.name,
        trial=refit.trials[0].number,
        said=f"{refit.record.name} ({many} network{'s' if many > 1 else ''})",
        run_id=run_id,
        predictor=found,
        weights_sha256=weights_digest(found.state),
        score=replace(_score(store, record, refit.configurations[0].trial), refit=many),
    )


def _run_of(record: StudyRecord, run_id: str | None) -> str:
    if run_id is None:
        name = record.name
        raise UsageError(f"{name!r} is not in MLflow yet; run: hpsearch sync {word(name)}")
    return run_id


def _score(store: Store, record: StudyRecord, trial: int | None) -> Score:
    """How good a trial's configuration is: confirmed over new seeds, or in the search.

    Args:
        store: The ledger.
        record: The study.
        trial: Its number; None of the baseline, which only a confirmation has trained.
    """
    from hpsearch.projections.registry import Score
    from hpsearch.trust.confirming import confirmation

    metric, known = record.study.search.metric, confirmation(store, record)
    for one in known.contenders if known is not None else ():
        if one.trial == trial and one.estimate is not None:
            return Score(metric, one.estimate.value, confirmed=True)
    if trial is None:
        raise UsageError(
            f"the confirmation of {record.name!r} is gone, and with it how good the baseline is; "
            f"run: hpsearch confirm {word(record.name)}"
        )
    return Score(metric, float(store.trial(record.id, trial).value or 0.0), confirmed=False)


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

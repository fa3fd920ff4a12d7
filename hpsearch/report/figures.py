"""Which figures does a study get, and what do they show?

That follows from the study's shape alone. Where its trials are *settings* chosen by hand (a grid of
choices, or a list of points) they are held beside each other: activations where nothing was
trained, losses by step where those are recorded, else curves by epoch. All other studies are
*searches*: values by trial and parameter, and the curves of the best trials.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hpsearch.errors import HpsearchError
from hpsearch.ledger.records import Curve, State, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.report import plots, views
from hpsearch.report.plots import Histograms, Outcomes, Panel, Parameter, Title
from hpsearch.settings import Settings
from hpsearch.study.config import Choices, Params, Study
from hpsearch.training.network import NetworkTrainer
from hpsearch.training.seam import Trainer

MOST_SETTINGS = 40
"""More settings than these are no comparison that fits one figure."""
BEST = 20
"""Best trials whose curves are drawn (Fig. 6-24)."""

NAMES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}
DRAWN = {"relu": (0.0, 2.0), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""What is drawn of an activation's range."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial that was trained, with its curve."""

    trial: Trial
    curve: Curve


def draw(store: Store, record: StudyRecord, trainer: Callable[[], Trainer]) -> dict[str, Figure]:
    """The study's figures, by the names of their files.

    Args:
        store: The ledger.
        record: The study.
        trainer: Gives what trains it, if a network has to be built again.

    Raises:
        HpsearchError: If there is nothing to draw yet.
    """
    study = record.study
    finished = [
        Finished(trial, curve)
        for trial, curve in store.finished(record.id)
        if trial.state is not State.FAIL
    ]
    if not finished:
        counts = views.counted(store.counts(record.id))
        raise HpsearchError(
            f"{record.name!r} has no trial to draw ({counts}); see: hpsearch trials {record.name}"
        )
    if not compares(study):
        figures = {f"{study.name}.png": _search(study, finished)}
        ranked = [f for f in _ranked(study, finished) if len(f.curve)]
        if len(ranked) > 1:
            figures[f"{study.name}-best.png"] = _best(study, finished, ranked[:BEST])
        return figures
    finished.sort(key=lambda f: _place(study, f.trial.params))
    if study.fixed["training"].get("epochs") == 0:
        return {f"{study.name}.png": _activations(study, finished, trainer())}
    if study.fixed["training"].get("record") == "step":
        return {f"{study.name}.png": _steps(store, record, finished)}
    return {f"{study.name}.png": _settings(study, finished)}


def compares(study: Study) -> bool:
    """Whether the trials are settings chosen by hand, few enough to be seen beside each other."""
    listed = study.search.sampler == "grid" or len(study.search.enqueue) >= study.search.trials
    chosen = all(isinstance(open_, Choices) for open_ in study.space.values())
    return (not study.space or (listed and chosen)) and study.search.trials <= MOST_SETTINGS


def write(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Save figures as PNG: the same figure as the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # A study's name may have letters that the font has not: boxes stand for them.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        for name, figure in figures.items():
            figure.savefig(folder / name, format="png")
    return [folder / name for name in figures]


def track(settings: Settings, record: StudyRecord, files: Iterable[Path]) -> bool:
    """Put files beside the study's run in MLflow, over those of an earlier report.

    Returns:
        Whether the study has a run there.

    Raises:
        TrackingError: If MLflow cannot be reached or refuses.
    """
    if record.mlflow_run_id is None:
        return False
    from hpsearch.projections.mlflow_runs import Tracking

    Tracking(settings, record, create=False).write_report(record.mlflow_run_id, files)
    return True


# -- settings beside each other


def _steps(store: Store, record: StudyRecord, finished: list[Finished]) -> Figure:
    study = record.study
    losses = store.steps(record.id, [f.trial.number for f in finished])
    lines = {_name(f.trial): losses[f.trial.number] for f in finished if f.trial.number in losses}
    longest = max((len(line) for line in lines.values()), default=0)
    window = max(longest // max(f.trial.epochs for f in finished), 1) if longest else 1
    return plots.steps(
        Title(
            f"{study.name}: loss by iteration",
            f"{_trials(finished)}, {longest:,} iterations on {study.data.train:,} examples",
        ),
        lines,
        window,
    )


def _settings(study: Study, finished: list[Finished]) -> Figure:
    metric = study.search.metric
    kind = metric.partition("_")[2]
    pair = _pair(study)
    if pair is None:
        drawn = [Panel(_name(f.trial), _both(study, f.curve), _ending(f.trial)) for f in finished]
        if len(drawn) == 1 and not study.space:
            drawn = [replace(drawn[0], title="")]
        what = f"{study.name}: {kind} by epoch"
        columns = 3 if len(drawn) <= 6 else 5
    else:
        lines, across = pair
        drawn = []
        for choice in _choices(study, across):
            column = [f for f in finished if f.trial.params[across] == choice]
            if column:
                curves = {
                    _part(lines, f.trial.params[lines]): f.curve[:, study.column] for f in column
                }
                endings = [_ending(f.trial, lines) for f in column]
                drawn.append(Panel(_part(across, choice), curves, "\n".join(filter(None, endings))))
        what = f"{study.name}: {_worded(metric)} by epoch"
        columns = 3 if len(drawn) <= 6 else 4
    most = max(f.trial.epochs for f in finished)
    title = Title(what, f"{_trials(finished)}, {most} epochs, {_examples(study)}")
    return plots.panels(title, _axis(kind), drawn, columns)


def _activations(study: Study, finished: list[Finished], trainer: Trainer) -> Figure:
    assert isinstance(trainer, NetworkTrainer)
    rows = []
    for f in finished:
        config = study.resolve(f.trial.params, f.trial.seed)
        layers = trainer.train(config).activations()
        low, high = DRAWN[config.network.activation]
        rows.append(Histograms(_name(f.trial, "\n"), layers, low, high))
    inputs = len(trainer.splits.train.x)
    return plots.activations(
        Title(
            f"{study.name}: what comes out of each hidden layer before training",
            f"{len(rows)} networks, {inputs:,} inputs; share of the activations in each bar, "
            f"cut at 25 %",
        ),
        rows,
    )


def _pair(study: Study) -> tuple[str, str] | None:
    """Of two open places, that of the lines, which has fewer choices, and that of the plots."""
    if len(study.space) != 2:
        return None
    fewer, more = sorted(study.space, key=lambda path: len(_choices(study, path)))
    return fewer, more


# -- searches


def _search(study: Study, finished: list[Finished]) -> Figure:
    metric = study.search.metric
    column, kind = study.column, metric.partition("_")[2]
    # A trial that diverged at once has nothing to show.
    shown = [f for f in finished if f.trial.value is not None or len(f.curve)]
    complete = np.array([f.trial.state is State.COMPLETE for f in shown], dtype=np.bool_)
    values = [f.curve[-1, column] if f.trial.value is None else f.trial.value for f in shown]
    outcomes = Outcomes(
        metric=_worded(metric),
        maximize=study.search.direction == "maximize",
        numbers=[f.trial.number for f in shown],
        values=np.array(values, dtype=np.float64),
        complete=complete,
    )
    parameters = []
    for path, open_ in study.space.items():
        taken = [f.trial.params[path] for f in shown]
        name = path.partition(".")[2]
        if isinstance(open_, Choices):
            parameters.append(Parameter(name, taken, open_.choices))
        else:
            parameters.append(Parameter(name, taken, log=open_.log))
    ranked = _ranked(study, finished)
    best = None
    of = _trials(finished)
    if ranked:
        first = ranked[0]
        of += f", best: {_worded(metric)} {views.value_(first.trial.value)}"
        if len(first.curve):
            best = Panel(f"best: trial {first.trial.number}", _both(study, first.curve))
    what = f"{study.name}: {_worded(metric)} by trial and by parameter"
    return plots.search(Title(what, of), outcomes, parameters, best, _axis(kind))


def _best(study: Study, finished: list[Finished], ranked: list[Finished]) -> Figure:
    metric = study.search.metric
    kind = metric.partition("_")[2]
    drawn = [
        Panel(
            f"{place}: {views.value_(f.trial.value)} (trial {f.trial.number})",
            _both(study, f.curve),
            "\n".join(_part(path, value) for path, value in f.trial.params.items()),
        )
        for place, f in enumerate(ranked, start=1)
    ]
    what = f"{study.name}: {kind} by epoch of the {len(drawn)} best trials"
    title = Title(what, f"of {_trials(finished)}, by {_worded(metric)}; {_examples(study)}")
    return plots.panels(title, _axis(kind), drawn, 5)


def _ranked(study: Study, finished: list[Finished]) -> list[Finished]:
    sign = -1.0 if study.search.direction == "maximize" else 1.0
    done = [(sign * f.trial.value, f) for f in finished if f.trial.value is not None]
    return [f for _, f in sorted(done, key=lambda pair: (pair[0], pair[1].trial.number))]


# -- words


def _both(study: Study, curve: Curve) -> dict[str, plots.Numbers]:
    """The search's metric, of the training and the validation part where there are both."""
    metric, names = study.search.metric, study.metrics
    kind = metric.partition("_")[2]
    parts = {"training": f"train_{kind}", "validation": f"val_{kind}"}
    if not set(parts.values()) <= set(names):
        parts = {_worded(metric): metric}
    return {part: curve[:, names.index(name)] for part, name in parts.items()}


def _worded(metric: str) -> str:
    """A metric in words."""
    return NAMES.get(metric, metric.replace("_", " "))


def _axis(kind: str) -> str:
    return plots.ACCURACY if kind == "accuracy" else plots.LOSS


def _choices(study: Study, path: str) -> tuple[object, ...]:
    return tuple(study.space[path].ends())


def _place(study: Study, params: Params) -> list[int]:
    """Where a setting stands among all, as the study file lists them."""
    return [_choices(study, path).index(value) for path, value in params.items()]


def _name(trial: Trial, between: str = ", ") -> str:
    """A setting by what is open: words first, then numbers."""
    parts = sorted(trial.params.items(), key=lambda part: not isinstance(part[1], str))
    return between.join(_part(path, value) for path, value in parts) or f"trial {trial.number}"


def _part(path: str, value: object) -> str:
    name = path.partition(".")[2].replace("_", " ")
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {name}"
    if path in ("training.optimizer", "network.activation"):
        return str(value)
    if path == "network.init" and not isinstance(value, str):
        name = "init std"
    return f"{name} {views.value_(value, 3)}"


def _ending(trial: Trial, path: str | None = None) -> str:
    """Said of a setting that was not trained to the end; ``path`` tells it from others."""
    if trial.state is State.COMPLETE:
        return ""
    who = f"{_part(path, trial.params[path])}:\n" if path else ""
    if trial.reason == "diverged":
        return f"{who}diverged in epoch {trial.epochs + 1}"
    return f"{who}pruned after epoch {trial.epochs}"


def _trials(finished: list[Finished]) -> str:
    pruned = sum(f.trial.state is State.PRUNED for f in finished)
    count = len(finished)
    return f"{count} trial{'s' if count > 1 else ''}" + (f" ({pruned} pruned)" if pruned else "")


def _examples(study: Study) -> str:
    train, validation = study.data.train, study.data.validation
    if isinstance(validation, float):
        validation = round(train * validation)
        train -= validation
    return f"{train:,} training and {validation:,} validation examples"

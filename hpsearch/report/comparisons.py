"""How are settings chosen by hand held beside each other?

Activations where nothing was trained, losses by iteration where those are recorded, else curves by
epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.report import histograms, panels, words
from hpsearch.report.histograms import Histograms
from hpsearch.report.panels import Panel
from hpsearch.report.style import ACCURACY, LOSS, Title, Told
from hpsearch.report.trials import (
    Ending,
    Finished,
    counted,
    examples,
    kind_of,
    metric_name,
    parts,
    titled,
)
from hpsearch.study.conditions import conditional
from hpsearch.study.config import Choices, Study, TrialConfig, same
from hpsearch.study.folds import each
from hpsearch.training.network import NetworkTraining
from hpsearch.training.seam import Trainer

MOST_PLACES = 4
"""Open places that a setting's name says."""
DRAWN = {"relu": (0.0, 2.0), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""What is drawn of an activation's range."""


def compared(
    store: Store, record: StudyRecord, finished: Sequence[Finished], trainer: Callable[[], Trainer]
) -> Figure | Told:
    """The figure of a study whose trials are settings.

    Args:
        store: The ledger.
        record: The study.
        finished: Its trained trials.
        trainer: Gives what trains it, if networks have to be built again.
    """
    study = record.study
    settings = sorted(finished, key=lambda f: _place(study, f))
    if study.epochs == 0:
        return _activations(study, settings, trainer())
    if all(f.ending is Ending.DIVERGED for f in settings):
        return diverged(study, settings)
    if study.fixed.get("training", {}).get("record") == "step":
        return _steps(store, record, settings)
    return _curves(study, settings)


def diverged(study: Study, finished: Sequence[Finished]) -> Told:
    """Said instead of drawn: nothing was learned in any trial. The first of them are listed."""
    paths = list(study.space)[:6]
    return Told(
        Title(titled(study, "every trial diverged"), counted(finished)),
        f"Each training was stopped when its loss became infinite or no number, so there is "
        f"nothing to draw.{_learning_rates(study)}",
        ["trial", "in epoch", *(_key(path) for path in paths)],
        [
            [
                str(f.trial.number),
                str(f.trial.epochs + 1),
                *(words.value(f.trial.params.get(path), 3) for path in paths),
            ]
            for f in finished[:20]
        ],
    )


def quantity(study: Study) -> str:
    """What an axis says that shows the study's metric, of both parts where there are both."""
    kind = kind_of(study.search.metric)
    if study.objective is not None:
        return metric_name(kind)
    return {"accuracy": ACCURACY, "loss": LOSS, "r2": "R²", "f1": "F1"}[kind]


def part(path: str, value: object) -> str:
    """One open place and its value: ``lr 0.01``, ``adam``, ``without batch norm``."""
    name = _key(path).replace("_", " ")
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {name}"
    if path in ("training.optimizer", "network.activation"):
        return str(value)
    if path == "network.init" and not isinstance(value, str):
        name = "init std"
    return f"{name} {words.value(value, 3)}"


def ending(f: Finished, path: str | None = None) -> list[str]:
    """Said of a setting that was not trained to the end; ``path`` tells it from others."""
    if f.ending is Ending.COMPLETE:
        return []
    who = f"{part(path, f.trial.params[path])}: " if path else ""
    if f.ending is Ending.DIVERGED:
        return [f"{who}diverged in epoch {f.trial.epochs + 1}"]
    return [f"{who}pruned after epoch {f.trial.epochs}"]


def _steps(store: Store, record: StudyRecord, settings: Sequence[Finished]) -> Figure:
    study = record.study
    losses = store.steps(record.id, [f.trial.number for f in settings])
    names = _names(settings)
    drawn = [(name, f.trial.number) for name, f in zip(names, settings, strict=True)]
    lines = {name: losses[number] for name, number in drawn if number in losses}
    absent = [name for name, number in drawn if number not in losses]
    longest = max(len(line) for line in lines.values())
    window = max(longest // max(f.trial.epochs for f in settings), 1)
    taught, _ = parts(study) or (0, 0)
    return panels.steps(
        Title(
            titled(study, "loss by iteration"),
            f"{counted(settings)}, {longest:,} iterations on {taught:,} examples",
            f"diverged in the first epoch: {words.listed(absent)}" if absent else "",
        ),
        lines,
        window,
    )


def _curves(study: Study, settings: Sequence[Finished]) -> Figure:
    metric = study.search.metric
    pair = _pair(study)
    if pair is None:
        drawn = [
            Panel(name, f.both(metric), ending(f))
            for name, f in zip(_names(settings), settings, strict=True)
        ]
        if len(drawn) == 1 and not study.space:
            drawn = [replace(drawn[0], title="")]
        what = titled(study, f"{kind_of(metric)} by epoch")
        columns = 3 if len(drawn) <= 6 else 5
    else:
        lines, across = pair
        drawn = []
        for choice in _choices(study, across):
            column = [f for f in settings if same(f.trial.params[across], choice)]
            if column:
                by_label = {part(lines, f.trial.params[lines]): f.line(metric) for f in column}
                notes = [note for f in column for note in ending(f, lines)]
                drawn.append(Panel(part(across, choice), by_label, notes))
        what = titled(study, f"{metric_name(metric)} by epoch")
        columns = 3 if len(drawn) <= 6 else 4
    most = max(f.trial.epochs for f in settings)
    title = Title(what, f"{counted(settings)}, {most} epochs, {examples(study)}")
    return panels.panels(title, quantity(study), drawn, columns)


def _activations(study: Study, settings: Sequence[Finished], trainer: Trainer) -> Figure | Told:
    rows, inputs = [], 0
    for name, f in zip(_names(settings, "\n"), settings, strict=True):
        config = study.resolve(f.trial.params, f.trial.seed)
        assert isinstance(config, TrialConfig)
        low, high = DRAWN[config.network.activation]
        training = trainer.train(each(config)[0])
        assert isinstance(training, NetworkTraining)
        rows.append(Histograms(name, training.activations(), low, high))
        inputs = len(training.parts.train.y)
    what = titled(study, "what comes out of each hidden layer before training")
    of = f"{words.count(len(rows), 'network')}, {inputs:,} inputs"
    if not any(row.layers for row in rows):
        metric = study.search.metric
        return Told(
            Title(what, of),
            "No network here has a hidden layer (hidden = []), and none was trained (epochs = 0): "
            "there are no activations to draw. What the first weights give:",
            ["setting", metric_name(metric)],
            [
                [name, words.value(f.trial.value)]
                for name, f in zip(_names(settings), settings, strict=True)
            ],
        )
    deepest = max(len(row.layers) for row in rows)
    shown = (
        f"; {histograms.MOST_LAYERS} of {deepest} layers"
        if deepest > histograms.MOST_LAYERS
        else ""
    )
    title = Title(what, f"{of}{shown}; share of the activations in each bar, cut at 25 %")
    return histograms.activations(title, rows)


def _pair(study: Study) -> tuple[str, str] | None:
    """Of two open places, that of the lines, which has fewer choices, and that of the plots."""
    if len(study.space) != 2 or conditional(study.space):
        return None
    for path in study.space:
        shown = [part(path, choice) for choice in _choices(study, path)]
        if len(set(shown)) < len(shown):
            return None
    fewer, more = sorted(study.space, key=lambda path: len(_choices(study, path)))
    return fewer, more


def _choices(study: Study, path: str) -> tuple[object, ...]:
    return tuple(study.space[path].ends())


def _place(study: Study, f: Finished) -> list[int]:
    """Where a setting stands among all, as the study file lists them."""
    params = f.trial.params
    return [
        next((i for i, c in enumerate(_choices(study, path)) if same(params.get(path), c)), -1)
        for path in study.space
    ]


def _names(settings: Sequence[Finished], between: str = ", ") -> list[str]:
    """Each setting by what tells it from others: words first, then numbers; all are different."""
    paths = list(dict.fromkeys(path for f in settings for path in f.trial.params))
    if len(settings) > 1:
        differ = [p for p in paths if len({repr(f.trial.params.get(p)) for f in settings}) > 1]
        paths = differ or paths
    names = []
    for f in settings:
        had = [path for path in paths if path in f.trial.params]
        chosen = sorted(had, key=lambda path: not isinstance(f.trial.params[path], str))
        told = [part(path, f.trial.params[path]) for path in chosen]
        name = between.join(words.several(told, MOST_PLACES))
        number = f"trial {f.trial.number}"
        names.append(f"{name} ({number})" if name in names else name or number)
    return names


def _learning_rates(study: Study) -> str:
    """What to do about a divergence, where the training is hpsearch's own."""
    if study.objective is not None:
        return ""
    open_ = study.space.get("training.lr")
    if open_ is None:
        said = f"lr is {words.value(study.fixed['training'].get('lr'))}"
    else:
        ends = [words.value(end) for end in open_.ends()]
        said = f"lr was searched from {ends[0]} to {ends[1]}"
        if isinstance(open_, Choices):
            said = f"lr was one of {words.listed(ends)}"
    return f" Lower learning rates may help; {said}."


def _key(path: str) -> str:
    return path.partition(".")[2]

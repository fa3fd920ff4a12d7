"""What does the best trial's network get wrong? Its confusion matrix and its worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hpsearch.errors import HpsearchError
from hpsearch.report import words
from hpsearch.report.style import Title, figure
from hpsearch.report.trials import Finished
from hpsearch.study.config import Study
from hpsearch.training.folds import networks
from hpsearch.training.seam import Trainer
from hpsearch.trust import environment

LONGEST = 20.0
"""Seconds that the best trial may have taken: it is trained once more."""
MOST_CLASSES = 20
SHOWN = 12
"""Mistakes that are shown."""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What the network says of the validation part, or those of all folds of theirs."""

    names: Sequence[str]
    """Of the classes."""
    confusion: NDArray[np.int64]
    """(classes, classes): how many of a class (rows) were said to be of which (columns)."""
    images: list[NDArray[np.float64]]
    """The worst mistakes, the most confident first, where examples are square images."""
    told: list[str]
    """What each is, and what was said of it."""
    same: bool
    """Whether the training gave the recorded weights."""


def mistakes(
    study: Study, best: Finished, trainer: Callable[[], Trainer], names: Sequence[str] = ()
) -> Mistakes | str:
    """Train the best trial once more and look, where that is cheap; or why it was not done."""
    trial = best.trial
    if study.data is None or study.data.task == "regression":
        return ""  # there are no classes
    if study.given is not None:
        return ""  # no trial of it is the best
    if trial.ended is None or trial.ended - trial.started > LONGEST:
        return f"the best trial took more than {LONGEST:.0f} s, and was not trained again for this"
    try:
        trains = trainer()
    except HpsearchError as error:
        return f"the data is not at hand ({error})"
    with environment.single_thread():
        training = trains.train(study.resolve(trial.params, trial.seed))
        for _ in training:
            pass
        several = networks(training)
        probabilities = np.concatenate(
            [each.probabilities(each.parts.validation.x) for each in several]
        )
    x = np.concatenate([each.parts.validation.x for each in several])
    right = np.concatenate([each.parts.validation.y for each in several]).astype(np.intp)
    probabilities, said = probabilities.astype(np.float64), probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (right, said), 1)
    wrong = np.flatnonzero(said != right)
    wrong = wrong[np.argsort(-probabilities[wrong, said[wrong]], kind="stable")][:SHOWN]
    side = math.isqrt(x.shape[1])
    square = side > 4 and side**2 == x.shape[1]
    names = [str(i) for i in range(classes)] if len(names) != classes else names
    return Mistakes(
        names=names,
        confusion=confusion,
        images=[x[i].reshape(side, side).astype(np.float64) for i in wrong] if square else [],
        told=[
            f"{names[right[i]]}, said {names[said[i]]} ({probabilities[i, said[i]]:.0%})"
            for i in wrong
        ],
        same=training.sha256 == trial.weights_sha256,
    )


def drawn(title: Title, found: Mistakes) -> Figure:
    """The matrix, and beside it the images."""
    classes = len(found.confusion)
    made = figure(title, 10.0, 5.0)
    axes, *_ = made.subplots(1, 2 if found.images else 1, squeeze=False, width_ratios=None)[0]
    axes.imshow(found.confusion, cmap="Blues")
    for (row, column), count in np.ndenumerate(found.confusion):
        if count and classes <= MOST_CLASSES:
            dark = count > found.confusion.max() / 2
            colour = "#ffffff" if dark else "#000000"
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xlabel("said")
    axes.set_ylabel("is")
    ticks = list(range(0, classes, max(1, classes // MOST_CLASSES)))
    names = [words.shorten(found.names[tick], 12) for tick in ticks]
    axes.set_xticks(ticks, names, parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    if sum(map(words.cells, names)) > 40:
        axes.tick_params(axis="x", rotation=90)
    axes.tick_params(labelsize=8)
    if found.images:
        _images(made, found)
    return made


def _images(made: Figure, found: Mistakes) -> None:
    place: Any = made.axes[1]
    place.set_axis_off()
    place.set_title(
        f"the most confident of {words.count(len(found.images), 'mistake')}"
        if len(found.images) < SHOWN
        else f"the {SHOWN} most confident mistakes",
        fontsize=10,
    )
    columns, rows = 4, math.ceil(len(found.images) / 4)
    for index, (image, told) in enumerate(zip(found.images, found.told, strict=True)):
        row, column = divmod(index, columns)
        inset = place.inset_axes(
            (column / columns + 0.02, 1 - (row + 1) / max(rows, 2), 0.21, 0.8 / max(rows, 2))
        )
        inset.imshow(image, cmap="gray_r")
        inset.set_title(words.shorten(told, 20), fontsize=6.5, pad=2, parse_math=False)
        inset.set_xticks([])
        inset.set_yticks([])

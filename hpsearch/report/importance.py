"""Which parameters mattered, and can that be told from chance?

PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023), as Optuna computes it: how much the values of
the best tenth of the trials differ from those of all. How far it is to be trusted is resampled:
trials drawn with replacement give an interval, values shuffled among the trials what chance gives.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial

from hpsearch.report import words
from hpsearch.report.style import COLOURS, GREY, Numbers, Title, figure, legend, plain
from hpsearch.report.trials import Ending, Finished
from hpsearch.search.optuna_terms import distributions, frozen, without_warnings
from hpsearch.search.view import NAME, View
from hpsearch.study.config import Study

FEWEST = 20
"""Complete trials that it takes: the best tenth are two then."""
BOOTSTRAPS, SHUFFLES = 40, 20


@dataclass(frozen=True, slots=True)
class Importance:
    """One parameter's share of all that mattered."""

    path: str
    share: float
    low: float
    high: float
    """Ends of the 90 % interval of the bootstrap."""
    clear: bool
    """Whether the interval of what it explains lies above 95 % of what chance gives."""


def importances(study: Study, finished: Sequence[Finished]) -> list[Importance]:
    """Of each parameter that every trial has, the most important first.

    There are none where trials are too few.
    """
    complete = [f for f in finished if f.ending is Ending.COMPLETE]
    paths = [path for path, open_ in study.space.items() if not open_.when]
    if len(complete) < FEWEST or not paths:
        return []
    known = distributions(study)
    trials = [frozen(study, f.trial, f.curve, known) for f in complete]
    rng = np.random.default_rng(0)
    whole = _evaluate(study, trials, paths)
    drawn = [rng.integers(len(trials), size=len(trials)) for _ in range(BOOTSTRAPS)]
    resampled = np.array([_evaluate(study, [trials[i] for i in draw], paths) for draw in drawn])
    chance = np.array([_evaluate(study, _shuffled(trials, rng), paths) for _ in range(SHUFFLES)])
    shares = resampled / np.maximum(resampled.sum(axis=1, keepdims=True), 1e-300)
    low, high = np.quantile(shares, [0.05, 0.95], axis=0)
    clear = np.quantile(resampled, 0.05, axis=0) > np.quantile(chance, 0.95, axis=0)
    share = whole / max(float(whole.sum()), 1e-300)
    rows = zip(paths, share.tolist(), low.tolist(), high.tolist(), clear.tolist(), strict=True)
    found = [Importance(*row) for row in rows]
    return sorted(found, key=lambda one: -one.share)


def drawn(title: Title, found: Sequence[Importance]) -> Figure:
    """A bar a parameter, with its interval; what cannot be told from chance is hatched."""
    made = figure(title, 9.0, 0.36 * len(found) + 1.8)
    axes = made.add_subplot()
    places = np.arange(len(found))[::-1]
    for clear, label in ((True, "clear"), (False, "too few trials to tell it from chance")):
        here = [(at, one) for at, one in zip(places, found, strict=True) if one.clear is clear]
        if not here:
            continue
        axes.barh(
            [at for at, _ in here],
            [one.share for _, one in here],
            height=0.6,
            color=COLOURS[0] if clear else "#e8e8e8",
            edgecolor=COLOURS[0] if clear else GREY,
            hatch="" if clear else "///",
            label=label,
        )
    ends = np.array([[one.share - one.low, one.high - one.share] for one in found]).T
    axes.errorbar(
        [one.share for one in found],
        places,
        xerr=np.maximum(ends, 0),
        fmt="none",
        color="#000000",
        capsize=3,
        linewidth=1,
        label="90 % interval (bootstrap)",
    )
    names = [words.shorten(one.path.partition(".")[2], 34) for one in found]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of all that mattered for reaching the best tenth (PED-ANOVA)")
    plain(axes)
    legend(made, {str(h.get_label()): h for h in axes.containers}, 9.0)
    return made


def _evaluate(study: Study, trials: list[FrozenTrial], paths: list[str]) -> Numbers:
    view = optuna.Study(NAME, View(study, trials, len(trials)))
    with without_warnings():  # that trials are few is said by the interval
        found = PedAnovaImportanceEvaluator().evaluate(view)
    return np.array([found.get(path, 0.0) for path in paths])


def _shuffled(trials: list[FrozenTrial], rng: np.random.Generator) -> list[FrozenTrial]:
    """The same trials, with the values dealt out anew."""
    dealt = []
    for trial, other in zip(trials, rng.permutation(len(trials)), strict=True):
        copied = copy.copy(trial)
        copied.values = trials[other].values
        dealt.append(copied)
    return dealt

"""How is a search drawn? Values by trial, with the best so far, and by what each parameter was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hpsearch.report import scale as scales
from hpsearch.report import words
from hpsearch.report.panels import Panel, by_epoch, curves, handles
from hpsearch.report.scale import Scale
from hpsearch.report.style import (
    ACCURACY,
    COLOURS,
    GREY,
    ORDER,
    Numbers,
    Title,
    figure,
    legend,
    plain,
    short,
    upright,
)
from hpsearch.report.trials import Ending
from hpsearch.study.config import dumps

MOST_CATEGORIES = 12
"""Choices that an axis names; the worst of more share a place."""
_MANY = 300
"""More points than these are drawn smaller, and as an image inside a vector figure."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One searched parameter, and what each trial took for it."""

    name: str
    values: Sequence[object]
    """Of the trials, in their order; None of one that has no such value."""
    choices: Sequence[object] = ()
    """All there are, if it has no scale."""
    low: float = 0.0
    high: float = 1.0
    """The ends of what was searched, if it has one."""
    log: bool = False


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How the trials of a search ended, in the order of their numbers."""

    metric: str
    maximize: bool
    numbers: Sequence[int]
    values: Numbers
    """Of a trial that was stopped, its last; not a number where it has none."""
    endings: Sequence[Ending]
    best: int | None
    """The place of the best complete trial."""

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(trials,), which ones are."""
        return self.ended(Ending.COMPLETE)

    def ended(self, how: Ending) -> NDArray[np.bool_]:
        """(trials,), which ones ended so."""
        return np.array([ending is how for ending in self.endings], dtype=np.bool_)

    @property
    def merit(self) -> Numbers:
        """(trials,), more is better; minus infinity unless complete."""
        return np.where(self.complete, self.values if self.maximize else -self.values, -np.inf)

    @property
    def scale(self) -> Scale:
        """The axis of the values: those of complete trials rule it, where there are some."""
        values = self.values[self.complete] if self.complete.any() else self.values
        if self.metric.endswith(ACCURACY) and scales.shares(values):
            return scales.accuracies(values)
        return scales.numbers(values)


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a parameter's values stand."""

    places: Numbers
    """(trials,), not a number where a trial has none."""
    low: float
    high: float
    log: bool
    ticks: Mapping[float, str]
    """Of choices, the place of each."""


def axis(parameter: Parameter, outcomes: Outcomes) -> Axis:
    """The searched range as an axis, or the choices beside each other: the worst share a place."""
    choices = list(parameter.choices)
    if choices and not (len(choices) > MOST_CATEGORIES and all(map(_number, choices))):
        names = [words.value(choice) for choice in choices]
        if len(set(names)) < len(names):  # 1, 1.0 and "1"
            names = [dumps(choice) for choice in choices]
        named = {dumps(choice): name for choice, name in zip(choices, names, strict=True)}
        texts = [named.get(dumps(value)) for value in parameter.values]
        place: dict[str | None, float] = {name: index for index, name in enumerate(names)}
        if len(names) > MOST_CATEGORIES:
            best: dict[str | None, float] = dict.fromkeys(names, -np.inf)
            for text, merit in zip(texts, outcomes.merit.tolist(), strict=True):
                best[text] = max(best.get(text, -np.inf), merit)
            kept = sorted(names, key=lambda name: -best[name])[: MOST_CATEGORIES - 1]
            kept.sort(key=names.index)
            place = {name: kept.index(name) if name in kept else len(kept) for name in names}
            names = [*kept, f"{len(names) - len(kept)} others"]
        # Beside one another, so that equal values do not hide each other.
        aside = 0.5 * (np.arange(len(texts)) * 0.618034 % 1 - 0.5)
        places = np.array([place.get(text, np.nan) for text in texts], np.float64) + aside
        ticks = {float(index): words.shorten(name, 18) for index, name in enumerate(names)}
        return Axis(places, -0.5, len(names) - 0.5, False, ticks)
    places = np.array(parameter.values, dtype=np.float64)
    low, high, log = parameter.low, parameter.high, parameter.log
    if choices:  # many numbers, which have an order of their own
        numbers = np.array(choices, dtype=np.float64)
        low, high = float(numbers.min()), float(numbers.max())
        log = low > 0 and high > 100 * low
    if log:
        margin = (high / low) ** 0.03
        return Axis(places, low / margin, high * margin, True, {})
    margin = 0.03 * (high - low) or 0.5
    return Axis(places, low - margin, high + margin, False, {})


def search(
    title: Title,
    outcomes: Outcomes,
    parameters: Sequence[Parameter],
    best: Panel | None,
    quantity: str,
) -> Figure:
    """The best value so far, the best trial's curves, and the value against each parameter."""
    others = 1 + (best is not None)
    made, grid, width = _grid(title, others + len(parameters))
    progress(grid[0], outcomes)
    if best is not None:
        _of_best(grid[1], best, quantity)
    for axes, parameter in zip(grid[others:], parameters, strict=True):
        scatter(axes, outcomes, parameter)
    finish(made, grid, outcomes, width)
    return made


def by_parameter(title: Title, outcomes: Outcomes, parameters: Sequence[Parameter]) -> Figure:
    """The value against each parameter."""
    made, grid, width = _grid(title, len(parameters))
    for axes, parameter in zip(grid, parameters, strict=True):
        scatter(axes, outcomes, parameter)
    finish(made, grid, outcomes, width)
    return made


def _grid(title: Title, count: int) -> tuple[Figure, list[Axes], float]:
    """So many plots, and how wide they are together in inches."""
    columns = min(count, 2) if count <= 4 else 3 if count <= 9 else 4 if count <= 20 else 6
    rows = math.ceil(count / columns)
    width = max(3.9 * columns if columns <= 3 else 3.0 * columns, 6.5)
    made = figure(title, width + 0.7, (3.1 if columns <= 3 else 2.9) * rows + 1.2)
    grid = list(made.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[count:]:
        axes.set_visible(False)
    return made, grid[:count], width


def finish(made: Figure, plots: Sequence[Axes], outcomes: Outcomes, width: float) -> None:
    """What all plots share: the legend below them, and the colours' meaning beside."""
    if outcomes.complete.sum() > 1:
        colours = ScalarMappable(_order(outcomes), ORDER)
        bar = made.colorbar(colours, ax=list(plots), shrink=0.5, aspect=35, pad=0.01)
        bar.set_label("trial", fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend(made, handles(plots), width)


def progress(axes: Axes, outcomes: Outcomes) -> None:
    """Values by trial, and the best so far."""
    numbers = np.asarray(outcomes.numbers, dtype=np.float64)
    if outcomes.complete.any():
        sign = 1 if outcomes.maximize else -1
        best = sign * np.maximum.accumulate(outcomes.merit)
        best[~np.isfinite(best)] = np.nan  # before the first that completed
        axes.step(numbers, best, where="post", color=COLOURS[1], linewidth=2, label="best so far")
    margin = 0.03 * len(numbers) + 0.5
    axes.set_xlim(numbers[0] - margin, numbers[-1] + margin)
    points(axes, outcomes, numbers)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def scatter(axes: Axes, outcomes: Outcomes, parameter: Parameter) -> None:
    """Values by what a parameter was."""
    across = axis(parameter, outcomes)
    if across.log:
        axes.set_xscale("log")
    axes.set_xlim(across.low, across.high)
    if across.log:
        short(axes.xaxis)
    if across.ticks:
        names = list(across.ticks.values())
        axes.set_xticks(list(across.ticks), names, parse_math=False)
        if sum(words.cells(name) + 2 for name in names) > 30:
            axes.tick_params(axis="x", rotation=90, labelsize=7.5)
    points(axes, outcomes, across.places)
    name = words.shorten(parameter.name, 34)
    axes.set_xlabel(name + (", log scale" if across.log else ""), parse_math=False)


def points(axes: Axes, outcomes: Outcomes, across: Numbers) -> None:
    """A point a trial: its shape says how it ended, its colour when; beyond the axis, an arrow."""
    scale = outcomes.scale
    upright(axes, scale, outcomes.metric)
    axes.set_ylabel(words.wrap(outcomes.metric + scale.label, 34))
    plain(axes)
    values = outcomes.values
    many = len(values) > _MANY
    size = 10 if many else 24
    above, below = values > scale.high, values < scale.low
    inside = np.isfinite(values) & ~above & ~below
    diverged, stopped = outcomes.ended(Ending.DIVERGED), outcomes.ended(Ending.PRUNED)
    numbers = np.asarray(outcomes.numbers, dtype=np.float64)
    shown = outcomes.complete & inside
    if shown.any():
        axes.scatter(
            across[shown],
            values[shown],
            s=size,
            c=numbers[shown],
            cmap=ORDER,
            norm=_order(outcomes),
            edgecolors="#333333",
            linewidths=0.3,
            clip_on=False,
            label="complete",
            rasterized=many,
            zorder=2.2,
        )
    shown = stopped & inside
    if shown.any():
        axes.scatter(
            across[shown],
            values[shown],
            s=size,
            marker="x",
            color=GREY,
            linewidths=0.8,
            label="pruned (its last value)",
            rasterized=many,
        )
    edge: dict[str, Any] = {"s": size + 8, "clip_on": False, "rasterized": many, "zorder": 2.1}
    for beyond, end, marker in ((above, scale.high, "^"), (below, scale.low, "v")):
        shown = beyond & ~diverged
        if shown.any():
            farthest = values[shown].max() if beyond is above else values[shown].min()
            label = f"beyond the axis ({words.value(float(farthest), 3)})"
            at = np.full(int(shown.sum()), end)
            axes.scatter(
                across[shown],
                at,
                marker=marker,
                color=COLOURS[3],
                linewidths=0,
                label=label,
                **edge,
            )
    if diverged.any():
        end = scale.low if outcomes.maximize else scale.high
        at = np.full(int(diverged.sum()), end)
        axes.scatter(
            across[diverged],
            at,
            marker="+",
            color=COLOURS[6],
            linewidths=1,
            label="diverged (at the edge)",
            **edge,
        )
    if outcomes.best is not None:
        axes.scatter(
            across[outcomes.best],
            values[outcomes.best],
            s=150,
            marker="*",
            color=COLOURS[1],
            edgecolors="white",
            zorder=3,
            label="best",
        )


def _of_best(axes: Axes, best: Panel, quantity: str) -> None:
    scale = by_epoch(quantity, list(best.lines.values()))
    curves(axes, best.lines, list(best.lines), small=False)
    upright(axes, scale, quantity)
    axes.set_title(best.title, fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_ylabel(words.wrap(quantity + scale.label, 34))


def _order(outcomes: Outcomes) -> Normalize:
    return Normalize(outcomes.numbers[0], max(outcomes.numbers[-1], outcomes.numbers[0] + 1))


def _number(choice: object) -> bool:
    return isinstance(choice, int | float) and not isinstance(choice, bool)

"""How is a figure drawn? Numbers in, a ``matplotlib`` figure out.

Nothing is read here and nothing written, and no state is shared with other figures: they are made
without ``pyplot``. The colours are those of Okabe and Ito (2008), which colour-blind people tell
apart; lines differ in their dashes, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

DPI = 100
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")
GREY = "#666666"
ACCURACY, LOSS = "accuracy", "loss (cross-entropy)"

_TALLEST = 0.25
"""Share of the values at which a histogram's bars are cut: what is not piled up is seen, too."""
_BINS = 40


@dataclass(frozen=True, slots=True)
class Title:
    """What a figure shows, and of how much."""

    what: str
    of: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot of its own among others: curves by epoch, of one kind."""

    title: str
    lines: Mapping[str, Numbers]
    """By label, a value for each epoch from the first."""
    note: str = ""
    """Said in the plot's corner."""


@dataclass(frozen=True, slots=True)
class Histograms:
    """One network's activations."""

    label: str
    layers: Sequence[NDArray[np.floating]]
    low: float
    high: float
    """What is drawn; values beyond are counted in the text."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One searched parameter, and what each trial took for it."""

    name: str
    values: Sequence[object]
    """Of the trials, in their order."""
    choices: Sequence[object] = ()
    """All there are, if it has no scale."""
    log: bool = False


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How the trials of a search ended, in the order of their numbers."""

    metric: str
    maximize: bool
    numbers: Sequence[int]
    values: Numbers
    """Of a trial that was stopped, its last."""
    complete: NDArray[np.bool_]


# -- figures


def steps(title: Title, lines: Mapping[str, Numbers], window: int) -> Figure:
    """The loss of every mini-batch, faint, and its mean over ``window`` of them."""
    figure = _figure(title, 9.0, 5.6)
    axes = figure.add_subplot()
    for index, (label, losses) in enumerate(lines.items()):
        colour, iterations = _colour(index), np.arange(1, len(losses) + 1)
        smooth = _smooth(losses, window)
        axes.plot(iterations, losses, color=colour, alpha=0.2, linewidth=0.7)
        axes.plot(iterations, smooth, _dash(index), color=colour, linewidth=2.2, label=label)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("iterations (mini-batches)")
    axes.set_ylabel(f"{LOSS}, log scale")
    axes.margins(x=0.01)
    _plain(axes)
    axes.legend(
        title=f"faint: each mini-batch\nbold: mean over {window}", frameon=False, alignment="left"
    )
    return figure


def panels(title: Title, kind: str, drawn: Sequence[Panel], columns: int) -> Figure:
    """Curves by epoch, several plots on the same axes with one legend."""
    columns = min(columns, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    width, height = {1: (7.5, 4.0), 2: (4.6, 4.0), 3: (3.8, 3.5)}.get(columns, (2.3, 1.95))
    figure = _figure(title, columns * width, rows * height + 1.0)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    labels = list(dict.fromkeys(label for panel in drawn for label in panel.lines))
    for axes, panel in zip(grid.flat, drawn, strict=False):
        _curves(axes, panel.lines, labels, small=columns > 3)
        axes.set_title(panel.title, fontsize=9 if columns > 3 else 11)
    _by_kind(grid[0, 0], kind, [line for panel in drawn for line in panel.lines.values()])
    for axes, panel in zip(grid.flat, drawn, strict=False):
        _note(axes, panel)
    for index, axes in enumerate(grid.flat):
        axes.set_visible(index < len(drawn))
        if index % columns == 0:
            axes.set_ylabel(kind)
        if index + columns >= len(drawn):  # nothing below it
            axes.set_xlabel("epoch")
            axes.tick_params(labelbottom=True)
    handles = {
        label: line
        for axes in grid.flat
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=max(len(handles), 1),
        frameon=False,
    )
    return figure


def activations(title: Title, rows: Sequence[Histograms]) -> Figure:
    """Histograms of activations: a row for each network, a column for each layer."""
    columns = max(len(row.layers) for row in rows)
    figure = _figure(title, max(2.1 * columns + 0.6, 8.5), 1.45 * len(rows) + 1.0)
    grid = figure.subplots(len(rows), columns, squeeze=False, sharey=True)
    for index, row in enumerate(rows):
        for layer, axes in enumerate(grid[index]):
            if layer >= len(row.layers):
                axes.set_visible(False)
                continue
            _histogram(axes, row, np.asarray(row.layers[layer], dtype=np.float64))
            if index == 0:
                axes.set_title(f"layer {layer + 1}", fontsize=11)
            if index == len(rows) - 1:
                axes.set_xlabel("activation")
        grid[index, 0].set_ylabel(row.label, fontsize=10)
    grid[0, 0].set_ylim(0, _TALLEST)
    grid[0, 0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def search(
    title: Title,
    outcomes: Outcomes,
    parameters: Sequence[Parameter],
    best: Panel | None,
    kind: str,
) -> Figure:
    """The best value so far, the value against each parameter, and the best trial's curves."""
    count = 1 + len(parameters) + (best is not None)
    columns = 3 if count > 4 else min(count, 2)
    rows = math.ceil(count / columns)
    figure = _figure(title, max(3.9 * columns, 6.5), 3.1 * rows + 0.8)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[count:]:
        axes.set_visible(False)
    _progress(grid[0], outcomes)
    if best is not None:
        _curves(grid[1], best.lines, list(best.lines), small=False)
        _by_kind(grid[1], kind, list(best.lines.values()))
        grid[1].set_title(best.title, fontsize=11)
        grid[1].set_xlabel("epoch")
        grid[1].set_ylabel(kind)
        grid[1].legend(frameon=False, fontsize=9)
    for axes, parameter in zip(grid[count - len(parameters) :], parameters, strict=False):
        _scatter(axes, outcomes, parameter)
    return figure


# -- parts of figures


def _figure(title: Title, width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    # A study's name may hold a dollar sign, which is no mathematics.
    figure.suptitle(f"{title.what}\n{title.of}", fontsize=12, parse_math=False)
    return figure


def _curves(axes: Axes, lines: Mapping[str, Numbers], labels: list[str], *, small: bool) -> None:
    for label, values in lines.items():
        if not values.size:
            continue
        index = labels.index(label)
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            _dash(index),
            color=_colour(index),
            label=label,
            linewidth=1.6 if small else 2.0,
            marker="o" if len(values) == 1 else "",
        )
    axes.xaxis.set_major_locator(
        MaxNLocator(4 if small else 7, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    _plain(axes)


def _by_kind(axes: Axes, kind: str, lines: Sequence[Numbers]) -> None:
    """The vertical axis, which is shared: all of the accuracies there are, or the losses from 0."""
    if kind == ACCURACY:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    else:
        highest = max((float(line.max()) for line in lines if line.size), default=1.0)
        axes.set_ylim(0, 1.05 * highest or 1.0)


def _histogram(axes: Axes, row: Histograms, values: Numbers) -> None:
    edges = np.linspace(row.low, row.high, _BINS + 1)
    shares = np.histogram(values, edges)[0] / values.size
    axes.bar(edges[:-1], shares, np.diff(edges), align="edge", color=COLOURS[0])
    for bars in _runs(shares > _TALLEST):
        right = edges[bars.start] > (row.low + row.high) / 2
        axes.annotate(
            f"▲ {shares[bars].sum():.0%}",
            (edges[bars.start if right else bars.stop], 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if right else 3, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="top",
            fontsize=8,
            color=COLOURS[1],
        )
    text = f"mean {_short(values.mean())}\nsd {_short(values.std())}"
    beyond = float(np.mean((values < row.low) | (values > row.high)))
    if beyond >= 0.005:
        text += f"\n{beyond:.0%} above {row.high:g}"
    axes.text(0.93, 0.8, text, transform=axes.transAxes, fontsize=8, ha="right", va="top")
    axes.set_xlim(row.low, row.high)
    axes.set_xticks([row.low, (row.low + row.high) / 2, row.high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _plain(axes)


def _progress(axes: Axes, outcomes: Outcomes) -> None:
    numbers = np.asarray(outcomes.numbers)
    _points(axes, outcomes, numbers.astype(np.float64), label=True)
    if outcomes.complete.any():
        sign = 1 if outcomes.maximize else -1
        counted = np.where(outcomes.complete, sign * outcomes.values, -np.inf)
        best = sign * np.maximum.accumulate(counted)
        best[~np.isfinite(best)] = np.nan  # before the first that completed
        axes.step(numbers, best, where="post", color=COLOURS[1], linewidth=2, label="best so far")
    if len(numbers):
        margin = 0.03 * len(numbers) + 0.5
        axes.set_xlim(numbers[0] - margin, numbers[-1] + margin)
    axes.set_xlabel("trial")
    axes.set_ylabel(outcomes.metric)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)


def _scatter(axes: Axes, outcomes: Outcomes, parameter: Parameter) -> None:
    if parameter.choices:
        places = {_text(choice): place for place, choice in enumerate(parameter.choices)}
        # Beside one another, so that equal values do not hide each other.
        aside = 0.3 * (np.arange(len(parameter.values)) * 0.618034 % 1 - 0.5)
        across = np.array([places[_text(value)] for value in parameter.values], np.float64) + aside
        axes.set_xticks(range(len(places)), list(places), rotation=20 if len(places) > 3 else 0)
        axes.set_xlim(-0.5, len(places) - 0.5)
    else:
        across = np.array(parameter.values, dtype=np.float64)
        if parameter.log:
            axes.set_xscale("log")
    _points(axes, outcomes, across, label=False)
    axes.set_xlabel(parameter.name + (", log scale" if parameter.log else ""))
    axes.set_ylabel(outcomes.metric)
    _plain(axes)


def _points(axes: Axes, outcomes: Outcomes, across: Numbers, *, label: bool) -> None:
    done, values = outcomes.complete, outcomes.values
    if done.any():
        axes.scatter(
            across[done],
            values[done],
            s=22,
            color=COLOURS[0],
            alpha=0.6,
            linewidths=0,
            label="complete" if label else None,
        )
    stopped = ~done & np.isfinite(values)
    if stopped.any():
        axes.scatter(
            across[stopped],
            values[stopped],
            s=22,
            marker="x",
            color=GREY,
            alpha=0.8,
            linewidths=1,
            label="pruned (its last)" if label else None,
        )
    if done.any():
        best = np.argmax(np.where(done, values if outcomes.maximize else -values, -np.inf))
        axes.scatter(
            across[best],
            values[best],
            s=140,
            marker="*",
            color=COLOURS[1],
            edgecolors="white",
            zorder=3,
            label="best" if label else None,
        )
    if outcomes.metric.endswith(ACCURACY):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _note(axes: Axes, panel: Panel) -> None:
    """On the right, above the curves or below them, where there is more room."""
    ends = [float(line[-1]) for line in panel.lines.values() if line.size]
    low = sum(ends, 0.0) < len(ends) * axes.get_ylim()[1] / 2 or not ends
    axes.text(
        0.97,
        0.96 if low else 0.04,
        panel.note,
        transform=axes.transAxes,
        fontsize=7.5,
        color="#333333",
        ha="right",
        va="top" if low else "bottom",
        linespacing=1.15,
    )


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def _smooth(values: Numbers, window: int) -> Numbers:
    """The mean over a window, as much of it as there is at the ends."""
    ones = np.ones(min(window, len(values)) or 1)
    if len(values) == 0:
        return values
    return np.convolve(values, ones, "same") / np.convolve(np.ones_like(values), ones, "same")


def _runs(chosen: NDArray[np.bool_]) -> list[slice]:
    """The stretches in which all are chosen."""
    turns = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False]))))
    return [slice(int(a), int(b)) for a, b in turns.reshape(-1, 2)]


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _dash(index: int) -> str:
    return DASHES[index % len(DASHES)]


def _short(number: float) -> str:
    return f"{number:.2g}" if abs(number) < 100 else f"{number:,.0f}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return " × ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)

"""How are curves drawn beside each other? By epoch in plots on the same axes, or by iteration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpsearch.report import scale as scales
from hpsearch.report import words
from hpsearch.report.scale import Scale
from hpsearch.report.style import (
    ACCURACY,
    LOSS,
    Numbers,
    Title,
    colour,
    dash,
    figure,
    legend,
    plain,
    upright,
)

_SIZES = {1: (7.5, 4.0), 2: (4.6, 4.0), 3: (3.8, 3.5)}
"""Inches of a plot, by how many stand in a row."""
_LINES = 6
"""Of a plot's note."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot of its own among others: curves by epoch, of one kind."""

    title: str
    lines: Mapping[str, Numbers]
    """By label, a value for each epoch from the first."""
    note: Sequence[str] = ()
    """Said below its title, line by line."""


def panels(title: Title, quantity: str, drawn: Sequence[Panel], columns: int) -> Figure:
    """Curves by epoch, several plots on the same axes with one legend."""
    columns = min(columns, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    width, height = _SIZES.get(columns, (2.3, 1.95))
    size = 8 if columns > 3 else 10
    room, noted = (int(width * 72 / (points * 0.66)) for points in (size + 1, size - 0.5))
    scale = by_epoch(quantity, [line for panel in drawn for line in panel.lines.values()])
    notes = [_note(panel, scale, noted) for panel in drawn]
    lines = max(note.count("\n") + 1 if note else 0 for note in notes)
    whole = max(columns * width, 6.5)
    made = figure(title, whole, rows * (height + lines * size / 60) + 1.1)
    grid = made.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    labels = list(dict.fromkeys(label for panel in drawn for label in panel.lines))
    upright(grid[0, 0], scale, quantity)
    for axes, panel, note in zip(grid.flat, drawn, notes, strict=False):
        curves(axes, panel.lines, labels, small=columns > 3)
        above = (note.count("\n") + 1) * size * 1.15 if note else 0
        axes.set_title(
            words.wrap(panel.title, room, 3),
            fontsize=size + 1,
            loc="left",
            pad=6 + above,
            parse_math=False,
        )
        axes.annotate(
            note,
            (0.0, 1.0),
            (0, 3),
            "axes fraction",
            "offset points",
            fontsize=size - 0.5,
            color="#333333",
            va="bottom",
            linespacing=1.15,
            parse_math=False,
        )
    for index, axes in enumerate(grid.flat):
        axes.set_visible(index < len(drawn))
        if index % columns == 0:
            axes.set_ylabel(words.wrap(quantity + scale.label, int(height * 11)))
        if index + columns >= len(drawn):  # nothing below it
            axes.set_xlabel("epoch")
            axes.tick_params(labelbottom=True)
    legend(made, handles(list(grid.flat)), whole)
    return made


def steps(title: Title, lines: Mapping[str, Numbers], window: int) -> Figure:
    """The loss of every mini-batch, faint, and its mean over ``window`` of them."""
    made = figure(title, 9.0, 5.6 + 0.1 * len(lines))
    axes = made.add_subplot()
    for index, (label, losses) in enumerate(lines.items()):
        iterations = np.arange(1, len(losses) + 1)
        axes.plot(iterations, losses, color=colour(index), alpha=0.2, linewidth=0.7)
        axes.plot(
            iterations,
            _smooth(losses, window),
            dash(index),
            color=colour(index),
            linewidth=2.2,
            label=label,
        )
    losses = np.concatenate(list(lines.values()))
    scale = scales.numbers(losses)
    positive = losses[losses > 0]
    if positive.size:  # a log scale in any case
        scale = scales.numbers(positive)
        low = float(positive[positive >= scale.low].min())
        scale = Scale(low / 1.25, scale.high * (1 if scale.log else 1.25), True, scale.cut)
    upright(axes, scale, LOSS)
    axes.set_xlabel(f"iteration (mini-batch); faint: each of them, bold: the mean of {window:,}")
    axes.set_ylabel(LOSS + scale.label)
    axes.margins(x=0.01)
    plain(axes)
    legend(made, handles([axes]), 9.0)
    return made


def by_epoch(quantity: str, lines: Sequence[Numbers]) -> Scale:
    """The vertical axis of curves: all of the accuracies there are, or the losses from 0."""
    values = np.concatenate([np.zeros(0), *lines])
    values = values[~np.isnan(values)]
    if quantity.endswith(ACCURACY) and scales.shares(values):
        return Scale(-0.02, 1.02)
    return scales.numbers(values, floor=0.0 if quantity == LOSS else None)


def curves(axes: Axes, lines: Mapping[str, Numbers], labels: list[str], *, small: bool) -> None:
    """Values by epoch; a label's place among ``labels`` gives its colour and dashes."""
    for label, values in lines.items():
        if not values.size:
            continue
        index = labels.index(label)
        known = ~np.isnan(values)  # the training part may be measured after some epochs alone
        axes.plot(
            np.arange(1, len(values) + 1)[known],
            values[known],
            dash(index),
            color=colour(index),
            label=label,
            linewidth=1.6 if small else 2.0,
            marker="o" if known.sum() == 1 else "",
        )
    axes.xaxis.set_major_locator(
        MaxNLocator(4 if small else 7, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    plain(axes)


def handles(plots: Sequence[Axes]) -> dict[str, object]:
    """For a legend: by label, one of the artists that bear it."""
    return {
        label: handle
        for axes in plots
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }


def _note(panel: Panel, scale: Scale, room: int) -> str:
    """The panel's, and which of its lines lie all beyond the axis."""
    beyond = [
        f"{label}: beyond ({words.value(float(line[-1]), 3)})"
        for label, line in panel.lines.items()
        if not np.isnan(line).all() and not ((line >= scale.low) & (line <= scale.high)).any()
    ]
    lines = words.several([*panel.note, *beyond], _LINES)
    return "\n".join(words.shorten(line, room) for line in lines)


def _smooth(values: Numbers, window: int) -> Numbers:
    """The mean over a window, as much of it as there is at the ends."""
    ones = np.ones(min(window, len(values)) or 1)
    if len(values) == 0:
        return values
    return np.convolve(values, ones, "same") / np.convolve(np.ones_like(values), ones, "same")

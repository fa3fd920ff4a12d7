"""How are all parameters of all trials seen at once? In parallel coordinates, lying down.

Each parameter is a line across the page with its own scale, and each trial goes through all of
them. So names stand beside the lines, however many and long they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from hpsearch.report import words
from hpsearch.report.slices import Axis, Outcomes, Parameter, axis
from hpsearch.report.style import ACCURACY, COLOURS, EDGED, Numbers, Title, figure, legend

MOST = 200
"""Trials that are drawn; of more, so many spread evenly from the worst to the best."""

_WIDTH = 10.0  # inches
_ACROSS = 130  # cells of a line's labels
_CLASSES = (("worst third", 1 / 3), ("middle third", 2 / 3), ("best third", 1.0))
_LOOKS: tuple[tuple[str, float, Literal[":", "--", "-"]], ...] = (
    ("#E69F00", 0.5, ":"),
    ("#56B4E9", 0.6, "--"),
    ("#0072B2", 0.8, "-"),
)


def parallel(title: Title, outcomes: Outcomes, parameters: Sequence[Parameter]) -> Figure:
    """A line a parameter, the value on top; complete trials go through them by thirds."""
    axes_of = [_of_values(outcomes), *(axis(one, outcomes) for one in parameters)]
    names = [outcomes.metric, *(one.name for one in parameters)]
    rows = len(names)
    made = figure(title, _WIDTH, 0.62 * rows + 1.5)
    axes = made.add_subplot()
    across = np.array([_placed(one, one.places) for one in axes_of]).T  # (trials, rows)
    down = -np.arange(rows, dtype=np.float64)
    chosen = np.flatnonzero(outcomes.complete)
    chosen = chosen[np.argsort(outcomes.merit[chosen], kind="stable")]
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MOST)).round().astype(int)]
    start = 0
    labels: dict[str, object] = {}
    for (label, share), (colour, width, dash) in zip(_CLASSES, _LOOKS, strict=True):
        end = round(share * len(chosen))
        lines = [np.column_stack([across[i], down]) for i in chosen[start:end]]
        start = end
        thickness = width * (0.7 if len(chosen) > 100 else 1.3)
        axes.add_collection(
            LineCollection(
                lines,
                colors=colour,
                linewidths=thickness,
                linestyles=dash,
                alpha=0.6,
            )
        )
        labels[label] = Line2D([], [], color=colour, linestyle=dash)
    if outcomes.best is not None:
        best = across[outcomes.best]
        (labels["best"],) = axes.plot(
            best, down, color=COLOURS[1], linewidth=2.5, zorder=3, path_effects=EDGED
        )
    for at, (one, name) in enumerate(zip(axes_of, names, strict=True)):
        _line(axes, -at, one, outcomes.metric if at == 0 else "")
        axes.annotate(
            words.wrap(name + (", log" if one.log else ""), 22),
            (0.0, -at),
            (-10, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
            annotation_clip=False,
            parse_math=False,
        )
    axes.set_xlim(-0.01, 1.03)
    axes.set_ylim(-rows + 0.35, 0.3)
    axes.set_axis_off()
    legend(made, labels, _WIDTH)
    return made


def _line(axes: Axes, at: float, one: Axis, metric: str) -> None:
    axes.plot([0, 1], [at, at], color="#000000", linewidth=1, zorder=4)
    for place, text in _ticks(one, metric).items():
        axes.plot([place, place], [at - 0.06, at + 0.06], color="#000000", linewidth=1, zorder=4)
        axes.annotate(
            text,
            (place, at),
            (0, -6),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7.5,
            zorder=5,
            parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )


def _ticks(one: Axis, metric: str) -> Mapping[float, str]:
    """By place on the line, at most so many labels as fit."""
    if one.ticks:
        room = max(_ACROSS // len(one.ticks) - 1, 3)
        places = _placed(one, np.array(list(one.ticks)))
        texts = [words.shorten(text, room) for text in one.ticks.values()]
        return dict(zip(places.tolist(), texts, strict=True))
    there = one.places[np.isfinite(one.places)]
    whole = bool((there == there.round()).all())
    locator = LogLocator(numticks=7) if one.log else MaxNLocator(5, integer=whole)
    found = np.asarray(locator.tick_values(one.low, one.high), dtype=np.float64)
    found = found[(found >= one.low) & (found <= one.high)]
    percent = metric.endswith(ACCURACY) and -0.1 < one.low < one.high < 1.1
    if percent:
        found = found[(found >= 0) & (found <= 1)]
    texts = [f"{value:.3g}" if not percent else f"{100 * value:.3g}%" for value in found.tolist()]
    return dict(zip(_placed(one, found).tolist(), texts, strict=True))


def _of_values(outcomes: Outcomes) -> Axis:
    scale = outcomes.scale
    places = np.clip(np.nan_to_num(outcomes.values), scale.low, scale.high)
    return Axis(places, scale.low, scale.high, scale.log, {})


def _placed(one: Axis, places: Numbers) -> Numbers:
    """From 0 to 1."""
    low, high = one.low, one.high
    if one.log:
        return np.asarray(np.log(places / low) / np.log(high / low), dtype=np.float64)
    return np.asarray((places - low) / (high - low), dtype=np.float64)

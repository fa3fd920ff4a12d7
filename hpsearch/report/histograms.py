"""How are a network's activations drawn? As histograms: a row a network, a column a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from hpsearch.report import words
from hpsearch.report.style import COLOURS, Numbers, Title, figure, plain

MOST_LAYERS = 6
"""Layers that are drawn of a network; of more, so many spread evenly, both ends too."""

_TALLEST = 0.25
"""Share of the values at which a histogram's bars are cut: what is not piled up is seen, too."""
_BINS = 40


@dataclass(frozen=True, slots=True)
class Histograms:
    """One network's activations."""

    label: str
    layers: Sequence[NDArray[np.floating]]
    low: float
    high: float
    """What is drawn; values beyond are counted in the text."""


def activations(title: Title, rows: Sequence[Histograms]) -> Figure:
    """Histograms of activations, for networks with at least one hidden layer among them."""
    depth = max(len(row.layers) for row in rows)
    columns = min(depth, MOST_LAYERS)
    layers = np.linspace(0, depth - 1, columns).round().astype(int).tolist()
    tall = 1.45 if len(rows) <= 12 else 0.95
    made = figure(title, max(2.1 * columns + 1.2, 8.5), max(tall * len(rows), 2.0) + 1.1)
    grid = made.subplots(len(rows), columns, squeeze=False, sharey=True)
    for index, row in enumerate(rows):
        for axes, layer in zip(grid[index], layers, strict=True):
            if index == 0:
                axes.set_title(f"layer {layer + 1}", fontsize=11)
            if layer >= len(row.layers):
                axes.text(0.5, 0.5, "no such layer", ha="center", color="#666666", fontsize=8)
                axes.set_axis_off()
                continue
            _histogram(axes, row, np.asarray(row.layers[layer], dtype=np.float64))
            if not any(layer < len(below.layers) for below in rows[index + 1 :]):
                axes.set_xlabel("activation")
        lines = words.several(row.label.split("\n"), 4)
        grid[index, 0].set_ylabel(
            "\n".join(words.shorten(line, int(tall * 13)) for line in lines),
            fontsize=10 if tall > 1 else 8,
            parse_math=False,
        )
    grid[0, 0].set_ylim(0, _TALLEST)
    grid[0, 0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return made


def _histogram(axes: Axes, row: Histograms, values: Numbers) -> None:
    edges = np.linspace(row.low, row.high, _BINS + 1)
    finite = values[np.isfinite(values)]
    shares = np.histogram(finite, edges)[0] / values.size
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
    text = f"mean {_short(finite.mean())}\nsd {_short(finite.std())}" if finite.size else ""
    beyond = float(np.mean((finite < row.low) | (finite > row.high))) if finite.size else 0.0
    if beyond >= 0.005:
        text += f"\n{beyond:.0%} above {row.high:g}"
    if finite.size < values.size:
        text += f"\n{1 - finite.size / values.size:.0%} infinite"
    axes.text(0.93, 0.8, text.strip(), transform=axes.transAxes, fontsize=8, ha="right", va="top")
    axes.set_xlim(row.low, row.high)
    axes.set_xticks([row.low, (row.low + row.high) / 2, row.high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    plain(axes)


def _runs(chosen: NDArray[np.bool_]) -> list[slice]:
    """The stretches in which all are chosen."""
    turns = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False]))))
    return [slice(int(a), int(b)) for a, b in turns.reshape(-1, 2)]


def _short(number: float) -> str:
    return f"{number:.2g}" if abs(number) < 1e4 else f"{number:.1e}"

"""What do all figures have in common? Their colours, titles and axes.

No state is shared between figures: they are made without ``pyplot``. The colours are those of Okabe
and Ito (2008), which colour-blind people tell apart; lines differ in their dashes and points in
their shapes, too, so that black and white is enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)
from numpy.typing import NDArray

from hpsearch.report import words
from hpsearch.report.scale import Scale

Numbers = NDArray[np.float64]

DPI = 100
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")
GREY = "#666666"
EDGED = (Stroke(linewidth=6.0, foreground="white"), Normal())
"""Of the one line among many: in black and white, too, it stands out by its white edges."""
ORDER = "cividis_r"
"""The scale of colours for what comes in an order: light first, dark last, in grey, too."""
ACCURACY, LOSS = "accuracy", "loss"

_CELL = 0.108
"""Inches that a letter of a figure's title takes."""


@dataclass(frozen=True, slots=True)
class Title:
    """What a figure shows, and of how much."""

    what: str
    of: str
    note: str = ""
    """What cannot be seen in it, if there is something."""


def figure(title: Title, width: float, height: float) -> Figure:
    """An empty figure, its title wrapped to its width in inches."""
    made = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    room = int(width / _CELL)
    lines = [words.wrap(line, room) for line in (title.what, title.of, title.note) if line]
    # A study's name may hold a dollar sign, which is no mathematics.
    made.suptitle("\n".join(lines), fontsize=12, parse_math=False)
    made.get_layout_engine().set(w_pad=0.06, h_pad=0.06)  # type: ignore[union-attr, call-arg]
    return made


def legend(on: Figure, handles: Mapping[str, Any], width: float) -> None:
    """One legend below all plots, in as many columns as fit."""
    if not handles:
        return
    labels = [words.shorten(label, 48) for label in handles]
    columns = max(1, min(len(labels), int(width / (0.08 * max(map(words.cells, labels)) + 0.65))))
    shown = on.legend(
        list(handles.values()),
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=10,
    )
    for text in shown.get_texts():
        text.set_parse_math(False)


def plain(axes: Axes) -> None:
    """A light grid, and no box."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def upright(axes: Axes, scale: Scale, quantity: str) -> None:
    """Give the vertical axis its ends and scale; accuracies are said in percent."""
    if scale.log:
        axes.set_yscale("log")
        short(axes.yaxis)
    axes.set_ylim(scale.low, scale.high)
    if quantity.endswith(ACCURACY) and -0.1 < scale.low < scale.high < 1.1:
        low, high = max(scale.low, 0.0), min(scale.high, 1.0)
        ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        axes.set_yticks([tick for tick in map(float, ticks) if low <= tick <= high])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def short(axis: Any) -> None:
    """Numbers on a log axis without powers; those between decades where there is but one decade."""
    low, high = axis.get_view_interval()
    narrow = high < 20 * low
    axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def colour(index: int) -> str:
    """Of the line at that place."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """Of the line at that place."""
    return DASHES[index % len(DASHES)]


@dataclass(frozen=True, slots=True)
class Told:
    """What is told where there is nothing to draw: a sentence, and a table below it."""

    title: Title
    said: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def drawn(told: Figure | Told) -> Figure:
    """A figure in any case: of what is told, with its words."""
    if isinstance(told, Figure):
        return told
    room = max(1, min(60, 84 // max(len(told.head), 1)))
    cells = [[words.shorten(cell, room) for cell in row] for row in (told.head, *told.rows)]
    widths = [max(map(words.cells, column)) for column in zip(*cells, strict=True)]
    lines = [
        "   ".join(
            cell + " " * (wide - words.cells(cell)) for cell, wide in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]
    if lines:
        lines.insert(1, "─" * (sum(widths) + 3 * (len(widths) - 1)))
    said = words.wrap(told.said, 96, 6)
    below = 17 * said.count("\n") + 36
    made = figure(told.title, 8.5, 0.9 + below / 72 + 0.18 * len(lines))
    axes = made.add_subplot()
    axes.set_axis_off()
    texts = ((said, 11, 0, "sans-serif"), ("\n".join(lines), 9, -below, "monospace"))
    for text, size, down, family in texts:
        axes.annotate(
            text,
            (0.0, 1.0),
            (8, down),
            "axes fraction",
            "offset points",
            va="top",
            fontsize=size,
            family=family,
            annotation_clip=False,
            parse_math=False,
        ).set_in_layout(False)
    return made

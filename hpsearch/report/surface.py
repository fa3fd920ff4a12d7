"""How do the two most important parameters act together? A smooth surface over their plane."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hpsearch.report import words
from hpsearch.report.panels import handles
from hpsearch.report.slices import Axis, Outcomes, Parameter, axis
from hpsearch.report.style import COLOURS, ORDER, Numbers, Title, figure, legend, plain, short
from hpsearch.report.trials import Ending

FEWEST = 10
"""Complete trials that a surface needs."""
_CELLS = 60
_LEVELS = 8


def surface(title: Title, outcomes: Outcomes, one: Parameter, other: Parameter) -> Figure:
    """The mean value near each point, where trials are near; and the trials."""
    across, up = axis(one, outcomes), axis(other, outcomes)
    done = outcomes.complete & np.isfinite(outcomes.values)
    where = np.column_stack([_unit(across, across.places), _unit(up, up.places)])[done]
    scale = outcomes.scale
    values = np.clip(outcomes.values[done], scale.low, scale.high)
    x, y = np.meshgrid(*(np.linspace(0, 1, _CELLS),) * 2)
    smooth = _smooth(where, values, np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    made = figure(title, 8.0, 5.6)
    axes = made.add_subplot()
    axes.set_facecolor("#f4f4f4")
    filled = axes.contourf(_back(across, x), _back(up, y), smooth, _LEVELS, cmap=ORDER)
    axes.contour(_back(across, x), _back(up, y), smooth, _LEVELS, colors="#ffffff", linewidths=0.7)
    for ending, marker in ((Ending.COMPLETE, "o"), (Ending.PRUNED, "x"), (Ending.DIVERGED, "+")):
        here = outcomes.ended(ending)
        if here.any():
            axes.scatter(
                across.places[here],
                up.places[here],
                s=14,
                marker=marker,
                c="#ffffff" if marker == "o" else "#000000",
                edgecolors="#000000" if marker == "o" else None,
                linewidths=0.6,
                label=str(ending),
                rasterized=len(outcomes.numbers) > 300,
                zorder=3,
            )
    if outcomes.best is not None:
        axes.scatter(
            across.places[outcomes.best],
            up.places[outcomes.best],
            s=180,
            marker="*",
            color=COLOURS[1],
            edgecolors="white",
            label="best",
            zorder=4,
        )
    for side, of, name in ((axes.xaxis, across, one.name), (axes.yaxis, up, other.name)):
        side.set_label_text(words.shorten(name, 40) + (", log scale" if of.log else ""))
        side.label.set_parse_math(False)
    axes.set_xscale("log" if across.log else "linear")
    axes.set_yscale("log" if up.log else "linear")
    axes.set_xlim(across.low, across.high)
    axes.set_ylim(up.low, up.high)
    for side, of in ((axes.xaxis, across), (axes.yaxis, up)):
        if of.log:
            short(side)
        if of.ticks:
            names = [words.shorten(text, 12) for text in of.ticks.values()]
            side.set_ticks(list(of.ticks), names, parse_math=False)
            if side is axes.xaxis and sum(map(words.cells, names)) > 45:
                axes.tick_params(axis="x", rotation=90)
    plain(axes)
    axes.grid(False)
    bar = made.colorbar(filled, ax=axes, pad=0.02)
    bar.set_label(outcomes.metric)
    legend(made, handles([axes]), 8.0)
    return made


def _smooth(where: Numbers, values: Numbers, asked: Numbers) -> Numbers:
    """A Gaussian kernel's weighted mean; not a number where no trial is near."""
    width = 0.5 * len(where) ** (-1 / 6) / 2
    squares = ((asked[:, None, :] - where[None, :, :]) ** 2).sum(axis=2)
    weights = np.exp(-squares / (2 * width**2))
    total = weights.sum(axis=1)
    mean = weights @ values / np.maximum(total, 1e-300)
    return np.where(total > np.exp(-2.0), mean, np.nan)


def _unit(of: Axis, places: Numbers) -> Numbers:
    if of.log:
        return np.asarray(np.log(places / of.low) / np.log(of.high / of.low), dtype=np.float64)
    return np.asarray((places - of.low) / (of.high - of.low), dtype=np.float64)


def _back(of: Axis, unit: Numbers) -> Numbers:
    if of.log:
        return np.asarray(of.low * (of.high / of.low) ** unit, dtype=np.float64)
    return np.asarray(of.low + unit * (of.high - of.low), dtype=np.float64)

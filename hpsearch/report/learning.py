"""How did the trials get where they are? The running best by trial, and all curves by epoch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hpsearch.report import panels
from hpsearch.report.panels import handles
from hpsearch.report.scale import Scale
from hpsearch.report.slices import Outcomes, progress
from hpsearch.report.style import (
    ACCURACY,
    COLOURS,
    EDGED,
    GREY,
    Numbers,
    Title,
    figure,
    legend,
    plain,
    upright,
)
from hpsearch.report.trials import Ending
from hpsearch.trust.selection import Estimate, wilson

_MANY = 100
_RUNGS = 12
"""More than these are not drawn one by one."""


def noise(outcomes: Outcomes, examples: int | None) -> Estimate | None:
    """What the best accuracy alone says on so many examples: its 95 % interval (Wilson 1927)."""
    if outcomes.best is None or not examples or not outcomes.metric.endswith(ACCURACY):
        return None
    value = float(outcomes.values[outcomes.best])
    return wilson(value, examples) if 0 <= value <= 1 else None


def history(title: Title, outcomes: Outcomes, band: Estimate | None) -> Figure:
    """Every trial's value, the best so far, and the noise about the best."""
    made = figure(title, 9.0, 4.6)
    axes = made.add_subplot()
    progress(axes, outcomes)
    if band is not None:
        axes.axhspan(
            band.low,
            band.high,
            facecolor="#D55E00",
            alpha=0.13,
            zorder=0.5,
            label="95 % interval of the best by itself",
        )
        low, high = axes.get_ylim()
        upright(
            axes, Scale(min(low, band.low - 0.01), max(high, min(band.high + 0.01, 1.01))), ACCURACY
        )
    legend(made, handles([axes]), 9.0)
    return made


def by_epoch(
    title: Title,
    outcomes: Outcomes,
    lines: Sequence[Numbers],
    rungs: Collection[int],
    quantity: str,
) -> Figure:
    """The metric of every trial by epoch, and the rungs at which trials were stopped.

    Args:
        title: What is shown.
        outcomes: How the trials ended.
        lines: Of each trial, in the same order, the metric after each epoch.
        rungs: The epochs after which a pruner may stop a trial.
        quantity: What is measured, an accuracy or a loss for one.
    """
    made = figure(title, 9.0, 4.8)
    axes = made.add_subplot()
    looks = {
        Ending.COMPLETE: (COLOURS[0], "-", 0.9),
        Ending.PRUNED: (GREY, ":", 0.9),
        Ending.DIVERGED: ("#000000", "--", 0.7),
    }
    many = len(lines) > _MANY
    shown: dict[str, object] = {}
    longest = max(map(len, lines))
    for ending, (colour, dash, width) in looks.items():
        here = [line for line, of in zip(lines, outcomes.endings, strict=True) if of is ending]
        here = [line for line in here if line.size]
        if not here:
            continue
        axes.add_collection(
            LineCollection(
                [np.column_stack([np.arange(1, len(line) + 1), line]) for line in here],
                colors=colour,
                linestyles=dash,
                linewidths=width,
                alpha=0.25 if len(lines) > 500 else 0.5,
                rasterized=many,
            )
        )
        ends = [(len(line), line[-1]) for line in here if len(line) < longest or len(line) == 1]
        if ends and ending is not Ending.COMPLETE:
            axes.scatter(
                [epoch for epoch, _ in ends],
                [value for _, value in ends],
                marker="x" if ending is Ending.PRUNED else "+",
                s=16,
                color=colour,
                linewidths=0.8,
                rasterized=many,
            )
        shown[f"{ending} ({len(here):,})"] = Line2D([], [], color=colour, linestyle=dash)  # type: ignore[arg-type]
    if outcomes.best is not None and lines[outcomes.best].size:
        best = lines[outcomes.best]
        epochs = np.arange(1, len(best) + 1)
        marker = "*" if len(best) == 1 else ""
        (shown["best"],) = axes.plot(
            epochs,
            best,
            color=COLOURS[1],
            linewidth=2.4,
            marker=marker,
            zorder=3,
            path_effects=EDGED,
        )
    drawn = list(takewhile(lambda rung: rung < longest, rungs))  # in order, and perhaps 10⁸
    if drawn and len(drawn) <= _RUNGS:
        for rung in drawn:
            axes.axvline(rung, color="#009E73", linestyle=(0, (1, 3)), linewidth=1.2, zorder=0.6)
        shown["rung: a pruner decides"] = Line2D(
            [], [], color="#009E73", linestyle=(0, (1, 3)), linewidth=1.2
        )
    scale = panels.by_epoch(quantity, list(lines))
    upright(axes, scale, outcomes.metric)
    axes.set_xlim(0.5 if longest < 3 else 1 - 0.02 * longest, longest + 0.02 * longest + 0.2)
    axes.set_xlabel("epoch")
    axes.set_ylabel(outcomes.metric + scale.label)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    plain(axes)
    legend(made, shown, 9.0)
    return made

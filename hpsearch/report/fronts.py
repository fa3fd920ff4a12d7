"""How is a Pareto front shown? Each further objective against the first, and the front as steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hpsearch.ledger.front import Placed, front, placed
from hpsearch.report import words
from hpsearch.report.panels import handles
from hpsearch.report.style import COLOURS, GREY, Numbers, Title, figure, legend, plain, short
from hpsearch.report.trials import Finished, metric_name
from hpsearch.study.config import Study

_NAMED = 12
"""Trials of the front whose numbers are written beside them, at most."""


def table(study: Study, finished: Sequence[Finished]) -> tuple[list[str], list[list[str]]]:
    """The front as a head and rows: trials, their values, and what they tried."""
    names = [metric_name(metric) for metric in (study.search.metric, *study.search.also)]
    keys = [words.shorten(path.partition(".")[2], 40) for path in study.space]
    rows = [
        [
            str(one.trial.number),
            *map(words.value, one.values),
            *(words.shorten(words.value(one.trial.params.get(path)), 24) for path in study.space),
        ]
        for one in front(study, [(f.trial, f.curve) for f in finished])
    ]
    return ["trial", *names, *keys], rows


def drawn(title: Title, study: Study, finished: Sequence[Finished]) -> Figure:
    """The complete trials by two objectives at a time: the first one, and one further."""
    pairs = [(f.trial, f.curve) for f in finished]
    every, best = placed(study, pairs), front(study, pairs)
    names = [metric_name(metric) for metric in (study.search.metric, *study.search.also)]
    made = figure(title, 9.0, 4.6)
    rows = made.subplots(1, len(names) - 1, squeeze=False, sharey=True)[0]
    for place, (axes, name) in enumerate(zip(rows, names[1:], strict=True), start=1):
        for trials, colour, mark, label in (
            (every, GREY, "x", "complete trial"),
            (best, COLOURS[1], "o", "on the Pareto front"),
        ):
            xs, ys = _columns(trials, place)
            axes.scatter(xs, ys, c=colour, marker=mark, s=26, label=label, zorder=2)
        for at, numbers in _named(best, place).items() if len(best) <= _NAMED else ():
            axes.annotate(numbers, at, (4, 4), textcoords="offset points", fontsize=8)
        if len(names) == 2 and len(best) > 1:
            xs, ys = _columns(best, place)
            order = np.argsort(xs, kind="stable")
            axes.plot(xs[order], ys[order], color=COLOURS[1], linestyle="--", linewidth=1.0)
        if min(_columns(every, place)[0]) > 0 and np.ptp(np.log10(_columns(every, place)[0])) > 1:
            axes.set_xscale("log")
            short(axes.xaxis)
        axes.set_xlabel(name)
        plain(axes)
    rows[0].set_ylabel(names[0])
    legend(made, handles(list(rows)), 9.0)
    return made


def _named(trials: Sequence[Placed], place: int) -> dict[tuple[float, float], str]:
    """The trials' numbers by the point that they lie on."""
    found: dict[tuple[float, float], list[str]] = {}
    for one in trials:
        found.setdefault((one.values[place], one.values[0]), []).append(str(one.trial.number))
    return {at: ", ".join(words.several(numbers, 4)) for at, numbers in found.items()}


def _columns(trials: Sequence[Placed], place: int) -> tuple[Numbers, Numbers]:
    values = np.array([one.values for one in trials], dtype=np.float64)
    return values[:, place], values[:, 0]

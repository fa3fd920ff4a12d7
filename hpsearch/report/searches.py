"""How is a search shown? Values by trial and by parameter, and the curves of the best trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hpsearch.report import panels, slices, words
from hpsearch.report.comparisons import diverged, ending, part, quantity
from hpsearch.report.panels import Panel
from hpsearch.report.slices import Outcomes, Parameter
from hpsearch.report.style import Title, Told
from hpsearch.report.trials import (
    Ending,
    Finished,
    counted,
    examples,
    kind_of,
    maximizes,
    metric_name,
    ranked,
    titled,
)
from hpsearch.study.config import Choices, Study

BEST = 20
"""Best trials whose curves are drawn (Fig. 6-24)."""
FEWEST = 3
"""Trials that a figure by parameter needs to show anything."""
NOTES = 4
"""Parameters that are said beside a curve."""


def overview(study: Study, finished: Sequence[Finished]) -> Figure | Told:
    """Values by trial and by parameter, or why they are not drawn."""
    metric = study.search.metric
    found = outcomes(study, finished)
    if all(f.ending is Ending.DIVERGED for f in finished):
        return diverged(study, finished)
    first = next(iter(ranked(study, finished)), None)
    of = counted(finished)
    if first is not None:
        of += f", best: {metric_name(metric)} {words.value(first.trial.value)}"
    what = titled(study, f"{metric_name(metric)} by trial and by parameter")
    if len(finished) < FEWEST:
        return _few(Title(what, of), study, finished)
    best = None
    if first is not None and len(first.curve):
        best = Panel(f"best: trial {first.trial.number}", first.both(metric))
    return slices.search(Title(what, of), found, parameters(study, finished), best, quantity(study))


def best(study: Study, finished: Sequence[Finished]) -> Figure | None:
    """The curves of the best trials (Fig. 6-24), if any has one."""
    metric = study.search.metric
    shown = [f for f in ranked(study, finished) if len(f.curve)][:BEST]
    if not shown:
        return None
    drawn = [
        Panel(
            f"{place}: {words.value(f.trial.value)} (trial {f.trial.number})",
            f.both(metric),
            words.several([part(*item) for item in f.trial.params.items()], NOTES),
        )
        for place, f in enumerate(shown, start=1)
    ]
    of = f"the {len(drawn)} best trials" if len(drawn) > 1 else "the best trial"
    what = titled(study, f"{kind_of(metric)} by epoch of {of}")
    title = Title(what, f"of {counted(finished)}, by {metric_name(metric)}; {examples(study)}")
    return panels.panels(title, quantity(study), drawn, 5)


def outcomes(study: Study, finished: Sequence[Finished]) -> Outcomes:
    """How the trials ended, as it is drawn."""
    metric, numbers = study.search.metric, [f.trial.number for f in finished]
    first = next(iter(ranked(study, finished)), None)
    return Outcomes(
        metric=metric_name(metric),
        maximize=maximizes(study),
        numbers=numbers,
        values=np.array([f.last(metric) for f in finished], dtype=np.float64),
        endings=[f.ending for f in finished],
        best=None if first is None else numbers.index(first.trial.number),
    )


def parameters(study: Study, finished: Sequence[Finished]) -> list[Parameter]:
    """What was searched, and what each trial took."""
    found = []
    for path, open_ in study.space.items():
        taken = [f.trial.params.get(path) for f in finished]
        name = path.partition(".")[2]
        if isinstance(open_, Choices):
            found.append(Parameter(name, taken, open_.choices))
        else:
            found.append(Parameter(name, taken, (), open_.low, open_.high, open_.log))
    return found


def _few(title: Title, study: Study, finished: Sequence[Finished]) -> Told:
    metric = study.search.metric
    head = ["", *(f"trial {f.trial.number}" for f in finished)]
    rows = [
        [metric_name(metric), *(words.value(f.last(metric)) for f in finished)],
        ["ended", *("".join(ending(f)) or "complete" for f in finished)],
        *(
            [path.partition(".")[2], *(words.value(f.trial.params.get(path)) for f in finished)]
            for path in study.space
        ),
    ]
    many = "One trial" if len(finished) == 1 else "Two trials"
    said = f"{many} cannot show what a parameter does."
    return Told(title, said, head, rows)

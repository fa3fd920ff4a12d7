"""From which trial on do a sampler and a pruner know anything?

What the lag costs: a trial looks at trials that are older by the lag, so the first ones that a
sampler learns from, or a pruner compares with, come later by as much.
"""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.search.generations import population
from hpsearch.search.pruning import PRUNER_STARTUP
from hpsearch.search.rungs import rung_steps
from hpsearch.search.suggest import SAMPLER_STARTUP
from hpsearch.study.config import Study

_BEGINS = {
    "tpe": ("at random", "startup"),
    "gp": ("at random", "startup"),
    "cmaes": ("around the middle", "population"),
    "nsgaii": ("at random", "population"),
}
"""Where a sampler that learns draws before it does, and which key says for how long."""


def learns_from(study: Study) -> int | None:
    """The number of the first trial whose values may follow from others; None if none's do.

    Every trial is counted on to complete. In a study with rounds, each begins anew.
    """
    search = study.search
    if search.sampler in ("cmaes", "nsgaii"):
        return population(study) + search.lag - 1
    if search.sampler not in ("tpe", "gp"):
        return None
    needed = max((search.startup or SAMPLER_STARTUP) - len(search.history), 0)
    return needed + search.lag - 1 if needed else 0


def prunes_from(study: Study) -> int | None:
    """The number of the first trial that may be pruned by comparison; None if none is."""
    search = study.search
    if search.pruner in ("median", "percentile"):
        return search.lag + PRUNER_STARTUP - 1
    return search.lag if search.pruner in ("halving", "hyperband", "wilcoxon") else None


def completes_from(study: Study) -> int | None:
    """About how many trials it takes until one comes to its end, where each one is paused.

    Of η that came to a rung one goes on, so that it takes 1 + η + … + ηᵏ for k rungs, and the lag.
    """
    if not study.search.pauses:
        return None
    trials = study.search.lag - 1
    for rung in range(len(rung_steps(study)) + 1):
        trials += int(study.search.reduction_factor**rung)
    return trials


def delays(study: Study, *, least: float = 0.0) -> Iterator[str]:
    """What the lag costs the study, a sentence each.

    Args:
        study: The study.
        least: The share of its trials from which on that is said.
    """
    search = study.search
    trials = search.trials
    of = f"with lag {search.lag}"
    learns, prunes = learns_from(study), prunes_from(study)
    if learns is not None and min(learns, trials) > least * trials:
        where, key = _BEGINS[search.sampler]
        smaller = f"`{key}`" if search.lag == 1 else f"`lag` or `{key}`"
        yield (
            f"{of}, the {search.sampler} sampler draws the first {min(learns, trials)} of {trials} "
            f"trials {where}; a smaller {smaller} lets it learn earlier"
        )
    if prunes is not None and min(prunes, trials) > least * trials:
        yield (
            f"{of}, the {search.pruner} pruner prunes none of the first {min(prunes, trials)} of "
            f"{trials} trials; a smaller `lag` lets it begin earlier"
        )
    completes = completes_from(study)
    if completes is not None and completes > least * trials:
        yield (
            f"{of}, the pausing pruner brings the first trial to its end after about {completes} "
            f"of {trials}; a larger `min_epochs` or `reduction_factor` takes fewer"
        )

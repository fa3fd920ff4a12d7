"""What does trial *n* try?

A pure function of the study, the number and the finished trials 0 … n - lag. Optuna's samplers
decide; they are asked over a view that shows them just those trials and the one that is running,
under its real number, with a sampler, a pruner and a seed of its own.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpsearch.errors import UsageError
from hpsearch.search.distinct import Distinct
from hpsearch.search.history import History
from hpsearch.search.nsga import Nsga
from hpsearch.search.optuna_terms import (
    distribution,
    distributions,
    inward,
    outward,
    without_warnings,
)
from hpsearch.search.promotion import continued, place
from hpsearch.search.pruning import pruner
from hpsearch.search.seeds import Purpose, seed
from hpsearch.search.sobol import Sobol
from hpsearch.search.view import NAME, View
from hpsearch.study.conditions import conditional, holds, order, points
from hpsearch.study.config import Params, Study, Value, grid

SAMPLER_STARTUP = 10
"""Trials that TPE has seen before it learns from them: Optuna's own number."""

_POINTS: WeakKeyDictionary[History, Distinct] = WeakKeyDictionary()
"""What has been worked out of the trials of a study that trains no point twice."""


def require(study: Study) -> None:
    """Make sure that what the study's sampler needs is installed.

    Raises:
        UsageError: If it is not; the message says how to install it.
    """
    if study.search.sampler == "gp" and find_spec("torch") is None:
        raise UsageError(
            "search.sampler: gp needs PyTorch, which is not installed; run: "
            "pip install 'hpsearch[gp]'"
        )


def suggest(study: Study, history: History, number: int) -> Params:
    """Fill in what the study leaves open, for trial ``number``.

    A place whose condition does not hold stays without a value: Optuna is not even asked for it.
    """
    if study.given is not None:
        return study.given.values(number)
    if (origin := continued(study, history, number)) is not None:
        params = history.params(origin.number)
        assert params is not None
        return params
    if study.search.sampler == "grid" and conditional(study.space):
        return _visited(study, place(study, history, number))
    distinct = _POINTS.get(history)
    if distinct is None:
        if study.points is None:
            return _drawn(study, history, number)
        distinct = Distinct(study, history, partial(_drawn, study, history))
        _POINTS[history] = distinct
    return distinct.point(number)


def _drawn(study: Study, history: History, number: int, again: int = 0) -> Params:
    """What the sampler gives; ``again`` is how often it was asked before."""
    at = place(study, history, number)
    view = View(study, history.window(number), at, _enqueued(study, at))
    with without_warnings():
        asker = optuna.Study(NAME, view, _sampler(study, history, number, again), pruner(study))
        if conditional(study.space):
            return _one_by_one(study, asker.ask())
        trial = asker.ask(distributions(study))
    return {path: inward(study.space[path], trial.params[path]) for path in study.space}


def _one_by_one(study: Study, trial: optuna.Trial) -> Params:
    """Ask for each value that the trial has, once those that it depends on are known."""
    params: dict[str, Value] = {}
    for path in order(study.space):
        open_ = study.space[path]
        if holds(open_.when, params):
            params[path] = inward(open_, _asked(trial, path, distribution(open_)))
    return {path: params[path] for path in study.space if path in params}


def _asked(trial: optuna.Trial, path: str, of: BaseDistribution) -> Any:
    if isinstance(of, CategoricalDistribution):
        return trial.suggest_categorical(path, of.choices)
    if isinstance(of, IntDistribution):
        return trial.suggest_int(path, of.low, of.high, step=of.step, log=of.log)
    assert isinstance(of, FloatDistribution)
    return trial.suggest_float(path, of.low, of.high, step=of.step, log=of.log)


def _visited(study: Study, number: int) -> Params:
    """A trial's point of a grid with conditions, in which Optuna's would visit points twice."""
    found = points(study.space)
    shuffled = np.random.default_rng(study.search.seed).permutation(len(found))
    params = found[shuffled[number % len(found)]]
    return {path: params[path] for path in study.space if path in params}


def _enqueued(study: Study, number: int) -> dict[str, Any]:
    if number >= len(study.search.enqueue):
        return {}
    point = study.search.enqueue[number]
    return {path: outward(study.space[path], value) for path, value in point.items()}


def _sampler(
    study: Study, history: History, number: int, again: int
) -> optuna.samplers.BaseSampler:
    if study.search.sampler == "grid":
        points = {
            path: [outward(open_, value) for value in grid(path, open_)]
            for path, open_ in study.space.items()
        }
        # One shuffle of the grid for the whole study; the number in the view is the place in it.
        return optuna.samplers.GridSampler(points, seed=study.search.seed % 2**32)
    own = seed(study, number, Purpose.SAMPLER, again) % 2**32
    if study.search.sampler == "qmc":
        return Sobol(study, place(study, history, number))
    if study.search.sampler == "cmaes":
        from hpsearch.search.cma import Cma  # which takes most of a second

        return Cma(study, history, number, own)
    if study.search.sampler == "nsgaii":
        return Nsga(study, history, number, own)
    if study.search.sampler == "gp":
        startup = study.search.startup or SAMPLER_STARTUP
        return optuna.samplers.GPSampler(
            seed=own, n_startup_trials=startup, warn_independent_sampling=False
        )
    if study.search.sampler == "tpe":
        startup = study.search.startup or SAMPLER_STARTUP
        if not conditional(study.space):
            return optuna.samplers.TPESampler(
                seed=own, n_startup_trials=startup, warn_independent_sampling=False
            )
        # Those that occur together are looked at together.
        return optuna.samplers.TPESampler(
            seed=own,
            n_startup_trials=startup,
            multivariate=True,
            group=True,
            warn_independent_sampling=False,
        )
    return optuna.samplers.RandomSampler(seed=own)

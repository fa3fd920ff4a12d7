"""Which normal distribution is trial *n* drawn from?

CMA-ES (N. Hansen, "The CMA evolution strategy: a tutorial", arXiv:1604.00772, 2016) moves and
shapes a normal distribution by the ranks of a population of trials. Optuna's sampler keeps its
state, pickled, in the trials. Here it is worked out from the trials themselves: they are told in
the order of their numbers, a population at a time. See docs/decisions/0016-generations.md.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from cmaes import CMA
from numpy.typing import NDArray
from optuna._transform import _SearchSpaceTransform  # as Optuna's own sampler sees the space
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from hpsearch.search.generations import moved, population
from hpsearch.search.history import History
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study.config import Study

_STATES: WeakKeyDictionary[History, list[CMA]] = WeakKeyDictionary()
"""By history, the state after each population: no later trial changes it."""


class Cma(optuna.samplers.CmaEsSampler):
    """Optuna's CMA-ES sampler for one trial, in the state to which older trials have brought it."""

    def __init__(self, study: Study, history: History, number: int, seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=0, warn_independent_sampling=False)
        self._finished = history.before(number)
        self._states = _STATES.setdefault(history, [])
        self._moved = moved(study)
        self._study = study

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """The same for all trials, the first included."""
        return self._moved

    def _restore_optimizer(self, completed_trials: Any) -> CMA:
        """What Optuna draws from: it finds no trials in this view that it has yet to tell it."""
        size = population(self._study)
        transform = _SearchSpaceTransform(self._moved, transform_0_1=True)
        if not self._states:
            self._states.append(_begun(np.full(len(self._moved), 0.5), size))
        for generation in range(len(self._states), len(self._finished) // size + 1):
            block = self._finished[(generation - 1) * size : generation * size]
            self._states.append(_told(self._states[-1], self._study, block, transform))
        return copy.deepcopy(self._states[len(self._finished) // size])


def _begun(mean: NDArray[np.float64], size: int) -> CMA:
    """The first state of a search in the unit cube, as Optuna sets it up."""
    bounds = np.repeat([[0.0, 1.0]], len(mean), axis=0)
    resampling = 10 * len(mean)
    return CMA(mean, 1 / 6, bounds, n_max_resampling=resampling, seed=0, population_size=size)


def _told(
    state: CMA, study: Study, block: Sequence[FrozenTrial], transform: _SearchSpaceTransform
) -> CMA:
    """The state after one more population; once it has shrunk to a point, a search elsewhere.

    Only ranks count, so the place in the ranking is the value that is told.
    """
    maximize = study.search.direction == "maximize"
    ranked = sorted(block, key=lambda trial: _merit(trial, maximize=maximize))
    points = [
        transform.transform({path: trial.params[path] for path in transform._search_space})
        for trial in ranked
    ]
    state = copy.deepcopy(state)
    state.tell([(point, float(rank)) for rank, point in enumerate(points)])
    if not state.should_stop():
        return state
    rng = np.random.default_rng(seed(study, block[-1].number, Purpose.SAMPLER))
    return _begun(rng.random(state.dim), state.population_size)


def _merit(trial: FrozenTrial, *, maximize: bool) -> tuple[bool, int, float]:
    """Less is better: a COMPLETE trial by its value, then a PRUNED one by how far it came."""
    sign = -1 if maximize else 1
    if trial.value is not None:
        return False, 0, sign * trial.value
    epoch = max(trial.intermediate_values, default=0)
    value = sign * trial.intermediate_values.get(epoch, math.nan)
    return True, -epoch, math.inf if math.isnan(value) else value

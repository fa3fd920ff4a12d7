"""Which trials are the parents of trial *n*?

NSGA-II (K. Deb and others, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6, 2002) crosses the trials that few others surpass.
Optuna's sampler writes generations and parents into the study. Here a generation is a population of
COMPLETE trials in the order of their numbers; see docs/decisions/0016-generations.md.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from hpsearch.search.generations import of_all, population
from hpsearch.search.history import History
from hpsearch.study.config import Study

_PARENTS: WeakKeyDictionary[History, list[list[FrozenTrial]]] = WeakKeyDictionary()
"""By history, the parents of each generation: no later trial changes them."""


class Nsga(optuna.samplers.NSGAIISampler):
    """Optuna's NSGA-II sampler for one trial. The first generation has no parents, but chance."""

    def __init__(self, study: Study, history: History, number: int, seed: int) -> None:
        self._size = population(study)
        super().__init__(population_size=self._size, seed=seed)
        self._complete = [trial for trial in history.before(number) if trial.values]
        self._parents = _PARENTS.setdefault(history, [[]])
        self._whole = of_all(study)

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """The same for all trials."""
        return self._whole

    def sample_relative(
        self, study: optuna.Study, trial: Any, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A child of the parents; what it is to have anew is drawn by itself."""
        size = self._size
        for generation in range(len(self._parents), len(self._complete) // size + 1):
            born = self._complete[(generation - 1) * size : generation * size]
            pool = born + self._parents[-1]
            self._parents.append(self._elite_population_selection_strategy(study, pool))
        parents = self._parents[len(self._complete) // size]
        return self._child_generation_strategy(study, search_space, parents) if parents else {}

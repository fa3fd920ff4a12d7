"""Which point of a low-discrepancy sequence is trial *n*'s?"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from hpsearch.search.optuna_terms import distributions
from hpsearch.study.config import Study


class Sobol(optuna.samplers.QMCSampler):
    """Optuna's QMC sampler for one trial: its number is its place in the sequence.

    Optuna's own takes the next place from a counter that it keeps in the study, and leaves the
    first trial to chance. Here a trial looks at no other one, so that nobody waits. The sequence is
    Sobol's (I. M. Sobol', "On the distribution of points in a cube and the approximate evaluation
    of integrals", 1967), scrambled by the study's seed. A place whose condition does not hold has a
    coordinate all the same, which is not used.
    """

    def __init__(self, study: Study, number: int) -> None:
        super().__init__(
            qmc_type="sobol",
            scramble=True,
            seed=study.search.seed % 2**32,
            warn_independent_sampling=False,
            warn_asynchronous_seeding=False,
        )
        self._number = number
        self._whole = {
            path: of for path, of in sorted(distributions(study).items()) if not of.single()
        }

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """All that is open, from the first trial on."""
        return self._whole

    def _find_sample_id(self, study: Any, search_space: dict[str, BaseDistribution]) -> int:
        return self._number

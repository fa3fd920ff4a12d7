"""How many trials does a generation have, of a sampler that evolves?"""

from __future__ import annotations

import math

from optuna.distributions import BaseDistribution, CategoricalDistribution

from hpsearch.search.optuna_terms import distributions
from hpsearch.study.config import Study


def population(study: Study) -> int:
    """The trials of a generation.

    Of CMA-ES 4 + ⌊3 ln d⌋ for d dimensions (Hansen's tutorial, arXiv:1604.00772, eq. 48).
    """
    return study.search.population or 4 + math.floor(3 * math.log(len(moved(study))))


def moved(study: Study) -> dict[str, BaseDistribution]:
    """What CMA-ES moves: the ranges that every trial has a value for.

    All else is drawn at random, as Optuna's sampler does.
    """
    return {
        path: of
        for path, of in sorted(distributions(study).items())
        if not (of.single() or isinstance(of, CategoricalDistribution) or study.space[path].when)
    }

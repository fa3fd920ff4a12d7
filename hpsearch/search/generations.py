"""How many trials does a generation have, of a sampler that evolves, and over what?"""

from __future__ import annotations

import math

from optuna.distributions import BaseDistribution, CategoricalDistribution

from hpsearch.search.optuna_terms import distributions
from hpsearch.study.config import Study

NSGA_POPULATION = 20
"""Optuna's own 50 would be half of a study of 100 trials."""


def population(study: Study) -> int:
    """The trials of a generation.

    Of CMA-ES 4 + ⌊3 ln d⌋ for d dimensions (Hansen's tutorial, arXiv:1604.00772, eq. 48).
    """
    if study.search.population is not None:
        return study.search.population
    if study.search.sampler == "nsgaii":
        return NSGA_POPULATION
    return 4 + math.floor(3 * math.log(len(moved(study))))


def of_all(study: Study) -> dict[str, BaseDistribution]:
    """What is searched and has a value in every trial. All else is drawn at random."""
    return {
        path: of
        for path, of in sorted(distributions(study).items())
        if not of.single() and not study.space[path].when
    }


def moved(study: Study) -> dict[str, BaseDistribution]:
    """The ranges among them, which CMA-ES moves."""
    every = of_all(study)
    return {p: of for p, of in every.items() if not isinstance(of, CategoricalDistribution)}

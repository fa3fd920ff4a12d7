"""Do the keys of ``[search]`` go together? One that changes nothing is a mistake."""

from __future__ import annotations

from hpsearch.errors import StudyFileError
from hpsearch.study.config import Range, SearchConfig, Space

_OF_PRUNER = {
    "percentile": "percentile",
    "stall": "patient",
    "lower": "threshold",
    "upper": "threshold",
    "p_threshold": "wilcoxon",
}
"""Which pruner a key is for."""
_LEARNS = ("tpe",)
"""Samplers whose first trials are random."""
_EVOLVES = ("cmaes",)
"""Samplers that have generations."""


def check(search: SearchConfig) -> None:
    """Make sure that each key is of use.

    Raises:
        StudyFileError: If one is not, or one is missing.
    """
    for key, pruner in _OF_PRUNER.items():
        if getattr(search, key) is not None and search.pruner != pruner:
            raise StudyFileError(
                f'search.{key}: is for the {pruner} pruner; set `pruner = "{pruner}"`, or remove it'
            )
    if search.startup is not None and search.sampler not in _LEARNS:
        raise StudyFileError(
            f"search.startup: the {search.sampler} sampler does not learn; remove it"
        )
    if search.population is not None and search.sampler not in _EVOLVES:
        raise StudyFileError(
            f"search.population: the {search.sampler} sampler has no generations; remove it"
        )
    if search.repeat is not None and search.sampler not in ("random", "tpe"):
        raise StudyFileError(
            f"search.repeat: is for the random and the tpe sampler, not {search.sampler}; remove it"
        )
    if search.pruner != "threshold":
        return
    if search.lower is None and search.upper is None:
        raise StudyFileError("search.pruner: threshold needs `lower` or `upper`, or both")
    if search.lower is not None and search.upper is not None and search.lower > search.upper:
        raise StudyFileError(f"search.lower: {search.lower} is above upper, {search.upper}")


def check_space(search: SearchConfig, space: Space) -> None:
    """Make sure that the sampler finds what it is made for.

    Raises:
        StudyFileError: If there is nothing of the kind.
    """
    ranges = (of for of in space.values() if isinstance(of, Range) and not of.when)
    if search.sampler == "cmaes" and not any(of.low < of.high for of in ranges):
        raise StudyFileError(
            "search.sampler: cmaes needs a range without a condition; add one, or use tpe"
        )

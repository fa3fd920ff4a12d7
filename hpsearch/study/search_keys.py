"""Do the keys of ``[search]`` go together? One that changes nothing is a mistake."""

from __future__ import annotations

from hpsearch.errors import StudyFileError
from hpsearch.study.config import Range, SearchConfig, Space, Study
from hpsearch.study.words import nearest, show

_OF_PRUNER = {
    "percentile": "percentile",
    "stall": "patient",
    "lower": "threshold",
    "upper": "threshold",
    "p_threshold": "wilcoxon",
}
"""Which pruner a key is for."""
_LEARNS = ("tpe", "gp")
"""Samplers whose first trials are random."""
_EVOLVES = ("cmaes", "nsgaii")
"""Samplers that have generations."""
_TIME = {"time", "seconds", "duration", "latency", "ms"}
"""Words in a metric's name that mean a time."""


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
    if search.also:
        _check_several(search)
    if search.pruner != "threshold":
        return
    if search.lower is None and search.upper is None:
        raise StudyFileError("search.pruner: threshold needs `lower` or `upper`, or both")
    if search.lower is not None and search.upper is not None and search.lower > search.upper:
        raise StudyFileError(f"search.lower: {search.lower} is above upper, {search.upper}")


def _check_several(search: SearchConfig) -> None:
    if search.metric in search.also:
        raise StudyFileError(f"search.also: {search.metric} is the metric already; remove it")
    if search.sampler == "cmaes":
        raise StudyFileError(
            "search.sampler: cmaes has one objective; with `also`, use nsgaii or tpe"
        )
    if search.pruner != "none":
        raise StudyFileError(
            f"search.pruner: {search.pruner} compares trials by one objective; with `also`, "
            f'set `pruner = "none"`'
        )
    for key in ("rounds", "history", "target", "patience", "gain"):
        if getattr(search, key) not in (None, []):
            raise StudyFileError(f"search.{key}: is of one objective; remove it, or `also`")


def check_metrics(study: Study) -> None:
    """Make sure that the objectives are what the trainings report.

    Raises:
        StudyFileError: If one is not.
    """
    search = study.search
    for key, metric in [("metric", search.metric), *(("also", metric) for metric in search.also)]:
        if metric not in study.metrics:
            raise StudyFileError(
                f"search.{key}: {show(metric)} is not a metric of this study"
                f"{_instead(study, metric)}"
            )
        if study.gaps and metric.startswith("train_"):
            raise StudyFileError(
                f'training.measure: the search looks at {metric}, so it must be "every"'
            )
    if search.also and study.objective is None:
        epochs = study.space.get("training.epochs")
        if 0 in (epochs.ends() if epochs else [study.fixed["training"]["epochs"]]):
            raise StudyFileError("training.epochs: several objectives need an epoch at least")


def _instead(study: Study, metric: str) -> str:
    if metric == "parameters" and study.objective is None:
        return '; add `report = ["parameters"]` to [training]'
    if _TIME & set(metric.lower().split("_")) and study.objective is None:
        return (
            ", for time differs from run to run, and trials must not; take what it depends on, "
            'such as `parameters` (`report = ["parameters"]` in [training])'
        )
    return nearest(metric, list(study.metrics))


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

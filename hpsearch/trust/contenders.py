"""Which configurations of a study are trained again, and with which seeds?

A confirmation, a refit, or an opening of the test part, is a study of its own: what is given is
written down in its definition, and follows from the other study's definition and trials alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hpsearch.errors import UsageError
from hpsearch.ledger.records import StudyRecord, Trial
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study import file as study_file
from hpsearch.study import folds
from hpsearch.study.conditions import holds, order
from hpsearch.study.config import Params, Range, Study, Value, dumps
from hpsearch.study.given import Configuration, GivenConfig
from hpsearch.study.rounds import EPOCHS
from hpsearch.study.section import plain
from hpsearch.study.space import middle

_SEED = "training.seed"
"""A place that may be searched, and here is given."""
_LONGEST = 128
"""Of a study's name."""


def to_confirm(
    record: StudyRecord, complete: Sequence[Trial], *, top: int, seeds: int, resplit: bool | None
) -> Study:
    """The study that confirms another one's best trials.

    Args:
        record: The other study.
        complete: Its COMPLETE trials, the best first.
        top: How many different configurations, the best first; the baseline comes behind them.
        seeds: How many new seeds each is trained with.
        resplit: Whether each seed sees another draw of the training and validation part. None
            draws them again where that can be.

    Raises:
        UsageError: If it cannot be confirmed so.
    """
    study = record.study
    if resplit and study.data is None:
        raise UsageError(
            f"{study.name!r} trains with {_own(study)}, which alone knows its validation "
            f"examples; leave --resplit out"
        )
    if resplit is None:
        resplit = study.data is not None
    chosen, own = best(complete, top), baseline(study)
    if all(dumps(one.values) != dumps(own) for one in chosen):
        chosen.append(Configuration(values=own))
    return given(
        study,
        GivenConfig(
            study=study.name,
            configurations=chosen,
            seeds=[seed(study, number, Purpose.CONFIRMATION) for number in range(seeds)],
            draws=list(range(1, seeds + 1)) if resplit else None,
        ),
    )


def made_of(record: StudyRecord, trials: Sequence[Trial], own: StudyRecord) -> bool:
    """Whether the trials of another study are given by this one: not by one of the same name.

    Args:
        record: This study.
        trials: Its trials.
        own: The other one.
    """
    named = own.study.given
    if named is None or named.study != record.name or own.data_digests != record.data_digests:
        return False
    tried = {trial.number: values_of(trial.params) for trial in trials}
    return given(record.study, named).definition() == own.study.definition() and all(
        one.trial is None or tried.get(one.trial) == one.values for one in named.configurations
    )


def best(complete: Sequence[Trial], top: int) -> list[Configuration]:
    """So many different configurations, those of the best trials first; fewer if there are.

    Args:
        complete: The COMPLETE trials of a study, the best first.
        top: How many.
    """
    found: dict[str, Configuration] = {}
    for trial in complete:
        values = values_of(trial.params)
        found.setdefault(dumps(values), Configuration(trial=trial.number, values=values))
    return list(found.values())[:top]


def baseline(study: Study) -> dict[str, Value]:
    """What the best is held against: ``[confirm] baseline``, or the middle of every range."""
    named = study.confirm.baseline if study.confirm else {}
    point: dict[str, Value] = {}
    for path in order(study.space):
        if holds(study.space[path].when, point):
            point[path] = named.get(path, middle(study.space[path]))
    if study.epochs_by_round:
        point[EPOCHS] = study.epochs_by_round[-1]
    return values_of(point)


def given(study: Study, trials: GivenConfig) -> Study:
    """The study that consists of these trials of another one.

    Raises:
        UsageError: If its name would be too long.
    """
    if len(trials.name) > _LONGEST:
        raise UsageError(
            f"{trials.name!r}: has {len(trials.name)} characters; the maximum is {_LONGEST}; give "
            f"the study a shorter name"
        )
    table: dict[str, Any] = _holding(study, trials).definition()
    if trials.part != "validation":  # each seed trains once, on all that is not sealed
        table = folds.without(table)
    table.pop("confirm", None)
    for section in ("training", "objective"):
        table.get(section, {}).pop("seed", None)
    search = study.search
    metric = search.metric
    if trials.part != "validation":
        metric = f"{'test' if trials.part == 'test' else 'train'}_{metric.partition('_')[2]}"
    table |= {
        "name": trials.name,
        "search": {
            "sampler": "given",
            "metric": metric,
            "direction": search.direction,
            "seed": search.seed,
        },
        "tracking": {
            **table.get("tracking", {}),
            "experiment": study.tracking.experiment or study.name,
        },
        "given": plain(trials),
    }
    return study_file.parse(table)


def _holding(study: Study, trials: GivenConfig) -> Study:
    """The study with ranges that hold what is given: those of its rounds may have grown."""
    if not study.search.rounds:
        return study
    space = dict(study.space)
    for path, open_ in study.space.items():
        given = [each.values[path] for each in trials.configurations if path in each.values]
        if isinstance(open_, Range):
            low, high = min([open_.low, *given]), max([open_.high, *given])
            space[path] = replace(open_, low=low, high=high)
    return replace(study, space=space, epochs_by_round=())


def values_of(params: Params) -> dict[str, Value]:
    """The values of a configuration: without the seed, where that was searched."""
    return {path: params[path] for path in sorted(params) if path != _SEED}


def _own(study: Study) -> str:
    return "a command" if study.objective and study.objective.command else "a function"

"""How often does a trial train, and with which configurations?

Once as a rule. With ``[data] folds`` once a fold of its data; with ``repeats`` as many times, with
another seed each. Both make one trial: its value is the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.study.objective import ObjectiveTrial
from hpsearch.study.space import Space
from hpsearch.study.trial import AnyTrial, DataConfig


def each(config: AnyTrial) -> list[AnyTrial]:
    """The trainings of a trial, each a configuration of its own; itself where it is one alone."""
    if isinstance(config, ObjectiveTrial):
        objective, repeats = config.objective, config.objective.repeats or 1
        if repeats == 1:
            return [config]
        return [
            ObjectiveTrial(
                objective.model_copy(update={"repeats": None, "seed": _seed(objective.seed, k)}),
                config.params,
            )
            for k in range(repeats)
        ]
    data, training = config.data, config.training
    parts, repeats = data.parts, training.repeats or 1
    if parts * repeats == 1:
        return [config]
    return [
        config.model_copy(
            update={
                "data": data.model_copy(update={"fold": k + 1}) if parts > 1 else data,
                "training": training.model_copy(
                    update={"repeats": None, "seed": _seed(training.seed, k)}
                ),
            }
        )
        for k in range(parts * repeats)
    ]


def check(data: DataConfig, training: Mapping[str, Any], space: Space) -> None:
    """Make sure that what is said of folds and repeats goes together.

    Raises:
        StudyFileError: If it does not.
    """
    if "training.repeats" in space:
        raise StudyFileError("training.repeats: must be the same for all trials; write a number")
    if data.folds is None:
        if data.fold is not None:
            raise StudyFileError("data.fold: needs `folds = …`, of which it is one; or remove it")
        return
    if data.validation != 1 / data.folds:
        raise StudyFileError(
            f"data.validation: each of the {data.folds} folds is the validation part once; "
            f"remove it, or remove folds"
        )
    if data.fold is not None and data.fold > data.folds:
        raise StudyFileError(f"data.fold: there are {data.folds} folds (it is {data.fold})")
    if (training.get("repeats") or 1) > 1:
        raise StudyFileError(
            "training.repeats: cannot be combined with data.folds, which trains a trial several "
            "times already; remove one of them"
        )


def without(table: Mapping[str, Any]) -> dict[str, Any]:
    """A study's table with trials that train once: on the first of the folds, if there are some."""
    parts = {"data": ("folds", "fold"), "training": ("repeats",)}
    return {
        key: {k: v for k, v in entry.items() if k not in parts[key]} if key in parts else entry
        for key, entry in table.items()
    }


def _seed(seed: int | None, place: int) -> int | None:
    """The first training has the trial's own seed, the others have one that follows from it."""
    if seed is None or place == 0:
        return seed
    import numpy as np  # which a definition alone does not need

    sequence = np.random.SeedSequence(seed, spawn_key=(place,))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 11

"""Which training does a study ask for? The one place that knows their kinds."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from hpsearch.study.config import Study
from hpsearch.study.objective import LOCAL
from hpsearch.training.seam import Trainer


def trainer(study: Study, folder: Path, cache: Path) -> Trainer:
    """What trains a study's trials here.

    Args:
        study: The study.
        folder: The study file's.
        cache: A folder for parsed datasets.

    Raises:
        UsageError: If what it needs is missing or wrong: data, function, command or files.
    """
    if study.data is not None:
        from hpsearch.data.datasets import load
        from hpsearch.data.facts import facts
        from hpsearch.data.splits import Parts, split
        from hpsearch.training.network import NetworkTrainer

        dataset = load(study.data.dataset, cache=cache, task=study.data.task)
        described = study.data.model_dump(exclude={"dataset", "task"})
        splits = split(dataset, **described)
        if study.given is not None and study.given.part == "test":
            from hpsearch.training.unsealed import UnsealedTrainer

            return UnsealedTrainer(splits, lambda: facts(dataset, splits))

        @lru_cache(maxsize=32)
        def redrawn(draw: int) -> Parts:
            return split(dataset, **{**described, "draw": draw}).sealed

        return NetworkTrainer(splits.sealed, lambda: facts(dataset, splits), redrawn)
    assert study.objective is not None
    if study.objective.function is not None and study.objective.function.startswith(LOCAL):
        from hpsearch.training.local import OutOfReach

        return OutOfReach(study.objective.function)
    if study.objective.function is not None:
        from hpsearch.training.function import FunctionTrainer

        ahead = study.search.pruner == "none"
        return FunctionTrainer(study.objective, folder, ahead=ahead)
    from hpsearch.training.command import CommandTrainer

    return CommandTrainer(study.objective, folder)

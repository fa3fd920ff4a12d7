"""Which training does a study ask for? The one place that knows their kinds."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import StudyFileError
from hpsearch.study.config import DataConfig, Study
from hpsearch.study.objective import LOCAL
from hpsearch.training.seam import Trainer

if TYPE_CHECKING:
    from hpsearch.data.datasets import Dataset
    from hpsearch.data.splits import Splits

SHIFT = "training.shift"


def trainer(study: Study, folder: Path, cache: Path) -> Trainer:
    """What trains a study's trials here.

    Args:
        study: The study.
        folder: The study file's.
        cache: A folder for parsed datasets.

    Raises:
        UsageError: If what it needs is missing or wrong: data, function, command or files; or if
            examples are to be moved as images that are none.
    """
    return folded(study, _single(study, folder, cache))


def folded(study: Study, trainer: Trainer) -> Trainer:
    """The same, which trains each trial as often as the study says."""
    if study.folds == 1:
        return trainer
    from hpsearch.training.folds import FoldedTrainer

    return FoldedTrainer(trainer, study.metrics)


def _single(study: Study, folder: Path, cache: Path) -> Trainer:
    if study.data is not None:
        from hpsearch.data.facts import facts
        from hpsearch.data.splits import Parts
        from hpsearch.training.network import NetworkTrainer

        described = study.data
        dataset, splits = data_of(described, cache)
        _require_images(study, dataset.shape)
        if study.given is not None and study.given.part == "test":
            from hpsearch.training.unsealed import UnsealedTrainer

            return UnsealedTrainer(splits, lambda: facts(dataset, splits))
        if study.given is not None and study.given.part == "both":
            from hpsearch.training.whole import WholeTrainer

            return WholeTrainer(splits.sealed, lambda: facts(dataset, splits))

        @lru_cache(maxsize=max(2, study.folds))  # one draw of the data comes after the other
        def redrawn(draw: int | None, fold: int | None) -> Parts:
            other = described.model_copy(update={"draw": draw, "fold": fold})
            return _parts_of(dataset, other).sealed

        return NetworkTrainer(
            splits.sealed,
            lambda: facts(dataset, splits),
            lambda data: redrawn(data.draw, data.fold),
        )
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


def data_of(described: DataConfig, cache: Path) -> tuple[Dataset, Splits]:
    """The dataset that a study describes, and its parts, the test part among them.

    Args:
        described: A study's ``[data]``.
        cache: A folder for parsed datasets.

    Raises:
        DataError: If the data is missing or wrong, or too small for its parts.
    """
    from hpsearch.data.datasets import load

    dataset = load(described.dataset, cache=cache, task=described.task)
    return dataset, _parts_of(dataset, described)


def _parts_of(dataset: Dataset, described: DataConfig) -> Splits:
    """The parts of a dataset that ``[data]`` describes."""
    from hpsearch.data.splits import split

    return split(dataset, **described.model_dump(exclude={"dataset", "task"}))


def _require_images(study: Study, shape: tuple[int, ...]) -> None:
    """Only what has a height and a width can be moved, and not out of sight."""
    open_ = study.space.get(SHIFT)
    ends = [study.fixed["training"]["shift"]] if open_ is None else open_.ends()
    most = max(int(end) for end in (*ends, study.search.limits.get(SHIFT, {}).get("high", 0)))
    if most and len(shape) < 2:
        assert study.data is not None
        raise StudyFileError(f"{SHIFT}: {study.data.dataset} has no images to move; remove the key")
    if most and most >= min(shape[:2]):
        raise StudyFileError(
            f"{SHIFT}: {most} pixels would move an image of {shape[0]} × {shape[1]} out of sight; "
            f"use {min(shape[:2]) - 1} at most"
        )

"""After which steps may a trial be stopped? They are its epochs; of one that trains several times,
its folds or repeats."""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.ledger.records import Fold, mean_of
from hpsearch.study.config import Params, Study


def most_steps(study: Study) -> int:
    """The steps of the longest trial; 1 where that is not known, and nobody prunes."""
    return study.folds if study.folds > 1 else study.epochs or 1


def own_epochs(study: Study, params: Params) -> int:
    """The epochs of each training of a trial: fewer than the most where they are searched."""
    return int(str(params.get("training.epochs", study.epochs or 1)))


def own_steps(study: Study, params: Params) -> int:
    """The steps of one trial."""
    return study.folds if study.folds > 1 else own_epochs(study, params)


def measured(study: Study, folds: Sequence[Fold]) -> list[float]:
    """What a pruner is shown after each fold: the mean so far, which is the value in the end.

    One that compares fold by fold is shown what each came to.
    """
    if study.search.pruner == "wilcoxon":
        return [fold.value for fold in folds]
    return [mean_of(folds[:step]) for step in range(1, len(folds) + 1)]


def rung_steps(study: Study) -> Sequence[int]:
    """The steps after which the pruner may stop a trial; after the last there is no point.

    They are computed, not listed: of 10⁸ epochs they may be nearly all.
    """
    search, most = study.search, most_steps(study)
    if search.pruner in ("median", "percentile", "patient", "threshold"):
        return range(search.min_epochs, most)
    if search.pruner == "wilcoxon":  # of one pair it can say nothing
        return range(max(search.min_epochs, 2), most)
    if search.pruner in ("halving", "pausing", "hyperband"):
        steps, step = [], search.min_epochs
        while step < most:
            steps.append(step)
            step *= search.reduction_factor
        return tuple(steps)
    return ()


def step_name(study: Study) -> str:
    """What a step is called."""
    if study.folds == 1:
        return "epoch"
    return "fold" if study.data is not None and study.data.parts > 1 else "repeat"

"""After which epochs may a trial be stopped?"""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.study.config import Params, Study


def most_epochs(study: Study) -> int:
    """The epochs of the longest trial; 1 where that is not known, and nobody prunes."""
    return study.epochs or 1


def own_epochs(study: Study, params: Params) -> int:
    """The epochs of one trial: fewer than the most where they are searched."""
    return int(str(params.get("training.epochs", most_epochs(study))))


def rung_epochs(study: Study) -> Sequence[int]:
    """The epochs after which the pruner may stop a trial; after the last there is no point.

    They are computed, not listed: of 10⁸ epochs they may be nearly all.
    """
    search, most = study.search, most_epochs(study)
    if search.pruner in ("median", "percentile", "patient", "threshold"):
        return range(search.min_epochs, most)
    if search.pruner in ("halving", "hyperband"):
        epochs, epoch = [], search.min_epochs
        while epoch < most:
            epochs.append(epoch)
            epoch *= search.reduction_factor
        return tuple(epochs)
    return ()

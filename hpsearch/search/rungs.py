"""After which epochs may a trial be stopped?"""

from __future__ import annotations

from hpsearch.study.config import Study


def most_epochs(study: Study) -> int:
    open_ = study.space.get("training.epochs")
    ends = open_.ends() if open_ else [study.fixed["training"]["epochs"]]
    return max(int(str(end)) for end in ends)


def rung_epochs(study: Study) -> frozenset[int]:
    """The epochs after which the pruner may stop a trial; after the last there is no point."""
    search, most = study.search, most_epochs(study)
    if search.pruner == "median":
        return frozenset(range(search.min_epochs, most))
    if search.pruner == "hyperband":
        epochs, epoch = set(), search.min_epochs
        while epoch < most:
            epochs.add(epoch)
            epoch *= search.reduction_factor
        return frozenset(epochs)
    return frozenset()

"""Which training does a study ask for? The one place that knows their kinds."""

from __future__ import annotations

from pathlib import Path

from hpsearch.data.datasets import load
from hpsearch.data.facts import facts
from hpsearch.data.splits import split
from hpsearch.study.config import Study
from hpsearch.training.network import NetworkTrainer


def trainer(study: Study, cache: Path) -> NetworkTrainer:
    """What trains a study's trials here.

    Args:
        study: The study.
        cache: A folder for parsed datasets.

    Raises:
        DataError: If its data is missing or wrong.
    """
    dataset = load(study.data.dataset, cache=cache)
    splits = split(dataset, **study.data.model_dump(exclude={"dataset"}))
    return NetworkTrainer(splits, lambda: facts(dataset, splits))

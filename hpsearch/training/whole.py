"""What does a configuration train to on all that a search sees? On both of its parts together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hpsearch.data.datasets import digest
from hpsearch.data.splits import Parts, Split
from hpsearch.study.config import AnyTrial, Study, TrialConfig
from hpsearch.training.network import NetworkTraining


class Whole:
    """The training and the validation part of a study, to be trained on together.

    Args:
        parts: The data that the study describes.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._joined = replace(parts, train=_joined(parts.train, parts.validation))

    def of(self, config: TrialConfig) -> Parts:
        """What a training sees: both parts as its training part.

        Where patience decides when to stop, it needs the validation part for that, and the network
        is trained on the training part alone.
        """
        return self._joined if config.training.patience is None else self._parts


class WholeTrainer:
    """Trains networks on the training and validation part together: what a search ends with.

    No part is left that could tell how good they are, so they report of what they are trained on.

    Args:
        parts: The data that the study describes, without the test part.
        facts: Gives what is worth knowing of it.
    """

    packages: Collection[str] = ()
    """None: it computes with NumPy alone."""

    def __init__(self, parts: Parts, facts: Callable[[], Mapping[str, Any]] = dict) -> None:
        self.parts = parts
        self._whole = Whole(parts)
        self.facts = facts
        self.digests = parts.digests

    def settled(self, study: Study) -> Study:
        """The study with the scaling that its data has decided."""
        return study.with_scaling(self.parts.scaling)

    def train(
        self, config: AnyTrial, number: int = 0, interrupted: Callable[[], bool] = lambda: False
    ) -> NetworkTraining:
        """Begin a training."""
        assert isinstance(config, TrialConfig)
        return NetworkTraining(config, self._whole.of(config), validated=False)


def _joined(first: Split, second: Split) -> Split:
    """Both parts as one."""
    x, y = np.concatenate([first.x, second.x]), np.concatenate([first.y, second.y])
    x.setflags(write=False)
    y.setflags(write=False)
    return Split(x, y, np.concatenate([first.rows, second.rows]), digest(x, y))

"""Which trainings can be paused, and go on later from their exact state?

Those of networks. A function or a command of one's own has a state that nobody else knows: it is
trained again from its start, to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from hpsearch.training.folds import FoldedTraining
from hpsearch.training.network import NetworkTraining
from hpsearch.training.seam import Row, Training


def paused(training: Training) -> dict[str, NDArray[Any]] | None:
    """All that the rest of a training follows from, at a step of its trial; None if unknown."""
    if isinstance(training, NetworkTraining | FoldedTraining):
        return training.paused()
    return None


def resume(training: Training, state: Mapping[str, NDArray[Any]]) -> Sequence[Row]:
    """Let a new training go on from there; the epochs that it had until then."""
    assert isinstance(training, NetworkTraining | FoldedTraining)
    return training.resume(state)

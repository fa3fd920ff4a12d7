"""Figure 6-23: dropout holds overfitting down."""

from __future__ import annotations

import pytest

from tests.experiments.study_files import trained


@pytest.mark.parametrize("seed", [0, 1])
def test_shrinks_the_gap_in_loss(seed: int) -> None:
    """Its effect on the gap in accuracy is noise at this size."""
    without = trained("dropout", seed, dropout=0.0)
    dropped = trained("dropout", seed, dropout=0.2)
    assert [len(without.curve), len(dropped.curve)] == [301, 301]
    assert dropped.gap("loss") < 0.9 * without.gap("loss")
    assert dropped.last("train_accuracy") < without.last("train_accuracy")

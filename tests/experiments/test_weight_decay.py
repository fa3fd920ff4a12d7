"""Figure 6-21: weight decay holds overfitting down."""

from __future__ import annotations

from tests.experiments.study_files import seeds, trained


@seeds(3)
def test_shrinks_the_gap(seed: int) -> None:
    """In accuracy and in loss; and it no longer knows all of its training images."""
    without = trained("weight-decay", seed, weight_decay=0.0)
    decayed = trained("weight-decay", seed, weight_decay=0.1)
    assert decayed.gap("accuracy") < without.gap("accuracy")
    assert decayed.gap("loss") < without.gap("loss") / 1.5
    assert decayed.last("train_accuracy") < 0.99 <= without.last("train_accuracy")

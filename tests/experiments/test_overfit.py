"""Figure 6-20: a large network learns 300 images by heart."""

from __future__ import annotations

from tests.experiments.study_files import seeds, trained


@seeds(3)
def test_knows_its_images_and_not_others(seed: int) -> None:
    """99 % of its training images, and 15 points less of those it has not seen."""
    trial = trained("overfit", seed)
    assert len(trial.curve) == 201
    assert trial.last("train_accuracy") >= 0.99
    assert trial.gap("accuracy") >= 0.15

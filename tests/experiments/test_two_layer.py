"""Figures 4-11 and 4-12, and 5.7.4: the two-layer network learns to read digits."""

from __future__ import annotations

import pytest

from hpsearch.study import file as study_file
from tests.experiments.study_files import STUDIES, points, seeds, train, trained


def test_learns_within_five_epochs() -> None:
    """The network of chapter 5: ReLU."""
    study = study_file.load(STUDIES / "two-layer.toml", ["training.epochs=5"])
    (relu,) = (point for point in points(study) if point["network.activation"] == "relu")
    assert train(study, relu, 0).last("val_accuracy") > 0.8


@pytest.mark.soak
@seeds(2)
def test_does_not_overfit_much(seed: int) -> None:
    """With sigmoid, as in chapter 4: both accuracies are above 0.9, and within a tenth."""
    sigmoid = trained("two-layer", seed, activation="sigmoid")
    assert len(sigmoid.curve) == 250
    assert sigmoid.last("val_accuracy") > 0.9
    assert sigmoid.gap("accuracy") < 0.1

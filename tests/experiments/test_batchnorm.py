"""Figures 6-18 and 6-19: with batch normalization the first weights matter little."""

from __future__ import annotations

import pytest

from tests.experiments.study_files import Trained, load, seeds, trained


def pair(seed: int, init: float) -> tuple[Trained, Trained]:
    """The same network with and without."""
    return tuple(
        trained("batchnorm", seed, batch_norm=batch_norm, init=init) for batch_norm in (True, False)
    )


def test_sixteen_scales() -> None:
    """From 1 to 0.0001, evenly on a logarithmic scale."""
    scales = load("batchnorm", 0).space["network.init"].ends()
    assert [10 ** (-4 * i / 15) for i in range(16)] == pytest.approx(scales, rel=0.005)


@seeds(3)
def test_learns_at_every_scale(seed: int) -> None:
    """In 20 epochs it knows three times as many images as by guessing, wherever it begins."""
    scales = load("batchnorm", seed).space["network.init"].ends()
    reached = {
        init: trained("batchnorm", seed, batch_norm=True, init=init).last("train_accuracy")
        for init in scales
    }
    assert len(reached) == 16
    assert {init: accuracy for init, accuracy in reached.items() if accuracy < 0.3} == {}


@pytest.mark.parametrize("init", [0.0464, 0.0136, 0.00398])
@seeds(3)
def test_learns_where_the_plain_network_does_not(seed: int, init: float) -> None:
    """In 20 epochs one knows its 1,000 images, and the other guesses."""
    normalized, plain = pair(seed, init)
    assert normalized.last("train_accuracy") > 0.9
    assert plain.last("train_accuracy") < 0.3


@seeds(3)
def test_learns_where_the_plain_network_diverges(seed: int) -> None:
    """Weights of a standard deviation of 1 are no obstacle either."""
    normalized, plain = pair(seed, 1.0)
    assert plain.diverged
    assert not normalized.diverged
    assert normalized.last("train_accuracy") > 0.3

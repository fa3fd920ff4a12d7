"""Figures 6-10 to 6-14: how the weights begin decides what the layers have to work with."""

from __future__ import annotations

import numpy as np
import pytest

from tests.experiments.study_files import trained

SEEDS = pytest.mark.parametrize("seed", range(5))


def layers(seed: int, activation: str, init: str | float) -> list[np.ndarray]:
    """What comes out of the five hidden layers for 1,000 inputs."""
    trial = trained("activations", seed, activation=activation, init=init)
    assert [layer.shape for layer in trial.activations] == [(1000, 100)] * 5
    assert len(trial.curve) == 0
    return trial.activations


def at_ends(layer: np.ndarray) -> float:
    """The share of activations near 0 or 1, where Sigmoid has no gradient."""
    return float(np.mean((layer < 0.1) | (layer > 0.9)))


@SEEDS
def test_std_1_piles_up_at_0_and_1(seed: int) -> None:
    """Figure 6-10: most of Sigmoid's outputs are at its ends, in every layer."""
    for layer in layers(seed, "sigmoid", 1.0):
        assert at_ends(layer) > 0.6
        assert min(np.mean(layer < 0.1), np.mean(layer > 0.9)) > 0.2


@SEEDS
def test_std_001_concentrates_at_one_half(seed: int) -> None:
    """Figure 6-11: from the second layer on all outputs are nearly the same."""
    for layer in layers(seed, "sigmoid", 0.01)[1:]:
        assert abs(layer.mean() - 0.5) < 0.02
        assert layer.std() < 0.03


@SEEDS
@pytest.mark.parametrize("init", ["xavier", "he"])
def test_xavier_and_he_spread(seed: int, init: str) -> None:
    """Figure 6-13: outputs neither pile up nor are the same, in every layer."""
    for layer in layers(seed, "sigmoid", init):
        assert at_ends(layer) < 0.2
        assert layer.std() > 0.08


@SEEDS
def test_relu_keeps_its_spread_with_he_alone(seed: int) -> None:
    """Figure 6-14: from the first layer to the last; 0.01 fades, Xavier shrinks, 1 explodes."""

    def kept(init: str | float) -> float:
        first, *_, last = layers(seed, "relu", init)
        return float(last.std() / first.std())

    assert 0.5 < kept("he") < 2
    assert kept("xavier") < 0.5
    assert kept(0.01) < 1e-3
    assert kept(1.0) > 1e3

"""Configurations compared over new seeds, held against simulations where the best is known."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray

from hpsearch.trust.confirmation import LEVEL, _noise, confirmed


def trained(
    rng: np.random.Generator, truth: NDArray[np.float64], seeds: int = 5, examples: int = 100
) -> NDArray[np.float64]:
    """Right or wrong by configuration, seed and example; examples are as hard for all."""
    hard = rng.normal(0.0, 1.0, examples)
    luck = rng.normal(0.0, 0.15, (len(truth), seeds))
    margin = np.log(truth / (1 - truth))[:, None, None] + luck[:, :, None] - hard
    return (rng.random(margin.shape) < 1 / (1 + np.exp(-margin))).astype(float)


def test_probability_of_being_the_best_is_calibrated() -> None:
    """Of the leaders that are said to be the best with p, about p are."""
    rng = np.random.default_rng(7)
    said, were = [], []
    for number in range(300):
        truth = rng.uniform(0.80, 0.90, 4)
        found = confirmed(trained(rng, truth), maximize=True, seed=number)
        said += found.best
        were += [index == truth.argmax() for index in range(4)]
    chances, hits = np.array(said), np.array(were)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        chosen = (low <= chances) & (chances <= low + 0.2)
        assert pytest.approx(hits[chosen].mean(), abs=0.1) == chances[chosen].mean()


def test_intervals_cover_the_truth() -> None:
    """The 95 % interval of a configuration holds what it scores on all examples and seeds."""
    rng = np.random.default_rng(8)
    truth = np.array([0.85])
    exact = trained(rng, truth, seeds=200, examples=5000).mean()
    found = [confirmed(trained(rng, truth), maximize=True, seed=n).estimates[0] for n in range(300)]
    assert 0.90 <= np.mean([e.low <= exact <= e.high for e in found]) <= 0.99


def test_the_best_of_equals_is_not_flattered() -> None:
    """Of eight that are the same, most of what the leader is ahead of all was luck, and is gone."""
    rng = np.random.default_rng(5)
    truth = np.full(8, 0.85)
    plain, shrunk = [], []
    for number in range(100):
        scores = trained(rng, truth)
        found = confirmed(scores, maximize=True, seed=number)
        plain.append(scores.mean(axis=(1, 2)).max() - scores.mean())
        shrunk.append(found.estimates[found.leader].value - scores.mean())
    assert np.mean(plain) > 0.02
    assert 0 < np.mean(shrunk) < np.mean(plain) / 2.5


def test_as_it_was() -> None:
    """What is printed of the same scores is the same in every version: shares, and losses alone."""
    rng = np.random.default_rng(11)
    shares = rng.random((4, 5, 20)) < np.array([0.8, 0.78, 0.76, 0.4])[:, None, None]
    losses = rng.normal(size=(4, 5, 1)) * 0.1 + np.array([1, 1.02, 1.05, 2])[:, None, None]
    found = confirmed(shares.astype(float), maximize=True, seed=3)
    assert [astuple(e) for e in found.estimates] == [
        pytest.approx((0.797993, 0.740559, 0.857883), abs=2e-6),
        pytest.approx((0.786003, 0.728796, 0.841301), abs=2e-6),
        pytest.approx((0.786003, 0.728814, 0.844057), abs=2e-6),
        pytest.approx((0.490000, 0.258974, 0.705760), abs=2e-6),
    ]
    assert (found.best, found.alike) == ([0.63525, 0.18, 0.178, 0.00675], [0, 1, 2])
    found = confirmed(losses, maximize=False, seed=3)
    assert [astuple(e) for e in found.estimates] == [
        pytest.approx((0.984426, 0.880950, 1.081301), abs=2e-6),
        pytest.approx((1.021803, 0.929992, 1.114838), abs=2e-6),
        pytest.approx((1.053008, 0.956901, 1.154528), abs=2e-6),
        pytest.approx((1.985142, 1.877292, 2.096871), abs=2e-6),
    ]
    assert (found.best, found.alike) == ([0.72325, 0.203, 0.07375, 0.0], [0, 1, 2])


def test_noise_of_a_mean() -> None:
    """What only adds up has the variance of both means; what is neither seed nor example, once."""
    rng = np.random.default_rng(12)
    by_seed, by_example = rng.normal(size=(1, 30, 1)), rng.normal(size=(1, 1, 40))
    variance, degrees = _noise(by_seed + by_example)
    assert variance == pytest.approx(by_seed.var(ddof=1) / 30 + by_example.var(ddof=1) / 40)
    assert 39 < degrees < 29 + 39
    variance, _ = _noise(rng.normal(size=(50, 30, 40)))
    assert variance == pytest.approx(1 / (30 * 40), rel=0.1)
    assert _noise(by_seed) == pytest.approx((by_seed.var(ddof=1) / 30, 29))
    assert _noise(np.zeros((3, 3, 4))) == (0.0, 4)


def test_what_all_have_in_common_is_no_difference() -> None:
    """An example that is hard for all, and a seed that is lucky for all, tell nobody apart."""
    rng = np.random.default_rng(13)
    own, common = rng.normal(size=(3, 5, 7)), rng.normal(size=(1, 5, 7))
    assert _noise(own) == pytest.approx(_noise(own + 10 * common))


def test_equals_share_the_probability() -> None:
    """Trainings that always score the same are all the best, each with its share."""
    found = confirmed(np.full((4, 3, 5), 0.5), maximize=True)
    assert found.best == pytest.approx([0.25] * 4, abs=0.03)
    assert found.alike == [0, 1, 2, 3]
    for each in found.estimates:
        assert astuple(each) == pytest.approx((0.5, 0.5, 0.5))


def test_no_difference_is_said() -> None:
    """Configurations that are the same cannot be told apart; one far behind can."""
    rng = np.random.default_rng(9)
    found = confirmed(trained(rng, np.array([0.85, 0.85, 0.5])), maximize=True)
    assert found.alike == [0, 1]
    assert found.best[2] < 0.005


def test_told_apart_at_the_level() -> None:
    """Two are told apart where the one behind is the best in less than half of 5 % of the draws."""
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(2, 8, 1))
    scores[1] -= scores[1].mean() - scores[0].mean()
    chances = []
    for gap in np.linspace(0.2, 2.0, 40):
        found = confirmed(scores - np.array([0.0, gap])[:, None, None], maximize=True)
        assert found.leader == 0
        chances.append(found.best[1])
        if abs(chances[-1] - LEVEL / 2) > 0.001:
            assert found.alike == ([0, 1] if chances[-1] > LEVEL / 2 else [0])
    assert any(0.017 < chance < 0.024 for chance in chances)
    assert any(0.026 < chance < 0.033 for chance in chances)


def test_losses_are_minimized() -> None:
    """Where less is better, the least is the leader."""
    scores = np.array([[[1.0], [1.1]], [[0.4], [0.5]]])
    assert confirmed(scores, maximize=False).leader == 1


def test_same_seed_same_answer() -> None:
    """The draws are seeded."""
    scores = trained(np.random.default_rng(1), np.array([0.8, 0.82]))
    assert confirmed(scores, maximize=True) == confirmed(scores, maximize=True)


@pytest.mark.parametrize("scores", [np.zeros((2, 1, 5)), np.full((2, 2, 5), np.nan)], ids=str)
def test_too_little_is_refused(scores: NDArray[np.float64]) -> None:
    """One seed says nothing of seeds, and what is not finite nothing at all."""
    with pytest.raises(ValueError, match="two seeds"):
        confirmed(scores, maximize=True)

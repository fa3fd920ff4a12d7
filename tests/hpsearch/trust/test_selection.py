"""The corrected value of a chosen trial, held against a simulation where the truth is known."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from hpsearch.trust.selection import corrected, wilson


def searched(
    rng: np.random.Generator, trials: int, examples: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Trials of known accuracy, and whether each was right on each example."""
    hard = rng.normal(0.0, 0.7, examples)  # the same examples are hard for all
    truth = rng.normal(0.8, 0.02, trials)
    margin = np.log(truth / (1 - truth))[:, None] - hard + rng.normal(0.0, 0.5, (trials, examples))
    right = rng.random((trials, examples)) < 1 / (1 + np.exp(-margin))
    other = rng.normal(0.0, 0.7, 4_000)
    noise = rng.normal(0.0, 0.5, 4_000)
    exact = (1 / (1 + np.exp(-(np.log(truth / (1 - truth))[:, None] - other + noise)))).mean(axis=1)
    return exact, right


@pytest.fixture(scope="module")
def simulated() -> NDArray[np.float64]:
    """150 searches, a row each: truth, raw best, corrected, low, high."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(150):
        truth, right = searched(rng, 40, 100)
        best = int(right.mean(axis=1).argmax())
        estimate = corrected(right, maximize=True, seed=number, resamples=300)
        rows.append([truth[best], right[best].mean(), estimate.value, estimate.low, estimate.high])
    return np.array(rows)


def test_correction_takes_the_bias_away(simulated: NDArray[np.float64]) -> None:
    """What is left of the raw best value's bias is at most a third of it."""
    truth, raw, value, *_ = simulated.T
    assert (raw - truth).mean() > 0.03
    assert abs((value - truth).mean()) < (raw - truth).mean() / 3


def test_interval_covers_the_truth(simulated: NDArray[np.float64]) -> None:
    """The 95 % interval holds the truth in 90 to 99 of 100 searches; the raw best's does not."""
    truth, raw, _, low, high = simulated.T
    assert 0.90 <= ((low <= truth) & (truth <= high)).mean() <= 0.99
    naive = [wilson(share, 100) for share in raw]
    covered = np.mean([e.low <= t <= e.high for e, t in zip(naive, truth, strict=True)])
    assert covered < 0.90


def test_same_seed_same_estimate() -> None:
    """The estimate is the same number every time, and another seed's differs."""
    _, right = searched(np.random.default_rng(1), 10, 50)
    first = corrected(right, maximize=True, seed=3)
    assert first == corrected(right, maximize=True, seed=3)
    assert first != corrected(right, maximize=True, seed=4)


def test_draws_take_little_memory() -> None:
    """A thousand draws of ten thousand examples would be 80 MB at once; they are made in parts."""
    right = np.random.default_rng(1).random((2, 10_000)) < 0.8
    tracemalloc.start()
    corrected(right, maximize=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_one_trial_is_not_corrected_away() -> None:
    """Where nothing was chosen, or one is the best whatever is drawn, the estimate is its value."""
    right = np.zeros((3, 100), dtype=bool)
    right[1, :80] = True
    right[2, 20:30] = True
    for trials in (right[1:2], right):
        assert corrected(trials, maximize=True) == wilson(0.8, 100)


def test_losses_are_minimized() -> None:
    """A loss is corrected upwards, and its interval is that of a mean."""
    rng = np.random.default_rng(2)
    losses = rng.exponential(1.0, (50, 100))
    raw = losses.mean(axis=1).min()
    estimate = corrected(losses, maximize=False)
    assert raw < estimate.value
    assert estimate.low < estimate.value < estimate.high
    assert pytest.approx(1.0, abs=0.2) == estimate.value


def test_draws_by_hand() -> None:
    """Choose by those drawn; on those left out, by how much does it differ from the best of all?"""
    scores = np.random.default_rng(3).normal(size=(3, 4))
    best = scores[scores.mean(axis=1).argmin()]
    rng, total, counted = np.random.default_rng(7), 0.0, 0
    while counted < 150:
        taken = rng.integers(0, 4, size=(min(100, 150 - counted), 4))
        for draw in taken:
            left = [example for example in range(4) if example not in draw]
            if left:
                chosen = min(range(3), key=lambda trial: scores[trial, draw].sum())
                total += scores[chosen, left].mean() - best[left].mean()
                counted += 1
    found = corrected(scores, maximize=False, seed=7, resamples=150)
    assert found.value == pytest.approx(best.mean() + total / counted)
    half = 1.96 * best.std(ddof=1) / 2
    assert found.low == pytest.approx(found.value - half, abs=1e-4)
    assert found.high == pytest.approx(found.value + half, abs=1e-4)


@pytest.mark.parametrize(
    "outcomes", [np.zeros((0, 5)), np.zeros((3, 1)), np.array([[1.0, np.nan]])], ids=str
)
def test_nothing_to_correct(outcomes: NDArray[np.float64]) -> None:
    """No trial, one example or a score that is not finite is refused."""
    with pytest.raises(ValueError, match=r"needs|finite"):
        corrected(outcomes, maximize=True)


def test_wilson() -> None:
    """The interval of 15 of 20, as Agresti and Coull's textbook formula gives it by hand."""
    estimate = wilson(0.75, 20)
    assert pytest.approx(0.5313, abs=5e-5) == estimate.low
    assert pytest.approx(0.8881, abs=5e-5) == estimate.high
    whole = wilson(1.0, 10)
    assert pytest.approx(0.7225, abs=5e-5) == whole.low
    assert pytest.approx(1.0) == whole.high
    with pytest.raises(ValueError, match="share"):
        wilson(1.2, 10)

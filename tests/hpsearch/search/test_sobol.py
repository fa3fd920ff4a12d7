"""The QMC sampler fills the space evenly, each trial by its number alone."""

from __future__ import annotations

import math

import numpy as np

from hpsearch.search.history import History
from hpsearch.search.suggest import suggest
from hpsearch.study.config import Study
from tests.conftest import study


def drawn(of: Study, count: int) -> list[dict[str, object]]:
    """What the first trials try."""
    return [dict(suggest(of, History(of), number)) for number in range(count)]


def test_every_part_of_a_range_gets_its_share() -> None:
    """Of 16 points, each sixteenth of every range has one: no random draw does that."""
    of = study(search__sampler="qmc", search__seed=3)
    points = drawn(of, 16)
    lr = [math.log10(float(str(point["training.lr"])) / 1e-3) / 3 for point in points]
    dropout = [float(str(point["network.dropout"])) / 0.5 for point in points]
    for shares in (lr, dropout):
        assert sorted(np.floor(np.array(shares) * 16).astype(int)) == list(range(16))


def test_choices_get_their_share() -> None:
    """Each of four choices has four of 16 trials."""
    of = study(search__sampler="qmc", network__activation={"choices": ["relu", "sigmoid", "tanh"]})
    taken = [point["network.activation"] for point in drawn(of, 27)]
    assert {7 <= taken.count(choice) <= 11 for choice in set(taken)} == {True}


def test_a_trial_looks_at_no_other() -> None:
    """So nobody waits, and the seed alone makes another sequence."""
    of = study(search__sampler="qmc")
    assert not of.search.looks_back
    assert suggest(of, History(of), 5) == drawn(of, 6)[5]
    one, long = (study(search__sampler="qmc", search__seed=seed) for seed in (1, 2**32 + 1))
    assert (
        drawn(of, 4) != drawn(one, 4) == drawn(long, 4)
    )  # of a longer seed the last 32 bits count


def test_conditions_hold() -> None:
    """A place has a value only where its condition holds."""
    momentum = {"low": 0.1, "high": 0.9, "when": {"training.optimizer": ["momentum"]}}
    of = study(
        search__sampler="qmc",
        training__optimizer={"choices": ["sgd", "momentum"]},
        training__momentum=momentum,
    )
    points = drawn(of, 16)
    assert {("training.momentum" in p) == (p["training.optimizer"] == "momentum") for p in points}
    assert 0 < sum("training.momentum" in p for p in points) < 16

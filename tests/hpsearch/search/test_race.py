"""A race of configurations: who drops out, and that it depends on earlier trials alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from hpsearch.search.race import LEVEL, behind, last_seen, left, looks
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from tests.conftest import study

POINTS = [
    {"training.lr": 0.1, "network.dropout": 0.0},
    {"training.lr": 0.2, "network.dropout": 0.1},
    {"training.lr": 0.001, "network.dropout": 0.5},
]


def raced(seeds: int, **changes: object) -> Study:
    """Three configurations, each with so many seeds."""
    table = study(search__sampler="random").definition()
    table["name"] = "small/confirm"
    table["search"] = {"sampler": "given"}
    configurations = [{"trial": index, "values": point} for index, point in enumerate(POINTS)]
    table["given"] = {
        "study": "small",
        "configurations": configurations,
        "seeds": list(range(seeds)),
        **changes,
    }
    return study_file.parse(table)


@pytest.mark.parametrize(
    ("seeds", "after"), [(2, []), (3, [2]), (4, [2, 3]), (5, [2, 4]), (9, [3, 6])]
)
def test_two_looks_before_the_end(seeds: int, after: list[int]) -> None:
    """The seeds are split over three looks, of which one seed is none."""
    given = raced(seeds).given
    assert given is not None
    assert looks(given) == after


def test_a_test_part_is_no_race() -> None:
    """What is scored on the test part is trained to the end."""
    given = raced(9).given
    assert given is not None
    assert looks(given.model_copy(update={"part": "test"})) == []


def test_a_trial_depends_on_earlier_looks_alone() -> None:
    """With five seeds, those of the first two depend on nothing, and the last on the first four."""
    given = raced(5).given
    assert given is not None
    assert [last_seen(given, number) for number in range(15)] == [-1] * 6 + [5] * 6 + [11] * 3


def test_who_is_behind_drops_out() -> None:
    """After four seeds the third is out, and nothing that comes later brings it in."""
    tried = raced(5)
    values: dict[int, float | None] = {}
    for seed in range(5):
        for place, value in enumerate((0.90, 0.91, 0.10)):
            values[3 * seed + place] = value + 0.05 * (seed % 3) * (place - 1)
    assert left(tried, values, 11) == [0, 1, 2]
    assert left(tried, values, 12) == [0, 1]
    assert left(tried, {number: values[number] for number in range(12)}, 14) == [0, 1]


def test_what_diverged_is_out_and_what_failed_is_not() -> None:
    """A configuration that diverged cannot win; one that failed may yet be run again."""
    tried = raced(5)
    values: dict[int, float | None] = {n: 0.9 + 0.01 * (n % 7) for n in range(6)}
    assert left(tried, values | {1: None}, 6) == [0, 2]
    del values[4]
    assert left(tried, values, 6) == [0, 1, 2]


def test_race_drops_who_is_clearly_behind() -> None:
    """A configuration far behind by every seed is dropped, one that is level is not."""
    values = np.array([[0.9, 0.91, 0.92, 0.9], [0.9, 0.92, 0.91, 0.9], [0.5, 0.52, 0.51, 0.5]])
    assert behind(values, maximize=True) == [2]
    assert behind(values, maximize=False) == [0, 1]


def test_race_seldom_drops_an_equal() -> None:
    """Over all looks of a race of equals, the first is dropped in about one of twenty at most."""
    rng = np.random.default_rng(3)
    races = 400
    dropped = 0
    for _ in range(races):
        values = rng.normal(size=(4, 6))
        dropped += any(0 in behind(values[:, :seen], maximize=True) for seen in (2, 4, 6))
    assert dropped / races <= LEVEL


def test_equal_gaps_of_two_seeds_drop_nobody() -> None:
    """Accuracies go by steps: two gaps of one step are chance, and no sign that all are so."""
    assert behind(np.array([[0.75, 0.70], [0.74, 0.69]]), maximize=True) == []


def test_two_seeds_are_enough_where_it_is_clear() -> None:
    """Of two configurations, one that is far behind by nearly the same with both."""
    values = np.array([[0.9, 0.91], [0.1, 0.111]])
    assert behind(values, maximize=True) == [1]
    assert behind(values, maximize=False) == [0]


@pytest.mark.parametrize("others", [1, 3])
@pytest.mark.parametrize("looks", [3, 5])
@pytest.mark.parametrize("paired", [True, False])
def test_how_far_behind_is_clear(others: int, looks: int, paired: bool) -> None:
    """As a one-sided t-test by seed says; of equal gaps, as one of unpaired seeds does."""
    leader = np.array([0.90, 0.84, 0.93, 0.89])
    bumps = np.array([0.02, -0.02, 0.01, -0.01]) if paired else np.zeros(4)
    spread = bumps.std(ddof=1) if paired else math.sqrt(2) * leader.std(ddof=1)
    least = float(t.isf(LEVEL / (looks * others), 3)) * spread / math.sqrt(4)
    level = [leader - np.array([0.01, -0.01, 0.01, -0.009])] * (others - 1)
    for share, expected in ((0.99, []), (1.01, [others])):
        values = np.array([leader, *level, leader - share * least + bumps])
        assert behind(values, maximize=True, looks=looks) == expected
        assert behind(-values, maximize=False, looks=looks) == expected


def test_race_of_one() -> None:
    """Alone, or after one seed, nobody is behind."""
    assert behind(np.array([[1.0, 2.0]]), maximize=True) == []
    assert behind(np.array([[1.0], [2.0]]), maximize=True) == []

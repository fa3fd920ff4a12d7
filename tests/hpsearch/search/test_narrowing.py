"""Ranges narrow to where the best trials lie, and grow where these sit on an edge."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.search.narrowing import Tried, narrowed
from hpsearch.study.config import Choices, Range, Space, Value

LR = Range(1e-6, 1e-2, log=True)
WIDE = {"lr": Range(1e-7, 1e-1, log=True)}


def trials(
    space: Space, value: Callable[[dict[str, Value]], float], count: int = 60
) -> list[Tried]:
    """Random trials of a known function."""
    rng = random.Random(0)
    tried: list[Tried] = []
    for _ in range(count):
        params: dict[str, Value] = {}
        for path, open_ in space.items():
            if isinstance(open_, Choices):
                params[path] = rng.choice(open_.choices)
            elif open_.log:
                params[path] = math.exp(rng.uniform(math.log(open_.low), math.log(open_.high)))
            else:
                params[path] = rng.uniform(open_.low, open_.high)
        tried.append((params, value(params)))
    return tried


def peak(at: float) -> Callable[[dict[str, Value]], float]:
    """The best learning rate is at ``at``."""
    return lambda params: -abs(math.log10(float(str(params["lr"])) / at))


def test_narrows_around_the_best() -> None:
    """The range closes around the peak, and keeps it."""
    found = narrowed({"lr": LR}, trials({"lr": LR}, peak(1e-4)), maximize=True, limits=WIDE)["lr"]
    assert isinstance(found, Range)
    assert found.low < 1e-4 < found.high
    assert math.log10(found.high / found.low) < 2


def test_minimizes() -> None:
    """Where less is better, the best are the least."""
    tried = [(params, -value) for params, value in trials({"lr": LR}, peak(1e-4))]
    up = narrowed({"lr": LR}, trials({"lr": LR}, peak(1e-4)), maximize=True, limits=WIDE)
    assert up == narrowed({"lr": LR}, tried, maximize=False, limits=WIDE)


def test_grows_past_an_edge() -> None:
    """Where the best sit on the upper end, the next round looks beyond it, a decade at most."""
    found = narrowed({"lr": LR}, trials({"lr": LR}, peak(1e-1)), maximize=True, limits=WIDE)["lr"]
    assert isinstance(found, Range)
    assert 1e-2 < found.high <= 1e-1
    assert found.low > 1e-4


def test_stays_within_the_limits() -> None:
    """A range without limits of its own never grows, and no range grows past them."""
    tried = trials({"lr": LR}, peak(1e3))
    assert narrowed({"lr": LR}, tried, maximize=True, limits={})["lr"].ends()[1] == 1e-2
    tight = {"lr": Range(1e-6, 2e-2, log=True)}
    assert narrowed({"lr": LR}, tried, maximize=True, limits=tight)["lr"].ends()[1] == 2e-2


def test_never_to_nothing() -> None:
    """Best trials that all tried the same leave a tenth of the range."""
    tried: list[Tried] = [({"d": 0.25}, 1.0)] * 5
    found = narrowed({"d": Range(0.0, 0.5)}, tried, maximize=True, limits={})["d"]
    assert isinstance(found, Range)
    assert pytest.approx(0.05) == found.high - found.low


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ([0.4, 0.5, 0.6], (0.35, 0.65)),  # a quarter of their span on each side
        ([0.5, 0.5, 0.5], (0.45, 0.55)),  # a tenth of the range at least
        ([0.12, 0.5, 0.9], (0.0, 1.0)),  # never past an end that they do not sit on
        ([0.04, 0.09, 0.16], (-0.5, 0.19)),  # half of the range past an end that they sit on
        ([0.84, 0.91, 0.96], (0.81, 1.5)),
        ([0.04, 0.21, 0.24], (0.0, 0.29)),  # their median does not
        ([0.04, 0.06, 0.21, 0.24], (0.0, 0.29)),  # of four it is the third
    ],
    ids=str,
)
def test_by_hand(best: list[float], expected: tuple[float, float]) -> None:
    """The best tenth, its margin and where it grows, as shares of a range from 1 to 3."""
    others = [0.99, 0.01] * (len(best) * 5 - 2)
    tried: list[Tried] = [
        ({"p": 1.0 + 2.0 * p}, -float(rank)) for rank, p in enumerate([*best, *others])
    ]
    open_, limit = Range(1.0, 3.0), Range(-9.0, 9.0)
    found = narrowed({"p": open_}, tried, maximize=True, limits={"p": limit})["p"]
    assert pytest.approx([1.0 + 2.0 * end for end in expected]) == list(found.ends())


def test_a_tenth_of_many_trials_is_looked_at() -> None:
    """Of 31 trials four, and of fewer than 30 three."""
    open_ = Range(0.0, 1.0)
    tried: list[Tried] = [({"p": 0.3 + 0.1 * k if k < 5 else 0.5}, -float(k)) for k in range(31)]
    for count, expected in ((31, (0.225, 0.675)), (29, (0.25, 0.55)), (4, (0.25, 0.55))):
        found = narrowed({"p": open_}, tried[:count], maximize=True, limits={})["p"]
        assert pytest.approx(expected) == found.ends()


def test_a_logarithm_grows_by_a_decade_at_most() -> None:
    """Of a range of four decades half would be two; of one of one decade it is a half."""
    limits = {"lr": Range(1e-30, 1e30, log=True)}
    for low, lower in ((1e-6, 1e-7), (1e-3, 1e-3 / 10**0.5)):
        open_ = Range(low, 1e-2, log=True)
        found = narrowed({"lr": open_}, [({"lr": low}, 1.0)] * 3, maximize=True, limits=limits)
        assert pytest.approx(lower) == found["lr"].ends()[0]


def test_whole_numbers_and_steps_stay_on_their_grid() -> None:
    """A range of whole numbers stays one, and a step's points stay its points."""
    tried: list[Tried] = [({"n": 40 + 10 * (k % 2), "s": 0.3}, float(k)) for k in range(10)]
    space = {"n": Range(10, 100, step=10), "s": Range(0.0, 1.0, step=0.1)}
    found = narrowed(space, tried, maximize=True, limits={})
    whole, stepped = found["n"], found["s"]
    assert isinstance(whole, Range)
    assert isinstance(stepped, Range)
    assert all(isinstance(end, int) and end % 10 == 0 for end in whole.ends())
    assert whole.ends() == (30, 60)  # 37.5 to 52.5, on the next points outside
    assert pytest.approx((0.2, 0.4)) == stepped.ends()  # 0.25 to 0.35, as well


def test_lucky_guesses_are_not_among_the_best() -> None:
    """Where most of a range does no better than guessing, the best of many guesses are passed over.

    Three trials in four guess between 0 and 0.22; from 1e-3 on they come to 0.1 to 0.25. Some of
    the best tenth are guesses. Without them the best lie at the upper end, and the range grows.
    """
    rng = random.Random(3)

    def value(params: dict[str, Value]) -> float:
        learns = float(str(params["lr"])) > 1e-3
        return rng.uniform(0.1, 0.25) if learns else rng.uniform(0.0, 0.22)

    tried = trials({"lr": LR}, value, 160)
    best = sorted(tried, key=lambda each: -each[1])[:16]
    assert any(float(str(params["lr"])) < 1e-4 for params, _ in best)
    found = narrowed({"lr": LR}, tried, maximize=True, limits=WIDE)["lr"]
    assert isinstance(found, Range)
    assert found.low > 1e-4
    assert found.high == pytest.approx(1e-1)


def test_where_nothing_has_lost_all_are_looked_at() -> None:
    """A part that does as well as the others keeps its best, whatever they are."""
    rng = random.Random(0)
    tried = trials({"lr": LR}, lambda _: rng.random(), 60)
    best = sorted(tried, key=lambda each: -each[1])[:6]
    ends = sorted(float(str(params["lr"])) for params, _ in best)
    found = narrowed({"lr": LR}, tried, maximize=True, limits={})["lr"]
    assert found.ends()[0] <= ends[0] < ends[-1] <= found.ends()[1]


def test_drops_a_choice_that_lost() -> None:
    """A choice whose trials are clearly worse goes; one that is level stays, as does an unseen."""
    space = {"o": Choices(("sgd", "adam", "bad", "unseen"))}
    rng = random.Random(1)
    worth = {"sgd": 0.8, "adam": 0.8, "bad": 0.2}
    tried: list[Tried] = [
        ({"o": name}, worth[name] + rng.uniform(0, 0.1)) for name in worth for _ in range(10)
    ]
    found = narrowed(space, tried, maximize=True, limits={})["o"]
    assert Choices(("sgd", "adam", "unseen")) == found


def test_too_few_trials_narrow_nothing() -> None:
    """Two trials say nothing of where the best lie."""
    assert narrowed({"lr": LR}, [({"lr": 1e-3}, 1.0)] * 2, maximize=True, limits=WIDE) == {"lr": LR}


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), min_size=3, max_size=30),
    st.booleans(),
)
def test_what_it_finds_is_always_a_range(tried: list[tuple[float, float]], log: bool) -> None:
    """Whatever was tried, the next range has its low below its high, inside the limits."""
    open_ = Range(1e-6, 1e-2, log=True) if log else Range(0.0, 0.5)
    limit = Range(1e-8, 1.0, log=True) if log else Range(0.0, 0.9)
    points: list[Tried] = [
        ({"p": math.exp(-13.8 + 9.2 * x) if log else 0.5 * x}, value) for x, value in tried
    ]
    points = [(params, value) for params, value in points if params["p"] in open_]
    found = narrowed({"p": open_}, points, maximize=True, limits={"p": limit})["p"]
    assert isinstance(found, Range)
    assert limit.low <= found.low < found.high <= limit.high

"""What the lag costs is said with the figure, and the figure is right."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.errors import StudyFileError
from hpsearch.ledger.records import State
from hpsearch.search.delay import completes_from, delays, learns_from, prunes_from
from hpsearch.study.config import Study
from tests.conftest import study
from tests.hpsearch.search.test_suggest import in_order, searched


def first_that_differs(of: Study, other: Study) -> int:
    """The number of the first trial that tries something else, or ends otherwise."""
    pairs = zip(in_order(of), in_order(other), strict=True)
    return next(
        number
        for number, ((one, _), (two, _)) in enumerate(pairs)
        if (one.params, one.state) != (two.params, two.state)
    )


@pytest.mark.parametrize(("lag", "startup"), [(1, None), (8, None), (8, 3), (20, 4)])
def test_tpe_is_random_until_then(lag: int, startup: int | None) -> None:
    """Up to that trial it draws what the random sampler draws."""
    more = {} if startup is None else {"search__startup": startup}
    tpe = searched(search__lag=lag, search__sampler="tpe", **more)
    first = first_that_differs(tpe, searched(search__lag=lag))
    assert learns_from(tpe) == first == lag + (startup or 10) - 1


def test_known_trials_count() -> None:
    """What an earlier study tried need not be tried again before TPE learns."""
    one = {"value": 0.5, "values": {"training.lr": 0.1, "network.dropout": 0.25}}
    asked = {"search__sampler": "tpe", "search__lag": 4}
    assert learns_from(study(**asked, search__history=[one] * 3)) == 7 + 4 - 1
    assert learns_from(study(**asked, search__history=[one] * 10)) == 0


@pytest.mark.parametrize("pruner", ["median", "percentile", "halving", "hyperband"])
def test_nothing_is_pruned_before(pruner: str) -> None:
    """The first trial that may be pruned is not before that one."""
    of = searched(search__pruner=pruner, search__lag=6)
    first = first_that_differs(of, searched(search__lag=6))
    assert prunes_from(of) == {"median": 10, "percentile": 10}.get(pruner, 6)
    assert first >= (prunes_from(of) or 0)


def test_wilcoxon_has_a_trial_to_compare_with() -> None:
    """From the one on that sees the first."""
    assert prunes_from(study(search__pruner="wilcoxon", search__lag=6, training__repeats=3)) == 6


@pytest.mark.parametrize("lag", [1, 8])
def test_so_many_trials_bring_one_to_its_end(lag: int) -> None:
    """About: which trials go on depends on what they come to."""
    of = searched(search__pruner="pausing", search__lag=lag)
    first = next(trial.number for trial, _ in in_order(of) if trial.state is State.COMPLETE)
    assert first / 2 < (completes_from(of) or 0) < first * 2
    assert completes_from(searched(search__pruner="halving")) is None


def test_in_words() -> None:
    """Only what costs a good part of the trials is said at the start of a run."""
    of = study(search__sampler="tpe", search__pruner="hyperband", search__lag=32, search__trials=40)
    assert list(delays(of, least=0.25)) == [
        "with lag 32, the tpe sampler draws the first 40 of 40 trials at random; a smaller `lag` "
        "or `startup` lets it learn earlier",
        "with lag 32, the hyperband pruner prunes none of the first 32 of 40 trials; a smaller "
        "`lag` lets it begin earlier",
    ]
    of = study(search__sampler="cmaes", search__lag=8, search__population=5, search__trials=20)
    assert list(delays(of)) == [
        "with lag 8, the cmaes sampler draws the first 12 of 20 trials around the middle; a "
        "smaller `lag` or `population` lets it learn earlier",
    ]
    of = study(search__sampler="tpe", search__lag=1, search__trials=10)
    assert list(delays(of)) == [
        "with lag 1, the tpe sampler draws the first 10 of 10 trials at random; a smaller "
        "`startup` lets it learn earlier",
    ]
    assert list(delays(study(search__sampler="tpe", search__trials=100), least=0.25)) == []
    assert list(delays(study())) == []
    assert list(delays(study(search__pruner="pausing", training__epochs=27))) == [
        "with lag 4, the pausing pruner brings the first trial to its end after about 43 of 6; a "
        "larger `min_epochs` or `reduction_factor` takes fewer"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"startup": 3}, "search.startup: the random sampler does not learn; remove it"),
        ({"population": 5}, "search.population: the random sampler has no generations; remove it"),
        ({"stall": 3}, 'search.stall: is for the patient pruner; set `pruner = "patient"`, or'),
        (
            {"p_threshold": 0.2},
            'search.p_threshold: is for the wilcoxon pruner; set `pruner = "wil',
        ),
        (
            {"pruner": "wilcoxon"},
            "search.pruner: wilcoxon compares trials fold by fold; set `folds`",
        ),
        ({"pruner": "threshold"}, "search.pruner: threshold needs `lower` or `upper`, or both"),
        (
            {"pruner": "threshold", "lower": 0.5, "upper": 0.2},
            "search.lower: 0.5 is above upper, 0.2",
        ),
    ],
)
def test_a_key_that_changes_nothing_is_an_error(changes: dict[str, Any], message: str) -> None:
    """It is a mistake, and says what it is for."""
    with pytest.raises(StudyFileError) as raised:
        study(**{f"search__{key}": value for key, value in changes.items()})
    assert str(raised.value)[: len(message)] == message

"""When does a study end before it has all its trials? As a function of its trials alone."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.endings import Seen
from hpsearch.ledger.leases import Idle
from hpsearch.search.ends import FEWEST, _noise, expected_best, verdict
from hpsearch.study.config import Study
from hpsearch.trust.tuning_curve import tuning_curve
from tests.conftest import study


def trials(*values: float | None, epochs: int = 3) -> list[Seen]:
    """Trials from 0 on: COMPLETE with these values, or PRUNED where there is none."""
    return [Seen(number, value, epochs) for number, value in enumerate(values)]


def end(of: Study, found: list[Seen]) -> tuple[int, str] | None:
    """With which trial the study ends, one after another, and by what."""
    for number in range(len(found) + 1):
        said = verdict(of, number, [t for t in found if t.number < number], [])
        assert said is not Idle.WAIT
        if said is not None:
            return number, str(said)
    return None


def ending(**keys: Any) -> Study:
    """A study of lag 2 with these keys of ``[search]``."""
    named = {f"search__{key}": value for key, value in keys.items()}
    return study(**{"search__lag": 2, "search__trials": 99, **named})


def test_target_ends_a_study_by_the_trials_that_are_older_by_the_lag() -> None:
    """The first that reaches it is seen by the trial that is two later."""
    found = trials(0.5, None, 0.89, 0.9, 0.2, 0.1, 0.1)
    assert end(ending(target=0.9), found) == (5, "target")
    assert end(ending(target=0.9, lag=1), found) == (4, "target")
    assert end(ending(target=0.91), found) is None


def test_target_of_a_loss_is_reached_from_above() -> None:
    """The direction is the search's."""
    of = ending(target=0.3, metric="val_loss")
    assert end(of, trials(0.5, 0.4, 0.3, 0.6, 0.6)) == (4, "target")


def test_patience_counts_from_the_best_trial() -> None:
    """Pruned trials count; of equal values the first is the best."""
    found = trials(0.5, 0.7, None, 0.7, 0.6, 0.1, 0.1, 0.1)
    assert end(ending(patience=3), found) == (6, "patience")
    assert end(ending(patience=3), trials(None, None, None, None, None)) == (4, "patience")
    assert end(ending(patience=3), trials(*(k / 10 for k in range(9)))) is None


def test_gain_is_what_the_second_half_was_worth() -> None:
    """A search that finds better and better goes on; one that has found it all ends."""
    flat = trials(*[0.5, 0.8] * 20)
    assert end(ending(gain=0.01), flat) == (FEWEST + 1, "gain")
    assert end(ending(gain=0.01), trials(*(k / 40 for k in range(40)))) is None


def test_gain_may_be_the_noise_of_the_accuracy() -> None:
    """Thirty examples have a standard error of 0.09 at 0.5, and 3,000 one of 0.009."""
    values = (0.45 + 0.05 * np.sin(np.arange(40))).tolist()
    assert end(ending(gain="noise"), trials(*values)) == (FEWEST + 1, "gain")
    worth = max(values[:30]) - expected_best(values[:30], 15)
    assert 0 < worth < 0.09


@pytest.mark.parametrize(
    ("data", "examples"),
    [
        ({"validation": 30}, 30),
        ({"train": 60, "validation": 0.25}, 15),
        ({"train": 60, "folds": 3}, 60),
        ({"train": 1, "validation": 0.5}, 1),
    ],
)
def test_the_noise_of_an_accuracy(data: dict[str, Any], examples: int) -> None:
    """That of a share of the validation part, or of the examples of all folds."""
    of = study()
    assert of.data is not None
    plain = {"validation": 0.2} if "folds" in data else {}
    own = replace(of, data=of.data.model_copy(update={**plain, **data}))
    assert _noise(own, 0.8) == pytest.approx(math.sqrt(0.8 * 0.2 / examples))
    assert _noise(own, 1.5) == 0.0


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_expected_best_is_that_of_the_tuning_curve(n: int) -> None:
    """For every number of trials that are drawn."""
    values = np.random.default_rng(n).random(n)
    whole = tuning_curve(values, maximize=True).expected
    one = [expected_best(values.tolist(), k) for k in range(1, n + 1)]
    np.testing.assert_allclose(one, whole, rtol=1e-12)


def test_epochs_are_never_exceeded() -> None:
    """A trial begins when its longest fits, and what pruned ones have left is used."""
    assert end(ending(max_epochs=10), trials(0.1, 0.1, 0.1, 0.1)) == (3, "max_epochs")
    found = [Seen(0, 0.1, 3), Seen(1, None, 1), Seen(2, None, 1), Seen(3, 0.1, 3), Seen(4, 0.1, 3)]
    assert end(ending(max_epochs=10), found) == (4, "max_epochs")


def test_epochs_that_are_not_known_yet_are_waited_for() -> None:
    """A trial that may end early may leave enough for one more."""
    of = ending(max_epochs=9)
    assert verdict(of, 2, trials(0.1), [1]) is None
    assert verdict(of, 3, trials(0.1), [1, 2]) is Idle.WAIT
    assert verdict(of, 3, trials(0.1, 0.1, 0.1), []) == "max_epochs"
    assert verdict(of, 3, [*trials(0.1, 0.1), Seen(2, None, 0)], []) is None


def test_epochs_by_round_count_as_such() -> None:
    """The next round's trials are longer."""
    of = study(
        training__epochs=[1, 5], search__rounds=[4, 4], search__trials=8, search__max_epochs=10
    )
    assert end(of, [*trials(*([0.1] * 4), epochs=1), Seen(4, 0.1, 5)]) == (5, "max_epochs")


def test_all_trainings_of_a_trial_count() -> None:
    """Three repeats of three epochs are nine."""
    of = study(training__repeats=3, search__trials=9, search__max_epochs=20)
    assert end(of, trials(0.1, 0.1, epochs=9)) == (2, "max_epochs")


@pytest.mark.parametrize("key", [{"target": 0.9}, {"patience": 2}, {"gain": 0.1}])
def test_only_old_trials_are_waited_for(key: dict[str, Any]) -> None:
    """Those that are younger than the lag say nothing, and may say what they will."""
    of = ending(**key)
    assert verdict(of, 3, trials(0.1), [1]) is Idle.WAIT
    assert verdict(of, 2, trials(0.1), [1]) is None
    for young, longer in itertools.product((None, 1.0), (1, 3)):
        assert verdict(of, 2, [*trials(0.1), Seen(1, young, longer)], []) is None

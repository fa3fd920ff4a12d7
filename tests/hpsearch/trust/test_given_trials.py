"""What a study's trials come to: those of a search, a confirmation, or an opening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import UsageError
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Outcomes, Result, State, StudyRecord, curve, digest
from hpsearch.ledger.store import Store
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study.config import Study
from hpsearch.study.given import GivenConfig
from hpsearch.training.scores import score
from hpsearch.trust.confirmation import confirmed
from hpsearch.trust.confirming import confirmation
from hpsearch.trust.contenders import baseline, to_confirm
from hpsearch.trust.estimate import correction
from hpsearch.trust.numbers import numbers
from hpsearch.trust.opening import _scored, _trained, opened, to_test
from tests.conftest import study

SIZES = {"sizes": {"train": 60, "validation": 30, "test": 900}}
GOOD, BAD = np.array([1, 1, 1, 0] * 5, bool), np.array([1, 0, 0, 0] * 5, bool)


@pytest.fixture
def store(database: Database) -> Store:
    """An empty ledger."""
    return Store(database)


def enter(store: Store, of: Study, ends: Sequence[float | str | Outcomes]) -> StudyRecord:
    """A study whose trials end so: with a value, with scores by example, or for a reason."""
    record = store.register(of, {"dataset": "d"}, SIZES)
    leases = Leases(store.database, record, lag=None, seed=int, owner=Owner.of())
    for number, end in enumerate(ends):
        assert isinstance(leases.claim(), Claim)
        params: dict[str, Any] = {"training.lr": 0.1 + number / 100, "network.dropout": 0.2}
        state, value, reason, scores = State.COMPLETE, None, None, None
        if isinstance(end, str):
            state, reason = (State.FAIL if end == "failed" else State.PRUNED), end
        elif isinstance(end, float):
            value = end
        else:
            value, scores = float(end.mean()), end
        rows = curve([(1.0, 0.1, 1.0, value or 0.0)])
        result = Result(state, value, params, rows, "0" * 64, reason=reason, outcomes=scores)
        leases.finish(number, result)
    return store.study(of.name)


def searched(store: Store, **changes: Any) -> StudyRecord:
    """A search whose second trial is its best."""
    return enter(store, study(search__trials=3, **changes), [0.5, 0.9, 0.7])


def confirming(
    store: Store, record: StudyRecord, ends: Sequence[float | str | Outcomes]
) -> StudyRecord:
    """Its best and the baseline, trained with two seeds, which end so."""
    trials = store.ranked(record, store.trials(record.id))
    of = to_confirm(record, trials, top=1, seeds=len(ends) // 2, resplit=False)
    return enter(store, of, ends)


def test_what_a_confirmation_says(store: Store) -> None:
    """The winner, its mean over the seeds, and how much of the search's value was luck."""
    record = searched(store)
    assert confirmation(store, record) is None
    own = confirming(store, record, [GOOD, BAD] * 3)
    found = confirmation(store, record)
    assert found is not None
    assert (found.name, found.of, found.metric) == (own.name, "small", "val_accuracy")
    assert (found.seeds, found.resplit, found.newer) == (3, False, False)
    first, other = found.contenders
    assert (first.trial, first.searched, first.seeds, first.mean) == (1, 0.9, 3, 0.75)
    assert (first.name, other.name, other.trial) == ("trial 1", "the baseline", None)
    assert (other.searched, other.mean, other.values) == (None, 0.25, baseline(record.study))
    assert (found.winner, list(found.alike)) == (first, [first])
    assert found.luck == pytest.approx(0.9 - 0.75)
    alone = confirmed(
        np.array([[GOOD] * 3, [BAD] * 3], float), maximize=True, seed=own.study.search.seed
    )
    assert [one.estimate for one in found.contenders] == alone.estimates
    assert [one.best for one in found.contenders] == alone.best


def test_values_alone_are_compared_by_seed(store: Store) -> None:
    """Where one training has no scores by example, none counts; less is better of a loss."""
    record = searched(store, search__metric="val_loss")
    confirming(store, record, [0.4, 0.8, BAD, 0.9])
    found = confirmation(store, record)
    assert found is not None
    first = found.contenders[0]
    assert (first.trial, first.searched, first.mean) == (0, 0.5, pytest.approx(0.325))
    assert found.luck == pytest.approx(0.325 - 0.5)
    assert found.winner is first


@pytest.mark.parametrize(
    ("end", "out"), [("diverged", "diverged"), ("race", "clearly behind"), ("failed", "failed")]
)
def test_why_one_has_not_all_seeds(store: Store, end: str, out: str) -> None:
    """It has no chance to be the best, and keeps what it has."""
    record = searched(store)
    confirming(store, record, [0.7, 0.6, 0.8, 0.5, 0.9, end])  # by far too few to tell anything
    found = confirmation(store, record)
    assert found is not None
    first, other = found.contenders
    assert (first.out, first.best, first.seeds) == (None, 1.0, 3)
    assert (other.out, other.best, other.seeds) == (out, 0.0, 2)
    assert other.mean == pytest.approx(0.55)
    assert all(0 <= e.low < e.high <= 1 for e in (first.estimate, other.estimate) if e)
    assert other.estimate is not None
    assert other.estimate.value == pytest.approx(0.55)


def test_a_better_trial_since(store: Store) -> None:
    """The search went on, and found one that nobody has confirmed."""
    record = searched(store)
    confirming(store, record, [0.7, 0.6] * 2)
    store.register(study(search__trials=4), {"dataset": "d"})
    leases = Leases(store.database, record, lag=None, seed=int, owner=Owner.of())
    assert isinstance(leases.claim(), Claim)
    leases.finish(3, Result(State.COMPLETE, 0.95, {}, curve([(1.0, 0.1, 1.0, 0.95)]), "0" * 64))
    found = confirmation(store, record)
    assert found is not None
    assert found.newer


def test_what_is_scored_on_the_test_part(store: Store) -> None:
    """The best trial without a confirmation, else its winner; beside it the baseline."""
    record = searched(store)
    asked = to_test(store, record, seeds=2, opening=3).given
    assert asked is not None
    assert (asked.study, asked.part, asked.opening) == ("small", "test", 3)
    assert asked.seeds == [seed(record.study, n, Purpose.TEST) for n in range(2)]
    assert [one.trial for one in asked.configurations] == [1, None]
    assert asked.configurations[1].values == baseline(record.study)
    confirming(store, record, [0.1, 0.6, 0.2, 0.7])
    asked = to_test(store, record, seeds=2, opening=1).given
    assert asked is not None
    assert [one.trial for one in asked.configurations] == [None]  # which is the baseline itself


def test_nothing_to_score(store: Store) -> None:
    """No test part, or no trial."""
    record = enter(store, study(), [])
    with pytest.raises(UsageError, match="has no COMPLETE trial"):
        to_test(store, record, seeds=2, opening=1)
    assert record.study.data is not None
    without = replace(record.study, data=record.study.data.model_copy(update={"test": 0}))
    with pytest.raises(UsageError, match=r"data\.test = 0"):
        to_test(store, replace(record, study=without), seeds=2, opening=1)


@pytest.mark.parametrize(("patience", "trained"), [(None, 90), (2, 60)])
def test_what_an_opening_showed(store: Store, patience: int | None, trained: int) -> None:
    """The chosen one's value and interval, the baseline's, and on how many examples."""
    more = {} if patience is None else {"training__patience": patience}
    record = searched(store, **more)
    own = enter(store, to_test(store, record, seeds=3, opening=1), [GOOD, BAD] * 3)
    found = opened(store, record, own)
    assert (found.metric, found.trial, found.out) == (own.study.search.metric, 1, None)
    assert (found.value, found.baseline, found.better) == (0.75, 0.25, 1.0)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.75 < found.high
    assert (found.seeds, found.examples, found.trained) == (3, 900, trained)


def test_on_how_many_examples() -> None:
    """Patience keeps the validation part to itself, also where it was searched; nothing is known of
    a study that was created before its sizes were kept."""
    patient = {"training.patience": 2}
    for values, sizes, trained in (
        ({}, SIZES, 90),
        (patient, SIZES, 60),
        ({}, {}, 0),
        (patient, {}, 0),
        ({}, {"sizes": {}}, 0),
    ):
        given = {"study": "small", "part": "test", "seeds": [7], "configurations": []}
        given["configurations"] = [{"values": {}}, {"values": values}]
        own = replace(study(), given=GivenConfig.model_validate(given))
        record: Any = type("Record", (), {"data_facts": sizes})
        assert _trained(record, own) == trained


def test_an_opening_that_came_to_nothing(store: Store) -> None:
    """A seed of the chosen one diverged: there is no value, and nothing is better."""
    record = searched(store)
    ends = [GOOD, BAD, "diverged", BAD, GOOD, BAD]
    found = opened(store, record, enter(store, to_test(store, record, seeds=3, opening=1), ends))
    assert (found.value, found.low, found.high, found.better) == (None, None, None, None)
    assert (found.out, found.baseline) == ("diverged", 0.25)


def test_an_opening_without_a_baseline(store: Store) -> None:
    """Where the baseline itself is chosen, or dropped out, there is none to be better than."""
    record = searched(store)
    ends = [GOOD, "diverged", GOOD, "diverged", GOOD, BAD]
    found = opened(store, record, enter(store, to_test(store, record, seeds=3, opening=1), ends))
    assert (found.value, found.out, found.better) == (0.75, None, None)
    confirming(store, record, [0.1, 0.6, 0.2, 0.7])
    own = enter(store, to_test(store, record, seeds=2, opening=2), [GOOD, GOOD])
    found = opened(store, replace(record, data_facts={}), own)
    assert (found.trial, found.value, found.baseline, found.better) == (None, 0.75, None, None)
    assert (found.examples, found.seeds) == (0, 2)


def test_the_interval_of_a_score() -> None:
    """It holds the score, is that of draws of the examples, and is the same every time."""
    rng = np.random.default_rng(0)
    right = rng.random(400) < 0.8
    outputs = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    found = _scored(outputs, np.zeros(400, np.intp), "accuracy")
    assert found == _scored(outputs, np.zeros(400, np.intp), "accuracy")
    assert found.value == score(outputs, np.zeros(400, np.intp), "accuracy") == right.mean()
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / 400)
    assert found.low == pytest.approx(found.value - half, abs=0.005)
    assert found.high == pytest.approx(found.value + half, abs=0.005)


def test_numbers_of_a_study(store: Store) -> None:
    """Counts, digest, the best, its value corrected for the choice, and how often the test part was
    opened: all of it follows from the trials."""
    rng = np.random.default_rng(1)
    scores = [rng.random(50) < 0.7 for _ in range(3)]
    record = enter(store, study(search__trials=6), [*scores, "diverged", "failed", "failed"])
    best = store.best(record)
    honest = correction(store, record).estimate
    assert best is not None
    assert honest is not None
    assert numbers(store, record) == {
        "complete": 3,
        "pruned": 1,
        "failed": 2,
        "digest": digest(store.finished(record.id), store.steps(record.id)),
        "best": {"number": best.number, "value": best.value, "weights_sha256": "0" * 64},
        "corrected": [honest.value, honest.low, honest.high],
        "test_opened": 0,
    }
    nothing = numbers(store, enter(store, study(name="other"), ["failed"]))
    assert (nothing["best"], nothing["corrected"], nothing["failed"]) == (None, None, 1)

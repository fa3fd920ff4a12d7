"""What a search ends with is trained on all that the search has seen, and then predicts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch import settings
from hpsearch.errors import NotComparableError, UsageError
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, curve
from hpsearch.ledger.store import Store
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study.given import GivenConfig
from hpsearch.training import make
from hpsearch.trust import environment, refit
from hpsearch.trust.contenders import baseline, to_confirm
from hpsearch.trust.opening import _scored, opened_with
from tests.conftest import study
from tests.hpsearch.trust.test_given_trials import confirming, enter, searched


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """An empty ledger."""
    database = Database(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'studies.db')}")
    yield Store(database)
    database.engine.dispose()


def given_of(store: Store, networks: int) -> GivenConfig:
    """What a refit of the search trains."""
    found = refit.to_refit(store, store.study("small"), networks).given
    assert found is not None
    return found


def test_without_a_confirmation(store: Store) -> None:
    """The best trials' configurations, each with a seed of its own; no more than there are."""
    record = searched(store)
    assert [one.trial for one in refit.chosen(store, record, 2)] == [1, 2]
    given = given_of(store, 3)
    assert (given.study, given.part, given.name) == ("small", "both", "small/refit")
    assert [one.trial for one in given.configurations] == [1, 2, 0]
    assert given.seeds == [seed(record.study, n, Purpose.REFIT) for n in range(3)]
    with pytest.raises(UsageError, match=r"only 3 different .* use --ensemble 3"):
        refit.to_refit(store, record, 4)


@pytest.mark.parametrize(
    ("metric", "scores"), [("val_accuracy", (0.5, 0.9, 0.7)), ("val_loss", (0.9, 0.5, 0.7))]
)
def test_with_a_confirmation(store: Store, metric: str, scores: tuple[float, ...]) -> None:
    """Its winner first, and then those that were trained with all seeds, by what to expect of
    them: the baseline, too, but not one that dropped out."""
    record = enter(store, study(search__trials=3, search__metric=metric), [0.1, 0.2, 0.3])
    ranked = store.ranked(record, store.trials(record.id))
    of = to_confirm(record, ranked, top=3, seeds=3, resplit=False)
    order = [one.trial for one in of.given.configurations] if of.given else []
    assert order[3] is None
    first, second, third = scores
    enter(store, of, [first, second, 0.8, third] * 2 + [first, second, "diverged", third])
    expected = [order[1], order[3], order[0]]
    assert [one.trial for one in refit.chosen(store, record, 9)] == expected
    assert [one.trial for one in refit.chosen(store, record, 2)] == expected[:2]
    own = refit.chosen(store, record, 2)[1]
    assert own.values == baseline(record.study)


def test_a_confirmation_that_goes_on(store: Store) -> None:
    """What it will come to is not known yet, and not to be passed over."""
    record = searched(store)
    ranked = store.ranked(record, store.trials(record.id))
    of = to_confirm(record, ranked, top=1, seeds=2, resplit=False)
    enter(store, of, [0.9, 0.5, 0.9])
    with pytest.raises(
        UsageError,
        match=r"^'small/confirm' has 3 of 4 trainings; finish it: hpsearch confirm small; or",
    ):
        refit.chosen(store, record, 1)


def test_of_a_confirmation_there_are_no_more(store: Store) -> None:
    """However many the search has."""
    record = searched(store)
    confirming(store, record, [0.9, 0.5] * 2)
    with pytest.raises(UsageError, match=r"^the confirmation of 'small' has only 2 different"):
        refit.to_refit(store, record, 3)


def test_one_that_was_cut_short_is_resumed(store: Store) -> None:
    """With what it was begun with, by the same words, whatever was confirmed since."""
    record = searched(store)
    own = enter(store, refit.to_refit(store, record, 3), [0.5])
    confirming(store, record, [0.9, 0.5] * 2)
    assert refit.asked(store, record, 3).given == own.study.given
    with pytest.raises(UsageError, match="with 3 configurations of before"):
        refit.asked(store, record, 2)


def test_nothing_to_refit(store: Store) -> None:
    """A search without a COMPLETE trial ends with nothing."""
    record = enter(store, study(), ["diverged", "failed"])
    with pytest.raises(UsageError, match="'small' has no COMPLETE trial"):
        refit.to_refit(store, record, 1)
    assert refit.refitted(store, record) is None


def test_one_that_is_there_is_gone_on_with(store: Store) -> None:
    """With the number that it has, said or not; another number is another refit."""
    record = searched(store)
    assert refit.asked(store, record, None).given == given_of(store, 1)
    assert refit.asked(store, record, 2).given == given_of(store, 2)
    enter(store, refit.to_refit(store, record, 2), [0.5])
    assert refit.asked(store, record, None).given == given_of(store, 2)
    assert refit.asked(store, record, 2).given == given_of(store, 2)
    with pytest.raises(UsageError, match="with 2 configurations of before; leave --ensemble out"):
        refit.asked(store, record, 1)


def test_one_that_has_ended(store: Store) -> None:
    """The trials that have a network, with their configurations; none as long as it goes on."""
    record = searched(store)
    definition = refit.to_refit(store, record, 3)
    own = enter(store, definition, [0.5])
    assert refit.refitted(store, record) is None
    leases = Leases(store.database, own, lag=None, seed=int, owner=Owner.of())
    for number, state in ((1, State.PRUNED), (2, State.COMPLETE)):
        assert isinstance(leases.claim(), Claim)
        value = None if state is State.PRUNED else 0.5
        leases.finish(number, Result(state, value, {}, curve([(1.0, 0.1)]), "0" * 64))
    found = refit.refitted(store, record)
    assert found is not None
    assert found.record.name == "small/refit"
    assert [trial.number for trial in found.trials] == [0, 2]
    assert [one.trial for one in found.configurations] == [1, 0]


def test_none_that_has_a_network(store: Store) -> None:
    """All of it diverged: there is nothing that could predict."""
    record = searched(store)
    enter(store, refit.to_refit(store, record, 2), ["diverged", "diverged"])
    assert refit.refitted(store, record) is None


def test_its_networks_predict(store: Store, tmp_path: Path) -> None:
    """They are trained again with the recorded weights, and predict together; other weights are
    refused. On the test part they score what their outputs score."""
    record = searched(store)
    own = store.register(definition := refit.to_refit(store, record, 2), {"dataset": "d"})
    trainer: Any = make.trainer(definition, tmp_path, tmp_path)
    trainer.digests = {"dataset": "d"}
    leases = Leases(store.database, own, lag=None, seed=definition.given.seed, owner=Owner.of())  # type: ignore[union-attr]
    outputs, inputs = [], trainer.parts.train.x[:5]
    with environment.single_thread():
        here = environment.current()
        store.remember(here, environment.digest(here))
        for number in range(2):
            claim = leases.claim()
            assert isinstance(claim, Claim)
            params = definition.given.values(number)  # type: ignore[union-attr]
            training = trainer.train(definition.resolve(params, claim.seed), number)
            rows = curve(training, 2)
            outputs.append(training.probabilities(inputs))
            ended = Result(State.COMPLETE, 0.5, params, rows, training.sha256)
            leases.finish(number, ended, environment.digest(here))
    found = refit.refitted(store, record)
    assert found is not None
    places = settings.read({"HPSEARCH_HOME": str(tmp_path)})
    predictor = refit.predictor(store, found, trainer, places)
    assert np.array_equal(predictor.outputs(inputs), np.mean(outputs, axis=0))
    assert predictor.preparation == trainer.parts.preparation
    shown = opened_with(record, found, predictor, trainer.parts.train)
    scored = _scored(predictor.outputs(trainer.parts.train.x), trainer.parts.train.y, "accuracy")
    assert (shown.metric, shown.trial, shown.out) == ("test_accuracy", 1, None)
    assert (shown.value, shown.low, shown.high) == (scored.value, scored.low, scored.high)
    assert (shown.baseline, shown.better) == (None, None)
    assert (shown.seeds, shown.networks, shown.examples, shown.trained) == (1, 2, 60, 90)
    for file in (places.cache / "weights").iterdir():
        file.unlink()
    train = trainer.train
    trainer.train = lambda config, number: train(
        definition.resolve(definition.given.values(1), 7),
        number,  # type: ignore[union-attr]
    )
    with pytest.raises(NotComparableError, match="trial 0 of small/refit did not reproduce: epoch"):
        refit.predictor(store, found, trainer, places)

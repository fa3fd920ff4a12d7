"""A trial that is paused goes on later, and ends with the bits of one that never was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.leases import Claim
from hpsearch.ledger.records import Result, State, Trial, curve, digest
from hpsearch.ledger.store import Store
from hpsearch.search.history import History
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Study
from hpsearch.training.local import LocalTrainer
from hpsearch.training.make import folded, trainer
from hpsearch.training.seam import Trainer
from hpsearch.trust.reproduce import reproduce
from hpsearch.verify.ledger_invariants import INVARIANTS
from hpsearch.verify.ledger_reading import read
from hpsearch.verify.look import Look
from hpsearch.work.shelf import Shelf
from hpsearch.work.worker import Worker, evaluate
from tests.conftest import study
from tests.hpsearch.search.test_history import TRIAL
from tests.hpsearch.work.crew import ran

NONE = frozenset[int]()
KINDS: dict[str, dict[str, Any]] = {
    "a network": {},
    "all that remembers": {
        "training__optimizer": {"choices": ["adam", "nesterov", "adamw"]},
        "training__schedule": "cosine",
        "training__shift": 1,
        "training__patience": 3,
        "training__record": "step",
        "network__batch_norm": True,
    },
    "rounds": {"search__rounds": [12, 8], "search__enqueue": [{"training.lr": 0.1}] * 5},
    "folds": {"data": {"dataset": "digits", "train": 60, "folds": 6}, "training__epochs": 2},
}


def paused(kind: str = "a network", **changes: Any) -> Study:
    """A study whose trials are paused after 1, 2 and 4 steps."""
    options = {
        "training__epochs": 6,
        "search__pruner": "pausing",
        "search__reduction_factor": 2,
        "search__trials": 20,
        "search__lag": 2,
    }
    return study(**options | KINDS[kind] | changes)


class Kept:
    """A run with a shelf: what its trainings went on from, and what they trained."""

    def __init__(self, of: Study, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shelf = Shelf(folder / "paused")
        self.rows: list[int] = []
        resumed = Shelf.resumed

        def counted(shelf: Shelf, *arguments: Any) -> Any:
            rows = resumed(shelf, *arguments)
            self.rows.append(len(rows))
            return rows

        init = Worker.__init__
        with monkeypatch.context() as patch:
            patch.setattr(Shelf, "resumed", counted)
            patch.setattr(Worker, "__init__", lambda *given: init(*given, self.shelf))
            self.store, self.record = ran(of, folder, 1)
        self.trials = self.store.trials(self.record.id)


def told(store: Store, record: Any) -> str:
    """The digest of a study."""
    return digest(store.finished(record.id), store.steps(record.id))


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_as_if_it_had_not_been_paused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its curve and its weights are those that a training from the start comes to."""
    of = paused(kind)
    kept = Kept(of, tmp_path / "kept", monkeypatch)
    trials = {trial.number: trial for trial in kept.trials}
    ways = [trial for trial in kept.trials if trial.continues is not None]
    assert len({trial.continues for trial in ways}) == len(ways) > 3
    assert kept.rows == [trials[trial.continues or 0].epochs for trial in ways]
    for trial in ways:
        assert trial.trained == trial.epochs - trials[trial.continues or 0].epochs > 0
    last = next(trial for trial in reversed(ways) if trial.state is State.COMPLETE)
    for trial in (ways[0], last):
        again = reproduce(kept.store, kept.record, trial, trainer(of, Path(), tmp_path))
        assert again.identical, again.first_difference
    # Without a shelf three workers train all again from the start, and it is the same.
    assert told(kept.store, kept.record) == told(*ran(of, tmp_path / "without", 3))
    look = Look(read(kept.store.database, of.name), (), True, NONE, NONE, None, lambda _: None)
    for name, invariant in INVARIANTS.items():
        assert name == "optuna" or list(invariant(look)) == []


def test_only_what_may_go_on_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of a trial that another one has continued."""
    kept = Kept(paused(), tmp_path, monkeypatch)
    gone = {trial.continues for trial in kept.trials}
    stopped = {trial.number for trial in kept.trials if trial.state is State.PRUNED}
    left = {int(file.name.partition("-")[0]) for file in kept.shelf.folder.iterdir()}
    assert left == stopped - gone
    kept.shelf.empty()
    assert not kept.shelf.folder.exists()


def goes_on(of: Study, shelf: Shelf, trains: Trainer) -> tuple[Result, History]:
    """How the trial ends that continues the best of three."""
    history = History(of)
    params: Params = {"training.lr": 0.1, "network.dropout": 0.25}
    for number in range(3):
        result = evaluate(of, history, Claim(number, 7), params, trains, shelf=shelf)
        assert result is not None
        history.add([(made(number, result), result.curve)])
    result = evaluate(of, history, Claim(3, 7), params, trains, shelf=shelf)
    assert result is not None
    return result, history


def made(number: int, result: Result) -> Trial:
    """The trial that ended so."""
    found = replace(TRIAL, number=number, state=result.state, value=result.value)
    return replace(
        found, params=result.params, epochs=len(result.curve), rungs=result.rungs, reason=None
    )


def one_by_one() -> Study:
    """Its fourth trial continues another one."""
    return paused(search__lag=1, search__reduction_factor=3, search__min_epochs=2)


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"),
    ],
    ids=["missing", "empty", "changed"],
)
def test_a_file_that_is_not_sound_costs_time_alone(
    harm: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training is done again, to the same bits."""
    of, trains = one_by_one(), trainer(one_by_one(), Path(), tmp_path)
    sound, _ = goes_on(of, Shelf(tmp_path / "sound"), trains)
    shelf, resumed = Shelf(tmp_path / "harmed"), Shelf.resumed

    def harmed(shelf: Shelf, training: Any, number: int) -> Any:
        harm(next(shelf.folder.glob(f"{number}-*")))
        rows = resumed(shelf, training, number)
        assert not list(rows)
        return rows

    monkeypatch.setattr(Shelf, "resumed", harmed)
    other, _ = goes_on(of, shelf, trains)
    assert other.weights_sha256 == sound.weights_sha256
    assert np.array_equal(other.curve, sound.curve)


def test_another_environment_goes_on_from_its_own(tmp_path: Path) -> None:
    """What was computed by another kernel, say, is not mixed with what this one computes."""
    of, trains = one_by_one(), trainer(one_by_one(), Path(), tmp_path)
    here, there = (Shelf(tmp_path / "paused").of(digest * 64) for digest in "ab")
    goes_on(of, here, trains)
    config = of.resolve({"training.lr": 0.1, "network.dropout": 0.25}, 7)
    left = [int(file.name.partition("-")[0]) for file in here.folder.iterdir()]
    assert left
    assert not there.resumed(trains.train(config), left[0])
    assert len(here.resumed(trains.train(config), left[0])) == 2


def test_a_training_of_ones_own_begins_anew(tmp_path: Path) -> None:
    """Nobody else knows its state; its epochs all count, since all are trained."""
    calls: list[int] = []

    def train(params: Mapping[str, Any], seed: int) -> Any:
        calls.append(0)
        for epoch in range(6):
            calls[-1] += 1
            yield {"val_accuracy": params["x"] + epoch}

    of = study_file.parse(
        {
            "name": "own",
            "objective": {"function": "local:train", "metrics": ["val_accuracy"], "epochs": 6},
            "params": {"x": {"low": 0.0, "high": 1.0}},
            "search": {"pruner": "pausing", "trials": 4, "lag": 1},
        }
    )
    assert of.objective is not None
    trains = folded(of, LocalTrainer(of.objective, tmp_path, train))
    history, params = History(of), {"params.x": 0.5}
    for number in range(4):
        result = evaluate(of, history, Claim(number, 7), params, trains, shelf=Shelf(tmp_path))
        assert result is not None
        history.add([(made(number, result), result.curve)])
    assert calls == [1, 1, 1, 3]
    assert made(3, result).trained == 3
    assert np.array_equal(result.curve, curve([[0.5], [1.5], [2.5]]))
    assert not list(tmp_path.iterdir())


def test_verify_notices_what_continues_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each promise of a trial that continues another one, broken by hand."""
    kept = Kept(paused(), tmp_path, monkeypatch)
    ledger = read(kept.store.database, "small")
    first, second, *_ = (n for n, trial in ledger.trials.items() if trial.continues is not None)
    origin = ledger.trials[first].continues
    assert origin is not None

    def told(number: int = first, pruner: str = "pausing", **changes: Any) -> list[str]:
        rows = dict(ledger.trials)
        rows[number] = replace(rows[number], **changes)
        search = {**ledger.definition["search"], "pruner": pruner}
        definition = {**ledger.definition, "search": search}
        look = Look(
            replace(ledger, trials=rows, definition=definition),
            (),
            True,
            NONE,
            NONE,
            None,
            lambda _: None,
        )
        return list(INVARIANTS["continued"](look))

    said = f"trial {first} continues trial {origin}"
    before, seed = ledger.trials[origin].epochs, ledger.trials[first].seed
    assert told() == []
    assert told(pruner="halving")[0] == f"{said}, but the study pauses none"
    assert told(origin, reason="diverged") == [f"{said}, which is not paused"]
    assert told(rungs={"continues": first, "epochs_before": 1})[0] == (
        f"trial {first} continues trial {first}, which is no earlier one"
    )
    assert told(seed=seed + 1)[0] == f"{said}, but with other params or another seed"
    assert told(rungs={"continues": origin}) == [
        f"{said} and says it trained 0 epochs less, not {before}"
    ]
    rungs = ledger.trials[first].rungs
    twice = told(second, rungs=rungs)
    assert twice[0] == f"trial {second} continues trial {origin}, as trial {first} does"
    other = ledger.curves[second]
    harmed = replace(ledger, curves={**ledger.curves, first: other})
    look = Look(harmed, (), True, NONE, NONE, None, lambda _: None)
    harm = f"{said}, but its curve does not begin with that one's"
    assert next(iter(INVARIANTS["continued"](look))) == harm

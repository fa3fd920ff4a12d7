"""A function that is called in this process: what it gets and gives, and how it may fail."""

from __future__ import annotations

import json
import random
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from hpsearch.ledger.leases import Claim
from hpsearch.ledger.records import Result, State, weights_digest
from hpsearch.search.history import History
from hpsearch.training import own
from hpsearch.training.local import LocalTrainer
from hpsearch.work.worker import evaluate
from tests.hpsearch.training.own import objective

OWN = {"function": "__main__:train", "metrics": ["loss"]}

Report = dict[str, float]


def trains(function: Callable[..., Any], folder: Path, **changes: Any) -> LocalTrainer:
    """What trains by the function."""
    described = objective(OWN, **changes).objective
    assert described is not None
    return LocalTrainer(described, folder, function)


def ended(function: Callable[..., Any], folder: Path, **changes: Any) -> Result:
    """How trial 3, with seed 7, ends."""
    study = objective(OWN, **changes)
    made = trains(function, folder, **changes)
    result = evaluate(study, History(study), Claim(3, 7), {}, made)
    assert result is not None
    return result


def failing(error: BaseException) -> Callable[..., Any]:
    """A function that raises in its second epoch."""

    def train(params: Mapping[str, Any], seed: int) -> Iterator[Report]:
        yield {"loss": 1.0}
        raise error

    return train


def test_generator_and_plain_function(tmp_path: Path) -> None:
    """Epochs and a state, or one epoch; the state's digest is what another process has of it."""

    def train(params: Mapping[str, Any], seed: int) -> Iterator[Report]:
        yield {"loss": 2.0}
        yield {"loss": float(seed)}
        return {"w": np.arange(3.0)}

    result = ended(train, tmp_path)
    assert (result.state, result.value, result.curve.tolist()) == (
        State.COMPLETE,
        7.0,
        [[2.0], [7.0]],
    )
    assert result.weights_sha256 == weights_digest({"w": np.arange(3.0)})
    once = ended(lambda params, seed: {"loss": 0.5}, tmp_path)
    assert (once.curve.tolist(), once.weights_sha256) == ([[0.5]], None)


def test_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at after each epoch; what was reported in time stands in the curve."""
    clock = [0.0]
    monkeypatch.setattr(own, "time", types.SimpleNamespace(monotonic=lambda: clock[-1]))

    def train(params: Mapping[str, Any], seed: int) -> Iterator[Report]:
        yield {"loss": 1.0}
        clock.append(2.1)
        yield {"loss": 2.0}
        pytest.fail("it went on")

    result = ended(train, tmp_path, timeout="2s")
    assert (result.state, result.reason, result.curve.tolist()) == (State.FAIL, "timeout", [[1.0]])


def test_folder_and_log(tmp_path: Path) -> None:
    """A third parameter gives a number, an empty folder that goes with the trial, and a log."""
    seen: list[Path] = []

    def train(params: Mapping[str, Any], seed: int, trial: Any) -> Iterator[Report]:
        assert list(trial.folder.iterdir()) == []
        (trial.folder / "file").touch()
        seen.append(trial.folder)
        trial.log(f"trial {trial.number}")
        yield {"loss": 1.0}
        trial.log("one more")

    result = ended(train, tmp_path)
    assert (result.state, result.log) == (State.COMPLETE, b"trial 3\none more\n")
    assert ended(train, tmp_path).log == result.log, "each trial begins a log"
    assert not any(folder.exists() for folder in seen)
    assert len(set(seen)) == 2


def test_outcomes(tmp_path: Path) -> None:
    """What each validation example scored is kept, if its mean is the metric."""

    def train(params: Mapping[str, Any], seed: int, trial: Any) -> Iterator[Report]:
        trial.outcomes([True, False, True, True])
        yield {"loss": 0.75}

    result = ended(train, tmp_path)
    assert result.outcomes is not None
    assert result.outcomes.tolist() == [True, False, True, True]

    def wrong(params: Mapping[str, Any], seed: int, trial: Any) -> Iterator[Report]:
        trial.outcomes([1.0, 2.0])
        yield {"loss": 1.0}

    refused = ended(wrong, tmp_path)
    assert refused.state is State.FAIL
    assert str(refused.reason).startswith("trial.outcomes: their mean is 1.5")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad lr"), "ValueError: bad lr ("),
        (SystemExit(3), "SystemExit: 3 ("),
        (RuntimeError("two\nlines"), "RuntimeError: two lines ("),
    ],
)
def test_failure_says_what_and_where(tmp_path: Path, error: BaseException, said: str) -> None:
    """``sys.exit`` does not end this process; the line that raised is named."""
    result = ended(failing(error), tmp_path)
    assert (result.state, said) == (State.FAIL, str(result.reason)[: len(said)])
    assert str(result.reason).endswith(" in train)")
    assert "test_local.py:" in str(result.reason)
    assert result.curve.tolist() == [[1.0]]


def test_ctrl_c_is_nobodys_failure(tmp_path: Path) -> None:
    """A person who interrupts the notebook ends the study, not the trial."""
    with pytest.raises(KeyboardInterrupt):
        ended(failing(KeyboardInterrupt()), tmp_path)


def test_closed_generator_ends_there(tmp_path: Path) -> None:
    """A pruned training runs its ``finally``, and its folder is taken away."""
    closed: list[Path] = []

    def train(params: Mapping[str, Any], seed: int, trial: Any) -> Iterator[Report]:
        try:
            while True:
                yield {"loss": 1.0}
        finally:
            closed.append(trial.folder)

    training = trains(train, tmp_path).train(objective(OWN).resolve({}, 7), 3)
    with closing(training):
        assert next(iter(training)) == (1.0,)
    assert len(closed) == 1
    assert not closed[0].exists()
    assert training.sha256 is None


def test_interrupted_training_has_no_end(tmp_path: Path) -> None:
    """A worker that is told to stop hands the trial back."""

    def train(params: Mapping[str, Any], seed: int) -> Iterator[Report]:
        while True:
            yield {"loss": 1.0}

    study = objective(OWN)
    made = trains(train, tmp_path)
    assert evaluate(study, History(study), Claim(3, 7), {}, made, lambda: True) is None


def test_random_numbers(tmp_path: Path) -> None:
    """Within, they follow from the seed; this process's own go on as if nothing had been."""
    random.seed(1)
    np.random.seed(1)
    expected = [random.random(), float(np.random.rand())]
    random.seed(1)
    np.random.seed(1)
    values = {
        ended(lambda params, seed: {"loss": random.random() + np.random.rand()}, tmp_path).value
        for _ in range(2)
    }
    assert len(values) == 1
    assert [random.random(), float(np.random.rand())] == expected


def test_packages_are_those_of_its_module(tmp_path: Path) -> None:
    """Not all that this process has imported; by a module's name, and by what was imported of it.

    A function of its module, in a process of its own, has the same.
    """
    for name, value in {"sklearn": sklearn, "Model": LogisticRegression}.items():
        module = types.ModuleType("notebook")
        setattr(module, name, value)
        exec("def train(params, seed): return {'loss': 1.0}", vars(module))
        assert trains(vars(module)["train"], tmp_path).packages == ["scikit-learn"]
    module = types.ModuleType("notebook")
    exec("import json\ndef train(params, seed): return {'loss': 1.0}", vars(module))
    assert trains(vars(module)["train"], tmp_path).packages == []
    assert json.__name__ in dir(module)

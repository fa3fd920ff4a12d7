"""A Python function as a training: what it gets, what it may give, and how it may fail."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from hpsearch.errors import UsageError
from hpsearch.ledger.leases import Claim
from hpsearch.ledger.records import Result, State, weights_digest
from hpsearch.search.history import History
from hpsearch.training.make import trainer
from hpsearch.work.worker import evaluate
from tests.hpsearch.training.own import FUNCTION, begun, ended, objective, rows

TWO = {**FUNCTION, "metrics": ["loss", "accuracy"]}


def test_generator_is_a_training(tmp_path: Path) -> None:
    """Each dict is an epoch, in the order of the metrics; what it returns is the state."""
    source = """
import numpy as np
def train(params, seed):
    for epoch in (1, 2, 3):
        yield {"accuracy": epoch / 10, "loss": np.float32(params["lr"] / epoch)}
    return {"w": np.arange(3.0), "b": np.zeros((2, 2), np.int8)}
"""
    training = begun(objective(TWO, {"lr": 0.5}), tmp_path, source)
    expected = [[0.5, 0.1], [0.25, 0.2], [float(np.float32(0.5 / 3)), 0.3]]
    assert expected == rows(training)
    state = {"w": np.arange(3.0), "b": np.zeros((2, 2), np.int8)}
    assert weights_digest(state) == training.sha256 == weights_digest(training.state)
    assert training.final == (float(np.float32(0.5 / 3)), 0.3)


def test_plain_function_is_one_epoch(tmp_path: Path) -> None:
    """A function that returns a dict has trained for one epoch, and keeps nothing."""
    training = begun(objective(FUNCTION), tmp_path, "def train(params, seed): return {'loss': 2}")
    assert rows(training) == [[2.0]]
    assert (training.sha256, dict(training.state)) == (None, {})


def test_parameters(tmp_path: Path) -> None:
    """They are by dotted names, of their own kinds, and cannot be changed."""
    source = """
def train(params, seed, trial):
    assert dict(params) == {"lr": 0.1, "model.depth": 3, "model.act": "relu", "on": True,
                            "units": (10, 20)}, params
    assert type(params["model.depth"]) is int and params["on"] is True
    assert (seed, trial.number, list(trial.folder.iterdir())) == (7, 3, [])
    try:
        params["lr"] = 1
    except TypeError:
        return {"loss": 0}
"""
    model = {"depth": {"low": 1, "high": 4}, "act": "relu"}
    study = objective(FUNCTION, {"lr": 0.1, "model": model, "on": True, "units": [10, 20]})
    assert ended(study, tmp_path, source, {"params.model.depth": 3}).reason is None


def test_outcomes(tmp_path: Path) -> None:
    """What each validation example scored goes with the result, as bits or as float32."""
    source = """
import numpy as np
def train(params, seed, trial):
    trial.outcomes(np.array([True, False, True, True]))
    return {"loss": 0.75}
"""
    result = ended(objective(FUNCTION), tmp_path, source)
    assert result.outcomes is not None
    assert result.outcomes.tolist() == [True, False, True, True]
    assert np.bool_ == result.outcomes.dtype
    losses = source.replace("np.array([True, False, True, True])", "[0.5, 1.0]")
    (tmp_path / "losses").mkdir()
    result = ended(objective(FUNCTION), tmp_path / "losses", losses)
    assert result.outcomes is not None
    assert ([0.5, 1.0], np.float32) == (result.outcomes.tolist(), result.outcomes.dtype)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ("[0.5, 0.5]", "their mean is 0.5, but loss is 0.75"),
        ("[[0.75]]", "expected one row of numbers"),
        ("'right'", "expected one row of numbers"),
    ],
)
def test_outcomes_that_are_none(tmp_path: Path, scores: str, said: str) -> None:
    """Those that are not what the metric is the mean of make the trial FAIL."""
    source = f"""
def train(params, seed, trial):
    trial.outcomes({scores})
    return {{"loss": 0.75}}
"""
    result = ended(objective(FUNCTION), tmp_path, source)
    assert (result.state, said in str(result.reason)) == (State.FAIL, True)


def test_generators_of_random_numbers_are_seeded(tmp_path: Path) -> None:
    """``random`` and ``numpy.random`` are, before every call: a user forgets."""
    source = """
import random, numpy as np
def train(params, seed):
    return {"loss": random.random(), "accuracy": np.random.rand()}
"""
    training = begun(objective(TWO), tmp_path, source)
    random.seed(7)
    np.random.seed(7)
    assert [[random.random(), np.random.rand()]] == rows(training)


def test_folder_comes_last_on_the_path(tmp_path: Path) -> None:
    """What stands beside the function hides nothing of ours, nor of the standard library."""
    for name in ("json", "numpy", "random", "socket", "hpsearch", "typing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "beside.py").write_text("LOSS = 3.5")
    source = "import json, beside\ndef train(params, seed): return {'loss': beside.LOSS}"
    assert rows(begun(objective(FUNCTION), tmp_path, source)) == [[3.5]]


def test_what_is_printed_is_the_log(tmp_path: Path) -> None:
    """What it prints, and what it logs, is kept with the trial."""
    source = """
def train(params, seed, trial):
    print("printed")
    trial.log("logged")
    yield {"loss": 1}
"""
    assert ended(objective(FUNCTION), tmp_path, source).log == b"printed\nlogged\n"


def test_closed_generator_ends_there(tmp_path: Path) -> None:
    """A generator that is pruned runs its ``finally``, and the next trial has the same process."""
    source = f"""
import os
from pathlib import Path
def train(params, seed):
    try:
        while True:
            yield {{"loss": os.getpid()}}
    finally:
        Path({str(tmp_path / "closed")!r}).touch()
"""
    study = objective(FUNCTION, epochs=9, search={"pruner": "median"})
    training = begun(study, tmp_path, source)
    iterator = iter(training)
    first = next(iterator)
    training.close()
    assert (tmp_path / "closed").exists()
    assert training.sha256 is None
    assert first[0] != os.getpid()


BODIES = {
    "raise ValueError('bad lr')": "ValueError: bad lr (mine.py:2 in train)",
    "import sys; sys.exit(3)": "SystemExit: 3 (mine.py:2 in train)",
    "raise KeyboardInterrupt": "KeyboardInterrupt (mine.py:2 in train)",
    "raise MemoryError": "MemoryError (mine.py:2 in train)",
    "open('/nowhere/at/all')": "FileNotFoundError: [Errno 2] No such file or directory: "
    "'/nowhere/at/all' (mine.py:2 in train)",
    "import os; os._exit(0)": "the process of the function ended during the training: exit code 0",
    "import os; os._exit(3)": "the process of the function ended during the training: exit code 3",
    "import os; os.kill(os.getpid(), 11)": "the process of the function ended during the "
    "training: killed by SIGSEGV",
    "return 5": "TypeError: the function returned int; expected a dict, or a generator of dicts",
    "return {}": "epoch 1: the training reported nothing; expected loss",
    "return {'los': 1}": "epoch 1: the training reported los; expected loss",
    "return {'loss': 1, 'more': 2}": "epoch 1: the training reported loss, more; expected loss",
    "return {'loss': 'low'}": "epoch 1: loss is 'low'; expected a number",
    "return {'loss': True}": "epoch 1: loss is True; expected a number",
    "return {'loss': None}": "epoch 1: loss is 'None'; expected a number",
    "return {'loss': 10**400}": "epoch 1: loss is too large for a float64",
    "return {'loss': float('nan')}": "epoch 1: loss is nan; expected a finite number (or set "
    "allow_nan = true)",
    "yield 5": "epoch 1: the training reported '5'; expected a name and a number for each metric",
    "yield from ()": "the training ended and reported nothing; expected loss",
    "yield {'loss': 1}; return {'w': ['a']}": "TypeError: state 'w' has type <U1; expected an "
    "array of numbers",
    "yield {'loss': 1}; return 5": "TypeError: the function returned int as its state; expected a "
    "mapping of arrays, or nothing",
}


@pytest.mark.parametrize("body", BODIES)
def test_failure_says_what_and_where(tmp_path: Path, body: str) -> None:
    """It is FAIL, with one line: the message, and the last line of the user's own code."""
    result = ended(objective(FUNCTION), tmp_path, f"def train(params, seed):\n    {body}\n")
    assert (State.FAIL, BODIES[body]) == (result.state, result.reason)
    assert (result.value, result.weights_sha256) == (None, None)


def test_frame_is_the_users_not_a_librarys(tmp_path: Path) -> None:
    """Where a library raises, the line that called it is named."""
    source = "import json\ndef train(params, seed):\n    json.loads('{')\n"
    result = ended(objective(FUNCTION), tmp_path, source)
    assert str(result.reason).endswith(" (mine.py:3 in train)")


def test_next_trial_after_a_death(tmp_path: Path) -> None:
    """One that took its process down does not take the next one's."""
    source = """
import os
def train(params, seed):
    if params["die"]:
        os._exit(1)
    return {"loss": 1}
"""
    study = objective(FUNCTION, {"die": {"choices": [True, False]}})
    assert ended(study, tmp_path, source, {"params.die": True}).state is State.FAIL
    assert ended(study, tmp_path, source, {"params.die": False}).state is State.COMPLETE


def test_forked_children_report_nothing(tmp_path: Path) -> None:
    """Seven processes that come back from ``fork`` as the function does: the first alone counts."""
    source = f"""
import os, sys
from pathlib import Path
def train(params, seed):
    first = os.getpid()
    children = [os.fork() for _ in range(3)]
    if os.getpid() != first:
        Path({str(tmp_path)!r}, f"child-{{os.getpid()}}").touch()
    else:
        assert {{os.waitpid(child, 0)[1] for child in children}} == {{256}}
    yield {{"loss": float(os.getpid() == first)}}
    if params["leave"]:
        sys.exit(3)
"""
    study = objective(FUNCTION, {"leave": {"choices": [True, False]}})
    whole = ended(study, tmp_path, source, {"params.leave": False})
    assert (whole.state, whole.curve.tolist()) == (State.COMPLETE, [[1.0]])
    failed = ended(study, tmp_path, source, {"params.leave": True})
    assert failed.reason == "SystemExit: 3 (mine.py:13 in train)"
    children = [int(file.name.partition("-")[2]) for file in tmp_path.glob("child-*")]
    assert len(children) >= 6
    assert none_left(children)


BOMB = """
import os, subprocess, sys, threading, time
def train(params, seed):
    print(os.getpid(), flush=True)
    def spin():
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)
    if params["kind"] == "threads":
        for _ in range(50):
            threading.Thread(target=spin).start()
    elif params["kind"] == "processes":
        for _ in range(20):
            child = subprocess.Popen(["sleep", "60"], start_new_session=True)
            print(child.pid, flush=True)
    if params["end"] == "raise":
        raise RuntimeError("can't start new thread")
    if params["end"] == "exit":
        os._exit(5)
    if params["end"] == "close":
        os.closerange(3, 100)
    yield {"loss": 1.0}
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("raise", "RuntimeError: can't start new thread (mine.py:17 in train)"),
        ("exit", "the process of the function ended during the training: exit code 5"),
        ("close", "the process of the function "),
    ],
)
def test_a_bomb_is_a_failure(tmp_path: Path, kind: str, end: str, said: str) -> None:
    """Threads and processes that never end: the trial is FAIL, and the next finds none of them."""
    study = objective(
        FUNCTION,
        {
            "kind": {"choices": ["threads", "processes", "none"]},
            "end": {"choices": ["raise", "exit", "close", "none"]},
        },
    )
    (tmp_path / "mine.py").write_text(BOMB)
    trains = trainer(study, tmp_path, tmp_path)

    def trial(kind: str, end: str) -> Result:
        params = {"params.kind": kind, "params.end": end}
        result = evaluate(study, History(study), Claim(3, 7), params, trains)
        assert result is not None
        return result

    began = time.monotonic()
    bomb = trial(kind, end)
    assert (bomb.state, said) == (State.FAIL, str(bomb.reason)[: len(said)])
    assert none_left([int(line) for line in bomb.log.split() if line.isdigit()])
    assert trial("none", "none").state is State.COMPLETE
    assert time.monotonic() - began < 30


def none_left(pids: list[int]) -> bool:
    """Whether none of these processes is there, or will be in a moment."""
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False


def test_timeout(tmp_path: Path) -> None:
    """An attempt that takes longer is FAIL, whatever it is doing; its process is gone."""
    source = """
import os, signal, sys, time
def train(params, seed):
    print(os.getpid(), flush=True)
    yield {"loss": 1}
    while True:
        pass
"""
    began = time.monotonic()
    result = ended(objective(FUNCTION, timeout="3s"), tmp_path, source)
    assert (result.state, result.reason, len(result.curve)) == (State.FAIL, "timeout", 1)
    assert time.monotonic() - began >= 3
    assert not Path(f"/proc/{int(result.log)}").exists()


def test_epochs_after_the_end(tmp_path: Path) -> None:
    """More epochs than the study says there are is FAIL; fewer are early stopping."""
    source = "def train(params, seed):\n    for _ in range(3): yield {'loss': 1}\n"
    result = ended(objective(FUNCTION, epochs=2), tmp_path, source)
    assert result.reason == "epoch 3: the training reported more than 2 epochs, the maximum"
    assert ended(objective(FUNCTION, epochs=4), tmp_path, source).state is State.COMPLETE


JUDGED = {"pruner": "threshold", "upper": 0.5, "min_epochs": 3}
"""A pruner that ends every trial here after its third epoch."""


@pytest.mark.parametrize(
    ("announced", "state"),
    [(None, State.PRUNED), (3, State.COMPLETE), (4, State.PRUNED), (3.0, State.COMPLETE)],
)
def test_a_trial_at_the_end_that_it_has_announced(
    tmp_path: Path, announced: float | None, state: State
) -> None:
    """It is complete, and no pruner ends it there; another length than its own helps nothing."""
    source = "def train(params, seed):\n"
    source += "" if announced is None else f"    yield {{'epochs': {announced}}}\n"
    source += "    for _ in range(3): yield {'loss': 1}\n"
    result = ended(objective(FUNCTION, epochs=5, search=JUDGED), tmp_path, source)
    assert (result.state, result.curve.tolist()) == (state, [[1.0]] * 3)


@pytest.mark.parametrize(
    ("announced", "rows", "reason"),
    [
        (6, 0, "the training announced 6 epochs in all; expected a whole number from 1 to 5, "),
        (2, 2, "the training announced 2 epochs in all; expected a whole number from 3 to 5, "),
        (2.5, 0, "the training announced 2.5 epochs in all; expected a whole number from 1 to "),
        (True, 0, "the training announced True epochs in all; expected a whole number from 1 "),
        ("'3'", 0, "the training announced '3' epochs in all; expected a whole number from 1 "),
        (3, 2, "epoch 4: the training reported more than 3 epochs, as announced"),
    ],
)
def test_what_cannot_be_announced(
    tmp_path: Path, announced: object, rows: int, reason: str
) -> None:
    """Less than there was, more than there may be, and what is no number; it is kept to."""
    epochs = "yield {'loss': 1}; "
    source = f"def train(params, seed):\n    {epochs * rows}yield {{'epochs': {announced}}}\n"
    result = ended(objective(FUNCTION, epochs=5), tmp_path, f"{source}    {epochs * 3}")
    assert result.state is State.FAIL
    assert str(result.reason)[: len(reason)] == reason


def test_a_metric_called_epochs_announces_nothing(tmp_path: Path) -> None:
    """It is the metric."""
    source = "def train(params, seed):\n    yield {'epochs': 1}\n    yield {'epochs': 2}\n"
    own = objective({**FUNCTION, "metrics": ["epochs"]})
    assert rows(begun(own, tmp_path, source)) == [[1.0], [2.0]]


def test_a_plain_function_is_at_its_end(tmp_path: Path) -> None:
    """No pruner ends what has one epoch."""
    own = objective(FUNCTION, epochs=5, search={**JUDGED, "min_epochs": 1})
    result = ended(own, tmp_path, "def train(params, seed): return {'loss': 1}")
    assert (result.state, result.value) == (State.COMPLETE, 1.0)


def test_allowed_nan_is_a_divergence(tmp_path: Path) -> None:
    """Where the study allows it, a training that ends with it has diverged."""
    source = "def train(params, seed):\n    yield {'loss': 1}\n    yield {'loss': float('inf')}\n"
    result = ended(objective(FUNCTION, allow_nan=True), tmp_path, source)
    assert (result.state, result.reason, result.value) == (State.PRUNED, "diverged", None)
    assert result.curve.tolist() == [[1.0], [float("inf")]]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it' "),
        ("x = 1 / 0", "ZeroDivisionError: division by zero (mine.py:1 in <module>)"),
        ("def train(: pass", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("train = 5", "TypeError: mine:train is not a function; its type is int"),
        ("y = 1", "AttributeError: module 'mine' has no attribute 'train'"),
        (
            "import os; os._exit(4)",
            "the process of the function ended during the training: exit code 4",
        ),
    ],
)
def test_module_that_does_not_import(tmp_path: Path, source: str, said: str) -> None:
    """It is bad input, said before anything runs: its error's last line, and where."""
    with pytest.raises(UsageError) as caught:
        begun(objective(FUNCTION), tmp_path, source)
    assert str(caught.value).startswith(f"objective.function: mine:train: {said}")
    assert "\n" not in str(caught.value)


def test_packages_are_those_that_it_imports(tmp_path: Path) -> None:
    """On their versions its numbers depend."""
    (tmp_path / "mine.py").write_text("import sklearn\ndef train(params, seed): pass\n")
    trains = trainer(objective(FUNCTION), tmp_path, tmp_path)
    assert "scikit-learn" in trains.packages
    assert "torch" not in trains.packages
    (tmp_path / "mine.py").write_text("def train(params, seed): pass\n")
    assert trainer(objective(FUNCTION), tmp_path, tmp_path).packages == []


def test_files_belong_to_the_study(tmp_path: Path) -> None:
    """Their digests do, and the function's own file's without being named."""
    from hpsearch.training.make import trainer

    (tmp_path / "mine.py").write_text("def train(params, seed): return {'loss': 1}")
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "data" / name).write_text(name)
    study = objective(FUNCTION, files=["data/*.csv"])
    before = dict(trainer(study, tmp_path, tmp_path).digests)
    assert sorted(before) == ["data/a.csv", "data/b.csv", "mine.py"]
    (tmp_path / "data" / "b.csv").write_text("changed")
    after = trainer(study, tmp_path, tmp_path).digests
    assert [name for name in before if before[name] != after[name]] == ["data/b.csv"]
    with pytest.raises(UsageError, match=r"^objective.files: '\*.txt' matches no file in "):
        trainer(objective(FUNCTION, files=["*.txt"]), tmp_path, tmp_path)

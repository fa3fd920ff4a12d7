"""``hpsearch trials``: all of a study's trials, or those that are asked for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hpsearch.ledger.records import Trial
from tests.conftest import study
from tests.hpsearch.command_line import Call, one_line
from tests.hpsearch.report.made_up import enter, mixed
from tests.hpsearch.work.crew import ran

OPTIMIZER = {"choices": ["sgd", "adam"]}


@pytest.fixture
def entered(home: Path) -> list[Trial]:
    """The trials of ``small`` in the workspace: some COMPLETE, some PRUNED."""
    home.mkdir()
    store, record = enter(home, study(search__trials=24, training__optimizer=OPTIMIZER), mixed)
    trials = store.trials(record.id)
    store.database.engine.dispose()
    return trials


def numbers(call: Call, *options: str) -> list[int]:
    """The numbers of the trials that are asked for, in their order."""
    outcome = call("trials", "small", "--json", *options)
    assert outcome.code == 0, outcome.err
    return [trial["number"] for trial in outcome.json]


def test_what_a_trial_continues(call: Call, home: Path) -> None:
    """Is a column where any does; a study that is deleted leaves no paused training."""
    home.mkdir()
    of = study(search__pruner="pausing", search__lag=1, training__epochs=9, search__trials=6)
    store, record = ran(of, home, 1)
    store.database.engine.dispose()
    paused = home / "paused" / record.incarnation
    paused.mkdir(parents=True)
    rows = call("trials", "small").out.splitlines()
    assert rows[0].split()[-2:] == ["continues", "reason"]
    told = {
        trial["number"]: trial.get("continues") for trial in call("trials", "small", "--json").json
    }
    assert told[3] in (0, 1, 2)
    assert rows[5].split()[-2:] == [str(told[3]), "pausing"]
    assert call("delete", "small", "--yes", "--no-tracking").code == 0
    assert not paused.exists()


def test_the_best_first(call: Call, entered: list[Trial]) -> None:
    """By value, the best comes first; what has no value comes last."""
    complete = sorted((t for t in entered if t.value is not None), key=lambda t: -(t.value or 0))
    found = numbers(call, "--sort", "value")
    assert found[: len(complete)] == [trial.number for trial in complete]
    assert sorted(found) == list(range(24))
    assert numbers(call, "--sort", "-value")[0] == complete[-1].number


def test_by_a_parameter(call: Call, entered: list[Trial]) -> None:
    """Up, or with a dash down; without its section where it is the only one of that name."""
    by_rate = [t.number for t in sorted(entered, key=lambda t: t.params["training.lr"])]
    assert numbers(call, "--sort", "training.lr") == by_rate
    assert numbers(call, "--sort", "-lr", "--limit", "3") == by_rate[::-1][:3]


@pytest.mark.parametrize("condition", ["lr<0.05", " training.lr < 5e-2 "])
def test_conditions(call: Call, entered: list[Trial], condition: str) -> None:
    """All conditions hold, and the state is the one that is named."""
    wanted = [
        t.number
        for t in entered
        if t.params["training.lr"] < 0.05
        and t.params["training.optimizer"] == "adam"
        and t.state == "COMPLETE"
    ]
    assert wanted
    options = ("--where", condition, "--where", "optimizer=adam", "--state", "complete")
    assert numbers(call, *options) == wanted


def test_what_is_not_there_meets_no_order(call: Call, entered: list[Trial]) -> None:
    """A trial without a value is neither above nor below a number, and other than each."""
    without = [t.number for t in entered if t.value is None]
    above, below = numbers(call, "--where", "value>=0.3"), numbers(call, "--where", "value<0.3")
    assert sorted([*above, *below, *without]) == list(range(24))
    assert set(without) <= set(numbers(call, "--where", "value!=0.3"))


def test_columns(call: Call, entered: list[Trial]) -> None:
    """The table has the columns that are named, in their order."""
    head = call("trials", "small", "--columns", "lr,number,seconds").out.splitlines()[0]
    assert head.split() == ["lr", "trial", "seconds"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files(call: Call, entered: list[Trial], tmp_path: Path, kind: str) -> None:
    """A file holds the trials that are asked for, a column for each thing that is known."""
    file = tmp_path / f"trials.{kind}"
    outcome = call("trials", "small", "--sort", "value", "--limit", "5", f"--{kind}", str(file))
    assert (outcome.code, outcome.out) == (0, f"{file}\n")
    frame = pd.read_csv(file) if kind == "csv" else pd.read_parquet(file)
    assert list(frame["number"]) == numbers(call, "--sort", "value", "--limit", "5")
    rates = {trial.number: trial.params["training.lr"] for trial in entered}
    assert list(frame["training.lr"]) == [rates[number] for number in frame["number"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--state", "done"), "--state done: use one of COMPLETE, PRUNED"),
        (("--where", "lr"), "--where lr: expected a column"),
        (("--where", "lq<1"), "--where lq<1: no column 'lq'"),
        (("--where", "lr<small"), "--where lr<small: < compares numbers"),
        (("--sort", "rate"), "--sort rate: no column 'rate'"),
        (("--columns", "number,trainin.lr"), "no column 'trainin.lr'; did you mean training.lr?"),
        (("--csv", "."), "--csv .: is not a file"),
    ],
)
def test_what_is_not_understood(
    call: Call, entered: list[Trial], options: tuple[str, ...], said: str
) -> None:
    """One line that names the option, and exit code 2."""
    outcome = call("trials", "small", *options)
    assert (outcome.code, said in one_line(outcome)) == (2, True), outcome.err


def test_one_way_to_have_them(call: Call, entered: list[Trial], tmp_path: Path) -> None:
    """What is read by a program is JSON or a file."""
    file = tmp_path / "trials.csv"
    assert "use one" in one_line(call("trials", "small", "--json", "--csv", str(file)))
    assert not file.exists()

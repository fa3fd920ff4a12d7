"""``hpsearch compare``: two studies, or trials of one; ``hpsearch watch``."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hpsearch.commands import watch
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from tests.conftest import study
from tests.hpsearch.command_line import Call, one_line
from tests.hpsearch.report.made_up import enter, failed, learned, mixed


@pytest.fixture
def entered(home: Path) -> Path:
    """A workspace with ``small``, ``other`` (more dropout) and ``broken``, all at their end."""
    home.mkdir()
    enter(home, study(), learned)
    worse = {"network__dropout": {"low": 0.5, "high": 0.9}}
    enter(home, study(name="other", **worse), learned)
    enter(home, study(name="broken"), failed)
    enter(home, study(name="mixed", search__trials=12), mixed)
    return home


def test_trials(call: Call, entered: Path) -> None:
    """What they tried, what they reached, and the metric by epoch."""
    outcome = call("compare", "small", "--trials", "1,4")
    assert outcome.code == 0, outcome.err
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0] == ["trial", "1", "trial", "4"]
    shown = call("compare", "small", "--trials", "1,4", "--json").json
    value = [trial["value"] for trial in shown["trials"]]
    assert ["val_accuracy", *(f"{v:.4g}" for v in value)] in lines
    assert [curve["number"] for curve in shown["curves"]] == [1, 4]
    assert lines[-1] == ["10", *(f"{c['epochs'][-1]['val_accuracy']:.4g}" for c in shown["curves"])]


def test_trials_of_other_lengths(call: Call, entered: Path) -> None:
    """Where a trial had ended there is no number; a diverged one may have none at all."""
    numbers = [t["number"] for t in call("trials", "mixed", "--json").json]
    outcome = call("compare", "mixed", "--trials", ",".join(map(str, numbers)))
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1].split()[2] == "-"


def test_studies(call: Call, entered: Path) -> None:
    """Their numbers beside each other, how their files differ, and the difference in pairs."""
    outcome = call("compare", "small", "other")
    assert outcome.code == 0, outcome.err
    assert "network.dropout.high: small 0.5, other 0.9" in outcome.out
    shown = call("compare", "small", "other", "--json").json
    first, second = (
        {t["number"]: t["value"] for t in call("trials", name, "--json").json}
        for name in ("small", "other")
    )
    mean = sum(second[n] - first[n] for n in first) / len(first)
    pair = shown["paired"]
    assert (pair["pairs"], pair["mean"]) == (6, pytest.approx(mean))
    assert pair["low"] <= mean <= pair["high"] < 0
    assert [s["best"] for s in shown["studies"]] == [max(first.values()), max(second.values())]


def test_a_study_without_values(call: Call, entered: Path) -> None:
    """There is no best and no pair, and nothing fails."""
    assert call("compare", "small", "broken").code == 0
    assert call("compare", "small", "broken", "--json").json["paired"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("small",), "name another study, or trials of this one with --trials 3,17"),
        (("small", "other", "--trials", "1,2"), "name another study, or trials"),
        (("small", "--trials", "1"), "--trials 1: expected two or more trial numbers"),
        (("small", "--trials", "1,-2"), "--trials 1,-2: expected two or more trial numbers"),
        (("small", "--trials", "1,99"), "no trial 99"),
        (("small", "othr"), "other"),
    ],
)
def test_what_cannot_be_compared(
    call: Call, entered: Path, words: tuple[str, ...], said: str
) -> None:
    """One line, exit code 2."""
    outcome = call("compare", *words)
    assert (outcome.code, said in one_line(outcome)) == (2, True), outcome.err


def test_watching_a_finished_study(call: Call, entered: Path) -> None:
    """It ends at once, with what a run says at its end."""
    outcome = call("watch", "small")
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "small: 6 of 6 trials (6 complete)")


def test_watching_until_it_is_told_to_stop(entered: Path) -> None:
    """It goes on while trials are left, and says once that no worker is there."""
    store = Store(Database(f"sqlite:///{entered / 'studies.db'}"))
    record = store.register(
        store.study("small").study.with_trials(9), store.study("small").data_digests
    )
    stop, seen = threading.Event(), []
    for progress in watch.followed(store, record, stop):
        seen.append(progress)
        if len(seen) == 3:
            stop.set()
    assert [p.counts.finished for p in seen] == [6, 6, 6]
    assert [len(p.messages) for p in seen] == [1, 0, 0]
    store.database.engine.dispose()

"""A finished study is run again, and every trial compared."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line


def change(home: Path, statement: str, *values: object) -> None:
    """Change the store as no command does."""
    with closing(sqlite3.connect(home / "studies.db")) as store, store:
        assert store.execute(statement, values).rowcount


@pytest.fixture
def ran(call: Call, home: Path, write: Write) -> Path:
    """A workspace with a study, TPE and pruned trials among it, that was run by two workers."""
    described = study(
        search__sampler="tpe", search__pruner="median", search__trials=14, search__lag=2
    )
    assert call("run", write(described), "--workers", "2", "--no-tracking").code == 0
    return home


def test_it_comes_out_the_same(call: Call, ran: Path) -> None:
    """By one worker, every trial; nothing of it stays."""
    before = sorted(path.name for path in ran.iterdir())
    outcome = call("replay", "small", "--workers", "1")
    assert outcome.code == 0
    assert outcome.out == "small, run again: all 14 trials are identical, bit for bit\n"
    assert sorted(path.name for path in ran.iterdir()) == before


def test_what_differs_is_named(call: Call, ran: Path) -> None:
    """One byte of a curve, and a trial's state: exit code 3, and what it is."""
    with closing(sqlite3.connect(ran / "studies.db")) as store:
        (epochs,) = store.execute("SELECT epochs FROM hpsearch_curves WHERE number = 1").fetchone()
    rows = np.frombuffer(epochs, "<f8").copy()
    rows.view(np.uint8)[8] ^= 1
    change(ran, "UPDATE hpsearch_curves SET epochs = ? WHERE number = 1", rows.tobytes())
    change(ran, "UPDATE hpsearch_trials SET weights_sha256 = 'a' WHERE number = 2")
    outcome = call("replay", "small", "--workers", "1")
    assert outcome.code == 3
    first, second, last = outcome.out.splitlines()
    assert first.startswith("trial 1: epoch 1: train_accuracy ")
    assert second.startswith("trial 2: weights_sha256 'a' recorded, ")
    assert last == "small, run again: 2 of 14 trials DIFFER"


def test_another_environment_is_no_verdict(call: Call, ran: Path) -> None:
    """Where the recorded trials were rounded otherwise, a difference is exit code 4."""
    with closing(sqlite3.connect(ran / "studies.db")) as store, store:
        ((content,),) = store.execute("SELECT content FROM hpsearch_environments").fetchall()
        other = json.dumps({**json.loads(content), "numpy": "0.1"})
        store.execute("UPDATE hpsearch_environments SET content = ?", (other,))
        store.execute("UPDATE hpsearch_trials SET value = 0.5 WHERE number = 0")
    outcome = call("replay", "small", "--workers", "1", "--json")
    assert outcome.code == 4
    found = outcome.json
    assert (found["identical"], found["comparable"], found["trials"]) == (False, False, 14)
    assert [entry["number"] for entry in found["differences"]] == [0]


def test_what_cannot_be_replayed(call: Call, home: Path, write: Write) -> None:
    """A study that is not finished, or whose data is gone; a trial that failed once is told."""
    assert call("run", write(study(search__trials=2)), "--no-tracking").code == 0
    change(home, 'UPDATE hpsearch_studies SET data_digests = \'{"dataset": "d"}\'')
    outcome = call("replay", "small")
    assert outcome.code == 4
    assert "the data of 'small' has changed" in one_line(outcome)
    change(home, "UPDATE hpsearch_trials SET state = 'WAITING' WHERE number = 1")
    said = one_line(call("replay", "small"))
    assert said.startswith("hpsearch: 'small' has 1 trials that have not finished; first run: ")


def test_a_share_of_the_trials(call: Call, ran: Path) -> None:
    """``verify --reproduce 1/2`` trains one half again, and the other half the next time."""
    seen: set[str] = set()
    for had in ("7 of 14", "14 of 14", "7 of 14"):
        outcome = call("verify", "small", "--no-tracking", "--reproduce", "1/2")
        notes = [line for line in outcome.out.splitlines() if line.startswith("note: ")]
        assert notes[-1] == f"note: {had} trials have been trained again in this round"
        assert len(notes) == 8
        seen |= set(notes[:-1])
    assert len(seen) == 14


@pytest.mark.parametrize("share", ["x", "-1", "2/1", "1/0", "-1/5", "0.5", "/"])
def test_a_share_that_is_none(call: Call, ran: Path, share: str) -> None:
    """One line says what it must be."""
    outcome = call("verify", "small", f"--reproduce={share}")
    assert outcome.code == 2
    assert one_line(outcome).startswith("hpsearch: --reproduce: must be a number of trials")

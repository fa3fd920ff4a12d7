"""Many trials are trained again, and a byte that was changed is found."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import study
from tests.hpsearch.command_line import Call, Write


def test_many_random_trials_reproduce(call: Call, write: Write) -> None:
    """Every one of them, whatever it tried: exit code 0."""
    described = study(
        search__trials=24,
        training__optimizer={"choices": ["sgd", "adam", "rmsprop"]},
        network__batch_norm={"choices": [True, False]},
        training__epochs=2,
    )
    assert call("run", write(described), "--workers", "2", "--no-tracking").code == 0
    for number in random.Random(0).sample(range(24), 6):
        assert call("reproduce", "small", "--trial", str(number)).code == 0
    outcome = call("verify", "small", "--no-tracking", "--reproduce", "24")
    assert (outcome.code, outcome.out.count("trained again: identical")) == (0, 24)


def test_a_training_that_returns_no_weights(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said of weights that there are not."""
    monkeypatch.chdir(tmp_path)
    Path("steady.py").write_text("def train(params, seed):\n    yield {'val_loss': params['x']}\n")
    text = (
        'name = "steady"\n[objective]\nfunction = "steady:train"\nmetrics = ["val_loss"]\n'
        "[params]\nx = { low = 0.0, high = 1.0 }\n[search]\ntrials = 2\n"
    )
    Path("steady.toml").write_text(text)
    ran = call("run", "steady.toml", "--workers", "1", "--no-tracking")
    assert "gave the same 1 epochs; the training returns no weights" in ran.out, ran.err
    again = call("reproduce", "steady")
    assert again.out.splitlines()[-1] == "the training returns no weights to compare"


def test_any_byte_of_a_curve_counts(call: Call, write: Write, home: Path) -> None:
    """Whichever is changed: exit code 3, and where."""
    assert call("run", write(study(search__trials=1)), "--no-tracking").code == 0
    with closing(sqlite3.connect(home / "studies.db")) as store:
        ((epochs,),) = store.execute("SELECT epochs FROM hpsearch_curves").fetchall()
    for at in (0, 8 * 4 + 1, len(epochs) - 8):
        changed = epochs[:at] + bytes([epochs[at] ^ 1]) + epochs[at + 1 :]
        with closing(sqlite3.connect(home / "studies.db")) as store, store:
            store.execute("UPDATE hpsearch_curves SET epochs = ?", (changed,))
        outcome = call("reproduce", "small")
        assert outcome.code == 3
        assert f"DIFFERENT: epoch {at // 32 + 1}: " in outcome.out
        assert "the weights are the same: sha256 " in outcome.out

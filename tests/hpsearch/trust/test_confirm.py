"""The best trial is confirmed once, whenever it is that its weights are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

import hpsearch
from hpsearch import settings
from hpsearch.commands.wiring import trainer_of
from hpsearch.ledger.database import Database
from hpsearch.ledger.records import weights_digest
from hpsearch.ledger.store import Store
from hpsearch.trust import reproduce

TINY = """
name = "tiny"
[data]
dataset = "digits"
train = 60
validation = 30
[network]
hidden = [8]
[training]
lr = { low = 0.01, high = 0.1 }
epochs = 1
[search]
trials = 2
"""


def test_what_was_confirmed_is_not_trained_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `run` without MLflow its weights are at hand for whoever writes them there."""
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    hpsearch.load(file).run(workers=0, tracking=False)
    places = settings.read({"HPSEARCH_HOME": str(home)})
    store = Store(Database(places.storage))
    record = store.study("tiny")
    best = store.best(record)
    assert best is not None
    monkeypatch.setenv("HPSEARCH_HOME", str(home))
    trainer = trainer_of(record.study, record.folder)
    trained: list[int] = []
    train = reproduce.reproduce

    def counted(*arguments: object) -> reproduce.Reproduction:
        trained.append(1)
        return train(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reproduce, "reproduce", counted)
    again = reproduce.confirm(store, record, best, trainer, places)
    assert trained == []
    assert again.identical
    assert best.weights_sha256 == weights_digest(again.state)
    assert record.reproduced == again.outcome
    (kept,) = (places.cache / "weights").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert reproduce.confirm(store, record, best, trainer, places).identical
    assert trained == [1]  # what is kept and not the trial's is none of its weights
    store.database.engine.dispose()

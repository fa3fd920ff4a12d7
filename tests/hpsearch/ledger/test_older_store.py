"""A store that an older version made is opened, is what it was, goes on, and is reproduced.

``data/studies-0002.db.gz`` was made by the last version whose tables knew no metrics' names, by
``hpsearch run`` and ``backup``: the studies ``older`` (TPE, Hyperband) and ``older-steps``,
which records its losses by step.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import hpsearch
from hpsearch.ledger import records
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.trust import environment
from tests.hpsearch.command_line import Call, Write

FILE = Path(__file__).with_name("data") / "studies-0002.db.gz"
DIGESTS = {
    "older": "a9faa02b1e4182e52842cda5d73b2e005f92b3193a6f57613e392701db66d250",
    "older-steps": "780ad05e87af91f8c93d12c1baf8174ac7fd19e3a72419c3490cea741db29eee",
}
"""What that version's ``hpsearch digest`` said."""
GONE_ON = "e177d754a5e9ac47c3d7012a61b555b6f7f8da7f72fc10f796698d027894d93b"
"""And of ``older``, after it had gone on to nine trials."""


@pytest.fixture
def older(home: Path) -> Path:
    """A workspace with that store in it."""
    home.mkdir()
    (home / "studies.db").write_bytes(gzip.decompress(FILE.read_bytes()))
    return home


def opened(home: Path) -> Store:
    """The store, brought up to date."""
    return Store(Database(f"sqlite:///{home / 'studies.db'}"))


@pytest.mark.parametrize("name", DIGESTS)
def test_digest_is_what_it_was(older: Path, name: str) -> None:
    """Every bit of every trial is read as the older version read it."""
    store = opened(older)
    record = store.study(name)
    finished, steps = store.finished(record.id), store.steps(record.id)
    assert DIGESTS[name] == records.digest(finished, steps)


def test_metrics_are_the_four(older: Path) -> None:
    """An older study has the metrics that all studies had."""
    four = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    assert [four, four] == [record.metrics for record in opened(older).studies()]


def test_goes_on_and_reproduces(older: Path, call: Call, write: Write) -> None:
    """It is run to nine trials, verified, and compared with what the older version found.

    Where this machine rounds otherwise, ``reproduce`` says so, and no digest can be equal.
    """
    file = write(opened(older).study("older").study)
    compared = call("reproduce", "older", "--json")
    hpsearch.load(file).run(trials=9, workers=0, tracking=False)
    checked = call("verify", "older", "--no-tracking")
    assert checked.code == 0, checked.out
    if compared.code == 4:
        pytest.skip(f"rounds otherwise: {compared.json['environment_differences']}")
    assert compared.json["identical"]
    store = opened(older)
    recorded = store.environment(store.trials(store.study("older").id)[0].environment or "")
    with environment.single_thread():
        here = environment.current()
    if not environment.rounds_alike(recorded, here):  # though it can be made to, to compare
        pytest.skip(f"rounds otherwise: {environment.differences(recorded, here)}")
    assert f"{GONE_ON}\n" == call("digest", "older").out

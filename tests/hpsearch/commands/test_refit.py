"""``refit``: the best, trained on all that the search has seen, and what is then served of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data import datasets
from hpsearch.errors import UsageError
from hpsearch.ledger import openings
from hpsearch.ledger.store import Store
from hpsearch.study.config import Study
from hpsearch.training import make
from hpsearch.training.network import NetworkTraining
from hpsearch.training.predictor import Predictor
from hpsearch.training.whole import WholeTrainer
from hpsearch.trust.refit import to_refit
from tests.conftest import study
from tests.hpsearch.command_line import Call, one_line
from tests.hpsearch.commands.test_confirm import done, run, store
from tests.hpsearch.commands.test_models import asked, served
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

__all__ = ["done", "store"]

pytestmark = [
    MLFLOWS_WARNINGS,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]


def refit(store: Store, home: Path, networks: int) -> Study:
    """Refit in this process."""
    definition = to_refit(store, store.study("small"), networks)
    run(home, definition).database.engine.dispose()
    return definition


@pytest.mark.parametrize("patience", [None, 2])
def test_it_trains_on_both_parts(store: Store, tmp_path: Path, patience: int | None) -> None:
    """A refit is trained on the examples of both parts, but for patience, which needs one of them;
    it reports of what it is trained on alone."""
    record = store.study("small")
    definition = to_refit(store, record, 1)
    trainer = make.trainer(definition, tmp_path, tmp_path)
    assert isinstance(trainer, WholeTrainer)
    values = definition.given.configurations[0].values if definition.given else {}
    config: Any = definition.resolve(values, 7)
    config = config.model_copy(
        update={"training": config.training.model_copy(update={"patience": patience})}
    )
    training = trainer.train(config)
    rows = list(training)
    assert training.metrics == definition.metrics == ("train_loss", "train_accuracy")
    parts = make.data_of(definition.data, tmp_path)[1] if definition.data else None
    assert parts is not None
    plain = NetworkTraining(config, parts.sealed)
    list(plain)
    both = np.concatenate([parts.train.x, parts.validation.x])
    labels = np.concatenate([parts.train.y, parts.validation.y])
    right = (training.probabilities(both).argmax(axis=1) == labels).mean()
    if patience is None:
        assert training.final[1] == pytest.approx(right)
        assert len(rows) == 8
        assert training.sha256 != plain.sha256
    else:
        assert training.sha256 == plain.sha256


def test_from_refit_to_server(store: Store, home: Path, call: Call, tmp_path: Path) -> None:
    """Two networks are trained once, and tested, registered, served and asked together; what they
    say is the mean of what each of them says, bit for bit."""
    asked_for = ("refit", "small", "--ensemble", "2", "--workers", "1")
    first = call(*asked_for)
    assert first.code == 0, first.err
    digest = call("digest", "small/refit").out
    again = call(*asked_for, "--json")
    assert call("digest", "small/refit").out == digest
    sums = [network["weights_sha256"] for network in again.json["networks"]]
    assert [line.split()[-1] for line in first.out.splitlines()[:2]] == sums
    for name in ("small", "small/refit"):
        assert call("verify", name).out.endswith("every promise is kept\n")
    assert call("reproduce", "small/refit", "--trial", "1").code == 0
    assert "trained on the validation part" in call("config", "small/refit", "--trial", "1").err
    kept = sorted(home.glob("artifacts/**/weights.safetensors"))
    assert len(kept) == 2

    tested = call("test", "small")
    assert tested.code == 0, tested.err
    assert "of the refit's 2 networks together on 1,707 examples, trained on 90" in tested.out
    assert call("test", "small").code == 2
    told = [each.out.splitlines()[-1] for each in (first, call(*asked_for))]
    assert told == [
        "next:  hpsearch test small  |  hpsearch register small",
        "next:  hpsearch register small",
    ]

    registered = call("register", "small", "--json")
    assert registered.code == 0, registered.err
    assert (registered.json["version"], registered.json["refit"]) == (1, 2)
    (folder,) = home.glob("artifacts/**/model/artifacts/network")
    model, dataset = Predictor.load(folder), datasets.load("digits")
    x = dataset.x.reshape(-1, *dataset.shape).astype(np.float64)
    each = [
        Predictor([s], [n], model.preparation)
        for s, n in zip(model.shapes, model.networks, strict=True)
    ]
    mean = (each[0].probabilities(x) + each[1].probabilities(x)) / 2
    assert np.array_equal(model.probabilities(x), mean)
    parts = make.data_of(store.study("small").study.data, tmp_path)[1]
    right = float((mean.argmax(axis=1) == dataset.y)[parts.test.rows].mean())
    (opening,) = store.study("small").openings
    assert opening.result is not None
    assert opening.result.value == right
    own = model.answers(x[:5])
    with served(f"sqlite:///{home / 'mlflow.db'}", "models:/small@champion") as address:
        told = asked(address, {"inputs": x[:5].tolist()})
    assert {name: [row[name] for row in told] for name in own} == own


def test_from_python(home: Path) -> None:
    """``Study.refit`` gives the networks that predict; again, it gives the same ones."""
    import hpsearch

    small = study(search__trials=2)
    tables = {key: small.definition()[key] for key in ("data", "network", "training")}
    mine = hpsearch.Study("small", trials=2, **tables)
    mine.run(workers=0, tracking=False)
    x = datasets.load("digits").x[:5]
    found = mine.refit(2, workers=0, tracking=False)
    first = found.probabilities(x)
    with pytest.raises(ValueError, match="says classes, not numbers"):
        found.numbers(x)
    assert np.array_equal(mine.refit(workers=0, tracking=False).probabilities(x), first)
    assert first.shape == (5, 10)
    with pytest.raises(UsageError, match="leave --ensemble out, or delete it first"):
        mine.refit(1, workers=0)


def test_another_refit_is_refused(store: Store, home: Path, call: Call) -> None:
    """One that is there is gone on with; another takes its place once it is deleted."""
    refit(store, home, 2)
    plain = ("refit", "small", "--workers", "1", "--no-tracking", "--json")
    assert len(call(*plain).json["networks"]) == 2
    other = call(*plain, "--ensemble", "3")
    assert (other.code, "leave --ensemble out, or delete it first" in one_line(other)) == (2, True)
    assert call("delete", "small/refit", "--yes", "--no-tracking").code == 0
    assert len(call(*plain).json["networks"]) == 1
    assert (
        call("delete", "small", "--yes", "--no-tracking").out.splitlines()[0]
        == "small/refit: deleted"
    )


def test_an_opening_of_a_refit_that_is_gone(store: Store, home: Path, call: Call) -> None:
    """It waits until the refit is there again: then it ends with the same networks."""
    refit(store, home, 1)
    record = store.study("small")
    openings.enter(store.database, record, "small/refit")
    assert call("delete", "small/refit", "--yes", "--no-tracking").code == 0
    gone = call("test", "small", "--no-tracking")
    assert (gone.code, "run: hpsearch refit small" in one_line(gone)) == (2, True)
    refit(store, home, 1)
    ended = call("test", "small", "--no-tracking")
    assert (ended.code, "opened once: test_accuracy" in ended.out) == (0, True)
    assert "of the refit's network on" in ended.out


def test_what_cannot_be_refitted(call: Call, tmp_path: Path) -> None:
    """A training of one's own has data that hpsearch does not know."""
    (tmp_path / "mine.py").write_text("def train(params, seed):\n    return {'loss': 1.0}\n")
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[objective]\nfunction = "mine:train"\nmetrics = ["loss"]\n'
        "[search]\ntrials = 1\n"
    )
    assert call("run", str(file), "--workers", "1", "--no-tracking").code == 0
    own = call("refit", "mine")
    assert (own.code, "is a training of your own" in one_line(own)) == (2, True)

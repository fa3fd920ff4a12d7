"""``hpsearch register`` and ``predict``: the best model, served."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from hpsearch.data import datasets
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.projections.registry import Score
from hpsearch.training.predictor import Predictor
from hpsearch.trust.contenders import to_confirm
from hpsearch.trust.refit import to_refit
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.trust.test_given_trials import confirming, enter, searched
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

ROWS = "".join(f"{i % 7},{'ab'[i % 3 == 0]},{['x', 'y'][i % 2]},{i}\n" for i in range(60))
TABLE = {"data__validation": 0.2, "data__train": 40, "search__trials": 2, "training__epochs": 2}


@contextmanager
def served(uri: str, model: str) -> Iterator[str]:
    """The address at which MLflow's own scoring server answers for a model."""
    import mlflow
    from mlflow.pyfunc.scoring_server import init

    mlflow.set_tracking_uri(uri)
    server = uvicorn.Server(
        uvicorn.Config(init(mlflow.pyfunc.load_model(model)), port=0, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}/invocations"
    finally:
        server.should_exit = True
        thread.join()
        mlflow.set_tracking_uri(None)


def asked(address: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """What the server says."""
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        said: list[dict[str, Any]] = json.load(answer)["predictions"]
        return said


def test_no_loser_of_a_confirmation_is_registered(call: Call, home: Path) -> None:
    """Where the baseline won, and where it is not known yet who does."""
    home.mkdir()
    store = Store(Database(f"sqlite:///{home / 'studies.db'}"))
    record = searched(store)
    confirming(store, record, [0.5, 0.9] * 2)
    named = searched(store, name="begun")
    ranked = store.ranked(named, store.trials(named.id))
    enter(store, to_confirm(named, ranked, top=1, seeds=2, resplit=False), [0.5])
    store.database.engine.dispose()
    assert one_line(call("register", "small")) == (
        "hpsearch: the confirmed winner of 'small' is the baseline, which is no trial of the "
        "search; train it: hpsearch refit small"
    )
    assert "'begun/confirm' has 1 of 4 trainings; finish it" in one_line(call("register", "begun"))


def test_a_refit_that_goes_on_is_waited_for(call: Call, home: Path) -> None:
    """The test part is not spent on what it is to replace, nor is that registered."""
    home.mkdir()
    store = Store(Database(f"sqlite:///{home / 'studies.db'}"))
    record = searched(store)
    enter(store, to_refit(store, record, 2), [0.5])
    for command in ("test", "register"):
        refused = call(command, "small")
        assert (refused.code, one_line(refused)) == (
            2,
            "hpsearch: 'small/refit' has 1 of 2 trainings; finish it: hpsearch refit small; or "
            "delete it: hpsearch delete small/refit",
        )
    assert not store.study("small").openings
    store.database.engine.dispose()


@MLFLOWS_WARNINGS
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_from_study_to_server(call: Call, write: Write, home: Path, tmp_path: Path) -> None:
    """The best model is the champion; what it says over HTTP, and by ``predict``, is what the
    network itself says, bit for bit; entered again, it is no other version."""
    assert call("run", write(study(search__trials=2)), "--workers", "1").code == 0
    first = call("register", "small")
    assert first.code == 0, first.err
    assert first.out.splitlines()[0].endswith("registered as version 1 of the model 'small'")
    again = call("register", "small", "--json").json
    assert (again["version"], again["champion"], again["confirmed"]) == (1, True, False)

    (folder,) = home.glob("artifacts/**/model")
    files = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert files <= {"", ".py", ".json", ".yaml", ".txt", ".safetensors"}
    dataset = datasets.load("digits")
    x = dataset.x[:7].reshape(7, *dataset.shape).astype(np.float64)
    own = Predictor.load(folder / "artifacts" / "network").answers(x)
    with served(f"sqlite:///{home / 'mlflow.db'}", "models:/small@champion") as address:
        told = asked(address, {"inputs": x.tolist()})
    assert {name: [row[name] for row in told] for name in own} == own

    np.savez(tmp_path / "some.npz", x=dataset.x[:7])
    predicted = call("predict", "small", str(tmp_path / "some.npz"), "--json").json
    assert [row["probability"] for row in predicted["predictions"]] == own["probability"]
    picture = tmp_path / "digit.png"
    Image.fromarray(dataset.x[0].reshape(dataset.shape).astype(np.uint8)).save(picture)
    shown = call("predict", "small", str(picture)).out.splitlines()[-1].split()
    assert shown[:2] == ["digit.png", own["label"][0]]
    np.savez(tmp_path / "gap.npz", x=np.where(x[:2] == x[1], np.nan, x[:2]))
    for file, said in (
        (tmp_path / "gap.npz", "has a missing value, or one"),
        (tmp_path / "missing.png", "missing.png"),
        (write(study()), "picture"),
    ):
        wrong = call("predict", "small", str(file))
        assert (wrong.code, said in one_line(wrong)) == (2, True), wrong.err


@MLFLOWS_WARNINGS
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_tables(call: Call, write: Write, tmp_path: Path, task: str) -> None:
    """A CSV file with the dataset's columns, in any order, with categories that are new, too."""
    label, other = ("kind", "number") if task == "classification" else ("number", "kind")
    (tmp_path / "table.csv").write_text(f"one,two,kind,number\n{ROWS}")
    table = f"csv:{tmp_path / 'table.csv'}#{label}"
    file = write(study(data__dataset=table, data__task=task, **TABLE))
    ran = call("run", file, "--workers", "1")
    assert ran.code == 0, ran.err
    assert call("register", "small").code == 0
    (tmp_path / "new.csv").write_text(f"two,extra,one,{other}\na,0,3,1\nb,0,4,2\nnew,0,5,3\n")
    found = call("predict", "small", str(tmp_path / "new.csv"), "--json")
    assert found.code == 0, found.err
    rows = found.json["predictions"]
    assert [row["example"] for row in rows] == ["row 1", "row 2", "row 3"]
    assert set(rows[0]) == (
        {"example", "value"}
        if task == "regression"
        else {"example", "label", "probability", "p(x)", "p(y)"}
    )
    (tmp_path / "bad.csv").write_text("two\na\n")
    wrong = call("predict", "small", str(tmp_path / "bad.csv"))
    assert (wrong.code, "no column 'one'" in one_line(wrong)) == (2, True), wrong.err


@MLFLOWS_WARNINGS
def test_any_name(call: Call, write: Write, recwarn: pytest.WarningsRecorder) -> None:
    """A study whose name has quotation marks in it is registered once, too; MLflow does not nag."""
    name = """it's "mine\""""
    ran = call("run", write(study(name=name, search__trials=1)), "--workers", "1")
    assert ran.code == 0, ran.err
    versions = [call("register", name, "--json").json["version"] for _ in range(2)]
    assert versions == [1, 1]
    assert not [warning for warning in recwarn if "type hints" in str(warning.message)]


def test_what_cannot_be_registered(call: Call, write: Write, home: Path, tmp_path: Path) -> None:
    """A study that is not in MLflow, a training of one's own; and a study without a champion."""
    file = write(study(search__trials=1))
    assert call("run", file, "--workers", "1", "--no-tracking").code == 0
    early = call("register", "small")
    assert (early.code, "run: hpsearch sync small" in one_line(early)) == (2, True)
    none = call("predict", "small", "x.png")
    said = none.err.splitlines()[-1]  # MLflow may log that it makes its database
    assert (none.code, said) == (
        1,
        "hpsearch: 'small' has no champion; run: hpsearch register small",
    )
    (tmp_path / "mine.py").write_text("def train(params, seed):\n    return {'loss': 1.0}\n")
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\n[objective]\nfunction = "mine:train"\nmetrics = ["loss"]\n'
    )
    assert call("run", str(tmp_path / "mine.toml"), "--workers", "1", "--no-tracking").code == 0
    own = call("register", "mine")
    assert (own.code, "only networks can be registered" in one_line(own)) == (2, True)


@pytest.mark.parametrize(
    ("new", "old", "wins"),
    [
        (("val_accuracy", 0.9, False), ("val_accuracy", 0.8, False), True),
        (("val_accuracy", 0.8, False), ("val_accuracy", 0.8, False), False),
        (("val_accuracy", 0.9, False), ("val_accuracy", 0.8, True), False),
        (("val_accuracy", 0.7, True), ("val_accuracy", 0.8, False), True),
        (("val_accuracy", 0.9, True), ("val_accuracy", 0.8, True), True),
        (("val_loss", 0.9, True), ("val_accuracy", 0.8, True), False),
    ],
)
def test_a_champion_is_replaced_by_a_better_one(
    new: tuple[str, float, bool], old: tuple[str, float, bool], wins: bool
) -> None:
    """Better by the same metric; what new seeds confirmed counts for more than the search."""
    assert Score(*new).beats(Score(*old), maximize=True) is wins

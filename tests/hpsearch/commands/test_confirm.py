"""``confirm``: a study of the best trials with new seeds, and what is said of it everywhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.projections.projector import Projector
from hpsearch.settings import Settings
from hpsearch.study.config import Study
from hpsearch.training import make
from hpsearch.trust.confirming import confirmation
from hpsearch.trust.contenders import to_confirm
from hpsearch.work.session import begin
from tests.conftest import study
from tests.hpsearch.command_line import Call, one_line
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS


def run(home: Path, definition: Study) -> Store:
    """Run a study in this process, without MLflow."""
    home.mkdir(exist_ok=True)
    places = Settings(home, f"sqlite:///{home / 'studies.db'}", f"sqlite:///{home / 'mlflow.db'}")
    store = Store(Database(places.storage))
    trainer = make.trainer(definition, home, home / "cache")
    session = begin(store, definition, trainer, home, places, tracking=False)
    here = session.here()
    here.work()
    assert session.failure(here) is None
    return store


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the small study was run."""
    home = tmp_path_factory.mktemp("done") / "home"
    run(home, study(training__epochs=8)).database.engine.dispose()
    return home


@pytest.fixture
def store(done: Path, home: Path) -> Iterator[Store]:
    """A copy of it, for the command line, too."""
    shutil.copytree(done, home)
    opened = Store(Database(f"sqlite:///{home / 'studies.db'}"))
    yield opened
    opened.database.engine.dispose()


def confirmed(store: Store, home: Path, **options: Any) -> Study:
    """Its best three, confirmed in this process."""
    record = store.study("small")
    asked = {"top": 3, "seeds": 3, "resplit": False, **options}
    definition = to_confirm(record, store.ranked(record, store.trials(record.id)), **asked)
    run(home, definition).database.engine.dispose()
    return definition


def test_what_came_out(store: Store, home: Path) -> None:
    """The winner has the highest probability; the luck is what the search's best value lost."""
    record = store.study("small")
    assert confirmation(store, record) is None
    definition = confirmed(store, home)
    found = confirmation(store, record)
    assert found is not None
    assert found == confirmation(store, record)
    assert found.winner.best == max(each.best for each in found.contenders)
    assert found.winner in found.alike
    own = store.study("small/confirm")
    values = [t.value for t in store.trials(own.id) if t.params == definition.given.values(0)]  # type: ignore[union-attr]
    mean = sum(value or 0.0 for value in values) / 3
    best = store.best(record)
    assert best is not None
    assert best.value is not None
    assert found.luck == pytest.approx(best.value - mean)
    assert found.contenders[0].mean == pytest.approx(mean)
    assert not found.newer


def test_said_by_best_report_and_mlflow(store: Store, home: Path, call: Call) -> None:
    """The confirmed winner comes first, and MLflow has the confirmation below the study's run."""
    definition = confirmed(store, home, resplit=True)
    for name in ("small", "small/confirm"):
        Projector(store, name, Settings(home, "", f"sqlite:///{home / 'mlflow.db'}")).sync()
    shown = call("best", "small")
    assert shown.out.startswith("confirmed over 3 new seeds and draws of the data: ")
    document = call("best", "small", "--json").json["confirmed"]
    assert document["confirmation"] == "small/confirm"
    assert [one["trial"] for one in document["configurations"]][-1] is None
    assert call("verify", "small/confirm").code == 0
    assert call("verify", "small").code == 0
    page = Path(call("report", "small").out.splitlines()[0]).read_text()
    assert "Confirmed over 3 new seeds" in page
    assert call("report", "small/confirm").code == 0
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    parent = client.get_run(str(store.study("small").mlflow_run_id))
    own = client.get_run(str(store.study("small/confirm").mlflow_run_id))
    assert own.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert own.info.experiment_id == parent.info.experiment_id
    estimate = document["winner"]
    for run_ in (parent, own):
        assert run_.data.metrics["confirmed_value"] == estimate["value"]
        assert "Confirmed over 3 new seeds" in run_.data.tags["mlflow.note.content"]
    assert definition.tracking.experiment == "small"
    assert one_line(call("best", "small/confirm")).endswith("run: hpsearch best small")
    assert call("delete", "small", "--yes").out.splitlines() == [
        "small/confirm: deleted",
        "small: deleted",
    ]


def test_the_command(store: Store, call: Call) -> None:
    """It runs the confirmation once; the second time it only shows it, and says what differs."""
    asked = ("confirm", "small", "--top", "2", "--seeds", "2", "--workers", "1", "--no-tracking")
    first = call(*asked)
    assert first.code == 0, first.err
    lines = first.out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["trial", "trial", "baseline"]
    assert lines[5].startswith("confirmed over 2 new seeds and draws of the data: ")
    assert "examples of the search" not in first.out
    digest = call("digest", "small/confirm").out
    again = call("confirm", "small", "--json", "--no-tracking")
    assert again.json["seeds"] == 2
    assert call("digest", "small/confirm").out == digest
    other = one_line(call("confirm", "small", "--seeds", "3"))
    assert "is in the store with other configurations, seeds or draws of the data" in other
    assert one_line(call(*asked, "--no-resplit")) == other
    assert call("delete", "small/confirm", "--yes", "--no-tracking").code == 0
    kept = call(*asked, "--no-resplit").out.splitlines()[5]
    assert kept.startswith("confirmed over 2 new seeds: ")
    assert kept.endswith("; on the validation examples of the search")


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"search__trials": 7}, [], "'small' has finished 6 of 7 trials; finish it first: "),
        ({}, ["--top", "0"], "hpsearch confirm: invalid value for '--top'"),
    ],
)
def test_refused(
    store: Store, call: Call, changes: dict[str, Any], arguments: list[str], said: str
) -> None:
    """What cannot be confirmed is said in a line."""
    record = store.study("small")
    store.register(
        study(training__epochs=8, data__scaling="minmax", **changes), record.data_digests
    )
    outcome = call("confirm", "small", *arguments)
    assert outcome.code == 2
    assert said in one_line(outcome)

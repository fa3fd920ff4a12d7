"""What the tests share: the command line within this process, and workspaces with an MLflow."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hpsearch import cli
from hpsearch.settings import Settings
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from hpsearch.trust import environment
from tests.hpsearch.command_line import Call, Outcome, Write
from tests.hpsearch.workspace import Workspace


@pytest.fixture
def call(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Call]:
    """The command line within this process: the same, without a second of imports."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for name in environment.THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["hpsearch", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the connections of commands in this process, which end with a process of their own."""
    made: list[sa.Engine] = []
    create = sa.create_engine

    def remembered(*arguments: Any, **options: Any) -> sa.Engine:
        made.append(create(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(sa, "create_engine", remembered)
    yield
    for engine in made:
        engine.dispose()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a study file, and gives its path."""

    def file(described: Study) -> str:
        path = tmp_path / f"{described.name}.toml"
        path.write_text(study_file.toml(described))
        return str(path)

    return file


@pytest.fixture(scope="session")
def mlflow_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow's, which takes a second to make and none to copy."""
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.store import Store
    from hpsearch.projections.mlflow_content import StudyContent
    from hpsearch.projections.mlflow_runs import Tracking
    from tests.conftest import study

    home = tmp_path_factory.mktemp("mlflow")
    settings = Settings(home, f"sqlite:///{home / 'studies.db'}", f"sqlite:///{home / 'mlflow.db'}")
    record = Store(Database(settings.storage)).register(study(), {"dataset": "d"})
    Tracking(settings, StudyContent(record), create=False)
    _dispose()
    return home / "mlflow.db"


@pytest.fixture
def workspace(
    tmp_path: Path, mlflow_db: Path, empty_store: Path
) -> Iterator[Callable[..., Workspace]]:
    """Makes workspaces, each with an MLflow of its own unless an address is given."""

    def make(name: str = "home", **options: Any) -> Workspace:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        if not (home / "mlflow.db").exists():
            shutil.copy(mlflow_db, home / "mlflow.db")
            shutil.copy(empty_store, home / "studies.db")
        return Workspace(home, **options)

    yield make
    _dispose()


@pytest.fixture
def book(workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace with a study of six trials, none of them begun."""
    return workspace()


def _dispose() -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()

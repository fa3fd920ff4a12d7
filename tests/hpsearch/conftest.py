"""What the tests of the projections share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch.settings import Settings
from tests.hpsearch.workspace import Workspace


@pytest.fixture(scope="session")
def mlflow_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow's, which takes a second to make and none to copy."""
    from hpsearch.ledger.database import Database
    from hpsearch.ledger.store import Store
    from hpsearch.projections.mlflow_runs import Tracking
    from tests.conftest import study

    home = tmp_path_factory.mktemp("mlflow")
    settings = Settings(home, f"sqlite:///{home / 'studies.db'}", f"sqlite:///{home / 'mlflow.db'}")
    record = Store(Database(settings.storage)).register(study(), {"dataset": "d"})
    Tracking(settings, record, create=False)
    _dispose()
    return home / "mlflow.db"


@pytest.fixture
def workspace(tmp_path: Path, mlflow_db: Path) -> Iterator[Callable[..., Workspace]]:
    """Makes workspaces, each with an MLflow of its own unless an address is given."""

    def make(name: str = "home", **options: Any) -> Workspace:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        if not (home / "mlflow.db").exists():
            shutil.copy(mlflow_db, home / "mlflow.db")
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

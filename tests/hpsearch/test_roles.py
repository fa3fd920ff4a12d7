"""The roles of docs/cluster.md are enough for what they are for, and for nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from tests.compose import answering, free_port
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.workspace import MLFLOWS_WARNINGS
from tests.postgres import Cluster

DOCS = Path(__file__).parents[2] / "docs" / "cluster.md"
ROLES = ("hpsearch_worker", "hpsearch_reader")


@pytest.fixture
def addresses(
    postgres: Cluster, call: Call, write: Write, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The address for each role of a ledger in which ``small`` has one trial of six."""
    owners = sa.make_url(postgres.database())
    monkeypatch.setenv("HPSEARCH_STORAGE", owners.render_as_string(hide_password=False))
    asked = ("run", write(study()), "--trials", "1", "--workers", "1", "--no-tracking")
    assert call(*asked).code == 0
    database = Database(owners.render_as_string(hide_password=False))
    store = Store(database)
    store.register(study(), store.study("small").data_digests)
    (block,) = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
    with database.write() as connection:
        connection.execute(sa.text(block))
    yield {role: owners.set(username=role).render_as_string() for role in ROLES}
    with database.write() as connection:
        connection.execute(sa.text(f"DROP OWNED BY {', '.join(ROLES)}"))
        connection.execute(sa.text(f"DROP ROLE {', '.join(ROLES)}"))
    database.engine.dispose()


@pytest.mark.usefixtures("closed")
def test_who_works_and_who_looks(
    call: Call, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's role ends the study; a reader's sees all of it, and cannot work.

    Neither takes anything away, or changes a table.
    """
    monkeypatch.setenv("HPSEARCH_STORAGE", addresses["hpsearch_reader"])
    assert "is read-only; use a role that may write" in one_line(call("worker", "small"))
    monkeypatch.setenv("HPSEARCH_STORAGE", addresses["hpsearch_worker"])
    ended = call("worker", "small")
    assert (ended.code, "6 of 6 trials have finished" in ended.err) == (0, True), ended.err
    monkeypatch.setenv("HPSEARCH_STORAGE", addresses["hpsearch_reader"])
    for command in ("best", "report"):
        assert call(command, "small").code == 0
    engine = sa.create_engine(addresses["hpsearch_worker"])
    for statement in (
        "DELETE FROM hpsearch_trials",
        "DELETE FROM hpsearch_studies",
        "TRUNCATE hpsearch_trials CASCADE",
        "DROP TABLE hpsearch_curves",
        "ALTER TABLE hpsearch_studies ADD COLUMN mine int",
        "UPDATE hpsearch_curves SET epochs = ''",
        "UPDATE trials SET number = 7",
    ):
        with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError):
            connection.execute(sa.text(statement))
    engine.dispose()


@contextmanager
def basic_auth(folder: Path, password: str) -> Iterator[str]:
    """MLflow's own server with its users, of whom there is the administrator; its address."""
    folder.mkdir()
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\n"
        "database_uri = sqlite:///users.db\nauth_cache_ttl_seconds = 60\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    port = free_port()
    words = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    words += ["--port", port, "--backend-store-uri", "sqlite:///runs.db"]
    own = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of its forms",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            words,
            env={**os.environ, **own},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield answering(f"http://127.0.0.1:{port}", process, folder / "server.log")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


@MLFLOWS_WARNINGS
def test_who_writes_runs_and_cannot_delete_them(
    call: Call, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EDIT on the experiment is enough for a whole study, and MLflow refuses more."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    with basic_auth(tmp_path / "mlflow", "the administrator's") as address:

        def become(user: str, password: str) -> None:
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)

        become("admin", "the administrator's")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what MLflow's server is made of
            told = block.replace("http://mlflow:5000", address).replace("STUDY", "small")
            names: dict[str, str] = {}
            exec(told, names)
        become("recorder", "choose a third")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        ran = call("run", write(study()), "--trials", "3", "--workers", "1")
        assert ran.code == 0, ran.err
        checked = call("verify", "small")
        assert "3 trials, 4 runs in MLflow: every promise is kept" in checked.out

        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client, experiment = MlflowClient(address), names["experiment"]
        first = client.search_runs([experiment])[0].info.run_id
        for delete, what in (
            (client.delete_experiment, experiment),
            (client.delete_run, first),
        ):
            with pytest.raises(MlflowException, match="error code 403"):
                delete(what)
        refused = call("delete", "small", "--yes")
        assert (refused.code, "this user lacks the permission" in refused.err) == (1, True)
        assert call("status", "small", "--json").json["complete"] == 3
        become("admin", "the administrator's")
        assert call("delete", "small", "--yes").code == 0

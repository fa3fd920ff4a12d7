"""Passwords are planted, a study runs into trouble, and nothing that is left of it has them."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.compose import mlflow_server
from tests.faults.cases import PLUGGED
from tests.faults.workspace import Definition, Workspace
from tests.hpsearch.command_line import Call
from tests.postgres import Cluster

LEDGER, RUNS, UI, KEY = (f"planted-{each}-{os.urandom(8).hex()}" for each in "lruk")
"""Of the ledger, of the MLflow server, of ``hpsearch ui``, and of a store of artifacts."""
SPELLINGS = {
    spelling: password
    for password in (LEDGER, RUNS, UI, KEY)
    for spelling in (
        password.encode(),
        base64.b64encode(f"hpsearch:{password}".encode()).rstrip(b"="),  # as HTTP sends it
    )
}
TRAINING = """
def train(params, seed):
    for epoch in range(40):
        yield {"cost": params["x"] + epoch}
    if params["x"] > 0.5:
        raise ValueError("unlucky")
"""
STUDY = Definition(
    "planted",
    """
objective = { function = "training:train", metrics = ["cost"] }
params = { x = { low = 0.0, high = 1.0 } }
search = { trials = 12, direction = "minimize" }
name = "planted"
""",
    12,
)


@contextmanager
def arguments_watched() -> Iterator[set[bytes]]:
    """The arguments of all processes that are seen meanwhile."""
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.add(file.read_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def found(content: bytes) -> set[str]:
    """The passwords in it, however they are written."""
    return {password for spelling, password in SPELLINGS.items() if spelling in content}


def rows(url: str) -> Iterator[tuple[str, bytes]]:
    """Every row of a database, with its table: the ledger's, and Optuna's with its attributes."""
    engine = sa.create_engine(url)
    tables = sa.MetaData()
    with engine.connect() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            for row in connection.execute(sa.select(table)):
                cells = [cell if isinstance(cell, bytes) else str(cell).encode() for cell in row]
                yield table.name, b" ".join(cells)
    engine.dispose()


@pytest.mark.usefixtures("closed")
def test_passwords_are_found_nowhere(
    tmp_path: Path, postgres: Cluster, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in output, logs, tracebacks, files, databases, MLflow's runs or process arguments."""
    plain = postgres.database()
    ledger = sa.make_url(plain).set(password=LEDGER).render_as_string(hide_password=False)
    away = f"postgresql+psycopg://me:{LEDGER}@127.0.0.1:1/none"
    (tmp_path / "tmp").mkdir()
    planted = {
        "HPSEARCH_STORAGE": ledger,
        "HPSEARCH_UI_PASSWORD": UI,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "TMPDIR": str(tmp_path / "tmp"),
    }
    said: list[str] = []
    with arguments_watched() as arguments, mlflow_server(tmp_path / "mlflow", RUNS) as server:
        runs = server.replace("://", f"://hpsearch:{RUNS}@")
        workspace = Workspace(tmp_path / "work", STUDY, MLFLOW_TRACKING_URI=runs, **planted)
        (workspace.folder / "training.py").write_text(TRAINING)
        (tmp_path / "trap").touch()
        trap = {**PLUGGED, "FAULT_KILL": f"training:{tmp_path / 'trap'}"}  # of the first worker
        ran = workspace.ended(*workspace.command("--log-json", workers=1), **trap)
        assert (ran.code, (tmp_path / "trap").exists()) == (0, False), ran.error
        said += [ran.out, ran.error]
        for name, value in workspace.environment.items():
            monkeypatch.setenv(name, value)
        for command in (
            "trials planted --json",
            "best planted",
            "log planted --trial 1",
            "verify planted",
            f"report planted --out {tmp_path / 'report'}",
            f"export planted {tmp_path / 'exported'}",
        ):
            outcome = call(*command.split())
            assert outcome.code == 0, outcome.err
            said += [outcome.out, outcome.err]
        for command, changed in (
            (f"backup {tmp_path / 'backup'}", {}),
            ("sync", {"MLFLOW_TRACKING_URI": runs.replace("hpsearch:", "nobody:")}),
            ("verify planted", {"MLFLOW_TRACKING_URI": f"http://me:{RUNS}@127.0.0.1:1"}),
            ("status planted", {"HPSEARCH_STORAGE": away}),
            ("status planted", {"HPSEARCH_STORAGE": ledger.replace("postgres:", "nobody:")}),
            ("studies", {"HPSEARCH_STORAGE": f"{ledger}&no_such=option"}),
            ("studies", {"HPSEARCH_STORAGE": f"{ledger}&password={LEDGER}&port=x"}),
            ("worker planted", {"HPSEARCH_STORAGE": away.replace("+psycopg", "")}),
            (f"reproduce --run {'0' * 32}", {}),
            ("ui --serve", {}),
        ):
            with monkeypatch.context() as changing:
                for name, value in changed.items():
                    changing.setenv(name, value)
                outcome = call(*command.split())
            assert outcome.code != 0, command
            said += [outcome.out, outcome.err]

    assert {LEDGER, RUNS} == found(f"{ledger} {runs}".encode())  # it would be found
    assert not [line for text in said for line in text.splitlines() if found(line.encode())]
    assert not [words for words in arguments if found(words)]
    assert not {name for name, content in rows(plain) if found(content)}
    files = [file for file in (*tmp_path.rglob("*"), postgres.folder / "log") if file.is_file()]
    assert {tmp_path / "mlflow" / "secrets" / "mlflow"} == {
        file for file in files if found(file.read_bytes())
    }

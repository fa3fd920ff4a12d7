"""What the compose file starts, as plain processes on loopback."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

PLACES = (
    "HPSEARCH_HOME",
    "HPSEARCH_STORAGE",
    "HPSEARCH_ARTIFACTS",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)
"""What a service knows from its own environment alone, whatever this process was told."""
ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
STUDY = "quick"
SECRETS = {
    "postgres": "a-secret-of-PostgreSQL",
    "ledger": "a-secret-of-the-ledger",
    "mlflow": "a secret of MLflow's",
    "storage": "postgresql+psycopg://hpsearch:a-secret-of-the-ledger@postgres:5432/hpsearch",
}
"""What ``make secrets`` writes, by file."""


def command(service: str, **replacements: str) -> list[str]:
    """What a service runs, with this machine's ports and folders in place of the containers'."""
    words = [re.sub(r"\$\{STUDY:-\w+\}", STUDY, word) for word in SERVICES[service]["command"]]
    for old, new in replacements.items():
        words = [word.replace(old, new) for word in words]
    return [str(Path(sys.executable).with_name(words[0])), *words[1:]]


def environment(service: str, folder: Path, **others: str) -> dict[str, str]:
    """A service's environment, with its secrets in a folder; ``others`` stand in for some."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, secret in (SECRETS | others).items():
        (folder / name).write_text(f"{secret}\n")
    declared: dict[str, str] = SERVICES[service].get("environment", {})
    return {name: value.replace("/run/secrets/", f"{folder}/") for name, value in declared.items()}


@contextmanager
def mlflow_server(folder: Path, password: str = SECRETS["mlflow"]) -> Iterator[str]:
    """A real MLflow server, started as the compose file says; its address.

    Meanwhile this process and its children have the user and the password for it, as `run` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = command("mlflow", **{"0.0.0.0": "127.0.0.1", "5000": port})
    bare = {name: value for name, value in os.environ.items() if name not in PLACES}
    own = bare | environment("mlflow", folder / "secrets", mlflow=password)
    own["HPSEARCH_HOME"] = str(folder)
    with (folder / "server.log").open("w") as log, _logged_in(password):
        process = subprocess.Popen(
            words, env=own, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield answering(f"http://127.0.0.1:{port}", process, folder / "server.log")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # nobody reads its database any more
            process.wait(60)


def free_port() -> str:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def answering(address: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """The address of an MLflow server, once it answers there."""
    deadline = time.monotonic() + 240
    while not _answers(f"{address}/health"):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return address


@contextmanager
def _logged_in(password: str) -> Iterator[None]:
    login = {
        "MLFLOW_TRACKING_USERNAME": SERVICES["run"]["environment"]["MLFLOW_TRACKING_USERNAME"],
        "MLFLOW_TRACKING_PASSWORD": password,
    }
    before = {name: os.environ.get(name) for name in login}
    os.environ.update(login)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

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

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
STUDY = "quick"


def command(service: str, **replacements: str) -> list[str]:
    """What a service runs, with this machine's ports and folders in place of the containers'."""
    words = [re.sub(r"\$\{STUDY:-\w+\}", STUDY, word) for word in SERVICES[service]["command"]]
    for old, new in replacements.items():
        words = [word.replace(old, new) for word in words]
    return [str(Path(sys.executable).with_name(words[0])), *words[1:]]


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real MLflow server, started as the compose file says; its address."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = command("mlflow", **{"0.0.0.0": "127.0.0.1", "5000": port, "/data": str(folder)})
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("w") as log:
        environment = os.environ | quiet
        process = subprocess.Popen(
            words, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 240
            while not _answers(f"http://127.0.0.1:{port}/health"):
                assert process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # nobody reads its database any more
            process.wait(60)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

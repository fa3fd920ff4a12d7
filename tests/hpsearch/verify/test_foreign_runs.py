"""Runs that others wrote are read from a server as from a database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hpsearch.errors import TrackingError, UsageError
from hpsearch.trust.audit import SeenRun
from hpsearch.verify.foreign_runs import read

NAMED = {"a": "37", "b": "trial 7", "c": "Trial_008", "d": "run of mine", "e": "1.5"}


def entry(run: str, **tags: str) -> dict[str, Any]:
    """A run as a server tells of it."""
    pairs = [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()]
    return {"info": {"run_id": run, "status": "FINISHED"}, "data": {"tags": pairs}}


@pytest.fixture
def uri() -> Iterator[str]:
    """A server with one experiment, whose runs come on two pages."""
    runs = [entry(run, mlflow__runName=name) for run, name in NAMED.items()]
    runs += [entry("f", number="3", mlflow__parentRunId="g"), entry("g", mlflow__runName="9")]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/experiments/search"):
                answer: dict[str, Any] = {"experiments": [{"experiment_id": "5", "name": "theirs"}]}
            elif asked.get("page_token"):
                answer = {"runs": runs[4:]}
            else:
                assert asked["experiment_ids"] == ["5"]
                answer = {"runs": runs[:4], "next_page_token": "more"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server(uri: str) -> None:
    """A trial is named by a tag or the run's name; a parent of others is none."""
    numbers = {"a": 37, "b": 7, "c": 8, "d": None, "e": None, "f": 3}
    assert read(uri, "theirs") == [SeenRun(run, n, "FINISHED") for run, n in numbers.items()]
    with pytest.raises(UsageError, match="has no experiment 'other'; name it with --experiment"):
        read(uri, "other")


@pytest.mark.parametrize("uri", ["sqlite:///none.db", "file:///tmp/mlruns", "nonsense", "a://b:x"])
def test_what_is_no_mlflow(uri: str) -> None:
    """One line says so."""
    said = r"MLflow at .*: (there is no such file|cannot be read)"
    with pytest.raises(TrackingError, match=said):
        read(uri, "theirs")

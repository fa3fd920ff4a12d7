"""``hpsearch ui`` as it runs: a process, a socket, MLflow's own application behind the guard."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from hpsearch.commands.ui import _lines
from hpsearch.errors import HpsearchError
from hpsearch.ledger.records import State
from hpsearch.projections.mlflow_content import StudyContent
from hpsearch.settings import Settings
from hpsearch.ui import server
from hpsearch.ui.server import bind, in_bucket, inside
from tests.conftest import study
from tests.hpsearch.workspace import DIGESTS, Workspace

JSON = {"content-type": "application/json"}
SECRET = "nobody may read this"


class Ui:
    """A running ``hpsearch ui``, its workspace, and a client that holds the cookie."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str], book: Workspace) -> None:
        self.process = process
        self.lines = lines
        self.book = book
        self.address = urlsplit(lines[0].split()[2])
        self.cookie = {"cookie": f"hpsearch-ui-{self.address.port}={self.address.query[6:]}"}

    def ask(
        self, method: str, target: str, body: Any = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Ask by a connection of its own, the target sent as it is."""
        connection = http.client.HTTPConnection(self.address.netloc, timeout=60)
        content = None if body is None else json.dumps(body)
        given = {**self.cookie, **(JSON if body is not None else {}), **headers}
        connection.request(method, target, content, given)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def search(self, name: str) -> dict[str, Any]:
        """An experiment by name."""
        target = f"/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
        found: dict[str, Any] = json.loads(self.ask("GET", target)[2])["experiment"]
        return found


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, mlflow_db: Path) -> Iterator[Ui]:
    """The UI on a workspace that also holds runs whose artifacts lie elsewhere."""
    home = tmp_path_factory.mktemp("ui") / "home"
    home.mkdir()
    shutil.copy(mlflow_db, home / "mlflow.db")
    book = Workspace(home)
    book.run(State.COMPLETE, State.COMPLETE)
    book.sync()
    outside = home.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    for name, place in {"planted": outside.as_uri(), "climbing": f"{home}/artifacts/.."}.items():
        client = book.client
        client.create_run(client.create_experiment(name, place))
    # Whatever would be imported by these names breaks the start, were the current folder looked at.
    for name in ("net", "random", "json", "optuna", "mlflow", "uvicorn", "flask"):
        (outside / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    environment = {**os.environ, "HPSEARCH_HOME": str(home)}
    for name in ("HPSEARCH_STORAGE", "MLFLOW_TRACKING_URI"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "ui"],
        cwd=outside,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().rstrip("\n") for _ in range(3)]
    assert all(lines), process.communicate(timeout=60)
    yield Ui(process, lines, book)
    process.kill()
    process.communicate(timeout=60)


def test_links(ui: Ui) -> None:
    """It prints where it is once it answers there, with the token, and where each study's runs are,
    the best first."""
    entry = ui.lines[0].split()[2]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", entry)
    assert ui.lines[0] == f"MLflow UI: {entry}  (Ctrl-C ends it)"
    experiment = ui.search("small")["experiment_id"]
    page = f"{entry}#/experiments/{experiment}/runs?workflowType=machine_learning"
    runs = f"{page}&viewStateShareKey=hpsearch"
    assert ui.lines[1:] == [
        f"  small, runs: {runs}",
        f"  small, charts: {runs}&compareRunsMode=CHART",
    ]


def test_links_of_many_studies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The newest are linked, and no more than a person takes in."""
    book = Workspace(tmp_path, study=study(name="s0"))
    for number in range(1, 7):
        book.store.register(study(name=f"s{number}"), DIGESTS)
    monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path))

    class Page:
        pages: ClassVar = {"runs": "/#/runs"}

        def __init__(self, _: Settings, content: StudyContent) -> None:
            assert content.name.startswith("s")

    monkeypatch.setattr("hpsearch.projections.mlflow_look.Reader", Page)
    lines = _lines(book.settings, "http://here", "?token=x")
    assert lines[0] == "MLflow UI: http://here/?token=x  (Ctrl-C ends it)"
    assert lines[1:-1] == [f"  s{n}, runs: http://here/?token=x#/runs" for n in (6, 5, 4, 3)]
    assert lines[-1] == "  older studies are in MLflow's list of experiments"


def test_browsing(ui: Ui) -> None:
    """With the cookie from the printed address, the page, its scripts and the runs are there."""
    status, headers, _ = ui.ask("GET", f"/?{ui.address.query}", cookie="")
    assert (status, headers["set-cookie"].split(";")[0]) == (200, ui.cookie["cookie"])
    status, _, page = ui.ask("GET", "/")
    assert (status, b"static-files" in page) == (200, True)
    script = re.findall(rb'src="(static-files/[^"]+\.js)"', page)[0].decode()
    status, headers, _ = ui.ask("GET", f"/{script}")
    assert (status, "javascript" in headers["content-type"]) == (200, True)
    body = {"experiment_ids": [ui.search("small")["experiment_id"]]}
    _, _, found = ui.ask("POST", "/ajax-api/2.0/mlflow/runs/search", body)
    assert len(json.loads(found)["runs"]) == 3


def test_artifacts_of_the_workspace(ui: Ui) -> None:
    """A run's artifacts are listed and read."""
    run = ui.book.runs()[0].info.run_id
    _, _, listed = ui.ask("GET", f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run}")
    assert [file["path"] for file in json.loads(listed)["files"]] == ["config.toml"]
    status, headers, content = ui.ask("GET", f"/get-artifact?path=config.toml&run_uuid={run}")
    assert (status, b"small" in content) == (200, True)
    assert headers["content-disposition"].startswith("attachment")


def test_notes_and_tags(ui: Ui) -> None:
    """A person's notes, tags and names are kept."""
    run = ui.book.runs()[1].info.run_id
    for key, value in {"mlflow.note.content": "a *note*", "colour": "blue"}.items():
        body = {"run_id": run, "key": key, "value": value}
        assert ui.ask("POST", "/ajax-api/2.0/mlflow/runs/set-tag", body)[0] == 200
    body = {"run_id": run, "run_name": "mine"}
    assert ui.ask("POST", "/ajax-api/2.0/mlflow/runs/update", body)[0] == 200
    experiment = ui.search("small")["experiment_id"]
    body = {"experiment_id": experiment, "key": "mlflow.note.content", "value": "of all"}
    assert ui.ask("POST", "/ajax-api/2.0/mlflow/experiments/set-experiment-tag", body)[0] == 200
    found = ui.book.client.get_run(run)
    assert (found.data.tags["mlflow.note.content"], found.info.run_name) == ("a *note*", "mine")
    assert found.data.tags["colour"] == "blue"


def test_graphql(ui: Ui) -> None:
    """A run's page asks by GraphQL."""
    run = ui.book.runs()[0].info.run_id
    asked = "mlflowGetRun(input: $data) { run { info { runName } } }"
    query = f"query GetRun($data: MlflowGetRunInput!) {{ {asked} }}"
    body = {"operationName": "GetRun", "variables": {"data": {"runId": run}}, "query": query}
    _, _, found = ui.ask("POST", "/graphql", body)
    assert json.loads(found)["data"]["mlflowGetRun"]["run"]["info"]["runName"] == "trial 0"


@pytest.mark.parametrize("name", ["planted", "climbing"])
def test_artifacts_elsewhere(ui: Ui, name: str) -> None:
    """Runs whose artifacts lie elsewhere show none, by any way to ask."""
    experiment = ui.search(name)["experiment_id"]
    (run,) = [found.info.run_id for found in ui.book.client.search_runs([experiment])]
    for target in (
        f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run}",
        f"/get-artifact?run_id={run}&path=secret.txt",
        f"/get-artifact?run_id={run}&path=../../secret.txt",
        f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run}&path=%252e%252e",
    ):
        status, _, content = ui.ask("GET", target)
        assert (status, SECRET.encode() in content) == (404, False)


@pytest.mark.parametrize(
    "path",
    [
        "../../mlflow.db",
        "..%2f..%2fmlflow.db",
        "%252e%252e/x",
        "/etc/passwd",
        "..\\x",
        "link/secret.txt",
        "a%00b",
    ],
)
def test_paths_out_of_a_run(ui: Ui, path: str) -> None:
    """No path leads out of a run's folder, a link in it neither."""
    run = ui.book.runs()[0]
    link = Path(urlsplit(run.info.artifact_uri).path) / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(ui.book.settings.home.parent / "outside")
    for target in (
        f"/get-artifact?run_id={run.info.run_id}&path={path}",
        f"/ajax-api/2.0/mlflow/artifacts/list?run_id={run.info.run_id}&path={path}",
    ):
        status, _, content = ui.ask("GET", target)
        assert (status, SECRET.encode() in content) == (404, False)
    link.unlink()


def test_the_attack(ui: Ui) -> None:
    """What gave a stranger on this machine a shell, or files where they liked, is not there."""
    config = {"providers": {"x": {"model": "y", "permissions": {"full_access": True}}}}
    tried = [
        ("PUT", "/ajax-api/3.0/mlflow/assistant/config", config),
        ("GET", "/ajax-api/3.0/mlflow/assistant/config", None),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message", {"message": "ls"}),
        (
            "POST",
            "/ajax-api/2.0/mlflow/experiments/create",
            {"name": "evil", "artifact_location": "file:///tmp/evil"},
        ),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=x&path=y", {}),
        ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/evil", {}),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/evil", {}),
        ("GET", "/static-files/..%2f..%2f..%2fapp.py", None),
        ("GET", "/static-files/../../__init__.py", None),
        ("GET", f"http://{ui.address.netloc}/ajax-api/3.0/mlflow/assistant/config", None),
    ]
    for method, target, body in tried:
        assert ui.ask(method, target, body)[0] == 404
        assert ui.ask(method, target, body, cookie="")[0] == 403
        assert ui.ask(method, target, body, host="evil.example")[0] == 403
        assert ui.ask(method, target, body, origin="http://localhost:9999")[0] == 403
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
    assert ui.ask("GET", "/ajax-api/3.0/mlflow/assistant/config", **upgrade, **key)[0] == 404


def test_ctrl_c(ui: Ui) -> None:
    """Quiet until the end, which is clean: no traceback, no line of a log, and exit code 130.

    The last test of this file: it ends the server that the others use.
    """
    ui.process.send_signal(signal.SIGINT)
    said = ui.process.communicate(timeout=60)
    assert (ui.process.returncode, said) == (130, ("", ""))


def test_open(home: Path, mlflow_db: Path, tmp_path: Path) -> None:
    """``--open`` hands a browser a file that leads to the address: its arguments, which every user
    of the machine may read, have no token in them. SIGTERM ends it as cleanly."""
    home.mkdir()
    shutil.copy(mlflow_db, home / "mlflow.db")
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part; mv {opened}.part {opened}\n')
    browser.chmod(0o700)
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "ui", "--open"],
        env={**os.environ, "BROWSER": str(browser)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        entry = process.stdout.readline().split()[2]
        deadline = time.monotonic() + 60
        while not opened.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        page = Path(urlsplit(opened.read_text().strip()).path)
        assert entry.partition("token=")[2] not in opened.read_text()
        assert f'location.replace("{entry}")' in page.read_text()
        assert page.stat().st_mode & 0o777 == 0o600
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60) == ("", "")
        assert (process.returncode, page.exists()) == (143, False)
    finally:
        process.kill()
        process.communicate()


# -- the parts


def test_next_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no port is named, the next free one is taken; a named one that is taken is refused."""
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        taken = first.getsockname()[1]
        monkeypatch.setattr(server, "PORT", taken)
        with bind("127.0.0.1", None) as second:
            assert taken < second.getsockname()[1] <= taken + 100
        with pytest.raises(HpsearchError, match=f"127.0.0.1:{taken}: .* another --port") as caught:
            bind("127.0.0.1", taken)
    assert caught.value.exit_code == 1


def test_bound_to_one_address() -> None:
    """Nobody else is listened to."""
    with bind("127.0.0.1", None) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"


def test_in_a_bucket() -> None:
    """In the workspace's own, and in no other whose name only begins alike."""
    assert in_bucket("s3://studies/mine/run/artifacts", "s3://studies/mine")
    assert not in_bucket("s3://studies/mine2/run/artifacts", "s3://studies/mine")
    assert not in_bucket("s3://studies/mine/run/artifacts", None)


def test_inside(tmp_path: Path) -> None:
    """What lies in a folder, links followed, and what does not."""
    folder = tmp_path / "a b" / "artifacts"
    (folder / "1" / "run").mkdir(parents=True)
    (folder / "out").symlink_to(tmp_path)
    (folder / "in").symlink_to(folder / "1")
    run = (folder / "1" / "run").as_uri()
    assert inside(run, "", folder)
    assert inside(run, "config.toml", folder)
    assert inside(str(folder / "1"), "run", folder)
    assert inside(folder.as_uri(), "in/run", folder)
    for uri, path in {
        (run, "../../.."),
        (run, "/etc/passwd"),
        (run, "a\x00b"),
        (folder.as_uri(), "out/x"),
        (f"{run}/../../..", "artifacts/1"),
        (tmp_path.as_uri(), "a b/artifacts/1"),
        (f"{folder.as_uri()}-other", ""),
        ("mlflow-artifacts:/1/run/artifacts", ""),
        ("s3://bucket/a", ""),
        (run.replace("file://", "file://host"), ""),
        (f"{run}?x", ""),
        ("", ""),
    }:
        assert not inside(uri, path, folder), (uri, path)

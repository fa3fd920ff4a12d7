"""What passes: read off every route that MLflow's server has, so that none opens silently."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.ui.allowed import BROWSE, RECORD, STANDS_IN, Bears, Rule, find, folder, safe

RUN = "0123456789abcdef" * 2

# MLflow's application is imported in a process of its own: it reads its environment on the way.
ROUTES = """
import json, warnings
warnings.simplefilter("ignore")
import uvicorn
from mlflow.server import app as flask
from mlflow.server.fastapi_app import app

def walk(routes, prefix=""):
    for route in routes:
        if hasattr(route, "original_router"):
            more = route.include_context.prefix or ""
            yield from walk(route.original_router.routes, prefix + more)
        else:
            for method in getattr(route, "methods", None) or ["ANY"]:
                yield method, prefix + route.path

flasks = [(m, r.rule) for r in flask.url_map.iter_rules() for m in r.methods]
print(json.dumps([*walk(app.routes), *flasks]))
"""

LOOKS = {
    "GET {}/experiments/get",
    "GET {}/experiments/get-by-name",
    "GET {}/experiments/search",
    "POST {}/experiments/search",
    "GET {}/runs/get",
    "POST {}/runs/search",
    "GET {}/metrics/get-history",
    "GET {}/metrics/get-history-bulk-interval",
    "GET {}/artifacts/list",
}
NOTES = {
    "POST {}/runs/set-tag",
    "POST {}/runs/delete-tag",
    "POST {}/runs/update",
    "POST {}/experiments/set-experiment-tag",
    "POST {}/experiments/delete-experiment-tag",
    "POST {}/experiments/update",
}
BROWSES = {line.format("/ajax-api/2.0/mlflow") for line in LOOKS | NOTES} | {
    "GET /",
    "GET /static-files/<path:path>",
    "GET /version",
    "GET /ajax-api/3.0/mlflow/server-info",
    "GET /get-artifact",
    "GET /ajax-api/2.0/mlflow/metrics/get-history-bulk",
    "POST /ajax-api/2.0/mlflow/experiments/search-datasets",
    "POST /ajax-api/2.0/mlflow/logged-models/search",
    "GET /ajax-api/2.0/mlflow/model-versions/search",
    "GET /ajax-api/2.0/mlflow/registered-models/search",
    "POST /graphql",
}
RECORDS = {line.format("/api/2.0/mlflow") for line in LOOKS | NOTES} | {
    "POST /api/2.0/mlflow/experiments/create",
    "POST /api/2.0/mlflow/experiments/delete",
    "POST /api/2.0/mlflow/experiments/restore",
    "POST /api/2.0/mlflow/runs/create",
    "POST /api/2.0/mlflow/runs/delete",
    "POST /api/2.0/mlflow/runs/restore",
    "POST /api/2.0/mlflow/runs/log-batch",
    "POST /api/2.0/mlflow/runs/log-metric",
    "POST /api/2.0/mlflow/runs/log-parameter",
    "POST /api/2.0/mlflow/runs/log-inputs",
    "GET /api/3.0/mlflow/server-info",
    "GET /api/2.0/mlflow-artifacts/artifacts",
    "GET /api/2.0/mlflow-artifacts/artifacts/<path:artifact_path>",
    "GET /api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}",
    "PUT /api/2.0/mlflow-artifacts/artifacts/<path:artifact_path>",
    "PUT /api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Every method and path of MLflow's server, the assistant's and the gateway's among them."""
    said = subprocess.run(
        [sys.executable, "-c", ROUTES],
        cwd=tmp_path_factory.mktemp("routes"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = [(method, path) for method, path in json.loads(said.splitlines()[-1])]
    assert len(found) > 400
    assert any("/assistant/" in path for _, path in found)
    return found


def passing(rules: tuple[Rule, ...], routes: list[tuple[str, str]]) -> set[str]:
    """The routes that a list lets through, whatever stands in their places, by any method."""
    found = set()
    for method, path in routes:
        for value in ("x", "1", RUN, f"1/{RUN}/artifacts/weights", f"1/{RUN}/artifacts"):
            tried = re.sub(r"<[^>]*>|\{[^}]*\}", value, path)
            if find(rules, method, tried):
                found.add(f"{method} {path}")
    return found


def test_browsing_is_this_and_no_more(routes: list[tuple[str, str]]) -> None:
    """Of all that MLflow serves, this passes; a new release opens nothing unseen."""
    assert passing(BROWSE, routes) == BROWSES


def test_recording_is_this_and_no_more(routes: list[tuple[str, str]]) -> None:
    """What workers need beside that, where they know the password."""
    assert passing(RECORD, routes) == RECORDS


def test_no_rule_is_idle(routes: list[tuple[str, str]]) -> None:
    """Each rule lets something through that MLflow has."""
    for rule in BROWSE + RECORD:
        assert passing((rule,), routes)


def test_no_other_method() -> None:
    """A path passes by the methods of its rules alone, in capitals."""
    for rule in BROWSE + RECORD:
        path = rule.path.format(experiment=1, run=RUN, file="f")
        meant = {r.method for r in BROWSE + RECORD if find((r,), r.method, path)}
        assert meant == {m for m in METHODS if find(BROWSE + RECORD, m, path)}
        assert find(BROWSE + RECORD, rule.method.lower(), path) is None


def test_no_rule_names_a_place() -> None:
    """Nothing that says where on a disk, or to which model, passes by name."""
    places = re.compile("location|source|uri|root|destination|folder|dir|model_id|model_name")
    names = {name for rule in BROWSE + RECORD for name in rule.names}
    assert set() == set(filter(places.search, names))


def test_browsing_writes_no_files() -> None:
    """No file's content, no artifact's place, no run or experiment is made or deleted."""
    for rule in BROWSE:
        assert rule.bears is not Bears.FILE
        assert not re.search("create|delete$|restore|log-|upload|mlflow-artifacts", rule.path)


def test_each_artifact_rule_is_confined() -> None:
    """Whatever has an artifact in its path is held to the place of artifacts."""
    about = {rule.path for rule in BROWSE + RECORD if "artifact" in rule.path}
    assert about == {rule.path for rule in BROWSE + RECORD if rule.artifact}


TRICKS = [
    "//",
    "/.",
    "/..",
    "/../get-artifact",
    "/static-files/../get-artifact",
    "/static-files/..",
    "/static-files/.",
    "/static-files/",
    "/static-files",
    "/static-files//main.js",
    "/static-files/a/../../get-artifact",
    "/static-files/a%2f..%2fb",
    "/static-files/a\\..\\b",
    "/static-files/a\x00b",
    "/static-files/a?b",
    "/Get-Artifact",
    "/get-artifact/",
    "//get-artifact",
    "/get-artifact//",
    "/%67et-artifact",
    "/get-artifact\n",
    "/ajax-api/2.0/mlflow/runs/search/",
    "/ajax-api//2.0/mlflow/runs/search",
    "/ajax-api/2.0/mlflow/./runs/search",
    "/ajax-api/2.0/mlflow/runs/x/../search",
    "/AJAX-API/2.0/mlflow/runs/search",
    "/ajax-api/3.0/mlflow/runs/search",
    "/ajax-api/2.0mlflow/runs/search",
    "/ajax-api/2.0/mlflow/artifacts/list;x=1",
    "http://127.0.0.1:5000/version",
    "*",
    "",
    "/api/2.0/mlflow-artifacts/artifacts/",
    "/api/2.0/mlflow-artifacts/artifacts/x",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/..",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/../../x",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/a/../../b",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts//etc/passwd",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/%2e%2e/x",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/%252e%252e/x",
    f"/api/2.0/mlflow-artifacts/artifacts/../{RUN}/artifacts/x",
    f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN.upper()}/artifacts/x",
    f"/api/2.0/mlflow-artifacts/artifacts/-1/{RUN}/artifacts/x",
    f"/api/2.0/mlflow-artifacts/artifacts/²/{RUN}/artifacts/x",
    f"/ajax-api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/x",
]


@pytest.mark.parametrize("path", TRICKS)
def test_tricks_with_paths(path: str) -> None:
    """A path that is not one of the list's to the letter is none of them."""
    assert [method for method in METHODS if find(BROWSE + RECORD, method, path)] == []


def test_files_and_folders() -> None:
    """A file's path stays below its folder, decoded once or ten times."""
    for path in ("config.toml", "report/a b.png", "größe/..x", "a/...", ".hidden"):
        assert safe(path)
        assert {"experiment": "12", "run": RUN, "file": path} == folder(
            f"12/{RUN}/artifacts/{path}"
        )
    assert folder(f"12/{RUN}/artifacts") == {"experiment": "12", "run": RUN, "file": ""}
    for path in ("", "/", "..", ".", "a/..", "../a", "a//b", "a/", "/etc", "a%2e", "a\\b", "a\nb"):
        assert not safe(path)
        assert folder(f"12/{RUN}/artifacts/{path}") is None


def test_what_stands_in_needs_no_mlflow() -> None:
    """What is answered here is on no list, and is JSON."""
    for path, answer in STANDS_IN.items():
        assert find(BROWSE + RECORD, "GET", path) is None
        assert isinstance(json.loads(answer), dict)


def test_environment_names_are_mlflows() -> None:
    """What MLflow's command line would set, by the names of this release."""
    from mlflow.server import constants

    source = (Path(__file__).parents[3] / "hpsearch" / "ui" / "server.py").read_text()
    named = set(re.findall(r'"(_MLFLOW_\w+)"', source))
    assert named == {
        constants.BACKEND_STORE_URI_ENV_VAR,
        constants.ARTIFACT_ROOT_ENV_VAR,
        constants.SERVE_ARTIFACTS_ENV_VAR,
        constants.ARTIFACTS_DESTINATION_ENV_VAR,
    }

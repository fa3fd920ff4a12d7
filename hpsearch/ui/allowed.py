"""Which requests may reach MLflow? A list by method and path, with the names each may bear.

MLflow's own server also runs an assistant, a gateway, jobs and webhooks, and it reads and writes
files wherever an experiment says. None of that is on the list. What is not on the list is not
there: 404, also for whatever a later release of MLflow adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class Bears(Enum):
    """What a request brings beside its path."""

    QUERY = "the names of its query"
    JSON = "the names of one JSON object"
    GRAPHQL = "a GraphQL query"
    FILE = "a file's content"


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of request that passes."""

    method: str
    path: str
    """The path, literally, but for ``{experiment}``, ``{run}`` and ``{file}``."""
    names: frozenset[str] = frozenset()
    """What the query, or the JSON object, may name."""
    bears: Bears = Bears.QUERY
    artifact: bool = False
    """Whether it reads or writes a run's artifact, which has to be where artifacts are."""


_PARTS = {
    "{experiment}": r"(?P<experiment>[0-9]{1,19})",
    "{run}": r"(?P<run>[0-9a-f]{32})",
    # Names without "%", so that decoding them again changes nothing; none is "." or "..".
    "{file}": r"(?P<file>(?:(?!\.{1,2}(?:/|\Z))[^/\\%?#\x00-\x1f\x7f]+/)*"
    r"(?!\.{1,2}\Z)[^/\\%?#\x00-\x1f\x7f]+)",
}


@lru_cache(maxsize=256)
def _pattern(path: str) -> re.Pattern[str]:
    pattern = re.escape(path)
    for part, expression in _PARTS.items():
        pattern = pattern.replace(re.escape(part), expression)
    return re.compile(pattern)


def find(
    rules: Iterable[Rule], method: str, path: str
) -> tuple[Rule, Mapping[str, str | None]] | None:
    """The rule that a request falls under, and what its path names; None if there is none.

    Args:
        rules: The list.
        method: As it was sent: ``get`` is not ``GET``.
        path: Decoded once.
    """
    for rule in rules:
        if rule.method == method and (match := _pattern(rule.path).fullmatch(path)):
            return rule, match.groupdict()
    return None


def folder(path: str) -> Mapping[str, str | None] | None:
    """What a path below the server's artifacts names: a run's folder, or a file there."""
    for form in ("{experiment}/{run}/artifacts/{file}", "{experiment}/{run}/artifacts"):
        if match := _pattern(form).fullmatch(path):
            return {"file": "", **match.groupdict()}
    return None


def safe(path: str) -> bool:
    """Whether this is a file's path below a folder, however often it is decoded."""
    return _pattern("{file}").fullmatch(path) is not None


def _get(path: str, *names: str, artifact: bool = False) -> Rule:
    return Rule("GET", path, frozenset(names), artifact=artifact)


def _post(path: str, *names: str) -> Rule:
    return Rule("POST", path, frozenset(names), Bears.JSON)


def _looks(api: str) -> tuple[Rule, ...]:
    """What reads runs and experiments: by the UI, by MLflow's client and by ``verify``."""
    page = ("max_results", "page_token", "order_by")
    files = {"run_id", "run_uuid", "path", "page_token"}
    return (
        _get(f"{api}/experiments/get", "experiment_id"),
        _get(f"{api}/experiments/get-by-name", "experiment_name"),
        _get(f"{api}/experiments/search", "filter", "view_type", *page),
        _post(f"{api}/experiments/search", "filter", "view_type", *page),
        _get(f"{api}/runs/get", "run_id", "run_uuid"),
        _post(f"{api}/runs/search", "experiment_ids", "filter", "run_view_type", "datasets", *page),
        _get(
            f"{api}/metrics/get-history",
            *("run_id", "run_uuid", "metric_key", "max_results", "page_token"),
        ),
        _get(
            f"{api}/metrics/get-history-bulk-interval",
            *("run_ids", "metric_key", "start_step", "end_step", "max_results"),
        ),
        _get(f"{api}/artifacts/list", *files, artifact=True),
    )


def _notes(api: str) -> tuple[Rule, ...]:
    """What a person writes in the UI: names, notes, tags, and charts, which are kept as tags."""
    return (
        _post(f"{api}/runs/set-tag", "run_id", "run_uuid", "key", "value"),
        _post(f"{api}/runs/delete-tag", "run_id", "key"),
        _post(f"{api}/runs/update", "run_id", "run_uuid", "run_name"),
        _post(f"{api}/experiments/set-experiment-tag", "experiment_id", "key", "value"),
        _post(f"{api}/experiments/delete-experiment-tag", "experiment_id", "key"),
        _post(f"{api}/experiments/update", "experiment_id", "new_name"),
    )


_AJAX, _API = "/ajax-api/2.0/mlflow", "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"

BROWSE: tuple[Rule, ...] = (
    _get("/"),
    _get("/static-files/{file}"),
    _get("/version"),
    _get("/ajax-api/3.0/mlflow/server-info"),
    _get("/get-artifact", "run_id", "run_uuid", "path", artifact=True),
    *_looks(_AJAX),
    *_notes(_AJAX),
    _get(f"{_AJAX}/metrics/get-history-bulk", "run_id", "metric_key", "max_results"),
    _post(f"{_AJAX}/experiments/search-datasets", "experiment_ids"),
    _post(
        f"{_AJAX}/logged-models/search",
        *("experiment_ids", "filter", "order_by", "max_results", "page_token", "datasets"),
    ),
    _get(f"{_AJAX}/model-versions/search", "filter", "max_results", "order_by", "page_token"),
    _get(f"{_AJAX}/registered-models/search", "filter", "max_results", "order_by", "page_token"),
    Rule("POST", "/graphql", frozenset({"operationName", "variables", "query"}), Bears.GRAPHQL),
)
"""What a browser needs to show runs, and to write notes and tags on them."""

STANDS_IN = {f"{_AJAX}/gateway-proxy": '{"endpoints": []}'}
"""What is answered in MLflow's place, as by a gateway without models: its charts complain of a 404,
and MLflow's own answer may come from elsewhere."""

RECORD: tuple[Rule, ...] = (
    # Before the rule for a person, who may rename a run and no more.
    _post(f"{_API}/runs/update", "run_id", "run_uuid", "run_name", "status", "end_time"),
    *_looks(_API),
    *_notes(_API),
    _post(f"{_API}/experiments/create", "name", "tags"),
    _post(f"{_API}/experiments/delete", "experiment_id"),
    _post(f"{_API}/experiments/restore", "experiment_id"),
    _post(f"{_API}/runs/create", "experiment_id", "user_id", "start_time", "run_name", "tags"),
    _post(f"{_API}/runs/delete", "run_id"),
    _post(f"{_API}/runs/restore", "run_id"),
    _post(f"{_API}/runs/log-batch", "run_id", "metrics", "params", "tags"),
    _post(
        f"{_API}/runs/log-metric",
        *("run_id", "run_uuid", "key", "value", "timestamp", "step"),
    ),
    _post(f"{_API}/runs/log-parameter", "run_id", "run_uuid", "key", "value"),
    _post(f"{_API}/runs/log-inputs", "run_id", "datasets"),
    _get("/api/3.0/mlflow/server-info"),
    _get(_FILES, "path", artifact=True),
    _get(f"{_FILES}/{{experiment}}/{{run}}/artifacts/{{file}}", artifact=True),
    Rule(
        "PUT",
        f"{_FILES}/{{experiment}}/{{run}}/artifacts/{{file}}",
        bears=Bears.FILE,
        artifact=True,
    ),
)
"""What hpsearch needs, beside ``BROWSE``, to write runs to a server. No place on a disk is named:
artifacts go to the folder of the run that they belong to."""

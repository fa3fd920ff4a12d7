"""optuna-dashboard reads the ledger's database: the studies and their trials are there for it."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from hpsearch.ledger.records import State
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

pytestmark = [
    MLFLOWS_WARNINGS,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture
def dashboard(workspace: Callable[..., Workspace]) -> Callable[[str], Any]:
    """Asks the dashboard on a study of three trials for a page of its data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its own libraries are made of
        optuna_dashboard = pytest.importorskip("optuna_dashboard")
    book = workspace()
    book.run(State.COMPLETE, State.PRUNED, State.FAIL)
    book.sync()
    application = optuna_dashboard.wsgi(book.settings.storage)

    def ask(path: str) -> Any:
        request: dict[str, Any] = {"PATH_INFO": path, "wsgi.input": io.BytesIO()}
        setup_testing_defaults(request)
        answered: list[str] = []
        body = b"".join(application(request, lambda status, *_: answered.append(status)))
        assert answered == ["200 OK"], body
        return json.loads(body)

    return ask


def test_dashboard_shows_the_study(dashboard: Callable[[str], Any]) -> None:
    """With its direction, its trials' states, values and params, and their curves."""
    (study,) = dashboard("/api/studies")["study_summaries"]
    assert (study["study_name"], study["directions"]) == ("small", ["maximize"])
    trials = dashboard(f"/api/studies/{study['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Pruned", "Fail"]
    assert {param["name"] for param in trials[0]["params"]} == {"network.dropout", "training.lr"}
    assert len(trials[0]["values"]) == 1
    assert [point["step"] for point in trials[0]["intermediate_values"]] == [1, 2, 3]

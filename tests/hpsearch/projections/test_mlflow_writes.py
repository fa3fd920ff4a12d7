"""What MLflow is asked to write of a run, call by call."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.records import State, curve
from hpsearch.projections.mlflow_runs import Tracking
from hpsearch.projections.round_summary import RoundSummary
from hpsearch.projections.summary import Summary
from tests.hpsearch.projections.test_mlflow_content import content, trial


class Client:
    """Notes what it is asked."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.asked: list[tuple[str, Any, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*of: Any, **named: Any) -> Any:
            self.asked.append((name, of, named))
            return SimpleNamespace(info=SimpleNamespace(run_id="new", artifact_uri=self.uri))

        return ask

    @property
    def names(self) -> list[str]:
        """Which calls there were."""
        return [name for name, _, _ in self.asked]

    def of(self, name: str) -> tuple[Any, dict[str, Any]]:
        """The one call of that name."""
        ((of, named),) = [(of, named) for asked, of, named in self.asked if asked == name]
        return of, named


def tracking(uri: str = "http://there", server: bool = True) -> tuple[Tracking, Client]:
    """A study's runs, behind a client that notes all."""
    made, client = Tracking.__new__(Tracking), Client(uri)
    made._content, made.experiment, made._client = content(), "5", client  # type: ignore[assignment]
    made._mlflow = SimpleNamespace(  # type: ignore[assignment]
        failures=nullcontext, server=server, tables=None
    )
    return made, client


def summary(**changes: Any) -> Summary:
    """What the study's own run is to say."""
    found: dict[str, Any] = {
        "status": "FINISHED",
        "end": 9,
        "note": "note",
        "metrics": {"complete": 2.0},
        "step": 2,
        "reproduced": None,
        "ended": None,
        "definition": None,
        "environments": (),
        "above": None,
    }
    return Summary(**found | changes)


def tags(client: Client) -> dict[str, str]:
    """The tags of a batch."""
    of, _ = client.of("log_batch")
    return {tag.key: tag.value for tag in of[3]}


def test_a_studys_own_run() -> None:
    """It is made once, with its name; then its numbers, params and tags, and how it stands."""
    made, client = tracking()
    assert made.write_parent(None, summary(definition="text")) == "new"
    assert client.names == [
        "create_run",
        "log_batch",
        "log_inputs",
        "log_text",
        "set_terminated",
    ]
    (experiment,), named = client.of("create_run")
    assert (experiment, named["start_time"], named["run_name"]) == ("5", 1500, "small")
    assert named["tags"] == made._content.common() | {"mlflow.runName": "small"}
    (run_id, metrics, params, _), _ = client.of("log_batch")
    assert run_id == "new"
    assert [(m.key, m.value, m.timestamp, m.step) for m in metrics] == [("complete", 2.0, 1502, 2)]
    assert {p.key: p.value for p in params} == made._content.params()
    assert tags(client) == {"mlflow.note.content": "note"}
    assert client.of("log_text") == (("new", "text", "study.toml"), {})
    assert client.of("set_terminated") == (("new", "FINISHED", 9), {})
    made, client = tracking()
    assert made.write_parent("old", summary(status="RUNNING", end=None)) == "old"
    assert client.names == ["log_batch", "log_inputs", "update_run"]
    assert client.of("update_run") == (("old",), {"status": "RUNNING"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ended": "target"}, {"hpsearch.ended": "target"}),
        ({"front": "1 2"}, {"hpsearch.front": "1 2"}),
        ({"above": "a"}, {"mlflow.parentRunId": "a"}),
        ({"reproduced": False}, {"hpsearch.reproduced": "false"}),
        ({"reproduced": True}, {"hpsearch.reproduced": "true"}),
    ],
)
def test_what_else_it_says(changes: dict[str, Any], expected: dict[str, str]) -> None:
    """Only what is known of it is a tag."""
    made, client = tracking()
    made.write_parent("a", summary(**changes))
    assert tags(client) == {"mlflow.note.content": "note", **expected}


@pytest.mark.parametrize("status", ["RUNNING", "FINISHED"])
def test_a_rounds_run(status: str) -> None:
    """It stands below the study's, with its number, and its times are the round's."""
    told = RoundSummary(2, "round 2", status, 7, 11, "note", {"lr": "1"}, {"failed": 3.0}, 3)
    made, client = tracking()
    assert made.write_round(None, "above", told) == "new"
    last = "update_run" if status == "RUNNING" else "set_terminated"
    assert client.names == ["create_run", "log_batch", last]
    _, named = client.of("create_run")
    below = {"mlflow.parentRunId": "above", "hpsearch.round": "2", "mlflow.runName": "round 2"}
    assert below.items() <= named["tags"].items()
    assert (named["start_time"], named["run_name"]) == (7, "round 2")
    (_, metrics, params, _), _ = client.of("log_batch")
    assert [(m.key, m.value, m.timestamp, m.step) for m in metrics] == [("failed", 3.0, 10, 3)]
    assert [(p.key, p.value) for p in params] == [("lr", "1")]
    assert tags(client) == {"mlflow.note.content": "note", "mlflow.parentRunId": "above"}
    expected = ("new",) if status == "RUNNING" else ("new", "FINISHED", 11)
    assert client.of(last)[0] == expected
    assert client.of(last)[1] == ({"status": "RUNNING"} if status == "RUNNING" else {})
    made, client = tracking()
    assert made.write_round("old", "above", told) == "old"
    assert "create_run" not in client.names


def test_a_trials_run(tmp_path: Path) -> None:
    """It is made with its tags, or gets them; then its points that are not there yet, its params,
    its files and its data; it ends last. Files go straight to where MLflow has no server."""
    rows = curve([(1.0, 0.1, 2.0, 0.2), (0.5, 0.3, 1.0, 0.5)])
    run = content().run(trial(), rows, np.array([0.5]), parent="above")
    run = type(run)(**{name: getattr(run, name) for name in run.__slots__} | {"files": {"a": "b"}})
    for server, uri, direct in (
        (True, "file:///x", False),
        (False, "s3://x/y", False),
        (False, f"file://{tmp_path}/artifacts", True),
    ):
        made, client = tracking(uri, server)
        assert made.write(run) == "new"
        files = [] if direct else ["log_text"]
        expected = ["create_run", "log_batch", *files, "log_inputs", "set_terminated"]
        assert client.names == expected
        (_, metrics, params, given), _ = client.of("log_batch")
        assert (len(metrics), given) == (10, [])
        assert {p.key: p.value for p in params} == {**run.shared, **run.params}
        assert client.of("create_run")[1]["tags"] == run.tags
        assert client.of("set_terminated") == (("new", "FINISHED", 3500), {})
    assert (tmp_path / "artifacts" / "a").read_text() == "b"
    made, client = tracking()
    assert made.write(run, "old", set(list(run.metrics())[:4])) == "old"
    assert client.names == ["log_batch", "log_text", "log_inputs", "set_terminated"]
    assert len(client.of("log_batch")[0][1]) == 6
    assert tags(client) == run.tags


def test_a_trial_that_runs() -> None:
    """Its run is begun, shows how far it is, and is let go of; then another parent may have it."""
    run = content().run(trial(state=State.RUNNING, ended=None), curve())
    made, client = tracking()
    assert made.begin(run, None) == "new"
    assert client.names == ["create_run", "log_batch"]
    made, client = tracking()
    assert made.begin(run, "old") == "old"
    assert client.names == ["update_run", "set_tag", "log_batch"]
    assert client.of("update_run") == (("old",), {"status": "RUNNING"})
    assert client.of("set_tag")[0] == ("old", "hpsearch.state", "RUNNING")
    made, client = tracking()
    made.show("old", [])
    made.adopt("old", "above")
    made.delete("old")
    assert client.asked == [
        ("log_batch", ("old", []), {}),
        ("set_tag", ("old", "mlflow.parentRunId", "above"), {}),
        ("delete_run", ("old",), {}),
    ]
    made, client = tracking()
    made.release("old")
    assert client.names == ["set_tag", "set_terminated"]
    assert client.of("set_tag")[0] == ("old", "hpsearch.state", "WAITING")
    assert client.of("set_terminated")[0][:2] == ("old", "KILLED")


def test_further_artifacts(tmp_path: Path) -> None:
    """Weights with what training again showed; an environment with its diff; a report's files."""
    made, client = tracking()
    made.write_weights("a", None, False)
    assert client.asked == [("set_tag", ("a", "hpsearch.reproduced", "false"), {})]
    made, client = tracking()
    made.write_weights("a", {"W": np.ones(2)}, True)
    assert client.names == ["log_artifact", "set_tag"]
    assert Path(client.of("log_artifact")[0][1]).name == "weights.safetensors"
    made, client = tracking()
    made.write_environment("a", "d", {"numpy": "2", "diff": "+x"})
    assert [of for _, of, _ in client.asked] == [
        ("a", '{"numpy":"2"}', "environments/d.json"),
        ("a", "+x", "environments/d.diff"),
    ]
    made, client = tracking()
    made.write_environment("a", "d", {"numpy": "2"})
    made.write_report("a", [tmp_path / "x.html"])
    assert client.names == ["log_text", "log_artifact"]
    assert client.of("log_artifact")[0] == ("a", str(tmp_path / "x.html"), "report")

"""A trial's run in MLflow says enough of the trial to train it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import UsageError
from hpsearch.ledger.records import State, curve
from hpsearch.ledger.transfer import take
from hpsearch.projections import recorded as of_runs
from hpsearch.projections.recorded import recorded
from hpsearch.projections.run_content import NUMBER, PARENT
from hpsearch.trust import environment
from tests.conftest import study
from tests.hpsearch.workspace import DIGESTS, MLFLOWS_WARNINGS, Workspace

pytestmark = MLFLOWS_WARNINGS
THERE = {"numpy": "2.4"}
DIGEST = environment.digest(THERE)


@pytest.fixture
def book(workspace: Callable[..., Workspace]) -> Workspace:
    """A study that records its steps, whose first trial completed and whose second was pruned."""
    of = workspace(study=study(training__record="step"))
    of.store.remember(THERE, DIGEST)
    steps = np.array([0.5, 0.25, np.inf])
    of.finish(of.claim(), environment=DIGEST, steps=steps)
    of.finish(of.claim(), State.PRUNED, epochs=2, environment=DIGEST, steps=steps[:2])
    of.sync()
    return of


def run_id(of: Workspace, number: int) -> str:
    """A trial's run."""
    return str(of.runs()[number].info.run_id)


@pytest.mark.parametrize("number", [0, 1])
def test_it_says_what_the_ledger_says(book: Workspace, number: int) -> None:
    """All that a training again needs, or is held against; times to the millisecond."""
    found = recorded(book.settings, run_id(book, number))
    whole = take(book.store.database, book.store.study("small"))
    (trial,) = found.trials
    expected = {**whole.trials[number], "rungs": {}, "attempts": 1}
    for key in ("started", "ended"):
        assert trial.pop(key) == pytest.approx(expected.pop(key), abs=0.0006)
    assert trial == expected
    assert found.bits == {number: whole.bits[number]}
    assert (found.definition, found.metrics) == (whole.definition, whole.metrics)
    assert found.environments == {DIGEST: THERE}
    assert (found.name, found.budget, found.data) == ("small", 6, DIGESTS)
    assert (found.ended, found.reproduced, found.openings) == (None, None, [])
    assert found.created == pytest.approx(trial_started(book, number), abs=0.0006)


def trial_started(of: Workspace, number: int) -> float:
    """By the ledger."""
    return of.trials[number].started


def test_infinities_come_back(workspace: Callable[..., Workspace]) -> None:
    """MLflow's databases hold the largest number in their place."""
    of = workspace()
    of.store.remember(THERE, DIGEST)
    rows = curve([(np.inf, 0.5, -np.inf, 0.25), (1.0, 0.5, 2.0, 0.25)])
    of.finish(of.claim(), environment=DIGEST, curve=rows, value=0.25)
    of.sync()
    (bits,) = recorded(of.settings, run_id(of, 0)).bits.values()
    assert bits.epochs == rows.tobytes()


def damaged(of: Workspace, **how: Any) -> str:
    """The first trial's run, with a tag changed or gone."""
    one = run_id(of, 0)
    for tag, value in how.items():
        tag = {"number": NUMBER, "parent": PARENT, "environment": "hpsearch.environment"}[tag]
        of.client.delete_tag(one, tag) if value is None else of.client.set_tag(one, tag, value)
    return one


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"number": "many"}, "is not the run of a trial that hpsearch wrote"),
        ({"parent": None}, "is not the run of a trial that hpsearch wrote"),
        ({"environment": None}, "does not name the trial's environment"),
        ({"environment": "../../secrets"}, "does not name the trial's environment"),
    ],
)
def test_what_is_no_trials_run(book: Workspace, how: dict[str, Any], said: str) -> None:
    """It is refused in a line that names it."""
    with pytest.raises(UsageError, match=said):
        recorded(book.settings, damaged(book, **how))


def test_a_metric_that_lacks_an_epoch(book: Workspace) -> None:
    """Somebody has logged one more point: the curve is no curve."""
    one = run_id(book, 0)
    book.client.log_metric(one, "val_loss", 0.5, step=9)
    with pytest.raises(UsageError, match="does not have the same epochs of every metric"):
        recorded(book.settings, one)


def test_a_budget_covers_the_trial(book: Workspace) -> None:
    """Also where the study was once longer than its file says now."""
    one = damaged(book, number="40")
    assert recorded(book.settings, one).budget == 41
    assert replace(recorded(book.settings, one), budget=0).trials[0]["number"] == 40


def test_an_artifact_has_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote it; and what is no text is read as far as it is one."""
    monkeypatch.setattr(of_runs, "_MOST", 9)
    file = tmp_path / "study.toml"
    file.write_bytes(b"a\xff" + b"b" * 7)
    assert of_runs._text(str(file), "MLflow run a", "study.toml") == "a\ufffd" + "b" * 7
    file.write_bytes(b"a" * 10)
    with pytest.raises(UsageError, match=r"MLflow run a: study\.toml is too large"):
        of_runs._text(str(file), "MLflow run a", "study.toml")

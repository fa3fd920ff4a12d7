"""A study with rounds has a run for each of them in MLflow, between its own and the trials'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hpsearch.ledger.records import State
from hpsearch.projections.mlflow_content import ROUND
from hpsearch.projections.round_summary import params
from hpsearch.projections.run_content import NOTE, PARENT
from hpsearch.search.known import rounds_of
from tests.conftest import study
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

pytestmark = MLFLOWS_WARNINGS
ROUNDS: dict[str, Any] = {"search__rounds": [3, 3], "search__trials": 6}


@pytest.fixture
def book(workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace with a study of two rounds of three trials."""
    return workspace(study=study(**ROUNDS))


def rounds(of: Workspace) -> dict[int, Any]:
    """The rounds' runs."""
    return {int(r.data.tags[ROUND]): r for r in of.all_runs() if ROUND in r.data.tags}


def trials(of: Workspace) -> dict[int, Any]:
    """The trials' runs."""
    its = [run for run in of.all_runs() if "hpsearch.number" in run.data.tags]
    return {int(run.data.tags["hpsearch.number"]): run for run in its}


def test_what_they_say(book: Workspace) -> None:
    """How far each is, its best trial and its ranges; trials stand below their round."""
    book.run(State.COMPLETE, State.PRUNED, State.FAIL)
    book.sync()
    known = rounds_of(book.store, book.store.study("small"))
    found = rounds(book)
    assert found.keys() == {1}  # the second is known, and has not begun
    book.run(State.COMPLETE)
    book.sync()
    found = rounds(book)
    parent = book.parent().info.run_id
    assert {run.data.tags[PARENT] for run in found.values()} == {parent}
    first, second = found[1], found[2]
    assert (first.info.run_name, second.info.run_name) == ("round 1 of 2", "round 2 of 2")
    assert (first.info.status, second.info.status) == ("FINISHED", "KILLED")
    assert {number: found[number].data.params for number in (1, 2)} == {
        one.number: params(one) for one in known
    }
    ledger = {trial.number: trial for trial in book.trials}
    value = ledger[0].value
    assert first.data.metrics == {"complete": 1, "pruned": 1, "failed": 1, "best_value": value}
    assert first.data.tags[NOTE] == (
        "3 of 3 trials finished: 1 complete, 1 pruned, 1 failed.\n\n"
        f"Best: trial 0, val_accuracy {value:.4g}."
    )
    assert second.data.tags[NOTE].startswith("1 of 3 trials finished: 1 complete, 0 pruned, ")
    assert first.info.start_time == round(ledger[0].started * 1000)
    assert first.info.end_time == round(max(ledger[n].ended or 0.0 for n in range(3)) * 1000)
    above = {number: run.data.tags[PARENT] for number, run in trials(book).items()}
    assert above == {n: found[1 if n < 3 else 2].info.run_id for n in range(4)}


def test_nothing_is_written_twice(book: Workspace) -> None:
    """A second look finds all as it should be, also once the study is done."""
    book.complete()
    book.sync()
    before = book.everything()
    book.sync()
    assert book.everything() == before
    assert {run.info.status for run in rounds(book).values()} == {"FINISHED"}


def test_less_is_better(workspace: Callable[..., Workspace]) -> None:
    """A round's best is the least of a loss."""
    of = workspace(study=study(**ROUNDS, search__metric="val_loss"))
    for value in (0.5, 0.25, 0.75):
        of.finish(of.claim(), value=value)
    of.sync()
    assert rounds(of)[1].data.metrics["best_value"] == 0.25
    assert "Best: trial 1, val_loss 0.25." in rounds(of)[1].data.tags[NOTE]


@pytest.mark.parametrize("damage", ["status", "note", "place", "deleted", "doubled", "none"])
def test_what_is_wrong_is_put_right(book: Workspace, damage: str) -> None:
    """One that says otherwise, stands elsewhere, is gone, or is of no round."""
    book.complete()
    book.sync()
    client, (first, second) = book.client, (rounds(book)[number] for number in (1, 2))
    run_id = first.info.run_id
    if damage == "status":
        client.update_run(run_id, status="RUNNING")
    elif damage == "note":
        client.set_tag(run_id, NOTE, "all is well")
    elif damage == "place":
        client.set_tag(run_id, PARENT, second.info.run_id)
    elif damage == "deleted":
        client.delete_run(run_id)
    else:
        number = {"doubled": "1", "none": "7"}[damage]
        tags = {**first.data.tags, ROUND: number}
        client.create_run(first.info.experiment_id, tags=tags)
    expected = {n: (r.info.status, r.data.tags[NOTE]) for n, r in {1: first, 2: second}.items()}
    book.sync()
    found = rounds(book)
    assert {n: (r.info.status, r.data.tags[NOTE]) for n, r in found.items()} == expected
    assert len([r for r in book.all_runs() if ROUND in r.data.tags]) == 2
    assert {r.data.tags[PARENT] for r in found.values()} == {book.parent().info.run_id}
    above = {n: run.data.tags[PARENT] for n, run in trials(book).items()}
    assert above == {n: found[1 if n < 3 else 2].info.run_id for n in range(6)}
    assert book.sync().removed == []


def test_other_ranges_are_another_round(book: Workspace) -> None:
    """Params stay for ever: a run with others is deleted, and written anew."""
    book.complete()
    book.sync()
    second = rounds(book)[2]
    client, experiment = book.client, second.info.experiment_id
    client.delete_run(second.info.run_id)
    other = client.create_run(experiment, tags=second.data.tags)
    client.log_param(other.info.run_id, "training.lr", "{}")
    assert any("it has other ranges" in line for line in book.sync().removed)
    assert rounds(book)[2].data.params == second.data.params

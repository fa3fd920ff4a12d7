"""Of several trials with the best value, the lowest validation loss names the best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.records import Curve, Fold, State
from hpsearch.ledger.store import Store
from hpsearch.report.trials import ranked, trained
from hpsearch.study.config import Study
from hpsearch.trust.contenders import to_confirm
from hpsearch.verify import ledger_reading
from hpsearch.verify.objectives import best as chosen_by_verify
from tests.conftest import study
from tests.hpsearch.command_line import Call
from tests.hpsearch.workspace import Workspace

NAN = float("nan")


def curve(*losses: float) -> Curve:
    """A curve with these validation losses."""
    rows = np.full((len(losses), 4), 0.5)
    rows[:, 2] = losses
    return rows


def filled(home: Path, of: Study, ends: Sequence[tuple[float, Curve]], **more: Any) -> Workspace:
    """A workspace with a COMPLETE trial for each value and curve."""
    home.mkdir(exist_ok=True)
    made = Workspace(home, study=of)
    for value, rows in ends:
        made.finish(made.claim(), value=value, curve=rows, **more)
    return made


def best(made: Workspace) -> int:
    """The number of the best trial, about which all agree who name one."""
    store, record = made.store, made.record
    first = store.best(record)
    assert first is not None
    again = Store(Database(made.settings.storage))  # which has read no curve yet
    assert again.ranked(record, again.trials(record.id))[0].number == first.number
    finished = trained(store, record)
    assert ranked(record.study, finished)[0].trial.number == first.number
    confirmed = to_confirm(
        record,
        store.ranked(record, store.trials(record.id, [State.COMPLETE])),
        top=1,
        seeds=2,
        resplit=False,
    )
    assert confirmed.given is not None
    assert confirmed.given.configurations[0].trial == first.number
    seen = chosen_by_verify(ledger_reading.read(store.database, record.name))
    assert seen is not None
    assert seen.number == first.number
    return first.number


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [
        ([(0.8, curve(0.1)), (0.9, curve(0.6)), (0.9, curve(0.4))], 2),
        ([(0.9, curve(0.6)), (0.9, curve(0.4)), (0.9, curve(0.4))], 1),
        ([(0.9, curve(0.1, 0.6)), (0.9, curve(0.9, 0.4))], 1),
        ([(0.9, curve(NAN)), (0.9, curve(7.0))], 1),
        ([(0.9, curve()), (0.9, curve())], 0),
        ([(0.9, curve(0.4)), (0.8, curve(0.1))], 0),
    ],
    ids=["value first", "then the number", "the last epoch", "unknown", "no epochs", "no tie"],
)
def test_the_best(ends: list[tuple[float, Curve]], wanted: int, tmp_path: Path) -> None:
    """It is by value, then by the loss after the last epoch, then by number."""
    made = filled(tmp_path / "home", study(), ends)
    assert best(made) == wanted
    values = [value for value, _ in ends]
    assert len(made.store.tied(made.record)) == values.count(max(values))


def test_patience_keeps_the_lowest_loss(tmp_path: Path) -> None:
    """It is that of the weights, not of the last epoch."""
    ends = [(0.9, curve(0.3, 0.6)), (0.9, curve(0.4, 0.4))]
    assert best(filled(tmp_path / "home", study(training__patience=1), ends)) == 0


def test_folds_have_a_mean_loss(tmp_path: Path) -> None:
    """Each fold's last epoch counts as much as it does for the value."""
    of = study(data={"dataset": "digits", "train": 40, "folds": 2})
    folds = [Fold(1, 30, 0.9), Fold(2, 10, 0.9)]
    ends = [(0.9, curve(0.4, 0.9, 0.4)), (0.9, curve(0.3, 0.1, 0.6))]
    assert best(filled(tmp_path / "home", of, ends, folds=folds)) == 1


def test_the_loss_itself_has_no_other(tmp_path: Path) -> None:
    """Where it is what is searched for, the first is the best."""
    of = study(search__metric="val_loss")
    ends = [(0.5, curve(0.5)), (0.5, curve(0.5)), (0.7, curve(0.7))]
    assert best(filled(tmp_path / "home", of, ends)) == 0


def test_it_is_said(home: Path, call: Call) -> None:
    """``best`` says why; its JSON has the keys that it always has."""
    filled(home, study(search__trials=3), [(0.9, curve(0.6)), (0.9, curve(0.4)), (0.1, curve(1))])
    said = call("best", "small").out
    assert "trial 1 of small" in said
    assert "2 trials have this value; this one has the lowest validation loss" in said
    assert call("best", "small", "--json").json["number"] == 1

"""A trial that is written to Optuna's tables is the trial that Optuna's storage writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from hpsearch.ledger.database import Database
from hpsearch.projections.optuna_tables import insert
from tests.hpsearch.projections.test_optuna_copy import opened

SPACE = {
    "lr": FloatDistribution(1e-6, 1e-2, log=True),
    "size": IntDistribution(10, 50, step=10),
    "optimizer": CategoricalDistribution(["sgd", "adam", None]),
}


def trials() -> list[FrozenTrial]:
    """One of each kind."""

    def made(state: TrialState, values: list[float] | None, **more: Any) -> FrozenTrial:
        return FrozenTrial(
            number=len(found),
            state=state,
            value=None,
            values=values,
            datetime_start=datetime(2026, 1, 2, 3, 4, 5, 678),
            datetime_complete=datetime(2026, 1, 2, 3, 4, 6),
            distributions={key: SPACE[key] for key in more.get("params", {})},
            trial_id=-1,
            **{"params": {}, "user_attrs": {}, "system_attrs": {}, "intermediate_values": {}}
            | more,
        )

    found: list[FrozenTrial] = []
    params = {"lr": 3e-4, "size": 30, "optimizer": None}
    curve = {1: 0.5, 3: float("nan"), 4: float("inf"), 5: float("-inf"), 6: 5e-324}
    found.append(made(TrialState.COMPLETE, [1.0], params=params, intermediate_values=curve))
    found.append(made(TrialState.PRUNED, None, params={"size": 10}, system_attrs={"a": [1, "é"]}))
    found.append(made(TrialState.FAIL, None, user_attrs={"reason": "crashed", "none": None}))
    found.append(made(TrialState.COMPLETE, [float("inf"), -2.5]))
    return found


def everything(storage: RDBStorage, study: int) -> dict[str, list[Any]]:
    """What the tables hold of a study's trials, by the trials' numbers instead of their ids."""
    metadata, found = sa.MetaData(), dict[str, list[Any]]()
    with storage.engine.connect() as connection:
        metadata.reflect(connection)
        trials = metadata.tables["trials"]
        mine = sa.select(trials.c.trial_id, trials.c.number).where(trials.c.study_id == study)
        numbers = {row.trial_id: row.number for row in connection.execute(mine)}
        for name, table in metadata.tables.items():
            if "trial_id" not in table.c:
                continue
            own = {"trial_id", "study_id", *(column.name for column in table.primary_key)}
            rows = connection.execute(sa.select(table)).mappings().all()
            found[name] = sorted(
                (numbers[row["trial_id"]], repr({k: v for k, v in row.items() if k not in own}))
                for row in rows
                if row["trial_id"] in numbers
            )
    return found


def new_study(storage: RDBStorage, name: str = "s") -> int:
    """An empty study with two values, of which a trial may have one."""
    return storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE] * 2, name)


def test_the_same_rows(database: Database) -> None:
    """Whichever way trials are written, the tables hold the same afterwards."""
    storage = opened(database)
    theirs, ours = new_study(storage, "theirs"), new_study(storage, "ours")
    for trial in trials():
        storage.create_new_trial(theirs, trial)
    insert(storage.engine, ours, trials()[:1])
    insert(storage.engine, ours, trials()[1:])
    wanted = everything(storage, theirs)
    assert everything(storage, ours) == wanted
    assert {name for name, rows in wanted.items() if rows} == {
        "trials",
        *(f"trial_{part}" for part in ("values", "params", "intermediate_values")),
        *(f"trial_{whose}_attributes" for whose in ("user", "system")),
    }
    assert len(wanted["trial_intermediate_values"]) == 5


def test_no_such_study(database: Database) -> None:
    """It is told, and nothing is written."""
    storage = opened(database)
    with pytest.raises(KeyError):
        insert(storage.engine, 77, trials())
    with storage.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM trials")) == 0


def test_another_was_quicker(database: Database) -> None:
    """A trial's number is its place: one that is taken is not given again."""
    storage = opened(database)
    study = new_study(storage)
    insert(storage.engine, study, trials()[:2])
    before = everything(storage, study)
    with pytest.raises(ValueError, match=str(study)):
        insert(storage.engine, study, trials()[1:])
    assert everything(storage, study) == before

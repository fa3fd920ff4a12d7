"""What does the ledger's database say? Read by plain SQL, and by none of the code that wrote it.

One transaction sees all of it: the study, its trials and curves, and Optuna's copy beside them.
What is there is taken as it is, however wrong, and ``verify`` judges; what is not even of the kind
that belongs there is an error at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from hpsearch.errors import UnknownStudyError
from hpsearch.ledger.database import Database
from hpsearch.study.config import dumps
from hpsearch.verify.kinds import COPIED, COPIED_PARAM, CURVE, STUDY, TRIAL, Kinds
from hpsearch.verify.trial_row import TrialRow, trial_row


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A row of the ledger's curves, as bytes."""

    epochs: bytes
    steps: bytes
    metrics: int
    """Numbers in a row."""
    outcomes: bytes | None = None
    """What each validation example scored."""

    @property
    def whole(self) -> bool:
        """Whether the bytes are rows of so many numbers, and a number a step."""
        return len(self.epochs) % (8 * self.metrics) == 0 and len(self.steps) % 8 == 0

    @property
    def rows(self) -> NDArray[np.float64]:
        """(epochs, metrics), of the epochs that are whole."""
        size = 8 * self.metrics
        cut = self.epochs[: len(self.epochs) // size * size]
        return np.frombuffer(cut, dtype="<f8").reshape(-1, self.metrics)

    @property
    def outcome(self) -> float | None:
        """The mean of the outcomes; NaN of bytes that are none, None where there are none."""
        if self.outcomes is None:
            return None
        kind, number = self.outcomes[:1], int.from_bytes(self.outcomes[1:5], "little")
        content = np.frombuffer(self.outcomes[5:], np.uint8)
        if kind == b"b" and number and len(content) == -(-number // 8):
            return int(np.unpackbits(content)[:number].sum()) / number
        if kind == b"f" and number and len(content) == 4 * number:
            return float(content.view("<f4").astype(np.float64).mean())
        return float("nan")

    @property
    def losses(self) -> NDArray[np.float64]:
        """(steps,), of the steps that are whole."""
        return np.frombuffer(self.steps[: len(self.steps) // 8 * 8], dtype="<f8")


@dataclass(frozen=True, slots=True)
class CopiedTrial:
    """A trial in Optuna's tables."""

    number: int
    state: str
    values: tuple[float, ...]
    """By each objective; none unless it is COMPLETE."""
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that the ledger's database says of one study."""

    name: str
    definition: Mapping[str, Any]
    """The study file as JSON."""
    metrics: tuple[str, ...]
    """The names of the curves' columns."""
    budget: int
    """How many trials it is to have, which is fewer than were asked for once it has ended."""
    next_number: int
    ended: Mapping[str, Any]
    """What ended it before: the key of ``[search]``, and how many trials there are; or nothing."""
    created: float
    mlflow_run_id: str | None
    reproduced: Mapping[str, Any]
    trials: Mapping[int, TrialRow]
    curves: Mapping[int, CurveRow]
    environments: frozenset[str]
    copy: tuple[CopiedTrial, ...] | None
    """Optuna's copy; None if there is none."""
    above: str | None = None
    """The MLflow run of the study whose configurations are given, where there is one."""

    @property
    def space(self) -> dict[str, Mapping[str, Any]]:
        """What the study leaves open, by path: tables of a range or of choices."""
        sections = ("network", "training", "params")
        found = {key: self.definition[key] for key in sections if key in self.definition}
        space = {path: entry for path, entry in _tables(found, "") if _is_open(entry)}
        epochs = self.definition.get("training", {}).get("epochs")
        if isinstance(epochs, list):  # one for each round
            space["training.epochs"] = {"choices": epochs}
        return space

    @property
    def rounds(self) -> list[int]:
        """The trials of each round; none of a study without rounds."""
        return list(self.definition["search"].get("rounds", []))

    @property
    def objective(self) -> Mapping[str, Any] | None:
        """What is trained, where that is not a network: a table with a function or a command."""
        objective: Mapping[str, Any] | None = self.definition.get("objective")
        return objective

    @property
    def trainings(self) -> int:
        """How many a trial has: one as a rule, or one for each fold or repeat."""
        data, said = self.definition.get("data", {}), self.objective
        if "folds" in data and "fold" not in data:
            return int(data["folds"])
        table = self.definition.get("training", {}) if said is None else said
        return int(table.get("repeats", 1))

    @property
    def interval(self) -> int:
        """After each so many epochs the training part is measured; 0: after the last alone."""
        said = self.definition.get("training", {}).get("measure", "every")
        return {"every": 1, "last": 0}[said] if isinstance(said, str) else int(said)

    @property
    def metric(self) -> int:
        """The column of the curves that the search looks at."""
        return self.metrics.index(self.definition["search"]["metric"])

    def setting(self, trial: TrialRow, key: str) -> Any:
        """A value of ``[training]`` that the trial was trained with; None is the default."""
        fixed = self.definition.get("training", {}).get(key)
        if isinstance(fixed, dict):  # open, and of a trial in which its condition does not hold
            fixed = None
        return (trial.params or {}).get(f"training.{key}", fixed)

    def needed(self, trial: TrialRow) -> set[str]:
        """The open places that have a value in the trial: all whose condition it meets."""
        had = {path: dumps(value) for path, value in (trial.params or {}).items()}
        return {
            path
            for path, table in self.space.items()
            if all(
                had.get(place, "") in {dumps(value) for value in values}
                for place, values in _conditions(table)
            )
        }

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        ended = [trial.finished for trial in self.trials.values()]
        return all(ended) and len(ended) >= self.budget


def _tables(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every table in a table, with its path, down to those that are a range or choices."""
    for key, entry in table.items():
        if isinstance(entry, dict):
            yield f"{prefix}{key}", entry
            if not _is_open(entry):
                yield from _tables(entry, f"{prefix}{key}.")


def _conditions(table: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """What an open place's ``when`` asks for: of each path, one of some values."""
    when = table.get("when")
    for place, values in when.items() if isinstance(when, dict) else ():
        yield place, values if isinstance(values, list) else []


def _is_open(table: Mapping[str, Any]) -> bool:
    return bool({"low", "high", "choices"} & table.keys())


def identify(database: Database, name: str) -> int:
    """The id of a study.

    Raises:
        UnknownStudyError: If there is none of that name.
        StoreError: If the database failed.
    """
    query = sa.text("SELECT id FROM hpsearch_studies WHERE name = :name")
    with database.read() as connection:
        found = connection.execute(query, {"name": name}).scalar()
    if found is None:
        raise UnknownStudyError(f"no study {name!r} in {database.where}")
    return int(found)


def read(database: Database, name: str) -> Ledger:
    """Read all of a study.

    Raises:
        UnknownStudyError: If there is none of that name.
        StoreError: If the database failed.
    """
    kinds = Kinds(database.where, name)
    with database.read() as connection:
        if database.file is None:  # SQLite's transactions see one state by themselves
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        study = connection.execute(
            sa.text(f"SELECT {', '.join(STUDY)} FROM hpsearch_studies WHERE name = :name"),
            {"name": name},
        ).first()
        if study is None:
            raise UnknownStudyError(f"no study {name!r} in {database.where}")
        mine = {"study": study.id}
        trials = connection.execute(
            sa.text(
                f"SELECT {', '.join(TRIAL)} FROM hpsearch_trials WHERE study_id = :study "
                "ORDER BY number"
            ),
            mine,
        ).all()
        curves = connection.execute(
            sa.text(f"SELECT {', '.join(CURVE)} FROM hpsearch_curves WHERE study_id = :study"),
            mine,
        ).all()
        environments = connection.execute(sa.text("SELECT digest FROM hpsearch_environments"))
        known = frozenset(environments.scalars())
        copy = _copy(connection, name, kinds)
        other = connection.execute(
            sa.text("SELECT mlflow_run_id FROM hpsearch_studies WHERE name = :name"),
            {"name": name.rpartition("/")[0]},
        ).scalar()
        now = connection.execute(sa.select(database.now)).scalar_one()
    kinds.check("hpsearch_studies", study, STUDY)
    for row in trials:
        kinds.check("hpsearch_trials", row, TRIAL)
    for row in curves:
        kinds.check("hpsearch_curves", row, CURVE)
    metrics = kinds.names("metrics", study.metrics)
    ended = kinds.table("ended", study.ended or "{}")
    at = ended.get("at")
    return Ledger(
        name=name,
        definition=kinds.definition(study.definition, metrics),
        metrics=metrics,
        budget=min(study.budget, at) if isinstance(at, int) else study.budget,
        next_number=study.next_number,
        ended=ended,
        created=study.created,
        mlflow_run_id=study.mlflow_run_id,
        reproduced=kinds.table("reproduced", study.reproduced or "{}"),
        trials={row.number: trial_row(row, now) for row in trials},
        curves={
            row.number: CurveRow(
                bytes(row.epochs),
                bytes(row.steps),
                len(metrics),
                None if row.outcomes is None else bytes(row.outcomes),
            )
            for row in curves
        },
        environments=known,
        copy=copy,
        above=other,
    )


def _copy(connection: Connection, name: str, kinds: Kinds) -> tuple[CopiedTrial, ...] | None:
    if not sa.inspect(connection).has_table("trials"):
        return None
    named = {"name": name}
    study = connection.execute(
        sa.text("SELECT study_id FROM studies WHERE study_name = :name"), named
    ).first()
    if study is None:
        return None
    rows = connection.execute(
        sa.text(
            "SELECT t.trial_id, t.number, t.state, v.value FROM trials t LEFT JOIN trial_values v "
            "ON v.trial_id = t.trial_id WHERE t.study_id = :study "
            "ORDER BY t.number, t.trial_id, v.objective"
        ),
        {"study": study.study_id},
    ).all()
    entries = connection.execute(
        sa.text(
            "SELECT p.trial_id, t.number, p.param_name, p.param_value, p.distribution_json "
            "FROM trials t JOIN trial_params p ON p.trial_id = t.trial_id "
            "WHERE t.study_id = :study"
        ),
        {"study": study.study_id},
    )
    params: dict[int, dict[str, Any]] = {row.trial_id: {} for row in rows}
    values: dict[int, list[float]] = {row.trial_id: [] for row in rows}
    for row in rows:
        kinds.check("trials", row, COPIED)
        values[row.trial_id] += [] if row.value is None else [row.value]
    for entry in entries:
        kinds.check("trial_params", entry, COPIED_PARAM)
        params[entry.trial_id][entry.param_name] = kinds.outside(entry)
    each = {row.trial_id: row for row in rows}
    return tuple(
        CopiedTrial(row.number, row.state, tuple(values[id_]), params[id_])
        for id_, row in each.items()
    )

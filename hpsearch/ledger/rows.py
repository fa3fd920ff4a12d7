"""How is a row of the ledger read into a record, and what if it is none?

Anyone with the file can write anything into it: rows are taken as the driver gives them, and each
column is looked at here, once, before anybody relies on what is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hpsearch.errors import StoreError
from hpsearch.ledger import tables
from hpsearch.ledger.columns import STUDY, TRIAL, UNFINISHED, Read, fits, json_object, show
from hpsearch.ledger.records import (
    Curve,
    Outcomes,
    State,
    Steps,
    StudyRecord,
    Trial,
    unpack,
)
from hpsearch.study.config import Study

Row: TypeAlias = "sa.Row[*tuple[Any, ...]]"
"""As the driver gives it."""


def raw(table: sa.Table, *names: str) -> list[sa.ColumnElement[Any]]:
    """Columns to select as the driver gives them, whatever was put there.

    By default all but those of bytes, which may be long.
    """
    short = [column.name for column in table.c if not isinstance(column.type, sa.LargeBinary)]
    chosen = [table.c[name] for name in names or short]
    return [sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in chosen]


def trials_of(study_id: int) -> sa.Select[Any]:
    """The trials of a study, raw."""
    return sa.select(*raw(tables.trials)).where(tables.trials.c.study_id == study_id)


def curves_of(study_id: int, what: str, numbers: Collection[int] | None = None) -> sa.Select[Any]:
    """Of a study's curves the number and, as ``data``, a column, raw and in order."""
    table = tables.curves
    number, data = raw(table, "number", what)
    query = sa.select(number, data.label("data")).where(table.c.study_id == study_id)
    if numbers is not None:
        query = query.where(table.c.number.in_(numbers))
    return query.order_by(table.c.number)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A trial that has not ended, as a claim looks at it."""

    number: int
    state: State
    seed: int
    owner: str | None
    lease_until: float | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the rows of one study.

    Args:
        where: The database, to be named in an error.
        study: The study's name, as far as it is known.
        advice: What to do about a row that is none.
    """

    where: str
    study: str
    advice: str = "another program has changed the store: restore a backup with `hpsearch restore`"

    def record(self, row: Row) -> StudyRecord:
        """A row of ``studies``.

        Raises:
            StoreError: If it is none: names the table, the study and the column.
        """
        read = self._columns(tables.studies, STUDY, row)
        study: Study = read["definition"]
        if study.name != read["name"]:
            raise self.bad(tables.studies, None, "name", f"the definition says {study.name!r}")
        digests = dict(read["data_digests"])
        return StudyRecord(
            id=read["id"],
            incarnation=read["incarnation"],
            study=study.with_trials(read["budget"]),
            metrics=read["metrics"],
            folder=read["folder"],
            created=read["created"],
            data_facts=digests.pop("facts", {}),
            data_digests=digests,
            mlflow_run_id=read["mlflow_run_id"],
            mlflow_summary=read["mlflow_summary"],
            reproduced=read["reproduced"],
            ended=read["ended"],
            openings=read["openings"],
        )

    def trial(self, row: Row, study: Study) -> Trial:
        """A row of ``trials``.

        Raises:
            StoreError: If it is none: names the table, the study, the trial and the column.
        """
        read = self._columns(tables.trials, TRIAL, row)
        number, state, params = read["number"], read["state"], read["params"]
        for path, value in params.items():
            if not fits(value, study.space.get(path)):
                shown = f"{show(path)} = {show(value)} is no value of what is searched"
                raise self.bad(tables.trials, number, "params", shown)
        for column, needed in (("value", state is State.COMPLETE), ("ended", state.finished)):
            if needed and read[column] is None:
                raise self.bad(tables.trials, number, column, f"is missing, and it is {state}")
        return Trial(
            number=number,
            state=state,
            value=read["value"],
            params=params,
            epochs=read["epochs"],
            seed=params.get("training.seed", read["seed"]),  # a study may search over seeds
            attempts=read["attempts"],
            started=read["started"],
            ended=read["ended"],
            weights_sha256=read["weights_sha256"],
            mlflow_run_id=read["mlflow_run_id"],
            reason=read["reason"],
            rungs=read["rungs"],
            environment=read["environment"],
            in_optuna=read["in_optuna"],
            in_mlflow=read["in_mlflow"],
            folds=read["folds"],
        )

    def unfinished(self, row: Row) -> Unfinished:
        """The columns of a row of ``trials`` that say who runs it.

        Raises:
            StoreError: If they do not.
        """
        return Unfinished(**self._columns(tables.trials, UNFINISHED, row))

    def column(self, table: sa.Table, column: str, row: Row) -> Any:
        """One column of a row.

        Raises:
            StoreError: If it is not what stands there.
        """
        readers = {tables.studies: STUDY, tables.trials: TRIAL}[table]
        return self._columns(table, {column: readers[column]}, row)[column]

    def curve(self, row: Row, metrics: Sequence[str]) -> Curve:
        """A trial's curve from the bytes in ``data``; None is there of a trial that has none.

        Raises:
            StoreError: If they are no rows of these metrics.
        """
        width = len(metrics)
        return self._array(tables.curves, "epochs", row, width).reshape(-1, width)

    def live(self, row: Row, metrics: Sequence[str]) -> Curve:
        """A running trial's curve so far from the bytes in ``data``.

        Raises:
            StoreError: If they are no rows of these metrics.
        """
        width = len(metrics)
        return self._array(tables.trials, "live", row, width).reshape(-1, width)

    def steps(self, row: Row) -> Steps:
        """A trial's losses by step from the bytes in ``data``.

        Raises:
            StoreError: If they are no numbers.
        """
        return self._array(tables.curves, "steps", row, 1)

    def outcomes(self, row: Row) -> Outcomes:
        """What each validation example scored, from the bytes in ``data``.

        Raises:
            StoreError: If they are none.
        """
        try:
            return unpack(row.data if isinstance(row.data, bytes) else b"")
        except ValueError:
            why = f"{show(row.data)} are no outcomes"
            raise self.bad(tables.curves, row.number, "outcomes", why) from None

    def bad(self, table: sa.Table, number: Any, column: str, why: str) -> StoreError:
        """What is to be raised of a column that does not parse."""
        trial = "" if number is None else f", trial {show(number)}"
        place = f"{table.name}, study {show(self.study, 140)}{trial}, {column}"
        return StoreError(f"{self.where}: {place}: {why}; {self.advice}")

    def _array(self, table: sa.Table, column: str, row: Row, width: int) -> NDArray[np.float64]:
        number, data = row.number, row.data
        if data is None:
            raise self.bad(table, number, column, "there is no such row")
        if not isinstance(data, bytes | memoryview) or len(data) % (8 * width):
            raise self.bad(table, number, column, f"holds no rows of {width} numbers")
        return np.frombuffer(data, dtype="<f8").astype(np.float64)

    def _columns(self, table: sa.Table, readers: Mapping[str, Read], row: Row) -> dict[str, Any]:
        found = row._mapping
        read: dict[str, Any] = {}
        for column, reader in readers.items():
            try:
                read[column] = reader(found[column])
            except ValueError as error:
                number = found.get("number") if table is tables.trials else None
                raise self.bad(table, number, column, str(error)) from None
        return read


def environment(where: str, digest: str, content: Any) -> dict[str, Any]:
    """What an environment consists of; ``content`` is None where there is no row.

    Raises:
        StoreError: If it is no table.
    """
    try:
        return json_object(content)
    except ValueError as error:
        table = tables.environments.name
        said = "there is no such row" if content is None else str(error)
        raise StoreError(f"{where}: {table}, {show(digest)}, content: {said}") from None

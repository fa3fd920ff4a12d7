"""How is a row of the ledger read into a record, and what if it is none?

Anyone with the file can write anything into it: rows are taken as the driver gives them, and each
column is looked at here, once, before anybody relies on what is in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hpsearch.errors import HpsearchError, StoreError
from hpsearch.ledger import tables
from hpsearch.ledger.records import Curve, Outcomes, State, Steps, StudyRecord, Trial, unpack
from hpsearch.study import file as study_file
from hpsearch.study.config import Choices, Range, Study

_Row: TypeAlias = "sa.Row[*tuple[Any, ...]]"
_Read: TypeAlias = Callable[[Any], Any]
"""Takes a column's content, and raises ValueError if it is not what stands there."""
_LAST = 253402214400.0
"""A time: the last day that a date can be of."""


def raw(table: sa.Table, *names: str) -> list[sa.ColumnElement[Any]]:
    """Columns (default: all) to select as the driver gives them, whatever was put there."""
    chosen = [table.c[name] for name in names] if names else list(table.c)
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
    hidden: bool
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

    def record(self, row: _Row) -> StudyRecord:
        """A row of ``studies``.

        Raises:
            StoreError: If it is none: names the table, the study and the column.
        """
        read = self._columns(tables.studies, _STUDY, row)
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
        )

    def trial(self, row: _Row, study: Study) -> Trial:
        """A row of ``trials``.

        Raises:
            StoreError: If it is none: names the table, the study, the trial and the column.
        """
        read = self._columns(tables.trials, _TRIAL, row)
        number, state, params = read["number"], read["state"], read["params"]
        for path, value in params.items():
            if not _fits(value, study.space.get(path)):
                shown = f"{_show(path)} = {_show(value)} is no value of what is searched"
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
        )

    def unfinished(self, row: _Row) -> Unfinished:
        """The columns of a row of ``trials`` that say who runs it.

        Raises:
            StoreError: If they do not.
        """
        return Unfinished(**self._columns(tables.trials, _UNFINISHED, row))

    def column(self, table: sa.Table, column: str, row: _Row) -> Any:
        """One column of a row.

        Raises:
            StoreError: If it is not what stands there.
        """
        readers = {tables.studies: _STUDY, tables.trials: _TRIAL}[table]
        return self._columns(table, {column: readers[column]}, row)[column]

    def curve(self, row: _Row, metrics: Sequence[str]) -> Curve:
        """A trial's curve from the bytes in ``data``; None is there of a trial that has none.

        Raises:
            StoreError: If they are no rows of these metrics.
        """
        width = len(metrics)
        return self._array(row.number, "epochs", row.data, width).reshape(-1, width)

    def steps(self, row: _Row) -> Steps:
        """A trial's losses by step from the bytes in ``data``.

        Raises:
            StoreError: If they are no numbers.
        """
        return self._array(row.number, "steps", row.data, 1)

    def outcomes(self, row: _Row) -> Outcomes:
        """What each validation example scored, from the bytes in ``data``.

        Raises:
            StoreError: If they are none.
        """
        try:
            return unpack(row.data if isinstance(row.data, bytes) else b"")
        except ValueError:
            why = f"{_show(row.data)} are no outcomes"
            raise self.bad(tables.curves, row.number, "outcomes", why) from None

    def bad(self, table: sa.Table, number: Any, column: str, why: str) -> StoreError:
        """What is to be raised of a column that does not parse."""
        trial = "" if number is None else f", trial {_show(number)}"
        place = f"{table.name}, study {_show(self.study, 140)}{trial}, {column}"
        return StoreError(f"{self.where}: {place}: {why}; {self.advice}")

    def _array(self, number: int, column: str, data: Any, width: int) -> NDArray[np.float64]:
        if data is None:
            raise self.bad(tables.curves, number, column, "there is no such row")
        if not isinstance(data, bytes | memoryview) or len(data) % (8 * width):
            raise self.bad(tables.curves, number, column, f"holds no rows of {width} numbers")
        return np.frombuffer(data, dtype="<f8").astype(np.float64)

    def _columns(self, table: sa.Table, readers: Mapping[str, _Read], row: _Row) -> dict[str, Any]:
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
        return _object(content)
    except ValueError as error:
        table = tables.environments.name
        said = "there is no such row" if content is None else str(error)
        raise StoreError(f"{where}: {table}, {_show(digest)}, content: {said}") from None


# -- what may stand in a column


def _whole(value: Any, low: int = 0, high: int = 2**31 - 1) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{_show(value)} is no whole number from {low} to {high}")
    return value


def _real(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise ValueError(f"{_show(value)} is no finite number")
    return value


def _time(value: Any) -> float:
    if not 0 <= _real(value) <= _LAST:
        raise ValueError(f"{_show(value)} is no time")
    return float(value)


def _text(value: Any) -> str:
    if type(value) is not str or not _decoded(value):
        raise ValueError(f"{_show(value)} is no text")
    return value


def _flag(value: Any) -> bool:
    if value not in (0, 1) or isinstance(value, float):
        raise ValueError(f"{_show(value)} is neither true nor false")
    return bool(value)


def _state(value: Any) -> State:
    if value not in list(State):
        raise ValueError(f"{_show(value)} is no state of a trial")
    return State(value)


def _object(value: Any) -> dict[str, Any]:
    try:
        found = json.loads(_text(value), parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(map(_decoded, found)):
        raise ValueError(f"{_show(value)} is no JSON object")
    return found


def _digests(value: Any) -> dict[str, Any]:
    found = _object(value)
    digests = [digest for part, digest in found.items() if part != "facts"]
    facts = found.get("facts", {})
    if not isinstance(facts, dict) or not all(isinstance(digest, str) for digest in digests):
        raise ValueError(f"{_show(value)} holds no digests of data")
    return found


def _names(value: Any) -> tuple[str, ...]:
    try:
        found = json.loads(_text(value))
    except (ValueError, RecursionError):
        found = None
    named = isinstance(found, list) and all(isinstance(name, str) for name in found)
    if not named or len(set(found)) < len(found) or not found:
        raise ValueError(f"{_show(value)} is no list of names")
    return tuple(found)


def _rungs(value: Any) -> dict[str, float]:
    found = _object(value)
    for metric in found.values():
        if isinstance(metric, bool) or not isinstance(metric, int | float):
            raise ValueError(f"{_show(value)} holds no numbers by rung")
    return found


def _reproduced(value: Any) -> dict[str, Any]:
    found = _object(value)
    if not isinstance(found.get("number"), int) or not isinstance(found.get("identical"), bool):
        raise ValueError(f"{_show(value)} is no outcome of a reproduction")
    return found


@lru_cache(maxsize=64)
def _study(value: Any) -> Study:
    try:
        return study_file.parse(_object(value))
    except HpsearchError as error:
        raise ValueError(f"is no study: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError):
        raise ValueError(f"{_show(value)} is no study") from None


def _maybe(reader: _Read, value: Any) -> Any:
    return None if value is None else reader(value)


def _fits(value: Any, open_: Range | Choices | None) -> bool:
    """Whether a param is of the kind that is searched; how far it may go, ``verify`` judges."""
    if isinstance(open_, Choices):
        return value in open_
    if open_ is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int if isinstance(open_.low, int) else int | float) and (
        abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)
    )


def _no_number(said: str) -> float:
    raise ValueError(said)


def _decoded(text: str) -> bool:
    """Whether it came out of UTF-8 whole: what did not is kept as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _show(value: Any, most: int = 60) -> str:
    text = ascii(value)
    return text if len(text) <= most else text[: most - 3] + "..."


_STUDY: Mapping[str, _Read] = {
    "id": _whole,
    "name": _text,
    "definition": _study,
    "metrics": _names,
    "folder": partial(_maybe, _text),
    "budget": partial(_whole, low=1),
    "next_number": _whole,
    "created": _time,
    "data_digests": _digests,
    "mlflow_run_id": partial(_maybe, _text),
    "mlflow_summary": partial(_maybe, _text),
    "reproduced": partial(_maybe, _reproduced),
    "incarnation": _text,
}
_TRIAL: Mapping[str, _Read] = {
    "number": _whole,
    "state": _state,
    "value": partial(_maybe, _real),
    "params": _object,
    "epochs": _whole,
    "seed": partial(_whole, high=2**63 - 1),
    "attempts": _whole,
    "crashes": _whole,
    "started": _time,
    "ended": partial(_maybe, _time),
    "weights_sha256": partial(_maybe, _text),
    "reason": partial(_maybe, _text),
    "rungs": _rungs,
    "hidden": _flag,
    "environment": partial(_maybe, _text),
    "owner": partial(_maybe, _text),
    "lease_until": partial(_maybe, _real),
    "mlflow_run_id": partial(_maybe, _text),
    "in_optuna": _flag,
    "in_mlflow": _flag,
}
_UNFINISHED = {
    name: _TRIAL[name] for name in ("number", "state", "seed", "hidden", "owner", "lease_until")
}

"""Is what stands in the ledger's columns even of the kind that belongs there?

``verify`` judges what is there, however wrong; it can only judge numbers, text and tables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeAlias

from hpsearch.errors import StoreError

_Kind: TypeAlias = tuple[type | UnionType, float, float]
"""Of a column's content: its type, and between which ends a number lies."""

_COUNT: _Kind = (int, 0, 2**31 - 1)
_MOMENT: _Kind = (float, 0, 253402214400)  # to the last day that a date can be of
_ENDED: _Kind = (float | None, 0, 253402214400)
_REAL: _Kind = (float | None, -math.inf, math.inf)
_FLAG: _Kind = (int, 0, 1)
_WORDS: _Kind = (str, 0, 0)
_NO_WORDS: _Kind = (str | None, 0, 0)
_BYTES: _Kind = (bytes | memoryview, 0, 0)
_NO_BYTES: _Kind = (bytes | memoryview | None, 0, 0)

STUDY: Mapping[str, _Kind] = {
    "id": _COUNT,
    "definition": _WORDS,
    "budget": _COUNT,
    "next_number": _COUNT,
    "created": _MOMENT,
    "metrics": _WORDS,
    "mlflow_run_id": _NO_WORDS,
    "reproduced": _NO_WORDS,
    "openings": _NO_WORDS,
    "ended": _NO_WORDS,
}
TRIAL: Mapping[str, _Kind] = {
    "number": _COUNT,
    "state": _WORDS,
    "value": _REAL,
    "params": _WORDS,
    "epochs": _COUNT,
    "seed": (int, 0, 2**63 - 1),
    "crashes": _COUNT,
    "started": _MOMENT,
    "ended": _ENDED,
    "weights_sha256": _NO_WORDS,
    "reason": _NO_WORDS,
    "rungs": _WORDS,
    "environment": _NO_WORDS,
    "hidden": _FLAG,
    "owner": _NO_WORDS,
    "lease_until": _REAL,
    "live": _NO_BYTES,
    "mlflow_run_id": _NO_WORDS,
    "in_optuna": _FLAG,
    "in_mlflow": _FLAG,
    "folds": _NO_WORDS,
}
CURVE: Mapping[str, _Kind] = {
    "number": _COUNT,
    "epochs": _BYTES,
    "steps": _BYTES,
    "outcomes": _NO_BYTES,
}
COPIED: Mapping[str, _Kind] = {
    "number": _COUNT,
    "state": _WORDS,
    "value": _REAL,
}
"""Of a trial in Optuna's tables, and of a param of one."""
COPIED_PARAM: Mapping[str, _Kind] = {
    "number": _COUNT,
    "param_name": _WORDS,
    "param_value": (float, -math.inf, math.inf),
    "distribution_json": _WORDS,
}


@dataclass(frozen=True, slots=True)
class Kinds:
    """Looks at the rows of one study.

    Args:
        where: The database.
        study: The study's name.
    """

    where: str
    study: str

    def check(self, table: str, row: Any, kinds: Mapping[str, _Kind]) -> None:
        """Look at each column of a row.

        Raises:
            StoreError: If one is of another kind: names the table, study, trial and column.
        """
        trial = f", trial {ascii(row.number)[:40]}" if "number" in kinds else ""
        for column, (kind, low, high) in kinds.items():
            content = getattr(row, column)
            beyond = isinstance(content, int | float) and (content < low or content > high)
            if not isinstance(content, kind) or beyond:
                raise self._bad(table, f"{trial}, {column}", content)

    def table(self, column: str, text: str) -> dict[str, Any]:
        """A JSON object of the study's.

        Raises:
            StoreError: If it is none.
        """
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            if isinstance(found, dict):
                return found
        raise self._bad("hpsearch_studies", f", {column}", text)

    def names(self, column: str, text: str) -> tuple[str, ...]:
        """A JSON list of names of the study's.

        Raises:
            StoreError: If it is none.
        """
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            if isinstance(found, list) and all(isinstance(name, str) for name in found):
                return tuple(found)
        raise self._bad("hpsearch_studies", f", {column}", text)

    def definition(self, text: str, metrics: tuple[str, ...]) -> dict[str, Any]:
        """The study's definition, which has at least its sections and one of the metrics.

        Raises:
            StoreError: If it has not.
        """
        found = self.table("definition", text)
        search = found.get("search")
        if not isinstance(search, dict) or search.get("metric") not in metrics:
            raise self._bad("hpsearch_studies", ", definition", text)
        return found

    def outside(self, row: Any) -> Any:
        """A param's value: Optuna keeps all as real numbers, a choice as its place in the list.

        Raises:
            StoreError: If what it keeps of the distribution says nothing of the value.
        """
        value = row.param_value
        try:
            distribution = json.loads(row.distribution_json)
            if distribution["name"] == "CategoricalDistribution":
                choices = list(distribution["attributes"]["choices"])
                return choices[int(value)] if 0 <= value < len(choices) else None
            return int(value) if distribution["name"] == "IntDistribution" else value
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
            place = f", trial {row.number}, distribution_json"
            raise self._bad("trial_params", place, row.distribution_json) from None

    def _bad(self, table: str, column: str, content: object) -> StoreError:
        place = f"{table}, study {ascii(self.study)[:140]}{column}"
        return StoreError(f"{self.where}: {place}: {ascii(content)[:60]} does not belong there")

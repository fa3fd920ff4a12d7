"""What does a projector give, and what does it take of a training that was done again?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Written:
    """What a projector wrote; false if nothing."""

    optuna: int = 0
    """Trials written to Optuna's storage."""
    mlflow: int = 0
    """Trials written to MLflow."""
    removed: list[str] = field(default_factory=list)
    """A line for each run that was deleted."""
    other: int = 0
    """Other writes: the study's own run, marks, runs begun early, weights."""

    def __bool__(self) -> bool:
        return bool(self.optuna or self.mlflow or self.removed or self.other)

    def __add__(self, more: Written) -> Written:
        return Written(
            self.optuna + more.optuna,
            self.mlflow + more.mlflow,
            self.removed + more.removed,
            self.other + more.other,
        )


class Retrained(Protocol):
    """What training a trial again gave."""

    @property
    def identical(self) -> bool: ...
    @property
    def agrees(self) -> bool: ...
    @property
    def outcome(self) -> Mapping[str, Any]: ...
    @property
    def state(self) -> Mapping[str, NDArray[Any]]: ...

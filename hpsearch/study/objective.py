"""What is a training of one's own? A Python function or a command, and what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from hpsearch.study.section import Params, Positive, Section, Seed, Span, Times
from hpsearch.study.section import seconds as in_seconds

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*(/[A-Za-z_][A-Za-z0-9_.-]*)*"
LOCAL = "__main__:"
"""What the names of functions begin with that only the process which has them can call."""
RESERVED = ("epoch", "value", "step_loss", "fold", "fold_value")
"""Names that stand beside the metrics where those are shown."""


class ObjectiveConfig(Section):
    """``[objective]``: a training of one's own, a Python function or a command."""

    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")] | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    metrics: list[Annotated[str, Field(pattern=f"^{_NAME}$", max_length=100)]]
    epochs: Positive | None = None
    files: list[str] = Field(default_factory=list)
    outputs: list[str] = Field(default_factory=list)
    timeout: Span | None = None
    tolerance: Annotated[float, Field(gt=0, lt=1)] | None = None
    allow_nan: bool = False
    repeats: Times | None = None
    """How often a trial trains, with another seed each time; None: once."""
    seed: Seed | None = None

    @property
    def seconds(self) -> float:
        """How long an attempt may take."""
        return in_seconds(self.timeout)


@dataclass(frozen=True, slots=True)
class ObjectiveTrial:
    """All that a training of one's own depends on beside its files."""

    objective: ObjectiveConfig
    """With the trial's seed in it."""
    params: Params
    """All of ``[params]``, by dotted names without ``params.`` before them."""


def nested(flat_: Mapping[str, Any]) -> dict[str, Any]:
    """Entries by dotted names, as tables in tables."""
    whole: dict[str, Any] = {}
    for name, value in flat_.items():
        *tables, key = name.split(".")
        place = whole
        for table in tables:
            place = place.setdefault(table, {})
        place[key] = value
    return whole

"""What is common to a study file's tables? Strict, frozen, and of finite numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Value = bool | int | float | str | list[int]
Params = Mapping[str, Value]
"""Values of a trial's open places, keyed by path such as ``training.lr``."""

Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Times = Annotated[int, Field(ge=1, le=100)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Span = Annotated[str, Field(pattern=r"^\d{1,6}(\.\d+)?[smhd]$")]
"""A time, such as ``90s``, ``30m``, ``2h``."""
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def seconds(span: str | float | None) -> float:
    """A time in seconds, of a ``Span`` or a number of them; infinite where there is none."""
    if span is None:
        return math.inf
    return float(span[:-1]) * _SECONDS[span[-1]] if isinstance(span, str) else float(span)


def plain(model: Section) -> dict[str, Any]:
    """The section's table, without what is not set and lists or tables that hold nothing."""
    table = model.model_dump(exclude_none=True)
    return {key: value for key, value in table.items() if value not in ([], {}) or key == "hidden"}

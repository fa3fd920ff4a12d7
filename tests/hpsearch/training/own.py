"""A training of one's own, tried without a store: one trial, straight to its result."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from hpsearch.ledger.leases import Claim
from hpsearch.ledger.records import Result
from hpsearch.search.history import History
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Study
from hpsearch.training.make import trainer
from hpsearch.training.seam import Training
from hpsearch.work.worker import evaluate

FUNCTION: Mapping[str, Any] = {"function": "mine:train", "metrics": ["loss"]}
COMMAND: Mapping[str, Any] = {"command": [sys.executable, "mine.py"], "metrics": ["loss"]}


def objective(
    base: Mapping[str, Any], params: Mapping[str, Any] | None = None, **changes: Any
) -> Study:
    """A study of one trial."""
    search = {"trials": 1, "direction": "minimize", **changes.pop("search", {})}
    table = {"name": "own", "objective": {**base, **changes}, "search": search}
    return study_file.parse({**table, "params": params or {}})


def begun(study: Study, folder: Path, source: str, params: Params | None = None) -> Training:
    """The training of trial 3, with seed 7; ``source`` is ``mine.py``."""
    (folder / "mine.py").write_text(source)
    return trainer(study, folder, folder).train(study.resolve(params or {}, 7), 3)


def rows(training: Training) -> list[list[float]]:
    """All of its epochs."""
    with closing(training):
        return [list(row) for row in training]


def ended(study: Study, folder: Path, source: str, params: Params | None = None) -> Result:
    """How trial 3 ends."""
    (folder / "mine.py").write_text(source)
    trains = trainer(study, folder, folder)
    result = evaluate(study, History(study), Claim(3, 7), params or {}, trains)
    assert result is not None
    return result

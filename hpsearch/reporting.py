"""How does a command's script report an epoch? By a line in the file that it was told of."""

from __future__ import annotations

import json
import os


def log(**metrics: float) -> None:
    """Report the metrics after an epoch, by name.

    Does nothing unless the script was started by a study, so that it runs the same without one.

    >>> log(val_loss=0.31, val_accuracy=0.9)
    """
    report = os.environ.get("HPSEARCH_REPORT")
    if not report:
        return
    line = json.dumps({name: _plain(value) for name, value in metrics.items()}) + "\n"
    with open(report, "a", encoding="utf-8") as file:
        file.write(line)


def _plain(value: object) -> object:
    """A number as JSON takes it, also one of NumPy's or PyTorch's."""
    if isinstance(value, bool | int | float | str):
        return value
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return repr(value)

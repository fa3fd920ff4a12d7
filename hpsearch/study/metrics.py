"""What does a network's training report after each epoch, and of the sealed part?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf

NETWORK_METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
REGRESSION_METRICS = ("train_loss", "train_r2", "val_loss", "val_r2")
ASKED = {"f1": ("train_f1", "val_f1"), "parameters": ("parameters",)}
"""What ``report`` adds to these, in this order."""
TEST_METRICS = {
    "classification": ("test_loss", "test_accuracy"),
    "regression": ("test_loss", "test_r2"),
}
"""What is reported, once, of the sealed part."""
_BOUNDS = {"loss": (0.0, inf), "accuracy": (0.0, 1.0), "f1": (0.0, 1.0), "r2": (-inf, 1.0)}


def bounds(metric: str) -> tuple[float, float]:
    """Between which values a metric of a network lies, whatever part it is of."""
    return _BOUNDS.get(metric.partition("_")[2], (-inf, inf))


def network_metrics(task: str, report: Collection[str]) -> tuple[str, ...]:
    """The metrics of the training and the validation part, in the order of a curve's columns."""
    more = [name for asked, names in ASKED.items() if asked in report for name in names]
    return (REGRESSION_METRICS if task == "regression" else NETWORK_METRICS) + tuple(more)


def sealed_metrics(task: str, report: Collection[str]) -> tuple[str, ...]:
    """Those of the sealed part, which has no other part beside it."""
    return TEST_METRICS[task] + (("test_f1",) if "f1" in report else ())


def of_train(metrics: Sequence[str]) -> tuple[str, ...]:
    """Those of the training part."""
    return tuple(name for name in metrics if name.startswith("train_"))

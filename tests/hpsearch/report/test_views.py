"""What is said beside the best value."""

from __future__ import annotations

import pytest

from hpsearch.ledger.records import Counts
from hpsearch.report.views import caution, chance
from tests.conftest import study


def counts(complete: int, pruned: int = 0) -> Counts:
    """A study that is done."""
    return Counts(
        budget=complete + pruned,
        complete=complete,
        pruned=pruned,
        failed=0,
        running=0,
        waiting=0,
        unprojected=0,
    )


@pytest.mark.parametrize(
    ("metric", "complete", "pruned", "said"),
    [
        (
            "val_accuracy",
            6,
            0,
            "the best of 6 on 30 validation examples is optimistic: expect no more",
        ),
        (
            "val_accuracy",
            2,
            4,
            "the best of 6 on 30 validation examples is optimistic: expect no more",
        ),
        (
            "val_accuracy",
            1,
            1,
            "the best of 2 on 30 validation examples is optimistic: expect no more",
        ),
        ("val_loss", 6, 0, "the best of 6 on 30 validation examples is optimistic: expect no less"),
    ],
)
def test_caution(metric: str, complete: int, pruned: int, said: str) -> None:
    """The best of several trials is optimistic, in the direction of the metric."""
    of = study(search__metric=metric)
    assert f"{said} on other examples" == caution(of, counts(complete, pruned), 30)
    assert "on 4,000 validation examples" in caution(study(), counts(6), 4000)


@pytest.mark.parametrize(
    ("metric", "complete"), [("val_accuracy", 1), ("train_accuracy", 6), ("train_loss", 6)]
)
def test_no_caution(metric: str, complete: int) -> None:
    """One trial alone was not chosen, and a training metric promises nothing."""
    assert caution(study(search__metric=metric), counts(complete), 30) == ""


def test_nothing_is_certain() -> None:
    """A probability that was counted over draws is neither 0 nor 1."""
    shown = {0.0: "<0.01", 0.004: "<0.01", 0.25: "0.25", 0.994: "0.99", 1.0: ">0.99"}
    assert list(map(chance, shown)) == list(shown.values())

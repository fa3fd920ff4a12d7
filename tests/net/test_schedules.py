"""The factors on the learning rate."""

import pytest

import net


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1, 1, 1, 1, 1]),
        ("step", [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        ("cosine", [1, 0.96194, 0.85355, 0.69134, 0.5, 0.30866, 0.14645, 0.03806]),
    ],
)
def test_factors(schedule: str, expected: list[float]) -> None:
    """Each schedule's factors over a training of eight steps."""
    factors = [net.learning_rate_factor(schedule, step, 8) for step in range(8)]
    assert factors == pytest.approx(expected, abs=1e-5)


def test_warmup_climbs_and_the_schedule_takes_the_rest() -> None:
    """Three steps climb in quarters to 1, from where the schedule begins."""
    factors = [net.learning_rate_factor("step", step, 7, warmup=3) for step in range(7)]
    assert factors == [0.25, 0.5, 0.75, 1, 1, 0.1, 0.01]


def test_warmup_of_the_whole_training() -> None:
    """A warm-up as long as the training, or longer, leaves nothing to the schedule."""
    factors = [net.learning_rate_factor("cosine", step, 2, warmup=3) for step in range(2)]
    assert factors == [0.25, 0.5]

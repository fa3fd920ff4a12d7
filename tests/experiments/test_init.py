"""Figure 6-15: whether a network learns at all depends on how its weights begin."""

from __future__ import annotations

from tests.experiments.study_files import seeds, trained


@seeds(2)
def test_std_001_does_not_learn_where_he_does(seed: int) -> None:
    """After 2,000 iterations the one still guesses, and the other knows its examples."""
    small, he = trained("init", seed, init=0.01), trained("init", seed, init="he")
    assert [len(small.steps), len(he.steps)] == [2000, 2000]
    assert small.steps[-100:].mean() > 2.29  # ln 10 = 2.303 is guessing
    assert small.last("train_accuracy") < 0.2
    assert he.steps[-100:].mean() < 0.3
    assert he.last("train_accuracy") > 0.95


def test_he_is_ahead_of_xavier_with_relu() -> None:
    """Xavier's weights learn as well, and more slowly."""
    xavier, he = trained("init", 0, init="xavier"), trained("init", 0, init="he")
    assert he.steps[-100:].mean() < xavier.steps[-100:].mean() < 0.5

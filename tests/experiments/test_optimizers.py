"""Figure 6-9: Momentum, AdaGrad and Adam learn faster than SGD."""

from __future__ import annotations

from tests.experiments.study_files import all_trained, seeds


@seeds(2)
def test_all_are_ahead_of_sgd_after_2000_iterations(seed: int) -> None:
    """The loss over the last hundred mini-batches, of networks that began alike."""
    trials = all_trained("optimizers", seed)
    assert [len(trial.steps) for trial in trials] == [2000] * 4
    losses = {t.params["training.optimizer"]: t.steps[-100:].mean() for t in trials}
    assert {"sgd", "momentum", "adagrad", "adam"} == losses.keys()
    sgd = losses.pop("sgd")
    assert sgd < 0.5, "SGD learns, too"
    assert {name: loss for name, loss in losses.items() if not loss < sgd / 5} == {}

"""Figure 6-24: a random search tells which learning rates are worth a closer look (6.5.2)."""

from __future__ import annotations

from hpsearch.search.seeds import training_seed
from hpsearch.study import file as study_file
from tests.experiments.study_files import STUDIES, points, seeds, train


@seeds(2)
def test_what_learns_has_a_rate_above_a_thousandth(seed: int) -> None:
    """The range is four powers of ten; of 30 trials only some of the highest one learn at all."""
    overrides = [f"search.seed={seed}", "search.trials=30"]
    study = study_file.load(STUDIES / "book.toml", overrides)
    trials = [
        train(study, params, training_seed(study, number))
        for number, params in enumerate(points(study))
    ]
    assert [len(trial.curve) for trial in trials] == [50] * 30
    rates = [float(trial.params["training.lr"]) for trial in trials]
    assert sum(rate < 1e-3 for rate in rates) > 15, "most of those tried are lower"
    learned = [t for t in trials if t.last("val_accuracy") >= 0.3]  # three times guessing
    assert learned
    assert [t.params for t in learned if not t.params["training.lr"] > 1e-3] == []

"""Which configuration, or which networks, are scored on the test part, and what did that show?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import UsageError
from hpsearch.ledger.records import Opened, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study.config import Study
from hpsearch.study.given import Configuration, GivenConfig
from hpsearch.training.scores import score
from hpsearch.trust.confirming import compared
from hpsearch.trust.contenders import baseline, given
from hpsearch.trust.refit import Refit, chosen
from hpsearch.trust.selection import Estimate

if TYPE_CHECKING:
    from hpsearch.data.splits import Split
    from hpsearch.training.predictor import Predictor

_RESAMPLES = 1000


def to_test(store: Store, record: StudyRecord, *, seeds: int, opening: int) -> Study:
    """The study whose trials are scored on another one's test part.

    The chosen configuration is the confirmed winner, and without a confirmation that of the best
    trial. The baseline stands beside it.

    Args:
        store: The ledger.
        record: The other study.
        seeds: With how many new seeds each is trained.
        opening: How often the test part was opened, this time included.

    Raises:
        UsageError: If there is no test part, or nothing to be scored on it.
    """
    study = record.study
    if study.data is None:
        raise UsageError(
            f"{study.name!r} is a training of your own: its data is its own affair, and hpsearch "
            f"has set no test part aside"
        )
    if study.data.test == 0:
        raise UsageError(f"{study.name!r} has no test part: its study file says data.test = 0")
    own, (first,) = baseline(study), chosen(store, record, 1)
    both = [first] if first.values == own else [first, Configuration(values=own)]
    return given(
        study,
        GivenConfig(
            study=study.name,
            part="test",
            opening=opening,
            configurations=both,
            seeds=[seed(study, number, Purpose.TEST) for number in range(seeds)],
        ),
    )


def opened(store: Store, record: StudyRecord, own: StudyRecord) -> Opened:
    """What an opening showed, from its trials, all of which have ended.

    Args:
        store: The ledger.
        record: The study whose test part it is.
        own: The one whose trials were scored on it.
    """
    assert own.study.given is not None
    contenders, found = compared(own, store.trials(own.id), store.outcomes(own.id))
    chosen = contenders[0]
    estimate = chosen.estimate if chosen.out is None else None
    other = contenders[1] if len(contenders) > 1 else None
    both = found is not None and other is not None and (chosen.out, other.out) == (None, None)
    return Opened(
        metric=own.study.search.metric,
        trial=chosen.trial,
        value=None if estimate is None else estimate.value,
        low=None if estimate is None else estimate.low,
        high=None if estimate is None else estimate.high,
        baseline=None if other is None or other.estimate is None else other.estimate.value,
        better=chosen.best if both else None,
        seeds=len(own.study.given.seeds),
        examples=int(record.data_facts.get("sizes", {}).get("test", 0)),
        trained=_trained(record, own.study),
        out=chosen.out,
    )


def opened_with(record: StudyRecord, refit: Refit, predictor: Predictor, test: Split) -> Opened:
    """What an opening shows that scores the networks of a refit, as they are served.

    Nothing is trained for it, and no other seed is asked: the interval is that of the examples.

    Args:
        record: The study whose test part it is.
        refit: Its refit.
        predictor: The networks.
        test: The test part.
    """
    metric = refit.record.study.search.metric.partition("_")[2]
    estimate = _scored(predictor.outputs(test.x), test.y, metric)
    return Opened(
        metric=f"test_{metric}",
        trial=refit.configurations[0].trial,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        baseline=None,
        better=None,
        seeds=1,
        examples=len(test.y),
        trained=_trained(record, refit.record.study),
        out=None,
        networks=len(refit.trials),
    )


def _scored(outputs: NDArray[Any], targets: NDArray[Any], metric: str) -> Estimate:
    """A score with the 95 % percentile interval of draws of the examples.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. The draws have a
    seed of their own: the same outputs give the same interval.
    """
    rng, size = np.random.default_rng(0), len(targets)
    drawn = []
    for _ in range(_RESAMPLES):
        rows = rng.integers(0, size, size)
        drawn.append(score(outputs[rows], targets[rows], metric))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(score(outputs, targets, metric), float(low), float(high))


def _trained(record: StudyRecord, own: Study) -> int:
    """On how many examples trainings are trained that see all but the test part."""
    assert own.given is not None
    patient = any("training.patience" in one.values for one in own.given.configurations)
    patient |= own.fixed["training"].get("patience") is not None
    sizes = record.data_facts.get("sizes", {})
    return int(sizes.get("train", 0)) + (0 if patient else int(sizes.get("validation", 0)))

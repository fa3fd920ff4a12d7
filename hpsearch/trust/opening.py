"""Which configuration is scored on the test part, and what did that show?"""

from __future__ import annotations

from hpsearch.errors import UsageError
from hpsearch.ledger.records import Opened, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.search.seeds import Purpose, seed
from hpsearch.study.config import Study
from hpsearch.study.given import Configuration, GivenConfig
from hpsearch.trust.confirming import compared, confirmation
from hpsearch.trust.contenders import baseline, given, values_of


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
    own, found, best = baseline(study), confirmation(store, record), store.best(record)
    if found is not None:
        chosen = Configuration(trial=found.winner.trial, values=dict(found.winner.values))
    elif best is not None:
        chosen = Configuration(trial=best.number, values=values_of(best.params))
    else:
        raise UsageError(f"{study.name!r} has no COMPLETE trial")
    both = [chosen] if chosen.values == own else [chosen, Configuration(values=own)]
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
    sizes = record.data_facts.get("sizes", {})
    patient = any("training.patience" in one.values for one in own.study.given.configurations)
    patient |= own.study.fixed["training"].get("patience") is not None
    return Opened(
        metric=own.study.search.metric,
        trial=chosen.trial,
        value=None if estimate is None else estimate.value,
        low=None if estimate is None else estimate.low,
        high=None if estimate is None else estimate.high,
        baseline=None if other is None or other.estimate is None else other.estimate.value,
        better=chosen.best if both else None,
        seeds=len(own.study.given.seeds),
        examples=int(sizes.get("test", 0)),
        trained=int(sizes.get("train", 0)) + (0 if patient else int(sizes.get("validation", 0))),
        out=chosen.out,
    )

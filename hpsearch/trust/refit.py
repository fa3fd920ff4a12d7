"""What is made of a search that has ended? Its best, trained on all that the search has seen.

A refit is a study of its own, ``NAME/refit``: its trials are the chosen configurations, trained on
the training and the validation part together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpsearch.errors import NotComparableError, UsageError
from hpsearch.ledger.records import State, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.search.seeds import Purpose, seed
from hpsearch.settings import Settings, program
from hpsearch.study.config import Study, TrialConfig
from hpsearch.study.given import Configuration, GivenConfig
from hpsearch.text import word
from hpsearch.trust.confirming import confirmation, find, require_ended
from hpsearch.trust.contenders import best, given
from hpsearch.trust.reproduce import confirm

if TYPE_CHECKING:
    from hpsearch.training.predictor import Predictor
    from hpsearch.training.seam import Trainer


@dataclass(frozen=True, slots=True)
class Refit:
    """A refit that has ended."""

    record: StudyRecord
    """The refit, as a study."""
    trials: Sequence[Trial]
    """Those that were trained to their end, one network each."""

    @property
    def configurations(self) -> list[Configuration]:
        """The configuration of each of these trials."""
        own = self.record.study.given
        assert own is not None
        return [own.configurations[trial.number] for trial in self.trials]


def chosen(store: Store, record: StudyRecord, many: int) -> list[Configuration]:
    """The configurations that a search ends with, the best first; fewer if there are no more.

    Where a confirmation has ended, they are those that it trained with all seeds, by what is to be
    expected of them, with its winner first; without one they are the best trials'.

    Raises:
        UsageError: If there is none, or a confirmation has begun and not ended.
    """
    require_ended(store, record, "confirm")
    found = confirmation(store, record)
    if found is None:
        complete = store.ranked(record, store.trials(record.id, [State.COMPLETE]))
        if not complete:
            raise UsageError(f"{record.name!r} has no COMPLETE trial")
        return best(complete, many)
    sign = -1 if record.study.search.direction == "maximize" else 1
    whole = [one for one in found.contenders if one.out is None and one.estimate is not None]
    whole.sort(
        key=lambda one: (
            one is not found.winner,
            sign * (one.estimate.value if one.estimate else 0),
        )
    )
    return [Configuration(trial=one.trial, values=dict(one.values)) for one in whole[:many]]


def to_refit(store: Store, record: StudyRecord, networks: int) -> Study:
    """The study that trains what another one has chosen on all that it has seen.

    Args:
        store: The ledger.
        record: The other study.
        networks: How many of its best configurations.

    Raises:
        UsageError: If it has fewer, or trains something of its own.
    """
    study = record.study
    if study.data is None:
        raise UsageError(
            f"{study.name!r} is a training of your own: its data is its own affair, and hpsearch "
            f"cannot train it on more"
        )
    configurations = chosen(store, record, networks)
    if len(configurations) < networks:
        whose = repr(study.name)
        if confirmation(store, record) is not None:
            whose = f"the confirmation of {whose}"
        raise UsageError(
            f"{whose} has only {len(configurations)} different configurations that were "
            f"trained to their end; use --ensemble {len(configurations)}"
        )
    return given(
        study,
        GivenConfig(
            study=study.name,
            part="both",
            configurations=configurations,
            seeds=[seed(study, number, Purpose.REFIT) for number in range(networks)],
        ),
    )


def asked(store: Store, record: StudyRecord, networks: int | None) -> Study:
    """The refit that is asked for; one that is in the store already is gone on with.

    Args:
        store: The ledger.
        record: The study.
        networks: How many; None for one, or for as many as the refit in the store has.

    Raises:
        UsageError: If the store has another refit, or this one cannot be.
    """
    stored = find(store, f"{record.name}/refit")
    if stored is not None and _goes_on(store, stored, networks):
        return stored.study
    definition = to_refit(store, record, networks or 1)
    if stored is None or stored.study.given == definition.given:
        return definition
    assert stored.study.given is not None
    raise UsageError(
        f"{stored.name!r} is in the store with {len(stored.study.given.configurations)} "
        f"configurations of before; leave --ensemble out, or delete it first: "
        f"{program()} delete {word(stored.name)}"
    )


def _goes_on(store: Store, stored: StudyRecord, networks: int | None) -> bool:
    """Whether the refit in the store is the one that is asked for, whatever was confirmed since."""
    given = stored.study.given
    assert given is not None
    many = len(given.configurations)
    return networks is None or (networks == many and not store.counts(stored.id).done)


def refitted(store: Store, record: StudyRecord) -> Refit | None:
    """A study's refit; None as long as there is none that has ended with a network."""
    own = find(store, f"{record.name}/refit")
    if own is None or not store.counts(own.id).done:
        return None
    trials = store.trials(own.id, [State.COMPLETE])
    return Refit(own, trials) if trials else None


def predictor(store: Store, refit: Refit, trainer: Trainer, places: Settings) -> Predictor:
    """The networks of a refit: trained again, with the recorded weights, unless they are kept.

    Raises:
        NotComparableError: If a network has other weights now, or this environment rounds
            otherwise than the recorded one.
    """
    from hpsearch.training.network import shape_of
    from hpsearch.training.predictor import Predictor, trained
    from hpsearch.training.whole import WholeTrainer

    assert isinstance(trainer, WholeTrainer)
    shapes, networks = [], []
    for trial in refit.trials:
        again = confirm(store, refit.record, trial, trainer, places)
        if not again.identical:
            raise NotComparableError(
                f"trial {trial.number} of {refit.record.name} did not reproduce: "
                f"{again.first_difference}"
            )
        config = refit.record.study.resolve(trial.params, trial.seed)
        assert isinstance(config, TrialConfig)
        shapes.append(shape_of(config, trainer.parts))
        networks.append(trained(shapes[-1], again.state))
    return Predictor(shapes, networks, trainer.parts.preparation)

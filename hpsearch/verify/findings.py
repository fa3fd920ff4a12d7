"""Do the stores keep their promises?

``look`` reads the ledger and MLflow, ``ledger_invariants`` and ``tracking_invariants`` say what has
to hold; none of them goes through the code that wrote the stores.

While a worker holds a trial or projections are being written, they may lag behind: what is not
written yet is then no violation, and neither is a trial whose worker is gone, for the next one
takes it over. When nobody is at work both are, until ``hpsearch run`` or ``hpsearch sync`` has put
them right. What is no fault and still worth knowing is a note: trials that were given up as lost, a
study that MLflow was left out of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from hpsearch.errors import HpsearchError
from hpsearch.ledger.records import State
from hpsearch.trust.reproduce import Reproduction
from hpsearch.verify import ledger_invariants, tracking_invariants
from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.look import Look
from hpsearch.verify.objectives import best


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that is not kept."""

    invariant: str
    """Which: a key of one of the two ``INVARIANTS``, or ``reproduction``."""
    detail: str
    """Where, on one line."""


@dataclass(slots=True)
class Findings:
    """What a look at the stores showed."""

    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is no fault, and worth knowing."""
    checked: list[str] = field(default_factory=list)
    """The names of the invariants that were checked."""
    uncompared: int = 0
    """Trials whose second training says nothing here."""

    @property
    def ok(self) -> bool:
        """Whether every promise is kept."""
        return not self.violations


def judge(seen: Look, *, tracking: bool = True, copies: bool = True) -> Findings:
    """Check every invariant.

    Args:
        seen: Both stores.
        tracking: Whether those of MLflow are among them.
        copies: Whether that of Optuna's copy is among them.
    """
    findings = Findings(notes=list(_notes(seen)))
    chosen = dict(ledger_invariants.INVARIANTS)
    if not copies:
        del chosen["optuna"]
    if tracking and seen.left_out:
        findings.notes.append("MLflow has no runs of this study; `hpsearch sync` writes them")
    elif tracking:
        chosen |= tracking_invariants.INVARIANTS
    findings.checked = list(chosen)
    for invariant, check in chosen.items():
        findings.violations += [Violation(invariant, detail) for detail in check(seen)]
    return findings


def trainable(ledger: Ledger) -> list[int]:
    """The numbers of the trials that can be trained again."""
    trained = [t for t in ledger.trials.values() if t.state in (State.COMPLETE, State.PRUNED)]
    return sorted(t.number for t in trained if t.number in ledger.curves and t.reason != "race")


def some(ledger: Ledger, count: int) -> list[int]:
    """Random ones of them, the same every time; all there are if there are fewer."""
    rng = np.random.default_rng(ledger.definition["search"]["seed"])
    drawn: list[int] = rng.permutation(trainable(ledger))[:count].tolist()
    return sorted(drawn)


def train_again(numbers: Iterable[int], train: Callable[[int], Reproduction]) -> Findings:
    """Train trials again, and compare.

    Args:
        numbers: Which.
        train: Trains a trial again, by its number.
    """
    findings = Findings()
    for number in numbers:
        try:
            outcome = train(number)
        except HpsearchError as error:
            findings.notes.append(f"trial {number} cannot be compared here: {error}")
            findings.uncompared += 1
            continue
        if outcome.agrees:
            how = "identical" if outcome.identical else "within the tolerance"
            findings.notes.append(f"trial {number}, trained again: {how}")
        elif outcome.rounds_alike:
            detail = f"trial {number}, trained again: {outcome.first_difference}"
            findings.violations.append(Violation("reproduction", detail))
        else:
            here = "; ".join(outcome.environment_differences)
            findings.notes.append(f"trial {number} cannot be compared here: {here}")
            findings.uncompared += 1
    return findings


def _notes(seen: Look) -> Iterator[str]:
    for trial in seen.ledger.trials.values():
        said = f"trial {trial.number}"
        if trial.state == State.FAIL and trial.reason == "lost":
            yield f"{said} was given up as lost, after {trial.crashes} crashes of its worker"
        if seen.live and trial.state == State.RUNNING and trial.number not in seen.held:
            yield f"{said} lost its worker; another worker will run it again"
    if seen.live:
        yield "the study is running; trials that are not in MLflow yet are not violations"
    chosen = best(seen.ledger) if "given" not in seen.ledger.definition else None
    if seen.ledger.done and chosen and seen.reproduced is None and not seen.live:
        yield "the best trial has not been reproduced yet; `hpsearch sync` reproduces it"
    if seen.reproduced is False:
        yield "the best trial did not reproduce; for details, run `hpsearch reproduce`"

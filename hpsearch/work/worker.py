"""What does a worker do? Claim a trial, train it, enter how it ended; until nothing is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TypeVar

import numpy as np

from hpsearch.errors import HpsearchError, StoreAwayError, StoreError
from hpsearch.ledger.leases import LEASE, Claim, Idle, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import CONTINUES, Fold, Outcomes, Result, State, StudyRecord, curve
from hpsearch.ledger.store import Store
from hpsearch.seams import seam
from hpsearch.search import ends, race
from hpsearch.search.history import History, sees
from hpsearch.search.promotion import seed_of
from hpsearch.search.pruning import pruning
from hpsearch.search.rounds import Rounds
from hpsearch.search.rungs import measured
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import require, suggest
from hpsearch.study.config import Params, Study
from hpsearch.threads import begin
from hpsearch.training.seam import Row, Trainer, Training, TrainingFailed
from hpsearch.trust import compute, environment
from hpsearch.work import limits as limits_
from hpsearch.work.limits import Limits
from hpsearch.work.shelf import Shelf

OUTAGE = 300.0
"""Seconds that a store may be away before its workers give up."""
_AT_ONCE = 500  # trials that are read at once, so that joining a long study takes little memory
_LONGEST_PAUSE = 2.0  # seconds between two tries to reach it
SOON, OFTEN = 1.0, 2.0  # seconds to a lease's first renewal, and between two, at most
_SHOWN = 10_000  # epochs that a running trial shows, at most
SHORTEST_WAIT, LONGEST_WAIT = 0.01, 0.25  # seconds between two looks when there is nothing to do

_Outcome = TypeVar("_Outcome")


class Worker:
    """One worker of one study, in this process.

    Args:
        store: The ledger.
        record: The study.
        trainer: What trains its trials.
        owner: Under which name leases are held.
        shelf: Where paused trainings are kept; without it they are trained again.
    """

    def __init__(
        self,
        store: Store,
        record: StudyRecord,
        trainer: Trainer,
        owner: Owner,
        shelf: Shelf | None = None,
    ) -> None:
        self._store = store
        self._study_id = record.id
        self._study = record.study
        self._trainer = trainer
        self._shelf = shelf if record.study.search.pauses else None
        self._rounds = Rounds(record.study)
        self._sees = sees(record.study)
        self._known = -1  # the history reaches to this number
        self._leases = Leases(
            store.database,
            record,
            lag=self._sees,
            exact=record.study.tolerance is None,
            seed=lambda number: training_seed(record.study, number),
            ends=ends.verdict,
            owner=owner,
            lease=LEASE,
        )

    def run(self, stop: threading.Event, limits: Limits = limits_.NONE) -> None:
        """Work until there is nothing left to do, a limit is reached, or ``stop`` is set.

        Raises:
            HpsearchError: If memory or disk failed, and the running trial was handed back; or the
                store, and then it is free as soon as this process and its launcher have ended.
        """
        with environment.single_thread():
            here = environment.current()
            compute.refuse_other(self._study, here)
            require(self._study)
            digest = environment.digest(here)
            shelf = None if self._shelf is None else self._shelf.of(digest)
            patiently(stop, lambda: self._store.remember(here, digest))
            wait = SHORTEST_WAIT
            begun = busy = time.monotonic()
            ran = 0
            while not stop.is_set() and not limits.reached(ran, time.monotonic() - begun):
                claim = patiently(stop, self._leases.claim)
                if claim in (Idle.DONE, Idle.STOPPED):
                    return
                if isinstance(claim, Claim):
                    self._run(claim, digest, stop, shelf)
                    ran, busy, wait = ran + 1, time.monotonic(), SHORTEST_WAIT
                elif limits.waited(time.monotonic() - busy):
                    return
                else:
                    stop.wait(wait)
                    wait = min(2 * wait, LONGEST_WAIT)

    def _run(
        self, claim: Claim, environment_digest: str, stop: threading.Event, shelf: Shelf | None
    ) -> None:
        number, leases = claim.number, self._leases
        rows: list[Row] = []
        seam("claimed")
        try:
            with _renewed(leases, number, rows) as held:
                study, history = patiently(stop, lambda: self._at(number))
                params = suggest(study, history, number)
                claim = Claim(number, seed_of(study, history, number))
                patiently(stop, lambda: leases.show(number, params, claim.seed))
                seam("shown")
                result = evaluate(
                    study,
                    history,
                    claim,
                    params,
                    self._trainer,
                    lambda: stop.is_set() or not held.is_set(),
                    rows,
                    shelf,
                )
            if result is None:
                leases.hand_back(number)
                return
            seam("trained")
            patiently(stop, lambda: leases.finish(number, result, environment_digest))
            seam("finished")
            if shelf is not None and CONTINUES in result.rungs:
                shelf.clear(int(result.rungs[CONTINUES]))
        except KeyboardInterrupt:  # in a notebook's process, say; a worker's own hears of none
            with suppress(HpsearchError):
                leases.hand_back(number)
            raise
        except (MemoryError, OSError) as error:
            with suppress(HpsearchError):
                leases.hand_back(number)
            raise HpsearchError(
                f"trial {number}: {type(error).__name__}: {error}; nothing is lost: free some "
                f"space, then run the same command again"
            ) from error

    def _at(self, number: int) -> tuple[Study, History]:
        """What a trial's round searches, and what the trial may look at."""
        if self._sees is not None:
            last = self._sees(number)
            while self._known < last:
                up_to = min(self._known + _AT_ONCE, last)
                self._rounds.add(self._store.history(self._study_id, self._known, up_to))
                self._known = up_to
        return self._rounds.at(number)


def patiently(stop: threading.Event, step: Callable[[], _Outcome]) -> _Outcome:
    """Take a step with the store, again and again while it is away.

    Every step may be taken twice: an answer that got lost on the way leaves a claim that is
    this worker's own, or a finish with the same bits.

    Raises:
        StoreAwayError: If it stays away, or ``stop`` is set.
    """
    deadline = time.monotonic() + OUTAGE
    pause = SHORTEST_WAIT
    while True:
        try:
            return step()
        except StoreAwayError:
            if stop.wait(pause) or time.monotonic() > deadline:
                raise
            pause = min(2 * pause, _LONGEST_PAUSE)


def evaluate(
    study: Study,
    history: History,
    claim: Claim,
    params: Params,
    trainer: Trainer,
    interrupted: Callable[[], bool] = lambda: False,
    rows: list[Row] | None = None,
    shelf: Shelf | None = None,
) -> Result | None:
    """Train one trial: a pure function of all but ``interrupted``, and of what is on the shelf.

    Args:
        rows: Takes each epoch as it comes, for those who look at a trial that is running.
        shelf: Where paused trainings are kept. One that is not there is trained again.

    Returns:
        How it ended, or None if it was interrupted. One whose configuration is out of the race is
        not trained at all.

    Raises:
        MemoryError, OSError: Not the trial's fault; all other exceptions make it FAIL.
    """
    if study.given is not None:
        still = race.left(study, history.values(claim.number), claim.number)
        if study.given.cell(claim.number)[0] not in still:
            nothing = curve(metrics=len(study.metrics))
            return Result(State.PRUNED, None, params, nothing, None, reason=race.REASON)
    stopper = pruning(study, history, claim.number, params)
    metric = study.column
    rows = [] if rows is None else rows
    steps: Sequence[float] = ()
    state = State.COMPLETE
    reason: str | None = None
    weights: str | None = None
    value: float | None = None
    outcomes: Outcomes | None = None
    folds: Sequence[Fold] = ()
    training: Training | None = None
    try:
        training = trainer.train(study.resolve(params, claim.seed), claim.number, interrupted)
        steps = training.steps
        with closing(training):
            if shelf is not None and stopper.continues is not None:
                rows += shelf.resumed(training, stopper.continues.number)
            for row in training:
                rows.append(row)
                seam("training")
                if interrupted():
                    return None
                step, measure = len(rows), row[metric]
                if study.folds > 1:
                    ended = training.folds(study.search.metric)
                    if len(ended) == len(folds):
                        continue
                    folds = ended
                    step, measure = len(folds), measured(study, folds)[-1]
                # At its end it is measured, too: others are compared with it at this rung.
                if stopper.stops(step, measure) and not training.ended:
                    state, reason = State.PRUNED, study.search.pruner
                    if shelf is not None:
                        shelf.keep(training, claim.number)
                    break
            else:
                if interrupted():  # it may be that this is why there was no further row
                    return None
        if training.diverged:
            state, reason = State.PRUNED, "diverged"
        weights = training.sha256
        if state is State.COMPLETE:
            value = training.final[metric]
            folds = training.folds(study.search.metric)
            outcomes = training.outcomes(study.search.metric)
    except (MemoryError, OSError):
        raise
    except TrainingFailed as error:
        state, reason = State.FAIL, str(error)
    except Exception as error:
        state, reason = State.FAIL, f"{type(error).__name__}: {error}"
    return Result(
        state=state,
        value=value,
        params=params,
        curve=curve(rows, len(study.metrics)),
        weights_sha256=weights,
        rungs=stopper.rungs,
        reason=reason,
        steps=np.array(steps, dtype=np.float64),
        outcomes=outcomes,
        log=training.log if training else b"",
        folds=folds,
    )


@contextmanager
def _renewed(leases: Leases, number: int, rows: Sequence[Row]) -> Iterator[threading.Event]:
    """Keep a trial's lease from running out, and show its epochs, on a thread of its own.

    Yields:
        An event that is cleared once the trial is no longer held.
    """
    held, over = threading.Event(), threading.Event()
    held.set()

    def renew() -> None:
        pause = SOON
        while not over.wait(min(pause, leases.lease / 3)):
            pause = OFTEN
            # A store that is away now may be back before the lease runs out.
            with suppress(StoreError):
                if not leases.renew(number, curve(rows[:_SHOWN]) if rows else None):
                    held.clear()
                    return

    thread = threading.Thread(target=renew, name=f"lease of trial {number}", daemon=True)
    begin(thread)
    try:
        yield held
    finally:
        over.set()
        thread.join(1.0)  # one that waits for the store may: it renews nothing that has ended

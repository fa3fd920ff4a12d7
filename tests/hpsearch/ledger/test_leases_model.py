"""The ledger against a plain model of it: many workers, every order of steps, each kind of store.

Hypothesis draws the steps: workers claim, show, renew, hand back, finish well or badly or twice,
lose their leases, die; studies are retried and their budgets changed. After each step the tables
must read as the model does. ``pytest --hypothesis-profile=soak`` draws many more.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hpsearch.errors import DigestConflictError, UsageError
from hpsearch.ledger import leases, owner
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Idle, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, curve
from hpsearch.ledger.store import Store
from hpsearch.ledger.tables import curves, trials
from hpsearch.study.config import Study
from tests.conftest import study

WORKERS = 8
FAILS, CRASHES = 3, 2
"""Fewer than the real ones, so that a short run of steps gets there."""
UNFINISHED = (State.RUNNING, State.WAITING)

_names = itertools.count()


@dataclass
class Worker:
    """A worker as it knows itself: what it believes to run may long be another's."""

    owner: Owner
    leases: Leases
    running: int | None = None


@dataclass
class Told:
    """A trial as it should stand."""

    state: State = State.RUNNING
    owner: str | None = None
    leased: bool = True
    """The lease has not run out."""
    attempts: int = 1
    crashes: int = 0
    ever_failed: bool = False
    outcome: tuple[Any, ...] = (None, None)
    """Value and digest."""
    params: str = "{}"
    projected: bool = False
    seen: list[tuple[int, Any]] = field(default_factory=list)
    """What its sampler could see when it was first begun."""


class Model(RuleBasedStateMachine):
    """Steps on one fresh study, and what they should do."""

    def __init__(self, database: Database, living: set[int]) -> None:
        super().__init__()
        self.database, self.living = database, living
        self.store = Store(database)
        self.told: list[Told] = []
        self.workers: list[Worker] = []

    @initialize(lag=st.sampled_from([None, 1, 2, 4]), budget=st.integers(1, 10))
    def begin(self, lag: int | None, budget: int) -> None:
        self.name, self.lag, self.budget = f"study-{next(_names)}", lag, budget
        self.record = self.store.register(self.study(budget), {"dataset": "d"})
        self.id = self.record.id
        self.workers = [self.hired(slot) for slot in range(WORKERS)]

    def study(self, budget: int) -> Study:
        return study(name=self.name, search__trials=budget)

    def hired(self, slot: int) -> Worker:
        """Every other worker is of this host, where one can see whether it lives."""
        pid = 10**7 + next(_names)
        self.living.add(pid)
        here = Owner(owner._host() if slot % 2 else "elsewhere", pid, "born")
        # Leases outlast any run; `lease_runs_out` ends them.
        return Worker(
            here,
            Leases(
                self.database,
                self.record,
                lag=self.lag,
                seed=lambda n: 7 * n,
                owner=here,
                lease=100.0,
            ),
        )

    # -- what a worker does

    @rule(slot=st.integers(0, WORKERS - 1), answer_lost=st.sampled_from([False] * 4 + [True]))
    def claims(self, slot: int, answer_lost: bool) -> None:
        worker = self.workers[slot]
        expected = self.next_for(worker)
        claim = worker.leases.claim()
        if isinstance(expected, Idle):
            assert expected is claim
            return
        assert Claim(expected, 7 * expected) == claim
        if expected == len(self.told):
            self.told.append(Told(owner=str(worker.owner), seen=self.visible(expected)))
        else:
            told = self.told[expected]
            told.state, told.owner, told.leased = State.RUNNING, str(worker.owner), True
            told.attempts += 1
        assert self.told[expected].seen == self.visible(expected)
        if not answer_lost:
            worker.running = expected

    def next_for(self, worker: Worker) -> int | Idle:
        """What a claim should give."""
        unfinished = [n for n, told in enumerate(self.told) if told.state in UNFINISHED]
        if not unfinished and len(self.told) >= self.budget:
            return Idle.DONE
        ended = [told.state for told in self.told if told.state.finished]
        if ended[-FAILS:] == [State.FAIL] * FAILS:
            return Idle.STOPPED
        free = [n for n in unfinished if self.free(self.told[n], worker)]
        own = [n for n in free if self.told[n].owner == str(worker.owner)]
        if free:
            return min(own or free)
        number = len(self.told)
        waited_for = [n for n in unfinished if not self.told[n].ever_failed]
        if number >= self.budget or (
            self.lag is not None and any(n <= number - self.lag for n in waited_for)
        ):
            return Idle.WAIT
        return number

    def free(self, told: Told, worker: Worker) -> bool:
        return told.owner == str(worker.owner) or not self.held(told)

    def held(self, told: Told) -> bool:
        """Whether a worker runs it, as far as one of this host can know."""
        if told.owner is None or not told.leased:
            return False
        holder = Owner.parse(told.owner)
        return holder.host == "elsewhere" or holder.pid in self.living

    @rule(slot=st.integers(0, WORKERS - 1))
    def shows(self, slot: int) -> None:
        worker = self.workers[slot]
        if worker.running is not None:
            worker.leases.show(worker.running, {"training.lr": slot})
            if self.holds(worker):
                self.told[worker.running].params = f'{{"training.lr":{slot}}}'

    @rule(slot=st.integers(0, WORKERS - 1))
    def renews(self, slot: int) -> None:
        worker = self.workers[slot]
        if worker.running is not None:
            assert self.holds(worker) is worker.leases.renew(worker.running)
            if self.holds(worker):
                self.told[worker.running].leased = True

    @rule(slot=st.integers(0, WORKERS - 1))
    def hands_back(self, slot: int) -> None:
        worker = self.workers[slot]
        if worker.running is not None:
            worker.leases.hand_back(worker.running)
            if self.holds(worker):
                self.freed(self.told[worker.running])
            worker.running = None

    @rule(
        slot=st.integers(0, WORKERS - 1),
        how=st.sampled_from(["as it must"] * 4 + ["failing"] * 2 + ["other bits"]),
        twice=st.booleans(),
    )
    def finishes(self, slot: int, how: str, twice: bool) -> None:
        worker, number = self.workers[slot], self.workers[slot].running
        if number is None:
            return
        for _ in range(1 + twice):  # the answer to the first may be lost
            self.finish(worker, number, how)
        worker.running = None

    def finish(self, worker: Worker, number: int, how: str) -> None:
        told, result = self.told[number], outcome(number, how)
        if told.state.finished:
            alike = (told.state, told.outcome[1]) == (result.state, result.weights_sha256)
            if alike or State.FAIL in (told.state, result.state):
                assert not worker.leases.finish(number, result)
            else:
                with pytest.raises(DigestConflictError, match=f"trial {number} "):
                    worker.leases.finish(number, result)
            return
        assert worker.leases.finish(number, result)
        told.state, told.owner, told.params = result.state, None, "{}"
        told.outcome = (result.value, result.weights_sha256)
        told.ever_failed |= result.state is State.FAIL

    # -- what happens to workers

    @rule(slot=st.integers(0, WORKERS - 1))
    def lease_runs_out(self, slot: int) -> None:
        worker = self.workers[slot]
        if worker.running is not None and self.holds(worker):
            one = (trials.c.study_id == self.id) & (trials.c.number == worker.running)
            with self.database.write() as connection:
                connection.execute(sa.update(trials).where(one).values(lease_until=1.0))
            self.told[worker.running].leased = False

    @rule(
        slot=st.integers(0, WORKERS - 1),
        launcher=st.sampled_from(["is elsewhere", "saw a crash", "saw a crash", "ended it"]),
    )
    def dies(self, slot: int, launcher: str) -> None:
        worker = self.workers[slot]
        self.living.discard(worker.owner.pid)
        self.workers[slot] = self.hired(slot)
        held = [n for n, told in enumerate(self.told) if told.owner == str(worker.owner)]
        if launcher == "ended it":
            leases.released(self.database, self.id, [worker.owner])
            for number in held:
                self.freed(self.told[number])
        elif launcher == "saw a crash":
            given_up = [n for n in held if self.told[n].crashes + 1 >= CRASHES]
            assert given_up == leases.crashed(self.database, self.id, worker.owner)
            for number in held:
                self.freed(self.told[number])
                self.told[number].crashes += 1
                if number in given_up:
                    self.told[number].state = State.FAIL
                    self.told[number].ever_failed = True

    # -- what people and projectors do

    @precondition(lambda self: any(told.state is State.FAIL for told in self.told))
    @rule()
    def retry(self) -> None:
        failed = [told for told in self.told if told.state is State.FAIL]
        assert len(failed) == self.store.retry(self.id)
        for told in failed:
            told.state, told.crashes, told.projected = State.WAITING, 0, False

    @rule(budget=st.integers(1, 20))
    def budget_changes(self, budget: int) -> None:
        self.store.register(self.study(budget), {"dataset": "d"}, lower=True)
        self.budget = max(budget, len(self.told))

    @rule()
    def projector_works(self) -> None:
        for number, told in enumerate(self.told):
            if told.state.finished and not told.projected:
                self.store.mark_optuna(self.id, [number])
                self.store.mark_mlflow(self.id, number, "run", True)
                told.projected = True

    # -- what must be so

    @invariant()
    def tables_read_as_the_model(self) -> None:
        """Numbers without holes, never more than the budget, and every trial as it should be."""
        if not self.workers:
            return
        mine = trials.c.study_id == self.id
        with self.database.read() as connection:
            rows = connection.execute(sa.select(trials).where(mine).order_by(trials.c.number)).all()
            ended = connection.execute(
                sa.select(curves.c.number).where(curves.c.study_id == self.id)
            ).scalars()
            with_curves = set(ended)
        assert [row.number for row in rows] == list(range(len(self.told)))
        assert len(rows) <= self.budget
        for row, told in zip(rows, self.told, strict=True):
            assert row.state == told.state
            assert row.owner == told.owner
            assert (row.lease_until is not None) is (row.state == State.RUNNING)
            assert (row.attempts, row.crashes) == (told.attempts, told.crashes)
            assert row.hidden is told.ever_failed
            assert (row.value, row.weights_sha256) == told.outcome
            assert row.seed == 7 * row.number
            assert row.params == told.params
            assert (row.ended is not None) is told.state.finished
            assert (row.in_optuna, row.in_mlflow) == (told.projected, told.projected)
        assert with_curves == {n for n, told in enumerate(self.told) if told.state.finished}

    @invariant()
    def nobody_holds_two(self) -> None:
        """A worker runs one trial at a time, and a trial has one holder."""
        holders = [told.owner for told in self.told if told.owner is not None]
        assert len(holders) == len(set(holders))

    @invariant()
    def readings_agree(self) -> None:
        """Counts, held trials and the history follow from the trials."""
        if not self.workers:
            return
        counts = self.store.counts(self.id)
        states = [told.state for told in self.told]
        assert [
            counts.complete,
            counts.pruned,
            counts.failed,
            counts.running,
            counts.waiting,
        ] == [states.count(s) for s in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")]
        assert counts.budget == self.budget
        unprojected = [told for told in self.told if told.state.finished and not told.projected]
        assert counts.unprojected == len(unprojected)
        held = {n for n, told in enumerate(self.told) if self.held(told)}
        assert held == self.store.held(self.id)
        history = self.store.history(self.id, -1, len(self.told))
        assert [trial.number for trial, _ in history] == [
            n
            for n, told in enumerate(self.told)
            if told.state in (State.COMPLETE, State.PRUNED) and not told.ever_failed
        ]

    def teardown(self) -> None:
        """Whatever happened: once nobody is in the way, one worker brings the study to its end."""
        if not self.workers:
            return
        with pytest.raises(UsageError) if self.store.held(self.id) else nullcontext():
            self.store.refuse_running(self.id)
        with self.database.write() as connection:
            connection.execute(
                sa.update(trials)
                .where(trials.c.study_id == self.id, trials.c.state == State.RUNNING)
                .values(lease_until=1.0)
            )
        self.store.retry(self.id)
        last = self.hired(0).leases
        while isinstance(claim := last.claim(), Claim):
            last.finish(claim.number, outcome(claim.number, "as it must"))
        assert Idle.DONE is claim
        counts = self.store.counts(self.id)
        assert counts.done
        assert counts.finished == counts.budget == self.budget

    # -- small

    def holds(self, worker: Worker) -> bool:
        return worker.running is not None and self.told[worker.running].owner == str(worker.owner)

    def freed(self, told: Told) -> None:
        told.state, told.owner, told.leased = State.WAITING, None, True

    def visible(self, number: int) -> list[tuple[int, Any]]:
        """What trial ``number`` may look at: the same at each of its attempts."""
        if self.lag is None:
            return []
        history = self.store.history(self.id, -1, number - self.lag)
        return [(trial.number, trial.weights_sha256) for trial, _ in history]


def outcome(number: int, how: str) -> Result:
    """A trial ends as its number says, unless its worker is broken."""
    rows = curve([[0.1, 0.2, 0.3, float(number)]])
    if how == "failing":
        return Result(State.FAIL, None, {}, rows, None, reason="ValueError: made up")
    digest = f"bits of {number}" if how == "as it must" else "other bits"
    if number % 3 == 2:
        return Result(State.PRUNED, None, {}, rows, digest, reason="median")
    return Result(State.COMPLETE, float(number), {}, rows, digest)


def test_ledger_does_as_the_model(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order workers, deaths and people act in, the tables are what the model says."""
    if not database.file:  # no server dies here, and waiting for its disk takes most of the time
        with database.write() as connection:
            name = connection.execute(sa.func.current_database().select()).scalar_one()
            connection.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
        database.engine.dispose()
    living: set[int] = set()
    monkeypatch.setattr(leases, "FAILS_IN_A_ROW", FAILS)
    monkeypatch.setattr(leases, "MOST_CRASHES", CRASHES)
    monkeypatch.setattr(owner, "_born", lambda pid: "born" if pid in living else None)
    usual = settings(
        settings(),  # how the profile looks for examples
        max_examples=40 if database.file else 10,
        stateful_step_count=40,
        derandomize=True,
        database=None,
    )
    soak = settings.get_current_profile_name() == "soak"
    run_state_machine_as_test(
        lambda: Model(database, living), settings=settings() if soak else usual
    )

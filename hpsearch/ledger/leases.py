"""Which worker runs which trial, and how does a trial get into the ledger?

A worker holds a trial by a lease. Each step here is one transaction, so that whatever dies, a
trial is begun or not, finished or not, and nothing in between. Values are pure functions of the
study file, so running a trial twice does no harm: both give the same bits, and the first finish
wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from enum import Enum
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.errors import DigestConflictError, UnknownStudyError
from hpsearch.ledger.database import Database, repeated
from hpsearch.ledger.endings import Seen, enter, seen
from hpsearch.ledger.owner import Owner, holds
from hpsearch.ledger.records import FINISHED, Curve, Ended, Result, State, StudyRecord, encode, pack
from hpsearch.ledger.rows import Reader, Unfinished, raw
from hpsearch.ledger.tables import curves, logs, studies, trials
from hpsearch.ledger.unfinished import Questions
from hpsearch.study import budgets
from hpsearch.study.config import Params, Study, dumps

LEASE = 15.0
"""Seconds a lease holds without being renewed."""
MOST_CRASHES = 5
"""So often may a trial take its worker down before it is given up."""
FAILS_IN_A_ROW = 10
"""So many FAIL trials in a row stop the study."""
_NO_LEASE: Mapping[str, None] = {"owner": None, "lease_until": None, "live": None}
"""Of a trial that nobody runs: whose it is, how long, and how far it has come."""


class Idle(Enum):
    """Why a worker gets no trial."""

    WAIT = "others are running, and may yet leave something"
    DONE = "the study has all its trials"
    STOPPED = f"the last {FAILS_IN_A_ROW} trials failed"


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this worker is to run now."""

    number: int
    seed: int


Verdict: TypeAlias = Callable[[Study, int, Sequence[Seen], Sequence[int]], str | Idle | None]
"""What keeps a trial from being begun: see ``hpsearch.search.ends``."""


class Leases:
    """One owner's dealings with the trials of one study.

    Args:
        database: Where the ledger is.
        study: The study.
        lag: How much older the trials are that a trial looks at, or which is the last of them, by
            its number; None if it looks at none, and so waits for none.
        seed: A trial's training seed, by its number.
        ends: Whether a trial exists, of a study with more to end it than a number of trials.
        owner: Who holds the leases.
        lease: Seconds a lease holds.
        exact: Whether a trial that is run twice has to give the same bits.
    """

    def __init__(
        self,
        database: Database,
        study: StudyRecord,
        *,
        lag: int | Callable[[int], int] | None,
        seed: Callable[[int], int],
        ends: Verdict | None = None,
        owner: Owner,
        lease: float = LEASE,
        exact: bool = True,
    ) -> None:
        self._database = database
        self._study = study
        self._lag = lag
        self._seed = seed
        self._ends = ends
        self._owner = str(owner)
        self._exact = exact
        self._reader = Reader(database.where, study.name)
        self.lease = lease

    @repeated
    def claim(self) -> Claim | Idle:
        """Take the lowest trial whose worker is gone or gave it back, else the next number.

        One of one's own comes before all: its claim's answer got lost, and nobody runs it.
        """
        with self._database.write() as connection:
            columns = raw(studies, "definition", "budget", "ended", "next_number")
            study = connection.execute(
                sa.select(*columns, self._database.now.label("now"))
                .where(self._itself)
                .with_for_update()
            ).first()
            if study is None:
                raise UnknownStudyError("the study was deleted in the meantime")
            left = Questions(connection, self._reader, self._mine)
            number: int = self._reader.column(studies, "next_number", study)
            budget: int = self._reader.column(studies, "budget", study)
            ended: Ended | None = self._reader.column(studies, "ended", study)
            if ended is not None:
                budget = min(budget, ended.at)
            if number >= budget and not left.any():
                return Idle.DONE
            if _failing(connection, self._study.id):
                return Idle.STOPPED
            until = study.now + self.lease
            for row in left.to_take(self._owner, study.now):
                if self._free(row, study.now) and self._take_over(connection, row, until):
                    return Claim(row.number, row.seed)
            if number >= budget or self._needs(number, left):
                return Idle.WAIT
            of: Study = self._reader.column(studies, "definition", study)
            if self._ends is not None and budgets.rules(of.search):
                counted = left.counted()  # before the finished ones: none may be missed
                finished = seen(connection, self._reader, self._study.id)
                keeps = self._ends(of, number, finished, counted)
                if isinstance(keeps, str):
                    enter(connection, self._itself, Ended(keeps, number))
                    return Idle.WAIT if left.any() else Idle.DONE
                if keeps is not None:
                    return keeps
            seed = self._seed(number)
            self._begin(connection, number, seed, study.now, until)
            return Claim(number, seed)

    @repeated
    def show(self, number: int, params: Params, seed: int | None = None) -> None:
        """Let those who look see what a trial tries, and its seed where that is another one's."""
        own = {} if seed is None else {"seed": seed}
        with self._database.write() as connection:
            connection.execute(self._held(number).values(params=dumps(dict(params)), **own))

    @repeated
    def renew(self, number: int, rows: Curve | None = None) -> bool:
        """Hold the trial for another while, and show those who look its epochs so far.

        Returns:
            False if it is no longer held by this owner, and nothing was written.
        """
        shown = {} if rows is None else {"live": encode(rows)}
        with self._database.write() as connection:
            until = self._database.now + self.lease
            renewed = self._held(number).values(lease_until=until, **shown)
            return bool(connection.execute(renewed).rowcount)

    @repeated
    def hand_back(self, number: int) -> None:
        """Give the trial back unfinished: the next worker takes it at once."""
        with self._database.write() as connection:
            connection.execute(self._held(number).values(state=State.WAITING, **_NO_LEASE))

    @repeated
    def finish(self, number: int, result: Result, environment: str | None = None) -> bool:
        """Enter how a trial ended: state, curve and digest together.

        Returns:
            Whether this was the first finish; a later one with the same bits changes nothing.

        Raises:
            DigestConflictError: If it has ended before with other bits.
            UnknownStudyError: If the study was deleted in the meantime.
        """
        with self._database.write() as connection:
            one = self._mine & (trials.c.number == number)
            columns = raw(trials, "number", "state", "weights_sha256")
            row = connection.execute(sa.select(*columns).where(one).with_for_update()).first()
            if row is None:
                raise UnknownStudyError("the study was deleted in the meantime")
            if self._reader.column(trials, "state", row).finished:
                if self._exact:
                    _compare(number, row, result)
                return False
            connection.execute(
                sa.update(trials)
                .where(one)
                .values(
                    state=result.state,
                    value=result.value,
                    params=dumps(dict(result.params)),
                    epochs=len(result.curve),
                    weights_sha256=result.weights_sha256,
                    rungs=dumps(dict(result.rungs)),
                    folds=dumps([astuple(f) for f in result.folds]) if result.folds else None,
                    reason=None if result.reason is None else _writable(result.reason),
                    hidden=trials.c.hidden | (result.state == State.FAIL),
                    environment=environment,
                    ended=self._database.now,
                    **_NO_LEASE,
                )
            )
            connection.execute(
                sa.insert(curves).values(
                    study_id=self._study.id,
                    number=number,
                    epochs=encode(result.curve),
                    steps=encode(result.steps),
                    outcomes=None if result.outcomes is None else pack(result.outcomes),
                )
            )
            if result.log:
                row_ = {"study_id": self._study.id, "number": number, "content": result.log}
                connection.execute(sa.insert(logs).values(row_))
            return True

    @property
    def _itself(self) -> sa.ColumnElement[bool]:
        """The study that was joined, and none that has its id since."""
        return studies.c.incarnation == self._study.incarnation

    @property
    def _mine(self) -> sa.ColumnElement[bool]:
        return trials.c.study_id == sa.select(studies.c.id).where(self._itself).scalar_subquery()

    def _held(self, number: int) -> sa.Update:
        return sa.update(trials).where(
            self._mine,
            trials.c.number == number,
            trials.c.state == State.RUNNING,
            trials.c.owner == self._owner,
        )

    def _free(self, row: Unfinished, now: float) -> bool:
        """Whether nobody runs an unfinished trial; one of one's own is a claim that got lost."""
        if row.state == State.WAITING or row.owner == self._owner:
            return True
        return not holds(row.owner, row.lease_until, now)

    def _needs(self, number: int, left: Questions) -> bool:
        """Whether trial ``number`` looks at one that has not ended."""
        if self._lag is None:
            return False
        last = number - self._lag if isinstance(self._lag, int) else self._lag(number)
        oldest = left.oldest()
        return oldest is not None and oldest <= last

    def _take_over(self, connection: Connection, row: Unfinished, until: float) -> bool:
        """Take an unfinished trial as it was read; False if it was finished or renewed meanwhile.

        A finish locks its trial, not the study: on PostgreSQL it may come between the two.
        """
        taken = connection.execute(
            sa.update(trials)
            .where(
                self._mine,
                trials.c.number == row.number,
                trials.c.state == row.state,
                trials.c.owner.is_not_distinct_from(row.owner),
                trials.c.lease_until.is_not_distinct_from(row.lease_until),
            )
            .values(
                state=State.RUNNING,
                owner=self._owner,
                lease_until=until,
                live=None,
                attempts=trials.c.attempts + 1,
            )
        )
        return bool(taken.rowcount)

    def _begin(
        self, connection: Connection, number: int, seed: int, now: float, until: float
    ) -> None:
        connection.execute(
            sa.insert(trials).values(
                study_id=self._study.id,
                number=number,
                state=State.RUNNING,
                seed=seed,
                started=now,
                owner=self._owner,
                lease_until=until,
            )
        )
        connection.execute(sa.update(studies).where(self._itself).values(next_number=number + 1))


def ever_failed(database: Database, study_id: int) -> list[int]:
    """The trials that samplers never learn from, since they failed once: see ``Store.history``."""
    query = sa.select(trials.c.number).where(trials.c.study_id == study_id, trials.c.hidden)
    with database.read() as connection:
        return list(connection.execute(query.order_by(trials.c.number)).scalars())


def stopped(database: Database, study_id: int) -> bool:
    """Whether nobody gets a trial of a study any more, because too many failed in a row."""
    with database.read() as connection:
        return _failing(connection, study_id)


def _failing(connection: Connection, study_id: int) -> bool:
    last = connection.execute(
        sa.select(trials.c.state)
        .where(trials.c.study_id == study_id, trials.c.state.in_(FINISHED))
        .order_by(trials.c.number.desc())
        .limit(FAILS_IN_A_ROW)
    ).scalars()
    states = list(last)
    return len(states) == FAILS_IN_A_ROW and set(states) == {State.FAIL}


@repeated
def released(database: Database, study_id: int, owners: Iterable[Owner]) -> None:
    """Free the trials of workers that were made to end: that is no trial's fault."""
    with database.write() as connection:
        connection.execute(
            sa.update(trials)
            .where(
                trials.c.study_id == study_id,
                trials.c.state == State.RUNNING,
                trials.c.owner.in_(map(str, owners)),
            )
            .values(state=State.WAITING, **_NO_LEASE)
        )


@repeated
def crashed(database: Database, study_id: int, owner: Owner) -> list[int]:
    """Free the trials of a worker that died by itself, and give up those it keeps dying of.

    It may be called again, if an answer was lost: what the worker held is counted once.

    Returns:
        The numbers that were given up: FAIL with reason ``lost``.
    """
    with database.write() as connection:
        held = (
            (trials.c.study_id == study_id)
            & (trials.c.state == State.RUNNING)
            & (trials.c.owner == str(owner))
        )
        reader = Reader(database.where, str(study_id))
        columns = raw(trials, "number", "crashes")
        rows = connection.execute(sa.select(*columns).where(held).with_for_update()).all()
        crashes = {row.number: reader.column(trials, "crashes", row) for row in rows}
        lost = [number for number, before in crashes.items() if before + 1 >= MOST_CRASHES]
        freed: Mapping[str, object] = {**_NO_LEASE, "crashes": trials.c.crashes + 1}
        connection.execute(
            sa.update(trials)
            .where(held, ~trials.c.number.in_(lost))
            .values(state=State.WAITING, **freed)
        )
        connection.execute(
            sa.update(trials)
            .where(held, trials.c.number.in_(lost))
            .values(
                state=State.FAIL,
                reason="lost",
                hidden=True,
                ended=database.now,
                **freed,
            )
        )
        if lost:
            nothing = {"study_id": study_id, "epochs": b"", "steps": b""}
            connection.execute(sa.insert(curves), [nothing | {"number": n} for n in lost])
        return lost


def _writable(text: str) -> str:
    """A text that both databases take: NUL and halves of characters are spelt out."""
    return re.sub("[\0\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _compare(number: int, row: sa.Row[tuple[object, ...]], result: Result) -> None:
    """A second finish: the same bits are fine, and so is a failure of the one or the other."""
    if State.FAIL in (row.state, result.state):
        return
    if (row.state, row.weights_sha256) != (result.state, result.weights_sha256):
        raise DigestConflictError(
            f"trial {number} finished twice with different results: {row.state} "
            f"{row.weights_sha256} in the store, {result.state} {result.weights_sha256} now; "
            f"are the workers' environments the same?"
        )

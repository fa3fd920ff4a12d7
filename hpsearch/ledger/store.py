"""What is in the ledger? Studies, their trials and curves, and what the projections lack.

The ledger is the one truth. ``leases`` is how trials get into it; this module registers studies,
reads, and keeps the marks of the projections.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpsearch.errors import UnknownStudyError, UnknownTrialError, UsageError
from hpsearch.ledger.changes import changed_by, refuse_change
from hpsearch.ledger.database import Database, repeated
from hpsearch.ledger.owner import holds
from hpsearch.ledger.ranking import Ranking
from hpsearch.ledger.records import (
    FINISHED,
    Counts,
    Curve,
    Outcomes,
    State,
    Steps,
    StudyRecord,
    Trial,
)
from hpsearch.ledger.rows import Reader, curves_of, environment, raw, trials_of
from hpsearch.ledger.tables import curves, environments, logs, studies, trials
from hpsearch.study.config import Study, dumps
from hpsearch.study.words import nearest


class Store:
    """The ledger, open."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._ranking = Ranking()

    # -- studies

    @repeated
    def register(
        self,
        study: Study,
        data_digests: Mapping[str, str],
        data_facts: Mapping[str, Any] | None = None,
        folder: str | None = None,
        *,
        lower: bool = False,
    ) -> StudyRecord:
        """Enter a study, or find it as it is; its budget becomes ``study.search.trials``.

        The budget falls only if it may (``lower``), and never below the trials that were begun.
        ``data_facts`` are kept of a study that is new, and never compared; ``folder`` is the study
        file's, of which the last counts.

        Raises:
            StudyChangedError: If another definition, or other data, stands under its name.
            UsageError: If the budget would fall, and may not.
        """
        described = {**data_digests, **({"facts": data_facts} if data_facts else {})}
        reader = Reader(self.database.where, study.name)
        named = sa.select(*raw(studies)).where(studies.c.name == study.name).with_for_update()
        with self.database.write() as connection:
            row = connection.execute(named).first()
            if row is None:  # though another may be entering it at this moment
                self.database.insert_new(
                    connection,
                    studies,
                    name=study.name,
                    incarnation=secrets.token_hex(16),
                    definition=dumps(study.definition()),
                    metrics=dumps(list(study.metrics)),
                    budget=study.search.trials,
                    next_number=0,
                    created=self.database.now,
                    data_digests=dumps(described),
                )
                row = connection.execute(named).one()
            found = reader.record(row)
            refuse_change(found, study, data_digests)
            changed = changed_by(found, study, row.next_number, lower=lower)
            connection.execute(
                sa.update(studies)
                .where(studies.c.id == row.id)
                .values(folder=folder or row.folder, **changed)
            )
        return self.study(study.name)

    def touch(self, study_id: int) -> None:
        """Write to a study, and change nothing.

        Raises:
            StoreOpenError: If the store may only be read.
        """
        self._update(study_id, budget=studies.c.budget)

    def studies(self) -> list[StudyRecord]:
        """All studies, in the order of their creation."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(*raw(studies)).order_by(studies.c.id)).all()
        return [Reader(self.database.where, row.name).record(row) for row in rows]

    def study(self, name: str) -> StudyRecord:
        """The study of that name.

        Raises:
            UnknownStudyError: If there is none; the message says which exist.
        """
        with self.database.read() as connection:
            named = sa.select(*raw(studies)).where(studies.c.name == name)
            row = connection.execute(named).first()
            others = sa.select(*raw(studies, "name"))
            names = [] if row else [str(n)[:128] for n in connection.execute(others).scalars()]
        if row is None:
            hint = nearest(name, sorted(names)) if names else "; it has no studies yet"
            raise UnknownStudyError(f"no study {name!r} in {self.database.where}{hint}")
        return Reader(self.database.where, name).record(row)

    def refuse_running(self, study_id: int) -> None:
        """Make sure that no worker holds a trial of the study.

        Raises:
            UsageError: If one does.
        """
        if held := len(self.held(study_id)):
            raise UsageError(f"{held} of its trials are running; stop the workers first")

    def delete(self, study_id: int) -> None:
        """Remove a study with its trials and curves."""
        its = [sa.delete(t).where(t.c.study_id == study_id) for t in (logs, curves, trials)]
        self._write(*its, sa.delete(studies).where(studies.c.id == study_id))

    # -- trials

    def trials(
        self, study_id: int, states: Collection[State] | None = None, above: int = -1
    ) -> list[Trial]:
        """Trials in the order of their numbers, those above ``above``."""
        query = trials_of(study_id).where(trials.c.number > above)
        if states is not None:
            query = query.where(trials.c.state.in_(states))
        return self._trials(study_id, query.order_by(trials.c.number))

    def trial(self, study_id: int, number: int) -> Trial:
        """One trial.

        Raises:
            UnknownTrialError: If it was not begun; the message says which were.
        """
        found = self._trials(study_id, trials_of(study_id).where(trials.c.number == number))
        if not found:
            last = sa.select(sa.func.max(trials.c.number)).where(trials.c.study_id == study_id)
            with self.database.read() as connection:
                highest = connection.execute(last).scalar()
            if not isinstance(highest, int):
                raise UnknownTrialError(f"no trial {number}; none has started yet")
            raise UnknownTrialError(f"no trial {number}; the study has trials 0 to {highest}")
        return found[0]

    def best(self, record: StudyRecord) -> Trial | None:
        """The best of the COMPLETE trials; ``ranking`` says which that is of those that tie."""
        return next(iter(self.tied(record)), None)

    def ranked(self, record: StudyRecord, trials: Iterable[Trial]) -> list[Trial]:
        """Those that have a value, the best first."""
        return self._ranking(record, trials, self.curves)

    def tied(self, record: StudyRecord) -> list[Trial]:
        """The COMPLETE trials with the best value, the best of them first."""
        end = sa.func.max if record.study.search.direction == "maximize" else sa.func.min
        complete = (trials.c.study_id == record.id) & (trials.c.state == State.COMPLETE)
        best = sa.select(end(trials.c.value)).where(complete).scalar_subquery()
        query = trials_of(record.id).where(complete, trials.c.value == best)
        return self.ranked(record, self._trials(record.id, query))

    def curves(self, study_id: int, numbers: Collection[int] | None = None) -> dict[int, Curve]:
        """The curves of finished trials, by number."""
        query = curves_of(study_id, "epochs", numbers)
        with self._reading(study_id) as (connection, study, reader):
            rows = connection.execute(query).all()
        found = {row.number: reader.curve(row, study.metrics) for row in rows if study}
        for number in set(numbers or ()) - found.keys() if study else ():
            raise reader.bad(curves, number, "epochs", "there is no such row")
        return found

    def steps(self, study_id: int, numbers: Collection[int] | None = None) -> dict[int, Steps]:
        """The losses by step of the finished trials that recorded them, by number."""
        query = curves_of(study_id, "steps", numbers).where(curves.c.steps != b"")
        with self._reading(study_id) as (connection, _, reader):
            rows = connection.execute(query).all()
        return {row.number: reader.steps(row) for row in rows}

    def outcomes(self, study_id: int) -> dict[int, Outcomes]:
        """What each validation example scored, of the COMPLETE trials that know it, by number."""
        its = (curves.c.study_id == trials.c.study_id) & (curves.c.number == trials.c.number)
        query = curves_of(study_id, "outcomes").join(trials, its)
        query = query.where(trials.c.state == State.COMPLETE, curves.c.outcomes.is_not(None))
        with self._reading(study_id) as (connection, _, reader):
            rows = connection.execute(query).all()
        return {row.number: reader.outcomes(row) for row in rows}

    def log(self, study_id: int, number: int) -> bytes:
        """What a finished trial's training printed; the end of it."""
        mine = (logs.c.study_id == study_id) & (logs.c.number == number)
        with self.database.read() as connection:
            content = connection.execute(sa.select(*raw(logs, "content")).where(mine)).scalar()
        return content if isinstance(content, bytes) else str(content or "").encode()

    def history(self, study_id: int, above: int, up_to: int) -> list[tuple[Trial, Curve]]:
        """What samplers and pruners may learn from: numbers above ``above`` and to ``up_to``.

        A trial that ever failed is not among them, even when a retry has completed it since, so
        that what later trials were told stays what they would be told again.
        """
        within = (trials.c.number > above) & (trials.c.number <= up_to)
        learned = ~trials.c.hidden & trials.c.state.in_([State.COMPLETE, State.PRUNED])
        return self._with_curves(study_id, within & learned)

    def finished(self, study_id: int) -> list[tuple[Trial, Curve]]:
        """All finished trials with their curves, in the order of their numbers."""
        return self._with_curves(study_id, trials.c.state.in_(FINISHED))

    def counts(self, study_id: int) -> Counts:
        """How many trials stand where."""
        counted = raw(trials, "state", "in_optuna", "in_mlflow")
        query = (
            sa.select(*counted, sa.func.count().label("number"))
            .where(trials.c.study_id == study_id)
            .group_by(trials.c.state, trials.c.in_optuna, trials.c.in_mlflow)
        )
        with self._reading(study_id) as (connection, study, reader):
            if study is None:
                raise UnknownStudyError("the study was deleted in the meantime")
            rows = connection.execute(query).all()
        count: Counter[State] = Counter()
        unprojected = 0
        for row in rows:
            if row.state not in list(State):
                self.trials(study_id)  # says which it is
            state = reader.column(trials, "state", row)
            count[state] += row.number
            if state.finished and not (row.in_optuna and row.in_mlflow):
                unprojected += row.number
        return Counts(
            budget=study.budget,
            complete=count[State.COMPLETE],
            pruned=count[State.PRUNED],
            failed=count[State.FAIL],
            running=count[State.RUNNING],
            waiting=count[State.WAITING],
            unprojected=unprojected,
        )

    def ended(self, study_id: int) -> float | None:
        """When the last of the finished trials ended; None if none has."""
        query = sa.select(sa.func.max(trials.c.ended)).where(trials.c.study_id == study_id)
        with self.database.read() as connection:
            last = connection.execute(query).scalar()
        if not isinstance(last, float | None):
            self.trials(study_id)  # says which it is
        return last

    def unprojected(self, study_id: int, *, mlflow: bool = True) -> list[Trial]:
        """Trials without the mark of a projection, unfinished ones among them.

        Args:
            study_id: The study.
            mlflow: Whether MLflow's mark counts, beside that of Optuna's storage.
        """
        # All states are named, since the index finds the marks behind them.
        ours = (trials.c.study_id == study_id) & trials.c.state.in_(list(State))
        every = sa.select(*raw(trials))
        lacking = every.where(ours, ~trials.c.in_optuna)
        query: sa.Executable = lacking
        if mlflow:
            only_there = trials.c.in_optuna & ~trials.c.in_mlflow
            query = sa.union_all(lacking, every.where(ours, only_there))
        return sorted(self._trials(study_id, query), key=lambda trial: trial.number)

    def held(self, study_id: int) -> set[int]:
        """Numbers of the trials that are held now: their owners are not gone, nor the leases."""
        query = sa.select(*raw(trials), self.database.now.label("now")).where(
            trials.c.study_id == study_id, trials.c.state == State.RUNNING
        )
        with self._reading(study_id) as (connection, _, reader):
            rows = connection.execute(query).all()
        leases = [(reader.unfinished(row), row.now) for row in rows]
        return {row.number for row, now in leases if holds(row.owner, row.lease_until, now)}

    @repeated
    def retry(self, study_id: int) -> int:
        """Hand all FAIL trials out again, under their numbers. Returns how many."""
        with self.database.write() as connection:
            ours = (trials.c.study_id == study_id) & (trials.c.state == State.FAIL)
            query = sa.select(trials.c.number).where(ours).with_for_update()
            failed = connection.execute(query).scalars().all()
            these = trials.update().where(
                trials.c.study_id == study_id, trials.c.number.in_(failed)
            )
            waiting = {"state": State.WAITING, "hidden": True, "reason": None, "ended": None}
            undone = {"epochs": 0, "crashes": 0, "folds": None}
            connection.execute(these.values(**waiting, **undone, in_mlflow=False, in_optuna=False))
            for table in (logs, curves):
                mine = (table.c.study_id == study_id) & table.c.number.in_(failed)
                connection.execute(sa.delete(table).where(mine))
        return len(failed)

    # -- environments

    @repeated
    def remember(self, environment: Mapping[str, Any], digest: str) -> None:
        """Keep what an environment consists of, once."""
        with self.database.write() as connection:
            known = sa.select(environments.c.digest).where(environments.c.digest == digest)
            if connection.execute(known).first() is None:
                content = dumps(environment)
                self.database.insert_new(connection, environments, digest=digest, content=content)

    def environment(self, digest: str) -> dict[str, Any]:
        """The environment that has this digest."""
        query = sa.select(*raw(environments, "content")).where(environments.c.digest == digest)
        with self.database.read() as connection:
            content = connection.execute(query).scalar_one_or_none()
        return environment(self.database.where, digest, content)

    # -- marks of the projections

    def mark_optuna(self, study_id: int, numbers: Iterable[int], there: bool = True) -> None:
        """Note that these trials are in Optuna's storage, or no longer."""
        self._mark(study_id, numbers, in_optuna=there)

    def mark_mlflow(self, study_id: int, number: int, run_id: str | None, there: bool) -> None:
        """Note the MLflow run of a trial, and whether all of the trial is in it."""
        self._mark(study_id, [number], mlflow_run_id=run_id, in_mlflow=there)

    def mark_parent(self, study_id: int, run_id: str, summary: str) -> None:
        """Note the study's parent run and what was written to it."""
        self._update(study_id, mlflow_run_id=run_id, mlflow_summary=summary)

    def mark_reproduced(self, study_id: int, outcome: Mapping[str, Any]) -> None:
        """Note how training the best trial again ended."""
        self._update(study_id, reproduced=dumps(dict(outcome)))

    # -- rows

    @contextmanager
    def _reading(self, study_id: int) -> Iterator[tuple[Connection, StudyRecord | None, Reader]]:
        """A transaction that reads of one study, and who reads its rows; None if it is gone."""
        with self.database.read() as connection:
            query = sa.select(*raw(studies)).where(studies.c.id == study_id)
            row = connection.execute(query).first()
            reader = Reader(self.database.where, str(row.name) if row else "")
            yield connection, reader.record(row) if row else None, reader

    def _trials(self, study_id: int, query: sa.Executable) -> list[Trial]:
        with self._reading(study_id) as (connection, study, reader):
            rows = connection.execute(query).all()
        return [] if study is None else [reader.trial(row, study.study) for row in rows]

    def _with_curves(
        self, study_id: int, wanted: sa.ColumnElement[bool]
    ) -> list[tuple[Trial, Curve]]:
        """Trials with their curves, in the order of their numbers."""
        data = raw(curves, "epochs")[0].label("data")
        its = (curves.c.study_id == trials.c.study_id) & (curves.c.number == trials.c.number)
        query = (
            sa.select(*raw(trials), data)
            .outerjoin(curves, its)
            .where(trials.c.study_id == study_id, wanted)
            .order_by(trials.c.number)
        )
        with self._reading(study_id) as (connection, study, reader):
            rows = connection.execute(query).all()
        if study is None:
            return []
        return [(reader.trial(r, study.study), reader.curve(r, study.metrics)) for r in rows]

    def _mark(self, study_id: int, numbers: Iterable[int], **values: Any) -> None:
        where = (trials.c.study_id == study_id) & trials.c.number.in_(list(numbers))
        self._write(sa.update(trials).where(where).values(**values))

    def _update(self, study_id: int, **values: Any) -> None:
        self._write(sa.update(studies).where(studies.c.id == study_id).values(**values))

    @repeated
    def _write(self, *statements: sa.Executable) -> None:
        with self.database.write() as connection:
            for statement in statements:
                connection.execute(statement)

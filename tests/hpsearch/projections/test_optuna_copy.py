"""Optuna's own tools read the study, on SQLite and on PostgreSQL, as if Optuna had run it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from sqlalchemy.pool import NullPool

from hpsearch.errors import StoreAwayError, StoreError
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.projections import optuna_copy, optuna_tables
from hpsearch.projections.optuna_copy import OptunaCopy
from hpsearch.settings import Settings
from hpsearch.verify import findings, look
from tests.conftest import study
from tests.hpsearch.workspace import rows

COMPLETE, PRUNED, FAIL = State.COMPLETE, State.PRUNED, State.FAIL
LR = 0.1 + 0.2  # a number that needs all its digits


def opened(database: Database) -> RDBStorage:
    """Optuna's storage on a database, its connections closed after each use."""
    url = database.url.render_as_string(hide_password=False)
    return RDBStorage(url, engine_kwargs={"poolclass": NullPool})


class Ledger:
    """A study whose trials are entered by hand."""

    def __init__(self, database: Database, record: StudyRecord) -> None:
        self.database = database
        self.store = Store(database)
        self.record = record
        self.workers = 0
        self.leases = self._join()
        self.copy = OptunaCopy(self.store, record)

    def _join(self) -> Leases:
        self.workers += 1
        owner = replace(Owner.of(), host=f"elsewhere-{self.workers}")
        return Leases(self.database, self.record, lag=None, seed=int, owner=owner, lease=60.0)

    def claim(self) -> int:
        """Begin a trial, as a worker of its own."""
        self.leases = self._join()
        claim = self.leases.claim()
        assert isinstance(claim, Claim)
        return claim.number

    def finish(self, number: int, state: State = COMPLETE, **more: object) -> None:
        """End a trial."""
        curve = rows(number, 3)
        result = Result(
            state=state,
            value=float(curve[-1, 3]) if state is COMPLETE else None,
            params={"training.lr": LR, "network.dropout": 0.25},
            curve=curve,
            weights_sha256=None if state is FAIL else f"{number:064x}",
            rungs={"completed_rung_0": 0.5} if state is PRUNED else {},
            reason="ValueError: made up" if state is FAIL else None,
        )
        self.leases.finish(number, replace(result, **more))  # type: ignore[arg-type]

    def run(self, *states: State) -> None:
        """Begin and end a trial for each state."""
        for state in states:
            self.finish(self.claim(), state)

    def bring(self) -> int:
        """Write what is missing, as the process that wrote the last time."""
        return self.copy.bring(self.store.unprojected(self.record.id, mlflow=False))

    def again(self) -> int:
        """Write what is missing, as a new process."""
        self.copy.forget()
        return self.bring()

    @property
    def storage(self) -> RDBStorage:
        """Optuna's storage as anyone opens it, but for connections that stay open."""
        return opened(self.database)

    def load(self) -> optuna.Study:
        """What anyone reads with Optuna."""
        return optuna.load_study(storage=self.storage, study_name=self.record.name)

    def states(self) -> list[str]:
        """The states there, by number."""
        trials = self.load().trials
        assert [trial.number for trial in trials] == list(range(len(trials)))
        return [trial.state.name for trial in trials]


@pytest.fixture
def make(database: Database) -> Iterator[Callable[..., Ledger]]:
    """Registers studies; what their copies have open is closed in the end."""
    made: list[Ledger] = []

    def register(**changes: Any) -> Ledger:
        made.append(Ledger(database, Store(database).register(study(**changes), {"dataset": "d"})))
        return made[-1]

    yield register
    for ledger in made:
        ledger.copy.close()


@pytest.fixture
def ledger(make: Callable[..., Ledger]) -> Ledger:
    """A study of six trials, none of them begun."""
    return make()


def test_optuna_reads_the_study(ledger: Ledger) -> None:
    """States, numbers, values, params, times and the best trial are the ledger's."""
    ledger.run(COMPLETE, PRUNED, FAIL, COMPLETE)
    assert ledger.bring() == 4
    loaded = ledger.load()
    assert ledger.states() == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]
    best = ledger.store.best(ledger.record)
    assert best is not None
    assert (loaded.best_trial.number, loaded.best_value) == (best.number, best.value)
    assert loaded.direction == optuna.study.StudyDirection.MAXIMIZE
    for trial, copied in zip(ledger.store.trials(ledger.record.id), loaded.trials, strict=True):
        assert dict(trial.params) == copied.params
        assert copied.duration is not None


def test_pruned_and_failed_trials(ledger: Ledger) -> None:
    """Both are without a value; the pruned one keeps its rungs, the failed one says why."""
    ledger.run(PRUNED, FAIL)
    ledger.bring()
    pruned, failed = ledger.load().trials
    # Optuna takes the last intermediate value for a pruned trial's, only while it runs.
    assert pruned.values is None
    assert pruned.system_attrs == {"completed_rung_0": 0.5}
    assert pruned.user_attrs == {"weights_sha256": "0" * 64}
    assert failed.values is None
    assert failed.user_attrs == {"reason": "ValueError: made up"}


def test_failed_before_it_had_params(ledger: Ledger) -> None:
    """A trial that failed at once holds its place all the same."""
    ledger.finish(ledger.claim(), FAIL, params={}, curve=rows(0, 0))
    ledger.run(COMPLETE)
    ledger.bring()
    assert ledger.states() == ["FAIL", "COMPLETE"]
    assert ledger.load().trials[0].params == {}
    assert ledger.again() == 0


def test_the_whole_of_a_curve(ledger: Ledger) -> None:
    """Optuna's plots show the metric after every epoch, to the last bit, by its name."""
    ledger.run(COMPLETE)
    ledger.bring()
    metric = rows(0, 3)[:, 3].tolist()
    assert dict(enumerate(metric, start=1)) == ledger.load().trials[0].intermediate_values
    assert ledger.load().metric_names == ["val_accuracy"]
    assert "value_val_accuracy" in ledger.load().trials_dataframe().columns
    assert ledger.again() == 0


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_a_long_curve(make: Callable[..., Ledger], pruner: str) -> None:
    """Of many epochs fifty are copied, spread evenly, and those that a pruner looked at."""
    ledger = make(search__pruner=pruner, training__epochs=1000)
    curve = rows(0, 1000)
    ledger.finish(ledger.claim(), curve=curve, value=float(curve[-1, 3]))
    ledger.bring()
    values = ledger.load().trials[0].intermediate_values
    rungs = {3**k for k in range(7)} if pruner == "hyperband" else set()
    assert values.keys() == rungs | set(range(1, 1000, 20)) | {1000}
    assert all(curve[epoch - 1, 3] == value for epoch, value in values.items())
    assert ledger.again() == 0


def test_a_curve_that_ends_in_no_number(make: Callable[..., Ledger]) -> None:
    """A training that diverged is copied once, its infinite and undefined losses included."""
    ledger = make(search__metric="val_loss")
    curve = rows(0, 3)
    curve[:, 2] = [1.0, float("inf"), float("nan")]
    ledger.finish(ledger.claim(), PRUNED, curve=curve, weights_sha256=None, reason="diverged")
    assert ledger.bring() == 1
    values = list(ledger.load().trials[0].intermediate_values.values())
    assert repr([1.0, float("inf"), float("nan")]) == repr(values)
    assert ledger.again() == 0


def test_copy_of_a_process_that_died_at_the_curve(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a trial is there before all of it is."""
    ledger.run(COMPLETE, COMPLETE)
    with monkeypatch.context() as patch:
        patch.setattr(optuna_tables.models.TrialIntermediateValueModel, "__table__", None)
        with pytest.raises(StoreError):
            ledger.bring()
    assert ledger.states() == []
    assert ledger.again() == 2
    assert [len(trial.intermediate_values) for trial in ledger.load().trials] == [3, 3]


def test_every_kind_of_range(make: Callable[..., Ledger]) -> None:
    """Choices of lists, whole numbers and steps come back as they were written."""
    ledger = make(
        network__hidden={"choices": [[8], [4, 4]]},
        training__batch_size={"low": 10, "high": 50, "step": 10},
        training__optimizer={"choices": ["sgd", "adam"]},
        search__metric="val_loss",
        search__direction="minimize",
    )
    params = {
        "network.hidden": [4, 4],
        "training.batch_size": 30,
        "training.optimizer": "adam",
        "training.lr": LR,
        "network.dropout": 0.25,
    }
    ledger.finish(ledger.claim(), params=params)
    ledger.bring()
    assert ledger.load().trials[0].params == {**params, "network.hidden": "[4,4]"}
    assert ledger.load().direction == optuna.study.StudyDirection.MINIMIZE
    assert ledger.again() == 0


def test_whole_numbers_beyond_those_of_real_ones(make: Callable[..., Ledger]) -> None:
    """Optuna's tables keep real numbers: that is no reason to build the copy again for ever."""
    low = 2**53 + 1
    ledger = make(training__seed={"low": low, "high": 2**60})
    params = {"training.seed": low, "training.lr": LR, "network.dropout": 0.25}
    ledger.finish(ledger.claim(), params=params)
    assert ledger.bring() == 1
    assert ledger.again() == 0
    seen = look.take(ledger.database, "small", Settings(Path(), "", ""), tracking=False)
    found = findings.judge(seen, tracking=False).violations
    assert [violation for violation in found if violation.invariant == "optuna"] == []


def test_numbers_keep_their_order(ledger: Ledger) -> None:
    """A trial waits for all with a lower number, since Optuna numbers them as they come."""
    numbers = [ledger.claim() for _ in range(4)]
    ledger.finish(numbers[1])
    ledger.finish(numbers[3])
    assert ledger.bring() == 0
    ledger.finish(numbers[0], PRUNED)
    assert ledger.bring() == 2
    assert ledger.states() == ["PRUNED", "COMPLETE"]
    ledger.finish(numbers[2], FAIL)
    assert ledger.bring() == 2
    assert ledger.states() == ["PRUNED", "COMPLETE", "FAIL", "COMPLETE"]


def test_what_is_there_unmarked_is_taken_in(ledger: Ledger) -> None:
    """A trial that was written and not marked, by a process that died, is not written twice."""
    ledger.run(COMPLETE, COMPLETE)
    ledger.bring()
    ledger.store.mark_optuna(ledger.record.id, [0, 1], there=False)
    assert ledger.again() == 0
    assert [trial.in_optuna for trial in ledger.store.trials(ledger.record.id)] == [True, True]
    assert ledger.states() == ["COMPLETE", "COMPLETE"]


def test_deleted_copy_is_built_again(ledger: Ledger) -> None:
    """Whoever deletes the study in Optuna gets it back, at the next look or the next but one."""
    ledger.run(COMPLETE, PRUNED)
    ledger.bring()
    optuna.delete_study(storage=ledger.storage, study_name=ledger.record.name)
    assert ledger.again() == 2
    optuna.delete_study(storage=ledger.storage, study_name=ledger.record.name)
    ledger.run(COMPLETE)
    with pytest.raises(StoreError, match="deleted in the meantime"):
        ledger.bring()
    assert ledger.bring() == 3
    assert ledger.states() == ["COMPLETE", "PRUNED", "COMPLETE"]


def test_retried_trial(ledger: Ledger) -> None:
    """The copy is built again when a trial in it has another outcome now."""
    ledger.run(COMPLETE, FAIL, COMPLETE)
    ledger.bring()
    ledger.store.retry(ledger.record.id)
    assert ledger.bring() == 0
    assert ledger.claim() == 1
    ledger.finish(1)
    assert ledger.bring() == 3
    assert ledger.states() == ["COMPLETE"] * 3
    assert ledger.again() == 0


def test_changed_copy_is_built_again(ledger: Ledger) -> None:
    """What anyone adds to the copy is not the ledger's, and goes."""
    ledger.run(COMPLETE)
    ledger.bring()
    ledger.load().enqueue_trial({"training.lr": 0.5})
    assert ledger.again() == 1
    assert ledger.states() == ["COMPLETE"]


def lost() -> None:
    """The lock is another's."""
    raise StoreAwayError("the lock is lost")


def test_nothing_is_written_beside_another(ledger: Ledger) -> None:
    """One that has lost its lock makes no study, adds no trial and deletes none."""
    ledger.run(COMPLETE)
    lacking = ledger.store.unprojected(ledger.record.id, mlflow=False)
    with pytest.raises(StoreAwayError):
        ledger.copy.bring(lacking, lost)
    assert optuna.get_all_study_names(ledger.storage) == []
    ledger.bring()
    ledger.run(COMPLETE)
    lacking = ledger.store.unprojected(ledger.record.id, mlflow=False)
    with pytest.raises(StoreAwayError):
        ledger.copy.bring(lacking, lost)
    assert ledger.states() == ["COMPLETE"]
    ledger.load().enqueue_trial({"training.lr": 0.5})
    ledger.copy.forget()
    with pytest.raises(StoreAwayError):
        ledger.copy.bring(lacking, lost)
    assert ledger.states() == ["COMPLETE", "WAITING"]


def test_lock_that_is_lost_between_two_batches(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for before each batch of trials, not before the first alone."""
    monkeypatch.setattr(optuna_copy, "_BATCH", 2)
    ledger.run(*[COMPLETE] * 4)
    ledger.bring()
    ledger.copy.delete()
    asked = [0]

    def alone() -> None:
        asked[0] += 1
        if asked[0] > 2:  # before the study is made, and before each of two batches
            lost()

    with pytest.raises(StoreAwayError):
        ledger.copy.bring([], alone)
    assert ledger.states() == ["COMPLETE"] * 2


def test_a_lock_that_is_lost_while_a_batch_is_written(ledger: Ledger) -> None:
    """What another has added meanwhile is seen, and no trial is there twice."""
    ledger.run(COMPLETE, COMPLETE)
    other = OptunaCopy(ledger.store, ledger.record)

    def alone() -> None:
        if ledger.copy._length == 0:
            other.bring([])

    lacking = ledger.store.trials(ledger.record.id)
    with pytest.raises(StoreError, match="another process wrote trials at the same time"):
        ledger.copy.bring(lacking, alone)
    other.close()
    assert ledger.states() == ["COMPLETE"] * 2
    assert ledger.again() == 0


def test_deleting(ledger: Ledger) -> None:
    """The copy goes, and deleting what is not there is no error."""
    ledger.run(COMPLETE)
    ledger.bring()
    ledger.copy.delete()
    ledger.copy.delete()
    with pytest.raises(KeyError):
        ledger.load()


def test_a_users_own_study_is_left_alone(ledger: Ledger) -> None:
    """An Optuna study of the same name that hpsearch did not write is neither touched nor mixed."""
    own = optuna.create_study(storage=ledger.storage, study_name=ledger.record.name)
    own.add_trial(optuna.create_trial(value=1.0))
    ledger.run(COMPLETE)
    with pytest.raises(StoreError, match="is not hpsearch's"):
        ledger.bring()
    with pytest.raises(StoreError, match="is not hpsearch's"):
        ledger.copy.delete()
    assert [trial.value for trial in ledger.load().trials] == [1.0]


def test_workers_write_beside_it(ledger: Ledger, make: Callable[..., Ledger]) -> None:
    """Claims and finishes go on while the copy is written; nobody is refused."""
    other = make(name="other", search__trials=60)
    worker = threading.Thread(target=other.run, args=[COMPLETE] * 60)
    ledger.run(*[COMPLETE] * 6)
    worker.start()
    while worker.is_alive():
        other.bring()
        ledger.copy.delete()
        assert ledger.again() == 6
    worker.join()
    other.bring()
    assert len(other.states()) == 60


def test_writes_hold_the_lock_from_their_first_moment(ledger: Ledger) -> None:
    """On SQLite, also after a look that must not; one that comes by it late may be refused."""
    if ledger.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL locks rows")
    ledger.run(COMPLETE)
    ledger.bring()
    ledger.run(COMPLETE)
    said: list[str] = []

    def noted(_: object, __: object, statement: str, *___: object) -> None:
        said.append(statement)

    sa.event.listen(ledger.copy._open().engine, "before_cursor_execute", noted)
    assert ledger.again() == 1
    begun = [at for at, text in enumerate(said) if text.startswith("BEGIN")]
    wrote = [at for at, text in enumerate(said) if text.startswith("INSERT")]
    assert wrote
    assert {said[max(at for at in begun if at < line)] for line in wrote} == {"BEGIN IMMEDIATE"}
    assert "BEGIN" in said


def test_many_openers_on_an_empty_database(database: Database) -> None:
    """Optuna's tables are made once, however many begin at the same moment."""
    program = (
        "import sys\n"
        "from hpsearch.ledger.database import Database\n"
        "from hpsearch.projections.optuna_copy import OptunaCopy\n"
        "from hpsearch.ledger.store import Store\n"
        "store = Store(Database(sys.argv[1]))\n"
        "for record in store.studies():\n"
        "    if record.name == sys.argv[2]:\n"
        "        OptunaCopy(store, record).bring([])\n"
    )
    names = [f"s{index}" for index in range(3)]
    for name in names:
        Store(database).register(study(name=name), {"dataset": "d"})
    url = database.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url, name], stderr=subprocess.PIPE)
        for name in names
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert said == [""] * 3
    assert sorted(optuna.get_all_study_names(opened(database))) == names

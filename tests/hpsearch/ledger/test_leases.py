"""The ledger's promises, held on SQLite and on PostgreSQL by the same tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from hpsearch.errors import DigestConflictError, StoreError, UnknownStudyError, UsageError
from hpsearch.ledger import records
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import (
    FAILS_IN_A_ROW,
    MOST_CRASHES,
    Claim,
    Idle,
    Leases,
    crashed,
    released,
)
from hpsearch.ledger.live import live
from hpsearch.ledger.owner import LONGEST, Owner
from hpsearch.ledger.records import Result, State, StudyRecord, curve, encode
from hpsearch.ledger.rows import Reader, Row, Unfinished
from hpsearch.ledger.store import Store
from hpsearch.ledger.tables import curves, studies, trials
from hpsearch.verify import ledger_reading
from tests.conftest import study

HERE = Owner.of()
COMPLETE = Result(
    state=State.COMPLETE,
    value=0.5,
    params={"training.lr": 0.1, "network.dropout": 0.0},
    curve=curve([[0.1, 0.2, 0.3, 0.5]]),
    weights_sha256="ab",
)
FAIL = Result(State.FAIL, None, {}, curve(), None, reason="ValueError: made up")

Join = Callable[..., Leases]


@pytest.fixture
def record(database: Database) -> StudyRecord:
    """A study of six trials."""
    return Store(database).register(study(), {"dataset": "d"})


@pytest.fixture
def join(database: Database, record: StudyRecord) -> Join:
    """Another worker; each has an owner of its own, all of them this living process."""
    numbers = iter(range(1000))

    def joined(owner: Owner | None = None, lag: int | None = None, lease: float = 60.0) -> Leases:
        # On a host of its own, so that nobody can see whether its process lives.
        owner = owner or replace(HERE, host=f"elsewhere-{next(numbers)}")
        return Leases(database, record, lag=lag, seed=lambda n: 1000 + n, owner=owner, lease=lease)

    return joined


def dead(launcher: int | None = None) -> Owner:
    """A process of this host that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    owner = Owner.of(process.pid, launcher)
    process.wait()
    return owner


def number(claim: Claim | Idle) -> int:
    """The claimed number."""
    assert isinstance(claim, Claim)
    return claim.number


def states(database: Database, record: StudyRecord) -> list[str]:
    """The states of all trials, by number."""
    return [str(trial.state) for trial in Store(database).trials(record.id)]


def test_numbers_are_given_out_in_order(join: Join) -> None:
    """Each claim takes the next number, to the budget; then others are waited for."""
    assert [number(join().claim()) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    assert Idle.WAIT is join().claim()


def test_lost_claim_is_taken_again(join: Join) -> None:
    """A worker runs one trial at a time: one that claims again has not learnt of its claim."""
    leases = join()
    assert 0 == number(leases.claim()) == number(leases.claim())
    assert number(join().claim()) == 1


def test_lost_claim_comes_before_all_others(join: Join) -> None:
    """Else a worker would hold two trials, and run one of them only when its lease is over."""
    first, second = join(), join()
    assert [number(first.claim()), number(second.claim())] == [0, 1]
    first.hand_back(0)
    assert number(second.claim()) == 1
    assert number(first.claim()) == 0


def test_study_is_done_when_all_have_ended(join: Join) -> None:
    """DONE is said only when nothing is left that could come back."""
    leases = join()
    for _ in range(6):
        leases.finish(number(leases.claim()), COMPLETE)
    assert Idle.DONE is leases.claim()


def test_seed_comes_with_the_number(join: Join) -> None:
    """A trial's seed is its number's, also when it is taken over."""
    first, second = join(), join()
    assert Claim(0, 1000) == first.claim()
    first.hand_back(0)
    assert Claim(0, 1000) == second.claim()


def test_lag_holds_a_number_back(join: Join) -> None:
    """Trial n is begun once all trials 0 … n - lag have ended, and not before."""
    first, second, third = join(lag=2), join(lag=2), join(lag=2)
    assert [number(first.claim()), number(second.claim())] == [0, 1]
    assert Idle.WAIT is third.claim()
    second.finish(1, COMPLETE)
    assert Idle.WAIT is third.claim()
    first.finish(0, COMPLETE)
    assert [number(first.claim()), number(second.claim())] == [2, 3]


def test_handed_back_trial_is_next(database: Database, record: StudyRecord, join: Join) -> None:
    """A trial given back is WAITING, and is taken before any new number."""
    first, second = join(), join()
    assert [number(first.claim()), number(second.claim())] == [0, 1]
    first.hand_back(0)
    assert states(database, record) == ["WAITING", "RUNNING"]
    assert number(join().claim()) == 0
    assert Store(database).trial(record.id, 0).attempts == 2


def test_lease_that_ran_out_is_taken_over(join: Join) -> None:
    """After its lease a trial is anyone's, under its number; its first owner is told."""
    first, second = join(lease=-1.0), join()
    assert number(first.claim()) == 0
    assert number(second.claim()) == 0
    assert not first.renew(0)
    assert second.renew(0)


def test_renewed_lease_is_kept(join: Join) -> None:
    """A lease that is renewed is not taken over."""
    first, second = join(lease=-1.0), join()
    assert number(first.claim()) == 0
    first.lease = 60.0
    assert first.renew(0)
    assert number(second.claim()) == 1


def test_renewal_shows_the_epochs_so_far(
    database: Database, record: StudyRecord, join: Join
) -> None:
    """Bit for bit, of running trials that have any; a renewal without them changes none."""
    first, second = join(), join()
    first.claim()
    second.claim()
    rows = curve([[0.1, np.nan, -0.0, np.inf], [0.3, 0.4, 0.5, 0.6]])
    assert first.renew(0, rows)
    assert first.renew(0)
    shown = live(database, record)
    assert list(shown) == [0]
    assert encode(rows) == encode(shown[0])
    assert not second.renew(0, rows[:1])
    assert len(live(database, record)[0]) == 2


@pytest.mark.parametrize("end", ["finish", "hand back", "release", "crash", "take over"])
def test_trial_that_is_not_run_on_shows_no_epochs(
    database: Database, record: StudyRecord, join: Join, end: str
) -> None:
    """However a worker leaves its trial, what it had shown goes: the next begins at none."""
    owner = replace(HERE, host="elsewhere")
    worker = join(owner, lease=-1.0 if end == "take over" else 60.0)
    worker.claim()
    assert worker.renew(0, curve([[0.1, 0.2, 0.3, 0.4]]))
    match end:
        case "finish":
            worker.finish(0, COMPLETE)
        case "hand back":
            worker.hand_back(0)
        case "release":
            released(database, record.id, [owner])
        case "crash":
            crashed(database, record.id, owner)
    if end != "finish":
        assert number(join().claim()) == 0
    assert live(database, record) == {}
    query = sa.select(sa.func.count()).where(trials.c.live.is_not(None))
    with database.read() as connection:
        assert connection.execute(query).scalar() == 0


def test_epochs_that_are_none_are_told(database: Database, record: StudyRecord, join: Join) -> None:
    """Another program may have written anything there."""
    join().claim()
    with database.write() as connection:
        connection.execute(sa.update(trials).values(live=b"123"))
    with pytest.raises(StoreError, match="hpsearch_trials, study 'small', trial 0, live"):
        live(database, record)


def test_dead_process_of_this_host_frees_its_lease(join: Join) -> None:
    """A lease whose process on this host is gone is free at once, however long it would last."""
    assert number(join(owner=dead()).claim()) == 0
    assert number(join(owner=HERE).claim()) == 0


def test_trial_of_a_process_that_is_gone_is_not_held(
    database: Database, record: StudyRecord, join: Join
) -> None:
    """Nothing waits for it: the study may be deleted at once."""
    store = Store(database)
    assert number(join(owner=dead()).claim()) == 0
    assert store.held(record.id) == set()
    store.refuse_running(record.id)
    assert number(join(owner=HERE).claim()) == 0
    assert store.held(record.id) == {0}


def test_dead_process_is_left_to_its_launcher(
    database: Database, record: StudyRecord, join: Join
) -> None:
    """As long as that lives: else others would take the trial up, and nobody count the crash."""
    looked_after, orphan = dead(os.getpid()), dead(dead().pid)
    owners = [HERE, looked_after, orphan]
    assert owners == [Owner.parse(str(owner)) for owner in owners]
    assert number(join(owner=looked_after).claim()) == 0
    assert number(join().claim()) == 1
    assert crashed(database, record.id, looked_after) == []
    assert number(join().claim()) == 0
    assert number(join(owner=orphan).claim()) == 2
    assert number(join().claim()) == 2


def test_living_process_keeps_its_lease(join: Join) -> None:
    """A living owner's trial is not taken, and neither is one of a host that cannot be seen."""
    assert number(join(owner=HERE).claim()) == 0
    assert number(join().claim()) == 1
    assert number(join().claim()) == 2


@pytest.mark.parametrize(
    ("until", "held"), [(-1.0, False), (30.0, True), (LONGEST - 5, True), (LONGEST + 5, False)]
)
def test_lease_of_another_clock_holds_nothing(
    database: Database, record: StudyRecord, join: Join, until: float, held: bool
) -> None:
    """Whether a trial is held is one question, and all who ask it are told the same."""
    store = Store(database)
    assert number(join().claim()) == 0
    with database.write() as connection:
        connection.execute(sa.update(trials).values(lease_until=database.now + until))
    assert (store.held(record.id) == {0}) is held
    with pytest.raises(UsageError) if held else nullcontext():
        store.refuse_running(record.id)
    seen = ledger_reading.read(database, record.name)
    assert seen.trials[0].leased is held
    assert number(join().claim()) == (1 if held else 0)


@pytest.mark.parametrize("owner", ["nobody", "host:1:born:7", "nobody:we:know:of:now"])
def test_what_is_no_owner_holds_as_long_as_its_lease(
    database: Database, record: StudyRecord, join: Join, owner: str
) -> None:
    """What no worker has written cannot be seen to be gone, and that is no error."""
    store = Store(database)
    assert number(join().claim()) == 0
    with database.write() as connection:
        connection.execute(sa.update(trials).values(owner=owner))
    assert store.held(record.id) == {0}
    assert number(join().claim()) == 1
    with database.write() as connection:
        connection.execute(sa.update(trials).values(lease_until=database.now - 1))
    assert store.held(record.id) == set()
    assert number(join().claim()) == 0


def test_claim_reads_no_trial_that_others_run(
    database: Database, record: StudyRecord, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many run elsewhere: it holds up all other claims, and reads what it may take."""
    read = list[int]()
    unfinished = Reader.unfinished

    def noted(self: Reader, row: Row) -> Unfinished:
        read.append(row.number)
        return unfinished(self, row)

    running = [join(lag=4) for _ in range(4)]
    assert [number(worker.claim()) for worker in running] == [0, 1, 2, 3]
    running[3].hand_back(3)
    monkeypatch.setattr(Reader, "unfinished", noted)
    assert number(join(lag=4).claim()) == 3
    assert join(lag=4).claim() is Idle.WAIT
    assert read == [3]


def test_host_name_with_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner reads as it was written, whatever its host is called."""
    monkeypatch.setattr(socket, "gethostname", lambda: "fe80::1:2")
    for owner in (Owner.of(), Owner.of(launcher=os.getpid())):
        assert owner == Owner.parse(str(owner))
        assert not owner.gone()
    assert replace(Owner.of(), pid=2**22 + 1).gone()


def test_first_finish_wins(database: Database, record: StudyRecord, join: Join) -> None:
    """Two that ran the same trial both succeed; the second changes nothing."""
    first, second = join(lease=-1.0), join()
    assert 0 == number(first.claim()) == number(second.claim())
    assert second.finish(0, COMPLETE)
    before = Store(database).trial(record.id, 0)
    assert not first.finish(0, COMPLETE)
    assert before == Store(database).trial(record.id, 0)


def test_conflicting_finish_is_loud(join: Join) -> None:
    """A second finish with other bits is an error that names both digests."""
    leases = join()
    leases.finish(number(leases.claim()), COMPLETE)
    with pytest.raises(DigestConflictError, match=r"trial 0 .* ab .* cd"):
        leases.finish(0, replace(COMPLETE, weights_sha256="cd"))


def test_finish_keeps_every_bit(database: Database, record: StudyRecord, join: Join) -> None:
    """Curves and values come back as they were, NaN and infinities included."""
    rows = curve([[np.nan, np.inf, -np.inf, 5e-324], [0.1, -0.0, 1 / 3, 1.797e308]])
    leases = join()
    result = replace(COMPLETE, curve=rows, value=1 / 3, steps=np.array([np.pi, 1e-300]))
    leases.finish(number(leases.claim()), result)
    store = Store(database)
    assert rows.tobytes() == store.curves(record.id)[0].tobytes()
    assert result.steps.tobytes() == store.steps(record.id)[0].tobytes()
    trial = store.trial(record.id, 0)
    assert (
        trial.state,
        trial.value,
        trial.epochs,
        trial.weights_sha256,
    ) == (State.COMPLETE, 1 / 3, 2, "ab")
    assert trial.ended is not None
    assert trial.started <= trial.ended


def test_reason_may_be_any_text(database: Database, record: StudyRecord, join: Join) -> None:
    """What a training said is kept on both databases alike; what neither holds is spelt out."""
    leases = join()
    said = "ValueError: a NUL \x00, half a character \udc80, größe → 2"
    leases.finish(number(leases.claim()), replace(FAIL, reason=said))
    trial = Store(database).trial(record.id, 0)
    assert trial.reason == r"ValueError: a NUL \u0000, half a character \udc80, größe → 2"


def test_ten_failures_in_a_row_stop_the_study(database: Database) -> None:
    """After ten FAIL trials in a row no more are begun, until they are retried."""
    record = Store(database).register(study(name="failing", search__trials=20), {"dataset": "d"})
    leases = Leases(database, record, lag=None, seed=int, owner=HERE)
    leases.finish(number(leases.claim()), COMPLETE)
    for _ in range(FAILS_IN_A_ROW):
        leases.finish(number(leases.claim()), FAIL)
    assert Idle.STOPPED is leases.claim()
    assert Store(database).retry(record.id) == FAILS_IN_A_ROW
    assert number(leases.claim()) == 1


def test_retried_trial_stays_out_of_the_history(
    database: Database, record: StudyRecord, join: Join
) -> None:
    """What failed once is never shown to samplers, so what they were told stays the same."""
    leases, store = join(lag=1), Store(database)
    leases.finish(number(leases.claim()), COMPLETE)
    leases.finish(number(leases.claim()), FAIL)
    assert [trial.number for trial, _ in store.history(record.id, -1, 1)] == [0]
    assert store.retry(record.id) == 1
    assert number(leases.claim()) == 1
    assert number(join(lag=1).claim()) == 2  # though trial 1 is running
    leases.finish(1, COMPLETE)
    assert [trial.number for trial, _ in store.history(record.id, -1, 1)] == [0]
    assert store.trial(record.id, 1).state == State.COMPLETE


def test_worker_killer_is_given_up(database: Database, record: StudyRecord, join: Join) -> None:
    """A trial that takes its worker down five times ends as FAIL, lost; the study goes on."""
    for crash in range(1, MOST_CRASHES + 1):
        owner = dead()
        assert number(join(owner=owner).claim()) == 0
        assert ([0] if crash == MOST_CRASHES else []) == crashed(database, record.id, owner)
    trial = Store(database).trial(record.id, 0)
    assert (trial.state, trial.reason, trial.attempts) == (State.FAIL, "lost", MOST_CRASHES)
    assert number(join().claim()) == 1


def test_deleted_study_ends_its_workers(
    database: Database, record: StudyRecord, join: Join
) -> None:
    """A study is not deleted under a running trial; once it is, its workers are told."""
    leases, store = join(), Store(database)
    assert number(leases.claim()) == 0
    with pytest.raises(UsageError, match="1 of its trials are running"):
        store.refuse_running(record.id)
    store.delete(record.id)
    with pytest.raises(UnknownStudyError):
        leases.claim()
    with pytest.raises(UnknownStudyError):
        leases.finish(0, COMPLETE)


def test_worker_that_slept_through_delete_finds_no_study(
    database: Database, record: StudyRecord, join: Join
) -> None:
    """Whatever has its study's id by now, as after a restore, is not its to work on."""
    store, slept = Store(database), join(owner=HERE)
    assert number(slept.claim()) == 0
    slept.hand_back(0)
    store.delete(record.id)
    other = store.register(study(name="other"), {"dataset": "d"})
    with database.write() as connection:
        where = studies.c.id == other.id
        connection.execute(sa.update(studies).where(where).values(id=record.id))
    other = store.study("other")
    assert other.id == record.id
    begun = Leases(database, other, lag=None, seed=int, owner=HERE)
    assert number(begun.claim()) == 0
    before = store.trials(other.id)
    with pytest.raises(UnknownStudyError):
        slept.claim()
    assert not slept.renew(0)
    slept.show(0, COMPLETE.params)
    slept.hand_back(0)
    with pytest.raises(UnknownStudyError):
        slept.finish(0, COMPLETE)
    assert before == store.trials(other.id)
    assert store.curves(other.id) == {}


def race(database: Database, record: StudyRecord, racers: int) -> list[int]:
    """The numbers that workers get who begin at the same moment, until there are no more."""
    start = threading.Barrier(racers)

    def work(index: int) -> list[int]:
        owner = replace(HERE, host=f"racer-{index}")
        leases = Leases(database, record, lag=None, seed=int, owner=owner)
        start.wait()
        mine = []
        while isinstance(claim := leases.claim(), Claim):
            mine.append(claim.number)
            leases.finish(claim.number, COMPLETE)
        return mine

    with ThreadPoolExecutor(racers) as pool:
        return [n for mine in pool.map(work, range(racers)) for n in mine]


def test_racing_workers_share_every_number_once(database: Database) -> None:
    """Eight workers claiming at once get each number exactly once."""
    record = Store(database).register(study(name="race", search__trials=80), {"dataset": "d"})
    assert list(range(80)) == sorted(race(database, record, racers=8))


def test_racers_on_expired_leases_take_each_once(database: Database) -> None:
    """Six workers racing for thirty expired leases take each exactly once."""
    record = Store(database).register(study(name="race", search__trials=30), {"dataset": "d"})
    for n in range(30):
        owner = replace(HERE, host="away", pid=n)
        assert n == number(Leases(database, record, lag=None, seed=int, owner=owner).claim())
    with database.write() as connection:
        connection.execute(sa.update(trials).values(lease_until=0.0))
    assert list(range(30)) == sorted(race(database, record, racers=6))


def test_digest_is_of_what_matters(database: Database, record: StudyRecord, join: Join) -> None:
    """The digest of a study does not depend on the order of finishing, and does on every bit."""
    store = Store(database)
    first_worker, second_worker = join(), join()
    for leases in (first_worker, second_worker):
        n = number(leases.claim())
        leases.finish(n, replace(COMPLETE, value=float(n)))
    other = store.register(study(name="other"), {"dataset": "d"})
    pair = [
        Leases(database, other, lag=None, seed=int, owner=replace(HERE, host=f"other-{index}"))
        for index in range(2)
    ]
    claimed = [(number(leases.claim()), leases) for leases in pair]
    for n, leases in reversed(claimed):
        leases.finish(n, replace(COMPLETE, value=float(n)))
    first = records.digest(store.finished(record.id), {})
    assert first == records.digest(store.finished(other.id), {})
    assert first != records.digest(store.finished(record.id)[:1], {})
    (trial, rows), *rest = store.finished(record.id)
    changed = rows.copy()
    changed[0, 0] = np.nextafter(changed[0, 0], 1)
    assert first != records.digest([(trial, changed), *rest], {})
    assert first != records.digest(store.finished(record.id), {0: np.array([1.0])})


def test_takeover_yields_to_a_finish(
    database: Database, record: StudyRecord, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finish that commits while another worker is taking the trial over is not undone."""
    late, taker = join(lease=-1.0), join()
    assert number(late.claim()) == 0
    free = Leases._free

    def finish_meanwhile(self: Leases, row: sa.Row[tuple[object, ...]], now: float) -> bool:
        if database.file is None:  # SQLite has one writer at a time: it cannot come between
            assert late.finish(0, COMPLETE)
        return free(self, row, now)

    monkeypatch.setattr(Leases, "_free", finish_meanwhile)
    if database.file is None:
        assert number(taker.claim()) == 1
        assert Store(database).trial(record.id, 0).state is State.COMPLETE
    else:
        assert number(taker.claim()) == 0


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_first_of_equal_bests_is_the_best(database: Database, direction: str) -> None:
    """Several may have the best value: the one of the lowest number, whoever finished first."""
    store = Store(database)
    record = store.register(study(name="equal", search__direction=direction), {"dataset": "d"})
    workers = [
        Leases(database, record, lag=None, seed=int, owner=replace(HERE, host=f"h{index}"))
        for index in range(4)
    ]
    worse = 0.1 if direction == "maximize" else 0.9
    values = [worse, 0.5, 0.5, worse]
    for worker in workers:
        worker.claim()
    for index in reversed(range(4)):
        workers[index].finish(index, replace(COMPLETE, value=values[index]))
    best = store.best(record)
    assert best is not None
    assert best.number == 1


def test_sqlite_reaches_the_disk_and_holds_references(database: Database) -> None:
    """A power cut tears no store (NORMAL is enough with a log), and no trial lacks its study."""
    if database.file is None:
        pytest.skip("SQLite's settings")
    database.engine.dispose()  # the first connection was there for the migrations
    for open_ in (database.read, database.write):
        with open_() as connection:
            assert connection.execute(sa.text("PRAGMA synchronous")).scalar() in (1, 2)
            assert connection.execute(sa.text("PRAGMA foreign_keys")).scalar() == 1
            assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"


def test_what_was_given_up_stays_out_of_the_history(
    database: Database, record: StudyRecord, join: Join
) -> None:
    """A trial that was lost, and completed by a retry, is shown to no sampler."""
    store = Store(database)
    for _ in range(MOST_CRASHES):
        owner = dead()
        assert number(join(owner=owner).claim()) == 0
        crashed(database, record.id, owner)
    assert store.retry(record.id) == 1
    last = join()
    assert number(last.claim()) == 0
    last.finish(0, COMPLETE)
    assert store.trial(record.id, 0).state is State.COMPLETE
    assert store.history(record.id, -1, 5) == []


@pytest.mark.parametrize("how", ["FAIL", "lost", "retry"])
def test_each_way_of_failing_hides_by_itself(
    database: Database, record: StudyRecord, join: Join, how: str
) -> None:
    """FAIL, ``lost`` and ``retry`` each keep a trial from all later ones, without the others."""
    store, leases = Store(database), join()
    if how == "lost":
        for _ in range(MOST_CRASHES):
            owner = dead()
            assert number(join(owner=owner).claim()) == 0
            crashed(database, record.id, owner)
    else:
        leases.finish(number(leases.claim()), FAIL)
    with database.write() as connection:
        if how == "retry":  # of a trial that failed before failures were hidden
            connection.execute(sa.update(trials).values(hidden=False))
        else:  # handed out again by somebody who does not hide
            connection.execute(sa.delete(curves))
            connection.execute(sa.update(trials).values(state=State.WAITING))
    if how == "retry":
        assert store.retry(record.id) == 1
    leases = join(lag=1)
    assert number(leases.claim()) == 0
    assert number(join(lag=1).claim()) == 1  # waits for nothing that it will not be shown
    leases.finish(0, COMPLETE)
    assert store.trial(record.id, 0).state is State.COMPLETE
    assert store.history(record.id, -1, 5) == []


def test_a_round_waits_for_all_before_it(database: Database, record: StudyRecord) -> None:
    """The first trial of a round waits until every earlier one has ended, without a lag."""
    leases, other = (
        Leases(
            database,
            record,
            lag=lambda number: -1 if number < 2 else 1,
            seed=int,
            owner=replace(HERE, host=host),
        )
        for host in ("a", "b")
    )
    assert [number(leases.claim()), number(other.claim())] == [0, 1]
    leases.finish(0, COMPLETE)
    assert Idle.WAIT is leases.claim()
    other.finish(1, COMPLETE)
    assert [number(leases.claim()), number(other.claim())] == [2, 3]

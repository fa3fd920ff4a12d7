"""A PostgreSQL serves however it was set up: its encoding, its roles' settings, its refusals."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa

import hpsearch.ledger
from hpsearch.errors import (
    LostRaceError,
    StoreAwayError,
    StoreError,
    StoreOpenError,
    StoreUnreachableError,
)
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases, crashed, released
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, StudyRecord, curve
from hpsearch.ledger.store import Store
from hpsearch.projections.optuna_copy import OptunaCopy
from hpsearch.verify import ledger_reading
from hpsearch.work.worker import patiently
from tests.conftest import study
from tests.postgres import Cluster

COMPLETE = Result(
    state=State.COMPLETE,
    value=0.5,
    params={"training.lr": 0.1, "network.dropout": 0.0},
    curve=curve([[0.1, 0.2, 0.3, 0.5]]),
    weights_sha256="ab",
)

OWNER = replace(Owner.of(), host="elsewhere")

Open = Callable[[str], Database]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens stores, and closes their connections in the end."""
    stores: list[Database] = []

    def database(url: str) -> Database:
        stores.append(Database(url))
        return stores[-1]

    yield database
    for store in stores:
        store.engine.dispose()


def encoded(postgres: Cluster, encoding: str) -> str:
    """The URL of a new database of that encoding."""
    return postgres.database(
        options=f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )


def worker(database: Database, record: StudyRecord, host: str = "elsewhere") -> Leases:
    """A worker of another host."""
    owner = replace(Owner.of(), host=host)
    return Leases(database, record, lag=None, seed=int, owner=owner, lease=60.0)


def run(leases: Leases, reason: str | None = None) -> int:
    """Begin a trial and end it, as FAIL if there is a reason."""
    claim = leases.claim()
    assert isinstance(claim, Claim)
    failed = replace(COMPLETE, state=State.FAIL, value=None, weights_sha256=None, reason=reason)
    leases.finish(claim.number, COMPLETE if reason is None else failed)
    return claim.number


def setting(connection: sa.Connection, name: str) -> str:
    """What a session's setting is."""
    found: str = connection.execute(sa.text(f"SHOW {name}")).scalar_one()
    return found


@pytest.mark.parametrize(
    ("encoding", "name"), [("SQL_ASCII", "größe → 2"), ("LATIN1", "größe"), ("UTF8", "größe → 2")]
)
def test_text_comes_back_as_it_was(
    postgres: Cluster, opened: Open, encoding: str, name: str
) -> None:
    """Whatever the database's encoding is, names and reasons are read as they were written."""
    store = Store(opened(encoded(postgres, encoding)))
    record = store.register(study(name=name), {"dataset": "d"})
    leases = worker(store.database, record)
    run(leases)
    run(leases, reason=f"ValueError: {name}")
    assert [name] == [found.name for found in store.studies()]
    assert f"ValueError: {name}" == store.trial(record.id, 1).reason
    assert name == ledger_reading.read(store.database, name).name
    copy = OptunaCopy(store, store.study(name))
    assert copy.bring(store.trials(record.id)) == 2
    copy.close()
    url = store.database.url.update_query_dict({"client_encoding": "utf8"})
    read = optuna.storages.RDBStorage(url.render_as_string(hide_password=False))
    (summary,) = optuna.get_all_study_summaries(read)
    assert name == summary.study_name
    read.remove_session()
    read.engine.dispose()


def test_text_that_the_database_lacks_is_told_in_a_line(postgres: Cluster, opened: Open) -> None:
    """A LATIN1 database holds no arrow; the line says so, and which database would."""
    store = Store(opened(encoded(postgres, "LATIN1")))
    with pytest.raises(StoreError, match="LATIN1") as raised:
        store.register(study(name="→"), {"dataset": "d"})
    assert "ENCODING 'UTF8'" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert store.studies() == []


def test_encoding_without_unicode_is_refused_at_once(postgres: Cluster, opened: Open) -> None:
    """Where the server has no way from Unicode, it is no outage that waiting would mend."""
    with pytest.raises(StoreOpenError, match="MULE_INTERNAL") as raised:
        opened(encoded(postgres, "MULE_INTERNAL"))
    assert not isinstance(raised.value, StoreUnreachableError)
    assert "ENCODING 'UTF8'" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_encoding_in_the_address_changes_nothing(fresh_postgres: str, opened: Open) -> None:
    """An address may ask for another encoding: the ledger's text is Unicode all the same."""
    store = Store(opened(f"{fresh_postgres}&client_encoding=latin1"))
    store.register(study(name="→"), {"dataset": "d"})
    assert [found.name for found in store.studies()] == ["→"]


def test_options_in_the_address_stand_beside_our_own(fresh_postgres: str, opened: Open) -> None:
    """Who gives the server options of their own still gets our isolation and our patience."""
    own = "-c work_mem=5MB -c default_transaction_isolation=serializable"
    url = sa.make_url(fresh_postgres).update_query_dict({"options": own})
    with opened(url.render_as_string(hide_password=False)).read() as connection:
        names = ("work_mem", "transaction_isolation", "lock_timeout")
        found = [setting(connection, name) for name in names]
    assert found == ["5MB", "read committed", "30s"]


def test_locks_of_a_host_that_is_cut_off_do_not_last(fresh_postgres: str, opened: Open) -> None:
    """One that falls silent in a transaction loses it, before others give up waiting for it."""
    store = Store(opened(fresh_postgres))
    with store.database.read() as connection:
        assert setting(connection, "idle_in_transaction_session_timeout") == "20s"
    record = store.register(study(), {"dataset": "d"})
    soon = {"options": "-c idle_in_transaction_session_timeout=100"}
    url = sa.make_url(fresh_postgres).update_query_dict(soon)
    silent = opened(url.render_as_string(hide_password=False))

    def late() -> None:
        with silent.write() as connection:
            connection.execute(sa.select(tables.studies).with_for_update())
            assert run(worker(store.database, record)) == 0  # waits until the lock is free
            connection.execute(sa.update(tables.studies).values(budget=99))

    with pytest.raises(StoreAwayError):
        late()
    assert store.study("small").study.search.trials == 6


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_default_isolation_of_a_role_stops_no_study(
    postgres: Cluster, fresh_postgres: str, opened: Open, level: str
) -> None:
    """Workers side by side get each number once, whatever a transaction is by default."""
    name = sa.make_url(fresh_postgres).database
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    database = opened(fresh_postgres)
    for transaction in (database.read, database.write):
        with transaction() as connection:
            assert setting(connection, "transaction_isolation") == "read committed"
    record = Store(database).register(study(search__trials=40), {"dataset": "d"})

    def work(host: int) -> list[int]:
        leases = worker(database, record, f"elsewhere-{host}")
        return [run(leases) for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(4)))
    assert list(range(40)) == sorted(number for numbers in done for number in numbers)


def test_default_isolation_of_a_role_is_not_that_of_optuna_s_copy(
    postgres: Cluster, fresh_postgres: str, opened: Open
) -> None:
    """What writes the copy has connections of its own, and they are like the ledger's."""
    name = sa.make_url(fresh_postgres).database
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    store = Store(opened(fresh_postgres))
    copy = OptunaCopy(store, store.register(study(), {"dataset": "d"}))
    with copy._open().engine.connect() as connection:
        assert setting(connection, "transaction_isolation") == "read committed"
    copy.close()


def lose_races(database: Database, times: int, state: str = "40P01") -> None:
    """From now on, the first ``times`` statements that change something lose a race."""
    with database.write() as connection:
        # What a sequence gives is given for good, also to a transaction that is undone.
        connection.execute(sa.text("CREATE SEQUENCE losses"))
        connection.execute(
            sa.text(
                "CREATE FUNCTION lose() RETURNS trigger AS $$ BEGIN IF nextval('losses') <= "
                f"{times} THEN RAISE 'lost the race' USING ERRCODE = '{state}'; END IF; "
                "RETURN NULL; END; $$ LANGUAGE plpgsql"
            )
        )
        for table in (*tables.metadata.tables, "trials"):  # Optuna's, too
            if sa.inspect(connection).has_table(table):
                connection.execute(
                    sa.text(
                        f"CREATE TRIGGER losing AFTER INSERT OR UPDATE OR DELETE ON {table} "
                        "FOR EACH STATEMENT EXECUTE FUNCTION lose()"
                    )
                )


def copied(store: Store, record: StudyRecord, change: Callable[[OptunaCopy], object]) -> None:
    """Change Optuna's copy, and close it."""
    with closing(OptunaCopy(store, record)) as copy:
        change(copy)


CHANGES: dict[str, Callable[[Store, StudyRecord, Leases], object]] = {
    "register": lambda store, _, __: store.register(study(name="other"), {"dataset": "d"}),
    "register again": lambda store, record, _: store.register(record.study, {"dataset": "d"}),
    "touch": lambda store, record, _: store.touch(record.id),
    "delete": lambda store, record, _: store.delete(record.id),
    "retry": lambda store, record, _: store.retry(record.id),
    "remember": lambda store, _, __: store.remember({"numpy": "2"}, "ab"),
    "mark Optuna's": lambda store, record, _: store.mark_optuna(record.id, [0]),
    "mark MLflow's": lambda store, record, _: store.mark_mlflow(record.id, 0, "run", True),
    "mark the parent": lambda store, record, _: store.mark_parent(record.id, "run", "summary"),
    "mark reproduced": lambda store, record, _: store.mark_reproduced(record.id, {"a": 1}),
    "claim": lambda _, __, leases: leases.claim(),
    "show": lambda _, __, leases: leases.show(1, {"training.lr": 0.2}),
    "renew": lambda _, __, leases: leases.renew(1),
    "hand back": lambda _, __, leases: leases.hand_back(1),
    "finish": lambda _, __, leases: leases.finish(1, COMPLETE),
    "released": lambda store, record, _: released(store.database, record.id, [OWNER]),
    "crashed": lambda store, record, _: crashed(store.database, record.id, OWNER),
    "copy": lambda store, record, _: copied(
        store, record, lambda copy: copy.bring(store.trials(record.id))
    ),
    "delete the copy": lambda store, record, _: copied(store, record, OptunaCopy.delete),
}


@pytest.fixture
def begun(fresh_postgres: str, opened: Open) -> tuple[Store, StudyRecord, Leases]:
    """A store with a trial that failed and is copied to Optuna's, and one that runs."""
    store = Store(opened(fresh_postgres))
    record = store.register(study(), {"dataset": "d"})
    leases = Leases(store.database, record, lag=None, seed=int, owner=OWNER, lease=60.0)
    run(leases, reason="ValueError: 1")
    leases.claim()
    copied(store, record, lambda copy: copy.bring(store.trials(record.id)))
    store.mark_optuna(record.id, [0], there=False)
    return store, record, leases


def content(store: Store) -> list[object]:
    """All rows of the ledger, but for the times and the studies' random names."""
    left_out = {"created", "started", "ended", "lease_until", "incarnation"}
    with store.database.read() as connection:
        return [
            [row._mapping[c] for c in table.c if c.name not in left_out]
            for table in tables.metadata.sorted_tables
            for row in connection.execute(sa.select(table).order_by(*table.primary_key))
        ]


@pytest.mark.parametrize("change", CHANGES)
def test_change_that_lost_a_race_is_made_again(
    begun: tuple[Store, StudyRecord, Leases], change: str
) -> None:
    """What PostgreSQL undid so that another could commit is no failure: it is done again."""
    before = content(begun[0])
    lose_races(begun[0].database, 2)
    CHANGES[change](*begun)
    with begun[0].database.read() as connection:
        assert connection.execute(sa.text("SELECT last_value FROM losses")).scalar_one() > 2
    if change not in ("touch", "register again", "claim", "renew", "delete the copy"):
        assert before != content(begun[0])


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_race_that_is_lost_for_ever_is_an_outage(
    fresh_postgres: str, opened: Open, state: str
) -> None:
    """Nobody tries without end; a worker waits for better times, as for a server that is away."""
    database = opened(fresh_postgres)
    record = Store(database).register(study(), {"dataset": "d"})
    lose_races(database, 14, state)
    leases = worker(database, record)
    with pytest.raises(LostRaceError, match="lost the race"):
        leases.claim()
    assert Claim(0, 0) == patiently(threading.Event(), leases.claim)


LEDGER = Path(hpsearch.ledger.__file__).parent


@pytest.mark.parametrize("module", sorted(LEDGER.glob("*.py")), ids=lambda path: str(path.stem))
def test_every_change_is_made_again(module: Path) -> None:
    """No function of the ledger writes that is not repeated after a race that it lost."""
    for function in ast.walk(ast.parse(module.read_text())):
        if isinstance(function, ast.FunctionDef) and "database.write()" in ast.unparse(function):
            assert "repeated" in map(ast.unparse, function.decorator_list), function.name

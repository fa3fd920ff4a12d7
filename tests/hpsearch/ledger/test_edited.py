"""A ledger that something else has written to: whatever is in it, a command says so on one line."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.main import get_command

from hpsearch import cli
from hpsearch.errors import HpsearchError, StoreError, UsageError
from hpsearch.ledger import database as database_module
from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, curve
from hpsearch.ledger.store import Store
from hpsearch.projections.optuna_copy import OptunaCopy
from hpsearch.verify import ledger_reading
from tests.conftest import study
from tests.fuzz.bounds import bounded

DEEP = "[" * 100_000
CONTENTS: tuple[Any, ...] = (
    None,
    -1,
    2**62,
    float("inf"),
    "nonsense \x1b[31m\u202e",
    b"\xff\xfe",
    "{}",
    '{"training.lr": NaN, "number": 1e999, "dataset": 7}',
    DEEP,
    "9" * 5000,
)
"""What an edit may put into a column, whatever belongs there."""
LOOKS = (
    ["studies", "--json"],
    ["status", "small", "--json"],
    ["trials", "small", "--json"],
    ["best", "small", "--json"],
    ["config", "small", "--trial", "0"],
    ["curve", "small", "--json"],
    ["digest", "small"],
    ["verify", "small", "--no-tracking", "--json"],
)
PROGRAM = get_command(cli.app)
COLUMNS = [(table, column) for table in tables.metadata.tables.values() for column in dict(table.c)]


def enter(database: Database) -> None:
    """Enter a study with a trial of each state."""
    store = Store(database)
    record = store.register(study(), {"dataset": "d"})
    store.remember({"numpy": "2"}, "e" * 64)
    leases = Leases(database, record, lag=None, seed=int, owner=Owner.of())
    row = [(0.1, 0.2, 0.3, 0.5)]
    params = {"network.dropout": 0.1, "training.lr": 0.1}
    for result in (
        Result(State.COMPLETE, 0.5, params, curve(row * 3), "a" * 64),
        Result(State.PRUNED, None, params, curve(row), "b" * 64, reason="median"),
        Result(State.FAIL, None, params, curve((), 4), None, reason="ValueError"),
    ):
        claim = leases.claim()
        assert isinstance(claim, Claim)
        leases.finish(claim.number, result, "e" * 64)
    leases.claim()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is as it should be, in one file."""
    folder = tmp_path_factory.mktemp("whole")
    database = Database(f"sqlite:///{folder / 'studies.db'}")
    enter(database)
    database.engine.dispose()  # which leaves all of it in the one file
    return folder / "studies.db"


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace's store, which its commands open once: what they ask is compiled once, too."""
    home = tmp_path_factory.mktemp("home")
    kept: dict[str, Database] = {}

    def opened(url: str, *, create: bool = True) -> Database:
        return kept.setdefault(url, kept.get(url) or Database(url, create=create))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("HPSEARCH_STORAGE", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        patch.setenv("HPSEARCH_HOME", str(home))
        patch.setattr(database_module, "Database", opened)
        yield home / "studies.db"
    for database in kept.values():
        database.engine.dispose()


def put(source: Path, file: Path) -> None:
    """Make a store's content another's, while it may be open."""
    with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(file)) as place:
        whole.backup(place)


def look(*arguments: str) -> None:
    """Run a command in this process: it ends well, or with an error of one line."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()), bounded(60):
        try:
            PROGRAM(list(arguments), standalone_mode=False)
        except HpsearchError as error:
            said = str(error)
        else:
            said = ""
    assert len(said.splitlines()) <= 1
    assert len(said) < 1000
    if not said and "--json" in arguments:
        json.loads(out.getvalue(), parse_constant=lambda said: pytest.fail(f"{said} is no JSON"))


@pytest.mark.parametrize(
    ("table", "column"), COLUMNS, ids=lambda part: str(getattr(part, "name", part))
)
def test_no_edit_of_a_column_is_a_traceback(
    edited: Path, whole: Path, table: sa.Table, column: str
) -> None:
    """Each column, each kind of content, each command that looks: an answer, or one line."""
    for content in CONTENTS:
        put(whole, edited)
        with closing(sqlite3.connect(edited)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            number = " WHERE number = 0" if "number" in table.c else ""
            try:
                connection.execute(f"UPDATE {table.name} SET {column} = ?{number}", (content,))
            except sqlite3.IntegrityError:  # the database itself does not take it
                continue
            connection.commit()
        for arguments in LOOKS:
            try:
                look(*arguments)
            except BaseException as error:
                error.add_note(f"{table.name}.{column} = {content!r:.60}, hpsearch {arguments}")
                raise


@pytest.mark.parametrize(
    ("table", "column", "content", "where"),
    [
        ("hpsearch_studies", "definition", "{}", "study 'small'"),
        ("hpsearch_studies", "budget", -1, "study 'small'"),
        ("hpsearch_studies", "metrics", "7", "study 'small'"),
        ("hpsearch_trials", "state", "SLEEPING", "study 'small', trial 0"),
        ("hpsearch_trials", "params", "[]", "study 'small', trial 0"),
        ("hpsearch_trials", "params", '{"training.lr": "fast"}', "study 'small', trial 0"),
        ("hpsearch_trials", "params", '{"training.epochs": 3}', "study 'small', trial 0"),
        ("hpsearch_trials", "epochs", -3, "study 'small', trial 0"),
        ("hpsearch_curves", "epochs", b"torn", "study 'small', trial 0"),
    ],
)
def test_what_does_not_parse_is_named(
    database: Database, table: str, column: str, content: object, where: str
) -> None:
    """Table, study, trial and column, on either kind of database."""
    enter(database)
    number = " WHERE number = 0" if table != "hpsearch_studies" else ""
    with database.write() as connection:
        statement = sa.text(f"UPDATE {table} SET {column} = :content{number}")
        connection.execute(statement, {"content": content})
    store = Store(database)
    with pytest.raises(StoreError, match=f"{table}, {where}, {column}: "):  # noqa: PT012
        store.counts(store.study("small").id)
        store.finished(1)


@pytest.mark.parametrize(
    ("table", "column", "content"),
    [
        ("hpsearch_studies", "definition", "{}"),
        ("hpsearch_studies", "budget", "many"),
        ("hpsearch_studies", "reproduced", "7"),
        ("hpsearch_trials", "started", "early"),
        ("hpsearch_trials", "epochs", "all"),
        ("hpsearch_trials", "value", "good"),
        ("hpsearch_curves", "epochs", 7),
    ],
)
def test_verify_names_it_by_its_own_reading(
    whole: Path, tmp_path: Path, table: str, column: str, content: object
) -> None:
    """What ``verify`` reads without the code that wrote it is held to the same."""
    shutil.copy(whole, tmp_path / "studies.db")
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE {table} SET {column} = ?", (content,))
        connection.commit()
    database = Database(f"sqlite:///{tmp_path / 'studies.db'}")
    with pytest.raises(StoreError, match=f"{table}, study 'small'.*, {column}: "):
        ledger_reading.read(database, "small")
    database.engine.dispose()


@pytest.fixture(scope="module")
def copied(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same store with Optuna's copy in it."""
    file = tmp_path_factory.mktemp("copied") / "studies.db"
    shutil.copy(whole, file)
    database = Database(f"sqlite:///{file}")
    store = Store(database)
    with closing(OptunaCopy(store, store.study("small"))) as optunas:
        assert optunas.bring(store.unprojected(1)) == 3
    database.engine.dispose()
    return file


OPTUNAS = [
    ("studies", "study_id"),
    ("trials", "trial_id"),
    ("trials", "number"),
    ("trials", "state"),
    ("trial_values", "value"),
    ("trial_params", "param_name"),
    ("trial_params", "param_value"),
    ("trial_params", "distribution_json"),
]
DISTRIBUTIONS = (
    '{"name": 7}',
    '{"name": "CategoricalDistribution"}',
    '{"name": "CategoricalDistribution", "attributes": {"choices": 7}}',
    '{"name": "IntDistribution"}',
)


@pytest.mark.parametrize(("table", "column"), OPTUNAS)
def test_verify_of_optunas_tables_is_never_a_traceback(
    copied: Path, edited: Path, table: str, column: str
) -> None:
    """What does not parse there is one line that names it; what parses is judged."""
    for content in (*CONTENTS, *DISTRIBUTIONS):
        put(copied, edited)
        with closing(sqlite3.connect(edited)) as connection:
            try:
                connection.execute(f"UPDATE OR REPLACE {table} SET {column} = ?", (content,))
            except sqlite3.IntegrityError:  # it cannot get in
                continue
            connection.commit()
        look("verify", "small", "--no-tracking", "--json")
        with suppress(StoreError):
            ledger_reading.read(database_module.Database(f"sqlite:///{edited}"), "small")


def test_verify_of_tables_that_only_look_like_optunas_is_one_line(
    copied: Path, tmp_path: Path
) -> None:
    """Tables of Optuna's names without its columns are told as that."""
    file = tmp_path / "studies.db"
    shutil.copy(copied, file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE trial_params")
        connection.commit()
    database = Database(f"sqlite:///{file}")
    with pytest.raises(StoreError, match="trial_params"):
        ledger_reading.read(database, "small")
    database.engine.dispose()


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE hpsearch_trials SET lease_until = 'soon' WHERE number = 3",
        "UPDATE hpsearch_trials SET seed = 'x' WHERE number = 3",
        "UPDATE hpsearch_studies SET next_number = 'x'",
        "UPDATE hpsearch_studies SET budget = 'x'",
    ],
)
def test_claim_of_what_does_not_parse_is_one_line(whole: Path, tmp_path: Path, edit: str) -> None:
    """A worker that finds such a row ends with what it found, and writes nothing."""
    shutil.copy(whole, tmp_path / "studies.db")
    database = Database(f"sqlite:///{tmp_path / 'studies.db'}")
    record = Store(database).study("small")
    with database.write() as connection:
        connection.execute(sa.text(edit))
    leases = Leases(database, record, lag=None, seed=int, owner=Owner.of())
    with pytest.raises(StoreError, match=r"hpsearch_(trials|studies), study 'small'"):
        leases.claim()
    database.engine.dispose()


def test_trial_without_its_curve_is_told(database: Database) -> None:
    """A sampler is not to be shown less than there was, nor a digest taken of less."""
    enter(database)
    store = Store(database)
    with database.write() as connection:
        connection.execute(sa.delete(tables.curves).where(tables.curves.c.number == 1))
    for read in (
        lambda: store.history(1, -1, 3),
        lambda: store.finished(1),
        lambda: store.curves(1, [1]),
    ):
        with pytest.raises(StoreError, match="hpsearch_curves, study 'small', trial 1, epochs"):
            read()


def test_environment_that_is_not_there_is_told(database: Database) -> None:
    """A trial may name one that nobody has described."""
    with pytest.raises(StoreError, match="hpsearch_environments"):
        Store(database).environment("f" * 64)
    assert not isinstance(StoreError("x"), UsageError)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (b"TABLE hpsearch_trials", b"\x80ABLE hpsearch_trials", "is damaged"),
        (b"TABLE hpsearch_trials", b"TABLF hpsearch_trials", r"malformed.*`hpsearch restore`"),
        (b"\tbudget INTEGER", b"\t\x80udget INTEGER", "no such column"),
        (b"\tepochs INTEGER", b"\tepisod INTEGER", "no such column"),
    ],
)
def test_schema_that_is_damaged_is_one_line(
    whole: Path, tmp_path: Path, before: bytes, after: bytes, said: str
) -> None:
    """What a disk has damaged in the tables' own description is told, also while it is in use."""
    file = tmp_path / "studies.db"
    shutil.copy(whole, file)
    database = Database(f"sqlite:///{file}")
    database.engine.dispose()
    content = whole.read_bytes()
    assert before in content
    file.write_bytes(content.replace(before, after))
    with pytest.raises(StoreError, match=said):
        ledger_reading.read(database, "small")
    with pytest.raises(HpsearchError, match=said):  # noqa: PT012
        store = Store(Database(f"sqlite:///{file}"))
        store.trials(store.study("small").id)
    database.engine.dispose()

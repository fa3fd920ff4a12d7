"""The roles of docs/cluster.md are enough for what they are for, and for nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from tests.conftest import Run, study
from tests.hpsearch.command_line import Write, one_line
from tests.postgres import Cluster

DOCS = Path(__file__).parents[2] / "docs" / "cluster.md"
ROLES = ("hpsearch_worker", "hpsearch_reader")


@pytest.fixture
def addresses(
    postgres: Cluster, hpsearch: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The address for each role of a ledger in which ``small`` has one trial of six."""
    owners = sa.make_url(postgres.database())
    monkeypatch.setenv("HPSEARCH_STORAGE", owners.render_as_string(hide_password=False))
    asked = ("run", write(study()), "--trials", "1", "--workers", "1", "--no-tracking")
    assert hpsearch(*asked).returncode == 0
    database = Database(owners.render_as_string(hide_password=False))
    store = Store(database)
    store.register(study(), store.study("small").data_digests)
    (block,) = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
    with database.write() as connection:
        connection.execute(sa.text(block))
    yield {role: owners.set(username=role).render_as_string() for role in ROLES}
    with database.write() as connection:
        connection.execute(sa.text(f"DROP OWNED BY {', '.join(ROLES)}"))
        connection.execute(sa.text(f"DROP ROLE {', '.join(ROLES)}"))
    database.engine.dispose()


def test_who_works_and_who_looks(
    hpsearch: Run, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's role ends the study; a reader's sees all of it, and cannot work.

    Neither takes anything away, or changes a table.
    """
    monkeypatch.setenv("HPSEARCH_STORAGE", addresses["hpsearch_reader"])
    assert "is read-only; use a role that may write" in one_line(hpsearch("worker", "small"))
    monkeypatch.setenv("HPSEARCH_STORAGE", addresses["hpsearch_worker"])
    ended = hpsearch("worker", "small")
    assert (ended.returncode, "6 of 6 trials have finished" in ended.stderr) == (0, True), (
        ended.stderr
    )
    monkeypatch.setenv("HPSEARCH_STORAGE", addresses["hpsearch_reader"])
    for command in ("best", "report"):
        assert hpsearch(command, "small").returncode == 0
    engine = sa.create_engine(addresses["hpsearch_worker"])
    for statement in (
        "DELETE FROM hpsearch_trials",
        "DELETE FROM hpsearch_studies",
        "TRUNCATE hpsearch_trials CASCADE",
        "DROP TABLE hpsearch_curves",
        "ALTER TABLE hpsearch_studies ADD COLUMN mine int",
        "UPDATE hpsearch_curves SET epochs = ''",
        "UPDATE trials SET number = 7",
    ):
        with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError):
            connection.execute(sa.text(statement))
    engine.dispose()

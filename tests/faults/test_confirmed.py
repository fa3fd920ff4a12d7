"""A confirmation and an opening of the test part are killed, and go on as if they had not been."""

from __future__ import annotations

import os
from pathlib import Path

from hpsearch import settings
from hpsearch.ledger import records
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.trust.contenders import to_confirm
from hpsearch.trust.opening import to_test
from hpsearch.verify import findings, look
from tests.conftest import Run, study
from tests.hpsearch.commands.test_confirm import run
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS
PLUG = Path(__file__).with_name("plug")


def digest(store: Store, name: str) -> str:
    """Of a study in a store."""
    record = store.study(name)
    return records.digest(store.finished(record.id), store.steps(record.id))


def test_killed_and_resumed(home: Path, tmp_path: Path, hpsearch: Run) -> None:
    """Workers and launcher die by SIGKILL; the digests are those of one process left in peace."""
    store = run(home, study())
    run(tmp_path / "peace", study()).database.engine.dispose()
    record = store.study("small")
    calm = Store(Database(f"sqlite:///{tmp_path / 'peace' / 'studies.db'}"))
    other = calm.study("small")
    trials = calm.ranked(other, calm.trials(other.id))
    run(tmp_path / "peace", to_confirm(other, trials, top=2, seeds=3, resplit=None))
    run(tmp_path / "peace", to_test(calm, other, seeds=2, opening=1))
    for command in (
        ["confirm", "small", "--top", "2", "--seeds", "3", "--workers", "2"],
        ["test", "small", "--seeds", "2", "--workers", "2"],
    ):
        name = f"small/{command[0]}"
        trap = tmp_path / f"trap-{command[0]}"
        trap.touch()
        environment = {**os.environ, "PYTHONPATH": str(PLUG), "FAULT_KILL": f"run-logged:{trap}"}
        assert hpsearch(*command, env=environment).returncode == -9
        trap.touch()
        environment["FAULT_KILL"] = f"trained:{trap}"
        ended = hpsearch(*command, env=environment)
        assert ended.returncode == 0, ended.stderr
        assert digest(calm, name) == digest(store, name)
        seen = look.take(store.database, name, settings.read())
        assert findings.judge(seen).violations == []
    assert len(store.study(record.name).openings) == 1

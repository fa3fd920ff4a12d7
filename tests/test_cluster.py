"""The files for clusters are honest: what they start, as plain processes, works on a study."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.training.make import trainer
from tests.compose import PLACES
from tests.conftest import study

CLUSTER = Path(__file__).parent.parent / "examples" / "cluster"
SLURM = (CLUSTER / "slurm.sh").read_text()
JOB: dict[str, Any] = yaml.safe_load((CLUSTER / "kubernetes.yaml").read_text())
POD: dict[str, Any] = JOB["spec"]["template"]["spec"]


@pytest.fixture
def entered(tmp_path: Path) -> dict[str, str]:
    """The environment of a worker on another host, where the study ``small`` is in the store."""
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    small, trains = study(), trainer(study(), tmp_path, tmp_path / "cache")
    Store(Database(url)).register(trains.settled(small), trains.digests)
    (tmp_path / "storage").write_text(f"{url}\n")
    bare = {name: value for name, value in os.environ.items() if name not in PLACES}
    return {
        **bare,
        "PATH": f"{Path(sys.executable).parent}:{bare['PATH']}",
        "HPSEARCH_HOME": str(tmp_path / "home"),
        "HPSEARCH_STORAGE_FILE": str(tmp_path / "storage"),
    }


def test_a_slurm_task(entered: dict[str, str]) -> None:
    """A task is a worker, which Slurm's signal reaches, and which ends before its time."""
    words = ["bash", str(CLUSTER / "slurm.sh")]
    ended = subprocess.run(words, env=entered, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, "STUDY: name a study" in ended.stderr) == (1, True)
    named = {**entered, "STUDY": "small"}
    ended = subprocess.run(words, env=named, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "hpsearch: 6 of 6 trials have finished" in ended.stderr
    hours, minutes, seconds = re.search(r"--time=(\d+):(\d+):(\d+)", SLURM).groups()  # type: ignore[union-attr]
    allowed = 3600 * int(hours) + 60 * int(minutes) + int(seconds)
    assert allowed > float(re.search(r"--max-time (\d+)", SLURM)[1])  # type: ignore[index]
    assert "--signal=B:TERM@" in SLURM
    assert re.search(r"^exec hpsearch worker ", SLURM, re.MULTILINE)


def test_a_kubernetes_pod(entered: dict[str, str]) -> None:
    """Its container's command, with its environment, is a worker that ends with the study."""
    (container,) = POD["containers"]
    given = {pair["name"]: pair["value"] for pair in container["env"]}
    assert given.keys() == {"HPSEARCH_STORAGE_FILE", "HPSEARCH_HOME"} <= entered.keys()
    words = ["small" if word == "book" else word for word in container["command"]]
    ended = subprocess.run(words, env=entered, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "hpsearch: 6 of 6 trials have finished" in ended.stderr
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted.keys() == {volume["name"] for volume in POD["volumes"]}
    for place in given.values():
        assert any(place.startswith(path) for path in mounted.values())


def test_a_pod_is_confined() -> None:
    """It is nobody special, and can write to its own folders alone."""
    (container,) = POD["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["securityContext"]["runAsNonRoot"]
    assert not POD["automountServiceAccountToken"]
    assert {"memory"} <= container["resources"]["limits"].keys()

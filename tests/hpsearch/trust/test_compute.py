"""Bits that any CPU gives, and those that another kernel gave, wherever this process rounds."""

from __future__ import annotations

import json
import platform
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import HpsearchError
from hpsearch.trust import compute, environment
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line

X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels of x86-64 CPUs")
FAST = "AVX512_ICL AVX512_SPR X86_V4"
ASKED = ({}, {compute.KERNEL: "Nehalem"}, {compute.KERNEL: "Haswell", compute.DISABLED: "X86_V3"})
"""What an environment may ask for: nothing, another kernel, other CPU features."""
SMALL: dict[str, Any] = {"network__hidden": [50, 50], "search__trials": 2, "training__epochs": 5}


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own environment asks for is not there."""
    for name in (compute.KERNEL, compute.DISABLED, compute.ENABLED):
        monkeypatch.delenv(name, raising=False)


def here() -> dict[str, Any]:
    """This process's environment."""
    with environment.single_thread():
        return environment.current()


def digests(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str) -> list[str]:
    """Of a study that is run under each of what an environment may ask for."""
    found = []
    for number, asked in enumerate(ASKED):
        with monkeypatch.context() as patch:
            patch.setenv("HPSEARCH_HOME", str(tmp_path / f"home{number}"))
            for name, value in asked.items():
                patch.setenv(name, value)
            outcome = call("run", file, "--workers", "1", "--no-tracking")
            assert outcome.code == 0
            assert "reproduced: a second training" in outcome.out
            found.append(call("digest", "small").out)
    return found


@X86
def test_portable_bits_are_the_same(
    call: Call, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever kernel and features the environment asked for, and the best trial reproduces."""
    file = write(study(compute__profile="portable", **SMALL))
    assert len(set(digests(call, monkeypatch, tmp_path, file))) == 1
    monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path / "home1"))
    with monkeypatch.context() as patch:
        patch.setenv(compute.KERNEL, "Nehalem")
        outcome = call("reproduce", "small")
    assert (outcome.code, "started again" in outcome.out) == (0, False)
    assert 'profile = "portable"' in call("config", "small").out
    assert 'profile = "portable"' in call("config", "small", "--trial", "0").out


@X86
def test_native_bits_are_not(
    call: Call, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another kernel, or other features, give another digest; and so the fastest is taken."""
    file = write(study(**SMALL))
    assert len(set(digests(call, monkeypatch, tmp_path, file))) == len(ASKED)
    assert "compute" not in call("config", "small").out


@X86
def test_reproduce_starts_itself_again(
    call: Call, write: Write, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the recorded kernel and features, and says so; what differs then is exit code 3."""
    with monkeypatch.context() as patch:
        patch.setenv(compute.KERNEL, "Nehalem")
        patch.setenv(compute.DISABLED, FAST)
        assert call("run", write(study(**SMALL)), "--workers", "1", "--no-tracking").code == 0
    outcome = call("reproduce", "small", "--trial", "1")
    assert outcome.code == 0
    assert "started again with the recorded BLAS kernel and CPU features" in outcome.out
    assert "identical: every metric, bit for bit" in outcome.out
    found = call("reproduce", "small", "--json").json
    assert (found["elsewhere"], found["identical"], found["rounds_alike"]) == (True, True, True)
    with closing(sqlite3.connect(home / "studies.db")) as store, store:
        store.execute("UPDATE hpsearch_trials SET weights_sha256 = 'a' WHERE number = 1")
    outcome = call("reproduce", "small", "--trial", "1")
    assert (outcome.code, "DIFFERENT: weights: sha256 a recorded" in outcome.out) == (3, True)


@X86
def test_where_the_cpu_cannot(call: Call, write: Write, home: Path) -> None:
    """It is trained all the same: exit code 4, how far apart the numbers are, and why."""
    assert call("run", write(study(**SMALL)), "--workers", "1", "--no-tracking").code == 0
    with closing(sqlite3.connect(home / "studies.db")) as store, store:
        ((content,),) = store.execute("SELECT content FROM hpsearch_environments").fetchall()
        ((epochs, number),) = store.execute(
            "SELECT epochs, number FROM hpsearch_curves ORDER BY number LIMIT 1"
        ).fetchall()
        there = np.frombuffer(epochs, "<f8") + 0.125
        store.execute(
            "UPDATE hpsearch_curves SET epochs = ? WHERE number = ?", (there.tobytes(), number)
        )
    recorded = json.loads(content)
    kernel = [recorded["blas"][0].rpartition(" ")[0] + " Abacus"]
    unknown = sorted(compute._dispatched() - set(recorded["cpu_features"]))
    for change, said in (
        ({"blas": kernel}, f"environment: blas: recorded {json.dumps(kernel)}, here "),
        ({"cpu_features": [*recorded["cpu_features"], *unknown]}, "environment: cpu_features: "),
    ):
        if change.get("cpu_features") == recorded["cpu_features"]:
            continue  # a CPU that has all that NumPy knows
        with closing(sqlite3.connect(home / "studies.db")) as store, store:
            store.execute(
                "UPDATE hpsearch_environments SET content = ?", (json.dumps(recorded | change),)
            )
        outcome = call("reproduce", "small", "--trial", str(number))
        assert outcome.code == 4
        assert "DIFFERENT: epoch 1: train_loss " in outcome.out
        assert re.search(r"^largest differences: train_loss 0.12, train_acc", outcome.out, re.M)
        assert said in outcome.out
        assert "this CPU or installation cannot do as recorded: bits cannot be compared here" in (
            outcome.out
        )


def test_portable_bits_need_a_process_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose process computes otherwise says what it needs; nothing else is asked for."""
    portable, there = study(compute__profile="portable"), here()
    compute.refuse_other(study(), there | {"blas": []})
    kernel, features = compute._PORTABLE[platform.machine()]
    known = {**there, "blas": [f"openblas 0.3 {kernel}"]}
    known["cpu_features"] = sorted({*compute._baseline(), *features})
    compute.refuse_other(portable, known)
    for change in (
        {"blas": []},
        {"blas": ["openblas 0.3 Abacus"]},
        {"blas": ["mkl 2025 " + kernel]},
        {"cpu_features": [*known["cpu_features"], "X86_V9"]},
    ):
        with pytest.raises(HpsearchError, match='"portable" needs OpenBLAS'):
            compute.refuse_other(portable, known | change)
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    assert compute.launching(study()) == {}
    with pytest.raises(HpsearchError, match='"portable" is not known for abacus; use "native"'):
        compute.launching(portable)


@pytest.mark.parametrize(
    "change",
    [
        {"numpy": "0.1"},
        {"machine": "abacus"},
        {"threads": 2},
        {"blas": ["openblas 0.0.1 Haswell"]},
        {"blas": []},
        {"blas": ["openblas 0.3 Haswell", "openblas 0.3 Haswell"]},
        {"blas": ["openblas 0.3 ; rm"]},
        {"blas": "openblas 0.3 Haswell"},
        {"blas": [3]},
        {"blas": ["openblas 0.3"]},
        {"blas": ["blis 0.3 Haswell"]},
        {"cpu_features": ["UNKNOWN"]},
        {"cpu_features": "X86_V3"},
        {"cpu_features": [1]},
    ],
)
def test_what_variables_cannot_change(change: dict[str, Any]) -> None:
    """Another NumPy, machine or BLAS is not had by starting again."""
    assert compute.like(here() | change, here()) is None


@X86
def test_variables_for_a_recorded_environment() -> None:
    """The kernel by its name, and of the features all that the recorded one did not have."""
    version = here()["blas"][0].split()[1]
    recorded = {
        **here(),
        "blas": [f"openblas {version} Nehalem"],
        "cpu_features": sorted({*compute._baseline(), "X86_V3"}),
        "commit": "another",
    }
    found = compute.like(recorded, here())
    assert found == {
        compute.KERNEL: "Nehalem",
        compute.DISABLED: " ".join(sorted(compute._dispatched() - {"X86_V3"})),
        compute.ENABLED: "",
    }
    every = sorted({*compute._baseline(), *compute._dispatched()})
    found = compute.like({**recorded, "cpu_features": every}, here())
    assert found == {compute.KERNEL: "Nehalem", compute.DISABLED: "", compute.ENABLED: ""}
    assert compute.like(here(), here() | {"blas": []}) is None


def test_another_profile_is_told(call: Call, write: Write, tmp_path: Path) -> None:
    """There are two; another study of the same name is one that computes otherwise."""
    (tmp_path / "bad.toml").write_text('[compute]\nprofile = "fast"\n')
    text = Path(write(study())).read_text() + '\n[compute]\nprofile = "fast"\n'
    (tmp_path / "bad.toml").write_text(text)
    said = one_line(call("run", str(tmp_path / "bad.toml")))
    assert "compute.profile: input should be 'native' or 'portable'" in said
    described = study(search__trials=1)
    assert call("run", write(described), "--no-tracking").code == 0
    said = one_line(call("run", write(described), "--set", "compute.profile=portable"))
    assert "compute.profile: stored nothing, now" in said

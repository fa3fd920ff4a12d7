"""Studies are carried from one store to another, and their runs with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line


def test_to_another_store(
    call: Call, write: Write, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its confirmation; the same MLflow has each run once, and another one all of them."""
    assert call("run", write(study()), "--workers", "1").code == 0
    asked = ("confirm", "small", "--top", "1", "--seeds", "2", "--workers", "1")
    assert call(*asked).code == 0
    digests = [call("digest", name).out for name in ("small", "small/confirm")]

    address = tmp_path / "address"
    url = f"sqlite:///{tmp_path / 'other.db'}"
    address.write_text(f"{url}\n")
    ended = call("copy", "small", "--to", str(address))
    assert (ended.code, ended.err) == (0, "")
    first, second, last = ended.out.splitlines()
    assert first == f"small: 6 of 6 trials, digest {digests[0].split()[0]}"
    assert second.startswith("small/confirm: ")
    assert last == (
        f"copied to {tmp_path / 'other.db'}; set HPSEARCH_STORAGE to it, and to update MLflow, "
        f"run: hpsearch sync"
    )

    monkeypatch.setenv("HPSEARCH_STORAGE", url)
    for uri in (f"sqlite:///{home / 'mlflow.db'}", f"sqlite:///{tmp_path / 'mlflow.db'}"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert call("sync").code == 0
        for name in ("small", "small/confirm"):
            assert call("verify", name).code == 0, call("verify", name).out
    assert [call("digest", name).out for name in ("small", "small/confirm")] == digests


def test_what_is_refused(call: Call, write: Write, tmp_path: Path) -> None:
    """Each with one line that says why."""
    assert call("run", write(study()), "--workers", "1", "--no-tracking").code == 0
    assert one_line(call("copy")) == "hpsearch: copy: name the other store with --to"
    said = "hpsearch: --to: must be sqlite:///FILE or postgresql+psycopg://USER:"
    assert one_line(call("copy", "--to", "nowhere")).startswith(said)
    same = call("copy", "--to", f"sqlite:///{tmp_path / 'home' / 'studies.db'}")
    assert one_line(same).endswith("has this very study under the name 'small' already")
    assert same.code == 2

"""Whatever is wrong with a file, it is one line, and nothing large is read before it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data import files
from hpsearch.data.datasets import load
from hpsearch.errors import DataError
from tests.hpsearch.data.sources import (
    LABELS,
    X,
    refusal,
    write_npz,
    write_pair,
)


def test_what_is_larger_than_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that really unpacks to more than the limit is refused before it is unpacked."""
    monkeypatch.setattr(files, "MAX_BYTES", 50)
    assert "holds 72 bytes, more than 50" in refusal(f"idx:{write_pair(tmp_path / 'd')}")
    assert "more than 50" in refusal(f"npz:{write_npz(tmp_path / 'd.npz')}")


def test_what_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without read permission is named."""
    npz, folder = write_npz(tmp_path / "d.npz"), write_pair(tmp_path / "d")

    def denied(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert f"{npz}: permission denied" in refusal(f"npz:{npz}")
    assert "ubyte: permission denied" in refusal(f"idx:{folder}")


@pytest.mark.parametrize("kind", ["npz", "idx"])
def test_a_path_that_cannot_be_gets_one_line(kind: str) -> None:
    """Names that are too long, or hold what no name may hold, are refused as well."""
    for name in ("a" * 300 + "/b", "\0", "no\nsuch"):
        with pytest.raises(DataError):
            load(f"{kind}:{name}")


@settings(max_examples=300, deadline=None)
@given(draw=st.data())
def test_no_damage_gets_past_the_readers(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    """Flipped, cut or inserted bytes give the same kind of dataset or a DataError of one line."""
    kind = draw.draw(st.sampled_from(["npz", "packed npz", "idx", "packed idx"]))
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    if "npz" in kind:
        path, spec = folder / "d.npz", f"npz:{folder / 'd.npz'}"
        (np.savez_compressed if "packed" in kind else np.savez)(path, x=X, y=LABELS)
    else:
        for old in folder.iterdir():
            old.unlink()
        write_pair(folder, packed="packed" in kind)
        path, spec = min(folder.iterdir()), f"idx:{folder}"
    content = bytearray(path.read_bytes())
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, max(len(content) - 1, 0)))
        content[at : at + draw.draw(st.integers(0, 2))] = draw.draw(st.binary(max_size=2))
    path.write_bytes(content[: draw.draw(st.integers(0, len(content)) | st.just(len(content)))])
    message = "one line"
    try:
        assert X.size == load(spec).x.size
    except DataError as error:
        message = str(error)
    assert len(message.splitlines()) == 1

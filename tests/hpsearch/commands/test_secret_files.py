"""Secrets may stand in files, where neither `ps` nor `docker inspect` shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.commands import secret_files
from hpsearch.errors import UsageError
from tests.conftest import Run


def test_a_file_stands_in_for_a_variable(tmp_path: Path) -> None:
    """What the file says is the variable's value, without the end of its line."""
    (tmp_path / "secret").write_text("a secret: ü\n")
    for name in secret_files.NAMES:
        environ = {f"{name}_FILE": str(tmp_path / "secret"), "OTHER": "x"}
        secret_files.read(environ)
        assert environ == {
            name: "a secret: ü",
            f"{name}_FILE": str(tmp_path / "secret"),
            "OTHER": "x",
        }
    environ = {"HOME_FILE": str(tmp_path / "secret"), "HPSEARCH_STORAGE_FILE": ""}
    secret_files.read(environ)
    assert len(environ) == 2


def test_both_are_refused(tmp_path: Path) -> None:
    """Where a variable and a file both speak, neither is chosen; a child's are the same, though."""
    (tmp_path / "secret").write_text("one")
    environ = {"HPSEARCH_STORAGE_FILE": str(tmp_path / "secret"), "HPSEARCH_STORAGE": "two"}
    with pytest.raises(UsageError, match=r"HPSEARCH_STORAGE_FILE: .* differ"):
        secret_files.read(environ)
    environ["HPSEARCH_STORAGE"] = "one"
    secret_files.read(environ)
    assert environ["HPSEARCH_STORAGE"] == "one"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"a\nb", b"\xff\xfe", b"x" * 10_000, b"\0"])
def test_what_is_no_secret(tmp_path: Path, content: bytes | None) -> None:
    """A file that is missing, empty, of several lines or no text is refused, and not shown."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    environ = {"MLFLOW_TRACKING_PASSWORD_FILE": str(file)}
    with pytest.raises(UsageError, match=f"^MLFLOW_TRACKING_PASSWORD_FILE: {file}: ") as caught:
        secret_files.read(environ)
    assert len(str(caught.value)) < 300


def test_the_command_reads_them(
    hpsearch: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run and its workers find the ledger by the address in a file."""
    (tmp_path / "address").write_text(f"sqlite:///{tmp_path / 'elsewhere.db'}\n")
    monkeypatch.setenv("HPSEARCH_STORAGE_FILE", str(tmp_path / "address"))
    ended = hpsearch("run", "quick", "--trials", "1", "--workers", "1", "--no-tracking")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "elsewhere.db").exists()
    assert not (home / "studies.db").exists()
    monkeypatch.setenv("HPSEARCH_STORAGE_FILE", str(tmp_path / "none"))
    ended = hpsearch("studies")
    said = f"hpsearch: HPSEARCH_STORAGE_FILE: {tmp_path / 'none'}: No such file or directory\n"
    assert (ended.returncode, ended.stderr) == (2, said)

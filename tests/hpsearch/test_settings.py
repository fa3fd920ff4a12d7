"""A workspace is its user's own, or one is told."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hpsearch import settings
from hpsearch.commands.wiring import own_home
from hpsearch.errors import UsageError


def test_workspace_is_made_for_its_user_alone(tmp_path: Path) -> None:
    """Whatever the umask says, nobody else may look into it; the folders above are as usual."""
    before = os.umask(0)
    try:
        assert settings.prepare(tmp_path / "above" / "home", create=True) is None
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "above" / "home").stat().st_mode) == 0o700


def test_workspace_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    """Someone may have opened it to others on purpose."""
    tmp_path.chmod(0o755)
    assert settings.prepare(tmp_path, create=True) is None
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_looking_makes_no_workspace(tmp_path: Path) -> None:
    """Where there is none, there is nothing to be warned of."""
    assert settings.prepare(tmp_path / "home", create=False) is None
    assert not (tmp_path / "home").exists()


def test_workspace_of_another_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner decides what is trained in it, and what is loaded from it."""
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    warning = settings.prepare(tmp_path, create=True)
    assert warning is not None
    assert str(tmp_path) in warning
    assert "another user" in warning


def test_workspace_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in its place is one line."""
    (tmp_path / "file").write_text("")
    places = settings.read({"HPSEARCH_HOME": str(tmp_path / "file" / "home")})
    with pytest.raises(UsageError, match="file/home: cannot be used as the workspace"):
        own_home(places, create=True)


def test_the_program_as_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command to type begins as this one did, unless the shell finds ``hpsearch`` by itself."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "the env" / "bin" / "hpsearch"
    file.parent.mkdir(parents=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    assert settings.program("the env/bin/hpsearch") == "'the env/bin/hpsearch'"
    assert settings.program(str(file)) == "'the env/bin/hpsearch'"
    assert settings.program("/somewhere/hpsearch/__main__.py") == "hpsearch"
    monkeypatch.chdir("/")
    assert settings.program(str(file)) == f"'{file.relative_to('/')}'"
    monkeypatch.setenv("PATH", str(file.parent))
    assert settings.program(str(file)) == "hpsearch"

"""Whatever a process is started with, what it prints can be read there, or is not printed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.commands import printing
from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.study import file as study_file
from tests.conftest import Run, study
from tests.hpsearch.command_line import Call
from tests.hpsearch.workspace import Workspace

NAME = "学習-Größe"
ENCODINGS = ["utf-8", "ascii", "latin-1", "cp1252"]
LOOKS = [
    ["studies"],
    ["status", NAME],
    ["trials", NAME],
    ["best", NAME],
    ["config", NAME],
    ["curve", NAME],
    ["digest", NAME],
    ["--help"],
    ["run", "--help"],
]


@pytest.fixture
def filled(home: Path) -> Path:
    """A workspace with a study whose name not every terminal can show."""
    home.mkdir()
    Workspace(home, study=study(name=NAME)).complete()
    return home


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_terminal(hpsearch: Run, filled: Path, encoding: str) -> None:
    """Names and rules are shown on any terminal: what its encoding lacks is spelt out."""
    environ = os.environ | {"PYTHONIOENCODING": f"{encoding}:strict"}
    shown = NAME if encoding == "utf-8" else r"\u5b66\u7fd2-Gr"
    for words in [*LOOKS[:2], *LOOKS[-2:]]:
        ended = hpsearch(*words, env=environ, encoding=encoding)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert (shown in ended.stdout) is ("--help" not in words)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_look(
    call: Call, filled: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """No command that looks meets a character that it cannot write."""
    monkeypatch.setattr(printing, "_encoding", lambda _: encoding)
    for words in LOOKS[:-2]:
        done = call(*words)
        assert (done.code, done.err) == (0, ""), words
        done.out.encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_and_toml_are_whole(
    call: Call, filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    """What programs read says the same in any encoding."""
    monkeypatch.setattr(printing, "_encoding", lambda _: encoding)
    document = call("status", NAME, "--json").out
    assert json.loads(document)["study"] == NAME
    document.encode(encoding)
    file = tmp_path / "again.toml"
    file.write_bytes(call("config", NAME).out.encode(encoding))
    assert study(name=NAME) == study_file.load(file)


def test_a_real_terminal_of_ascii(filled: Path) -> None:
    """The table that is drawn for a terminal has no rule either that it lacks."""
    terminal, side = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "hpsearch", "studies"],
        stdout=side,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict", "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(side)
    shown = os.read(terminal, 10_000)
    os.close(terminal)
    assert rb"\u5b66\u7fd2-Gr" in shown
    assert shown.isascii()


def test_hostile_text_moves_nothing(call: Call, filled: Path) -> None:
    """Escapes in a reason that somebody put into the store are spelt out, in tables and in JSON."""
    reason = "\x1b]0;title\x07\x9b2J\u202e\nfalse"
    with Database(f"sqlite:///{filled / 'studies.db'}").write() as connection:
        connection.exec_driver_sql("UPDATE hpsearch_trials SET reason = ?", (reason,))
    for words in (["trials", NAME], ["trials", NAME, "--json"], ["best", NAME, "--json"]):
        out = call(*words).out
        assert r"\u001b]0;title\u0007\u009b2J\u202e" in out
        assert out.replace("\n", "").isprintable()
    assert reason == call("best", NAME, "--json").json["reason"]
    assert len(call("trials", NAME).out.splitlines()) == 2 + 6


def test_no_password_is_shown(call: Call, filled: Path) -> None:
    """Nor one that a reason brings."""
    reason = "OperationalError: postgresql://me:se cret@host/db is away"
    with Database(f"sqlite:///{filled / 'studies.db'}").write() as connection:
        connection.exec_driver_sql("UPDATE hpsearch_trials SET reason = ?", (reason,))
    assert "postgresql://me:***@host/db is away" in call("trials", NAME).out


CLOSED = ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
def test_closed_streams(home: Path, tmp_path: Path, closed: str) -> None:
    """Who closes a stream wants nothing from it: the study runs to its end all the same."""
    file = tmp_path / "small.toml"
    file.write_text(study_file.toml(study(search__trials=2)))
    run = f"exec {sys.executable} -m hpsearch run {file} --no-tracking --workers 1 {closed}"
    ended = subprocess.run(["sh", "-c", run], capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    opened = Store(Database(f"sqlite:///{home / 'studies.db'}"))
    assert opened.counts(opened.study("small").id).done
    assert ("small: 2 of 2 trials" in ended.stdout) is (">&-" not in closed.split())


@pytest.mark.parametrize("closed", CLOSED)
def test_nothing_to_ask(home: Path, closed: str) -> None:
    """A question that nobody can answer is answered with no."""
    home.mkdir()
    book = Workspace(home)
    words = f"exec {sys.executable} -m hpsearch delete small {closed}"
    ended = subprocess.run(["sh", "-c", words], capture_output=True, check=False, input=b"")
    assert ended.returncode == 1
    assert book.store.study("small")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
@pytest.mark.parametrize(("stream", "code"), [("", 1), ("2", 0)])
def test_no_room(filled: Path, stream: str, code: int) -> None:
    """Output that cannot be written is told in one line; of messages there is nobody to tell."""
    words = f"exec {sys.executable} -m hpsearch studies {stream}> /dev/full"
    ended = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    lines = ["hpsearch: standard output: No space left on device"] if code else []
    assert (code, lines) == (ended.returncode, ended.stderr.splitlines())

"""Input that means harm: one line, exit code 2, nothing lost, in little memory and time."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run
from tests.hpsearch.command_line import Call, one_line
from tests.hpsearch.workspace import Workspace

HUGE = "9" * 5000
HEX = "0x" + "f" * 20_000
FILE = """
name = "bad"
[data]
dataset = "digits"
train = 60
[network]
hidden = [8]
[training]
lr = 0.1
epochs = 1
"""
MOST_TIME = 60.0
"""Seconds; where a case once took minutes or for ever."""
MOST_MEMORY = 256 * 2**20
LONGEST_LINE = 2000


def refused(call: Call, *words: str) -> str:
    """The one line that a command is refused with, in bounded time and memory."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = call(*words)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    line = one_line(outcome)
    assert outcome.code == 2, line
    assert line.isprintable()
    assert len(line) < LONGEST_LINE
    assert more < MOST_MEMORY
    assert time.monotonic() - began < MOST_TIME
    return line


VALUES = [
    HUGE,
    HEX,
    f"-{HUGE}",
    f"1e{HUGE}",
    "[" * 100_000,
    "[" * 400 + "]" * 400,
    "{a=" * 300 + "1" + "}" * 300,
    f"[{HEX}]",
    f"{{ low = {HEX}, high = {HEX} }}",
    f"{{ low = 1, high = 2, step = {HEX} }}",
    f"{{ choices = [{HEX}] }}",
    f'{{ choices = ["{"a" * 100_000}"] }}',
    '"\\u0000"',
    '"\\u001b[2J"',
    "x" * 100_000,
    "1979-05-27T07:32:00Z",
    "nan",
    "-inf",
    "{}",
    "[]",
    "[[[]]]",
    "",
    "=",
]
PATHS = [
    "data.train",
    "data.validation",
    "data.dataset",
    "data.seed",
    "network.hidden",
    "network.init",
    "training.lr",
    "training.epochs",
    "training.optimizer",
    "search.trials",
    "search.sampler",
    "search.enqueue",
    "tracking.experiment",
    "tracking.tags",
    "name",
    "data",
    "search",
    "nothing",
]
HARMLESS = {
    ("data.seed", ""),
    ("name", "="),
    ("network.hidden", "[]"),
    ("search.enqueue", "[]"),
    ("tracking.tags", "{}"),
    ("search", "{}"),
    ("tracking.experiment", "x" * 0),
}


@pytest.mark.parametrize("path", PATHS)
def test_any_value_at_any_place(call: Call, home: Path, tmp_path: Path, path: str) -> None:
    """Numbers and nestings beyond all measure are told as what they are."""
    file = tmp_path / "bad.toml"
    file.write_text(FILE)
    for value in VALUES:
        if path in ("name", "tracking.experiment", "data.dataset") and value == "x" * 100_000:
            refused(call, "run", str(file), "--set", f"{path}={value}")
            continue
        if (path, value) not in HARMLESS and not (
            path == "tracking.experiment" and value in ('"\\u0000"', '"\\u001b[2J"', "=", "nan")
        ):
            refused(call, "run", str(file), "--set", f"{path}={value}")
    assert not (home / "studies.db").exists()


@pytest.mark.parametrize("key", [".".join("a" * 100_000), "." * 1000, "\x1b[2J.x", "x" * 10**5])
def test_any_key(call: Call, tmp_path: Path, key: str) -> None:
    """A path of 100,000 parts, or of escapes, is no place in a study file."""
    file = tmp_path / "bad.toml"
    file.write_text(FILE)
    refused(call, "run", str(file), "--set", f"{key}=1")
    file.write_text(f"{key} = 1\n{FILE}")
    refused(call, "run", str(file))


CONTENTS = {
    "nul": b"\0" * 1000,
    "not text": b"name = '\xff'",
    "digits": f"name = {HUGE}".encode(),
    "nested": b"x = " + b"[" * 100_000,
    "tables": b"[a]\n" * 2,
    "dotted": b"a." * 50_000 + b"a = 1",
    "large": b"# \n" * 3_000_000,
    "escapes": b'"\\u001b[2J" = 1',
    "bidi": '"\u202eevil" = 1'.encode(),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_any_file(call: Call, tmp_path: Path, case: str) -> None:
    """A file that is no study is refused as that."""
    file = tmp_path / "bad.toml"
    file.write_bytes(CONTENTS[case])
    assert refused(call, "run", str(file)).startswith(f"hpsearch: {file}: ")


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_what_is_no_file(call: Call, tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to holds nothing up, and a device is not read for ever."""
    file = tmp_path / "bad.toml"
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("/dev/zero")
    assert "is not a regular file" in refused(call, "run", str(file))
    for spec in (f"npz:{file}", f"idx:{file}"):
        if kind != "folder" or spec.startswith("npz"):
            refused(call, "run", "book", "--set", f"data.dataset={spec}")


def test_idx_files_that_are_pipes(call: Call, tmp_path: Path) -> None:
    """Nor does one in the place of an IDX file."""
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        os.mkfifo(tmp_path / name)
    refused(call, "run", "book", "--set", f"data.dataset=idx:{tmp_path}")


@pytest.mark.parametrize("number", [str(2**31), str(2**63), HUGE, "-1", "1e3", "", "\x1b[2J"])
def test_any_number(call: Call, home: Path, number: str) -> None:
    """A number that no trial, worker or port has is refused as that."""
    home.mkdir()
    Workspace(home)
    for words in (
        ["config", "small", "--trial", number],
        ["curve", "small", "--trial", number],
        ["reproduce", "small", "--trial", number],
        ["verify", "small", "--no-tracking", "--reproduce", number],
        ["run", "book", "--workers", number],
        ["run", "book", "--trials", number],
        ["ui", "--port", number],
    ):
        refused(call, *words)


def test_arguments_that_are_no_text(hpsearch: Run, home: Path) -> None:
    """An argument that is not UTF-8 is named."""
    for words in (["status", b"\xff"], [b"\xff"], ["run", b"/tmp/\xff.toml"], ["--\udcff"]):
        ended = subprocess.run(
            [sys.executable, "-m", "hpsearch", *words], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert "is not valid UTF-8" in one_line(ended)
    environ = {**os.environb, b"HPSEARCH_HOME": b"/tmp/\xff"}
    ended = hpsearch("studies", env=environ)
    said = "hpsearch: HPSEARCH_HOME: is not valid UTF-8"
    assert (ended.returncode, one_line(ended)[: len(said)]) == (2, said)


ADDRESSES = [
    "sqlite:////tmp/nowhere.db?timeout=abc",
    "sqlite:////tmp/nowhere.db?foo=1",
    "sqlite:////dev/zero",
    "postgresql+psycopg://u:p@h:abc/d",
    "postgresql+psycopg://u:p@h:99999999/d",
    "postgresql+psycopg://[::1/d",
    "postgresql+psycopg://h/d?connect_timeout=abc",
    "postgresql+psycopg://h/d?nothing=1",
    "://",
    "\x1b[2J://",
    "x" * 100_000,
]


@pytest.mark.parametrize("url", ADDRESSES, ids=range(len(ADDRESSES)))
def test_any_store(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    """An address that means nothing is told in one line."""
    there = tmp_path / "there.db"
    there.touch()
    monkeypatch.setenv("HPSEARCH_STORAGE", url.replace("/tmp/nowhere.db", str(there)))
    refused(call, "studies")


SECRET_PLACES = [
    "postgresql+psycopg://u:secret@h:abc/d",
    "postgresql+psycopg:///d?host=/nowhere&user=u&password=secret",
    "postgresql+psycopg:///d?host=/nowhere&port=abc&user=u&%70assword=secret",
    "ftp://u:secret@h",
    "sqlite:///mlflow.db?password=secret",
    "mssql:///d?password=secret",
    "://u:secret@h",
]


@pytest.mark.parametrize("url", SECRET_PLACES)
def test_any_tracking(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """An address that MLflow cannot be at is told in one line, without its password."""
    home.mkdir()
    Workspace(home).complete()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    for command in ("sync", "verify"):
        outcome = call(command, "small")
        assert outcome.code == 1
        assert "secret" not in one_line(outcome)


@pytest.mark.parametrize("url", SECRET_PLACES)
def test_password_of_a_store(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Whatever is told of the ledger's address, its password is not."""
    monkeypatch.setenv("HPSEARCH_STORAGE", url)
    for words in (["studies"], ["run", "book"], ["backup", "b"], ["restore", "b"], ["verify", "s"]):
        outcome = call(*words)
        assert outcome.code == 2
        assert "secret" not in one_line(outcome)


@pytest.mark.parametrize("user", ["u:secret@", "u:sec/secret@", "u:s@secret@", ""])
def test_ui_names_a_server_without_its_password(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """What is to be opened is the server, whoever one logs in as."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{user}host:5000/?token=secret")
    outcome = call("ui")
    assert (outcome.code, outcome.out) == (0, "MLflow UI: http://host:5000\n")


# -- datasets


def archive(file: Path, header: bytes, body: bytes = b"", *, version: int = 1) -> None:
    """An npz whose arrays have a header of one's own."""
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    array = b"\x93NUMPY" + bytes([version, 0]) + size + header + body
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name in ("x.npy", "y.npy"):
            out.writestr(name, array)


HEADERS = [
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (True, 30), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1.5,), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': 3, }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"1," * 100 + b"), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 99999999999999999999), }\n",
    b"{'descr': '<f8', 'fortran_order': 2, 'shape': (3,), }\n",
    b"{'descr': 'O', 'fortran_order': False, 'shape': (3,), }\n",
    b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }\n",
    b"{'descr': '<f8', 'shape': " + b"(" * 5000 + b"}\n",
    b"__import__('os').system('true')\n",
    b"",
    b"\xff" * 100,
    b"{" + b" " * 100_000,
]


@pytest.mark.parametrize("version", [1, 2, 3, 9])
@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_any_header(call: Call, tmp_path: Path, header: bytes, version: int) -> None:
    """A header that numpy would not write is damage, whatever it says."""
    if version == 1 and len(header) > 65_535:
        pytest.skip("the length does not fit")
    file = tmp_path / "bad.npz"
    archive(file, header, bytes(24), version=version)
    assert str(file) in refused(call, "run", "book", "--set", f"data.dataset=npz:{file}")


def test_a_header_of_gigabytes(call: Call, tmp_path: Path) -> None:
    """A header that says it is 3.9 GiB long, in a member that unpacks to 1 GiB, is not read."""
    file = tmp_path / "bad.npz"
    begin = b"\x93NUMPY\x02\x00" + (3_900 * 2**20).to_bytes(4, "little")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for name in ("x.npy", "y.npy"):
            with out.open(name, "w") as member:
                member.write(begin)
                for _ in range(256):
                    member.write(bytes(2**20))
    assert str(file) in refused(call, "run", "book", "--set", f"data.dataset=npz:{file}")


def test_good_headers_are_read(tmp_path: Path) -> None:
    """What numpy writes is read as before: the tests above refuse no dataset."""
    from hpsearch.data.npz import read

    x, y = np.arange(12.0).reshape(3, 4), np.array([0, 1, 0])
    memory = io.BytesIO()
    np.lib.format.write_array(memory, x, version=(2, 0))
    file = tmp_path / "good.npz"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("x.npy", memory.getvalue())
        memory.seek(0)
        memory.truncate()
        np.lib.format.write_array(memory, y)
        out.writestr("y.npy", memory.getvalue())
    got_x, got_y = read(file, "x", "y")
    np.testing.assert_array_equal(x, got_x)
    np.testing.assert_array_equal(y, got_y)

"""An archive is read whole or not at all, whoever wrote it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import DamagedError, UsageError
from hpsearch.ledger.records import pack
from hpsearch.ledger.transfer import Bits, Taken
from hpsearch.trust import archive, container, environment
from tests.conftest import study

ENVIRONMENT = {"numpy": "2.4"}
DIGEST = environment.digest(ENVIRONMENT)


def taken() -> Taken:
    """A study of three trials, one of which failed."""
    trials = [
        {
            "number": number,
            "state": "FAIL" if number == 2 else "COMPLETE",
            "value": None if number == 2 else 0.1 + number,
            "params": {"training.lr": 0.1},
            "epochs": 0 if number == 2 else 3,
            "seed": 2**62 + number,
            "attempts": 1,
            "crashes": 0,
            "started": 1.5,
            "ended": 2.25,
            "weights_sha256": "a" * 64,
            "reason": None,
            "rungs": {},
            "hidden": number == 2,
            "environment": DIGEST,
            "folds": "[[3,1,0.5]]" if number == 2 else None,
        }
        for number in range(3)
    ]
    described = study(search__trials=3)
    return Taken(
        name=described.name,
        definition=described.definition(),
        metrics=list(described.metrics),
        budget=3,
        created=1.0,
        data={"dataset": "d"},
        reproduced=None,
        ended={"by": "max_time", "at": 3},
        openings=[{"study": "small/test", "opened": 2.5, "result": None}],
        environments={DIGEST: ENVIRONMENT},
        trials=trials,
        bits={
            n: Bits(bytes([n]) * 96 * (n < 2), b"", pack(np.ones(9, np.bool_)) if n == 1 else None)
            for n in range(3)
        },
    )


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    """Writes an archive, and gives its path."""

    def write(change: Callable[[dict[str, bytes]], None] | None = None) -> Path:
        content, _ = archive.pack(taken(), {"complete": 2}, b"weights")
        if change is not None:  # and say so in the manifest, as a stranger would
            members, _ = container.read(content, archive.NAMES)
            change(members)
            manifest = json.loads(members.pop(archive.MANIFEST))
            manifest["files"] = {
                name: {"bytes": len(content), "sha256": archive._sha(content)}
                for name, content in members.items()
            }
            head = {archive.MANIFEST: json.dumps(manifest).encode()}
            content = container.write(head | members)
        file = tmp_path / "study.zip"
        file.write_bytes(content)
        return file

    return write


def test_what_is_written_is_read(packed: Callable[..., Path]) -> None:
    """Every value and every byte, and the digest that stands for all of it."""
    found = archive.read(packed())
    assert (found.taken, found.numbers, found.weights) == (taken(), {"complete": 2}, b"weights")
    assert found.sha256 == archive.pack(taken(), {"complete": 2}, b"weights")[1]
    assert found.sha256 != archive.pack(taken(), {"complete": 3}, b"weights")[1]
    assert archive.pack(taken(), {}, None)[0] == archive.pack(taken(), {}, None)[0]


def test_any_tool_opens_it(packed: Callable[..., Path]) -> None:
    """It is an ordinary zip file."""
    with zipfile.ZipFile(packed()) as opened:
        assert opened.testzip() is None
        assert tuple(opened.namelist()) == archive.NAMES
        assert opened.read(archive.WEIGHTS) == b"weights"


def test_no_byte_changes_unnoticed(packed: Callable[..., Path]) -> None:
    """Wherever it is: in a file, a header or the directory, and also one that is cut off."""
    whole = packed()
    content = whole.read_bytes()
    for at in [*range(0, len(content), 5), len(content) - 1]:
        whole.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(UsageError):
            archive.read(whole)
    for size in (0, 3, 40, len(content) // 2, len(content) - 1):
        whole.write_bytes(content[:size])
        with pytest.raises(UsageError):
            archive.read(whole)
    whole.write_bytes(content + b"\0")
    with pytest.raises(UsageError, match="headers or its directory changed"):
        archive.read(whole)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (b"\1\1\1\1", "epochs.bin: the bytes of trial 1 changed"),
        (b"weights\x50", "weights.safetensors: its SHA-256"),
        (b'{"attempts"', "trials.jsonl: its SHA-256"),
        (b'{"budget"', "study.json: its SHA-256"),
        (b'"numpy"', "environments.json: its SHA-256"),
    ],
)
def test_a_changed_byte_is_named(packed: Callable[..., Path], changed: bytes, said: str) -> None:
    """The file that it is in, and of a curve, the trial; it is different, not bad usage."""
    file = packed()
    content = bytearray(file.read_bytes())
    content[content.index(changed)] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedError, match=said) as error:
        archive.read(file)
    assert error.value.exit_code == 3


def line(which: int, /, **values: Any) -> Callable[[dict[str, bytes]], None]:
    """Changes the line of a trial."""

    def change(members: dict[str, bytes]) -> None:
        trials = [json.loads(text) for text in members[archive.TRIALS].splitlines()]
        trials[which] |= values
        members[archive.TRIALS] = b"".join(json.dumps(t).encode() + b"\n" for t in trials)

    return change


def entry(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    """Replaces a file."""
    return lambda members: members.update({name: content})


def of_study(**values: Any) -> Callable[[dict[str, bytes]], None]:
    """Changes what is said of the study."""

    def change(members: dict[str, bytes]) -> None:
        members[archive.STUDY] = json.dumps(json.loads(members[archive.STUDY]) | values).encode()

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (entry(archive.STUDY, b"[" * 100_000), "study.json: is not a JSON object"),
        (entry(archive.STUDY, b'{"budget": ' + b"9" * 5000 + b"}"), "is not a JSON object"),
        (entry(archive.STUDY, b"{}"), "study.json: does not have the keys"),
        (of_study(budget=True), "study.json: budget is of the wrong kind"),
        (of_study(definition=[]), "study.json: definition is of the wrong kind"),
        (of_study(created=float("nan")), "study.json: is not a JSON object"),
        (entry(archive.ENVIRONMENTS, b'{"a": {}}'), "environments.json: a is not the digest"),
        (entry(archive.TRIALS, b"\n" * 1_000_002), "trials.jsonl: is cut off, or has too many"),
        (entry(archive.TRIALS, b"x" * 2**21 + b"\n"), "trials.jsonl, line 1: is too long"),
        (line(0, number=1), "the trials are not numbered from 0"),
        (line(0, number="0"), "line 1: does not have the columns"),
        (line(0, owner="me"), "line 1: does not have the columns"),
        (line(0, params=[]), "line 1: does not have the columns"),
        (line(0, seed=2**63), "line 1: does not have the columns"),
        (line(0, environment="e"), "trial 0 names an unknown environment"),
        (line(0, bits=[[2**40, "a"], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[-1, "a"], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[9, "a"], [0, "a"], [0, None]]), "the bytes of trial 0 are not its"),
        (entry("epochs.bin", b"\0" * 96 + b"\1" * 96 + b"more"), "holds more than the trials'"),
    ],
)
def test_what_a_stranger_wrote_is_refused(
    packed: Callable[..., Path], change: Callable[[dict[str, bytes]], None], said: str
) -> None:
    """In one line, whatever the manifest says of it."""
    with pytest.raises(UsageError, match=said):
        archive.read(packed(change))


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "link", "study.json/../x"])
def test_no_other_name_is_read(tmp_path: Path, name: str) -> None:
    """There is nothing to be unpacked, so nothing leaves its folder."""
    file = tmp_path / "study.zip"
    with zipfile.ZipFile(file, "w") as evil:
        evil.writestr(name, "content")
    with pytest.raises(UsageError, match="is not an archive that `hpsearch export` wrote"):
        archive.read(file)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """What is compressed is no archive, whatever its name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr(archive.MANIFEST, b"\0" * 10**7)
    file = tmp_path / "study.zip"
    file.write_bytes(packed.getvalue())
    with pytest.raises(UsageError):
        archive.read(file)


def test_what_is_too_large_is_not_written() -> None:
    """One that could not be read again is none."""
    large = replace(taken(), environments={"x": {"y": "z" * 2**26}})
    with pytest.raises(UsageError, match="too large for an archive"):
        archive.pack(large, {}, None)

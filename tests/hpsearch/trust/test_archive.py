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
        (of_study(numbers=None), "study.json: does not have the keys"),
        (of_study(more=1), "study.json: does not have the keys"),
        (entry(archive.ENVIRONMENTS, b'{"a": 1}'), "environments.json: a is not the digest"),
        (entry(archive.ENVIRONMENTS, b'{"a": {}}'), "environments.json: a is not the digest"),
        (entry(archive.TRIALS, b"\n" * 1_000_002), "trials.jsonl: is cut off, or has too many"),
        (entry(archive.TRIALS, b"x" * 2**21 + b"\n"), "trials.jsonl, line 1: is too long"),
        (line(0, number=1), "the trials are not numbered from 0"),
        (line(0, number="0"), "line 1: does not have the columns"),
        (line(0, owner="me"), "line 1: does not have the columns"),
        (line(0, params=[]), "line 1: does not have the columns"),
        (line(0, seed=2**63), "line 1: does not have the columns"),
        (line(1, seed=-(2**63) - 1), "line 2: does not have the columns"),
        (line(0, seed=True), "line 1: does not have the columns"),
        (line(0, value=[1.0]), "line 1: does not have the columns"),
        (line(0, number=0.0), "line 1: does not have the columns"),
        (line(0, hidden=0), "line 1: does not have the columns"),
        (line(0, environment="e"), "trial 0 names an unknown environment"),
        (line(0, bits=[[2**40, "a"], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[-1, "a"], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[9, "a"], [0, "a"], [0, None]]), "the bytes of trial 0 are not its"),
        (line(2, bits=[[1, "a"], [0, "a"], [0, None]]), "the bytes of trial 2 are not its"),
        (line(0, bits=[[0, "a"], [0, "a"]]), "line 1: does not say what"),
        (line(0, bits="abc"), "line 1: does not say what"),
        (line(0, bits=[[0, "a"], [0, "a"], "ab"]), "line 1: does not say what"),
        (line(0, bits=[[0, "a", 1], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[True, "a"], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[1.0, "a"], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[1, None], [0, "a"], [0, None]]), "line 1: does not say what"),
        (line(0, bits=[[1, 2], [0, "a"], [0, None]]), "line 1: does not say what"),
        (entry(archive.TRIALS, b""), "trials.jsonl: is cut off"),
        (lambda members: members.pop(archive.TRIALS), "trials.jsonl: is missing or too large"),
        (lambda members: members.pop("steps.bin"), "steps.bin: is missing or too large"),
        (entry("epochs.bin", b"\0" * 96 + b"\1" * 96 + b"more"), "holds more than the trials'"),
    ],
)
def test_what_a_stranger_wrote_is_refused(
    packed: Callable[..., Path], change: Callable[[dict[str, bytes]], None], said: str
) -> None:
    """In one line, whatever the manifest says of it."""
    with pytest.raises(UsageError, match=said):
        archive.read(packed(change))


def test_what_is_just_allowed(packed: Callable[..., Path]) -> None:
    """The smallest and the largest number of the store, and a trial without an environment."""
    for which, seed in ((0, -(2**63)), (1, 2**63 - 1)):
        found = archive.read(packed(line(which, seed=seed, environment=None)))
        assert found.taken.trials[which]["seed"] == seed


def test_a_study_of_before(packed: Callable[..., Path]) -> None:
    """Written when a study could not end by itself yet, it did not."""

    def without(members: dict[str, bytes]) -> None:
        said = json.loads(members[archive.STUDY])
        del said["ended"]
        members[archive.STUDY] = json.dumps(said).encode()

    assert archive.read(packed(without)).taken.ended is None


def of_manifest(packed: Callable[..., Path], **changes: Any) -> Path:
    """An archive whose manifest says something else; keys are names, "_" for their dot."""
    file = packed()
    members, _ = container.read(file.read_bytes(), archive.NAMES)
    manifest = json.loads(members[archive.MANIFEST])
    for name, said in changes.items():
        if said is None:
            del manifest["files"][name.replace("_", ".")]
        else:
            manifest["files"][name.replace("_", ".")] = said
    members[archive.MANIFEST] = json.dumps(manifest).encode()
    file.write_bytes(container.write(members))
    return file


def test_files_are_those_of_the_manifest(packed: Callable[..., Path]) -> None:
    """One that is in the archive alone or in the manifest alone is named with where it is not, and
    those that an archive has come first."""
    file = of_manifest(packed, alien={"sha256": "a"}, study_json=None, trials_jsonl=1)
    with pytest.raises(DamagedError) as error:
        archive.read(file)
    assert str(error.value).split("; ") == [
        f"{file}: study.json is not in the manifest.json",
        f"{file}: trials.jsonl is not in the manifest.json",
        f"{file}: alien is not in the archive",
    ]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"{}", "manifest.json: names no files"),
        (b'{"files": []}', "manifest.json: names no files"),
        (b"[]", "manifest.json: is not a JSON object"),
        (b'{"files": {}}' + b" " * 2**16, "is not an archive that"),
    ],
)
def test_a_manifest_that_is_none(
    packed: Callable[..., Path], manifest: bytes, said: str, tmp_path: Path
) -> None:
    """It has to name the files, in no more bytes than it takes to name them."""
    file = tmp_path / "study.zip"
    file.write_bytes(container.write({archive.MANIFEST: manifest}))
    with pytest.raises(UsageError, match=said):
        archive.read(file)


def test_a_file_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, or has more bytes than an archive, is not read."""
    with pytest.raises(UsageError, match=r"study\.zip: No such file"):
        archive.read(tmp_path / "study.zip")
    monkeypatch.setattr(container, "MOST", 9)
    for size, said in ((10, "has more than 9 bytes"), (9, "is not an archive that")):
        (tmp_path / "study.zip").write_bytes(b"x" * size)
        with pytest.raises(UsageError, match=said):
            archive.read(tmp_path / "study.zip")


@pytest.mark.parametrize("name", [archive.STUDY, archive.ENVIRONMENTS, archive.TRIALS])
def test_text_has_a_bounded_size(
    packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither written nor read beyond it."""
    file = packed()
    size = len(container.read(file.read_bytes(), archive.NAMES)[0][name])
    monkeypatch.setitem(archive._LARGEST, name, size)
    assert archive.read(packed()).taken == taken()
    monkeypatch.setitem(archive._LARGEST, name, size - 1)
    with pytest.raises(UsageError, match=f"{name}: is missing or too large"):
        archive.read(file)
    with pytest.raises(UsageError, match=rf"too large for an archive \({name}\)"):
        packed()


def test_as_many_trials_and_as_long_lines_as_there_may_be(
    packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no trial and no byte more."""
    file = packed()
    lines = container.read(file.read_bytes(), archive.NAMES)[0][archive.TRIALS].splitlines()
    for name, most in (("_TRIALS", 3), ("_LINE", max(map(len, lines)))):
        with monkeypatch.context() as patch:
            patch.setattr(archive, name, most)
            assert archive.read(file).taken == taken()
            patch.setattr(archive, name, most - 1)
            with pytest.raises(UsageError, match=r"too many lines|is too long"):
                archive.read(file)


def test_twenty_changed_trials_are_named(tmp_path: Path) -> None:
    """Of more, no more; one whose bytes are as they were is not."""
    whole = taken()
    many = [{**whole.trials[0], "number": n, "folds": None} for n in range(30)]
    bits = {n: Bits(bytes([n]) * 8, bytes([n]), None) for n in range(30)}
    content, _ = archive.pack(replace(whole, trials=many, bits=bits), {}, None)
    file = tmp_path / "study.zip"
    for name, trials in (("epochs.bin", range(1, 30)), ("steps.bin", range(3, 5))):
        torn, old = content, b"".join(bits[n].epochs for n in range(30))
        if name == "steps.bin":
            old = b"".join(bits[n].steps for n in range(30))
        size = len(old) // 30
        new = bytearray(old)
        for number in trials:
            new[number * size] ^= 128
        file.write_bytes(torn.replace(old, bytes(new)))
        with pytest.raises(DamagedError) as error:
            archive.read(file)
        assert str(error.value).split("; ") == [
            f"{file}: {name}: the bytes of trial {number} changed" for number in trials[:20]
        ]


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

"""What does a study's archive hold, and is it whole?

It holds all that is needed to check a study elsewhere: its definition, the digests of its data, the
environments, every curve, the weights of the best trial and the numbers that were made of them. A
manifest has the SHA-256 of each file in it; that of the manifest is the archive's own. Anyone may
have written it: what is read has bounded sizes and known names, no pickle and no path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch import __version__
from hpsearch.errors import DamagedError, UsageError
from hpsearch.ledger.transfer import COLUMNS, TABLES, Bits, Taken
from hpsearch.study.config import dumps
from hpsearch.text import short
from hpsearch.trust import container, environment

MANIFEST, STUDY, ENVIRONMENTS, TRIALS = (
    "manifest.json",
    "study.json",
    "environments.json",
    "trials.jsonl",
)
BITS = ("epochs.bin", "steps.bin", "outcomes.bin")
WEIGHTS = "weights.safetensors"
NAMES = (MANIFEST, STUDY, ENVIRONMENTS, TRIALS, *BITS, WEIGHTS)
FORMAT = 1
_LARGEST = {MANIFEST: 2**16, STUDY: 2**24, ENVIRONMENTS: 2**26, TRIALS: 2**28}
"""Bytes of a file of text."""
_LINE = 2**20
"""Bytes of a trial's line."""
_TRIALS = 10**6
_KEYS = {
    "name",
    "definition",
    "metrics",
    "budget",
    "created",
    "data",
    "reproduced",
    "ended",
    "openings",
}


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is whole: every byte is what its manifest says."""

    taken: Taken
    numbers: Mapping[str, Any]
    """What was made of the trials: counts, digest, the best, …"""
    weights: bytes | None
    """Of the best trial, a safetensors file; None where there are none."""
    sha256: str
    """Of the manifest: it stands for all of it."""


def pack(taken: Taken, numbers: Mapping[str, Any], weights: bytes | None) -> tuple[bytes, str]:
    """A study as one archive, and the archive's SHA-256.

    Raises:
        UsageError: If it is larger than an archive may be.
    """
    bits = [[(b.epochs, b.steps, b.outcomes or b"")[i] for b in _in_order(taken)] for i in range(3)]
    study = {key: getattr(taken, key) for key in _KEYS}
    lines = [dumps({**t, "bits": _said(taken.bits[t["number"]])}) for t in taken.trials]
    members = {
        STUDY: dumps({**study, "numbers": numbers}).encode(),
        ENVIRONMENTS: dumps(taken.environments).encode(),
        TRIALS: "".join(f"{line}\n" for line in lines).encode(),
        **{name: b"".join(parts) for name, parts in zip(BITS, bits, strict=True)},
        **({} if weights is None else {WEIGHTS: weights}),
    }
    files = {name: {"bytes": len(m), "sha256": _sha(m)} for name, m in members.items()}
    manifest = dumps({"format": FORMAT, "hpsearch": __version__, "files": files}).encode()
    for name, content in {MANIFEST: manifest, **members}.items():
        if len(content) > _LARGEST.get(name, container.MOST):
            raise UsageError(f"the study is too large for an archive ({name})")
    try:
        return container.write({MANIFEST: manifest, **members}), _sha(manifest)
    except ValueError as error:
        raise UsageError(f"the study is too large for an archive: {error}") from None


def read(path: Path) -> Archive:
    """The archive in a file.

    Raises:
        UsageError: If there is no such file, or it is no archive.
        DamagedError: If a byte of it is not what it was; says of which file and which trial.
    """
    members, broken = container.read(_content(path), NAMES)
    manifest = members.pop(MANIFEST, None)
    if manifest is None or len(manifest) > _LARGEST[MANIFEST]:
        raise UsageError(f"{path}: is not an archive that `hpsearch export` wrote")
    files = _object(path, MANIFEST, manifest).get("files")
    if not isinstance(files, dict):
        raise UsageError(f"{path}: {MANIFEST}: names no files")
    what = []
    for name in sorted(files.keys() | members.keys(), key=lambda n: (n not in NAMES, n)):
        known, content = files.get(name), members.get(name)
        if content is None or not isinstance(known, dict):
            where = "archive" if content is None else MANIFEST
            what.append(f"{path}: {short(name)} is not in the {where}")
        elif known.get("sha256") != _sha(content):
            what += [f"{path}: {name}: {said}" for said in _changed(path, name, content, members)]
    if broken and not what:
        what.append(f"{path}: {broken} changed, or {MANIFEST} did")
    if what:
        raise DamagedError("; ".join(what))
    for name in (STUDY, ENVIRONMENTS, TRIALS, *BITS):
        if len(members.get(name, b"")) > _LARGEST.get(name, container.MOST) or name not in members:
            raise UsageError(f"{path}: {name}: is missing or too large")
    taken, numbers = _taken(path, members)
    return Archive(taken, numbers, members.get(WEIGHTS), _sha(manifest))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(container.MOST + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if len(content) > container.MOST:
        raise UsageError(f"{path}: has more than {container.MOST} bytes, which no archive has")
    return content


def _changed(path: Path, name: str, content: bytes, members: Mapping[str, bytes]) -> Iterator[str]:
    """What in a file is not what it was: of a file of bits, which trials'."""
    whole = "its SHA-256 is not the manifest's"
    if name not in BITS:
        yield whole
        return
    kind, at, found = BITS.index(name), 0, 0
    try:
        for trial in _trials(path, members.get(TRIALS, b"")):
            size, sha = trial["bits"][kind]
            if sha is not None and _sha(content[at : at + size]) != sha:
                found += 1
                if found <= 20:
                    yield f"the bytes of trial {trial['number']} changed"
            at += size
    except (UsageError, LookupError, TypeError, ValueError):
        found = 0
    if not found:
        yield whole


def _taken(path: Path, members: Mapping[str, bytes]) -> tuple[Taken, Mapping[str, Any]]:
    study = _object(path, STUDY, members[STUDY])
    numbers = study.pop("numbers", None)
    kinds: dict[str, Any] = {
        "name": str,
        "definition": dict,
        "metrics": list,
        "budget": int,
        "created": float,
        "data": dict,
        "reproduced": dict | None,
        "ended": dict | None,
        "openings": list,
    }
    study.setdefault("ended", None)  # what was written before a study could end by itself
    if study.keys() != _KEYS or not isinstance(numbers, dict):
        raise UsageError(f"{path}: {STUDY}: does not have the keys of a study")
    for key, kind in kinds.items():
        if not isinstance(study[key], kind) or isinstance(study[key], bool):
            raise UsageError(f"{path}: {STUDY}: {key} is of the wrong kind")
    environments = _object(path, ENVIRONMENTS, members[ENVIRONMENTS])
    for digest, content in environments.items():
        if not isinstance(content, dict) or environment.digest(content) != digest:
            raise UsageError(f"{path}: {ENVIRONMENTS}: {short(digest)} is not the digest of it")
    trials, bits, at = [], {}, [0, 0, 0]
    for trial in _trials(path, members[TRIALS]):
        number, sizes = trial["number"], trial.pop("bits")
        parts: list[bytes | None] = []
        for kind, name in enumerate(BITS):
            size, sha = sizes[kind]
            part = members[name][at[kind] : at[kind] + size]
            at[kind] += size
            if len(part) != size or (sha is not None and _sha(part) != sha):
                raise UsageError(f"{path}: {name}: the bytes of trial {number} are not its")
            parts.append(None if sha is None else part)
        if trial["environment"] is not None and trial["environment"] not in environments:
            raise UsageError(f"{path}: {TRIALS}: trial {number} names an unknown environment")
        bits[number] = Bits(parts[0] or b"", parts[1] or b"", parts[2])
        trials.append(trial)
    if at != [len(members[name]) for name in BITS]:
        raise UsageError(f"{path}: {BITS[0]}: holds more than the trials' bytes")
    if [t["number"] for t in trials] != list(range(len(trials))):
        raise UsageError(f"{path}: {TRIALS}: the trials are not numbered from 0 in order")
    return Taken(**study, environments=environments, trials=trials, bits=bits), numbers


def _trials(path: Path, content: bytes) -> Iterator[dict[str, Any]]:
    """The trials' lines, each with the columns of a trial."""
    if content.count(b"\n") > _TRIALS or content[-1:] != b"\n":
        raise UsageError(f"{path}: {TRIALS}: is cut off, or has too many lines")
    for line, text in enumerate(content[:-1].split(b"\n"), start=1):
        where = f"{TRIALS}, line {line}"
        if len(text) > _LINE:
            raise UsageError(f"{path}: {where}: is too long")
        trial = _object(path, where, text)
        if trial.keys() != {*COLUMNS, "bits"} or not all(_fits(k, trial[k]) for k in COLUMNS):
            raise UsageError(f"{path}: {where}: does not have the columns of a trial")
        said = trial["bits"]
        if not (isinstance(said, list) and len(said) == len(BITS) and all(map(_part, said))):
            raise UsageError(f"{path}: {where}: does not say what its bytes are")
        yield trial


def _fits(column: str, value: Any) -> bool:
    if column in TABLES:
        return isinstance(value, dict)
    if column == "hidden":
        return isinstance(value, bool)
    if isinstance(value, bool) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        return False
    return (
        isinstance(value, int)
        if column == "number"
        else isinstance(value, str | int | float | None)
    )


def _part(said: Any) -> bool:
    if not isinstance(said, list) or len(said) != 2:
        return False
    size, sha = said
    whole = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= container.MOST
    return whole and (isinstance(sha, str) or (sha is None and size == 0))


def _in_order(taken: Taken) -> Iterator[Bits]:
    return (taken.bits[trial["number"]] for trial in taken.trials)


def _said(bits: Bits) -> list[list[Any]]:
    """Of each kind of bits, how many bytes and their SHA-256."""
    parts = (bits.epochs, bits.steps, bits.outcomes)
    return [[0, None] if part is None else [len(part), _sha(part)] for part in parts]


def _object(path: Path, where: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: {where}: is not a JSON object")
    return found


def _no_number(said: str) -> float:
    raise ValueError(said)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

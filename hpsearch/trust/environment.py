"""What do the numbers depend on, beside the configuration and the data?

Versions, the BLAS kernel and the CPU features that NumPy found decide how float32 sums are
rounded; the commit and what was changed since decide what is computed.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Collection, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hpsearch.study.config import dumps
from hpsearch.threads import THREAD_VARIABLES as THREAD_VARIABLES

NUMERIC = ("machine", "numpy", "blas", "cpu_features", "threads")
"""The entries that decide how the same program rounds."""

DIFF = "diff"
"""The entry that holds what was changed since the commit."""
LONGEST = 2**18
"""Bytes of a diff that is kept."""
ROOT = Path(__file__).resolve().parents[2]
"""Where this program is imported from."""

_PACKAGES = ("hpsearch", "net")
"""What computes a trial, beside the packages it depends on."""


@contextmanager
def single_thread() -> Iterator[None]:
    """One BLAS thread within, also where NumPy was loaded before."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


def current() -> dict[str, Any]:
    """This process's environment, to be called within ``single_thread``."""
    return {
        "hpsearch": version("hpsearch"),
        "code_sha256": code(),
        "python": platform.python_version(),
        "optuna": version("optuna"),
        **rounding(),
        "cpu": _cpu(),
        "system": platform.system(),
        "packages": dict(packages()),
        "locks": _locks(ROOT),
        **_source(ROOT),
    }


def rounding() -> dict[str, Any]:
    """The entries of ``NUMERIC`` alone, which are quicker to find out."""
    import numpy as np
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas" and _numpys(pool)]
    return {
        "numpy": np.__version__,
        "blas": [
            f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip()
            for pool in pools
        ],
        "threads": max((pool["num_threads"] for pool in pools), default=1),
        "cpu_features": _cpu_features(),
        "machine": platform.machine(),
    }


@lru_cache(maxsize=1)
def code() -> str:
    """SHA-256 over the source files of this program, wherever they were imported from.

    They are read once: what is changed afterwards is not what this process runs.
    """
    sha = hashlib.sha256()
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for file in sorted(Path(folder).rglob("*.py")):
                content = file.read_bytes()
                path = f"{package}/{file.relative_to(folder).as_posix()}"
                sha.update(f"{path}\0{len(content)}\0".encode() + content)
    return sha.hexdigest()


def digest(environment: Mapping[str, Any]) -> str:
    """SHA-256 of an environment."""
    return hashlib.sha256(dumps(environment).encode()).hexdigest()


def differences(
    recorded: Mapping[str, Any], now: Mapping[str, Any], packages: Collection[str] = ()
) -> list[str]:
    """What differs, an entry each, those that decide about the bits first.

    A table, such as the packages' versions, counts as its entries where both have it. What a diff
    says is left to its digest.

    Args:
        recorded: An environment.
        now: Another.
        packages: Those that a training of one's own computes with.
    """
    tables = {key for key in recorded.keys() & now.keys() if isinstance(recorded[key], Mapping)}
    recorded, now = (dict(_entries(each, tables)) for each in (recorded, now))
    first = {*NUMERIC, *(f"packages.{name}" for name in packages)}
    keys = sorted(recorded.keys() | now.keys(), key=lambda key: (key not in first, key))
    return [
        f"{key}: recorded {_show(recorded.get(key))}, here {_show(now.get(key))}"
        for key in keys
        if recorded.get(key) != now.get(key)
    ]


def rounds_alike(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the same program must give the same bits in both."""
    return all(recorded.get(key) == now.get(key) for key in NUMERIC)


def computes_alike(
    recorded: Mapping[str, Any], now: Mapping[str, Any], packages: Collection[str]
) -> bool:
    """Whether a training that computes with these packages must give the same bits in both.

    A record without any packages is an older one, and is taken to have had the same.
    """
    there, here = (each.get("packages", {}) for each in (recorded, now))
    known = all(there.get(name) == here.get(name) for name in packages) if there else True
    return rounds_alike(recorded, now) and known


def _entries(environment: Mapping[str, Any], tables: Set[str]) -> Iterator[tuple[str, Any]]:
    for key, value in environment.items():
        if key in tables and isinstance(value, Mapping):
            yield from ((f"{key}.{name}", entry) for name, entry in value.items())
        elif key != DIFF:
            yield key, value


def _cpu() -> str:
    """What the CPU calls itself; nothing where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()


@lru_cache(maxsize=1)
def packages() -> tuple[tuple[str, str], ...]:
    """All packages that this Python can import, with their versions, looked up once."""
    # Each look at a package's name or version would read and parse all that it says of itself.
    told = [package.metadata for package in distributions()]
    found = {each["Name"].lower(): each["Version"] for each in told if each["Name"]}
    return tuple(sorted(found.items()))


def _locks(root: Path) -> dict[str, str]:
    """The digests of the lock files beside this program; nothing where it is installed."""
    files = (root / name for name in ("requirements.lock", "requirements-dev.lock"))
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


def _cpu_features() -> list[str]:
    import numpy as np

    extensions = np.show_config("dicts")["SIMD Extensions"]
    return sorted([*extensions.get("baseline", []), *extensions.get("found", [])])


def _numpys(pool: Mapping[str, Any]) -> bool:
    """Whether a BLAS is NumPy's own; SciPy brings another, which trains nothing here."""
    return "scipy.libs" not in str(pool["filepath"])


def _source(root: Path) -> dict[str, Any]:
    """The commit of a checkout, and what was changed since; nothing elsewhere.

    Only files that git tracks and that compute a trial are looked at. A diff that is longer than
    ``LONGEST`` has its digest alone.
    """
    if not (root / ".git").exists():
        return {}
    commit = _git(root, "rev-parse", "HEAD")
    plainly = ("--no-ext-diff", "--no-textconv", "--no-color")
    changed = _git(root, "diff", *plainly, "HEAD", "--", "hpsearch", "net")
    if not commit:
        return {}
    source: dict[str, Any] = {"commit": commit.decode().strip(), "dirty": bool(changed)}
    if changed:
        source["diff_sha256"] = hashlib.sha256(changed).hexdigest()
    if 0 < len(changed) <= LONGEST:
        source[DIFF] = changed.decode(errors="replace")
    return source


def _git(root: Path, *arguments: str) -> bytes:
    """What git says, in the same words for everyone, and without running what its settings name."""
    plainly = ("-c", "core.fsmonitor=", "-c", "color.ui=false")
    try:
        run = subprocess.run(
            ["git", "-C", str(root), *plainly, *arguments],
            capture_output=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return b""
    return run.stdout


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    return "nothing" if value is None else dumps(value)

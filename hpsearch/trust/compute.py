"""With which kernel and CPU features does a process compute, and how is one had that uses others?

OpenBLAS takes the kernel that suits the CPU best, NumPy the widest vectors that it has; either
rounds in its own way. Both read from the environment, once, what they are to use instead: so that
is for a process that is yet to be started.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.study.config import Study
from hpsearch.trust.environment import NUMERIC

KERNEL = "OPENBLAS_CORETYPE"
DISABLED, ENABLED = "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"
_PORTABLE = {
    "x86_64": ("Haswell", ("X86_V3",)),
    "AMD64": ("Haswell", ("X86_V3",)),
    "aarch64": ("ARMV8", ()),
    "arm64": ("ARMV8", ()),
}
"""By machine: a kernel, and what NumPy may use beside its baseline.

X86_V3 (AVX2, FMA) is what Intel's Core and Xeon have had since 2013, and AMD's since 2015.
"""


def launching(study: Study) -> dict[str, str]:
    """Environment variables for the processes that train a study's trials.

    Raises:
        HpsearchError: If the study asks for portable bits, and none are known for this machine.
    """
    if study.compute is None:
        return {}
    if platform.machine() not in _PORTABLE:
        raise HpsearchError(
            f'compute.profile: "portable" is not known for {platform.machine()}; use "native"'
        )
    kernel, features = _PORTABLE[platform.machine()]
    return variables(kernel, features)


def refuse_other(study: Study, here: Mapping[str, Any]) -> None:
    """Make sure that a process computes as a study asks for.

    Args:
        study: The study.
        here: The process's environment.

    Raises:
        HpsearchError: If it does not.
    """
    if study.compute is None:
        return
    wanted = launching(study)
    kernel, features = _PORTABLE[platform.machine()]
    found = set(here["cpu_features"])
    if _kernel(here) == kernel and set(features) <= found <= {*_baseline(), *features}:
        return
    said = " ".join(f"{name}='{value}'" for name, value in wanted.items() if value)
    raise HpsearchError(
        f'compute.profile: "portable" needs OpenBLAS with its {kernel} kernel and NumPy with '
        f"{' '.join(features) or 'its baseline'}; this process has "
        f"{', '.join(here['blas']) or 'no OpenBLAS'} and {' '.join(here['cpu_features'])}; run it "
        f"with workers on a CPU that has them, or start Python with {said}"
    )


def like(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, str] | None:
    """Environment variables for a process that may round as a recorded one did.

    Args:
        recorded: An environment.
        here: This process's, which rounds otherwise.

    Returns:
        None where more than the kernel and the CPU features is different.
    """
    theirs, ours = _parted(recorded), _parted(here)
    if theirs is None or ours is None or theirs[1:] != ours[1:]:
        return None
    if any(recorded.get(key) != here.get(key) for key in NUMERIC if key not in _CHOSEN):
        return None
    features = recorded.get("cpu_features")
    if not isinstance(features, list) or not all(isinstance(each, str) for each in features):
        return None
    if not set(features) <= {*_baseline(), *_dispatched()}:
        return None
    return variables(theirs[0], features)


def variables(kernel: str, features: Collection[str]) -> dict[str, str]:
    """Environment variables for a process with this kernel, and of NumPy's features only these."""
    beyond = sorted(_dispatched() - set(features))
    return {KERNEL: kernel, DISABLED: " ".join(beyond), ENABLED: ""}


_CHOSEN = ("blas", "cpu_features")


def _parted(environment: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Kernel, kind and version of an OpenBLAS that is alone."""
    blas = environment.get("blas")
    if not isinstance(blas, list) or len(blas) != 1 or not isinstance(blas[0], str):
        return None
    parts = blas[0].split()
    if len(parts) != 3 or parts[0] != "openblas" or not parts[2].isalnum():
        return None
    return parts[2], parts[0], parts[1]


def _kernel(environment: Mapping[str, Any]) -> str | None:
    found = _parted(environment)
    return None if found is None else found[0]


def _baseline() -> set[str]:
    import numpy as np

    return set(np.show_config("dicts")["SIMD Extensions"].get("baseline", []))


def _dispatched() -> set[str]:
    """All that this NumPy can use where a CPU has it, whether or not this process does."""
    import numpy as np

    extensions = np.show_config("dicts")["SIMD Extensions"]
    return {*extensions.get("found", []), *extensions.get("not found", [])}

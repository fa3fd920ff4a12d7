"""Which secrets stand in files? ``NAME_FILE`` names the file that holds what ``NAME`` would.

A variable that a process is started with is for others to see, by ``docker inspect`` for one. It is
set in this process alone, where MLflow's client looks for it, too, and in what it starts.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from hpsearch.errors import UsageError

NAMES = (
    "HPSEARCH_STORAGE",
    "HPSEARCH_UI_PASSWORD",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_URI",
)

_LONGEST = 4096  # bytes; no secret is longer, and a device has no end


def read(environ: MutableMapping[str, str]) -> None:
    """Set each variable whose file is named.

    Raises:
        UsageError: If a file cannot be read, holds no secret, or another than the variable does.
    """
    for name in NAMES:
        file = environ.get(f"{name}_FILE")
        if not file:
            continue
        value = secret(f"{name}_FILE: {file}", Path(file))
        if environ.get(name) not in (None, "", value):
            raise UsageError(
                f"{name} and {name}_FILE: are both set, to different values; unset one of them"
            )
        environ[name] = value


def secret(where: str, file: Path) -> str:
    """The one line that a file holds.

    Args:
        where: What is to be named in an error.
        file: The file.

    Raises:
        UsageError: If it cannot be read, or does not hold one line of text.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_LONGEST + 1)
        text = content.decode().rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{where}: is not text") from None
    if not text or not text.isprintable() or len(content) > _LONGEST:
        raise UsageError(f"{where}: must contain one line of printable text")
    return text

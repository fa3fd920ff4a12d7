"""Which table does a study file hold? TOML within bounds, and what the command line changes.

A file may mean harm: whatever is in it is read in little time and memory, and what goes beyond any
study is refused before anything else looks at it.
"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.text import short

MOST_BYTES = 2**20
MOST_PARTS = 64
"""Of a dotted key: reading one takes time and memory with the square of them."""
DEEPEST = 16
"""Tables and lists within one another."""
_INTEGERS = range(-(2**63), 2**63)

_PART = r"""(?:"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[\w-]++)"""
_DOTTED = re.compile(rf"(?<![\w.-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MOST_PARTS}}}")
"""Possessive throughout: a text that does not match is seen once."""


def read(path: Path) -> dict[str, Any]:
    """The table in a file.

    Raises:
        StudyFileError: In one line, why it cannot be read.
    """
    shown = short(str(path), 300)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would block for ever
            raise StudyFileError("is not a regular file; name a study file")
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise StudyFileError("is larger than 1 MiB; a study file never is")
        table = _parse(content.decode("utf-8-sig"))
        check(table)
    except StudyFileError as error:
        raise StudyFileError(f"{shown}: {error}") from None
    except FileNotFoundError:
        raise StudyFileError(f"{shown}: no such study file") from None
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{shown}: cannot be read as text ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(f"{shown}: is not valid TOML: {short(str(error), 200)}") from None
    except RecursionError:
        raise StudyFileError(f"{shown}: {_TOO_DEEP}") from None
    except OSError as error:
        raise StudyFileError(f"{shown}: cannot be read as text ({error.strerror})") from None
    except ValueError as error:  # a number of too many digits, or a path that can be none
        raise StudyFileError(f"{shown}: cannot be read ({short(str(error), 200)})") from None
    return table


def override(table: dict[str, Any], change: str) -> None:
    """Put the value of ``path=value`` in its place; the value is TOML, or a bare word.

    Raises:
        StudyFileError: If there is no such place, or the value can be none.
    """
    shown = f"--set {short(change)}"
    path, equals, text = change.partition("=")
    if not equals or not path.strip():
        raise StudyFileError(f"{shown}: must be path=value, such as training.epochs=5")
    try:
        value = _parse(f"value = {text}")["value"]
        check(value)
    except RecursionError:
        raise StudyFileError(f"{shown}: {_TOO_DEEP}") from None
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except StudyFileError as error:
        raise StudyFileError(f"{shown}: {error}") from None
    except ValueError as error:
        raise StudyFileError(f"{shown}: {short(str(error), 200)}") from None
    *sections, key = path.strip().split(".")
    if len(sections) >= DEEPEST:
        raise StudyFileError(f"{shown}: {_TOO_DEEP}")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise StudyFileError(f"{shown}: {short(section)} is not a table in the study file")
    table[key] = value


_TOO_DEEP = f"is nested more than {DEEPEST} levels deep; a study file never is"


def _parse(text: str) -> dict[str, Any]:
    if _DOTTED.search(text):
        raise StudyFileError(_TOO_DEEP)
    return tomllib.loads(text)


def check(value: Any) -> None:
    """Refuse what is nested too deep, integers that are none in TOML, and what no store keeps."""
    level = [value]
    for _ in range(DEEPEST):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                following += item
            elif isinstance(item, int) and item not in _INTEGERS:
                raise StudyFileError("contains an integer of more than 64 bits; use a smaller one")
            elif isinstance(item, str) and "\0" in item:
                raise StudyFileError("contains a NUL character; remove it")
        level = following
    if level:
        raise StudyFileError(_TOO_DEEP)

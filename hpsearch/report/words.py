"""How is what a user named said where there is little room? Wrapped, or shortened in the middle."""

from __future__ import annotations

import hashlib
import itertools
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from hpsearch.report import views

LONGEST_FILE = 120
"""Bytes of a file's name; file systems take 255, and other programs add to it."""


def cells(text: str) -> int:
    """How wide a text is: in columns of a terminal, where a wide (CJK) letter takes two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def shorten(text: str, width: int) -> str:
    """The text on one line of at most ``width`` cells; what is left out, is left out in the middle.

    >>> shorten("learning_rate_of_the_first_layer", 15)
    'learnin…t_layer'
    """
    text = " ".join(text.split())
    if cells(text) <= width:
        return text
    head = _fitting(text, width // 2)
    return head + "…" + _fitting(text[::-1], max(width - cells(head) - 1, 0))[::-1]


def wrap(text: str, width: int, lines: int = 2) -> str:
    """The text on at most ``lines`` lines of ``width`` cells, broken at spaces where there are."""
    words = shorten(text, width * lines).split(" ")
    broken = [""]
    while words:
        word = words.pop(0)
        line = f"{broken[-1]} {word}".lstrip()
        if cells(line) <= width:
            broken[-1] = line
        elif broken[-1]:
            broken.append("")
            words.insert(0, word)
        else:
            head = _fitting(word, width) or word[0]
            broken[-1] = head
            broken.append("")
            words.insert(0, word[len(head) :])
    if len(broken) > lines:
        rest = " ".join(broken[lines - 1 :])
        broken[lines - 1 :] = [shorten(rest, width)]
    return "\n".join(broken)


def several(parts: Sequence[str], most: int) -> list[str]:
    """At most so many of the parts; of more, the first ones, and how many are left out.

    >>> several(["a", "b", "c", "d"], 3)
    ['a', 'b', '+ 2 more']
    """
    if len(parts) <= most:
        return list(parts)
    return [*parts[: most - 1], f"+ {len(parts) - most + 1} more"]


def value(given: Any, digits: int = 4) -> str:
    """A value of a parameter as a person reads it; of layers, equal neighbours are counted.

    >>> value([100, 100, 100, 50])
    '[3 × 100, 50]'
    """
    if isinstance(given, list | tuple):
        runs = [(item, len(list(run))) for item, run in itertools.groupby(given)]
        return f"[{', '.join(f'{n} × {item}' if n > 1 else f'{item}' for item, n in runs)}]"
    if isinstance(given, bool):
        return str(given).lower()
    return views.value_(given, digits)


def count(number: int, noun: str) -> str:
    """A number of things: ``1 trial``, ``2,000 trials``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def capital(text: str) -> str:
    """The text as a sentence begins."""
    return text[:1].upper() + text[1:]


def listed(parts: Iterable[str]) -> str:
    """Parts as a sentence lists them: ``a, b and c``."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def file_name(name: str, ending: str) -> str:
    """A study's name as that of a file: a long one is cut, and told from others by a digest.

    A confirmation's name has a slash, which no file's may have.
    """
    name = name.replace("/", "-")
    if len(f"{name}{ending}".encode()) <= LONGEST_FILE:
        return f"{name}{ending}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    room = LONGEST_FILE - len(f"-{digest}{ending}".encode())
    return f"{name.encode()[:room].decode(errors='ignore').rstrip()}-{digest}{ending}"


def _fitting(text: str, width: int) -> str:
    """As much of the beginning as fits."""
    used = 0
    for end, letter in enumerate(text):
        used += cells(letter)
        if used > width:
            return text[:end]
    return text

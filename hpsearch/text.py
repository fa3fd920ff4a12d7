"""How does text that others wrote become text that a terminal can show?

A name, a reason or a row may hold anything: escapes that move the cursor, marks that turn the
direction of reading, line breaks, halves of characters, and what a terminal's encoding lacks.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from functools import lru_cache

_PLAIN = {"─": "-", "–": "-", "…": "...", "×": "x", "‘": "'", "’": "'"}
"""Marks of our own, for where an encoding lacks them."""


def visible(text: str, encoding: str = "utf-8", keep: str = "") -> str:
    r"""The text with what cannot be shown spelt out, as in ``\u001b``; TOML reads that, too.

    Args:
        text: Any text.
        encoding: What it will be written in.
        keep: Characters that pass as they are, such as line breaks.
    """
    if text.isprintable() and (text.isascii() or _unicode(encoding)):
        return text
    return "".join(c if c in keep or _shown(c, encoding) else _escaped(c) for c in text)


def line(text: str, encoding: str = "utf-8") -> str:
    """The text on one line, visible: a line break becomes a blank."""
    one = " ".join(part for part in text.splitlines() if part)
    if not one.isascii():
        one = "".join(_PLAIN.get(c, c) if not _shown(c, encoding) else c for c in one)
    return visible(one, encoding)


def document(text: str, encoding: str = "utf-8") -> str:
    """A JSON document that says the same, visible."""
    if text.isascii():  # JSON itself spells out the controls among these, all but DEL
        return text.replace("\x7f", r"\u007f")
    return "".join(
        c if c == "\n" or (_shown(c, encoding) and (c.isascii() or _unicode(encoding)))
        else json.dumps(c)[1:-1]
        for c in text
    )  # fmt: skip


def short(text: str, most: int = 60) -> str:
    """A text of any length, visible, shortened in its middle to ``most`` characters."""
    return _shortened(visible(_shortened(text, most)), most)


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def word(name: str) -> str:
    """A name as the last word of a command for a shell: a dash at its head makes it no option."""
    return ("-- " if name.startswith("-") else "") + shlex.quote(name)


def _unicode(encoding: str) -> bool:
    return encoding.lower().replace("_", "-").startswith("utf")


@lru_cache(4096)
def _shown(character: str, encoding: str) -> bool:
    if not character.isprintable() and unicodedata.category(character) != "Zs":
        return False
    try:
        character.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

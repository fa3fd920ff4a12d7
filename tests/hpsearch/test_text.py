"""What reaches a terminal can be shown there, and moves nothing."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.text import document, line, short, visible

ENCODINGS = ["utf-8", "ascii", "latin-1", "cp1252"]
HOSTILE = "a\x1b[2Jb\x07c\x9bd\u202ee\u200ff\ud800g"


def test_escapes_are_spelt_out() -> None:
    """Controls (C0, C1), marks of direction and halves of characters are visible."""
    assert visible(HOSTILE) == r"a\u001b[2Jb\u0007c\u009bd\u202ee\u200ff\ud800g"


def test_a_line_is_one() -> None:
    """No line break of any kind is left."""
    assert line("one\ntwo\r\n\nthree\u2028four") == "one two three four"


def test_what_can_be_shown_stays() -> None:
    """Letters of all scripts, combined ones and wide blanks are no escapes."""
    for text in ("Größe", "学習\u3000率", "e\u0301", "λ = 0.1 ± ε", "🙂"):
        assert text == visible(text)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=st.text())
def test_any_text_can_be_written(encoding: str, text: str) -> None:
    """Nothing is left that a terminal's encoding lacks, and nothing that is not printable."""
    for made in (line(text, encoding), visible(text, encoding)):
        made.encode(encoding)
        assert "".join(c for c in made if not c.isprintable() and not c.isspace()) == ""
        assert len(made.splitlines()) <= 1


def test_our_own_marks_become_plain() -> None:
    """A rule stays a rule on a terminal that has no box to draw."""
    assert (line("───", "ascii"), line("a…", "latin-1")) == ("---", "a...")


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(value=st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_a_document_says_the_same(encoding: str, value: Any) -> None:
    """JSON stays JSON, of the same content, and only its line breaks are no characters."""
    made = document(json.dumps(value, indent=2, ensure_ascii=False), encoding)
    assert value == json.loads(made)
    assert "".join(c for c in made if not c.isprintable() and not c.isspace()) == ""
    made.encode(encoding)


@given(text=st.text(st.characters(codec="utf-8")))
def test_toml_says_the_same(text: str) -> None:
    """An escape is one that TOML reads, too."""
    import tomli_w

    made = visible(tomli_w.dumps({"x": text}), "ascii", keep="\n")
    assert {"x": text} == tomllib.loads(made)


def test_short() -> None:
    """A long text is cut in its middle; one that fits is not."""
    assert (short("abcdef", 6), short("abcdefghijklmnopqrstuvwxyz", 7)) == ("abcdef", "abcd…yz")
    assert len(short("x" * 10**6)) == 60
    assert (short("a\nb\x1b", 20), len(short("\n" * 100, 20))) == (r"a\u000ab\u001b", 20)

"""Words fit where there is little room, and files can bear a study's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.report import words

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=300)


@given(TEXTS, st.integers(3, 60))
def test_shortened_texts_fit(text: str, width: int) -> None:
    """Wide letters count twice; a text that fits stays as it is."""
    short = words.shorten(text, width)
    assert words.cells(short) <= width
    assert "\n" not in short
    if words.cells(" ".join(text.split())) <= width:
        assert short == " ".join(text.split())


@given(TEXTS, st.integers(4, 40), st.integers(1, 4))
def test_wrapped_texts_fit(text: str, width: int, lines: int) -> None:
    """In both directions."""
    wrapped = words.wrap(text, width, lines).split("\n")
    assert len(wrapped) <= lines
    assert all(words.cells(line) <= width for line in wrapped)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=128))
def test_file_names_fit(name: str) -> None:
    """However many bytes a letter takes; short names stay, but for a slash."""
    file = words.file_name(name, "-best.png")
    assert len(file.encode()) <= words.LONGEST_FILE
    assert file.endswith("-best.png")
    if len(name.encode()) < 100:
        assert file == f"{name.replace('/', '-')}-best.png"


def test_cut_file_names_differ() -> None:
    """Names that begin alike are told apart."""
    names = [f"{'x' * 127}{end}" for end in "ab"]
    assert len({words.file_name(name, ".png") for name in names}) == 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "[]"),
        ([8], "[8]"),
        ([100] * 30, "[30 × 100]"),
        ([64, 32, 32], "[64, 2 × 32]"),
        (True, "true"),
        (0.1234567, "0.1235"),
        (None, "-"),
        ("adam", "adam"),
    ],
)
def test_values_are_short(value: object, said: str) -> None:
    """As a person reads them."""
    assert said == words.value(value)


def test_of_many_parts_the_first_are_said() -> None:
    """And how many more there are."""
    assert words.several("abc", 3) == ["a", "b", "c"]
    assert words.several("abcd", 3) == ["a", "b", "+ 2 more"]
    assert words.listed("abc") == "a, b and c"

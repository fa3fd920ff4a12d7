"""CSV and Parquet files are read as what they say, or refused in one line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data import columns
from hpsearch.data.columns import Column
from hpsearch.data.datasets import load
from tests.hpsearch.data.sources import refusal

SEALS = """species,mass,colour,length
ringed,55.5,grey,1.2
grey,170,grey,2.1
harbour,88,brown,1.6
ringed,61,brown,1.3
"""


def write(path: Path, text: str | bytes) -> Path:
    """A file of this text."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_what_a_csv_file_says(tmp_path: Path) -> None:
    """A column of numbers is numbers, one of text is categories, and the label has names."""
    found = load(f"csv:{write(tmp_path / 'seals.csv', SEALS)}#species")
    assert (Column("mass"), Column("colour", ("brown", "grey")), Column("length")) == found.columns
    assert found.x.tolist() == [[55.5, 1, 1.2], [170, 1, 2.1], [88, 0, 1.6], [61, 0, 1.3]]
    assert (found.names, found.y.tolist()) == (("grey", "harbour", "ringed"), [2, 0, 1, 2])
    assert found.shape == (3,)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("grey", '"grey"').replace("55.5", '"55.5"'),
        lambda text: text.replace("\n", "\n\n") + "\n\n",
        lambda text: text.replace("55.5", " 5.55e1 ").replace(",170,", ",+170.0,"),
        lambda text: gzip.compress(text.encode()),
    ],
    ids=["semicolons", "tabs", "CRLF", "BOM", "quotes", "empty lines", "numbers", "gzip"],
)
def test_other_ways_to_write_it(tmp_path: Path, change: Any) -> None:
    """How a table is written down changes nothing of what it says."""
    plain = load(f"csv:{write(tmp_path / 'a.csv', SEALS)}#species")
    other = load(f"csv:{write(tmp_path / 'b.csv', change(SEALS))}#species")
    assert plain.digest == other.digest


def test_parquet_says_the_same(tmp_path: Path) -> None:
    """The same table has one digest as CSV and as Parquet, also with categories of its own."""
    frame = pd.read_csv(write(tmp_path / "a.csv", SEALS))
    expected = load(f"csv:{tmp_path / 'a.csv'}#species")
    frame.to_parquet(tmp_path / "a.parquet")
    found = load(f"parquet:{tmp_path / 'a.parquet'}#species")
    assert (expected.digest, expected.columns) == (found.digest, found.columns)
    frame["colour"] = frame["colour"].astype("category")
    frame["mass"] = frame["mass"].astype("float32")
    frame.to_parquet(tmp_path / "b.parquet", index=False)
    assert expected.digest == load(f"parquet:{tmp_path / 'b.parquet'}#species").digest


def test_parquet_types(tmp_path: Path) -> None:
    """Truth values are categories, missing values of any type are missing, labels may be whole."""
    frame = pd.DataFrame(
        {
            "truth": [True, False, True, True],
            "maybe": [True, None, False, True],
            "whole": pd.array([1, None, 3, 4], dtype="Int64"),
            "text": ["a", None, "b", "a"],
            "label": [5, 15, 5, 15],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = load(f"parquet:{tmp_path / 'a.parquet'}#label")
    assert found.missing.tolist() == [0, 1, 1, 1]
    assert [None if np.isnan(v) else v for v in found.x[1]] == [0, None, None, None]
    assert [column.categories for column in found.columns] == [
        ("False", "True"),
        ("False", "True"),
        None,
        ("a", "b"),
    ]
    assert found.names == ("5", "15")


@pytest.mark.parametrize("word", sorted(columns.MISSING))
def test_what_stands_for_a_missing_value(tmp_path: Path, word: str) -> None:
    """An empty cell and the usual words are missing values, among numbers and among text."""
    text = SEALS.replace("88", word).replace("brown,1.3", f"{word},1.3")
    found = load(f"csv:{write(tmp_path / 'a.csv', text)}#species")
    assert found.missing.tolist() == [1, 1, 0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_to_the_last_bit(number: float) -> None:
    """A number is the nearest float to what the text says."""
    _, values = columns.encode("here", "x", [repr(number)], str)
    assert values.tobytes() == np.float64(number).tobytes()


def test_names_with_a_mark_in_them(tmp_path: Path) -> None:
    """The label stands after the last #, so that a file's name may have one, too."""
    path = write(tmp_path / "seals #2.csv", SEALS)
    assert len(load(f"csv:{path}#species").x) == 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("species,mass\n", "contains no examples"),
        ("mass,length\n1,2\n", "no column 'species' (there: mass, length)"),
        ("species\na\nb\n", "no columns besides the label 'species'"),
        ("species,mass\na,1\nb\n", "line 3 has 1 cells, and the first line has 2"),
        ("species,mass\na,1\nb,2,3\n", "line 3 has 3 cells, and the first line has 2"),
        ('species,mass\n"a\nb",1\nc,2,3\n', "line 4 has 3 cells, and the first line has 2"),
        ("species,mass\na,1\na,2\n", "every label is a"),
        ("species,mass\na,1\n,2\nb,3\nNA,3\n", "2 examples have no label 'species', the first in"),
        ("species,mass,mass\na,1,2\nb,1,2\n", "two columns are named 'mass'"),
        ("species,mass\na,1\nb,?\na,3\n", "column 'mass' holds numbers, but '?' in line 3"),
        ("species,mass\na,inf\nb,2\na,3\n", "column 'mass' holds numbers, but 'inf' in line 2"),
        ("species;mass\na;1,5\nb;2\n", "column 'mass' holds numbers with a decimal comma, such"),
        ("species,mass\na,1e39\nb,2\n", "example 0 has the value 1e+39 (feature 'mass')"),
        ('species,mass\na,"1\nb,2\n', "line 3 is not valid CSV (unexpected end of data)"),
        ('species,mass\na,"1"2\nb,2\n', "line 2 is not valid CSV"),
        ("species,mass\nä,1\nb,2\n".encode("latin-1"), "is not UTF-8 text"),
        (gzip.compress(b"species,mass\na,1\nb,2\n", mtime=0)[:-9], "is truncated"),
    ],
)
def test_a_bad_csv_file_gets_one_line(tmp_path: Path, text: str | bytes, problem: str) -> None:
    """Each way in which a CSV file can be wrong is named, with the line and the column."""
    message = refusal(f"csv:{write(tmp_path / 'd.csv', text)}#species")
    assert problem in message
    assert str(tmp_path / "d.csv") in message


def test_too_many_categories_are_refused(tmp_path: Path) -> None:
    """A column in which every row has a text of its own is no category."""
    rows = "".join(f"{number % 2},name {number}\n" for number in range(1001))
    message = refusal(f"csv:{write(tmp_path / 'd.csv', 'y,who' + chr(10) + rows)}#y")
    assert "column 'who' holds 1001 different texts" in message


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_is_not_there_gets_one_line(tmp_path: Path, kind: str) -> None:
    """No label, no file, and a folder are told from one another."""
    assert "the label column is not named" in refusal(f"{kind}:{tmp_path / 'd'}")
    assert "the label column is not named" in refusal(f"{kind}:{tmp_path / 'd'}#")
    assert "no such file" in refusal(f"{kind}:{tmp_path / 'd'}#y")
    assert "is a folder, not a file" in refusal(f"{kind}:{tmp_path}#y")


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ({"x": [1.0, 2.0]}, "no column 'y' (there: x)"),
        ({"y": ["a", "b"]}, "no columns besides the label 'y'"),
        ({"x": [1.0], "y": ["a"]}, "every label is a"),
        ({"x": np.zeros(0), "y": np.zeros(0)}, "contains no examples"),
        ({"x": pd.date_range("2026-01-01", periods=2), "y": [0, 1]}, "column 'x' is of type"),
        ({"x": [[1], [2]], "y": [0, 1]}, "column 'x' is of type object"),
        ({"x": [1.0, 2.0, 3.0], "y": ["a", None, "b"]}, "1 examples have no label 'y', the first"),
        ({"x": [1.0, 2.0], "y": [0.5, 1]}, "example 0 has the label 0.5"),
        ({"x": [1.0, np.inf], "y": [0, 1]}, "example 1 has the value inf (feature 'x')"),
    ],
)
def test_a_bad_parquet_file_gets_one_line(tmp_path: Path, frame: Any, problem: str) -> None:
    """Each way in which a Parquet file can be wrong is named, with the column."""
    pd.DataFrame(frame).to_parquet(tmp_path / "d.parquet")
    assert problem in refusal(f"parquet:{tmp_path / 'd.parquet'}#y")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", b"not one"])
def test_no_parquet_file(tmp_path: Path, content: bytes) -> None:
    """What is no Parquet file is said to be none."""
    message = refusal(f"parquet:{write(tmp_path / 'd.parquet', content)}#y")
    assert "is not a Parquet file, or is damaged" in message

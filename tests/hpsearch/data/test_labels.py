"""Labels are any whole numbers or text; their names are kept, and change no digest needlessly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data import labels
from hpsearch.data.datasets import load
from hpsearch.errors import DataError
from tests.hpsearch.data.sources import LABELS, X, dataset, write_npz


@pytest.mark.parametrize(
    ("y", "names"),
    [
        ([5, 15, 25], ("5", "15", "25")),
        ([-1, 1, 0], ("-1", "0", "1")),
        ([10_000, 2, 2**63 - 1], ("2", "10000", str(2**63 - 1))),
        (np.array([3.0, -2.0, 10.0]), ("-2", "3", "10")),
        (["setosa", "ringed seal", "Ödland"], ("ringed seal", "setosa", "Ödland")),
        ([b"b", b"a", "ä".encode()], ("a", "b", "ä")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "1a"], ("10", "1a", "9")),
        (["01", "1", "0"], ("0", "01", "1")),
    ],
)
def test_labels_are_encoded_in_their_order(y: Any, names: tuple[str, ...]) -> None:
    """A class for each label that occurs: numbers in their order, also as text, or else text."""
    found = labels.encode("here", np.array(y))
    assert names == found.names
    assert [str(label.decode() if isinstance(label, bytes) else label) for label in y] == [
        names[code] if not isinstance(y, np.ndarray) else f"{float(names[code])}"
        for code in found.y
    ]


def test_gaps_make_no_classes(tmp_path: Path) -> None:
    """Labels 5, 15 and 25 are three classes, not twenty-six."""
    gaps = load(f"npz:{write_npz(tmp_path / 'd.npz', y=LABELS * 10 + 5)}")
    assert (gaps.classes, gaps.names) == (3, ("5", "15", "25"))
    assert LABELS.tolist() == gaps.y.tolist()


def test_text_from_a_file(tmp_path: Path) -> None:
    """An .npz file may hold its labels as text."""
    words = np.array(["cat", "dog", "eel"])[LABELS]
    found = load(f"npz:{write_npz(tmp_path / 'd.npz', y=words)}")
    assert (("cat", "dog", "eel"), LABELS.tolist()) == (found.names, found.y.tolist())


def test_whole_numbers_from_0_keep_their_digest() -> None:
    """The digest of labels 0 … classes - 1 is what it was before labels had names."""
    plain = dataset(X, LABELS)
    assert plain.digest[:10] == "1d487538d8"
    assert plain.digest == dataset(X, LABELS.astype(str)).digest


def test_other_names_are_other_data() -> None:
    """The digest tells 0, 1, 2 from 5, 15, 25, and cats from dogs."""
    words = np.array([["a", "b", "c"], ["a", "b", "d"], ["a", "b,c", "d"]])[:, LABELS]
    made = [dataset(X, y).digest for y in (LABELS, LABELS * 10 + 5, *words)]
    assert len(made) == len(set(made))


def test_too_many_classes_are_refused() -> None:
    """Ten thousand classes are enough for anyone; more are numbers to be predicted, or names."""
    with pytest.raises(DataError, match="here: 10001 different labels, more than 10000"):
        labels.encode("here", np.arange(10_001))
    assert len(labels.encode("here", np.arange(10_000)).names) == 10_000


def test_one_class_before_the_test_part_is_refused() -> None:
    """What is trained on needs two classes; another in the test part alone does not help."""
    with pytest.raises(DataError, match="every label is 1"):
        labels.encode("here", np.array([1, 1, 1, 2]), 3)


BEYOND = np.frombuffer(np.array([0x110000, 97], "<u4").tobytes(), "<U1")  # no such character
HALF = np.array(["\ud800", "a"])


@pytest.mark.parametrize("read", [labels.encode, labels.numbers])
@pytest.mark.parametrize("y", [np.array([b"\xff", b"1"]), BEYOND, HALF], ids=["S", "U", "half"])
def test_text_that_is_none_is_refused(read: Any, y: Any) -> None:
    """Bytes that are no UTF-8 and characters that do not exist are told, whatever the task is."""
    with pytest.raises(DataError, match="here: its labels are not UTF-8"):
        read("here", y)


def test_labels_of_few_bits() -> None:
    """Labels of float16 are compared with numbers that float16 does not reach."""
    y = np.array([3, 1, 3], np.float16)
    assert labels.encode("here", y).names == ("1", "3")
    with pytest.raises(DataError, match="has the label inf"):
        labels.encode("here", np.array([3, np.inf], np.float16))

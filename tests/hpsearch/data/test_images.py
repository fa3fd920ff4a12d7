"""A folder of pictures is read as a person sees it, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hpsearch.data.datasets import load
from tests.hpsearch.data.sources import IMAGES, RNG, refusal


def draw(path: Path, array: Any, mode: str | None = None) -> Path:
    """A picture of this array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(array, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def folder(path: Path) -> Path:
    """Three cats and two dogs of 2 by 3 pixels."""
    for number, name in enumerate(
        ["cat/a.png", "cat/b.png", "cat/c.png", "dog/a.png", "dog/b.bmp"]
    ):
        draw(path / name, IMAGES[number])
    return path


def test_a_folder_a_class(tmp_path: Path) -> None:
    """Pictures are read in the order of their names, and labelled by their folder's."""
    found = load(f"images:{folder(tmp_path)}")
    assert IMAGES[:5].reshape(5, 6).tolist() == found.x.tolist()
    assert (found.y.tolist(), found.names) == ([0, 0, 0, 1, 1], ("cat", "dog"))
    assert (found.shape, found.test_start) == ((3, 2), None)


def test_folders_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    """Folder 10 is the class after 9."""
    for number in (9, 10):
        draw(tmp_path / f"{number}" / "a.png", IMAGES[number])
    found = load(f"images:{tmp_path}")
    assert (found.names, found.y.tolist()) == (("9", "10"), [1, 0])


def test_a_test_folder_is_the_test_part(tmp_path: Path) -> None:
    """``train`` and ``test`` with a folder a class in each are the two parts."""
    folder(tmp_path / "train")
    draw(tmp_path / "test" / "dog" / "z.png", IMAGES[7])
    found = load(f"images:{tmp_path}")
    assert (found.test_start, found.y.tolist()) == (5, [0, 0, 0, 1, 1, 1])
    assert IMAGES[7].ravel().tolist() == found.x[5].tolist()


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_gray_pictures_have_one_number_a_pixel(tmp_path: Path, mode: str) -> None:
    """All ways to store gray are read alike; transparency is dropped."""
    for name in "ab":
        draw(tmp_path / name / "x.png", [[0, 255], [255, 0]], mode)
    found = load(f"images:{tmp_path}")
    assert (found.x[0].tolist(), found.shape) == ([0, 255, 255, 0], (2, 2))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_one_coloured_picture_makes_all_have_three_colours(tmp_path: Path, mode: str) -> None:
    """Gray ones then have the same number three times."""
    draw(tmp_path / "a" / "x.png", [[[255, 0, 0], [0, 0, 0]]], mode)
    draw(tmp_path / "b" / "x.png", [[7, 9]])
    found = load(f"images:{tmp_path}")
    assert found.x.tolist() == [[255, 0, 0, 0, 0, 0], [7, 7, 7, 9, 9, 9]]
    assert found.shape == (1, 2, 3)


def test_what_other_programs_leave_is_passed_over(tmp_path: Path) -> None:
    """Hidden files and a system's own are no pictures and no error."""
    plain = load(f"images:{folder(tmp_path)}").digest
    for name in (".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert plain == load(f"images:{tmp_path}").digest


def bad_folder(path: Path, case: str) -> Path:
    if case == "a file":
        path.write_text("")
    elif case == "empty":
        path.mkdir()
    elif case == "empty folders":
        (path / "cat").mkdir(parents=True)
    elif case == "loose":
        draw(path / "a.png", IMAGES[0])
    elif case == "one class":
        draw(path / "cat" / "a.png", IMAGES[0])
    elif case == "val":
        for name in ("train", "val", "test"):
            folder(path / name)
    elif case == "text":
        (folder(path) / "cat" / "notes.txt").write_text("hello")
    elif case == "sizes":
        draw(folder(path) / "dog" / "z.png", IMAGES[0].T)
    elif case == "16 bits":
        folder(path)
        Image.fromarray(np.zeros((3, 2), np.uint16)).save(path / "dog" / "z.png")
    elif case == "cut":
        file = draw(folder(path) / "dog" / "z.png", RNG.integers(0, 256, (50, 50)))
        file.write_bytes(file.read_bytes()[:500])
    elif case == "empty picture":
        (folder(path) / "dog" / "z.png").write_bytes(b"")
    elif case == "no test pictures":
        folder(path / "train")
        (path / "test").mkdir()
    return path


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("missing", "no such folder"),
        ("a file", "is not a folder"),
        ("empty", "is empty; put each picture in the folder of its class"),
        ("empty folders", "contains no pictures"),
        ("loose", "files beside the class folders (a.png)"),
        ("one class", "every label is cat"),
        ("val", "folders within its folders (test, train, val)"),
        ("text", "cat/notes.txt: cannot be read as a picture; remove it"),
        ("sizes", "dog/z.png: a.png and it differ in size (2x3 and 3x2 pixels)"),
        ("16 bits", "dog/z.png: has mode I;16, not 8 bits"),
        ("cut", "dog/z.png: is damaged; get a new copy of the file"),
        ("empty picture", "dog/z.png: cannot be read as a picture"),
        ("no test pictures", "test: contains no pictures"),
    ],
)
def test_a_bad_folder_gets_one_line(tmp_path: Path, case: str, problem: str) -> None:
    """Each way in which a folder of pictures can be wrong is named, with the file."""
    assert problem in refusal(f"images:{bad_folder(tmp_path / 'd', case)}")

"""What do the pictures of a folder hold? A folder of them for each class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data.files import Array, bad, check_size, listed, opened, reading

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
GRAY = ("1", "L", "LA")
COLOURED = ("P", "RGB", "RGBA", "CMYK", "YCbCr")
LITTER = ("Thumbs.db", "desktop.ini")
"""What other programs leave in folders."""


def read(folder: Path) -> tuple[Array, Array, int | None]:
    """Images (n, rows, columns[, 3]) of bytes, labels (n,), and the first row of the test part.

    A folder's name is its pictures' label. Where there are two folders, ``train`` and ``test``,
    with such folders in them, the latter is the test part. Pictures are gray where all are, or
    else have three colours; transparency is dropped. Hidden files are passed over.

    Raises ``DataError`` for pictures that differ in size, and files that are no pictures.
    """
    with reading(folder):
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "no such folder"
            raise bad(folder, what, "images:FOLDER needs a folder with a folder for each class")
        inside = _entries(folder)
        loose = [path.name for path in inside if not path.is_dir()]
        if loose or not inside:
            problem = f"files beside the class folders ({listed(loose)})" if loose else "is empty"
            raise bad(folder, problem, "put each picture in the folder of its class")
        nested = any(path.is_dir() for inner in inside for path in _entries(inner))
        names = [path.name for path in inside]
        if nested and names != ["test", "train"]:
            problem = f"folders within its folders ({listed(names)})"
            remedy = "use one folder per class, or train and test with one folder per class in each"
            raise bad(folder, problem, remedy)
        parts = [folder / "train", folder / "test"] if nested else [folder]
        files = [[f for inner in _entries(part) for f in _pictures(inner)] for part in parts]
    empty = [part for part, found in zip(parts, files, strict=True) if not found]
    if empty:
        raise bad(empty[0], "contains no pictures", "put each picture in the folder of its class")
    paths = [path for found in files for path in found]
    y = np.array([path.parent.name for path in paths], np.str_)
    return _stacked(paths), y, len(files[0]) if nested else None


def _entries(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name not in LITTER
    )


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise bad(folder, "is not a folder", "put each picture in the folder of its class")
    return _entries(folder)


def _stacked(paths: list[Path]) -> Array:
    first = picture(paths[0])
    check_size(paths[0].parents[1], first.size * len(paths))
    arrays = [first]
    for path in paths[1:]:
        array = picture(path)
        if array.shape[:2] != first.shape[:2]:
            sizes = " and ".join(f"{a.shape[1]}x{a.shape[0]}" for a in (first, array))
            problem = f"{paths[0].name} and it differ in size ({sizes} pixels)"
            raise bad(path, problem, "resize all pictures to the same size")
        arrays.append(array)
    if any(array.ndim == 3 for array in arrays):
        arrays = [a if a.ndim == 3 else np.repeat(a[..., None], 3, axis=2) for a in arrays]
    return np.stack(arrays)


def picture(path: Path) -> Array:
    """(rows, columns), or (rows, columns, 3) of a coloured picture."""
    from PIL import Image, UnidentifiedImageError

    with reading(path), opened(path) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is looked at here
        try:
            image: Any = Image.open(stream, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise bad(path, "cannot be read as a picture", "remove it") from error
        except Image.DecompressionBombError as error:
            raise bad(path, "is too large", "make it smaller") from error
        check_size(path, image.width * image.height * 3)
        if image.mode not in GRAY + COLOURED:
            problem = f"has mode {image.mode}, not 8 bits per color"
            raise bad(path, problem, "save it with 8 bits per color")
        try:
            return np.asarray(image.convert("L" if image.mode in GRAY else "RGB"), np.uint8)
        except (SyntaxError, OSError) as error:  # what Pillow makes of a file that breaks off
            raise bad(path, "is damaged", "get a new copy of the file") from error

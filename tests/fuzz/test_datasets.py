"""Files of examples: npz, IDX, CSV and Parquet, whole, damaged, or made to do harm."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hpsearch.data.datasets import load
from hpsearch.data.describe import describe
from hpsearch.data.facts import facts
from hpsearch.data.splits import SCALINGS, split
from hpsearch.report import views
from tests.fuzz.bounds import answer, examples

TASKS = st.sampled_from(["classification", "regression"])
DTYPES = st.one_of(
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(),
    arrays.floating_dtypes(endianness="?"),
    arrays.unicode_string_dtypes(max_len=4),
    arrays.byte_string_dtypes(max_len=4),
    arrays.boolean_dtypes(),
    arrays.complex_number_dtypes(),
    arrays.datetime64_dtypes(),
)
EDITS = st.lists(
    st.tuples(st.integers(0), st.integers(0, 9), st.binary(max_size=6)), min_size=0, max_size=3
)


def edited(whole: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """A file with some of its bytes replaced."""
    for at, length, instead in edits:
        at %= len(whole) + 1
        whole = whole[:at] + instead + whole[at + length :]
    return whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files are."""
    return tmp_path_factory.mktemp("data")


def use(spec: str, task: str, draw: Callable[..., Any]) -> None:
    """Read a dataset, tell what is in it, and part it, as a study would."""
    dataset = answer(lambda: load(spec, task=task))
    if dataset is None:
        return
    told = answer(lambda: views.dumps(asdict(describe(dataset))))
    json.loads(str(told), parse_constant=lambda said: pytest.fail(f"{said} is no JSON"))
    options: dict[str, Any] = {
        "train": draw(st.integers(1, 9)),
        "validation": draw(st.integers(1, 3) | st.floats(0.1, 0.9)),
        "seed": draw(st.integers(0, 3)),
        "scaling": draw(st.sampled_from([None, *SCALINGS])),
        "duplicates": draw(st.sampled_from([None, "together"])),
        "missing": draw(st.sampled_from([None, "mean"])),
    }
    splits = answer(lambda: split(dataset, **options))
    if splits is not None:
        assert np.isfinite(splits.train.x).all()
        assert answer(lambda: facts(dataset, splits)) is not None


@examples(100)
@given(data=st.data(), task=TASKS)
def test_any_npz(folder: Path, data: st.DataObject, task: str) -> None:
    """Arrays of any kind and shape, in an archive that may be damaged."""
    shape = data.draw(arrays.array_shapes(max_dims=3, max_side=12, min_side=0))
    rows = shape[0] if data.draw(st.integers(0, 5)) else data.draw(st.integers(0, 12))
    memory = io.BytesIO()
    save = np.savez_compressed if data.draw(st.booleans()) else np.savez
    save(
        memory,
        x=data.draw(arrays.arrays(data.draw(DTYPES), shape)),
        y=data.draw(arrays.arrays(data.draw(DTYPES), (rows,))),
    )
    file = folder / "fuzz.npz"
    file.write_bytes(edited(memory.getvalue(), data.draw(EDITS)))
    use(f"npz:{file}", task, data.draw)


@examples(100)
@given(data=st.data())
def test_any_array_in_an_npz(folder: Path, data: st.DataObject) -> None:
    """A sound archive of arrays whose headers somebody has written by hand."""
    file = folder / "fuzz.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        texts = np.array(["a", "b", "ü", "b"])
        for name, array in (("x.npy", np.arange(4.0)), ("y.npy", texts)):
            memory = io.BytesIO()
            np.lib.format.write_array(memory, array, version=(2, 0))
            out.writestr(name, edited(memory.getvalue(), data.draw(EDITS)))
    use(f"npz:{file}", data.draw(TASKS), data.draw)


@examples(120)
@given(data=st.data(), task=TASKS)
def test_any_idx(folder: Path, data: st.DataObject, task: str) -> None:
    """Headers that say what is there, or something else."""
    for name, dims in (("images-idx3", (3, 2, 4, 1)), ("labels-idx1", (1, 2))):
        ndim = dims[0] if data.draw(st.integers(0, 5)) else data.draw(st.sampled_from(dims))
        kind, size = data.draw(st.sampled_from([(8, 1), (9, 1), (11, 2), (13, 4), (14, 8), (7, 1)]))
        sizes = [6, *data.draw(st.lists(st.integers(1, 3), min_size=ndim - 1, max_size=ndim - 1))]
        length = size * int(np.prod(sizes))
        body = data.draw(st.binary(min_size=length, max_size=length))
        whole = struct.pack(f">BBBB{ndim}I", 0, 0, kind, ndim, *sizes) + body
        if data.draw(st.booleans()):
            whole = gzip.compress(whole, mtime=0)
        (folder / f"train-{name}-ubyte").write_bytes(edited(whole, data.draw(EDITS)))
    use(f"idx:{folder}", task, data.draw)


CELLS = st.one_of(
    st.integers(0, 3).map(str),
    st.floats().map(str),
    st.sampled_from(["", "NA", "nan", "1,5", '"', '""', "a", "b", "1e999", "-1e-999", "１"]),
    st.text(max_size=4),
)


@examples(150)
@given(data=st.data(), task=TASKS)
def test_any_csv(folder: Path, data: st.DataObject, task: str) -> None:
    """Rows of any cells, under any names."""
    width = data.draw(st.integers(1, 4))
    mark = data.draw(st.sampled_from(",;\t|"))
    columns = [
        data.draw(st.sampled_from([st.integers(0, 9).map(str), CELLS])) for _ in range(width)
    ]
    rows = data.draw(st.lists(st.tuples(*columns), max_size=12))
    head = data.draw(st.lists(st.sampled_from("abcde") | CELLS, min_size=width, max_size=width))
    text = "\n".join(mark.join(row) for row in [head, *rows])
    whole = edited(text.encode("utf-8", "surrogatepass"), data.draw(EDITS))
    file = folder / "fuzz.csv"
    file.write_bytes(gzip.compress(whole, mtime=0) if data.draw(st.booleans()) else whole)
    label = data.draw(st.sampled_from(head) | st.text(max_size=3))
    use(f"csv:{file}#{label}", task, data.draw)


@examples(20)
@given(data=st.data(), task=TASKS)
def test_any_parquet(folder: Path, data: st.DataObject, task: str) -> None:
    """Columns of any type, in a file that may be damaged."""
    import pandas

    rows = data.draw(st.integers(0, 8))
    names = data.draw(st.lists(st.text(max_size=2), min_size=1, max_size=3, unique=True))
    columns = {name: data.draw(arrays.arrays(data.draw(DTYPES), (rows,))) for name in names}
    memory = io.BytesIO()
    try:
        frame = pandas.DataFrame({name: pandas.Series(list(of)) for name, of in columns.items()})
        frame.to_parquet(memory)
    except Exception:  # pandas or pyarrow has no such column
        return
    file = folder / "fuzz.parquet"
    file.write_bytes(edited(memory.getvalue(), data.draw(EDITS)))
    label = data.draw(st.sampled_from(names))
    use(f"parquet:{file}#{label}", task, data.draw)


@examples(100)
@given(
    spec=st.builds(
        lambda kind, rest: kind + rest,
        st.sampled_from(["npz:", "idx:", "csv:", "parquet:", "images:", "digits", ""]),
        st.text(max_size=8),
    )
)
def test_any_name(tmp_path_factory: pytest.TempPathFactory, spec: str) -> None:
    """A name of nothing is told as that."""
    if "/" not in spec and "~" not in spec and spec.partition(":")[2] not in ("", ".", ".."):
        answer(lambda: load(spec))

"""Outcomes are kept as few bytes, and come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.ledger.records import pack, unpack


@given(st.lists(st.booleans(), max_size=40))
def test_right_or_wrong(right: list[bool]) -> None:
    """An example that is right or wrong takes a bit."""
    outcomes = np.array(right, dtype=np.bool_)
    data = pack(outcomes)
    assert right == unpack(data).tolist()
    assert 5 + (len(right) + 7) // 8 == len(data)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=20))
def test_losses(losses: list[float]) -> None:
    """A loss is a float32, bit for bit."""
    outcomes = np.array(losses, dtype=np.float32)
    found = unpack(pack(outcomes))
    assert np.float32 == found.dtype
    assert outcomes.tobytes() == found.tobytes()


@given(st.binary(max_size=30))
def test_other_bytes_are_refused(data: bytes) -> None:
    """Whatever the bytes, they are outcomes or a ValueError."""
    try:
        found = unpack(data)
    except ValueError:
        return
    assert len(pack(found)) == len(data)


@pytest.mark.parametrize("data", [b"", b"b", b"x\x01\0\0\0\0", b"f\x02\0\0\0\0\0\0\0"])
def test_torn_bytes(data: bytes) -> None:
    """Torn bytes, or those of an unknown kind, are refused."""
    with pytest.raises(ValueError, match="no outcomes"):
        unpack(data)

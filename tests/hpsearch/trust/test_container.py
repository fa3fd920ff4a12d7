"""An archive's file is a zip file that any tool opens, and every byte of it is answered for."""

from __future__ import annotations

import io
import zipfile

import pytest

from hpsearch.trust import container

MEMBERS = {"a.json": b"{}", "empty": b"", "z.bin": bytes(range(256))}


def test_any_tool_reads_it() -> None:
    """Members in their order, stored as they are, as ordinary files of no day in particular."""
    with zipfile.ZipFile(io.BytesIO(container.write(MEMBERS))) as file:
        assert file.testzip() is None
        assert {one.filename: file.read(one) for one in file.infolist()} == MEMBERS
        for one in file.infolist():
            assert (one.compress_type, one.flag_bits) == (zipfile.ZIP_STORED, 0)
            assert (one.date_time, one.external_attr >> 16) == ((1980, 1, 1, 0, 0, 0), 0o100644)
            assert (one.create_system, one.create_version, one.extract_version) == (3, 20, 20)


def test_what_is_written_is_read() -> None:
    """The same members, whichever of those that are known are there."""
    data = container.write(MEMBERS)
    assert container.read(data, list(MEMBERS)) == (MEMBERS, None)
    assert container.read(data, ["a.json", "another", "empty", "z.bin"]) == (MEMBERS, None)
    assert container.read(container.write({}), list(MEMBERS)) == ({}, None)


@pytest.mark.parametrize("names", [["a.json", "z.bin"], ["empty", "a.json", "z.bin"]])
def test_a_member_in_another_place_is_none(names: list[str]) -> None:
    """One that is not known, or that comes out of order, ends the reading there."""
    found, wrong = container.read(container.write(MEMBERS), names)
    assert found.keys() == {"a.json"}
    assert str(wrong).startswith("the header at byte ")


def test_every_byte_and_every_length_counts() -> None:
    """A byte that differs, that is missing or too much is told, and never an exception."""
    data = container.write(MEMBERS)
    for at in range(len(data)):
        for torn in (
            data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
            data[:at],
            data[:at] + b"\xff" + data[at:],
        ):
            found, wrong = container.read(torn, list(MEMBERS))
            assert wrong is not None or found != MEMBERS


def test_a_member_longer_than_the_file() -> None:
    """Its header says more than there is: it is not there."""
    data = container.write({"a.json": b"12345"})
    whole = data[: data.index(b"12345") + 5]
    assert container.read(whole[:-1], ["a.json"]) == ({}, "the header at byte 0")
    assert container.read(whole, ["a.json"])[0] == {"a.json": b"12345"}


def test_an_archive_may_have_two_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no byte more; the headers have their share of it."""
    monkeypatch.setattr(container, "MOST", 2**16 + 10)
    assert container.write({"a": b"x" * 10})
    with pytest.raises(ValueError, match="larger than an archive may be"):
        container.write({"a": b"x" * 10, "b": b"x"})


def test_one_that_is_too_large_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """How large a stranger's file may be is asked before; reading it never ends in an error."""
    data = container.write({"a": b"x" * 10})
    monkeypatch.setattr(container, "MOST", 2**16 + 9)
    assert container.read(data, ["a"]) == ({"a": b"x" * 10}, None)

"""How do a few files become one archive, and how is a stranger's archive read?

A zip file whose members are stored as they are, so that any tool opens it and nothing in it can
unpack to more than its own size. It is written in one way only: the same members give the same
bytes. Reading takes members by their known names, in their order, and compares the whole file with
what writing them gives: there is no byte in it that nothing answers for. Nothing is ever unpacked
to a path.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION, _DATE = 20, 0x21  # of zip files, and 1 January 1980: nothing of the day it was made
_FILE = 0o100644 << 16  # an ordinary file
MOST = 2**31
"""Bytes of an archive."""


def write(members: Mapping[str, bytes]) -> bytes:
    """One archive.

    Args:
        members: The content of each, by its name in ASCII.

    Raises:
        ValueError: If it would have more than ``MOST`` bytes.
    """
    if sum(map(len, members.values())) > MOST - 2**16:
        raise ValueError("it is larger than an archive may be")
    return _joined(members)


def _joined(members: Mapping[str, bytes]) -> bytes:
    bodies, directory, at = [], [], 0
    for name, content in members.items():
        said, size, crc = name.encode("ascii"), len(content), zlib.crc32(content)
        common = (0, 0, 0, _DATE, crc, size, size, len(said), 0)
        local = _LOCAL.pack(b"PK\3\4", _VERSION, *common) + said
        made = (3 << 8 | _VERSION, _VERSION)
        central = _CENTRAL.pack(b"PK\1\2", *made, *common, 0, 0, 0, _FILE, at) + said
        bodies += [local, content]
        directory.append(central)
        at += len(local) + size
    ending = b"".join(directory)
    number = len(directory)
    end = _END.pack(b"PK\5\6", 0, 0, number, number, len(ending), at, 0)
    return b"".join([*bodies, ending, end])


def read(data: bytes, names: Sequence[str]) -> tuple[dict[str, bytes], str | None]:
    """The members of an archive that are known, by name, and what is wrong with it.

    Args:
        data: All of the file.
        names: The members that there may be, in their order.

    Returns:
        The members that were found, and None if the file is exactly what ``write`` makes of them.
    """
    members: dict[str, bytes] = {}
    left, at = list(names), 0
    while data[at : at + 4] == b"PK\3\4" and len(data) - at >= _LOCAL.size:
        fields = _LOCAL.unpack_from(data, at)
        size, length = fields[8], fields[9]
        start = at + _LOCAL.size + length
        name = data[at + _LOCAL.size : start].decode("ascii", "replace")
        if name not in left or start + size > len(data):
            return members, f"the header at byte {at}"
        members[name] = data[start : start + size]
        left = left[left.index(name) + 1 :]
        at = start + size
    return members, None if _joined(members) == data else "the archive's headers or its directory"

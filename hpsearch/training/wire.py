"""How do a worker and the process of its function speak? JSON with a length before it."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any


def send(channel: socket.socket, message: Any, *blobs: bytes | memoryview) -> None:
    """Send a JSON document, and bytes after it whose lengths it says."""
    data = json.dumps(message).encode()
    channel.sendall(struct.pack("<q", len(data)) + data)
    for blob in blobs:
        channel.sendall(blob)


def receive(channel: socket.socket) -> Any:
    """The next document.

    Raises:
        EOFError: If there is none, since the other end is gone.
    """
    (length,) = struct.unpack("<q", read(channel, 8))
    return json.loads(read(channel, length))


def read(channel: socket.socket, length: int) -> bytes:
    """So many bytes.

    Raises:
        EOFError: If there are fewer.
    """
    data = bytearray(length)
    view, got = memoryview(data), 0
    while got < length:
        count = channel.recv_into(view[got:])
        if not count:
            raise EOFError
        got += count
    return bytes(data)

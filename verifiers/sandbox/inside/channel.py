"""Messages between the caller and the processes of a sandbox, with descriptors beside them.

A frame is a length (4 bytes, little endian) and so many bytes of JSON. Frames that a program sends are claims: nothing
is believed but that this program wrote them. Orders go the other way, from the caller inwards. Their bodies are written
by `marshal`, which is cheaper, and which may only read what a trusted process wrote.
"""

from __future__ import annotations

import array
import json
import marshal
import os
import struct
from _socket import CMSG_SPACE, SCM_RIGHTS, SOL_SOCKET, socket  # `socket` loads much that forks copy
from collections.abc import Iterator
from typing import Any

_LENGTH = struct.Struct("<I")
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_MARSHAL_VERSION = 2
"""Read alike by every Python 3. Later versions would make equal objects of a message one object."""


class FrameTooLarge(ValueError):
    """More bytes were announced than the reader takes."""


class ClosedChannel(EOFError):
    """The other side is gone."""


def frame_of(message: Any) -> bytes:
    return framed(_ENCODER.encode(message).encode())


def framed(body: bytes) -> bytes:
    """A frame of what is JSON already."""
    return _LENGTH.pack(len(body)) + body


def order_of(message: Any) -> bytes:
    """Raises ValueError for what `marshal` does not know."""
    body = marshal.dumps(message, _MARSHAL_VERSION)
    return _LENGTH.pack(len(body)) + body


def send(channel: socket, message: Any) -> None:
    channel.sendall(frame_of(message))


def send_order(channel: socket, message: Any, descriptors: tuple[int, ...] = ()) -> None:
    data = order_of(message)
    if descriptors:
        ancillary = [(SOL_SOCKET, SCM_RIGHTS, array.array("i", descriptors))]
        sent = channel.sendmsg([data], ancillary)
        data = data[sent:]
    channel.sendall(data)


def receive(channel: socket, limit: int) -> Any:
    """The next frame. Blocks. Raises ClosedChannel, FrameTooLarge, ValueError."""
    return json.loads(_body(channel, limit, 0, []))


def receive_order(channel: socket, limit: int, descriptors: int = 0) -> tuple[Any, list[int]]:
    """The next order and the descriptors that came with it. Blocks. Only for the inner side: what a program writes is
    never read so. Raises ClosedChannel, FrameTooLarge.
    """
    taken: list[int] = []
    return marshal.loads(_body(channel, limit, descriptors, taken)), taken


def _body(channel: socket, limit: int, descriptors: int, taken: list[int]) -> bytearray:
    data = b""
    while len(data) < _LENGTH.size:
        data += _part(channel, _LENGTH.size - len(data), descriptors, taken)
    (length,) = _LENGTH.unpack(data)
    if length > limit:
        raise FrameTooLarge(f"{length} bytes")
    body = bytearray()
    while len(body) < length:
        body += _part(channel, min(length - len(body), 1 << 16), descriptors, taken)
    return body


def _part(channel: socket, size: int, descriptors: int, taken: list[int]) -> bytes:
    if not descriptors:
        data = channel.recv(size)
    else:
        data, ancillary, _, _ = channel.recvmsg(size, CMSG_SPACE(4 * descriptors))
        for level, kind, body in ancillary:
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(body[: len(body) - len(body) % numbers.itemsize])
                taken += numbers
    if not data:
        for number in taken:
            os.close(number)
        raise ClosedChannel
    return data


class FrameReader:
    """Reads frames from a channel that may not block, and of which nobody knows what comes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies of the frames that are complete now. Raises FrameTooLarge, after those that are before it."""
        self._data += data
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if length > self._limit:
                raise FrameTooLarge(f"{length} bytes")
            if len(self._data) < _LENGTH.size + length:
                break
            body = bytes(self._data[_LENGTH.size : _LENGTH.size + length])
            del self._data[: _LENGTH.size + length]
            yield body

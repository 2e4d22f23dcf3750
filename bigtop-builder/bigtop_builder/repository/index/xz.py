# SPDX-License-Identifier: Apache-2.0
"""One .xz stream of many blocks, each compressed for itself (The .xz File Format 1.2.0, tukaani.org/xz).

apt reads the first stream of a file only, so blocks that were kept cannot just follow one another as gzip
members do: they are laid into one stream, which gets an index and footer of its own.
"""

import lzma
import zlib
from collections.abc import Iterator

from bigtop_builder.expand import BrokenStreamError

CHECK = lzma.CHECK_CRC64
"""The integrity check of every block; a stream has one kind for all (2.1.1.2)."""
LEAST, MOST = 1 << 12, 1 << 20
"""Bytes of a dictionary: a block needs none larger than itself, and clearing a large one takes the most time."""
FLAGS = bytes((0, CHECK))
EDGE = 12
"""Bytes of the stream header and of the stream footer (2.1.1, 2.1.2)."""


def _sealed(data: bytes) -> bytes:
    """Its CRC32, as the format stores it."""
    return zlib.crc32(data).to_bytes(4, "little")


HEADER = b"\xfd7zXZ\0" + FLAGS + _sealed(FLAGS)


def compress(text: bytes) -> bytes:
    """A stream with one block; with none if the text is empty. The same text gives the same bytes."""
    dictionary = min(max(1 << (len(text) - 1).bit_length(), LEAST), MOST) if text else LEAST
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": dictionary}]
    return lzma.compress(text, format=lzma.FORMAT_XZ, check=CHECK, filters=filters)


def decompress(stream: bytes, *, limit: int) -> bytes:
    """What one whole stream of this module's kind holds.

    Args:
        stream: The stream, and nothing after it.
        limit: Bytes that it may hold.

    Raises:
        BrokenStreamError: It is damaged, cut off, followed by something, holds more, or has another check.
    """
    engine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * MOST)
    try:
        text = engine.decompress(stream, limit + 1)
    except lzma.LZMAError as error:
        raise BrokenStreamError(str(error)) from error
    if not engine.eof or engine.unused_data or len(text) > limit or engine.check != CHECK:
        raise BrokenStreamError("not one whole stream of the size and check that is wanted")
    return text


class Joined:
    """A stream that is being joined of streams that `decompress` takes. What it answers, in order, is the file."""

    def __init__(self) -> None:
        self._records: list[bytes] = []

    def begin(self) -> bytes:
        """The stream header."""
        return HEADER

    def add(self, stream: bytes) -> bytes:
        """The blocks of a stream."""
        index = EDGE + (int.from_bytes(stream[-8:-4], "little") + 1) * 4  # Backward Size (2.1.2.2)
        numbers = _numbers(stream[-index + 1 : -EDGE])
        for _ in range(next(numbers)):
            self._records.append(_written(next(numbers)) + _written(next(numbers)))
        return stream[EDGE:-index]

    def end(self) -> bytes:
        """Index (4) and stream footer (2.1.2)."""
        index = b"\0" + _written(len(self._records)) + b"".join(self._records)
        index += bytes(-len(index) % 4)
        tail = (len(index) // 4).to_bytes(4, "little") + FLAGS
        return index + _sealed(index) + _sealed(tail) + tail + b"YZ"


def _written(number: int) -> bytes:
    """A number in 7 bits a byte, the lowest first; the high bit says that more follow (1.2)."""
    out = bytearray()
    while number >= 1 << 7:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _numbers(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 1 << 7:
            yield number
            number = shift = 0

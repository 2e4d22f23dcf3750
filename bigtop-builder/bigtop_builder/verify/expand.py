# SPDX-License-Identifier: Apache-2.0
"""Compressed members of a .deb as bounded streams, read to the very end that the compressor wrote."""

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol

from zstandard import ZstdDecompressor, ZstdError

CHUNK = 1 << 18
XZ_MEMORY = 128 << 20
"""Bytes that xz may ask for: a dictionary of 64 MiB (xz -9) and the decoder."""
ZSTD_WINDOW = 1 << 27
ZSTD_FEED = 128
"""Bytes fed to zstd at once. It has no limit on output, and four bytes may stand for a block of 128 KiB: so
one feed gives at most 4 MiB (RFC 8878, 3.1.1.2)."""


class BrokenStreamError(Exception):
    """The bytes are not what the format says; the text says where."""


class Source(Protocol):
    """Anything that hands out its bytes in order."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Engine(Protocol):
    """A decompressor of one stream."""

    @property
    def eof(self) -> bool:
        """The end of the stream, checksum included, was seen."""

    @property
    def needs_input(self) -> bool:
        """There is nothing more to be had without more input."""

    @property
    def unused_data(self) -> bytes:
        """Input after the end of the stream."""

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        """Output for this input and for what was left over from before."""


class Window:
    """The next `size` bytes of a file, and not one more."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end of the window.

        Raises:
            BrokenStreamError: The file ends within the window.
        """
        wanted = min(size, self._left)
        data = self._file.read(wanted)
        if len(data) < wanted:
            raise BrokenStreamError(f"cut off: {self._left - len(data)} bytes are missing")
        self._left -= wanted
        return data


class Tally:
    """A stream made of chunks that counts its bytes and the zeros at its end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()
        self.total = 0
        self.zeros = 0

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes; fewer only at the end."""
        while len(self._buffer) < size and (chunk := next(self._chunks, b"")):
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        kept = len(taken.rstrip(b"\0"))
        self.zeros = len(taken) - kept if kept else self.zeros + len(taken)
        self.total += len(taken)
        return taken

    def drain(self) -> None:
        """Read to the end."""
        while self.read(CHUNK):
            pass


def expand(source: Source, suffix: str) -> Iterator[bytes]:
    """Plain bytes of a compressed stream, in chunks.

    Args:
        source: The compressed bytes.
        suffix: How they are compressed: ``, `.gz`, `.xz` or `.zst` (deb(5)).

    Raises:
        BrokenStreamError: The stream is damaged, ends early, goes on after its end, or is none of these.
    """
    if not suffix:
        yield from iter(lambda: source.read(CHUNK), b"")
        return
    if suffix not in ENGINES:
        raise BrokenStreamError(f"compression {suffix!r} is none of gz, xz, zst")
    new, feed = ENGINES[suffix]
    try:
        yield from _expand(source, new(), feed)
    except (zlib.error, lzma.LZMAError, ZstdError) as error:
        raise BrokenStreamError(f"{suffix[1:]} stream is damaged: {error}") from error


def _expand(source: Source, engine: Engine, feed: int) -> Iterator[bytes]:
    while not engine.eof:
        data = source.read(feed) if engine.needs_input else b""
        plain = engine.decompress(data, CHUNK)
        if plain:
            yield plain
        elif not data and not engine.eof:
            raise BrokenStreamError("compressed stream ends before its end mark")
    if engine.unused_data or source.read(1):
        raise BrokenStreamError("bytes follow the end of the compressed stream")


class _Gzip:
    """zlib's decompressor with the face of lzma's."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


class _Zstd:
    """zstd's decompressor with the face of lzma's; its output is bounded by what it is fed."""

    needs_input = True

    def __init__(self) -> None:
        self._engine = ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, /, max_length: int) -> bytes:  # noqa: ARG002  # zstd has no such limit
        return self._engine.decompress(data)


ENGINES: dict[str, tuple[Callable[[], Engine], int]] = {
    ".gz": (_Gzip, CHUNK),
    ".xz": (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY), CHUNK),
    ".zst": (_Zstd, ZSTD_FEED),
}

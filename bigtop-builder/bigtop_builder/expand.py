# SPDX-License-Identifier: Apache-2.0
"""Compressed members of a .deb as bounded streams, read to the very end that the compressor wrote."""

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

CHUNK = 1 << 18
XZ_MEMORY = 128 << 20
"""Bytes that xz may ask for: a dictionary of 64 MiB (xz -9) and the decoder."""
ZSTD_WINDOW = 1 << 27
ZSTD_FEED = 128
"""Bytes fed to zstd at once. It has no limit on output, and four bytes may stand for a block of 128 KiB: so
one feed gives at most 4 MiB (RFC 8878, 3.1.1.2)."""
FLOOR = 1 << 30
RATIO = 200
"""A member may unpack to FLOOR bytes or to RATIO times its own size, whichever is more. Packages of programs
and texts unpack to 3 to 20 times their size; gzip could reach 1,000 times, xz 7,000, zstd 30,000."""


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

    def __init__(self, file: BinaryIO, size: int) -> None:
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


def expand(source: Source, suffix: str, *, limit: int) -> Iterator[bytes]:
    """Plain bytes of a compressed stream, in chunks.

    Args:
        source: The compressed bytes.
        suffix: How they are compressed: ``, `.gz`, `.xz` or `.zst` (deb(5)).
        limit: Bytes that it may unpack to.

    Raises:
        BrokenStreamError: The stream is damaged, ends early, goes on after its end, unpacks to more than the
            limit, or is none of these.
    """
    left = limit
    for plain in _plain(source, suffix):
        left -= len(plain)
        if left < 0:
            raise BrokenStreamError(
                f"it unpacks to more than {limit >> 20} MiB: a bomb, or no package's content"
            )
        yield plain


def allowance(packed: int) -> int:
    """Bytes that a member of so many packed bytes may unpack to."""
    return max(FLOOR, RATIO * packed)


def _plain(source: Source, suffix: str) -> Iterator[bytes]:
    if not suffix:
        yield from iter(lambda: source.read(CHUNK), b"")
        return
    if suffix not in ENGINES:
        raise BrokenStreamError(f"compression {suffix!r} is none of gz, xz, zst")
    new, feed = ENGINES[suffix]
    try:
        yield from _expand(source, new(), feed)
    except (zlib.error, lzma.LZMAError) as error:
        raise BrokenStreamError(f"{suffix[1:]} stream is damaged: {error}") from error


def _expand(source: Source, engine: Engine, feed: int) -> Iterator[bytes]:
    while not engine.eof:
        hungry = engine.needs_input
        data = source.read(feed) if hungry else b""
        plain = engine.decompress(data, CHUNK)
        if plain:
            yield plain
        elif hungry and not data and not engine.eof:  # what it had left over may also give nothing
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
        import zstandard  # few packages need it, and it takes 26 ms to load

        self._error = zstandard.ZstdError
        self._engine = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, /, max_length: int) -> bytes:  # noqa: ARG002  # zstd has no such limit
        try:
            return self._engine.decompress(data)
        except self._error as error:
            raise BrokenStreamError(f"zst stream is damaged: {error}") from error


ENGINES: dict[str, tuple[Callable[[], Engine], int]] = {
    ".gz": (_Gzip, CHUNK),
    ".xz": (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY), CHUNK),
    ".zst": (_Zstd, ZSTD_FEED),
}

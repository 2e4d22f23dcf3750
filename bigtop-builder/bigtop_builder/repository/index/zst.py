# SPDX-License-Identifier: Apache-2.0
"""Zstandard frames, which may follow one another in a file (RFC 8878, 3): one for each block of an index.

zstandard takes 7 ms to load, which only a repository that has .zst pays.
"""

from bigtop_builder.expand import BrokenStreamError

LEVEL = 12
"""Of 1 to 22: beyond it blocks of this size get smaller by a hundredth, and take twice the time."""


def compress(text: bytes) -> bytes:
    """One frame, which says how long the text is and has its checksum."""
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(text)


def decompress(frame: bytes, *, limit: int) -> bytes:
    """What one whole frame of this module's kind holds.

    Args:
        frame: The frame, and nothing after it.
        limit: Bytes that it may hold.

    Raises:
        BrokenStreamError: It is damaged, cut off, followed by something, or holds more.
    """
    import zstandard

    try:
        said = zstandard.get_frame_parameters(frame).content_size
        engine = zstandard.ZstdDecompressor().decompressobj()
        text = engine.decompress(frame) if said <= limit else b""
    except zstandard.ZstdError as error:
        raise BrokenStreamError(str(error)) from error
    if not engine.eof or engine.unused_data or len(text) != said:
        raise BrokenStreamError("not one whole frame of the size that is wanted")
    return text

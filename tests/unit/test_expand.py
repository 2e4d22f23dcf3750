# SPDX-License-Identifier: Apache-2.0
"""Streams are read whatever pieces their bytes come in."""

import gzip
import lzma

import pytest

from bigtop_builder.expand import CHUNK, expand

PLAIN = bytes(2 * CHUNK)
PACKED = {".gz": gzip.compress(PLAIN), ".xz": lzma.compress(PLAIN, lzma.FORMAT_XZ)}


class Pieces:
    """A source that hands its bytes out in two pieces."""

    def __init__(self, data: bytes, cut: int) -> None:
        self._pieces = iter((data[:cut], data[cut:]))

    def read(self, _size: int, /) -> bytes:
        return next(self._pieces, b"")


@pytest.mark.parametrize("suffix", PACKED)
def test_where_a_piece_of_the_input_ends_makes_no_difference(suffix: str) -> None:
    packed = PACKED[suffix]
    for cut in range(1, len(packed)):
        assert b"".join(expand(Pieces(packed, cut), suffix, limit=len(PLAIN))) == PLAIN, cut

# SPDX-License-Identifier: Apache-2.0
"""Kept blocks joined into one .xz stream, read by Python's lzma and by xz itself."""

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.expand import BrokenStreamError
from bigtop_builder.repository.index import xz
from bigtop_builder.run import run


def join(texts: list[bytes]) -> bytes:
    joined = xz.Joined()
    return b"".join([joined.begin(), *(joined.add(xz.compress(text)) for text in texts), joined.end()])


@given(st.lists(st.binary(max_size=400) | st.integers(0, 40_000).map(bytes), max_size=12))
def test_any_texts_come_back_as_one_stream(texts: list[bytes]) -> None:
    assert xz.decompress(join(texts), limit=10**6) == b"".join(texts)


@given(st.lists(st.binary(max_size=200), max_size=5), st.lists(st.binary(max_size=200), max_size=5))
def test_joined_streams_can_be_joined_again(some: list[bytes], more: list[bytes]) -> None:
    joined = xz.Joined()
    whole = joined.begin() + joined.add(join(some)) + joined.add(join(more)) + joined.end()
    assert whole == join([*some, *more])


def test_xz_itself_finds_one_stream_of_many_blocks(tmp_path: Path) -> None:
    # 300 blocks: their number takes two bytes, and so do most sizes.
    texts = [f"Package: package{number}\n".encode() * (number + 1) for number in range(300)]
    file = tmp_path / "Packages.xz"
    file.write_bytes(join(texts))
    run(["xz", "--test", file])
    listed = run(["xz", "--robot", "--list", file]).text.splitlines()
    totals = next(line.split("\t") for line in listed if line.startswith("file"))
    assert totals[1:3] == ["1", "300"]
    assert int(totals[4]) == sum(map(len, texts))
    assert run(["xz", "--decompress", "--stdout", file]).stdout == b"".join(texts)


def test_the_same_text_gives_the_same_bytes_whatever_is_around_it() -> None:
    joined = xz.Joined()
    alone = xz.compress(b"zoo" * 1000)
    assert joined.add(alone) in join([b"aa", b"zoo" * 1000, b"zz"])


@pytest.mark.parametrize(
    "stream",
    [
        xz.compress(b"text")[:-1],
        xz.compress(b"text") + b"\0\0\0\0",
        xz.compress(b"text") * 2,
        xz.compress(b"longer text"),
        lzma.compress(b"text", check=lzma.CHECK_CRC32),
        b"text",
    ],
    ids=["cut off", "padded", "two streams", "more than expected", "another check", "none"],
)
def test_what_is_not_one_whole_stream_is_refused(stream: bytes) -> None:
    with pytest.raises(BrokenStreamError):
        xz.decompress(stream, limit=4)


def test_a_flipped_bit_is_found_wherever_it_is() -> None:
    whole = xz.compress(b"Package: zoo\n" * 9)
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 1
        with pytest.raises(BrokenStreamError):
            xz.decompress(bytes(broken), limit=1000)

# SPDX-License-Identifier: Apache-2.0
"""Texts of the indices: order, blocks, Release."""

from datetime import UTC, datetime
from functools import cmp_to_key
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.artifact import Deb
from bigtop_builder.errors import PublishError
from bigtop_builder.repository.index.blocks import block_text, grow, in_order, split
from bigtop_builder.repository.index.packages import Stanza, parse_stanzas, stanza_of
from bigtop_builder.repository.index.release import parse_release, release_date, release_text
from bigtop_builder.repository.layout import Block, IndexFile
from bigtop_builder.run import run
from bigtop_builder.schema import digest


def deb(name: str, version: str = "1", architecture: str = "all", **fields: str) -> Deb:
    control = {"Version": version, "Package": name, "Architecture": architecture, **fields}
    return Deb(path=Path("x.deb"), control=control, stanza="", size=7, sha256=digest(name, version))


def stanza(name: str, version: str = "1", architecture: str = "all") -> Stanza:
    return stanza_of(deb(name, version, architecture), f"pool/main/{name}_{version}.deb")


def test_a_stanza_says_where_the_package_is_and_reads_back() -> None:
    one = stanza_of(
        deb(
            "zookeeper",
            Description="coordination\n with a line\n .\n more",
            Filename="/etc/passwd",
            Sha1="beef",
        ),
        "pool/main/z/zookeeper/zookeeper_1_all.deb",
    )
    assert one.text.startswith("Package: zookeeper\nVersion: 1\n")
    assert "Description: coordination\n with a line\n .\n more\n" in one.text
    assert "Filename: pool/main/z/zookeeper/zookeeper_1_all.deb\nSize: 7\nSHA256: " in one.text
    assert "passwd" not in one.text
    assert "beef" not in one.text
    assert list(parse_stanzas(block_text([one, stanza("zz")]))) == [one, stanza("zz")]


def test_versions_sort_as_dpkg_compares_them() -> None:
    versions = ["1.0~rc1-1", "1.0-1", "1.0-1+bt3.5.0.2~deb12", "1.0-1+bt3.5.0.10~deb12", "1.0-10", "1:0.1"]

    def dpkg(left: str, right: str) -> int:
        return (
            -1 if run(["dpkg", "--compare-versions", left, "lt", right], check=False).returncode == 0 else 1
        )

    shuffled = versions[3:] + versions[2::-1]
    ordered = [one.version for one in in_order(stanza("p", version) for version in shuffled)]
    assert ordered == versions == sorted(versions, key=cmp_to_key(dpkg))


def test_names_come_before_versions_and_architectures() -> None:
    unordered = [stanza("b"), stanza("a", "2", "arm64"), stanza("a", "2", "amd64"), stanza("a", "1")]
    assert [one.key for one in in_order(unordered)] == [
        ("a", "1", "all"),
        ("a", "2", "amd64"),
        ("a", "2", "arm64"),
        ("b", "1", "all"),
    ]


def as_block(stanzas: list[Stanza]) -> Block:
    return Block(
        sha256=digest(block_text(stanzas)), first=stanzas[0].name, last=stanzas[-1].name, count=len(stanzas)
    )


def test_one_more_package_changes_one_block() -> None:
    blocks = split(in_order(stanza(f"package{number}") for number in range(3000)))
    assert 20 < len(blocks) < 100
    contents = {as_block(part).sha256: part for part in blocks}
    loaded: list[Block] = []

    def load(block: Block) -> list[Stanza]:
        loaded.append(block)
        return contents[block.sha256]

    grown = grow([as_block(part) for part in blocks], [stanza("package17x")], load)
    assert len(loaded) == 1
    assert sum(isinstance(part, list) for part in grown) == 1


@given(
    st.lists(st.integers(0, 400), max_size=60),
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["2", "2~"])), max_size=20, unique=True),
)
def test_growing_gives_the_blocks_that_cutting_anew_would(
    before: list[int], added: list[tuple[int, str]]
) -> None:
    old = in_order({stanza(f"p{number}") for number in before})
    new = [stanza(f"p{number}", version) for number, version in added]
    blocks = split(old)
    contents = {as_block(part).sha256: part for part in blocks}
    grown = grow([as_block(part) for part in blocks], new, lambda block: contents[block.sha256])
    parts = [part if isinstance(part, list) else contents[part.sha256] for part in grown]
    assert parts == split(in_order([*old, *new]))


def test_release_text_reads_back() -> None:
    entry = IndexFile(size=3, sha256="a" * 64, sha512="b" * 128)
    text = release_text(
        fields={"Origin": "Ours", "Description": ""},
        date=datetime(2026, 11, 3, 8, 5, 1, tzinfo=UTC),
        valid_until=datetime(2026, 12, 3, 8, 5, 1, tzinfo=UTC),
        files={"main/binary-amd64/Packages": entry},
    )
    assert text == (
        "Origin: Ours\nDate: Tue, 03 Nov 2026 08:05:01 UTC\nValid-Until: Thu, 03 Dec 2026 08:05:01 UTC\n"
        f"Acquire-By-Hash: yes\nSHA256:\n {'a' * 64} 3 main/binary-amd64/Packages\n"
        f"SHA512:\n {'b' * 128} 3 main/binary-amd64/Packages\n"
    )
    assert release_date(parse_release(text, source="x")) == datetime(2026, 11, 3, 8, 5, 1, tzinfo=UTC)


def test_a_file_without_date_is_no_release() -> None:
    with pytest.raises(PublishError, match="x/InRelease is no Release file"):
        parse_release("Origin: Ours\n", source="x/InRelease")

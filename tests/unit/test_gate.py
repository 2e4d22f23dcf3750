# SPDX-License-Identifier: Apache-2.0
"""What hosts would lose by a change, told from the indices alone."""

import random
from collections.abc import Iterable

import pytest

from bigtop_builder.errors import PublishError
from bigtop_builder.repository.gate import (
    Gate,
    Loss,
    Lowered,
    Vanished,
    between,
    growing,
    replacing,
)
from bigtop_builder.repository.index.blocks import begins_block, block_text, grow, in_order, shrink, split
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.layout import Block, Index, Snapshot


def package(name: str, version: str = "1", architecture: str = "all", more: str = "") -> Stanza:
    text = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{more}"
    return Stanza(
        name=name,
        version=version,
        architecture=architecture,
        filename=f"pool/{name}_{version}.deb",
        size=1,
        sha256="0" * 64,
        text=text,
    )


class Shelf:
    """Snapshots in memory, and how often a block was read."""

    def __init__(self) -> None:
        self.texts: dict[str, list[Stanza]] = {}
        self.read: list[str] = []

    def blocks(self, stanzas: Iterable[Stanza]) -> tuple[Block, ...]:
        return tuple(self.block(part) for part in split(in_order(stanzas)))

    def block(self, part: list[Stanza]) -> Block:
        sha256 = f"{hash(block_text(part)) & (1 << 256) - 1:064x}"
        self.texts[sha256] = part
        return Block(sha256=sha256, first=part[0].name, last=part[-1].name, count=len(part))

    def snapshot(self, *stanzas: Stanza, component: str = "main", arms: str = "amd64") -> Snapshot:
        return Snapshot(
            components={
                component: {
                    arm: Index(
                        blocks=self.blocks(one for one in stanzas if one.architecture in {arm, "all"}),
                        files={},
                    )
                    for arm in arms.split()
                }
            }
        )

    def load(self, block: Block) -> list[Stanza]:
        self.read.append(block.sha256)
        return self.texts[block.sha256]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_nothing_is_lost_where_packages_only_come_or_go_up(shelf: Shelf) -> None:
    before = shelf.snapshot(package("zoo", "1"), package("yak", "1"))
    after = shelf.snapshot(package("zoo", "2"), package("yak", "1"), package("emu"))
    assert between(before, after, shelf.load) == Loss()
    assert between(after, after, shelf.load) == Loss()


def test_what_counts_is_the_newest_version_for_an_architecture(shelf: Shelf) -> None:
    before = shelf.snapshot(
        package("zoo", "1:1"), package("zoo", "2"), package("zoo", "9", "arm64"), arms="amd64 arm64"
    )
    after = shelf.snapshot(package("zoo", "3"), package("zoo", "9", "arm64"), arms="amd64 arm64")
    assert between(before, after, shelf.load).lowered == (
        Lowered(name="zoo", architecture="amd64", before="1:1", after="3"),
        Lowered(name="zoo", architecture="arm64", before="1:1", after="9"),
    )
    tilde = shelf.snapshot(package("zoo", "1:1~rc1"))
    assert between(before, tilde, shelf.load).lowered[0].after == "1:1~rc1"
    beside = shelf.snapshot(
        package("zoo", "1:1"), package("zoo", "1"), package("zoo", "9", "arm64"), arms="amd64 arm64"
    )
    assert between(before, beside, shelf.load) == Loss()


def test_a_package_that_is_gone_for_one_architecture_alone_has_vanished_there(shelf: Shelf) -> None:
    arms = "amd64 arm64"
    before = shelf.snapshot(package("bin", "1", "amd64"), package("bin", "1", "arm64"), arms=arms)
    after = shelf.snapshot(package("bin", "1", "amd64"), arms=arms)
    assert between(before, after, shelf.load).vanished == (
        Vanished(name="bin", version="1", architectures=("arm64",)),
    )
    everywhere = shelf.snapshot(package("bin", "2"), arms=arms)
    assert between(before, everywhere, shelf.load) == Loss()


def test_a_package_that_moves_to_another_component_has_not_vanished(shelf: Shelf) -> None:
    before = shelf.snapshot(package("zoo"))
    after = shelf.snapshot(package("zoo"), component="contrib")
    assert between(before, after, shelf.load) == Loss()
    both = Snapshot(components={**before.components, **after.components})
    assert between(both, after, shelf.load) == Loss()
    assert replacing(both, "main", [package("emu")], shelf.load) == Loss()
    assert [one.name for one in replacing(before, "main", [package("emu")], shelf.load).vanished] == ["zoo"]


@pytest.mark.parametrize(
    ("come", "successors"),
    [
        ("Provides: zoo (= 2), other\n", ("new",)),
        ("Replaces: other,\n zoo (<< 2)\n", ("new",)),
        ("Source: park (1.0)\n", ("new",)),
        ("Source: else\n", ()),
        ("Depends: zoo\n", ()),
    ],
)
def test_a_rename_is_guessed_from_what_replaces_provides_or_has_the_same_source(
    shelf: Shelf, come: str, successors: tuple[str, ...]
) -> None:
    before = shelf.snapshot(package("zoo", more="Source: park\n"), package("gnu", more="Source: park\n"))
    after = shelf.snapshot(package("new", more=come), package("gnu", "2", more="Source: park\n"))
    (vanished,) = between(before, after, shelf.load).vanished
    assert vanished.successors == successors


def test_comparing_costs_the_blocks_that_differ(shelf: Shelf) -> None:
    names = [f"package{number}" for number in range(3000)]
    before = shelf.snapshot(*map(package, names))
    after = shelf.snapshot(*map(package, names[1:]))
    assert [one.name for one in between(before, after, shelf.load).vanished] == ["package0"]
    assert 0 < len(shelf.read) <= 3 < len(before.components["main"]["amd64"].blocks)


def test_comparing_blocks_says_what_comparing_all_packages_does(shelf: Shelf) -> None:
    pick = random.Random(7)  # noqa: S311  # a choice of test cases
    names = [f"p{number}" for number in range(300)]

    def some() -> list[Stanza]:
        chosen = pick.sample(names, 290)
        return [package(name, str(pick.choice((1, 1, 1, 1, 1, 1, 1, 1, 1, 2)))) for name in chosen]

    for _ in range(5):
        old, new = ({one.name: one.version for one in some()} for _ in range(2))
        before, after = (shelf.snapshot(*(package(*one) for one in side.items())) for side in (old, new))
        loss = between(before, after, shelf.load)
        assert {one.name for one in loss.vanished} == old.keys() - new.keys()
        assert {one.name for one in loss.lowered} == {name for name in old if new.get(name, "9") < old[name]}


def test_an_older_version_that_comes_alone_goes_down_and_one_beside_a_newer_does_not(shelf: Shelf) -> None:
    before = shelf.snapshot(package("zoo", "2"), package("zoo", "0"))
    assert growing(before, [package("zoo", "1")], shelf.load).lowered == (
        Lowered(name="zoo", architecture="amd64", before="2", after="1"),
    )
    assert growing(before, [package("zoo", "1"), package("zoo", "3")], shelf.load) == Loss()
    assert growing(before, [package("zoo", "1"), package("zoo", "2")], shelf.load) == Loss()
    assert growing(before, [package("zoo", "0"), package("emu", "0")], shelf.load) == Loss()
    assert growing(Snapshot(components={}), [package("zoo", "1")], shelf.load) == Loss()


def test_what_was_expected_and_did_not_come_has_vanished_but_stays(shelf: Shelf) -> None:
    before = shelf.snapshot(package("old", more="Source: park\n"), package("zoo", more="Source: park\n"))
    come = [package("new", "2", more="Source: park\n"), package("zoo", "2", more="Source: park\n")]
    assert growing(before, come, shelf.load, expected={"zoo", "gone-long-ago"}) == Loss()
    loss = growing(before, come, shelf.load, expected={"zoo", "old"})
    assert loss.vanished == (
        Vanished(name="old", version="1", architectures=("amd64",), successors=("new",)),
    )
    with pytest.raises(PublishError, match="old did not come, but would stay in suite s"):
        Gate().judge("s", loss)


def test_what_is_lost_is_refused_or_let_through_and_told() -> None:
    loss = Loss(
        vanished=(Vanished(name="zoo", version="1", architectures=("amd64",), successors=("park",)),),
        lowered=(Lowered(name="yak", architecture="amd64", before="2", after="1"),),
    )
    with pytest.raises(PublishError, match="yak goes down from 2 to 1 in suite s") as down:
        Gate(accept=True).judge("s", loss)
    assert "--allow-downgrade" in down.value.hint
    with pytest.raises(PublishError, match="zoo would vanish from suite s") as gone:
        Gate(allow_downgrade=True).judge("s", loss)
    assert gone.value.details == "zoo 1 (amd64), probably now park"
    assert "--accept" in gone.value.hint
    assert Gate(accept=True, allow_downgrade=True).judge("s", loss) == (
        "goes down: yak 2 -> 1 (amd64)",
        "vanishes: zoo 1 (amd64), probably now park",
    )
    assert Gate().judge("s", Loss()) == ()


def test_what_is_left_after_a_removal_is_cut_as_if_it_had_never_been_there(shelf: Shelf) -> None:
    names = [f"p{number}" for number in range(400)]
    assert sum(map(begins_block, names)) > 3
    pick = random.Random(4)  # noqa: S311  # a choice of test cases

    def cut(stanzas: Iterable[Stanza]) -> list[str]:
        return [block_text(part) for part in split(in_order(stanzas))]

    for count in (1, 5, 100, 399, 400):
        stanzas = [package(name, version) for name in names for version in ("1", "2")]
        gone = {one.key for one in pick.sample(stanzas, count)} | {("none", "1", "all")}
        blocks = shelf.blocks(stanzas)
        left = shrink(blocks, gone, shelf.load)
        texts = [block_text(shelf.texts[one.sha256] if isinstance(one, Block) else one) for one in left]
        assert texts == cut(one for one in stanzas if one.key not in gone)
    every = {package(name).key for name in names}
    blocks = shelf.blocks(map(package, names))
    assert shrink(blocks, every, shelf.load) == []
    assert [
        block_text(part)
        for part in grow((), [package(n) for n in names], shelf.load)
        if isinstance(part, list)
    ] == cut(map(package, names))


def test_what_goes_down_and_what_vanishes_is_told_at_once_with_both_ways_out() -> None:
    loss = Loss(
        vanished=(Vanished(name="yak", version="1", architectures=("amd64",)),),
        lowered=(Lowered(name="zoo", architecture="amd64", before="2", after="1"),),
    )
    with pytest.raises(PublishError) as both:
        Gate().judge("stable", loss)
    assert both.value.brief == (
        "zoo goes down from 2 to 1 in suite stable; yak would vanish from suite stable"
    )
    assert both.value.details.splitlines() == ["zoo 2 -> 1 (amd64)", "yak 1 (amd64)"]
    assert "--allow-downgrade --accept, if both are meant" in both.value.hint
    with pytest.raises(PublishError, match=r"^yak would vanish"):
        Gate(allow_downgrade=True).judge("stable", loss)
    with pytest.raises(PublishError, match=r"^zoo goes down"):
        Gate(accept=True).judge("stable", loss)
    assert len(Gate(accept=True, allow_downgrade=True).judge("stable", loss)) == 2

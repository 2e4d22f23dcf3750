# SPDX-License-Identifier: Apache-2.0
"""Parts of a draft by themselves: blocks of a recipe's text, tags of releases, candidates of sources."""

from pathlib import Path

import pytest
from small_bigtop import SmallBigtop, recipe_of
from small_bigtop import bom as bom_of

from bigtop_builder.bom import Component, parse_bom
from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.recipe import Source
from bigtop_builder.recipe_draft.blocks import components_in, split
from bigtop_builder.recipe_draft.candidates import NotFollowed, bom_candidates, followed
from bigtop_builder.recipe_draft.tags import Tag, find_tag, release_tags, unknown_tags
from bigtop_builder.workspace import Project

COMMIT = "1" * 40


def test_the_blocks_of_every_recipe_here_are_its_text(origin: Project) -> None:
    files = [*origin.recipes.glob("*.toml"), *origin.recipes.glob("miniature/recipes/*.toml")]
    assert len(files) > 8
    for file in files:
        text = file.read_text()
        assert "".join(block.text for block in split(text)) == text


def test_what_looks_like_a_header_in_a_text_or_a_list_is_none() -> None:
    text = (
        'a = """\n[no]\n"""\nb = [\n["x"],\n]\n\n# of c\n[[components]]\nname = "one"\n'
        "run = '''\n[[components]]\n# no comment of c.d\n'''\n\n[components.environment]\nx = \"y\"\n"
    )
    blocks = split(text)
    assert [block.name for block in blocks] == ["", "components", "components.environment"]
    assert blocks[1].lead == "\n# of c\n"
    assert [len(one) for one in components_in(blocks).values()] == [2]


@pytest.fixture
def small(tmp_path: Path) -> SmallBigtop:
    """A repository with tags of all kinds on one commit."""
    small = SmallBigtop.at(tmp_path)
    commit = small.commit({"README": "read me\n"})
    for name in (
        "rel/3.0.0",
        "release-3.0.0",
        "release-3.0.0-RC1",
        "rel/release-1.2.0-RC1",
        "release-3.1.0-RC0",
        "x",
    ):
        small.mirror.git("update-ref", f"refs/tags/{name}", commit)
    small.mirror.git("update-ref", "refs/tags/rel/2.0.0", small.commit({"README": "older\n"}))
    return small


def test_tags_of_releases_are_sorted_by_release_and_rel_counts_most(small: SmallBigtop) -> None:
    assert [tag.name for tag in release_tags(small.mirror)] == [
        "rel/release-1.2.0-RC1",
        "rel/2.0.0",
        "release-3.0.0-RC1",
        "release-3.0.0",
        "rel/3.0.0",
        "release-3.1.0-RC0",
    ]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("3.0.0", "rel/3.0.0"),
        ("release-3.0.0", "release-3.0.0"),
        ("refs/tags/rel/2.0.0", "rel/2.0.0"),
        ("3.1.0-RC0", "release-3.1.0-RC0"),
    ],
)
def test_a_tag_is_found_by_its_name_or_its_release(small: SmallBigtop, word: str, name: str) -> None:
    assert find_tag(small.mirror, word).name == name


def test_a_tag_that_is_not_there_or_is_no_release_is_refused(small: SmallBigtop) -> None:
    with pytest.raises(InputError, match=r"Bigtop has no tag 'rel/3\.0\.1'") as caught:
        find_tag(small.mirror, "rel/3.0.1")
    assert "the nearest is rel/3.0.0" in caught.value.hint
    with pytest.raises(InputError, match="tag 'x' names no release"):
        find_tag(small.mirror, "x")


def test_of_tags_without_a_recipe_those_are_told_that_somebody_may_want() -> None:
    names = ("1.0.0", "2.0.0", "3.0.0-RC0", "3.0.0", "3.1.0-RC0", "3.1.0-RC1")
    tags = [Tag(name=f"rel/{name}", release=name, commit=f"{n}" * 40) for n, name in enumerate(names, 2)]
    recipe = recipe_of("3" * 40, "thing", release="2.0.0")
    assert [tag.release for tag in unknown_tags(tags, [recipe])] == ["3.0.0", "3.1.0-RC1"]
    every = [tag.release for tag in unknown_tags(tags, [recipe], every=True)]
    assert every == ["1.0.0", "3.0.0-RC0", "3.0.0", "3.1.0-RC0", "3.1.0-RC1"]
    assert [tag.release for tag in unknown_tags(tags, [])] == ["1.0.0", "2.0.0", "3.0.0", "3.1.0-RC1"]


def in_bom(more: str) -> Component:
    text = f"'thing' {{ name = 'thing'; version {{ base = '1.0' }}\n{more}\n}}"
    return parse_bom(bom_of(text)).components["thing"]


def commit_of(repository: str, ref: str) -> str:
    if ref in {"v1.0", "rel/2.0"}:
        return COMMIT
    raise TreeError(f"{repository} has no tag {ref}")


def test_candidates_are_what_the_bom_would_download() -> None:
    tarball = "tarball { source = 'thing-1.0.tgz'; destination = source }\n"
    apache = in_bom(
        f"{tarball} url {{ site = 'https://m.example/thing/'; archive = 'https://archive.apache.org/dist//thing/' }}"
    )
    assert [one.where for one in bom_candidates(apache, commit_of)] == [
        "apache:thing/thing-1.0.tgz",
        "archive:thing/thing-1.0.tgz",
    ]
    other = in_bom(f"{tarball} url {{ site = 'https://m.example/thing/'; archive = site }}")
    assert [one.where for one in bom_candidates(other, commit_of)] == [
        "url:https://m.example/thing/thing-1.0.tgz"
    ]
    git = in_bom(f"{tarball} git {{ repo = 'https://g.example/thing.git'; ref = 'v1.0' }}")
    assert [(one.repository, one.ref, one.commit) for one in bom_candidates(git, commit_of)] == [
        ("https://g.example/thing.git", "v1.0", COMMIT)
    ]
    assert bom_candidates(in_bom(""), commit_of) == ()


def test_candidates_of_an_earlier_recipe_follow_to_another_version(tmp_path: Path) -> None:
    (tmp_path / "thing-2.0").mkdir()
    pin = {"sha512": "1" * 128, "checked": "by hand", "signed_by": ("A" * 40,), "keys": "keys.asc"}
    old = [
        Source(kind="apache", path="thing/thing-1.0.tgz", **pin),
        Source(kind="maven", coordinates="g:thing:1.0:source-release:zip", **pin),
        Source(kind="maven", coordinates="g:other:7:source-release:zip"),
        Source(kind="git", repository="https://g.example/t.git", ref="rel/1.0", commit="2" * 40),
        Source(kind="git", repository="https://g.example/t.git", ref="1.0-last", commit="2" * 40),
        Source(kind="url", url="https://x.example/1.0/thing-1.0.tgz"),
        Source(kind="file", file="thing-1.0"),
        Source(kind="file", file="thing-1.0.zip"),
    ]
    of_bom = (Source(kind="apache", path="things/thing-2.0.tgz"), Source(kind="archive", path="a"))
    found = [*followed(old, old="1.0", new="2.0", of_bom=of_bom, resolve=commit_of, base=tmp_path)]
    assert [one.where for one in found if isinstance(one, Source)] == [
        "apache:things/thing-2.0.tgz",
        "maven:g:thing:2.0:source-release:zip",
        f"git:https://g.example/t.git@{COMMIT[:12]}",
        "url:https://x.example/2.0/thing-2.0.tgz",
        "file:thing-2.0",
    ]
    first = found[0]
    assert isinstance(first, Source)
    assert (first.sha512, first.checked) == ("", "")
    assert (first.signed_by, first.keys) == (("A" * 40,), "keys.asc")
    assert [str(one) for one in found if isinstance(one, NotFollowed)] == [
        "maven:g:other:7:source-release:zip: its version is not 1.0, so that for 2.0 is not known",
        f"{old[4].where}: 2.0-last cannot be looked up: https://g.example/t.git has no tag 2.0-last",
        "file:thing-1.0.zip: there is no thing-2.0.zip beside the recipe",
    ]

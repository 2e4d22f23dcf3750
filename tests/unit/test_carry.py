# SPDX-License-Identifier: Apache-2.0
"""Carried packaging: a component of an older Bigtop in a newer one's tree, or a reason why not."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from small_bigtop import SRC, SmallBigtop, block, bom, packaging, recipe_of

from bigtop_builder.carry import base_tree, mirror_of
from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.facts import PatchFacts, Upstream
from bigtop_builder.patches.queue import Patch
from bigtop_builder.recipe import Recipe
from bigtop_builder.settings import Settings
from bigtop_builder.tree import Tree, make_tree
from bigtop_builder.workspace import Workspace
from local_patches import diff_of

OLD = bom(
    block("store", "0.9"),
    block("pipe", "3"),
    block("flow", "5.2.1", more="parallel = true // as it was"),
    version="1.0",
    dependencies="store: ['flow', 'query'], pipe: ['flow'], gone: ['flow']",
    mirror="old",
)
NEW = bom(block("store", "1.1"), block("query"), dependencies="store: ['query']")
STORE, QUERY, PIPE, FLOW = map(packaging, ("store", "query", "pipe", "flow"))


@pytest.fixture(name="bigtop")
def fixture_bigtop(tmp_path: Path) -> SmallBigtop:
    return SmallBigtop.at(tmp_path)


@pytest.fixture(name="old")
def fixture_old(bigtop: SmallBigtop) -> str:
    files = {"bigtop.bom": OLD, **packaging("store", "older\n"), **PIPE, **FLOW}
    return bigtop.commit(files, executable=[f"{SRC}/common/flow/do-component-build"])


@pytest.fixture(name="new")
def fixture_new(bigtop: SmallBigtop) -> str:
    return bigtop.commit({"bigtop.bom": NEW, **STORE, **QUERY})


def carrying(new: str, old: str, *components: str, carry: str = "flow") -> Recipe:
    return recipe_of(new, *components, carry=[{"component": carry, "from": old, "ref": "rel/1.0"}])


def make(bigtop: SmallBigtop, recipe: Recipe, *patches: Patch, cache: str = "cache") -> Tree:
    return make_tree(recipe, patches, mirror=bigtop.mirror, objects=bigtop.mirror.path.parent / cache)


def refusal(bigtop: SmallBigtop, recipe: Recipe) -> TreeError:
    with pytest.raises(TreeError) as caught:
        make(bigtop, recipe)
    return caught.value


def test_packaging_and_block_of_the_component_are_in_the_tree(
    bigtop: SmallBigtop, old: str, new: str
) -> None:
    tree = make(bigtop, carrying(new, old, "store", "flow", "pipe"))
    assert tree.read(f"{SRC}/deb/flow/control") == b"Source: flow\n"
    assert tree.bom.components["flow"].base_version == "5.2.1"
    assert tree.bom.components["store"].base_version == "1.1"
    assert tree.read(f"{SRC}/common/store/do-component-build") == b"as ever\n"


def test_names_in_the_block_mean_what_the_release_says(bigtop: SmallBigtop, old: str, new: str) -> None:
    tree = make(bigtop, carrying(new, old, "store", "flow", "pipe"))
    assert tree.bom.components["flow"].site == "https://new.example/flow"
    assert tree.bom.components["flow"].tarball_source == "flow-5.2.1.tar.gz"


def test_the_block_is_taken_as_it_is_written(bigtop: SmallBigtop, old: str, new: str) -> None:
    tree = make(bigtop, carrying(new, old, "store", "flow", "pipe"))
    text = (tree.read("bigtop.bom") or b"").decode()
    assert block("flow", "5.2.1", more="parallel = true // as it was") in text
    assert text.startswith(NEW[: NEW.index("// the end")])


def test_the_component_is_built_after_what_it_needs(bigtop: SmallBigtop, old: str, new: str) -> None:
    tree = make(bigtop, carrying(new, old, "flow", "query", "store", "pipe"))
    assert tree.bom.dependencies_of("flow") == ("store", "pipe")
    assert tree.bom.dependencies_of("query") == ("store",)
    assert tree.bom.build_order(["flow", "pipe", "store"]) == ("store", "pipe", "flow")


def test_what_it_needs_and_the_release_lacks_is_carried_too(bigtop: SmallBigtop, old: str, new: str) -> None:
    tree = make(bigtop, carrying(new, old, "store", "flow", "pipe"))
    assert tree.bom.components["pipe"].base_version == "3"
    assert len(tree.ids(f"{SRC}/common/pipe", f"{SRC}/deb/pipe")) == 2


def test_a_need_may_be_carried_from_a_commit_of_its_own(bigtop: SmallBigtop, old: str, new: str) -> None:
    other = bigtop.commit({"bigtop.bom": bom(block("pipe", "4"), version="1.5"), **PIPE})
    carry = [{"component": "flow", "from": old}, {"component": "pipe", "from": other}]
    tree = make(bigtop, recipe_of(new, "store", "flow", "pipe", carry=carry))
    assert tree.bom.components["pipe"].base_version == "4"
    assert tree.bom.dependencies_of("flow") == ("store", "pipe")


def test_a_need_that_the_recipe_does_not_build_is_refused(bigtop: SmallBigtop, old: str, new: str) -> None:
    error = refusal(bigtop, carrying(new, old, "store", "flow"))
    assert error.brief.startswith("carry 'flow': it needs pipe, which Bigtop 2.0 lacks")
    assert "add pipe to the recipe's `components`" in error.hint


def test_two_caches_make_the_same_tree(bigtop: SmallBigtop, old: str, new: str) -> None:
    recipe = carrying(new, old, "store", "flow", "pipe")
    assert make(bigtop, recipe) == make(bigtop, recipe, cache="elsewhere")


def test_files_stay_executable(bigtop: SmallBigtop, old: str, new: str) -> None:
    tree = make(bigtop, carrying(new, old, "store", "flow", "pipe"))
    path = f"{SRC}/common/flow/do-component-build"
    assert tree.git.entries(tree.id, [path])[path].mode == "100755"


def test_the_mirror_is_not_written_to(bigtop: SmallBigtop, old: str, new: str) -> None:
    before = sorted(bigtop.objects.rglob("*"))
    make(bigtop, carrying(new, old, "store", "flow", "pipe"))
    assert sorted(bigtop.objects.rglob("*")) == before


def test_a_patch_may_change_what_is_carried(bigtop: SmallBigtop, old: str, new: str) -> None:
    path = f"{SRC}/common/flow/do-component-build"
    facts = PatchFacts(kind="tree", title="t", why="w", upstream=Upstream(state="to-forward"))
    diff = diff_of(path, "as ever\n", "not as ever\n").encode()
    patch = Patch(id="bigtop/other", path=Path("default.patch"), diff=diff, facts=facts)
    tree = make(bigtop, carrying(new, old, "store", "flow", "pipe"), patch)
    assert tree.read(path) == b"not as ever\n"


def test_a_carried_component_may_have_another_version(bigtop: SmallBigtop, old: str, new: str) -> None:
    components = [{"name": "flow", "version": "5.3"}, "store", "pipe"]
    recipe = recipe_of(new, *components, carry=[{"component": "flow", "from": old}])
    tree = make(bigtop, recipe)
    assert tree.bom.components["flow"].base_version == "5.3"
    assert tree.bom.dependencies_of("flow") == ("store", "pipe")


def test_carrying_what_the_release_has_the_same_changes_nothing(bigtop: SmallBigtop, new: str) -> None:
    older = bigtop.commit({"bigtop.bom": NEW, **STORE, **QUERY, "README": "older\n"})
    plain = make(bigtop, recipe_of(new, "store", "query"))
    assert make(bigtop, carrying(new, older, "store", "query", carry="query")) == plain


def test_a_component_that_the_release_has_in_another_form_is_refused(
    bigtop: SmallBigtop, old: str, new: str
) -> None:
    error = refusal(bigtop, carrying(new, old, "store", carry="store"))
    assert error.brief == "carry 'store': Bigtop 2.0 has this component already, in another form"
    assert "version 1.1 here, 0.9 in rel/1.0" in error.details
    assert f"other content: {SRC}/common/store" in error.details


def test_packaging_that_lies_in_the_way_is_refused(bigtop: SmallBigtop, old: str) -> None:
    left = {f"{SRC}/common/flow/do-component-build": "left behind\n"}
    new = bigtop.commit({"bigtop.bom": NEW, **STORE, **QUERY, **left})
    error = refusal(bigtop, carrying(new, old, "store", "flow", "pipe"))
    assert error.brief == f"carry 'flow': the release has {SRC}/common/flow with other content than rel/1.0"


def test_the_same_packaging_may_be_there_already(bigtop: SmallBigtop, old: str, new: str) -> None:
    left = bigtop.commit({"bigtop.bom": NEW, **STORE, **QUERY, f"{SRC}/deb/flow/control": "Source: flow\n"})
    names = ("store", "flow", "pipe")
    assert make(bigtop, carrying(left, old, *names)).id == make(bigtop, carrying(new, old, *names)).id


def test_a_block_that_names_what_the_release_lacks_is_refused_with_its_line(
    bigtop: SmallBigtop, new: str
) -> None:
    odd = bom(block("flow", more='other { site = "${apache.ARCHIVE}/x" }'), version="1.0")
    old = bigtop.commit(
        {"bigtop.bom": odd.replace("apache { ", "apache { ARCHIVE = 'https://a.example'; "), **FLOW}
    )
    error = refusal(bigtop, carrying(new, old, "flow"))
    assert error.brief == "carry flow: bigtop.bom of Bigtop 2.0 lacks what the carried block needs"
    assert "ARCHIVE" in error.details
    assert error.details.endswith('other { site = "${apache.ARCHIVE}/x" }')


def test_a_commit_without_the_component_is_refused(bigtop: SmallBigtop, old: str, new: str) -> None:
    error = refusal(bigtop, carrying(old, new, "flow", "store", "pipe", "horn", carry="horn"))
    assert error.brief == "carry 'horn': rel/1.0 has no such component"
    assert "store, query" in error.hint


def test_a_component_without_packaging_for_debian_is_refused(bigtop: SmallBigtop, new: str) -> None:
    files = {"bigtop.bom": bom(block("flow")), f"{SRC}/common/flow/x": "x\n"}
    error = refusal(bigtop, carrying(new, bigtop.commit(files), "flow"))
    assert error.brief == f"carry 'flow': rel/1.0 has no packaging for Debian, {SRC}/deb/flow"


def test_a_commit_that_is_no_bigtop_is_refused(bigtop: SmallBigtop, new: str) -> None:
    error = refusal(bigtop, carrying(new, bigtop.commit({"README": "x\n"}), "flow"))
    assert "has no bigtop.bom" in error.brief


def test_a_release_without_dependencies_takes_one_that_has_none(bigtop: SmallBigtop, old: str) -> None:
    new = bigtop.commit({"bigtop.bom": bom(block("query")), **QUERY})
    tree = make(bigtop, carrying(new, old, "query", "pipe", carry="pipe"))
    assert tree.bom.components["pipe"].base_version == "3"
    assert tree.bom.dependents == {}


def test_without_carry_patches_are_laid_on_the_commits_own_tree(bigtop: SmallBigtop, new: str) -> None:
    with Index.temporary(bigtop.mirror, bigtop.mirror.path.parent / "cache") as index:
        assert base_tree(index, recipe_of(new, "store")) == index("rev-parse", f"{new}^{{tree}}").text


def test_the_mirror_has_to_have_each_commit(
    bigtop: SmallBigtop, settings: Settings, new: str, old: str
) -> None:
    workspace = Workspace(settings.cache_dir)
    base = bigtop.mirror.path.parent
    whole = carrying(new, old, "store", "flow", "pipe")
    assert mirror_of(whole, workspace=workspace, settings=settings, base=base).path == bigtop.mirror.path
    with pytest.raises(TreeError, match=f"carry 'flow': commit {'0' * 40} is not in"):
        mirror_of(carrying(new, "0" * 40, "flow"), workspace=workspace, settings=settings, base=base)


def test_a_recipe_builds_what_it_carries() -> None:
    with pytest.raises(
        ValidationError, match="carried component 'flow' is not built: add it to `components`"
    ):
        carrying("0" * 40, "1" * 40, "store")


def test_a_component_is_carried_once() -> None:
    carry = [{"component": "flow", "from": "1" * 40}] * 2
    with pytest.raises(ValidationError, match="carried component 'flow' is listed twice"):
        recipe_of("0" * 40, "flow", carry=carry)


def test_a_tag_is_no_commit(origin_text: str, tmp_path: Path) -> None:
    path = tmp_path / "3.5.0.toml"
    path.write_text(f'{origin_text}\n[[carry]]\ncomponent = "hadoop"\nfrom = "rel/3.2.1"\n')
    with pytest.raises(InputError) as caught:
        Recipe.from_toml(path)
    assert "carry" in caught.value.details
    path.write_text(path.read_text().replace('"rel/3.2.1"', f'"{"a" * 40}"'))
    assert Recipe.from_toml(path).carry[-1].commit == "a" * 40


@pytest.fixture(name="origin_text")
def fixture_origin_text() -> str:
    return (Path(__file__).parents[2] / "recipes" / "3.5.0.toml").read_text()

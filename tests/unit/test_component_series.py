# SPDX-License-Identifier: Apache-2.0
"""The series of a component: the files, the folders and the order of Bigtop's own build."""

from pathlib import Path

import pytest
from small_bigtop import NUMBER_ORDER, SRC, TEXT_ORDER, SmallBigtop, block, bom, packaging, recipe_of

from bigtop_builder.bom import parse_bom
from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.patches.component import Series, upstream_series
from bigtop_builder.patches.facts import PatchFacts, Upstream
from bigtop_builder.patches.queue import Patch
from bigtop_builder.settings import Settings
from bigtop_builder.survey import survey
from bigtop_builder.tree import make_tree
from bigtop_builder.workspace import Project

COMMON, DEB = f"{SRC}/common/flow", f"{SRC}/deb/flow"
WRITES_PARALLEL = '''
def generatePatch(String threads, String path) {
    def content = """
        diff --git a/threads b/threads
        new file mode 100644
        --- /dev/null
        +++ b/threads
        @@ -0,0 +1 @@
        +-T ${threadCount}
        \\\\ No newline at end of file
    """.stripIndent()
}
'''


@pytest.fixture(name="bigtop")
def fixture_bigtop(tmp_path: Path) -> SmallBigtop:
    return SmallBigtop.at(tmp_path)


def series(bigtop: SmallBigtop, order: str, *paths: str, parallel: bool = False, threads: str = "") -> Series:
    text = bom(block("flow", more="maven_parallel_build = true" if parallel else ""))
    files = {"bigtop.bom": text, "packages.gradle": order, **{path: f"{path}\n" for path in paths}}
    commit = bigtop.commit(files)
    with Index.temporary(bigtop.mirror, bigtop.objects) as index:
        properties = {"buildThreads": threads} if threads else {}
        return upstream_series(index, commit, parse_bom(text).components["flow"], properties)


def names(found: Series) -> list[str]:
    return [patch.name for patch in found.patches]


def local_patches(*names: str) -> tuple[Patch, ...]:
    facts = PatchFacts(kind="component", title="t", why="w", upstream=Upstream(state="to-forward"))
    return tuple(
        Patch(id=f"flow/{name}", path=Path("default.patch"), diff=name.encode(), facts=facts)
        for name in names
    )


def test_up_to_3_4_0_names_are_sorted_as_text(bigtop: SmallBigtop) -> None:
    paths = [f"{COMMON}/patch{number}-x.diff" for number in (2, 10, 1, "9a")]
    found = series(bigtop, TEXT_ORDER, *paths)
    assert found.order == "text"
    assert names(found) == ["patch1-x.diff", "patch10-x.diff", "patch2-x.diff", "patch9a-x.diff"]


def test_from_3_5_0_on_names_are_sorted_by_number(bigtop: SmallBigtop) -> None:
    paths = [f"{COMMON}/patch{number}-x.diff" for number in (2, 10, 1)]
    found = series(bigtop, NUMBER_ORDER, *paths)
    assert found.order == "number"
    assert names(found) == ["patch1-x.diff", "patch2-x.diff", "patch10-x.diff"]
    assert found.findings == ()


def test_a_name_without_a_number_before_its_first_dash_counts_as_0(bigtop: SmallBigtop) -> None:
    paths = [f"{COMMON}/{name}" for name in ("patch9a-x.diff", "patch1-x.diff", "patch7.diff")]
    assert names(series(bigtop, NUMBER_ORDER, *paths)) == ["patch7.diff", "patch9a-x.diff", "patch1-x.diff"]


def test_equal_numbers_are_a_finding_where_the_directory_decides(bigtop: SmallBigtop) -> None:
    paths = [f"{COMMON}/{name}" for name in ("patch9-b.diff", "patch9-a.diff", "patch10-c.diff")]
    found = series(bigtop, NUMBER_ORDER, *paths)
    assert len(found.findings) == 1
    assert found.findings[0].startswith("patch9-a.diff and patch9-b.diff have the same number")
    assert series(bigtop, TEXT_ORDER, *paths).findings == ()


def test_only_files_at_the_top_whose_whole_name_fits_are_patches(bigtop: SmallBigtop) -> None:
    others = ("patch1.diff.orig", "a-patch1.diff", "patch1.patch", "sub/patch1-x.diff", "Patch1.diff")
    odd = ("patch-without.number.diff", "patchdiff", "patch3-x.gitdiff")
    found = series(bigtop, TEXT_ORDER, *(f"{COMMON}/{name}" for name in (*others, *odd)))
    assert names(found) == ["patch-without.number.diff", "patch3-x.gitdiff", "patchdiff"]


def test_patches_come_from_all_folders_that_are_copied_and_a_later_one_stands(bigtop: SmallBigtop) -> None:
    found = series(
        bigtop,
        TEXT_ORDER,
        f"{DEB}/patch1-a.diff",
        f"{DEB}/patch2-b.diff",
        f"{COMMON}/patch2-b.diff",
        f"{SRC}/extensions/patch3-c.diff",
        f"{SRC}/common/other/patch4-d.diff",
    )
    assert [patch.path for patch in found.patches] == [
        f"{DEB}/patch1-a.diff",
        f"{COMMON}/patch2-b.diff",
        f"{SRC}/extensions/patch3-c.diff",
    ]
    assert found.patches[1].diff == f"{COMMON}/patch2-b.diff\n".encode()


def test_the_parallel_build_patch_is_there_where_the_bom_has_it_and_threads_are_given(
    bigtop: SmallBigtop,
) -> None:
    script = WRITES_PARALLEL + NUMBER_ORDER
    assert names(series(bigtop, script, threads="4")) == []
    assert names(series(bigtop, script, parallel=True)) == []
    assert names(series(bigtop, NUMBER_ORDER, parallel=True, threads="4")) == []
    (patch,) = series(bigtop, script, parallel=True, threads="2C").patches
    assert (patch.name, patch.path, patch.local) == ("patch0-maven-parallel-build.diff", "", False)
    assert patch.diff.decode().splitlines()[-2:] == ["+-T 2C", "\\ No newline at end of file"]


def test_the_parallel_build_patch_applies(bigtop: SmallBigtop) -> None:
    found = series(bigtop, WRITES_PARALLEL + NUMBER_ORDER, parallel=True, threads="4")
    with Index.temporary(bigtop.mirror, bigtop.objects) as index:
        index("apply", "--cached", "-", stdin=found.patches[0].diff)
        assert index.read("threads") == "-T 4"


def test_the_parallel_build_patch_may_share_its_number(bigtop: SmallBigtop) -> None:
    script = WRITES_PARALLEL + NUMBER_ORDER
    found = series(bigtop, script, f"{COMMON}/patch0-x.diff", parallel=True, threads="4")
    assert "patch0-maven-parallel-build.diff and patch0-x.diff" in found.findings[0]


def test_threads_that_bigtop_would_refuse_are_refused(bigtop: SmallBigtop) -> None:
    with pytest.raises(TreeError, match="buildThreads='many' is no number of Maven threads"):
        series(bigtop, WRITES_PARALLEL + TEXT_ORDER, parallel=True, threads="many")


@pytest.mark.parametrize(
    "script", ["", "def patches = list()\n", "x ==~ /patch.*diff/ }\n shuffle(); series\n"]
)
def test_a_rule_that_is_not_known_is_refused(bigtop: SmallBigtop, script: str) -> None:
    with pytest.raises(TreeError, match=r"sorts component patches in a way that is not known"):
        series(bigtop, script)


@pytest.mark.parametrize("order", [TEXT_ORDER, NUMBER_ORDER])
def test_local_patches_come_last_in_the_recipes_order(bigtop: SmallBigtop, order: str) -> None:
    upstream = {f"{COMMON}/patch{number}-x.diff": "x\n" for number in (1, 9, 10, 21, 90)}
    files = {"bigtop.bom": bom(block("flow")), "packages.gradle": order, **packaging("flow"), **upstream}
    recipe = recipe_of(
        bigtop.commit(files), {"name": "flow", "version": "2", "omit_patches": ["patch9-x.diff"]}
    )
    own = local_patches(*(f"{name}-patch1-" for name in "zyxwvutsrqponm"))
    tree = make_tree(recipe, own, mirror=bigtop.mirror, objects=bigtop.objects)
    found = upstream_series(tree.git, tree.id, tree.bom.components["flow"])
    assert sorted(patch.number for patch in found.upstream) == [1, 10, 21, 90]
    assert [patch.diff.decode() for patch in found.local] == [patch.name for patch in own]
    assert found.patches == found.upstream + found.local
    assert found.findings == ()


def test_an_upstream_patch_after_a_local_one_is_a_finding(bigtop: SmallBigtop) -> None:
    paths = [f"{COMMON}/{name}" for name in ("patch9a-x.diff", "patch900-mine.diff", "patch1-x.diff")]
    found = series(bigtop, TEXT_ORDER, *paths)
    assert found.findings == ("patch9a-x.diff of upstream is applied after the local patch900-mine.diff",)
    assert series(bigtop, NUMBER_ORDER, *paths).findings == ()


def test_a_local_patch_never_replaces_a_file_of_bigtop(bigtop: SmallBigtop) -> None:
    files = {"bigtop.bom": bom(block("flow")), **packaging("flow"), f"{DEB}/patch900-mine.diff": "x\n"}
    recipe = recipe_of(bigtop.commit(files), "flow")
    with pytest.raises(TreeError) as caught:
        make_tree(recipe, local_patches("mine"), mirror=bigtop.mirror, objects=bigtop.objects)
    assert caught.value.brief.startswith("patch flow/mine goes into the tree as ")
    assert f"{DEB}/patch900-mine.diff" in caught.value.brief


def test_a_local_patch_cannot_be_left_out_as_upstreams(bigtop: SmallBigtop) -> None:
    files = {"bigtop.bom": bom(block("flow")), **packaging("flow")}
    recipe = recipe_of(bigtop.commit(files), {"name": "flow", "omit_patches": ["patch900-mine.diff"]})
    with pytest.raises(TreeError, match=r"no upstream patch .patch900-mine\.diff. to leave out"):
        make_tree(recipe, local_patches("mine"), mirror=bigtop.mirror, objects=bigtop.objects)


def test_the_miniatures_rule_is_known(project: Project, settings: Settings) -> None:
    tree = survey("1.0.0", project=project, settings=settings).tree
    found = upstream_series(tree.git, tree.id, tree.bom.components["salute"])
    assert (found.order, names(found)) == ("number", ["patch900-miniature-blank-name.diff"])

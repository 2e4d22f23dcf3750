# SPDX-License-Identifier: Apache-2.0
"""The matrix: what each patch is on each release, from evidence that holds; --verify tells what does not."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from local_patches import diff_of, list_patches, write_patch
from small_bigtop import block, bom, packaging
from upstream import new_upstream

from bigtop_builder.cli.patch_rebase import drop_
from bigtop_builder.cli.patch_status import status
from bigtop_builder.errors import BuilderError, CheckFailed, InputError, TreeError
from bigtop_builder.miniature import AUTHOR, lay_out
from bigtop_builder.patches.facts import with_facts
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.sources import fetch, select
from bigtop_builder.upkeep.evidence import FILE, load_evidence
from bigtop_builder.upkeep.status import Cell, Matrix, make_matrix, record
from bigtop_builder.upstreaming.overview import Drop, overview
from bigtop_builder.workspace import Project, Workspace
from small_queue import recipe_text

DATE = "bigtop/miniature-changelog-date"
BLANK = "salute/miniature-blank-name"
COMMON = "bigtop-packages/src/common"
CHANGELOG = "changelog.gradle"
BOTH = ("1.0.0", "1.1.0")


@pytest.fixture
def project(project: Project) -> Project:
    """The miniature without the evidence that it comes with."""
    for file in project.patches.glob(f"*/*/{FILE}"):
        file.unlink()
    return project


def upstream(project: Project, path: str, release: str = "1.0.0") -> str:
    """A file as Bigtop has it."""
    return run(["git", f"--git-dir={project.root}/bigtop.git", "show", f"rel/{release}:{path}"]).text + "\n"


def states(matrix: Matrix, patch_id: str) -> list[str]:
    return [cell.state for cell in matrix.of(patch_id)]


def cell(project: Project, settings: Settings, patch_id: str, release: str = "1.0.0") -> Cell:
    return make_matrix(project, settings, patches=[patch_id], releases=[release]).cells[patch_id, release]


def options(project: Project, settings: Settings) -> dict[str, object]:
    file = project.root.parent / "settings.toml"
    file.write_text(f'cache_dir = "{settings.cache_dir}"\n')
    return {"settings": file, "project": project.root, "verbose": False}


def ask(project: Project, settings: Settings, *words: str) -> Result:
    """`patch status` as the command line runs it."""
    return CliRunner().invoke(status, list(words), obj=options(project, settings))


def refusal(result: Result) -> BuilderError:
    assert isinstance(result.exception, BuilderError)
    return result.exception


def alone(project: Project, patch_id: str, diff: str, *, listed: bool = True) -> None:
    """A queue of one patch."""
    shutil.rmtree(project.patches)
    write_patch(project, patch_id, diff)
    list_patches(project, *([patch_id] if listed else []))
    list_patches(project, release="1.1.0")


def changed(project: Project, old: str, new: str) -> str:
    text = upstream(project, CHANGELOG)
    assert old in text
    return diff_of(CHANGELOG, text, text.replace(old, new))


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_patch_is_clean_where_it_applies_and_upstream_where_the_release_has_it(
    project: Project, settings: Settings
) -> None:
    matrix = make_matrix(project, settings, patches=[DATE])
    assert matrix.releases == BOTH
    assert states(matrix, DATE) == ["clean", "already-upstream"]
    landed = matrix.cells[DATE, "1.1.0"].found
    assert landed is not None
    assert (
        landed.commit == run(["git", f"--git-dir={project.root}/bigtop.git", "rev-parse", "rel/1.1.0"]).text
    )
    assert landed.since == "rel/1.1.0"


def test_the_evidence_that_the_miniature_comes_with_holds(
    origin: Project, settings: Settings, tmp_path: Path
) -> None:
    miniature = lay_out(origin, tmp_path / "whole")
    for release in BOTH:
        fetch_source(miniature, settings, "salute", release)
        fetch_source(miniature, settings, "herald", release)
    matrix = make_matrix(miniature, settings, fresh=True)
    assert matrix.doubts == ()
    assert {cell.state for cell in matrix.cells.values()} == {"clean", "offset", "already-upstream"}


def test_lines_that_moved_are_an_offset_with_hunk_and_distance(project: Project, settings: Settings) -> None:
    text = upstream(project, CHANGELOG)
    moved = "// one\n// two\n" + text
    alone(project, "bigtop/moved", diff_of(CHANGELOG, moved, moved.replace("new Date()", "new Date(0)")))
    found = cell(project, settings, "bigtop/moved").found
    assert found is not None
    assert (found.state, found.detail) == ("offset", "changelog.gradle, hunk 1: -2 lines")


def test_a_conflict_names_file_and_hunk(project: Project, settings: Settings) -> None:
    text = upstream(project, CHANGELOG).replace("new Date()", "new Date(5)")
    diff = diff_of(CHANGELOG, text, text.replace("Date(5)", "Date(6)"))
    alone(project, "bigtop/wrong", diff + diff_of("absent", "one\n", "two\n"), listed=False)
    found = cell(project, settings, "bigtop/wrong").found
    assert found is not None
    assert found.state == "conflict"
    assert found.detail == "changelog.gradle, hunk 1; absent: does not exist in index"


def test_two_patches_of_one_file_conflict_in_the_wrong_order(project: Project, settings: Settings) -> None:
    text = upstream(project, CHANGELOG)
    middle = text.replace("new Date()", "new Date(1)")
    alone(project, "bigtop/first", diff_of(CHANGELOG, text, middle))
    write_patch(project, "bigtop/second", diff_of(CHANGELOG, middle, middle.replace("Date(1)", "Date(2)")))
    list_patches(project, "bigtop/first", "bigtop/second")
    right = make_matrix(project, settings, releases=["1.0.0"])
    assert [cell.state for cell in right.cells.values()] == ["clean", "clean"]
    assert len({cell.found.base for cell in right.cells.values() if cell.found}) == 2
    list_patches(project, "bigtop/second", "bigtop/first")
    wrong = make_matrix(project, settings, releases=["1.0.0"])
    assert states(wrong, "bigtop/second") == ["conflict"]
    assert states(wrong, "bigtop/first") == ["clean"]


def test_a_patch_of_another_range_has_nothing_to_do_with_a_release(
    project: Project, settings: Settings
) -> None:
    alone(project, "bigtop/ranged", changed(project, "new Date()", "new Date(0)"))
    folder = project.patches / "bigtop/ranged"
    (folder / "default.patch").rename(folder / "until-1.0.0.patch")
    matrix = make_matrix(project, settings)
    assert states(matrix, "bigtop/ranged") == ["clean", "-"]
    record(matrix)
    assert list(load_evidence(folder).releases) == ["1.0.0"]


def test_a_patch_that_is_meant_for_no_recipe_here_is_left_out(project: Project, settings: Settings) -> None:
    write_patch(project, "bigtop/elsewhere", changed(project, "new Date()", "new Date(0)"))
    facts = project.patches / "bigtop/elsewhere/patch.toml"
    facts.write_text('releases = ["9.9.9"]\n' + facts.read_text())
    assert "bigtop/elsewhere" not in make_matrix(project, settings).entries
    assert "bigtop/elsewhere" in make_matrix(project, settings, patches=["bigtop/elsewhere"]).entries


@pytest.mark.parametrize("named", ["1.0.0", "1.0.0-deb12"])
def test_a_patch_may_name_the_release_or_the_recipes_file(
    project: Project, settings: Settings, named: str
) -> None:
    alone(project, "bigtop/named", changed(project, "new Date()", "new Date(0)"), listed=False)
    facts = project.patches / "bigtop/named/patch.toml"
    facts.write_text(f'releases = ["{named}"]\n' + facts.read_text())
    (project.recipes / "1.0.0.toml").rename(project.recipes / "1.0.0-deb12.toml")
    assert states(make_matrix(project, settings), "bigtop/named")[0] == "clean"


def test_a_component_without_its_source_is_unknown_and_the_command_is_told(
    project: Project, settings: Settings
) -> None:
    matrix = make_matrix(project, settings)
    unknown = matrix.cells["herald/miniature-loopback-address", "1.0.0"]
    assert unknown.state == "unknown"
    assert unknown.why.endswith("bigtop-builder source fetch 1.0.0 -c herald")
    record(matrix)
    assert not (project.patches / "herald/miniature-loopback-address" / FILE).exists()


def test_a_component_whose_source_is_not_pinned_yet_is_to_be_fetched_with_its_pin(
    project: Project, settings: Settings
) -> None:
    recipe = project.recipes / "1.0.0.toml"
    recipe.write_text(re.sub('sha512 = "db42.*"', 'sha512 = ""', recipe.read_text()))
    unknown = make_matrix(project, settings).cells["herald/miniature-loopback-address", "1.0.0"]
    assert unknown.why.endswith("bigtop-builder source fetch 1.0.0 -c herald --pin")


def test_a_release_without_the_component_has_no_state(project: Project, settings: Settings) -> None:
    write_patch(project, "zookeeper/other", diff_of("f", "one\n", "two\n"))
    assert states(make_matrix(project, settings, patches=["zookeeper/other"]), "zookeeper/other") == [
        "-",
        "-",
    ]


def fetch_source(project: Project, settings: Settings, name: str, release: str = "1.0.0") -> None:
    """What `source fetch` does for one component."""
    recipe, path = load_recipe(release, project.recipes)
    component = recipe.component(name)
    source = select(component, settings)
    assert source is not None
    fetch(
        source,
        component=component,
        destination=f"{name}.tar.gz",
        top=name,
        workspace=Workspace(settings.cache_dir),
        settings=settings,
        recipe_dir=path.parent,
    )


def test_a_component_is_judged_on_its_fetched_source(project: Project, settings: Settings) -> None:
    for release in BOTH:
        fetch_source(project, settings, "salute", release)
    assert states(make_matrix(project, settings, patches=[BLANK]), BLANK) == ["clean", "offset"]


def test_a_component_is_judged_with_upstreams_patches_before_the_local_ones(
    project: Project, settings: Settings
) -> None:
    fetch_source(project, settings, "salute")
    local = (project.patches / BLANK / "default.patch").read_text()
    write_patch(project, "bigtop/upstreams", diff_of(f"{COMMON}/salute/patch1-same.diff", "", local))
    list_patches(project, "bigtop/upstreams", BLANK)
    found = cell(project, settings, BLANK).found
    assert found is not None
    assert found.state == "conflict"
    assert "all that it does is there already" in found.detail


def test_upstreams_own_patches_that_do_not_apply_are_found(project: Project, settings: Settings) -> None:
    fetch_source(project, settings, "salute")
    file = f"{COMMON}/salute/patch3-gone.diff"
    write_patch(project, "bigtop/upstreams", diff_of(file, "", diff_of("gone", "one\n", "two\n")))
    list_patches(project, "bigtop/upstreams", BLANK)
    matrix = make_matrix(project, settings, releases=["1.0.0"])
    assert [(release, component, one.patch) for release, component, one in matrix.unfit] == [
        ("1.0.0", "salute", "patch3-gone.diff")
    ]
    said = "salute on 1.0.0: upstream's patch3-gone.diff does not apply (gone: does not exist in index)"
    assert said in ask(project, settings, "--release", "1.0.0").stdout
    recipe = project.recipes / "1.0.0.toml"
    rewrite(recipe, 'name = "salute"\n', 'name = "salute"\nomit_patches = ["patch3-gone.diff"]\n')
    assert make_matrix(project, settings, releases=["1.0.0"]).unfit == ()


def test_all_of_upstreams_patches_that_do_not_apply_are_found_even_what_is_no_patch(
    project: Project, settings: Settings
) -> None:
    fetch_source(project, settings, "salute")
    odd = diff_of(f"{COMMON}/salute/patch2-odd.diff", "", "no diff at all\n")
    gone = diff_of(f"{COMMON}/salute/patch3-gone.diff", "", diff_of("gone", "one\n", "two\n"))
    write_patch(project, "bigtop/upstreams", odd + gone)
    list_patches(project, "bigtop/upstreams", BLANK)
    matrix = make_matrix(project, settings, releases=["1.0.0"])
    assert matrix.cells[BLANK, "1.0.0"].why.startswith("upstream's own patch2-odd.diff does not apply")
    assert [one.patch for _, _, one in matrix.unfit] == ["patch2-odd.diff", "patch3-gone.diff"]


def test_patches_whose_order_nobody_decides_are_told_with_or_without_their_source(
    project: Project, settings: Settings
) -> None:
    script = upstream(project, "packages.gradle")
    undecided = diff_of("packages.gradle", script, script.replace(" ?: a <=> b", ""))
    same = [diff_of(f"{COMMON}/salute/patch5-{name}.diff", "", f"{name}\n") for name in "ab"]
    late = diff_of(f"{COMMON}/salute/patch1000-late.diff", "", "late\n")
    write_patch(project, "bigtop/order", undecided + "".join(same) + late)
    list_patches(project, "bigtop/order", BLANK)
    equal = "salute on 1.0.0: patch5-a.diff and patch5-b.diff have the same number"
    last = "patch1000-late.diff of upstream is applied after the local patch900-miniature-blank-name.diff"
    for _ in range(2):
        text = ask(project, settings, "--release", "1.0.0").stdout
        assert equal in text
        assert last in text
    fetch_source(project, settings, "salute")
    told = json.loads(ask(project, settings, "--release", "1.0.0", "--json").stdout)
    assert [(one["release"], one["component"]) for one in told["order"]] == [("1.0.0", "salute")] * 2
    assert told["order"][1]["detail"] == last
    assert len(told["unfit"]) == 3, "the source has come since"
    list_patches(project, "bigtop/order")
    shutil.rmtree(project.patches / BLANK)
    shutil.rmtree(project.patches / "herald")
    list_patches(project, release="1.1.0")
    text = ask(project, settings, "--release", "1.0.0").stdout
    assert equal in text, "a component without patches in the queue"
    assert last not in text


def test_a_tree_that_cannot_be_made_is_told_once_and_the_way_out_is_drop(
    project: Project, settings: Settings
) -> None:
    for name in ("salute", "herald"):
        fetch_source(project, settings, name, "1.1.0")
    list_patches(project, DATE, BLANK, "herald/miniature-loopback-address", release="1.1.0")
    text = ask(project, settings, "--release", "1.1.0").output
    (line,) = [line for line in text.splitlines() if line.startswith("unknown: ")]
    assert f"if the release has it, bigtop-builder patch drop {DATE} 1.1.0; else mend " in line
    assert "cannot be tried" not in text
    rewrite(project.recipes / "1.1.0.toml", 'name = "salute"\n', 'name = "salute"\nversion = "1.0.7"\n')
    list_patches(project, DATE, release="1.1.0")
    text = ask(project, settings, DATE, "--release", "1.1.0").output
    assert "cannot be tried" not in text, "nobody asked"
    for patch_id in (BLANK, "herald/miniature-loopback-address"):
        shutil.rmtree(project.patches / patch_id)
    list_patches(project)
    text = ask(project, settings, "--release", "1.1.0").output
    assert text.count("upstream's patches to salute on 1.1.0 cannot be tried: patch ") == 1
    assert "is not known" not in text


def test_a_component_of_another_version_is_looked_at_without_local_patches(
    project: Project, settings: Settings
) -> None:
    fetch_source(project, settings, "salute")
    file = f"{COMMON}/salute/patch3-gone.diff"
    alone(project, "bigtop/upstreams", diff_of(file, "", diff_of("gone", "one\n", "two\n")))
    assert make_matrix(project, settings, releases=["1.0.0"]).unfit == ()
    rewrite(project.recipes / "1.0.0.toml", 'name = "salute"\n', 'name = "salute"\nversion = "1.0.7"\n')
    assert len(make_matrix(project, settings, releases=["1.0.0"]).unfit) == 1


def test_an_unknown_cell_is_red_if_its_diff_has_changed_since(project: Project, settings: Settings) -> None:
    fetch_source(project, settings, "salute")
    record(make_matrix(project, settings, patches=[BLANK]))
    shutil.rmtree(settings.cache_dir)
    assert ask(project, settings, BLANK, "--release", "1.0.0", "--verify").exit_code == 0
    diff = project.patches / BLANK / "default.patch"
    diff.write_text(diff.read_text().replace("[PATCH]", "[PATCH] Again:"))
    error = refusal(ask(project, settings, BLANK, "--release", "1.0.0", "--verify"))
    assert f"{BLANK} on 1.0.0: is stale: the diff has changed" in error.details


def test_evidence_that_holds_is_not_found_out_again(project: Project, settings: Settings) -> None:
    assert record(make_matrix(project, settings)) == 1
    shutil.rmtree(project.root / "bigtop.git")
    again = make_matrix(project, settings, patches=[DATE])
    assert states(again, DATE) == ["clean", "already-upstream"]
    assert record(again) == 0


def test_without_a_cache_evidence_still_holds(project: Project, settings: Settings) -> None:
    record(make_matrix(project, settings))
    shutil.rmtree(settings.cache_dir)
    assert make_matrix(project, settings, patches=[DATE]).doubts == ()


@pytest.mark.parametrize(
    ("recipe", "old", "new"),
    [
        ("1.0.0", 'sha512 = "', 'sha512 = "0'),
        ("1.0.0", 'commit = "', 'commit = "0'),
        ("1.1.0", 'name = "herald"\n', 'name = "herald"\nversion = "2"\n'),
    ],
    ids=["source", "Bigtop", "version"],
)
def test_another_pin_makes_evidence_stale_where_no_source_is_here(
    project: Project, settings: Settings, recipe: str, old: str, new: str
) -> None:
    patch_id = "herald/miniature-loopback-address"
    for release in BOTH:
        fetch_source(project, settings, "herald", release)
    record(make_matrix(project, settings, patches=[patch_id]))
    shutil.rmtree(settings.cache_dir)
    assert ask(project, settings, patch_id, "--verify").exit_code == 0
    path = project.recipes / f"{recipe}.toml"
    text = path.read_text()
    at = text.index("[bigtop]") if "commit" in old else text.index('name = "herald"')
    path.write_text(text[:at] + re.sub(f"{old}[0-9a-f]?", new, text[at:], count=1))
    matrix = make_matrix(project, settings, patches=[patch_id], releases=[recipe], fresh=True)
    assert matrix.doubts == (f"{patch_id} on {recipe}: is stale: what it is applied to has changed",)


@pytest.mark.parametrize(("path", "stale"), [("NOTE", False), (f"{COMMON}/salute/patch1-new.diff", True)])
def test_a_patch_to_bigtop_makes_evidence_of_a_component_stale_if_it_may_change_its_series(
    project: Project, settings: Settings, path: str, stale: bool
) -> None:
    fetch_source(project, settings, "salute")
    record(make_matrix(project, settings, patches=[BLANK]))
    shutil.rmtree(settings.cache_dir)
    write_patch(project, "bigtop/new", diff_of(path, "", diff_of("NEW", "", "new\n")))
    list_patches(project, DATE, "bigtop/new", BLANK)
    doubts = make_matrix(project, settings, patches=[BLANK], releases=["1.0.0"]).doubts
    assert doubts == ((f"{BLANK} on 1.0.0: is stale: what it is applied to has changed",) if stale else ())


def test_a_recipe_that_lists_what_does_not_apply_is_red(project: Project, settings: Settings) -> None:
    alone(project, "bigtop/gone", diff_of("gone", "one\n", "two\n"))
    assert ask(project, settings).exit_code == 0
    error = refusal(ask(project, settings, "--verify"))
    assert error.brief == "recipes list 1 patch that cannot be applied"
    said = "bigtop/gone on 1.0.0: the recipe lists it, and it does not apply: conflicts"
    assert error.details == said
    list_patches(project)
    assert ask(project, settings).exit_code == 0
    assert ask(project, settings, "--verify").exit_code == 0


def test_a_file_name_that_is_not_in_utf_8_can_be_told_of(project: Project, settings: Settings) -> None:
    diff = diff_of("XX", "one\n", "two\n").replace("a/XX", '"a/caf\\351"').replace("b/XX", '"b/caf\\351"')
    alone(project, "bigtop/cafe", diff)
    told = json.loads(ask(project, settings, "--json").stdout)
    detail = told["patches"][0]["releases"]["1.0.0"]["detail"]
    assert detail == "caf\\xe9: does not exist in index"
    assert load_evidence(project.patches / "bigtop/cafe").releases["1.0.0"].detail == detail


def test_a_changed_diff_makes_its_evidence_stale_and_status_writes_it_anew(
    project: Project, settings: Settings
) -> None:
    alone(project, "bigtop/one", changed(project, "new Date()", "new Date(0)"))
    folder = project.patches / "bigtop/one"
    record(make_matrix(project, settings))
    before = (folder / FILE).read_bytes()
    (folder / "default.patch").write_text(changed(project, "new Date()", "new Date(1)"))
    result = ask(project, settings, "--verify")
    error = refusal(result)
    assert isinstance(error, CheckFailed)
    assert error.exit_code == 1
    assert "bigtop/one on 1.0.0: is stale: the diff has changed" in error.details
    assert "bigtop/one on 1.1.0: is stale: the diff has changed" in error.details
    assert "bigtop-builder patch status" in error.hint
    assert (folder / FILE).read_bytes() == before
    assert ask(project, settings).exit_code == 0
    assert ask(project, settings, "--verify").exit_code == 0
    assert (folder / FILE).read_bytes() != before


def test_a_patch_before_it_makes_evidence_stale(project: Project, settings: Settings) -> None:
    alone(project, "bigtop/later", changed(project, "new Date()", "new Date(0)"))
    record(make_matrix(project, settings))
    write_patch(project, "bigtop/earlier", diff_of("NOTE", "", "first\n"))
    list_patches(project, "bigtop/earlier", "bigtop/later")
    matrix = make_matrix(project, settings, patches=["bigtop/later"])
    assert matrix.doubts == ("bigtop/later on 1.0.0: is stale: what it is applied to has changed",)


def test_evidence_that_lies_is_red_though_it_is_not_stale(project: Project, settings: Settings) -> None:
    record(make_matrix(project, settings))
    file = project.patches / DATE / FILE
    rewrite(file, '"clean"', '"offset"')
    assert make_matrix(project, settings, patches=[DATE]).doubts == ()
    error = refusal(ask(project, settings, DATE, "--verify"))
    assert f"{DATE} on 1.0.0: is wrong: recorded offset, found clean" in error.details
    assert "bigtop-builder patch status --again" in error.hint
    assert ask(project, settings).exit_code == 0
    assert '"offset"' in file.read_text()
    assert ask(project, settings, "--again").exit_code == 0
    assert '"offset"' not in file.read_text()


def test_a_patch_that_is_named_is_tried_anew(project: Project, settings: Settings) -> None:
    record(make_matrix(project, settings))
    file = project.patches / DATE / FILE
    rewrite(file, '"clean"', '"offset"')
    result = ask(project, settings, DATE)
    assert result.exit_code == 0
    assert "evidence written for 1 patch\n" in result.output
    assert '"offset"' not in file.read_text()


def test_verify_does_not_trust_the_cache(project: Project, settings: Settings) -> None:
    record(make_matrix(project, settings))
    for kept in (settings.cache_dir / "bases").glob("*.json"):
        kept.write_text(kept.read_text().replace('"clean"', '"offset"'))
    assert ask(project, settings, DATE, "--verify").exit_code == 0


def test_evidence_for_a_recipe_that_is_no_more_is_red_and_goes(project: Project, settings: Settings) -> None:
    record(make_matrix(project, settings))
    (project.recipes / "1.1.0.toml").unlink()
    error = refusal(ask(project, settings, DATE, "--verify"))
    assert f"{DATE} on 1.1.0: has evidence, and there is no such recipe" in error.details
    assert ask(project, settings, DATE).exit_code == 0
    assert list(load_evidence(project.patches / DATE).releases) == ["1.0.0"]


def test_a_status_of_one_release_leaves_the_others_evidence(project: Project, settings: Settings) -> None:
    record(make_matrix(project, settings))
    before = load_evidence(project.patches / DATE).releases["1.1.0"]
    (project.patches / DATE / "default.patch").write_text(changed(project, "new Date()", "new Date(1)"))
    record(make_matrix(project, settings, patches=[DATE], releases=["1.0.0"]))
    after = load_evidence(project.patches / DATE).releases
    assert after["1.1.0"] == before
    assert after["1.0.0"].patch != before.patch


def test_two_caches_find_the_same(project: Project, settings: Settings, tmp_path: Path) -> None:
    elsewhere = settings.model_copy(update={"cache_dir": tmp_path / "elsewhere"})
    assert make_matrix(project, settings).cells == make_matrix(project, elsewhere).cells


def test_nothing_is_written_into_the_clone(project: Project, settings: Settings) -> None:
    before = sorted((project.root / "bigtop.git").rglob("*"))
    make_matrix(project, settings)
    assert sorted((project.root / "bigtop.git").rglob("*")) == before


def go_on(project: Project, tmp_path: Path, *steps: dict[str, str]) -> str:
    """Let upstream go on after 1.1.0, a commit a step, and the recipe with it; return the newest commit."""
    tree, bare = tmp_path / "tree", project.root / "bigtop.git"
    run(["git", "clone", "--quiet", "--branch=rel/1.1.0", bare, tree])
    for number, files in enumerate(steps):
        for name, text in files.items():
            (tree / name).write_text(text)
        run(["git", "-C", tree, "add", "--all"])
        run(["git", "-C", tree, "commit", "--quiet", "--message", f"Step {number}"], env=AUTHOR)
    tip = run(["git", "-C", tree, "rev-parse", "HEAD"]).text
    run(["git", "-C", tree, "push", "--quiet", "origin", "HEAD:refs/heads/after"])
    recipe = project.recipes / "1.1.0.toml"
    rewrite(recipe, load_recipe("1.1.0", project.recipes)[0].bigtop.commit, tip)
    return tip


def test_a_patch_to_a_file_that_a_clone_lacks_is_unknown_and_the_others_are_judged(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    go_on(project, tmp_path, {"large": "0123456789\n" * 500}, {"large": "few words\n"})
    whole = project.root / "bigtop.git"
    whole.rename(tmp_path / "whole.git")
    run(["git", f"--git-dir={tmp_path}/whole.git", "config", "uploadpack.allowFilter", "true"])
    words = ["git", "clone", "--quiet", "--bare", "--filter=blob:limit=4k"]
    run([*words, f"file://{tmp_path}/whole.git", whole])
    run(["git", f"--git-dir={whole}", "remote", "remove", "origin"])
    write_patch(project, "bigtop/large", diff_of("large", "few words\n", "some words\n"))
    matrix = make_matrix(project, settings, patches=["bigtop/large", DATE])
    assert states(matrix, DATE) == ["clean", "already-upstream"]
    assert states(matrix, "bigtop/large") == ["conflict", "unknown"]
    assert "so nothing is proved of a patch to large" in matrix.cells["bigtop/large", "1.1.0"].why
    assert "name a whole clone in mirrors.git" in ask(project, settings, "bigtop/large").stdout
    record(matrix)
    assert set(load_evidence(project.patches / "bigtop/large").releases) == {"1.0.0"}


def test_a_listed_patch_to_a_file_that_a_clone_lacks_is_unknown_and_the_others_are_judged(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    large = "0123456789\n" * 500
    go_on(project, tmp_path, {"large": large})
    whole = project.root / "bigtop.git"
    whole.rename(tmp_path / "whole.git")
    run(["git", f"--git-dir={tmp_path}/whole.git", "config", "uploadpack.allowFilter", "true"])
    words = ["git", "clone", "--quiet", "--bare", "--filter=blob:limit=4k"]
    run([*words, f"file://{tmp_path}/whole.git", whole])
    run(["git", f"--git-dir={whole}", "remote", "remove", "origin"])
    write_patch(project, "bigtop/large", diff_of("large", large, large.replace("9", "nine", 1)))
    write_patch(project, "bigtop/note", diff_of("NOTE", "", "a note\n"))
    list_patches(project, "bigtop/large", release="1.1.0")
    matrix = make_matrix(project, settings)
    assert states(matrix, "bigtop/large") == ["conflict", "unknown"]
    assert "lacks objects that the patch needs" in matrix.cells["bigtop/large", "1.1.0"].why
    assert states(matrix, "bigtop/note") == ["clean", "clean"]
    assert states(matrix, BLANK)[1] == "unknown"


@pytest.mark.parametrize(("name", "state"), [("writeChangelog", "clean"), ("writeAnother", "conflict")])
def test_lines_that_a_later_commit_took_out_again_are_not_there(
    project: Project, settings: Settings, tmp_path: Path, name: str, state: str
) -> None:
    landed = load_recipe("1.1.0", project.recipes)[0].bigtop.commit
    before = upstream(project, CHANGELOG).replace("ext.writeChangelog", f"ext.{name}")
    tip = go_on(project, tmp_path, {CHANGELOG: before, "NOTE": upstream(project, CHANGELOG, "1.1.0")})
    found = cell(project, settings, DATE, "1.1.0").found
    assert found is not None
    assert (found.state, found.commit) == (state, "")
    assert found.detail.endswith(f"upstream had it in {landed}, its lines went again in {tip}")
    list_patches(project, DATE, release="1.1.0")
    assert ask(project, settings).exit_code == 0
    refused = CliRunner().invoke(drop_, [DATE, "1.1.0"], obj=options(project, settings))
    assert f"is {state} on 1.1.0, not already upstream" in refusal(refused).brief


def test_a_patch_whose_lines_changed_since_it_landed_was_superseded(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    landed = load_recipe("1.1.0", project.recipes)[0].bigtop.commit
    text = upstream(project, CHANGELOG, "1.1.0")
    assert text.count("SOURCE_DATE_EPOCH")
    go_on(project, tmp_path, {CHANGELOG: text.replace("ext.writeChangelog", "ext.writeAnother")})
    found = cell(project, settings, DATE, "1.1.0").found
    assert found is not None
    assert (found.state, found.commit) == ("already-upstream", landed)
    assert found.detail == "superseded later: its lines, or those around them, have changed since"


REWORKED = "bigtop/reworked"
PULL = "https://github.com/apache/bigtop/pull/7"


def test_a_patch_that_reviewers_changed_goes_by_the_commit_that_sync_recorded(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    landed = rework(project, tmp_path)
    before = cell(project, settings, REWORKED, "1.1.0").found
    assert before is not None
    assert before.state == "conflict", "its content is nowhere, so nobody knows yet"
    say_merged(project, landed)
    assert overview(project, settings, patches=[REWORKED])[0].drops == (Drop(release="1.1.0", by="commit"),)
    assert ask(project, settings, REWORKED, "--release", "1.1.0").exit_code == 0
    found = load_evidence(project.patches / REWORKED).releases["1.1.0"]
    assert (found.state, found.commit, found.by) == ("already-upstream", landed, "patch.toml")
    (row,) = overview(project, settings, patches=[REWORKED])
    assert (row.standing, row.next) == ("can be dropped", f"bigtop-builder patch drop {REWORKED} 1.1.0")
    done = CliRunner().invoke(drop_, [REWORKED, "1.1.0"], obj=options(project, settings))
    assert done.stdout == (
        f"{REWORKED} went from 1.1.0\n  upstream commit {landed} (patch.toml) is in 1.1.0\n"
        f"  merged with other lines, says patch.toml, by {PULL}\n  no recipe lists it: its folder too\n"
    )


def test_a_commit_that_sync_recorded_and_this_release_took_back_takes_no_patch_out(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    landed = rework(project, tmp_path)
    back = revert(project, tmp_path, landed)
    say_merged(project, landed)
    assert ask(project, settings, REWORKED, "--release", "1.1.0").exit_code == 0
    found = load_evidence(project.patches / REWORKED).releases["1.1.0"]
    assert (found.state, found.commit) == ("conflict", "")
    assert found.detail.endswith(f"upstream had it in {landed} and took it back in {back}")
    (row,) = overview(project, settings, patches=[REWORKED])
    assert (row.standing, row.drops) == ("merged", ()), "patch drop would refuse it"
    refused = CliRunner().invoke(drop_, [REWORKED, "1.1.0"], obj=options(project, settings))
    assert "is conflict on 1.1.0, not already upstream" in refusal(refused).brief


def test_a_patch_that_applies_stays_though_patch_toml_names_a_commit_of_that_release(
    project: Project, settings: Settings
) -> None:
    write_patch(project, REWORKED, diff_of("NOTE", "", "a note\n"))
    landed = load_recipe("1.1.0", project.recipes)[0].bigtop.commit
    say_merged(project, landed)
    found = cell(project, settings, REWORKED, "1.1.0").found
    assert found is not None
    assert (found.state, found.detail) == (
        "clean",
        f"upstream has it in {landed} (patch.toml), and it applies all the same",
    )


def rework(project: Project, tmp_path: Path) -> str:
    """A patch to a file of a release that upstream took with other lines; return the commit."""
    text = "".join(f"line {number}\n" for number in range(9))
    landed = go_on(project, tmp_path, {"NOTE": text}, {"NOTE": text.replace("line 4", "the fifth one")})
    write_patch(project, REWORKED, diff_of("NOTE", text, text.replace("line 4", "line four, at last")))
    list_patches(project, REWORKED, release="1.1.0")
    return landed


def revert(project: Project, tmp_path: Path, commit: str) -> str:
    """Let upstream revert a commit, and change the same line once more; return the commit that reverts it."""
    tree, note = tmp_path / "tree", tmp_path / "tree/NOTE"
    run(["git", "-C", tree, "revert", "--no-edit", commit], env=AUTHOR)
    back = run(["git", "-C", tree, "rev-parse", "HEAD"]).text
    note.write_text(note.read_text().replace("line 4", "line fifth"))
    run(["git", "-C", tree, "commit", "--quiet", "--all", "--message", "Count otherwise"], env=AUTHOR)
    run(["git", "-C", tree, "push", "--quiet", "origin", "HEAD:refs/heads/after"])
    tip = run(["git", "-C", tree, "rev-parse", "HEAD"]).text
    rewrite(project.recipes / "1.1.0.toml", commit, tip)
    return back


def say_merged(project: Project, commit: str) -> None:
    """Write what `upstream sync` does of a pull request that a button merged."""
    facts = project.patches / REWORKED / "patch.toml"
    merged = {"state": "merged", "commit": commit, "url": PULL}
    facts.write_text(with_facts(facts.read_text(), {"upstream": merged}))


def test_a_patch_that_applies_is_not_there_though_a_commit_made_the_same_change_elsewhere(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    many = "".join(f"line {number}\n" for number in range(30))
    here = many.replace("line 15\n", "line 15\nand some more of it\n")
    landed = go_on(project, tmp_path, {"NOTE": many * 2}, {"NOTE": here + many})
    write_patch(project, "bigtop/second", diff_of("NOTE", here + many, here * 2))
    found = cell(project, settings, "bigtop/second", "1.1.0").found
    assert found is not None
    assert (found.state, found.detail) == (
        "clean",
        f"upstream has the same change in {landed} (block cover), and it applies all the same",
    )
    write_patch(project, "bigtop/around", diff_of("NOTE", here + many, here + many.replace("16", "sixteen")))
    list_patches(project, "bigtop/around", "bigtop/second", release="1.1.0")
    found = cell(project, settings, "bigtop/second", "1.1.0").found
    assert found is not None
    assert found.state == "conflict"


FLOW = packaging("flow", "set -e\nmake flow\n")
BUILD = "bigtop-packages/src/common/flow/do-component-build"


@pytest.mark.parametrize(
    ("donor", "state"), [("before", "clean"), ("fixed", "already-upstream"), ("other", "conflict")]
)
def test_carried_packaging_has_the_history_of_the_commit_that_it_comes_from(
    settings: Settings, tmp_path: Path, donor: str, state: str
) -> None:
    git = new_upstream(tmp_path / "bigtop")
    first = {"bigtop.bom": bom(block("flow")), **FLOW}
    commits = {"other": git.change("An old one", {**first, BUILD: "set -x\nmake all flow\n"})}
    commits["before"] = git.change("Build flow alone", {BUILD: FLOW[BUILD]})
    commits["fixed"] = git.edit("BIGTOP-47. Test flow", ("make flow\n", "make flow test\n"), path=BUILD)
    diff = git.diff(commits["fixed"]).decode()
    newest = git.change(
        "Drop flow", {"bigtop.bom": bom(block("store")), **packaging("store"), **dict.fromkeys(FLOW)}
    )
    recipe = recipe_text("1.0.0", newest).replace('"bigtop-utils"', '"flow"')
    project = Project(tmp_path)
    project.recipes.mkdir()
    (project.recipes / "1.0.0.toml").write_text(
        f'{recipe}\n[[carry]]\ncomponent = "flow"\nfrom = "{commits[donor]}"\n'
    )
    write_patch(project, "bigtop/flow", diff)
    found = cell(project, settings, "bigtop/flow").found
    assert found is not None
    assert (found.state, found.commit) == (state, commits["fixed"] if donor == "fixed" else "")
    assert commits["fixed"] not in found.detail


def test_a_shallow_clone_is_named(project: Project, settings: Settings, tmp_path: Path) -> None:
    whole = project.root / "bigtop.git"
    whole.rename(tmp_path / "whole.git")
    words = ["git", "clone", "--quiet", "--bare", "--depth=1", "--no-single-branch"]
    run([*words, f"file://{tmp_path}/whole.git", whole])
    with pytest.raises(TreeError, match=r"bigtop\.git"):
        make_matrix(project, settings, patches=[DATE])


def test_a_patch_that_cannot_be_read_is_named_with_its_line(project: Project, settings: Settings) -> None:
    alone(project, "bigtop/torn", changed(project, "new Date()", "new Date(0)").replace("@@ -", "@@ x", 1))
    with pytest.raises(InputError, match=r"bigtop/torn/default\.patch:\d+: "):
        make_matrix(project, settings)


def test_an_unknown_patch_is_told_the_nearest(project: Project, settings: Settings) -> None:
    with pytest.raises(InputError, match="no patch 'bigtop/miniature-changelog-dat'") as error:
        make_matrix(project, settings, patches=["bigtop/miniature-changelog-dat"])
    assert DATE in error.value.hint
    with pytest.raises(InputError) as error:
        make_matrix(project, settings, patches=["Bigtop/MINIATURE"])
    assert error.value.hint == f"the nearest is {DATE}"


def test_the_matrix_is_a_table_and_says_what_is_to_be_done(project: Project, settings: Settings) -> None:
    list_patches(project, DATE, release="1.1.0")
    text = ask(project, settings).stdout
    assert text.splitlines()[0].split() == ["patch", *BOTH]
    row = next(line for line in text.splitlines() if line.startswith(DATE))
    assert row.split() == [DATE, "clean*", "upstream*"]
    assert f"bigtop-builder patch drop {DATE} 1.1.0" in text
    assert "bigtop-builder source fetch 1.0.0 -c herald" in text
    assert "\n\n* the recipe lists the patch\n\n" in text


def test_only_marks_that_are_used_are_explained(project: Project, settings: Settings) -> None:
    alone(project, "bigtop/ranged", changed(project, "new Date()", "new Date(0)"), listed=False)
    folder = project.patches / "bigtop/ranged"
    (folder / "default.patch").rename(folder / "until-1.0.0.patch")
    result = ask(project, settings)
    assert "\n\n- no diff is for that release, or " in result.stdout
    assert "* the recipe" not in result.stdout


def test_the_matrix_is_json_too(project: Project, settings: Settings) -> None:
    told = json.loads(ask(project, settings, "--json").stdout)
    assert told["releases"] == list(BOTH)
    patch = next(one for one in told["patches"] if one["id"] == DATE)
    assert patch["releases"]["1.0.0"]["state"] == "clean"
    assert patch["releases"]["1.0.0"]["listed"]
    assert patch["releases"]["1.1.0"]["since"] == "rel/1.1.0"


def test_an_empty_queue_has_no_patches(project: Project, settings: Settings) -> None:
    shutil.rmtree(project.patches)
    project.patches.mkdir()
    for release in BOTH:
        list_patches(project, release=release)
    assert ask(project, settings).stdout == "no patches\n"

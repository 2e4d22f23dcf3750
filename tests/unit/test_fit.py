# SPDX-License-Identifier: Apache-2.0
"""A local patch that does not apply to a component's source is told before anything is built."""

import shutil
from collections.abc import Callable

import pytest

from bigtop_builder.errors import TreeError
from bigtop_builder.executor.material import fetch_source, material
from bigtop_builder.fit import require_fit
from bigtop_builder.plan import Step
from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project
from local_patches import diff_of, list_patches, write_patch

JAVA = "src/main/java/bigtop/miniature/salute/Salutation.java"
BLANK = "salute/miniature-blank-name"

Ask = Callable[[], tuple[Survey, Step]]


@pytest.fixture(name="ask")
def fixture_ask(project: Project, settings: Settings) -> Ask:
    """Survey the miniature; the step of salute with it."""

    def ask() -> tuple[Survey, Step]:
        road = survey("1.0.0", project=project, settings=settings)
        return road, next(step for step in road.plan().steps if step.name == "salute")

    return ask


@pytest.fixture(name="fetched")
def fixture_fetched(ask: Ask) -> None:
    """The source of salute is in the cache."""
    road, step = ask()
    assert step.source
    fetch_source(road, step, step.source)


def with_fuzz(project: Project) -> None:
    """Let a line of context be another one than the source's: GNU patch would take it with fuzz."""
    diff = project.patches / BLANK / "default.patch"
    text = diff.read_text()
    context = next(
        line for line in text.partition("@@ ")[2].splitlines()[1:] if line.startswith(" ") and line.strip()
    )
    diff.write_text(text.replace(f"\n{context}\n", f"\n{context} // not there\n", 1))


def upstreams(project: Project, name: str, diff: str) -> None:
    """Let Bigtop have a patch of its own to salute."""
    laid = f"bigtop-packages/src/common/salute/{name}"
    write_patch(project, "bigtop/as-upstream", diff_of(laid, "", diff))
    list_patches(project, "bigtop/as-upstream", BLANK)


@pytest.mark.usefixtures("fetched")
def test_a_patch_that_applies_is_taken(ask: Ask) -> None:
    require_fit(*ask())


@pytest.mark.usefixtures("fetched")
def test_a_patch_with_fuzz_is_refused_with_its_hunk_and_the_way_out(ask: Ask, project: Project) -> None:
    with_fuzz(project)
    with pytest.raises(TreeError) as caught:
        require_fit(*ask())
    told = caught.value
    assert told.brief == f"patch {BLANK} does not apply to the source of salute 1.0.0: {JAVA}, hunk 1"
    assert "// not there" in told.details
    assert "there is instead:" in told.details
    assert f"patch drop {BLANK} 1.0.0" in told.hint
    assert str(project.patches / BLANK / "default.patch") in told.hint


def test_what_a_build_is_given_is_not_ready_while_a_patch_does_not_apply(ask: Ask, project: Project) -> None:
    with_fuzz(project)
    with pytest.raises(TreeError, match=f"patch {BLANK} does not apply to the source"):
        material(*ask())


@pytest.mark.usefixtures("fetched")
def test_what_was_found_is_kept(ask: Ask, project: Project, settings: Settings) -> None:
    with_fuzz(project)
    for _ in range(2):
        with pytest.raises(TreeError, match="hunk 1"):
            require_fit(*ask())
        shutil.rmtree(settings.cache_dir / "sources", ignore_errors=True)


def test_a_source_that_is_not_here_is_not_fetched_to_try_patches(
    ask: Ask, project: Project, settings: Settings
) -> None:
    with_fuzz(project)
    require_fit(*ask())
    assert not (settings.cache_dir / "sources").exists()


@pytest.mark.usefixtures("fetched")
def test_a_local_patch_lies_on_upstreams(ask: Ask, project: Project) -> None:
    text = (project.root / "sources/salute-1.0.0" / JAVA).read_text()
    upstreams(
        project, "patch1-strip.diff", diff_of(JAVA, text, text.replace("name.isEmpty()", "blank(name)"))
    )
    with pytest.raises(TreeError, match=f"patch {BLANK} does not apply"):
        require_fit(*ask())


@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize("diff", ["no diff at all\n", diff_of(JAVA, "not there\n", "nor this\n")])
def test_where_upstreams_own_does_not_apply_the_build_tells(ask: Ask, project: Project, diff: str) -> None:
    with_fuzz(project)
    upstreams(project, "patch1-odd.diff", diff)
    require_fit(*ask())


@pytest.mark.usefixtures("fetched")
def test_patches_to_what_has_no_source_are_left_to_the_build(ask: Ask) -> None:
    road, _ = ask()
    (step,) = (step for step in road.plan().steps if step.name == "bigtop-utils")
    require_fit(road, step)

# SPDX-License-Identifier: Apache-2.0
"""Plans are values: which steps, in which order, with which ids, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bigtop_builder.cache import ResultCache
from bigtop_builder.depot import FolderDepot
from bigtop_builder.errors import InputError
from bigtop_builder.plan import HOST, Grounds, Plan, make_plan
from bigtop_builder.result import LOG
from bigtop_builder.settings import Mirrors, Settings, SourceSettings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project
from local_patches import diff_of, list_patches, write_patch
from results import result_of

ORDER = ["bigtop-utils", "bigtop-jsvc", "salute", "herald"]
TOLD = "   # adds builds to the lock: review and commit it"
BUMP = "bigtop-builder plan 1.0.0 --bump"
STALE = "the lock is stale: this build has no serial yet"


@pytest.fixture
def road(project: Project, settings: Settings) -> Survey:
    """The miniature's release 1.0.0 with a current lock."""
    return bump(survey("1.0.0", project=project, settings=settings))


def bump(road: Survey) -> Survey:
    road.lock_path.write_text(road.bumped().to_toml())
    return again(road)


def again(road: Survey, settings: Settings | None = None) -> Survey:
    return survey(road.name, project=road.project, settings=settings or road.settings)


def edit(road: Survey, old: str, new: str) -> Survey:
    """Survey the release anew with another text in its recipe."""
    text = road.path.read_text()
    assert old in text
    road.path.write_text(text.replace(old, new))
    return again(road)


def build(road: Survey, *names: str) -> None:
    """Put results of these components into the cache."""
    for step in road.plan().steps:
        if step.name in (names or ORDER):
            with road.cache.making() as folder:
                (folder / LOG).write_text("built\n")
                road.cache.put(folder, result_of(road, step, folder))


def told(plan: Plan) -> list[tuple[str, str, str]]:
    """Component, action and reason of each step."""
    return [(step.name, step.action, step.reason) for step in plan.steps]


def ids(road: Survey) -> Mapping[str, str]:
    return {step.name: step.id for step in road.plan().steps}


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


def amend_salutes_patch(road: Survey) -> Survey:
    patch = road.project.patches / "salute/miniature-blank-name/default.patch"
    patch.write_text(patch.read_text().replace("trimmed", "clipped"))
    return again(road)


def test_steps_come_in_dependency_order_and_say_what_they_wait_for(road: Survey) -> None:
    assert [(step.name, step.after) for step in road.plan().steps] == [
        ("bigtop-utils", ()),
        ("bigtop-jsvc", ("bigtop-utils",)),
        ("salute", ("bigtop-utils",)),
        ("herald", ("bigtop-jsvc", "salute")),
    ]


def test_what_a_step_needs_is_all_that_it_comes_after_however_far(road: Survey) -> None:
    plan = road.plan()
    names = {step.name: [need.name for need in plan.needs(step)] for step in plan.steps}
    assert names["bigtop-utils"] == []
    assert names["herald"] == ["bigtop-utils", "bigtop-jsvc", "salute"]


def test_a_bump_plans_once_and_tries_no_other_site(road: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = edit(road, 'name = "salute"\n', 'name = "salute"\nenvironment = {QUIET = "yes"}\n')
    plans = []

    def counted(grounds: Grounds, selected: Sequence[str] = ()) -> Plan:
        plans.append(make_plan(grounds, selected))
        return plans[-1]

    monkeypatch.setattr("bigtop_builder.survey.make_plan", counted)
    assert stale.bumped() == road.lock.bumped({step.name: step.id for step in plans[0].steps})
    assert len(plans) == 1


def test_planning_twice_gives_equal_plans_and_writes_nothing(road: Survey) -> None:
    before = sorted(road.project.root.rglob("*"))
    assert again(road).plan() == road.plan()
    assert sorted(road.project.root.rglob("*")) == before
    assert not road.cache.root.exists()


def test_without_a_lock_nothing_is_built_until_it_is_written(project: Project, settings: Settings) -> None:
    plan = survey("1.0.0", project=project, settings=settings).plan()
    assert told(plan) == [(name, "refuse", STALE) for name in ORDER]
    said = r"the plan for 1\.0\.0 cannot be carried out: 4 of 4 steps are refused"
    with pytest.raises(InputError, match=said) as refusal:
        plan.require_ready()
    assert refusal.value.hint == BUMP
    assert refusal.value.details.splitlines() == [f"{name}: {STALE}" for name in ORDER]


def test_with_a_current_lock_all_is_run_in_its_first_version(road: Survey) -> None:
    plan = road.plan()
    plan.require_ready()
    assert told(plan) == [(name, "run", "not built yet") for name in ORDER]
    assert {(step.serial, step.stamp) for step in plan.steps} == {(1, "1+bt1.0.0.1~deb12")}


def test_what_was_built_is_reused(road: Survey) -> None:
    build(road, "bigtop-utils", "salute")
    assert told(road.plan()) == [
        ("bigtop-utils", "reuse", "built before"),
        ("bigtop-jsvc", "run", "not built yet"),
        ("salute", "reuse", "built before"),
        ("herald", "run", "not built yet"),
    ]


def test_a_changed_component_patch_touches_this_component_and_its_dependents_alone(road: Survey) -> None:
    before = ids(road)
    assert moved(before, ids(amend_salutes_patch(road))) == ["salute", "herald"]


def test_a_changed_patch_is_the_reason_for_the_next_build(road: Survey) -> None:
    build(road)
    changed = amend_salutes_patch(road)
    stale = {step.name: step for step in changed.plan().steps}
    assert stale["salute"].reason == "the lock is stale: patch salute/miniature-blank-name changed"
    assert stale["herald"].reason == "the lock is stale: dependency salute changed"

    rerun = {step.name: step for step in bump(changed).plan().steps}
    assert [step.action for step in rerun.values()] == ["reuse", "reuse", "run", "run"]
    assert rerun["salute"].reason == "patch salute/miniature-blank-name changed"
    assert rerun["herald"].reason == "dependency salute changed"
    assert [step.serial for step in rerun.values()] == [1, 1, 2, 2]


def salutes(road: Survey) -> tuple[str, int, str]:
    """Action, serial and reason of salute's step."""
    return next(
        (step.action, step.serial, step.reason) for step in road.plan().steps if step.name == "salute"
    )


def test_an_id_that_comes_back_is_told_as_the_build_that_it_was_and_gets_the_next_number(
    road: Survey,
) -> None:
    path = road.project.patches / "salute/miniature-blank-name/default.patch"
    first = path.read_text()
    build(road)
    build(bump(amend_salutes_patch(road)))
    path.write_text(first)
    back = "the same as build 1; build 2 came between, so it is number 3"
    assert salutes(again(road)) == ("refuse", 0, f"the lock is stale: {back}")
    assert salutes(bump(again(road))) == ("run", 3, back)


def test_a_reason_is_what_is_new_since_the_build_before_in_the_lock_and_not_since_the_newest_here(
    road: Survey,
) -> None:
    path = road.project.patches / "salute/miniature-blank-name/default.patch"
    lock, first = road.lock_path.read_text(), path.read_text()
    build(bump(amend_salutes_patch(road)))
    road.lock_path.write_text(lock)
    path.write_text(first)
    assert {step.name: step.reason for step in again(road).plan().steps}["herald"] == "not built yet"
    assert salutes(again(road)) == ("run", 1, "not built yet")


def test_where_the_build_before_is_not_on_this_machine_an_older_one_is_named(road: Survey) -> None:
    build(road)
    path = road.project.patches / "salute/miniature-blank-name/default.patch"
    bump(amend_salutes_patch(road))
    path.write_text(path.read_text().replace("clipped", "shorn"))
    assert salutes(bump(again(road))) == (
        "run",
        3,
        "since build 1: patch salute/miniature-blank-name changed",
    )


def test_a_patch_taken_in_and_one_dropped_are_told(road: Survey) -> None:
    build(road)
    write_patch(road.project, "salute/louder", "a diff\n")
    list_patches(
        road.project, "bigtop/miniature-changelog-date", "salute/louder", "herald/miniature-loopback-address"
    )
    reason = next(step.reason for step in bump(again(road)).plan().steps if step.name == "salute")
    assert reason == "patch salute/louder is new, patch salute/miniature-blank-name is gone"


def test_packaging_that_changed_by_itself_is_told(road: Survey) -> None:
    build(road)
    edit(road, "[bigtop]\n", '[bigtop]\nexclude = ["bigtop-packages/src/deb/salute/rules"]\n')
    reasons = {step.name: step.reason for step in bump(again(road)).plan().steps}
    assert reasons["salute"] == "packaging changed (deb/salute/rules is gone)"
    assert reasons["herald"] == "dependency salute changed"


def test_a_patch_to_a_script_that_all_builds_read_touches_them_all(road: Survey) -> None:
    before = ids(road)
    list_patches(road.project, "salute/miniature-blank-name", "herald/miniature-loopback-address")
    assert moved(before, ids(again(road))) == ORDER


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        ("gradle.properties", ORDER),
        ("buildSrc/build.gradle", ORDER),
        (".mvn/jvm.config", ORDER),
        ("bigtop-packages/build.gradle", ORDER),
        ("bigtop-packages/src/hooks/all", ORDER),
        ("bigtop_toolchain/manifests/maven.pp", []),
        ("pom.xml", []),
        ("bigtop-packages/src/rpm/salute/SPECS/salute.spec", []),
    ],
)
def test_what_a_patch_adds_to_the_tree_is_in_each_id_unless_no_build_reads_it(
    road: Survey, path: str, touched: list[str]
) -> None:
    before = ids(road)
    edit(road, "[bigtop]\n", "[bigtop]\nexclude = []\n")
    write_patch(road.project, "bigtop/adds-a-file", diff_of(path, "", "a line\n"))
    list_patches(road.project, *road.recipe.patches, "bigtop/adds-a-file")
    assert moved(before, ids(again(road))) == touched


def test_the_serial_is_not_in_the_id(road: Survey) -> None:
    first = ids(road)
    grown = road.lock.bumped(dict.fromkeys(ORDER, "e" * 64)).bumped(dict(first))
    road.lock_path.write_text(grown.to_toml())
    assert ids(again(road)) == first
    assert {step.serial for step in again(road).plan().steps} == {3}


def test_another_gradle_builds_other_packages(road: Survey) -> None:
    wrapper = road.settings.model_copy(update={"gradle": "wrapper"})
    assert moved(ids(road), ids(again(road, wrapper))) == ORDER


def test_where_a_site_fetches_its_sources_from_is_not_in_the_id(road: Survey) -> None:
    mirrors = road.settings.mirrors.model_copy(update={"maven": "http://mirror.example/maven"})
    assert ids(again(road, road.settings.model_copy(update={"mirrors": mirrors}))) == ids(road)


def test_a_components_own_property_touches_it_and_its_dependents(road: Survey) -> None:
    before = ids(road)
    after = ids(edit(road, 'name = "salute"\n', 'name = "salute"\nmaven_properties = {quiet = "yes"}\n'))
    assert moved(before, after) == ["salute", "herald"]


def test_limits_of_a_container_touch_no_id(road: Survey) -> None:
    before = ids(road)
    assert ids(edit(road, "memory_mb = 2048", "memory_mb = 1024")) == before


def test_an_unpinned_source_is_refused_with_the_command_that_pins_it(road: Survey) -> None:
    pinned = next(line for line in road.path.read_text().splitlines() if line.startswith('sha512 = "afb'))
    steps = {step.name: step for step in edit(road, pinned, "").plan().steps}
    salute, herald = steps["salute"], steps["herald"]
    assert (salute.action, salute.id) == ("refuse", "")
    assert salute.reason == "source is unpinned: file:../sources/salute-1.0.0"
    assert salute.hint == "bigtop-builder source fetch 1.0.0 -c salute --pin"
    assert (herald.action, herald.reason) == ("refuse", "salute, which it depends on, cannot be built")
    assert herald.hint == salute.hint
    assert steps["bigtop-jsvc"].action == "run"


def test_the_ways_out_of_a_refused_plan_are_to_pin_first_and_to_bump_then(road: Survey) -> None:
    lines = [line for line in road.path.read_text().splitlines() if line.startswith('sha512 = "')]
    for line in lines:
        edit(road, line, "")
    plan = again(road).plan()
    unpinned = "".join(f" -c {step.name}" for step in plan.steps if step.source and not step.source.sha512)
    assert unpinned == " -c bigtop-jsvc -c salute -c herald"
    pin = f"bigtop-builder source fetch 1.0.0{unpinned} --pin"
    assert plan.ways_out == (pin, f"{BUMP}{TOLD}")
    with pytest.raises(InputError) as refusal:
        plan.require_ready()
    assert refusal.value.hint == f"{pin}, then {BUMP}{TOLD}"
    assert road.plan().ways_out == ()


def test_a_plan_for_the_host_is_bumped_for_the_host(road: Survey) -> None:
    on_host = replace(road, image=HOST, image_id="f" * 64)
    assert (on_host.host, road.host) == (True, False)
    (way,) = on_host.plan().ways_out
    assert way.endswith(f"; or else bigtop-builder plan 1.0.0 --builder host --bump{TOLD}")
    assert way.startswith("take --builder docker, as where the lock was written")


def test_a_survey_goes_on_with_another_lock_as_if_it_had_been_read(
    project: Project, settings: Settings
) -> None:
    before = survey("1.0.0", project=project, settings=settings)
    bumped = before.with_lock(before.bumped())
    assert (before.lock_sha256, before.lock_path.exists()) == ("", False)
    bumped.lock_path.write_text(bumped.lock.to_toml())
    assert bumped == again(before)
    assert bumped.plan() == again(before).plan()


def test_a_bump_leaves_out_what_has_no_id_yet(road: Survey) -> None:
    pinned = next(line for line in road.path.read_text().splitlines() if line.startswith('sha512 = "afb'))
    assert edit(road, pinned, "").bumped() == road.lock


def test_a_source_of_a_kind_that_the_site_does_not_use_is_refused(road: Survey) -> None:
    local = road.settings.model_copy(update={"sources": SourceSettings(kinds=("file",))})
    jsvc = next(step for step in again(road, local).plan().steps if step.name == "bigtop-jsvc")
    assert (jsvc.action, jsvc.reason) == ("refuse", "no source of a kind this site uses (file)")


def test_a_selected_component_brings_what_it_depends_on(road: Survey) -> None:
    plan = road.plan(("salute",))
    assert [step.name for step in plan.steps] == ["bigtop-utils", "salute"]
    assert plan.unselected == ("bigtop-jsvc", "herald")


def test_selection_changes_no_id(road: Survey) -> None:
    whole = {step.name: step for step in road.plan().steps}
    assert road.plan(("herald",)).steps == tuple(whole.values())
    assert road.plan(("salute",)).steps == (whole["bigtop-utils"], whole["salute"])


def test_bumping_a_selection_leaves_the_others_in_the_lock_alone(
    project: Project, settings: Settings
) -> None:
    lock = survey("1.0.0", project=project, settings=settings).bumped(("salute",))
    assert sorted(lock.components) == ["bigtop-utils", "salute"]


def test_an_unknown_component_is_refused_with_those_there_are(road: Survey) -> None:
    with pytest.raises(InputError, match=r"recipe 1\.0\.0 has no component 'trumpet'") as refusal:
        road.plan(("trumpet",))
    assert refusal.value.hint == "it has bigtop-utils, bigtop-jsvc, salute, herald"


def test_a_lock_of_a_site_with_other_settings_says_which_they_are(road: Survey) -> None:
    site = road.settings.model_copy(update={"gradle": "wrapper", "mirrors": Mirrors(debian_security="")})
    planned = again(road, site).plan()
    words = 'gradle = "system", mirrors.debian_security = "http://deb.debian.org/debian-security"'
    assert {step.reason for step in planned.steps} == {
        f"the lock is stale: it is that of a site with {words}"
    }
    (way,) = planned.ways_out
    assert way.startswith(
        f"take {words}, as where the lock was written; or else bigtop-builder plan 1.0.0 --bump"
    )


def test_a_lock_that_fits_no_site_is_bumped_with_a_word_on_what_that_does(road: Survey) -> None:
    path = road.project.patches / "salute/miniature-blank-name/default.patch"
    path.write_text(path.read_text() + "\n")
    (way,) = again(road).plan().ways_out
    assert way == f"{BUMP}{TOLD}"


def test_a_misspelt_component_is_refused_before_anything_is_fetched(road: Survey) -> None:
    recipe = road.path
    recipe.write_text(recipe.read_text().replace("../bigtop.git", "https://127.0.0.1:9/bigtop.git"))
    with pytest.raises(InputError) as refusal:
        survey("1.0.0", project=road.project, settings=road.settings, selected=["salut"])
    assert refusal.value.hint.startswith("the nearest is salute; it has ")


def test_each_release_has_versions_of_its_own(road: Survey) -> None:
    later = bump(survey("1.1.0", project=road.project, settings=road.settings))
    assert {step.stamp for step in later.plan().steps} == {"1+bt1.1.0.1~deb12"}


def test_a_property_a_variable_or_a_script_that_changed_is_told_by_its_name(road: Survey) -> None:
    build(road)
    changed = edit(road, 'name = "salute"\n', 'name = "salute"\nenvironment = {QUIET = "yes"}\n')
    changed = bump(edit(changed, 'version = "17"', 'version = "11"'))
    reasons = {step.name: step.reason for step in changed.plan().steps}
    assert reasons["bigtop-utils"] == "properties changed (BIGTOP_JDK: '17' became '11')"
    assert "properties changed (BIGTOP_JDK: '17' became '11', QUIET is new)" in reasons["salute"]


def test_a_patch_to_bigtops_own_scripts_names_the_script(road: Survey) -> None:
    build(road)
    list_patches(road.project, "salute/miniature-blank-name", "herald/miniature-loopback-address")
    reason = bump(again(road)).plan().steps[0].reason
    assert reason == "shared scripts changed (changelog.gradle)"


@pytest.mark.parametrize(
    ("old", "new", "touched"),
    [
        ('version = "17"', 'version = "11"', ORDER),
        ('"openjdk-17-jdk-headless"', '"openjdk-17-jdk"', ORDER),
        ('packages = ["libcap-dev"]', 'packages = ["libcap-dev", "cmake"]', ORDER),
        ("[image]\n", '[image]\nenvironment = {A = "b"}\n', ORDER),
        ("[image.jdk]", '[gradle.properties]\na = "b"\n\n[image.jdk]', ORDER),
        ("[image.jdk]", '[maven]\noptions = ["-o"]\n\n[image.jdk]', ORDER),
        ('name = "herald"\n', 'name = "herald"\ngradle_properties = {a = "b"}\n', ["herald"]),
        ('name = "salute"\n', 'name = "salute"\nversion = "1.0.1"\n', ORDER),
        ('sha512 = "db42', 'sha512 = "db43', ["herald"]),
    ],
)
def test_an_id_has_all_that_can_change_the_result_and_no_more(
    road: Survey, old: str, new: str, touched: list[str]
) -> None:
    before = ids(road)
    assert moved(before, ids(edit(road, old, new))) == touched


def test_an_id_has_the_contract_of_the_build(road: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids(road)
    monkeypatch.setattr("bigtop_builder.inputs.BUILD_CONTRACT", "another")
    assert moved(before, ids(road)) == ORDER


def test_packaging_of_what_is_not_built_touches_no_id(road: Survey) -> None:
    before = ids(road)
    exclude = '[bigtop]\nexclude = ["bigtop-packages/src/deb/herald/herald-server.postrm"]\n'
    assert moved(before, ids(edit(road, "[bigtop]\n", exclude))) == ["herald"]


def test_what_others_built_is_reused_and_the_plan_says_from_where(road: Survey, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    depot = FolderDepot(shared)
    theirs = replace(road, cache=ResultCache(tmp_path / "theirs", depot))
    build(theirs, "bigtop-utils")
    ours = replace(road, cache=ResultCache(tmp_path / "ours", depot))
    first, second, *_ = told(ours.plan())
    assert first == ("bigtop-utils", "reuse", f"built before: {shared} has it")
    assert second == ("bigtop-jsvc", "run", "not built yet")
    assert not ours.cache.root.exists()

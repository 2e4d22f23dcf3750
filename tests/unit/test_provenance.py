# SPDX-License-Identifier: Apache-2.0
"""Statements where packages come from: in-toto v1 with SLSA v1 provenance, the same for the same build."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.atomic import write_whole
from bigtop_builder.attestations import attestations_of
from bigtop_builder.errors import CheckFailed
from bigtop_builder.manifest import ImageRecord, PatchRecord, SourceRecord, TreeRecord
from bigtop_builder.provenance import PROVENANCE, Origin, Predicate, predicate, statement
from bigtop_builder.recipe import Recipe
from bigtop_builder.result import HANDOVER, LOG, Result, describe
from bigtop_builder.sbom.coordinates import ARTIFACTS, Artifacts
from bigtop_builder.sbom.inventory import parts_of
from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project
from jar_forge import jar, package
from local_patches import diff_of, list_patches, write_patch
from results import result_of

BEGAN = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)
IMAGE = ImageRecord(name="builder:1", digest=f"sha256:{'e' * 64}")
NEEDS = {"herald": ("bigtop-utils", "salute")}
SOURCE = SourceRecord(where="maven:org.example:salute:1", sha512="f" * 128, sha256="a" * 64, checked="sha1")


@pytest.fixture
def road(project: Project, settings: Settings) -> Survey:
    """The miniature with its lock bumped."""
    found = survey("1.0.0", project=project, settings=settings)
    found = found.with_lock(found.bumped())
    write_whole(found.lock_path, found.lock.to_toml())
    return found


def built(road: Survey, component: str) -> Result:
    """What a build left: a log, and a hand-over."""
    step = next(one for one in road.plan().steps if one.name == component)
    with road.cache.making() as folder:
        (folder / LOG).write_text("a log\n")
        (folder / HANDOVER).write_text(f"artifacts of {component}\n")
        return result_of(road, step, folder, image=IMAGE)


def handed_over(component: str) -> dict[str, str]:
    return {"sha256": hashlib.sha256(f"artifacts of {component}\n".encode()).hexdigest()}


def made(road: Survey, component: str = "herald", *, recipe: Recipe | None = None) -> Predicate:
    step = next(one for one in road.plan().steps if one.name == component)
    patches = tuple(PatchRecord(id=one.id, sha256=one.sha256) for one in road.patches)
    tree = TreeRecord(
        repository="https://user:secret@git.example/bigtop.git",
        commit=road.tree.commit,
        tree=road.tree.id,
        patches=patches,
    )
    return predicate(
        step,
        recipe=recipe or road.recipe,
        origin=Origin.of(road.recipe_sha256, tree, road.patches),
        source=SOURCE,
        image=IMAGE,
        needs=[built(road, name) for name in NEEDS.get(component, ())],
        log="c" * 64,
        started=BEGAN,
        finished=BEGAN.replace(minute=5),
    )


def said(road: Survey, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "herald_1_all.deb").write_text("a package")
    loaded: dict[str, Any] = json.loads(statement(describe(tmp_path), made(road)))
    return loaded


def test_a_statement_is_about_packages_by_name_and_hash(road: Survey, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    found = said(road, tmp_path / "made")
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [one["name"] for one in found["subject"]] == ["herald_1_all.deb"]
    assert [[*one["digest"]] for one in found["subject"]] == [["sha256"]]


def test_it_names_all_that_the_build_took(road: Survey) -> None:
    step = next(one for one in road.plan().steps if one.name == "herald")
    taken = {one.name: one for one in made(road).build_definition.resolved_dependencies}
    assert taken["bigtop"].digest == {"gitCommit": road.tree.commit}
    assert taken["tree"].digest == {"gitTree": road.tree.id}
    assert taken["source"].digest == {"sha512": "f" * 128}
    assert taken["image builder:1"].digest == {"sha256": "e" * 64}
    assert taken["build of salute"].uri == f"urn:bigtop-builder:step:{step.inputs['dependency salute']}"
    assert taken["Maven hand-over of salute"].digest == handed_over("salute")


def test_what_a_build_depends_on_by_others_is_in_it_too_with_what_that_handed_over(road: Survey) -> None:
    steps = {one.name: one for one in road.plan().steps}
    assert "bigtop-utils" not in steps["herald"].after
    taken = {one.name: one for one in made(road).build_definition.resolved_dependencies}
    assert taken["build of bigtop-utils"].uri == f"urn:bigtop-builder:step:{steps['bigtop-utils'].id}"
    assert taken["Maven hand-over of bigtop-utils"].digest == handed_over("bigtop-utils")


def test_patches_of_other_components_are_not_in_it(road: Survey) -> None:
    taken = [one.name for one in made(road).build_definition.resolved_dependencies]
    assert "patch bigtop/miniature-changelog-date" in taken
    assert "patch herald/miniature-loopback-address" in taken
    assert "patch salute/miniature-blank-name" not in taken


def test_a_patch_to_the_packaging_of_others_is_not_in_it(road: Survey, project: Project) -> None:
    control, script = "bigtop-packages/src/deb/salute/control", "packages.gradle"
    texts = {path: (road.tree.read(path) or b"").decode() for path in (control, script)}
    for name, paths in {"worded": [control], "both": [control, script]}.items():
        comment = {path: f"{texts[path]}\n{'//' if path == script else '#'} {name}\n" for path in paths}
        if name == "both":
            comment[control] = comment[control].replace("\n# both", "\n# worded\n\n# both")
            texts[control] += "\n# worded\n"
        diff = "".join(diff_of(path, texts[path], comment[path]) for path in paths)
        write_patch(project, f"bigtop/{name}", diff)
    list_patches(project, "bigtop/miniature-changelog-date", "bigtop/worded", "bigtop/both")
    found = survey("1.0.0", project=project, settings=road.settings)
    origin = Origin.of(found.recipe_sha256, found.tree_record, found.patches)
    assert [one.id for one in origin.patches_of("herald")] == [
        "bigtop/miniature-changelog-date",
        "bigtop/both",
    ]
    assert [one.id for one in origin.patches_of("salute")] == list(found.recipe.patches)


def test_it_names_the_commits_that_packaging_is_carried_from(road: Survey) -> None:
    carry = {"component": "salute", "from": "d" * 40}
    recipe = Recipe.model_validate(road.recipe.model_dump(by_alias=True) | {"carry": [carry]})
    taken = {one.name: one for one in made(road, recipe=recipe).build_definition.resolved_dependencies}
    assert taken["bigtop, for salute"].digest == {"gitCommit": "d" * 40}
    assert taken["bigtop, for salute"].uri == taken["bigtop"].uri


def test_it_names_what_of_the_recipe_decides_the_build(road: Survey) -> None:
    changed = {"options": ["-Dx=1"], "mirror_of": "*,!ours"}
    data = road.recipe.model_dump(by_alias=True)
    recipe = Recipe.model_validate(data | {"maven": data["maven"] | changed})
    asked = made(road, recipe=recipe).build_definition.external_parameters
    assert asked["jdk"] == "17"
    assert asked["maven"] == changed


def test_it_says_how_the_build_ran(road: Survey) -> None:
    step = next(one for one in road.plan().steps if one.name == "herald")
    details = made(road).model_dump(mode="json", by_alias=True)["runDetails"]
    assert details["metadata"] == {
        "invocationId": f"urn:bigtop-builder:step:{step.id}",
        "startedOn": "2026-11-23T18:00:00Z",
        "finishedOn": "2026-11-23T18:05:00Z",
    }
    assert details["builder"]["id"] == "urn:bigtop-builder:builder:docker"
    assert [*details["builder"]["version"]] == ["bigtop-builder"]


def test_no_password_of_a_url_gets_into_it(road: Survey) -> None:
    assert "secret" not in made(road).to_json()


def test_what_the_build_wrote_is_read_back_the_same(road: Survey) -> None:
    known = made(road)
    assert Predicate.from_json(known.to_json(), source="it") == known


def put(road: Survey, *, old: bool = False) -> Result:
    """A result of herald with a package that has a jar which only its build can name."""
    step = next(one for one in road.plan().steps if one.name == "herald")
    content = jar()
    with road.cache.making() as folder:
        deb = package(folder.parent, {"usr/lib/plain.jar": content}, name="herald")
        deb.rename(folder / deb.name)
        (folder / LOG).write_text("a log\n")
        if not old:
            (sha256,) = (one.sha256 for one in parts_of(_sbom(folder / deb.name)))
            (folder / ARTIFACTS).write_text(Artifacts(artifacts={sha256: "org.example:plain:2.0"}).to_json())
            (folder / PROVENANCE).write_text(made(road).to_json())
        return road.cache.put(folder, result_of(road, step, folder, image=IMAGE))


def _sbom(deb: Path) -> bytes:
    from bigtop_builder.sbom.document import sbom_of

    return sbom_of(deb)


def test_a_release_attests_its_packages_by_what_their_build_noted(road: Survey) -> None:
    result = put(road)
    found = attestations_of(road, [result])
    (sbom,) = found.sboms.values()
    assert [(one.artifact, one.how) for one in parts_of(sbom)] == [("org.example:plain", "build repository")]
    assert json.loads(found.statements["herald"])["subject"][0]["name"] == "herald_1.0-1_all.deb"
    assert attestations_of(road, [result]) == found


@pytest.mark.parametrize("name", [PROVENANCE, ARTIFACTS])
def test_what_a_newer_version_noted_is_refused_and_not_published_without(road: Survey, name: str) -> None:
    result = put(road)
    noted = road.cache.folder(result.step, result.stamp) / name
    noted.write_text(noted.read_text().replace("{", '{"new": 1, ', 1))
    with pytest.raises(CheckFailed, match="is not a valid") as refused:
        attestations_of(road, [result])
    assert "another version of bigtop-builder built it" in refused.value.hint


def test_a_result_of_an_older_version_gets_an_sbom_and_no_provenance(
    road: Survey, caplog: pytest.LogCaptureFixture
) -> None:
    found = attestations_of(road, [put(road, old=True)])
    assert len(found.sboms) == 1
    assert found.statements == {}
    assert found.provenance("herald") == ""
    assert "wrote no provenance" in caplog.text

# SPDX-License-Identifier: Apache-2.0
"""What a release tells of itself afterwards."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder.atomic import write_whole
from bigtop_builder.attestations import NONE
from bigtop_builder.release import Packages, manifest_of
from bigtop_builder.settings import Settings
from bigtop_builder.survey import survey
from bigtop_builder.verify.verdict import Verdict
from bigtop_builder.workspace import Project


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_manifest_names_recipe_lock_and_patches_as_they_were_planned_from(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    road = survey("1.0.0", project=project, settings=settings)
    road = road.with_lock(road.bumped())
    write_whole(road.lock_path, road.lock.to_toml())
    files = [road.path, road.lock_path, *(patch.path for patch in road.patches)]
    planned_from = [hash_of(file) for file in files]
    for file in files:
        file.write_text(f"{file.read_text()}# edited during the build\n")
    verdict = Verdict(
        id="0" * 64,
        tool="test",
        created=datetime.now(UTC),
        release="1.0.0",
        target="deb12",
        passed=True,
        packages=(),
        findings=(),
    )
    manifest = manifest_of(road, Packages(plan=road.plan(), results=[], folder=tmp_path), verdict, NONE)
    recorded = [manifest.recipe, manifest.lock, *(patch.sha256 for patch in manifest.tree.patches)]
    assert recorded == planned_from
    assert [patch.id for patch in manifest.tree.patches] == list(road.recipe.patches)

# SPDX-License-Identifier: Apache-2.0
"""The hand-over has what a build installed into its local Maven repository, and nothing that it downloaded."""

import os
import tarfile
from pathlib import Path

import pytest
from maven_repository import REMOTE, artifact

from bigtop_builder.downloads import MAVEN
from bigtop_builder.handover import METADATA, pack

SITE = "bigtop-builder"
EPOCH = 1_793_613_600
JAR = "bigtop/salute/1/salute-1.jar"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def packed(repository: Path) -> dict[str, str]:
    """Path in the repository -> content of what is handed over."""
    tar_file = repository.with_suffix(".tar")
    pack(repository, tar_file, epoch=EPOCH)
    with tarfile.open(tar_file) as tar:
        files = {member.name.removeprefix(f"{MAVEN}/"): tar.extractfile(member) for member in tar}
        return {name: file.read().decode() for name, file in files.items() if file}


def test_installed_artifacts_are_handed_over_with_a_marker_of_their_own(repository: Path) -> None:
    artifact(repository, JAR, "jar", "")
    artifact(repository, "bigtop/salute/1/salute-1.pom", "pom", "")
    assert packed(repository) == {
        f"bigtop/salute/1/{REMOTE}": "salute-1.jar>=\nsalute-1.pom>=\n",
        JAR: "jar",
        "bigtop/salute/1/salute-1.pom": "pom",
    }


def test_an_install_over_a_download_is_handed_over_as_local_alone(repository: Path) -> None:
    artifact(repository, JAR, "patched", SITE, "", sha1="0" * 40)
    assert packed(repository) == {f"bigtop/salute/1/{REMOTE}": "salute-1.jar>=\n", JAR: "patched"}


def test_downloads_are_not_handed_over(repository: Path) -> None:
    artifact(repository, JAR, "jar", "")
    artifact(repository, "bigtop/salute/1/salute-1-sources.jar", "sources", SITE)
    artifact(repository, "org/log4j/1/log4j-1.jar", "downloaded", SITE)
    assert sorted(packed(repository)) == [f"bigtop/salute/1/{REMOTE}", JAR]


def test_what_is_no_artifact_is_not_handed_over(repository: Path) -> None:
    file = artifact(repository, JAR, "jar", "")
    file.with_name("salute-1.jar.lastUpdated").write_text("never")
    file.with_name("stray.jar").write_text("in no marker")
    assert sorted(packed(repository)) == [f"bigtop/salute/1/{REMOTE}", JAR]


def test_local_metadata_goes_along(repository: Path) -> None:
    artifact(repository, JAR, "jar", "")
    (repository / "bigtop/salute" / METADATA).write_text("<metadata/>")
    assert packed(repository)[f"bigtop/salute/{METADATA}"] == "<metadata/>"


def test_an_artifact_that_is_gone_is_not_in_the_marker(repository: Path) -> None:
    artifact(repository, JAR, "jar", "").unlink()
    artifact(repository, "bigtop/salute/1/salute-1.pom", "pom", "")
    assert packed(repository)[f"bigtop/salute/1/{REMOTE}"] == "salute-1.pom>=\n"


def test_with_nothing_to_hand_over_there_is_no_file(repository: Path, tmp_path: Path) -> None:
    artifact(repository, "org/log4j/1/log4j-1.jar", "downloaded", SITE)
    (repository / "org" / METADATA).write_text("<metadata/>")
    assert pack(repository, tmp_path / "maven.tar", epoch=EPOCH) == 0
    assert not (tmp_path / "maven.tar").exists()


def test_equal_artifacts_give_an_equal_tar(tmp_path: Path) -> None:
    tars = []
    for name, mode, names in (("one", 0o600, ("a", "b")), ("other", 0o644, ("b", "a"))):
        for artifact_name in names:
            file = artifact(tmp_path / name, f"g/{artifact_name}/1/{artifact_name}-1.jar", artifact_name, "")
            file.chmod(mode)
            os.utime(file, (mode, mode))
        assert pack(tmp_path / name, tmp_path / f"{name}.tar", epoch=EPOCH) == 4
        tars.append((tmp_path / f"{name}.tar").read_bytes())
    assert tars[0] == tars[1]


def test_files_of_one_folder_are_marked_in_the_order_of_their_names(tmp_path: Path) -> None:
    tars = []
    for name, order in (("one", (".jar", ".pom")), ("other", (".pom", ".jar"))):
        for extension in order:
            artifact(tmp_path / name, f"g/a/1/a-1{extension}", "content", "")
        pack(tmp_path / name, tmp_path / f"{name}.tar", epoch=EPOCH)
        tars.append((tmp_path / f"{name}.tar").read_bytes())
    assert tars[0] == tars[1]


def test_a_name_that_leads_out_of_its_folder_is_handed_over_by_nobody(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    folder = repository / "g/a/1"
    folder.mkdir(parents=True)
    (repository / "victim").write_text("theirs")
    (folder / REMOTE).write_text("../../../victim>=\n>=\n")
    assert pack(repository, tmp_path / "maven.tar", epoch=0) == 0
    assert not (tmp_path / "maven.tar").exists()

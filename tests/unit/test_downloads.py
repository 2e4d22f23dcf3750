# SPDX-License-Identifier: Apache-2.0
"""Downloads travel from build to build if they are what their server said; what a build made never does."""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from maven_repository import REMOTE, artifact

from bigtop_builder.downloads import (
    GRADLE,
    MAVEN,
    SEEDED,
    Downloads,
    downloaded_by_gradle,
    downloaded_by_maven,
    mark_seeded,
)
from bigtop_builder.executor.component import _keep_maven
from bigtop_builder.result import HANDOVER
from bigtop_builder.run import run
from bigtop_builder.settings import Mirrors, Settings

SITE = "bigtop-builder"
LOG4J = "org/log4j/1/log4j-1.jar"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def downloads(tmp_path: Path, settings: Settings) -> Downloads:
    return Downloads(tmp_path / "downloads", settings, workdir="/work")


def taken(repository: Path) -> list[str]:
    return sorted(str(path.relative_to(repository)) for path in downloaded_by_maven(repository))


def seeded(downloads: Downloads, component: str, needs: Iterable[str] = ()) -> dict[str, bytes]:
    stream = BytesIO(b"".join(downloads.seed(component, needs)))
    with tarfile.open(fileobj=stream) as tar:
        members = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in members.items() if file}


def test_a_seed_takes_no_room_where_temporary_files_lie(
    tmp_path: Path, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Debian 13 that is memory, which containers were promised."""
    artifact(tmp_path / "new" / MAVEN, LOG4J, "jar", SITE)
    downloads.harvest(tmp_path / "new", "salute", ())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    assert f"{MAVEN}/{LOG4J}" in seeded(downloads, "salute")


def test_a_download_whose_sha1_holds_is_taken_with_its_marker(repository: Path) -> None:
    artifact(repository, LOG4J, "jar", SITE)
    assert taken(repository) == [f"org/log4j/1/{REMOTE}", LOG4J, f"{LOG4J}.sha1"]


def test_a_sha1_file_may_name_its_file_too(repository: Path) -> None:
    true = hashlib.sha1(b"jar", usedforsecurity=False).hexdigest()
    artifact(repository, LOG4J, "jar", SITE, sha1=f"{true}  log4j-1.jar\n")
    assert LOG4J in taken(repository)


@pytest.mark.parametrize("said", ["0" * 40, "", "<html>404</html>"])
def test_a_download_that_differs_from_its_sha1_is_not_taken(repository: Path, said: str) -> None:
    artifact(repository, LOG4J, "jar", SITE, sha1=said)
    assert taken(repository) == []


def test_a_download_without_sha1_is_not_taken(repository: Path) -> None:
    artifact(repository, LOG4J, "jar", SITE).with_name("log4j-1.jar.sha1").unlink()
    assert taken(repository) == []


def test_an_artifact_that_a_build_installed_is_not_taken(repository: Path) -> None:
    artifact(repository, LOG4J, "jar", "")
    assert taken(repository) == []


def test_an_install_over_a_download_is_not_taken_though_both_lines_stand_there(repository: Path) -> None:
    artifact(repository, LOG4J, "patched", SITE, "")
    assert taken(repository) == []


def test_the_marker_keeps_only_the_lines_of_what_is_taken(repository: Path) -> None:
    artifact(repository, "g/a/1/a-1.pom", "pom", SITE)
    artifact(repository, "g/a/1/a-1.jar", "made here", "")
    artifact(repository, "g/a/1/a-1-tests.jar", "torn", SITE, sha1="0" * 40)
    assert taken(repository) == [f"g/a/1/{REMOTE}", "g/a/1/a-1.pom", "g/a/1/a-1.pom.sha1"]
    assert (repository / f"g/a/1/{REMOTE}").read_text() == f"a-1.pom>{SITE}=\n"


def test_gradles_artifacts_must_match_the_hash_that_their_folder_bears(tmp_path: Path) -> None:
    modules = tmp_path / "modules-2"
    good, bad = hashlib.sha1(b"jar", usedforsecurity=False).hexdigest(), "1" * 40
    for path, content in {
        f"files-2.1/g/a/1/{good}/a.jar": "jar",
        f"files-2.1/g/a/1/{bad}/b.jar": "flipped",
        "metadata-2.23/descriptors/x.bin": "metadata",
        "modules-2.lock": "",
    }.items():
        (modules / path).parent.mkdir(parents=True, exist_ok=True)
        (modules / path).write_text(content)
    chosen = sorted(str(path.relative_to(modules)) for path in downloaded_by_gradle(modules))
    assert chosen == [f"files-2.1/g/a/1/{good}/a.jar", "metadata-2.23/descriptors/x.bin"]


def test_gradle_drops_leading_zeros_of_a_hash(tmp_path: Path) -> None:
    content = next(text for n in range(10_000) if sha1(text := str(n)).startswith("0"))
    file = tmp_path / "files-2.1/g/a/1" / sha1(content).lstrip("0") / "a.jar"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert downloaded_by_gradle(tmp_path) == [file]


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def test_a_component_gets_what_it_used_last_time(downloads: Downloads, tmp_path: Path) -> None:
    assert seeded(downloads, "salute") == {}
    artifact(tmp_path / "new" / MAVEN, LOG4J, "jar", SITE)
    (tmp_path / "new" / GRADLE / "metadata-2.23").mkdir(parents=True)
    (tmp_path / "new" / GRADLE / "metadata-2.23/x.bin").write_text("metadata")
    assert downloads.harvest(tmp_path / "new", "salute", ()) == 4
    assert seeded(downloads, "salute") == {
        f"{GRADLE}/metadata-2.23/x.bin": b"metadata",
        f"{MAVEN}/org/log4j/1/{REMOTE}": f"log4j-1.jar>{SITE}=\n".encode(),
        f"{MAVEN}/{LOG4J}": b"jar",
        f"{MAVEN}/{LOG4J}.sha1": sha1("jar").encode(),
    }
    assert seeded(downloads, "herald") == {}


def test_a_second_harvest_adds_to_the_first(downloads: Downloads, tmp_path: Path) -> None:
    for number in (1, 2):
        artifact(tmp_path / str(number) / MAVEN, f"g/a/{number}/a-{number}.jar", "jar", SITE)
        assert downloads.harvest(tmp_path / str(number), "salute", ()) == 3
    assert len(seeded(downloads, "salute")) == 6


def test_the_first_build_gets_what_its_needs_used(downloads: Downloads, tmp_path: Path) -> None:
    artifact(tmp_path / "new" / MAVEN, LOG4J, "jar", SITE)
    downloads.harvest(tmp_path / "new", "salute", ())
    assert seeded(downloads, "herald", ("salute",)) == seeded(downloads, "salute")


def test_downloads_that_were_deleted_are_fetched_again(downloads: Downloads, tmp_path: Path) -> None:
    artifact(tmp_path / "new" / MAVEN, LOG4J, "jar", SITE)
    downloads.harvest(tmp_path / "new", "salute", ())
    (downloads.root / MAVEN / LOG4J).unlink()
    assert f"{MAVEN}/{LOG4J}" not in seeded(downloads, "salute")


def test_each_mirror_and_kind_of_room_has_downloads_of_its_own(tmp_path: Path, settings: Settings) -> None:
    mirror = settings.model_copy(update={"mirrors": Mirrors(maven="http://mirror.example/maven")})
    roots = {
        Downloads(tmp_path, settings, workdir="/work").root,
        Downloads(tmp_path, mirror, workdir="/work").root,
        Downloads(tmp_path, settings, workdir="/elsewhere").root,
    }
    assert len(roots) == 3


def test_markers_of_two_builds_that_took_other_files_of_one_folder_are_merged(
    downloads: Downloads, tmp_path: Path
) -> None:
    for number, name in enumerate(("a-1.pom", "a-1.jar")):
        artifact(tmp_path / str(number) / MAVEN, f"g/a/1/{name}", name, SITE)
        downloads.harvest(tmp_path / str(number), f"component{number}", ())
    marker = seeded(downloads, "component0")[f"{MAVEN}/g/a/1/{REMOTE}"]
    assert marker.decode() == f"a-1.jar>{SITE}=\na-1.pom>{SITE}=\n"


def test_what_gradle_notes_is_of_one_component(downloads: Downloads, tmp_path: Path) -> None:
    notes = f"{GRADLE}/metadata-2.23/module-metadata.bin"
    for name in ("salute", "herald"):
        (tmp_path / name / notes).parent.mkdir(parents=True)
        (tmp_path / name / notes).write_text(f"notes of {name}")
        downloads.harvest(tmp_path / name, name, ())
    assert seeded(downloads, "salute") == {notes: b"notes of salute"}
    assert seeded(downloads, "trumpet", ("herald",)) == {notes: b"notes of herald"}


def test_of_a_build_that_failed_downloads_are_taken_and_gradles_notes_stay_those_of_the_last_good_one(
    downloads: Downloads, tmp_path: Path
) -> None:
    notes = f"{GRADLE}/metadata-2.23/module-metadata.bin"
    for name, failed in (("good", False), ("failed", True)):
        artifact(tmp_path / name / MAVEN, f"g/{name}/1/a-1.jar", "jar", SITE)
        artifact(tmp_path / name / MAVEN, f"g/made-by-{name}/1/a-1.jar", "made here", "")
        plugin = f"{GRADLE}/files-2.1/g/a/1/{sha1(name)}/{name}.jar"
        for path, text in {notes: f"notes of the {name} build", plugin: name}.items():
            (tmp_path / name / path).parent.mkdir(parents=True)
            (tmp_path / name / path).write_text(text)
        (tmp_path / name / GRADLE / "resources-2.1").mkdir()
        (tmp_path / name / GRADLE / "resources-2.1" / name).write_text("no hash")
        downloads.harvest(tmp_path / name, "salute", (), failed=failed)
    found = seeded(downloads, "salute")
    assert found[notes] == b"notes of the good build"
    assert f"{GRADLE}/resources-2.1/failed" not in found
    assert {name.rpartition("/")[2] for name in found if name.startswith(f"{GRADLE}/files")} == {
        "good.jar",
        "failed.jar",
    }
    assert {name for name in found if name.startswith(MAVEN) and name.endswith(".jar")} == {
        f"{MAVEN}/g/good/1/a-1.jar",
        f"{MAVEN}/g/failed/1/a-1.jar",
    }


def test_notes_that_a_first_build_got_from_its_needs_stay_its_own(
    downloads: Downloads, tmp_path: Path
) -> None:
    notes = f"{GRADLE}/metadata-2.23/module-metadata.bin"
    (tmp_path / "new" / notes).parent.mkdir(parents=True)
    (tmp_path / "new" / notes).write_text("notes of salute")
    downloads.harvest(tmp_path / "new", "salute", ())
    downloads.harvest(tmp_path / "nothing", "herald", ("salute",))
    assert seeded(downloads, "herald") == {notes: b"notes of salute"}


def test_metadata_that_a_mirror_gave_is_taken_and_local_metadata_is_not(repository: Path) -> None:
    artifact(repository, LOG4J, "jar", SITE)
    for name, sha in (
        (f"maven-metadata-{SITE}.xml", sha1("<m/>")),
        ("maven-metadata-local.xml", sha1("<m/>")),
    ):
        (repository / "org/log4j" / name).write_text("<m/>")
        (repository / "org/log4j" / f"{name}.sha1").write_text(sha)
    known = [path for path in taken(repository) if "metadata" in path]
    assert known == [f"org/log4j/maven-metadata-{SITE}.xml", f"org/log4j/maven-metadata-{SITE}.xml.sha1"]


def test_builds_at_once_are_seeded_and_harvested_without_harm(downloads: Downloads, tmp_path: Path) -> None:
    def build(number: int) -> None:
        name = f"component{number % 4}"
        for turn in range(5):
            folder = tmp_path / f"{number}-{turn}"
            artifact(folder / MAVEN, "g/shared/1/shared-1.jar", "jar" * 1000, SITE)
            artifact(folder / MAVEN, f"g/own/{number}/own-{number}.jar", "jar", SITE)
            downloads.harvest(folder, name, ())
            assert f"{MAVEN}/g/own/{number}/own-{number}.jar" in seeded(downloads, name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(build, range(8)))


class Folder:
    """A folder of this machine as a room."""

    def __init__(self, root: Path) -> None:
        self.workdir = str(root)

    def run(self, argv: list[str], **_: object) -> None:
        run(argv, cwd=Path(self.workdir))

    def get(self, path: str, into: Path) -> None:
        shutil.copy(path, into)


@pytest.mark.parametrize("harm", ["file", "error"])
def test_a_build_that_ended_well_is_not_lost_with_its_downloads(
    downloads: Downloads,
    tmp_path: Path,
    harm: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "room").mkdir()
    room: Any = Folder(tmp_path / "room")
    step: Any = SimpleNamespace(name="salute", after=())
    mark_seeded(room)
    os.utime(tmp_path / "room" / SEEDED, (0, 0))  # all that follows is newer, however coarse the clock
    artifact(tmp_path / "room" / MAVEN, "bigtop/salute/1/salute-1.jar", "jar", "")
    if harm == "file":
        downloads.root.parent.write_text("a file where a folder is wanted")
    else:
        monkeypatch.setattr(downloads, "_take", lambda *_: {}["odd"])
        artifact(tmp_path / "room" / MAVEN, LOG4J, "jar", SITE)
    _keep_maven(room, step, tmp_path / "made", downloads=downloads, epoch=0)
    assert [path.name for path in (tmp_path / "made").iterdir()] == [HANDOVER]
    assert "salute: built, but what it downloaded is not kept" in caplog.text

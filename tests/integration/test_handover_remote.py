# SPDX-License-Identifier: Apache-2.0
"""A dependent gets the patched artifact by the hand-over, and by it alone: the same coordinates exist remotely."""

import hashlib
import shutil
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from builds import OWN, Bench, maven_repository

from bigtop_builder.building import site_of
from bigtop_builder.cache import ResultCache
from bigtop_builder.container import WORKDIR
from bigtop_builder.downloads import Downloads
from bigtop_builder.executor.component import build
from bigtop_builder.executor.material import material
from bigtop_builder.place import Place
from bigtop_builder.result import HANDOVER
from bigtop_builder.run import run
from bigtop_builder.settings import Settings, load_settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project

pytestmark = [pytest.mark.docker, pytest.mark.network]
FOLDER = "bigtop/miniature/salute/1.0.0"
PATCH = '    "salute/miniature-blank-name",\n'


def handed_over(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of the salute artifacts that a result hands over."""
    with tarfile.open(folder / HANDOVER) as tar:
        files = {member.name.partition("repository/")[2]: tar.extractfile(member) for member in tar}
        found = {name: file.read() for name, file in files.items() if file}
    return {
        name: data
        for name, data in found.items()
        if name.startswith(FOLDER) and name.endswith((".jar", ".pom"))
    }


def class_in(jar: bytes) -> bytes:
    """The class of salute; debhelper dates the members of jars anew (dh_strip_nondeterminism(1))."""
    with zipfile.ZipFile(BytesIO(jar)) as opened:
        return opened.read("bigtop/miniature/salute/Salutation.class")


def salute_in(folder: Path) -> bytes:
    """The class of salute in herald's package."""
    (deb,) = folder.glob("herald_*.deb")
    unpacked = run(["dpkg-deb", "--fsys-tarfile", deb]).stdout
    with tarfile.open(fileobj=BytesIO(unpacked)) as tar:
        jar = tar.extractfile("./usr/lib/herald/salute.jar")
        assert jar
        return class_in(jar.read())


def warm(cache: Path, here: Settings, there: Settings) -> None:
    """Give a site with another mirror the downloads that this machine has."""
    known = Downloads(OWN / "downloads", here, workdir=WORKDIR).root
    if known.is_dir():
        shutil.copytree(known, Downloads(cache / "downloads", there, workdir=WORKDIR).root)


def without_handover(road: Survey, folder: Path) -> Path:
    """Build herald as if nobody had handed anything over; the folder of its result."""
    step = next(step for step in road.plan().steps if step.name == "herald")
    with Place(road) as place:
        site = site_of(road, place, cache=ResultCache(folder / "results"), logs=folder)
        result = build(step, material(road, step), site)
    return site.cache.folder(result.step, result.stamp)


def test_a_dependent_of_a_patched_component_has_the_patched_artifact_and_never_by_accident(
    tmp_path: Path, project: Project
) -> None:
    here = load_settings().model_copy(update={"gradle": "system"})
    bench = Bench.at(tmp_path / "cache", project, downloads=False)
    road = survey("1.0.0", project=project, settings=here.model_copy(update={"cache_dir": bench.cache}))
    warm(bench.cache, here, here)

    patched = road.path.read_text()
    road.path.write_text(patched.replace(PATCH, ""))
    assert bench.bumped()("build", "1.0.0", "-c", "salute").returncode == 0
    (unpatched,) = bench.built("salute")
    remote = handed_over(unpatched)
    assert len(remote) == 2
    road.path.write_text(patched)

    sums = {
        f"{name}.sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()
        for name, data in remote.items()
    }
    with maven_repository({**remote, **sums}, here.mirrors.maven) as mirror:
        mirrors = here.mirrors.model_copy(update={"maven": mirror.url})
        there = here.model_copy(update={"cache_dir": bench.cache, "mirrors": mirrors})
        warm(bench.cache, here, there)
        site = bench.given(BIGTOP_BUILDER_MIRRORS__MAVEN=mirror.url).bumped()
        done = site("build", "1.0.0", "-c", "salute", "-c", "bigtop-jsvc")
        assert done.returncode == 0, done.complaint
        (folder,) = set(bench.built("salute")) - {unpatched}
        ours, theirs = (
            class_in(files[f"{FOLDER}/salute-1.0.0.jar"]) for files in (handed_over(folder), remote)
        )
        assert ours != theirs

        # First without, so that the shared downloads then hold the remote one for herald.
        alone = without_handover(survey("1.0.0", project=project, settings=there), tmp_path)
        assert salute_in(alone) == theirs, "what salute's build installed came to herald by another way"
        done = site("build", "1.0.0")
        assert done.returncode == 0, done.complaint
        (herald,) = bench.built("herald")
        assert salute_in(herald) == ours

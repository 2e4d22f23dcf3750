# SPDX-License-Identifier: Apache-2.0
"""What jars are in which packages: a snapshot as large as Hadoop, Hive, Spark and Oozie together.

60 packages hold 80 jars each, 4,800 in all, and one war of 200 more; a second snapshot has another version of a tenth
of them. Timed are the SBOMs of the first set, made from nothing; and `sbom find`, `show` and `diff` as a user runs
them: under 5 s each. All of it is thrown away at the end. Run as `.venv/bin/python benchmarks/sbom.py`.
"""

import io
import os
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.attestations import Attestations
from bigtop_builder.cores import cores, on_all_cores
from bigtop_builder.keys import KeyStore
from bigtop_builder.repository import layout
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import run
from bigtop_builder.sbom.kept import kept_sbom

PACKAGES, JARS, IN_WAR, CLASSES, SIZE, SEED = 60, 80, 200, 20, 4096, 6
LIMIT = 5.0


def jar(artifact: str, version: str) -> bytes:
    made = io.BytesIO()
    noise = random.Random(f"{SEED}{artifact}{version}")  # noqa: S311  # made-up content
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(CLASSES):
            archive.writestr(zipfile.ZipInfo(f"org/example/C{number}.class"), noise.randbytes(SIZE))
        text = f"groupId=org.example\nartifactId={artifact}\nversion={version}\n"
        archive.writestr(zipfile.ZipInfo(f"META-INF/maven/org.example/{artifact}/pom.properties"), text)
    return made.getvalue()


def package(folder: Path, number: int, release: str) -> Path:
    """A package, a tenth of whose jars have the version of its release."""
    name = f"package{number:02}"
    tree = folder / f"{name}-{release}"
    lib = tree / f"usr/lib/{name}/lib"
    lib.mkdir(parents=True)
    for jar_number in range(JARS):
        version = release if jar_number % 10 == 0 else "1.0"
        artifact = f"artifact{number % 20 * 40 + jar_number}"
        (lib / f"{artifact}-{version}.jar").write_bytes(jar(artifact, version))
    if number == 0:
        with zipfile.ZipFile(lib / "oozie.war", "w") as war:
            for inner in range(IN_WAR):
                war.writestr(f"WEB-INF/lib/inner{inner}-1.0.jar", jar(f"inner{inner}", "1.0"))
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {release}-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
        "Description: benchmark\n"
    )
    target = folder / f"{name}_{release}-1_all.deb"
    run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, target])
    run(["rm", "-r", tree])
    return target


def timed(what: str, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:.2f} s")
    return seconds


def publish(repository: Repository, debs: list[Deb], cache: Path, store: KeyStore) -> str:
    """Publish packages with their SBOMs, as `release` does, and return the snapshot."""
    said = Attestations(
        sboms={deb.sha256: kept_sbom(cache, deb.path, deb.sha256) for deb in debs}, statements={}
    )
    packages = [{"sha256": deb.sha256, "sbom": said.sbom(deb.sha256)} for deb in debs]
    manifest = str({"components": [{"packages": packages}]}).replace("'", '"').encode()
    with store.open() as keyring:
        return repository.add(
            "stable",
            debs,
            keyring=keyring,
            replace=True,
            manifest=manifest,
            attestations=lambda: {
                layout.sbom_file(said.sbom(sha256)): sbom for sha256, sbom in said.sboms.items()
            },
        ).snapshot


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        debs = {
            release: [read_deb(package(folder, number, release)) for number in range(PACKAGES)]
            for release in ("1.1", "1.2")
        }
        print(f"{PACKAGES} packages, {sum(deb.size for deb in debs['1.1']) / 1e6:.0f} MB, {cores()} cores")
        pairs = [(deb.path, deb.sha256) for deb in debs["1.1"]]
        cache = folder / "cache/sboms"
        timed("all SBOMs", lambda: on_all_cores(lambda pair: kept_sbom(cache, *pair), pairs))
        store = KeyStore(folder / "keys")
        key = store.new("Nobody", "nobody@example.org")
        with store.open() as keyring:
            repository = Repository.init(folder / "apt", origin="B", keyring=keyring, fingerprints=[key])
        snapshots = [publish(repository, debs[release], cache, store) for release in debs]
        env = {"HOME": scratch, "BIGTOP_BUILDER_CACHE_DIR": str(folder / "cache"), **os.environ}
        tool = [sys.executable, "-m", "bigtop_builder", "sbom"]

        def ask(*words: str) -> Callable[[], object]:
            return lambda: run([*tool, *words, "--repo", folder / "apt"], env=env)

        worst = max(
            timed("find", ask("find", "org.example:artifact7@1.*", "--snapshot", snapshots[0])),
            timed("find in the war", ask("find", "inner199", "--snapshot", snapshots[0])),
            timed("show", ask("show", "package00")),
            timed("diff", ask("diff", *snapshots)),
        )
    return int(worst > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())

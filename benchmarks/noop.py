# SPDX-License-Identifier: Apache-2.0
"""What the tool takes when there is nothing to do, and how much memory a large package takes.

- A second `release` of the miniature with nothing changed: median of 3, under 2 s. `DOCKER_HOST` names no engine
  then, so a container, or only a question to the engine, would make it fail.
- Peak memory of reading and checking a .deb of 1 GB: under 150 MB.

Run as `.venv/bin/python benchmarks/noop.py`; the first release takes its minutes, with Docker.
"""

import hashlib
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bigtop_builder.artifact import read_deb
from bigtop_builder.quickstart import define, prepare, settings_of
from bigtop_builder.run import Argument, run
from bigtop_builder.settings import settings_file
from bigtop_builder.verify.integrity import check_integrity
from bigtop_builder.workspace import Project

HERE = Project(Path(__file__).parents[1])
SECONDS = 2.0
MEGABYTES = 150
RUNS = 3
PIECE = 1 << 20
PIECES = 1024
CONTROL = """Package: large
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: 1 GiB of noise
"""


def again(folder: Path) -> list[float]:
    """Seconds of each release that found nothing to do."""
    project = prepare(HERE, folder, settings_file())
    tool: list[Argument] = [
        sys.executable,
        "-m",
        "bigtop_builder",
        "--settings",
        settings_of(project),
        "--project",
        folder,
    ]
    key = json.loads(run([*tool, "key", "new", "Benchmark", "benchmark@example.org", "--json"]).text)
    define(project, key=key["fingerprint"], url="http://repository.example")
    run([*tool, "plan", "1.0.0", "--bump"])
    release = [*tool, "release", "1.0.0", "--suite", "testing"]
    run(release)
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run(release, env={"DOCKER_HOST": "unix:///nonexistent/no-engine"})
        taken.append(time.perf_counter() - start)
    return taken


def large_deb(folder: Path) -> Path:
    """A .deb with 1 GiB that does not compress, and its md5sums."""
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(CONTROL)
    md5 = hashlib.md5(usedforsecurity=False)
    with (root / "noise").open("wb") as file:
        for _ in range(PIECES):
            piece = os.urandom(PIECE)
            md5.update(piece)
            file.write(piece)
    (root / "DEBIAN/md5sums").write_text(f"{md5.hexdigest()}  noise\n")
    run(["dpkg-deb", "--root-owner-group", "-Zxz", "-z0", "--build", root, folder / "large.deb"])
    return folder / "large.deb"


def check(path: Path) -> int:
    """Read and check a .deb in this process, and print its peak memory in kB."""
    read_deb(path)
    assert check_integrity(path) == []
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return 0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="noop-") as folder:
        deb = large_deb(Path(folder))
        start = time.perf_counter()
        peak = int(run([sys.executable, __file__, deb]).text) / 1024
        took = time.perf_counter() - start
        print(f"a .deb of {deb.stat().st_size / 1e6:.0f} MB: peak {peak:.0f} MB, {took:.1f} s")
    with tempfile.TemporaryDirectory(prefix="noop-") as folder:
        taken = again(Path(folder) / "project")
    median = statistics.median(taken)
    said = ", ".join(f"{seconds:.2f}" for seconds in taken)
    print(f"a release with nothing changed: median {median:.2f} s ({said}), no container")
    return int(median > SECONDS or peak > MEGABYTES)


if __name__ == "__main__":
    sys.exit(check(Path(sys.argv[1])) if sys.argv[1:] else main())

# SPDX-License-Identifier: Apache-2.0
"""What the Maven hand-over adds to a build: packing what it installed, and laying that into one dependent's room.

Taken from results of real builds, so it needs a cache that has some: for each of them with a hand-over, its tar is
unpacked, packed again and put into a container. The sum may be 5 % of the build's own time at most.

Run as `.venv/bin/python benchmarks/handover.py CACHE`, with the `cache_dir` of those builds.
"""

import sys
import tarfile
import tempfile
import time
from pathlib import Path

from bigtop_builder.cli.context import table
from bigtop_builder.container import Engine
from bigtop_builder.downloads import MAVEN
from bigtop_builder.engine_images import list_images
from bigtop_builder.handover import HANDOVER, pack
from bigtop_builder.result import Result
from bigtop_builder.room import Room
from bigtop_builder.tarstream import unpack

BUDGET = 0.05


def measure(result: Result, tar: Path, room: Room) -> tuple[tuple[str, ...], float]:
    with tempfile.TemporaryDirectory() as folder:
        with tar.open("rb") as stream:
            unpack(stream, Path(folder))
        start = time.perf_counter()
        files = pack(Path(folder) / MAVEN, Path(folder) / HANDOVER, epoch=0)
        packed = time.perf_counter() - start
        with tarfile.open(Path(folder) / HANDOVER) as again, tarfile.open(tar) as first:
            assert again.getnames() == first.getnames()
    room.run(["mkdir", "-p", f"{room.workdir}/{result.component}"])
    start = time.perf_counter()
    with tar.open("rb") as stream:
        room.put(stream, f"{room.workdir}/{result.component}")
    laid = time.perf_counter() - start
    share = (packed + laid) / result.seconds
    size = f"{tar.stat().st_size / 1e6:.1f}"
    row = (result.component, f"{result.seconds:.0f}", str(files), size, f"{packed:.2f}", f"{laid:.2f}")
    return (*row, f"{share:.2%}"), share


def main() -> int:
    records = sorted(Path(sys.argv[1]).glob("results/*/*/result.json"))
    results = [
        (Result.from_json(path.read_bytes(), source=str(path)), path.with_name(HANDOVER)) for path in records
    ]
    with Engine.connect() as engine:
        image = next(image.name for image in list_images(engine) if image.kind == "builder")
        with engine.rooms(image).open(purpose="benchmark") as room:
            measured = [measure(result, tar, room) for result, tar in results if tar.is_file()]
    columns = ("component", "build s", "files", "MB", "packed s", "laid s", "share")
    print(table(columns, [row for row, _ in measured]))
    return int(any(share > BUDGET for _, share in measured))


if __name__ == "__main__":
    sys.exit(main())

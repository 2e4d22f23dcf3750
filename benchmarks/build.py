# SPDX-License-Identifier: Apache-2.0
"""What planning and building a whole release take when there is nothing to build; what hashing all of it takes.

- plan: `plan 3.5.0`, ten components of the real tree: under 3 s.
- no-op: `build 3.5.0` with all results in the cache, 120 packages, 2.6 GB: under 2 s. `DOCKER_HOST` names no engine.
- hashed: what `verify` and `release` add to that, for they hash each file before they use it.
- again: bytes that the cache takes for a second result with the same files: its record alone.

The packages are files of zeros, and unpinned sources get a pin that is none: nothing is built or fetched.
Run as `BIGTOP_GIT=<clone of apache/bigtop> .venv/bin/python benchmarks/build.py`.
"""

import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bigtop_builder.executor.local import obtain
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.plan import Step
from bigtop_builder.result import LOG, Result, describe
from bigtop_builder.run import run
from bigtop_builder.settings import Settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project

HERE = Project(Path(__file__).parents[1])
BIGTOP = "https://github.com/apache/bigtop.git"
RELEASE = "3.5.0"
RUNS = 5
PACKAGES = 12
SIZE = 22 << 20
BUDGETS = {"plan": 3.0, "no-op": 2.0}


def pinned(folder: Path) -> Project:
    """This project with a pin on every source of the recipe."""
    project = Project(folder)
    shutil.copytree(HERE.recipes, project.recipes)
    shutil.copytree(HERE.patches, project.patches)
    recipe = project.recipes / f"{RELEASE}.toml"
    text = recipe.read_text()
    blocks = re.split(r"(?=\n\[)", text)
    pin = f'sha512 = "{"0" * 128}"\n'
    recipe.write_text(
        "".join(
            f"{block.rstrip()}\n{pin}"
            if block.startswith("\n[[components.sources]]") and "sha512" not in block
            else block
            for block in blocks
        )
    )
    return project


def fill(road: Survey, step: Step, stamp: str) -> None:
    """Put a result of the size of a real one."""
    with road.cache.making() as folder:
        (folder / LOG).write_text("built\n")
        for number in range(PACKAGES):
            with (folder / f"{step.name}-{number}_1_all.deb").open("wb") as file:
                file.truncate(SIZE + number)
        road.cache.put(
            folder,
            Result(
                recipe=road.recipe.id,
                component=step.name,
                version=step.version,
                stamp=stamp,
                step=step.id,
                inputs=dict(step.inputs),
                source=None,
                image=ImageRecord(name=road.image),
                seconds=1.0,
                files=describe(folder),
            ),
        )


def timed(work: Callable[[], object], runs: int = RUNS) -> float:
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def size_of(folder: Path) -> int:
    """Bytes of all files, those with several names once."""
    return sum({one.st_ino: one.st_size for path in folder.rglob("*") if (one := path.stat())}.values())


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="build-") as name:
        project = pinned(Path(name) / "project")
        settings = Settings(cache_dir=Path(name) / "cache")
        settings = settings.model_copy(
            update={
                "mirrors": settings.mirrors.model_copy(update={"git": {BIGTOP: os.environ["BIGTOP_GIT"]}})
            }
        )
        road = survey(RELEASE, project=project, settings=settings)
        road = road.with_lock(road.bumped())
        road.lock_path.write_text(road.lock.to_toml())
        steps = road.plan().steps
        for step in steps:
            fill(road, step, step.stamp)
        before = size_of(road.cache.root)
        fill(road, steps[0], f"{steps[0].stamp}.again")
        again = size_of(road.cache.root) - before
        variables = {
            "BIGTOP_BUILDER_CACHE_DIR": str(settings.cache_dir),
            "DOCKER_HOST": "unix:///nonexistent/no-engine",
        }
        site = project.root / "settings.toml"
        site.write_text(f'[mirrors.git]\n"{BIGTOP}" = "{os.environ["BIGTOP_GIT"]}"\n')
        tool = [sys.executable, "-m", "bigtop_builder", f"--settings={site}", f"--project={project.root}"]
        run([*tool, "build", RELEASE], env=variables)  # lays the packages out
        plan = road.plan()
        taken = {
            "plan": timed(lambda: run([*tool, "plan", RELEASE], env=variables)),
            "no-op": timed(lambda: run([*tool, "build", RELEASE], env=variables)),
            "hashed": timed(lambda: obtain(plan, road.cache, hashed=lambda _: True), 3),
        }
        print(f"{len(steps)} components, {PACKAGES * len(steps)} packages, {before / 1e9:.2f} GB")
        for what, seconds in taken.items():
            print(f"{what}: {seconds:.2f} s{f', budget {BUDGETS[what]} s' if what in BUDGETS else ''}")
        print(f"again: {again} bytes")
    return int(any(taken[what] > budget for what, budget in BUDGETS.items()))


if __name__ == "__main__":
    sys.exit(main())

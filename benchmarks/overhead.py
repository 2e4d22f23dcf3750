# SPDX-License-Identifier: Apache-2.0
"""What a build by the tool takes beyond Gradle itself, for bigtop-jsvc: the ratio may be 1.10 at most.

- tool: `executor.component.build`, from opening the container to the kept result.
- bare: the Gradle command alone, in a container that runs already and was given the same files.
- again: the same once more in that container, which has Gradle's compiled scripts now, less what jsvc left.

The three alternate; the table has medians. Given a component's name, as in `overhead.py zookeeper`, that of
Bigtop 3.5.0 is built once by the tool, and what it takes beyond the Gradle command in the same container is its
overhead: 5 % at most.

Run as `.venv/bin/python benchmarks/overhead.py`: it takes the miniature, and Bigtop 3.5.0 too when `BIGTOP_GIT` names
a clone of apache/bigtop.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bigtop_builder import gradle
from bigtop_builder.atomic import write_whole
from bigtop_builder.building import build_release, site_of
from bigtop_builder.cache import ResultCache
from bigtop_builder.cli.context import table
from bigtop_builder.executor import component
from bigtop_builder.executor.component import Material, Site, build
from bigtop_builder.executor.material import material
from bigtop_builder.log import Tail
from bigtop_builder.miniature import lay_out
from bigtop_builder.place import Place
from bigtop_builder.plan import Step
from bigtop_builder.settings import Settings, load_settings
from bigtop_builder.survey import Survey, survey
from bigtop_builder.workspace import Project

HERE = Project(Path(__file__).parents[1])
BIGTOP = "https://github.com/apache/bigtop.git"
JSVC = "bigtop-jsvc"
ROUNDS = 3
BUDGET = 1.10
PHASES_BUDGET = 1.05


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All that both sides are given: one step, its material and a place, downloads warm."""

    road: Survey
    step: Step
    given: Material
    site: Site

    def tool(self, scratch: Path) -> float:
        site = replace(self.site, cache=ResultCache(scratch / "results"), logs=scratch)
        start = time.perf_counter()
        build(self.step, self.given, site)
        return time.perf_counter() - start

    def bare(self, scratch: Path) -> tuple[float, float]:
        road, step = self.road, self.step
        with self.site.rooms.open(
            purpose="overhead", memory_mb=step.component.memory_mb, cpus=step.component.cpus
        ) as room:
            component._furnish(room, step, self.given, road)  # noqa: SLF001  # both sides get the same files
            argv = gradle.command(road.recipe, step.component, road.settings, workdir=room.workdir)
            env = gradle.environment(
                road.recipe,
                step.component,
                road.settings,
                stamp=step.stamp,
                epoch=road.tree.epoch,
                workdir=room.workdir,
            )
            taken = []
            for number in range(2):
                with (scratch / f"bare{number}.log").open("wb") as log:
                    start = time.perf_counter()
                    room.run(argv, env=env, cwd=f"{room.workdir}/bigtop", on_line=Tail(step.name, log))
                    taken.append(time.perf_counter() - start)
                room.run(["rm", "-r", f"bigtop/build/{step.name}", f"bigtop/output/{step.name}"])
            return taken[0], taken[1]


def prepare(name: str, project: Project, settings: Settings, wanted: str = JSVC) -> Bench:
    road = survey(name, project=project, settings=settings)
    write_whole(road.lock_path, road.bumped((wanted,)).to_toml())
    road = survey(name, project=project, settings=settings)
    plan = road.plan((wanted,))
    place = Place(road)
    build_release(road, plan, place)  # warms the downloads
    step = next(step for step in plan.steps if step.name == wanted)
    site = site_of(road, place, cache=road.cache, logs=road.output.logs)
    return Bench(road=road, step=step, given=material(road, step), site=site)


def measure(title: str, bench: Bench) -> tuple[tuple[str, ...], float]:
    taken: dict[str, list[float]] = {"tool": [], "bare": [], "again": []}
    root = bench.road.workspace.root
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=root, prefix="overhead-") as scratch:
            bare, again = bench.bare(Path(scratch))
            for kind, seconds in (("tool", bench.tool(Path(scratch))), ("bare", bare), ("again", again)):
                taken[kind].append(seconds)
        print(f"{title}: {', '.join(f'{kind} {t[-1]:.2f} s' for kind, t in taken.items())}", file=sys.stderr)
    tool, bare, again = (statistics.median(taken[kind]) for kind in ("tool", "bare", "again"))
    row = (title, f"{tool:.2f}", f"{bare:.2f}", f"{again:.2f}", f"{tool / bare:.3f}", f"{tool / again:.3f}")
    return row, tool / bare


def real(folder: Path, settings: Settings) -> tuple[Project, Settings]:
    """Bigtop's own recipes, with the clone in place of its repository."""
    project = Project(folder)
    shutil.copytree(HERE.recipes, project.recipes)
    shutil.copytree(HERE.patches, project.patches)
    mirrors = settings.mirrors.model_copy(update={"git": {BIGTOP: os.environ["BIGTOP_GIT"]}})
    return project, settings.model_copy(update={"mirrors": mirrors})


def phases(wanted: str) -> int:
    """Build a component once, with what its Gradle command takes measured on the way."""
    taken = []
    gradle_alone = component._gradle  # noqa: SLF001  # what bare Gradle would take too

    def timed(*words: Any, **named: Any) -> None:
        start = time.perf_counter()
        gradle_alone(*words, **named)
        taken.append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        project, settings = real(Path(folder) / "real", load_settings())
        bench = prepare("3.5.0", project, settings, wanted)
        component._gradle = timed  # noqa: SLF001  # likewise
        with tempfile.TemporaryDirectory(dir=bench.road.workspace.root, prefix="overhead-") as scratch:
            whole = bench.tool(Path(scratch))
    ratio = whole / taken[0]
    print(f"{wanted}: {whole:.1f} s, of these Gradle {taken[0]:.1f} s: ratio {ratio:.3f}")
    return int(ratio > PHASES_BUDGET)


def main() -> int:
    settings = load_settings()
    measured = []
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        miniature = lay_out(HERE, Path(folder) / "miniature")
        measured.append(measure("miniature 1.0.0", prepare("1.0.0", miniature, settings)))
        if "BIGTOP_GIT" in os.environ:
            bench = prepare("3.5.0", *real(Path(folder) / "real", settings))
            measured.append(measure("Bigtop 3.5.0", bench))
    print(
        table(("release", "tool s", "bare s", "again s", "tool/bare", "tool/again"), [r for r, _ in measured])
    )
    return int(any(ratio > BUDGET for _, ratio in measured))


if __name__ == "__main__":
    sys.exit(phases(sys.argv[1]) if sys.argv[1:] else main())

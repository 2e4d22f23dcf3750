# SPDX-License-Identifier: Apache-2.0
"""The build of one component in a room: the tree goes in, Gradle runs, packages come out."""

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder import gradle, tarstream
from bigtop_builder.cache import ResultCache
from bigtop_builder.downloads import MAVEN, Downloads, bring_all, bring_new, mark_seeded
from bigtop_builder.errors import BuilderError, BuildError
from bigtop_builder.executor.artifacts import note_artifacts
from bigtop_builder.executor.failed import log_of
from bigtop_builder.executor.material import Material
from bigtop_builder.handover import pack
from bigtop_builder.hashes import sha256_of
from bigtop_builder.known_failures import explained
from bigtop_builder.log import Tail
from bigtop_builder.manifest import ImageRecord
from bigtop_builder.plan import Step
from bigtop_builder.provenance import PROVENANCE, Origin, Predicate, predicate
from bigtop_builder.result import HANDOVER, LOG, Result, describe
from bigtop_builder.room import Room, RoomMaker
from bigtop_builder.sbom.coordinates import ARTIFACTS
from bigtop_builder.survey import Survey

log = logging.getLogger(__name__)

KEPT = (".deb", ".ddeb", ".dsc", ".changes", ".buildinfo", ".gz", ".xz", ".bz2", ".zst")


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where builds happen.

    Attributes:
        survey: The release.
        rooms: Opens builder rooms.
        image: The builder image.
        cache: Where results go.
        logs: Folder for build logs, of failed builds too.
        watch: Is given each line of a build.
    """

    survey: Survey
    rooms: RoomMaker
    image: ImageRecord
    cache: ResultCache
    logs: Path
    watch: Callable[[str], None] | None = None


def build(step: Step, material: Material, site: Site) -> Result:
    """Build one component and keep its result.

    Raises:
        BuildError: Gradle failed, or left no package; the error has the last lines and the likely cause.
    """
    downloads, epoch = site.survey.downloads, site.survey.tree.epoch
    began, started = time.monotonic(), datetime.now(UTC)
    opened = site.rooms.open(
        purpose=step.name,
        memory_mb=step.component.memory_mb,
        cpus=step.component.cpus,
        network=not site.survey.settings.offline,
    )
    with opened as room, site.cache.making() as made:
        _furnish(room, step, material, site.survey)
        try:
            _gradle(room, step, made, site)
            _collect(room, step, made)
            (made / ARTIFACTS).write_text(note_artifacts(room).to_json())
        except BuilderError:
            _salvage(room, step, made, downloads=downloads)
            raise
        _keep_maven(room, step, made, downloads=downloads, epoch=epoch)
        (made / PROVENANCE).write_text(_provenance(step, material, made, site, started).to_json())
        seconds = round(time.monotonic() - began, 1)
        return site.cache.put(made, _result(step, material, made, site, seconds))


def _provenance(step: Step, material: Material, made: Path, site: Site, started: datetime) -> Predicate:
    survey = site.survey
    return predicate(
        step,
        recipe=survey.recipe,
        origin=Origin.of(survey.recipe_sha256, survey.tree_record, survey.patches),
        source=material.record,
        image=site.image,
        needs=material.needs,
        log=sha256_of(made / LOG),
        started=started,
        finished=datetime.now(UTC),
    )


def _result(step: Step, material: Material, made: Path, site: Site, seconds: float) -> Result:
    return Result(
        recipe=site.survey.recipe.id,
        component=step.name,
        version=step.version,
        stamp=step.stamp,
        step=step.id,
        inputs=dict(step.inputs),
        parts={name: dict(part) for name, part in step.parts.items()},
        source=material.record,
        image=site.image,
        seconds=seconds,
        files=describe(made),
    )


def _furnish(room: Room, step: Step, material: Material, survey: Survey) -> None:
    work = f"{room.workdir}/bigtop"
    room.run(["mkdir", "-p", f"{work}/dl", f"{room.workdir}/home"])
    with survey.tree.archive() as tar:
        room.put(tar, work)
    room.put(survey.downloads.seed(step.name, step.after), room.workdir)
    for handover in material.handovers:
        with handover.open("rb") as tar:
            room.put(tar, room.workdir)
    mark_seeded(room)
    texts = gradle.files(survey.recipe, step.component, survey.settings)
    files: dict[str, Path | bytes] = {name: text.encode() for name, text in texts.items()}
    if material.source:
        files[f"bigtop/dl/{material.source.name}"] = material.source
    if material.gradle:
        files[f"{material.gradle_folder}/{material.gradle.name}"] = material.gradle
    room.put(tarstream.pack(files), room.workdir)
    if material.gradle:
        folder = f"{room.workdir}/{material.gradle_folder}"
        room.run(["unzip", "-q", material.gradle.name], cwd=folder, error=BuildError)
        room.run(["touch", f"{material.gradle.name}.ok"], cwd=folder)


def _gradle(room: Room, step: Step, made: Path, site: Site) -> None:
    """Run Gradle. The log goes into the result, and to where people follow it: that may vanish meanwhile."""
    recipe, settings = site.survey.recipe, site.survey.settings
    argv = gradle.command(recipe, step.component, settings, workdir=room.workdir)
    env = gradle.environment(
        recipe,
        step.component,
        settings,
        stamp=step.stamp,
        epoch=site.survey.tree.epoch,
        workdir=room.workdir,
    )
    site.logs.mkdir(parents=True, exist_ok=True)
    shown = log_of(site.logs, step.name)
    with (made / LOG).open("wb") as file, shown.open("wb", buffering=0) as copy:
        lines = Tail(step.name, file, site.watch, copy=copy)
        done = room.run(argv, env=env, cwd=f"{room.workdir}/bigtop", check=False, on_line=lines)
    if done.returncode != 0:
        raise _failure(step, lines, shown, f"{' '.join(argv)} ended with exit status {done.returncode}")


def _failure(step: Step, lines: Tail, logfile: Path, what: str) -> BuildError:
    details, hint = explained(list(lines.lines))
    return BuildError(f"{step.name}: {what}", details=f"{details}\n\nwhole log: {logfile}", hint=hint)


def _collect(room: Room, step: Step, made: Path) -> None:
    place = f"{room.workdir}/bigtop/output/{step.name}"
    if room.run(["test", "-d", place], check=False).returncode:
        raise BuildError(
            f"{step.name}: Gradle ended well but made no output/{step.name}",
            hint=f"see the task {step.name}-deb in packages.gradle",
        )
    room.get(place, made)
    output = made / step.name
    for path in sorted(output.iterdir()):
        if path.is_file() and path.suffix in KEPT:
            path.rename(made / path.name)
    for path in sorted(output.rglob("*"), reverse=True):
        path.unlink() if path.is_file() or path.is_symlink() else path.rmdir()
    output.rmdir()
    if not list(made.glob("*.deb")):
        raise BuildError(f"{step.name}: Gradle ended well but left no .deb in output/{step.name}")


def _salvage(room: Room, step: Step, made: Path, *, downloads: Downloads) -> None:
    """Keep what a build downloaded that failed or was ended; where that cannot be, its own error says enough."""
    try:
        with tempfile.TemporaryDirectory(dir=made, prefix=".new-") as folder:
            try:
                bring_new(room, Path(folder))
            except BuilderError:
                bring_all(room, Path(folder))
            count = downloads.harvest(Path(folder), step.name, step.after, failed=True)
        if count:
            log.info("%s: kept %d new files of what it downloaded", step.name, count)
    except (BuilderError, OSError) as error:
        log.debug("%s: what it downloaded is not kept: %s", step.name, error)


def _keep_maven(room: Room, step: Step, made: Path, *, downloads: Downloads, epoch: int) -> None:
    """Make the hand-over, which is part of the result, and keep what was downloaded, without which it is as good."""
    with tempfile.TemporaryDirectory(dir=made, prefix=".new-") as folder:
        bring_new(room, Path(folder))
        pack(Path(folder) / MAVEN, made / HANDOVER, epoch=epoch)
        try:
            downloads.harvest(Path(folder), step.name, step.after)
        except Exception as error:  # noqa: BLE001  # whatever it is, it costs no build that ended well
            what = f"{type(error).__name__}: {error}"
            log.warning("%s: built, but what it downloaded is not kept: %s", step.name, what)

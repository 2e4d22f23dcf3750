# SPDX-License-Identifier: Apache-2.0
"""One release on its road: build, verify, publish. Each stage takes what the one before handed on."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Self

from bigtop_builder import __version__, gradle
from bigtop_builder.artifact import read_deb
from bigtop_builder.atomic import write_whole
from bigtop_builder.cache import Result, sha256_of
from bigtop_builder.container import Engine
from bigtop_builder.download import Progress, quiet
from bigtop_builder.downloads import Downloads
from bigtop_builder.engine_images import BuiltImage, ensure_image
from bigtop_builder.errors import CheckFailed
from bigtop_builder.executor.component import Material, Site, build
from bigtop_builder.executor.local import execute
from bigtop_builder.executor.wrapper import fetch_distribution
from bigtop_builder.handover import HANDOVER
from bigtop_builder.image import ImageSpec, builder_image, target_image
from bigtop_builder.log import log_lines, transfers
from bigtop_builder.manifest import (
    ComponentRecord,
    ImageRecord,
    Manifest,
    PackageRecord,
    PatchRecord,
    SourceRecord,
    TreeRecord,
)
from bigtop_builder.plan import Plan, Step
from bigtop_builder.recipe import Source
from bigtop_builder.room import RoomMaker
from bigtop_builder.sources import fetch, form_of
from bigtop_builder.survey import Survey
from bigtop_builder.verify.older import Indexed
from bigtop_builder.verify.packages import Built
from bigtop_builder.verify.run import verdict_id, verify
from bigtop_builder.verify.verdict import Verdict

log = logging.getLogger(__name__)

TOOL = f"bigtop-builder {__version__}"


class Place:
    """Where builds and install checks happen: containers, or this host and a chroot.

    A context manager. The engine is connected to when it is first needed, so what needs none starts none.
    """

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def builders(self) -> tuple[RoomMaker, ImageRecord]:
        """Builder rooms, and the image they are made from."""
        if self._survey.host:
            from bigtop_builder.host import HostRooms, require_target

            require_target(self._survey.recipe.target)
            log.info("builds and lintian run on this very machine, without Docker")
            return HostRooms(), ImageRecord(name=self._survey.image)
        spec = builder_image(self._survey.recipe, self._survey.settings)
        built = self._ensure(spec)
        return self._engine.rooms(built.name), ImageRecord(name=built.name, digest=built.digest)

    @cached_property
    def targets(self) -> RoomMaker:
        """Rooms with a clean system of the target distribution."""
        spec = target_image(self._survey.recipe, self._survey.settings)
        if self._survey.host:
            from bigtop_builder.chroot import ChrootRooms

            log.info("install checks run in a chroot that mmdebstrap makes, without Docker")
            return ChrootRooms(spec, workspace=self._survey.workspace, settings=self._survey.settings)
        return self._engine.rooms(self._ensure(spec).name)

    @cached_property
    def _engine(self) -> Engine:
        engine = self._open.enter_context(Engine.connect())
        engine.sweep()
        return engine

    def _ensure(self, spec: ImageSpec) -> BuiltImage:
        return ensure_image(
            self._engine,
            spec,
            workspace=self._survey.workspace,
            settings=self._survey.settings,
            on_line=log_lines,
        )


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What a plan made.

    Attributes:
        plan: The plan.
        results: One a step, in order.
        folder: All the .debs in one folder.
    """

    plan: Plan
    results: Sequence[Result]
    folder: Path

    @property
    def built(self) -> list[Built]:
        """The packages, each with its component."""
        return [
            Built(path=self.folder / file.file, component=result.component)
            for result in self.results
            for file in result.debs
        ]


def build_release(survey: Survey, plan: Plan, place: Place) -> Packages:
    """Build what the plan says, and lay all packages into the release's output folder.

    Raises:
        InputError: A step of the plan is refused.
        SourceError: A source cannot be had, or is not what its pin says. Sources come before builds.
        BuildError: A build failed.
    """
    plan.require_ready()
    with transfers() as progress:
        run = [step for step in plan.steps if step.action == "run"]
        materials = {step.name: material(survey, step, progress) for step in run}

    def make(step: Step) -> Result:
        rooms, image = place.builders
        site = Site(
            rooms=rooms,
            image=image,
            downloads=Downloads(survey.workspace.downloads, survey.settings, workdir=survey.image),
            cache=survey.cache,
            logs=survey.output.logs,
        )
        given = materials.get(step.name) or material(survey, step)
        given = replace(given, handovers=_handovers(survey, plan, step))
        return build(step, given, recipe=survey.recipe, tree=survey.tree, settings=survey.settings, site=site)

    results = execute(plan, survey.cache, make)
    return Packages(plan=plan, results=results, folder=_lay_out(survey, results))


def verify_release(
    survey: Survey, packages: Packages, place: Place, previous: Sequence[Indexed] = ()
) -> Verdict:
    """Judge the packages of a release; a set that was judged before in the same way is not judged again.

    Args:
        survey: The release.
        packages: What was built.
        place: Opens rooms.
        previous: Packages that hosts have now: the upgrade is tried from them, and another upgrade is another
            verdict.

    Raises:
        CheckFailed: A check said no. The verdict file has all of them.
    """
    built = packages.built
    stamps = {step.name: step.stamp for step in packages.plan.steps}
    unselected = {
        package: name for name in packages.plan.unselected for package in survey.tree.packages_of(name)
    }
    identity = verdict_id(
        built,
        recipe=survey.recipe,
        stamps=stamps,
        target_image=target_image(survey.recipe, survey.settings).id,
        previous=previous,
        unselected=unselected,
    )
    known = survey.workspace.verdicts / f"{identity}.json"
    if known.is_file():
        verdict = Verdict.from_json(known.read_bytes(), source=str(known))
    else:
        verdict = verify(
            built,
            identity=identity,
            recipe=survey.recipe,
            stamps=stamps,
            target_rooms=place.targets,
            builder_rooms=place.builders[0],
            previous=previous,
            unselected=unselected,
            changes=_changes(survey, packages),
            tool=TOOL,
            clock=lambda: datetime.now(UTC),
        )
        if verdict.passed:
            write_whole(known, verdict.to_json())
    write_whole(survey.output.verdict, verdict.to_json())
    require_passed(verdict, survey.output.verdict)
    return verdict


def require_passed(verdict: Verdict, file: Path) -> None:
    """Raise if a verdict says no.

    Raises:
        CheckFailed: Each failed finding is named.
    """
    failed = [finding for finding in verdict.findings if finding.outcome == "failed"]
    if failed:
        raise CheckFailed(
            f"{verdict.release} for {verdict.target} does not verify: {len(failed)} findings",
            details="\n".join(f"{finding.check}: {finding.subject}: {finding.detail}" for finding in failed),
            hint=f"mend the packaging or the recipe; all findings are in {file}",
        )


def manifest_of(survey: Survey, packages: Packages, verdict: Verdict) -> Manifest:
    """The manifest of a release. The same release has the same manifest: its time is the verdict's."""
    reasons = {package.file: package.not_published for package in verdict.packages}
    serials = {step.name: step.serial for step in packages.plan.steps}
    return Manifest(
        tool=TOOL,
        created=verdict.created,
        release=survey.recipe.release,
        target=survey.recipe.target.tag,
        recipe=survey.recipe_sha256,
        lock=survey.lock_sha256,
        tree=TreeRecord(
            repository=survey.recipe.bigtop.repository,
            commit=survey.tree.commit,
            tree=survey.tree.id,
            patches=tuple(PatchRecord(id=p.id, sha256=p.sha256) for p in survey.patches),
        ),
        verdict=verdict.id,
        components=tuple(
            _record(result, serials[result.component], reasons, packages.folder)
            for result in packages.results
        ),
    )


def _record(result: Result, serial: int, reasons: dict[str, str], folder: Path) -> ComponentRecord:
    debs = ((file, read_deb(folder / file.file)) for file in result.debs)
    return ComponentRecord(
        name=result.component,
        version=result.version,
        stamp=result.stamp,
        step=result.step,
        serial=serial,
        source=result.source,
        image=result.image,
        log=result.log.sha256,
        seconds=result.seconds,
        packages=tuple(
            PackageRecord(
                file=file.file,
                name=deb.name,
                version=deb.version,
                architecture=deb.architecture,
                size=file.size,
                sha256=file.sha256,
                not_published=reasons[file.file],
            )
            for file, deb in debs
        ),
    )


def _changes(survey: Survey, packages: Packages) -> list[Path]:
    folders = (survey.cache.folder(result.step, result.stamp) for result in packages.results)
    return [
        path for folder in folders for path in sorted(folder.glob("*.changes")) if "_source." not in path.name
    ]


def left_beside(survey: Survey, packages: Packages) -> list[Path]:
    """What the builds left besides packages: .dsc with their parts beside them, .changes and .buildinfo.

    Not the .changes of the source alone: Bigtop's build leaves it without the .buildinfo that it names.
    """
    return [
        survey.cache.folder(result.step, result.stamp) / file.file
        for result in packages.results
        for file in result.files
        if file.file.endswith((".dsc", ".buildinfo", ".changes")) and "_source." not in file.file
    ]


def _lay_out(survey: Survey, results: Sequence[Result]) -> Path:
    """Copy the packages out of the cache; what is there already with size and time of the cache's is kept."""
    folder = survey.output.debs
    folder.mkdir(parents=True, exist_ok=True)
    survey.output.logs.mkdir(exist_ok=True)
    wanted: dict[Path, Path] = {}
    for result in results:
        origin = survey.cache.folder(result.step, result.stamp)
        wanted |= {folder / file.file: origin / file.file for file in result.debs}
        wanted[survey.output.logs / f"{result.component}.log"] = origin / result.log.file
    for stale in set(folder.iterdir()) - set(wanted):
        stale.unlink()
    for path, origin in wanted.items():
        if not _same(path, origin):
            shutil.copy2(origin, path)
    return folder


def _handovers(survey: Survey, plan: Plan, step: Step) -> tuple[Path, ...]:
    """Maven hand-overs of all that a step depends on, however far, in the plan's order."""
    steps = {one.name: one for one in plan.steps}
    needed: set[str] = set()
    queue = list(step.after)
    while queue:
        name = queue.pop()
        if name not in needed:
            needed.add(name)
            queue += steps[name].after
    files = (survey.cache.folder(one.id, one.stamp) / HANDOVER for one in plan.steps if one.name in needed)
    return tuple(file for file in files if file.is_file())


def _same(path: Path, origin: Path) -> bool:
    if not path.is_file():
        return False
    mine, theirs = path.stat(), origin.stat()
    return (mine.st_size, mine.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def material(survey: Survey, step: Step, progress: Progress = quiet) -> Material:
    """What the build of a component is given, fetched and verified.

    Raises:
        SourceError: Its source or the Gradle distribution cannot be had, or is not what its pin says.
    """
    source = record = None
    if step.source:
        source = fetch_source(survey, step, step.source, progress)
        record = SourceRecord(
            where=step.source.where,
            sha512=step.source.sha512,
            sha256=sha256_of(source),
            checked=step.source.checked,
        )
    zipped, folder = fetch_gradle(survey)
    return Material(source=source, record=record, gradle=zipped, gradle_folder=folder)


def fetch_source(survey: Survey, step: Step, source: Source, progress: Progress = quiet) -> Path:
    """The source of a component as its build takes it, verified.

    Raises:
        SourceError: It cannot be had, or is not what its pin says.
    """
    entry = survey.tree.bom.components[step.name]
    return fetch(
        source,
        component=step.component,
        destination=entry.tarball_destination or f"{step.name}-{entry.base_version}.tar.gz",
        top=f"{step.name}-{entry.base_version}",
        form=form_of(entry.tarball_source),
        workspace=survey.workspace,
        settings=survey.settings,
        recipe_dir=survey.path.parent,
        progress=progress,
    )


def fetch_gradle(survey: Survey) -> tuple[Path | None, str]:
    """The distribution that Bigtop's wrapper runs, and the folder it looks in; nothing where the image's gradle runs.

    Raises:
        SourceError: It cannot be had, or is not what its pin says.
    """
    wanted = gradle.distribution(survey.recipe, survey.tree, survey.settings)
    if not wanted:
        return None, ""
    return fetch_distribution(wanted, workspace=survey.workspace, settings=survey.settings), wanted.folder

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
from bigtop_builder.attestations import Attestations
from bigtop_builder.cache import Result, ResultCache, sha256_of
from bigtop_builder.container import Engine
from bigtop_builder.cores import cores, machine_memory_mb
from bigtop_builder.download import Progress, quiet
from bigtop_builder.downloads import Downloads
from bigtop_builder.engine_images import BuiltImage, ensure_image
from bigtop_builder.errors import BuilderError, BuildError, CheckFailed
from bigtop_builder.executor.board import Board
from bigtop_builder.executor.component import Material, Site, build
from bigtop_builder.executor.local import execute, obtain
from bigtop_builder.executor.schedule import Capacity, Schedule
from bigtop_builder.executor.stoppable import StoppableRooms
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
from bigtop_builder.provenance import Origin
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
LOST = "its result is gone or broken"


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
class Manner:
    """How components are built.

    Attributes:
        jobs: At most so many at once; as many as memory and processors allow if None.
        keep_going: A failure stops only what depends on it.
        checked: Every file of a result is hashed before it is used, even if nothing has to be built.
    """

    jobs: int | None = None
    keep_going: bool = False
    checked: bool = False


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


def build_release(survey: Survey, plan: Plan, place: Place, manner: Manner = Manner()) -> Packages:
    """Build what the plan says, and lay all packages into the release's output folder.

    Raises:
        InputError: A step of the plan is refused.
        SourceError: A source cannot be had, or is not what its pin says. Sources come before builds.
        BuildError: A build failed.
    """
    plan.require_ready()
    hashed = manner.checked or any(step.action == "run" for step in plan.steps)
    found = obtain(plan, survey.cache, hashed=hashed)
    run = [
        step if step.action == "run" else replace(step, reason=LOST)
        for step in plan.steps
        if step.name not in found
    ]
    made = _build(survey, plan, run, place, manner, tuple(found)) if run else {}
    results = [(found | made)[step.name] for step in plan.steps]
    return Packages(plan=plan, results=results, folder=_lay_out(survey, results, hashed=hashed))


def _build(
    survey: Survey, plan: Plan, steps: Sequence[Step], place: Place, manner: Manner, reused: Sequence[str]
) -> dict[str, Result]:
    """Build steps, several at once: sources first, and the image once."""
    materials, errors = _materials(survey, steps, keep_going=manner.keep_going)
    rooms = StoppableRooms(place.builders[0])
    capacity = Capacity(
        memory_mb=survey.settings.build_memory_mb or machine_memory_mb(),
        cpus=survey.settings.build_cpus or cores(),
        jobs=manner.jobs,
    )
    schedule = Schedule(steps, capacity, keep_going=manner.keep_going)
    board = Board(steps, reused, schedule)
    site = replace(site_of(survey, place, cache=survey.cache, logs=survey.output.logs), rooms=rooms)

    def make(step: Step) -> Result:
        seen = replace(site, watch=board.watcher(step.name))
        return make_one(survey, plan, step, site=seen, given=materials[step.name])

    return execute(steps, make, schedule=schedule, board=board, stop=rooms.stop, errors=errors)


def _materials(
    survey: Survey, steps: Sequence[Step], *, keep_going: bool
) -> tuple[dict[str, Material], dict[str, Exception]]:
    """What builds are given, and what could not be had: the first such error is raised unless the others go on."""
    materials: dict[str, Material] = {}
    errors: dict[str, Exception] = {}
    with transfers() as progress:
        for step in steps:
            try:
                materials[step.name] = material(survey, step, progress)
            except BuilderError as error:
                if not keep_going:
                    raise
                errors[step.name] = error
    return materials, errors


def site_of(survey: Survey, place: Place, *, cache: ResultCache, logs: Path) -> Site:
    """Where a release is built, with results and logs going there."""
    rooms, image = place.builders
    return Site(
        rooms=rooms,
        image=image,
        downloads=Downloads(survey.workspace.downloads, survey.settings, workdir=survey.image),
        cache=cache,
        logs=logs,
        origin=Origin(recipe=survey.recipe_sha256, tree=_tree(survey)),
    )


def make_one(survey: Survey, plan: Plan, step: Step, *, site: Site, given: Material | None = None) -> Result:
    """Build one component, with what it depends on from the release's cache.

    Raises:
        SourceError: Its source cannot be had, or is not what its pin says.
        BuildError: The build failed.
    """
    whole = replace(given or material(survey, step), handovers=_handovers(survey, plan, step))
    return build(step, whole, recipe=survey.recipe, tree=survey.tree, settings=survey.settings, site=site)


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


def manifest_of(survey: Survey, packages: Packages, verdict: Verdict, attestations: Attestations) -> Manifest:
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
        tree=_tree(survey),
        verdict=verdict.id,
        components=tuple(
            _record(result, serials[result.component], reasons, packages.folder, attestations)
            for result in packages.results
        ),
    )


def _tree(survey: Survey) -> TreeRecord:
    return TreeRecord(
        repository=survey.recipe.bigtop.repository,
        commit=survey.tree.commit,
        tree=survey.tree.id,
        patches=tuple(PatchRecord(id=p.id, sha256=p.sha256) for p in survey.patches),
    )


def _record(
    result: Result, serial: int, reasons: dict[str, str], folder: Path, attestations: Attestations
) -> ComponentRecord:
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
                sbom=attestations.sbom(file.sha256),
            )
            for file, deb in debs
        ),
        provenance=attestations.provenance(result.component),
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


def _lay_out(survey: Survey, results: Sequence[Result], *, hashed: bool) -> Path:
    """Copy the packages out of the cache; what is there already with size and time of the cache's is kept.

    Args:
        survey: The release.
        results: What was built.
        hashed: What is there is hashed, too.
    """
    folder = survey.output.debs
    folder.mkdir(parents=True, exist_ok=True)
    survey.output.logs.mkdir(exist_ok=True)
    wanted: dict[Path, tuple[Path, str]] = {}
    for result in results:
        origin = survey.cache.folder(result.step, result.stamp)
        wanted |= {folder / file.file: (origin / file.file, file.sha256) for file in result.debs}
        log_file = survey.output.logs / f"{result.component}.log"
        wanted[log_file] = origin / result.log.file, result.log.sha256
    for stale in set(folder.iterdir()) - set(wanted):
        stale.unlink()
    for path, (origin, sha256) in wanted.items():
        if not _same(path, origin) or (hashed and sha256_of(path) != sha256):
            shutil.copy2(origin, path)
    return folder


def _handovers(survey: Survey, plan: Plan, step: Step) -> tuple[Path, ...]:
    """Maven hand-overs of all that a step depends on, however far, in the plan's order.

    Raises:
        BuildError: A result that was there when the run began is not any more.
    """
    steps = {one.name: one for one in plan.steps}
    needed: set[str] = set()
    queue = list(step.after)
    while queue:
        name = queue.pop()
        if name not in needed:
            needed.add(name)
            queue += steps[name].after
    files = []
    for one in (one for one in plan.steps if one.name in needed):
        result = survey.cache.get(one.id, one.stamp)
        if result is None:
            raise BuildError(
                f"{step.name}: the result of {one.name}, which it depends on, is gone from the cache",
                hint="run the same command again: what is missing is built",
            )
        if any(file.file == HANDOVER for file in result.files):
            files.append(survey.cache.folder(one.id, one.stamp) / HANDOVER)
    return tuple(files)


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

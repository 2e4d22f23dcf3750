# SPDX-License-Identifier: Apache-2.0
"""A release whose packages are built: it is judged, and its manifest written. Then `publishing` goes on."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder import __version__
from bigtop_builder.artifact import read_deb
from bigtop_builder.atomic import write_whole
from bigtop_builder.attestations import Attestations
from bigtop_builder.building import Packages, left_beside
from bigtop_builder.errors import CheckFailed
from bigtop_builder.image import target_image
from bigtop_builder.manifest import ComponentRecord, Manifest, PackageRecord
from bigtop_builder.place import Place
from bigtop_builder.result import Result
from bigtop_builder.survey import Survey
from bigtop_builder.verify.older import Indexed
from bigtop_builder.verify.run import verdict_id, verify
from bigtop_builder.verify.verdict import Verdict

TOOL = f"bigtop-builder {__version__}"


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

    Returns:
        What is in the verdict file, too; `require_passed` raises if it says no.
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
            changes=[path for path in left_beside(survey, packages) if path.suffix == ".changes"],
            tool=TOOL,
            clock=lambda: datetime.now(UTC),
        )
        if verdict.passed:
            write_whole(known, verdict.to_json())
    write_whole(survey.output.verdict, verdict.to_json())
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
        tree=survey.tree_record,
        verdict=verdict.id,
        components=tuple(
            _record(result, serials[result.component], reasons, packages.folder, attestations)
            for result in packages.results
        ),
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

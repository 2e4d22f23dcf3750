# SPDX-License-Identifier: Apache-2.0
"""The smokes of a release: its packages on one clean host, at work together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bigtop_builder.artifact import read_deb
from bigtop_builder.atomic import write_whole
from bigtop_builder.building import Packages
from bigtop_builder.errors import CheckFailed
from bigtop_builder.place import Place
from bigtop_builder.release import require_passed
from bigtop_builder.schema import canonical, digest
from bigtop_builder.survey import Survey
from bigtop_builder.verify.hosts import Earlier
from bigtop_builder.verify.older import Indexed
from bigtop_builder.verify.shelf import furnish
from bigtop_builder.verify.smoke import try_smokes
from bigtop_builder.verify.verdict import Verdict


def smoke_release(
    survey: Survey, packages: Packages, place: Place, previous: Sequence[Indexed] = ()
) -> Verdict:
    """Run the recipe's smokes over the packages of a release; they are run each time.

    Args:
        survey: The release.
        packages: What was built.
        place: Opens rooms.
        previous: Packages that hosts have now; they stand in for components that this run leaves out.

    Returns:
        What is in `smoke.json`, too; `smoke/` beside it has all that each smoke printed. It passes if one of them ran
        and none failed; `require_smoked` raises if it did not.
    """
    judged = Verdict.from_json(survey.output.verdict.read_bytes(), source=str(survey.output.verdict))
    debs = [read_deb(built.path) for built in packages.built]
    stand_ins = [one.deb() for one in Earlier.of(debs, previous).stand_ins]
    unselected = {
        package: name
        for name in packages.plan.unselected
        for package in survey.tree.packages_of(name)
        if package not in {deb.name for deb in stand_ins}
    }
    smokes = survey.recipe.smoke
    with place.targets.open(purpose="smoke") as room:
        furnish(room, debs, stand_ins)
        findings = try_smokes(room, smokes, unselected=unselected, logs=survey.output.smoke_logs)
    outcomes = {finding.outcome for finding in findings}
    verdict = judged.model_copy(
        update={
            "id": digest(judged.id, canonical([smoke.model_dump(mode="json") for smoke in smokes])),
            "created": datetime.now(UTC),
            "findings": tuple(findings),
            "passed": "passed" in outcomes and "failed" not in outcomes,
        }
    )
    write_whole(survey.output.smoke, verdict.to_json())
    return verdict


def require_smoked(verdict: Verdict, file: Path) -> None:
    """Raise unless smokes passed.

    Raises:
        CheckFailed: One failed, or none of them ran: each is named.
    """
    require_passed(verdict, file)
    if not verdict.passed:
        raise CheckFailed(
            f"no smoke of {verdict.release} for {verdict.target} ran",
            details="\n".join(f"{finding.subject}: {finding.detail}" for finding in verdict.findings),
            hint="choose the components that they need too, or name a suite that has them",
        )

# SPDX-License-Identifier: Apache-2.0
"""What the build of a component is given, fetched and verified before it begins."""

from dataclasses import dataclass
from pathlib import Path

from bigtop_builder import gradle
from bigtop_builder.download import Progress, quiet
from bigtop_builder.executor.wrapper import fetch_distribution
from bigtop_builder.fit import require_fit
from bigtop_builder.manifest import SourceRecord
from bigtop_builder.plan import Step
from bigtop_builder.recipe import Source
from bigtop_builder.result import Result
from bigtop_builder.sources import fetch, form_of, sha256_of_packed
from bigtop_builder.survey import Survey


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the build of one component is given.

    Attributes:
        source: The verified archive for `dl/`; None if the component needs none.
        record: What is remembered of it.
        needs: Builds that it depends on, however far, in the plan's order.
        handovers: Files of their Maven hand-overs, in the same order.
        gradle: The wrapper's verified distribution; None with the image's own Gradle.
        gradle_folder: Where it goes below the workdir.
    """

    source: Path | None
    record: SourceRecord | None
    needs: tuple[Result, ...] = ()
    handovers: tuple[Path, ...] = ()
    gradle: Path | None = None
    gradle_folder: str = ""


def material(
    survey: Survey,
    step: Step,
    progress: Progress = quiet,
    *,
    distribution: tuple[Path | None, str] | None = None,
) -> Material:
    """What the build of a component is given, fetched and verified.

    Args:
        survey: The release.
        step: The component's.
        progress: Told how far a download is.
        distribution: What `fetch_gradle` gave, if that was called: it hashes a file of 90 MB.

    Raises:
        SourceError: Its source or the Gradle distribution cannot be had, or is not what its pin says.
        TreeError: One of the recipe's patches to it does not apply to its source.
    """
    source = record = None
    if step.source:
        source = fetch_source(survey, step, step.source, progress)
        require_fit(survey, step)
        record = SourceRecord(
            where=step.source.where,
            sha512=step.source.sha512,
            sha256=sha256_of_packed(source),
            checked=step.source.checked,
        )
    zipped, folder = distribution or fetch_gradle(survey)
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

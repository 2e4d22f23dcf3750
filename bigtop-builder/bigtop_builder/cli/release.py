# SPDX-License-Identifier: Apache-2.0
"""`release`: one recipe on its whole road."""

from pathlib import Path

import click

from bigtop_builder.atomic import write_whole
from bigtop_builder.attestations import attestations_of
from bigtop_builder.building import Manner, build_release, left_beside
from bigtop_builder.cli.build import building_options
from bigtop_builder.cli.context import answer, builder_option, component_option, json_option
from bigtop_builder.cli.demands import gate_of
from bigtop_builder.cli.place import (
    accept_option,
    downgrade_option,
    published_text,
    published_value,
    repo_option,
)
from bigtop_builder.cli.road import RELEASE, archive_with, copies_of, require_output, surveyed
from bigtop_builder.cli.verify import verdict_text
from bigtop_builder.place import Place
from bigtop_builder.publishing import publish
from bigtop_builder.release import manifest_of, require_passed, verify_release


@click.command(epilog="Example: bigtop-builder release 3.5.0 -c zookeeper --suite testing")
@click.argument(RELEASE, metavar="RELEASE")
@component_option
@builder_option
@click.option("--suite", required=True, help="Suite to publish into.")
@repo_option
@accept_option
@downgrade_option
@building_options
@json_option
@click.pass_context
def release(
    context: click.Context,
    release_name: str,
    components: tuple[str, ...],
    builder: str,
    suite: str,
    folder: str | Path | None,
    jobs: int | None,
    *,
    accept: bool,
    allow_downgrade: bool,
    keep_going: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Build, verify, sign and publish RELEASE. Without a key nothing is built."""
    archive = archive_with(context, suite, folder)
    archive.require_keys()
    gate = gate_of(context, folder, suite, accept=accept, allow_downgrade=allow_downgrade)
    gate.demanded(suite, "", "")  # before anything is built
    require_output(context, release_name)
    road = surveyed(context, release_name, builder, components, offline=offline)
    manner = Manner(jobs=jobs, keep_going=keep_going, checked=True)
    place = context.with_resource(
        Place(road)
    )  # to the end: what is published must not be taken away meanwhile
    made = build_release(road, road.plan(components), place, manner)
    verdict = verify_release(road, made, place, archive.packages_of(suite, copies_of(context)))
    if as_json and not verdict.passed:
        findings = [finding.model_dump(mode="json") for finding in verdict.findings]
        answer({"verdict": verdict.id, "findings": findings}, as_json=True, text="")
    require_passed(verdict, road.output.verdict)
    attestations = attestations_of(road, made.results)
    manifest = manifest_of(road, made, verdict, attestations)
    write_whole(road.output.manifest, manifest.to_json())
    why = f"release {road.recipe.release} for {road.recipe.target.tag}"
    done = publish(
        archive,
        suite,
        packages=made.folder,
        verdict=verdict,
        manifest=manifest,
        why=why,
        gate=gate,
        left=left_beside(road, made),
        attestations=attestations,
    )
    told = "\n".join([verdict_text(verdict, road.output.verdict), published_text(done), str(archive.folder)])
    answer({"verdict": verdict.id, **published_value(done)}, as_json=as_json, text=told)

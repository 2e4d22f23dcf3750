# SPDX-License-Identifier: Apache-2.0
"""`plan`, `build`, `verify` and `release`: one recipe on its road."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from bigtop_builder.atomic import write_whole
from bigtop_builder.attestations import attestations_of
from bigtop_builder.building import Manner, Packages, build_release, left_beside
from bigtop_builder.cli.context import (
    answer,
    builder_option,
    component_option,
    json_option,
    passphrase,
    setting_up,
    table,
)
from bigtop_builder.cli.place import (
    accept_option,
    downgrade_option,
    published_text,
    published_value,
    repo_option,
)
from bigtop_builder.depot import open_depot
from bigtop_builder.errors import CheckFailed
from bigtop_builder.keys import KeyStore
from bigtop_builder.place import Place
from bigtop_builder.plan import Plan
from bigtop_builder.publishing import Archive, load_archive, publish
from bigtop_builder.recipe import load_recipe
from bigtop_builder.release import manifest_of, verify_release
from bigtop_builder.repository.gate import Gate
from bigtop_builder.schema import counted
from bigtop_builder.smoke import smoke_release
from bigtop_builder.survey import Survey, survey
from bigtop_builder.verify.verdict import Verdict
from bigtop_builder.workspace import require_writable

RELEASE = "release_name"
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def building_options(command: Decorated) -> Decorated:
    """What all commands that build take."""
    for option in (
        click.option(
            "--offline",
            is_flag=True,
            help="Build without a network, from what the cache has; install checks still ask apt's mirror.",
        ),
        click.option(
            "-k", "--keep-going", is_flag=True, help="Let a failure stop only what depends on the component."
        ),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(1),
            help="At most so many builds at once [default: as many as fit].",
        ),
    ):
        command = option(command)
    return command


@click.command(epilog="Example: bigtop-builder plan 3.5.0 -c zookeeper")
@click.argument(RELEASE, metavar="RELEASE")
@component_option
@builder_option
@click.option(
    "--bump", is_flag=True, help="Write the lock: give each build that has changed its next serial."
)
@json_option
@click.pass_context
def plan(
    context: click.Context,
    release_name: str,
    components: tuple[str, ...],
    builder: str,
    *,
    bump: bool,
    as_json: bool,
) -> None:
    """Show what RELEASE (a recipe's name or path) takes, step by step, and why.

    The whole plan is printed in any case. If a step of it is refused, it could not be built: the command then
    ends with exit status 2, and says what is in the way.
    """
    project, _ = setting_up(context)
    if bump:
        lock = project.lock(load_recipe(release_name, project.recipes)[1])
        require_writable(
            lock.parent, why="locks", hint="mend its rights, or name a copy of the project with --project"
        )
    road = _survey(context, release_name, builder, components)
    if bump:
        road = road.with_lock(road.bumped(components))
        write_whole(road.lock_path, road.lock.to_toml())
    planned = road.plan(components)
    answer(_plan_value(road, planned), as_json=as_json, text=_plan_text(road, planned))
    planned.require_ready()


@click.command(epilog="Example: bigtop-builder build 3.5.0 -c bigtop-jsvc")
@click.argument(RELEASE, metavar="RELEASE")
@component_option
@builder_option
@building_options
@json_option
@click.pass_context
def build(
    context: click.Context,
    release_name: str,
    components: tuple[str, ...],
    builder: str,
    jobs: int | None,
    *,
    keep_going: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Build the packages of RELEASE, several at once; what was built before, here or elsewhere, is reused.

    Interrupted or failed, the same command goes on with what is not built yet.
    """
    _require_output(context, release_name)
    road = _survey(context, release_name, builder, components, offline=offline)
    manner = Manner(jobs=jobs, keep_going=keep_going)
    with Place(road) as place:
        made = build_release(road, road.plan(components), place, manner)
    answer(_packages_value(made), as_json=as_json, text=_packages_text(made))


@click.command(epilog="Example: bigtop-builder verify 3.5.0 -c zookeeper --json")
@click.argument(RELEASE, metavar="RELEASE")
@component_option
@builder_option
@click.option(
    "--suite",
    default="",
    help="Try the upgrade from what hosts of this suite have, as `release` does [default: from copies of the "
    "packages with a lower version].",
)
@click.option(
    "--smoke",
    is_flag=True,
    help="Then install them on one clean host, and run there what the recipe's `smoke` says.",
)
@repo_option
@click.option(
    "--rebuild",
    "twice",
    is_flag=True,
    help="Instead, build the components (with -c these alone) a second time, and say whether their packages are the "
    "same, bit for bit.",
)
@building_options
@json_option
@click.pass_context
def verify(
    context: click.Context,
    release_name: str,
    components: tuple[str, ...],
    builder: str,
    suite: str,
    folder: str | Path | None,
    jobs: int | None,
    *,
    smoke: bool,
    twice: bool,
    keep_going: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Check the packages of RELEASE and write the verdict.

    A verdict holds for the same packages and the same upgrade: with --suite, a `release` into that suite takes
    it as it is.
    """
    if twice:
        if suite:
            raise click.UsageError("--rebuild compares builds, and looks at no --suite")
        _rebuild(context, release_name, components, builder, as_json=as_json)
        return
    if folder and not suite:
        raise click.UsageError("--repo says where --suite is looked up: give both")
    previous = _archive(context, suite, folder).packages_of(suite, _copies(context)) if suite else []
    _require_output(context, release_name)
    road = _survey(context, release_name, builder, components, offline=offline)
    manner = Manner(jobs=jobs, keep_going=keep_going, checked=True)
    with Place(road) as place:
        made = build_release(road, road.plan(components), place, manner)
        verdict = verify_release(road, made, place, previous)
        smoked = smoke_release(road, made, place, previous) if smoke else None
    told = verdict_text(verdict, road.output.verdict)
    if made.plan.unselected and not suite:
        told += (
            f"\nleft out: {', '.join(made.plan.unselected)}. Roles that need their packages are not judged here, so "
            "what goes in for such a role alone does not count; with --suite, what the suite has stands in for them, "
            "as in `release`"
        )
    value = verdict.model_dump(mode="json")
    if smoked:
        value["smoke"] = [finding.model_dump(mode="json") for finding in smoked.findings]
        told += "".join(f"\n{one.outcome} smoke {one.subject}: {one.detail}" for one in smoked.findings)
        told += f"\n{road.output.smoke}"
    answer(value, as_json=as_json, text=told)


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
    archive = _archive(context, suite, folder)
    archive.require_keys()
    _require_output(context, release_name)
    road = _survey(context, release_name, builder, components, offline=offline)
    manner = Manner(jobs=jobs, keep_going=keep_going, checked=True)
    with Place(road) as place:
        made = build_release(road, road.plan(components), place, manner)
        verdict = verify_release(road, made, place, archive.packages_of(suite, _copies(context)))
    attestations = attestations_of(road, made.results)
    manifest = manifest_of(road, made, verdict, attestations)
    write_whole(road.output.manifest, manifest.to_json())
    why = f"release {road.recipe.release} for {road.recipe.target.tag}"
    gate = Gate(accept=accept, allow_downgrade=allow_downgrade)
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


def _rebuild(
    context: click.Context, name: str, components: tuple[str, ...], builder: str, *, as_json: bool
) -> None:
    """`verify --rebuild`."""
    from bigtop_builder.rebuild import rebuild

    _require_output(context, name)
    road = _survey(context, name, builder, components)
    with Place(road) as place:
        made = build_release(road, road.plan(components), place)
        found = rebuild(road, made, place, components)
    value = [{**asdict(one), "equal": one.equal} for one in found]
    lines = [
        line
        for one in found
        for line in (
            f"{'equal' if one.equal else 'differs'} {one.file}",
            *(f"  {d}" for d in one.differences),
        )
    ]
    answer(value, as_json=as_json, text="\n".join(lines))
    if unlike := [one for one in found if not one.equal]:
        raise CheckFailed(
            f"{len(unlike)} of {counted(len(found), 'package')} differ when built a second time",
            hint=f"the second builds are in {road.output.rebuilt}",
        )


def _archive(context: click.Context, suite: str, folder: str | Path | None) -> Archive:
    """The project's repository, which has this suite."""
    project, settings = setting_up(context)
    archive = load_archive(project, folder=folder, store=KeyStore.of(settings), passphrase=passphrase())
    archive.definition.settings_of(suite)
    return archive


def _copies(context: click.Context) -> Path:
    """Where packages of a repository on S3 are kept."""
    return setting_up(context)[1].cache_dir / "published"


def _require_output(context: click.Context, name: str) -> None:
    """Raise before a long work is begun if its results could not be laid out."""
    project, _ = setting_up(context)
    project.results_of(load_recipe(name, project.recipes)[1]).require_writable()


def _survey(
    context: click.Context, name: str, builder: str, components: tuple[str, ...], *, offline: bool = False
) -> Survey:
    project, settings = setting_up(context)
    settings = settings.model_copy(update={"offline": settings.offline or offline})
    return survey(
        name,
        project=project,
        settings=settings,
        host=builder == "host",
        selected=components,
        depot=None if settings.offline else open_depot(settings.shared_cache),
    )


def _plan_value(road: Survey, planned: Plan) -> dict[str, Any]:
    carried = {carry.component: carry.commit for carry in road.recipe.carry}
    return {
        "release": road.recipe.release,
        "target": road.recipe.target.tag,
        "commit": road.tree.commit,
        "tree": road.tree.id,
        "image": planned.image,
        "unselected": planned.unselected,
        "steps": [
            {
                "component": step.name,
                "id": step.id,
                "action": step.action,
                "reason": step.reason,
                "hint": step.hint,
                "version": f"{step.version}-{step.stamp}" if step.stamp else "",
                "upstream_version": step.version,
                "serial": step.serial,
                "source": step.source.where if step.source else "",
                "pinned": bool(step.source.sha512) if step.source else None,
                "after": step.after,
                "omitted_patches": step.component.omit_patches,
                "carried_from": carried.get(step.name, ""),
            }
            for step in planned.steps
        ],
    }


def _plan_text(road: Survey, planned: Plan) -> str:
    rows = [
        (
            step.action,
            step.name,
            f"{step.version}-{step.stamp}" if step.stamp else step.version,
            step.id[:12] or "-",
            step.source.where if step.source else "-",
            step.reason,
        )
        for step in planned.steps
    ]
    return "\n".join(
        [
            f"{road.recipe.release} for {road.recipe.target.tag}, tree {road.tree.id}, image {planned.image}",
            *(f"carried {carry.component}: packaging of {carry.where}" for carry in road.recipe.carry),
            *(f"patch {patch.id}: {patch.facts.title}" for patch in road.patches),
            *(
                f"left out of {step.name} {step.version}: upstream's {name}"
                for step in planned.steps
                for name in step.component.omit_patches
            ),
            "",
            table(("action", "component", "version", "step", "source", "reason"), rows),
            *(["", "To go on:", *(f"  {way}" for way in planned.ways_out)] if planned.ways_out else []),
        ]
    )


def _packages_value(made: Packages) -> dict[str, Any]:
    return {
        "folder": str(made.folder),
        "components": [result.model_dump(mode="json") for result in made.results],
    }


def _packages_text(made: Packages) -> str:
    return "\n".join(str(made.folder / file.file) for result in made.results for file in result.debs)


def verdict_text(verdict: Verdict, file: Path) -> str:
    """A verdict for people: what failed or was let pass, what stays out, and the count of the rest."""
    counts: dict[str, int] = {}
    for finding in verdict.findings:
        counts[finding.outcome] = counts.get(finding.outcome, 0) + 1
    told = [finding for finding in verdict.findings if finding.outcome != "passed"]
    kept = [package for package in verdict.packages if package.not_published]
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return "\n".join(
        [
            *(f"{finding.outcome} {finding.check}: {finding.subject}: {finding.detail}" for finding in told),
            *(f"not published {package.name}: {package.not_published}" for package in kept),
            f"{said}; {len(verdict.packages) - len(kept)} of {len(verdict.packages)} packages go in; {file}",
        ]
    )

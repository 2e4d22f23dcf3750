# SPDX-License-Identifier: Apache-2.0
"""Where packages come from: in-toto statements with a SLSA v1 provenance, one for each build of a component.

What was true of the build is written when it ends, and lies in its result; the statement adds which packages it is
about. So the same build has the same statement, whenever and wherever it is signed. docs/provenance.md describes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from bigtop_builder import __version__
from bigtop_builder.manifest import ImageRecord, PatchRecord, SourceRecord, TreeRecord
from bigtop_builder.packaging import owner_of
from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.patches.facts import TREE
from bigtop_builder.patches.naming import target_of
from bigtop_builder.patches.queue import Patch
from bigtop_builder.plan import HOST, Step
from bigtop_builder.recipe import Recipe
from bigtop_builder.result import Result, ResultFile
from bigtop_builder.schema import Sha256, Value, canonical, masked

PROVENANCE = "provenance.json"
"""In a build's result: the predicate."""
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:bigtop-builder:build:1"
BUILDER = "urn:bigtop-builder:builder"
STEP = "urn:bigtop-builder:step"


class Resource(Value):
    """Something that a build took or left (in-toto attestation framework, ResourceDescriptor)."""

    name: str
    uri: str | None = None
    digest: dict[str, str] | None = Field(None, description="Algorithm -> value, in hex")


class Definition(Value):
    """What was built from what."""

    build_type: str = Field(BUILD_TYPE, alias="buildType")
    external_parameters: dict[str, Any] = Field(
        alias="externalParameters", description="What the user asked for"
    )
    internal_parameters: dict[str, Any] = Field(
        alias="internalParameters", description="`inputs`: what the step id was made of"
    )
    resolved_dependencies: tuple[Resource, ...] = Field(alias="resolvedDependencies")


class Builder(Value):
    """What ran the build."""

    id: str
    version: dict[str, str]


class Metadata(Value):
    """When it ran, and as what."""

    invocation_id: str = Field(alias="invocationId", description="The step id")
    started_on: datetime = Field(alias="startedOn")
    finished_on: datetime = Field(alias="finishedOn")


class Details(Value):
    """How the build ran."""

    builder: Builder
    metadata: Metadata
    byproducts: tuple[Resource, ...]


class Predicate(Value):
    """SLSA v1 provenance: `provenance.json` in a build's result."""

    build_definition: Definition = Field(alias="buildDefinition")
    run_details: Details = Field(alias="runDetails")


class Origin(Value):
    """What all builds of a release have in common."""

    recipe: Sha256 = Field(description="Sha256 of the recipe file")
    tree: TreeRecord
    owners: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Patch to Bigtop that touches packaging of components alone -> these: no other build reads it",
    )

    @classmethod
    def of(cls, recipe: str, tree: TreeRecord, patches: Iterable[Patch]) -> Self:
        """What is known of a release, with the patches that its tree was made with."""
        touched = {patch.id: _owners(patch) for patch in patches if patch.target == TREE}
        alone = {patch: tuple(sorted(owners)) for patch, owners in touched.items() if "" not in owners}
        return cls(recipe=recipe, tree=tree, owners=alone)

    def patches_of(self, component: str) -> list[PatchRecord]:
        """Those that the build of a component reads."""
        readers = {TREE, component}
        return [
            patch
            for patch in self.tree.patches
            if target_of(patch.id) in readers and component in self.owners.get(patch.id, {component})
        ]


def _owners(patch: Patch) -> set[str]:
    """Components whose packaging a patch touches; an empty name stands for what is no packaging."""
    files = parse_diff(patch.diff, source=str(patch.path))
    return {owner_of(path) for file in files for path in (file.old, file.new) if path}


def predicate(
    step: Step,
    *,
    recipe: Recipe,
    origin: Origin,
    source: SourceRecord | None,
    image: ImageRecord,
    needs: Sequence[Result],
    log: str,
    started: datetime,
    finished: datetime,
) -> Predicate:
    """What is true of a build that has just ended.

    Args:
        step: The step.
        recipe: Its recipe.
        origin: Recipe and tree.
        source: Its source.
        image: The image it ran in.
        needs: Builds that it depends on, however far.
        log: Sha256 of its log.
        started: When it began.
        finished: When it ended.
    """
    return Predicate(
        build_definition=Definition(
            external_parameters=_asked(step, recipe, origin),
            internal_parameters={"inputs": dict(sorted(step.inputs.items()))},
            resolved_dependencies=(
                *_of_tree(origin, recipe, step.name),
                *_of_source(source),
                _of_image(image),
                *_of_builds(needs),
            ),
        ),
        run_details=Details(
            builder=Builder(
                id=f"{BUILDER}:{'host' if image.name == HOST else 'docker'}",
                version={"bigtop-builder": __version__},
            ),
            metadata=Metadata(
                invocation_id=f"{STEP}:{step.id}",
                started_on=started.replace(microsecond=0),
                finished_on=finished.replace(microsecond=0),
            ),
            byproducts=(Resource(name="build.log", digest={"sha256": log}),),
        ),
    )


def _asked(step: Step, recipe: Recipe, origin: Origin) -> dict[str, Any]:
    """What the user asked for: all of the recipe that decides this build and is in no hash elsewhere."""
    component = step.component
    given = {
        "gradle": {**recipe.gradle.properties, **component.gradle_properties},
        "maven": {**recipe.maven.properties, **component.maven_properties},
        "environment": {**recipe.image.environment, **component.environment},
    }
    return {
        "recipe": {"id": recipe.id, "sha256": origin.recipe},
        "component": step.name,
        "version": f"{step.version}-{step.stamp}",
        "jdk": recipe.image.jdk.version,
        "maven": {"options": list(recipe.maven.options), "mirror_of": recipe.maven.mirror_of},
        "properties": {name: dict(sorted(values.items())) for name, values in given.items()},
    }


def statement(debs: Sequence[ResultFile], known: Predicate) -> bytes:
    """The statement about the packages of a build, as it is signed: the same bytes for the same build."""
    subjects = [
        {"name": deb.file, "digest": {"sha256": deb.sha256}} for deb in sorted(debs, key=lambda one: one.file)
    ]
    said = known.model_dump(mode="json", by_alias=True, exclude_none=True)
    whole = {"_type": STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": said}
    return canonical(whole).encode()


def _of_tree(origin: Origin, recipe: Recipe, component: str) -> Iterator[Resource]:
    """Bigtop's commits, the tree that was built, and the patches in it that the component's build reads."""
    where = f"git+{masked(origin.tree.repository)}"
    yield Resource(name="bigtop", uri=where, digest={"gitCommit": origin.tree.commit})
    for carry in recipe.carry:
        yield Resource(name=f"bigtop, for {carry.component}", uri=where, digest={"gitCommit": carry.commit})
    yield Resource(name="tree", digest={"gitTree": origin.tree.tree})
    for patch in origin.patches_of(component):
        yield Resource(name=f"patch {patch.id}", digest={"sha256": patch.sha256})


def _of_source(source: SourceRecord | None) -> list[Resource]:
    if source is None:
        return []
    return [
        Resource(name="source", uri=str(masked(source.where)), digest={"sha512": source.sha512}),
        Resource(name="source, as it was built", digest={"sha256": source.sha256}),
    ]


def _of_builds(needs: Sequence[Result]) -> Iterator[Resource]:
    """Builds by their step ids, and what each handed over."""
    for need in needs:
        yield Resource(name=f"build of {need.component}", uri=f"{STEP}:{need.step}")
        if need.handover:
            name = f"Maven hand-over of {need.component}"
            yield Resource(name=name, digest={"sha256": need.handover.sha256})


def _of_image(image: ImageRecord) -> Resource:
    algorithm, _, value = image.digest.partition(":")
    return Resource(name=f"image {image.name}", digest={algorithm: value} if value else None)

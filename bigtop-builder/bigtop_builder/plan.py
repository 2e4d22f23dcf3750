# SPDX-License-Identifier: Apache-2.0
"""The plan: what a release takes, step by step, each with an id and a reason. It changes no recipe, lock or result.

A step's id is the hash of all that can change its result (craft-parts and osbuild do the same), but not its
serial: that comes from the lock, so that other bytes always have another version (design, invariant 2).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from bigtop_builder.changes import causes
from bigtop_builder.errors import InputError
from bigtop_builder.inputs import Parts, inputs_of
from bigtop_builder.lock import Lock
from bigtop_builder.recipe import Component, Recipe, Source
from bigtop_builder.result import Result
from bigtop_builder.schema import canonical, digest
from bigtop_builder.settings import Settings
from bigtop_builder.sources import select
from bigtop_builder.tree import Tree

HOST = "host"
"""Stands for the image's name when builds run on this very machine."""
Action = Literal["run", "reuse", "refuse"]


class Results(Protocol):
    """What planning asks of the cache."""

    def get(self, step: str, stamp: str) -> Result | None:
        """The result of a step, if there is one."""

    def remote(self, step: str, stamp: str) -> str:
        """Name of the place that several machines share, if it has a result of the step."""

    def known(self, step: str) -> Result | None:
        """A result of a step, under whatever stamp."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """The build of one component.

    Attributes:
        component: Its entry in the recipe.
        id: Step id, sha256 in hex; empty if it cannot be known (an unpinned source).
        inputs: What the id was made of: name -> hash.
        parts: Of inputs that have parts: part -> its hash or value.
        version: Upstream version.
        stamp: Debian revision; empty if the lock is stale.
        serial: Position of the id in the lock; 0 if the lock is stale.
        source: The candidate that is taken; None if the component needs none.
        after: Components that are built before it.
        action: `run`, `reuse` (the cache has the result) or `refuse`.
        reason: Why, for people.
        hint: For `refuse`: the way out.
    """

    component: Component
    id: str
    inputs: Mapping[str, str]
    parts: Parts
    version: str
    stamp: str
    serial: int
    source: Source | None
    after: tuple[str, ...]
    action: Action
    reason: str
    hint: str = ""

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All steps of a release, in the order they are taken.

    Attributes:
        recipe: The recipe.
        tree: Git id of the Bigtop tree.
        image: Name of the builder image.
        steps: One a selected component, dependencies first.
        unselected: Components of the recipe that this run leaves out.
        ways_out: What to do, in this order, so that no step is refused; nothing if none is.
    """

    recipe: Recipe
    tree: str
    image: str
    steps: tuple[Step, ...]
    unselected: tuple[str, ...] = ()
    ways_out: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[Step, ...]:
        """Steps that cannot be taken."""
        return tuple(step for step in self.steps if step.action == "refuse")

    def needs(self, step: Step) -> tuple[Step, ...]:
        """All that a step depends on, however far, in the plan's order."""
        steps = {one.name: one for one in self.steps}
        needed: set[str] = set()
        queue = list(step.after)
        while queue:
            if (name := queue.pop()) not in needed:
                needed.add(name)
                queue += steps[name].after
        return tuple(one for one in self.steps if one.name in needed)

    def require_ready(self, *, told: bool = False) -> None:
        """Raise if a step cannot be taken.

        Args:
            told: Reasons and ways out were printed already.

        Raises:
            InputError: Names each such component, why, and the way out.
        """
        if self.refused:
            raise InputError(
                f"the plan for {self.recipe.release} cannot be carried out: "
                f"{len(self.refused)} of {len(self.steps)} steps are refused",
                details="" if told else "\n".join(f"{step.name}: {step.reason}" for step in self.refused),
                hint="" if told else ", then ".join(self.ways_out),
            )


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """All that planning looks at.

    Attributes:
        name: The recipe as the user named it, for hints.
        recipe: The recipe.
        settings: Site settings.
        tree: The Bigtop tree.
        image: Name of the builder image, or `HOST`.
        image_id: Hash of its inputs.
        patches: Patch id -> sha256.
        lock: The lock.
        results: The cache.
        fits: Settings of a site where a stale lock would be current, in words; empty if none is known.
    """

    name: str
    recipe: Recipe
    settings: Settings
    tree: Tree
    image: str
    image_id: str
    patches: Mapping[str, str]
    lock: Lock
    results: Results
    fits: str = ""


def make_plan(grounds: Grounds, selected: Sequence[str] = ()) -> Plan:
    """Plan a release.

    Args:
        grounds: All that planning looks at.
        selected: Components to build, with what they depend on; all if empty.

    Raises:
        InputError: A component is not in the recipe.
        TreeError: The bill of materials has a cycle.
    """
    recipe, bom = grounds.recipe, grounds.tree.bom
    names = {component.name for component in recipe.components}
    wanted = _with_dependencies(grounds, selected or names)
    chosen = "".join(f" -c {name}" for name in selected)
    host = " --builder host" if grounds.image == HOST else ""
    bump = f"bigtop-builder plan {grounds.name}{chosen}{host} --bump"
    steps: dict[str, Step] = {}
    for name in bom.build_order(names):
        steps[name] = _step(grounds, recipe.component(name), steps, bump)
    taken = tuple(step for name, step in steps.items() if name in wanted)
    return Plan(
        recipe=recipe,
        tree=grounds.tree.id,
        image=grounds.image,
        steps=taken,
        unselected=tuple(name for name in steps if name not in wanted),
        ways_out=_ways_out(grounds, taken, bump),
    )


def _ways_out(grounds: Grounds, steps: Sequence[Step], bump: str) -> tuple[str, ...]:
    """What to do about refused steps, each thing once. Pins come first: a bump before them would be stale again."""
    hints = {step.hint for step in steps if step.action == "refuse"}
    unpinned = [step.name for step in steps if step.hint == _pin(grounds, step.name)]
    others = sorted(hints - {bump} - {_pin(grounds, name) for name in unpinned})
    pin = [_pin(grounds, *unpinned)] if unpinned else []
    return (*others, *pin, *([_bump(grounds, steps, bump)] if pin or bump in hints else []))


def _bump(grounds: Grounds, steps: Sequence[Step], bump: str) -> str:
    """The command that bumps; what is in a lock already was published from, perhaps elsewhere, so that is told."""
    if not any(grounds.lock.components.get(step.name) for step in steps if step.action == "refuse"):
        return bump
    told = f"{bump}   # adds builds to the lock: review and commit it"
    return f"take {grounds.fits}, as where the lock was written; or else {told}" if grounds.fits else told


def _pin(grounds: Grounds, *names: str) -> str:
    """The command that pins the sources of these components."""
    chosen = "".join(f" -c {name}" for name in names)
    return f"bigtop-builder source fetch {grounds.name}{chosen} --pin"


def _with_dependencies(grounds: Grounds, selected: Iterable[str]) -> set[str]:
    built = {component.name for component in grounds.recipe.components}
    wanted: set[str] = set()
    queue = [grounds.recipe.component(name).name for name in selected]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += grounds.tree.bom.nearest(name, built)
    return wanted


def _step(grounds: Grounds, component: Component, before: Mapping[str, Step], bump: str) -> Step:
    bom = grounds.tree.bom.components[component.name]
    after = grounds.tree.bom.nearest(component.name, before)
    source = select(component, grounds.settings) if bom.tarball_source else None
    needs = {name: before[name].id for name in after}
    pinned = not bom.tarball_source or (source is not None and bool(source.sha512))
    inputs, parts = inputs_of(
        component,
        tree=grounds.tree,
        recipe=grounds.recipe,
        settings=grounds.settings,
        image=grounds.image_id,
        patches=grounds.patches,
        source=source.sha512 if source else "",
        needs=needs,
    )
    step_id = digest(canonical(inputs)) if pinned and all(needs.values()) else ""
    serial = (grounds.lock.serial(component.name, step_id) if step_id else None) or 0
    undecided = Step(
        component=component,
        id=step_id,
        inputs=inputs,
        parts=parts,
        version=bom.pkg_version,
        stamp=grounds.recipe.stamp(bom_release=bom.release, serial=serial) if serial else "",
        serial=serial,
        source=source,
        after=after,
        action="refuse",
        reason="",
    )
    action, reason, hint = _action(grounds, undecided, before, bump)
    return replace(undecided, action=action, reason=reason, hint=hint)


def _action(grounds: Grounds, step: Step, before: Mapping[str, Step], bump: str) -> tuple[Action, str, str]:
    if obstacle := _obstacle(grounds, step, before):
        return "refuse", *obstacle
    if step.stamp and grounds.results.get(step.id, step.stamp):
        return "reuse", "built before", ""
    if step.stamp and (place := grounds.results.remote(step.id, step.stamp)):
        return "reuse", f"built before: {place} has it", ""
    earlier = grounds.lock.before(step.name, step.id)
    why = _news(grounds, step, earlier)
    if step.stamp:
        return "run", why or "not built yet", ""
    if grounds.fits and earlier:
        why = f"it is that of a site with {grounds.fits}"
    return "refuse", f"the lock is stale: {why or 'this build has no serial yet'}", bump


def _news(grounds: Grounds, step: Step, earlier: Sequence[str]) -> str:
    """What is new since the builds that the lock has before this one; nothing if none of them is here."""
    last = len(earlier)
    if step.id in earlier:
        first = earlier.index(step.id) + 1
        return f"the same as build {first}; build {last} came between, so it is number {last + 1}"
    for number in range(last, 0, -1):
        if result := grounds.results.known(earlier[number - 1]):
            since = "" if number == last else f"since build {number}: "
            return since + ", ".join(causes(step.inputs, result.inputs, step.parts, result.parts))
    return ""


def _obstacle(grounds: Grounds, step: Step, before: Mapping[str, Step]) -> tuple[str, str] | None:
    """Why a step has no id, and the way out; None if it has one."""
    name, source = step.name, step.source
    if grounds.tree.bom.components[name].tarball_source and source is None:
        kinds = ", ".join(grounds.settings.sources.kinds)
        return f"no source of a kind this site uses ({kinds})", "add a source to the recipe"
    if source is not None and not source.sha512:
        return f"source is unpinned: {source.where}", _pin(grounds, name)
    if blocked := [need for need in step.after if not before[need].id]:
        return f"{blocked[0]}, which it depends on, cannot be built", before[blocked[0]].hint
    return None

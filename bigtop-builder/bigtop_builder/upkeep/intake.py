# SPDX-License-Identifier: Apache-2.0
"""`patch new` and `patch import`: patches that were read come into the queue and the recipes, all or none."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from bigtop_builder.errors import InputError
from bigtop_builder.patches.dep3 import ticket_of, trailers_of, with_trailers
from bigtop_builder.patches.facts import TREE, Given, facts_text, new_facts
from bigtop_builder.patches.listed import targets_of, with_patches
from bigtop_builder.patches.mail import read_mail, write_mail
from bigtop_builder.patches.queue import DEFAULT, FACTS, Patch, load_entry
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.schema import counted
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import Change, changing
from bigtop_builder.upkeep.foreign import Fault, Incoming, Read
from bigtop_builder.upkeep.recipes import series_of
from bigtop_builder.upkeep.trial import require_series
from bigtop_builder.workspace import Project

IDS = re.compile(
    rb"^(?:index [0-9a-f]+\.\.[0-9a-f]+(?: [0-7]+)?|(?:dis)?similarity index \d+%)\n", re.MULTILINE
)
"""Lines of a diff that other patches to the same file change too."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of one patch.

    Attributes:
        id: The patch.
        source: Where it came from.
        what: `new`; `unchanged`: the queue has just that already.
        lacking: Whether nobody said yet what it does, why it is needed, or when it can go.
    """

    id: str
    source: str
    what: Literal["new", "unchanged"]
    lacking: bool = False


@dataclass(frozen=True, kw_only=True)
class Import:
    """What an import did.

    Attributes:
        patches: Those that are in the queue now.
        faults: Those that are not.
        written: Files that were written.
    """

    patches: tuple[Imported, ...]
    faults: tuple[Fault, ...]
    written: tuple[str, ...]


def bring(
    read: Iterable[Read],
    *,
    given: Given,
    releases: Sequence[str] = (),
    keep_going: bool = False,
    dry_run: bool = False,
    project: Project,
    settings: Settings | None = None,
) -> Import:
    """Put patches into the queue, and at the end of the recipes that are named.

    Args:
        read: What was read, in order.
        given: Facts that the user gave.
        releases: Recipes that are to list them.
        keep_going: Bring those that can be read, though others cannot.
        dry_run: Write nothing.
        project: Has the queue.
        settings: Given where patches must apply to those releases.

    Raises:
        InputError: A patch cannot be read or its id is taken, or no such recipe.
        TreeError: With `settings`: one does not apply.
    """
    with changing(project, dry_run=dry_run) as change:
        recipes = [load_recipe(name, project.recipes) for name in releases]
        known, faults = _sorted(read, project)
        if len(faults) == 1 and not known:
            raise InputError(faults[0].reason, hint=faults[0].hint)
        if faults and not keep_going:
            raise InputError(
                f"{len(faults)} of {counted(len(faults) + len(known), 'patch')} cannot be imported, so none was",
                details="\n".join(str(fault) for fault in faults),
                hint="mend them, or import the others with --keep-going",
            )
        names = tuple(recipe.release for recipe, _ in recipes)
        done = tuple(_laid(one, given, names, change, project) for one in known)
        for recipe, path in recipes:
            _require_built(recipe, path, known)
            more = [one.id for one in known if one.id not in recipe.patches]
            change.edit(path, partial(with_patches, wanted=[*recipe.patches, *more]))
            if settings:
                _require_applied(recipe, path, known, change, project=project, settings=settings)
        written = change.names
    return Import(patches=done, faults=tuple(faults), written=written)


def _sorted(read: Iterable[Read], project: Project) -> tuple[list[Incoming], list[Fault]]:
    """What can come in, and what cannot: an id is taken once."""
    known: dict[str, Incoming] = {}
    faults: list[Fault] = []
    for one in read:
        if isinstance(one, Fault):
            faults.append(one)
        elif one.id in known:
            reason = f"{one.source} and {known[one.id].source} would both be patch {one.id!r}"
            faults.append(Fault(source=one.source, reason=reason, hint="rename one of them"))
        elif (project.patches / one.id).exists() and not _is_there(one, project):
            reason = (
                f"{one.source} would be patch {one.id!r}, and {project.patches / one.id} is there already"
            )
            hint = "give it another name (--name for one patch, else rename the file), or edit that patch"
            faults.append(Fault(source=one.source, reason=reason, hint=hint))
        else:
            known[one.id] = one
    return list(known.values()), faults


def _is_there(one: Incoming, project: Project) -> bool:
    """Whether the queue has this very patch."""
    folder = project.patches / one.id
    if one.files:
        return all(
            (folder / name).is_file() and (folder / name).read_bytes() == content
            for name, content in one.files.items()
        )
    if not (folder / FACTS).is_file():
        return False
    diffs = load_entry(project.patches, one.id).diffs
    there = (IDS.sub(b"", read_mail(diff.data, source=str(diff.path)).diff) for diff in diffs)
    return IDS.sub(b"", one.mail.diff) in there


def _laid(
    one: Incoming, given: Given, releases: tuple[str, ...], change: Change, project: Project
) -> Imported:
    folder = project.patches / one.id
    if folder.exists():
        return Imported(id=one.id, source=one.source, what="unchanged")
    lacking = False
    for name, content in one.files.items():
        change.write(folder / name, content)
    if not one.files:
        said = with_trailers(given, one.mail)
        said = replace(said, commit=said.commit or one.commit) if said.state == "merged" else said
        facts = new_facts(
            one.target, one.mail.subject, given=said, releases=releases, ticket=ticket_of(one.mail)
        )
        lacking = not (facts.why and facts.drop_when and one.mail.body)
        change.write(folder / FACTS, facts_text(facts))
        change.write(folder / DEFAULT, write_mail(replace(one.mail, trailers=trailers_of(facts, one.mail))))
    return Imported(id=one.id, source=one.source, what="new", lacking=lacking)


def _require_built(recipe: Recipe, path: Path, known: Sequence[Incoming]) -> None:
    for target in {one.target for one in known} - {TREE}:
        if target not in {component.name for component in recipe.components}:
            raise InputError(
                f"{path} builds no {target!r}, so it can list no patch to it",
                hint=f"it builds {', '.join(component.name for component in recipe.components)}; without "
                "--release the patch is in the queue alone",
            )


def _require_applied(
    recipe: Recipe,
    path: Path,
    known: Sequence[Incoming],
    change: Change,
    *,
    project: Project,
    settings: Settings,
) -> None:
    """Raise unless the new patches apply on top of those that the recipe lists."""
    for target in targets_of(one.id for one in known):
        more = [
            _patch(one, change, project, recipe.release)
            for one in known
            if one.target == target and one.id not in recipe.patches
        ]
        require_series(
            target,
            path,
            [*series_of(project, recipe, target), *more],
            judged={one.id for one in more},
            hint=f"make them in a work tree of that release: bigtop-builder patch edit {path.stem} {target}; "
            "patch import --no-check brings them as they are",
            project=project,
            settings=settings,
        )


def _patch(one: Incoming, change: Change, project: Project, release: str) -> Patch:
    """What the queue will have of a patch for a release: its own files, those of another queue, or the mail."""
    queue = Path(one.source).parents[1] if one.files else project.patches
    if (queue / one.id / FACTS).is_file():
        return load_entry(queue, one.id).at(release)
    path = project.patches / one.id / DEFAULT
    facts = new_facts(one.target, one.mail.subject, given=Given(), releases=())
    return Patch(id=one.id, path=path, diff=change.read(path) or b"", facts=facts)

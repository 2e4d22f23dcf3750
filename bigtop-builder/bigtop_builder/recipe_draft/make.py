# SPDX-License-Identifier: Apache-2.0
"""`recipe new`: the whole way from a tag of Bigtop to a draft of its recipe, and what is left for a human."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.patches.listed import targets_of, with_patches
from bigtop_builder.patches.queue import load_patches
from bigtop_builder.recipe import Recipe
from bigtop_builder.recipe_draft import checks, opens
from bigtop_builder.recipe_draft.checks import Open, wording
from bigtop_builder.recipe_draft.choice import Choice, choose
from bigtop_builder.recipe_draft.desk import Asked, Desk, open_desk
from bigtop_builder.recipe_draft.parts import Planned, plan_parts
from bigtop_builder.recipe_draft.pins import Pinned, fetch_pinned, known_pins, pin_all
from bigtop_builder.recipe_draft.series import Standing, aside, carried_on, standings
from bigtop_builder.recipe_draft.text import Draft, Entry, compose, with_notes_on_patches
from bigtop_builder.settings import Settings
from bigtop_builder.tree import make_tree
from bigtop_builder.upkeep.change import mend
from bigtop_builder.workspace import Project

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A draft that was written.

    Attributes:
        desk: What it was made from.
        choice: What it builds.
        pins: What became of the sources, component by component.
        standings: What became of the patches.
        changed: Component -> how many files of its packaging are others than in the earlier release.
        left_out: What of the earlier recipe was left out, one line each.
        open: What a human must decide or mend.
    """

    desk: Desk = field(repr=False)
    choice: Choice = field(repr=False)
    pins: tuple[Pinned, ...] = field(repr=False)
    standings: tuple[Standing, ...]
    changed: Mapping[str, int]
    left_out: tuple[str, ...]
    open: tuple[Open, ...]


def make_draft(asked: Asked, *, project: Project, settings: Settings) -> Made:
    """Write a draft of a recipe for a release that Bigtop has tagged.

    Args:
        asked: What is wanted.
        project: Has recipes and queue.
        settings: Site settings.

    Raises:
        InputError: No such tag, recipe or component, or the file is there already.
        TreeError: Bigtop cannot be had, or a bill of materials cannot be read.
        EnvironmentMissing: This user cannot write the file.
    """
    mend(project)
    desk = open_desk(asked, project, settings)
    log.info("%s of %s, from %s", desk.tag.name, desk.tag.commit[:12], desk.earlier_path)
    choice = choose(desk.grounds, asked.components)
    planned = plan_parts(desk, choice.parts)
    pins = _pinned(desk, planned)
    fetch_pinned(_patched(desk, pins), settings=settings, recipe_dir=desk.earlier_path.parent)
    draft = _draft(desk, planned, pins)
    found, doubts = _tried(desk, compose(desk.text, draft))
    gone = tuple(opens.gone(desk, choice))
    with _restoring(desk.path):
        if asked.rebase:
            found = _carried_on(desk, draft, found)
        _write(desk, _noted(draft, (*gone, *doubts)), found)
    return Made(
        desk=desk,
        choice=choice,
        pins=pins,
        standings=found,
        changed=_changed(desk, choice),
        left_out=(*opens.left_out(desk, choice), *(line for one in planned for line in one.left_out)),
        open=(
            *gone,
            *(one for part in planned for one in part.open),
            *opens.unpinned(desk, pins),
            *opens.unfit(desk, found),
            *doubts,
        ),
    )


def _pinned(desk: Desk, planned: Sequence[Planned]) -> tuple[Pinned, ...]:
    recipes = sorted(desk.recipes, key=lambda one: one[1] != desk.earlier_path)
    folder = desk.earlier_path.parent
    components = [one.component for one in planned]
    return pin_all(components, known_pins(recipes, folder), settings=desk.settings, recipe_dir=folder)


def _patched(desk: Desk, pins: Sequence[Pinned]) -> list[Pinned]:
    """Those of the sources that local patches are tried on."""
    targets = set(targets_of(desk.earlier.patches))
    return [one for one in pins if one.component.name in targets]


def _draft(desk: Desk, planned: Sequence[Planned], pins: Sequence[Pinned]) -> Draft:
    old = {component.name: component for component in desk.earlier.components}
    open_ = {one.part.name: one.open for one in planned}
    entries = tuple(_entry(desk, one, open_[one.component.name]) for one in pins)
    target = desk.earlier.target
    return Draft(
        head=(
            f"Apache Bigtop {desk.tag.release} for {target.distribution.capitalize()} ({target.suite}).",
            f"A draft by `recipe new {desk.asked.tag}`, made of {desk.base}. Lines with `open:` need a human.",
        ),
        tag=desk.tag,
        carried=tuple(one.part for one in planned if one.part.donor and one.part.named),
        entries=entries,
        kept=frozenset(e.name for e in entries if e.name in old and e.sources == old[e.name].sources),
    )


def _entry(desk: Desk, one: Pinned, open_: Sequence[Open]) -> Entry:
    component = one.component
    notes = [f"open: {item.what}" for item in open_]
    if one.failure:
        notes.append(f"open: none of these could be had and pinned: {opens.pinning(desk, one)}")
    return Entry(
        name=component.name,
        version=component.version,
        sources=component.sources,
        omit_patches=component.omit_patches,
        notes=tuple(notes),
    )


def _tried(desk: Desk, text: str) -> tuple[tuple[Standing, ...], tuple[Open, ...]]:
    """What becomes of the patches, and what of the recipe does not fit the release's tree."""
    with aside(desk.path.stem, desk.absolute(text), desk.project.patches) as (project, path):
        _require_meant(Recipe.from_toml(path), desk)
        found = standings(desk.earlier, desk.earlier_path, project, path, desk.settings)
        listed = [one.id for one in found if one.listed]
        path.write_text(with_patches(path.read_text(encoding="utf-8"), listed), encoding="utf-8")
        recipe = Recipe.from_toml(path)
        others = {path.stem: one for one, path in desk.recipes}
        doubts = [*checks.clash(recipe, others)]
        try:
            doubts += _misfits(desk, recipe, project)
        except (InputError, TreeError) as error:
            doubts.append(
                Open(what=f"the tree cannot be made: {wording(error)}", way=error.hint or "mend the recipe")
            )
    return found, tuple(doubts)


def _misfits(desk: Desk, recipe: Recipe, project: Project) -> Iterator[Open]:
    objects = desk.workspace.objects
    now = make_tree(recipe, load_patches(project.patches, recipe), mirror=desk.mirror, objects=objects)
    yield from checks.gradle(recipe, now)
    try:
        patches = load_patches(desk.project.patches, desk.earlier)
        before = make_tree(desk.earlier, patches, mirror=desk.mirror, objects=objects)
    except (InputError, TreeError) as error:
        log.warning("packages are not held against those of %s: %s", desk.base, error.brief)
        return
    yield from checks.lost_packages(desk.earlier, before, now)


def _require_meant(recipe: Recipe, desk: Desk) -> None:
    """See that the text says what it is to say: a recipe may be written in ways that blocks do not show.

    Raises:
        InputError: It does not.
    """
    if (recipe.release, recipe.bigtop.commit) != (desk.tag.release, desk.tag.commit):
        raise InputError(
            f"no draft can be made of {desk.earlier_path}: its tables are not written as [bigtop] and [[components]]",
            hint="write them so, or name another recipe with --from",
        )


def _carried_on(desk: Desk, draft: Draft, found: tuple[Standing, ...]) -> tuple[Standing, ...]:
    """Let the queue have diffs for the release; the recipe lies in the project meanwhile, with no patch."""
    if desk.earlier.release == desk.tag.release:
        return found
    write_whole(desk.path, with_patches(desk.placed(compose(desk.text, draft)), []))
    return carried_on(found, desk.earlier_path, desk.path, desk.project, desk.settings)


def _write(desk: Desk, draft: Draft, found: Sequence[Standing]) -> None:
    text = with_patches(compose(desk.text, draft), [one.id for one in found if one.listed])
    notes = [opens.note_on(desk, one) for one in found]
    text = with_notes_on_patches(text, [one for one in notes if one])
    write_whole(desk.path, desk.placed(text))


def _noted(draft: Draft, doubts: Sequence[Open]) -> Draft:
    notes: dict[str, list[str]] = {}
    for one in doubts:
        notes.setdefault("" if one.table == "components" else one.table, []).append(f"open: {one.what}")
    return replace(draft, notes=notes)


@contextmanager
def _restoring(path: Path) -> Iterator[None]:
    """Let a file hold what it held if the block does not come to its end."""
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    try:
        yield
    except BaseException:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, before)
        raise


def _changed(desk: Desk, choice: Choice) -> dict[str, int]:
    names = [part.name for part in choice.parts if part.donor is None]
    return checks.changed_packaging(desk.mirror, desk.earlier.bigtop.commit, desk.tag.commit, names)

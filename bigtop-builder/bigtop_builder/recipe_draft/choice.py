# SPDX-License-Identifier: Apache-2.0
"""Which components a draft builds: those of the earlier recipe, what they newly need, and what the user adds.

What the release lacks is carried from where the earlier recipe has it from, else from the last release that has it.
What the earlier recipe left out on purpose, although something needed it then, stays left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bigtop_builder.bom import Bom
from bigtop_builder.bom import Component as BomComponent
from bigtop_builder.errors import InputError
from bigtop_builder.recipe import Recipe
from bigtop_builder.schema import nearest


@dataclass(frozen=True, kw_only=True)
class Donor:
    """A commit of Bigtop that packaging comes from.

    Attributes:
        commit: Commit id.
        ref: Its tag; empty if none is known.
        bom: Its bill of materials.
    """

    commit: str
    ref: str
    bom: Bom = field(repr=False)

    @property
    def where(self) -> str:
        """The commit in one word, for people."""
        return self.ref or self.commit[:12]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A component of the draft.

    Attributes:
        name: Its name.
        bom: The bill of materials that has it: the release's or the donor's.
        before: What the earlier recipe's said; None if it is new here.
        donor: Where its packaging comes from if not from the release.
        named: Whether the draft needs an entry in `carry`; what a carried component needs comes along without.
        why: Why it is here, unless the earlier recipe has it.
    """

    name: str
    bom: Bom = field(repr=False)
    before: BomComponent | None = None
    donor: Donor | None = None
    named: bool = True
    why: str = ""

    @property
    def now(self) -> BomComponent:
        """What its bill of materials says of it."""
        return self.bom.components[self.name]

    @property
    def needs(self) -> tuple[str, ...]:
        """What is built right before it."""
        return self.bom.dependencies_of(self.name)


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What is chosen from.

    Attributes:
        recipe: The earlier recipe.
        before: Its bill of materials, without what it carries.
        bom: The release's.
        carried: Component -> where the earlier recipe has it from.
        last_with: Finds the last earlier release that has a component.
    """

    recipe: Recipe
    before: Bom
    bom: Bom
    carried: dict[str, Donor]
    last_with: Callable[[str], Donor | None]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a draft builds.

    Attributes:
        parts: In the earlier recipe's order; what is new comes behind what it needs.
        gone: Components of the earlier recipe that nothing here has.
        omitted: Needs that are left out as in the earlier recipe: who needs, what.
    """

    parts: tuple[Part, ...]
    gone: tuple[str, ...]
    omitted: tuple[tuple[str, str], ...]


def choose(grounds: Grounds, added: Sequence[str] = ()) -> Choice:
    """Choose the components of a draft.

    Args:
        grounds: What is chosen from.
        added: Components to build besides.

    Raises:
        InputError: One of `added` is in no release.
    """
    maker = _Maker(grounds)
    for component in grounds.recipe.components:
        maker.keep(component.name)
    for name in [*maker.found]:
        maker.need(name)
    for name in added:
        maker.add(name, why="asked for with -c")
    return Choice(
        parts=tuple(maker.found[name] for name in maker.order),
        gone=tuple(maker.gone),
        omitted=tuple(maker.omitted),
    )


class _Maker:
    """A choice while it is made."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._old = {component.name for component in grounds.recipe.components}
        self.found: dict[str, Part] = {}
        self.order: list[str] = []
        self.gone: list[str] = []
        self.omitted: list[tuple[str, str]] = []

    def keep(self, name: str) -> None:
        """A component of the earlier recipe."""
        part = self._part(name)
        if part is None:
            self.gone.append(name)
            return
        self.found[name] = part
        self.order.append(name)

    def add(self, name: str, *, why: str) -> None:
        """A component that is new here, and before it what it needs."""
        if name in self.found:
            return
        part = self._part(name, why=why)
        if part is None:
            known = self._grounds.bom.components
            raise InputError(
                f"no release of Bigtop up to {self._grounds.bom.version} builds .debs of {name!r}",
                hint=nearest(name, list(known)),
            )
        self.found[name] = part
        self.need(name)
        needs = [self.order.index(one) for one in part.needs if one in self.order]
        self.order.insert(max(needs, default=-1) + 1, name)

    def need(self, name: str) -> None:
        """What a component needs, unless the earlier recipe did without."""
        part, bom = self.found[name], self._bom_before(name)
        before = bom.dependencies_of(name) if bom and name in self._old else ()
        for need in part.needs:
            must = part.donor is not None and need not in self._grounds.bom.components
            if need in self.found:
                continue
            if need in before and not must:
                self.omitted.append((name, need))
            else:
                self.add(need, why=f"{name} needs it")

    def _part(self, name: str, *, why: str = "") -> Part | None:
        grounds, bom = self._grounds, self._bom_before(name)
        before = bom.components[name] if bom else None
        if own := grounds.bom.components.get(name):
            return Part(name=name, bom=grounds.bom, before=before, why=why) if own.has_deb else None
        along = None if name in grounds.carried else self._along(name)
        donor = grounds.carried.get(name) or along or grounds.last_with(name)
        if donor is None:
            return None
        return Part(name=name, bom=donor.bom, before=before, donor=donor, named=not along, why=why)

    def _along(self, name: str) -> Donor | None:
        """Where a component comes from that something carried needs, and the release lacks."""
        there = self._grounds.bom.components
        donors = {one: donor for one, donor in self._grounds.carried.items() if one not in there}
        donors |= {one: part.donor for one, part in self.found.items() if part.donor}
        return next((donor for one, donor in donors.items() if name in donor.bom.dependencies_of(one)), None)

    def _bom_before(self, name: str) -> Bom | None:
        """The bill of materials that the earlier recipe had a component from; None if it had none."""
        before = self._grounds.before
        if name in before.components:
            return before
        donor = self._grounds.carried.get(name) or self._along_before(name)
        return donor.bom if donor else None

    def _along_before(self, name: str) -> Donor | None:
        donors = self._grounds.carried.items()
        return next((donor for one, donor in donors if name in donor.bom.dependencies_of(one)), None)

# SPDX-License-Identifier: Apache-2.0
"""A release's `bigtop.bom`: what it builds, in which versions, from which tarballs, in which order.

The file is a script for Groovy's ConfigSlurper. It is read here without a JVM, so that a plan is pure and
takes milliseconds. Only the Groovy that Bigtop's releases use is known; all else is refused, never guessed.
"""

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from bigtop_builder.config_slurper import Value, find_blocks, groovy_text, read_config
from bigtop_builder.errors import InputError, TreeError


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component, with the defaults that Bigtop's packages.gradle (`setDefaults`) fills in.

    Attributes:
        name: Key in the file, and name of the Gradle tasks.
        pkg: Name of the source package.
        base_version: `version.base`, upstream's version.
        pkg_version: `version.pkg`, the package's upstream part.
        release: `version.release`, the package's revision where no build stamp is given.
        tarball_source: File name at the download site; None where nothing is downloaded.
        tarball_destination: File name in `dl/`.
        packaging: The only kind of package it has ("rpm"), or None for all kinds.
        git: Those of repo, ref, dir and commit_hash that are set. Never user and token.
        site: First folder URL to download from.
        archive: Second folder URL.
        maven_parallel_build: It may be built with Maven threads.
    """

    name: str
    pkg: str
    base_version: str
    pkg_version: str
    release: str
    tarball_source: str | None
    tarball_destination: str | None
    packaging: str | None
    git: Mapping[str, str] = field(hash=False)
    site: str | None
    archive: str | None
    maven_parallel_build: bool

    @property
    def has_deb(self) -> bool:
        """Whether .debs of it can be built."""
        return self.packaging is None or self.packaging.lower() == "deb"


@dataclass(frozen=True, kw_only=True)
class Bom:
    """A whole `bigtop.bom`.

    Attributes:
        version: Bigtop's own version.
        components: By name, in file order.
        dependents: The file's `dependencies`: a component, and those that are built after it. Names that are
            no component of this release may occur.
    """

    version: str
    components: Mapping[str, Component]
    dependents: Mapping[str, tuple[str, ...]]

    def dependencies_of(self, name: str) -> tuple[str, ...]:
        """Return what is built right before a component, in file order.

        What the release lacks or builds as rpm only is left out.

        Raises:
            InputError: There is no such component.
        """
        self._require(name)
        return tuple(
            other
            for other, component in self.components.items()
            if component.has_deb and name in self.dependents.get(other, ())
        )

    def nearest(self, name: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of `names` that a component is built on, in file order.

        A need that goes through a component outside `names` counts; one that another of them has already does
        not, unless it is the component's own too.

        Raises:
            InputError: There is no such component.
            TreeError: Components need each other in a circle.
        """
        wanted = frozenset(names)
        own = frozenset(self.dependencies_of(name))
        found: set[str] = set()
        waiting, seen = [*own], set[str]()
        while waiting:
            other = waiting.pop()
            if other in wanted:
                found.add(other)
            elif other not in seen:
                seen.add(other)
                waiting += self.dependencies_of(other)
        needs = self._needs(found)
        behind = frozenset[str]().union(*(needs[other] for other in found))
        return tuple(other for other in self.components if other in (found & own) | (found - behind))

    def build_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return exactly these components, each after those it needs, otherwise in file order.

        A need that goes through a component outside `names` counts too.

        Raises:
            InputError: There is no such component.
            TreeError: Components need each other in a circle.
        """
        wanted = frozenset(names)
        needs = self._needs(wanted)
        rank = {name: number for number, name in enumerate(self.components)}
        sorter = TopologicalSorter({name: needs[name] & wanted for name in wanted})
        sorter.prepare()
        ready: list[tuple[int, str]] = []
        order = []
        while sorter.is_active():
            for name in sorter.get_ready():
                heapq.heappush(ready, (rank[name], name))
            order.append(heapq.heappop(ready)[1])
            sorter.done(order[-1])
        return tuple(order)

    def _needs(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """All that each of these components needs, directly or through others."""
        direct: dict[str, tuple[str, ...]] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in direct:
                direct[name] = self.dependencies_of(name)
                waiting.extend(direct[name])
        needs: dict[str, frozenset[str]] = {}
        try:
            for name in TopologicalSorter(direct).static_order():
                needs[name] = frozenset(direct[name]).union(*(needs[other] for other in direct[name]))
        except CycleError as error:
            raise TreeError(
                f"bigtop.bom of {self.version}: components need each other: {' → '.join(error.args[1])}",
                hint="take one of these pairs out of its dependencies",
            ) from error
        return needs

    def _require(self, name: str) -> None:
        if name not in self.components:
            raise InputError(
                f"Bigtop {self.version} has no component {name!r}",
                hint=f"its components are {', '.join(self.components)}",
            )


def parse_bom(
    text: str, *, source: str = "bigtop.bom", environment: Mapping[str, str] = MappingProxyType({})
) -> Bom:
    """Read a `bigtop.bom`.

    Args:
        text: The file's text.
        source: Its name, for errors.
        environment: What `System.getenv` finds. This process's own variables are never read.

    Raises:
        TreeError: It holds Groovy that is not known here, a name without a value, or no whole component.
    """
    bigtop = _Section(source, "", read_config(text, source=source, environment=environment)).section("bigtop")
    components = bigtop.section("components")
    return Bom(
        version=bigtop.need("version"),
        components={name: _component(name, components.section(name)) for name in components.values},
        dependents=bigtop.section("dependencies").lists(),
    )


def overlay(name: str, *, version: str, tarball_source: str, tarball_destination: str) -> str:
    """Return Groovy that, at the end of a `bigtop.bom`, gives a component another version and tarball.

    The component's git settings are cleared, so that Bigtop takes the file in `dl/` and never clones. An
    empty map does that in every release's packages.gradle; null would end it with an error.

    Args:
        name: The component.
        version: Its new `version.base` and `version.pkg`.
        tarball_source: File name at the download site; its ending decides how Bigtop unpacks.
        tarball_destination: File name in `dl/`.

    Raises:
        InputError: A value holds other characters than a version or a file name needs.
    """
    given = {
        "component": name,
        "version": version,
        "tarball source": tarball_source,
        "tarball destination": tarball_destination,
    }
    for what, value in given.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*", value):
            raise InputError(
                f"{what} {value!r} does not fit into bigtop.bom",
                hint="letters, digits and . + ~ _ - may be used, and a letter or digit comes first",
            )
    return (
        "\nbigtop { components { '" + name + "' {\n"
        f"  version {{ base = '{version}'; pkg = base }}\n"
        f"  tarball {{ source = '{tarball_source}'; destination = '{tarball_destination}' }}\n"
        "  git = [:]\n"
        "} } }\n"
    )


def block_of(text: str, name: str, *, source: str = "bigtop.bom") -> str:
    """Return a component's block as it stands in the file, name and braces included; empty if there is none.

    Raises:
        TreeError: The file holds Groovy that is not known here.
    """
    spans = find_blocks(text, "bigtop", "components", name, source=source)
    return "\n    ".join(text[span.start : span.end] for span in spans)


def graft(
    text: str, blocks: Sequence[str], dependents: Mapping[str, Iterable[str]], *, source: str = "bigtop.bom"
) -> str:
    """Return the file with further components, and with another map of dependencies.

    The blocks go to the end of the block `components`, since only there their names mean for ConfigSlurper what
    they mean for the components around them: in a block opened anew at the end of the file, `apache` would
    quietly be an empty block. The map is a value, which a later one of its name replaces.

    Args:
        text: The file.
        blocks: Blocks of components, as `block_of` returns them.
        dependents: The whole map: a component, and those that are built after it.
        source: The file's name, for errors.

    Raises:
        TreeError: The file holds Groovy that is not known here, or has no block `components`.
    """
    spans = find_blocks(text, "bigtop", "components", source=source)
    if not spans:
        raise TreeError(f"{source}: bigtop.components is missing")
    end = spans[-1].end - 1
    added = "".join(f"\n    {block}" for block in blocks)
    rows = [
        f"    {_quoted(name)}: [{', '.join(map(_quoted, names))}],\n" for name, names in dependents.items()
    ]
    edges = f"[\n{''.join(rows)}  ]" if rows else "[:]"
    return f"{text[:end]}{added}\n  {text[end:]}\nbigtop {{\n  dependencies = {edges}\n}}\n"


def _quoted(text: str) -> str:
    """A Groovy string that holds nothing but this text."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class _Section(NamedTuple):
    """A block of the evaluated file and its dotted path."""

    source: str
    path: str
    values: dict[str, Value]

    def section(self, key: str) -> "_Section":
        """The block of that name, an empty one where it is missing or null."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            self._refuse(key, "is no block")
        return _Section(self.source, self._path(key), value or {})

    def text(self, key: str) -> str | None:
        """The text of that name; null and the empty string are None, as both are false in Groovy."""
        value = self.values.get(key)
        if isinstance(value, list | dict):
            self._refuse(key, "is no text")
        return None if value is None or value == "" else groovy_text(value)

    def need(self, key: str) -> str:
        """The text of that name."""
        return self.text(key) or self._refuse(key, "is missing")

    def lists(self) -> dict[str, tuple[str, ...]]:
        """The whole block as lists of texts."""
        return {key: self._names(key) for key in self.values}

    def _names(self, key: str) -> tuple[str, ...]:
        value = self.values[key]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._refuse(key, "is no list of names")
        return tuple(map(str, value))

    def _path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _refuse(self, key: str, what: str) -> NoReturn:
        raise TreeError(
            f"{self.source}: {self._path(key)} {what}",
            hint="the comment at the top of Bigtop's own bigtop.bom says what a component holds",
        )


def _component(label: str, raw: _Section) -> Component:
    if raw.need("name") != label:
        # packages.gradle asserts the same before it makes any task.
        raise TreeError(
            f"{raw.source}: component {label!r} calls itself {raw.need('name')!r}",
            hint="give its block and its name the same text",
        )
    version, tarball, url, git = (raw.section(key) for key in ("version", "tarball", "url", "git"))
    base = version.need("base")
    return Component(
        name=label,
        pkg=raw.text("pkg") or label,
        base_version=base,
        pkg_version=version.text("pkg") or base,
        release=version.text("release") or "1",
        tarball_source=tarball.text("source"),
        tarball_destination=tarball.text("destination"),
        packaging=raw.text("packaging"),
        git={key: value for key in ("repo", "ref", "dir", "commit_hash") if (value := git.text(key))},
        site=url.text("site"),
        archive=url.text("archive"),
        maven_parallel_build=bool(raw.values.get("maven_parallel_build")),
    )

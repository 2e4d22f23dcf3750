# SPDX-License-Identifier: Apache-2.0
"""The gate for what comes along with .debs: source packages into the pool, .changes and .buildinfo beside it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.artifact import Deb
from bigtop_builder.errors import PublishError
from bigtop_builder.repository import layout
from bigtop_builder.repository.index.sources import ARCHITECTURE, SourceStanza, source_stanza
from bigtop_builder.repository.layout import Added, Index
from bigtop_builder.repository.pool import BUMP, Admitted
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Content, Present, Upload
from bigtop_builder.source_package import Beside, BuildRecord, Part, SourcePackage

log = logging.getLogger(__name__)

VERIFIED = "checksums"
"""What the history says of a source package: each file was held to the hashes in its .dsc."""
NOTHING = Beside()


@dataclass(frozen=True, kw_only=True)
class AdmittedSource:
    """A source package that may go in.

    Attributes:
        stanza: What the index will say.
        record: What the history will say.
        files: Pool files.
    """

    stanza: SourceStanza
    record: Added
    files: Mapping[str, Content]


def not_yet_in(
    state: State, index: Index | None, sources: Iterable[SourcePackage]
) -> tuple[SourcePackage, ...]:
    """Those source packages that an index does not have.

    Raises:
        PublishError: It has one with other bytes, or two of them differ in their bytes alone.
    """
    wanted: dict[tuple[str, str], SourcePackage] = {}
    for source in sources:
        twin = wanted.setdefault((source.name, source.version), source)
        if twin.dsc.sha256 != source.dsc.sha256:
            raise _other_bytes(source.dsc, f"{twin.path} with sha256 {twin.dsc.sha256}")
    there = {
        (one.name, one.version): one
        for one in state.find_sources(index, {name for name, _ in wanted})
        if (one.name, one.version) in wanted
    }
    for key, stanza in there.items():
        if stanza.sha256 != wanted[key].dsc.sha256:
            raise _other_bytes(wanted[key].dsc, f"{stanza.filename} with sha256 {stanza.sha256}")
    return tuple(source for key, source in wanted.items() if key not in there)


def admit(state: State, sources: Sequence[SourcePackage], *, component: str) -> tuple[AdmittedSource, ...]:
    """Let source packages through the gate, all or none.

    Raises:
        PublishError: The pool has a file of one with other bytes, in any component; or two share a name only.
    """
    parts: dict[str, Part] = {}
    for source in sources:
        for part in source.files:
            path = f"{layout.source_folder(component, source.name)}/{part.name}"
            if parts.setdefault(path, part).sha256 != part.sha256:
                raise _other_bytes(part, str(parts[path].path))
    components = {component, *state.store.names(layout.POOL)} if parts else {component}
    places = {
        path: [path.replace(f"/{component}/", f"/{other}/", 1) for other in components] for path in parts
    }
    held = state.store.held(place for one in places.values() for place in one)
    for path, part in parts.items():
        for place in (place for place in places[path] if place in held):
            sha256 = held[place].sha256 or state.store.sha256(place)
            if (held[place].size, sha256) != (part.size, part.sha256):
                raise _other_bytes(part, f"{place} with sha256 {sha256}")
    return tuple(_admitted(source, component, held.keys()) for source in sources)


def fitting(state: State, sources: Iterable[SourcePackage], *, component: str) -> tuple[SourcePackage, ...]:
    """Those source packages that `admit` would let in; others are warned of.

    For a release: a build may pack an upstream tarball anew that it packed for another revision, with other bytes
    under the same name, and its packages are good all the same.
    """
    found = []
    for source in sources:
        try:
            admit(state, [source], component=component)
        except PublishError as error:
            log.warning("%s is left out: %s", source.dsc.name, error.brief)
        else:
            found.append(source)
    return tuple(found)


def _admitted(source: SourcePackage, component: str, held: Iterable[str]) -> AdmittedSource:
    stanza = source_stanza(source, component)
    there = set(held)
    return AdmittedSource(
        stanza=stanza,
        record=Added(
            name=source.name,
            version=source.version,
            architecture=ARCHITECTURE,
            sha256=source.dsc.sha256,
            verified=VERIFIED,
        ),
        files={
            file.filename: Present() if file.filename in there else Upload(part.path, part.sha256)
            for file, part in zip(stanza.files, source.files, strict=True)
        },
    )


def together(packages: Iterable[Admitted], sources: Iterable[AdmittedSource]) -> dict[str, Content]:
    """Pool files of packages and source packages."""
    files = {one.stanza.filename: one.content for one in packages}
    return files | {path: content for one in sources for path, content in one.files.items()}


def kept_records(
    records: Sequence[BuildRecord], debs: Sequence[Deb], sources: Sequence[SourcePackage]
) -> tuple[dict[str, Content], dict[str, str]]:
    """Files of the .changes and .buildinfo that are about some of these packages, and what the history says.

    Args:
        records: Those that came along.
        debs: Packages that came.
        sources: Source packages that came.

    Raises:
        PublishError: One names a package that came with another hash or size.
    """
    came = {deb.path.name: (deb.sha256, deb.size) for deb in debs}
    came |= {part.path.name: (part.sha256, part.size) for one in sources for part in one.files}
    files: dict[str, Content] = {}
    named: dict[str, str] = {}
    for record in records:
        about = record.files.keys() & came.keys()
        for name in sorted(about):
            if came[name] != record.files[name]:
                raise PublishError(
                    f"{name} is not the file that {record.path} names",
                    details=f"it has sha256 {came[name][0]} and {came[name][1]} bytes, "
                    f"not {record.files[name][0]} and {record.files[name][1]}",
                    hint="give both from one build, or leave out the .changes or .buildinfo",
                )
        if about:
            files[layout.record_file(record.sha256, record.path.suffix)] = record.content
            named[record.path.name] = record.sha256
        else:
            log.info("%s is about none of the packages given: it is not kept", record.path)
    return files, named


def _other_bytes(part: Part, other: str) -> PublishError:
    return PublishError(
        f"{part.path} is in the repository with other bytes",
        details=f"this file: sha256 {part.sha256}, {part.size} bytes\nalready there: {other}",
        hint=BUMP if part.name.endswith(".dsc") else "take the file that the earlier source package has",
    )

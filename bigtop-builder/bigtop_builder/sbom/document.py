# SPDX-License-Identifier: Apache-2.0
"""The SBOM of a package: CycloneDX 1.6 in JSON, the same bytes for the same package on every machine.

What nobody can know is not there: a jar that only its file name speaks of has no group and so no package URL. Its
serial number and its time come from the package, not from a clock.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import (
    AnalysisTechnique,
    ComponentEvidence,
    Identity,
    IdentityField,
    Method,
    Occurrence,
)
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from bigtop_builder.artifact import HEADER, MAGIC, Deb, read_deb
from bigtop_builder.sbom.coordinates import NOTHING, Coordinates, Known
from bigtop_builder.sbom.inventory import FORM, HOW, MERGED, UNREADABLE
from bigtop_builder.sbom.jars import How, Jar, jars_in
from bigtop_builder.schema import digest

NAMESPACE = uuid.UUID("b1c3f8de-0c1f-5d3b-9d53-6f0f6a2a7c11")
"""Ours, for serial numbers made from content (RFC 9562, 5.5)."""
LAST = 253_402_300_799
"""The end of the year 9999, in seconds since 1970."""
SURE: Mapping[How, tuple[AnalysisTechnique, IdentityField, str]] = {
    "build repository": (AnalysisTechnique.HASH_COMPARISON, IdentityField.PURL, "1"),
    "build repository (classes)": (AnalysisTechnique.BINARY_ANALYSIS, IdentityField.PURL, "0.95"),
    "pom.properties": (AnalysisTechnique.MANIFEST_ANALYSIS, IdentityField.PURL, "0.8"),
    "file name": (AnalysisTechnique.FILENAME, IdentityField.NAME, "0.3"),
    "unknown": (AnalysisTechnique.FILENAME, IdentityField.NAME, "0.1"),
}
"""How coordinates are known -> technique, what it tells, and how sure that is."""


def sbom_of(path: Path, known: Known = NOTHING) -> bytes:
    """The SBOM of a .deb.

    Args:
        path: The package.
        known: What its build had.

    Raises:
        InputError: There is no such file.
        CheckFailed: It is no whole .deb.
    """
    return document(read_deb(path), jars_in(path, known), when=_date(path))


def document(deb: Deb, jars: Iterable[Jar], *, when: datetime) -> bytes:
    """The SBOM of a package with these jars.

    Args:
        deb: The package.
        jars: What is in it.
        when: Its time.
    """
    there = tuple(jars)
    package = Component(
        name=deb.name,
        version=deb.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"{deb.name}_{deb.version}_{deb.architecture}",
        purl=PackageURL("deb", None, deb.name, deb.version, {"arch": deb.architecture}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=deb.sha256)],
    )
    tool = Component(name="bigtop-builder", type=ComponentType.APPLICATION, bom_ref="bigtop-builder")
    bom = Bom(
        serial_number=uuid.uuid5(NAMESPACE, digest(FORM, deb.sha256, repr(there))),
        metadata=BomMetaData(component=package, tools=ToolRepository(components=[tool]), timestamp=when),
    )
    bom.components.update(_add(bom, package, there))
    return f"{JsonV1Dot6(bom).output_as_string()}\n".encode()


def _add(bom: Bom, around: Component, jars: Iterable[Jar]) -> list[Component]:
    """Components for jars, each with what it depends on: what it brings along itself."""
    components = []
    for jar in jars:
        component = _component(jar)
        component.components.update(_add(bom, component, jar.inside))
        components.append(component)
    bom.register_dependency(around, components)
    return components


def _component(jar: Jar) -> Component:
    technique, field, confidence = SURE[jar.how]
    method = Method(technique=technique, confidence=Decimal(confidence), value=jar.how)
    hashes = ((HashAlgorithm.SHA_1, jar.sha1), (HashAlgorithm.SHA_256, jar.sha256))
    told = {HOW: jar.how, MERGED: "true" if jar.merged else "", UNREADABLE: jar.problem}
    return Component(
        name=jar.name,
        group=jar.coordinates.group if jar.coordinates else None,
        version=jar.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=jar.path,
        purl=_purl(jar.coordinates),
        hashes=[HashType(alg=algorithm, content=value) for algorithm, value in hashes if value],
        properties=[Property(name=name, value=value) for name, value in told.items() if value],
        evidence=ComponentEvidence(
            identity=[Identity(field=field, confidence=Decimal(confidence), methods=[method])],
            occurrences=[Occurrence(location=jar.path)],
        ),
    )


def _purl(known: Coordinates | None) -> PackageURL | None:
    if known is None:
        return None
    qualifiers = {"classifier": known.classifier} if known.classifier else {}
    return PackageURL("maven", known.group, known.artifact, known.version, qualifiers)


def _date(deb: Path) -> datetime:
    """When a .deb was made, by the header of its first member: dpkg-deb takes it from SOURCE_DATE_EPOCH."""
    with deb.open("rb") as file:
        file.seek(len(MAGIC))
        said = HEADER.unpack(file.read(HEADER.size))[1]
    return datetime.fromtimestamp(min(int(said), LAST), UTC)

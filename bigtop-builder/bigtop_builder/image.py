# SPDX-License-Identifier: Apache-2.0
"""Images: what builders and clean target systems are made of, named by the hash of it. Nothing is made here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bigtop_builder.base import BaseSpec, apt_sources, choose_base
from bigtop_builder.container import LABEL
from bigtop_builder.errors import InputError
from bigtop_builder.recipe import Jdk, Recipe
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings
from bigtop_builder.templates import render

Kind = Literal["builder", "target"]

BUILDER_PACKAGES = (
    "build-essential",
    "ca-certificates",
    "ca-certificates-java",
    "curl",
    "debhelper",
    "devscripts",
    "fakeroot",
    "file",
    "git",
    "lintian",
    "maven",
    "patch",
    "procps",
    "python3",
    "rsync",
    "sudo",
    "unzip",
    "xz-utils",
    "zip",
)
"""What every Bigtop build needs; what single components need is in recipes (`image.packages`)."""
TARGET_PACKAGES = ("ca-certificates",)
JAVA_HOME = "/usr/lib/jvm/bigtop-builder"
APT_CONF = 'Acquire::Languages "none";\nAcquire::Retries "3";\nDpkg::Use-Pty "0";\n'
DPKG_CFG = "# Thrown away after use: nothing here needs to survive a power cut.\nforce-unsafe-io\n"
SHORT = 16
"""Hex digits of an id that go into names."""


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """What an image is made of.

    The id covers what can change the image's content. The mirrors' addresses and `check_valid_until` cannot:
    any mirror has the same signed archive, and whether an old Release file is taken does not change what it
    says. Nor can the registry host, since the digest names the content. So recipes have the same image ids,
    and thereby the same step ids and versions, at every site with the same certificates.

    Attributes:
        kind: `builder`, or `target` for the clean system that packages are installed on.
        name: Repository and tag; the tag is the start of the id.
        id: Sha256 of all inputs.
        base: What it starts from.
        suites: Suites of the archive beyond the base's.
        dockerfile: The Dockerfile, rendered.
        setup: The shell script that it runs, and a chroot too.
        certificates: Names and contents of the site's CA certificates.
    """

    kind: Kind
    name: str
    id: str
    base: BaseSpec
    suites: tuple[str, ...]
    dockerfile: str = field(repr=False)
    setup: str = field(repr=False)
    certificates: tuple[tuple[str, bytes], ...] = field(repr=False)


def builder_image(recipe: Recipe, settings: Settings) -> ImageSpec:
    """The image that a recipe's components are built in. Reads the CA certificates, nothing else.

    Raises:
        InputError: The settings ask for a registry image that the recipe does not pin.
    """
    jdk = recipe.image.jdk
    gradle = ("gradle",) if settings.gradle == "system" else ()
    packages = {*BUILDER_PACKAGES, *recipe.image.packages, *gradle, jdk.package}
    base = choose_base(recipe, settings, suite=recipe.image.suite or recipe.target.suite)
    return _spec("builder", base, packages, settings, jdk)


def target_image(recipe: Recipe, settings: Settings) -> ImageSpec:
    """A clean system of the target distribution. Reads the CA certificates, nothing else.

    Raises:
        InputError: The settings ask for a registry image that the recipe does not pin.
    """
    base = choose_base(recipe, settings, suite=recipe.target.suite)
    return _spec("target", base, set(TARGET_PACKAGES), settings, None)


def context(spec: ImageSpec, settings: Settings) -> Mapping[str, bytes]:
    """Files beside the setup script, by path: what it lays over the system is below `root/`."""
    apt = "root/etc/apt"
    files = {
        "Dockerfile": spec.dockerfile.encode(),
        "setup.sh": spec.setup.encode(),
        f"{apt}/apt.conf.d/90bigtop-builder": APT_CONF.encode(),
        f"root/{_sources_file(spec.base)}": _sources(spec, settings).encode(),
        "root/etc/dpkg/dpkg.cfg.d/bigtop-builder": DPKG_CFG.encode(),
    }
    trusted = "root/usr/local/share/ca-certificates/bigtop-builder"
    return files | {f"{trusted}/{name}": content for name, content in spec.certificates}


def site_id(spec: ImageSpec, settings: Settings) -> str:
    """What the mirrors' addresses add: an image with another site's is made anew, under the same id."""
    return digest(_sources(spec, settings))[:SHORT]


def _spec(kind: Kind, base: BaseSpec, packages: set[str], settings: Settings, jdk: Jdk | None) -> ImageSpec:
    suites = (jdk.suite,) if jdk and jdk.suite not in {"", base.suite} else ()
    dockerfile = render("Dockerfile.j2", kind=kind, label=LABEL, java_home=JAVA_HOME)
    setup = render(
        "setup.sh.j2",
        kind=kind,
        packages=sorted(packages),
        jdk=jdk.package if jdk else "",
        jdk_family=_family(jdk.package) if jdk else "",
        jdk_suite=suites[0] if suites else "",
        java_home=JAVA_HOME,
    )
    certificates = _certificates(settings)
    parts = (kind, dockerfile, setup, APT_CONF, DPKG_CFG, _sources_file(base), base.id, *suites)
    identity = digest(*parts, *(content for _, content in certificates))
    return ImageSpec(
        kind=kind,
        name=f"{LABEL}/{kind}:{identity[:SHORT]}",
        id=identity,
        base=base,
        suites=suites,
        dockerfile=dockerfile,
        setup=setup,
        certificates=certificates,
    )


def _family(package: str) -> str:
    """The pattern of a JDK package and those built from the same source, which depend on its exact version."""
    return f"{package.partition('-jdk')[0]}-*"


def _certificates(settings: Settings) -> tuple[tuple[str, bytes], ...]:
    if settings.ca_certificates is None:
        return ()
    if not settings.ca_certificates.is_dir():
        raise InputError(
            f"ca_certificates: {settings.ca_certificates} is no folder", hint="correct the settings"
        )
    files = sorted(settings.ca_certificates.glob("*.crt"))
    return tuple((file.name, file.read_bytes()) for file in files)


def _sources_file(base: BaseSpec) -> str:
    """The distribution's own name of it: another could be that of a repository's archive-keyring package."""
    return f"etc/apt/sources.list.d/{base.distribution}.sources"


def _sources(spec: ImageSpec, settings: Settings) -> str:
    return apt_sources(spec.base, settings, extra=spec.suites)

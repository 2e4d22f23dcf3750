# SPDX-License-Identifier: Apache-2.0
"""The bare system that images and chroots start from: a registry's image, or one that mmdebstrap made."""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

from bigtop_builder.download import shown
from bigtop_builder.errors import ONCE_ONLINE, EnvironmentMissing, ImageError, InputError
from bigtop_builder.host import private_folder
from bigtop_builder.proxy import proxy_environment
from bigtop_builder.recipe import Recipe
from bigtop_builder.room import Transcript
from bigtop_builder.run import require, stream
from bigtop_builder.schema import digest, nearest
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Workspace

log = logging.getLogger(__name__)

VARIANT = "minbase"
INCLUDED = ("ca-certificates",)
"""Beyond the variant's packages: apt needs it before it can fetch anything over https."""
COMPONENTS = {"debian": ("main",), "ubuntu": ("main", "universe")}
DISTRO_INFO = Path("/usr/share/distro-info")
"""Where the package distro-info-data lists the suites of Debian and Ubuntu."""
UNRELEASED = frozenset({"sid", "unstable", "experimental"})
"""Suites without updates and security (Debian Developer's Reference 4.6.4)."""
SLASHED = frozenset({"jessie", "stretch", "buster"})
"""Their security suite is `<suite>/updates`; later ones have `<suite>-security` (release notes of Debian 11)."""
WAYS_OUT = (
    (r"Release file .* is expired|is not valid yet", "set `check_valid_until = false` in the settings"),
    (
        r"security.*(404|does not have a Release file)",
        "the mirror has no such security suite: set another `mirrors.debian_security`, or an empty one for none",
    ),
    (r"404|does not have a Release file", "the mirror lacks this: look at `mirrors` in the settings"),
    (r"Unable to locate package|has no installation candidate", "correct `image` in the recipe"),
    (r"Could not resolve|Temporary failure resolving", "check the name server, and `proxy` in the settings"),
    (
        r"NO_PUBKEY|EXPKEYSIG",
        "install a newer archive keyring package on this machine, or use another mirror",
    ),
)


@dataclass(frozen=True, kw_only=True)
class BaseSpec:
    """What a base system is made of.

    Attributes:
        distribution: `debian` or `ubuntu`.
        suite: Its suite.
        architecture: Debian architecture.
        security: Whether the suite's security updates are a source too.
        reference: Image in a registry, as in the recipe; empty if mmdebstrap makes the base.
        digest: Digest of that image.
    """

    distribution: Literal["debian", "ubuntu"]
    suite: str
    architecture: str
    security: bool
    reference: str = ""
    digest: str = ""

    @property
    def id(self) -> str:
        """Sha256 of all that decides its content: of a registry's image the digest, wherever it is pulled."""
        made = self.digest or digest(VARIANT, *INCLUDED)
        return digest(made, self.distribution, self.suite, self.architecture, str(self.security))

    @property
    def keyring(self) -> Path:
        """Keys that sign the distribution's archive, on this machine and in the base alike."""
        return Path(f"/usr/share/keyrings/{self.distribution}-archive-keyring.gpg")

    @property
    def without_registry(self) -> "BaseSpec":
        """The same system as mmdebstrap makes it."""
        return BaseSpec(
            distribution=self.distribution,
            suite=self.suite,
            architecture=self.architecture,
            security=self.security,
        )


def choose_base(recipe: Recipe, settings: Settings, *, suite: str) -> BaseSpec:
    """The base for a suite.

    The recipe's registry image is of the builder's suite; where another one is asked for (the target's, if they
    differ), mmdebstrap makes the base whatever the settings say.

    Raises:
        InputError: The settings ask for a registry image, and the recipe has none or no digest of it.
    """
    target, image = recipe.target, recipe.image
    plain = BaseSpec(
        distribution=target.distribution,
        suite=suite,
        architecture=target.architecture,
        security=target.distribution == "ubuntu" or bool(settings.mirrors.debian_security),
    )
    if settings.image.base == "mmdebstrap" or suite != (image.suite or target.suite):
        return plain
    if image.registry and image.digest:
        return BaseSpec(**{**vars(plain), "reference": image.registry, "digest": image.digest})
    if settings.image.base == "registry":
        raise InputError(
            f"recipe {recipe.release} pins no base image, and the settings ask for one from a registry",
            hint="give `image.registry` in the recipe and run `bigtop-builder image pin`",
        )
    return plain


def apt_sources(base: BaseSpec, settings: Settings, *, extra: Iterable[str] = ()) -> str:
    """The deb822 sources of a base at this site (sources.list(5)).

    Valid-Until is switched off, if so, for these sources alone: a repository under test is still judged by it.

    Args:
        base: The system.
        settings: Say where the mirrors are.
        extra: Further suites of the archive.
    """
    mirrors = settings.mirrors
    if base.distribution == "ubuntu":
        parts = [(mirrors.ubuntu, [base.suite, f"{base.suite}-updates", f"{base.suite}-security"])]
    else:
        released = base.suite not in UNRELEASED
        parts = [(mirrors.debian, [base.suite, f"{base.suite}-updates"] if released else [base.suite])]
        if released and base.security:
            name = f"{base.suite}/updates" if base.suite in SLASHED else f"{base.suite}-security"
            parts.append((mirrors.debian_security, [name]))
    parts[0][1].extend(extra)
    return "\n".join(_stanza(base, settings, uri, suites) for uri, suites in parts)


def base_tarball(
    base: BaseSpec,
    *,
    workspace: Workspace,
    settings: Settings,
    on_line: Callable[[bytes], None] | None = None,
) -> Path:
    """The base as a tar file, made by mmdebstrap when the cache has none. It is made once: delete it to renew it.

    Raises:
        EnvironmentMissing: mmdebstrap or the distribution's keyring is not installed.
        ImageError: mmdebstrap failed; its last lines are in the error.
    """
    path = workspace.images / f"base-{base.suite}-{base.id[:16]}.tar"
    workspace.images.mkdir(parents=True, exist_ok=True)
    workspace.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(workspace.locks / f"{path.name}.lock"):
        if not path.is_file():
            if settings.offline:
                raise ImageError(f"{path} is not there, and offline none is made", hint=ONCE_ONLINE)
            _mmdebstrap(base.without_registry, path, settings, on_line)
    return path


def unknown_suite(recipe: Recipe) -> str:
    """Why a recipe's suite looks misspelt; empty if this machine's distro-info-data has it, or is not there.

    A suite that is newer than the data is not in it, so this is a warning and no error.
    """
    target = recipe.target
    data = DISTRO_INFO / f"{target.distribution}.csv"
    if target.suite in UNRELEASED or not data.is_file():
        return ""
    rows = [line.split(",") for line in data.read_text(encoding="utf-8").splitlines() if line]
    column = rows[0].index("series") if rows and "series" in rows[0] else 0
    known = [row[column] for row in rows[1:] if len(row) > column]
    if not column or target.suite in known:
        return ""
    return f"{data} has no suite {target.suite!r}: {nearest(target.suite, known)}"


def way_out(text: str) -> str:
    """What to do about the failure that apt's or mmdebstrap's last lines tell of."""
    return next((hint for pattern, hint in WAYS_OUT if re.search(pattern, text)), "")


def _lacks_suite(text: str, suite: str) -> bool:
    """Whether apt was told that there is no Release file of a suite, and got none at all: no mirror's fault."""
    missing = f" {suite} Release' does not have a Release file" in text and "404" in text
    return missing and not re.search(r"^(Get|Hit):", text, re.MULTILINE)


def _stanza(base: BaseSpec, settings: Settings, uri: str, suites: Iterable[str]) -> str:
    lines = [
        "Types: deb",
        f"URIs: {uri}",
        f"Suites: {' '.join(suites)}",
        f"Components: {' '.join(COMPONENTS[base.distribution])}",
        f"Signed-By: {base.keyring}",
    ]
    if not settings.heeds_valid_until:
        lines.append("Check-Valid-Until: no")
    return "\n".join(lines) + "\n"


def _mmdebstrap(
    base: BaseSpec, path: Path, settings: Settings, on_line: Callable[[bytes], None] | None
) -> None:
    require("mmdebstrap", why=f"make a base system of {base.distribution} {base.suite}")
    if not base.keyring.is_file():
        raise EnvironmentMissing(
            f"{base.keyring} is missing, so the archive of {base.distribution} cannot be verified",
            hint=f"apt-get install {base.keyring.stem}, or use a machine of that distribution",
        )
    log.info("making a base system of %s %s with mmdebstrap, once", base.distribution, base.suite)
    transcript = Transcript(on_line)
    options = [f"--variant={VARIANT}", f"--include={','.join(INCLUDED)}", f"--arch={base.architecture}"]
    # A folder of this run's own: an mmdebstrap that outlived its killed caller must not write into our file.
    with private_folder(path.parent, f"base-{base.suite}") as folder:
        part, sources = folder / "base.tar", folder / "archive.sources"
        sources.write_text(apt_sources(base, settings), encoding="utf-8")
        status = stream(
            ["mmdebstrap", *options, base.suite, part, sources],
            on_line=transcript,
            env=proxy_environment(settings),
        )
        if status and _lacks_suite(transcript.text, base.suite):
            mirror = settings.mirrors.debian if base.distribution == "debian" else settings.mirrors.ubuntu
            raise ImageError(
                f"{base.distribution} has no suite {base.suite!r} at {shown(mirror)}",
                details=transcript.text,
                hint="see `target.suite` and `image.suite` in the recipe",
            )
        if status:
            raise ImageError(
                f"mmdebstrap cannot make {base.distribution} {base.suite} ({base.architecture})",
                details=transcript.text,
                hint=way_out(transcript.text),
            )
        part.rename(path)

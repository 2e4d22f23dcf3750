# SPDX-License-Identifier: Apache-2.0
"""What differs from site to site: mirrors, base image, CA, proxy, Gradle, storage. Never part of a recipe.

Order, first wins: `BIGTOP_BUILDER_*` variables (nested keys with two underscores, as in
`BIGTOP_BUILDER_MIRRORS__MAVEN`), the settings file (`--settings`, else `BIGTOP_BUILDER_SETTINGS`, else
`~/.config/bigtop-builder/settings.toml`), the defaults below.
"""

import os
import shutil
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bigtop_builder.errors import InputError
from bigtop_builder.run import run
from bigtop_builder.schema import Value

SourceKind = Literal["apache", "archive", "maven", "git", "file", "url"]
LOCAL_CA = Path("/usr/local/share/ca-certificates")


class Mirrors(Value):
    """Where this site fetches from, in place of the public servers."""

    debian: str = Field("http://deb.debian.org/debian", description="Debian archive")
    debian_security: str = Field(
        "http://deb.debian.org/debian-security", description="Debian security archive; empty for none"
    )
    ubuntu: str = Field("http://archive.ubuntu.com/ubuntu", description="Ubuntu archive")
    apache: str = Field("https://dlcdn.apache.org", description="Apache's current releases")
    archive: str = Field("https://archive.apache.org/dist", description="Apache's archive of all releases")
    maven: str = Field("https://repo.maven.apache.org/maven2", description="Maven Central or a mirror of it")
    gradle_plugins: str = Field("https://plugins.gradle.org/m2", description="Gradle plugin portal")
    gradle_distributions: str = Field(
        "https://services.gradle.org/distributions", description="Gradle distributions for the wrapper"
    )
    git: dict[str, str] = Field(
        default_factory=dict, description="Git URL in a recipe or bom -> URL or path to clone from instead"
    )


class ImageSettings(Value):
    """How builder and test images come about at this site."""

    base: Literal["auto", "registry", "mmdebstrap"] = Field(
        "auto", description="`auto`: the recipe's registry image if its digest is pinned, else mmdebstrap"
    )
    registry: str = Field("", description="Registry host to pull base images from in place of the recipe's")
    insecure_registry: bool = Field(False, description="The registry speaks plain HTTP (a local one)")


class SourceSettings(Value):
    """Which sources of components this site may use."""

    kinds: tuple[SourceKind, ...] = Field(
        ("apache", "archive", "maven", "git", "file", "url"), description="Kinds of candidates to consider"
    )


class Settings(BaseSettings):
    """All site settings."""

    model_config = SettingsConfigDict(
        env_prefix="BIGTOP_BUILDER_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    cache_dir: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bigtop-builder"
        ),
        description="Mirrors, sources, images and build results; may be deleted at any time",
    )
    keys_dir: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "bigtop-builder" / "keys"
        ),
        description="Key store: signing keys, one file each, readable by their owner alone",
    )
    gradle: Literal["wrapper", "system"] = Field(
        "wrapper", description="Bigtop's wrapper with its pinned distribution, or the image's own gradle"
    )
    check_valid_until: bool = Field(
        default_factory=lambda: _host_checks_valid_until(),  # noqa: PLW0108  # defined below
        description="Whether apt in containers heeds Valid-Until; default: what this host's apt does",
    )
    ca_certificates: Path | None = Field(
        default_factory=lambda: LOCAL_CA if any(LOCAL_CA.glob("*.crt")) else None,
        description="Folder of extra CA certificates (*.crt) that containers trust; default: this host's",
    )
    proxy: str = Field("", description="HTTP(S) proxy for containers and downloads")
    no_proxy: str = Field("", description="Hosts reached without the proxy, comma-separated")
    mirrors: Mirrors = Mirrors()
    image: ImageSettings = ImageSettings()
    sources: SourceSettings = SourceSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic-settings' signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables before the file, the file before the defaults."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(path: Path | None = None) -> Settings:
    """Read the site settings.

    Args:
        path: Settings file. None takes `BIGTOP_BUILDER_SETTINGS` or the user's own file, if there is one.

    Raises:
        InputError: The file named does not exist, or a value does not fit; the key is named.
    """
    file = settings_file(path)
    chosen = type("Settings", (Settings,), {"model_config": {**Settings.model_config, "toml_file": file}})
    try:
        return chosen()  # type: ignore[no-any-return]
    except (ValidationError, ValueError) as error:
        raise InputError(
            f"settings do not fit ({file} and BIGTOP_BUILDER_* variables)",
            details=str(error),
            hint="docs/settings.md lists every key",
        ) from error


def settings_file(path: Path | None = None) -> Path:
    """The settings file that holds here: the one named, or the user's own, which need not be there.

    Raises:
        InputError: The file named does not exist.
    """
    named = path or (
        Path(os.environ["BIGTOP_BUILDER_SETTINGS"]) if "BIGTOP_BUILDER_SETTINGS" in os.environ else None
    )
    if named is not None and not named.is_file():
        raise InputError(f"settings file {named} does not exist")
    return named or Path.home() / ".config/bigtop-builder/settings.toml"


def _host_checks_valid_until() -> bool:
    """Whether this host's own apt heeds Valid-Until (apt.conf(5), Acquire::Check-Valid-Until)."""
    if shutil.which("apt-config") is None:
        return True
    said = run(["apt-config", "shell", "answer", "Acquire::Check-Valid-Until/b"], check=False).text
    return said.strip() != "answer='false'"

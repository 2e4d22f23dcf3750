# SPDX-License-Identifier: Apache-2.0
"""What differs from site to site: mirrors, base image, CA, proxy, Gradle, storage. Never part of a recipe.

Order, first wins: `BIGTOP_BUILDER_*` variables (nested keys with two underscores, as in
`BIGTOP_BUILDER_MIRRORS__MAVEN`), the settings file (`--settings`, else `BIGTOP_BUILDER_SETTINGS`, else
`~/.config/bigtop-builder/settings.toml`), the defaults below.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal, cast, get_origin

from pydantic import BaseModel, Field, ValidationError

from bigtop_builder.errors import InputError
from bigtop_builder.run import run
from bigtop_builder.schema import Lines, Loc, Value, faults, masked, nearest, nearest_line, read_toml

SourceKind = Literal["apache", "archive", "maven", "git", "file", "url"]
LOCAL_CA = Path("/usr/local/share/ca-certificates")
PREFIX = "BIGTOP_BUILDER_"
OTHER = (f"{PREFIX}SETTINGS", f"{PREFIX}PROJECT", f"{PREFIX}KEY_PASSPHRASE", f"{PREFIX}SIGNING_KEY")
"""Variables that are no settings."""
HINT = "docs/settings.md lists every key"
SHOWN = "shown"
"""Name under which a field keeps how docs/settings.md shows a default that each machine has its own of."""


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


class Settings(Value):
    """All site settings."""

    cache_dir: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bigtop-builder"
        ),
        description="Mirrors, sources, images and build results; may be deleted at any time",
        json_schema_extra={SHOWN: "`$XDG_CACHE_HOME/bigtop-builder`, else `~/.cache/bigtop-builder`"},
    )
    shared_cache: str = Field(
        "",
        description="Where machines share build results, beside `cache_dir`: a folder that all see, or "
        "`s3://bucket/prefix`. Who may write there decides what is built from it: docs/decisions/0012-build-cache.md",
    )
    keys_dir: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "bigtop-builder" / "keys"
        ),
        description="Key store: signing keys, one file each, readable by their owner alone",
        json_schema_extra={
            SHOWN: "`$XDG_DATA_HOME/bigtop-builder/keys`, else `~/.local/share/bigtop-builder/keys`"
        },
    )
    gpg_agent: bool = Field(
        False,
        description="Sign with the user's own gpg and its agent (cards too) where the key store has no key",
    )
    signer: tuple[str, ...] = Field(
        (),
        description="Command that signs with keys whose secret half is elsewhere (an HSM): docs/repository.md",
    )
    gradle: Literal["wrapper", "system"] = Field(
        "wrapper", description="Bigtop's wrapper with its pinned distribution, or the image's own gradle"
    )
    check_valid_until: bool | None = Field(
        None,
        description="Whether apt in containers heeds Valid-Until; default: what this host's apt does",
    )
    ca_certificates: Path | None = Field(
        default_factory=lambda: LOCAL_CA if any(LOCAL_CA.glob("*.crt")) else None,
        description="Folder of extra CA certificates (*.crt) that containers trust; default: this host's",
    )
    proxy: str = Field("", description="HTTP(S) proxy for containers and downloads")
    no_proxy: str = Field("", description="Hosts reached without the proxy, comma-separated")
    offline: bool = Field(
        False,
        description="Fetch nothing, and build in containers without a network: what is in the cache must do",
    )
    github_token_file: Path | None = Field(
        None, description="File, readable by its owner alone, with a token for GitHub: docs/upstreaming.md"
    )
    github_api: dict[str, str] = Field(
        default_factory=dict,
        description="GitHub host -> address of its REST API, where it is not the usual one",
    )
    github_wait: int = Field(
        60, ge=0, description="Seconds to wait at most, each time, until GitHub takes requests again"
    )
    build_memory_mb: int | None = Field(
        None, ge=256, description="MiB that builds at once may take by their recipes; default: this machine's"
    )
    build_cpus: int | None = Field(
        None,
        ge=1,
        description="Processors that builds at once may take by their recipes; default: this machine's",
    )
    mirrors: Mirrors = Mirrors()
    image: ImageSettings = ImageSettings()
    sources: SourceSettings = SourceSettings()

    @property
    def heeds_valid_until(self) -> bool:
        """`check_valid_until`, or what this host's apt does: it is asked only where the answer is needed."""
        return _host_checks_valid_until() if self.check_valid_until is None else self.check_valid_until


def load_settings(path: Path | None = None) -> Settings:
    """Read the site settings.

    Args:
        path: Settings file. None takes `BIGTOP_BUILDER_SETTINGS` or the user's own file, if there is one.

    Raises:
        InputError: The file named does not exist or is malformed, a variable is no setting's, or a value does
            not fit; file and line or variable, key, value and what is allowed are named.
    """
    file = settings_file(path)
    _check_variables()
    values, numbers = read_toml(file) if file.is_file() else ({}, {})
    try:
        # The file alone first, strictly: "yes" is a switch in a variable, where all is text, and none in TOML.
        Settings.model_validate_json(json.dumps(values, default=str), strict=True)
        return Settings.model_validate(_merged(values, _from_variables()))
    except ValidationError as error:
        raise InputError(
            "settings do not fit",
            details=faults(error, Settings, lambda loc: _place(loc, file, numbers)),
            hint=HINT,
        ) from error


def settings_file(path: Path | None = None) -> Path:
    """The settings file that holds here: the one named, or the user's own, which need not be there.

    Raises:
        InputError: The file named does not exist.
    """
    own = Path.home() / ".config/bigtop-builder/settings.toml"
    named = path or Path(os.environ.get(f"{PREFIX}SETTINGS") or own)
    if named != own and not named.is_file():
        by = "--settings" if path else f"{PREFIX}SETTINGS"
        raise InputError(
            f"settings file {named} does not exist",
            hint=f"name another with {by}, or leave that out: settings are then read from {own}, if it is there",
        )
    return named


def _check_variables() -> None:
    """See that each variable is a setting's, and that those of tables and lists hold JSON.

    The value of an unknown one is not shown: it may be a misspelt passphrase.

    Raises:
        InputError: One is not; it is named with what is allowed.
    """
    known = _variables(Settings, PREFIX)
    free = f"{PREFIX}MIRRORS__GIT__"
    for name in sorted(os.environ):
        setting = name.upper()
        if not setting.startswith(PREFIX) or setting in OTHER or setting.startswith(free):
            continue
        if setting not in known:
            raise InputError(
                f"{name} is no variable of bigtop-builder: {nearest(setting, (*known, *OTHER), prefix=PREFIX)}",
                hint=HINT,
            )
        if (form := known[setting]) and not _is_json(os.environ[name], form):
            kind, example = ("table", '{"key": "value"}') if form is dict else ("list", '["one", "two"]')
            raise InputError(
                f"{name} holds no JSON {kind}: {masked(os.environ[name])!r}",
                hint=f"write it as in {name}='{example}'",
            )


def _from_variables() -> dict[str, Any]:
    """Values that variables give. One for a key in a table wins over one for the table."""
    known = _variables(Settings, PREFIX)
    found: dict[str, Any] = {}
    for name in sorted(os.environ, key=lambda name: (name.count("__"), name)):
        setting = name.upper()
        if setting.startswith(PREFIX) and setting not in OTHER:
            value: Any = json.loads(os.environ[name]) if known.get(setting) else os.environ[name]
            for part in reversed(setting.removeprefix(PREFIX).lower().split("__")):
                value = {part: value}
            found = _merged(found, value)
    return found


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two trees of tables; what both have is taken from the second."""
    both = {
        key: _merged(under[key], over[key])
        for key in under.keys() & over.keys()
        if isinstance(under[key], dict) and isinstance(over[key], dict)
    }
    return {**under, **over, **both}


def _variables(model: type[BaseModel], prefix: str) -> dict[str, type | None]:
    """Each variable that sets a key of a model, or of one in it -> what its JSON is; None for plain text."""
    found: dict[str, type | None] = {}
    for key, field in model.model_fields.items():
        name, kind = f"{prefix}{key.upper()}", field.annotation
        inner = isinstance(kind, type) and issubclass(kind, BaseModel)
        found[name] = dict if inner else {dict: dict, tuple: list}.get(get_origin(kind))  # type: ignore[arg-type]
        if inner:
            found |= _variables(cast("type[BaseModel]", kind), f"{name}__")
    return found


def _is_json(text: str, form: type) -> bool:
    try:
        return isinstance(json.loads(text), form)
    except ValueError:
        return False


def _place(loc: Loc, file: Path, numbers: Lines) -> str:
    """Where a key was read from: its variable, its line in the file, or the variable of a table around it."""
    names = {name.upper(): name for name in os.environ}
    around = [f"{PREFIX}{'__'.join(map(str, loc[:end]))}".upper() for end in range(len(loc), 0, -1)]
    variable = next((names[name] for name in around if name in names), "")
    if variable and (loc not in numbers or variable.upper() == around[0]):
        return variable
    return f"{file}:{nearest_line(loc, numbers)}"


def _host_checks_valid_until() -> bool:
    """Whether this host's own apt heeds Valid-Until (apt.conf(5), Acquire::Check-Valid-Until)."""
    if shutil.which("apt-config") is None:
        return True
    said = run(["apt-config", "shell", "answer", "Acquire::Check-Valid-Until/b"], check=False).text
    return said.strip() != "answer='false'"

# SPDX-License-Identifier: Apache-2.0
"""`doctor`: what this machine lacks, and the command that mends it."""

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, builder_option, json_option, setting_up, table
from bigtop_builder.container import Engine
from bigtop_builder.download import shown
from bigtop_builder.errors import BuilderError, EnvironmentMissing, InputError
from bigtop_builder.keys import KeyStore
from bigtop_builder.mirror import CLEAN, Mirror, configured
from bigtop_builder.openpgp import Key
from bigtop_builder.recipe import Bigtop, load_recipe
from bigtop_builder.repository.definition import Definition
from bigtop_builder.run import PACKAGE_OF, run
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Project, Workspace, require_writable

NEEDED = {
    "git": "mirror Bigtop and make trees",
    "gpg": "sign the repository",
    "gpgv": "verify signatures",
    "dpkg-deb": "build the keyring package",
    "gzip": "pack sources",
    "mmdebstrap": "make base systems",
}
ON_THE_HOST = {
    "debuild": "build packages",
    "gradle": "run Bigtop's build",
    "javac": "compile components",
    "lintian": "check packages",
    "mvn": "build components",
    "unzip": "unpack Gradle",
}


SPARE_GIB = 10
"""What the miniature and a few components take with their images; Hadoop, Hive and Spark take more."""
SOON = timedelta(days=60)
"""How long before a key's end doctor speaks of it: hosts have to learn a new key first."""
SECONDS = 10
"""How long a git server may take to answer."""
TIMED_OUT = 124
"""What timeout(1) ends with when the time is up."""
NEW_KEY = "bigtop-builder key new, then write its fingerprint into `keys` of repo/repository.toml"
Row = tuple[str, str, str]
"""What was looked at; `there`, with a remark or not, or what is wrong; the way out."""


@click.command(epilog="Example: bigtop-builder doctor")
@builder_option
@json_option
@click.pass_context
def doctor(context: click.Context, builder: str, *, as_json: bool) -> None:
    """Say what is missing on this machine, and the command that mends it. Exit code 3 if anything is.

    Looks at programs, the Docker engine, disk space, cache and output folder, the signing keys, the project's
    repo/repository.toml and recipes, and whether the git repositories that the recipes name can be reached.
    """
    project, settings = setting_up(context)
    programs = NEEDED | (ON_THE_HOST if builder == "host" else {})
    rows = [_program(name, why) for name, why in programs.items()]
    rows += [_engine()] if builder == "docker" else []
    rows += [
        _disk(settings),
        *_folders(project, settings),
        *_signing(project, settings),
        *_repositories(project, settings),
    ]
    columns = ("what", "state", "way out")
    answer([dict(zip(columns, row, strict=True)) for row in rows], as_json=as_json, text=table(columns, rows))
    if missing := [row[0] for row in rows if not row[1].startswith("there")]:
        raise EnvironmentMissing(f"missing: {', '.join(missing)}", hint="see the last column")


def _program(name: str, why: str) -> Row:
    if shutil.which(name):
        return name, "there", ""
    package = PACKAGE_OF.get(name, name)
    return name, f"missing: needed to {why}", f"apt-get install {package}"


def _engine() -> Row:
    try:
        with Engine.connect():
            return "docker", "there", ""
    except EnvironmentMissing as error:
        return _broken("docker", error)


def _folders(project: Project, settings: Settings) -> Iterator[Row]:
    """The folders that a release is made in: this user may write there."""
    cache = Workspace(settings.cache_dir)
    own = f'sudo chown -R "$(id -un)" {cache.root}, or set cache_dir'
    copy = "mend its rights, or name a copy of the project with --project"
    for what, folders, why, hint in (
        ("cache", cache.folders, "mirrors, sources and results", own),
        ("output", (project.output,), "packages and verdicts", copy),
    ):
        try:
            for folder in folders:
                require_writable(folder, why=why, hint=hint)
        except EnvironmentMissing as error:
            yield _broken(what, error)
        else:
            yield what, "there", ""


def _disk(settings: Settings) -> Row:
    place = next(p for p in (settings.cache_dir, *settings.cache_dir.parents) if os.path.lexists(p))
    free = shutil.disk_usage(place).free >> 30
    if free >= SPARE_GIB:
        return "disk", "there", ""
    return (
        "disk",
        f"{free} GiB free at {place}",
        f"free space, or set cache_dir: a release takes {SPARE_GIB} GiB",
    )


def _signing(project: Project, settings: Settings) -> Iterator[Row]:
    """The repository's definition, the keys it names, and the key store."""
    path = project.definition
    named: tuple[str, ...] = ()
    try:
        named = Definition.from_toml(path).keys
        yield (path.name, "there", "") if named else (path.name, f"{path} names no key in `keys`", NEW_KEY)
    except InputError as error:
        yield _broken(path.name, error)
    store = KeyStore.of(settings)
    try:
        os.scandir(store.folder).close()
    except FileNotFoundError:
        pass  # the first key makes it
    except OSError as error:
        yield (
            "signing key",
            f"{store.folder} cannot be read: {error.strerror}",
            "run as its owner, or set keys_dir",
        )
        return
    usable = False
    for fingerprint in store.fingerprints():
        what = f"key {fingerprint}"
        try:
            with store.open([fingerprint]) as keyring:
                key = keyring.keys()[0]
        except (BuilderError, OSError) as error:
            yield _broken(what, error)
        else:
            usable = usable or key.usable
            yield what, *_standing(key, needed=fingerprint in named)
    for fingerprint in sorted({*named} - {*store.fingerprints()}):
        row, can_sign = _elsewhere(store, fingerprint, path)
        usable = usable or can_sign
        yield row
    if not usable:
        yield "signing key", f"none that can sign in {store.folder}", NEW_KEY


def _elsewhere(store: KeyStore, fingerprint: str, path: Path) -> tuple[Row, bool]:
    """A key that the repository needs and the folder has not: from a variable, an agent or a signer, or missing."""
    try:
        with store.open([fingerprint]) as keyring:
            (key,) = keyring.check([fingerprint])
    except BuilderError:
        copy = f"copy {fingerprint}.secret.asc into it, or set keys_dir"
        return (f"key {fingerprint}", f"not in {store.folder}, but in {path.name}", copy), False
    return (f"key {fingerprint}", *_standing(key, needed=True)), True


def _standing(key: Key, *, needed: bool) -> tuple[str, str]:
    """State and way out of a key; one that cannot sign any more is an old one, unless the repository needs it."""
    ends = f"{key.expires:%Y-%m-%d}" if key.expires else "never"
    if not key.usable:
        state = f"cannot sign: expired or revoked (expires: {ends})"
        replaced = f"bigtop-builder key new, then key rotate {key.fingerprint} --finish --to it"
        return (state, replaced) if needed else (f"there, {state}", "")
    if key.expires and key.expires - datetime.now(UTC) < SOON:
        rotated = f"bigtop-builder key rotate {key.fingerprint}" if needed else NEW_KEY
        return f"there, expires {ends}", rotated
    return "there", ""


def _repositories(project: Project, settings: Settings) -> Iterator[Row]:
    """The recipes that cannot be read, and the git repositories of the others."""
    seen = set()
    for path in sorted(project.recipes.glob("*.toml")):
        try:
            bigtop = load_recipe(str(path), project.recipes)[0].bigtop
        except (BuilderError, OSError) as error:
            yield _broken(f"recipe {path.stem}", error)
            continue
        place = settings.mirrors.git.get(bigtop.repository, bigtop.repository)
        remote = re.match(r"(?!file://)[^/]*:", place)
        if (place, "" if remote else bigtop.commit) not in seen:
            seen.add((place, "" if remote else bigtop.commit))
            yield _server(place, settings) if remote else _clone(path, bigtop, settings)


def _clone(path: Path, bigtop: Bigtop, settings: Settings) -> Row:
    """A repository on this machine: it is there, with the commit."""
    what = f"git for {path.stem}"
    workspace = Workspace(settings.cache_dir)
    try:
        Mirror.ensure(
            bigtop.repository, bigtop.commit, workspace=workspace, settings=settings, base=path.parent
        )
    except (BuilderError, OSError) as error:
        return _broken(what, error)
    return what, "there", ""


def _server(url: str, settings: Settings) -> Row:
    """A git server: it answers. The URL is handed over in the environment, since it may hold a password."""
    config = {"remote.origin.url": url} | ({"http.proxy": settings.proxy} if settings.proxy else {})
    env = {**CLEAN, **configured(config), "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    done = run(
        ["timeout", str(SECONDS), "git", "ls-remote", "origin", "HEAD"], env=env, cwd=Path("/"), check=False
    )
    if done.returncode == 0:
        return shown(url), "there", ""
    lines = shown(done.complaint).splitlines() or [f"git ended with status {done.returncode}"]
    said = next((line for line in lines if line.startswith("fatal:")), lines[0])
    state = f"no answer within {SECONDS} s" if done.returncode == TIMED_OUT else said
    return shown(url), state, "name a URL or clone that this machine reaches in mirrors.git of the settings"


def _broken(what: str, error: Exception) -> Row:
    """A row for something that raised: one line, whatever the error has to say."""
    if not isinstance(error, BuilderError):
        return what, str(error).partition("\n")[0], "mend the rights or the path"
    lines = [part.splitlines()[0] for part in (error.brief, error.details) if part.strip()]
    return what, ": ".join(lines), error.hint

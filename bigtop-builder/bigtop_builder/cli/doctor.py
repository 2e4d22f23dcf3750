# SPDX-License-Identifier: Apache-2.0
"""`doctor`: what this machine lacks, and the command that mends it."""

import shutil

import click

from bigtop_builder.cli.context import answer, builder_option, json_option, setting_up, table
from bigtop_builder.container import Engine
from bigtop_builder.errors import EnvironmentMissing
from bigtop_builder.run import PACKAGE_OF
from bigtop_builder.settings import Settings

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


@click.command(epilog="Example: bigtop-builder doctor")
@builder_option
@json_option
@click.pass_context
def doctor(context: click.Context, builder: str, *, as_json: bool) -> None:
    """Say what is missing on this machine, and the command that mends it. Exit code 3 if anything is."""
    _, settings = setting_up(context)
    rows = [
        _program(name, why) for name, why in (NEEDED | (ON_THE_HOST if builder == "host" else {})).items()
    ]
    rows += [_engine()] if builder == "docker" else []
    rows.append(_disk(settings))
    columns = ("what", "state", "way out")
    answer([dict(zip(columns, row, strict=True)) for row in rows], as_json=as_json, text=table(columns, rows))
    if missing := [row[0] for row in rows if row[1] != "there"]:
        raise EnvironmentMissing(f"missing: {', '.join(missing)}", hint="see the last column")


def _program(name: str, why: str) -> tuple[str, str, str]:
    if shutil.which(name):
        return name, "there", ""
    package = PACKAGE_OF.get(name, name)
    return name, f"missing: needed to {why}", f"apt-get install {package}"


def _engine() -> tuple[str, str, str]:
    try:
        with Engine.connect():
            return "docker", "there", ""
    except EnvironmentMissing as error:
        return "docker", error.brief, error.hint


def _disk(settings: Settings) -> tuple[str, str, str]:
    place = next(p for p in (settings.cache_dir, *settings.cache_dir.parents) if p.exists())
    free = shutil.disk_usage(place).free >> 30
    if free >= SPARE_GIB:
        return "disk", "there", ""
    return (
        "disk",
        f"{free} GiB free at {place}",
        f"free space, or set cache_dir: a release takes {SPARE_GIB} GiB",
    )


SPARE_GIB = 10
"""What the miniature and a few components take with their images; Hadoop, Hive and Spark take more."""

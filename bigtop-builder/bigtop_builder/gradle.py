# SPDX-License-Identifier: Apache-2.0
"""Bigtop's Gradle build, seen from outside: the command, its environment and the files it is given.

Nothing here runs; `executor` does that. Paths are those inside a room, below its `workdir`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.proxy import Proxy, proxy_environment
from bigtop_builder.recipe import Component, Recipe
from bigtop_builder.settings import Settings
from bigtop_builder.templates import render
from bigtop_builder.tree import Tree

MAVEN_MIRROR_ID = "bigtop-builder"
"""Fixed: Maven's local repository remembers it, and works offline only under the same id (measured)."""
WRAPPER = "gradle/wrapper/gradle-wrapper.properties"
PROPERTY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The Gradle distribution that Bigtop's wrapper asks for.

    Attributes:
        url: Where it is fetched from at this site.
        sha256: Its pin.
        folder: Folder below the home that the wrapper finds it unpacked in.
        file: Its file name.
    """

    url: str
    sha256: str
    folder: str
    file: str


def command(recipe: Recipe, component: Component, settings: Settings, *, workdir: str) -> tuple[str, ...]:
    """The Gradle command that makes a component's Debian packages (Bigtop task `<component>-deb`)."""
    program = "./gradlew" if settings.gradle == "wrapper" else "gradle"
    properties = {**recipe.gradle.properties, **component.gradle_properties}
    words = [f"-P{name}={value}" for name, value in sorted(properties.items())]
    offline = ["--offline"] if settings.offline else []
    return (program, "--no-daemon", *offline, "-I", f"{workdir}/init.gradle", *words, f"{component.name}-deb")


def environment(
    recipe: Recipe, component: Component, settings: Settings, *, stamp: str, epoch: int, workdir: str
) -> Mapping[str, str]:
    """Variables of a build: the recipe's, then the component's, then the tool's own; later ones win."""
    return {
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        **recipe.image.environment,
        **component.environment,
        # These are the tool's: a recipe that changed them would break versions and the room's layout.
        "HOME": f"{workdir}/home",
        "GRADLE_USER_HOME": f"{workdir}/home/.gradle",
        "BIGTOP_BUILD_STAMP": stamp,
        "BIGTOP_JDK": recipe.image.jdk.version,
        "SOURCE_DATE_EPOCH": str(epoch),
        **proxy_environment(settings),
    }


def files(recipe: Recipe, component: Component, settings: Settings) -> Mapping[str, str]:
    """Text files of a build, by path below the workdir."""
    proxy = Proxy.of(settings)
    properties = {**recipe.maven.properties, **component.maven_properties}
    if bad := [name for name in properties if not PROPERTY_NAME.fullmatch(name)]:
        raise InputError(f"Maven property {bad[0]!r} of component {component.name} is no XML name")
    settings_xml = render(
        "settings.xml.j2",
        mirror_id=MAVEN_MIRROR_ID,
        mirror_of=recipe.maven.mirror_of,
        mirror_url=settings.mirrors.maven,
        properties=sorted(properties.items()),
        proxy=proxy,
        offline=settings.offline,
    )
    # As root yarn 1 keeps its cache, and looks for its own file, outside of HOME; it reads those of folders above.
    yarn = 'cache-folder "./home/.cache/yarn"\n'
    return {
        "init.gradle": render("init.gradle.j2", mirrors=settings.mirrors),
        "home/.m2/settings.xml": settings_xml,
        "home/.mavenrc": _mavenrc(recipe),
        "home/.gradle/gradle.properties": proxy.gradle_properties if proxy else "",
        "home/.npmrc": "offline=true\n" if settings.offline else "",
        ".yarnrc": f"{yarn}--install.offline true\n" if settings.offline else yarn,
    }


def _mavenrc(recipe: Recipe) -> str:
    """What the script `mvn` reads first, so that Java's idea of the home is the room's.

    A variable of the build would not do: the builds of Hadoop and Oozie set MAVEN_OPTS anew, and Spark's gives its
    own where there is none.
    """
    words = " ".join(("-Duser.home=$HOME", *recipe.maven.options))
    return f'MAVEN_OPTS="$MAVEN_OPTS {words}"\n'


def distribution(recipe: Recipe, tree: Tree, settings: Settings) -> Distribution | None:
    """The distribution that the tree's wrapper wants; None when the image's own Gradle is used.

    Bigtop's wrapper is a shell script that would fetch it with certificate checks switched off. The tool
    fetches and verifies it instead, and puts it where the script looks: `<home>/.gradle/wrapper/dists/
    <name>/<md5 of the url>/`, with a `.ok` file beside it.

    Raises:
        TreeError: The tree asks for another version than the recipe pins.
    """
    if settings.gradle == "system":
        return None
    text = (tree.read(WRAPPER) or b"").decode(errors="replace").replace("\\:", ":")
    found = re.search(r"^distributionUrl\s*=\s*(\S+)", text, re.MULTILINE)
    if not found:
        raise TreeError(f"the tree has no distributionUrl in {WRAPPER}", hint='set gradle = "system"')
    url, file = found[1], found[1].rpartition("/")[2]
    if file != f"gradle-{recipe.gradle.version}-bin.zip":
        raise TreeError(
            f"the tree's wrapper asks for {file}, the recipe pins Gradle {recipe.gradle.version}",
            hint="set [gradle] version and sha256 in the recipe",
        )
    key = hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
    folder = f"home/.gradle/wrapper/dists/{file.removesuffix('.zip')}/{key}"
    return Distribution(
        url=f"{settings.mirrors.gradle_distributions}/{file}",
        sha256=recipe.gradle.sha256,
        folder=folder,
        file=file,
    )

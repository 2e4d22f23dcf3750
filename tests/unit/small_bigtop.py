# SPDX-License-Identifier: Apache-2.0
"""Bigtop trees of a few files each, as commits of one repository."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigtop_builder.git_index import Index
from bigtop_builder.git_tree import TreeEntry
from bigtop_builder.mirror import Mirror
from bigtop_builder.recipe import Recipe
from bigtop_builder.run import run

SRC = "bigtop-packages/src"
TEXT_ORDER = "def patches = debian.list({ d, f -> f ==~ /patch.*diff/ }).sort()\nsave('series', patches)\n"
NUMBER_ORDER = """
def number = { (it =~ /[0-9]+/)[0].toInteger() }
def patches = debian.list({ d, f -> f ==~ /patch.*diff/ })
patches = patches.sort { a, b -> number(a) <=> number(b) }
save('series', patches)
"""


@dataclass(frozen=True)
class SmallBigtop:
    """A repository."""

    mirror: Mirror
    objects: Path

    @classmethod
    def at(cls, folder: Path) -> "SmallBigtop":
        git = folder / "bigtop.git"
        run(["git", "init", "--quiet", "--bare", git])
        return cls(Mirror(path=git, url=""), git / "objects")

    def commit(self, files: Mapping[str, str], *, executable: Sequence[str] = ()) -> str:
        with Index.temporary(self.mirror, self.objects) as index:
            modes = {path: "100755" if path in executable else "100644" for path in files}
            index.put({p: TreeEntry(modes[p], index.blob(text.encode())) for p, text in files.items()})
            return index.commit(index.write_tree(), message="a release")


def bom(*components: str, version: str = "2.0", dependencies: str = "", mirror: str = "new") -> str:
    """A bill of materials of such blocks."""
    return (
        f"bigtop {{\n  version = '{version}'\n  apache {{ MIRROR = 'https://{mirror}.example' }}\n"
        f"  dependencies = [{dependencies or ':'}]\n  components {{\n"
        + "".join(f"    {component}\n" for component in components)
        + "    // the end }\n  }\n}\n"
    )


def block(name: str, version: str = "1", *, more: str = "") -> str:
    """A component's block that uses names of its own and of the file."""
    return (
        f"'{name}' {{\n      name = '{name}'\n      version {{ base = '{version}'; pkg = base }}\n"
        '      tarball { source = "$name-${version.base}.tar.gz"; destination = source }\n'
        f'      url {{ site = "${{apache.MIRROR}}/$name" }}\n      {more}\n    }}'
    )


def packaging(name: str, text: str = "as ever\n") -> dict[str, str]:
    return {
        f"{SRC}/common/{name}/do-component-build": text,
        f"{SRC}/deb/{name}/control": f"Source: {name}\n",
    }


def recipe_of(commit: str, *components: str | Mapping[str, Any], **more: object) -> Recipe:
    return Recipe.model_validate(
        {
            "format": 1,
            "release": "2.0",
            "bigtop": {"repository": "bigtop.git", "commit": commit, "exclude": ()},
            "target": {"distribution": "debian", "suite": "bookworm", "tag": "deb12"},
            "image": {"jdk": {"package": "openjdk-11-jdk", "version": "11"}},
            "components": [{"name": one} if isinstance(one, str) else one for one in components],
            **more,
        }
    )

# SPDX-License-Identifier: Apache-2.0
"""Where the keeper of a repository's keys works: a project with one key, at one machine."""

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from apt_host import write_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import run
from forked import program


@dataclass
class Desk:
    """A project with a repository definition, and the keeper's home.

    Attributes:
        home: Home of the keeper, with the key store and the project.
        old: The key that the definition names.
    """

    home: Path
    old: str = ""

    @classmethod
    def make(cls, home: Path) -> "Desk":
        """A project whose repository is not made yet."""
        desk = cls(home)
        for folder in ("recipes", "patches", "repo"):
            (desk.project / folder).mkdir(parents=True)
        desk.old = desk.store.new("Ann Bee", "ann@bee.example")
        desk.define()
        return desk

    def copied(self, home: Path) -> "Desk":
        """The same at another place."""
        shutil.copytree(self.home, home, symlinks=True, dirs_exist_ok=True)
        return replace(self, home=home)

    def do(self, *words: object, status: int = 0, ahead: str = "") -> str:
        """Run a command, by a clock that is so much ahead as `faketime` takes it; its answer and its story."""
        env = {
            "TZ": "UTC",
            "HOME": str(self.home),
            "BIGTOP_BUILDER_KEYS_DIR": str(self.home / "keys"),
            "BIGTOP_BUILDER_PROJECT": str(self.project),
        }
        cold = ["faketime", "-f", ahead, sys.executable, "-m", "bigtop_builder", *map(str, words)]
        done = run(cold, env=env, check=False) if ahead else program(*words, env=env)
        assert done.returncode == status, done.text + done.complaint
        return done.text if "--json" in words and not status else done.text + done.complaint

    @property
    def project(self) -> Path:
        return self.home / "project"

    @property
    def store(self) -> KeyStore:
        return KeyStore(self.home / "keys")

    @property
    def repository(self) -> Repository:
        return Repository.open(self.project / "srv", sync=False)

    @property
    def definition(self) -> Path:
        return self.project / "repo/repository.toml"

    def define(self, url: str = "http://x.example") -> None:
        """Write the definition."""
        self.definition.write_text(
            'format = 1\norigin = "Test"\nmaintainer = "Ann Bee <ann@bee.example>"\n'
            f'url = "{url}"\nstorage = "srv"\nkeys = ["{self.old}"]\n[suites.stable]\ndescription = "x"\n'
        )

    def found(self) -> None:
        """Make the repository, with a package in its suite."""
        self.do("repo", "init")
        self.do("repo", "add", "stable", write_deb(self.home, "hello", "1.0"))

    def package(self, folder: str = "byhand") -> Path:
        """The keyring package as `key package` makes it."""
        said = self.do("key", "package", self.home / folder)
        return Path(said.partition("_all.deb")[0] + "_all.deb")

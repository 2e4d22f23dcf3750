# SPDX-License-Identifier: Apache-2.0
"""Where Ann maintains a patch queue, and the GitHub of her upstreams, where Carol reviews and merges."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigtop_builder.patches.facts import PatchFacts, Upstream
from bigtop_builder.patches.queue import load_entry
from bigtop_builder.recipe import load_recipe
from bigtop_builder.run import Completed, run
from bigtop_builder.workspace import Project
from forked import program
from github import GitHub
from github.jira import Jira
from github.people import Person
from github.pull import Pull
from github.repositories import Repository
from small_queue import fill

ANN = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Ann"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ann@example.org"),
}
RECIPE = """format = 1
release = "{release}"
patches = []

[roles]
base = ["hadoop"]

[bigtop]
repository = "https://github.com/apache/bigtop.git"
commit = "{bigtop}"
ref = "rel/{release}"

[target]
distribution = "debian"
suite = "bookworm"
tag = "deb12"

[image.jdk]
package = "openjdk-8-jdk"
version = "8"

[[components]]
name = "hadoop"

[[components.sources]]
kind = "git"
repository = "https://github.com/apache/hadoop.git"
commit = "{hadoop}"
"""


class Desk:
    """Ann's desk. What she types is done by the program itself, in a process of its own."""

    def __init__(self, home: Path, site: GitHub, jira: Jira) -> None:
        self.home, self.site, self.jira = home, site, jira
        self.bigtop, self.hadoop = (site.person("carol", f"apache/{name}") for name in ("bigtop", "hadoop"))
        self.secret = site.token("ann")
        self.project = Project(home / "queue")
        for folder in (self.project.recipes, self.project.patches):
            folder.mkdir(parents=True)
        tickets = "".join(f'[projects.{name}]\njira = "{jira.url}"\n' for name in ("bigtop", "hadoop"))
        (self.project.patches / "upstream.toml").write_text(tickets)
        settings = home / ".config/bigtop-builder/settings.toml"
        settings.parent.mkdir(parents=True)
        names = [one.repo.full_name for one in (self.bigtop, self.hadoop)]
        mirrors = "".join(f'"https://github.com/{name}.git" = "{site.url}/{name}.git"\n' for name in names)
        settings.write_text(
            f'gradle = "system"\n[github_api]\n"github.com" = "{site.api}"\n[mirrors.git]\n{mirrors}'
        )

    def types(self, line: str, *more: str | Path, status: int = 0) -> str:
        """Type words after `bigtop-builder`; what it answers and tells, if it ends with this status."""
        done = self._run(*line.split(), *more)
        said = done.text + "\n" + done.complaint
        assert done.returncode == status, said
        return said

    def asks(self, line: str, *more: str | Path) -> Any:
        """The same with `--json`: the answer."""
        done = self._run(*line.split(), *more, "--json")
        assert done.returncode == 0, done.complaint
        return json.loads(done.text)

    def _run(self, *words: str | Path) -> Completed:
        env = {**ANN, "HOME": str(self.home), "GH_TOKEN": self.secret, "XDG_CACHE_HOME": ""}
        done = program(*words, env=env, cwd=self.project.root)
        assert self.secret not in done.text + done.complaint
        return done

    def clones(self, upstream: Person, revision: str, files: Mapping[str, str]) -> Path:
        """Clone a repository, and change files of a revision."""
        clone = self.home / upstream.repo.name
        if not clone.exists():
            run(["git", "clone", "--quiet", f"{self.site.url}/{upstream.repo.full_name}.git", clone], env=ANN)
        run(["git", "-C", clone, "checkout", "--quiet", "--force", revision], env=ANN)
        fill(clone, files)
        return clone

    def amends(self, release: str, target: str, commit: str, files: Mapping[str, str]) -> None:
        """Give files of a commit in `patch edit`'s work tree another text, as `git commit --fixup` does."""
        tree = ["git", "-C", self.project.output / "patches" / release / target]
        fill(self.project.output / "patches" / release / target, files)
        run([*tree, "commit", "--quiet", "--all", f"--fixup={commit}"], env=ANN)
        folded = {"GIT_SEQUENCE_EDITOR": "true"}
        run(
            [*tree, "rebase", "--quiet", "--interactive", "--autosquash", f"{commit}^"], env={**ANN, **folded}
        )

    def writes_recipe(self, release: str, *patches: str) -> None:
        """Write a recipe for what is tagged as a release of Bigtop, with the newest Hadoop."""
        commits = {
            "bigtop": self.bigtop.repo.commit_named(f"rel/{release}"),
            "hadoop": self.hadoop.repo.commit_named("trunk"),
        }
        text = RECIPE.format(release=release, **commits).replace("[]", json.dumps(patches))
        (self.project.recipes / f"{release}.toml").write_text(text)

    def facts(self, patch_id: str) -> PatchFacts:
        """What a patch.toml says."""
        return load_entry(self.project.patches, patch_id).facts

    def says(self, patch_id: str) -> Upstream:
        """What it says of upstream."""
        return self.facts(patch_id).upstream

    def lists(self, release: str) -> tuple[str, ...]:
        """The patches of a recipe."""
        return load_recipe(release, self.project.recipes)[0].patches

    def states(self, release: str) -> dict[str, str]:
        """What `patch status` says that each patch is on a release."""
        rows = self.asks("patch status")["patches"]
        return {row["id"]: row["releases"][release]["state"] for row in rows}

    def standings(self) -> dict[str, str]:
        """What `upstream status` says of each patch."""
        return {row["id"]: row["standing"] for row in self.asks("upstream status")["patches"]}

    def next(self, patch_id: str) -> str:
        """The next command that it names for a patch."""
        (row,) = self.asks("upstream status", patch_id)["patches"]
        return row["next"]

    def pull(self, patch_id: str) -> Pull:
        """The pull request that its patch.toml names, as the site has it."""
        carol = self.bigtop if patch_id.startswith("bigtop/") else self.hadoop
        url, _, number = self.says(patch_id).url.rpartition("/pull/")
        assert url == f"{self.site.url}/{carol.repo.full_name}"
        return carol.pull(int(number))

    def sent(self) -> list[str]:
        """What the site was asked to write: pushes, and calls of its API."""
        return [
            asked.path
            for asked in self.site.asked
            if asked.method != "GET" and not asked.path.endswith("/git-upload-pack")
        ]

    @staticmethod
    def changed(commit: str, repo: Repository) -> dict[str, str]:
        """The files that a commit changes, as it leaves them."""
        names = repo.git("diff-tree", "--no-commit-id", "--name-only", "-r", commit).splitlines()
        return {name: repo.git("show", f"{commit}:{name}") + "\n" for name in names}

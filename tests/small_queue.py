# SPDX-License-Identifier: Apache-2.0
"""A project whose Bigtop is a git repository of two small releases, with history, for tests of the patch queue."""

from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.run import Completed, run
from bigtop_builder.workspace import Project

ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Upstream",
    "GIT_AUTHOR_EMAIL": "up@example.org",
    "GIT_COMMITTER_NAME": "Upstream",
    "GIT_COMMITTER_EMAIL": "up@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}
ADA = {
    **ENV,
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-02-03T04:05:06+01:00",
}
RECIPE = """# Release {release}.
format = 1
release = "{release}"

# What a host installs.
[roles]
base = ["bigtop-utils"]

[bigtop]
repository = "../bigtop"
commit = "{commit}"
ref = "rel/{release}"

[target]
distribution = "debian"
suite = "bookworm"
tag = "deb12"

[image.jdk]
package = "openjdk-17-jdk-headless"
version = "17"

[[components]]
name = "bigtop-utils"
"""


def recipe_text(release: str, commit: str) -> str:
    """A recipe for a commit of the repository `bigtop` beside the folder of recipes."""
    return RECIPE.format(release=release, commit=commit)


def numbered(*changed: tuple[int, str], first: int = 1, last: int = 40) -> str:
    """A file of numbered lines, some of which say something else."""
    words = dict(changed)
    return "".join(f"{words.get(number, f'line {number}')}\n" for number in range(first, last + 1))


OLD = {
    "build.gradle": numbered(),
    "settings.gradle": numbered(last=20),
    "gone.gradle": numbered(last=12),
    "README": "read me\n",
}
NEW = {
    "build.gradle": "a head\nof two lines\n" + numbered((20, "twenty, upstream"), (33, "thirty-three")),
    "settings.gradle": numbered((5, "five"), last=20),
    "README": "read me\n",
}


def git(folder: Path, *words: str | Path, env: Mapping[str, str] = ADA) -> Completed:
    """Run git in a folder."""
    return run(["git", "-C", folder, *words], env=env)


def fill(folder: Path, files: Mapping[str, str]) -> None:
    """Let a folder hold these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def commit_all(folder: Path, message: str, env: Mapping[str, str] = ADA) -> str:
    """Commit all that is in a folder; return the commit's id."""
    git(folder, "add", "--all", env=env)
    git(folder, "commit", "--quiet", "-m", message, env=env)
    return git(folder, "rev-parse", "HEAD").text


def small_project(root: Path) -> Project:
    """Make the project: `bigtop/` with the tags rel/1.0.0 and rel/2.0.0, two recipes, an empty queue."""
    repository = root / "bigtop"
    run(["git", "init", "--quiet", "--initial-branch=master", repository], env=ENV)
    fill(repository, OLD)
    first = commit_all(repository, "Release 1.0.0", ENV)
    git(repository, "tag", "rel/1.0.0")
    (repository / "gone.gradle").unlink()
    commit_all(repository, "BIGTOP-7. Remove what nobody builds", ENV)
    fill(repository, {"settings.gradle": NEW["settings.gradle"]})
    commit_all(repository, "BIGTOP-8. Say five", ENV)
    fill(repository, NEW)
    second = commit_all(repository, "BIGTOP-9. Say twenty", ENV)
    git(repository, "tag", "rel/2.0.0")
    (root / "recipes").mkdir()
    (root / "patches").mkdir()
    for release, commit in (("1.0.0", first), ("2.0.0", second)):
        (root / "recipes" / f"{release}.toml").write_text(recipe_text(release, commit))
    return Project(root)


def clone_of(project: Project, folder: Path) -> Path:
    """Clone its `bigtop/`, with release 1.0.0 checked out."""
    run(["git", "clone", "--quiet", "--branch=rel/1.0.0", project.root / "bigtop", folder], env=ADA)
    return folder

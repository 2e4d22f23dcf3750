# SPDX-License-Identifier: Apache-2.0
"""Laying out the miniature Bigtop as a project: its git repository with two releases, recipes, sources, patches.

Nothing else in the tool knows of it: its recipes name it as others name apache/bigtop. The commits are dated and
signed with fixed values, so their ids are what the recipes pin.
"""

import shutil
from pathlib import Path

from bigtop_builder.run import run
from bigtop_builder.workspace import Project

RELEASES = ("1.0.0", "1.1.0")
MARK = ".bigtop-builder-quickstart"
AUTHOR = {
    "GIT_AUTHOR_NAME": "Bigtop Miniature",
    "GIT_AUTHOR_EMAIL": "bigtop-miniature@example.org",
    "GIT_COMMITTER_NAME": "Bigtop Miniature",
    "GIT_COMMITTER_EMAIL": "bigtop-miniature@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
EXECUTABLE = frozenset({"gradlew"})


def lay_out(origin: Project, folder: Path) -> Project:
    """Make the miniature's project in an empty folder.

    Args:
        origin: The project that came with the tool.
        folder: Made if it is not there.
    """
    miniature = origin.recipes / "miniature"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(
        "Made by `bigtop-builder quickstart`, which removes this folder when it runs again.\n"
    )
    for part in ("recipes", "sources", "repo"):
        shutil.copytree(miniature / part, folder / part)
    for patch in sorted(origin.patches.glob("*/miniature-*")):
        shutil.copytree(patch, folder / "patches" / patch.relative_to(origin.patches))
    commit_releases(miniature, folder / "bigtop.git")
    return Project(folder.absolute())


def commit_releases(miniature: Path, repository: Path) -> tuple[str, ...]:
    """Commit each release on top of the one before, with a tag `rel/<release>`; return the commit ids."""
    tree = repository.with_name(f".{repository.name}.tree")
    git = ["git", f"--git-dir={repository}", f"--work-tree={tree}"]
    run(["git", "init", "--quiet", "--bare", "--initial-branch=master", repository], env=AUTHOR)
    commits = []
    for number, release in enumerate(RELEASES):
        shutil.copytree(miniature / release, tree, dirs_exist_ok=True)
        for path in tree.rglob("*"):
            # A wheel keeps no modes, and the umask is not ours to trust.
            path.chmod(0o755 if path.is_dir() or path.name in EXECUTABLE else 0o644)
        date = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"2026-11-{number + 2:02d}T10:00:00Z")
        env = {**AUTHOR, **date}
        # An empty index has every file hashed: git takes one of equal size and time for the one before.
        run([*git, "read-tree", "--empty"], env=env)
        run([*git, "add", "--all", "--force"], env=env)
        run([*git, "commit", "--quiet", "--no-gpg-sign", "--message", f"Miniature {release}"], env=env)
        run([*git, "tag", f"rel/{release}"], env=env)
        commits.append(run([*git, "rev-parse", "HEAD"], env=env).text)
    shutil.rmtree(tree)
    return tuple(commits)


def clear(folder: Path) -> bool:
    """Remove what an earlier quickstart left; False if the folder is somebody else's."""
    if not folder.exists() or not any(folder.iterdir()):
        return True
    if not (folder / MARK).is_file():
        return False
    shutil.rmtree(folder)
    return True

# SPDX-License-Identifier: Apache-2.0
"""Which commit of a work tree is which patch, and what no commit of it may be."""

import re

from bigtop_builder.errors import InputError
from bigtop_builder.patches.naming import name_of, require_id, target_of
from bigtop_builder.schema import counted, some
from bigtop_builder.upkeep.commit import OWNER, diff_of
from bigtop_builder.upkeep.worktree import CONFLICTS, SERIES, Marker, WorkTree

MARKS = re.compile(rb"^\+(?:<{7}|>{7}) ", re.MULTILINE)
FOLDED = ("fixup!", "squash!", "amend!")
"""How the subject of a commit begins that git is to fold into another one (git-commit(1), --fixup)."""


def require_branch(tree: WorkTree) -> None:
    """Raise if HEAD is elsewhere than at the series, and does not have all of its commits.

    Raises:
        InputError: It is.
    """
    here = tree.git("symbolic-ref", "--quiet", "--short", "HEAD", check=False).text
    if here == SERIES:
        return
    lacks = tree.git("rev-list", f"HEAD..refs/heads/{SERIES}", "--", check=False)
    if not lacks.returncode and lacks.text:
        raise InputError(
            f"{tree.folder} is {f'on branch {here}' if here else 'on no branch (detached HEAD)'}, and "
            f"{counted(len(lacks.text.split()), 'commit')} of its branch {SERIES} would be left out",
            hint=f"git -C {tree.folder} switch {SERIES}; if what is checked out is meant, first "
            f"git -C {tree.folder} branch --force {SERIES} HEAD",
        )


def owners_of(tree: WorkTree, marker: Marker) -> dict[str, str]:
    """Patch id -> its commit, in the order of the commits.

    Raises:
        InputError: A commit is a merge or to be folded into another, no name can be made of its subject, it is a
            patch to something else, or two are one patch.
    """
    found: dict[str, str] = {}
    known = {one.commit: one.id for one in marker.patches}
    said = {
        commit: tree.trailer(commit, OWNER) or known.get(commit, "") for commit in tree.commits(marker.base)
    }
    for commit, named in said.items():
        patch_id = _id_of(tree, marker, commit, named)
        if patch_id in found:
            raise InputError(
                f"commits {found[patch_id][:12]} and {commit[:12]} of {tree.folder} are both patch {patch_id!r}",
                hint="squash them with git rebase -i, or give one another trailer `Patch: "
                f"{marker.target}/NAME`",
            )
        found[patch_id] = commit
    return found


def _id_of(tree: WorkTree, marker: Marker, commit: str, named: str) -> str:
    """The patch that a commit is: as it is named, else after its subject."""
    target, folder = marker.target, tree.folder
    subject = tree.git("show", "-s", "--format=%s", commit).text
    if subject.startswith(FOLDED):
        raise InputError(
            f"commit {commit[:12]} of {folder} is to be folded into another one: {subject}",
            hint=f"git -C {folder} rebase -i --autosquash {marker.base[:12]}",
        )
    name = name_of(subject)
    if not named and not name:
        raise InputError(
            f"commit {commit[:12]} of {folder}: no name can be made of its subject {subject!r}",
            hint=f"give it a trailer `Patch: {target}/NAME` with git commit --amend",
        )
    patch_id = named or f"{target}/{name}"
    require_id(patch_id, f"commit {commit[:12]} of {folder}")
    if target_of(patch_id) != target:
        raise InputError(
            f"commit {commit[:12]} says that it is patch {patch_id!r}, which is not to {target}",
            hint="change its trailer `Patch:` with git commit --amend",
        )
    return patch_id


def require_settled(tree: WorkTree, owners: dict[str, str]) -> None:
    """Raise if conflicts are left in a commit.

    Raises:
        InputError: They are.
    """
    found = []
    for patch_id, commit in owners.items():
        named = tree.trailer(commit, CONFLICTS)
        if named or MARKS.search(diff_of(tree.git, f"{commit}^", commit)):
            found.append(
                f"{commit[:12]} {patch_id}: {some(named.split(', ')) if named else 'it has markers'}"
            )
    if found:
        raise InputError(
            f"{len(found)} of {len(owners)} commits of {tree.folder} have conflicts in them",
            details="\n".join(found),
            hint="settle each (git rebase -i, stop at it, mend, git commit --amend), and take the trailer "
            "`Conflicts:` out of its message",
        )

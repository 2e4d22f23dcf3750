# SPDX-License-Identifier: Apache-2.0
"""A patch on another commit than it was made for: as it is, else merged three-way from where it was made.

Where that is not known, it is what git's object ids in the diff name, as `git am --3way` does it, if the repository
has those objects.
"""

from dataclasses import dataclass, field
from typing import Literal

from bigtop_builder.git_index import Index, Merge
from bigtop_builder.git_tree import TreeEntry
from bigtop_builder.patches.apply import check
from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.patches.queue import Patch
from bigtop_builder.patches.refusal import Refusal
from bigtop_builder.upkeep.commit import diff_of

PLAIN = "100644"
Outcome = Literal["clean", "offset", "merged", "already-upstream", "conflict"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a patch applied when it was made.

    Attributes:
        before: Tree before it.
        after: Tree after it.
        name: What people call it, for conflict markers.
    """

    before: str
    after: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What became of a patch on a commit.

    Attributes:
        outcome: `clean` and `offset`: it applies as it is; `merged`: with another diff; `already-upstream`: the
            merge leaves nothing to do; `conflict`: a maintainer must mend it.
        tree: Tree with it; None if it is not in it.
        diff: The new diff of one that merged.
        merge: The three-way merge, if there was one.
        base: Tree that it was merged from.
        refusals: Why it does not apply, of one that could not be merged: what it was made on is not known.
    """

    outcome: Outcome
    tree: str | None = None
    diff: bytes = field(default=b"", repr=False)
    merge: Merge | None = field(default=None, repr=False)
    base: str = ""
    refusals: tuple[Refusal, ...] = ()


def carry(index: Index, patch: Patch, onto: str, *, name: str, origin: Origin | None = None) -> Carried:
    """Put a patch on a commit.

    Args:
        index: Reads all trees; what it holds is replaced.
        patch: The patch.
        onto: Tree or commit.
        name: What people call that, for conflict markers.
        origin: Where the patch applied when it was made; None if that is not known.

    Raises:
        InputError: It is no diff that can be read.
        TreeError: The clone lacks an object.
    """
    applied = check(index, onto, patch.diff, source=str(patch.path))
    if applied.state != "conflict":
        return Carried(outcome=applied.state, tree=applied.tree)
    made_on = origin or _named_by(index, onto, patch)
    if made_on is None:
        return Carried(outcome="conflict", refusals=applied.refusals)
    names = (made_on.name, name, patch.id)
    merge = index.merge(made_on.before, onto, made_on.after, names=names)
    if merge.conflicts:
        return Carried(outcome="conflict", merge=merge, base=made_on.before)
    if merge.tree == index("rev-parse", "--verify", f"{onto}^{{tree}}").text:
        return Carried(outcome="already-upstream", merge=merge, base=made_on.before)
    diff = diff_of(index, onto, merge.tree)
    return Carried(outcome="merged", tree=merge.tree, diff=diff, merge=merge, base=made_on.before)


def _named_by(index: Index, onto: str, patch: Patch) -> Origin | None:
    """Trees before and after a patch, made of the objects that its diff names; None if they are not here."""
    files = parse_diff(patch.diff, source=str(patch.path))
    changed = [file for file in files if file.old and file.hunks]
    if not all(file.names_base for file in changed):
        return None
    named = {file.old: file.old_blob for file in changed}
    asked = "".join(f"{oid}\n" for oid in named.values()).encode()
    if b" missing\n" in index("cat-file", "--batch-check", stdin=asked).stdout:
        return None
    modes = index.entries(onto, named)
    index.load(onto, {path for file in files for path in (file.old, file.new) if path})
    index.remove(*(file.new for file in files if file.kind == "new"))
    index.put(
        {path: TreeEntry(modes[path].mode if path in modes else PLAIN, oid) for path, oid in named.items()}
    )
    before = index.write_tree()
    after = check(index, before, patch.diff, source=str(patch.path)).tree
    return Origin(before=before, after=after, name=f"before {patch.id}") if after else None

# SPDX-License-Identifier: Apache-2.0
"""What git says of commits: messages, patch ids and changed blocks, read in few processes that stream.

The diff is the one that `git format-patch` writes (three lines of context, renames found), so that a patch and
the commit it became have the same patch id (git-patch-id(1)). White space counts: in Python and in makefiles it is
what a change is about.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bigtop_builder.mirror import Mirror
from bigtop_builder.upstream.blocks import read_blocks
from bigtop_builder.upstream.wholeness import reading

DIFF: Final = (
    *("diff-tree", "--stdin", "-p", "-r", "--root", "-M", "--full-index", "--no-color"),
    *("--no-ext-diff", "--no-textconv"),
)
PATCH_ID: Final = ("patch-id", "--verbatim")
MESSAGE: Final = "--format=%H%n%P%n%B"
TICKET: Final = re.compile(r"\b[A-Z][A-Z0-9]+-\d+\b")
REVERTS: Final = re.compile(r"\bThis reverts commit ([0-9a-f]{7,40})\b")
PICKED: Final = re.compile(r"\bcherry[- ]picked from commit ([0-9a-f]{7,40})\b")
UNDO: Final = re.compile(
    r'\b(?:revert(?:s|ed|ing)?):?\s+"(?P<quoted>.+)"|^revert:?\s+(?P<bare>\S.*)$', re.IGNORECASE
)
REAPPLY: Final = re.compile(r'\breapply\s+"(?P<quoted>.+)"', re.IGNORECASE)
PULL: Final = re.compile(r"\s*\(#\d+\)\s*$")


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a commit says of itself.

    Attributes:
        commit: Its id.
        parents: Those of its parents.
        subject: First line.
        text: All of it.
    """

    commit: str
    parents: tuple[str, ...]
    subject: str
    text: str

    @property
    def tickets(self) -> frozenset[str]:
        """Ticket ids in its subject."""
        return frozenset(TICKET.findall(self.subject))

    @property
    def reverts(self) -> frozenset[str]:
        """Ids, maybe shortened, of the commits that it says to revert (git-revert(1))."""
        return frozenset(REVERTS.findall(self.text))

    @property
    def picked(self) -> frozenset[str]:
        """Ids of the commits that it says to be picked from (git-cherry-pick(1), -x)."""
        return frozenset(PICKED.findall(self.text))

    @property
    def undoes(self) -> str:
        """Key of the subject that its own one says to revert; empty if it says none."""
        if again := REAPPLY.search(self.subject):
            return key_of(f'Revert "{again["quoted"]}"')
        found = UNDO.search(PULL.sub("", self.subject))
        return key_of(found["quoted"] or found["bare"]) if found else ""


def key_of(subject: str) -> str:
    """A subject as it is compared: without the pull request's number, punctuation and case."""
    while PULL.search(subject):
        subject = PULL.sub("", subject)
    return re.sub(r"[\W_]+", " ", subject).strip().lower()


def messages(mirror: Mirror, tips: Sequence[str], known: Iterable[str]) -> list[Message]:
    """Messages of all commits of the tips' histories but the known ones' histories, ancestors first.

    Raises:
        TreeError: The clone lacks one of them.
    """
    revisions = [*tips, *(f"^{one}" for one in known)]
    words = ("log", "-z", "--topo-order", "--reverse", "--no-show-signature", "--encoding=UTF-8", MESSAGE)
    listed = reading(mirror, *words, "--stdin", lines=revisions).decode(errors="replace")
    return [_message(one) for one in listed.split("\0") if one]


def patch_ids(mirror: Mirror, diffs: Mapping[str, bytes]) -> dict[str, str]:
    """Patch ids of diffs by their names, 40 hex digits each; those that git makes none of are not in it."""
    text = b"".join(b"commit %s\n%s\n" % (name.encode(), diff) for name, diff in diffs.items())
    return _read_ids(mirror.git(*PATCH_ID, stdin=text).text)


def reverse_patch_id(mirror: Mirror, commit: str) -> str:
    """The patch id that a commit which takes this one back would have; empty if it has none."""
    # -R swaps the prefixes too, and they are part of the patch id.
    words = (*DIFF, "-R", "--src-prefix=b/", "--dst-prefix=a/")
    diff = reading(mirror, *words, lines=[commit])
    return _read_ids(mirror.git(*PATCH_ID, stdin=diff).text).get(commit, "")


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What a commit changes.

    Attributes:
        patch_id: Its patch id; empty if it changes nothing, merges, or cannot be read whole.
        blocks: Fingerprints of its blocks.
        unread: Paths whose content the clone lacks.
    """

    patch_id: str
    blocks: frozenset[int]
    unread: frozenset[str] = frozenset()


def changes(
    mirror: Mirror, commits: Sequence[str], *, missing: frozenset[str] = frozenset()
) -> dict[str, Changed]:
    """What commits change. Each is compared with its parent; merges change nothing of their own.

    Args:
        mirror: The clone.
        commits: Their ids.
        missing: Objects that the clone lacks; the files in question are left out.

    Raises:
        TreeError: The clone lacks other objects.
    """
    unread = _unread(mirror, commits, missing) if missing else {}
    found = _changes(mirror, [commit for commit in commits if commit not in unread])
    if unread:
        without = sorted({f":(exclude,literal,top){path}" for paths in unread.values() for path in paths})
        for commit, changed in _changes(mirror, list(unread), ("--", ".", *without)).items():
            found[commit] = replace(changed, patch_id="", unread=unread[commit])
    return found


def _changes(mirror: Mirror, commits: Sequence[str], paths: Sequence[str] = ()) -> dict[str, Changed]:
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-diffs-") as folder:
        diffs = Path(folder) / "diffs"
        with diffs.open("wb") as file:
            reading(mirror, *DIFF, *paths, lines=commits, stdout=file)
        with diffs.open("rb") as file:
            ids = _read_ids(mirror.git(*PATCH_ID, stdin=file).text)
        blocks: dict[str, set[int]] = {commit: set() for commit in commits}
        with diffs.open("rb") as file:
            for block in read_blocks(file):
                if (mark := block.fingerprint) is not None:
                    blocks[block.commit.decode()].add(mark)
    return {one: Changed(patch_id=ids.get(one, ""), blocks=frozenset(blocks[one])) for one in commits}


def _unread(mirror: Mirror, commits: Sequence[str], missing: frozenset[str]) -> dict[str, frozenset[str]]:
    """Commit -> the paths in it whose content the clone lacks; commits without such paths are not in it."""
    words = ("diff-tree", "--stdin", "-r", "--root", "--no-renames", "--raw", "--no-abbrev")
    found: dict[str, set[str]] = {}
    commit = ""
    for line in reading(mirror, *words, lines=commits).decode(errors="surrogateescape").splitlines():
        if not line.startswith(":"):
            commit = line
            continue
        facts, _, path = line.partition("\t")
        if not missing.isdisjoint(facts.split()[2:4]):
            found.setdefault(commit, set()).add(path)
    return {one: frozenset(paths) for one, paths in found.items()}


def _read_ids(listed: str) -> dict[str, str]:
    """Name -> patch id, from lines of patch id and name."""
    return {name: found for found, name in (line.split() for line in listed.splitlines())}


def _message(text: str) -> Message:
    commit, parents, body = text.split("\n", 2)
    return Message(
        commit=commit, parents=tuple(parents.split()), subject=body.lstrip("\n").partition("\n")[0], text=body
    )

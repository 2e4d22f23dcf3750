# SPDX-License-Identifier: Apache-2.0
"""Whether a clone has all of a history: shallow and partial ones lack objects, and then nothing is proved.

What a partial clone lacks is fetched in one go: left to git, each diff would ask the server for its own files.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from bigtop_builder.download import shown
from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import objects_of
from bigtop_builder.mirror import FETCH, WITHOUT_CONTENTS, Mirror
from bigtop_builder.schema import counted

log = logging.getLogger(__name__)

SAID = 5
"""Lines of an error's details."""
FEW = 100


def reading(mirror: Mirror, *words: str, lines: Iterable[str], stdout: IO[bytes] | None = None) -> bytes:
    """Run git with these lines as its standard input; return what it printed.

    Raises:
        TreeError: It failed, which it does where the clone lacks an object.
    """
    stdin = "".join(f"{line}\n" for line in lines).encode()
    done = mirror.git(*words, stdin=stdin, stdout=stdout, check=False)
    if done.returncode != 0:
        said = "\n".join(shown(done.complaint).splitlines()[:SAID])
        raise TreeError(
            f"{mirror.path} lacks objects of the history that is searched for patches",
            details=f"git {words[0]} says:\n{said}",
            hint=f"see git -C {mirror.path} fsck; clone it anew, or name a whole clone in mirrors.git",
        )
    return done.stdout


def require_whole(mirror: Mirror, tips: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """Refuse a clone whose history of the tips is cut off; fetch what a partial one lacks of it.

    Args:
        mirror: The clone.
        tips: Commits.
        known: Commits whose histories are not looked at again, but for what the first new commits changed.

    Returns:
        Objects that are missing all the same from a clone that names no server, `FEW` at most: snapshots of
        repositories leave out the largest files.

    Raises:
        TreeError: It is shallow there, or lacks many objects that cannot be fetched.
    """
    revisions = [*tips, *(f"^{one}" for one in known)]
    _refuse_shallow(mirror, tips, revisions)
    remote = _promisor(mirror)
    if not remote and not any((objects_of(mirror) / "pack").glob("*.promisor")):
        return frozenset()
    missing = _missing(mirror, revisions)
    if not missing:
        return missing
    complaint = _fetch(mirror, remote, missing) if remote else "it names no server that has them"
    if complaint and (remote or len(missing) > FEW):
        raise TreeError(
            f"{mirror.path} is a partial clone: it lacks {len(missing)} objects of the history of {tips[0]}, "
            "and they cannot be fetched",
            details="\n".join([*sorted(missing)[:SAID], complaint]),
            hint="make its server reachable, or name a whole clone in mirrors.git of the settings",
        )
    return missing if complaint else frozenset()


def _refuse_shallow(mirror: Mirror, tips: Sequence[str], revisions: Sequence[str]) -> None:
    shallow = Path(mirror.git("rev-parse", "--path-format=absolute", "--git-path", "shallow").text)
    if not shallow.is_file():
        return
    cut = set(shallow.read_text().split())
    history = reading(mirror, "rev-list", "--stdin", lines=revisions).decode().split()
    if ends := sorted(cut & set(history)):
        raise TreeError(
            f"{mirror.path} is a shallow clone: the history of {tips[0]} ends at {ends[0]}",
            details="what came before cannot be searched, and a patch that it has would be called missing",
            hint=f"git -C {mirror.path} fetch --unshallow",
        )


def _promisor(mirror: Mirror) -> str:
    """The remote that a partial clone fetches from; empty if there is none (partial-clone.txt of git)."""
    named = mirror.git("config", "--name-only", "--get-regexp", r"^remote\..*\.promisor$", check=False).text
    if named:
        return named.splitlines()[0].removeprefix("remote.").removesuffix(".promisor")
    return mirror.git("config", "extensions.partialClone", check=False).text


def _missing(mirror: Mirror, revisions: Sequence[str]) -> frozenset[str]:
    """What is missing of new commits, and of the trees of known ones that they are compared with."""
    edges = reading(mirror, "rev-list", "--boundary", "--stdin", lines=revisions).decode().split()
    before = [line[1:] for line in edges if line.startswith("-")]
    found = set[str]()
    for words, some in (((), revisions), (("--no-walk",), before)):
        asked = ("rev-list", "--objects", "--missing=print", *words, "--stdin")
        listed = reading(mirror, *asked, lines=some).decode(errors="replace") if some else ""
        found |= {line[1:] for line in listed.splitlines() if line.startswith("?")}
    return frozenset(found)


def _fetch(mirror: Mirror, remote: str, missing: frozenset[str]) -> str:
    """Fetch objects; return what git complained of, empty if it worked."""
    log.info("fetching %s that the partial clone %s lacks", counted(len(missing), "object"), mirror.path)
    done = mirror.git(
        *("-c", "fetch.negotiationAlgorithm=noop", *FETCH, WITHOUT_CONTENTS, remote, "--stdin"),
        stdin="".join(f"{oid}\n" for oid in sorted(missing)).encode(),
        check=False,
    )
    return "" if done.returncode == 0 else shown(done.complaint) or f"exit status {done.returncode}"

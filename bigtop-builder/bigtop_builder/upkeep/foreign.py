# SPDX-License-Identifier: Apache-2.0
"""Patches as others keep them: files, folders, quilt series, commits, another queue.

What cannot be read is told with its file and line; nothing is guessed.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.patches.diff import parse_diff
from bigtop_builder.patches.listed import inserted
from bigtop_builder.patches.mail import Mail, commit_of, read_mail, split_mails
from bigtop_builder.patches.naming import Named, name_of, name_of_file, require_id, target_of
from bigtop_builder.patches.queue import FACTS, known, load_entry, release_order
from bigtop_builder.schema import read_toml
from bigtop_builder.upkeep.commit import Git, git_at, mail_of
from bigtop_builder.upkeep.worktree import WorkTree

log = logging.getLogger(__name__)

NAMELESS = "patch"
"""What a patch is called of whose subject no name can be made."""
SERIES = "series"
ENDINGS = (".patch", ".diff")
NUMBERED = re.compile(r"\d{4}-")
LEADING = re.compile(r"(?:patch)?(\d+)", re.IGNORECASE)
STRIP = re.compile(r"(?:-p\s*|--strip=)(?P<depth>\S+)")


@dataclass(frozen=True, kw_only=True)
class Incoming(Named):
    """A patch that was read.

    Attributes:
        id: `target/name`, as it will be.
        source: Where it is from, for people.
        mail: The patch.
        commit: The commit that it is of; empty if that is not known.
        files: Name -> content of all its files, where it comes from another queue.
    """

    source: str
    mail: Mail
    commit: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A patch that could not be read.

    Attributes:
        source: File or commit, and the line in it.
        reason: What is wrong.
        hint: The way out.
    """

    source: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.reason}{f' ({self.hint})' if self.hint else ''}"


Read = Incoming | Fault


def read_source(source: Path, target: str, name: str = "") -> Iterator[Read]:
    """Patches of a file, a folder, a quilt series or another queue, whichever it is.

    Args:
        source: File or folder.
        target: What they are patches to; may be empty for another queue, all of which is read then.
        name: Name of the patch, for a file.

    Raises:
        InputError: It is not there, holds no patch, or the target is not named.
    """
    queue = next((place for place in (source / "patches", source) if place.is_dir() and known(place)), None)
    if queue:
        yield from _of_queue(queue, target)
        return
    if not target:
        raise InputError(f"{source} does not say what its patches are to", hint="name it: --target bigtop")
    if source.is_file() and source.name != SERIES:
        yield from _of_file(source, target, name)
        return
    series = source if source.is_file() else source / SERIES
    if series.is_file():
        yield from _of_series(series, target)
        return
    files = _patches_in(source) if source.is_dir() else []
    if not files:
        what = "holds no .patch, no .diff and no series" if source.is_dir() else "does not exist"
        raise InputError(f"{source} {what}", hint="name a patch, a folder of them, a quilt series or a queue")
    for file in files:
        yield from _of_file(file, target, "")


def _patches_in(folder: Path) -> list[Path]:
    """The patches of a folder, by the numbers that their names begin with."""
    named = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())
    counted = sorted(named, key=lambda path: int((LEADING.match(path.name) or ("0", "0"))[1]))
    if counted != named:
        log.warning(
            "%s is taken by number, %s before %s; name a quilt series for another order",
            folder,
            *_first_apart(counted, named),
        )
    return counted


def _first_apart(order: Sequence[Path], other: Sequence[Path]) -> tuple[str, str]:
    """The first two names that stand the other way round elsewhere."""
    return next((one.name, two.name) for one, two in zip(order, other, strict=True) if one != two)


def read_commits(repository: Path, revisions: str, target: str, name: str = "") -> Iterator[Read]:
    """Patches of commits, oldest first.

    Args:
        repository: A git repository, bare or not.
        revisions: A commit, or a range `A..B`.
        target: What they are patches to.
        name: Name of the patch, for one commit.

    Raises:
        InputError: No such repository or commit.
    """
    git = git_at(repository)
    walk = () if ".." in revisions else ("--no-walk",)
    listed = git(
        "rev-list", "--reverse", "--parents", *walk, "--end-of-options", revisions, "--", check=False
    )
    if listed.returncode or not listed.text:
        said = listed.complaint.partition("\n")[0].removeprefix("fatal: ") or "there is no commit in it"
        raise InputError(
            f"{repository}: {revisions!r} cannot be read: {said}",
            hint=f"a commit, or a range such as A..B: see git -C {repository} log",
        )
    seen: set[str] = set()
    for row in listed.text.splitlines():
        commit, *parents = row.split()
        source = f"{repository} {commit[:12]}"
        mail = _of_commit(git, repository, commit, parents)
        if isinstance(mail, Fault):
            yield mail
            continue
        made = name or name_of(mail.subject) or NAMELESS
        made = f"{made}-{commit[:8]}" if made in seen else made  # a second commit for one ticket, or a revert
        seen.add(made)
        yield _checked(mail, mail.diff, source, target, made, commit)


def _of_commit(git: Git, repository: Path, commit: str, parents: Sequence[str]) -> Mail | Fault:
    """A commit as a mail; that of a first commit makes all its files."""
    source = f"{repository} {commit[:12]}"
    if len(parents) > 1:
        return Fault(source=source, reason=f"{source}: it is a merge", hint="name its commits one by one")
    empty = git("hash-object", "-t", "tree", "--stdin", stdin=b"").text
    try:
        return mail_of(git, commit, parent=parents[0] if parents else empty)
    except TreeError as error:
        said = error.details.strip().rpartition("\n")[2] or error.brief
        hint = f"fetch what {repository} lacks: a shallow or partial clone has not all of it"
        return Fault(source=source, reason=f"{source}: git cannot read it: {said}", hint=hint)


def read_changes(folder: Path, target: str, name: str, *, mail: Mail, commit: str = "") -> Read:
    """The patch of a work tree: what it has that its newest commit has not, or a commit.

    Args:
        folder: In a git work tree.
        target: What it is a patch to.
        name: Its name; made of the subject if empty.
        mail: What is said of it; a commit's own words count where this says nothing.
        commit: The commit; the changes that are in none if empty.

    Raises:
        InputError: It is no work tree, or there are no changes.
    """
    tree = WorkTree.at(folder)
    if commit:
        parents = tree.git("rev-list", "--parents", "--max-count=1", tree.resolve(commit)).text.split()
        read = _of_commit(tree.git, folder, parents[0], parents[1:])
        if isinstance(read, Fault):
            return read
        found, source = read, f"commit {commit} of {folder}"
    else:
        found = replace(mail, diff=tree.changes())
        source = f"the changes in {folder}"
    if not found.diff:
        raise InputError(
            f"{source}: there are none", hint="change files first, or name a commit with --commit"
        )
    said = replace(found, subject=mail.subject or found.subject, body=mail.body or found.body)
    if mail.author:
        said = replace(said, author=mail.author, email=mail.email)
    return _checked(said, said.diff, source, target, name or name_of(said.subject) or NAMELESS, "")


def _of_file(path: Path, target: str, name: str) -> Iterator[Read]:
    """The patch of a file, or those of an mbox."""
    try:
        data = path.read_bytes()
    except OSError as error:
        yield Fault(source=str(path), reason=f"{path} cannot be read: {error.strerror}")
        return
    parts = split_mails(data)
    for line, part in parts:
        yield _of_mail(path, part, target, name, line=line if len(parts) > 1 else 0)


def _of_mail(path: Path, data: bytes, target: str, name: str, *, line: int) -> Read:
    """One patch of a file; `line` is where it begins, 0 if it is the file."""
    source = f"{path}:{line}" if line else str(path)
    try:
        mail = read_mail(data, source=source)
    except InputError as error:
        return Fault(source=source, reason=error.brief, hint=error.hint)
    numbered = (line or NUMBERED.match(path.name)) and mail.subject
    made = (name_of(mail.subject) or NAMELESS) if numbered else name_of_file(path.name)
    if not mail.subject:
        mail = replace(mail, subject=made.replace("-", " "))
    return _checked(mail, data, source, target, name or made, commit_of(data))


def _checked(mail: Mail, data: bytes, source: str, target: str, name: str, commit: str) -> Read:
    """The patch, if its diff can be read to its last line."""
    patch_id = f"{target}/{name}"
    try:
        require_id(patch_id, source)
        parse_diff(data, source=source)
    except InputError as error:
        return Fault(source=source, reason=error.brief, hint=error.hint)
    return Incoming(id=patch_id, source=source, mail=mail, commit=commit)


def _of_series(series: Path, target: str) -> Iterator[Read]:
    """A quilt series: a file a line, its options, and comments from `#` on (quilt(1))."""
    seen: set[str] = set()
    for number, line in enumerate(series.read_text(errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split() if not re.match(r"\s*#", line) else []
        if not words:
            continue
        file, options = words[0], words[1:]
        if wrong := _wrong(series.parent, file, options, seen):
            reason, hint = wrong
            yield Fault(source=f"{series}:{number}", reason=f"{series}:{number}: {file}: {reason}", hint=hint)
        else:
            yield from _of_file(series.parent / file, target, "")
        seen.add(file)


def _wrong(folder: Path, file: str, options: Sequence[str], seen: set[str]) -> tuple[str, str] | None:
    strip = STRIP.search(" ".join(options))
    if strip and strip["depth"] != "1":
        return f"-p{strip['depth']} is not taken: all patches are -p1", "quilt refresh -p1 rewrites it"
    if rest := [word for word in options if not word.startswith(("-p", "--strip")) and word != "1"]:
        return f"option {rest[0]} is not taken", "apply and refresh it with quilt, so that it needs none"
    if not (folder / file).resolve().is_relative_to(folder.resolve()):
        return "it lies outside the series' folder", "put it beside the series"
    if not (folder / file).is_file():
        return "there is no such file", "take its line out, or bring the file"
    return ("it is listed twice", "take one of its lines out") if file in seen else None


def _in_their_order(queue: Path) -> list[str]:
    """The ids of a queue as the recipes beside it list them, the newest release's first, and then the others."""
    there, order = known(queue), list[str]()
    recipes = sorted(
        (queue.parent / "recipes").glob("*.toml"), key=lambda file: release_order(file.stem), reverse=True
    )
    for file in recipes:
        listed = read_toml(file)[0].get("patches")
        if isinstance(listed, list):
            order = inserted(order, [one for one in listed if one in there])
    return [*order, *(one for one in there if one not in order)]


def _of_queue(queue: Path, target: str) -> Iterator[Read]:
    wanted = [one for one in _in_their_order(queue) if target in ("", target_of(one))]
    if not wanted:
        raise InputError(f"{queue} has no patch to {target!r}", hint=f"it has {', '.join(known(queue))}")
    for patch_id in wanted:
        folder = queue / patch_id
        try:
            require_id(patch_id, str(folder))
            entry = load_entry(queue, patch_id)
            for diff in entry.diffs:
                parse_diff(diff.data, source=str(diff.path))
            mail = read_mail(entry.diffs[-1].data, source=str(entry.diffs[-1].path))
        except InputError as error:
            yield Fault(
                source=str(folder),
                reason="\n".join(filter(None, (error.brief, error.details))),
                hint=error.hint,
            )
            continue
        files = {FACTS: (folder / FACTS).read_bytes(), **{diff.path.name: diff.data for diff in entry.diffs}}
        yield Incoming(id=patch_id, source=str(folder), mail=mail, files=files)

# SPDX-License-Identifier: Apache-2.0
"""Ids of patches, and the names that are made of subjects and file names."""

import re
import unicodedata
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bigtop_builder.errors import InputError
from bigtop_builder.patches.queue import SUFFIX, Diff, Entry
from bigtop_builder.recipe import PatchId

NUMBERED = re.compile(r"^(?:\d{1,5}[-_.]|patch\d+[-_.])(?=.)", re.IGNORECASE)
ENDING = re.compile(r"\.(?:patch|diff|txt)$", re.IGNORECASE)
LONGEST = 60
ID: TypeAdapter[str] = TypeAdapter(PatchId)


def name_of(subject: str) -> str:
    """A patch's name made of its subject: `HADOOP-18583. Fix loading` -> `HADOOP-18583-fix-loading`; may be empty."""
    words = re.findall(r"[A-Z][A-Z0-9]+-\d+|[A-Za-z0-9]+(?:[.+][A-Za-z0-9]+)*", _bare(subject))
    name = ""
    for word in words:
        word = word if re.fullmatch(r"[A-Z][A-Z0-9]+-\d+", word) else word.lower()  # noqa: PLW2901  # a ticket stays
        if len(name) + len(word) >= LONGEST:
            break
        name = f"{name}-{word}" if name else word
    return name


def _bare(text: str) -> str:
    """Text without the marks of its letters: `café` -> `cafe`."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text.replace("ß", "ss"))
        if not unicodedata.combining(letter)
    )


def name_of_file(file: str) -> str:
    """A patch's name made of its file's: `0001-fix.patch` and `patch12-fix.diff` -> `fix`."""
    bare = ENDING.sub("", file)
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", NUMBERED.sub("", _bare(bare))).strip("-.")
    return name or "patch"


def require_id(patch_id: str, where: str) -> None:
    """Raise unless this can be the id of a patch.

    Raises:
        InputError: It cannot; `where` says what named it so.
    """
    try:
        ID.validate_python(patch_id)
    except ValidationError as error:
        raise InputError(
            f"{where}: {patch_id!r} is no id of a patch",
            hint="`target/name`: the target in small letters, the name of letters, digits, `.`, `_`, `+` and `-`",
        ) from error


def own_path(entry: Entry, release: str, *, since: bool = False) -> Path:
    """The file of a diff that is for one release alone, or for it and all later ones."""
    return entry.folder / f"{'since-' if since else ''}{release}{SUFFIX}"


def in_the_way(entry: Entry, release: str, *, since: bool = False) -> Diff | None:
    """A diff of the patch, other than the one in `own_path`, that is for some of the same releases."""
    own = own_path(entry, release, since=since)
    planned = Diff(path=own, data=b"", first=release, last="" if since else release)
    others = (diff for diff in entry.diffs if not diff.is_default and diff.path != own)
    return next((diff for diff in others if diff.overlaps(planned)), None)


def own_file(entry: Entry, release: str, *, since: bool = False) -> Path:
    """As `own_path`, where it can stand.

    Raises:
        InputError: Another diff is for some of the same releases.
    """
    own = own_path(entry, release, since=since)
    if other := in_the_way(entry, release, since=since):
        way = f"leaves {release}{' and what comes after it' if since else ''} out"
        raise InputError(
            f"{own.name} cannot stand beside {other.path}: both would be for some release",
            hint=f"rename the latter to {own.name}, or so that its range {way}",
        )
    return own

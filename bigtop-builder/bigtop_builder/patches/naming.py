# SPDX-License-Identifier: Apache-2.0
"""Ids of patches, and the names that are made of subjects and file names."""

import re
import unicodedata
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from bigtop_builder.errors import InputError
from bigtop_builder.patches.title import TICKET
from bigtop_builder.recipe import PatchId

NUMBERED = re.compile(r"^(?:\d{1,5}[-_.]|patch\d+[-_.])(?=.)", re.IGNORECASE)
ENDING = re.compile(r"\.(?:patch|diff|txt)$", re.IGNORECASE)
LONGEST = 60
ID: TypeAdapter[str] = TypeAdapter(PatchId)


@dataclass(frozen=True, kw_only=True)
class Named:
    """What has the id of a patch.

    Attributes:
        id: `target/name`.
    """

    id: str

    @property
    def target(self) -> str:
        """`bigtop` or a component."""
        return target_of(self.id)

    @property
    def name(self) -> str:
        """The id without its target."""
        return self.id.partition("/")[2]


def target_of(patch_id: str) -> str:
    """What a patch is to: `bigtop`, or a component."""
    return patch_id.partition("/")[0]


def name_of(subject: str) -> str:
    """A patch's name made of its subject: `HADOOP-18583. Fix loading` -> `HADOOP-18583-fix-loading`; may be empty."""
    words = re.findall(rf"{TICKET}|[A-Za-z0-9]+(?:[.+][A-Za-z0-9]+)*", _bare(subject))
    name = ""
    for word in words:
        word = word if re.fullmatch(TICKET, word) else word.lower()  # noqa: PLW2901  # a ticket stays
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

# SPDX-License-Identifier: Apache-2.0
"""Text of Release: which indices a suite has, and until when they hold. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from operator import attrgetter

from bigtop_builder.artifact import parse_control
from bigtop_builder.errors import PublishError
from bigtop_builder.repository.layout import COPY, IndexFile


def release_text(
    *,
    fields: Mapping[str, str],
    date: datetime,
    valid_until: datetime | None,
    files: Mapping[str, IndexFile],
) -> str:
    """The Release file (Debian wiki, RepositoryFormat).

    Args:
        fields: Origin, Label, Suite and so on, in order; empty values are left out.
        date: Date, UTC.
        valid_until: Until when clients take it.
        files: Path below the suite -> size and hashes.
    """
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    lines.append(f"Date: {_stamp(date)}")
    if valid_until:
        lines.append(f"Valid-Until: {_stamp(valid_until)}")
    lines.append("Acquire-By-Hash: yes")
    for title, hashed in (("SHA256", attrgetter("sha256")), ("SHA512", attrgetter("sha512"))):
        lines.append(f"{title}:")
        lines += [f" {hashed(files[name])} {files[name].size} {name}" for name in sorted(files)]
    return "\n".join(lines) + "\n"


def parse_release(text: str, *, source: str) -> dict[str, str]:
    """Fields of a Release file.

    Raises:
        PublishError: There is no Release text in it.
    """
    fields = parse_control(text.rstrip("\n"), source=source)
    if "Date" not in fields:
        raise PublishError(f"{source} is no Release file: it has no Date", hint=COPY)
    return fields


def release_date(fields: Mapping[str, str]) -> datetime:
    """Date of a Release file, UTC."""
    return parse_date(fields["Date"])


def parse_date(text: str) -> datetime:
    """A date as Release has it, UTC.

    Raises:
        ValueError: It is none.
    """
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"there is no date {text!r} in UTC") from error


def _stamp(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True).replace("GMT", "UTC")

# SPDX-License-Identifier: Apache-2.0
"""The one family of errors, caught once, in the command line.

Every error says what is wrong (`brief`: it names the file or the thing and its value), what is known about
it (`details`, several lines), and the way out (`hint`: what to type or change next). The class decides the
exit code, so a pipeline can tell a failed check from a missing program without reading text.
"""

from collections.abc import Mapping
from typing import ClassVar

ONCE_ONLINE = "run the same command once without --offline (`offline` in the settings): it fills the cache"
"""The way out where something is not in the cache and nothing may be fetched."""


class BuilderError(Exception):
    """Root of all errors that a user is meant to read.

    Args:
        brief: One line, without a full stop at the end: what is wrong, with its name and value.
        details: What is known besides, any number of lines.
        hint: The way out, one line.

    Attributes:
        states: Of a run over several components that ended so: component -> what became of it.
    """

    exit_code: ClassVar[int] = 1
    states: Mapping[str, str] = {}

    def __init__(self, brief: str, *, details: str = "", hint: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.brief]
        if self.details:
            parts.append(self.details.rstrip())
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


class CheckFailed(BuilderError):
    """A check ran and said no: a .deb that does not verify, a repository that is not whole."""

    exit_code = 1


class InputError(BuilderError):
    """Bad usage or input: an unknown recipe, malformed TOML, a value out of range, a stale lock."""

    exit_code = 2


class EnvironmentMissing(BuilderError):
    """Something this machine should have and has not: a program, a Docker engine, a free disk, a right."""

    exit_code = 3


class TreeError(BuilderError):
    """The Bigtop tree cannot be made: Bigtop cannot be fetched, no such commit, a patch that does not apply."""

    exit_code = 4


class SourceError(BuilderError):
    """A component's source cannot be had or is not what its pin says."""

    exit_code = 5


class ImageError(BuilderError):
    """A builder image cannot be made or pinned."""

    exit_code = 6


class BuildError(BuilderError):
    """Gradle, or the container it runs in, failed."""

    exit_code = 7


class VerifyError(BuilderError):
    """Verification could not run to its end. A check that ran and said no is `CheckFailed`."""

    exit_code = 8


class SigningError(BuilderError):
    """A key is missing, expired, revoked or the wrong one; gpg refused."""

    exit_code = 9


class PublishError(BuilderError):
    """The repository refused a package or could not be written."""

    exit_code = 10


class UpstreamError(BuilderError):
    """An upstream project's GitHub cannot be asked, or refuses: a token, a right, a limit of requests."""

    exit_code = 11

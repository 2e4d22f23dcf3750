# SPDX-License-Identifier: Apache-2.0
"""People and organisations, their tokens, and what is refused to them."""

from dataclasses import dataclass, field
from typing import Any

DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who has repositories, or works in them.

    Attributes:
        kind: `User` or `Organization`.
    """

    id: int
    login: str
    kind: str = "User"

    @property
    def name(self) -> str:
        return self.login.capitalize()

    @property
    def email(self) -> str:
        return f"{self.login}@example.org"


@dataclass(frozen=True, kw_only=True)
class Token:
    """What stands for an account.

    Attributes:
        scopes: Of a classic token; `public_repo` or `repo` lets it write.
        fine: A fine-grained token: it has no scopes, and `writes` says whether it may.
        expired: Whether its time is over, or it was revoked; GitHub answers the same.
    """

    value: str = field(repr=False)
    account: Account
    scopes: tuple[str, ...] = ("public_repo",)
    fine: bool = False
    writes: bool = True
    expired: bool = False


class Refused(Exception):
    """An answer other than what was asked for.

    Attributes:
        status: Of HTTP.
        body: What goes out as JSON.
        headers: Beyond the usual ones.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        **more: str,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {"message": message, "documentation_url": DOCS, **more}
        self.body |= {"errors": errors} if errors else {}
        self.body |= {"status": str(status)} if status != 422 else {}


def invalid(message: str = "", *, code: str = "custom", name: str = "") -> Refused:
    """422, as GitHub refuses a pull request's field."""
    said = {"resource": "PullRequest", "code": code}
    said |= ({"field": name} if name else {}) | ({"message": message} if message else {})
    return Refused(422, "Validation Failed", errors=[said])


def missing(what: str = "Not Found") -> Refused:
    """404; also for what may not be seen, so that nobody learns of it."""
    return Refused(404, what)

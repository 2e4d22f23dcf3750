# SPDX-License-Identifier: Apache-2.0
"""GitHub's refusals in words: what it says, and which right, token or name is missing."""

import json
from typing import Any

import httpx

from bigtop_builder.errors import UpstreamError
from bigtop_builder.upstreaming.rest import NoAnswers
from bigtop_builder.upstreaming.token import MANUAL, Token


class NotFound(UpstreamError):  # an answer, which some ask for
    """GitHub has no such thing, or does not show it."""


class Unprocessable(UpstreamError):
    """GitHub understands and will not do it: it is there already, or there is nothing to do."""


def refusal(answer: httpx.Response, *, what: str, host: str, token: Token | None) -> UpstreamError:
    """The error for an answer that holds no result.

    Args:
        answer: The answer.
        what: What was asked for, as in `reading repository apache/bigtop`.
        host: GitHub host.
        token: What was sent; it is in no text.
    """
    hidden = token.hidden_in if token else str
    said = hidden(_message(answer))
    status, brief = answer.status_code, f"{host} refuses {what}: {said}"
    origin = f"the token from {token.origin}" if token else "a request without a token"
    if status == httpx.codes.UNAUTHORIZED:
        hint = f"it has expired or was revoked: make another; {MANUAL}" if token else MANUAL
        return NoAnswers(f"{host} does not take {origin}: {said}", details=f"for {what}", hint=hint)
    if status in {httpx.codes.FORBIDDEN, httpx.codes.UNAVAILABLE_FOR_LEGAL_REASONS}:
        details = f"it was asked with {origin}{_scopes(answer)}"
        return UpstreamError(brief, details=details, hint=_missing_right(answer))
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        details = f"it was asked with {origin}{_scopes(answer)}, which may not see it or not do that"
        return NotFound(brief, details=details, hint=f"check the name, and the token's rights: {MANUAL}")
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return Unprocessable(
            brief, details=hidden("\n".join(_faults(answer))), hint="mend what it names, and run it again"
        )
    if answer.is_redirect:
        return UpstreamError(brief, hint="it has another name now: write that one into upstream.toml")
    return UpstreamError(brief, details=f"status {status}")


def _missing_right(answer: httpx.Response) -> str:
    """The right that GitHub says it wants (REST API, "Troubleshooting": X-Accepted-GitHub-Permissions)."""
    sso = answer.headers.get("X-GitHub-SSO", "")
    if "url=" in sso:
        return f"authorize the token for single sign-on: {sso.partition('url=')[2].partition(';')[0]}"
    fine = answer.headers.get("X-Accepted-GitHub-Permissions", "")
    classic = answer.headers.get("X-Accepted-OAuth-Scopes", "")
    if fine and "X-OAuth-Scopes" not in answer.headers:  # each answer to a classic token has it
        return (
            "in a repository of others, as apache/..., no fine-grained token may do that: make a classic one with "
            f"scope public_repo; in one of yours give the token permission {fine}; {MANUAL}"
        )
    return f"give the token {f'scope {classic}' if classic else 'another right'}; {MANUAL}"


def _scopes(answer: httpx.Response) -> str:
    """What a classic token may do, which GitHub says in each answer."""
    has = answer.headers.get("X-OAuth-Scopes")
    return "" if has is None else f" (scopes: {has or 'none'})"


def _message(answer: httpx.Response) -> str:
    said = _body(answer).get("message", "")
    return str(said) or f"{answer.status_code} {answer.reason_phrase}".strip()


def _faults(answer: httpx.Response) -> list[str]:
    """The single faults of a 422, each in one line."""
    faults = _body(answer).get("errors")
    return [_fault(one) for one in faults] if isinstance(faults, list) else []


def _fault(one: Any) -> str:
    if not isinstance(one, dict):
        return str(one)
    return str(
        one.get("message") or " ".join(str(one[key]) for key in ("resource", "field", "code") if key in one)
    )


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = json.loads(answer.text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}

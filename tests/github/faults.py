# SPDX-License-Identifier: Apache-2.0
"""How answers go wrong. A fault is used up by one request; GitHub's description does not bind it."""

import json
from dataclasses import dataclass, field

HTML = (
    b"<!DOCTYPE html><html><head><title>Unicorn! &middot; GitHub</title></head><body>No server.</body></html>"
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One answer that goes wrong.

    Attributes:
        status: Answered instead; 0 leaves the answer as it is.
        body: Goes with the status.
        headers: Of the answer, beyond the usual ones.
        done: Whether the request is carried out though its answer is another.
        delay: Seconds before the answer.
        cut: Bytes of the body after which the connection ends; 0: right after the headers.
        lost: Whether the connection ends without an answer.
    """

    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    delay: float = 0
    cut: int | None = None
    lost: bool = False


def refusal(status: int, message: str, **headers: str) -> Fault:
    """An error in JSON. Names of headers are written with underscores."""
    body = json.dumps(
        {"message": message, "documentation_url": "https://docs.github.com", "status": str(status)}
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Fault(status=status, body=body.encode(), headers=kind | named)


def secondary_limit(retry_after: int | None = None, status: int = 403) -> Fault:
    """Too many requests in a short time; `status` is 403 or 429, and Retry-After may be left out."""
    headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return refusal(status, message, **headers)


def error(status: int, *, html: bool = False, done: bool = False) -> Fault:
    """An error of the server, in JSON or as a page; with `done` after the request was carried out."""
    if html:
        return Fault(
            status=status, body=HTML, headers={"Content-Type": "text/html; charset=utf-8"}, done=done
        )
    said = refusal(status, "Server Error")
    return Fault(status=status, body=said.body, headers=said.headers, done=done)


def slow(seconds: float) -> Fault:
    """The answer, late."""
    return Fault(delay=seconds)


def cut(size: int = 0) -> Fault:
    """The request is carried out, and its answer breaks off after so many bytes of its body."""
    return Fault(cut=size)


def lost(*, done: bool = True) -> Fault:
    """The connection ends without an answer, after the request was carried out or (not `done`) before."""
    return Fault(lost=True) if done else Fault(status=502, lost=True)


def next_of(faults: dict[str, list[Fault]], method: str, path: str) -> Fault:
    """Use up the next fault of a path, or of `METHOD path`; there may be none."""
    waiting = faults.get(f"{method} {path}") or faults.get(path)
    return waiting.pop(0) if waiting else Fault()

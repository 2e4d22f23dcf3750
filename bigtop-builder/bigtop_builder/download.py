# SPDX-License-Identifier: Apache-2.0
"""Files over HTTP: streamed to disk, hashed on the way, resumed, tried again.

A download goes into a `.part` file that stays when it is cut off; the next call goes on where it ended. It
asks with If-Range where the server gave a validator (RFC 9110, 13.1.5). Where it gave none, only a download
whose sha512 is known is resumed, as that shows a mixture; it is then fetched once more from the start.
"""

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

import httpx

from bigtop_builder.errors import ONCE_ONLINE, SourceError
from bigtop_builder.http import open_client
from bigtop_builder.settings import Settings

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int | None], None]
"""Called with the URL, the bytes had so far, and the bytes in all if the server says."""
Answer = TypeVar("Answer")

ATTEMPTS: Final = 4
BACKOFF = 1.0
"""Seconds before the second attempt; doubled each time."""
CHUNK: Final = 1 << 18
AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another attempt may change (RFC 9110, 15)."""
MISSING: Final = frozenset({403, 404, 410})
"""Answers for a file that is not there; object stores say 403 where listing is not allowed."""


class NotThere(SourceError):  # an answer, which some ask for
    """The server has no such file."""


class _Interrupted(Exception):  # no error yet: the next attempt may do
    """This attempt failed, the next one may not."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def quiet(url: str, done: int, total: int | None) -> None:
    """Show no progress."""


def shown(url: str) -> str:
    """A URL, or text with URLs, without the users and passwords in it, for people and logs."""
    return re.sub(r"//[^/\s]*@", "//", url)


def wrong_checksum(where: str, *, expected: str, got: str) -> SourceError:
    """The error for bytes that are not what their pin says."""
    return SourceError(
        f"{where} is not what its pin says",
        details=f"expected sha512 {expected}\ngot             {got}",
        hint="it was removed; if upstream replaced it, empty its sha512 and run source fetch --pin",
    )


def download(
    url: str, part: Path, *, settings: Settings, sha512: str = "", progress: Progress = quiet
) -> str:
    """Fetch a file whole into `part` and return its sha512.

    The caller renames `part` once it trusts it. It stays when the download is cut off, and is removed when
    it is not what `sha512` says.

    Args:
        url: http or https.
        part: Where the bytes go; what is there already is taken for the beginning of the file.
        settings: For the proxy.
        sha512: What it must be; empty if not known.
        progress: Told how far it is.

    Raises:
        NotThere: The server has no such file.
        SourceError: It could not be had, or is not what `sha512` says. The URL is named.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    transfer = _Transfer(url=url, part=part, pinned=bool(sha512), progress=progress)
    got = _persist(url, settings, transfer.attempt)
    if sha512 and got != sha512 and transfer.resumed:
        log.warning("%s is another file than the one begun before; from the start", shown(url))
        transfer.forget()
        got = _persist(url, settings, transfer.attempt)
    transfer.validator.unlink(missing_ok=True)
    if sha512 and got != sha512:
        transfer.forget()
        raise wrong_checksum(shown(url), expected=sha512, got=got)
    return got


def read(url: str, *, settings: Settings, limit: int = 4 << 20) -> bytes:
    """Fetch a small file (a signature, a checksum, keys) into memory.

    Raises:
        NotThere: The server has no such file.
        SourceError: It could not be had, or is longer than `limit` bytes.
    """

    def attempt(client: httpx.Client) -> bytes:
        body = b""
        with client.stream("GET", shown(url)) as answer:
            _accept(answer, url, {200})
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > limit:
                    raise SourceError(f"{shown(url)} is longer than {limit} bytes")
        return body

    return _persist(url, settings, attempt)


@dataclass(kw_only=True)
class _Transfer:
    """One file on its way, over several attempts.

    Attributes:
        resumed: Some of it was not fetched by the last attempt.
    """

    url: str
    part: Path
    pinned: bool
    progress: Progress
    resumed: bool = field(default=False, init=False)

    @property
    def validator(self) -> Path:
        """Remembers which state of which URL the part belongs to."""
        return self.part.with_name(self.part.name + ".validator")

    def forget(self) -> None:
        """Drop what was fetched."""
        self.part.unlink(missing_ok=True)
        self.validator.unlink(missing_ok=True)

    def attempt(self, client: httpx.Client) -> str:
        """Ask for the file, or for the rest of it, and return the sha512 of the whole."""
        offset, headers = self._rest()
        with client.stream("GET", shown(self.url), headers=headers) as answer:
            _accept(answer, self.url, {200, 206, 416} if offset else {200})
            if answer.status_code == httpx.codes.OK:
                offset = 0
                self._remember(answer)
            elif not self._continues(answer, offset):
                self.forget()
                raise _Interrupted("the server's file is not the one begun before")
            self.resumed = offset > 0
            return self._write(answer, offset)

    def _rest(self) -> tuple[int, dict[str, str]]:
        """Bytes that need not be fetched again, and the headers that say so."""
        size = self.part.stat().st_size if self.part.exists() else 0
        known = json.loads(self.validator.read_text()) if self.validator.exists() else {}
        validator = known.get("validator", "") if known.get("url") == shown(self.url) else ""
        if not size or not (validator or self.pinned):
            return 0, {}
        return size, {"Range": f"bytes={size}-"} | ({"If-Range": validator} if validator else {})

    def _remember(self, answer: httpx.Response) -> None:
        self.forget()
        etag = answer.headers.get("ETag", "")
        # If-Range wants a strong validator (RFC 9110, 13.1.5); a date may hide a change within its second.
        validator = answer.headers.get("Last-Modified", "") if etag.startswith("W/") else etag
        if validator:
            self.validator.write_text(json.dumps({"url": shown(self.url), "validator": validator}))

    def _continues(self, answer: httpx.Response, offset: int) -> bool:
        """Whether the answer goes on at `offset`, or says that there is nothing more."""
        span = answer.headers.get("Content-Range", "")
        if answer.status_code == httpx.codes.PARTIAL_CONTENT:
            return str(span).startswith(f"bytes {offset}-")
        return str(span) == f"bytes */{offset}"

    def _write(self, answer: httpx.Response, offset: int) -> str:
        whole, done, total = hashlib.sha512(), offset, _total(answer, offset)
        if offset:
            _feed(whole, self.part)
        if answer.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            with self.part.open("ab" if offset else "wb") as file:
                for chunk in answer.iter_raw():
                    file.write(chunk)
                    whole.update(chunk)
                    done += len(chunk)
                    self.progress(shown(self.url), done, total)
        if total is not None and done != total:
            raise _Interrupted(f"{done} of {total} bytes came")
        return whole.hexdigest()


def _total(answer: httpx.Response, offset: int) -> int | None:
    if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return offset
    length = answer.headers.get("Content-Length", "")
    return offset + int(length) if length.isdigit() else None


def _feed(whole: _Hash, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            whole.update(chunk)


def _accept(answer: httpx.Response, url: str, good: set[int]) -> None:
    """Refuse an answer that does not hold the file."""
    if url.startswith("https:") and answer.url.scheme != "https":
        raise SourceError(f"{shown(url)} redirects to plain http: {shown(str(answer.url))}")
    if answer.status_code in good:
        return
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code in AGAIN:
        raise _Interrupted(f"the server says {said}")
    kind = NotThere if answer.status_code in MISSING else SourceError
    raise kind(f"{shown(url)} cannot be fetched: the server says {said}")


def _persist(url: str, settings: Settings, attempt: Callable[[httpx.Client], Answer]) -> Answer:
    """Try until it works, the server says no, or the attempts are used up."""
    if settings.offline:
        raise SourceError(
            f"{shown(url)} is not in the cache, and offline nothing is fetched", hint=ONCE_ONLINE
        )
    reasons: list[str] = []
    with open_client(settings, auth=_login(url)) as client:
        for number in range(ATTEMPTS):
            if reasons:
                log.info("%s: %s; trying again", shown(url), reasons[-1])
                time.sleep(BACKOFF * 2 ** (number - 1))
            try:
                return attempt(client)
            except httpx.UnsupportedProtocol as error:
                raise SourceError(f"{shown(url)} is no http or https URL", details=str(error)) from error
            except (httpx.RequestError, _Interrupted) as error:
                reasons.append(str(error) or type(error).__name__)
    raise SourceError(
        f"{shown(url)} cannot be fetched",
        details="\n".join(f"attempt {number}: {reason}" for number, reason in enumerate(reasons, 1)),
        hint="see that this machine reaches the host, or name a mirror or proxy in the settings",
    )


def _login(url: str) -> tuple[str, str] | None:
    """User and password of a URL: httpx logs URLs, so they travel beside it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SourceError(f"{shown(url)} is no URL", details=str(error)) from error
    return (parsed.username, parsed.password) if parsed.userinfo else None

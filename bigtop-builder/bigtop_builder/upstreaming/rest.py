# SPDX-License-Identifier: Apache-2.0
"""Requests to a REST API: asked again where that is safe, and no sooner than its limits of rate allow.

A read is asked again after each fault that may pass. A write is sent again only if it surely was not carried
out: no connection came about, or the server said that there were too many. Else somebody looks first whether it
was. Limits are those of GitHub (REST API, "Rate limits for the REST API").
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import sleep
from typing import Any, Final, TypeVar

import httpx

from bigtop_builder.download import AGAIN, shown
from bigtop_builder.errors import UpstreamError

log = logging.getLogger(__name__)

Found = TypeVar("Found")

ATTEMPTS: Final = 4
BACKOFF = 1.0
"""Seconds before the second attempt; doubled each time."""
UNTOLD: Final = 60
"""Seconds to wait where GitHub says that there were too many requests, and not for how long."""
NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Faults before the first byte of a request leaves."""
REACH: Final = "see that this machine reaches the host, or name a proxy in the settings"


class NoAnswers(UpstreamError):  # to the client, not to one question
    """The host answers nothing of this client's now: it cannot be reached, or takes no more requests, or no token."""


class _Failed(Exception):  # no error yet: the next attempt may do
    """This attempt failed.

    Attributes:
        sent: Whether the server may have carried it out.
        pause: Seconds that the server asks for; None if it names none.
    """

    def __init__(self, reason: str, *, sent: bool, pause: float | None = None) -> None:
        super().__init__(reason)
        self.sent = sent
        self.pause = pause


@dataclass(frozen=True, kw_only=True)
class Rest:
    """A client with its manners.

    Attributes:
        client: Who asks.
        patience: Seconds to wait at most for a limit of rate to pass, each time.
        hidden: Takes secrets out of what others wrote.
    """

    client: httpx.Client
    patience: float
    hidden: Callable[[str], str] = str

    def read(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """The answer to a GET, whatever its status, but for those that another attempt may change.

        Raises:
            UpstreamError: There is none; each attempt is told.
        """
        faults: list[_Failed] = []
        while len(faults) < ATTEMPTS:
            if faults:
                self._pause(url, faults)
            try:
                return self._ask("GET", url, headers)
            except _Failed as failed:
                faults.append(failed)
        raise self._given_up(url, faults)

    def write(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: Mapping[str, Any],
        take: Callable[[httpx.Response], Found],
        look: Callable[[], Found | None],
    ) -> Found:
        """Have something done once.

        Args:
            method: POST or PATCH.
            url: Where.
            headers: To send.
            body: To send, as JSON.
            take: Makes the result of an answer, or raises for a refusal.
            look: Finds the result if an attempt in doubt was carried out; None if it was not.

        Raises:
            UpstreamError: It was refused, not done, or whether it was done cannot be found out.
        """
        faults: list[_Failed] = []
        while len(faults) < ATTEMPTS:
            try:
                return take(self._ask(method, url, headers, body))
            except _Failed as failed:
                faults.append(failed)
            if faults[-1].sent or len(faults) < ATTEMPTS:
                self._pause(url, faults)
            if faults[-1].sent and (found := self._looked(url, look, faults)) is not None:
                return found
        raise self._given_up(url, faults)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        reading = method == "GET"
        try:
            answer = self.client.request(
                method, url, headers=dict(headers), json=body, follow_redirects=reading
            )
        except httpx.RequestError as error:
            reason = self.hidden(str(error)) or type(error).__name__
            raise _Failed(reason, sent=not isinstance(error, NOT_SENT)) from error
        if url.startswith("https:") and answer.url.scheme != "https":
            raise UpstreamError(f"{shown(url)} redirects to plain http: {shown(str(answer.url))}")
        said = f"the server says {answer.status_code} {answer.reason_phrase}".strip()
        if (pause := pause_of(answer)) is not None:
            if pause > self.patience:
                raise _too_many(answer, pause, self.patience)
            raise _Failed(said, sent=False, pause=pause)
        if answer.status_code in AGAIN:
            raise _Failed(said, sent=True)
        return answer

    def _pause(self, url: str, faults: list[_Failed]) -> None:
        failed = faults[-1]
        seconds = failed.pause if failed.pause is not None else BACKOFF * 2 ** (len(faults) - 1)
        log.info("%s: %s; waiting %.0f s", shown(url), failed, seconds)
        sleep(seconds)

    def _looked(self, url: str, look: Callable[[], Found | None], faults: list[_Failed]) -> Found | None:
        try:
            return look()
        except UpstreamError as error:
            raise UpstreamError(
                f"whether {shown(url)} did what was asked is not known",
                details=f"{_told(faults)}\n{error.brief}\n{error.details}".strip(),
                hint="run the same command again: it looks first",
            ) from error

    @staticmethod
    def _given_up(url: str, faults: list[_Failed]) -> UpstreamError:
        kind = UpstreamError if any(fault.sent for fault in faults) else NoAnswers
        return kind(f"{shown(url)} does not answer", details=_told(faults), hint=REACH)


def pause_of(answer: httpx.Response) -> float | None:
    """Seconds to wait until the server takes requests again; None if it does not refuse them for their number."""
    if answer.status_code not in {httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS}:
        return None
    after, reset = answer.headers.get("Retry-After", ""), answer.headers.get("X-RateLimit-Reset", "")
    if after.isdigit():
        return float(after)
    if answer.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        # From the second after it on: the server rounds down.
        return max(int(reset) - _now(answer).timestamp(), 0) + 1
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or "secondary rate limit" in answer.text.lower():
        return UNTOLD
    return None


def _now(answer: httpx.Response) -> datetime:
    """The time by the server's clock, which its limits go by."""
    try:
        return parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _too_many(answer: httpx.Response, pause: float, patience: float) -> UpstreamError:
    until = datetime.fromtimestamp(_now(answer).timestamp() + pause, UTC)
    named = answer.headers.get("X-RateLimit-Limit", "")
    limit = f"; its limit is {named} an hour" if named else ""
    return NoAnswers(
        f"{answer.url.host} takes no more requests until {until:%Y-%m-%d %H:%M:%S} UTC{limit}",
        details=f"that is in {pause:.0f} s, and github_wait allows {patience:.0f}",
        hint="run the same command after that"
        + ("; with a token it takes 5,000 an hour" if named == "60" else ""),
    )


def _told(faults: list[_Failed]) -> str:
    return "\n".join(f"attempt {number}: {failed}" for number, failed in enumerate(faults, 1))

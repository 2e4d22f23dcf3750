# SPDX-License-Identifier: Apache-2.0
"""One GitHub's REST API as one user: its address, its pages, and typed answers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, get_args
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from bigtop_builder.download import shown
from bigtop_builder.errors import InputError, UpstreamError
from bigtop_builder.http import open_client
from bigtop_builder.schema import faults
from bigtop_builder.settings import Settings
from bigtop_builder.upstreaming.kept_answers import KeptAnswer, KeptAnswers
from bigtop_builder.upstreaming.refusal import refusal
from bigtop_builder.upstreaming.rest import Rest
from bigtop_builder.upstreaming.token import MANUAL, PUBLIC, TENANTS, Token
from bigtop_builder.workspace import Workspace

Result = TypeVar("Result")

VERSION: Final = "2022-11-28"
"""Version of the API that is asked for."""
TIMEOUT: Final = 30
"""Seconds between two pieces of an answer."""
PAGE: Final = 100
"""Entries a page, the most that GitHub gives."""
PAGES: Final = 100
"""Pages of one list at most: a server that always names a next one is not followed for ever."""
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def api_of(host: str, settings: Settings) -> str:
    """Address of a host's REST API: that of the settings, else GitHub's own, a tenant's, or a server's.

    Raises:
        InputError: The settings name one that is no URL, or one over plain HTTP, where a token can be read.
    """
    if host not in settings.github_api:
        public = host == PUBLIC or host.endswith(TENANTS)
        return f"https://api.{host}" if public else f"https://{host}/api/v3"
    address = settings.github_api[host].rstrip("/")
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        text = f"github_api of {host} is no address of an API: {shown(address)}"
        raise InputError(text, hint="write it as in https://HOST/api/v3")
    if url.scheme == "http" and url.host not in LOOPBACK:
        text = f"github_api of {host} is plain http: {address}"
        raise InputError(text, hint="name its https address: a token is sent there")
    return address


class Api:
    """Reads and writes below one address.

    Each call takes `what`, which errors name: what it is for, as in `reading repository apache/bigtop`. All raise
    `UpstreamError` where there is no answer, or one that holds no result (`refusal`).

    Args:
        host: `github.com`, or that of a server of one's own.
        settings: Proxy, cache, the API's address, patience.
        token: Of that host; None for nobody.

    Raises:
        UpstreamError: The settings say offline.
        InputError: As in `api_of`, or the token is for another host.
    """

    def __init__(self, host: str, *, settings: Settings, token: Token | None) -> None:
        if settings.offline:
            hint = "run it without --offline (`offline` in the settings)"
            raise UpstreamError(f"offline nothing is asked of {host}", hint=hint)
        if token and token.host != host:
            raise InputError(
                f"the token from {token.origin} is for {token.host}, not for {host}", hint=MANUAL
            )
        self._host, self._token, self._address = host, token, api_of(host, settings)
        self._client = open_client(settings, timeout=TIMEOUT)
        self._hidden = token.hidden_in if token else str
        self._rest = Rest(client=self._client, patience=settings.github_wait, hidden=self._hidden)
        self._kept = KeptAnswers(
            folder=Workspace(settings.cache_dir).github, identity=token.identity if token else ""
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def one(self, result: type[Result], path: str, what: str) -> Result:
        """What is at a path."""
        return self._parsed(result, self._page(self._address + path, what).body, what)

    def many(
        self, result: type[Result], path: str, what: str, query: Mapping[str, str] | None = None
    ) -> tuple[Result, ...]:
        """All entries of a list, whatever number of pages it has."""
        rows = tuple[result, ...]  # type: ignore[valid-type]
        pages = self._pages(f"{self._address}{path}?{urlencode({**(query or {}), 'per_page': PAGE})}", what)
        return tuple(row for page in pages for row in self._parsed(rows, page, what))

    def write(
        self,
        result: type[Result],
        method: str,
        path: str,
        what: str,
        *,
        body: Mapping[str, Any],
        look: Callable[[], Result | None],
    ) -> Result:
        """Have something done once; `look` finds it where it is in doubt (`rest.Rest.write`).

        Raises:
            UpstreamError: There is no token, it was refused, or whether it was done cannot be found out.
        """
        if not self._token:
            raise UpstreamError(f"{what} wants a token for {self._host}", hint=MANUAL)

        def take(answer: httpx.Response) -> Result:
            if not answer.is_success:
                raise self._refusal(answer, what)
            return self._parsed(result, self._hidden(answer.text), what)

        return self._rest.write(
            method, self._address + path, self._headers(), body=body, take=take, look=look
        )

    def _pages(self, url: str, what: str) -> Iterator[str]:
        for _ in range(PAGES):
            page = self._page(url, what)
            yield page.body
            if not page.next:
                return
            url = page.next
        raise UpstreamError(f"{self._host} has more than {PAGES} pages to answer {what}")

    def _page(self, url: str, what: str) -> KeptAnswer:
        """One page, from the cache if the server says that it has not changed."""
        kept = self._kept.find(url)
        answer = self._rest.read(url, self._headers() | ({"If-None-Match": kept.etag} if kept else {}))
        if kept and answer.status_code == httpx.codes.NOT_MODIFIED:
            return kept
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer, what)
        etag, body = answer.headers.get("ETag", ""), self._hidden(answer.text)
        page = KeptAnswer(url=url, etag=etag, next=self._next(answer), body=body)
        if page.etag:
            self._kept.keep(page)
        return page

    def _next(self, answer: httpx.Response) -> str:
        """The next page (RFC 8288), which has to be of the same server: the token goes there."""
        url = str(answer.links.get("next", {}).get("url", ""))
        if url and _origin(url) != _origin(self._address):
            raise UpstreamError(f"{self._host} continues its answer at another server: {shown(url)}")
        return url

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION}
        return headers | ({"Authorization": f"Bearer {self._token.secret}"} if self._token else {})

    def _refusal(self, answer: httpx.Response, what: str) -> UpstreamError:
        return refusal(answer, what=what, host=self._host, token=self._token)

    def _parsed(self, result: type[Result], text: str, what: str) -> Result:
        try:
            return TypeAdapter(result).validate_json(text)
        except ValidationError as error:
            inner = next((one for one in get_args(result) if isinstance(one, type)), result)
            model = inner if issubclass(inner, BaseModel) else BaseModel
            raise UpstreamError(
                f"{self._host} answers otherwise than its API describes to {what}",
                details=faults(error, model, lambda _: ""),
                hint="see that nothing between here and there answers in its place; github_api names its address",
            ) from error


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port

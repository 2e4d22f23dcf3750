# SPDX-License-Identifier: Apache-2.0
"""The HTTP side: what comes in is held to GitHub's description, answered, held to it again, and sent."""

import hashlib
import json
import re
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.wrappers import Request, Response

from github import backend
from github.accounts import Refused, Token
from github.answers import Answers
from github.description import Unfit
from github.description import description as described_as
from github.faults import Fault, next_of
from github.openapi import CLOUD, ENTERPRISE
from github.operations import HANDLERS, Call, Reply
from github.people import Person
from github.state import State
from github.web import listening, spoilt

VERSIONS = {CLOUD: ("2022-11-28", "2026-03-10"), ENTERPRISE: ("2022-11-28",)}
MEDIA = "application/vnd.github+json"
JSON = "application/json; charset=utf-8"
BY_NUMBER = re.compile(r"/repositories/(\d+)(/.*)?")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that came.

    Attributes:
        path: Without the root of the API, and with a repository's name where it came by its number.
        status: Of the answer.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int


@dataclass
class GitHub(State):
    """A site that runs.

    Attributes:
        url: What people and git open.
        api: Root of the API.
        faults: Path, or method and path -> what goes wrong with the next answers. Paths are as in `Asked`.
        asked: What was asked.
        unfit: What did not fit GitHub's description, or broke this server.
    """

    url: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def api(self) -> str:
        return f"{self.url}/api/v3" if self.enterprise else self.url

    def person(self, login: str, repository: str) -> Person:
        """Somebody who may push to a repository."""
        repo = self.repository(repository)
        repo.writers.add(login)
        return Person(self, repo, self.account(login))

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next answers to a path (or `METHOD path`) go wrong, each in its way."""
        self.faults.setdefault(path, []).extend(faults)

    def count(self, method: str, path: str) -> int:
        """How often that was asked."""
        return sum((asked.method, asked.path) == (method, path) for asked in self.asked)

    def respond(self, request: Request) -> Response:
        """Answer a request, well or badly."""
        path = self._plain(request.path)
        with self.lock:
            fault = next_of(self.faults, request.method, path)
            response = Response(fault.body, fault.status or 200, fault.headers)
            if not fault.status or fault.done:
                carried_out = self._carry_out(request, path)
                response = response if fault.status else carried_out
            self.asked.append(_note(request, path, response.status_code))
        self.stop.wait(fault.delay)
        return spoilt(response, fault, request)

    def _plain(self, path: str) -> str:
        """A path without the API's root, and with a repository's name for its number."""
        plain = path.removeprefix("/api/v3") if self.enterprise else path
        found = BY_NUMBER.fullmatch(plain)
        named = [repo for repo in self.repositories if found and repo.id == int(found[1])]
        return f"/repos/{named[0].full_name}{found[2] or ''}" if found and named else plain

    def _carry_out(self, request: Request, path: str) -> Response:
        try:
            for_git = backend.PATH.fullmatch(request.path)
            if for_git:
                return backend.answer(self, request, *for_git.groups())
            return self._operate(request, path)
        except Unfit as unfit:
            self.unfit.append(str(unfit))
            said = json.dumps({"message": f"the test's GitHub: {unfit}"})
            return Response(said, 400, content_type=JSON)
        except Exception:
            self.unfit.append(traceback.format_exc())
            raise

    def _operate(self, request: Request, path: str) -> Response:
        if self.enterprise and not request.path.startswith("/api/v3/"):
            raise Unfit(f"{request.method} {request.path} is outside of /api/v3")
        edition = ENTERPRISE if self.enterprise else CLOUD
        version = _heeded(request, VERSIONS[edition])
        description = described_as(edition, version)
        template, args = description.match(request.method, path)
        if (request.method, template) not in HANDLERS:
            raise Unfit(f"{request.method} {template} is an operation of GitHub's, and not of this server's")
        query = request.args.to_dict()
        body = description.check_request(request.method, template, args, query, request.get_data())
        token = None
        try:
            token = self._token(request)
            self._spend(token)
            self.settle()
            accounts = {account.email: account for account in self.accounts.values()}
            answers = Answers(
                description=description,
                api=self.api,
                web=self.url,
                version=version,
                asker=token.account if token else None,
                accounts=accounts,
            )
            call = Call(
                state=self,
                method=request.method,
                template=template,
                args=args,
                query=query,
                body=body,
                token=token,
                answers=answers,
            )
            made = HANDLERS[request.method, template](call)
            reply = made if isinstance(made, Reply) else Reply(status=200, body=made, headers={})
        except Refused as refused:
            reply = Reply(status=refused.status, body=refused.body, headers=refused.headers)
        description.check_answer(request.method, template, reply.status, reply.body)
        return self._response(request, reply, token, version, free=template == "/rate_limit")

    def _token(self, request: Request) -> Token | None:
        given = request.headers.get("Authorization", "")
        if not given:
            return None
        scheme, _, value = given.partition(" ")
        token = self.tokens.get(value) if scheme.lower() in {"bearer", "token"} else None
        if token is None or token.expired:
            raise Refused(401, "Bad credentials")
        return token

    def _spend(self, token: Token | None) -> None:
        """Refuse who has no requests left (GitHub's "Rate limits for the REST API")."""
        rate = self.rate(token.account if token else None)
        if not self.enterprise and rate.remaining <= 0:
            whom = f"user ID {token.account.id}" if token else "127.0.0.1"
            raise Refused(403, f"API rate limit exceeded for {whom}.")

    def _response(
        self, request: Request, reply: Reply, token: Token | None, version: str, *, free: bool
    ) -> Response:
        content = json.dumps(reply.body).encode()
        headers = {
            "Content-Type": JSON,
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Api-Version-Selected": version,
            "X-GitHub-Request-Id": f"{len(self.asked):04X}",
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP",
        } | reply.headers
        status = reply.status
        if request.method == "GET" and status == 200:
            seen_by = token.value if token else ""
            headers["ETag"] = f'W/"{hashlib.sha256(content + seen_by.encode()).hexdigest()}"'
            if headers["ETag"] in request.headers.get("If-None-Match", ""):
                status, content = 304, b""
        if token and not token.fine:
            headers["X-OAuth-Scopes"] = ", ".join(token.scopes)
        if not self.enterprise:
            headers |= self._rate_headers(token, cost=0 if free or status == 304 else 1)
        return Response(content, status, headers)

    def _rate_headers(self, token: Token | None, *, cost: int) -> dict[str, str]:
        rate = self.rate(token.account if token else None)
        rate.remaining = max(0, rate.remaining - cost)
        told = {"Limit": rate.limit, "Remaining": rate.remaining, "Used": rate.limit - rate.remaining}
        told |= {"Reset": rate.reset}
        return {f"X-RateLimit-{name}": str(value) for name, value in told.items()} | {
            "X-RateLimit-Resource": "core"
        }


def _heeded(request: Request, versions: Sequence[str]) -> str:
    """The API version that a request asks for, its headers being as GitHub's documentation wants them."""
    if request.headers.get("Accept") != MEDIA:
        raise Unfit(f"Accept is {request.headers.get('Accept')}, and not {MEDIA}")
    if not request.headers.get("User-Agent"):
        raise Unfit("there is no User-Agent, and GitHub refuses a request without")
    version = request.headers.get("X-GitHub-Api-Version", "")
    if version not in versions:
        raise Unfit(f"X-GitHub-Api-Version is {version or 'missing'}, and not of {', '.join(versions)}")
    return version


def _note(request: Request, path: str, status: int) -> Asked:
    return Asked(
        method=request.method,
        path=path,
        query=request.args.to_dict(),
        headers=dict(request.headers),
        body=request.get_data(),
        status=status,
    )


@contextmanager
def serving(folder: Path, *, enterprise: bool = False) -> Iterator[GitHub]:
    """A GitHub whose repositories lie in a folder.

    Raises:
        AssertionError: A request or an answer did not fit GitHub's description.
    """
    described_as(ENTERPRISE if enterprise else CLOUD, "2022-11-28")  # without it the test is skipped here
    folder.mkdir(parents=True, exist_ok=True)
    site = GitHub(folder, enterprise)
    with listening(site.respond) as site.url:
        try:
            yield site
        finally:
            site.stop.set()
            assert not site.unfit, "\n".join(site.unfit)

# SPDX-License-Identifier: Apache-2.0
"""git over HTTP by git's own CGI program, for who may."""

import re
from typing import Final

from werkzeug.wrappers import Request, Response

from bigtop_builder.run import run
from github.accounts import Account, Refused, Token
from github.repositories import ALONE, Repository
from github.state import State

PATH: Final = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
"""Owner, name, and what git asks for."""


def answer(state: State, request: Request, owner: str, name: str, what: str) -> Response:
    """What GitHub says to git."""
    try:
        token = _token(state, request)
        repo = _repository(state, f"{owner}/{name}", token)
        if repo.full_name.lower() != f"{owner}/{name}".lower():
            query = f"?{request.query_string.decode()}" if request.query_string else ""
            return Response(
                status=301, headers={"Location": f"{request.host_url}{repo.full_name}.git/{what}{query}"}
            )
        pushes = "git-receive-pack" in {what, request.args.get("service")}
        if pushes:
            _check_push(repo, token)
    except Refused as refused:
        return Response(f"{refused}\n", refused.status, refused.headers, mimetype="text/plain")
    said = _backend(request, repo, what, token)
    if pushes:
        state.settle(token.account if token else None)
    return said


def _challenge(why: str) -> Refused:
    return Refused(401, why, headers={"WWW-Authenticate": 'Basic realm="GitHub"'})


def _token(state: State, request: Request) -> Token | None:
    """Who asks. GitHub takes a token as the password of any user; it takes no Bearer for git."""
    given = request.authorization
    if given is None:
        return None
    token = state.tokens.get(given.password or "") if given.type == "basic" else None
    if token is None or token.expired:
        raise _challenge(
            "Invalid username or token. Password authentication is not supported for Git operations."
        )
    return token


def _repository(state: State, name: str, token: Token | None) -> Repository:
    try:
        return state.seen_by(name, token.account if token else None)
    except Refused as refused:
        if token is None:  # it might be a private one
            raise _challenge("Repository not found.") from refused
        raise Refused(404, "Repository not found.") from refused


def _check_push(repo: Repository, token: Token | None) -> None:
    if token is None:
        raise _challenge("No anonymous write access.")
    may = token.writes if token.fine else bool({"repo", "public_repo"} & {*token.scopes})
    if not may or not repo.may_push(token.account):
        raise Refused(403, f"Permission to {repo.full_name}.git denied to {token.account.login}.")


def _backend(request: Request, repo: Repository, what: str, token: Token | None) -> Response:
    """Run git http-backend (git-http-backend(1)) and read its answer (RFC 3875, 6)."""
    body = request.get_data()
    account: Account | None = token.account if token else None
    variables = {
        "GIT_PROJECT_ROOT": str(repo.path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repo.path.name}/{what}",
        "QUERY_STRING": request.query_string.decode(),
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": account.login if account else "",
        "REMOTE_ADDR": request.remote_addr or "",
    }
    done = run(["git", "http-backend"], env={**ALONE, **variables}, stdin=body)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return Response(content, headers.pop("Status", "200 OK"), headers)

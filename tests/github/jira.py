# SPDX-License-Identifier: Apache-2.0
"""A Jira for tests: issues as Jira Server 9's REST API reads them out, and how it refuses to."""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from github.faults import Fault, next_of
from github.web import listening, spoilt

ISSUE: Final = re.compile(r"/rest/api/2/issue/([A-Z][A-Z0-9_]*-[0-9]+)")
CATEGORIES: Final = {"Open": "new", "Reopened": "new", "Resolved": "done", "Closed": "done"}
"""Status -> key of its category; all others are `indeterminate`."""
Json = dict[str, Any]


@dataclass
class Jira:
    """A site that runs.

    Attributes:
        url: Its root.
        issues: Key -> fields.
        moved: Key of former times -> key now.
        anonymous: What those without a login get: 200, or 401 or 403.
        faults: Path -> what goes wrong with the next answers.
        asked: Path and query of each request.
        unfit: Requests that are none of Jira's.
    """

    url: str = ""
    issues: dict[str, Json] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    anonymous: int = 200
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def issue(
        self, key: str, *, status: str = "Open", fix_versions: Sequence[str] = (), resolution: str = ""
    ) -> None:
        """Write an issue, or write it anew."""
        category = {"key": CATEGORIES.get(status, "indeterminate")}
        self.issues[key] = {
            "summary": f"Summary of {key}",
            "status": {"name": status, "statusCategory": category},
            "fixVersions": [{"name": name, "archived": False, "released": True} for name in fix_versions],
            "resolution": {"name": resolution} if resolution else None,
        }

    def fail(self, key: str, *faults: Fault) -> None:
        """Let the next answers about an issue go wrong."""
        self.faults.setdefault(f"/rest/api/2/issue/{key}", []).extend(faults)

    def respond(self, request: Request) -> Response:
        self.asked.append(request.full_path.rstrip("?"))
        fault = next_of(self.faults, request.method, request.path)
        response = (
            Response(fault.body, fault.status, fault.headers) if fault.status else self._answer(request)
        )
        self.stop.wait(fault.delay)
        return spoilt(response, fault, request)

    def _answer(self, request: Request) -> Response:
        asked = ISSUE.fullmatch(request.path)
        if request.method != "GET" or asked is None or set(request.args) - {"fields", "expand"}:
            self.unfit.append(f"{request.method} {request.full_path} is nothing that this Jira answers")
            return _refused(404, "HTTP 404 Not Found")
        if self.anonymous != 200 and not request.authorization:
            why = ("You do not have the permission to see the specified issue.", "Login Required")
            return _refused(self.anonymous, *why)
        key = self.moved.get(asked[1], asked[1])
        if key not in self.issues:
            return _refused(404, "Issue Does Not Exist")
        return self._told(key, request.args.get("fields", "*all").split(","))

    def _told(self, key: str, wanted: list[str]) -> Response:
        fields = {name: value for name, value in self.issues[key].items() if {name, "*all"} & {*wanted}}
        number = str(12000000 + sorted(self.issues).index(key))
        said = {"id": number, "self": f"{self.url}/rest/api/2/issue/{number}", "key": key, "fields": fields}
        return Response(json.dumps(said), content_type="application/json;charset=UTF-8")


def _refused(status: int, *why: str) -> Response:
    said = json.dumps({"errorMessages": list(why), "errors": {}})
    return Response(said, status, content_type="application/json;charset=UTF-8")


@contextmanager
def serving_jira() -> Iterator[Jira]:
    """A Jira without issues.

    Raises:
        AssertionError: Something was asked that is none of its operations.
    """
    site = Jira()
    with listening(site.respond) as site.url:
        try:
            yield site
        finally:
            site.stop.set()
            assert not site.unfit, "\n".join(site.unfit)

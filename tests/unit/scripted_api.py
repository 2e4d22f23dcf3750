# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server that answers as a script says, fault after fault, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """One answer.

    Attributes:
        status: Its status.
        body: Sent as JSON; bytes as they are.
        headers: Besides Content-Length.
        cut: Number of bytes after which it breaks off; -1 to hang up without an answer.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class ScriptedApi:
    """What is answered: `GET /path` -> answers in turn, of which the last one stays."""

    url: str = ""
    script: dict[str, list[Scripted]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def says(self, request: str, *answers: Scripted) -> None:
        self.script[request] = list(answers)

    def count(self, request: str) -> int:
        method, path = request.split(" ")
        return sum((one.method, one.path) == (method, path) for one in self.asked)

    def take(self, asked: Asked) -> Scripted:
        self.asked.append(asked)
        answers = self.script.get(f"{asked.method} {asked.path}")
        if not answers:
            return Scripted(status=404, body={"message": "Not Found"})
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    api = ScriptedApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            send(self, api.take(Asked(method=self.command, path=self.path, headers=headers, body=body)))

        do_POST = do_PATCH = do_GET  # noqa: N815  # the names that the library looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, answer: Scripted) -> None:
    handler.close_connection = answer.cut is not None
    if answer.cut == -1:
        return
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    if answer.status == 304:
        body = b""
    handler.send_response_only(answer.status)
    for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
        handler.send_header(name, value)
    with suppress(ConnectionError):  # a client may hang up
        handler.end_headers()
        handler.wfile.write(body[: answer.cut])

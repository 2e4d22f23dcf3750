# SPDX-License-Identifier: Apache-2.0
"""Real git repositories, and a server that speaks git's smart HTTP protocol over a folder of them."""

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bigtop_builder.run import run

PERSON = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True)
class Repository:
    """A work tree with a repository."""

    path: Path

    def git(self, *words: str) -> str:
        return run(["git", *words], cwd=self.path, env=PERSON).text

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


def new_repository(path: Path) -> Repository:
    path.mkdir(parents=True)
    repository = Repository(path)
    repository.git("init", "--quiet", "--initial-branch=main")
    return repository


@dataclass
class GitServer:
    """What is served.

    Attributes:
        url: Root of all repositories.
        down: Whether it answers 500 to everything.
        fetches: How many times objects were asked for.
        requests: How many requests came.
    """

    url: str = ""
    down: bool = False
    fetches: int = 0
    requests: list[str] = field(default_factory=list)


@contextmanager
def serving_git(root: Path) -> Iterator[GitServer]:
    state = GitServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removesuffix("/info/refs?service=git-upload-pack")
            self.upload_pack(
                name, b"", "--http-backend-info-refs", prefix=b"001e# service=git-upload-pack\n0000"
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            state.fetches += b"command=fetch" in body
            self.upload_pack(self.path.removesuffix("/git-upload-pack"), body)

        def upload_pack(self, name: str, body: bytes, *words: str, prefix: bytes = b"") -> None:
            state.requests.append(self.path)
            protocol = self.headers.get("Git-Protocol", "")
            done = run(
                ["git", "upload-pack", "--stateless-rpc", *words, root / name.strip("/")],
                stdin=body,
                env=PERSON | {"GIT_PROTOCOL": protocol},
                check=False,
            )
            kind = "advertisement" if words else "result"
            self.send_response(500 if state.down or (done.returncode and words) else 200)
            self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
            self.end_headers()
            self.wfile.write((b"" if "version=2" in protocol else prefix) + done.stdout)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

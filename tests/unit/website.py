# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server with the faults of real ones, for tests."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Website:
    """What is served, and how badly.

    Attributes:
        url: Its root, without a slash at the end.
        files: Path -> bytes.
        etags: Path -> ETag, for files that have one.
        ranges: Whether it heeds Range.
        cuts: Path -> numbers of bytes after which the next answers break off.
        statuses: Path -> statuses of the next answers.
        redirects: Path -> Location.
        asked: Path and headers of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    cuts: dict[str, list[int]] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)

    def last(self, path: str) -> Mapping[str, str]:
        return [headers for asked, headers in self.asked if asked == path][-1]


@contextmanager
def serving() -> Iterator[Website]:
    site = Website()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a body would wait 40 ms for its headers to be acknowledged

        def do_GET(self) -> None:
            answer(self, site)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, site: Website) -> None:
    path = handler.path
    site.asked.append((path, dict(handler.headers)))
    if site.statuses.get(path):
        return send(handler, site.statuses[path].pop(0), b"", {})
    if path in site.redirects:
        return send(handler, 302, b"", {"Location": site.redirects[path]})
    if path not in site.files:
        return send(handler, 404, b"no such file", {})
    body, etag = site.files[path], site.etags.get(path, "")
    headers = {"ETag": etag} if etag else {}
    start = wanted(handler, etag) if site.ranges else 0
    if start and start >= len(body):
        return send(handler, 416, b"", {"Content-Range": f"bytes */{len(body)}"})
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    cut = site.cuts[path].pop(0) if site.cuts.get(path) else None
    return send(handler, 206 if start else 200, body[start:], headers, cut)


def wanted(handler: BaseHTTPRequestHandler, etag: str) -> int:
    """Where the answer starts (RFC 9110, 13.1.5 and 14.2)."""
    if handler.headers.get("If-Range", etag) != etag:
        return 0
    return int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    cut: int | None = None,
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    with suppress(ConnectionError):  # a client may hang up
        handler.end_headers()
        handler.wfile.write(body if cut is None else body[:cut])
    handler.close_connection = cut is not None

# SPDX-License-Identifier: Apache-2.0
"""A real S3 server for tests, versitygw from Go modules, and a way between that server and its clients."""

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import pytest

from bigtop_builder.errors import BuilderError
from bigtop_builder.run import run

VERSION = "v1.8.0"
MODULE = "github.com/versity/versitygw/cmd/versitygw"
GO = (1, 25)
"""What versitygw asks of Go. An older one, as Debian's, fetches TOOLCHAIN, held to Go's checksum database."""
TOOLCHAIN = "golang.org/toolchain@v0.0.1-go1.25.5"
REQUIRED = "BIGTOP_TEST_S3"
"""Where this variable is `required`, as `.ci/run` has it, tests fail without a server; elsewhere they are skipped."""
ACCESS = "testaccess"
SECRET = "test-secret-that-no-log-may-show"  # noqa: S105  # of a server that lives as long as a test
BUCKET = "localhost"
"""Its name is the host name under which it is a website."""
URL = f"s3://{BUCKET}/deb/main"
"""A prefix of it."""


def program() -> Path:
    """The server's program, built once and kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bigtop-builder/tools"
    built = cache / f"versitygw-{VERSION}/versitygw"
    if not built.exists():
        go = shutil.which("go")
        if go is None:
            _without(f"go is not installed, and is needed to build versitygw {VERSION}")
        try:
            env = {"GOBIN": str(built.parent), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
            run([_fit(go), "install", f"{MODULE}@{VERSION}"], env=env)
        except BuilderError as error:
            _without(f"versitygw {VERSION} could not be built: {error}\n{error.details}")
    return built


def _without(why: str) -> NoReturn:
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(why)
    pytest.skip(why)


def _fit(go: str) -> str:
    """A Go that is new enough: this one, or one that it fetches."""
    version, system, machine = run([go, "env", "GOVERSION", "GOOS", "GOARCH"]).text.split()
    if tuple(int(part) for part in version.removeprefix("go").split(".")[:2]) >= GO:
        return go
    env = {"GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw"}
    told = run([go, "mod", "download", "-json", f"{TOOLCHAIN}.{system}-{machine}"], env=env).text
    root = Path(json.loads(told)["Dir"])
    for program in (*(root / "bin").iterdir(), *(root / "pkg/tool").rglob("*")):
        program.chmod(0o755)  # an older Go unpacks modules without the right to execute
    return str(root / "bin/go")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def await_port(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def variables(port: int) -> dict[str, str]:
    """boto3's configuration for a server of this machine; nothing else of the machine's is read."""
    return {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs.

    Attributes:
        port: Where it speaks S3.
        website: Where it gives out public buckets, each under its name as host name.
        folder: Where its objects lie, each bucket a folder.
    """

    port: int
    website: int
    folder: Path


@contextmanager
def versitygw(folder: Path) -> Iterator[Server]:
    """Run versitygw with one empty bucket."""
    server = Server(port=free_port(), website=free_port(), folder=folder / "objects")
    (server.folder / BUCKET).mkdir(parents=True)
    words = [program(), "--quiet", "--keep-alive", "--port", f"127.0.0.1:{server.port}"]
    words += ["--website", f"127.0.0.1:{server.website}", "posix", server.folder]
    argv = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', folder / "pid", *words]
    env = {"ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
    thread = threading.Thread(target=run, args=(argv,), kwargs={"env": env, "check": False})
    thread.start()
    try:
        await_port(server.port)
        yield server
    finally:
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
        thread.join()


@contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[str]:
    """Run nginx in front of a URL, as docs/repository.md has it; yields its own URL."""
    port = free_port()
    (folder / "logs").mkdir(parents=True)
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/logs/error.log; events {{}}\n"
        f"http {{ access_log {folder}/logs/access.log; client_body_temp_path {folder}/b;\n"
        f"proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;\n"
        f"scgi_temp_path {folder}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}$request_uri; }} }} }}\n"
    )
    run(["nginx", "-p", folder, "-c", folder / "nginx.conf"])
    try:
        await_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)


Fault = Callable[[str, str], str]
"""Method and path of a request -> what happens to it: a status, `slow`, `cut`, `lost`, `bare`, or nothing."""
CONDITIONS = ("if-match", "if-none-match")
CHECKSUMS = ("x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm")


class Way(ThreadingHTTPServer):
    """Passes requests on to a server, and does to them what a fault says."""

    daemon_threads = True

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.target = target
        self.fault: Fault = lambda _method, _path: ""
        self.stop = threading.Event()
        self.seen: list[str] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_port


class Passing(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # an answer's body would wait for its headers to be acknowledged, 40 ms each time
    )
    server: Way

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(f"{self.command} {self.path}")
        fault = self.server.fault(self.command, self.path)
        if fault.isdigit():
            code = {"503": "SlowDown", "403": "AccessDenied"}.get(fault)
            self.answer(int(fault), f"<Error><Code>{code}</Code></Error>".encode() if code else b"")
            return
        if fault == "slow":
            self.server.stop.wait(10)
        self.pass_on(fault, body)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815  # http.server's names

    def pass_on(self, fault: str, body: bytes) -> None:
        drop = {"expect", *(CONDITIONS if fault == "bare" else ()), *(CHECKSUMS if fault == "bare" else ())}
        sent = {name: value for name, value in self.headers.items() if name.lower() not in drop}
        connection = HTTPConnection("127.0.0.1", self.server.target, timeout=30)
        try:
            connection.request(self.command, self.path, body, sent)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if fault == "lost":
            self.close_connection = True
            return
        self.answer(answer.status, data, answer, cut=fault == "cut")

    def answer(
        self, status: int, data: bytes, answer: HTTPResponse | None = None, *, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, value in answer.getheaders() if answer else ():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if answer and self.command == "HEAD" else str(len(data))
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Say nothing."""


@contextmanager
def way(target: int) -> Iterator[Way]:
    """Stand between clients and a server."""
    server = Way(target)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()

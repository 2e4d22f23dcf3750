# SPDX-License-Identifier: Apache-2.0
"""The tool about the miniature, as a user runs it: builds in real containers, with a cache of the test's own."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bigtop_builder.run import Completed, run
from bigtop_builder.workspace import Project

TOOL = [sys.executable, "-m", "bigtop_builder"]
OWN = Path.home() / ".cache/bigtop-builder"
"""The machine's cache: images are taken from there."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A project and a cache.

    Attributes:
        project: The project.
        cache: Settings' `cache_dir`.
        env: Further variables.
    """

    project: Project
    cache: Path
    env: tuple[tuple[str, str], ...] = ()

    @classmethod
    def at(cls, folder: Path, project: Project, *, downloads: bool = True) -> "Bench":
        """A cache with the images of the machine's own, and its downloads if that is wished."""
        folder.mkdir()
        for part in ("images", *(("downloads",) if downloads else ())):
            (OWN / part).mkdir(parents=True, exist_ok=True)
            (folder / part).symlink_to(OWN / part)
        return cls(project=project, cache=folder)

    def given(self, **env: str) -> "Bench":
        """The same with further variables."""
        return replace(self, env=(*self.env, *env.items()))

    def __call__(self, *words: str, shell: Sequence[str] = ()) -> Completed:
        """Run a command."""
        settings = {"BIGTOP_BUILDER_CACHE_DIR": str(self.cache), "BIGTOP_BUILDER_GRADLE": "system"}
        argv = [*shell, *TOOL, f"--project={self.project.root}", *words]
        return run(argv, env={**settings, **dict(self.env)}, check=False)

    def bumped(self) -> "Bench":
        """The same, with a lock that is current."""
        done = self("plan", "1.0.0", "--bump")
        assert done.returncode == 0, done.complaint
        return self

    def built(self, component: str) -> list[Path]:
        """Folders of a component's results."""
        found = (self.cache / "results").glob("*/*/result.json")
        return [path.parent for path in found if f'"component": "{component}"' in path.read_text()]

    @contextmanager
    def running(self, *words: str) -> Iterator["Running"]:
        """A command that runs meanwhile."""
        began = self.cache / f"pid-{time.monotonic_ns()}"
        # A test that runs in the background ignores SIGINT, and so would its children (signal(7)).
        heard = ["env", "--default-signal=INT"]
        shell = ["sh", "-c", f'echo $$ >{began}; exec "$@"', "sh", *heard]
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(self, *words, shell=shell)
            wait_for(lambda: began.is_file() and bool(began.read_text()))
            yield Running(pid=int(began.read_text()), done=done)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A command that runs.

    Attributes:
        pid: Its process.
        done: What it leaves behind.
    """

    pid: int
    done: Future[Completed]

    def signal(self, number: int) -> Completed:
        """Send it a signal, and wait for its end."""
        os.kill(self.pid, number)
        return self.done.result()

    def containers(self) -> set[str]:
        """What its containers are for."""
        return {name.split("-", 2)[2].rpartition("-")[0] for name in containers_of(self.pid)}

    def until_builds(self, *purposes: str) -> None:
        """Wait until it builds all of these at once."""
        wait_for(lambda: self.done.done() or set(purposes) <= self.containers())
        assert not self.done.done(), self.done.result().complaint


@dataclass(frozen=True, kw_only=True)
class MavenMirror:
    """A Maven repository on this machine.

    Attributes:
        url: Where containers reach it.
        asked: Paths that were asked for.
    """

    url: str
    asked: list[str] = field(default_factory=list)

    def files(self) -> set[str]:
        """Artifacts that were asked for since the last call: not what may change, as metadata."""
        asked, self.asked[:] = list(self.asked), []
        return {path for path in asked if path.endswith((".jar", ".pom"))}


@contextmanager
def maven_repository(files: Mapping[str, bytes], upstream: str) -> Iterator[MavenMirror]:
    """A repository that containers reach, with some artifacts; for all others it leads on to another one."""
    import docker

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.asked.append(self.path)
            content = files.get(self.path.lstrip("/"))
            self.send_response(302 if content is None else 200)
            if content is None:
                self.send_header("Location", f"{upstream.rstrip('/')}{self.path}")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_GET  # noqa: N815  # http.server's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # likewise
            """Say nothing."""

    client = docker.from_env()
    try:
        gateway = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    finally:
        client.close()
    server = ThreadingHTTPServer((gateway, 0), Handler)
    server.daemon_threads = True
    mirror = MavenMirror(url=f"http://{gateway}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def containers_of(pid: int) -> list[str]:
    """Names of the containers that a process opened; others may be at work beside the test."""
    import docker

    client = docker.from_env()
    try:
        filters = {"label": ["bigtop-builder=1", f"bigtop-builder.pid={pid}"]}
        ours = client.containers.list(all=True, filters=filters, ignore_removed=True)
        return [str(one.name) for one in ours]
    finally:
        client.close()


def wait_for(holds: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)

# SPDX-License-Identifier: Apache-2.0
"""The tool about the miniature, as a user runs it: builds in real containers, with a cache of the test's own."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
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

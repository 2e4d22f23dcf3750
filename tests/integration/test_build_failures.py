# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a build is told with its cause, and leaves nothing that is taken for whole."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bigtop_builder.run import Completed, run
from bigtop_builder.workspace import Project

pytestmark = [pytest.mark.docker, pytest.mark.network]
TOOL = [sys.executable, "-m", "bigtop_builder"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Results of this test alone, with the images and downloads of the machine's own cache."""
    folder = tmp_path / "cache"
    folder.mkdir()
    own = Path.home() / ".cache/bigtop-builder"
    own.mkdir(parents=True, exist_ok=True)
    for part in ("images", "downloads"):
        (own / part).mkdir(exist_ok=True)
        (folder / part).symlink_to(own / part)
    return folder


def tool(project: Project, cache: Path, *words: str, shell: Sequence[str] = (), **env: str) -> Completed:
    """A command of the tool, as a user runs it, or started by a shell."""
    settings = {"BIGTOP_BUILDER_CACHE_DIR": str(cache), "BIGTOP_BUILDER_GRADLE": "system"}
    return run([*shell, *TOOL, f"--project={project.root}", *words], env={**settings, **env}, check=False)


def containers(purpose: str, *labels: str) -> list[str]:
    """Names of this tool's containers of one purpose; others may be at work beside the test."""
    import docker

    client = docker.from_env()
    try:
        filters = {"label": ["bigtop-builder=1", *labels]}
        ours = client.containers.list(all=True, filters=filters, ignore_removed=True)
        return [str(one.name) for one in ours if f"-{purpose}-" in str(one.name)]
    finally:
        client.close()


def test_a_component_patch_with_fuzz_fails_the_build_with_its_likely_cause(
    project: Project, cache: Path
) -> None:
    diff = project.patches / "salute/miniature-blank-name/default.patch"
    text = diff.read_text()
    context = next(
        line for line in text.partition("@@ ")[2].splitlines()[1:] if line.startswith(" ") and line.strip()
    )
    diff.write_text(text.replace(f"\n{context}\n", f"\n{context} // not there\n", 1))
    assert tool(project, cache, "plan", "1.0.0", "-c", "salute", "--bump").returncode == 0
    failed = tool(project, cache, "build", "1.0.0", "-c", "salute")
    assert failed.returncode == 7
    assert "salute: gradle" in failed.complaint
    assert "a component patch does not apply" in failed.complaint
    assert "whole log:" in failed.complaint
    assert containers("salute") == []
    results = cache / "results"
    assert not [path for path in results.glob("*/*/result.json") if '"salute"' in path.read_text()]
    assert not list(results.glob(".making-*"))


def test_a_killed_build_leaves_nothing_that_the_next_one_takes_for_whole(
    project: Project, cache: Path, tmp_path: Path
) -> None:
    assert tool(project, cache, "plan", "1.0.0", "-c", "salute", "--bump").returncode == 0
    results, began = cache / "results", tmp_path / "pid"
    words = ["build", "1.0.0", "-c", "salute"]
    shell = ["sh", "-c", f'echo $$ >{began}; exec "$@"', "sh"]
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(tool, project, cache, *words, shell=shell)
        while not began.is_file() or not began.read_text():
            time.sleep(0.05)
        mine = f"bigtop-builder.pid={began.read_text().strip()}"
        while not containers("salute", mine):
            assert not done.done()
            time.sleep(0.05)
        time.sleep(1)  # into the build, which takes longer
        os.kill(int(began.read_text()), signal.SIGKILL)
        assert done.result().returncode == -signal.SIGKILL
    assert len(containers("salute", mine)) == 1
    assert not [path for path in results.glob("*/*/result.json") if '"salute"' in path.read_text()]
    again = tool(project, cache, *words)
    assert again.returncode == 0, again.complaint
    assert containers("salute", mine) == []
    whole = [path for path in results.glob("*/*/result.json") if '"salute"' in path.read_text()]
    assert [sorted(file.suffix for file in path.parent.glob("*.deb")) for path in whole] == [[".deb"]]


@pytest.fixture
def tiny_disk(cache: Path) -> Iterator[Path]:
    """The cache on a file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    mounted = cache / "results"
    mounted.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mounted])
    try:
        yield mounted
    finally:
        run(["umount", mounted])


def test_a_full_disk_is_told_and_the_same_command_goes_on_from_there(
    project: Project, cache: Path, tiny_disk: Path
) -> None:
    assert tool(project, cache, "plan", "1.0.0", "-c", "bigtop-utils", "--bump").returncode == 0
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"\0" * (4 * 1024 * 1024 - 16384))
    failed = tool(project, cache, "build", "1.0.0", "-c", "bigtop-utils")
    assert failed.returncode == 3, failed.complaint
    assert "is full" in failed.complaint
    assert not list(tiny_disk.glob("*/*/result.json"))
    ballast.unlink()
    assert tool(project, cache, "build", "1.0.0", "-c", "bigtop-utils").returncode == 0


def test_without_an_engine_it_says_so_and_what_to_do(project: Project, cache: Path) -> None:
    assert tool(project, cache, "plan", "1.0.0", "-c", "bigtop-utils", "--bump").returncode == 0
    nowhere = f"unix://{cache}/no.sock"
    failed = tool(project, cache, "build", "1.0.0", "-c", "bigtop-utils", DOCKER_HOST=nowhere)
    assert failed.returncode == 3
    assert "Docker" in failed.complaint
    assert "--builder host" in failed.complaint

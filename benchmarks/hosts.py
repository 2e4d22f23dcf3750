# SPDX-License-Identifier: Apache-2.0
"""A fleet that comes at once: 100 hosts update and download every package of a suite, from a web server on one core.

- own: `repo serve`; nginx: in front of the same folder. Both must answer each host, without one failure.
- bare: what that nginx sends when nobody verifies: eight clients that read one large file and keep nothing.
- From it, what 100 hosts of 1.5 GB need at least, beside what network cards of 1, 10 and 25 Gbit/s do.

The server has core 0 for itself, hosts have the others: real apt, with all its checks, over loopback.
Run as `.venv/bin/python benchmarks/hosts.py REPOSITORY SUITE`, as quickstart leaves one; nginx must be installed.
"""

import socket
import subprocess  # noqa: TID251  # servers that run beside
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from apt_host import AptHost
from bigtop_builder.repository.authentic import kept_keys
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import run

HOSTS = 100
READERS = 8
LARGE = 1 << 30
PER_HOST = 1.5e9
CARDS = (1, 10, 25)
"""Gbit/s."""
PINNED = ("taskset", "--cpu-list", "0")
NGINX = """\
user root;
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=1024; root {root}; }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def running(argv: list[str], port: int) -> Iterator[str]:
    """A web server, pinned to the first core, until the block ends."""
    server = subprocess.Popen([*PINNED, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def own(root: Path, _folder: Path) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "bigtop_builder", "repo", "serve", "--repo", str(root), "--port", str(port)]
    with running(argv, port) as url:
        yield url


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[str]:
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, root=root, port=port))
    with running(["/usr/sbin/nginx", "-c", str(conf), "-p", str(folder)], port) as url:
        yield url


def packages_of(root: Path, suite: str) -> tuple[list[str], int]:
    """`name=version` of all packages of a suite, and their bytes."""
    state = Repository.open(root).state
    pointer = state.unverified_pointer(suite)
    assert pointer, f"{root} has no suite {suite}"
    stanzas = {
        one.key: one
        for indices in state.snapshot(pointer.snapshot).components.values()
        for index in indices.values()
        for block in index.blocks
        for one in state.stanzas(block)
    }
    return [f"{one.name}={one.version}" for one in stanzas.values()], sum(
        one.size for one in stanzas.values()
    )


def at_once(url: str, suite: str, key: bytes, packages: list[str], folder: Path) -> tuple[float, int]:
    """Seconds in which all hosts had all of it, and how many failed."""
    hosts = [
        AptHost.following(folder / f"host{number}", url=url, suite=suite, key=key) for number in range(HOSTS)
    ]

    def take(host: AptHost) -> bool:
        said = host.apt("update", "-eany", check=False)
        got = run(
            ["apt-get", "-q", "download", *packages],
            env={"APT_CONFIG": str(host.root / "apt.conf")},
            cwd=host.root,
            check=False,
        )
        return said.returncode == got.returncode == 0 and len([*host.root.glob("*.deb")]) == len(packages)

    started = time.perf_counter()
    with ThreadPoolExecutor(HOSTS) as threads:
        good = sum(threads.map(take, hosts))
    return time.perf_counter() - started, HOSTS - good


def bare(folder: Path) -> float:
    """Bytes a second that nginx on one core sends to clients that keep nothing."""
    (folder / "root").mkdir()
    with (folder / "root/large").open("wb") as file:
        for _ in range(LARGE >> 20):
            file.write(bytes(1 << 20))
    with nginx(folder / "root", folder) as url:
        argv = ["curl", "--noproxy", "*", "--silent", "--fail", "--output", "/dev/null", f"{url}/large"]
        started = time.perf_counter()
        with ThreadPoolExecutor(READERS) as threads:
            list(threads.map(lambda _: run(argv), range(READERS)))
        return READERS * LARGE / (time.perf_counter() - started)


def main() -> int:
    root, suite = Path(sys.argv[1]).resolve(), sys.argv[2]
    packages, size = packages_of(root, suite)
    key = b"".join(kept_keys(Repository.open(root).state).values())
    print(
        f"{suite}: {len(packages)} packages, {size:,} bytes; {HOSTS} hosts take {HOSTS * size / 1e6:,.0f} MB"
    )
    failures = 0
    for server in (own, nginx):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with server(root, folder) as url:
                seconds, failed = at_once(url, suite, key, packages, folder)
        failures += failed
        rate = HOSTS * size / seconds / 1e6
        print(f"{server.__name__:6} {seconds:6.1f} s, {rate:6.1f} MB/s, {failed} of {HOSTS} hosts failed")
    with tempfile.TemporaryDirectory() as name:
        rate = bare(Path(name))
    print(f"bare   {rate / 1e6:,.0f} MB/s from nginx on one core")
    total = HOSTS * PER_HOST
    print(f"{HOSTS} hosts of {PER_HOST / 1e9} GB: {total / rate:.0f} s at that rate;", end=" ")
    print(", ".join(f"{total * 8 / (card * 1e9):.0f} s over {card} Gbit/s" for card in CARDS))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

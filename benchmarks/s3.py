# SPDX-License-Identifier: Apache-2.0
"""363 packages onto a real S3 server (versitygw), one request at a time and 32; answers come 2 and 20 ms later.

*Bare* are the same requests, signed beforehand and written to sockets by as many processes as there are cores:
what server, delay and machine give at all. The budget is 0.7 of the speed-up that they reach with 32 connections,
and is judged with 2 ms. docs/benchmarks.md says how far both are from 0.7 of 32.

Run as `.venv/bin/python benchmarks/s3.py`; needs Go for the server, see tests/s3_server.py.
"""

import asyncio
import cProfile
import hashlib
import multiprocessing
import os
import pstats
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from debs import small

from bigtop_builder.artifact import read_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store import Content, Upload
from bigtop_builder.repository.store.bucket import Bucket
from bigtop_builder.repository.store.s3 import S3Store

sys.path.append(str(Path(__file__).parents[1] / "tests"))

COUNT = 363
PARALLEL = 32
DELAYS = (0.002, 0.02)
"""Seconds: what the budget is judged on, and one beside which all work of the processors is small."""
RUNS = 3
BUDGET = 0.7
PROXIES = 2
CORES = os.cpu_count() or 1


class Delaying(asyncio.Protocol):
    """Passes bytes on; those of the server late."""

    def __init__(self, target: int, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._early: list[bytes] = []
        self._server: asyncio.WriteTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._client = transport
        loop = asyncio.get_running_loop()
        self._opening = loop.create_task(
            loop.create_connection(lambda: Late(self), "127.0.0.1", self._target)
        )

    def data_received(self, data: bytes) -> None:
        if self._server:
            self._server.write(data)
        else:
            self._early.append(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self._server:
            self._server.close()

    def reached(self, server: Any) -> None:
        """Take the connection to the server."""
        self._server = server
        server.write(b"".join(self._early))

    def late(self, data: bytes) -> None:
        """Hand on what the server said."""
        asyncio.get_running_loop().call_later(self._seconds, self._client.write, data)

    def over(self) -> None:
        """Close when all is handed on."""
        asyncio.get_running_loop().call_later(2 * self._seconds, self._client.close)


class Late(asyncio.Protocol):
    """The side of the server."""

    def __init__(self, way: Delaying) -> None:
        self._way = way

    def connection_made(self, transport: Any) -> None:
        self._way.reached(transport)

    def data_received(self, data: bytes) -> None:
        self._way.late(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._way.over()


def delay(port: int, target: int, seconds: float) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Delaying(target, seconds), "127.0.0.1", port, reuse_port=True, backlog=256
        )
        await server.serve_forever()

    asyncio.run(serve())


@contextmanager
def delayed(target: int, seconds: float) -> Iterator[int]:
    """A port that answers as the target does, but later."""
    from s3_server import await_port, free_port

    port = free_port()
    processes = [
        multiprocessing.Process(target=delay, args=(port, target, seconds), daemon=True)
        for _ in range(PROXIES)
    ]
    for process in processes:
        process.start()
    await_port(port)
    time.sleep(0.5)
    try:
        yield port
    finally:
        for process in processes:
            process.terminate()
            process.join()


def alternating(*works: Callable[[int], float]) -> list[float]:
    """Median of what each returns, one run of each after the other."""
    taken = [[work(run) for work in works] for run in range(RUNS)]
    return [statistics.median(one) for one in zip(*taken, strict=True)]


def upload(files: dict[str, Content], parallel: int, bucket: str, place: str) -> tuple[float, float]:
    """Seconds for uploading files, once the store was opened and tried out; those that this process computed."""
    store = S3Store(Bucket(f"s3://{bucket}/{place}", parallel=parallel))
    assert store.abilities.verifies
    start, computed = time.perf_counter(), time.process_time()
    store.put(files)
    return time.perf_counter() - start, time.process_time() - computed


def prepared(port: int, bucket: str, place: str, debs: list[Path]) -> list[bytes]:
    """The bytes of a signed PUT for each package."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.session import get_session

    signer = S3SigV4Auth(get_session().get_credentials(), "s3", "us-east-1")
    told = []
    for path in debs:
        data = path.read_bytes()
        url = f"http://127.0.0.1:{port}/{bucket}/{place}/{path.name}"
        fields = {"Content-Type": "application/octet-stream", "Cache-Control": "no-cache"}
        request = AWSRequest(method="PUT", url=url, headers=fields, data=data)
        signer.add_auth(request)
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        line = f"PUT /{bucket}/{place}/{path.name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        told.append(f"{line}{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return told


def bare(requests: list[bytes], port: int, threads: int, ready: Any, done: Any) -> None:
    """Send requests over as many connections as threads, as soon as all processes are ready."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(threads)]
    for one in sockets:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(number: int) -> None:
        for request in requests[number::threads]:
            sockets[number].sendall(request)
            assert sockets[number].recv(65536).startswith(b"HTTP/1.1 200"), "the server refused"

    with ThreadPoolExecutor(threads) as pool:
        ready.wait()
        list(pool.map(send, range(threads)))
    done.wait()


def ideal(port: int, bucket: str, debs: list[Path], processes: int, threads: int, run: int) -> float:
    """Seconds for the bare requests."""
    requests = prepared(port, bucket, f"bare-{processes}-{threads}-{run}", debs)
    ready, done = (multiprocessing.Barrier(processes + 1, timeout=60) for _ in range(2))
    workers = [
        multiprocessing.Process(target=bare, args=(requests[number::processes], port, threads, ready, done))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    done.wait()
    taken = time.perf_counter() - start
    for worker in workers:
        worker.join()
    return taken


def publish(folder: Path, bucket: str, debs: list[Path], place: str) -> None:
    """A whole publish into a new repository, with verification and signatures."""
    store = KeyStore(folder / "keys")
    if not store.fingerprints():
        store.new("Benchmark", "benchmark@example.org")
    with store.open() as keyring:
        url = f"s3://{bucket}/{place}"
        repository = Repository.init(
            url, origin="Benchmark", keyring=keyring, fingerprints=store.fingerprints(), forms=(".gz",)
        )
        read = [read_deb(path) for path in debs]
        start = time.perf_counter()
        repository.add("stable", read, keyring=keyring)
        print(f"  a whole publish of {COUNT} packages: {time.perf_counter() - start:.2f} s", flush=True)


def compare(said: str, port: int, bucket: str, files: dict[str, Content], debs: list[Path]) -> float:
    """Print what parallel requests gain, and return which part it is of what bare ones gain."""
    from s3_server import variables

    os.environ |= variables(port)
    computed = []

    def uploaded(parallel: int, run: int) -> float:
        seconds, own = upload(files, parallel, bucket, f"{parallel}-{port}-{run}")
        if parallel > 1:
            computed.append(own)
        return seconds

    one, many = alternating(lambda run: uploaded(1, run), lambda run: uploaded(PARALLEL, run))
    slow, fast = alternating(
        lambda run: ideal(port, bucket, debs, 1, 1, run),
        lambda run: ideal(port, bucket, debs, CORES, PARALLEL // CORES, run),
    )
    gain, most = one / many, slow / fast
    print(f"{said}:")
    print(f"  one at a time {one:.3f} s, {PARALLEL} {many:.3f} s: {gain:.1f} times as fast")
    print(f"  of the latter this process computes {statistics.median(computed):.3f} s", flush=True)
    print(f"  bare requests {slow:.3f} s, {fast:.3f} s: {most:.1f} times as fast")
    print(f"  {gain / most:.2f} of what bare requests gain, {gain / PARALLEL:.2f} of {PARALLEL}", flush=True)
    return gain / most


def main() -> int:
    from s3_server import BUCKET, variables, versitygw

    with tempfile.TemporaryDirectory(prefix="s3-") as name:
        folder = Path(name)
        debs = small(folder / "debs", 0, COUNT)
        files: dict[str, Content] = {
            f"pool/{path.name}": Upload(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in debs
        }
        with versitygw(folder) as server:
            compare("the server itself", server.port, BUCKET, files, debs)
            os.environ |= variables(server.port)
            publish(folder, BUCKET, debs, "whole")
            reached = []
            for seconds in DELAYS:
                with delayed(server.port, seconds) as port:
                    said = f"{seconds * 1000:.0f} ms more for each answer"
                    reached.append(compare(said, port, BUCKET, files, debs))
                    publish(folder, BUCKET, debs, f"whole-{port}")
            os.environ |= variables(server.port)
            profile = cProfile.Profile()
            profile.runcall(upload, files, 1, BUCKET, "profiled")
            pstats.Stats(profile).sort_stats("tottime").print_stats(12)
    return int(reached[0] < BUDGET)


if __name__ == "__main__":
    sys.exit(main())

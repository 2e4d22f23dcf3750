# SPDX-License-Identifier: Apache-2.0
"""Reading what a command in a container prints, over a real socket."""

import socket
import struct
import threading
from collections.abc import Iterator

import docker
import pytest

from bigtop_builder.docker_sdk import printed

HEADER = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


def frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    """An engine whose command has ended before its answer is read: header and output come in one piece."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            connection.sendall(HEADER + frame(1, b"out\n") + frame(2, b"err\n") + frame(1, b"more"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    thread = threading.Thread(target=answer)
    thread.start()
    client = docker.DockerClient(base_url=f"tcp://127.0.0.1:{server.getsockname()[1]}", version="1.41")
    yield client
    thread.join()
    client.close()
    server.close()


def test_nothing_is_lost_of_what_comes_with_the_answers_header(engine: docker.DockerClient) -> None:
    assert list(printed(engine, "any")) == [(b"out\n", b""), (b"", b"err\n"), (b"more", b"")]

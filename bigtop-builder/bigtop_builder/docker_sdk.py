# SPDX-License-Identifier: Apache-2.0
"""The Docker SDK: how it is reached, and what it raises in words that a user can read.

It is imported where it is used: that takes 0.1 s, which commands without containers need not wait for.
"""

import os
import socket
import struct
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from bigtop_builder.errors import BuilderError, EnvironmentMissing

if TYPE_CHECKING:
    from docker import DockerClient

DEFAULT_HOST = "unix:///var/run/docker.sock"
CONNECT_SECONDS = 10
ANSWER_SECONDS = 300
"""How long the engine may keep silent, running commands excepted: removing much data takes a while."""
FRAME = struct.Struct(">BxxxL")
STDERR = 2
INSTEAD = "or do without: --builder host"


def connect() -> "DockerClient":
    """A client of the engine that `DOCKER_HOST` names, else of this machine's.

    Raises:
        EnvironmentMissing: There is none, it is not running, or this user may not use it.
    """
    import docker
    from docker.errors import DockerException

    where = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    try:
        _knock(where)
        client = docker.from_env(timeout=CONNECT_SECONDS)
    except (OSError, DockerException) as error:
        raise _unreachable(where, error) from error
    client.api.timeout = ANSWER_SECONDS
    return client


def printed(client: "DockerClient", execution: str) -> Generator[tuple[bytes, bytes], None, None]:
    """Start a command that was made (`exec_create`), and yield what it prints: pieces of stdout and of stderr.

    Frames are those of the Docker Engine API, ContainerAttach, "Stream format". The SDK's own reader takes them from
    the socket and loses what came in one piece with the answer's header: all that a quick command printed.
    """
    stream = client.api.exec_start(execution, stream=True, demux=True)
    response = stream._response  # type: ignore[attr-defined]  # noqa: SLF001  # docker-py 7 leaves its socket open
    with closing(response):
        reader = response.raw._fp.fp  # noqa: SLF001  # what http.client read the header with, and more
        # a build may be silent for long
        client.api._disable_socket_timeout(getattr(reader, "raw", reader))  # type: ignore[attr-defined]  # noqa: SLF001
        while len(header := reader.read(FRAME.size)) == FRAME.size:
            kind, size = FRAME.unpack(header)
            data = reader.read(size)
            yield (b"", data) if kind == STDERR else (data, b"")


@contextmanager
def told(what: str, error: type[BuilderError] = BuilderError) -> Iterator[None]:
    """Turn what the SDK and its HTTP library raise into an error that a user can read.

    Args:
        what: What cannot be done.
        error: Class of the error; a full disk is `EnvironmentMissing` always.
    """
    import requests
    from docker.errors import APIError, DockerException, ImageNotFound

    try:
        yield
    except ImageNotFound as cause:
        raise error(f"{what}: there is no such image", hint="bigtop-builder image build") from cause
    except (DockerException, requests.RequestException, ConnectionError, TimeoutError) as cause:
        text = str(cause.explanation if isinstance(cause, APIError) else cause)
        if "no space left on device" in text.lower():
            raise EnvironmentMissing(
                f"{what}: the disk is full", details=text, hint="free space where Docker keeps its data"
            ) from cause
        raise error(f"{what}: {text}") from cause


def _knock(where: str) -> None:
    """Connect to a local socket: the SDK leaves its own open when nobody answers (docker-py 7)."""
    if where.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(CONNECT_SECONDS)
            knock.connect(where.removeprefix("unix://"))


def _unreachable(where: str, error: Exception) -> EnvironmentMissing:
    """One line on why there is no engine, with the way out."""
    named = bool(os.environ.get("DOCKER_HOST"))
    if isinstance(error, FileNotFoundError):
        said = f"there is no Docker engine at {where}: no such socket"
        hint = "correct DOCKER_HOST, or unset it" if named else "apt-get install docker.io"
    elif isinstance(error, PermissionError):
        said = f"this user may not use the Docker engine at {where}: permission denied"
        hint = "run as root or as a member of the group docker"
    elif isinstance(error, ConnectionRefusedError):
        said = f"the Docker daemon at {where} is not running: connection refused"
        hint = f"systemctl start docker{', or correct DOCKER_HOST' if named else ''}"
    else:
        said, hint = f"the Docker engine at {where} does not answer: {error}", "check DOCKER_HOST"
    return EnvironmentMissing(said, hint=f"{hint}, {INSTEAD}")

# SPDX-License-Identifier: Apache-2.0
"""A web server for a repository on disk, as long as a with statement lasts: quickstart, tests, a small site.

Paths are resolved through the symlinks before a file is opened, so an answer is always one file from end to
end, also when a suite is switched meanwhile. Ranges, conditional requests and keep-alive are the library's.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from bigtop_builder.errors import BuilderError

START_SECONDS = 10.0


@contextmanager
def serve(folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a folder over HTTP/1.1 and yield its URL, without a slash at the end.

    Args:
        folder: What to serve. Links that lead out of it are answered with 404.
        host: Address to bind.
        port: Port to bind; any free one if 0.

    Raises:
        BuilderError: The address cannot be bound.
    """
    try:
        listening = socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise BuilderError(
            f"{host}:{port} cannot be served on: {error.strerror}", hint="name another address or port"
        ) from error
    application = Starlette(routes=[Mount("/", StaticFiles(directory=folder.resolve()))])
    config = uvicorn.Config(
        application, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    with listening:
        thread.start()
        try:
            _await_start(server, thread)
            yield f"http://{host}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise BuilderError("the web server did not start")
        time.sleep(0.005)

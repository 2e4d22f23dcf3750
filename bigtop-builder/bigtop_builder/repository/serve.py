# SPDX-License-Identifier: Apache-2.0
"""A web server for a repository on disk, as long as a with statement lasts: quickstart, tests, a small site.

Paths are resolved through the symlinks before a file is opened, so an answer is always one file from end to
end, also when a suite is switched meanwhile. Ranges, conditional requests, gzip and keep-alive are the library's.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from bigtop_builder.errors import EnvironmentMissing, InputError

START_SECONDS = 10.0
TEXT = re.compile(
    r".*/(InRelease|Release|Packages|Sources|Translation-[^/.]+|[^/]+\.(json|asc|changes|buildinfo))"
)
"""What is sent with gzip to clients that take it: by its name, for a name tells whether a file is packed already."""


@contextmanager
def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    around: Callable[[ASGIApp], ASGIApp] = lambda served: served,
) -> Iterator[str]:
    """Serve a folder over HTTP/1.1 and yield its URL, without a slash at the end.

    Args:
        folder: What to serve. Links that lead out of it are answered with 404.
        host: Address to bind.
        port: Port to bind; any free one if 0.
        around: What answers are given through.

    Raises:
        InputError: The address cannot be bound.
        EnvironmentMissing: The web server does not start.
    """
    try:
        listening = socket.create_server((host, port), backlog=128)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise InputError(
            f"{host}:{port} cannot be served on: {reason}",
            hint="name another --host or --port; port 0 picks a free one",
        ) from error
    application = Starlette(routes=[Mount("/", around(_Files(folder.resolve())))])
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


class _Files:
    """The folder, with gzip for text."""

    def __init__(self, folder: Path) -> None:
        self._files = StaticFiles(directory=folder)
        self._packing = GZipMiddleware(self._files)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        chosen = self._packing if TEXT.fullmatch(scope["path"]) else self._files
        await chosen(scope, receive, send)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise EnvironmentMissing(
                f"the web server did not start within {START_SECONDS:.0f} s",
                hint="try again on a quieter machine",
            )
        time.sleep(0.005)

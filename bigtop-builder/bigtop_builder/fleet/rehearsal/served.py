# SPDX-License-Identifier: Apache-2.0
"""The repository's web server of a rehearsal, which can be gone in the middle of a download, and come back."""

import asyncio
import logging
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bigtop_builder.repository.serve import serve


class Served:
    """A folder, served to the containers of a network.

    Args:
        folder: What is served.
        host: Address to bind.
    """

    def __init__(self, folder: Path, host: str) -> None:
        self._folder = folder
        self._host = host
        self._port = 0
        self._open = ExitStack()
        self._armed = False
        self._cut = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        """Serve; after a stop at the same address."""
        self._armed = False
        self._cut.clear()
        url = self._open.enter_context(
            serve(self._folder, host=self._host, port=self._port, around=self._around)
        )
        self._port = int(url.rpartition(":")[2])

    def stop(self) -> None:
        """Serve no more: connections are refused, and one that is open is cut."""
        library = logging.getLogger("uvicorn.error")
        library.disabled = self._cut.is_set()  # it would tell at length of the download that was cut
        try:
            self._open.close()
        finally:
            library.disabled = False

    def arm(self) -> None:
        """Have the next download of a package end in its middle; `cut` then says so."""
        self._armed = True

    def cut(self, seconds: float) -> bool:
        """Wait until a download was cut in its middle; whether it was."""
        return self._cut.wait(seconds)

    def _around(self, served: ASGIApp) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            async def half(message: Message) -> None:
                if message["type"] != "http.response.body":
                    await send(message)
                    return
                body = message["body"]
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                self._cut.set()
                await asyncio.Event().wait()  # until the server is stopped, which ends the connection

            cutting = self._armed and scope["type"] == "http" and scope["path"].endswith(".deb")
            await served(scope, receive, half if cutting else send)

        return answer

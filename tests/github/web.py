# SPDX-License-Identifier: Apache-2.0
"""A web server of a test's own, in a thread."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from github.faults import Fault


def spoilt(response: Response, fault: Fault, request: Request) -> Response:
    """An answer as a fault lets it get through."""
    if fault.lost:
        request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    if fault.cut is None:
        return response
    size, body = fault.cut, response.get_data()
    headers = {**response.headers, "Content-Length": str(max(len(body), size + 1))}
    return Response(iter([body[:size]]), response.status_code, headers)


class Quiet(WSGIRequestHandler):
    """Says nothing of requests."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # werkzeug's name
        if type == "error":
            logging.getLogger(__name__).error(message, *args)


@contextmanager
def listening(respond: Callable[[Request], Response]) -> Iterator[str]:
    """Serve what a function answers; yields the URL."""
    server = make_server("127.0.0.1", 0, Request.application(respond), threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

# SPDX-License-Identifier: Apache-2.0
"""The one door for HTTP: every client has the site's proxy, the system's certificates and our name."""

import ssl
from typing import Final

import httpx

from bigtop_builder import __version__
from bigtop_builder.proxy import Proxy
from bigtop_builder.settings import Settings

CONNECT: Final = 15
"""Seconds to wait for a connection."""


def open_client(
    settings: Settings, *, auth: tuple[str, str] | None = None, timeout: float = 60
) -> httpx.Client:
    """A client that follows redirects. Who opens it closes it.

    Args:
        settings: For the proxy and its exceptions.
        auth: User and password, for the host that is asked first alone.
        timeout: Seconds between two pieces of an answer.
    """
    # The system's certificates, where sites put their own CA, rather than those that come with httpx.
    context = ssl.create_default_context()
    proxies: dict[str, httpx.BaseTransport | None] = {}
    if proxy := Proxy.of(settings):
        proxies["all://"] = httpx.HTTPTransport(proxy=proxy.url, verify=context)
        proxies |= {f"all://{'*' if host.startswith('.') else ''}{host}": None for host in proxy.direct}
    return httpx.Client(
        auth=auth,
        verify=context,
        mounts=proxies,
        follow_redirects=True,
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT)),
        headers={"User-Agent": f"bigtop-builder/{__version__}", "Accept-Encoding": "identity"},
    )

# SPDX-License-Identifier: Apache-2.0
"""The site's proxy, told to each program in its own words. What people read never has its user and password."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from bigtop_builder.errors import InputError
from bigtop_builder.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy, and what is reached without it.

    Attributes:
        url: As in the settings, with user and password if it has them.
        host: Its name or address.
        port: Its port.
        direct: Hosts, or with a leading dot domains, that are reached without it.
    """

    url: str = field(repr=False)
    host: str
    port: int
    direct: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The proxy of the settings, if they name one.

        Raises:
            InputError: It is no URL with host and port.
        """
        if not settings.proxy:
            return None
        try:
            parts = urlsplit(settings.proxy)
            host, port = parts.hostname, parts.port
        except ValueError:  # a port that is no number or out of range, or a stray bracket
            host = port = None
        if not host or not port or parts.scheme not in {"http", "https"}:
            raise InputError(
                f"proxy {_without_login(settings.proxy)!r} is no URL with host and port",
                hint="as in http://proxy:3128; in a user or password, write / as %2F, : as %3A and @ as %40",
            )
        direct = tuple(name.strip() for name in settings.no_proxy.split(",") if name.strip())
        return cls(url=settings.proxy, host=host, port=port, direct=direct)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that curl, apt, npm and their like read."""
        names = {"http_proxy": self.url, "https_proxy": self.url, "no_proxy": ",".join(self.direct)}
        return {name: value for name, value in names.items() if value}

    @property
    def non_proxy_hosts(self) -> str:
        """`direct` as Java and Maven take it, for http and https alike (Java's networking properties)."""
        return "|".join(f"*{name}" if name.startswith(".") else name for name in self.direct)

    @property
    def gradle_properties(self) -> str:
        """Lines of a gradle.properties file."""
        lines = [
            f"systemProp.{scheme}.proxy{key}={value}\n"
            for scheme in ("http", "https")
            for key, value in (("Host", self.host), ("Port", self.port))
        ]
        if self.direct:  # an empty value would take away Java's own exceptions, localhost among them
            lines.append(f"systemProp.http.nonProxyHosts={self.non_proxy_hosts}\n")
        return "".join(lines)


def proxy_environment(settings: Settings) -> dict[str, str]:
    """Variables that name the site's proxy; none if it has none."""
    proxy = Proxy.of(settings)
    return proxy.environment if proxy else {}


def _without_login(url: str) -> str:
    """A text that should be a URL, without all that may be a user and password, however malformed."""
    return re.sub(r"^([A-Za-z]+://)?.*@", r"\1", url, flags=re.DOTALL)

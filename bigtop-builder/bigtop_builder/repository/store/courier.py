# SPDX-License-Identifier: Apache-2.0
"""The two requests that a publish makes for each package, without what boto3 does around every request.

boto3 takes 1.5 ms of one core for a request and Python runs one thread at a time, so 32 of them in parallel are
hardly faster than one (docs/benchmarks.md). Here botocore signs and `http.client` sends. Whatever is not a plain
success is answered with None, and the caller asks through boto3, which knows about retries, redirects and errors.
"""

import logging
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Self
from urllib.parse import quote, urlsplit

log = logging.getLogger(__name__)

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""Hash of no bytes."""
DONE = frozenset({200, 404})


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a store answered: done, or not there.

    Attributes:
        status: 200 or 404.
        headers: Names in lower case.
    """

    status: int
    headers: Mapping[str, str]


class Courier:
    """Signed requests over connections that are kept.

    Args:
        origin: Scheme, host and port, as in `http://127.0.0.1:9000`.
        base: Path that keys come after, with a slash at its end.
        signer: Signs a request, as botocore's SigV4Auth does.
        seconds: How long a connection may be silent.
        trust: File of CA certificates.
    """

    def __init__(self, *, origin: str, base: str, signer: Any, seconds: float, trust: str) -> None:
        self._origin = origin
        self._base = base
        self._signer = signer
        self._seconds = seconds
        self._trust = trust
        self._idle: deque[HTTPConnection] = deque()
        weakref.finalize(self, _close, self._idle)

    @classmethod
    def of(cls, client: Any, session: Any, bucket: str, *, seconds: float) -> Self | None:
        """A courier for a bucket; None where requests need more than a signature and a connection.

        Args:
            client: boto3's client.
            session: The botocore session that it was made from.
            bucket: Name of the bucket.
            seconds: How long a connection may be silent.
        """
        from botocore.httpsession import get_cert_path
        from botocore.utils import get_environ_proxies

        config, endpoint = client.meta.config, client.meta.endpoint_url
        credentials = session.get_credentials()
        plain = config.signature_version == "s3v4" and not config.proxies and not bucket.endswith("--x-s3")
        if credentials is None or not plain or get_environ_proxies(endpoint):
            return None
        place = urlsplit(client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "x"}))
        return cls(
            origin=f"{place.scheme}://{place.netloc}",
            base=place.path.removesuffix("x"),
            signer=_signer(credentials, client.meta.region_name),
            seconds=seconds,
            trust=session.get_config_variable("ca_bundle") or get_cert_path(True),
        )

    def send(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        sha256: str = EMPTY,
        *,
        allow: Callable[[], None] = lambda: None,
    ) -> Reply | None:
        """Make one request.

        Args:
            method: `HEAD` or `PUT`: what may be made a second time.
            key: The object.
            headers: Headers besides those of the signature.
            body: Bytes to send.
            sha256: Hash of what the body must be. The store checks it with the signature.
            allow: Called when all is signed; what it raises keeps the request from being sent.

        Returns:
            The answer; None if it was neither 200 nor 404, or did not come.
        """
        from botocore.awsrequest import AWSRequest

        path = self._base + quote(key, safe="/-_.~")
        request = AWSRequest(method=method, url=self._origin + path, headers=dict(headers))
        request.context["sha256"] = sha256
        self._signer.add_auth(request)
        allow()
        connection = self._connection()
        try:
            connection.request(method, path, body or None, dict(request.headers.items()))
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as error:
            log.debug("%s %s goes through boto3: %s", method, key, type(error).__name__)
            connection.close()
            return None
        self._idle.append(connection)
        if answer.status not in DONE:
            return None
        return Reply(
            status=answer.status, headers={name.lower(): value for name, value in answer.getheaders()}
        )

    def _connection(self) -> HTTPConnection:
        try:
            return self._idle.pop()
        except IndexError:
            place = urlsplit(self._origin)
        if place.scheme == "http":
            return HTTPConnection(place.netloc, timeout=self._seconds)
        import ssl

        context = ssl.create_default_context(cafile=self._trust)
        return HTTPSConnection(place.netloc, timeout=self._seconds, context=context)


def _signer(credentials: Any, region: str) -> Any:
    from botocore.auth import S3SigV4Auth

    class Signer(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
        def payload(self, request: Any) -> str:
            """The hash that is known already."""
            return str(request.context["sha256"])

    return Signer(credentials, "s3", region)


def _close(connections: deque[HTTPConnection]) -> None:
    for connection in connections:
        connection.close()

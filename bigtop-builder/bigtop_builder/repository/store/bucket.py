# SPDX-License-Identifier: Apache-2.0
"""One prefix of an S3 bucket, through boto3: requests, 32 at a time, and errors that people can read.

Endpoint, region, credentials and proxy are boto3's own configuration (variables, profiles, instance roles); they
never come near an argument or a message.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bigtop_builder.errors import InputError, PublishError
from bigtop_builder.repository.store import Listed
from bigtop_builder.repository.store.courier import Courier, Reply
from bigtop_builder.repository.store.refusal import ABSENT, AGAIN, UNKNOWN, complaints

Item = TypeVar("Item")
Result = TypeVar("Result")

SCHEME = "s3://"
LEASE = "state/lock"
"""What says who may publish: of writes it alone asks nobody."""
READS = frozenset({"GET", "HEAD"})
URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#]*?))?/*")
PARALLEL = 32
CHUNK = 1 << 20
OK = 200
TOLD = frozenset({"content-length", "etag", "last-modified", "date"})
ATTEMPTS = 5
SECONDS = 60.0
"""How long a connection may be silent."""
IMMUTABLE = "public, max-age=31536000, immutable"
TYPES = {
    ".deb": "application/vnd.debian.binary-package",
    ".udeb": "application/vnd.debian.binary-package",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
    ".json": "application/json",
    ".asc": "application/pgp-signature",
    "Release.gpg": "application/pgp-signature",
    ".gpg": "application/pgp-keys",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object.

    Attributes:
        size: Bytes.
        sha256: Hash that its publisher noted after the store had verified it; empty if nobody did.
        etag: The version, for conditions.
        modified: When it was written, by the store's clock.
        now: What that clock says.
        data: The bytes, if they were asked for.
    """

    size: int
    sha256: str
    etag: str
    modified: datetime
    now: datetime
    data: bytes = b""


def headers(path: str) -> dict[str, str]:
    """Content type and caching of a path: only what never changes under its name may be kept by anyone."""
    kind = next((kind for end, kind in TYPES.items() if path.endswith(end)), "")
    if "by-hash/" in path:
        kind = "application/octet-stream"
    forever = path.startswith(("pool/", "by-hash/")) or "/by-hash/" in path
    return {
        "ContentType": kind or "text/plain; charset=utf-8",
        "CacheControl": IMMUTABLE if forever else "no-cache",
    }


def condition(match: str | None) -> dict[str, str]:
    """Parameters of a write over an object with this ETag; over none if empty, over anything if None."""
    return {} if match is None else {"IfMatch": match} if match else {"IfNoneMatch": "*"}


def digest(sha256: str) -> str:
    """A hash in hexadecimal as S3 wants it."""
    return b64encode(bytes.fromhex(sha256)).decode()


def noted(sha256: str) -> dict[str, Any]:
    """Parameters of a write that the store verifies by a hash, and notes it."""
    return {"ChecksumSHA256": digest(sha256), "Metadata": {"sha256": sha256}}


class Bucket:
    """Objects below a prefix. A path is what follows the prefix; any thread may use it.

    Args:
        url: `s3://bucket/prefix`.
        parallel: Requests at a time.
        attempts: How often a request is tried; AWS_MAX_ATTEMPTS or the profile's if None, else 5.
        seconds: How long a connection may be silent.

    Raises:
        InputError: It is no such URL.
    """

    def __init__(
        self, url: str, *, parallel: int = PARALLEL, attempts: int | None = None, seconds: float = SECONDS
    ) -> None:
        match = URL.fullmatch(url)
        if match is None:
            raise InputError(f"{url!r} names no bucket", hint="as in s3://bucket/prefix")
        self.bucket = match["bucket"]
        self.prefix = f"{match['prefix']}/" if match["prefix"] else ""
        self.parallel = parallel
        self._attempts = attempts
        self._seconds = seconds
        self.allow: Callable[[], None] = lambda: None
        """Called before each request that writes, when it is signed; what it raises keeps it from being sent."""

    @property
    def name(self) -> str:
        """Its URL."""
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    @cached_property
    def _session(self) -> Any:
        import botocore.session

        return botocore.session.get_session()

    @cached_property
    def _courier(self) -> Courier | None:
        with self.complaints(""):
            return Courier.of(self.client, self._session, self.bucket, seconds=self._seconds)

    @cached_property
    def client(self) -> Any:
        """The boto3 client, made at the first request."""
        import boto3
        from botocore.config import Config

        with self.complaints(""):
            attempts = self._attempts or self._session.get_config_variable("max_attempts") or ATTEMPTS
            config = Config(
                connect_timeout=min(10.0, self._seconds),
                read_timeout=self._seconds,
                retries={"mode": "standard", "total_max_attempts": int(attempts)},
                max_pool_connections=self.parallel + 1,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
            client = boto3.session.Session(botocore_session=self._session).client("s3", config=config)
        client.meta.events.register("before-send.s3", self._before_send)
        return client

    def _before_send(self, request: Any, **_: Any) -> None:
        """As botocore calls it for each attempt: a request that is tried again is signed again."""
        if request.method not in READS and not urlsplit(request.url).path.endswith(f"/{LEASE}"):
            self.allow()

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Do something for each item, `parallel` at a time; the first error ends it, and is raised."""
        todo = list(items)
        if self.parallel == 1 or len(todo) <= 1:
            return [work(item) for item in todo]
        with ThreadPoolExecutor(min(self.parallel, len(todo))) as pool:
            return list(pool.map(work, todo))  # at an error it cancels what has not begun

    def call(self, operation: str, path: str, **words: Any) -> Mapping[str, Any]:
        """One request about a path.

        Raises:
            Unmet: Its condition does not hold.
            PublishError: It failed.
        """
        with self.complaints(path):
            answer: Mapping[str, Any] = getattr(self.client, operation)(
                Bucket=self.bucket, Key=self.prefix + path, **words
            )
            return answer

    def head(self, path: str) -> Found | None:
        """What is known of an object; None if there is none."""
        reply = self._courier.send("HEAD", self.prefix + path, {}) if self._courier else None
        if reply and reply.status != OK:
            return None
        if reply and reply.headers.keys() >= TOLD:
            return _replied(reply)
        answer = self._if_there("head_object", path)
        return None if answer is None else _found(answer)

    def get(self, path: str) -> Found | None:
        """An object with its bytes; None if there is none."""
        return self.take(path, lambda answer: replace(_found(answer), data=answer["Body"].read()))

    def sha256(self, path: str) -> str:
        """Hash of an object's bytes, read as a stream.

        Raises:
            PublishError: There is none.
        """

        def hashed(answer: Mapping[str, Any]) -> str:
            whole = hashlib.sha256()
            for chunk in answer["Body"].iter_chunks(CHUNK):
                whole.update(chunk)
            return whole.hexdigest()

        found = self.take(path, hashed)
        if found is None:
            raise PublishError(f"{self.name}/{path} is missing", hint=AGAIN)
        return found

    def write(self, path: str, data: bytes, *, match: str | None = None, **words: Any) -> str:
        """Write an object in one request and return its ETag.

        Args:
            path: The object.
            data: Its bytes.
            match: ETag that must stand there; empty if nothing may; anything may, if None.
            words: Further parameters of the request.

        Raises:
            Unmet: Something else stands there.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        known = {**noted(sha256), **headers(path), **words}
        return str(self.call("put_object", path, Body=data, **known, **condition(match))["ETag"])

    def store(self, path: str, data: bytes, sha256: str, *, match: str | None = None) -> None:
        """Write an object in one request, as `write` does it, by the shortest way.

        Args:
            path: The object.
            data: Its bytes.
            sha256: What they must be.
            match: As in `write`.

        Raises:
            Unmet: Something else stands there.
        """
        known = headers(path)
        if self._courier and not match:
            sent = {
                "Content-Type": known["ContentType"],
                "Cache-Control": known["CacheControl"],
                "x-amz-meta-sha256": sha256,
                "x-amz-checksum-sha256": digest(sha256),
                **({} if match is None else {"if-none-match": "*"}),
            }
            reply = self._courier.send("PUT", self.prefix + path, sent, data, sha256, allow=self.allow)
            if reply and reply.status == OK:
                return
        self.write(path, data, match=match, **noted(sha256))

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, with the headers of its new path."""
        place = {"Bucket": self.bucket, "Key": self.prefix + source}
        self.call("copy_object", target, CopySource=place, MetadataDirective="REPLACE", **headers(target))

    def names(self, folder: str) -> set[str]:
        """Names directly in a folder, of objects and folders."""
        start = f"{self.prefix}{folder}/" if folder else self.prefix
        with self.complaints(folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start, Delimiter="/"
            )
            found = [
                key
                for page in pages
                for part, name in (("Contents", "Key"), ("CommonPrefixes", "Prefix"))
                for key in (one[name] for one in page.get(part, ()))
            ]
        return {key[len(start) :].rstrip("/") for key in found if key != start}

    def below(self, folder: str) -> Iterator[Listed]:
        """All objects below a folder, with what a listing tells of them."""
        start = f"{self.prefix}{folder}/" if folder else self.prefix
        with self.complaints(folder):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start
            ):
                for one in page.get("Contents", ()):
                    yield Listed(
                        path=one["Key"][len(self.prefix) :],
                        size=one["Size"],
                        modified=one["LastModified"].astimezone(UTC),
                    )

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects; those that are not there are none."""
        self.each(lambda path: self.call("delete_object", path), paths)

    def unfinished(self) -> list[tuple[str, str]]:
        """Uploads in parts that did not come to their end: path and ticket. None where the store cannot tell."""
        from botocore.exceptions import ClientError

        with self.complaints(""):
            try:
                answer = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=self.prefix)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in UNKNOWN:
                    return []
                raise
            found = answer.get("Uploads", ())
            return [(one["Key"][len(self.prefix) :], one["UploadId"]) for one in found]

    def _if_there(self, operation: str, path: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        with self.complaints(path):
            try:
                answer: Mapping[str, Any] = getattr(self.client, operation)(
                    Bucket=self.bucket, Key=self.prefix + path
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in ABSENT:
                    return None
                raise
            return answer

    def take(self, path: str, work: Callable[[Mapping[str, Any]], Result]) -> Result | None:
        """Read an object; None if there is none.

        Args:
            path: The object.
            work: Takes the answer, and reads its `Body`. It is called again with a new answer if that one was cut
                off, which boto3 does not do by itself.
        """
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        left = self._attempts or ATTEMPTS
        while True:
            answer = self._if_there("get_object", path)
            if answer is None:
                return None
            with self.complaints(path):
                try:
                    return work(answer)
                except (HTTPClientError, IncompleteReadError):
                    left -= 1
                    if not left:
                        raise

    def complaints(self, path: str) -> AbstractContextManager[None]:
        """Errors about a path, said in our own words."""
        return complaints(f"{self.name}/{path}" if path else self.name)


def _found(answer: Mapping[str, Any]) -> Found:
    return Found(
        size=answer["ContentLength"],
        sha256=answer.get("Metadata", {}).get("sha256", ""),
        etag=answer["ETag"],
        modified=answer["LastModified"],
        now=parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]),
    )


def _replied(reply: Reply) -> Found:
    return Found(
        size=int(reply.headers["content-length"]),
        sha256=reply.headers.get("x-amz-meta-sha256", ""),
        etag=reply.headers["etag"],
        modified=parsedate_to_datetime(reply.headers["last-modified"]),
        now=parsedate_to_datetime(reply.headers["date"]),
    )

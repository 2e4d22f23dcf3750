# SPDX-License-Identifier: Apache-2.0
"""Bringing files into a bucket: many at a time, large ones in parts, each verified by the store or read back."""

import hashlib
import io
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

from bigtop_builder.artifact import changed
from bigtop_builder.errors import PublishError
from bigtop_builder.log import transfers
from bigtop_builder.repository.store import Upload
from bigtop_builder.repository.store.bucket import CHUNK, Bucket, condition, headers, noted
from bigtop_builder.repository.store.refusal import AGAIN, Unmet

log = logging.getLogger(__name__)

PART = 16 << 20
PARTS = 10_000
"""Most parts that S3 takes for one object."""
LARGE = 2 * PART
SMALL = 1 << 20
LONG = 64 << 20
"""Bytes of an upload that people are told of."""
LOOKS = 3
"""How often a write is tried over what stands there: an answer may be lost, and the write be found."""
Told = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of a large file.

    Attributes:
        number: Counted from 1.
        offset: Where it begins.
        size: Bytes.
        checksum: Its sha256, in base64.
    """

    number: int
    offset: int
    size: int
    checksum: str


@dataclass(frozen=True, kw_only=True)
class Large:
    """A file on its way in parts.

    Attributes:
        path: Where it goes.
        content: The file.
        ticket: The store's name for this upload.
        parts: All its parts.
        etags: Number of a part that arrived -> its ETag.
    """

    path: str
    content: Upload
    ticket: str
    parts: tuple[Part, ...]
    etags: dict[int, str] = field(default_factory=dict)


def upload(
    bucket: Bucket,
    files: Mapping[str, bytes | Upload],
    *,
    verifies: bool,
    alone: frozenset[str] = frozenset(),
    quiet: bool = False,
) -> None:
    """Write files; on return each is whole in the store.

    Args:
        bucket: Where to.
        files: Path -> bytes, or a file of this machine.
        verifies: The store compares what it gets with the hashes it is given. If not, all is read back.
        alone: Paths that are written over nothing, or over what stood there while this publisher had the lease.
        quiet: Show no progress: something else is shown meanwhile.

    Raises:
        PublishError: A file changed, the store failed or altered one, or another publisher wrote it meanwhile; the
            path is named.
    """
    with bucket.complaints(""):
        sizes = {path: _size(content) for path, content in files.items()}
    large = {path: one for path, one in files.items() if isinstance(one, Upload) and sizes[path] > LARGE}
    with _telling(bucket, {} if quiet else sizes) as told, _in_parts(bucket, large, sizes) as opened:
        pieces = [partial(_piece, bucket, one, part, told) for one in opened for part in one.parts]
        small = [
            partial(_single, bucket, path, files[path], told, alone=path in alone)
            for path in files
            if path not in large
        ]
        bucket.each(lambda work: work(), [*pieces, *small])
        bucket.each(lambda one: _complete(bucket, one, alone=one.path in alone), opened)
    if not verifies:
        bucket.each(partial(_read_back, bucket), files.items())


def _size(content: bytes | Upload) -> int:
    return len(content) if isinstance(content, bytes) else content.path.stat().st_size


def _sha256(content: bytes | Upload) -> str:
    return content.sha256 if isinstance(content, Upload) else hashlib.sha256(content).hexdigest()


def _single(bucket: Bucket, path: str, content: bytes | Upload, told: Told, *, alone: bool) -> None:
    size = _size(content)

    def send(match: str | None) -> None:
        if isinstance(content, bytes):
            bucket.store(path, content, _sha256(content), match=match)
            return
        with bucket.complaints(path), content.path.open("rb") as file:
            if size <= SMALL:
                bucket.store(path, file.read(), content.sha256, match=match)
            else:
                words = {**noted(content.sha256), **headers(path), **condition(match)}
                bucket.call("put_object", path, Body=file, **words)

    _over_ours(bucket, path, send, alone=alone)
    told(size)


def _over_ours(bucket: Bucket, path: str, send: Callable[[str | None], None], *, alone: bool) -> None:
    """Write over nothing, or over what a publisher before left, and never over what one after this has written.

    What is found is of one before: `Bucket.allow` is asked between the look and the write.

    Raises:
        PublishError: Another publisher has written it meanwhile.
    """
    match = "" if alone else None
    for _ in range(LOOKS):
        try:
            send(match)
        except Unmet:
            found = bucket.head(path)
            match = found.etag if found else ""
        else:
            return
    raise PublishError(f"{bucket.name}/{path}: another publisher has written it meanwhile", hint=AGAIN)


@contextmanager
def _in_parts(bucket: Bucket, files: Mapping[str, Upload], sizes: Mapping[str, int]) -> Iterator[list[Large]]:
    """Begin uploads in parts; if one fails, all of them are taken back."""
    opened: list[Large] = []

    def begin(path: str) -> None:
        content = files[path]
        with bucket.complaints(path):
            parts = _parts(content, sizes[path])
        words = {"ChecksumAlgorithm": "SHA256", "Metadata": {"sha256": content.sha256}, **headers(path)}
        ticket = bucket.call("create_multipart_upload", path, **words)["UploadId"]
        opened.append(Large(path=path, content=content, ticket=ticket, parts=parts))

    try:
        bucket.each(begin, files)
        yield opened
    except BaseException:
        for one in opened:
            abort(bucket, one.path, one.ticket)
        raise


def abort(bucket: Bucket, path: str, ticket: str) -> None:
    """Take back an upload in parts, if that can be done."""
    try:
        bucket.call("abort_multipart_upload", path, UploadId=ticket)
    except PublishError as error:
        log.debug("an upload in parts was not taken back: %s", error.brief)


def _parts(content: Upload, size: int) -> tuple[Part, ...]:
    """Hash a file once, as a whole and in parts.

    Raises:
        PublishError: It is not what its hash says.
    """
    length = max(PART, -(-size // PARTS))
    whole = hashlib.sha256()
    parts = []
    with content.path.open("rb") as file:
        for number, offset in enumerate(range(0, size, length), 1):
            piece, left = hashlib.sha256(), min(length, size - offset)
            part = Part(number=number, offset=offset, size=left, checksum="")
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                piece.update(chunk)
                whole.update(chunk)
            parts.append((part, b64encode(piece.digest()).decode()))
    if whole.hexdigest() != content.sha256:
        raise changed(content.path)
    return tuple(
        Part(number=part.number, offset=part.offset, size=part.size, checksum=checksum)
        for part, checksum in parts
    )


def _piece(bucket: Bucket, one: Large, part: Part, told: Told) -> None:
    with bucket.complaints(one.path), _Slice(one.content.path, part) as body:
        answer = bucket.call(
            "upload_part",
            one.path,
            UploadId=one.ticket,
            PartNumber=part.number,
            Body=body,
            ContentLength=part.size,
            ChecksumSHA256=part.checksum,
        )
    one.etags[part.number] = answer["ETag"]
    told(part.size)


def _complete(bucket: Bucket, one: Large, *, alone: bool) -> None:
    parts = [
        {"PartNumber": part.number, "ETag": one.etags[part.number], "ChecksumSHA256": part.checksum}
        for part in one.parts
    ]

    def send(match: str | None) -> None:
        words = {"UploadId": one.ticket, "MultipartUpload": {"Parts": parts}, **condition(match)}
        bucket.call("complete_multipart_upload", one.path, **words)

    try:
        _over_ours(bucket, one.path, send, alone=alone)
    except PublishError:
        # A first attempt may have come through though its answer was lost.
        found = bucket.head(one.path)
        if found is None or found.sha256 != one.content.sha256:
            raise


def _read_back(bucket: Bucket, item: tuple[str, bytes | Upload]) -> None:
    path, content = item
    if bucket.sha256(path) != _sha256(content):
        bucket.remove([path])
        raise PublishError(
            f"{bucket.name}/{path} arrived with other bytes than were sent",
            hint=f"see that nothing writes to {getattr(content, 'path', 'it')} or alters requests; {AGAIN}",
        )


class _Slice(io.RawIOBase):
    """A part of a file, read where it lies."""

    def __init__(self, path: Path, part: Part) -> None:
        self._file = path.open("rb")
        self._part = part
        self._file.seek(part.offset)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() - self._part.offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._part.size}[whence]
        return self._file.seek(self._part.offset + base + offset) - self._part.offset

    def read(self, size: int = -1) -> bytes:
        left = self._part.size - self.tell()
        return self._file.read(left if size < 0 else min(size, left))

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _telling(bucket: Bucket, sizes: Mapping[str, int]) -> Iterator[Told]:
    """Show how far a long upload is: a bar on a terminal, else a line when it begins."""
    total = sum(sizes.values())
    if total < LONG:
        yield lambda _: None
        return
    log.info("uploading %d files, %.0f MB, to %s", len(sizes), total / 1e6, bucket.name)
    done, lock = 0, Lock()
    with transfers() as told:

        def more(size: int) -> None:
            nonlocal done
            with lock:
                done += size
                told(bucket.name, done, total)

        yield more

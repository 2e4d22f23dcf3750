# SPDX-License-Identifier: Apache-2.0
"""The lock of a repository on S3: an object that one publisher holds by renewing it, and that expires with it.

It is taken by a conditional write over what was read, so of many takers one succeeds. Whether it is still alive is
told by the store's clock alone: the time of the answer against the time of the object.
"""

import json
import logging
import os
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from bigtop_builder.errors import PublishError
from bigtop_builder.owner import whoever
from bigtop_builder.repository.store.bucket import Bucket, Found
from bigtop_builder.repository.store.refusal import AGAIN, Unmet

log = logging.getLogger(__name__)

LEASE = "state/lock"
SECONDS = 60.0
WAIT_SECONDS = 600.0
TOLD = 1.0
"""Seconds of waiting after which it is said for whom."""


class Lease:
    """The right to publish.

    Args:
        bucket: Where the repository lies.
        conditional: The store honours conditional writes. If not, a lease of somebody else is an error.
        seconds: How long it stands without being renewed.
        patience: Seconds to wait for another publisher.
    """

    def __init__(
        self, bucket: Bucket, *, conditional: bool, seconds: float = SECONDS, patience: float = WAIT_SECONDS
    ) -> None:
        self._bucket = bucket
        self._conditional = conditional
        self._seconds = seconds
        self._patience = patience
        self._token = uuid.uuid4().hex
        self._etag = ""
        self._alive = 0.0
        self._lost = False
        self._ended = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it.

        Raises:
            PublishError: Somebody else does, for too long.
        """
        self._take()
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._ended.set()
            beating.join()
            self._release()

    def check(self) -> None:
        """See that it is still ours.

        Raises:
            PublishError: It could not be renewed, and another publisher may have it.
        """
        if self._lost or time.monotonic() - self._alive > self._seconds * 0.75:
            raise PublishError(
                f"the lease {self._bucket.name}/{LEASE} could not be renewed in time",
                hint=f"another publisher may have taken it; {AGAIN}",
            )

    def _take(self) -> None:
        started = time.monotonic()
        told = False
        while True:
            found = self._bucket.get(LEASE)
            holder = self._holder(found)
            if not holder and self._write(found.etag if found else ""):
                return
            if holder and not self._conditional:
                raise PublishError(
                    f"{self._bucket.name} is being published to by {holder}",
                    details="This store ignores conditional writes, so publishers cannot wait for one another.",
                    hint=f"run the command again when that one has ended; a dead one's lease ends after "
                    f"{self._seconds:.0f} s",
                )
            waited = time.monotonic() - started
            if waited > self._patience:
                raise PublishError(
                    f"{self._bucket.name} has been published to by others for {self._patience:.0f} s",
                    details=f"now by {holder}" if holder else "",
                    hint=AGAIN,
                )
            if holder and waited > TOLD and not told:
                told = True
                where = f"{self._bucket.name}/{LEASE}"
                log.warning("waiting up to %.0f s for %s, who holds %s", self._patience, holder, where)
            time.sleep(random.uniform(0.05, 0.4))  # noqa: S311  # keeps waiting publishers from asking in step

    def _holder(self, found: Found | None) -> str:
        """Who holds the lease that was found; empty if nobody, or if it expired."""
        if found is None or (found.now - found.modified).total_seconds() > self._seconds:
            return ""
        try:
            told = json.loads(found.data)
        except ValueError:
            return "somebody unknown"
        return "" if told.get("token") == self._token else str(told.get("holder", "somebody unknown"))

    def _write(self, match: str, *, holder: str | None = None) -> bool:
        """Write the lease over what was there; whether that succeeded."""
        who = f"{whoever()} (process {os.getpid()})" if holder is None else holder
        text = json.dumps({"holder": who, "token": self._token, "beat": uuid.uuid4().hex}).encode()
        started = time.monotonic()
        try:
            self._etag = self._bucket.write(LEASE, text, match=match if self._conditional else None)
        except Unmet:
            # A first attempt may have come through though its answer was lost.
            found = self._bucket.get(LEASE)
            if found is None or found.data != text:
                return False
            self._etag = found.etag
        self._alive = started
        return True

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / 5):
            try:
                self._lost = self._lost or not self._write(self._etag)
            except PublishError as error:
                log.warning("the lease was not renewed: %s", error.brief)

    def _release(self) -> None:
        try:
            if not self._lost:
                self._write(self._etag, holder="")
        except PublishError as error:
            log.warning("the lease stays until it expires, %.0f s: %s", self._seconds, error.brief)

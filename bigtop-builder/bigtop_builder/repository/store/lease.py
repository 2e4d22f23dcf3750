# SPDX-License-Identifier: Apache-2.0
"""The lock of a repository on S3: an object that one publisher holds by renewing it, and that expires with it.

It is taken by a conditional write over what was read, so of many takers one succeeds. Whether it is still alive is
told by the store's clock alone: the time of the answer against the time of the object. Where conditions are ignored,
a taker waits and reads what stands: of two that overlooked each other, one finds the other's name there.

With it goes the word of what its holder may be removing (docs/decisions/0010-late-requests.md).
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
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from bigtop_builder.errors import PublishError
from bigtop_builder.owner import whoever
from bigtop_builder.repository.store.bucket import LEASE, Bucket, Found
from bigtop_builder.repository.store.refusal import AGAIN, Unmet

log = logging.getLogger(__name__)

SECONDS = 60.0
WAIT_SECONDS = 600.0
TOLD = 1.0
"""Seconds of waiting after which it is said for whom."""
LATE = timedelta(minutes=31)
"""How long after it was signed a request may still have an effect: S3 takes a signature whose time is within 15
minutes of its own clock, on either side."""


@dataclass(frozen=True, kw_only=True)
class Condemned:
    """Files that a holder said it would remove.

    Attributes:
        files: Path of the list of them.
        by: The holder.
        until: When no request of that holder can have an effect any more, in ISO 8601; empty while it has the lease.
    """

    files: str
    by: str
    until: str = ""

    @property
    def end(self) -> datetime:
        """The same moment, of a holder that is gone."""
        return datetime.fromisoformat(self.until)


class Lease:
    """The right to publish.

    Args:
        bucket: Where the repository lies.
        conditional: The store honours conditional writes. If not, a lease of somebody else is an error.
        seconds: How long it stands without being renewed.
        patience: Seconds to wait for another publisher.

    Attributes:
        inherited: What holders before may still be removing.
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
        self._writing = threading.Lock()
        self._condemned: tuple[Condemned, ...] = ()
        self.inherited: tuple[Condemned, ...] = ()

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
        if self._lost or _clock() - self._alive > self._seconds * 0.75:
            raise PublishError(
                f"the lease {self._bucket.name}/{LEASE} could not be renewed in time",
                hint=f"another publisher may have taken it; {AGAIN}",
            )

    def confirm(self) -> None:
        """The same where the store ignores conditions: there the name that stands in it decides.

        Raises:
            PublishError: It is another publisher's.
        """
        self.check()
        if not self._conditional and (holder := self._other()):
            self._lost = True
            raise self._taken(holder)

    def condemn(self, files: str) -> None:
        """Say, before anything is removed, where the list of it is.

        Raises:
            PublishError: The lease is another publisher's.
        """
        self._say((*self._condemned, Condemned(files=files, by=_me())))

    def spare(self, files: str) -> None:
        """Say that all of a list is gone, and no request is on its way.

        Raises:
            PublishError: The lease is another publisher's.
        """
        self._say(tuple(one for one in self._condemned if one.files != files))

    def _say(self, condemned: tuple[Condemned, ...]) -> None:
        self._condemned = condemned
        self._renew()
        self.check()

    def _take(self) -> None:
        started = _clock()
        told = False
        while True:
            asked = _clock()
            found = self._bucket.get(LEASE)
            holder = self._holder(found)
            if not holder:
                self._inherit(found)
            if not holder and self._write(found.etag if found else "") and self._settled(asked):
                return
            if holder and not self._conditional:
                raise self._taken(holder)
            waited = _clock() - started
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

    def _settled(self, asked: float) -> bool:
        """Whether no other taker can have overlooked this one's write, where the store ignores conditions.

        Who wrote within this time of asking is found by whoever waits for as long after a write of his own: the later
        write stands when the earlier taker reads. Who was slower asks again.

        Args:
            asked: When the store was asked who holds it.

        Raises:
            PublishError: Another one holds it.
        """
        if self._conditional:
            return True
        pause = self._seconds / 20
        slow = _clock() - asked > pause
        time.sleep(pause)
        if holder := self._other():
            raise self._taken(holder)
        return not slow

    def _other(self) -> str:
        """Who else holds the lease, as it stands."""
        found = self._bucket.get(LEASE)
        return self._holder(found) if found else "somebody who removed it"

    def _taken(self, holder: str) -> PublishError:
        return PublishError(
            f"{self._bucket.name} is being published to by {holder}",
            details="This store ignores conditional writes, so publishers cannot wait for one another.",
            hint=f"run the command again when that one has ended; a dead one's lease ends after "
            f"{self._seconds:.0f} s",
        )

    def _inherit(self, found: Found | None) -> None:
        """Take over the word of what holders before may still be removing."""
        if found is None:
            return
        left = [
            Condemned(files=one.files, by=one.by, until=one.until or (found.now + LATE).isoformat())
            for one in _condemned(_told(found.data))
        ]
        self._condemned = self.inherited = tuple(one for one in left if one.end > found.now)

    def _holder(self, found: Found | None) -> str:
        """Who holds the lease that was found; empty if nobody, or if it expired."""
        if found is None or (found.now - found.modified).total_seconds() > self._seconds:
            return ""
        told = _told(found.data)
        if told is None:
            return "somebody unknown"
        return "" if told.get("token") == self._token else str(told.get("holder", "somebody unknown"))

    def _write(self, match: str, *, holder: str | None = None) -> bool:
        """Write the lease over what was there; whether that succeeded."""
        who = _me() if holder is None else holder
        told = {"holder": who, "token": self._token, "beat": uuid.uuid4().hex}
        condemned = [asdict(one) for one in self._condemned]
        text = json.dumps({**told, "condemned": condemned} if condemned else told).encode()
        started = _clock()
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
                self._renew()
            except PublishError as error:
                log.warning("the lease was not renewed: %s", error.brief)

    def _renew(self) -> None:
        with self._writing:
            self._lost = self._lost or not self._ours() or not self._write(self._etag)

    def _ours(self) -> bool:
        """Whether a write without a condition would be over our own."""
        return self._conditional or not self._other()

    def _release(self) -> None:
        try:
            if not self._lost and self._ours():
                self._write(self._etag, holder="")
        except PublishError as error:
            log.warning("the lease stays until it expires, %.0f s: %s", self._seconds, error.brief)


def _clock() -> float:
    """Seconds that go on while the machine is suspended (clock_gettime(2)), as those of the store do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _me() -> str:
    return f"{whoever()} (process {os.getpid()})"


def _told(data: bytes) -> dict[str, Any] | None:
    """What a lease says; None if it is none of ours."""
    try:
        told = json.loads(data)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _condemned(told: dict[str, Any] | None) -> list[Condemned]:
    return [Condemned(**one) for one in (told or {}).get("condemned", ())]

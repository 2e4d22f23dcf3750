# SPDX-License-Identifier: Apache-2.0
"""A repository on S3. There are no links: an alias is left out, and `switch` copies what a suite's path needs.

The last step of a switch is a conditional write of InRelease, over the one that the publisher read. So even one who
lost the lock without noticing cannot undo another's publish. Before each request that writes the lease is looked at,
and what a request can spoil that comes too late is said in docs/decisions/0010-late-requests.md.
"""

import json
import logging
import re
import tempfile
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

from bigtop_builder.errors import PublishError
from bigtop_builder.repository.store import Alias, Content, Held, Listed, Present, Staged, Upload
from bigtop_builder.repository.store.bucket import Bucket, Found
from bigtop_builder.repository.store.deeds import Deeds
from bigtop_builder.repository.store.download import fetch
from bigtop_builder.repository.store.lease import SECONDS, WAIT_SECONDS, Condemned, Lease
from bigtop_builder.repository.store.refusal import AGAIN, Refused, Unmet
from bigtop_builder.repository.store.upload import abort, upload

log = logging.getLogger(__name__)

PROBE = "state/probe"
PROBED = b"What this store does with conditions and checksums is tried out here.\n"
SIGNED = "InRelease"
OTHERS = ("Release", "Release.gpg")
INDEX = re.compile(rb"^ ([0-9a-f]{64}) [0-9]+ (\S+)$", re.MULTILINE)
"""An index in a Release file: its sha256 and its path."""
SERIAL = re.compile(rb"^X-Serial: ([0-9]+)$", re.MULTILINE)
CONDEMNED = "state/condemned"
ADDRESSED = re.compile(r"(by-hash|snapshots|state/(blocks|verdicts|manifests|builds))/")
"""Paths that have the same bytes whoever writes them. No others are written over what somebody else wrote."""


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a store was found to do.

    Attributes:
        conditional: It honours If-Match and If-None-Match on writes.
        verifies: It refuses bytes that are not what their sha256 says.
    """

    conditional: bool
    verifies: bool


class S3Store:
    """A prefix of a bucket that a web server or the store itself gives out.

    Args:
        bucket: The prefix.
        lease_seconds: How long a publisher that does not answer any more keeps others out.
        patience: Seconds to wait for another publisher.
    """

    def __init__(
        self, bucket: Bucket, *, lease_seconds: float = SECONDS, patience: float = WAIT_SECONDS
    ) -> None:
        self._bucket = bucket
        self._lease_seconds = lease_seconds
        self._patience = patience
        self._lease: Lease | None = None
        self._condemned: dict[str, Condemned] = {}
        self._deeds = Deeds()

    @property
    def name(self) -> str:
        """Its URL."""
        return self._bucket.name

    @property
    def readers(self) -> int:
        """Many: an answer takes a while."""
        return 16

    @cached_property
    def abilities(self) -> Abilities:
        """What the store does, tried out on an object of its own, once by each publisher."""
        self._bucket.write(PROBE, PROBED)
        trials = (
            {"match": ""},
            {"match": f'"{"0" * 32}"'},
            {"ChecksumSHA256": "A" * 43 + "="},
        )
        new, other, wrong = self._bucket.each(self._refuses, trials)
        found = Abilities(conditional=new and other, verifies=wrong)
        if not found.conditional:
            log.warning("%s ignores conditional writes: only one may publish at a time", self.name)
        return found

    def _refuses(self, words: Mapping[str, str]) -> bool:
        try:
            self._bucket.write(PROBE, PROBED, **words)
        except Unmet:
            return True
        except Refused as error:
            if error.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_IMPLEMENTED}:
                raise
            return "ChecksumSHA256" in words and error.status == HTTPStatus.BAD_REQUEST
        return False

    def read(self, path: str) -> bytes | None:
        """An object's bytes; None if there is none, or a gc before may still remove it."""
        found = None if path in self._condemned else self._bucket.get(path)
        return found.data if found else None

    def size(self, path: str) -> int | None:
        """Bytes of an object; None if there is none, or a gc before may still remove it."""
        found = None if path in self._condemned else self._bucket.head(path)
        return found.size if found else None

    def sha256(self, path: str) -> str:
        """Hash of an object's bytes."""
        return self._bucket.sha256(path)

    def origin(self, path: str) -> str:
        """The path: what clients ask for are copies."""
        return path

    def held(self, paths: Iterable[str]) -> dict[str, Held]:
        """What is known of those files that are there and stay, asked for many at a time."""
        wanted = [path for path in dict.fromkeys(paths) if path not in self._condemned]
        found = self._bucket.each(self._bucket.head, wanted)
        return {
            path: Held(size=one.size, sha256=one.sha256)
            for path, one in zip(wanted, found, strict=True)
            if one
        }

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted."""
        return tuple(sorted(self._bucket.names(folder)))

    def walk(self, folder: str) -> Iterator[Listed]:
        """All objects below a folder."""
        return self._bucket.below(folder)

    def local(self, files: Mapping[str, Held], folder: Path) -> list[Path]:
        """Copies in a folder; those that are there already, and whole, are not fetched again.

        Raises:
            PublishError: One is missing or was altered.
        """
        return self._bucket.each(
            lambda item: fetch(self._bucket, item[0], item[1].sha256, folder), files.items()
        )

    def stage(self, files: Mapping[str, Path]) -> Mapping[str, Staged]:  # noqa: ARG002  # the store's signature
        """Nothing: an upload says its hash before its bytes."""
        return {}

    def put(self, files: Mapping[str, Content], *, modified: datetime | None = None) -> None:  # noqa: ARG002
        """Upload files, 32 at a time. Aliases are left out, and times are the store's own.

        Raises:
            PublishError: The store refused one, one is not what its hash says, or a gc before may still remove it.
        """
        self._require_spared(files)
        wanted = {
            path: Upload(one.path, one.sha256) if isinstance(one, Staged) else one
            for path, one in files.items()
            if not isinstance(one, Alias | Present)
        }
        self._check()
        if wanted:
            able = self.abilities
            alone = frozenset(path for path in wanted if able.conditional and not ADDRESSED.match(path))
            upload(self._bucket, wanted, verifies=able.verifies, alone=alone)

    def _require_spared(self, paths: Iterable[str]) -> None:
        for path in paths:
            if one := self._condemned.get(path):
                raise PublishError(
                    f"{self.name}/{path} was being removed by {one.by}, who did not come to an end",
                    details="A request of that one may still be on its way, and would remove it again.",
                    hint=f"nothing was switched: run the command again after {one.end:%H:%M} UTC; "
                    "repo gc can be run before",
                )

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder of this machine."""
        with tempfile.TemporaryDirectory(prefix="bigtop-builder-") as name:
            yield Path(name)

    def clear(self, folder: str) -> None:
        """Nothing: what is put comes in the place of what a killed publisher left under the same names."""

    def remove(self, paths: Collection[str]) -> None:
        """Remove objects, 32 at a time, after it was said which: where the lease is lost, nobody builds on them."""
        self._check()
        doomed = [path for path in paths if not path.startswith("dists/")]
        with self._condemning(self._lease, doomed) if self._lease and doomed else nullcontext():
            self._bucket.remove(paths)
            self._deeds.removed(len(paths))

    @contextmanager
    def _condemning(self, lease: Lease, paths: Sequence[str]) -> Iterator[None]:
        """Let the lease say what is being removed, until it is."""
        files = f"{CONDEMNED}/{uuid.uuid4().hex}.json"
        self._bucket.write(files, json.dumps({"format": 1, "paths": paths}).encode())
        lease.condemn(files)
        yield
        lease.spare(files)
        named = {one.files for one in lease.inherited}
        self._bucket.remove({f"{CONDEMNED}/{name}" for name in self.names(CONDEMNED)} - named)

    def switch(self, suite: str, release: str, *, files: Mapping[str, str], before: bytes | None) -> None:
        """Copy a suite's files to its path: by-hash files first, then the named ones, InRelease last.

        If that fails the named ones are put back, so that hosts without by-hash can go on too.

        Raises:
            PublishError: Another publisher switched the suite meanwhile, or the store failed.
        """
        folder = f"dists/{suite}"
        self._require_spared(files.values())
        self._check()
        standing = self._bucket.get(f"{folder}/{SIGNED}")
        if (standing.data if standing else None) != before:
            raise self._overtaken(suite)
        signed = self.read(f"{release}/{SIGNED}")
        if signed is None:
            raise PublishError(f"{self.name}/{release}/{SIGNED} is missing", hint=AGAIN)
        by_hash = {path: place for path, place in files.items() if "by-hash/" in path}
        named = {path: place for path, place in files.items() if path not in by_hash}
        self._copy(folder, by_hash)
        _await_next_second(standing)
        try:
            self._copy(folder, named)
            self._copy(folder, {name: f"{release}/{name}" for name in OTHERS})
            if self._lease:
                self._lease.confirm()
            self._sign(suite, f"{folder}/{SIGNED}", signed, standing)
        except PublishError:
            self._put_back(folder, release, named)
            raise
        self._deeds.switched(suite)

    def _copy(self, folder: str, files: Mapping[str, str]) -> None:
        self._bucket.each(lambda path: self._bucket.copy(files[path], f"{folder}/{path}"), files)

    def _put_back(self, folder: str, release: str, named: Collection[str]) -> None:
        """Bring the named files back to what the suite's InRelease says, if the store lets that be done."""
        try:
            standing = self._bucket.get(f"{folder}/{SIGNED}")
            serial = SERIAL.search(standing.data) if standing else None
            if standing and serial:
                known = {path.decode(): sha256.decode() for sha256, path in INDEX.findall(standing.data)}
                self._copy(folder, {path: f"by-hash/SHA256/{known[path]}" for path in known.keys() & named})
                before = f"{release.rpartition('/')[0]}/{serial[1].decode()}"
                self._copy(folder, {name: f"{before}/{name}" for name in OTHERS})
        except PublishError as error:
            log.warning(
                "%s/%s: hosts that do not use by-hash cannot update until the command is run again: %s",
                self.name,
                folder,
                error.brief,
            )

    def _sign(self, suite: str, path: str, signed: bytes, standing: Found | None) -> None:
        match = (standing.etag if standing else "") if self.abilities.conditional else None
        try:
            self._bucket.write(path, signed, match=match)
        except Unmet as error:
            # A first attempt may have come through though its answer was lost.
            if self.read(path) != signed:
                raise self._overtaken(suite) from error

    def take_down(self, suite: str) -> None:
        """Remove InRelease, which ends the suite, then its indices.

        Release goes before it: a client that finds no InRelease asks for that, and then for its signature.
        """
        folder = f"dists/{suite}"
        for name in ("Release", SIGNED):
            self.remove([f"{folder}/{name}"])
        self.remove([one.path for one in self._bucket.below(folder)])

    def _overtaken(self, suite: str) -> PublishError:
        return PublishError(f"{self.name}: another publisher switched {suite} meanwhile", hint=AGAIN)

    def _check(self) -> None:
        if self._lease:
            self._lease.check()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lease, and take back the uploads that a killed publisher left half-done.

        Raises:
            PublishError: Another publisher has it for too long, or at all if the store ignores conditions.
        """
        self._lease = Lease(
            self._bucket,
            conditional=self.abilities.conditional,
            seconds=self._lease_seconds,
            patience=self._patience,
        )
        try:
            with self._deeds.told(), self._lease.held():
                self._bucket.allow = self._lease.check
                self._condemned = dict(self._doomed(self._lease.inherited))
                self._clear()
                yield
        finally:
            self._lease = None
            self._condemned = {}
            self._bucket.allow = lambda: None

    def _doomed(self, inherited: Iterable[Condemned]) -> Iterator[tuple[str, Condemned]]:
        for one in inherited:
            if found := self._bucket.get(one.files):
                yield from ((path, one) for path in json.loads(found.data)["paths"])

    def _clear(self) -> None:
        for path, ticket in self._bucket.unfinished():
            abort(self._bucket, path, ticket)


def _await_next_second(standing: Found | None) -> None:
    """Wait until the store's clock would give another second than the standing file's: apt compares no finer."""
    if standing and standing.now - standing.modified < timedelta(seconds=1):
        time.sleep(1.0)

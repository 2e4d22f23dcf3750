# SPDX-License-Identifier: Apache-2.0
"""What a rehearsal came to: a signed file beside the fleet manifest, by which a snapshot may be let through."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from bigtop_builder import __version__, openpgp
from bigtop_builder.atomic import write_whole
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.fleet.fleet_manifest import FleetManifest
from bigtop_builder.fleet.runbook import Runbook
from bigtop_builder.openpgp import Keyring
from bigtop_builder.schema import Fingerprint, Name, Sha256, Value

FILE = "rehearsal.json"
SIGNATURE = f"{FILE}.asc"

Way = Literal["on", "back"]
BROKEN = "hosts were not as before after an earlier trial"
"""Why a fault was not tried, where nothing would be learned from it."""


class RanStep(Value):
    """A step on one host."""

    phase: str = Field(description="Phase of the runbook; empty for what the rehearsal does itself")
    id: str = Field(description="Step of the runbook, or what the rehearsal did")
    way: Way
    host: str
    exit: int = Field(description="Exit status; -1 if the host was gone before it ended")
    seconds: float = Field(ge=0)


class Trial(Value):
    """The day, played through once from the old snapshot, and back."""

    fault: str = Field("", description="What was done to it on purpose; empty if nothing")
    host: str = Field("", description="Where")
    reached: str = Field(description="Phase in which it ended or was stopped")
    stopped: str = Field("", description="What the step said that stopped it")
    steps: tuple[RanStep, ...]
    findings: tuple[str, ...] = Field((), description="What is not as it should be; empty if all is")
    notes: tuple[str, ...] = Field((), description="What is otherwise than before, and may be")
    seconds: float = Field(ge=0)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.fault or "the whole day"


class RehearsalRecord(Value):
    """A rehearsal of the way from one snapshot to another, and back."""

    format: Literal[1] = 1
    origin: str = Field(description="Origin of the repository")
    keys: tuple[Fingerprint, ...] = Field(description="Keys that sign the repository, and this")
    old: Sha256 = Field(description="Snapshot that hosts come from")
    new: Sha256 = Field(description="Snapshot that they go to")
    manifests: dict[Literal["old", "new"], Sha256] = Field(description="Of the fleet manifests' files")
    runbook: Sha256 = Field(description="Of runbook.json")
    target: str = Field(description="Distribution of the containers, as in `deb12`")
    roles: dict[Name, tuple[Name, ...]] = Field(description="Role -> its packages; one container each")
    left_out: tuple[Name, ...] = Field((), description="Roles of the fleet that were not played")
    finalized: bool = Field(False, description="Whether what cannot be undone was tried too, at the end")
    faults: tuple[str, ...] = Field((), description="Faults that were tried")
    not_tried: dict[str, str] = Field(default_factory=dict, description="Fault -> why it was not")
    date: datetime = Field(description="End, UTC")
    tool: str = Field(description="Version of bigtop-builder")
    seconds: float = Field(ge=0, description="All in all")
    trials: tuple[Trial, ...]
    passed: bool = Field(description="All trials ended as they should")

    @property
    def findings(self) -> list[str]:
        """What is not as it should be, of all trials."""
        return [f"{one.name}: {found}" for one in self.trials for found in one.findings]


def record_of(
    new: FleetManifest,
    old: FleetManifest,
    *,
    runbook: Runbook,
    target: str,
    left_out: Sequence[str],
    not_tried: Mapping[str, str],
    trials: Sequence[Trial],
    finalized: bool,
    seconds: float,
) -> RehearsalRecord:
    """The record of trials that were played.

    Args:
        new: What hosts went to.
        old: What they came from.
        runbook: What was played.
        target: Tag of the distribution.
        left_out: Roles that were not played.
        not_tried: Fault -> why it was not.
        trials: The whole day first.
        finalized: The last of them went beyond the point of no return.
        seconds: How long all of it took.
    """
    broken = set(not_tried.values()) & {BROKEN}
    return RehearsalRecord(
        origin=new.origin,
        keys=new.keys,
        old=old.snapshot,
        new=new.snapshot,
        manifests={"old": _sha256(old), "new": _sha256(new)},
        runbook=_sha256(runbook),
        target=target,
        roles=new.roles,
        left_out=tuple(left_out),
        finalized=finalized,
        faults=tuple(one.fault for one in trials if one.fault),
        not_tried=dict(not_tried),
        date=datetime.now(UTC),
        tool=__version__,
        seconds=round(seconds, 1),
        trials=tuple(trials),
        passed=not broken and not any(one.findings for one in trials),
    )


def write_signed(record: RehearsalRecord, keyring: Keyring, folder: Path) -> Path:
    """Write a record and its detached signature; where it is.

    Raises:
        SigningError: A key cannot sign.
    """
    text = record.to_json()
    signature = keyring.detach_sign(text.encode(), record.keys).decode()
    (folder / SIGNATURE).unlink(
        missing_ok=True
    )  # a signature of another text would be taken for an altered file
    write_whole(folder / FILE, text)
    write_whole(folder / SIGNATURE, signature)
    return folder / FILE


def read_signed(path: Path, public: bytes) -> RehearsalRecord:
    """A record whose signature, `.asc` beside it, holds.

    Args:
        path: The record.
        public: Keys, binary, of which one must have signed it.

    Raises:
        InputError: One of the two files cannot be read, or it is no record of a rehearsal.
        SigningError: None of the keys has signed it, or it was altered.
    """
    try:
        text, signed = path.read_bytes(), path.with_name(f"{path.name}.asc").read_bytes()
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}",
            hint="bigtop-builder fleet rehearse OLD NEW writes both, the record and its signature",
        ) from error
    proof = openpgp.verify(text, keyring=public, signature=signed, what=str(path))
    return RehearsalRecord.from_json(proof.text, source=str(path))


def require_green(path: Path, public: bytes, *, new: str, old: str = "") -> RehearsalRecord:
    """The record of a rehearsal that lets a snapshot through.

    Args:
        path: The record.
        public: Keys, binary, of which one must have signed it.
        new: The snapshot that hosts are to go to.
        old: The one that they come from; any if empty.

    Raises:
        InputError: It cannot be read.
        SigningError: None of the keys has signed it.
        CheckFailed: It is about other snapshots, did not end well, or left out roles or faults.
    """
    again = f"bigtop-builder fleet rehearse {old[:16] or 'OLD'} {new[:16]}"
    record = read_signed(path, public)
    if record.new != new or (old and record.old != old):
        raise CheckFailed(
            f"{path} is the rehearsal of another way, from {record.old[:16]} to {record.new[:16]}", hint=again
        )
    if not record.passed:
        raise CheckFailed(
            f"{path} is the rehearsal of a day that failed",
            details="\n".join(record.findings),
            hint=f"mend what it says, and {again}",
        )
    if record.left_out or record.not_tried or not record.faults:
        missing = [f"role {one}" for one in record.left_out]
        missing += [f"fault {name}: {why}" for name, why in record.not_tried.items()]
        raise CheckFailed(
            f"{path} is a rehearsal in part",
            details="\n".join(missing) or "no fault was tried",
            hint=f"{again}, without --role, --fault and --no-faults",
        )
    return record


def _sha256(value: Value) -> str:
    return hashlib.sha256(value.to_json().encode()).hexdigest()

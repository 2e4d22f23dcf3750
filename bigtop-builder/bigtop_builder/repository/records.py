# SPDX-License-Identifier: Apache-2.0
"""What histories and snapshots name besides packages and indices: .changes, .buildinfo, verdicts, manifests."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePath

from bigtop_builder.repository import layout
from bigtop_builder.repository.layout import COPY, Entry, Snapshot
from bigtop_builder.repository.store import Store

VERDICT = "verdict:"


def of_entry(store: Store, entry: Entry) -> dict[str, str]:
    """Path -> sha256 of what an entry names; nothing in a mirror, which has the entries alone."""
    if store.size(layout.MIRROR) is not None:
        return {}
    named = {layout.record_file(one, PurePath(name).suffix): one for name, one in entry.records.items()}
    verdicts = (one.verified.removeprefix(VERDICT) for one in entry.added if one.verified.startswith(VERDICT))
    return named | {layout.verdict_file(one): one for one in verdicts}


def of_snapshot(snapshot: Snapshot) -> dict[str, str]:
    """Path -> sha256 of what a snapshot names."""
    return {layout.manifest_file(one): one for one in snapshot.manifests}


def wrong(store: Store, wanted: dict[str, str]) -> Iterator[str]:
    """What is wrong with records, one thing a line with what mends it."""
    for path, sha256 in wanted.items():
        text = store.read(path)
        if text is None:
            yield f"{path} is missing: {COPY}"
        elif hashlib.sha256(text).hexdigest() != sha256:
            yield f"{path} was altered: {COPY}"

# SPDX-License-Identifier: Apache-2.0
"""Files in a repository's place that are none of its own: nothing ever reads them, and no command removes them."""

import re
from collections.abc import Iterator

from bigtop_builder.repository import layout
from bigtop_builder.repository.state import State

NAME = r"[A-Za-z0-9][A-Za-z0-9+._~\-]*"
OURS = re.compile(
    "|".join(
        [
            rf"(dists|releases)/{layout.SUITE.pattern}(/.+)?",
            r"snapshots/[0-9a-f]{64}/.+",
            r"by-hash/(SHA256/[0-9a-f]{64}|SHA512/[0-9a-f]{128})",
            rf"pool/{NAME}/{NAME}/{NAME}/[^/]+",
            r"state/(blocks|verdicts|manifests|sboms|provenance)/[0-9a-f]{64}\.(gz|xz|zst|json)",
            rf"state/history/{layout.SUITE.pattern}/[0-9]+\.json(\.asc)?",
            r"state/builds/[0-9a-f]{64}\.(changes|buildinfo)",
            r"state/collected/[0-9TZ]+\.json(\.asc)?",
            r"state/keys/[0-9A-F]{40}\.gpg",
            r"state/tmp/.+",
            r"state/(repository\.json|mirror\.json|withdrawn\.asc|lock|probe)",
        ]
    )
)
"""Paths that some version of a repository has; which of them are still needed is `gc`'s question."""


def strays(state: State) -> Iterator[str]:
    """Files that are none of the repository's, and suites that its settings do not have."""
    suites = set(state.settings().suites)
    unknown: set[str] = set()
    for one in state.store.walk(""):
        top, _, rest = one.path.partition("/")
        suite = rest.partition("/")[0]
        if OURS.fullmatch(one.path) is None:
            yield f"{one.path} is none of the repository's files: remove it, or serve it from another place"
        elif top == "dists" and suite not in suites and not layout.OWN_SUITE.fullmatch(suite):
            unknown.add(suite)
    for suite in sorted(unknown):
        entry = state.retired(suite)
        if entry and entry.serial == max(state.entries(suite)):
            yield f"dists/{suite} is there, and was to be retired: bigtop-builder repo retire {suite} completes it"
            continue
        yield (
            f"dists/{suite} is a suite that {layout.SETTINGS} does not have: "
            f"bigtop-builder repo add {suite} DEB --new-suite makes it known, or remove it"
        )

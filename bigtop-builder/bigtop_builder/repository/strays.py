# SPDX-License-Identifier: Apache-2.0
"""Files in a repository's place that are none of its own, and suites that it does not know of."""

import re
from collections.abc import Iterator

from bigtop_builder.repository import layout
from bigtop_builder.repository.accidents import known_again
from bigtop_builder.repository.state import State

NAME = r"[A-Za-z0-9][A-Za-z0-9+._~\-]*"
OURS = re.compile(
    "|".join(
        [
            rf"(dists|releases)/{layout.SUITE.pattern}(/.+)?",
            r"snapshots/[0-9a-f]{64}/.+",
            r"by-hash/(SHA256/[0-9a-f]{64}|SHA512/[0-9a-f]{128})",
            rf"pool/{NAME}/{NAME}/{NAME}/[^/]+",
            r"state/(blocks|verdicts|manifests)/[0-9a-f]{64}\.(gz|xz|zst|json)",
            rf"state/history/{layout.SUITE.pattern}/[0-9]+\.json(\.asc)?",
            r"state/builds/[0-9a-f]{64}\.(changes|buildinfo)",
            r"state/collected/[0-9TZ]+\.json(\.asc)?",
            r"state/keys/[0-9A-F]{40}\.gpg",
            r"state/tmp/.+",
            r"state/condemned/[0-9a-f]{32}\.json",
            r"state/(repository\.json|mirror\.json|withdrawn\.asc|lock|probe)",
        ]
    )
)
"""Paths that some version of a repository has; which of them are still needed is `gc`'s question."""


def strays(state: State) -> Iterator[str]:
    """Files that are none of the repository's, and suites that were not quite retired."""
    for one in state.store.walk(""):
        if OURS.fullmatch(one.path) is None:
            yield f"{one.path} is none of the repository's files: remove it, or serve it from another place"
    for suite in _unknown(state):
        if _retiring(state, suite):
            yield f"dists/{suite} is there, and was to be retired: bigtop-builder repo retire {suite} completes it"
        elif not state.entries(suite):
            yield f"dists/{suite} is none of the repository's suites: remove it, or serve it from another place"


def forgotten(state: State) -> Iterator[str]:
    """Suites that were published to and stand, and that no command knows: the settings do not have them."""
    for suite in _unknown(state):
        if state.entries(suite) and not _retiring(state, suite):
            yield f"dists/{suite} is a suite that {layout.SETTINGS} does not have: {known_again(suite)}"


def _unknown(state: State) -> list[str]:
    suites = set(state.store.names("dists")) - set(state.settings().suites)
    return sorted(one for one in suites if not layout.OWN_SUITE.fullmatch(one))


def _retiring(state: State, suite: str) -> bool:
    entry = state.retired(suite)
    return entry is not None and entry.serial == max(state.entries(suite))

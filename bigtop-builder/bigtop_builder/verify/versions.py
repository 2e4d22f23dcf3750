# SPDX-License-Identifier: Apache-2.0
"""Version policy: the revision is the stamp that the plan gave to this build (design, invariant 2)."""

import re
from collections.abc import Mapping

from bigtop_builder.artifact import Deb

ALLOWED = re.compile(r"[A-Za-z0-9.+~]+")


def check_version(deb: Deb, *, component: str, expected: Mapping[str, str]) -> list[str]:
    """Problems of a version, none if it is the planned one.

    A `-` in the upstream part is refused too: Bigtop's versionless symlinks break on it (BIGTOP-4545).

    Args:
        deb: The package.
        component: Component it was built from.
        expected: Component -> stamp (BIGTOP_BUILD_STAMP).
    """
    if component not in expected:
        return [f"component {component} has no stamp in the plan"]
    without_epoch = deb.version.partition(":")[2] or deb.version
    upstream, dash, revision = without_epoch.rpartition("-")
    if not dash:
        return [f"version {deb.version} has no revision, the plan gave {expected[component]}"]
    problems = []
    if revision != expected[component]:
        problems.append(f"revision of {deb.version} is {revision}, the plan gave {expected[component]}")
    problems += [
        f"{part!r} in version {deb.version} has characters outside of A-Z a-z 0-9 . + ~"
        for part in (upstream, revision)
        if not ALLOWED.fullmatch(part)
    ]
    return problems

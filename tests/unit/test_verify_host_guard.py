# SPDX-License-Identifier: Apache-2.0
"""The guard of an upgrade, as it stands on a host."""

from pathlib import Path

import pytest

from bigtop_builder.fleet.verify_host.guard import ASIDE, GUARD, MARK, guard
from host_files import host

OURS = f"#!/bin/sh\n# {MARK.decode()}: nothing starts\nexit 101\n"
POLICIES: dict[str, tuple[str, bool, set[str], set[str]]] = {
    # text, whether it is executable, what is found if the guard is to be off, and if it is to be on
    "none": ("", True, set(), {"it is off"}),
    "ours": (OURS, True, {"it is on"}, set()),
    "ours, which invoke-rc.d passes over": (OURS, False, {"it is on"}, {"it is not executable"}),
    "made by hand": ("#!/bin/sh\nexit 101\n", True, {"it is on"}, set()),
    "with more care": ("#!/bin/sh\nset -e\n\n  exit 101 # until noon\n", True, {"it is on"}, set()),
    "in one line": ("#!/bin/sh\n:\nexit 101;", True, {"it is on"}, set()),
    "for one service": ('#!/bin/sh\n[ "$1" != nginx ] || exit 101\n', True, {"note"}, {"it is off"}),
    "for all but one": ('#!/bin/sh\n[ "$1" != ssh ] || exit 0\nexit 101\n', True, {"note"}, {"it is off"}),
}


@pytest.mark.parametrize("case", POLICIES)
def test_a_guard_is_known_by_what_it_does(tmp_path: Path, case: str) -> None:
    text, runs, off, on = POLICIES[case]
    root = host(tmp_path, {"usr/sbin/policy-rc.d": text} if text else {})
    if text:
        (tmp_path / "usr/sbin/policy-rc.d").chmod(0o755 if runs else 0o644)
    for expected, found in {"off": off, "on": on}.items():
        said = list(guard(root, expected))
        assert {one.detail.partition(":")[0] if one.level == "error" else "note" for one in said} == found


LOST: dict[str, dict[str, str | bytes]] = {
    "between dpkg-divert and mv": {
        "usr/sbin/policy-rc.d.before-guard": "#!/bin/sh\nexit 0\n",
        "var/lib/dpkg/diversions": f"{GUARD}\n{ASIDE}\n:\n",
    },
    "on a host without a policy": {"var/lib/dpkg/diversions": f"{GUARD}\n{ASIDE}\n:\n"},
    "by rm, and the diversion too": {"usr/sbin/policy-rc.d.before-guard": "x"},
}


@pytest.mark.parametrize("case", LOST)
def test_a_policy_of_the_hosts_own_that_was_left_aside_fails(tmp_path: Path, case: str) -> None:
    root = host(tmp_path, LOST[case])
    (found,) = guard(root, "off")
    assert (found.check, found.subject, found.level) == ("guard", ASIDE, "error")
    policy = tmp_path / "usr/sbin/policy-rc.d"
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text(OURS)
    policy.chmod(0o755)
    assert list(guard(root, "on")) == []

# SPDX-License-Identifier: Apache-2.0
"""Several publishers at once, and publishers whose clock is wrong."""

import itertools
import re
import shutil
import time
from pathlib import Path

import pytest
from commands import ADD, FULL, PACKAGE
from hook import Fault
from stage import TOOL, Desk, Stage, start_tool
from sweep import Sweep

from apt_host import write_deb
from bigtop_builder.errors import PublishError
from bigtop_builder.repository.publish import Repository
from bigtop_builder.run import Completed, run
from forked import SECONDS
from health import problems


def packages(root: Path) -> set[tuple[str, str]]:
    """Name and version of what `stable` has."""
    state = Repository.open(root).state
    pointer = state.unverified_pointer("stable")
    assert pointer
    index = state.snapshot(pointer.snapshot).components["main"]["amd64"]
    return {(one.name, one.version) for one in state.packages(index)}


@pytest.mark.parametrize("count", [2, 8])
def test_what_several_publish_at_once_lands_and_nothing_is_lost(
    stage: Stage, tmp_path: Path, count: int
) -> None:
    root = tmp_path / "repository"
    shutil.copytree(stage.folder / FULL, root, symlinks=True)
    before = packages(root)
    debs = [write_deb(tmp_path, f"package{number}", "1") for number in range(count)]
    running = [
        start_tool(
            stage,
            ["repo", "add", "stable", str(deb), "--repo", str(root)],
            tmp_path / f"said{number}",
            Fault(root=root),
        )
        for number, deb in enumerate(debs)
    ]
    for number, process in enumerate(running):
        process.join(SECONDS)
        assert process.exitcode == 0, (tmp_path / f"said{number}").read_text()
    assert packages(root) == before | {(f"package{number}", "1") for number in range(count)}
    history = Repository.open(root).state.history("stable")
    assert [entry.serial for entry in history] == list(range(1, count + 3))
    assert all(later.before == entry.after for entry, later in itertools.pairwise(history))
    assert problems(Repository.open(root).state) == ()


def with_clock_off(stage: Stage, root: Path, deb: Path, seconds: str) -> Completed:
    """Add a package on a machine whose clock is off."""
    words = ["repo", "add", "stable", str(deb), "--repo", str(root)]
    variables = {"BIGTOP_BUILDER_KEYS_DIR": str(stage.keys), "TZ": "UTC"}
    return run(["faketime", "-f", seconds, TOOL, *words], check=False, env=variables)


def test_a_publisher_whose_clock_is_behind_is_refused_until_time_has_caught_up(
    sweep: Sweep, tmp_path: Path
) -> None:
    def attempt(place: Desk) -> None:
        place.lay_out(ADD.base)
        assert place.run(ADD).status == 0
        before = packages(place.root)
        refused = with_clock_off(place.stage, place.root, write_deb(tmp_path, "late", "1"), "-20s")
        assert refused.returncode == PublishError.exit_code, refused.complaint
        assert re.search(r"(1\d|2\d) s ahead of this machine's clock", refused.complaint)
        assert "way out: set the clock" in refused.complaint
        assert packages(place.root) == before
        assert place.problems() == ()

    sweep.at_a_desk(attempt)


def test_a_publisher_whose_clock_is_ahead_keeps_others_waiting_and_nothing_is_lost(
    sweep: Sweep, tmp_path: Path
) -> None:
    def attempt(place: Desk) -> None:
        place.lay_out(ADD.base)
        before = packages(place.root)
        early = with_clock_off(place.stage, place.root, write_deb(tmp_path, "early", "1"), "+20s")
        assert early.returncode == 0, early.complaint
        start = time.monotonic()
        refused = place.run(ADD)
        assert refused.status == PublishError.exit_code, refused.said
        assert "ahead of this machine's clock" in refused.said
        while place.run(ADD).status and time.monotonic() < start + SECONDS:
            time.sleep(1)
        assert 10 < time.monotonic() - start < 30
        assert packages(place.root) == before | {("early", "1"), (PACKAGE, "4")}
        assert place.problems() == ()
        assert place.installs(ADD, "http", "yes") == "4"

    sweep.at_a_desk(attempt)

# SPDX-License-Identifier: Apache-2.0
"""The main job from end to end, as a user runs it."""

import json
import sys
from pathlib import Path

import pytest

from bigtop_builder.run import Completed, run

pytestmark = [pytest.mark.docker, pytest.mark.network]
TOOL = [sys.executable, "-m", "bigtop_builder"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the quickstart lives."""
    return tmp_path_factory.mktemp("quickstart") / "project"


@pytest.fixture(scope="module")
def quickstart(folder: Path) -> Completed:
    """One quickstart."""
    return run([*TOOL, "quickstart", "--dir", folder], check=False)


def tool(folder: Path, *words: str) -> Completed:
    """A command of the tool on the quickstart's project."""
    return run([*TOOL, f"--settings={folder}/settings.toml", f"--project={folder}", *words], check=False)


def test_it_ends_well_with_three_commands(quickstart: Completed) -> None:
    assert quickstart.returncode == 0, quickstart.complaint
    *_, head, first, second, third = quickstart.text.splitlines()
    assert head == "Next:"
    assert [line.split()[3] for line in (first, second, third)] == ["repo", "plan", "repo"]
    assert f"http://repository.example:{third.split()[-1]}: a line " in quickstart.text


def test_a_patch_and_its_status_are_shown_before_the_first_release(quickstart: Completed) -> None:
    shown = quickstart.text.partition(" key new ")[0]
    assert "Subject: [PATCH] Greet the world when a name is blank" in shown
    assert "nothing is wrong with 3 patches" in shown
    rows = [line.split() for line in shown.splitlines() if line.startswith(("bigtop/", "herald/", "salute/"))]
    assert rows == [
        ["bigtop/miniature-changelog-date", "clean*", "upstream"],
        ["herald/miniature-loopback-address", "clean*", "clean*"],
        ["salute/miniature-blank-name", "clean*", "offset*"],
    ]
    assert "evidence written" not in quickstart.complaint, "the evidence that is committed does not hold"


def test_the_host_installed_upgraded_and_went_back(quickstart: Completed) -> None:
    told = quickstart.text
    assert told.count("  Hello, Ada!") == 3
    old, new, back = (part.partition("\n  ")[2] for part in told.split("host# dpkg-query")[1:4])
    assert "salute 1.0.0-1+bt1.0.0.1~deb12" in old
    assert "salute 1.1.0-1+bt1.1.0.1~deb12" in new
    assert "salute 1.0.0-1+bt1.0.0.1~deb12" in back


def test_the_upgrade_day_of_a_role_is_rehearsed(quickstart: Completed, folder: Path) -> None:
    assert quickstart.returncode == 0, quickstart.complaint
    (written,) = folder.glob("build/fleet/*/rehearsal.json")
    record = json.loads(written.read_text())
    assert record["passed"]
    assert record["roles"] == {"client": ["salute"]}
    assert record["left_out"] == ["worker"]
    assert str(written) in quickstart.text


def test_same_upstream_version_from_two_releases_is_an_upgrade(quickstart: Completed) -> None:
    assert "bigtop-jsvc 1.3.4-1+bt1.0.0.1~deb12" in quickstart.text
    assert "bigtop-jsvc 1.3.4-1+bt1.1.0.1~deb12" in quickstart.text


def test_the_repository_it_leaves_is_whole(quickstart: Completed, folder: Path) -> None:
    assert quickstart.returncode == 0
    checked = tool(folder, "repo", "check")
    assert checked.returncode == 0, checked.complaint


def test_a_second_release_with_nothing_changed_publishes_nothing(quickstart: Completed, folder: Path) -> None:
    assert quickstart.returncode == 0
    again = tool(folder, "release", "1.1.0", "--suite", "testing", "--json")
    assert again.returncode == 0, again.complaint
    assert '"changed": false' in again.text


def test_verification_before_a_release_into_the_same_suite_is_the_releases(
    quickstart: Completed, folder: Path
) -> None:
    assert quickstart.returncode == 0
    upgrades = [
        finding["detail"]
        for finding in json.loads((folder / "build/1.1.0/verdict.json").read_text())["findings"]
        if finding["check"] == "upgrade"
    ]
    assert upgrades
    assert all("salute 1.0.0-1+bt1.0.0.1~deb12" in detail for detail in upgrades)
    released = json.loads((folder / "build/1.1.0/manifest.json").read_text())["verdict"]
    verified = tool(folder, "verify", "1.1.0", "--suite", "testing", "--json")
    assert verified.returncode == 0, verified.complaint
    assert json.loads(verified.text)["id"] == released
    assert "lintian over" not in verified.complaint, "judged twice"


def test_every_package_has_a_verdict_and_a_manifest_entry(quickstart: Completed, folder: Path) -> None:
    assert quickstart.returncode == 0
    verdict = (folder / "build/1.1.0/verdict.json").read_text()
    manifest = (folder / "build/1.1.0/manifest.json").read_text()
    debs = sorted(path.name for path in (folder / "build/1.1.0/debs").iterdir())
    assert len(debs) == 5
    assert all(f'"file": "{name}"' in verdict and f'"file": "{name}"' in manifest for name in debs)


def test_jars_of_its_packages_are_found_by_their_coordinates(quickstart: Completed, folder: Path) -> None:
    assert quickstart.returncode == 0
    found = json.loads(
        tool(folder, "sbom", "find", "bigtop.miniature:salute@1.1*", "--suite", "testing", "--json").text
    )
    assert sorted({one["path"] for one in found}) == [
        "usr/lib/herald/salute.jar",
        "usr/lib/salute/salute.jar",
    ]
    assert tool(folder, "sbom", "find", "log4j", "--suite", "testing").returncode == 1


def test_it_leaves_a_folder_alone_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    refused = run([*TOOL, "quickstart", "--dir", tmp_path], check=False)
    assert refused.returncode == 2
    assert "was not made by a quickstart" in refused.complaint
    assert (tmp_path / "mine").read_text() == "precious"

# SPDX-License-Identifier: Apache-2.0
"""Where patches stand upstream, from what is on this machine alone: what asks for action comes first."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from bigtop_builder.cli.upstream_status import status
from bigtop_builder.patches.listed import with_patches
from bigtop_builder.patches.queue import known, load_entry
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.evidence import Evidence, Finding, write_evidence
from bigtop_builder.upstreaming.overview import Drop, Row, overview
from bigtop_builder.workspace import Project
from small_queue import git, small_project

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)

DIFF = "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-read me\n+read it\n"
OPENED = 'url = "https://github.com/apache/bigtop/pull/7"\nopened = "2026-03-01T00:00:00Z"\n'


@pytest.fixture
def queue(tmp_path: Path) -> Project:
    """Patches of every standing; both recipes list those that are merged."""
    project = small_project(tmp_path / "queue")
    five = git(project.root / "bigtop", "rev-parse", "rel/2.0.0^").text
    since = f'commit = "{five}"\nsince = "rel/2.0.0"\n'
    states = {
        "alone": 'state = "local-only"\nwhy = "ours alone"\n',
        "asked": f'state = "pr-open"\nreview = "changes-requested"\n{OPENED}',
        "closed": 'state = "closed"\nwhy = "closed by carol: no"\n',
        "in-a-later-one": f'state = "merged"\ncommit = "{"a" * 40}"\n',
        "is-there": f'state = "merged"\n{since}',
        "new": 'state = "to-forward"\n',
        "proved": f'state = "pr-open"\n{OPENED}',
        "taken-back": f'state = "merged"\n{since}',
        "ticketed": 'state = "ticket"\n',
        "waits": f'state = "pr-open"\n{OPENED}',
        "welcome": f'state = "pr-open"\nreview = "approved"\n{OPENED}',
    }
    for name, text in states.items():
        folder = project.patches / "bigtop" / name
        folder.mkdir(parents=True)
        facts = f'kind = "tree"\ntitle = "Do {name}"\nwhy = "x"\nticket = "BIGTOP-1"\n\n[upstream]\n{text}'
        (folder / "patch.toml").write_text(facts)
        (folder / "default.patch").write_text(DIFF)
    evidence(project, "proved", "already-upstream")
    evidence(project, "taken-back", "clean")
    listed = ["bigtop/in-a-later-one", "bigtop/is-there", "bigtop/proved", "bigtop/taken-back"]
    for path in project.recipes.glob("*.toml"):
        path.write_text(with_patches(path.read_text(), wanted=listed))
    return project


def evidence(project: Project, name: str, state: str) -> None:
    entry = load_entry(project.patches, f"bigtop/{name}")
    sha256 = entry.at("2.0.0").sha256
    found = Finding.model_validate({"patch": sha256, "base": "b" * 40, "state": state})
    write_evidence(entry.folder, Evidence(releases={"2.0.0": found}))


@pytest.fixture
def rows(queue: Project, settings: Settings) -> dict[str, Row]:
    shown = overview(queue, settings, patches=known(queue.patches), now=NOW)
    return {row.id.removeprefix("bigtop/"): row for row in shown}


def test_what_asks_for_action_comes_first(rows: dict[str, Row]) -> None:
    assert {name: row.standing for name, row in rows.items()} == {
        "asked": "changes requested",
        "is-there": "can be dropped",
        "proved": "can be dropped",
        "new": "to forward",
        "ticketed": "ticket",
        "welcome": "approved",
        "waits": "PR open",
        "in-a-later-one": "merged",
        "taken-back": "merged",
        "closed": "closed",
        "alone": "local only",
    }
    assert list(rows)[:3] == ["asked", "is-there", "proved"]
    assert list(rows)[-1] == "alone"


def test_an_open_pull_request_has_an_age_in_days(rows: dict[str, Row]) -> None:
    assert rows["waits"].days == 30
    assert rows["closed"].days is None


def test_a_release_that_has_a_patch_is_named_and_the_command_that_takes_it_out(rows: dict[str, Row]) -> None:
    assert rows["proved"].drops == (Drop(release="2.0.0", by="evidence"),)
    assert rows["proved"].next == "bigtop-builder patch drop bigtop/proved 2.0.0"
    assert rows["is-there"].drops == (Drop(release="2.0.0", by="commit"),)
    assert rows["is-there"].next == "bigtop-builder patch status bigtop/is-there --release 2.0.0"
    assert rows["taken-back"].drops == (), "it applies there, whatever the history says"


def test_evidence_of_another_diff_proves_nothing(queue: Project, settings: Settings) -> None:
    (queue.patches / "bigtop/proved/default.patch").write_text(DIFF.replace("it", "that"))
    (row,) = overview(queue, settings, patches=["bigtop/proved"], now=NOW)
    assert (row.standing, row.drops) == ("PR open", ())


def test_the_command_asks_nobody_and_names_the_next_commands(queue: Project, settings: Settings) -> None:
    file = queue.root.parent / "settings.toml"
    file.write_text(
        f'cache_dir = "{settings.cache_dir}"\n[mirrors.git]\n"x" = "https://host.invalid/x.git"\n'
    )
    options = {"settings": file, "project": queue.root, "verbose": False}
    shown = CliRunner().invoke(status, [], obj=dict(options)).stdout
    assert "bigtop/closed          closed             closed by carol: no\n" in shown
    assert "to forward: bigtop-builder upstream prepare bigtop/new\n" in shown
    assert "(and 1 more)" in shown
    said = json.loads(CliRunner().invoke(status, ["bigtop/is-there", "--json"], obj=dict(options)).stdout)
    (row,) = said["patches"]
    assert row["can_be_dropped"] == [{"release": "2.0.0", "by": "commit"}]
    assert (row["state"], row["since"]) == ("merged", "rel/2.0.0")
    assert not settings.cache_dir.exists()

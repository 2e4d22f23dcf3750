# SPDX-License-Identifier: Apache-2.0
"""What became of patches upstream is found and written: real repositories, at a GitHub held to its description."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from bigtop_builder.cli.upstream_sync import sync_
from bigtop_builder.errors import CheckFailed
from bigtop_builder.patches.facts import Upstream
from bigtop_builder.patches.queue import load_entry
from bigtop_builder.run import run
from bigtop_builder.settings import Mirrors, Settings
from bigtop_builder.upstreaming import rest
from bigtop_builder.upstreaming.sync import Report, Synced, sync
from bigtop_builder.workspace import Project
from github import GitHub as Site
from github import serving
from github.faults import cut, error, lost, secondary_limit
from github.jira import serving_jira
from github.people import Person

pytestmark = pytest.mark.network
HADOOP = "apache/hadoop"
REPOSITORY = f"https://github.com/{HADOOP}.git"
TOML = """# {name}: what this file says in comments stays.
kind = "component"
title = "Keep {name}"
why = "It gets lost"
ticket = "HDFS-1"
drop-when = "a release keeps it"

[upstream]
state = "{state}"  # by hand
url = "{url}"
head = "{head}"
base = "trunk"
"""


def lines(*changed: int) -> str:
    return "".join(f"line {number}{' kept' if number in changed else ''}\n" for number in range(1, 21))


@dataclass
class World:
    """A queue, the upstream of its patches, and who works there."""

    site: Site
    project: Project
    settings: Settings
    carol: Person

    def patch(self, name: str, *, state: str = "pr-open", opened: bool = True) -> int:
        """Have a patch in the queue that was pushed to ann's fork, and maybe proposed; return the number."""
        repo = self.carol.repo
        fork = self.site.fork(repo, self.site.account("ann"))
        ann = self.site.person("ann", fork.full_name)
        commit = ann.commit(name, {f"src/{name}": lines(10)}, f"HDFS-1. Keep {name}\n\nIt gets lost.\n")
        url, number = "", 0
        if opened:
            pull = self.site.pulls.create(
                repo,
                fork,
                head=name,
                base="trunk",
                title=f"HDFS-1. Keep {name}",
                body="It gets lost.",
                author=self.site.account("ann"),
                at=self.site.now(),
            )
            number, url = pull.number, f"https://github.com/{HADOOP}/pull/{pull.number}"
        folder = self.project.patches / "hadoop" / name
        folder.mkdir(parents=True)
        (folder / "default.patch").write_text(fork.git("format-patch", "-1", "--stdout", commit) + "\n")
        (folder / "patch.toml").write_text(TOML.format(name=name, state=state, url=url, head=commit))
        return number

    def sync(self, *names: str, dry_run: bool = False) -> Report:
        ids = [f"hadoop/{name}" for name in names]
        return sync(self.project, self.settings, patches=ids, dry_run=dry_run)

    def row(self, name: str) -> Synced:
        (row,) = self.sync(name).rows
        return row

    def says(self, name: str) -> Upstream:
        return load_entry(self.project.patches, f"hadoop/{name}").facts.upstream

    def asked(self, since: int = 0) -> list[tuple[str, int]]:
        """Path and status of what was asked of the API."""
        return [(one.path, one.status) for one in self.site.asked[since:] if one.path.startswith("/repos/")]


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """At github.com, or (with the parameter `True`) at a server of one's own."""
    monkeypatch.setattr(rest, "sleep", lambda _: None)
    for name in ("GH_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with serving(tmp_path / "github", enterprise=getattr(request, "param", False)) as site:
        site.create(HADOOP, branch="trunk")
        monkeypatch.setenv("GH_TOKEN", site.token("ann"))
        carol = site.person("carol", HADOOP)
        names = ("one", "two", "three", "four", "five")
        carol.commit("trunk", {f"src/{name}": lines() for name in names})
        settings = Settings.model_validate(
            {
                "cache_dir": tmp_path / "cache",
                "github_api": {"github.com": site.api},
                "mirrors": {"git": {REPOSITORY: f"{site.url}/{HADOOP}.git"}},
            }
        )
        project = Project(tmp_path / "project")
        for folder in (project.patches, project.recipes):
            folder.mkdir(parents=True)
        (project.patches / "upstream.toml").write_text('[projects.hadoop]\njira = ""\n')
        yield World(site, project, settings, carol)


def test_merged_is_what_a_commit_on_the_base_branch_has_by_button_by_script_or_by_others(
    world: World,
) -> None:
    button, script = world.patch("one"), world.patch("two")
    world.patch("three", state="ticket", opened=False)
    world.carol.review(button, "APPROVED")
    assert [row.now and (row.now.state, row.now.review) for row in world.sync().rows] == [
        ("pr-open", "approved"),
        ("ticket", ""),
        ("pr-open", ""),
    ]
    world.site.person("ann", "ann/hadoop").commit("one", {"src/four": lines(3)})  # what a reviewer wanted
    by_button, by_script = world.carol.merge_button(button), world.carol.merge_script(script)
    by_others = world.carol.commit("trunk", {"src/three": lines(10)}, "HDFS-2. Another way\n")
    for candidate in ("rel/release-3.5.0-RC0", "release-3.5.0-0"):
        world.carol.tag(candidate)

    report = world.sync(dry_run=True)
    assert world.says("one").state == "pr-open"
    assert report.files == tuple(f"patches/hadoop/{name}/patch.toml" for name in ("one", "three", "two"))
    assert [row.unread for row in world.sync().rows] == [(), (), ()]
    told = {name: world.says(name) for name in ("one", "two", "three")}
    assert {name: (one.state, one.commit, one.since, one.review) for name, one in told.items()} == {
        "one": ("merged", by_button, "", ""),
        "two": ("merged", by_script, "", ""),
        "three": ("merged", by_others, "", ""),
    }
    text = (world.project.patches / "hadoop/two/patch.toml").read_text()
    assert text.startswith("# two: what this file says in comments stays.\n")
    assert 'state = "merged"  # by hand\n' in text

    before = len(world.site.asked)
    assert world.sync().files == ()
    assert world.asked(before) == [], "of what is merged nothing is asked"
    world.carol.tag("rel/release-3.5.0")
    world.sync()
    assert world.says("one").since == "rel/release-3.5.0"


def test_what_was_reverted_is_not_merged_and_what_came_again_is(world: World) -> None:
    button, script = world.patch("one"), world.patch("two")
    world.carol.merge_button(button)
    world.carol.merge_script(script)
    world.sync()
    reverts = {"one": world.carol.revert(button), "two": world.carol.revert(script)}
    world.sync()
    for name, commit in reverts.items():
        said = world.says(name)
        assert (said.state, said.commit, said.why) == ("closed", "", f"reverted by {commit[:12]}")
    again = world.carol.commit("trunk", {"src/one": lines(10)}, "HDFS-1. Keep one, once more\n")
    world.sync()
    assert (world.says("one").state, world.says("one").commit, world.says("one").why) == ("merged", again, "")
    assert world.says("two").state == "closed"


def test_an_open_pull_request_says_what_is_asked_of_us_and_asked_again_costs_nothing(world: World) -> None:
    number = world.patch("one")
    carol, dan = world.carol, world.site.person("dan", HADOOP)
    dan.review(number, "APPROVED")
    remarks = [("src/one", 10, f"why {at}?") for at in range(120)]
    carol.review(number, "CHANGES_REQUESTED", "Please mend it", remarks)
    row = world.row("one")
    assert row.changes["review"] == "changes-requested"
    assert [(one.path, one.line, one.text) for one in row.remarks[1:]] == remarks
    assert (row.remarks[0].by, row.remarks[0].text) == ("carol", "Please mend it")

    before, left = len(world.site.asked), world.site.rates["ann"].remaining
    assert world.row("one").changes == {}
    again = world.asked(before)
    assert [status for _, status in again] == [304] * 4, again
    assert world.site.rates["ann"].remaining == left

    carol.review(number, "APPROVED")
    pushed = carol.push_by_other(number, {"src/one": lines(10, 11)}, force=True)
    carol.commit("trunk", {"src/one": lines(9)})
    row = world.row("one")
    assert world.says("one").review == "approved"
    assert row.notes == ("it conflicts with trunk", f"somebody else pushed {pushed[:12]} to it")
    world.site.delete("ann/hadoop")
    assert "the fork is gone" in world.row("one").notes[1]
    assert world.says("one").state == "pr-open"


def test_one_closed_by_hand_is_closed_with_the_last_words_and_stays_so(world: World) -> None:
    ours, theirs, stale, merged = (world.patch(name) for name in ("one", "two", "three", "four"))
    for number in (ours, theirs):
        world.carol.comment(number, "We go\nanother way.")
        world.carol.close(number)
    file = world.project.patches / "hadoop/two/patch.toml"
    file.write_text(file.read_text() + 'why = "we keep it: their way needs Java 17"\n')
    commit = world.carol.commit(
        "trunk", {"README.md": "closing\n"}, f"Close what is stale\n\nCloses #{stale} from ann/three.\n"
    )
    world.sync()
    whys = {name: (world.says(name).state, world.says(name).why) for name in ("one", "two", "three")}
    assert whys == {
        "one": ("closed", "closed by carol: We go another way."),
        "two": ("closed", "we keep it: their way needs Java 17"),
        "three": ("closed", f"closed by carol: {commit[:12]} 'Close what is stale'"),
    }
    world.carol.comment(ours, "Really.")
    assert world.sync().files == ()
    assert world.says("one").why == "closed by carol: We go another way."
    world.carol.reopen(ours)
    world.sync()
    assert (world.says("one").state, world.says("one").why) == ("pr-open", "")

    world.carol.commit("branch-3.4", {"README.md": "branch\n"})
    world.carol.pull(merged).base = "branch-3.4"
    landed = world.carol.merge_button(merged)
    (note,) = world.row("four").notes
    assert note == f"it was merged into branch-3.4 by {landed[:12]}, and trunk does not have it"
    assert world.says("four").state == "pr-open"


def test_nobody_is_given_words_of_another_or_of_an_earlier_closing(world: World) -> None:
    number, clock = world.patch("one"), world.site.now
    dan = world.site.person("dan", HADOOP)
    world.carol.comment(number, "Stale.")
    dan.comment(number, "Duplicate of HDFS-1.")
    world.carol.close(number)
    assert world.sync(dry_run=True).rows[0].changes["why"] == "closed by carol: Stale."
    world.site.now = lambda: clock() + timedelta(minutes=5)
    dan.reopen(number)
    world.carol.close(number)
    assert world.row("one").changes["why"] == "closed by carol"


def test_what_cannot_be_read_is_told_of_its_patch_and_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = world.patch("one"), world.patch("two"), world.patch("three")
    for number in (first, second, third):
        world.carol.review(number, "APPROVED")
    pulls = f"/repos/{HADOOP}/pulls"
    world.site.fail(f"{pulls}/{first}", *[error(502, html=True)] * 4)
    world.site.fail(f"{pulls}/{second}", cut(9), lost(), secondary_limit(5))
    world.carol.merge_button(third)
    world.site.fail(f"{pulls}/{third}", error(404))
    damaged = world.project.patches / "hadoop/four"
    damaged.mkdir()
    (damaged / "patch.toml").write_text("kind = 1\n")
    (damaged / "default.patch").write_text("")
    rows = {row.id.partition("/")[2]: row for row in world.sync().rows}
    assert "does not answer" in rows["one"].unread[0]
    assert world.says("one").review == ""
    assert (rows["two"].unread, world.says("two").review) == ((), "approved")
    assert "refuses reading apache/hadoop#3" in rows["three"].unread[0]
    assert world.says("three").state == "merged", "the base branch proves it"
    assert rows["four"].unread[0].startswith(f"{damaged / 'patch.toml'} does not fit its format - ")
    assert "patch.toml:1: kind: " in rows["four"].unread[0]

    world.site.limit("ann", remaining=0, resets_in=3000)
    before = len(world.site.asked)
    rows = {row.id.partition("/")[2]: row for row in world.sync("one", "two").rows}
    assert all("takes no more requests until" in rows[name].unread[0] for name in ("one", "two"))
    assert len(world.asked(before)) == 1, "a host that refuses all is asked once"
    monkeypatch.setenv("GH_TOKEN", world.site.token("bob", expired=True))
    assert "does not take the token" in world.row("one").unread[0]
    world.settings = world.settings.model_copy(update={"offline": True})
    git, github = world.row("one").unread
    assert git.startswith("offline trunk of https://github.com/apache/hadoop.git is not fetched")
    assert github.startswith("offline nothing is asked of github.com")
    assert world.says("one").state == "pr-open"


def test_an_address_that_is_none_of_its_pull_requests_is_told(world: World) -> None:
    number = world.patch("one")
    world.carol.close(number)
    world.site.create("apache/spark", branch="trunk")
    spark = world.site.repository("apache/spark")
    fork = world.site.fork(spark, world.site.account("ann"))
    world.site.person("ann", "ann/spark").commit("one", {"src/one": lines(10)})
    new = {"head": "one", "base": "trunk", "title": "One", "body": "", "at": world.site.now()}
    other_number = world.site.pulls.create(spark, fork, author=world.site.account("ann"), **new).number
    world.site.person("carol", "apache/spark").close(other_number)
    foreign = f"https://github.com/apache/spark/pull/{other_number}"
    url = f"https://github.com/{HADOOP}/pull/{number}"
    file = world.project.patches / "hadoop/one/patch.toml"
    text = file.read_text()
    told = {}
    for other in ("foo", "", foreign, "https://git.example.org/a/b/pull/1"):
        file.write_text(text.replace(url, other))
        row = world.row("one")
        (told[other],) = row.unread
        assert (row.changes, file.read_text()) == ({}, text.replace(url, other))
    assert told["foo"].startswith(
        "url 'foo' in its patch.toml, [upstream], is no pull request - write it as in "
    )
    assert "https://github.com/apache/hadoop/pull/1" in told["foo"]
    assert told[""].startswith("url '' in its patch.toml")
    assert f"{foreign} is no pull request to apache/hadoop at github.com" in told[foreign]
    assert told["https://git.example.org/a/b/pull/1"] == (
        "https://git.example.org/a/b/pull/1 is no pull request to apache/hadoop at github.com - "
        "mend `url` in its patch.toml, [upstream]"
    )


def test_without_a_project_or_its_branch_that_is_told_and_no_patch_is_called_closed(world: World) -> None:
    number = world.patch("one")
    world.carol.close(number)
    for name, url in (("sent", f"https://github.com/apache/commons/pull/{number}"), ("kept", "")):
        folder = world.project.patches / "commons" / name
        shutil.copytree(world.project.patches / "hadoop/one", folder)
        text = (folder / "patch.toml").read_text()
        old = f"https://github.com/{HADOOP}/pull/{number}"
        (folder / "patch.toml").write_text(text.replace(old, url).replace("pr-open", "to-forward"))
    file = world.project.patches / "hadoop/one/patch.toml"
    file.write_text(file.read_text().replace('base = "trunk"', 'base = "main"'))
    rows = {row.id: row for row in world.sync().rows}
    assert "no upstream project is known for commons" in rows["commons/sent"].unread[0]
    assert "no upstream project is known for commons" in rows["commons/kept"].notes[0]
    assert rows["commons/kept"].unread == ()
    assert "has no branch main" in rows["hadoop/one"].unread[0]
    assert rows["hadoop/one"].notes == ("it is closed; whether main has it is not known",)
    assert world.says("one").state == "pr-open"


def test_a_clone_that_its_owner_did_not_fetch_calls_nothing_closed(world: World, tmp_path: Path) -> None:
    button, script = world.patch("one"), world.patch("two")
    clone = tmp_path / "clone"
    run(["git", "clone", "--quiet", world.carol.repo.path, clone])
    world.settings = world.settings.model_copy(update={"mirrors": Mirrors(git={REPOSITORY: str(clone)})})
    merged, closing = world.carol.merge_button(button), world.carol.merge_script(script)
    rows = {row.id: row for row in world.sync().rows}
    assert rows["hadoop/one"].notes == (
        f"it was merged by {merged[:12]}, which trunk does not have: fetch the clone, or see what became of it",
    )
    assert f"commit {closing} is not in {clone}" in rows["hadoop/two"].unread[0]
    assert {world.says(name).state for name in ("one", "two")} == {"pr-open"}
    run(["git", "fetch", "--quiet"], cwd=clone)
    assert [row.unread for row in world.sync().rows] == [(), ()]
    assert {world.says(name).state for name in ("one", "two")} == {"merged"}


def test_what_somebody_writes_meanwhile_is_not_written_over(world: World) -> None:
    number = world.patch("one")
    world.carol.merge_button(number)
    file, clock = world.project.patches / "hadoop/one/patch.toml", world.site.now
    theirs = file.read_text() + 'why = "they write while GitHub answers"\n'

    def now() -> datetime:
        file.write_text(theirs)
        return clock()

    world.site.now = now
    row = world.row("one")
    assert row.unread == ("patch.toml was changed meanwhile: run it again",)
    assert (row.changes, file.read_text()) == ({}, theirs)


@pytest.mark.parametrize("world", [False, True], indirect=True, ids=["cloud", "enterprise"])
def test_a_renamed_repository_is_followed_and_an_address_as_the_api_writes_it_is_read(world: World) -> None:
    number, other = world.patch("one"), world.patch("two")
    file = world.project.patches / "hadoop/two/patch.toml"
    file.write_text(file.read_text().replace("https://github.com", world.site.url))
    world.site.rename(HADOOP, "hadoop-core")
    world.sync()
    assert world.says("one").url == f"https://github.com/apache/hadoop-core/pull/{number}"
    assert world.says("two").url == f"{world.site.url}/apache/hadoop-core/pull/{other}"
    assert world.says("one").opened


def test_what_a_person_says_is_merged_is_looked_up_by_its_commit(world: World) -> None:
    for name in ("one", "two", "three"):
        world.patch(name, state="merged", opened=False)
    landed = world.carol.commit("trunk", {"src/one": lines(9)}, "HDFS-3. In another way\n")
    aside = world.carol.commit("branch-3.4", {"src/two": lines(10)})
    for name, commit in (("one", landed[:9]), ("two", aside)):
        file = world.project.patches / f"hadoop/{name}/patch.toml"
        file.write_text(file.read_text() + f'commit = "{commit}"\n')
    rows = world.sync("one", "two", "three").rows
    assert {row.id: row.notes for row in rows} == {
        "hadoop/one": (),
        "hadoop/two": (f"{aside[:12]} is not found on trunk: see whether it is merged",),
        "hadoop/three": ("it is not found on trunk: see whether it is merged",),
    }
    assert (world.says("one").commit, world.says("two").commit) == (landed, aside)
    text = (world.project.patches / "hadoop/three/patch.toml").read_text()
    (world.project.patches / "hadoop/three/patch.toml").write_text(text.replace('"merged"', '"local-only"'))
    assert [row.id for row in world.sync().rows] == ["hadoop/one", "hadoop/two"]
    assert world.row("three").notes == ("it is not looked for",)


def test_a_jira_that_does_not_answer_is_asked_once_and_each_patch_is_told_so(world: World) -> None:
    (world.project.patches / "upstream.toml").write_text('[projects.hadoop]\njira = "http://127.0.0.1:9"\n')
    for name in ("one", "two"):
        world.patch(name)
    file = world.project.patches / "hadoop/two/patch.toml"
    file.write_text(file.read_text().replace("HDFS-1", "HDFS-2"))
    tickets = {row.ticket.key: row.ticket.unread for row in world.sync().rows if row.ticket}
    assert tickets["HDFS-1"].endswith(" does not answer")
    assert tickets["HDFS-2"] == f"not asked, after HDFS-1: {tickets['HDFS-1']}"


def test_the_command_is_silent_where_nothing_changed_and_fails_where_something_was_not_read(
    world: World, tmp_path: Path
) -> None:
    number = world.patch("one")
    world.carol.review(number, "CHANGES_REQUESTED", "", [("src/one", 10, "why?")])
    options = {"project": world.project.root, "verbose": False, "settings": tmp_path / "settings.toml"}
    (world.project.recipes / "1.0.0.toml").write_text("")
    with serving_jira() as jira:
        jira.issue("HDFS-1", status="Resolved", resolution="Fixed", fix_versions=["3.5.0"])
        toml = f'[projects.hadoop]\njira = "{jira.url}"\n'
        (world.project.patches / "upstream.toml").write_text(toml)
        options["settings"].write_text(
            f'cache_dir = "{world.settings.cache_dir}"\n[github_api]\n"github.com" = "{world.site.api}"\n'
            f'[mirrors.git]\n"{REPOSITORY}" = "{world.site.url}/{HADOOP}.git"\n'
        )

        def ask(*words: str) -> str:
            done = CliRunner().invoke(sync_, list(words), obj=dict(options))
            if done.exception:
                raise done.exception
            return done.stdout

        assert ask("--dry-run").splitlines()[-2:] == [
            "would write 1 file:",
            "  patches/hadoop/one/patch.toml",
        ]
        told = ask()
        assert '  review = "changes-requested"\n' in told
        assert "  src/one:10: carol: why?\n" in told
        assert "  ticket HDFS-1: Resolved (Fixed), fix version 3.5.0\n" in told
        assert ask() == ""
        assert "  src/one:10: carol: why?\n" in ask("hadoop/one")
        (row,) = json.loads(ask("--json"))["patches"]
        assert (row["state"], row["changes"], row["ticket"]["status"]) == ("pr-open", {}, "Resolved")
        world.site.fail(f"/repos/{HADOOP}/pulls/{number}", error(404))
        with pytest.raises(CheckFailed, match="of 1 patch not all could be read") as caught:
            ask()
        assert "hadoop/one: github.com refuses" in caught.value.details

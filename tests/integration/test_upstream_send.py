# SPDX-License-Identifier: Apache-2.0
"""Patches on their way upstream: what is prepared, what is sent to a GitHub, and what is refused."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from click.testing import CliRunner

import bigtop_builder
from bigtop_builder.cli import cli
from bigtop_builder.errors import BuilderError, CheckFailed, InputError, TreeError, UpstreamError
from bigtop_builder.patches.facts import PatchFacts, with_facts
from bigtop_builder.patches.mail import read_mail, write_mail
from bigtop_builder.run import run
from bigtop_builder.upkeep.commit import mail_of
from bigtop_builder.upstreaming import fork as fork_of
from bigtop_builder.upstreaming import rest
from bigtop_builder.upstreaming.github import GitHub
from github import GitHub as Site
from github import serving
from github.faults import error, lost, refusal, slow
from github.jira import serving_jira
from github.people import Person
from small_queue import ADA, ENV, commit_all, fill, git, numbered, small_project

pytestmark = pytest.mark.network  # GitHub's description of its API is fetched
TEMPLATE = """<!-- Thanks for sending a pull request! -->
### Description of PR

### How was this patch tested?

### For code changes:
- [ ] Does the title or this PR starts with the corresponding JIRA issue id (e.g. 'X-3499')?
- [ ] Did you make sure that this PR fixes a build?
"""
PATH = ".github/pull_request_template.md"
WITHOUT_JIRA = "".join(f'[projects.{name}]\njira = ""\n' for name in ("bigtop", "hadoop", "oozie"))
MINE = "bigtop/ten"
KEEP = "hadoop/keep"
BRANCH = "BIGTOP-4032-say-ten"
FACTS = """# A note of ours.
kind = "{kind}"
title = "{title}"
why = "Builds fail without it."
ticket = "{ticket}"
tested = "Built it on Debian 12."
ai_disclosure = "No"

[upstream]
state = "to-forward"  # soon
"""


def java(changed: str = "") -> str:
    """A class, of which one line may say something else."""
    lines = [f"  int n{number} = {number};\n" for number in range(1, 41)]
    return (
        "class Keep {\n" + "".join(lines).replace("  int n20 = 20;\n", changed or "  int n20 = 20;\n") + "}\n"
    )


class Desk:
    """A maintainer's queue, the tool, and the GitHub of its upstreams."""

    def __init__(self, root: Path, site: Site) -> None:
        self.root, self.site = root, site
        self.project = small_project(root / "queue")
        self.secret = site.token("ann")
        self.bigtop = self._upstream("bigtop", "master", self.project.root / "bigtop")
        source = root / "hadoop"
        run(["git", "init", "--quiet", "--initial-branch=trunk", source], env=ENV)
        fill(source, {"src/main/java/Keep.java": java(), "pom.xml": "<project/>\n"})
        commit_all(source, "HADOOP-1. Begin", ENV)
        self.hadoop = self._upstream("hadoop", "trunk", source)
        (self.project.patches / "upstream.toml").write_text(WITHOUT_JIRA)
        self.settings = root / "settings.toml"
        git_urls = "".join(
            f'"https://github.com/apache/{name}.git" = "{site.url}/apache/{name}.git"\n'
            for name in ("bigtop", "hadoop")
        )
        self.settings.write_text(
            f'cache_dir = "{root / "cache"}"\n[github_api]\n"github.com" = "{site.api}"\n[mirrors.git]\n{git_urls}'
        )

    def _upstream(self, name: str, branch: str, source: Path) -> Person:
        self.site.create(f"apache/{name}", branch=branch, source=source)
        carol = self.site.person("carol", f"apache/{name}")
        carol.commit(branch, {PATH: TEMPLATE}, "Ask what a pull request is for\n")
        return carol

    def patch(
        self, patch_id: str, source: Path, revision: str, files: dict[str, str], ticket: str, title: str
    ) -> None:
        """Put a patch into the queue that changes these files of a commit."""
        clone = self.root / patch_id.replace("/", "-")
        run(["git", "clone", "--quiet", source, clone], env=ENV)
        git(clone, "checkout", "--quiet", revision)
        fill(clone, files)
        commit_all(
            clone,
            f"{ticket}. {title}\n\nIt says so at last.\n\nForwarded: no\nReviewed-by: Bob <bob@example.org>",
            ADA,
        )
        kept = self.project.patches / patch_id
        kept.mkdir(parents=True)
        mail = mail_of(lambda *words, **more: git_in(clone, *words, **more), "HEAD")
        (kept / "default.patch").write_bytes(write_mail(mail))
        kind = "tree" if patch_id.startswith("bigtop/") else "component"
        (kept / "patch.toml").write_text(FACTS.format(kind=kind, title=title, ticket=ticket))

    def tell(self, patch_id: str, **facts: Any) -> None:
        """Change facts of a patch."""
        file = self.project.patches / patch_id / "patch.toml"
        file.write_text(with_facts(file.read_text(), facts))

    def text(self, patch_id: str = MINE) -> str:
        return (self.project.patches / patch_id / "patch.toml").read_text()

    def facts(self, patch_id: str = MINE) -> PatchFacts:
        return PatchFacts.from_toml(self.project.patches / patch_id / "patch.toml")

    def folder(self, patch_id: str = MINE) -> Path:
        return self.project.output / "upstream" / patch_id

    def say(self, *words: str, token: bool = True) -> str:
        """Type an `upstream` command; what it prints, or raises."""
        named = ["--verbose", "--settings", str(self.settings), "--project", str(self.project.root)]
        env = {**ADA, "GH_TOKEN": self.secret if token else "", "GITHUB_TOKEN": "", "PATH": "/usr/bin:/bin"}
        done = CliRunner().invoke(cli, [*named, "upstream", *words], env=env)
        self.said = done.output
        if done.exception:
            raise done.exception
        return done.stdout

    def killed_at(self, path: str, *words: str) -> None:
        """Type a command in a process of its own, and kill that when it has written to this path of the site."""
        self.site.fail(f"POST {path}", slow(60))
        named = ["--settings", str(self.settings), "--project", str(self.project.root), "upstream"]
        argv = [sys.executable, "-m", "bigtop_builder", *named, *words]
        package = Path(bigtop_builder.__file__).parents[1]
        env = {**os.environ, **ADA, "GH_TOKEN": self.secret, "PYTHONPATH": str(package)}
        process = os.posix_spawn(sys.executable, argv, env)
        until = monotonic() + 60
        while not self.site.count("POST", path):
            assert monotonic() < until, f"{path} was not asked"
            sleep(0.05)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)

    def json(self, *words: str) -> Any:
        (value,) = json.loads(self.say(*words, "--json"))
        return value

    def refused(
        self, *words: str, kind: type[BuilderError] = CheckFailed, token: bool = True
    ) -> BuilderError:
        """The refusal of a command that leaves all patch.toml as they were."""
        before = {file: file.read_text() for file in self.project.patches.rglob("patch.toml")}
        with pytest.raises(BuilderError) as refusal:
            self.say(*words, token=token)
        assert isinstance(refusal.value, kind), refusal.value
        assert {file: file.read_text() for file in before} == before
        assert self.secret not in str(refusal.value)
        return refusal.value

    def asked_to_write(self) -> list[str]:
        return [
            asked.path
            for asked in self.site.asked
            if asked.method != "GET" and "git-upload-pack" not in asked.path
        ]


def git_in(folder: Path, *words: Any, env: Any = None, stdin: bytes | None = None, check: bool = True) -> Any:
    return run(["git", "-C", folder, *words], env={**ENV, **(env or {})}, stdin=stdin, check=check)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(rest, "sleep", lambda _: None)
    monkeypatch.setattr(fork_of, "sleep", lambda _: None)
    with serving(tmp_path / "github") as site:
        yield site


@pytest.fixture
def desk(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Desk]:
    desk = Desk(tmp_path, site)
    source = tmp_path / "queue/bigtop"
    desk.patch(MINE, source, "rel/1.0.0", {"build.gradle": numbered((10, "ten"))}, "BIGTOP-4032", "Say ten")
    keep = {
        "src/main/java/Keep.java": java("  int n20 = 21;\n"),
        "src/test/java/TestKeep.java": "class TestKeep {}\n",
    }
    desk.patch(KEEP, tmp_path / "hadoop", "HEAD", keep, "HDFS-7", "Keep it")
    yield desk
    assert desk.secret not in caplog.text
    kept = [*(tmp_path / "cache").rglob("*"), *desk.project.root.rglob("*")]
    assert not [file for file in kept if file.is_file() and desk.secret.encode() in file.read_bytes()]


def test_what_would_be_sent_is_shown_and_kept_and_nothing_leaves(desk: Desk) -> None:
    said = desk.say("prepare", MINE, KEEP)
    one, other = (json.loads((desk.folder(each) / "proposal.json").read_text()) for each in (MINE, KEEP))
    assert (one["branch"], one["title"], one["base"]) == (BRANCH, "BIGTOP-4032. Say ten", "master")
    assert (other["title"], other["base"], other["applied"]) == ("HDFS-7. Keep it", "trunk", "clean")
    assert one["applied"] == "offset"
    body = (desk.folder() / "body.md").read_text()
    assert "### Description of PR\n\nIt says so at last.\n\nBuilds fail without it." in body
    assert "### How was this patch tested?\n\nBuilt it on Debian 12." in body
    assert "- [x] Does the title" in body
    assert "- [ ] Did you make sure" in body
    assert "a box is left to tick" in said
    mail = read_mail((desk.folder() / "proposed.patch").read_bytes(), source="")
    assert (mail.author, mail.subject) == ("Ada Lovelace", "BIGTOP-4032. Say ten")
    assert mail.trailers == (("Reviewed-by", "Bob <bob@example.org>"),)
    assert b"+ten" in mail.diff
    assert "+ten" in said
    assert "fetched now" in said
    assert desk.asked_to_write() == []
    assert desk.facts().upstream.state == "to-forward"


def test_a_base_that_moved_is_told_and_offline_it_is_as_it_was(desk: Desk) -> None:
    first = desk.json("prepare", MINE)
    desk.bigtop.commit("master", {"README": "read it\n"})
    later = desk.json("prepare", MINE, "--offline")
    assert later["base_commit"] == first["base_commit"]
    assert "it may have moved since" in later["seen"]
    moved = desk.json("prepare", MINE)
    assert moved["moved_from"] == first["base_commit"] != moved["base_commit"]
    assert "moved since the last time" not in desk.say("prepare", MINE)


def test_without_a_network_that_is_told(desk: Desk) -> None:
    desk.settings.write_text(desk.settings.read_text().replace(desk.site.url, "http://127.0.0.1:9"))
    assert "/apache/bigtop.git cannot be fetched" in desk.refused("prepare", MINE, kind=TreeError).brief
    desk.refused("submit", MINE, "--yes", kind=TreeError)


def test_offline_what_was_never_fetched_is_told(desk: Desk) -> None:
    assert "once without --offline" in desk.refused("prepare", MINE, "--offline", kind=TreeError).hint


def test_a_patch_that_upstream_has_is_refused_with_its_commit(desk: Desk) -> None:
    file = {"build.gradle": desk.site.repository("apache/bigtop").git("show", "master:build.gradle") + "\n"}
    commit = desk.bigtop.commit(
        "master", {"build.gradle": file["build.gradle"].replace("line 10\n", "ten\n")}, "Ten\n"
    )
    refused = desk.refused("prepare", MINE)
    assert "upstream has bigtop/ten already: apache/bigtop master" in refused.brief
    assert commit in refused.details


def test_a_conflict_is_told_with_its_place_and_a_change_beside_is_merged(desk: Desk) -> None:
    desk.hadoop.commit("trunk", {"src/main/java/Keep.java": java().replace("n18 = 18", "n18 = 0")})
    assert desk.json("prepare", KEEP)["applied"] == "merged"
    commit = desk.hadoop.commit(
        "trunk", {"src/main/java/Keep.java": java("  long n20 = 20;\n")}, "HDFS-9. Be long\n"
    )
    refused = desk.refused("prepare", KEEP)
    assert refused.brief == "hadoop/keep conflicts with apache/hadoop trunk"
    assert "src/main/java/Keep.java, hunk 1" in refused.details
    assert f"{commit[:12]} HDFS-9. Be long" in refused.details
    assert "--release 2.1.0" in refused.hint


def test_a_conflict_is_mended_on_upstreams_branch_by_the_commands_that_it_is_told_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    line = "  long n20 = 20;\n"
    desk.hadoop.commit("trunk", {"src/main/java/Keep.java": java(line)}, "HDFS-9. Be long\n")
    make, mend, keep, again = desk.refused("prepare", KEEP).hint.split("; ")
    assert run(["sh", "-c", make], env=ADA, check=False).returncode, "it conflicts there too"
    tree = tmp_path / "hadoop-trunk"
    assert "<<<<<<<" in (tree / "src/main/java/Keep.java").read_text()
    (tree / "src/main/java/Keep.java").write_text(java("  long n20 = 21;\n"))
    git(tree, "add", "--all")
    run(["git", "-C", tree, "am", "--continue"], env=ADA)
    assert "git am --continue" in mend
    run(["sh", "-c", keep.rpartition(": ")[2]], env=ADA)
    assert (desk.project.patches / KEEP / "since-2.1.0.patch").is_file()
    assert "with --release 2.1.0" in again
    made = desk.json("prepare", KEEP, "--release", "2.1.0")
    assert (made["file"], made["applied"]) == ("since-2.1.0.patch", "clean")
    assert desk.refused("prepare", KEEP).hint == (
        "since-2.1.0.patch is for what comes next: run the same command with --release 2.1.0"
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"ticket": ""}, "has no ticket"),
        ({"ticket": "HIVE-3"}, "'HIVE-3' is none of apache/bigtop's"),
        ({"ai_disclosure": ""}, "ai_disclosure is empty"),
        ({"tested": ""}, "lacks answers"),
    ],
)
def test_facts_that_are_missing_are_named_with_their_file(
    desk: Desk, facts: dict[str, str], words: str
) -> None:
    desk.tell(MINE, **facts)
    refused = desk.refused("prepare", MINE, kind=InputError)
    assert words in refused.brief
    assert str(desk.project.patches / MINE / "patch.toml") in refused.hint
    assert "tested in patch.toml is empty" in refused.details or "lacks" not in words


def test_a_patch_of_nobody_is_refused(desk: Desk) -> None:
    file = desk.project.patches / MINE / "default.patch"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(line for line in lines if not line.startswith(b"From: ")))
    assert desk.refused("prepare", MINE, kind=InputError).brief == f"bigtop/ten: {file} names no author"


def test_checks_find_what_upstream_refuses_and_it_is_not_sent(desk: Desk) -> None:
    keep = {"src/main/java/Keep.java": java("\tint n20 = 21; \n")}
    desk.patch("hadoop/tab", desk.root / "hadoop", "HEAD", keep, "HDFS-8", "Keep a tab")
    desk.refused("prepare", "hadoop/tab")
    assert "no-tabs: an added line has a tab" in desk.said
    assert "no test is touched" in desk.said
    assert "--yes alone sends nothing" in desk.say("submit", "hadoop/tab")
    assert "no-tabs" in desk.refused("submit", "hadoop/tab", "--yes").details
    desk.say("submit", "hadoop/tab", "--yes", "--despite-findings")
    assert desk.facts("hadoop/tab").upstream.state == "pr-open"


def test_upstreams_own_programs_run_in_a_work_tree_and_only_if_that_is_asked_for(desk: Desk) -> None:
    (desk.project.patches / "upstream.toml").write_text(
        '[projects.bigtop]\ncommands = [["grep", "ten", "build.gradle"]]\n'
    )
    desk.say("prepare", MINE, "--run-commands")
    assert not (desk.folder() / "tree").exists()
    (desk.project.patches / "upstream.toml").write_text(
        '[projects.bigtop]\ncommands = [["git", "grep", "eleven"]]\n'
    )
    desk.say("prepare", MINE)
    desk.refused("prepare", MINE, "--run-commands")
    assert "exit status 1" in desk.said
    assert "ten\n" in (desk.folder() / "tree/build.gradle").read_text()


def test_a_project_of_attachments_gets_numbered_files_and_steps(desk: Desk) -> None:
    git(desk.root / "hadoop", "branch", "master")
    desk.site.create("apache/oozie", branch="master", source=desk.root / "hadoop")
    with desk.settings.open("a") as file:
        file.write(f'"https://github.com/apache/oozie.git" = "{desk.site.url}/apache/oozie.git"\n')
    keep = {"src/test/java/TestKeep.java": "class TestKeep {}\n"}
    desk.patch("oozie/keep", desk.root / "hadoop", "HEAD", keep, "OOZIE-12", "Keep it")
    for _ in range(2):
        assert desk.json("prepare", "oozie/keep")["attachment"] == "OOZIE-12-001.patch"
    desk.site.person("carol", "apache/oozie").commit("master", {"pom.xml": "<project></project>\n"})
    assert desk.json("prepare", "oozie/keep")["attachment"] == "OOZIE-12-001.patch"
    file = desk.project.patches / "oozie/keep/default.patch"
    file.write_bytes(file.read_bytes().replace(b"TestKeep {}", b"TestKeep { }"))
    assert desk.json("prepare", "oozie/keep")["attachment"] == "OOZIE-12-002.patch"
    assert "Attach OOZIE-12-002.patch" in desk.say("submit", "oozie/keep", "--yes", token=False)
    assert desk.facts("oozie/keep").upstream.state == "to-forward"
    said = desk.say("submit", "oozie/keep", "--yes", "--attached", token=False)
    done = "record in patch.toml that OOZIE-12-002.patch is attached to OOZIE-12"
    assert said.endswith(f"  done:\n  1. {done}\n"), "what a person did is not told as done by this"
    sent = desk.facts("oozie/keep").upstream
    assert (sent.state, sent.url) == ("ticket", "https://issues.apache.org/jira/browse/OOZIE-12")


def test_a_dry_run_reads_and_writes_nothing(desk: Desk) -> None:
    before = desk.text()
    steps = desk.json("submit", MINE)["steps"]
    assert [step.split()[0] for step in steps] == ["fork", "push", "open"]
    assert (desk.asked_to_write(), desk.text()) == ([], before)


def test_a_dry_run_needs_no_token(desk: Desk) -> None:
    said = desk.say("submit", MINE, token=False)
    assert f"to {BRANCH} of your fork of apache/bigtop\n" in said
    assert "2. open a pull request to apache/bigtop, master: BIGTOP-4032. Say ten\n" in said
    assert "note: there is no token for github.com" in said
    desk.say("submit", MINE, "--yes")
    url = desk.facts().upstream.url
    said = desk.say("submit", MINE, token=False)
    assert f"{BRANCH} of the fork of ann\n  2. bring {url} up to date: BIGTOP-4032" in said


def test_a_patch_is_sent_once_and_again_only_where_something_changed(desk: Desk, site: Site) -> None:
    site.fork_delay = 3
    desk.say("submit", MINE, "--yes")
    sent, pull = desk.facts().upstream, desk.bigtop.pull(1)
    assert (sent.state, sent.branch, sent.base) == ("pr-open", f"ann:{BRANCH}", "master")
    assert sent.url == f"{site.url}/apache/bigtop/pull/1"
    assert sent.head == pull.head_sha == site.repository("ann/bigtop").tip(BRANCH)
    assert pull.body == (desk.folder() / "body.md").read_text()
    assert pull.repo.show(sent.head, "%an %s") == "Ada Lovelace BIGTOP-4032. Say ten"
    assert "# A note of ours." in desk.text()
    assert "# soon" in desk.text()
    written = desk.asked_to_write()
    assert desk.json("submit", MINE, "--yes")["steps"] == []
    assert desk.asked_to_write() == written

    desk.tell(MINE, tested="Built it on Debian 13.")
    assert [step.split()[0] for step in desk.json("submit", MINE, "--yes")["steps"]] == ["change"]
    assert "Debian 13" in (pull.body or "")
    desk.tell(MINE, title="Say the number ten")
    file = desk.project.patches / MINE / "default.patch"
    file.write_bytes(file.read_bytes().replace(b"Say ten", b"Say the number ten"))
    assert [step.split()[0] for step in desk.json("submit", MINE, "--yes")["steps"]] == ["push", "change"]
    assert (pull.title, pull.head, len(site.pulls.all)) == ("BIGTOP-4032. Say the number ten", BRANCH, 1)
    assert desk.facts().upstream.head == site.repository("ann/bigtop").tip(BRANCH)


def test_what_is_written_on_github_is_not_overwritten(desk: Desk) -> None:
    desk.say("submit", MINE, "--yes")
    pull = desk.bigtop.pull(1)
    pull.body = ticked = (pull.body or "").replace("[ ]", "[x]")
    assert desk.json("submit", MINE, "--yes")["notes"] == []
    desk.tell(MINE, tested="Built it on Debian 13.")
    (note,) = desk.json("submit", MINE, "--yes")["notes"]
    assert "were changed on GitHub" in note
    assert pull.body == ticked


def test_a_pull_request_whose_fork_is_gone_is_left_and_another_branch_opens_a_new_one(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.say("submit", MINE, "--yes")
    site.delete("ann/bigtop")
    written = desk.asked_to_write()
    for words in (("submit", MINE), ("submit", MINE, "--yes")):
        refused = desk.refused(*words)
        assert "/pull/1 cannot be updated: its fork is gone" in refused.brief
        assert f"branch = 'ann:{BRANCH}-2'" in refused.hint
    assert desk.asked_to_write() == written
    with monkeypatch.context() as patch:
        patch.setattr(GitHub, "pulls", lambda *_, **__: ())  # should a list by branch pass over it
        assert "its fork is gone" in desk.refused("submit", MINE, "--yes").brief
    desk.tell(MINE, upstream={"branch": f"ann:{BRANCH}-2"})
    assert desk.json("submit", MINE, "--yes")["url"].endswith("/pull/2")
    assert desk.facts().upstream.head == desk.bigtop.pull(2).head_sha


def test_a_pull_request_that_another_branch_leaves_behind_is_told(desk: Desk) -> None:
    desk.say("submit", MINE, "--yes")
    desk.tell(MINE, upstream={"branch": "ann:elsewhere"})
    for words in (("submit", MINE), ("submit", MINE, "--yes")):
        (note,) = desk.json(*words)["notes"]
        assert note == (
            f"{desk.site.url}/apache/bigtop/pull/1 of ann:{BRANCH} stays open beside the new one of ann:elsewhere: "
            "close it on GitHub"
        )
    assert desk.json("submit", MINE)["notes"] == []


def test_a_branch_that_somebody_else_pushed_to_is_left(desk: Desk, site: Site) -> None:
    desk.say("submit", MINE, "--yes")
    commit = desk.bigtop.push_by_other(1, {"README": "mine\n"})
    desk.bigtop.commit("master", {"README": "read it\n"})
    for words in (("submit", MINE), ("submit", MINE, "--yes")):
        refused = desk.refused(*words)
        assert (
            f"somebody else pushed to {BRANCH} of ann/bigtop: {commit} Change by another hand"
            in refused.brief
        )
    assert site.repository("ann/bigtop").tip(BRANCH) == commit
    assert "Do not delete the branch: that closes its pull request" in refused.hint
    desk.tell(MINE, upstream={"head": commit})
    desk.say("submit", MINE, "--yes")
    assert (desk.bigtop.pull(1).state, desk.bigtop.pull(1).head_sha) == ("open", desk.facts().upstream.head)


@pytest.mark.parametrize("forked", [False, True])
def test_the_default_branch_of_a_fork_is_never_pushed_over(desk: Desk, site: Site, *, forked: bool) -> None:
    parent = site.repository("apache/bigtop")
    if forked:
        site.fork(parent, site.account("ann"))
    desk.tell(MINE, upstream={"branch": "ann:master"})
    refused = desk.refused("submit", MINE, "--yes")
    assert refused.brief.startswith("master is the default branch of ann/bigtop")
    assert "delete" not in refused.hint
    assert site.repository("ann/bigtop").tip("master") == parent.tip("master")


def test_a_branch_of_that_name_that_is_not_ours_is_left(desk: Desk, site: Site) -> None:
    parent = site.repository("apache/bigtop")
    fork = site.fork(parent, site.account("ann"))
    fork.move(BRANCH, parent.tip("master"))
    refused = desk.refused("submit", MINE, "--yes")
    assert parent.tip("master") in refused.brief
    assert refused.details == "pushed from here: nothing"


def test_a_push_of_somebody_else_at_the_same_moment_stays(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = site.repository("apache/bigtop")
    site.fork(parent, site.account("ann")).move(BRANCH, parent.tip("master"))
    monkeypatch.setattr(fork_of.Fork, "tip", lambda *_: "")
    refused = desk.refused("submit", MINE, "--yes")
    assert "was changed by somebody else at this moment" in refused.brief
    assert site.repository("ann/bigtop").tip(BRANCH) == parent.tip("master")


def test_the_token_goes_to_its_own_host_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_of, "api_of", lambda *_: "https://api.github.com")
    refused = desk.refused("submit", MINE, "--yes", kind=UpstreamError)
    assert "and the token is for https://github.com alone" in refused.brief


def test_a_repository_of_the_forks_name_that_is_none_is_refused(desk: Desk, site: Site) -> None:
    site.create("ann/bigtop")
    for words in (("submit", MINE), ("submit", MINE, "--yes")):
        assert "ann/bigtop is no fork of apache/bigtop" in desk.refused(*words, kind=UpstreamError).brief
    assert desk.asked_to_write() == []


def test_a_pull_request_that_somebody_closed_is_told_and_left(desk: Desk) -> None:
    desk.say("submit", MINE, "--yes")
    desk.site.person("bob", "apache/bigtop").close(1)
    refused = desk.refused("submit", MINE, "--yes")
    assert "/pull/1 was closed by bob on " in refused.brief
    assert "reopen it on GitHub" in refused.hint
    assert f"branch = 'ann:{BRANCH}-2' for a new one" in refused.hint
    desk.bigtop.reopen(1)
    assert desk.json("submit", MINE, "--yes")["url"].endswith("/pull/1")


def test_what_was_closed_is_sent_again_as_the_refusal_says(desk: Desk) -> None:
    desk.say("submit", MINE, "--yes")
    desk.bigtop.close(1)
    desk.say("sync", MINE)
    assert desk.facts().upstream.why == "closed by carol"
    refused = desk.refused("submit", MINE, "--yes", kind=InputError)
    assert f"state = 'to-forward' and branch = 'ann:{BRANCH}-2'" in refused.hint
    assert f"reopen {desk.site.url}/apache/bigtop/pull/1 on GitHub" in refused.hint
    desk.tell(MINE, upstream={"state": "to-forward", "branch": f"ann:{BRANCH}-2"})
    desk.say("submit", MINE, "--yes")
    sent = desk.facts().upstream
    assert (sent.state, sent.url[-7:], sent.why) == ("pr-open", "/pull/2", "")


@pytest.mark.parametrize("way", ["merge_button", "merge_script"])
def test_a_merged_one_is_left_to_sync(desk: Desk, way: str) -> None:
    desk.say("submit", MINE, "--yes")
    sent = desk.folder() / "proposal.json"
    assert sent.exists()
    getattr(desk.bigtop, way)(1)
    refused = desk.refused("submit", MINE, "--yes")
    assert "upstream sync" in refused.hint
    assert "upstream has bigtop/ten already" in refused.brief


@pytest.mark.parametrize("branch", ["there", ":there", "ann:", "ann:a..b", "ann:a:b"])
def test_a_branch_that_is_none_is_named(desk: Desk, branch: str) -> None:
    desk.tell(MINE, upstream={"branch": branch})
    refused = desk.refused("submit", MINE, "--yes", kind=InputError)
    assert f"branch {branch!r} of [upstream] names no branch" in refused.brief
    assert str(desk.project.patches / MINE / "patch.toml") in refused.hint


def test_a_ticket_that_is_not_there_is_told_before_anything_is_sent(desk: Desk) -> None:
    with serving_jira() as jira:
        toml = f'[projects.bigtop]\njira = "{jira.url}"\n'
        (desk.project.patches / "upstream.toml").write_text(toml)
        for words in ((), ("--yes",)):
            refused = desk.refused("submit", MINE, *words)
            assert refused.brief == f"bigtop/ten: {jira.url} has no ticket BIGTOP-4032"
        assert desk.asked_to_write() == []
        jira.anonymous = 401
        assert "not sent yet" in desk.say("submit", MINE)
        jira.anonymous = 200
        assert "not sent yet" in desk.say("submit", MINE, "--despite-findings")
        jira.issue("BIGTOP-4032")
        desk.say("submit", MINE, "--yes")
        jira.issues.clear()
        assert "nothing is left to do" in desk.say("submit", MINE), "it was sent"


def test_what_is_no_attachment_is_not_attached(desk: Desk) -> None:
    assert "nothing to attach" in desk.refused("submit", MINE, "--attached", kind=InputError).brief


def test_states_that_say_no_are_heeded(desk: Desk) -> None:
    for state, words in (
        ("local-only", "to stay here"),
        ("closed", "does not want it"),
        ("merged", "has it (abc)"),
    ):
        desk.tell(MINE, upstream={"state": state, "why": "So it is.", "commit": "abc"})
        assert words in desk.refused("submit", MINE, "--yes", kind=InputError).brief


def test_refusals_of_github_are_told_and_leave_no_trace(desk: Desk, site: Site) -> None:
    assert (
        "there is no token for github.com"
        in desk.refused("submit", MINE, "--yes", kind=UpstreamError, token=False).brief
    )
    good = desk.secret
    desk.secret = site.token("ann", scopes=("gist",))
    assert "(scopes: gist)" in desk.refused("submit", MINE, "--yes", kind=UpstreamError).details
    site.fork(site.repository("apache/bigtop"), site.account("ann"))
    desk.secret = site.token("bob", scopes=("gist",))
    desk.tell(MINE, upstream={"branch": "ann:there"})
    assert "Permission to ann/bigtop.git denied" in str(
        desk.refused("submit", MINE, "--yes", kind=UpstreamError)
    )
    site.expire(good)
    desk.secret = good
    assert "has expired or was revoked" in desk.refused("submit", MINE, kind=UpstreamError).hint


def test_a_token_that_expires_between_the_calls_and_git_is_named(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fork(site.repository("apache/bigtop"), site.account("ann"))
    push = fork_of.Fork.push

    def late(*words: Any, **more: Any) -> None:
        site.expire(desk.secret)
        push(*words, **more)

    monkeypatch.setattr(fork_of.Fork, "push", late)
    refused = desk.refused("submit", MINE, "--yes", kind=UpstreamError)
    assert "pushing to ann/bigtop failed" in refused.brief
    assert "does not take the token from the variable GH_TOKEN" in refused.brief


def test_what_was_cut_off_is_completed_by_running_it_again(desk: Desk, site: Site) -> None:
    pulls = "POST /repos/apache/bigtop/pulls"
    site.fail(pulls, refusal(403, "Resource not accessible by personal access token"))
    desk.refused("submit", MINE, "--yes", kind=UpstreamError)
    assert site.repository("ann/bigtop").tip(BRANCH)
    desk.bigtop.commit("master", {"README": "read it\n"})  # another commit is prepared
    site.fail(pulls, lost(), error(502))
    assert [step.split()[0] for step in desk.json("submit", MINE, "--yes")["steps"]] == ["push", "open"]
    assert len(site.pulls.all) == 1
    assert desk.facts().upstream.head == desk.bigtop.pull(1).head_sha


@pytest.mark.parametrize(
    "path",
    ["/repos/apache/bigtop/forks", "/ann/bigtop.git/git-receive-pack", "/repos/apache/bigtop/pulls"],
)
def test_one_that_was_killed_is_completed(desk: Desk, site: Site, path: str) -> None:
    before = desk.text()
    desk.killed_at(path, "submit", MINE, "--yes")
    assert desk.text() == before
    desk.bigtop.commit("master", {"README": "read it\n"})
    desk.say("submit", MINE, "--yes")
    sent, pull = desk.facts().upstream, desk.bigtop.pull(1)
    assert (sent.state, sent.head) == ("pr-open", site.repository("ann/bigtop").tip(BRANCH))
    assert sent.head == pull.head_sha
    assert [len(site.pulls.all), len(site.repositories)] == [1, 3]


def test_one_that_was_opened_and_not_recorded_is_taken(desk: Desk) -> None:
    before = desk.text()
    desk.say("submit", MINE, "--yes")
    (desk.project.patches / MINE / "patch.toml").write_text(before)
    (desk.folder() / "sent.json").unlink()
    step = f"record {desk.site.url}/apache/bigtop/pull/1 in patch.toml"
    for words in (("submit", MINE), ("submit", MINE, "--yes")):
        assert desk.json(*words)["steps"] == [step]
    assert desk.json("submit", MINE, "--yes")["steps"] == []
    assert desk.facts().upstream.state == "pr-open"


def test_a_repository_and_a_fork_that_have_other_names_by_now_are_found(desk: Desk, site: Site) -> None:
    site.fork(site.repository("apache/hadoop"), site.account("ann"))
    site.rename("apache/hadoop", "hadoop-core")
    site.rename("ann/hadoop", "my-hadoop")
    assert desk.json("submit", KEEP, "--yes")["url"].endswith("/apache/hadoop-core/pull/1")
    assert site.repository("ann/my-hadoop").tip(desk.facts(KEEP).upstream.branch.removeprefix("ann:"))


def test_several_are_sent_past_one_that_cannot_be(desk: Desk) -> None:
    desk.tell(MINE, ticket="")
    with pytest.raises(InputError, match="bigtop/ten: the patch has no ticket"):
        desk.say("submit", MINE, KEEP, "--yes")
    assert desk.facts(KEEP).upstream.url.endswith("/apache/hadoop/pull/1")

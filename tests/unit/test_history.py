# SPDX-License-Identifier: Apache-2.0
"""The index of a history: only what is new is read, releases know their commits, and gaps in a clone are told."""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from git_server import serving_git
from upstream import FILE, Upstream, new_upstream, number

from bigtop_builder.errors import TreeError
from bigtop_builder.mirror import Mirror
from bigtop_builder.run import run
from bigtop_builder.upstream import history as history_module
from bigtop_builder.upstream import wholeness
from bigtop_builder.upstream.history import History
from bigtop_builder.upstream.landed import Detection, seek
from bigtop_builder.upstream.tags import Tag

Open = Callable[..., History]


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return new_upstream(tmp_path / "served" / "thing")


@pytest.fixture
def opened(upstream: Upstream, tmp_path: Path) -> Open:
    def make(mirror: Mirror | None = None) -> History:
        return History.of(mirror or upstream.mirror, tmp_path / "cache")

    return make


def clone(upstream: Upstream, folder: Path, *words: str) -> Mirror:
    upstream.git("config", "uploadpack.allowFilter", "true")
    run(["git", "clone", "--quiet", "--bare", *words, f"file://{upstream.path}", folder])
    return Mirror(path=folder, url="")


def forget_the_server(mirror: Mirror) -> None:
    mirror.git("config", "--remove-section", "remote.origin")


def test_only_new_commits_are_read(
    upstream: Upstream, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = upstream.edit("One", (number(1), "one\n"))
    with opened() as history:
        history.include(first)
    assert f"reading 2 commits of {upstream.mirror.path}, once" in caplog.text
    caplog.clear()

    second = upstream.edit("Two", (number(2), "two\n"))
    with opened() as history:
        history.include(first, second)
        assert "reading 1 new commit of " in caplog.text
        assert "once" not in caplog.text
        caplog.clear()
        history.include(first, second)
        assert caplog.text == ""
        one, two = history.number(first), history.number(second)
        assert one is not None
        assert two is not None
        assert one < two
        assert one in history.release(first)
        assert two not in history.release(first)
        assert history.release(second).among([two, one]) == [one, two]


def test_a_branch_that_was_read_later_is_no_part_of_the_release(upstream: Upstream, opened: Open) -> None:
    main = upstream.edit("One", (number(1), "one\n"))
    upstream.git("checkout", "--quiet", "-b", "side", "HEAD^")
    side = upstream.edit("Two", (number(2), "two\n"))
    with opened() as history:
        history.include(main)
        history.include(side)
        assert history.number(main) not in history.release(side)
        assert history.number(side) not in history.release(main)
        with pytest.raises(KeyError):
            history.release("0" * 40)


def test_commits_of_a_merged_branch_are_part_of_the_release(upstream: Upstream, opened: Open) -> None:
    upstream.git("checkout", "--quiet", "-b", "side")
    side = upstream.edit("Two", (number(2), "two\n"))
    upstream.git("checkout", "--quiet", "main")
    upstream.edit("Thirty", (number(30), "thirty\n"))
    upstream.git("merge", "--quiet", "--no-edit", "side")
    with opened() as history:
        history.include(upstream.head)
        assert history.number(side) in history.release(upstream.head)


def test_a_commit_is_released_in_the_oldest_release_and_else_in_a_candidate(
    upstream: Upstream, opened: Open
) -> None:
    first = upstream.edit("One", (number(1), "one\n"))
    upstream.git("tag", "-m", "candidate", "rel-1-RC0")
    upstream.git("tag", "-m", "release", "rel-1")
    second = upstream.edit("Two", (number(2), "two\n"))
    upstream.git("tag", "rel-2-rc1")
    third = upstream.edit("Three", (number(3), "three\n"))

    def since(history: History, commit: str) -> str:
        return history.entry(history.number(commit) or 0).since

    with opened() as history:
        history.include(third)
        assert [since(history, commit) for commit in (first, second, third)] == ["rel-1", "rel-2-rc1", ""]
        upstream.git("tag", "rel-2")
        history.include(third)
        assert [since(history, commit) for commit in (first, second, third)] == ["rel-1", "rel-2", "rel-2"]


@pytest.mark.parametrize(
    ("name", "candidate"),
    [
        ("release-3.3.0-RC0", True),
        ("v3.2.0-rc1", True),
        ("release-3.9.0-0", True),
        ("release-3.9.0-1", True),
        ("release-3.9.0", False),
        ("rel/release-4.0.0-alpha-1", False),
        ("rel/3.0.1", False),
    ],
)
def test_a_candidate_is_known_by_its_name(name: str, *, candidate: bool) -> None:
    assert Tag(name, "a" * 40, 0).candidate == candidate


def test_patch_ids_are_those_of_git_and_kept(
    upstream: Upstream, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = upstream.edit("One", (number(1), "one\n")), upstream.edit("Two", (number(20), "two\n"))
    diffs = [upstream.diff(one), b"no diff at all\n", upstream.diff(two)]
    expected = [run(["git", "patch-id", "--verbatim"], stdin=diff).text.split() for diff in diffs]
    with opened() as history:
        found = history.patch_ids(diffs)
        assert found == [(words or [""])[0] for words in expected]
        monkeypatch.setattr(history_module, "patch_ids", None)
        assert history.patch_ids(diffs) == found


def test_an_index_whose_making_was_cut_off_holds_nothing_of_it(
    upstream: Upstream, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = upstream.edit("One", (number(1), "one\n"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with opened() as history:
        with monkeypatch.context() as patched:
            patched.setattr(History, "_bits", killed)
            with pytest.raises(KeyboardInterrupt):
                history.include(commit)
        assert history.number(commit) is None
        history.include(commit)
        assert history.number(commit) in history.release(commit)


def test_two_processes_may_read_the_same_history(upstream: Upstream, opened: Open) -> None:
    commit = upstream.edit("One", (number(1), "one\n"))
    with opened() as one, opened() as other:
        one.include(commit)
        other.include(commit)
        assert one.number(commit) == other.number(commit)


def test_a_shallow_clone_is_refused(upstream: Upstream, opened: Open, tmp_path: Path) -> None:
    upstream.edit("One", (number(1), "one\n"))
    shallow = clone(upstream, tmp_path / "shallow.git", "--depth=1")
    with opened(shallow) as history, pytest.raises(TreeError) as refusal:
        history.include(upstream.head)
    assert refusal.value.exit_code == 4
    assert f"{shallow.path} is a shallow clone" in refusal.value.brief
    assert upstream.head in refusal.value.brief
    assert "fetch --unshallow" in refusal.value.hint

    shallow.git("fetch", "--quiet", "--unshallow")
    with opened(shallow) as history:
        history.include(upstream.head)


def test_what_a_partial_clone_lacks_comes_in_one_go(upstream: Upstream, opened: Open, tmp_path: Path) -> None:
    for n in range(1, 6):
        upstream.edit("Change", (number(n), f"{n}\n"))
    with serving_git(upstream.path.parent) as server:
        upstream.git("config", "uploadpack.allowFilter", "true")
        folder = tmp_path / "partial.git"
        run(["git", "clone", "--quiet", "--bare", "--filter=blob:none", f"{server.url}/thing", folder])
        before = server.fetches
        with opened(Mirror(path=folder, url="")) as history:
            history.include(upstream.head)
        assert server.fetches == before + 1


def test_a_partial_clone_whose_server_is_gone_is_refused(
    upstream: Upstream, opened: Open, tmp_path: Path
) -> None:
    partial = clone(upstream, tmp_path / "partial.git", "--filter=blob:none")
    upstream.path.rename(tmp_path / "gone")
    with opened(partial) as history:
        commit = partial.git("rev-parse", "HEAD").text
        with pytest.raises(TreeError, match="is a partial clone: it lacks 1 objects") as refusal:
            history.include(commit)
        assert str(partial.path) in refusal.value.brief
        assert "make its server reachable" in refusal.value.hint
        assert history.number(commit) is None


def test_a_clone_without_many_objects_and_without_a_server_is_refused(
    upstream: Upstream, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = clone(upstream, tmp_path / "partial.git", "--filter=blob:none")
    forget_the_server(partial)
    monkeypatch.setattr(wholeness, "FEW", 0)
    with opened(partial) as history, pytest.raises(TreeError, match="it lacks 1 objects") as refusal:
        history.include(upstream.head)
    assert "names no server" in refusal.value.details


@pytest.mark.parametrize("earlier", [False, True], ids=["at once", "an older release first"])
def test_a_file_that_a_snapshot_leaves_out_hinders_only_patches_to_that_file(
    upstream: Upstream, opened: Open, tmp_path: Path, earlier: bool
) -> None:
    upstream.change("Large", {"large.csv": "0123456789\n" * 500})
    mixed = upstream.change(
        "Large and small", {"large.csv": "9876543210\n" * 500, FILE: "another beginning\n"}
    )
    small = upstream.diff(upstream.change("Small", {FILE: "another beginning\nwith a second line\n"}))
    large = upstream.diff(upstream.change("Large again", {"large.csv": "a few words only\n"}))
    snapshot = clone(upstream, tmp_path / "snapshot.git", "--filter=blob:limit=4k")
    forget_the_server(snapshot)
    with opened(snapshot) as history:
        if earlier:
            history.include(mixed)
        history.include(upstream.head)
        assert history.number(mixed) in history.release(upstream.head)
        first, second = seek(history, [(small, ""), (large, "")])
        detection = Detection(history)
        found = detection.find(first, upstream.head)
        assert found is not None
        assert found.by == "patch-id"
        with pytest.raises(TreeError, match=r"large\.csv") as refusal:
            detection.find(second, upstream.head)
        assert str(snapshot.path) in refusal.value.brief


def test_a_clone_with_a_broken_object_store_is_named(upstream: Upstream, opened: Open) -> None:
    blob = upstream.git("rev-parse", f"HEAD:{FILE}")
    (upstream.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with opened() as history, pytest.raises(TreeError) as refusal:
        history.include(upstream.head)
    assert str(upstream.path) in refusal.value.brief
    assert blob in refusal.value.details


def test_the_index_is_one_file_that_sqlite_reads(upstream: Upstream, opened: Open, tmp_path: Path) -> None:
    with opened() as history:
        history.include(upstream.head)
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    database = sqlite3.connect(file)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()

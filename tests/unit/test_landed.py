# SPDX-License-Identifier: Apache-2.0
"""Whether upstream has a patch: what is proof, what is a hint, and what a release took back again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from upstream import FILE, TEXT, Upstream, new_upstream, number

from bigtop_builder.git_index import Index
from bigtop_builder.patches.facts import Given, new_facts
from bigtop_builder.patches.queue import Patch
from bigtop_builder.upkeep.trace import Trace, remember, trace
from bigtop_builder.upstream.history import History
from bigtop_builder.upstream.landed import Detection, Landing, Sought, seek
from bigtop_builder.workspace import Workspace

FIX = "HIVE-7: Start with more memory"
FIXES = ((number(10), "start with more memory\n"),)
Proof = tuple[str, str, bool, bool]
"""Commit, what says so, whether it is certain, whether it stands."""


class Search:
    """Looks in an upstream that grows."""

    def __init__(self, upstream: Upstream, history: History, index: Index) -> None:
        self.upstream, self.history, self.index = upstream, history, index

    def seek(self, diff: bytes, subject: str = "") -> Sought:
        return seek(self.history, [(diff, subject)])[0]

    def landing(self, diff: bytes, release: str = "HEAD", *, base: str = "") -> Landing | None:
        commit = self.upstream.git("rev-parse", f"{release}^{{commit}}")
        self.history.include(commit)
        return Detection(self.history, self.index).find(self.seek(diff), commit, base=base)

    def __call__(self, diff: bytes, release: str = "HEAD", *, base: str = "") -> Proof | None:
        found = self.landing(diff, release, base=base)
        return (found.commit, found.by, found.certain, found.stands) if found else None


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return new_upstream(tmp_path / "upstream")


@pytest.fixture
def search(upstream: Upstream, tmp_path: Path) -> Iterator[Search]:
    with (
        History.of(upstream.mirror, tmp_path / "cache") as history,
        Index.temporary(upstream.mirror, tmp_path / "objects") as index,
    ):
        yield Search(upstream, history, index)


@pytest.fixture
def patch(upstream: Upstream) -> bytes:
    """A patch made on `main` as it begins, kept on a branch of ours."""
    return ours(upstream, *FIXES)


def ours(upstream: Upstream, *pairs: tuple[str, str]) -> bytes:
    """A patch to `main` as it is, that main does not get."""
    return aside(upstream, lambda: upstream.edit("Ours", *pairs))


def aside(upstream: Upstream, commit: Callable[[], str]) -> bytes:
    """What is committed on a branch of ours, as a patch."""
    upstream.git("checkout", "--quiet", "-b", "ours")
    diff = upstream.diff(commit())
    upstream.git("checkout", "--quiet", "main")
    upstream.git("branch", "--quiet", "-D", "ours")
    return diff


def test_a_commit_with_the_same_patch_id_is_proof(upstream: Upstream, search: Search, patch: bytes) -> None:
    upstream.change("Other", other="other\n")
    landed = upstream.edit(FIX, *FIXES)
    upstream.git("tag", "release-2")

    found = search.landing(patch)

    assert found == Landing(
        commit=landed,
        subject=FIX,
        by="patch-id",
        cover=1,
        certain=True,
        reverted_by="",
        undone_by="",
        gone=False,
        since="release-2",
    )
    assert found.stands


def test_lines_that_moved_do_not_change_a_patch_id(upstream: Upstream, search: Search, patch: bytes) -> None:
    upstream.edit("More above", (number(1), "one\ntwo\nthree\n"))
    landed = upstream.edit(FIX, *FIXES)

    assert search(patch) == (landed, "patch-id", True, True)


@pytest.mark.parametrize("more", [(), ((number(30), "and faster\n"),)], ids=["alone", "in a larger commit"])
def test_other_white_space_is_another_change(
    upstream: Upstream, search: Search, more: tuple[tuple[str, str], ...]
) -> None:
    patch = ours(upstream, (number(10), f"    {number(10)}"))
    upstream.edit("Another indent", (number(10), f"  {number(10)}"), *more)

    assert search(patch) is None


def test_a_release_without_the_commit_does_not_have_the_patch(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.git("tag", "before")
    upstream.edit(FIX, *FIXES)

    assert search(patch, "before") is None
    assert search(patch) is not None


def test_blocks_of_lines_are_known_where_their_context_is_another(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.edit("Around", (number(9), "nine\n"), (number(11), "eleven\n"))
    landed = upstream.edit(FIX, *FIXES)

    assert search(patch) == (landed, "block cover", True, True)


def test_a_file_that_moved_with_its_folder_is_the_same_file(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.change("Move", {FILE: None, f"modules/{FILE}": TEXT})
    landed = upstream.edit(FIX, *FIXES, path=f"modules/{FILE}")

    assert search(patch) == (landed, "block cover", True, True)


def test_the_same_change_to_a_like_named_file_elsewhere_is_another_one(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.change("Client", {"client/start.sh": TEXT})
    upstream.edit("Client too", *FIXES, path="client/start.sh")

    assert search(patch) is None


def test_a_patch_that_is_part_of_a_larger_commit_is_covered(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    landed = upstream.edit(
        "All", *FIXES, (number(20), "and with more threads\n"), (number(30), "and faster\n")
    )

    assert search(patch) == (landed, "block cover", True, True)


def test_nine_blocks_of_ten_are_found_but_are_no_certain_proof(upstream: Upstream, search: Search) -> None:
    pairs = [(number(n), f"new words in place of line {n}\n") for n in range(3, 33, 3)]
    patch = ours(upstream, *pairs)
    landed = upstream.edit("Nearly", *pairs[:9])

    assert search(patch) == (landed, "block cover", False, True)
    found = search.landing(patch)
    assert found
    assert found.cover == 0.9


@pytest.mark.parametrize("other", ["fi\n", "a line that tells a lot\n"], ids=["too little", "twice"])
def test_covered_blocks_are_no_proof_if_one_of_the_patch_does_not_count(
    upstream: Upstream, search: Search, other: str
) -> None:
    lines = (number(10), number(10) + "a line that tells a lot\n")
    patch = ours(upstream, lines, (number(20), number(20) + other))
    landed = upstream.edit("Half of it", lines)

    assert search(patch) == (landed, "block cover", False, True)


def test_half_of_a_patch_is_not_the_patch(upstream: Upstream, search: Search) -> None:
    pairs = [(number(n), f"new words in place of line {n}\n") for n in (5, 25)]
    patch = ours(upstream, *pairs)
    upstream.edit("Half", pairs[0])

    assert search(patch) is None


def test_lines_that_are_everywhere_prove_nothing(upstream: Upstream, search: Search) -> None:
    patch = ours(upstream, (number(10), number(10) + "fi\n"))
    upstream.edit("Another fi", (number(30), number(30) + "fi\n"))

    assert search(patch) is None


def test_covered_lines_do_not_prove_a_change_of_mode(upstream: Upstream, search: Search) -> None:
    def with_mode() -> str:
        (upstream.path / FILE).chmod(0o755)
        return upstream.edit("Ours", *FIXES)

    patch = aside(upstream, with_mode)
    landed = upstream.edit(FIX, *FIXES)

    assert search(patch) == (landed, "block cover", False, True)


def test_two_pictures_are_not_the_same_change(upstream: Upstream, search: Search) -> None:
    upstream.change("Picture", picture="\0one")
    patch = aside(upstream, lambda: upstream.change("Ours", picture="\0two"))
    upstream.change("Theirs", picture="\0three")

    assert search(patch) is None


def test_a_diff_without_git_headers_is_found_by_its_blocks(upstream: Upstream, search: Search) -> None:
    landed = upstream.edit(FIX, *FIXES)
    patch = (
        f"--- thing-1.0/{FILE}.orig\t2015-10-05 20:50:36\n+++ thing-1.0/{FILE}\t2015-10-05 20:51:35\n"
        f"@@ -10 +10 @@\n-{number(10)}+start with more memory\n"
    ).encode()

    assert search(patch) == (landed, "block cover", True, True)


def test_a_ticket_or_a_subject_is_a_hint_and_no_proof(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    by_ticket = upstream.edit("HIVE-7. Document the memory", (number(30), "memory is good\n"))
    by_subject = upstream.edit("hive-7 start with more memory (#12)", (number(31), "memory is better\n"))

    assert search(patch) is None

    hints = Detection(search.history).hints(search.seek(patch, FIX), upstream.head)
    assert [(hint.commit, hint.why) for hint in hints] == [(by_subject, "subject"), (by_ticket, "HIVE-7")]


def revert(upstream: Upstream, commit: str, message: str = "") -> str:
    upstream.git("revert", "--no-edit", commit)
    if message:
        upstream.git("commit", "--quiet", "--amend", "-m", message)
    return upstream.head


@pytest.mark.parametrize(
    ("subject", "message", "near"),
    [
        (FIX, "Not so good\n\nThis reverts commit {short}.", True),
        (f"{FIX} (#12)", f'Revert "{FIX}" (#13)', True),
        (FIX, "Less memory will do", False),
    ],
    ids=["names the commit", "has its subject", "has the reverse diff"],
)
def test_a_revert_is_known(
    upstream: Upstream, search: Search, patch: bytes, subject: str, message: str, near: bool
) -> None:
    landed = upstream.edit(subject, *FIXES)
    upstream.git("tag", "between")
    if near:
        upstream.edit("Near", (number(9), "nine\n"))
    back = upstream.change(message.format(short=landed[:9]), {FILE: TEXT})

    assert search(patch) == (landed, "patch-id", True, False)
    found = search.landing(patch)
    assert found
    assert found.reverted_by == back
    assert search(patch, "between") == (landed, "patch-id", True, True)


def test_a_commit_that_is_known_to_bring_a_patch_is_followed_whatever_reviewers_made_of_it(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    landed = upstream.edit(f"{FIX} (#12)", (number(20), "another place altogether\n"))
    upstream.git("tag", "1.0")

    def followed() -> Landing | None:
        search.history.include(upstream.head)
        return Detection(search.history).follow(search.seek(patch), landed, upstream.head)

    found = followed()
    assert found
    assert (found.commit, found.by, found.since, found.stands) == (landed, "its commit", "1.0", True)
    back = revert(upstream, landed)
    found = followed()
    assert found
    assert (found.commit, found.reverted_by) == (landed, back)
    again = revert(upstream, back)
    found = followed()
    assert found
    assert (found.commit, found.stands) == (again, True)
    assert Detection(search.history).follow(search.seek(patch), "a" * 40, upstream.head) is None


def test_a_revert_that_names_the_commit_on_master_counts_for_its_backport(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.git("branch", "branch-1")
    master = upstream.edit(FIX, *FIXES)
    upstream.git("checkout", "--quiet", "branch-1")
    upstream.edit("Near", (number(8), "eight\n"))
    upstream.edit(f"{FIX}\n\n(cherry picked from commit {master})", *FIXES)
    back = upstream.change(f"Oh\n\nThis reverts commit {master}.", {FILE: TEXT})

    found = search.landing(patch, "branch-1")

    assert found
    assert found.reverted_by == back
    assert search(patch, "main") == (master, "patch-id", True, True)


@pytest.mark.parametrize("message", ["", f'Reapply "{FIX}"', "HIVE-7: Once more"])
def test_what_was_taken_back_and_applied_again_is_there(
    upstream: Upstream, search: Search, patch: bytes, message: str
) -> None:
    back = revert(upstream, upstream.edit(FIX, *FIXES))
    again = revert(upstream, back, message)

    assert search(patch) == (again, "patch-id", True, True)


def test_a_second_revert_counts_again(upstream: Upstream, search: Search, patch: bytes) -> None:
    back = revert(upstream, upstream.edit(FIX, *FIXES))
    last = revert(upstream, revert(upstream, back))

    found = search.landing(patch)

    assert found
    assert found.reverted_by == last


def test_a_patch_that_came_by_two_branches_is_gone_when_one_is_reverted_later(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.git("checkout", "--quiet", "-b", "side")
    upstream.edit(FIX, *FIXES)
    upstream.git("checkout", "--quiet", "main")
    here = upstream.edit(FIX, *FIXES)
    upstream.change("Other", other="other\n")
    upstream.git("merge", "--quiet", "--no-edit", "side")
    twice = search.landing(patch)
    assert twice
    assert twice.stands

    back = revert(upstream, here)

    found = search.landing(patch)
    assert found
    assert found.reverted_by == back


OLD, NEW = FIXES[0]
MORE = (number(20), "and stop with less\n")


@pytest.mark.parametrize(
    "steps",
    [
        [[(NEW, OLD), MORE[::-1], (number(30), "and a lot of other things\n")]],
        [[(NEW, OLD)], [MORE[::-1]]],
        [[(NEW, OLD)]],
        [[(NEW, "start with no memory\n"), (MORE[1], "")]],
    ],
    ids=["by an upgrade", "in two steps", "by half", "by other lines"],
)
def test_lines_that_were_taken_out_again_by_hand_leave_a_doubt(
    upstream: Upstream, search: Search, steps: list[list[tuple[str, str]]]
) -> None:
    patch = ours(upstream, *FIXES, MORE)
    landed = upstream.edit(FIX, *FIXES, MORE)
    upstream.edit("Around", (number(9), "nine\n"), (number(11), "eleven\n"))
    assert search(patch) == (landed, "patch-id", True, True)

    for pairs in steps:
        upstream.edit("HIVE-8: It breaks small hosts", *pairs)

    assert search(patch) == (landed, "patch-id", True, False)


def test_what_came_again_after_lines_were_taken_out_by_hand_is_there(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.edit(FIX, *FIXES)
    upstream.edit("HIVE-8: Not that much", (NEW, OLD), (number(30), "thirty\n"))
    again = upstream.edit(FIX, *FIXES)

    assert search(patch) == (again, "patch-id", True, True)


@pytest.mark.parametrize("way", ["a merge that dropped it", "a merge that was reverted"])
def test_what_a_merge_did_not_keep_does_not_stand(
    upstream: Upstream, search: Search, patch: bytes, way: str
) -> None:
    upstream.git("checkout", "--quiet", "-b", "feature")
    landed = upstream.edit(FIX, *FIXES)
    upstream.git("checkout", "--quiet", "main")
    upstream.change("Other", other="other\n")
    dropped = way == "a merge that dropped it"
    strategy = ["--strategy=ours"] if dropped else []
    upstream.git("merge", "--quiet", "--no-ff", "--no-edit", *strategy, "feature")
    if not dropped:
        upstream.git("revert", "--mainline=1", "--no-edit", "HEAD")

    assert search(patch) == (landed, "patch-id", True, False)


def test_the_same_change_at_another_place_of_the_file_does_not_stand(
    upstream: Upstream, search: Search
) -> None:
    upstream.change("Twice", {FILE: TEXT + TEXT})
    patch = aside(upstream, lambda: upstream.change("Ours", {FILE: TEXT + TEXT.replace(OLD, NEW)}))
    landed = upstream.change("The first one", {FILE: TEXT.replace(OLD, NEW) + TEXT})

    assert search(patch) == (landed, "patch-id", True, False)


def test_a_patch_id_counts_more_than_a_cover(upstream: Upstream, search: Search, patch: bytes) -> None:
    revert(upstream, upstream.edit("All", *FIXES, (number(30), "and faster\n")))
    landed = upstream.edit(FIX, *FIXES)

    assert search(patch) == (landed, "patch-id", True, True)


def test_a_patch_that_landed_in_two_parts_is_found_by_an_empty_merge(
    upstream: Upstream, search: Search
) -> None:
    base = upstream.head
    pairs = [(number(n), f"new words in place of line {n}\n") for n in (5, 25)]
    patch = ours(upstream, *pairs)
    upstream.edit("First part", pairs[0])
    upstream.git("tag", "half")
    landed = upstream.edit("Second part", pairs[1])
    upstream.change("Other", other="other\n")
    upstream.edit("Elsewhere in the file", (number(38), "almost the end\n"))

    for named in (base, ""):
        assert search(patch, base=named) == (landed, "empty merge", True, True)
    assert search(patch, "half", base=base) is None


def test_a_line_that_never_was_there_was_not_taken_out(upstream: Upstream, search: Search) -> None:
    upstream.git("tag", "old")
    base = upstream.edit("A line too many", (number(10), number(10) + "this line is one too many\n"))
    patch = ours(upstream, ("this line is one too many\n", ""))

    assert search(patch, "old", base=base) is None
    assert search(patch, base=base) is None


def test_a_file_that_came_with_the_effect_in_it_has_it(upstream: Upstream, search: Search) -> None:
    files = {"etc/new.conf": "one = 1\ntwo = 2\nthree = 3\n"}
    patch = aside(upstream, lambda: upstream.change("Ours", files))
    base = upstream.head
    upstream.change("Part", {"etc/new.conf": "one = 1\n"})
    landed = upstream.change("Rest", files)

    assert search(patch, base=base) == (landed, "empty merge", True, True)


def test_without_the_base_of_a_patch_a_merge_is_not_tried(upstream: Upstream, search: Search) -> None:
    pairs = [(number(n), f"new words in place of line {n}\n") for n in (5, 25)]
    lines = (line for line in ours(upstream, *pairs).splitlines(keepends=True))
    patch = b"".join(line for line in lines if not line.startswith(b"index "))
    upstream.edit("First part", pairs[0])
    upstream.edit("Second part", pairs[1])

    assert search(patch) is None


def test_a_patch_of_the_queue_is_looked_for_on_a_branch_without_a_recipe(
    upstream: Upstream, patch: bytes, tmp_path: Path
) -> None:
    facts = new_facts("hive", FIX, given=Given(), releases=())
    queued = Patch(id="hive/memory", path=tmp_path / "default.patch", diff=patch, facts=facts)
    workspace = Workspace(tmp_path / "cache")

    def traced() -> Trace:
        remember(upstream.mirror, [upstream.head], workspace)
        (found,) = trace([queued], upstream.head, mirror=upstream.mirror, workspace=workspace)
        return found

    assert traced() == Trace()
    landed = upstream.edit(f"{FIX} (#12)", *FIXES)
    proof = traced().proof
    assert proof is not None
    assert (proof.commit, proof.by) == (landed, "patch-id")
    upstream.git("revert", "--no-edit", landed)
    assert traced().proof is None
    assert traced().told(applies=False) == f"upstream had it in {landed} and took it back in {upstream.head}"

# SPDX-License-Identifier: Apache-2.0
"""Whether upstream has a patch: what is proof, what is a hint, and what a release took back again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from upstream import FILE, TEXT, Upstream, new_upstream, number

from bigtop_builder.git_index import Index
from bigtop_builder.upstream.history import History
from bigtop_builder.upstream.landed import Detection, Landing, Sought, seek

FIX = "HIVE-7: Start with more memory"
FIXES = ((number(10), "start with more memory\n"),)


class Search:
    """Looks in an upstream that grows."""

    def __init__(self, upstream: Upstream, history: History, index: Index) -> None:
        self.upstream, self.history, self.index = upstream, history, index

    def seek(self, diff: bytes, subject: str = "") -> Sought:
        return seek(self.history, [(diff, subject)])[0]

    def __call__(self, diff: bytes, release: str = "HEAD", *, base: str = "") -> Landing | None:
        commit = self.upstream.git("rev-parse", f"{release}^{{commit}}")
        self.history.include(commit)
        return Detection(self.history, self.index).find(self.seek(diff), commit, base=base)


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
    upstream.git("checkout", "--quiet", "-b", "ours")
    diff = upstream.diff(upstream.edit("Ours", *pairs))
    upstream.git("checkout", "--quiet", "main")
    upstream.git("branch", "--quiet", "-D", "ours")
    return diff


def test_a_commit_with_the_same_patch_id_is_proof(upstream: Upstream, search: Search, patch: bytes) -> None:
    upstream.change("Other", other="other\n")
    landed = upstream.edit(FIX, *FIXES)
    upstream.git("tag", "release-2")

    found = search(patch)

    assert found == Landing(
        commit=landed,
        subject=FIX,
        by="patch-id",
        cover=1,
        certain=True,
        reverted_by="",
        undone_by="",
        since="release-2",
    )
    assert found.stands


def test_lines_that_moved_and_white_space_do_not_change_a_patch_id(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.edit("More above", (number(1), "one\ntwo\nthree\n"))
    landed = upstream.edit(FIX, (number(10), "start   with more memory\n"))

    found = search(patch)

    assert found is not None
    assert (found.commit, found.by) == (landed, "patch-id")


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

    found = search(patch)

    assert found is not None
    assert (found.commit, found.by, found.certain) == (landed, "block cover", True)


def test_a_file_that_moved_with_its_folder_is_the_same_file(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.change("Move", {FILE: None, f"modules/{FILE}": TEXT})
    landed = upstream.edit(FIX, *FIXES, path=f"modules/{FILE}")

    found = search(patch)

    assert found is not None
    assert (found.commit, found.by) == (landed, "block cover")


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

    found = search(patch)

    assert found is not None
    assert (found.commit, found.by, found.cover, found.certain) == (landed, "block cover", 1, True)


def test_nine_blocks_of_ten_are_found_but_are_no_certain_proof(upstream: Upstream, search: Search) -> None:
    pairs = [(number(n), f"new words in place of line {n}\n") for n in range(3, 33, 3)]
    patch = ours(upstream, *pairs)
    landed = upstream.edit("Nearly", *pairs[:9])

    found = search(patch)

    assert found is not None
    assert (found.commit, found.by, found.cover, found.certain) == (landed, "block cover", 0.9, False)


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
    upstream.git("checkout", "--quiet", "-b", "ours")
    (upstream.path / FILE).chmod(0o755)
    patch = upstream.diff(upstream.edit("Ours", *FIXES))
    upstream.git("checkout", "--quiet", "main")
    upstream.edit(FIX, *FIXES)

    found = search(patch)

    assert found is not None
    assert (found.by, found.certain) == ("block cover", False)


def test_two_pictures_are_not_the_same_change(upstream: Upstream, search: Search) -> None:
    upstream.change("Picture", picture="\0one")
    upstream.git("checkout", "--quiet", "-b", "ours")
    patch = upstream.diff(upstream.change("Ours", picture="\0two"))
    upstream.git("checkout", "--quiet", "main")
    upstream.change("Theirs", picture="\0three")

    assert search(patch) is None


def test_a_diff_without_git_headers_is_found_by_its_blocks(upstream: Upstream, search: Search) -> None:
    landed = upstream.edit(FIX, *FIXES)
    patch = (
        f"--- thing-1.0/{FILE}.orig\t2015-10-05 20:50:36\n+++ thing-1.0/{FILE}\t2015-10-05 20:51:35\n"
        f"@@ -10 +10 @@\n-{number(10)}+start with more memory\n"
    ).encode()

    found = search(patch)

    assert found is not None
    assert (found.commit, found.by) == (landed, "block cover")


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


def test_a_revert_that_names_the_commit_counts(upstream: Upstream, search: Search, patch: bytes) -> None:
    landed = upstream.edit(FIX, *FIXES)
    upstream.git("tag", "between")
    upstream.edit("Near", (number(9), "nine\n"))
    upstream.change(f"Not so good\n\nThis reverts commit {landed[:9]}.", {FILE: TEXT})

    found = search(patch)

    assert found is not None
    assert (found.commit, found.reverted_by, found.stands) == (landed, upstream.head, False)
    between = search(patch, "between")
    assert between is not None
    assert between.stands


def test_a_revert_by_subject_counts(upstream: Upstream, search: Search, patch: bytes) -> None:
    upstream.edit(f"{FIX} (#12)", *FIXES)
    upstream.edit("Near", (number(9), "nine\n"))
    back = upstream.change(f'Revert "{FIX}" (#13)', {FILE: TEXT})

    found = search(patch)

    assert found is not None
    assert found.reverted_by == back


def test_a_revert_that_says_nothing_is_known_by_its_diff(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    back = revert(upstream, upstream.edit(FIX, *FIXES), "Less memory will do")

    found = search(patch)

    assert found is not None
    assert found.reverted_by == back


def test_a_revert_that_names_the_commit_on_master_counts_for_its_backport(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    upstream.git("branch", "branch-1")
    master = upstream.edit(FIX, *FIXES)
    upstream.git("checkout", "--quiet", "branch-1")
    upstream.edit("Near", (number(8), "eight\n"))
    upstream.edit(f"{FIX}\n\n(cherry picked from commit {master})", *FIXES)
    back = upstream.change(f"Oh\n\nThis reverts commit {master}.", {FILE: TEXT})

    found = search(patch, "branch-1")

    assert found is not None
    assert found.reverted_by == back
    elsewhere = search(patch, "main")
    assert elsewhere is not None
    assert elsewhere.stands


@pytest.mark.parametrize("message", ["", f'Reapply "{FIX}"', "HIVE-7: Once more"])
def test_what_was_taken_back_and_applied_again_is_there(
    upstream: Upstream, search: Search, patch: bytes, message: str
) -> None:
    back = revert(upstream, upstream.edit(FIX, *FIXES))
    again = revert(upstream, back, message)

    found = search(patch)

    assert found is not None
    assert (found.commit, found.stands) == (again, True)


def test_a_second_revert_counts_again(upstream: Upstream, search: Search, patch: bytes) -> None:
    back = revert(upstream, upstream.edit(FIX, *FIXES))
    last = revert(upstream, revert(upstream, back))

    found = search(patch)

    assert found is not None
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
    twice = search(patch)
    assert twice is not None
    assert twice.stands

    back = revert(upstream, here)

    found = search(patch)
    assert found is not None
    assert found.reverted_by == back


def test_an_upgrade_that_takes_its_lines_out_is_told_and_the_patch_has_landed(
    upstream: Upstream, search: Search, patch: bytes
) -> None:
    landed = upstream.edit(FIX, *FIXES)
    upgrade = upstream.edit("Upgrade", FIXES[0][::-1], (number(30), "and a lot of other things\n"))

    found = search(patch)

    assert found is not None
    assert (found.commit, found.stands, found.undone_by) == (landed, True, upgrade)


def test_covered_lines_of_which_none_is_left_are_no_certain_proof(upstream: Upstream, search: Search) -> None:
    patch = ours(upstream, (number(10), number(10) + "a line that tells a lot\n"))
    upstream.edit("Larger", (number(10), number(10) + "a line that tells a lot\n"), (number(30), "thirty\n"))
    upstream.edit("Larger still", ("a line that tells a lot\n" + number(11), "something else\n"))

    found = search(patch)

    assert found is not None
    assert (found.by, found.cover, found.certain) == ("block cover", 1, False)


def test_a_patch_id_counts_more_than_a_cover(upstream: Upstream, search: Search, patch: bytes) -> None:
    revert(upstream, upstream.edit("All", *FIXES, (number(30), "and faster\n")))
    landed = upstream.edit(FIX, *FIXES)

    found = search(patch)

    assert found is not None
    assert (found.commit, found.by, found.certain) == (landed, "patch-id", True)


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
        found = search(patch, base=named)
        assert found is not None
        assert (found.commit, found.by, found.certain) == (landed, "empty merge", True)
    assert search(patch, "half", base=base) is None


def test_a_line_that_never_was_there_was_not_taken_out(upstream: Upstream, search: Search) -> None:
    upstream.git("tag", "old")
    base = upstream.edit("A line too many", (number(10), number(10) + "this line is one too many\n"))
    patch = ours(upstream, ("this line is one too many\n", ""))

    assert search(patch, "old", base=base) is None
    assert search(patch, base=base) is None


def test_a_file_that_came_with_the_effect_in_it_has_it(upstream: Upstream, search: Search) -> None:
    upstream.git("checkout", "--quiet", "-b", "ours")
    patch = upstream.diff(upstream.change("Ours", {"etc/new.conf": "one = 1\ntwo = 2\nthree = 3\n"}))
    upstream.git("checkout", "--quiet", "main")
    base = upstream.head
    upstream.change("Part", {"etc/new.conf": "one = 1\n"})
    landed = upstream.change("Rest", {"etc/new.conf": "one = 1\ntwo = 2\nthree = 3\n"})

    found = search(patch, base=base)

    assert found is not None
    assert (found.commit, found.by) == (landed, "empty merge")


def test_without_the_base_of_a_patch_a_merge_is_not_tried(upstream: Upstream, search: Search) -> None:
    pairs = [(number(n), f"new words in place of line {n}\n") for n in (5, 25)]
    lines = (line for line in ours(upstream, *pairs).splitlines(keepends=True))
    patch = b"".join(line for line in lines if not line.startswith(b"index "))
    upstream.edit("First part", pairs[0])
    upstream.edit("Second part", pairs[1])

    assert search(patch) is None

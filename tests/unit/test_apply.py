# SPDX-License-Identifier: Apache-2.0
"""Applying: what is clean here, dpkg-source's `patch -F 0` takes with the same result, and nothing else passes."""

import difflib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.git_index import Index
from bigtop_builder.mirror import Mirror
from bigtop_builder.patches.apply import Moved, apply_series, check, fits, told
from bigtop_builder.run import run

ME = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ENV = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C", **ME}
DPKG = [
    "patch",
    *["-t", "-F", "0", "-N", "-p1", "-u", "-V", "never", "-E", "-b", "-B", ".pc/x/", "--reject-file=-"],
]
"""As dpkg-source applies a patch (Dpkg::Source::Patch, `apply`)."""

FORTY = b"".join(b"%d\n" % number for number in range(1, 41))
ROUND = b"a\nb\nc\nx\nd\ne\nf\n"


def git(folder: Path, *words: str) -> str:
    return run(["git", *words], cwd=folder, env=ENV, inherit=False).text


def commit(folder: Path, files: Mapping[str, bytes]) -> str:
    """A repository with one commit of these files; returns the id of their tree."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", ".")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "one")
    return git(folder, "rev-parse", "HEAD^{tree}")


def by_dpkg(folder: Path, diff: bytes) -> str | None:
    """The tree that dpkg-source's command makes; None if it fails."""
    if run(DPKG, cwd=folder, env=ENV, inherit=False, stdin=diff, check=False).returncode != 0:
        return None
    (folder / ".git/info/exclude").write_text(".pc/\n")
    git(folder, "add", "--all")
    return git(folder, "write-tree")


@dataclass
class Bench:
    """One repository, its tree, and an index of ours."""

    folder: Path
    tree: str
    index: Index


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    files = getattr(request, "param", {"f": FORTY})
    tree = commit(tmp_path / "clone", files)
    mirror = Mirror(path=tmp_path / "clone/.git", url="")
    with Index.temporary(mirror, tmp_path / "objects") as index:
        yield Bench(tmp_path / "clone", tree, index)


def on(name: str, *hunks: bytes) -> bytes:
    return f"--- a/{name}\n+++ b/{name}\n".encode() + b"".join(hunks)


def hunk(start: int, before: int = 3, after: int = 3, *, at: int = 13) -> bytes:
    """Line `at` of the forty changed, with so many lines of context; the header says `start`."""
    count = before + 1 + after
    lead = b"".join(b" %d\n" % n for n in range(at - before, at))
    tail = b"".join(b" %d\n" % n for n in range(at + 1, at + 1 + after))
    return b"@@ -%d,%d +%d,%d @@\n%s-%d\n+X\n%s" % (start, count, start, count, lead, at, tail)


def changed(start: int) -> bytes:
    """The x of a round changed."""
    return b"@@ -%d,7 +%d,7 @@\n a\n b\n c\n-x\n+Y\n d\n e\n f\n" % (start, start)


def header(old: str, new: str, *lines: str) -> bytes:
    return "".join(f"{line}\n" for line in (f"diff --git a/{old} b/{new}", *lines)).encode()


NEW_N = header("n", "n", "new file mode 100644", "--- /dev/null", "+++ b/n") + b"@@ -0,0 +1 @@\n+x\n"
GONE_N = header("n", "n", "deleted file mode 100644", "--- a/n", "+++ /dev/null") + b"@@ -1 +0,0 @@\n-x\n"
LINK_N = (
    header("n", "n", "new file mode 120000", "--- /dev/null", "+++ b/n")
    + b"@@ -0,0 +1 @@\n+f\n\\ No newline at end of file\n"
)
CR = FORTY.replace(b"\n", b"\r\n")
TO_CR = hunk(10).replace(b"\n", b"\r\n").replace(b"@@\r", b"@@")

ALIKE = {
    "exact": ({"f": FORTY}, on("f", hunk(10)), "clean"),
    "moved down": ({"f": FORTY}, on("f", hunk(5)), "offset"),
    "moved up": ({"f": FORTY}, on("f", hunk(15)), "offset"),
    "another context": ({"f": FORTY.replace(b"\n11\n", b"\n11 \n")}, on("f", hunk(10)), "conflict"),
    "there already": ({"f": FORTY.replace(b"\n13\n", b"\nX\n")}, on("f", hunk(10)), "conflict"),
    "no such file": ({"g": FORTY}, on("f", hunk(10)), "conflict"),
    "less context after than before": ({"f": FORTY}, on("f", hunk(10, 3, 2)), "conflict"),
    "no context after": ({"f": FORTY}, on("f", hunk(10, 3, 0)), "conflict"),
    "less context after, at the end": ({"f": FORTY}, on("f", hunk(36, 3, 1, at=39)), "clean"),
    "less context after, moved to the end": ({"f": FORTY}, on("f", hunk(30, 3, 1, at=39)), "offset"),
    "no context after, at the end": ({"f": FORTY}, on("f", hunk(37, 3, 0, at=40)), "clean"),
    "the end has moved on": (
        {"f": FORTY + b"41\n"},
        on("f", b"@@ -38,3 +38,4 @@\n 38\n 39\n 40\n+X\n"),
        "conflict",
    ),
    "less context before than after": ({"f": FORTY}, on("f", hunk(11, 2, 3)), "clean"),
    "less context before, moved": ({"f": FORTY}, on("f", hunk(9, 2, 3)), "offset"),
    "less context before, bound to the start": ({"f": FORTY}, on("f", hunk(1, 2, 3)), "conflict"),
    "line 1, at its place": ({"f": ROUND}, on("f", changed(1)), "clean"),
    "line 1, moved": ({"f": b"0\n" * 6 + ROUND}, on("f", changed(1)), "offset"),
    "two rounds of many, moved": (
        {"f": b"0\n" * 6 + ROUND * 6},
        on("f", changed(1), changed(15)),
        "offset",
    ),
    "the second is sought where the first was": (
        {"f": b"0\n" * 6 + ROUND * 6},
        on("f", changed(2), changed(16)),
        "offset",
    ),
    "as near above as below": ({"f": ROUND * 6}, on("f", changed(11)), "offset"),
    "hunks out of order": ({"f": FORTY}, on("f", hunk(20, at=23), hunk(10)), "conflict"),
    "a file named twice": ({"f": FORTY}, on("f", hunk(10)) + on("f", hunk(20, at=23)), "clean"),
    "a new file": ({"f": FORTY}, NEW_N, "clean"),
    "a new file with x": ({"f": FORTY}, NEW_N.replace(b"100644", b"100755"), "clean"),
    "a new link": ({"f": FORTY}, LINK_N, "clean"),
    "a new file that is there": ({"n": FORTY}, NEW_N, "conflict"),
    "a deletion": ({"f": FORTY, "n": b"x\n"}, GONE_N, "clean"),
    "a deletion of something else": ({"f": FORTY, "n": b"x\ny\n"}, GONE_N, "conflict"),
    "a mode": ({"f": FORTY}, header("f", "f", "old mode 100644", "new mode 100755"), "clean"),
    "a mode and a line": (
        {"f": FORTY},
        header("f", "f", "old mode 100644", "new mode 100755") + on("f", hunk(10)),
        "clean",
    ),
    "a rename": (
        {"f": FORTY},
        header("f", "g", "similarity index 100%", "rename from f", "rename to g"),
        "clean",
    ),
    "a rename and a line": (
        {"f": FORTY},
        header("f", "g", "similarity index 97%", "rename from f", "rename to g", "--- a/f", "+++ b/g")
        + hunk(10),
        "clean",
    ),
    "CRLF in file and hunk": ({"f": CR}, on("f", TO_CR), "clean"),
    "CRLF in the file alone": ({"f": CR}, on("f", hunk(10)), "conflict"),
    "CRLF in file and headers": ({"f": CR}, on("f", hunk(10)).replace(b"\n", b"\r\n"), "conflict"),
    "no newline at the end of both": (
        {"f": FORTY[:-1]},
        on("f", hunk(37, 3, 0, at=40).replace(b"-40\n", b"-40\n\\ No newline at end of file\n")),
        "clean",
    ),
    "no newline in the file alone": ({"f": FORTY[:-1]}, on("f", hunk(37, 3, 0, at=40)), "conflict"),
    "latin-1": (
        {"f": b"1\nM\xfcller\n3\n"},
        on("f", b"@@ -1,3 +1,3 @@\n 1\n-M\xfcller\n+M\xf6ller\n 3\n"),
        "clean",
    ),
    "a context line whose blank was stripped": (
        {"f": FORTY.replace(b"\n11\n", b"\n\n")},
        on("f", hunk(10).replace(b" 11\n", b"\n")),
        "clean",
    ),
}

STRICTER = {
    "a new empty file": ({"f": FORTY}, header("n", "n", "new file mode 100644"), "makes no empty file"),
    "a file that becomes empty": ({"n": b"x\n"}, on("n", b"@@ -1 +0,0 @@\n-x\n"), "leaves an empty file"),
    "no context": ({"f": FORTY}, on("f", b"@@ -13 +13 @@\n-13\n+X\n"), "no context"),
    "an insertion without context": ({"f": FORTY}, on("f", b"@@ -13,0 +14 @@\n+X\n"), "no context"),
    "a new file over an empty one": ({"n": b""}, NEW_N, "already exists"),
    "a rename over a file": (
        {"f": FORTY, "g": b"x\n"},
        header("f", "g", "similarity index 100%", "rename from f", "rename to g"),
        "already exists",
    ),
    "CRLF in the headers alone": ({"f": FORTY}, on("f", hunk(10)).replace(b"\n", b"\r\n"), "CRLF"),
}


@pytest.mark.parametrize(
    ("bench", "diff", "state"),
    [pytest.param(*case, id=name) for name, case in ALIKE.items()],
    indirect=["bench"],
)
def test_what_applies_here_is_what_dpkg_source_applies(bench: Bench, diff: bytes, state: str) -> None:
    done = check(bench.index, bench.tree, diff)
    assert (done.state, done.tree) == (state, by_dpkg(bench.folder, diff))
    assert (done.refusal is None) == (state != "conflict")


@pytest.mark.parametrize(
    ("bench", "diff", "why"),
    [pytest.param(*case, id=name) for name, case in STRICTER.items()],
    indirect=["bench"],
)
def test_what_dpkg_source_would_take_in_silence_is_refused_with_the_reason(
    bench: Bench, diff: bytes, why: str
) -> None:
    done = check(bench.index, bench.tree, diff)
    assert by_dpkg(bench.folder, diff) is not None
    assert done.refusal is not None
    assert why in done.refusal.text
    assert why in told(done)


Lines = list[int]
SOME_LINES = st.lists(st.integers(0, 4), min_size=1, max_size=40)
EDITS = st.lists(st.tuples(st.integers(0, 39), st.lists(st.integers(0, 9), max_size=3)), max_size=3)


def edited(lines: Lines, edits: list[tuple[int, Lines]]) -> Lines:
    """Each edit puts some lines in the place of one."""
    for at, new in edits:
        lines = [*lines[:at], *new, *lines[at + 1 :]]
    return lines


@given(old=SOME_LINES, ours=EDITS, theirs=EDITS, context=st.integers(1, 3))
def test_any_diff_on_any_file_is_taken_as_dpkg_source_takes_it_or_refused(
    old: Lines, ours: list[tuple[int, Lines]], theirs: list[tuple[int, Lines]], context: int
) -> None:
    before, after, there = (
        [f"{line}\n" for line in lines] for lines in (old, edited(old, ours), edited(old, theirs))
    )
    diff = "".join(difflib.unified_diff(before, after, "a/f", "b/f", n=context)).encode()
    assume(diff)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = commit(folder, {"f": "".join(there).encode()})
        with Index.temporary(Mirror(path=folder / ".git", url=""), folder / ".git/ours") as index:
            done = check(index, tree, diff)
        assert done.tree in {None, by_dpkg(folder, diff)}


def test_hunks_that_moved_are_named_with_their_lines(bench: Bench) -> None:
    done = check(bench.index, bench.tree, on("f", hunk(5), hunk(20, at=23), hunk(31, at=33)))
    assert done.moved == (Moved(file="f", hunk=1, lines=5), Moved(file="f", hunk=3, lines=-1))


def test_a_hunk_at_line_1_that_moved_says_how_far(tmp_path: Path) -> None:
    tree = commit(tmp_path, {"f": b"0\n" * 6 + ROUND})
    with Index.temporary(Mirror(path=tmp_path / ".git", url=""), tmp_path / "objects") as index:
        assert check(index, tree, on("f", changed(1))).moved == (Moved(file="f", hunk=1, lines=6),)


def test_a_conflict_names_file_hunk_and_what_is_there(bench: Bench) -> None:
    wrong = hunk(20, at=23).replace(b"-23", b"-twenty-three")
    refusal = check(bench.index, bench.tree, on("f", hunk(10), wrong)).refusal
    assert refusal is not None
    assert (refusal.file, refusal.hunk) == ("f", 2)
    wanted, there = refusal.text.split("there is instead:")
    assert "twenty-three" in wanted
    assert "23" in there


def test_each_file_that_refuses_is_named(bench: Bench) -> None:
    diff = on("f", hunk(10).replace(b"-13", b"-thirteen")) + on("g", hunk(10)) + on("f", hunk(20, at=23))
    done = check(bench.index, bench.tree, diff)
    refusals = done.refusals
    assert [(one.file, one.hunk) for one in refusals] == [("f", 1), ("g", 0)]
    assert refusals[1].text == "g: does not exist in index"
    assert told(done) == "f, hunk 1; g: does not exist in index"


def test_two_patches_of_one_file_apply_in_one_order_only(bench: Bench) -> None:
    first = on("f", hunk(10))
    second = on("f", hunk(10).replace(b"-13\n+X", b"-X\n+Y"))
    right = tuple(apply_series(bench.index, bench.tree, [first, second]))
    assert [done.state for done in right] == ["clean", "clean"]
    wrong = tuple(apply_series(bench.index, bench.tree, [second, first]))
    assert [done.state for done in wrong] == ["conflict", "clean"]
    assert wrong[1].tree == right[0].tree


def test_a_series_is_what_its_patches_are_one_by_one(bench: Bench) -> None:
    diffs = [on("f", hunk(10)), NEW_N, on("f", hunk(20, at=23))]
    tree = bench.tree
    for done, diff in zip(tuple(apply_series(bench.index, bench.tree, diffs)), diffs, strict=True):
        alone = check(bench.index, tree, diff)
        assert done == alone
        assert alone.tree is not None
        tree = alone.tree


def test_a_check_leaves_the_index_as_it_was(bench: Bench) -> None:
    bench.index.load(bench.tree)
    assert fits(bench.index, on("f", hunk(5))).state == "offset"
    assert bench.index.write_tree() == bench.tree


def test_a_patch_that_is_refused_halfway_changes_nothing(bench: Bench) -> None:
    (done,) = apply_series(bench.index, bench.tree, [NEW_N + on("absent", hunk(10))])
    assert done.tree is None
    assert bench.index.write_tree() == bench.tree


def test_no_file_is_written_beside_the_clone(bench: Bench) -> None:
    before = sorted(bench.folder.rglob("*"))
    check(bench.index, bench.tree, on("f", hunk(5)))
    assert sorted(bench.folder.rglob("*")) == before


def test_a_patch_that_is_there_already_says_so(bench: Bench) -> None:
    assert check(bench.index, bench.tree, on("f", hunk(10).replace(b"-13\n+X", b"-X\n+13"))).there
    assert not check(bench.index, bench.tree, on("f", hunk(10).replace(b"-13\n+X", b"-X\n+Y"))).there


@pytest.mark.parametrize(
    "diff",
    [
        b"no diff\n",
        on("f", hunk(10)).replace(b"a/f", b"f").replace(b"b/f", b"f"),
        on("f"),
        on("../f", hunk(10)),
    ],
    ids=["prose", "-p0", "a header alone", "a path out of the tree"],
)
def test_what_is_no_patch_is_refused_by_its_name(bench: Bench, diff: bytes) -> None:
    with pytest.raises(InputError, match=r"here/default\.patch"):
        check(bench.index, bench.tree, diff, source="here/default.patch")


@pytest.mark.parametrize("partial", [True, False], ids=["partial", "with a hole"])
def test_a_clone_that_lacks_an_object_is_named(tmp_path: Path, *, partial: bool) -> None:
    tree = commit(tmp_path / "whole", {"f": FORTY})
    git(tmp_path / "whole", "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "part.git"
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{tmp_path}/whole", str(clone))
    git(clone, "config", "remote.origin.url", "file:///nowhere")
    if not partial:
        git(clone, "config", "--remove-section", "remote.origin")
    with (
        Index.temporary(Mirror(path=clone, url=""), tmp_path / "objects") as index,
        pytest.raises(TreeError, match=r"part\.git lacks objects") as refusal,
    ):
        check(index, tree, on("f", hunk(10)))
    assert "mirrors.git" in refusal.value.hint

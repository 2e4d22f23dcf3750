# SPDX-License-Identifier: Apache-2.0
"""A diff is read whole or refused: with file, line, the path in it and the way out."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patch_repository import Repository

from bigtop_builder.errors import InputError
from bigtop_builder.patches.diff import FileDiff, parse_diff, scan_diff

CHANGE = b"--- a/pom.xml\n+++ b/pom.xml\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "work")
    made.write(
        {"pom.xml": b"one\ntwo\nthree\n", "old name": b"x\n" * 20, "tool": b"#!/bin/sh\n", "gone": b"bye\n"}
    )
    made.commit("the start")
    return made


def parse(data: bytes) -> tuple[FileDiff, ...]:
    return parse_diff(data, source="x.patch")


def of_git(repository: Repository, *words: str) -> bytes:
    repository.git("add", "--all")
    return repository.git("diff", "--cached", "--full-index", *words).stdout


def refused(data: bytes) -> InputError:
    with pytest.raises(InputError) as refusal:
        parse(data)
    assert refusal.value.brief.startswith("x.patch:")
    assert refusal.value.hint
    return refusal.value


def test_a_change_is_read_with_its_lines_and_their_numbers() -> None:
    (file,) = parse(b"Subject: [PATCH] s\n\n---\n\n" + CHANGE)
    assert (file.old, file.new, file.kind, file.line) == ("pom.xml", "pom.xml", "change", 5)
    (hunk,) = file.hunks
    assert (hunk.line, hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count) == (7, 1, 3, 1, 3)
    assert hunk.lines == (b" one\n", b"-two\n", b"+zwei\n", b" three\n")


def test_what_git_can_say_of_a_file_is_read(repository: Repository) -> None:
    content = (repository.folder / "old name").read_bytes()
    repository.write(
        {"old name": None, "sub/new name": content + b"y\n", "gone": None, "new": b"n", "pom.xml": b""}
    )
    repository.write({"empty": b""})
    (repository.folder / "tool").chmod(0o755)
    files = {file.path: file for file in parse(of_git(repository, "-M"))}
    assert {path: file.kind for path, file in files.items()} == {
        "old name": "rename",
        "gone": "delete",
        "new": "new",
        "empty": "new",
        "tool": "mode",
        "pom.xml": "change",
    }
    assert files["old name"].new == "sub/new name"
    assert len(files["old name"].hunks) == 1
    assert (files["tool"].old_mode, files["tool"].new_mode) == ("100644", "100755")
    assert (files["gone"].old_mode, files["gone"].new, files["gone"].new_mode) == ("100644", "", "")
    assert (files["new"].old, files["new"].new_mode) == ("", "100644")
    assert files["new"].hunks[0].lines == (b"+n\n", b"\\ No newline at end of file\n")
    assert files["empty"].hunks == ()
    assert files["pom.xml"].old_blob == repository.git("rev-parse", "HEAD:pom.xml").text


def test_strange_names_are_read(repository: Repository) -> None:
    names = ["a b/c d", "ü/ß", 'quo"te', "back\\slash", "tab\there", "a/b"]
    repository.write(dict.fromkeys(names, b"x\n"))
    assert sorted(file.new for file in parse(of_git(repository))) == sorted(names)
    repository.commit()
    for name in names:
        (repository.folder / name).chmod(0o755)
    assert sorted(file.new for file in parse(of_git(repository))) == sorted(names)


def test_a_copy_is_read(repository: Repository) -> None:
    repository.write({"copy": (repository.folder / "old name").read_bytes()})
    (file,) = parse(of_git(repository, "-C", "--find-copies-harder"))
    assert (file.kind, file.old, file.new, file.hunks) == ("copy", "old name", "copy", ())


LINE = st.binary(max_size=6).map(lambda line: line.translate(None, b"\n\0"))
CONTENT = st.builds(
    lambda lines, end: b"\n".join(lines) + end,
    st.lists(st.one_of(LINE, st.sampled_from([b"-- ", b"++ x", b"- y", b""])), min_size=1, max_size=12),
    st.sampled_from([b"\n", b"", b"\r\n"]),
)
FILES = st.dictionaries(st.sampled_from(["a", "b/c", "d e", "f"]), CONTENT, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=FILES, after=FILES, context=st.integers(0, 4))
def test_whatever_git_writes_is_read_as_git_counts_it(
    repository: Repository, before: dict[str, bytes], after: dict[str, bytes], context: int
) -> None:
    trees = []
    for files in (before, after):
        repository.git("rm", "--quiet", "-r", "-f", "--cached", "--ignore-unmatch", ".")
        for path, content in files.items():
            blob = repository.git("hash-object", "-w", "--stdin", stdin=content).text
            repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        trees.append(repository.git("write-tree").text)
    words = ("--no-color", f"-U{context}", "-M", *trees)
    files_read = scan_diff(repository.git("diff", "--text", "--full-index", *words).stdout)[0]
    counted = repository.git("diff", "--text", "--numstat", "-z", "--no-renames", *trees).stdout
    plain = scan_diff(repository.git("diff", "--text", "--no-renames", *words[:2], *trees).stdout)
    wanted = {}
    for row in filter(None, counted.split(b"\0")):
        added, removed, path = row.decode().split("\t")
        wanted[path] = (int(added), int(removed))
    assert [fault.rule for fault in plain[1]] == ([] if wanted else ["no-diff"])
    assert {file.path: _counted(file) for file in plain[0]} == wanted
    assert {file.new_blob for file in files_read if file.new_blob.strip("0")} <= {
        repository.git("hash-object", "--stdin", stdin=content).text for content in after.values()
    }


def _counted(file: FileDiff) -> tuple[int, int]:
    lines = [line for hunk in file.hunks for line in hunk.lines]
    return sum(line[:1] == b"+" for line in lines), sum(line[:1] == b"-" for line in lines)


@given(st.binary(max_size=200).map(lambda noise: CHANGE[:40] + noise + CHANGE[40:]))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    files, faults = scan_diff(data)
    assert files or faults
    assert all(fault.line <= data.count(b"\n") + 1 for fault in faults)


def test_latin_1_and_crlf_pass(repository: Repository) -> None:
    repository.write({"pom.xml": b"eins\r\nzw\xf6i\r\nthree\n"})
    (file,) = parse(of_git(repository))
    assert b"+zw\xf6i\r\n" in file.hunks[0].lines
    assert parse(CHANGE.replace(b"\n", b"\r\n"))[0].path == "pom.xml"


def test_diffs_of_diff_and_of_quilt_are_read() -> None:
    stamped = CHANGE.replace(b"pom.xml\n", b"pom.xml\t2026-11-02 10:00:00.000000000 +0000\n")
    assert parse(b"diff -ruN a/pom.xml b/pom.xml\n" + stamped)[0].path == "pom.xml"
    quilt = (
        b"Index: p-1.0/pom.xml\n"
        + b"=" * 67
        + b"\n"
        + CHANGE.replace(b"a/", b"p-1.0.orig/").replace(b"b/", b"p-1.0/")
    )
    assert parse(quilt)[0].path == "pom.xml"
    same = CHANGE.replace(b"a/", b"kibana-5.4.1/").replace(b"b/", b"kibana-5.4.1/")
    assert parse(same)[0].path == "pom.xml"
    new = b"--- a/new\t1970-01-01 00:00:00.000000000 +0000\n+++ b/new\t2026-11-02 10:00:00 +0000\n@@ -0,0 +1 @@\n+x\n"
    assert (parse(new)[0].kind, parse(new)[0].old) == ("new", "")


def test_where_git_and_patch_look_at_the_second_pair_of_names_so_do_we() -> None:
    assert parse(b"diff --git a/sub/pom.xml b/sub/pom.xml\n" + CHANGE)[0].path == "pom.xml"


def test_an_empty_line_whose_space_was_lost_still_counts() -> None:
    assert len(parse(CHANGE.replace(b" one\n", b"\n"))[0].hunks[0].lines) == 4


def test_a_removed_line_that_looks_like_a_header_is_a_line() -> None:
    data = b"--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n--- a comment\n+++ another\n one\n"
    assert parse(data)[0].hunks[0].lines == (b"--- a comment\n", b"+++ another\n", b" one\n")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"/etc/passwd", "absolute"),
        (b"a//etc/passwd", "absolute"),
        (b"a/../../etc/passwd", "leads out of the tree"),
        (b"a/x/../y", "leads out of the tree"),
        (b"a/.git/config", "git's own"),
        (b"a/sub/.GIT/hooks/x", "git's own"),
        (b'"a/x\\ny"', "line feed"),
    ],
)
def test_a_path_out_of_the_tree_is_refused(path: bytes, said: str) -> None:
    for data in (
        CHANGE.replace(b"b/pom.xml", path),
        b"diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ " + path + b"\n@@ -0,0 +1 @@\n+x\n",
    ):
        error = refused(data)
        assert said in error.brief


def test_renames_out_of_the_tree_are_refused() -> None:
    error = refused(b"diff --git a/x b/../y\nsimilarity index 100%\nrename from x\nrename to ../y\n")
    assert "leads out of the tree" in error.brief


def test_a_binary_hunk_is_refused_with_its_file_and_line(repository: Repository) -> None:
    repository.write({"logo.png": bytes(range(256)), "pom.xml": b"one\nzwei\nthree\n"})
    for words, line in ((("--binary",), 4), ((), 4)):
        data = of_git(repository, *words)
        error = refused(data)
        assert error.brief.startswith(f"x.patch:{line}: logo.png: its content is binary")
        assert [file.kind for file in scan_diff(data)[0]] == ["binary", "change"]
    assert "binary" in refused(b"diff -r a/x b/x\nBinary files a/x and b/x differ\n").brief


@pytest.mark.parametrize(
    "data",
    [
        CHANGE.replace(b"a/", b"").replace(b"b/", b""),
        CHANGE.replace(b"a/", b"src/").replace(b"b/", b"src/"),
        b"diff --git src/pom.xml src/pom.xml\n" + CHANGE.replace(b"a/", b"src/").replace(b"b/", b"src/"),
        b"diff --git src/x src/x\nnew file mode 100644\n--- /dev/null\n+++ src/x\n@@ -0,0 +1 @@\n+x\n",
        b"diff --git src/x lib/y\nsimilarity index 100%\nrename from src/x\nrename to lib/y\n",
        b"Index: pom.xml\n===\n--- pom.xml\t(revision 7)\n+++ pom.xml\t(working copy)\n"
        + CHANGE.partition(b"@@")[1]
        + CHANGE.partition(b"@@")[2],
    ],
)
def test_a_patch_for_p0_is_refused(data: bytes) -> None:
    error = refused(data)
    assert "it was made for -p0" in error.brief
    assert "--default-prefix" in error.hint


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"--- a/pom.xml\n+++ b/pom.xml\n", 1, "a header and no hunk"),
        (
            b"diff --git a/x b/x\nindex 1234567..89abcde 100644\ndiff --git a/pom.xml b/pom.xml\n" + CHANGE,
            1,
            "a header and no hunk",
        ),
        (b"diff --git a/x b/x\n--- a/x\n" + CHANGE, 2, "no line `+++ b/PATH` follows"),
        (b"diff --git a/x b/x\nold mode 100644\n", 1, "`old mode` and `new mode`"),
        (
            b"diff --git a/x b/x\nnwe file mode 100644\n--- /dev/null\n",
            2,
            "git has no such header: 'nwe file mode",
        ),
        (b"diff --git a/x b/x\n--- a/x\n+++ /dev/null\n", 1, "a header and no hunk"),
        (b"diff --git a/x\nold mode 100644\nnew mode 100755\n", 1, "two names of one file"),
        (b"diff --git a/x b/y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n", 1, "names two files, x and y"),
        (b"diff --git a/x b/x\n@@ -1 +1 @@\n-x\n+y\n", 2, "are missing above this hunk"),
        (b"diff --cc x\n--- a/x\n", 1, "combined diff"),
        (b"@@ -1 +1 @@\n-x\n+y\n", 1, "a hunk without the lines"),
        (CHANGE.replace(b"-1,3 +1,3", b"-1,3 +1,x"), 3, "no hunk header: '@@ -1,3 +1,x @@'"),
        (CHANGE.replace(b"-1,3", b"-1,4"), 7, "says 4 old and 3 new lines, and has 3 old and 3 new lines"),
        (CHANGE.replace(b"-1,3", b"-1,2"), 7, "says 2 old and 3 new lines, and has 3 old and 3 new"),
        (CHANGE.replace(b"+1,3", b"+1,2") + b"+four\n", 7, "says 3 old and 2 new lines"),
        (CHANGE + b"+four\n", 8, "says 3 old and 3 new lines, and has 3 old and 4 new"),
        (CHANGE.replace(b" three", b"three"), 7, "has 2 old and 2 new lines here"),
        (b"*** a/x\n--- b/x\n***************\n*** 1 ****\n", 3, "context diff"),
        (b"Only prose.\n", 1, "there is no diff"),
        (b"", 1, "there is no diff"),
    ],
)
def test_a_malformed_diff_is_refused(data: bytes, line: int, said: str) -> None:
    error = refused(data)
    assert error.brief.startswith(f"x.patch:{line}: ")
    assert said in error.brief


def test_all_faults_of_a_file_are_told_and_the_good_parts_are_read() -> None:
    short = CHANGE.replace(b"pom", b"short").replace(b"-1,3", b"-1,9")
    data = b"diff --git a/short.xml b/short.xml\n" + short + b"diff --git a/pom.xml b/pom.xml\n" + CHANGE
    data += b"--- /etc/x\n+++ b/etc/x\n@@ -1 +1 @@\n-x\n+y\n"
    files, faults = scan_diff(data)
    assert [file.path for file in files] == ["pom.xml"]
    assert [(fault.line, fault.rule) for fault in faults] == [(9, "malformed"), (17, "path")]

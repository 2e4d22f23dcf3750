# SPDX-License-Identifier: Apache-2.0
"""The index: a few files of a tree cost what they cost, and the tree written from them is git's own."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.errors import TreeError
from bigtop_builder.git_index import Index, objects_of
from bigtop_builder.git_tree import TreeEntry, graft, parse_tree, tree_id
from bigtop_builder.mirror import Mirror
from bigtop_builder.run import run

FILES = {
    "README": "one\ntwo\nthree\n",
    "a/b/c": "deep\n",
    "a/b.txt": "beside\n",
    "a/d": "d\n",
    "z": "last\n",
}


def repository(folder: Path) -> Mirror:
    run(["git", "init", "--quiet", "--bare", folder])
    return Mirror(path=folder, url="")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.temporary(repository(tmp_path / "repo.git"), tmp_path / "objects") as made:
        yield made


def tree_of(index: Index, files: Mapping[str, str]) -> str:
    index("read-tree", "--empty")
    for path, text in files.items():
        index.add(path, text.encode())
    return index("write-tree").text


def contents(index: Index, tree: str) -> dict[str, str]:
    paths = index("ls-tree", "-r", "--name-only", tree).text.splitlines()
    return {path: index("cat-file", "blob", f"{tree}:{path}").stdout.decode() for path in paths}


def test_entries_are_those_that_the_tree_has_files_and_folders_alike(index: Index) -> None:
    tree = tree_of(index, FILES)
    found = index.entries(tree, ["a/b/c", "a", "absent", "a/absent", "README/x"])
    assert sorted(found) == ["a", "a/b/c"]
    assert found["a"].mode == "040000"
    assert found["a/b/c"] == ("100644", index.blob(b"deep\n"))


def test_many_paths_can_be_asked_for_at_once(index: Index) -> None:
    blob = TreeEntry("100644", index.blob(b"x"))
    blobs = {f"folder/file{number:04}": blob for number in range(1203)}
    index("read-tree", "--empty")
    index.put(blobs)
    assert index.entries(index("write-tree").text, blobs) == blobs


def test_only_the_paths_asked_for_are_loaded(index: Index) -> None:
    tree = tree_of(index, FILES)
    index.load(tree, ["README", "a/new", "a/b"])
    assert index("ls-files").text.splitlines() == ["README", "a/b/c"]
    index.load(tree)
    assert index("ls-files").text.splitlines() == sorted(FILES)


def test_what_stands_in_a_new_files_way_is_loaded(index: Index) -> None:
    tree = tree_of(index, FILES)
    index.load(tree, ["README/below"])
    assert index("ls-files").text == "README"


def test_a_tree_written_from_a_few_paths_is_whole(index: Index) -> None:
    tree = tree_of(index, FILES)
    index.load(tree, ["a/b/c", "a/new/file", "z"])
    assert index.write_tree() == tree
    index.add("a/b/c", b"deeper\n")
    index.add("a/new/file", b"new\n")
    index.remove("z")
    wanted = {key: text for key, text in FILES.items() if key != "z"} | {
        "a/b/c": "deeper\n",
        "a/new/file": "new\n",
    }
    written = index.write_tree()
    assert contents(index, written) == wanted
    assert written == tree_of(index, wanted)


def test_a_folder_that_becomes_empty_goes_and_a_file_may_take_its_name(index: Index) -> None:
    tree = tree_of(index, FILES)
    index.load(tree, ["a/b/c", "a/b"])
    index.remove("a/b/c")
    without = {path: text for path, text in FILES.items() if path != "a/b/c"}
    assert index.write_tree() == tree_of(index, without)
    index.load(tree, ["a/b/c", "a/b"])
    index.add("a/b", b"a file\n")
    assert index.write_tree() == tree_of(index, without | {"a/b": "a file\n"})


def test_a_file_may_give_way_to_a_folder(index: Index) -> None:
    tree = tree_of(index, FILES)
    index.load(tree, ["z/new"])
    index.remove("z")
    index.add("z/new", b"n\n")
    wanted = {path: text for path, text in FILES.items() if path != "z"} | {"z/new": "n\n"}
    assert index.write_tree() == tree_of(index, wanted)


def test_a_tree_can_lose_its_last_file(index: Index) -> None:
    tree = tree_of(index, {"a/b": "x\n"})
    index.load(tree, ["a/b"])
    index.remove("a/b")
    assert index.write_tree() == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


NAMES = st.sampled_from(["a", "a.b", "a0", "b", "ü", "x y"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(
    st.dictionaries(PATHS, st.sampled_from("12"), max_size=8), st.dictionaries(PATHS, st.sampled_from("34"))
)
def test_grafting_makes_the_tree_that_writing_it_anew_makes(
    before: dict[str, str], after: dict[str, str]
) -> None:
    old, new = _without_clashes(before), _without_clashes(before | after)
    changes = {
        path: TreeEntry("100644", new[path] * 40) if path in new else None
        for path in {*old, *new}
        if old.get(path) != new.get(path)
    }
    folders = _folders(old)
    needed = {"/".join(path.split("/")[:end]) for path in changes for end in range(path.count("/") + 1)}
    known = {folder: folders.get(folder, {}) for folder in {"", *needed}}
    assert graft(known, changes)[0] == tree_id(_folders(new)[""])


def _without_clashes(files: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if not any(o.startswith(f"{path}/") for o in files)}


def _folders(files: Mapping[str, str]) -> dict[str, dict[str, TreeEntry]]:
    made: dict[str, dict[str, TreeEntry]] = {"": {}}
    for path, text in files.items():
        parts = path.split("/")
        for end in range(len(parts)):
            made.setdefault("/".join(parts[:end]), {})
        made["/".join(parts[:-1])][parts[-1]] = TreeEntry("100644", text * 40)
    for folder in sorted(filter(None, made), key=lambda one: one.count("/"), reverse=True):
        above, _, name = folder.rpartition("/")
        made[above][name] = TreeEntry("040000", tree_id(made[folder]))
    return made


def test_tree_objects_are_read_as_git_prints_them(index: Index) -> None:
    tree = tree_of(index, FILES)
    parsed = parse_tree(index("cat-file", "tree", tree).stdout)
    assert parsed == index.entries(tree, ["README", "a", "z"])
    assert tree_id(parsed) == tree


def test_a_commit_is_the_same_wherever_it_is_made(index: Index, tmp_path: Path) -> None:
    tree = tree_of(index, FILES)
    with Index.temporary(repository(tmp_path / "other.git"), tmp_path / "more") as other:
        assert other.commit(tree_of(other, FILES), message="m") == index.commit(tree, message="m")
    first = index.commit(tree, epoch=1600000000)
    second = index.commit(first, first)
    assert index("rev-parse", f"{second}^", f"{second}^{{tree}}").text.split() == [first, tree]
    assert index("show", "-s", "--format=%ct", first).text == "1600000000"


def test_two_changes_that_do_not_touch_merge(index: Index) -> None:
    base = tree_of(index, FILES)
    ours = tree_of(index, FILES | {"README": "zero\none\ntwo\nthree\n"})
    theirs = tree_of(index, FILES | {"README": "one\ntwo\nthree\nfour\n", "new": "n\n"})
    merge = index.merge(base, ours, theirs)
    assert merge.conflicts == ()
    assert merge.messages == ()
    assert contents(index, merge.tree)["README"] == "zero\none\ntwo\nthree\nfour\n"
    assert contents(index, merge.tree)["new"] == "n\n"


def test_a_change_that_is_there_already_merges_to_the_same_tree(index: Index) -> None:
    base, ours = tree_of(index, FILES), tree_of(index, FILES | {"z": "changed\n"})
    assert index.merge(base, ours, ours).tree == ours
    assert index.merge(base, ours, base).tree == ours
    assert index.merge(base, base, base).tree == base


def test_a_conflict_names_its_files_with_all_three_sides(index: Index) -> None:
    base = tree_of(index, FILES)
    ours = tree_of(index, FILES | {"a/d": "ours\n"})
    theirs = tree_of(index, FILES | {"a/d": "theirs\n", "z": "theirs too\n"})
    merge = index.merge(base, index.commit(ours, message="a commit will do"), theirs)
    assert merge.conflicts == ("a/d",)
    sides = [index("cat-file", "blob", merge.stages["a/d"][stage].oid).text for stage in (1, 2, 3)]
    assert sides == ["d", "ours", "theirs"]
    assert any("CONFLICT (content): Merge conflict in a/d" in text for text in merge.messages)
    both = contents(index, merge.tree)
    assert both["z"] == "theirs too\n"
    assert both["a/d"] == "<<<<<<< ours\nours\n||||||| base\nd\n=======\ntheirs\n>>>>>>> theirs\n"


def test_a_file_that_one_side_removed_is_a_conflict_without_that_side(index: Index) -> None:
    base = tree_of(index, FILES)
    ours = tree_of(index, {path: text for path, text in FILES.items() if path != "a/d"})
    merge = index.merge(base, ours, tree_of(index, FILES | {"a/d": "theirs\n"}))
    assert merge.conflicts == ("a/d",)
    assert sorted(merge.stages["a/d"]) == [1, 3]
    assert "modify/delete" in merge.messages[0]


def test_markers_and_messages_say_what_the_sides_are_called(index: Index) -> None:
    text = "".join(f"line {number}\n" for number in range(20))
    base = tree_of(index, FILES | {"old": text, "crlf": "a\r\n"})
    ours = tree_of(index, {"new/name": text.replace("9\n", "nine\n", 1), "crlf": "b\r\n"})
    theirs = tree_of(
        index, FILES | {"old": text.replace("9\n", "IX\n", 1), "crlf": "c\r\n", "a/d": "changed\n"}
    )
    before = index("ls-files").text
    merge = index.merge(base, ours, theirs, names=("1.0.0", "2.0.0", "bigtop/x"))
    found = contents(index, merge.tree)
    marks = [line for line in found["new/name"].splitlines() if not line.startswith("line")]
    assert marks[0] == "<<<<<<< 2.0.0:new/name"
    assert marks[-1] == ">>>>>>> bigtop/x:old"
    assert any(line.startswith("||||||| 1.0.0") for line in marks)
    assert found["crlf"].splitlines()[0] == "<<<<<<< 2.0.0"
    (said,) = [message for message in merge.messages if "modify/delete" in message]
    assert "deleted in 2.0.0 and modified in bigtop/x" in said
    assert index("ls-files").text == before


def test_merging_what_is_not_there_is_an_error(index: Index) -> None:
    tree = tree_of(index, FILES)
    with pytest.raises(TreeError, match="git failed"):
        index.merge(tree, tree, "0" * 40)


def test_objects_of_several_repositories_are_read_and_none_is_written_to(tmp_path: Path) -> None:
    mirrors = [repository(tmp_path / name) for name in ("first.git", "sec:ond.git")]
    trees = []
    for mirror in mirrors:
        with Index.temporary(mirror, objects_of(mirror)) as own:
            trees.append(tree_of(own, {**FILES, "name": mirror.path.name}))
    before = [sorted(mirror.path.rglob("*")) for mirror in mirrors]
    with Index.temporary(mirrors[0], tmp_path / "ours", others=[objects_of(mirrors[1])]) as index:
        base = tree_of(index, FILES)
        merge = index.merge(base, trees[0], trees[1])
        assert merge.conflicts == ("name",)
        index.load(trees[1], ["name"])
        index.remove("name")
        assert index.write_tree() == base
    assert [sorted(mirror.path.rglob("*")) for mirror in mirrors] == before

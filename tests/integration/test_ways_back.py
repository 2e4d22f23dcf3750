# SPDX-License-Identifier: Apache-2.0
"""What an operator calls a snapshot, and where a suite goes back to: `repo` as a shell sees it."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from past import Past

from apt_host import write_deb
from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.export import export
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.store import open_store
from bigtop_builder.run import Completed
from debian_source import write_source
from forked import program
from health import problems

Tool = Callable[..., Completed]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, store: KeyStore, keyring: Keyring
) -> tuple[Path, list[str]]:
    """Of suite testing: with zoo 1, 2 and 3."""
    home = tmp_path_factory.mktemp("made")
    root = home / "apt"
    Repository.init(root, origin="Ours", keyring=keyring, fingerprints=store.fingerprints(), sync=False)
    env = {"HOME": str(home), "BIGTOP_BUILDER_KEYS_DIR": str(store.folder)}
    found = []
    for version in "123":
        words = ("add", "testing", write_deb(home, "zoo", version), "--why", f"release {version}", "--json")
        found.append(str(answer(program("repo", *words, "--repo", root, env=env))["snapshot"]))
    return Past(root, found)


@pytest.fixture
def ids(repository: Repository, made: Past) -> list[str]:
    """Snapshots of suite testing: with zoo 1, 2 and 3; it stands at the last."""
    return made.into(repository)


def answer(done: Completed) -> Any:
    assert done.returncode == 0, done.complaint
    return json.loads(done.text)


def standing(repository: Repository, suite: str) -> str:
    pointer = repository.state.unverified_pointer(suite)
    assert pointer
    return pointer.snapshot


# What a snapshot is called


@pytest.mark.parametrize("called", ["id", "beginning", "own suite", "name", "suite"])
def test_each_command_takes_a_snapshot_by_each_of_its_names(
    tool: Tool, repository: Repository, ids: list[str], tmp_path: Path, called: str
) -> None:
    assert tool("snapshot", ids[0], "--name", "before-upgrade").returncode == 0
    assert tool("promote", ids[0], "golden", "--new-suite").returncode == 0
    own = layout.snapshot_suite(ids[0])
    names = {
        "id": ids[0],
        "beginning": ids[0][:6],
        "own suite": own,
        "name": "before-upgrade",
        "suite": "golden",
    }
    word = names[called]
    assert answer(tool("rollback", "testing", "--to", word, "--json"))["snapshot"] == ids[0]
    assert answer(tool("promote", word, "stable", "--new-suite", "--json"))["snapshot"] == ids[0]
    entry = repository.state.history("stable")[-1]
    assert (entry.action, entry.source) == ("promote", "golden" if called == "suite" else own)
    assert answer(tool("export", tmp_path / "mirror", "--snapshot", word, "--json"))["suites"] == {
        own: ids[0]
    }
    assert answer(tool("snapshot", word, "--json"))["snapshot"] == ids[0]
    withdrawn = tool("withdraw", word, "--why", "bad", "--json")
    if called == "suite":
        assert (withdrawn.returncode, withdrawn.text) == (2, "")
        assert f"golden is a suite: it points to snapshot {ids[0]}" in withdrawn.complaint
    else:
        assert answer(withdrawn)["snapshot"] == ids[0]
        assert answer(tool("withdraw", word, "--undo", "--why", "good", "--json"))["snapshot"] == ids[0]
    assert problems(repository.state) == ()


def test_a_suite_s_name_comes_before_ids_and_kept_names(tool: Tool, ids: list[str]) -> None:
    suite = ids[0][:8]
    assert tool("snapshot", ids[2], "--name", suite).returncode == 0
    assert tool("promote", ids[1], suite, "--new-suite").returncode == 0
    assert answer(tool("promote", suite, "stable", "--new-suite", "--json"))["snapshot"] == ids[1]


def test_a_name_that_is_the_beginning_of_another_id_is_refused_with_both(
    tool: Tool, repository: Repository, ids: list[str]
) -> None:
    assert tool("snapshot", ids[1], "--name", ids[0][:7]).returncode == 0
    refused = tool("rollback", "testing", "--to", ids[0][:7])
    assert (refused.returncode, refused.text) == (2, "")
    assert f"{ids[0][:7]!r} is more than one snapshot" in refused.complaint
    assert ids[0] in refused.complaint
    assert f"{ids[1]} is kept as {ids[0][:7]}" in refused.complaint
    assert standing(repository, "testing") == ids[2]


def test_what_the_list_shows_as_a_serial_is_not_taken_for_an_id(
    tool: Tool, repository: Repository, ids: list[str]
) -> None:
    for words in (
        ("rollback", "testing", "--to", "2"),
        ("withdraw", "2", "--why", "bad"),
        ("promote", "2", "testing"),
    ):
        refused = tool(*words)
        assert (refused.returncode, refused.text) == (2, "")
        assert f"error: 2 is a serial: {ids[1]} (serial 2 of testing)" in refused.complaint
    refused = tool("withdraw", ids[1][:5], "--why", "bad")
    assert refused.returncode == 2
    assert not (Path(repository.store.name) / layout.WITHDRAWN).exists()
    assert standing(repository, "testing") == ids[2]


def test_a_snapshot_of_another_suite_is_promoted_and_not_rolled_back_to(tool: Tool, ids: list[str]) -> None:
    assert tool("promote", "testing", "stable", "--new-suite").returncode == 0
    refused = tool("rollback", "stable", "--to", ids[0])
    assert refused.returncode == 2
    assert f"{ids[0]} is no snapshot that stable pointed to" in refused.complaint
    assert f"bigtop-builder repo promote {ids[0][:16]} stable brings it in" in refused.complaint
    refused = tool("promote", "testnig", "stable")
    assert refused.returncode == 2
    assert "no suite and no snapshot 'testnig'\n" in refused.complaint
    assert "did you mean testing?" in refused.complaint


def test_a_snapshot_that_nobody_signed_is_not_promoted(
    repository: Repository, ids: list[str], keyring: Keyring
) -> None:
    text = (Path(repository.store.name) / layout.snapshot_file(ids[0])).read_text()
    forged = json.dumps(json.loads(text), indent=3).encode()
    name = hashlib.sha256(forged).hexdigest()
    repository.store.put({layout.snapshot_file(name): forged})
    with pytest.raises(SigningError, match="nothing that the repository's keys have signed names snapshot"):
        repository.promote(name, "stable", keyring=keyring, new_suite=True)


# What comes and goes


def test_a_rollback_and_a_promotion_say_which_packages_come_and_go(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    assert tool("add", "stable", deb("emu"), deb("zoo"), deb("bin", "1", "amd64")).returncode == 0
    assert tool("promote", "stable", "other", "--new-suite").returncode == 0
    assert tool("add", "stable", deb("zoo", "2"), deb("emu"), "--replace", "--accept").returncode == 0
    done = answer(tool("rollback", "stable", "--json"))
    assert [(one["name"], one["version"], one["architecture"]) for one in done["added"]] == [
        ("bin", "1", "amd64"),
        ("zoo", "1", "all"),
    ]
    assert done["removed"] == [{"component": "main", "name": "zoo", "version": "2", "architecture": "all"}]
    forward = tool("rollback", "stable", "--to", repository.state.history("stable")[1].after)
    assert [line.split() for line in forward.text.splitlines()[1:]] == [
        ["added", "zoo", "2", "all"],
        ["removed", "bin", "1", "amd64"],
        ["removed", "zoo", "1", "all"],
    ]
    done = answer(tool("promote", "stable", "other", "--accept", "--json"))
    assert [one["name"] for one in done["added"]] == ["zoo"]
    assert [one["name"] for one in done["removed"]] == ["bin", "zoo"]
    assert repository.state.history("other")[-1].added == ()


def test_a_package_for_all_is_not_new_where_an_architecture_is(tool: Tool, deb: Callable[..., Path]) -> None:
    assert tool("add", "stable", deb("doc")).returncode == 0
    assert tool("add", "stable", deb("bin", "1", "arm64")).returncode == 0
    done = answer(tool("rollback", "stable", "--json"))
    assert (done["added"], [one["name"] for one in done["removed"]]) == ([], ["bin"])


def test_blocks_that_are_gone_do_not_keep_a_suite_from_going_back(
    tool: Tool, repository: Repository, ids: list[str]
) -> None:
    for block in (Path(repository.store.name) / "state/blocks").glob("*.gz"):
        block.unlink()
    done = tool("rollback", "testing", "--json")
    assert "which packages come and go is not known" in done.complaint
    assert (answer(done)["snapshot"], answer(done)["removed"]) == (ids[1], [])


def test_a_rollback_that_undoes_a_keyring_package_alone_says_so_and_what_is_further_back(
    tool: Tool, repository: Repository, ids: list[str], deb: Callable[..., Path]
) -> None:
    assert tool("add", "testing", deb("ours-archive-keyring", "2")).returncode == 0
    done = tool("rollback", "testing")
    assert (done.returncode, standing(repository, "testing")) == (0, ids[2])
    assert "removed ours-archive-keyring 2 all" in done.text
    told = done.complaint.partition("only the keyring package changes; --to ID goes further back:")[2]
    assert re.findall(r"([0-9a-f]{16}) .* add by [^:]*: (release \d)", told) == [
        (ids[1][:16], "release 2"),
        (ids[0][:16], "release 1"),
    ]
    assert "only the keyring" not in tool("rollback", "testing", "--to", ids[1]).complaint


# Where it can go


def test_where_a_suite_can_go_is_told_with_its_reasons(
    tool: Tool, ids: list[str], deb: Callable[..., Path]
) -> None:
    assert tool("refresh", "testing").returncode == 0
    assert tool("snapshot", ids[0], "--name", "before-upgrade").returncode == 0
    assert tool("rollback", "testing").returncode == 0
    assert tool("add", "testing", deb("zoo", "4")).returncode == 0
    assert tool("withdraw", ids[2], "--why", "loses edits").returncode == 0
    refused = tool("rollback", "testing", "--to", "ffffff")
    lines = [line.strip() for line in refused.complaint.splitlines() if re.search(r"[0-9a-f]{16}  2", line)]
    assert [line[:16] for line in lines] == [ids[1][:16], ids[0][:16]]
    assert re.search(r"UTC  add by \S+.*: release 2$", lines[0])
    assert lines[1].endswith(": release 1 (kept as before-upgrade)")


@pytest.mark.parametrize(
    "words", [("promote", "testing", "stable"), ("rollback", "stable", "--to", "present")]
)
def test_who_changes_nothing_about_a_withdrawn_snapshot_is_warned(
    tool: Tool, ids: list[str], words: tuple[str, ...]
) -> None:
    assert tool("promote", ids[1], "stable", "--new-suite").returncode == 0
    assert tool("promote", "testing", "stable").returncode == 0
    assert tool("withdraw", ids[2], "--why", "loses edits").returncode == 0
    done = tool(*(ids[2] if word == "present" else word for word in words))
    assert (done.returncode, "points already to" in done.text) == (0, True)
    assert f"{ids[2][:16]} is withdrawn, and stable points to it still: loses edits" in done.complaint
    assert f"bigtop-builder repo rollback stable --to {ids[1][:16]}" in done.complaint


# The signed history


def test_the_history_is_told_newest_first_and_an_entry_that_nobody_signed_is_marked(
    tool: Tool, repository: Repository, ids: list[str]
) -> None:
    assert tool("promote", "testing", "stable", "--new-suite", "--why", "canary is green").returncode == 0
    assert tool("rollback", "testing", "--why", "loses edits").returncode == 0
    moves = answer(tool("history", "testing", "--json"))
    assert [(one["serial"], one["action"], one["why"], one["verified"]) for one in moves] == [
        (4, "rollback", "loses edits", True),
        (3, "add", "release 3", True),
        (2, "add", "release 2", True),
        (1, "add", "release 1", True),
    ]
    assert (moves[0]["from"], moves[0]["to"]) == (ids[2], ids[1])
    (key,) = repository.state.settings().keys
    assert moves[0]["signers"] == [key]
    table = tool("history", "stable").text
    assert "promote of testing" in table
    assert "canary is green" in table
    assert key[-16:] in table
    root = Path(repository.store.name)
    forged = root / layout.history_file("testing", 2)
    forged.write_text(forged.read_text().replace("release 2", "all \\u001b[31mis well"))
    (root / layout.history_file("testing", 1)).unlink()
    first = root / layout.history_file("testing", 3)
    for end in ("", ".asc"):  # an entry of another suite, with its signature
        first.with_name(f"{first.name}{end}").write_bytes(
            (root / f"{layout.history_file('stable', 1)}{end}").read_bytes()
        )
    done = tool("history", "testing")
    assert done.returncode == 0
    assert [line.endswith("NOT VERIFIED") for line in done.text.splitlines()[1:]] == [False, True, True, True]
    assert "\x1b" not in done.text
    assert "serial 3 of testing is not to be believed" in done.complaint
    assert "is of serial 1 of stable" in done.complaint
    bad = answer(tool("history", "testing", "--json"))
    assert [one["verified"] for one in bad] == [True, False, False, False]
    assert "is missing" in bad[3]["problem"]
    unknown = tool("history", "tesing")
    assert (unknown.returncode, unknown.text) == (2, "")
    assert "did you mean testing?" in unknown.complaint
    assert answer(tool("history", layout.snapshot_suite(ids[0]), "--json"))[0]["action"] == "snapshot"


# What is given


def test_a_misspelt_architecture_does_not_leave_packages_out_unsaid(
    tool: Tool, repository: Repository, deb: Callable[..., Path]
) -> None:
    files = [deb("bin", "1", "amd64"), deb("doc")]
    refused = tool("add", "stable", *files, "--architecture", "amd46")
    assert (refused.returncode, refused.text) == (2, "")
    assert "none of 2 packages is for amd46" in refused.complaint
    assert "they are for all, amd64" in refused.complaint
    refused = tool(
        "add",
        "stable",
        *files,
        deb("bin", "1", "arm64"),
        "--architecture",
        "amd46",
        "--architecture",
        "amd64",
    )
    assert refused.returncode == 2
    assert repository.state.unverified_pointer("stable") is None
    done = tool("add", "stable", deb("doc"), "--architecture", "amd64")
    assert done.returncode == 0
    assert "none of 1 package is for amd64: those for all come in" in done.complaint


def test_a_pipe_is_no_package(tool: Tool, deb: Callable[..., Path]) -> None:
    folder = deb("zoo").parent
    os.mkfifo(folder / "pipe.deb")
    os.mkfifo(folder / "not-read")
    for given in (folder / "pipe.deb", folder, "/dev/null"):
        refused = tool("add", "stable", given)
        assert refused.returncode == 10
        assert "is no regular file" in refused.complaint
    (folder / "pipe.deb").unlink()
    written = write_source(folder.parent, "emu", "1.0-1")
    (folder.parent / "emu_1.0.orig.tar.gz").unlink()
    os.mkfifo(folder.parent / "emu_1.0.orig.tar.gz")
    refused = tool("add", "stable", written)
    assert refused.returncode == 10
    assert "emu_1.0.orig.tar.gz, which emu_1.0-1.dsc names, is no regular file" in refused.complaint
    assert tool("add", "stable", folder).returncode == 0


def test_nothing_new_is_made_inside_a_repository(
    tool: Tool, repository: Repository, deb: Callable[..., Path], store: KeyStore, tmp_path: Path
) -> None:
    assert tool("add", "testing", deb("zoo")).returncode == 0
    root = Path(repository.store.name)
    before = sorted(root.rglob("*"))
    (tmp_path / "link").symlink_to(root / "pool")
    for place in (root / "sub", tmp_path / "link/sub"):
        refused = tool("export", place, "--suite", "testing")
        assert (refused.returncode, refused.text) == (2, "")
        assert f"{place} lies in the repository {root}" in refused.complaint
    env = {"HOME": str(tmp_path), "BIGTOP_BUILDER_KEYS_DIR": str(store.folder)}
    refused = program("repo", "init", "--key", *store.fingerprints(), root / "sub", env=env, cwd=tmp_path)
    assert (refused.returncode, refused.text) == (2, "")
    assert f"{root / 'sub'} lies in the repository {root}" in refused.complaint
    with pytest.raises(InputError, match="lies in the repository"), store.open() as keyring:
        Repository.init(root / "sub", origin="Ours", keyring=keyring, fingerprints=store.fingerprints())
    for place in (root / "sub", tmp_path / "link/sub"):
        with pytest.raises(InputError, match="lies in the repository"):
            export(repository.state, open_store(place), suites=["testing"], now=datetime.now(UTC))
    assert sorted(root.rglob("*")) == before
    assert tool("export", tmp_path / "mirror", "--suite", "testing").returncode == 0

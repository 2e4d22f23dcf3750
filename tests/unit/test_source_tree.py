# SPDX-License-Identifier: Apache-2.0
"""Sources in git: one tree for the same contents, committed once a pin, never fetched."""

import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from git_server import new_repository, serving_git

from bigtop_builder.errors import SourceError
from bigtop_builder.mirror import Mirror
from bigtop_builder.recipe import Source
from bigtop_builder.run import run
from bigtop_builder.settings import Mirrors, Settings
from bigtop_builder.upkeep.source_tree import SourceTree, source_tree
from bigtop_builder.workspace import Workspace

FILES = {"pom.xml": b"<project/>\n", "src/Main.java": b"class Main {}\r\n", "bin/run": b"#!/bin/sh\n"}


def tarball(
    files: Mapping[str, bytes], *, top: str = "flow-1", links: Mapping[str, str] | None = None
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return out.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(f"another-top/{name}")
            info.create_system, info.external_attr = 3, (0o755 if name.startswith("bin/") else 0o644) << 16
            archive.writestr(info, content)
    return out.getvalue()


@pytest.fixture(name="workspace")
def fixture_workspace(settings: Settings) -> Workspace:
    return Workspace(settings.cache_dir)


def cached(workspace: Workspace, content: bytes) -> Source:
    """A source whose download is in the cache, as `source fetch` leaves it."""
    sha512 = hashlib.sha512(content).hexdigest()
    folder = workspace.sources / sha512
    folder.mkdir(parents=True)
    (folder / "download").write_bytes(content)
    return Source(kind="url", url="https://example.org/flow.tar.gz", sha512=sha512)


def ask(source: Source, settings: Settings) -> SourceTree | None:
    return source_tree(
        source,
        workspace=Workspace(settings.cache_dir),
        settings=settings,
        recipe_dir=settings.cache_dir.parent,
    )


def found(source: Source, settings: Settings) -> SourceTree:
    tree = ask(source, settings)
    assert tree is not None
    return tree


def listing(tree: SourceTree) -> dict[str, tuple[str, bytes]]:
    rows = tree.mirror.git("ls-tree", "-r", "-z", tree.id).stdout.split(b"\0")[:-1]
    facts = [(row.partition(b"\t")[2], row.split()) for row in rows]
    return {
        os.fsdecode(path): (words[0].decode(), tree.mirror.git("cat-file", "blob", words[2].decode()).stdout)
        for path, words in facts
    }


def repository(folder: Path, files: Mapping[str, bytes]) -> str:
    """A git repository with one commit of these files; its id."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name.startswith("bin/") else 0o644)
    git = ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e", "-c", "core.autocrlf=false"]
    run(["git", "init", "--quiet", folder])
    run([*git, "add", "--all", "."])
    run([*git, "commit", "--quiet", "-m", "all"])
    return run([*git, "rev-parse", "HEAD"]).text


def test_the_tree_has_what_the_archive_has_below_its_top_folder(
    workspace: Workspace, settings: Settings
) -> None:
    source = cached(workspace, tarball(FILES, links={"latest": "src/Main.java"}))
    assert listing(found(source, settings)) == {
        "pom.xml": ("100644", FILES["pom.xml"]),
        "src/Main.java": ("100644", FILES["src/Main.java"]),
        "bin/run": ("100755", FILES["bin/run"]),
        "latest": ("120000", b"src/Main.java"),
    }


def test_a_tarball_a_zip_and_a_commit_of_the_same_files_are_the_same_tree(
    workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    commit = repository(tmp_path / "flow", FILES)
    git = Source(kind="git", repository=str(tmp_path / "flow"), commit=commit)
    sources = (cached(workspace, tarball(FILES)), cached(workspace, zipped(FILES)), git)
    assert len({found(source, settings).id for source in sources}) == 1


def test_it_is_committed_once(workspace: Workspace, settings: Settings) -> None:
    source = cached(workspace, tarball(FILES))
    first = found(source, settings)
    shutil.rmtree(workspace.sources / source.sha512)
    assert ask(source, settings) == first


def test_names_of_any_kind_are_kept(workspace: Workspace, settings: Settings) -> None:
    odd = {
        '"quoted"': b"1",
        "back\\slash": b"2",
        "new\nline": b"3",
        "a b": b"4",
        os.fsdecode(b"\xe9t\xe9"): b"5",
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", encoding="utf-8", errors="surrogateescape") as tar:
        for name, content in odd.items():
            info = tarfile.TarInfo(f"top/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    tree = found(cached(workspace, out.getvalue()), settings)
    assert {path: content for path, (_, content) in listing(tree).items()} == odd


def test_a_repository_inside_the_archive_is_left_out(workspace: Workspace, settings: Settings) -> None:
    source = cached(workspace, tarball({**FILES, "sub/.git/config": b"[core]\n", ".gitignore": b"*\n"}))
    assert sorted(listing(found(source, settings))) == [".gitignore", "bin/run", "pom.xml", "src/Main.java"]


def test_what_is_not_in_the_cache_is_not_known(settings: Settings) -> None:
    url = "https://example.org/flow.tar.gz"
    assert ask(Source(kind="url", url=url, sha512="0" * 128), settings) is None
    assert ask(Source(kind="url", url=url), settings) is None


def test_a_download_that_is_not_what_its_pin_says_is_not_taken(
    workspace: Workspace, settings: Settings
) -> None:
    source = cached(workspace, tarball(FILES))
    (workspace.sources / source.sha512 / "download").write_bytes(tarball({"other": b""}))
    assert ask(source, settings) is None


def test_an_archive_that_reaches_out_of_itself_leaves_nothing(
    workspace: Workspace, settings: Settings
) -> None:
    source = cached(workspace, tarball({"a/../../../escape": b"x"}))
    for _ in range(2):
        with pytest.raises(SourceError, match=r"has `\.\.` in its path"):
            ask(source, settings)
    assert sorted(path.name for path in workspace.sources.iterdir()) == [source.sha512]


def test_a_repository_of_this_machine_is_used_where_it_is(
    workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    commit = repository(tmp_path / "flow", FILES)
    url = "https://git.example.org/flow.git"
    site = settings.model_copy(update={"mirrors": Mirrors(git={url: str(tmp_path / "flow")})})
    tree = found(Source(kind="git", repository=url, commit=commit), site)
    assert tree.mirror.path == tmp_path / "flow" / ".git"
    assert not workspace.sources.exists()


def test_a_commit_with_the_pin_of_another_one_is_refused_where_the_repository_is_here_too(
    workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    old = repository(tmp_path / "flow", FILES)
    new = repository(tmp_path / "flow", {**FILES, "pom.xml": b"<project>new</project>\n"})
    pinned = Source(kind="git", repository=str(tmp_path / "flow"), commit=old, sha512="1" * 128)
    (workspace.sources / f"{pinned.sha512}-{old}").mkdir(parents=True)
    assert found(pinned, settings).id
    with pytest.raises(SourceError, match=rf"@{new[:12]} is not what its pin says: that is of commit {old}"):
        ask(pinned.model_copy(update={"commit": new}), settings)


def test_a_repository_without_the_commit_leaves_the_cache(
    workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    repository(tmp_path / "flow", FILES)
    plain = cached(workspace, tarball(FILES))
    source = Source(kind="git", repository=str(tmp_path / "flow"), commit="0" * 40)
    assert ask(source, settings) is None
    pinned = source.model_copy(update={"sha512": plain.sha512})
    assert ask(pinned, settings) is None, "what has that pin may be another commit's"
    (workspace.sources / plain.sha512).rename(workspace.sources / f"{plain.sha512}-{source.commit}")
    assert found(pinned, settings).mirror.path == workspace.sources / "trees.git"


def test_a_mirror_that_follows_a_branch_is_taken_for_its_history_and_one_of_single_commits_is_not(
    workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    origin = new_repository(tmp_path / "served/flow")
    origin.commit(a="one\n")
    commit, branch = origin.git("rev-parse", "HEAD"), origin.git("branch", "--show-current")
    with serving_git(tmp_path / "served") as server:
        source = Source(kind="git", repository=f"{server.url}/flow", commit=commit)
        Mirror.ensure(source.repository, commit, workspace=workspace, settings=settings)
        assert ask(source, settings) is None, "as `source fetch` leaves it"
        Mirror.follow(source.repository, branch, workspace=workspace, settings=settings)
        tree = found(source, settings)
        assert tree.id == origin.git("rev-parse", f"{commit}^{{tree}}")
        assert listing(tree), "all of its files are here"
    later = Source(kind="git", repository=source.repository, commit="1" * 40)
    assert ask(later, settings) is None, "a commit that it lacks is not fetched"

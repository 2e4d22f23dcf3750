# SPDX-License-Identifier: Apache-2.0
"""Mirrors of real git repositories over real HTTP: cloned once, asked again only for what is missing."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_server import GitServer, Repository, new_repository, serving_git
from website import serving

from bigtop_builder.errors import EnvironmentMissing, TreeError
from bigtop_builder.mirror import FORBIDDEN, Mirror
from bigtop_builder.run import run
from bigtop_builder.settings import Mirrors, Settings
from bigtop_builder.workspace import Workspace

NOWHERE = "0" * 40


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    repository = new_repository(tmp_path / "served" / "thing")
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.commit(a="one\n", b="two\n")
    return repository


@pytest.fixture
def server(origin: Repository) -> Iterator[GitServer]:
    with serving_git(origin.path.parent) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


@pytest.fixture
def workspace(settings: Settings) -> Workspace:
    return Workspace(settings.cache_dir)


def head(origin: Repository) -> str:
    return origin.git("rev-parse", "HEAD")


def missing(mirror: Mirror, commit: str) -> int:
    listed = mirror.git("rev-list", "--objects", "--missing=print", f"{commit}^{{tree}}").text
    return listed.count("?")


def test_a_repository_is_cloned_once_without_contents_and_they_come_at_once(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    url, commit = f"{server.url}/thing", head(origin)
    mirror = Mirror.ensure(url, commit, workspace=workspace, settings=settings)
    assert missing(mirror, commit) == 2
    asked = server.fetches

    again = Mirror.ensure(url, commit, workspace=workspace, settings=settings)
    assert server.fetches == asked

    again.complete(commit)
    assert server.fetches == asked + 1
    assert missing(mirror, commit) == 0
    assert mirror.git("cat-file", "blob", f"{commit}:a").stdout == b"one\n"
    again.complete(commit)
    assert server.fetches == asked + 1


def test_contents_that_are_read_come_by_themselves(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    mirror = Mirror.ensure(f"{server.url}/thing", head(origin), workspace=workspace, settings=settings)

    assert mirror.git("cat-file", "blob", "main:b").stdout == b"two\n"


def test_a_server_that_cannot_leave_out_contents_is_cloned_whole(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    origin.git("config", "uploadpack.allowFilter", "false")

    mirror = Mirror.ensure(f"{server.url}/thing", head(origin), workspace=workspace, settings=settings)

    assert missing(mirror, head(origin)) == 0


def test_a_folder_of_a_plain_web_server_is_cloned_whole(
    origin: Repository, workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    """Git's dumb HTTP protocol; asked for a partial clone there, git 2.39 calls itself without end."""
    bare = tmp_path / "bare.git"
    run(["git", "clone", "--quiet", "--bare", origin.path, bare])
    run(["git", "update-server-info"], env={"GIT_DIR": str(bare)})
    with serving() as site:
        for path in (path for path in bare.rglob("*") if path.is_file()):
            site.files[f"/{path.relative_to(tmp_path)}"] = path.read_bytes()
        site.files["/bare.git/info/refs?service=git-upload-pack"] = site.files["/bare.git/info/refs"]
        mirror = Mirror.ensure(f"{site.url}/bare.git", head(origin), workspace=workspace, settings=settings)

    assert missing(mirror, head(origin)) == 0


def test_a_new_commit_is_fetched_by_its_ref(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    url = f"{server.url}/thing"
    Mirror.ensure(url, head(origin), workspace=workspace, settings=settings)
    commit = origin.commit(c="three\n")
    origin.git("tag", "rel/1.0")

    mirror = Mirror.ensure(url, commit, ref="rel/1.0", workspace=workspace, settings=settings)

    assert mirror.git("rev-parse", "refs/fetched/rel/1.0").text == commit


def test_what_is_on_this_machine_is_found_without_a_fetch(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    url, commit = f"{server.url}/thing", head(origin)
    assert Mirror.find(url, commit, workspace=workspace, settings=settings) is None
    assert Mirror.find(str(tmp_path / "none"), commit, workspace=workspace, settings=settings) is None
    assert not settings.cache_dir.exists()
    made = Mirror.ensure(url, commit, workspace=workspace, settings=settings)
    asked = server.fetches
    found = Mirror.find(url, commit, workspace=workspace, settings=settings)
    assert found
    assert found.path == made.path
    newer = origin.commit(c="three\n")
    assert Mirror.find(url, newer, workspace=workspace, settings=settings) is None
    assert Mirror.find("thing", newer, workspace=workspace, settings=settings, base=origin.path.parent)
    assert server.fetches == asked


def test_a_commit_that_its_ref_has_no_more_is_found_on_another(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    url = f"{server.url}/thing"
    Mirror.ensure(url, head(origin), workspace=workspace, settings=settings)
    commit = origin.commit(c="three\n")

    mirror = Mirror.ensure(url, commit, ref="gone", workspace=workspace, settings=settings)

    assert mirror.git("rev-parse", "refs/heads/main").text == commit


def test_a_commit_on_no_ref_is_fetched_by_its_id(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    commit = origin.commit(c="dropped\n")
    origin.git("reset", "--quiet", "--hard", "HEAD~1")
    origin.git("config", "uploadpack.allowAnySHA1InWant", "true")

    mirror = Mirror.ensure(f"{server.url}/thing", commit, workspace=workspace, settings=settings)

    assert mirror.git("cat-file", "-t", commit).text == "commit"


def test_a_commit_that_is_nowhere_is_named(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    assert head(origin)
    with pytest.raises(TreeError) as caught:
        Mirror.ensure(f"{server.url}/thing", NOWHERE, ref="main", workspace=workspace, settings=settings)

    assert caught.value.brief == f"commit {NOWHERE} is not in {server.url}/thing"
    assert "recipe" in caught.value.hint


def test_a_clone_that_fails_leaves_nothing_that_is_taken_for_whole(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    server.down = True
    with pytest.raises(TreeError, match=f"git repository {server.url}/thing cannot be fetched") as caught:
        Mirror.ensure(f"{server.url}/thing", head(origin), workspace=workspace, settings=settings)
    assert "500" in caught.value.details
    assert list(workspace.mirrors.iterdir()) == []

    server.down = False
    assert Mirror.ensure(f"{server.url}/thing", head(origin), workspace=workspace, settings=settings)


def test_what_a_killed_clone_left_is_replaced(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    url, commit = f"{server.url}/thing", head(origin)
    mirror = Mirror.ensure(url, commit, workspace=workspace, settings=settings)
    torn = mirror.path.rename(mirror.path.with_suffix(".part"))
    (torn / "HEAD").unlink()

    assert (
        Mirror.ensure(url, commit, workspace=workspace, settings=settings).git("rev-parse", "main").text
        == commit
    )
    assert not torn.exists()


def test_the_settings_name_another_place(
    server: GitServer, origin: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    public = "https://git.example.org/thing.git"
    remote = Settings(cache_dir=tmp_path, mirrors=Mirrors(git={public: f"{server.url}/thing"}))
    local = Settings(cache_dir=tmp_path, mirrors=Mirrors(git={public: str(origin.path)}))

    assert (
        Mirror.ensure(public, head(origin), workspace=workspace, settings=remote).url == f"{server.url}/thing"
    )
    assert (
        Mirror.ensure(public, head(origin), workspace=workspace, settings=local).path == origin.path / ".git"
    )


@pytest.mark.parametrize("how", ["path", "relative", "file", "bare", "linked"])
def test_a_repository_of_this_machine_is_used_where_it_is(
    origin: Repository, workspace: Workspace, settings: Settings, tmp_path: Path, how: str
) -> None:
    run(["git", "clone", "--quiet", "--bare", origin.path, tmp_path / "bare.git"])
    origin.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    url = {
        "path": str(origin.path),
        "relative": "served/thing",
        "file": f"file://{origin.path}",
        "bare": str(tmp_path / "bare.git"),
        "linked": str(tmp_path / "linked"),
    }[how]

    mirror = Mirror.ensure(url, head(origin), workspace=workspace, settings=settings, base=tmp_path)

    assert mirror.git("cat-file", "blob", f"{head(origin)}:a").stdout == b"one\n"
    mirror.complete(head(origin))
    assert not workspace.mirrors.exists()


def test_a_relative_repository_is_shown_without_detours_unless_a_link_needs_them(
    origin: Repository, workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    def path(url: str, base: Path) -> Path:
        return Mirror.ensure(url, head(origin), workspace=workspace, settings=settings, base=base).path

    (tmp_path / "recipes").mkdir()
    assert path("../served/thing", tmp_path / "recipes") == origin.path / ".git"
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "far/served").symlink_to(origin.path.parent)
    (tmp_path / "near").mkdir()
    (tmp_path / "near/linked").symlink_to(tmp_path / "far/away")
    assert path("../served/thing", tmp_path / "near/linked") == tmp_path / "near/linked/../served/thing/.git"


def test_a_commit_that_a_local_repository_lacks_is_named(
    origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    with pytest.raises(TreeError, match=f"commit {NOWHERE} is not in {origin.path}") as caught:
        Mirror.ensure(str(origin.path), NOWHERE, workspace=workspace, settings=settings)

    assert "fetch" in caught.value.hint


def test_a_path_without_repository_is_refused(
    workspace: Workspace, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(TreeError, match=f"{tmp_path} is no git repository") as caught:
        Mirror.ensure(str(tmp_path), NOWHERE, workspace=workspace, settings=settings)
    assert caught.value.hint == "see `repository` in the recipe"

    url = "https://git.example.org/thing.git"
    site = settings.model_copy(update={"mirrors": Mirrors(git={url: str(tmp_path)})})
    with pytest.raises(TreeError) as caught:
        Mirror.follow(url, "master", workspace=workspace, settings=site)
    assert caught.value.hint == f"mirrors.git of the settings names it for {url}: mend that"


def test_a_branch_is_followed_with_its_tags(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    url, branch = f"{server.url}/thing", origin.git("branch", "--show-current")
    first = head(origin)
    assert Mirror.follow(url, branch, workspace=workspace, settings=settings)[1] == first
    origin.commit(a="three\n")
    origin.git("tag", "v1")
    offline = settings.model_copy(update={"offline": True})
    assert Mirror.follow(url, branch, workspace=workspace, settings=offline)[1] == first
    mirror, commit = Mirror.follow(url, branch, workspace=workspace, settings=settings)
    assert commit == head(origin)
    assert mirror.git("rev-parse", "v1^{commit}").text == commit
    assert mirror.fetched
    with pytest.raises(TreeError, match=r"/thing has no branch trunk"):
        Mirror.follow(url, "trunk", workspace=workspace, settings=settings)


def test_tags_are_those_that_the_server_has_now(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    url, first = f"{server.url}/thing", head(origin)
    origin.git("tag", "rel/1")
    offline = settings.model_copy(update={"offline": True})
    assert Mirror.tagged(url, workspace=workspace, settings=settings).tags() == {"rel/1": first}
    second = origin.commit(a="three\n")
    origin.git("tag", "-a", "-m", "two", "rel/2")
    origin.git("tag", "--force", "rel/1")  # upstream moved it
    origin.git("tag", "no-commit", "HEAD^{tree}")
    assert Mirror.tagged(url, workspace=workspace, settings=offline).tags() == {"rel/1": first}
    assert Mirror.tagged(url, workspace=workspace, settings=settings).tags() == {
        "rel/1": second,
        "rel/2": second,
    }
    server.down = True
    with pytest.raises(TreeError, match=r"/thing cannot be fetched"):
        Mirror.tagged(url, workspace=workspace, settings=settings)


def test_of_somebodys_clone_what_was_fetched_is_followed(
    origin: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    clone, branch = tmp_path / "clone", origin.git("branch", "--show-current")
    run(["git", "clone", "--quiet", origin.path, clone])
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    run(["git", *who, "commit", "--quiet", "--allow-empty", "--message=My own"], cwd=clone)
    settings = Settings(mirrors=Mirrors(git={"https://git.example/thing.git": str(clone)}))
    found = Mirror.follow("https://git.example/thing.git", branch, workspace=workspace, settings=settings)
    assert found[1] == head(origin)


def test_a_snapshot_without_a_server_is_not_written_to(origin: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "snapshot.git"
    run(["git", "-C", origin.path, "config", "uploadpack.allowFilter", "true"])
    run(["git", "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{origin.path}", folder])
    (folder / "config").unlink()

    with pytest.raises(TreeError, match="and they cannot be fetched") as caught:
        Mirror(path=folder, url="").complete(head(origin))

    assert "names no server" in caught.value.details
    assert not (folder / "config").exists()


def test_contents_that_cannot_be_fetched_are_an_error(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    mirror = Mirror.ensure(f"{server.url}/thing", head(origin), workspace=workspace, settings=settings)
    server.down = True

    with pytest.raises(TreeError, match=r"lacks 2 files of .*, and they cannot be fetched") as caught:
        mirror.complete(head(origin))
    assert caught.value.details.startswith("a\nb\n")


def test_the_users_git_configuration_changes_nothing(
    origin: Repository,
    workspace: Workspace,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".gitconfig").write_text("[alias]\n\thello = !echo surprise\n[core]\n\tquotePath = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = Mirror.ensure(str(origin.path), head(origin), workspace=workspace, settings=settings)

    assert mirror.git("hello", check=False).returncode != 0
    assert mirror.git("config", "core.quotePath").text == "false"


def test_a_password_in_a_url_is_in_no_argument_config_or_error(
    server: GitServer,
    origin: Repository,
    workspace: Workspace,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.url.replace("//", "//user:secret-word@") + "/thing"
    mirror = Mirror.ensure(url, head(origin), workspace=workspace, settings=settings)
    with pytest.raises(TreeError) as caught:
        Mirror.ensure(url, NOWHERE, workspace=workspace, settings=settings)

    assert "secret-word" not in caplog.text + str(caught.value) + (mirror.path / "config").read_text()


def test_the_sites_proxy_is_used_except_for_its_exceptions_and_its_password_is_not_told(
    server: GitServer, origin: Repository, workspace: Workspace, settings: Settings
) -> None:
    proxied = settings.model_copy(update={"proxy": "http://user:secret@127.0.0.1:9"})
    url, commit = f"{server.url}/thing", head(origin)
    with pytest.raises(TreeError, match="cannot be fetched") as raised:
        Mirror.ensure(url, commit, workspace=workspace, settings=proxied)
    assert "port 9" in raised.value.details
    assert "secret" not in f"{raised.value}{raised.value.__cause__}"

    around = proxied.model_copy(update={"no_proxy": "127.0.0.1"})
    assert Mirror.ensure(url, commit, workspace=workspace, settings=around).path.is_dir()


@pytest.mark.parametrize(
    ("said", "forbidden"),
    [
        ("error: insufficient permission for adding an object to repository database /cache/trees", True),
        ("fatal: cannot mkdir /cache/mirrors/x.git: Permission denied", True),
        ("error: unable to create temporary file: Read-only file system", True),
        ("git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.", False),
        ("error: patch failed: build.gradle:3", False),
    ],
)
def test_what_the_file_system_refuses_is_told_from_what_a_server_or_a_patch_does(
    said: str, forbidden: bool
) -> None:
    assert bool(FORBIDDEN.search(said)) == forbidden


def test_a_cache_of_another_user_is_named_with_the_way_to_own_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git is stood in for: tests may run as root, whom nothing is forbidden."""
    (tmp_path / "git").write_text(
        "#!/bin/sh\necho 'error: insufficient permission for adding an object' >&2\nexit 1\n"
    )
    (tmp_path / "git").chmod(0o755)
    mirror = Mirror(path=tmp_path / "x.git", url="", cache=tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(EnvironmentMissing) as refusal:
        mirror.git("apply", "--cached", "-", stdin=b"", check=False)
    assert f"below {tmp_path}/cache: files there are another user's" in refusal.value.brief
    assert refusal.value.hint.startswith(f'sudo chown -R "$(id -un)" {tmp_path}/cache, ')

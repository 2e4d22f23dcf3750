# SPDX-License-Identifier: Apache-2.0
"""`key` and `repo` as a shell sees them, with real gpg and dpkg-deb: answers, ways out, exit codes."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apt_host import write_deb
from bigtop_builder.cli import COMMANDS
from bigtop_builder.cli.repo import VERBS
from bigtop_builder.run import Completed, run
from forked import program

Tool = Callable[..., Completed]


@pytest.fixture
def tool(tmp_path: Path, key: tuple[Path, str]) -> Tool:
    """The program at a site that has one key, in a project whose repository has suite testing."""
    folder, fingerprint = key
    project = tmp_path / "project"
    for name in ("recipes", "patches", "repo"):
        (project / name).mkdir(parents=True)
    (project / "repo/repository.toml").write_text(
        'format = 1\norigin = "Ours"\nmaintainer = "Ann Bee <ann@bee.example>"\nurl = "http://ours.example"\n'
        f'storage = "apt"\nkeys = ["0x{fingerprint.lower()}"]\n[suites.testing]\n[suites.stable]\n'
    )
    env = {"HOME": str(tmp_path), "BIGTOP_BUILDER_KEYS_DIR": str(folder)}
    return lambda *words: program("--project", project, *words, env=env, cwd=tmp_path)


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    """A package."""
    (tmp_path / "tree/DEBIAN").mkdir(parents=True)
    (tmp_path / "tree/DEBIAN/control").write_text(
        "Package: zoo\nVersion: 1\nArchitecture: all\nMaintainer: Ann Bee <ann@bee.example>\nDescription: zoo\n"
    )
    path = tmp_path / "debs/zoo_1_all.deb"
    path.parent.mkdir()
    run(["dpkg-deb", "--root-owner-group", "--build", tmp_path / "tree", path])
    return path


def test_a_project_takes_a_release_through_the_suites_it_defines(
    tool: Tool, deb: Path, tmp_path: Path
) -> None:
    assert tool("repo", "init").text == str(tmp_path / "project/apt")
    assert tool("repo", "add", "testing", str(deb.parent)).returncode == 0
    assert tool("repo", "promote", "testing", "stable").returncode == 0
    assert tool("repo", "check").returncode == 0
    mistyped = tool("repo", "promote", "testing", "stabel")
    assert (mistyped.returncode, mistyped.text) == (2, "")
    assert "way out: did you mean stable? its suites: testing, stable; --new-suite" in mistyped.complaint
    assert tool("repo", "promote", "testing", "canary", "--new-suite").returncode == 0


def settings_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "state/repository.json").read_text())
    return found


def test_indices_are_chosen_when_a_repository_is_made_and_by_the_same_command_later(
    tool: Tool, key: tuple[Path, str], deb: Path, tmp_path: Path
) -> None:
    words = ("repo", "init", "apt", "--key", key[1], "--origin", "Ours")
    made = json.loads(tool(*words, "--form", ".xz", "--form", "plain", "--contents", "--json").text)
    assert made == {"repository": "apt", "changed": {}}
    first = settings_in(tmp_path / "apt")
    assert (first["forms"], first["contents"], first["translations"]) == (["", ".xz"], True, False)
    tool("repo", "add", "stable", str(deb), "--repo", "apt")
    folder = tmp_path / "apt/dists/stable/main"
    assert sorted(path.name for path in (folder / "binary-amd64").iterdir()) == [
        "Packages",
        "Packages.xz",
        "by-hash",
    ]
    assert (folder / "Contents-amd64.gz").exists()
    assert tool(*words).text == "apt"
    assert (settings_in(tmp_path / "apt") | {"suites": {}}) == first, "what is not named stays"
    changed = tool(*words, "--form", ".gz", "--no-contents", "--translations")
    assert changed.text == (
        "apt\nfrom the next publish to a suite on, it has\n  forms: .gz\n  contents: no\n  translations: yes"
    )
    again = json.loads(tool(*words, "--form", ".gz", "--no-contents", "--translations", "--json").text)
    assert again["changed"] == {}
    assert tool("repo", "check", "--repo", "apt").returncode == 0
    (tmp_path / "more").mkdir()
    tool("repo", "add", "stable", str(write_deb(tmp_path / "more", "yak", "1")), "--repo", "apt")
    there = {str(path.relative_to(folder)) for path in [*folder.glob("*"), *folder.glob("*/*")]}
    assert {path for path in there if "by-hash" not in path} == {
        "binary-amd64",
        "binary-amd64/Packages.gz",
        "i18n",
        "i18n/Translation-en.gz",
    }
    assert tool("repo", "check", "--repo", "apt").returncode == 0


def test_choosing_indices_changes_neither_origin_nor_label_nor_keys(
    tool: Tool, key: tuple[Path, str], tmp_path: Path
) -> None:
    tool("repo", "init", "apt", "--key", key[1], "--origin", "Ours")
    before = settings_in(tmp_path / "apt")
    for words in (("--origin", "Else"), ("--origin", "Ours", "--label", "Else")):
        refused = tool("repo", "init", "apt", "--key", key[1], *words, "--contents")
        assert refused.returncode == 2
        assert "never change" in refused.complaint
    assert settings_in(tmp_path / "apt") == before
    defined = tool("repo", "init", "--contents")
    assert defined.returncode == 2
    assert "repository.toml says which indices" in defined.complaint
    assert "write forms, contents or translations there" in defined.complaint


def test_what_is_not_given_to_init_stays_as_it_is_in_a_repository_that_is_there(
    tool: Tool, key: tuple[Path, str], tmp_path: Path
) -> None:
    assert tool("repo", "init", "apt", "--origin", "Ours").returncode == 2
    tool("repo", "init", "apt", "--key", key[1], "--origin", "Ours", "--label", "Mine")
    before = settings_in(tmp_path / "apt")
    changed = json.loads(tool("repo", "init", "apt", "--contents", "--json").text)
    assert changed == {"repository": "apt", "changed": {"contents": True}}
    assert tool("repo", "init", "apt", "--origin", "Ours", "--no-contents").returncode == 0
    assert settings_in(tmp_path / "apt") == before
    refused = tool("repo", "init", "apt", "--label", "Other", "--contents")
    assert refused.returncode == 2
    assert "label is 'Mine', not 'Other'" in refused.complaint


def test_a_project_is_named_only_where_it_is_asked(key: tuple[Path, str], deb: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "recipes").mkdir(parents=True)
    variables = {"HOME": str(tmp_path), "BIGTOP_BUILDER_KEYS_DIR": str(key[0])}
    variables["BIGTOP_BUILDER_PROJECT"] = str(project)

    def told(*words: str) -> str:
        return program(*words, env=variables, cwd=tmp_path).complaint

    assert "project: " not in told("repo", "init", "apt", "--key", key[1], "--origin", "Ours")
    assert "project: " not in told("repo", "add", "stable", str(deb), "--repo", "apt")
    for words in (("repo", "list"), ("repo", "check"), ("key", "rotate", key[1], "--to", key[1])):
        assert "project: " not in told(*words, "--repo", "apt"), words
    assert f"project: {project}" in told("repo", "list")


def test_a_suite_that_the_definition_got_later_is_known(tool: Tool, deb: Path, tmp_path: Path) -> None:
    tool("repo", "init")
    with (tmp_path / "project/repo/repository.toml").open("a") as file:
        file.write('[suites.canary]\ncodename = "bird"\n')
    assert tool("repo", "add", "canary", str(deb)).returncode == 0
    assert "\nCodename: bird\n" in (tmp_path / "project/apt/dists/canary/InRelease").read_text()


def test_a_repository_of_its_own_takes_its_first_suite_and_no_mistyped_one(
    tool: Tool, key: tuple[Path, str], deb: Path
) -> None:
    spaced = " ".join(key[1][at : at + 4] for at in range(0, 40, 4)).lower()
    assert tool("repo", "init", "apt", "--key", spaced, "--origin", "Ours").returncode == 0
    assert tool("repo", "add", "testing", str(deb), "--repo", "apt").returncode == 0
    mistyped = tool("repo", "add", "testng", str(deb), "--repo", "apt")
    assert mistyped.returncode == 2
    assert "did you mean testing?" in mistyped.complaint
    other = tool("repo", "init", "apt", "--key", key[1], "--origin", "Else")
    assert other.returncode == 2
    assert "origin is 'Ours', not 'Else'" in other.complaint
    assert "way out: " in other.complaint


def test_a_cut_off_package_has_the_exit_code_of_a_refused_one(tool: Tool, deb: Path) -> None:
    tool("repo", "init")
    deb.write_bytes(deb.read_bytes()[:-30])
    done = tool("repo", "add", "testing", str(deb))
    assert done.returncode == 10
    assert f"error: {deb} is no whole .deb: it is cut off" in done.complaint


def test_a_folder_without_packages_is_refused_also_beside_one_that_has_some(tool: Tool, deb: Path) -> None:
    tool("repo", "init")
    (deb.parent / "empty").mkdir()
    done = tool("repo", "add", "testing", str(deb), str(deb.parent / "empty"))
    assert done.returncode == 2
    assert "empty holds no .deb" in done.complaint
    assert "way out: name .deb files or the folder" in done.complaint


@pytest.mark.parametrize("command", ["list", "check", "serve"])
def test_a_folder_without_its_option_is_refused_with_the_option(tool: Tool, command: str) -> None:
    done = tool("repo", command, "apt")
    assert done.returncode == 2
    assert "a repository's folder goes after --repo, as in --repo apt" in done.complaint


VISITED = """
import os, signal, sys, threading, time, httpx
from bigtop_builder.__main__ import main

def visit():
    with httpx.Client(transport=httpx.HTTPTransport(retries=5), trust_env=False) as client:
        answer = client.get(f"http://127.0.0.1:{sys.argv[-1]}/state/repository.json")
    print(answer.json()["origin"], flush=True)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
threading.Thread(target=visit, daemon=True).start()
main()
"""


def test_a_repository_is_served_until_it_is_interrupted_and_that_is_its_good_end(
    tool: Tool, tmp_path: Path
) -> None:
    tool("repo", "init")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--project", tmp_path / "project", "repo", "serve", "--port", str(port)]
    done = run([sys.executable, "-c", VISITED, *words], check=False)
    assert (done.returncode, done.complaint) == (0, "")
    assert sorted(done.text.splitlines()) == ["Ours", f"http://127.0.0.1:{port}"]


def test_a_busy_port_is_bad_input(tool: Tool) -> None:
    tool("repo", "init")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        done = tool("repo", "serve", "--port", str(port))
    assert done.returncode == 2
    assert done.complaint.splitlines() == [
        f"error: 127.0.0.1:{port} cannot be served on: Address already in use",
        "way out: name another --host or --port; port 0 picks a free one",
    ]
    assert tool("repo", "serve", "--port", "70000").returncode == 2


def test_what_is_no_repository_is_not_served(tool: Tool, tmp_path: Path) -> None:
    done = tool("repo", "serve", "--repo", str(tmp_path))
    assert done.returncode == 2
    assert "is no repository" in done.complaint


def test_a_damaged_key_file_hides_no_other_key(tool: Tool, key: tuple[Path, str]) -> None:
    folder, fingerprint = key
    bad = folder / f"{'0' * 40}.secret.asc"
    bad.write_text("hello")
    try:
        done = tool("key", "list")
    finally:
        bad.unlink()
    assert done.returncode == 0
    assert fingerprint in done.text
    assert str(bad) in done.complaint
    assert "way out: " in done.complaint


def test_a_damaged_key_stops_a_publish_with_its_file(tool: Tool, key: tuple[Path, str], deb: Path) -> None:
    tool("repo", "init")
    file = key[0] / f"{key[1]}.secret.asc"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    try:
        done = tool("repo", "add", "testing", str(deb))
    finally:
        file.write_bytes(whole)
    assert done.returncode == 9
    assert f"error: {file} is damaged" in done.complaint
    assert "way out: bring the file back" in done.complaint


def test_keys_are_named_in_full(tool: Tool, key: tuple[Path, str]) -> None:
    fingerprint = key[1]
    assert "PUBLIC KEY BLOCK" in tool("key", "export", fingerprint.lower()).text
    done = tool("key", "export", fingerprint[-16:])
    assert done.returncode == 2
    assert f"way out: if you mean this key: {fingerprint}" in done.complaint


def test_a_key_that_expires_at_no_time_is_bad_input(tool: Tool) -> None:
    done = tool("key", "new", "Ann Bee", "ann@bee.example", "--expires", "nonsense")
    assert done.returncode == 2
    assert "90d, 6w, 18m, 2y" in done.complaint
    assert "gpg" not in done.complaint


def test_the_keyring_package_is_made_without_writing_to_the_repository(tool: Tool, tmp_path: Path) -> None:
    early = tool("key", "package", "early").text
    tool("repo", "init")
    root = tmp_path / "project/apt"
    with (tmp_path / "project/repo/repository.toml").open("a") as file:
        file.write("[suites.canary]\n")
    before = {path: path.lstat().st_mtime_ns for path in (root, *root.rglob("*"))}
    assert Path(tool("key", "package", "late").text).name == Path(early).name
    assert before == {path: path.lstat().st_mtime_ns for path in (root, *root.rglob("*"))}


def test_help_lists_every_command_of_the_repository() -> None:
    listed = COMMANDS["repo"][1].rstrip(".").partition(": ")[2].split(", ")
    assert sorted(listed) == sorted(VERBS)


def test_what_is_no_package_is_not_called_a_broken_one(tool: Tool, deb: Path, tmp_path: Path) -> None:
    tool("repo", "init")
    (tmp_path / "build.sh").write_text("#!/bin/sh\n")
    refused = tool("repo", "add", "testing", str(tmp_path / "build.sh"))
    assert refused.returncode == 10
    assert "build.sh is no package" in refused.complaint
    assert "give .deb, .ddeb, .dsc, .changes and .buildinfo files" in refused.complaint
    deb.rename(tmp_path / "zoo")
    assert tool("repo", "add", "testing", str(tmp_path / "zoo")).returncode == 0


def test_one_thing_is_counted_as_one_and_an_empty_list_names_the_snapshots(
    tool: Tool, deb: Path, tmp_path: Path
) -> None:
    tool("repo", "init")
    added = tool("repo", "add", "testing", str(deb), "--json")
    assert "verifying 1 package that no verdict knows" in added.complaint
    snapshot = json.loads(added.text)["snapshot"]
    assert tool("repo", "export", "mirror", "--snapshot", snapshot).returncode == 0
    assert "repo list --snapshots shows them" in tool("repo", "list", "--repo", "mirror").complaint
    next((tmp_path / "project/apt/pool").rglob("*.deb")).unlink()
    assert "is not whole: 1 problem\n" in tool("repo", "check").complaint
    again = tool("repo", "add", "testing", str(deb))
    assert "put back pool/main/z/zoo/zoo_1_all.deb" in again.text
    assert tool("repo", "check").returncode == 0


def test_a_gc_without_any_rule_says_that_nothing_is_let_go_and_by_which_option_it_is(tool: Tool) -> None:
    assert tool("repo", "init").returncode == 0
    for words in ((), ("--dry-run",)):
        done = tool("repo", "gc", *words)
        assert done.returncode == 0
        assert "no suite has a rule of retention, so all snapshots stay: --keep N" in done.complaint
    assert "no suite has a rule" not in tool("repo", "gc", "--keep", "3").complaint

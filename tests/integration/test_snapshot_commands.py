# SPDX-License-Identifier: Apache-2.0
"""`repo snapshot|refresh|withdraw|export|gc` as a shell sees them: answers, ways out, exit codes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from apt_host import write_deb
from bigtop_builder.run import Completed, run
from forked import program

Tool = Callable[..., Completed]


def at(home: Path, keys: Path) -> Tool:
    """The program in the project there."""
    env = {"HOME": str(home), "BIGTOP_BUILDER_KEYS_DIR": str(keys)}
    return lambda *words: program("--project", home / "project", *words, env=env, cwd=home)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, key: tuple[Path, str]) -> Path:
    """A project whose suite stable had zoo 1, 2 and 3, to be copied; testing keeps one snapshot only."""
    keys, fingerprint = key
    home = tmp_path_factory.mktemp("made")
    project = home / "project"
    for name in ("recipes", "patches", "repo"):
        (project / name).mkdir(parents=True)
    (project / "repo/repository.toml").write_text(
        'format = 1\norigin = "Ours"\nmaintainer = "Ann Bee <ann@bee.example>"\nurl = "http://ours.example"\n'
        f'storage = "apt"\nkeys = ["{fingerprint}"]\nsnapshot_days = 90\n[suites.stable]\nvalid_days = 9\n'
        "[suites.testing.retention]\nkeep = 1\n"
    )
    tool = at(home, keys)
    assert tool("repo", "init").returncode == 0
    for version in "123":
        deb = write_deb(home, "zoo", version)
        assert tool("repo", "add", "stable", deb, "--no-sync").returncode == 0
    return home


@pytest.fixture
def tool(tmp_path: Path, made: Path, key: tuple[Path, str]) -> Tool:
    """The program in a copy of the project."""
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    return at(tmp_path, key[0])


def value(done: Completed) -> dict[str, object]:
    assert done.returncode == 0, done.complaint
    read = json.loads(done.text)
    assert isinstance(read, dict)
    return read


def listed(tool: Tool) -> list[dict[str, object]]:
    read = json.loads(tool("repo", "list", "--snapshots", "--json").text)
    assert isinstance(read, list)
    return read


def test_a_night_shift_withdraws_a_snapshot_and_goes_back_by_the_command_it_is_told(tool: Tool) -> None:
    snapshots = [str(one["snapshot"]) for one in listed(tool)]
    done = tool("repo", "withdraw", snapshots[-1][:10], "--why", "loses edits", "--no-sync")
    assert (done.returncode, done.text.splitlines()) == (
        0,
        [
            f"snapshot {snapshots[-1][:16]} is withdrawn",
            f"stable points to it: bigtop-builder repo rollback stable --to {snapshots[-2][:16]}",
        ],
    )
    assert tool(*done.text.splitlines()[1].split("bigtop-builder ")[1].split()).returncode == 0
    refused = tool("repo", "rollback", "stable", "--to", snapshots[-1])
    assert refused.returncode == 10
    assert "is withdrawn, and stable must not point to it" in refused.complaint
    assert "loses edits" in refused.complaint
    assert f"repo withdraw {snapshots[-1][:16]} --undo" in refused.complaint
    table = tool("repo", "list", "--snapshots").text.splitlines()
    assert table[0].split() == ["snapshot", "since", "suites", "kept", "packages", "withdrawn"]
    assert table[-1].endswith("loses edits")
    again = value(tool("repo", "withdraw", snapshots[-1], "--undo", "--why", "it was the network", "--json"))
    assert (again["withdrawn"], again["changed"], again["affected"]) == (False, True, [])
    assert tool("repo", "check").returncode == 0


def test_a_snapshot_is_kept_and_left_again(tool: Tool) -> None:
    kept = value(tool("repo", "snapshot", "stable", "--name", "gold", "--why", "audit", "--json"))
    assert (kept["name"], kept["changed"]) == ("gold", True)
    assert [one["kept"] for one in listed(tool)] == ["", "", "gold"]
    done = tool("repo", "snapshot", "gold", "--undo")
    assert "is left to the rules of retention" in done.text
    named = tool("repo", "snapshot", "stable", "--why", "not \udcff text").text
    assert "is kept as stable-2" in named


def test_refresh_says_what_it_signed_and_why(tool: Tool, tmp_path: Path) -> None:
    assert tool("repo", "refresh").text == "nothing is due"
    assert value_list(tool("repo", "refresh", "stable", "--json")) == [("stable", "asked for")]
    assert len(value_list(tool("repo", "refresh", "--all", "--why", "drill", "--json"))) == 4
    definition = tmp_path / "project/repo/repository.toml"
    definition.write_text(definition.read_text().replace("valid_days = 9", "valid_days = 30"))
    assert value_list(tool("repo", "refresh", "--json")) == [("stable", "it is to be valid 30 days now")]
    release = (tmp_path / "project/apt/dists/stable/Release").read_text()
    assert "\nValid-Until: " in release


def value_list(done: Completed) -> list[tuple[str, str]]:
    assert done.returncode == 0, done.complaint
    return [(one["suite"], one["reason"]) for one in json.loads(done.text)]


def test_gc_tells_first_and_removes_then(tool: Tool, tmp_path: Path) -> None:
    told = value(tool("repo", "gc", "--dry-run", "--keep", "1", "--json"))
    assert (told["removed"], told["snapshots"], told["bytes"]) == (False, [], 0)
    stray = tmp_path / "project/apt/pool/main/y/yak/yak_1_all.deb"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"12345")
    run(["touch", "-d", "2 days ago", stray])
    told = value(tool("repo", "gc", "--dry-run", "--json"))
    assert (told["files"], told["bytes"]) == ({"packages": {"files": 1, "bytes": 5}}, 5)
    assert stray.exists()
    done = tool("repo", "gc", "--why", "weekly")
    assert "1 packages, 0.0 MB" in done.text
    assert not stray.parent.exists()
    (record,) = (tmp_path / "project/apt/state/collected").glob("*.json")
    assert json.loads(record.read_text())["why"] == "weekly"
    assert record.with_name(f"{record.name}.asc").exists()


def test_an_export_is_checked_like_a_repository(tool: Tool, tmp_path: Path) -> None:
    mirror = str(tmp_path / "mirror")
    done = value(tool("repo", "export", mirror, "--suite", "stable", "--json"))
    assert done["target"] == mirror
    assert "0 files, 0.0 MB, came to" in tool("repo", "export", mirror, "--suite", "stable").text
    assert tool("repo", "check", "--repo", mirror).returncode == 0
    snapshot = str(listed(tool)[0]["snapshot"])
    assert tool("repo", "export", mirror, "--snapshot", snapshot[:12], "--why", "old site").returncode == 0
    assert json.loads((tmp_path / "mirror/state/mirror.json").read_text())["why"] == "old site"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["snapshot", "nothing"], "no snapshot 'nothing'"),
        (["snapshot", "stable", "--name", "a/b"], "cannot be a snapshot's name"),
        (["snapshot", "stable", "--name", "snapshot-0123456789abcdef"], "cannot be a snapshot's name"),
        (["refresh", "stabel"], "did you mean stable?"),
        (["refresh", "stable", "--all"], "--all stands for all suites"),
        (["withdraw", "stable", "--why", "bad"], "stable is a suite: it points to snapshot "),
        (["withdraw", "abc"], "--why"),
        (["withdraw", "abc", "--why", " "], "needs a reason"),
        (["export", "mirror"], "nothing to export is named"),
        (["export", "mirror", "--suite", "../stable"], "nothing was published to suite ../stable"),
        (["export", "project/apt", "--suite", "stable"], "is no mirror of this tool"),
        (["gc", "--keep", "0"], "--keep"),
        (["list", "--snapshots", "--suite", "stable"], "leave out --suite"),
        (["gc", "--repo", "nowhere"], "nowhere is no repository"),
    ],
)
def test_bad_input_is_told_with_a_way_out(tool: Tool, words: list[str], said: str) -> None:
    done = tool("repo", *words)
    assert (done.returncode, done.text) == (2, "")
    assert said in done.complaint
    assert "Traceback" not in done.complaint

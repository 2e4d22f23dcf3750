# SPDX-License-Identifier: Apache-2.0
"""The command line as a shell sees it: exit codes, the answer on stdout, the story and errors on stderr."""

import json
import os
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import click
import pytest
from git_server import serving_git

from bigtop_builder import __version__
from bigtop_builder.__main__ import command as main
from bigtop_builder.cache import ResultCache
from bigtop_builder.cli import COMMANDS, cli
from bigtop_builder.depot import FolderDepot
from bigtop_builder.errors import ONCE_ONLINE, CheckFailed
from bigtop_builder.lock import Lock
from bigtop_builder.lock_notes import note_lock
from bigtop_builder.run import run
from bigtop_builder.workspace import Project
from local_patches import diff_of, list_patches, write_patch
from results import STAMP, put

DAY = 86400.0
HEAVY = ("boto3", "docker", "httpx", "jinja2", "pydantic", "rich", "starlette")


@dataclass(frozen=True, kw_only=True)
class Said:
    """Exit status, standard output, and standard error of one call."""

    status: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Call the program on the miniature project, at a site of its own."""
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "BIGTOP_BUILDER_GRADLE": "system",
        "BIGTOP_BUILDER_CACHE_DIR": str(tmp_path / "cache"),
        "BIGTOP_BUILDER_KEYS_DIR": str(tmp_path / "keys"),
    }.items():
        monkeypatch.setenv(name, value)

    def invoke(*words: str, at: Path | None = project.root) -> Said:
        named = ["--project", str(at)] if at else []
        monkeypatch.setattr(sys, "argv", ["bigtop-builder", *named, *words])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            said = capsys.readouterr()
            return Said(status=int(end.code or 0), out=said.out, err=said.err)
        raise AssertionError("main() came back")

    return invoke


def edit(project: Project, old: str, new: str) -> Path:
    path = project.recipes / "1.0.0.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom bigtop_builder.cli import cli\n"
        "cli(['--help'], prog_name='bigtop-builder', standalone_mode=False)\n"
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = run([sys.executable, "-c", script], check=False)
    assert (done.returncode, done.complaint) == (0, ""), "imported although only help was asked for"
    assert all(f"\n  {name} " in done.text for name in COMMANDS)
    assert "Exit codes: 0 done" in done.text


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_and_an_example(call: Call, command: str) -> None:
    done = call(command, "--help")
    assert done.status == 0, done.err
    assert COMMANDS[command][1]
    commands = [line.split()[0] for line in done.out.partition("Commands:")[2].splitlines() if line.strip()]
    if not commands:
        assert f"Example: bigtop-builder {command}" in done.out


def test_the_version_is_the_packages(call: Call) -> None:
    assert call("--version").out == f"bigtop-builder, version {__version__}\n"


def test_an_unknown_command_is_bad_usage(call: Call) -> None:
    done = call("ploy")
    assert done.status == 2
    assert "No such command 'ploy'" in done.err


def test_an_unknown_recipe_is_refused_with_those_there_are(call: Call, project: Project) -> None:
    done = call("plan", "9.9.9")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines() == [
        f"error: no recipe '9.9.9' ({project.recipes / '9.9.9.toml'})",
        f"way out: recipes in {project.recipes}: 1.0.0, 1.1.0",
    ]


def test_malformed_toml_is_refused_with_file_and_line(call: Call, project: Project) -> None:
    path = edit(project, 'release = "1.0.0"', "release = 1.0.0")
    done = call("plan", "1.0.0")
    assert (done.status, done.out) == (2, "")
    assert f"error: {path}: malformed TOML: " in done.err
    assert "line 3" in done.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('suite = "bookworm"', 'suit = "bookworm"', "target.suit: "),
        ('tag = "deb12"', 'tag = "Deb 12"', "target.tag: "),
        ("memory_mb = 2048", 'memory_mb = "much"', "components[0].memory_mb: "),
        ('distribution = "debian"', 'distribution = "gentoo"', "target.distribution: "),
    ],
)
def test_a_key_or_value_that_does_not_fit_is_refused_with_file_line_and_key(
    call: Call, project: Project, old: str, new: str, said: str
) -> None:
    path = edit(project, old, new)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if text == new)
    done = call("plan", "1.0.0")
    assert done.status == 2
    assert f"{path}:{line}: {said}" in done.err


def test_a_source_in_two_places_is_refused_with_both_and_its_line(call: Call, project: Project) -> None:
    path = edit(project, 'kind = "file"', 'kind = "file"\nurl = "https://example.org/x.tar.gz"')
    line = path.read_text().splitlines().index('kind = "file"')
    done = call("plan", "1.0.0")
    assert done.status == 2
    assert f"{path}:{line}: components[" in done.err
    assert "`file` and `url` are 2 locations" in done.err


def test_an_unknown_component_is_refused_with_those_there_are(call: Call) -> None:
    done = call("plan", "1.0.0", "-c", "trumpet")
    assert done.status == 2
    assert done.err.splitlines()[-2:] == [
        "error: recipe 1.0.0 has no component 'trumpet'",
        "way out: it has bigtop-utils, bigtop-jsvc, salute, herald",
    ]


def test_a_commit_that_is_not_there_has_the_trees_exit_code(call: Call, project: Project) -> None:
    edit(project, 'commit = "86adb7bb', 'commit = "00000000')
    done = call("plan", "1.0.0")
    assert done.status == 4
    assert "error: commit 00000000" in done.err


def test_a_stale_lock_is_refused_before_anything_is_built(call: Call) -> None:
    done = call("build", "1.0.0")
    assert done.status == 2
    assert "the plan for 1.0.0 cannot be carried out" in done.err
    assert "way out: bigtop-builder plan 1.0.0 --bump" in done.err


def test_a_plan_for_people_says_what_to_type_next(call: Call) -> None:
    done = call("plan", "1.0.0")
    assert done.out.startswith("1.0.0 for deb12, tree ")
    assert "patch salute/miniature-blank-name: Greet the world when a name is blank" in done.out
    assert done.out.endswith("To go on:\n  bigtop-builder plan 1.0.0 --bump\n")


def test_a_plan_that_could_not_be_built_is_printed_and_ends_with_the_exit_code_of_bad_input(
    call: Call,
) -> None:
    refused = [call("plan", "1.0.0"), call("plan", "1.0.0", "--json")]
    for done in refused:
        assert done.status == 2
        assert done.err.splitlines()[0].endswith("cannot be carried out: 4 of 4 steps are refused")
    assert len(refused[0].err.splitlines()) == 1
    assert refused[1].err.splitlines()[-1] == "way out: bigtop-builder plan 1.0.0 --bump"
    assert refused[0].out
    assert len(json.loads(refused[1].out)["steps"]) == 4
    assert call("plan", "1.0.0", "--bump").status == 0
    assert call("plan", "1.0.0").status == 0


def test_a_bump_makes_the_tree_once(call: Call) -> None:
    done = call("--verbose", "plan", "1.0.0", "--bump")
    assert done.status == 0, done.err
    assert done.err.count(" write-tree ") == 1


def test_a_repository_without_a_suite_to_upgrade_from_is_bad_usage(call: Call, tmp_path: Path) -> None:
    done = call("verify", "1.0.0", "--repo", str(tmp_path))
    assert done.status == 2
    assert "--repo says where --suite is looked up: give both" in done.err


def test_a_suite_that_the_repository_has_not_is_refused_before_anything_is_built(
    call: Call, project: Project, origin: Project
) -> None:
    project.definition.parent.mkdir(exist_ok=True)
    project.definition.write_text(origin.definition.read_text())
    done = call("verify", "1.0.0", "--suite", "tasting")
    assert done.status == 2
    assert "has no suite 'tasting'" in done.err
    assert not (project.root / "build").exists()


@pytest.mark.parametrize("others", [["--smoke"], ["--suite", "stable"], ["--repo", "apt"]])
def test_a_rebuild_refuses_what_it_would_pass_over(call: Call, others: list[str]) -> None:
    done = call("verify", "1.0.0", "--rebuild", *others)
    assert done.status == 2
    assert f"and takes no {others[0]}" in done.err


def test_smokes_of_a_recipe_that_has_none_are_refused_before_anything_is_built(
    call: Call, project: Project
) -> None:
    done = call("verify", "1.0.0", "--smoke")
    assert done.status == 2
    assert "1.0.0.toml has no [[smoke]], so there is nothing to run" in done.err
    assert not list((project.root / "build").glob("**/*.deb"))


def test_smokes_that_all_need_what_is_left_out_are_refused_before_anything_is_built(
    call: Call, project: Project
) -> None:
    with (project.recipes / "1.0.0.toml").open("a") as recipe:
        recipe.write('\n[[smoke]]\nname = "greet"\npackages = ["salute"]\nrun = "true"\nexpect = "x"\n')
    done = call("verify", "1.0.0", "--smoke", "-c", "bigtop-utils")
    assert done.status == 2
    assert "1.0.0.toml can run: each needs a component that -c leaves out" in done.err
    assert "choose salute too" in done.err
    assert not list((project.root / "build").glob("**/*.deb"))


def test_a_plan_as_json_is_json_alone(call: Call) -> None:
    value = json.loads(call("plan", "1.0.0", "--json").out)
    assert (value["release"], value["target"]) == ("1.0.0", "deb12")
    assert [step["component"] for step in value["steps"]] == [
        "bigtop-utils",
        "bigtop-jsvc",
        "salute",
        "herald",
    ]
    assert {step["action"] for step in value["steps"]} == {"refuse"}


def test_a_plan_lists_what_is_left_out_of_upstreams_patches_and_what_is_carried(
    call: Call, project: Project
) -> None:
    upstreams = "bigtop-packages/src/common/salute/patch3-old.diff"
    write_patch(project, "bigtop/as-upstream", diff_of(upstreams, "", "upstream's\n"))
    list_patches(project, "bigtop/as-upstream")
    path = project.recipes / "1.0.0.toml"
    commit = tomllib.loads(path.read_text())["bigtop"]["commit"]
    left_out = 'name = "salute"\nomit_patches = ["patch3-old.diff"]\n'
    carried = f'\n[[carry]]\ncomponent = "herald"\nfrom = "{commit}"\nref = "rel/1.0.0"\n'
    path.write_text(path.read_text().replace('name = "salute"\n', left_out, 1) + carried)
    steps = {step["component"]: step for step in json.loads(call("plan", "1.0.0", "--json").out)["steps"]}
    assert steps["salute"]["omitted_patches"] == ["patch3-old.diff"]
    assert (steps["herald"]["omitted_patches"], steps["herald"]["carried_from"]) == ([], commit)
    told = call("plan", "1.0.0").out.splitlines()
    assert "carried herald: packaging of rel/1.0.0" in told
    assert "left out of salute 1.0.0: upstream's patch3-old.diff" in told


def test_a_bump_writes_the_lock_and_the_next_plan_is_ready(call: Call, project: Project) -> None:
    bumped = json.loads(call("plan", "1.0.0", "--bump", "--json").out)
    assert {step["action"] for step in bumped["steps"]} == {"run"}
    lock = (project.recipes / "1.0.0.lock").read_bytes()
    assert json.loads(call("plan", "1.0.0", "--bump", "--json").out) == bumped
    assert (project.recipes / "1.0.0.lock").read_bytes() == lock


def test_a_plan_with_a_patch_that_does_not_apply_to_a_source_writes_no_lock(
    call: Call, project: Project
) -> None:
    diff = project.patches / "salute/miniature-blank-name/default.patch"
    diff.write_text(diff.read_text().replace("name.isEmpty()", "name.isBlank()", 1))
    assert call("source", "fetch", "1.0.0", "-c", "salute").status == 0
    done = call("plan", "1.0.0", "--bump")
    assert done.status == 4
    assert "error: patch salute/miniature-blank-name does not apply to the source of salute 1.0.0" in done.err
    assert not (project.recipes / "1.0.0.lock").exists()
    assert call("plan", "1.0.0", "-c", "bigtop-utils", "--bump").status == 0


def test_a_plan_tells_of_a_build_that_failed(call: Call, project: Project) -> None:
    planned = json.loads(call("plan", "1.0.0", "--bump", "--json").out)["steps"]
    logs = project.output / "1.0.0/logs"
    logs.mkdir(parents=True)
    log = logs / "salute.log"
    log.write_text("a log\n")
    ids = {step["component"]: step["id"] for step in planned}
    record = {"step": ids["salute"], "ended": time.time() - 720, "cause": "the disk is full"}
    (logs / "salute.failed.json").write_text(json.dumps(record))
    done = call("plan", "1.0.0")
    assert done.status == 0
    assert f"not built yet; failed 12 min ago: the disk is full, log {log}" in done.out
    steps = {step["component"]: step for step in json.loads(call("plan", "1.0.0", "--json").out)["steps"]}
    assert steps["salute"]["failed"] == {"ended": record["ended"], "cause": record["cause"], "log": str(log)}
    assert steps["herald"]["failed"] is None


def test_a_recipe_may_be_named_by_its_path(call: Call, project: Project) -> None:
    by_path = call("plan", str(project.recipes / "1.0.0.toml"), "--json")
    assert json.loads(by_path.out)["tree"] == json.loads(call("plan", "1.0.0", "--json").out)["tree"]


def test_a_project_without_recipes_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = call("plan", "1.0.0", at=tmp_path / "empty")
    assert done.status == 2
    assert f"--project {tmp_path / 'empty'} holds no recipes/" in done.err
    assert "way out: a project is a folder with recipes/, patches/ and repo/" in done.err
    assert f"--project {tmp_path / 'gone'} does not exist" in call("plan", "1.0.0", at=tmp_path / "gone").err


def test_settings_that_are_not_there_or_do_not_fit_are_refused(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    missing = call("--settings", str(file), "plan", "1.0.0")
    assert missing.status == 2
    assert f"settings file {file} does not exist" in missing.err
    file.write_text('[mirrors]\nmavin = "http://mirror.example"\n')
    wrong = call("--settings", str(file), "plan", "1.0.0")
    assert wrong.status == 2
    assert "mirrors.mavin" in wrong.err
    assert "way out: docs/settings.md lists every key" in wrong.err


def test_a_release_without_a_key_is_refused_before_anything_is_built(call: Call, project: Project) -> None:
    project.definition.parent.mkdir(exist_ok=True)
    project.definition.write_text('origin = "Example"\n')
    done = call("release", "1.0.0", "--suite", "testing")
    assert done.status == 2, done.err
    assert done.err.startswith("error: ")
    assert not (project.root / "build").exists()


def test_errors_show_no_traceback(call: Call) -> None:
    said = [call("plan", "9.9.9"), call("verify", "1.0.0"), call("source", "verify", "9.9.9")]
    assert [done.status for done in said] == [2, 2, 2]
    assert not any("Traceback" in done.err for done in said)


def test_a_misspelt_command_or_option_has_a_way_out(call: Call) -> None:
    command, option = call("plam"), call("plan", "--jason", "1.0.0")
    assert (command.status, option.status) == (2, 2)
    assert (
        "error: No such command 'plam'; did you mean plan?\nway out: bigtop-builder --help\n" in command.err
    )
    assert option.err.endswith("way out: bigtop-builder plan --help\n")


@pytest.mark.parametrize("words", [("plan", "1.0.0"), ("quickstart", "--dir", "/proc/nowhere/project")])
def test_a_place_that_cannot_be_written_is_the_machines_lack(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BIGTOP_BUILDER_CACHE_DIR", "/proc/nowhere/cache")
    done = call(*words)
    assert done.status == 3, done.err
    assert "error: /proc/nowhere" in done.err
    assert "/proc is root's (dr-xr-xr-x)" in done.err
    assert "way out: mend the rights or the path" in done.err


def test_a_folder_that_was_removed_under_ones_feet_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = call("plan", "1.0.0", at=None)
    assert (done.status, "error: the folder that this runs in is gone" in done.err) == (3, True)


@pytest.mark.parametrize("command", ["build", "verify"])
def test_an_output_folder_that_cannot_be_written_is_found_before_any_work(
    call: Call, project: Project, command: str
) -> None:
    (project.root / "build").write_text("a file where a folder should be")
    done = call(command, "1.0.0")
    assert done.status == 3
    assert f"error: {project.root}/build cannot be written by this user" in done.err
    assert not (project.root.parent / "cache").exists()


def test_a_project_that_nobody_named_is_told(
    call: Call, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigtop_builder.workspace.bundled_project", lambda: project)
    monkeypatch.chdir(tmp_path)
    line = f"project: {project.root}\n"
    assert line in call("source", "verify", "1.0.0", at=None).err
    assert line not in call("source", "verify", "1.0.0").err
    monkeypatch.chdir(project.recipes)
    assert line not in call("source", "verify", "1.0.0", at=None).err


@pytest.mark.parametrize(("option", "word"), [("--project", "x"), ("-v", "")])
def test_an_option_of_the_whole_program_says_where_it_goes(call: Call, option: str, word: str) -> None:
    done = call("patch", "status", option, *filter(None, [word]))
    assert done.status == 2
    assert f"way out: {option} goes before the command: bigtop-builder {option} … patch status\n" in done.err


def test_the_miniature_becomes_a_project_of_ones_own(call: Call, tmp_path: Path) -> None:
    own = tmp_path / "own"
    done = call("quickstart", "--only-project", "--dir", str(own))
    assert done.status == 0, done.err
    assert not (tmp_path / "keys").exists()
    assert call("plan", "1.0.0", "--bump", at=own).status == 0
    for words in (("--only-project",), ()):
        refused = call("quickstart", *words, "--dir", str(own))
        assert (refused.status, "is not empty" in refused.err) == (2, True)


def test_a_quickstart_keeps_to_its_own_keys_and_gradle(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise CheckFailed("it dies early")

    monkeypatch.setenv("BIGTOP_BUILDER_GRADLE", "wrapper")
    monkeypatch.setattr("bigtop_builder.cli.quickstart.define", dies)
    done = call("quickstart", "--dir", str(tmp_path / "q"))
    assert (done.status, done.err.splitlines()[-1]) == (1, "error: it dies early"), done.err
    assert "env --unset=BIGTOP_BUILDER_GRADLE --unset=BIGTOP_BUILDER_KEYS_DIR " in done.out
    assert not (tmp_path / "keys").exists()
    assert len(list((tmp_path / "q/keys").glob("*.secret.asc"))) == 1
    assert os.environ["BIGTOP_BUILDER_GRADLE"] == "wrapper"


def test_ctrl_c_ends_with_130_and_says_that_nothing_is_lost(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bigtop_builder.cli.road.survey", interrupted)
    said = call("plan", "1.0.0")
    assert said.status == 130
    assert "the same command goes on from there" in said.err


def test_a_group_alone_shows_its_help_once_and_is_bad_usage(call: Call) -> None:
    said = call("repo")
    assert (said.status, said.out) == (2, "")
    assert said.err.count("Usage:") == 1
    assert "error:" not in said.err
    assert "promote" in said.err


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Every command of the tree, by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found
        if isinstance(found, click.Group):
            yield from commands(found, *names, name)
        else:
            yield " ".join([*names, name]), found


EVERY = dict(commands(cli))
STORY = {"quickstart"}
"""Commands that show something, and answer nothing."""
READING = {"repo list", "repo history", "repo check", "repo serve"}


@pytest.mark.parametrize("words", EVERY)
def test_every_command_has_an_example_and_json(words: str) -> None:
    command = EVERY[words]
    assert f"Example: bigtop-builder {words}" in (command.epilog or command.help or "")
    options = {option for parameter in command.params for option in parameter.opts}
    assert words in STORY or "--json" in options


@pytest.mark.parametrize("words", [one for one in EVERY if one.startswith("repo ")])
def test_every_command_about_a_repository_names_it_and_what_changes_one_takes_a_reason(words: str) -> None:
    options = {option for parameter in EVERY[words].params for option in parameter.opts}
    # init takes the folder as an argument, and there is no history yet that a reason would go to
    assert words == "repo init" or "--repo" in options
    assert words in {"repo init", *READING} or "--why" in options


def test_a_plan_offline_asks_nobody(
    call: Call, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("allowFilter", "allowAnySHA1InWant"):
        run(["git", f"--git-dir={project.root / 'bigtop.git'}", "config", f"uploadpack.{key}", "true"])
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("BIGTOP_BUILDER_SHARED_CACHE", str(tmp_path / "shared"))
    with serving_git(project.root) as server:
        edit(project, "../bigtop.git", f"{server.url}/bigtop.git")
        failed = call("plan", "1.0.0", "--offline")
        assert (failed.status, server.requests) == (4, [])
        assert ONCE_ONLINE in failed.err
        assert call("plan", "1.0.0", "--bump").status == 0
        assert server.requests.pop()
        server.requests.clear()
        shared = ResultCache(tmp_path / "theirs", FolderDepot(tmp_path / "shared"))
        first = json.loads(call("plan", "1.0.0", "--json").out)["steps"][0]
        put(shared, step=first["id"], stamp=first["version"].partition("-")[2])
        actions = [
            json.loads(call("plan", "1.0.0", "--json", *words).out)["steps"][0]["action"]
            for words in ([], ["--offline"])
        ]
        assert (actions, server.requests) == (["reuse", "run"], [])


def test_a_release_keeps_other_runs_out_until_it_is_published(
    call: Call, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another run takes away the packages that are being published."""
    refused = []

    def publish(*_: object, **__: object) -> NoReturn:
        done = call("build", "1.0.0", "-c", "bigtop-utils")
        refused.append((done.status, done.err))
        raise CheckFailed("far enough")

    made = SimpleNamespace(results=[], folder=project.root, plan=None)
    passed = SimpleNamespace(passed=True, findings=())
    archive = SimpleNamespace(require_keys=lambda: None, packages_of=lambda *_: [])
    for name, stands_in in {
        "archive_with": lambda *_: archive,
        "build_release": lambda *_: made,
        "verify_release": lambda *_: passed,
        "manifest_of": lambda *_: SimpleNamespace(to_json=str),
        "left_beside": lambda *_: [],
        "publish": publish,
    }.items():
        monkeypatch.setattr(f"bigtop_builder.cli.release.{name}", stands_in)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/no-engine")
    assert call("plan", "1.0.0", "--bump").status == 0
    assert "far enough" in call("release", "1.0.0", "--suite", "stable").err
    ((status, said),) = refused
    assert status == 3
    assert "another run is at work on this release" in said


def test_gc_without_a_project_of_ones_own_removes_nothing(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks that came with the tool name none of the results that somebody's own project needs."""
    monkeypatch.delenv("BIGTOP_BUILDER_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path.anchor)
    done = call("cache", "gc", "--days", "0", at=None)
    assert done.status == 2
    assert "no project is named, and there is none around /" in done.err


def test_gc_keeps_what_a_lock_names_be_it_another_projects_as_long_as_that_is_there(
    call: Call, project: Project, tmp_path: Path
) -> None:
    results, other = ResultCache(tmp_path / "cache/results"), tmp_path / "other/1.0.0.lock"
    names = {project.recipes / "1.0.0.lock": "a" * 64, other: "b" * 64}
    for path, step in names.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(Lock(release="1", target="deb12").bumped({"salute": step}).to_toml())
        put(results, step=step)
    put(results, step="c" * 64)
    note_lock(tmp_path / "cache/lock-notes", other)
    gone = json.loads(call("cache", "gc", "--days", "0", "--json").out)["results"]
    assert gone == ["salute 1.0.0-1+bt1.0.0.1~deb12"]
    assert [bool(results.get(step, STAMP)) for step in ("a" * 64, "b" * 64, "c" * 64)] == [True, True, False]
    other.write_text("format = 2\n")
    refused = call("cache", "gc", "--days", "0")
    assert (refused.status, results.get("b" * 64, STAMP) is None) == (2, False)
    assert f"remove it and the file in {tmp_path}/cache/lock-notes that has its path" in refused.err
    other.unlink()
    assert call("cache", "gc", "--days", "0").status == 0
    assert results.get("b" * 64, STAMP) is None
    assert list((tmp_path / "cache/lock-notes").iterdir()) == []


def test_gc_drops_old_answers_of_github_and_says_how_large_the_rest_is(call: Call, tmp_path: Path) -> None:
    answers, downloads = tmp_path / "cache/github", tmp_path / "cache/downloads"
    for folder in (answers, downloads):
        folder.mkdir(parents=True)
    (downloads / "a.jar").write_bytes(b"j" * 2_000_000)
    for name, days in {"old": 40, "new": 1}.items():
        (answers / f"{name}.json").write_text("{}")
        then = time.time() - days * DAY
        os.utime(answers / f"{name}.json", (then, then))
    wouldbe = json.loads(call("cache", "gc", "--dry-run", "--json").out)
    assert (wouldbe["answers"], len(list(answers.iterdir()))) == (1, 2)
    said = call("cache", "gc")
    assert "1 answer of GitHub removed" in said.out
    assert "downloads 2.0 MB" in said.out
    assert [file.name for file in answers.iterdir()] == ["new.json"]

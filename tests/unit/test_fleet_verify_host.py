# SPDX-License-Identifier: Apache-2.0
"""verify-host as hosts get it: one file, its options, its names, its answer."""

import ast
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.cli import cli
from bigtop_builder.fleet import emitted, facts, verify_host
from bigtop_builder.fleet.host_program import MAIN, program
from bigtop_builder.fleet.host_report import HostFinding
from bigtop_builder.fleet.verify_host.command import arguments
from bigtop_builder.fleet.verify_host.contents import SCRIPTS
from bigtop_builder.fleet.verify_host.guard import ASIDE, GUARD, MARK
from bigtop_builder.fleet.verify_host.release import Release
from bigtop_builder.fleet.verify_host.report import own_name, status_of
from bigtop_builder.repository.keyring_package import package_name
from bigtop_builder.run import run
from bigtop_builder.templates import render
from host_files import host

SOURCES = sorted(Path(verify_host.__file__).parent.glob("*.py"))


def imported(source: str) -> set[str]:
    """Modules that a source imports, its own siblings as the empty name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source, feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2, "there is nothing above it on a host"
            found.add("" if node.level else node.module or "")
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_program_takes_the_standard_library_of_python_3_9_alone(source: Path) -> None:
    assert imported(source.read_text()) - {""} <= sys.stdlib_module_names


def test_the_program_is_one_file_that_is_the_same_each_time_and_runs_alone(tmp_path: Path) -> None:
    target = tmp_path / "bin/verify-host"
    done = CliRunner().invoke(cli, ["fleet", "verify-host", "--write", str(target)])
    assert (done.exit_code, done.output) == (0, f"{target}\n")
    assert target.read_bytes() == program()
    assert "--withdrawn" in run([sys.executable, "-I", "-S", target, "--help"]).text
    assert "--withdrawn" in run([target, "--help"]).text
    with ZipFile(target) as archive:
        assert archive.namelist() == [*(f"verify_host/{one.name}" for one in SOURCES), "__main__.py"]
        assert {one.date_time[0] for one in archive.infolist()} == {1980}
    assert MAIN.encode() in target.read_bytes(), "who is to run it as root can read it"


def test_a_program_that_was_cut_off_on_its_way_does_not_run(tmp_path: Path) -> None:
    target = tmp_path / "verify-host"
    for part in (0.3, 0.7, 0.99):
        target.write_bytes(program()[: int(len(program()) * part)])
        done = run([sys.executable, target, "--help"], check=False)
        assert done.returncode == 1
        assert "--withdrawn" not in done.text


def test_the_command_and_the_program_take_the_same_options() -> None:
    command = cli.get_command(None, "fleet").get_command(None, "verify-host")  # type: ignore[union-attr,arg-type]
    ours = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    own = {option for action in arguments()._actions for option in action.option_strings}
    assert ours - {"--write"} == {one for one in own if one.startswith("--")} - {"--help"}


def test_without_manifest_it_says_what_to_name() -> None:
    done = CliRunner().invoke(cli, ["fleet", "verify-host"])
    assert str(done.exception).startswith("no manifest is named")


def test_the_checks_that_it_makes_are_those_of_the_format() -> None:
    made = {
        node.args[0].value
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"error", "note", "tell"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert made == set(HostFinding.model_fields["check"].annotation.__args__)  # type: ignore[union-attr]


@given(origin=st.text(max_size=30) | st.text("aZ0 .-_", max_size=10))
def test_the_keyring_packages_name_is_the_one_that_is_published(origin: str) -> None:
    assert Release({"origin": origin}, "", "").trust == package_name(origin)


def test_what_hosts_get_and_what_is_looked_for_there_has_the_same_names() -> None:
    assert MARK.decode() == emitted.MARK
    assert emitted.POLICY == GUARD
    assert set(SCRIPTS) == facts.SCRIPTS
    for way in ("on", "off"):
        script = render(f"fleet/guard-{way}.sh.j2", mark=emitted.MARK)
        assert f"\npolicy={GUARD}\naside=$policy.before-guard\n" in script
    assert f"{GUARD}.before-guard" == ASIDE


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("127.0.0.1 localhost.localdomain localhost worker07", "worker07"),
        ("127.0.1.1 worker07.example.org worker07", "worker07.example.org"),
        ("10.0.0.7 worker07 worker07.example.org", "worker07.example.org"),
        ("10.0.0.7 # worker07.example.org", "worker07"),
        ("10.0.0.7 nfs.example.org worker07", "worker07"),
    ],
)
def test_a_host_has_its_own_name_and_no_alias(tmp_path: Path, line: str, expected: str) -> None:
    root = host(tmp_path, {"etc/hostname": "worker07\n", "etc/hosts": f"::1 localhost.x\n{line}\n"})
    assert own_name(root) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], 0),
        ([("conffile", "note")], 0),
        ([("unreadable", "error")], 3),
        ([("unreadable", "error"), ("file", "error")], 1),
        ([("held", "error"), ("pin", "note")], 1),
    ],
)
def test_the_exit_status_says_what_counts(found: list[tuple[str, str]], expected: int) -> None:
    assert status_of({"findings": [{"check": check, "level": level} for check, level in found]}) == expected

# SPDX-License-Identifier: Apache-2.0
"""What verify-host reads on a host: dpkg's files and apt's answers, whole and damaged."""

import ast
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.cli import cli
from bigtop_builder.fleet import emitted, facts, verify_host
from bigtop_builder.fleet.host_program import MAIN, program
from bigtop_builder.fleet.host_report import HostFinding
from bigtop_builder.fleet.verify_host.apt import tables, unmet_of
from bigtop_builder.fleet.verify_host.command import arguments
from bigtop_builder.fleet.verify_host.contents import SCRIPTS, Contents
from bigtop_builder.fleet.verify_host.dpkg import Installed, dpkg_status, sum_of
from bigtop_builder.fleet.verify_host.finding import Finding, Unable
from bigtop_builder.fleet.verify_host.guard import ASIDE, GUARD, MARK, guard
from bigtop_builder.fleet.verify_host.release import Release
from bigtop_builder.fleet.verify_host.report import own_name, status_of
from bigtop_builder.fleet.verify_host.root import Root, raw, shown
from bigtop_builder.fleet.verify_host.source_entry import source_options
from bigtop_builder.repository.keyring_package import package_name
from bigtop_builder.run import run
from bigtop_builder.templates import render

SOURCES = sorted(Path(verify_host.__file__).parent.glob("*.py"))
STATUS = """Package: tool
Status: install ok installed
Maintainer: Ann Bee <ann@bee.example>
Architecture: all
Source: tools (1.0)
Version: 1.0-1
Conffiles:
 /etc/tool/a b.conf 0123456789abcdef0123456789abcdef
 /etc/tool/old.conf 0123456789abcdef0123456789abcdef obsolete
Description: tool
 of a test

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 0.9-1

"""
POLICY = """tool:
  Installed: 1.0-1
  Candidate: 2.0-1
  Package pin: 2.0-1
  Version table:
     2.0-1 1001 (phased 10%)
        500 http://x.example stable/main amd64 Packages
 *** 1.0-1 100
        100 /var/lib/dpkg/status
     1.0-1 -1
         -1 http://y.example stable/main amd64 Packages
"""


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


def host(folder: Path, files: Mapping[str, str | bytes]) -> Root:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw(content) if isinstance(content, str) else content)
    return Root(str(folder))


def test_what_dpkg_knows_is_read(tmp_path: Path) -> None:
    tool, gone = dpkg_status(host(tmp_path, {"var/lib/dpkg/status": STATUS}))
    assert tool == Installed(
        name="tool",
        version="1.0-1",
        architecture="all",
        status="install ok installed",
        source="tools",
        maintainer="Ann Bee <ann@bee.example>",
        conffiles={"/etc/tool/a b.conf": "0123456789abcdef0123456789abcdef"},
        obsolete=("/etc/tool/old.conf",),
    )
    assert (tool.present, gone.present) == (True, False)


def test_a_status_that_is_cut_off_is_refused_but_between_two_packages(tmp_path: Path) -> None:
    for at in range(len(STATUS)):
        root = host(tmp_path, {"var/lib/dpkg/status": STATUS[:at]})
        if STATUS[:at].endswith("\n\n"):
            assert len(dpkg_status(root)) == 1
            continue
        with pytest.raises(Unable, match="is cut off") as refused:
            dpkg_status(root)
        assert (refused.value.status, bool(refused.value.way_out)) == (3, True)


@given(data=st.binary(max_size=60), at=st.integers(0, len(STATUS)))
def test_a_damaged_status_is_read_or_refused(tmp_path_factory: Any, data: bytes, at: int) -> None:
    text = STATUS.encode()
    root = host(tmp_path_factory.mktemp("root"), {"var/lib/dpkg/status": text[:at] + data + text[at:]})
    with suppress(Unable):
        dpkg_status(root)


def test_what_apt_says_of_a_package_is_read_with_versions_that_have_several_blocks() -> None:
    found = tables(POLICY)["tool"]
    assert found.candidate == "2.0-1"
    assert found.versions == {
        "2.0-1": (1001, ("http://x.example stable/main amd64 Packages",)),
        "1.0-1": (100, ("/var/lib/dpkg/status", "http://y.example stable/main amd64 Packages")),
    }
    assert found.sources("1.0-1") == ("http://y.example stable/main amd64 Packages",)
    assert found.sources("3") == ()


UNMET = """Reading package lists...
The following packages have unmet dependencies:
 daemon : PreDepends: lib (>= 1:1) but it is not installable
          Depends: tool (= 1) but it is not installed or
                   other but it is not installable
          Recommends: more but it is not installed
 enemy : Conflicts: tool
"""


def test_what_packages_lack_is_read_from_what_apt_says() -> None:
    assert unmet_of(UNMET) == {
        "daemon": "PreDepends: lib (>= 1:1) but it is not installable, Depends: tool (= 1) but it is not installed "
        "or other but it is not installable",
        "enemy": "Conflicts: tool",
    }
    assert unmet_of("Reading package lists...\n") == {}


@given(cut=st.integers(0, len(POLICY)), text=st.text(max_size=60))
def test_no_answer_of_apt_is_too_odd(cut: int, text: str) -> None:
    tables(POLICY[:cut] + text + POLICY[cut:])


def test_names_with_line_feeds_and_backslashes_are_as_md5sum_writes_them() -> None:
    assert sum_of("0123  usr/a  b") == ("/usr/a  b", "0123")
    assert sum_of("\\0123  usr/a\\nb\\\\c") == ("/usr/a\nb\\c", "0123")


def package(name: str = "tool", version: str = "1.0-1", **conffiles: str) -> Installed:
    return Installed(name, version, "all", "install ok installed", name, "", conffiles, ())


def entry(name: str = "tool", version: str = "1.0-1", **conffiles: str) -> dict[str, Any]:
    hashes: dict[str, Any] = {"md5sums": "0" * 64, "scripts": {}, "conffiles": conffiles}
    return {"name": name, "version": version, "architecture": "all", **hashes}


def findings(root: Root, installed: Installed, known: dict[str, Any]) -> list[Finding]:
    release = Release({"origin": "Test", "packages": [known]}, "", "")
    return list(Contents(root, release, quick=False).findings([installed]))


def levels(root: Root, installed: Installed, known: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(one.check, one.subject, one.level) for one in findings(root, installed, known)}


INFO = "var/lib/dpkg/info"


@given(data=st.binary(max_size=200))
def test_damaged_md5sums_are_another_build_and_end_nothing(tmp_path_factory: Any, data: bytes) -> None:
    root = host(tmp_path_factory.mktemp("root"), {f"{INFO}/tool.md5sums": data, "usr/tool": "x"})
    assert ("package", "tool", "error") in levels(root, package(), entry())


@given(data=st.binary(max_size=200))
def test_a_damaged_list_of_files_ends_nothing(tmp_path_factory: Any, data: bytes) -> None:
    root = host(tmp_path_factory.mktemp("root"), {f"{INFO}/tool.list": b"/usr\n" + data})
    assert ("file", "tool", "error") in levels(root, package(), entry())


def test_newer_keys_than_the_releases_are_told_and_pass(tmp_path: Path) -> None:
    for name, level in {"test-archive-keyring": "note", "tool": "error"}.items():
        root = host(tmp_path, {f"{INFO}/{name}.list": "/.\n"})
        assert levels(root, package(name, "2"), entry(name, "1")) == {("package", name, level)}


CONF = "/etc/tool.conf"
MD5 = "0cc175b9c0f1b6a831c399e269772661"


def configured(folder: Path, name: str = CONF, sums: str = "") -> tuple[Root, Installed, dict[str, Any]]:
    """A package with a conffile, shipped with the content `a`."""
    files = {f"{INFO}/tool.md5sums": sums, f"{INFO}/tool.list": f"/.\n/etc\n{name}\n"}
    known = {**entry(**{shown(name): MD5}), "md5sums": sha256(sums.encode()).hexdigest()}
    return host(folder, {**files, "etc/x": ""}), package(**{name: MD5}), known


def test_an_altered_conffile_that_md5sums_has_too_is_told_and_passes(tmp_path: Path) -> None:
    case = configured(tmp_path, sums=f"{MD5}  {CONF[1:]}\n")
    (tmp_path / CONF[1:]).write_text("b")
    assert levels(*case) == {("conffile", "tool", "note")}
    (tmp_path / CONF[1:]).unlink()
    assert levels(*case) == {("conffile", "tool", "note")}
    (tmp_path / CONF[1:]).write_text("a")
    assert levels(*case) == set()


def test_a_conffile_that_is_a_fifo_or_a_folder_keeps_nobody_waiting(tmp_path: Path) -> None:
    case = configured(tmp_path)
    os.mkfifo(tmp_path / CONF[1:])
    (found,) = findings(*case)
    assert (found.level, found.detail) == ("note", f"{CONF} is no regular file any more")
    (tmp_path / CONF[1:]).unlink()
    (tmp_path / CONF[1:]).mkdir()
    assert levels(*case) == {("conffile", "tool", "note")}


def test_a_conffile_that_cannot_be_read_keeps_the_host_from_passing(tmp_path: Path) -> None:
    case = configured(tmp_path)
    (tmp_path / CONF[1:]).symlink_to("tool.conf")  # root may read everything else
    assert levels(*case) == {("unreadable", "tool", "error")}


def test_a_name_that_is_no_utf8_is_compared_and_told_escaped(tmp_path: Path) -> None:
    name = b"/etc/na\xefve".decode(errors="surrogateescape")
    root, installed, known = configured(tmp_path, name)
    assert list(known["conffiles"]) == ["/etc/na\\xefve"]
    (tmp_path / "etc" / os.fsdecode(b"na\xefve")).write_text("a")
    assert findings(root, installed, known) == []
    (tmp_path / "etc" / os.fsdecode(b"na\xefve")).unlink()
    (found,) = findings(root, installed, known)
    assert shown(found.detail) == "/etc/na\\xefve is deleted"


def test_what_a_host_loses_with_a_reboot_is_not_missed(tmp_path: Path) -> None:
    paths = "/.\n/usr\n/var\n/var/run\n/var/run/tool\n/run/tool\n/var/cache/tool\n"
    root = host(tmp_path, {f"{INFO}/tool.list": paths, f"{INFO}/tool.md5sums": "", "usr/x": "", "var/x": ""})
    (tmp_path / "var/run").symlink_to("/run")
    known = {**entry(), "md5sums": sha256(b"").hexdigest()}
    assert findings(root, package(), known) == []
    (tmp_path / "usr").rename(tmp_path / "usr.old")
    assert [one.detail for one in findings(root, package(), known)] == ["/usr is missing"]


def test_what_lies_below_a_folder_that_is_a_file_now_is_missing(tmp_path: Path) -> None:
    sums = f"{MD5}  usr/tool/data\n"
    listed = "/.\n/usr\n/usr/tool\n/usr/tool/data\n"
    root = host(tmp_path, {f"{INFO}/tool.list": listed, f"{INFO}/tool.md5sums": sums, "usr/tool": ""})
    known = {**entry(), "md5sums": sha256(sums.encode()).hexdigest()}
    assert [one.detail for one in findings(root, package(), known)] == ["/usr/tool/data is missing"]


OURS = f"#!/bin/sh\n# {MARK.decode()}: nothing starts\nexit 101\n"
POLICIES: dict[str, tuple[str, bool, set[str], set[str]]] = {
    # text, whether it is executable, what is found if the guard is to be off, and if it is to be on
    "none": ("", True, set(), {"it is off"}),
    "ours": (OURS, True, {"it is on"}, set()),
    "ours, which invoke-rc.d passes over": (OURS, False, {"it is on"}, {"it is not executable"}),
    "made by hand": ("#!/bin/sh\nexit 101\n", True, {"it is on"}, set()),
    "with more care": ("#!/bin/sh\nset -e\n\n  exit 101 # until noon\n", True, {"it is on"}, set()),
    "in one line": ("#!/bin/sh\n:\nexit 101;", True, {"it is on"}, set()),
    "for one service": ('#!/bin/sh\n[ "$1" != nginx ] || exit 101\n', True, {"note"}, {"it is off"}),
    "for all but one": ('#!/bin/sh\n[ "$1" != ssh ] || exit 0\nexit 101\n', True, {"note"}, {"it is off"}),
}


@pytest.mark.parametrize("case", POLICIES)
def test_a_guard_is_known_by_what_it_does(tmp_path: Path, case: str) -> None:
    text, runs, off, on = POLICIES[case]
    root = host(tmp_path, {"usr/sbin/policy-rc.d": text} if text else {})
    if text:
        (tmp_path / "usr/sbin/policy-rc.d").chmod(0o755 if runs else 0o644)
    for expected, found in {"off": off, "on": on}.items():
        said = list(guard(root, expected))
        assert {one.detail.partition(":")[0] if one.level == "error" else "note" for one in said} == found


LOST: dict[str, dict[str, str | bytes]] = {
    "between dpkg-divert and mv": {
        "usr/sbin/policy-rc.d.before-guard": "#!/bin/sh\nexit 0\n",
        "var/lib/dpkg/diversions": f"{GUARD}\n{ASIDE}\n:\n",
    },
    "on a host without a policy": {"var/lib/dpkg/diversions": f"{GUARD}\n{ASIDE}\n:\n"},
    "by rm, and the diversion too": {"usr/sbin/policy-rc.d.before-guard": "x"},
}


@pytest.mark.parametrize("case", LOST)
def test_a_policy_of_the_hosts_own_that_was_left_aside_fails(tmp_path: Path, case: str) -> None:
    root = host(tmp_path, LOST[case])
    (found,) = guard(root, "off")
    assert (found.check, found.subject, found.level) == ("guard", ASIDE, "error")
    policy = tmp_path / "usr/sbin/policy-rc.d"
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text(OURS)
    policy.chmod(0o755)
    assert list(guard(root, "on")) == []


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


ONE_LINE = (
    "# deb [trusted=yes] http://x\ndeb [ Signed-By=/k.gpg trusted=yes ] http://y [z] main\ndeb http://z x\n"
)
DEB822 = """# of the site

Types: deb
# Trusted: yes
URIs: http://x
Signed-By:
 -----BEGIN

Types: deb
Trusted:  Yes
"""


def test_options_of_a_source_are_found_as_apt_counts_sources() -> None:
    assert source_options(ONE_LINE, 1, paragraphs=False) == "signed-by=/k.gpg\ntrusted=yes"
    assert source_options(ONE_LINE, 2, paragraphs=False) == ""
    assert source_options(DEB822, 0, paragraphs=True).startswith("types: deb\nuris: http://x\nsigned-by:\n")
    assert source_options(DEB822, 1, paragraphs=True) == "types: deb\ntrusted:  yes"
    assert source_options(DEB822, 2, paragraphs=True) == ""


@given(text=st.text(max_size=80), number=st.integers(0, 5))
def test_no_file_of_sources_is_too_odd(text: str, number: int) -> None:
    for paragraphs in (True, False):
        source_options(text, number, paragraphs=paragraphs)


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

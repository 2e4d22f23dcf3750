# SPDX-License-Identifier: Apache-2.0
"""A host is held against the manifest of what was published: real dpkg and apt, in a folder and in a container."""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from keepers_desk import Desk
from rooms import containers, debian

from apt_host import AptHost
from bigtop_builder.container import Engine
from bigtop_builder.fleet.host_program import program
from bigtop_builder.fleet.verify_host.asked import Asked
from bigtop_builder.fleet.verify_host.command import act
from bigtop_builder.repository.serve import serve
from bigtop_builder.room import Room
from bigtop_builder.run import Completed, run
from bigtop_builder.tarstream import pack
from verify_debs import VERSION, make_deb

CONFIG = "etc/tool/tool.conf"
FLEET = 'format = 1\n[roles.server]\npackages = ["daemon"]\n[roles.client]\npackages = ["tool"]\n'


def packages(folder: Path) -> list[Path]:
    """A tool with all that dpkg keeps of a package, and a daemon that needs it."""
    folder.mkdir()
    tool = make_deb(
        folder,
        "tool",
        files={
            "usr/bin/tool": "#!/bin/sh\n",
            "usr/share/tool/data": "data\n",
            "usr/share/tool/more": "more\n",
            "usr/share/doc/tool/changelog": "news\n",
        },
        links={"usr/share/tool/link": "data"},
        conffiles={CONFIG: "a = 1\n"},
        scripts={"postinst": "true"},
    )
    return [tool, make_deb(folder, "daemon", fields={"Depends": "tool"})]


@dataclass(frozen=True)
class Site:
    """A repository with a manifest, and a host that has what it says.

    Attributes:
        desk: Where the keeper works.
        host: The host.
        program: The file that hosts get.
    """

    desk: Desk
    host: Path
    program: Path

    @property
    def manifest(self) -> Path:
        return self.desk.home / "manifest/fleet-manifest.json"

    def held(self, *words: object, ahead: str = "", status: int | None = None) -> Completed:
        """Run the program by itself."""
        argv = [sys.executable, self.program, self.manifest, "--root", self.host, *map(str, words)]
        done = run([*(["faketime", "-f", ahead] if ahead else []), *argv], check=False)
        assert done.returncode == status if status is not None else done.returncode < 4, (
            done.text + done.complaint
        )
        assert "Traceback" not in done.complaint, done.complaint
        return done

    def report(self, *words: object, ahead: str = "", status: int) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.held(*words, "--json", ahead=ahead, status=status).text)
        return said

    def findings(self, *words: object, ahead: str = "", status: int = 1) -> list[tuple[str, str, str]]:
        """Level, check and subject of all findings, but for the note on pins that a host here never has."""
        said = self.report(*words, ahead=ahead, status=status)["findings"]
        return [
            (f["level"], f["check"], f["subject"])
            for f in said
            if (f["check"], f["subject"]) != ("pin", "apt")
        ]


@pytest.fixture(scope="module")
def healthy(first_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Site:
    desk = first_desk.copied(tmp_path_factory.mktemp("site"))
    (desk.project / "repo/fleet.toml").write_text(FLEET)
    desk.do("repo", "init")
    with serve(desk.project / "srv") as url:
        desk.define(url)
        desk.do("repo", "add", "stable", *packages(desk.home / "debs"))
        desk.do("fleet", "manifest", "stable", "--output", desk.home / "manifest")
        host = AptHost.make(desk.home / "host", desk.package())
        host.update()
        host.install("daemon")
    return Site(desk, host.root, written(desk.home))


def written(folder: Path) -> Path:
    """The file that hosts get."""
    target = folder / "verify-host"
    target.write_bytes(program())
    return target


@pytest.fixture
def site(healthy: Site, tmp_path: Path) -> Site:
    """The same host, to be altered."""
    return replace(healthy, host=shutil.copytree(healthy.host, tmp_path / "host", symlinks=True))


def test_a_host_that_has_what_was_published_passes(healthy: Site) -> None:
    report = healthy.report("--role", "server", "--role", "client", status=0)
    assert [f["level"] for f in report["findings"]] == ["note"]
    assert report["findings"][0]["detail"] == "2 of 2 packages are not pinned above 1000: daemon, tool"
    assert report["packages"]["tool"]["version"] == VERSION
    assert report["packages"]["tool"]["state"] == "install ok installed"
    assert report["roles"] == ["client", "server"]
    assert report["format"] == 1
    assert healthy.report("--quick", status=0)["quick"]


def test_people_get_a_table_with_the_way_out(site: Site) -> None:
    (site.host / "usr/share/tool/data").write_text("altered\n")
    (site.host / "usr/share/tool/more").unlink()
    said = site.held("--host", "worker1.example.org", status=1).text
    assert "worker1.example.org: 2 packages, snapshot " in said
    assert "error  file  tool  /usr/share/tool/data is altered" in said
    assert f"way out: apt-get install --reinstall tool={VERSION} (2 findings)" in said
    assert "not as the manifest says: 2 errors, 1 notes" in said


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def cut(path: Path, first: str) -> None:
    """Take a paragraph out that begins so."""
    kept = [one for one in path.read_text().split("\n\n") if not one.startswith(first)]
    path.write_text("\n\n".join(kept))


def state(before: str, after: str) -> Callable[[Path], None]:
    """Alters the state of the package `tool`."""
    return lambda root: edit(
        root / "var/lib/dpkg/status", f"Package: tool\nStatus: {before}", f"Package: tool\nStatus: {after}"
    )


def dpkg(root: Path, *words: object) -> None:
    forced = ("not-root", "unsafe-io", "script-chrootless", "downgrade", "confold", "bad-path", "depends")
    options = [f"--force-{one}" for one in (*forced, "conflicts")]
    run(["dpkg", f"--root={root}", *options, "--log=/dev/null", *words])


def another(name: str = "tool", **how: Any) -> Callable[[Path], None]:
    """Installs another package with dpkg alone."""

    def act(root: Path) -> None:
        (root.parent / "other").mkdir(exist_ok=True)
        dpkg(root, "--install", make_deb(root.parent / "other", name, **how))

    return act


def linked(root: Path) -> None:
    path = root / "usr/share/tool/data"
    path.rename(path.with_suffix(".real"))
    path.symlink_to("data.real")


def guarded(root: Path, text: str = "exit 101\n") -> None:
    (root / "usr/sbin").mkdir(exist_ok=True)
    (root / "usr/sbin/policy-rc.d").write_text(f"#!/bin/sh\n{text}")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)


def diverted(root: Path, path: str = "usr/share/tool/data", by: str = ":") -> None:
    """Puts another file in the place of one, as a patch in the night does it."""
    (root / path).rename(root / f"{path}.distrib")
    (root / path).write_text("patched\n")
    (root / "var/lib/dpkg/diversions").write_text(f"/{path}\n/{path}.distrib\n{by}\n")


def excluded(root: Path, path: str = "usr/share/tool/more") -> None:
    (root / path).unlink()
    (root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(
        "path-exclude=/usr/share/*\npath-include=/usr/share/tool/x\n"
    )


TAKER = {"Replaces": "tool", "Maintainer": "X <x@x>"}
INFO = "var/lib/dpkg/info"
DAMAGES: dict[str, tuple[Callable[[Path], object], set[tuple[str, str]]]] = {
    "a file is altered": (lambda root: (root / "usr/bin/tool").write_text("x"), {("file", "tool")}),
    "a file is gone": (lambda root: (root / "usr/bin/tool").unlink(), {("file", "tool")}),
    "a file is a link": (linked, {("file", "tool")}),
    "a link is gone": (lambda root: (root / "usr/share/tool/link").unlink(), {("file", "tool")}),
    "a file is diverted by hand": (diverted, {("file", "tool")}),
    "a file is diverted by a stranger": (partial(diverted, by="stranger"), {("file", "tool")}),
    "a stranger has taken a file over": (
        another("taker", files={"usr/bin/tool": "new\n"}, fields=TAKER),
        {("file", "tool")},
    ),
    "a file is left out on purpose": (excluded, {("file", "tool")}),
    "the list of files is lost": (
        lambda root: (root / INFO / "tool.list").unlink(),
        {("package", "tool")},
    ),
    "a script is altered": (
        lambda root: (root / INFO / "tool.postinst").write_text("x"),
        {("package", "tool")},
    ),
    "a script is gone": (lambda root: (root / INFO / "tool.postinst").unlink(), {("package", "tool")}),
    "a script is new": (lambda root: (root / INFO / "tool.prerm").write_text("x"), {("package", "tool")}),
    "md5sums are gone": (lambda root: (root / INFO / "tool.md5sums").unlink(), {("package", "tool")}),
    "another build has the version": (
        another(conffiles={CONFIG: "a = 1\n"}, scripts={"postinst": "true"}),
        {("package", "tool")},
    ),
    "another version is installed": (another(version="0.1"), {("package", "tool"), ("origin", "tool")}),
    "another architecture is installed": (
        another(fields={"Architecture": "amd64"}),
        {("package", "tool")},
    ),
    "a conffile was shipped otherwise": (
        lambda root: edit(root / "var/lib/dpkg/status", f" /{CONFIG} ", f" /{CONFIG} 0"),
        {("package", "tool")},
    ),
    "a package is held": (state("install", "hold"), {("held", "tool")}),
    "a package is to be removed": (state("install", "deinstall"), {("state", "tool")}),
    "a package is half configured": (
        state("install ok installed", "install ok half-configured"),
        {("state", "tool")},
    ),
    "a package must be installed again": (state("install ok", "install reinstreq"), {("state", "tool")}),
    "dpkg was interrupted": (
        lambda root: (root / "var/lib/dpkg/updates/0001").write_text(""),
        {("state", "dpkg")},
    ),
    "a package of a role is not there": (
        lambda root: dpkg(root, "--remove", "daemon"),
        {("missing", "daemon")},
    ),
    "a package that another one needs is not there": (
        lambda root: dpkg(root, "--remove", "tool"),
        {("state", "daemon")},
    ),
    "what is installed conflicts": (
        another("enemy", fields={"Conflicts": "tool", "Maintainer": "X <x@x>"}),
        {("state", "apt")},
    ),
    "the status lacks a package": (
        lambda root: cut(root / "var/lib/dpkg/status", "Package: daemon\n"),
        {("state", "dpkg"), ("missing", "daemon")},
    ),
    "a package of the source is left": (
        another("tool-old", fields={"Source": "tool"}),
        {("extra", "tool-old")},
    ),
    "the guard is on": (guarded, {("guard", "/usr/sbin/policy-rc.d")}),
    "there are no lists": (lambda root: shutil.rmtree(root / "var/lib/apt/lists"), {("lists", "Test")}),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_what_differs_is_found_and_nothing_else(site: Site, case: str) -> None:
    act, expected = DAMAGES[case]
    act(site.host)
    found = site.findings("--role", "server")
    assert {(check, subject) for level, check, subject in found if level == "error"} == expected


def test_what_only_files_show_is_left_out_when_it_is_to_be_quick(site: Site) -> None:
    (site.host / "usr/bin/tool").unlink()
    assert site.findings("--quick", status=0) == []


def test_what_the_admin_did_to_configuration_is_told_and_does_not_fail(site: Site) -> None:
    (site.host / CONFIG).write_text("a = 2\n")
    said = site.report(status=0)["findings"]
    details = [f["detail"] for f in said if f["check"] == "conffile"]
    digest = hashlib.md5(b"a = 2\n", usedforsecurity=False).hexdigest()
    assert details == [f"/{CONFIG} is altered: MD5 {digest}"]
    (site.host / CONFIG).unlink()
    assert ("note", "conffile", "tool") in site.findings(status=0)


def test_a_stranger_by_the_same_maintainer_is_told(site: Site) -> None:
    another("stranger")(site.host)
    assert site.findings(status=0) == [("note", "extra", "stranger")]


def test_packages_of_others_from_a_source_of_the_same_name_are_no_concern(site: Site) -> None:
    another("libtool-java", fields={"Source": "tool", "Maintainer": "Debian <x@debian.example>"})(site.host)
    assert site.findings(status=0) == []


def test_what_the_repository_has_and_the_manifest_has_not_is_told(site: Site, tmp_path: Path) -> None:
    def less(text: str) -> str:
        said = json.loads(text)
        return json.dumps({**said, "packages": said["packages"][1:], "roles": {}})

    assert resigned(site, tmp_path / "desk", less).findings() == [("error", "extra", "daemon")]


def test_a_mirror_without_inrelease_is_taken_as_apt_takes_it(site: Site) -> None:
    lists = site.host / "var/lib/apt/lists"
    (both,) = lists.glob("*_InRelease")
    served = site.desk.project / "srv/dists/stable"
    both.with_name(both.name.replace("InRelease", "Release")).write_bytes((served / "Release").read_bytes())
    gpg = both.with_name(both.name.replace("InRelease", "Release.gpg"))
    gpg.write_bytes((served / "Release.gpg").read_bytes())
    both.unlink()
    assert site.findings(status=0) == []
    gpg.unlink()
    assert ("error", "unreadable", "apt") in site.findings()


def test_the_guard_may_be_asked_for(site: Site) -> None:
    assert site.findings("--guard", "on") == [("error", "guard", "/usr/sbin/policy-rc.d")]
    guarded(site.host)
    assert site.findings("--guard", "on", status=0) == []
    guarded(site.host, "# bigtop-builder guard: no package starts a service\ntrue && exit 101\n")
    assert site.findings("--guard", "on", status=0) == []
    guarded(site.host, '[ "$1" != nginx ] || exit 101\n')
    assert site.findings("--guard", "on") == [("error", "guard", "/usr/sbin/policy-rc.d")]
    assert site.findings(status=0) == [("note", "guard", "/usr/sbin/policy-rc.d")]


CHANGELOG = "usr/share/doc/tool/changelog"
HARMLESS: dict[str, tuple[Callable[[Path], object], str]] = {
    "documentation is diverted": (
        partial(diverted, path=CHANGELOG),
        f"/{CHANGELOG} is diverted by hand: the package's own lies at /{CHANGELOG}.distrib",
    ),
    "one package of the release stands in for another one": (
        partial(diverted, by="daemon"),
        "/usr/share/tool/data is diverted by daemon: the package's own lies at /usr/share/tool/data.distrib",
    ),
    "documentation is left out": (
        partial(excluded, path=CHANGELOG),
        f"path-exclude has left out /{CHANGELOG}",
    ),
    "documentation was taken over": (
        another("taker", files={CHANGELOG: "new\n"}, fields=TAKER),
        f"/{CHANGELOG} is taker's now, and not compared",
    ),
    "configuration is diverted": (
        partial(diverted, path=CONFIG),
        f"/{CONFIG} is diverted by hand: the package's own lies at /{CONFIG}.distrib",
    ),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_stands_elsewhere_and_runs_nothing_is_told(site: Site, case: str) -> None:
    act, expected = HARMLESS[case]
    act(site.host)
    said = site.report(status=0)["findings"]
    assert [f["detail"] for f in said if f["check"] == "file"] == [expected]


def test_a_diverted_file_is_compared_where_dpkg_has_it(site: Site) -> None:
    diverted(site.host, by="daemon")
    (site.host / "usr/share/tool/data.distrib").write_text("x")
    assert {(level, check) for level, check, _ in site.findings()} == {("note", "file"), ("error", "file")}


def test_links_are_followed_inside_the_root(site: Site) -> None:
    (site.host / "usr/share/tool").rename(site.host / "srv")
    (site.host / "usr/share/tool").symlink_to("/srv")
    assert site.findings(status=0) == []
    (site.host / "usr/share/tool").unlink()
    (site.host / "usr/share/tool").symlink_to("/usr/share/tool")
    said = site.report(status=3)["findings"]
    assert {f["detail"].partition(": ")[2] for f in said if f["check"] == "unreadable"} == {
        "Too many levels of symbolic links"
    }


@pytest.fixture
def elsewhere(site: Site) -> Callable[..., None]:
    """Gives the host another source, with a package `tool` of its own."""

    def act(release: str = "", name: str = "tool", **how: Any) -> None:
        folder = site.host.parent / "flat"
        folder.mkdir()
        make_deb(folder, name, **how)
        (folder / "Packages").write_bytes(run(["dpkg-scanpackages", "."], cwd=folder).stdout)
        if release:
            digest = hashlib.sha256((folder / "Packages").read_bytes()).hexdigest()
            size = (folder / "Packages").stat().st_size
            text = f"{release}Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} {size} Packages\n"
            (folder / "Release").write_text(text)
        source = site.host / "etc/apt/sources.list.d/flat.list"
        source.write_text(f"deb [trusted=yes] file:{folder} ./\n")
        edit(site.host / "apt.conf", f'Dir "{site.desk.home}/host"', f'Dir "{site.host}"')
        only = (f"-oDir::Etc::sourcelist={source}", "-oDir::Etc::sourceparts=-", "-oAPT::Get::List-Cleanup=0")
        AptHost(site.host).apt("update", *only)

    return act


def test_what_apt_would_install_instead_is_named_with_its_source(
    site: Site, elsewhere: Callable[..., None]
) -> None:
    elsewhere(version="9.0")
    said = site.report(status=1)["findings"]
    found = [f for f in said if f["level"] == "error"]
    assert [(f["check"], f["subject"]) for f in found] == [("candidate", "tool")]
    assert found[0]["detail"].startswith("apt would install 9.0 from file:")
    pin = site.host / "etc/apt/preferences.d/pin"
    pin.write_text(f"Package: tool\nPin: version {VERSION}\nPin-Priority: 1001\n")
    said = site.report(status=0)["findings"]
    assert [f["detail"] for f in said] == ["1 of 2 packages are not pinned above 1000: daemon"]
    pin.write_text("Package: tool\nPin: version 9.0\nPin-Priority: 1001\n")
    assert ("error", "pin", "tool") in site.findings()


def test_the_same_version_from_elsewhere_is_told(site: Site, elsewhere: Callable[..., None]) -> None:
    elsewhere()
    assert site.findings() == [("error", "origin", "tool")]


def test_a_host_without_the_repository_among_its_sources_is_told_so(site: Site) -> None:
    (site.host / "etc/apt/sources.list.d/test.sources").unlink()
    assert site.findings() == [("error", "lists", "Test")]


def test_lists_that_were_altered_are_not_believed(site: Site) -> None:
    lists = site.host / "var/lib/apt/lists"
    index = next(lists.glob("*_Packages*"))
    edit(index, "SHA256: ", "SHA256: 0")
    assert {check for _, check, _ in site.findings()} == {"lists", "candidate"}
    edit(next(lists.glob("*_InRelease")), "Date: ", "Date:  ")
    assert {check for _, check, _ in site.findings()} == {"lists", "origin"}


def test_lists_and_keys_get_old(site: Site) -> None:
    assert site.findings(ahead="+29d", status=0) == []
    assert site.findings(ahead="+31d") == [("error", "lists", "apt")]
    assert site.findings("--max-age", "0", ahead="+31d", status=0) == []
    assert site.findings("--max-age", "1", ahead="+2d") == [("error", "lists", "apt")]
    late = site.findings("--max-age", "0", ahead="+3y")
    assert {check for _, check, _ in late} == {"key"}
    assert len(late) == 2, "of the manifest and of the suite"


SOURCE = "etc/apt/sources.list.d/test.sources"
WEAK: dict[str, Callable[[Path], str]] = {
    "Trusted": lambda root: (root / SOURCE).read_text() + "Trusted: yes\n",
    "no Signed-By": lambda root: re.sub(
        "^Signed-By: .*\n", "", (root / SOURCE).read_text(), flags=re.MULTILINE
    ),
}


@pytest.mark.parametrize("case", WEAK)
def test_a_source_for_which_others_may_sign_is_told(site: Site, case: str) -> None:
    (site.host / SOURCE).write_text(WEAK[case](site.host))
    assert site.findings() == [("error", "origin", "apt")]


def test_another_repository_of_the_same_origin_is_told(site: Site, elsewhere: Callable[..., None]) -> None:
    elsewhere(release="Origin: Test\nLabel: Other\n", name="stranger")
    said = [f["detail"] for f in site.report(status=0)["findings"] if f["check"] == "origin"]
    (detail,) = said
    assert detail.endswith("is of the same origin, and not of this repository: its label is 'Other'")


def test_the_origin_may_be_asked_for_and_the_signer_is_told(site: Site) -> None:
    assert "is of origin 'Test', not 'Other'" in site.held("--origin", "Other", status=2).complaint
    report = site.report("--origin", "Test", status=0)
    assert (report["origin"], report["signer"]) == ("Test", site.desk.old)
    assert f" of Test, signed by {site.desk.old}\n" in site.held(status=0).text


def test_another_snapshot_in_the_lists_is_told(site: Site, tmp_path: Path) -> None:
    desk = site.desk.copied(tmp_path / "later")
    desk.do("repo", "add", "stable", make_deb(tmp_path, "extra"))
    desk.do("fleet", "manifest", "stable", "--output", desk.home / "manifest")
    found = replace(site, desk=desk).findings("--quick")
    assert found == [("error", "lists", "stable")]


def test_a_withdrawn_snapshot_is_told_by_the_list_and_by_the_manifest(site: Site, tmp_path: Path) -> None:
    desk = site.desk.copied(tmp_path / "later")
    snapshot = json.loads(site.manifest.read_text())["snapshot"]
    desk.do("repo", "withdraw", snapshot, "--why", "loses edits")
    listed = desk.project / "srv/state/withdrawn.asc"
    said = site.report("--withdrawn", listed, status=1)["findings"]
    detail = next(f["detail"] for f in said if f["check"] == "withdrawn")
    assert detail.startswith("the snapshot is withdrawn: loses edits (")
    listed.write_text(listed.read_text().replace("loses", "keeps"))
    assert "has no good signature" in site.held("--withdrawn", listed, status=2).complaint
    desk.do("fleet", "manifest", snapshot, "--output", desk.home / "manifest")
    assert replace(site, desk=desk).findings() == [("error", "withdrawn", snapshot[:16])]


def resigned(site: Site, folder: Path, change: Callable[[str], str], key: str = "") -> Site:
    """The same with another manifest, well signed by the repository's key or another one."""
    key = key or site.desk.old
    desk = replace(site.desk, home=folder)
    place = folder / "manifest"
    place.mkdir(parents=True)
    text = change(site.manifest.read_text())
    (place / "fleet-manifest.json").write_text(text)
    with site.desk.store.open([key]) as keyring:
        (place / "fleet-manifest.json.asc").write_bytes(keyring.detach_sign(text.encode(), [key]))
    return replace(site, desk=desk)


CHANGES: dict[str, tuple[Callable[[str], str], str]] = {
    "another format": (lambda text: text.replace('"format": 1', '"format": 2'), "has format 2, not 1"),
    "no object": (lambda _: "[]", "has format None, not 1"),
    "no packages": (lambda text: text.replace('"packages"', '"things"'), "packages is not there, or no list"),
    "a package without version": (
        lambda text: text.replace('"version"', '"v"', 1),
        "package 0: version is not there",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_manifest_that_is_signed_and_of_no_use_is_refused(site: Site, tmp_path: Path, case: str) -> None:
    change, expected = CHANGES[case]
    assert expected in resigned(site, tmp_path / "desk", change).held(status=2).complaint


def test_a_manifest_that_somebody_else_has_signed_is_refused(site: Site, tmp_path: Path) -> None:
    other = site.desk.store.new("Eve", "eve@example.org")
    said = resigned(site, tmp_path / "desk", str, other).held(status=2).complaint
    assert "has no good signature by a key of" in said
    assert "No public key" in said


def test_a_manifest_that_is_cut_off_or_altered_is_refused(site: Site, tmp_path: Path) -> None:
    text = site.manifest.read_bytes()
    other = tmp_path / "fleet-manifest.json"
    shutil.copy(f"{site.manifest}.asc", f"{other}.asc")
    asked = Asked(manifest=other, root=site.host)
    for at in (0, 1, len(text) // 2, len(text) - 2):
        other.write_bytes(text[:at])
        assert act(asked) == 2
    other.write_bytes(text.replace(b"daemon", b"demons"))
    done = run([sys.executable, site.program, other, "--root", site.host], check=False)
    assert (done.returncode, "has no good signature by a key of" in done.complaint) == (2, True)
    other.write_bytes(text)
    Path(f"{other}.asc").unlink()
    done = run([sys.executable, site.program, other, "--root", site.host], check=False)
    assert (done.returncode, "fleet-manifest.json.asc: No such file" in done.complaint) == (2, True)


def test_a_host_without_the_keyring_and_a_role_that_is_not_there_are_named(site: Site) -> None:
    assert "role 'master' is not in the manifest" in site.held("--role", "master", status=2).complaint
    (site.host / "usr/share/keyrings/test-archive-keyring.gpg").unlink()
    assert "test-archive-keyring.gpg to read" in site.held(status=2).complaint


def test_dpkgs_status_cut_off_anywhere_never_passes(site: Site) -> None:
    status = site.host / "var/lib/dpkg/status"
    whole = status.read_bytes()
    asked = Asked(manifest=site.manifest, root=site.host, quick=True)
    for at in (*range(0, len(whole) - 1, 97), len(whole) - 1):
        status.write_bytes(whole[:at])
        assert act(asked) == (1 if whole[:at].endswith(b"\n\n") else 3), at
    status.write_bytes(whole[: len(whole) // 2])
    done = site.held(status=3)
    assert "status is cut off or empty (Package: " in done.complaint
    assert "way out: " in done.complaint


def test_a_host_that_has_nothing_of_the_release_does_not_pass(site: Site) -> None:
    status = "Package: other\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"
    (site.host / "var/lib/dpkg/status").write_text(status)
    shutil.rmtree(site.host / INFO)
    assert site.findings("--quick") == [("error", "missing", "Test")]


@pytest.fixture
def open_site(site: Site) -> Iterator[Site]:
    """A host that any user may look into."""
    with tempfile.TemporaryDirectory(prefix="bb-open-") as folder:
        Path(folder).chmod(0o755)
        host = shutil.copytree(site.host, Path(folder, "host"), symlinks=True)
        shutil.copytree(site.manifest.parent, Path(folder, "manifest"))
        shutil.copy(site.program, folder)
        yield replace(site, host=host, desk=replace(site.desk, home=Path(folder)))


def test_what_a_user_may_not_read_is_named_and_keeps_the_host_from_passing(open_site: Site) -> None:
    argv = [
        "/usr/bin/python3",  # one that any user may run
        open_site.host.parent / open_site.program.name,
        open_site.manifest,
        "--root",
        open_site.host,
    ]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    assert run([*nobody, *argv], check=False, cwd=Path("/")).returncode == 0
    (open_site.host / "usr/bin/tool").chmod(0)
    (open_site.host / CONFIG).chmod(0)
    done = run([*nobody, *argv], check=False, cwd=Path("/"))
    assert done.returncode == 3, done.text + done.complaint
    assert "/usr/bin/tool: Permission denied" in done.text
    assert f"/{CONFIG}: Permission denied" in done.text
    assert "way out: run verify-host as root" in done.text


def test_an_apt_that_cannot_be_asked_keeps_the_host_from_passing(site: Site) -> None:
    (site.host / "etc/apt/sources.list.d/odd.sources").write_text("Types: deb\nURIs: x\n")
    said = site.report(status=3)["findings"]
    assert [(f["check"], f["subject"]) for f in said] == [("unreadable", "apt")]
    assert (
        "error  unreadable  apt  apt-get indextargets failed E: Malformed entry" in site.held(status=3).text
    )


MEASURED = """import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)"""


def test_sixty_packages_take_three_seconds_and_fifty_megabytes_at_most(
    first_desk: Desk, tmp_path: Path
) -> None:
    desk = first_desk.copied(tmp_path / "desk")
    debs = [make_deb(tmp_path, f"part{n}", conffiles={f"etc/part{n}": "a\n"}) for n in range(59)]
    depends = {"Depends": ", ".join(f"part{n}" for n in range(59))}
    desk.do("repo", "init")
    with serve(desk.project / "srv") as url:
        desk.define(url)
        desk.do("repo", "add", "stable", make_deb(tmp_path, "whole", fields=depends), *debs)
        desk.do("fleet", "manifest", "stable", "--output", desk.home / "manifest")
        host = AptHost.make(desk.home / "host", desk.package())
        host.update()
        host.install("whole")
    site = Site(desk, host.root, written(desk.home))
    report = site.report("--quick", status=0)
    assert len(report["packages"]) == 60
    assert report["seconds"] < 3
    argv = [
        sys.executable,
        "-c",
        MEASURED,
        "/usr/bin/python3",
        site.program,
        site.manifest,
        "--root",
        host.root,
    ]
    assert int(run(argv).text.splitlines()[-1]) < 50_000, "KiB, of it or a program that it runs"


@contextmanager
def _target() -> Iterator[Room]:
    with Engine.connect() as engine, containers(engine).open(purpose="test of verify-host") as room:
        yield room


KINDS = [
    pytest.param(_target, marks=pytest.mark.docker, id="the miniature's target"),
    pytest.param(partial(debian, "bullseye"), id="Debian 11"),
]


@pytest.mark.network
@pytest.mark.parametrize("kind", KINDS)
def test_a_host_is_held_against_what_it_installed_over_http(
    kind: Callable[[], AbstractContextManager[Room]], first_desk: Desk, tmp_path: Path
) -> None:
    desk = first_desk.copied(tmp_path / "desk")
    (desk.project / "repo/fleet.toml").write_text(FLEET)
    desk.do("repo", "init")
    everywhere = "0.0.0.0"  # noqa: S104  # the room is on another network
    with kind() as room, serve(desk.project / "srv", host=everywhere) as url:
        desk.define(url.replace(everywhere, room.gateway))
        desk.do("repo", "add", "stable", *packages(desk.home / "debs"))
        desk.do("fleet", "manifest", "stable", "--output", desk.home / "manifest")
        desk.do("fleet", "verify-host", "--write", desk.home / "manifest/verify-host")
        _set_up(room, desk)
        _judge(room, desk)


def _set_up(room: Room, desk: Desk) -> None:
    files = {one.name: one for one in (desk.home / "manifest").iterdir()}
    room.run(["mkdir", "-p", "/check"])
    room.put(pack({**files, "keyring.deb": desk.package()}), "/check")
    for line in (
        "apt-get -q update",
        "apt-get -q -y --no-install-recommends install python3",
        "dpkg -i /check/keyring.deb",
        "apt-get -q update",
        "apt-get -q -y install daemon",
    ):
        room.run(["sh", "-c", line], env={"DEBIAN_FRONTEND": "noninteractive"})


def _judge(room: Room, desk: Desk) -> None:
    def report(status: int = 1, who: str = "root") -> dict[str, Any]:
        line = (
            f"runuser -u {who} -- python3 /check/verify-host /check/fleet-manifest.json --role server --json"
        )
        done = room.run(["sh", "-c", line], check=False)
        assert done.returncode == status, done.text + done.complaint
        said: dict[str, Any] = json.loads(done.text)
        assert said["signer"] == desk.old
        return said

    def errors(status: int = 1, who: str = "root") -> list[tuple[str, str]]:
        return [(f["check"], f["subject"]) for f in report(status, who)["findings"] if f["level"] == "error"]

    def sh(line: str) -> None:
        room.run(["sh", "-c", line], env={"DEBIAN_FRONTEND": "noninteractive"})

    assert errors(0) == []  # by sqv on Debian 13, whose apt brings no gpgv
    sh("apt-get -q -y install gpgv")
    assert errors(0) == []
    assert errors(0, who="nobody") == []
    sh("touch /var/lib/dpkg/updates/0001")
    assert errors() == [("state", "dpkg")]
    sh("rm /var/lib/dpkg/updates/0001 /usr/share/tool/more")
    assert errors() == [("file", "tool")]
    sh("echo path-exclude=/usr/share/tool/more > /etc/dpkg/dpkg.cfg.d/slim")
    assert errors() == [("file", "tool")]
    sh("rm /etc/dpkg/dpkg.cfg.d/slim; apt-get -q -y install --reinstall tool; echo x >> /usr/share/tool/data")
    assert errors() == [("file", "tool")]
    sh("apt-mark hold tool")
    assert errors() == [("file", "tool"), ("held", "tool")]
    sh("printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d")
    assert errors() == [("file", "tool"), ("guard", "/usr/sbin/policy-rc.d"), ("held", "tool")]
    other = desk.home / "other"
    other.mkdir()
    room.put(pack({"other.deb": make_deb(other, "daemon", files={"usr/bin/other": "x"})}), "/check")
    sh("rm /usr/sbin/policy-rc.d; apt-mark unhold tool; dpkg -i /check/other.deb")
    assert errors() == [("file", "tool"), ("package", "daemon")]
    sh("apt-get -q -y install --reinstall tool daemon")
    assert errors(0) == []
    source = "/etc/apt/sources.list.d/test.sources"
    sh(f"cp {source} /check; sed -i 's/^Signed-By:.*/Trusted: yes/' {source}")
    assert errors() == [("origin", "apt"), ("origin", "apt")]
    sh(f"cp /check/test.sources {source}; dpkg --remove --force-depends tool")
    assert errors() == [("state", "daemon")]

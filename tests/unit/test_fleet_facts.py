# SPDX-License-Identifier: Apache-2.0
"""What dpkg keeps of a package on a host is what is read from its .deb."""

import hashlib
import re
import tarfile
from pathlib import Path

import pytest

import deb_forge
from bigtop_builder.errors import CheckFailed, PublishError
from bigtop_builder.fleet import facts as module
from bigtop_builder.fleet.facts import Facts, facts_of, read_facts
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.run import run


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def facts(path: Path) -> Facts:
    return read_facts(path, sha256=sha256(path.read_bytes()))


def forged(folder: Path, *control: bytes, data: bytes = b"") -> Path:
    archive = deb_forge.control_tar(deb_forge.CONTROL, *control)
    return deb_forge.write(folder, deb_forge.deb(control=archive, data=data))


def stanza(path: Path, root: Path) -> Stanza:
    content = path.read_bytes()
    return Stanza(
        name="forged",
        version="1",
        architecture="all",
        filename=str(path.relative_to(root)),
        size=len(content),
        sha256=sha256(content),
        text="",
    )


def test_facts_are_what_dpkg_itself_keeps_on_a_host(tmp_path: Path) -> None:
    tree, host = tmp_path / "tree", tmp_path / "host"
    for name, content in {
        "etc/zoo/zoo.cfg": "port=1\n",
        "etc/zoo/keeper.cfg": "",
        "usr/share/zoo": "zoo",
        "DEBIAN/control": deb_forge.CONTROL.decode(),
        "DEBIAN/conffiles": "/etc/zoo/zoo.cfg\n/etc/zoo/keeper.cfg\n",
        "DEBIAN/md5sums": f"{md5(b'zoo')}  usr/share/zoo\n",
        "DEBIAN/postinst": "#!/bin/sh\nexit 0\n",
        "DEBIAN/prerm": "#!/bin/sh\nexit 0 # prerm\n",
        "DEBIAN/triggers": "interest-noawait /usr/lib/zoo\n",
    }.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for script in ("postinst", "prerm"):
        (tree / "DEBIAN" / script).chmod(0o755)
    deb = tmp_path / "forged.deb"
    run(["dpkg-deb", "--root-owner-group", "--build", tree, deb])
    for folder in ("info", "updates"):
        (host / "var/lib/dpkg" / folder).mkdir(parents=True)
    (host / "var/lib/dpkg/status").touch()
    options = ["--force-not-root", "--force-unsafe-io", "--force-script-chrootless", "--log=/dev/null"]
    run(["dpkg", f"--root={host}", *options, "-i", deb])

    found = facts(deb)
    info = host / "var/lib/dpkg/info"
    assert found.md5sums == sha256((info / "forged.md5sums").read_bytes())
    kept = {path.suffix[1:]: sha256(path.read_bytes()) for path in info.glob("forged.p*")}
    assert found.scripts == kept
    status = (host / "var/lib/dpkg/status").read_text()
    assert found.conffiles == dict(re.findall(r"^ (/\S+) ([0-9a-f]{32})$", status, re.MULTILINE))
    assert sorted(found.conffiles) == ["/etc/zoo/keeper.cfg", "/etc/zoo/zoo.cfg"]


def test_a_package_without_any_of_it_has_empty_facts(tmp_path: Path) -> None:
    assert facts(forged(tmp_path)) == Facts(md5sums="", conffiles={}, scripts={})


def test_links_and_what_is_removed_on_upgrade_count_as_dpkg_counts_them(tmp_path: Path) -> None:
    listed = (
        b"/etc/link\n/etc/hard\n remove-on-upgrade /etc/old\n/etc/absent\nremove-on-upgrade /etc/older\n\n"
    )
    data = deb_forge.data_tar(
        deb_forge.entry("./etc/link", kind=tarfile.SYMTYPE, link="/usr/good"),
        deb_forge.entry("./etc/hard", kind=tarfile.LNKTYPE, link="./usr/good"),
    )
    found = facts(forged(tmp_path, deb_forge.entry("./conffiles", listed), data=data))
    assert found.conffiles == {"/etc/hard": md5(b"good\n")}


def test_hard_links_that_name_each_other_end(tmp_path: Path) -> None:
    data = deb_forge.data_tar(
        deb_forge.entry("./etc/a", kind=tarfile.LNKTYPE, link="./etc/b"),
        deb_forge.entry("./etc/b", kind=tarfile.LNKTYPE, link="./etc/a"),
    )
    assert facts(forged(tmp_path, deb_forge.entry("./conffiles", b"/etc/a\n"), data=data)).conffiles == {}


def test_a_path_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    data = deb_forge.data_tar(deb_forge.entry("./etc/a\udcff", b"x"))
    found = facts(forged(tmp_path, deb_forge.entry("./conffiles", b"/etc/a\xff\n"), data=data))
    assert found.conffiles == {"/etc/a\\xff": md5(b"x")}
    assert Facts.from_json(found.to_json(), source="it") == found


def test_a_deb_of_other_bytes_is_refused_with_its_name(tmp_path: Path) -> None:
    deb = forged(tmp_path)
    with pytest.raises(CheckFailed, match=r"forged\.deb was altered: its sha256 is not 0000"):
        read_facts(deb, sha256="0" * 64)
    deb.write_bytes(deb.read_bytes()[:-300])
    with pytest.raises(CheckFailed, match=r"forged\.deb is no whole \.deb"):
        facts(deb)


def test_what_was_read_once_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, kept = FilesystemStore(tmp_path / "apt", sync=False), tmp_path / "cache/facts"
    (tmp_path / "apt").mkdir()
    one = stanza(forged(tmp_path / "apt", deb_forge.entry("./md5sums", b"x")), tmp_path / "apt")
    first = facts_of([one], store, kept)
    assert first[one.sha256].md5sums == sha256(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(module, "read_facts", lambda *_, **__: pytest.fail("read again"))
        assert facts_of([one], store, kept) == first
    for path in kept.rglob("*.json"):  # as a kill while it was written leaves it
        path.write_text(path.read_text()[:-5])
    assert facts_of([one], store, kept) == first


def test_a_package_that_the_pool_lacks_is_named(tmp_path: Path) -> None:
    one = stanza(forged(tmp_path), tmp_path)
    (tmp_path / "forged.deb").unlink()
    with pytest.raises(PublishError, match=r"forged\.deb is missing"):
        facts_of([one], FilesystemStore(tmp_path, sync=False), tmp_path / "facts")

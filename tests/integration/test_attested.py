# SPDX-License-Identifier: Apache-2.0
"""SBOMs and signed statements in a repository: published, asked, checked, mirrored, collected, verified by gpgv."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aged_site import AgedSite

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.attestations import Attestations
from bigtop_builder.dsse import sign
from bigtop_builder.errors import CheckFailed
from bigtop_builder.keys import KeyStore
from bigtop_builder.manifest import Manifest
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import attested, layout
from bigtop_builder.repository.export import export
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.gc import collect, plan
from bigtop_builder.repository.layout import Retention, SuiteSettings
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.rotation import begin, revoke
from bigtop_builder.repository.store import open_store
from bigtop_builder.repository.store.filesystem import FilesystemStore
from bigtop_builder.run import Completed, run
from bigtop_builder.sbom.document import sbom_of
from forked import program
from health import problems
from jar_forge import jar, package, pom
from manifests import manifest
from s3_server import BUCKET, variables, versitygw

LOG4J = jar(pom("log4j", "log4j", "1.2.17"))
NEWER = jar(pom("log4j", "log4j", "1.2.25"))
OLD = {"usr/lib/salute/log4j.jar": LOG4J, "usr/lib/salute/asm-3.1.jar": jar()}
NEW = {"usr/lib/salute/log4j.jar": NEWER, "usr/lib/salute/x.war": jar({"b.jar": jar(pom("g", "b", "1"))})}


def released(deb: Deb, said: Attestations, component: str) -> Manifest:
    """The manifest of a release with this one package."""
    package = {
        "file": deb.path.name,
        "name": deb.name,
        "version": deb.version,
        "architecture": "all",
        "size": deb.size,
        "sha256": deb.sha256,
        "sbom": said.sbom(deb.sha256),
    }
    return manifest(component, [package], provenance=said.provenance(component))


def statement(deb: Deb) -> bytes:
    subject = [{"name": deb.path.name, "digest": {"sha256": deb.sha256}}]
    definition = {
        "buildType": "urn:bigtop-builder:build:1",
        "externalParameters": {"component": deb.name, "version": deb.version, "recipe": {"id": "1.0-deb12"}},
        "resolvedDependencies": [{"name": "bigtop", "digest": {"gitCommit": "c" * 40}}],
    }
    details = {
        "builder": {"id": "urn:bigtop-builder:builder:docker", "version": {"bigtop-builder": "1"}},
        "metadata": {"invocationId": "urn:bigtop-builder:step:1", "startedOn": "then", "finishedOn": "later"},
    }
    said = {"_type": "https://in-toto.io/Statement/v1", "subject": subject}
    return json.dumps(said | {"predicate": {"buildDefinition": definition, "runDetails": details}}).encode()


@dataclass
class Site(AgedSite):
    """A repository and its keys."""

    store: KeyStore
    keyring: Keyring
    debs: dict[str, Deb] = field(default_factory=dict)

    def release(
        self, files: dict[str, bytes], version: str, *, name: str = "salute", replace: bool = False
    ) -> str:
        """Publish a package as `release` does, and return the snapshot's id."""
        deb = self.debs[version] = read_deb(package(self.folder, files, name=name, version=version))
        said = Attestations(sboms={deb.sha256: sbom_of(deb.path)}, statements={name: statement(deb)})
        made = released(deb, said, name)
        state = self.repository.state
        return self.repository.add(
            "stable",
            [deb],
            keyring=self.keyring,
            manifest=made.to_json().encode(),
            attestations=lambda: attested.records_of(state, self.keyring, said, made),
            replace=replace,
            gate=Gate(allow_downgrade=True),
        ).snapshot

    def by_hand(self, files: dict[str, bytes], version: str, *, name: str = "salute") -> None:
        deb = read_deb(package(self.folder, files, name=name, version=version))
        self.repository.add("stable", [deb], keyring=self.keyring)

    def ask(self, *words: str, repo: Path | str | None = None) -> Completed:
        """Run the program about the repository."""
        env = {
            "HOME": str(self.folder),
            "BIGTOP_BUILDER_KEYS_DIR": str(self.store.folder),
            "BIGTOP_BUILDER_CACHE_DIR": str(self.folder / "cache"),
        }
        return program(*words, "--repo", repo or self.root, env=env, cwd=self.folder)

    def records(self) -> list[str]:
        return sorted(
            f"{kind}/{name}"
            for kind in ("sboms", "provenance")
            for name in self.repository.store.names(f"state/{kind}")
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    store = KeyStore(tmp_path / "keys")
    key = store.new("Ann Bee", "ann@bee.example")
    with store.open() as keyring:
        site = Site(tmp_path, store, keyring)
        Repository.init(site.root, origin="Ours", keyring=keyring, fingerprints=[key], sync=False)
        yield site


def value(done: Completed) -> Any:
    assert done.returncode == 0, done.complaint
    return json.loads(done.stdout)


# What people ask


def test_an_artifact_is_found_in_all_packages_of_a_suite(site: Site) -> None:
    site.release(OLD, "1.0-1")
    site.release({"usr/lib/other/log4j-1.2.17.jar": jar()}, "2.0-1", name="other")
    done = site.ask("sbom", "find", "log4j:log4j@1.2*", "--json")
    assert [(one["package"], one["path"], one["how"]) for one in value(done)] == [
        ("other", "usr/lib/other/log4j-1.2.17.jar", "file name"),
        ("salute", "usr/lib/salute/log4j.jar", "pom.properties"),
    ]
    assert "on the spot" not in done.complaint
    shown = site.ask("sbom", "find", "log4j@1.2.17").text.splitlines()
    assert [line.split()[0] for line in shown] == ["package", "other", "salute"]


def test_what_is_nowhere_ends_like_a_grep_that_found_nothing(site: Site) -> None:
    site.release(OLD, "1.0-1")
    done = site.ask("sbom", "find", "log4j-core")
    assert (done.returncode, done.text) == (1, "")
    assert site.ask("sbom", "find", "").returncode == 2


def test_a_jar_that_nobody_could_look_into_is_told_beside_what_was_found(site: Site) -> None:
    site.release(OLD | {"usr/lib/bad.jar": b"rubbish"}, "1.0-1")
    done = site.ask("sbom", "find", "log4j")
    assert done.returncode == 0
    assert "usr/lib/bad.jar of salute was not looked into: it is no zip archive" in done.complaint


def test_nothing_found_beside_jars_that_nobody_could_look_into_is_not_told_as_nowhere(site: Site) -> None:
    site.release(OLD | {"usr/lib/bad.jar": b"rubbish"}, "1.0-1")
    done = site.ask("sbom", "find", "log4j-core", "--json")
    assert (done.returncode, json.loads(done.text)) == (8, [])
    assert "log4j-core was not found, but 1 archive could not be looked into" in done.complaint


def test_the_sbom_of_a_package_is_the_one_that_was_published(site: Site) -> None:
    site.release(OLD, "1.0-1")
    site.release(NEW, "2.0-1")
    newest = value(site.ask("sbom", "show", "salute", "--json"))
    assert newest == json.loads(sbom_of(site.debs["2.0-1"].path))
    older = value(site.ask("sbom", "show", "salute=1.0-1", "--suite", "stable", "--json"))
    assert older["metadata"]["component"]["version"] == "1.0-1"
    assert "usr/lib/salute/x.war!/b.jar" in site.ask("sbom", "show", "salute").text
    assert site.ask("sbom", "show", "salut").returncode == 2


def test_a_file_has_an_sbom_too(site: Site) -> None:
    deb = package(site.folder, OLD, version="3.0-1")
    assert "log4j:log4j" in site.ask("sbom", "show", str(deb)).text


def test_two_snapshots_differ_in_jars_that_came_went_and_changed(site: Site) -> None:
    before = site.release(OLD, "1.0-1")
    after = site.release(NEW, "2.0-1")
    told = value(site.ask("sbom", "diff", before, after, "--json"))
    assert [(one["verb"], one["artifact"], one["before"], one["after"]) for one in told] == [
        ("went", "asm", ["3.1"], []),
        ("came", "g:b", [], ["1"]),
        ("changed", "log4j:log4j", ["1.2.17"], ["1.2.25"]),
        ("came", "x", [], ["?"]),
    ]
    debs = [str(site.debs[version].path) for version in ("1.0-1", "2.0-1")]
    assert value(site.ask("sbom", "diff", *debs, "--json")) == told
    assert site.ask("sbom", "diff", "stable", after).text == ""
    site.release({"usr/lib/other/log4j-1.2.17.jar": jar()}, "3.0-1", name="other")
    assert value(site.ask("sbom", "diff", before, debs[1], "--json")) == told
    assert site.ask("sbom", "diff", debs[1], "stable").text == ""


def test_a_suite_without_packages_is_told_as_such_and_which_others_there_are(site: Site) -> None:
    site.release(OLD, "1.0-1")
    site.repository.define("testing", SuiteSettings(codename="testing"))
    done = site.ask("sbom", "diff", "testing", "stable")
    assert done.returncode == 2
    assert "nothing was published to suite testing" in done.complaint
    assert done.complaint.endswith("way out: publish to it first; its other suites: stable")


def test_a_package_that_came_by_hand_gets_its_sbom_on_the_spot(site: Site) -> None:
    site.release(OLD, "1.0-1")
    site.by_hand({"usr/lib/hand/log4j-1.2.15.jar": jar()}, "1-1", name="hand")
    for _ in range(2):
        done = site.ask("sbom", "find", "log4j@1.2.15", "--json")
        assert [one["package"] for one in value(done)] == ["hand"]
        assert "1 package with jars came without an SBOM, which was made on the spot" in done.complaint


def test_which_suite_is_asked_must_be_plain(site: Site) -> None:
    assert "has 0 suites with packages" in site.ask("sbom", "find", "x").complaint
    site.release(OLD, "1.0-1")
    site.repository.promote("stable", "testing", keyring=site.keyring, new_suite=True)
    refused = site.ask("sbom", "find", "log4j")
    assert refused.returncode == 2
    assert "--suite: stable, testing" in refused.complaint
    assert site.ask("sbom", "find", "log4j", "--suite", "testing").returncode == 0
    assert site.ask("sbom", "find", "log4j", "--suite", "testing", "--snapshot", "x").returncode == 2


# Statements


def test_where_a_package_comes_from_is_told_and_verified(site: Site) -> None:
    site.release(OLD, "1.0-1")
    deb = site.debs["1.0-1"]
    for name in ("salute", str(deb.path)):
        said = value(site.ask("provenance", name, "--json"))
        assert said["subject"] == [{"name": deb.path.name, "digest": {"sha256": deb.sha256}}]
    text = site.ask("provenance", "salute").text
    assert f"signed by {site.store.fingerprints()[0]}" in text
    assert "salute 1.0-1 of recipe 1.0-deb12" in text


def test_the_manuals_commands_verify_an_envelope_with_gpgv_alone(site: Site) -> None:
    site.release(OLD, "1.0-1")
    (site.folder / "envelope.json").write_bytes(site.ask("provenance", "salute", "--envelope").stdout)
    keys = site.keyring.export_public(site.store.fingerprints(), armor=False)
    (site.folder / "keys.gpg").write_bytes(keys)
    manual = (Path(__file__).parents[2] / "docs/provenance.md").read_text(encoding="utf-8")
    lines = manual.partition("<!-- verify -->")[2].partition("<!-- verified -->")[0].splitlines()
    script = "\n".join(line.strip() for line in lines if line.startswith("    "))
    env = {"DEB": str(site.debs["1.0-1"].path), "KEYRING": str(site.folder / "keys.gpg"), "LC_ALL": "C"}
    done = run(["bash", "-ec", script], env=env, cwd=site.folder, check=False)
    assert done.returncode == 0, done.complaint
    assert "Good signature" in done.complaint
    other = package(site.folder, NEW, version="9")
    assert run(
        ["bash", "-ec", script], env=env | {"DEB": str(other)}, cwd=site.folder, check=False
    ).returncode


def test_a_package_without_a_statement_is_told(site: Site) -> None:
    site.by_hand(OLD, "1.0-1")
    done = site.ask("provenance", "salute")
    assert done.returncode == 1
    assert "has no statement where salute comes from" in done.complaint
    assert "repo add" in done.complaint


def test_another_key_than_the_users_is_not_believed(site: Site) -> None:
    site.release(OLD, "1.0-1")
    foreign = site.store.new("Eve Eff", "eve@eff.example")
    (site.folder / "eve.asc").write_bytes(site.store.public(foreign))
    done = site.ask("provenance", "salute", "--keyring", str(site.folder / "eve.asc"))
    assert done.returncode == 9
    assert "has no good signature" in done.complaint
    assert f"none of the keys of {site.folder / 'eve.asc'} has signed it" in done.complaint
    assert "key export" in done.complaint


def test_a_keyring_that_is_none_is_told_with_what_to_give(site: Site) -> None:
    site.release(OLD, "1.0-1")
    done = site.ask("provenance", "salute", "--keyring", "/etc/passwd")
    assert done.returncode == 2
    assert "--keyring /etc/passwd has no OpenPGP key" in done.complaint
    assert "key export" in done.complaint
    assert "secret" not in done.complaint


def test_the_statement_of_another_package_is_not_taken_for_this_ones(site: Site) -> None:
    site.release(OLD, "1.0-1")
    (path,) = (site.root / "state/provenance").iterdir()
    other = read_deb(package(site.folder, NEW, version="9"))
    forged = sign(statement(other), site.keyring, site.store.fingerprints())
    path.write_text(forged.to_json())
    done = site.ask("provenance", "salute")
    assert done.returncode == 1
    assert "holds another statement" in done.complaint


def test_the_same_statement_is_signed_once(site: Site) -> None:
    site.release(OLD, "1.0-1")
    (path,) = (site.root / "state/provenance").iterdir()
    before = path.read_bytes()
    site.release(NEW, "2.0-1", replace=True)
    site.release(OLD, "1.0-1", replace=True)
    assert path.read_bytes() == before


# How they are kept


def test_check_sees_each_fault_of_what_is_known_about_packages(site: Site) -> None:
    site.release(OLD, "1.0-1")
    site.release(NEW, "2.0-1")
    assert problems(site.repository.state) == ()
    sboms = sorted((site.root / "state/sboms").iterdir())
    statements = sorted((site.root / "state/provenance").iterdir())
    sboms[0].unlink()
    sboms[1].write_bytes(b"{}")
    foreign = site.store.new("Eve Eff", "eve@eff.example")
    with site.store.open([foreign]) as eve:
        said = attested.envelope(site.repository.state, statements[0].stem).content
        statements[0].write_text(sign(said, eve, [foreign]).to_json())
    statements[1].write_bytes(b"{}")
    found = problems(site.repository.state)
    assert {line.partition(".json")[0] + ".json" for line in found} == {
        f"state/{path.parent.name}/{path.name}" for path in (*sboms, *statements)
    }
    told = "\n".join(found)
    assert all(word in told for word in ("is missing", "was altered", "has no good signature"))


def test_gc_removes_what_is_known_about_packages_with_them_and_not_before(site: Site) -> None:
    site.release(OLD, "1.0-1")
    before = site.records()
    site.release(NEW, "2.0-1", replace=True)
    site.gone_by = timedelta(days=3)
    keys = site.store.fingerprints()
    public = site.keyring.export_public(keys, armor=False)
    assert "records" not in plan(site.repository.state, now=site.now, public=public).files
    site.gone_by = timedelta(days=9)
    site.release(OLD | {"usr/x": b"x"}, "3.0-1", replace=True)
    site.gone_by = timedelta(days=19)
    rules = Retention(keep=1, rollbacks=1)
    done = collect(site.repository.state, keyring=site.keyring, clock=lambda: site.now, rules=rules)
    assert [one.path.removeprefix("state/") for one in done.files["records"]] == sorted(
        before, key=lambda one: f"state/{one}"
    )
    assert not set(before) & set(site.records())
    assert len(site.records()) == 4
    assert problems(site.repository.state) == ()


def test_gc_removes_nothing_where_a_manifest_is_missing(site: Site) -> None:
    site.release(OLD, "1.0-1")
    (manifest,) = (site.root / "state/manifests").iterdir()
    manifest.unlink()
    site.gone_by = timedelta(days=9)
    public = site.keyring.export_public(site.store.fingerprints(), armor=False)
    with pytest.raises(CheckFailed, match=r"manifests/.* is missing"):
        plan(site.repository.state, now=site.now, public=public)


def test_a_mirror_has_what_is_known_about_its_packages(site: Site) -> None:
    site.release(OLD, "1.0-1")
    site.release(NEW, "2.0-1", replace=True)
    site.by_hand({"usr/a.jar": jar()}, "1", name="hand")
    target = FilesystemStore(site.folder / "mirror", sync=False)
    export(site.repository.state, target, suites=["stable"], now=site.now)
    mirror = Repository(target)
    assert problems(mirror.state) == ()
    named = {name.partition(".")[0] for name in target.names("state/sboms")}
    assert named == {hashlib.sha256(sbom_of(site.debs["2.0-1"].path)).hexdigest()}
    assert site.ask("sbom", "find", "g:b", repo=site.folder / "mirror").returncode == 0
    assert site.ask("provenance", "salute", repo=site.folder / "mirror").returncode == 0


def test_on_s3_the_same_is_asked_and_checked(
    site: Site, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.release(OLD, "1.0-1")
    site.by_hand({"usr/lib/hand/log4j-1.2.15.jar": jar()}, "1-1", name="hand")
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        for name, content in variables(server.port).items():
            monkeypatch.setenv(name, content)
        url = f"s3://{BUCKET}/mirror"
        export(site.repository.state, open_store(url), suites=["stable"], now=site.now)
        assert problems(Repository.open(url).state) == ()
        found = value(site.ask("sbom", "find", "log4j@1.2*", "--json", repo=url))
        assert [one["package"] for one in found] == ["hand", "salute"]
        assert site.ask("provenance", "salute", repo=url).returncode == 0


def test_a_revoked_keys_statements_are_signed_by_the_others(site: Site) -> None:
    site.release(OLD, "1.0-1")
    (old,) = site.store.fingerprints()
    new = site.store.new("Ann Bee", "ann@bee.example")
    proof = site.store.certificate(old)
    with site.store.open([old, new]) as keyring:
        public = keyring.export_public([old], armor=False)
        begin(site.repository, old, new, keyring=keyring)
        keyring.revoke(old, proof)
        revoked = keyring.export_public([old], armor=False)
    with site.store.open([new]) as keyring:
        revoke(site.repository, old, keyring=keyring, public=public, revoked=revoked)
    assert problems(site.repository.state) == ()
    (path,) = (site.root / "state/provenance").iterdir()
    assert [one.keyid for one in attested.envelope(site.repository.state, path.stem).signatures] == [new]


def test_names_are_hashes_of_what_lies_there(site: Site) -> None:
    site.release(OLD, "1.0-1")
    (sbom,) = (site.root / "state/sboms").iterdir()
    assert hashlib.sha256(sbom.read_bytes()).hexdigest() == sbom.stem
    (path,) = (site.root / "state/provenance").iterdir()
    payload = base64.b64decode(json.loads(path.read_text())["payload"])
    assert path.stem == hashlib.sha256(payload).hexdigest()
    assert layout.provenance_file(path.stem) == f"state/provenance/{path.name}"

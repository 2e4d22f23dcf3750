# SPDX-License-Identifier: Apache-2.0
"""The manifest of a snapshot: what it says, what it refuses to say, and the command that writes it."""

import hashlib
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import CheckFailed, InputError, SigningError
from bigtop_builder.fleet.fleet_manifest import FleetManifest, read_signed
from bigtop_builder.fleet.issuing import manifest_of, write_signed
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.withdraw import withdraw
from bigtop_builder.run import Completed
from forked import program
from manifests import manifest as release_manifest
from s3_server import BUCKET

Make = Callable[..., Path]


def no_roles(_packages: Collection[str], _releases: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {}


def about(repository: Repository, keyring: Keyring, wanted: str, folder: Path, **more: str) -> FleetManifest:
    return manifest_of(
        repository.state, wanted, keyring=keyring, kept=folder / "facts", roles=no_roles, **more
    )


def add(repository: Repository, keyring: Keyring, *debs: Path | Deb, suite: str = "stable") -> str:
    read = [one if isinstance(one, Deb) else read_deb(one) for one in debs]
    return repository.add(
        suite, read, keyring=keyring, new_suite=True, gate=Gate(accept=True, allow_downgrade=True)
    ).snapshot


@pytest.fixture
def two(repository: Repository, keyring: Keyring, deb: Make) -> tuple[str, str]:
    """Snapshots that suite stable had."""
    return add(repository, keyring, deb("zoo", "1")), add(repository, keyring, deb("zoo", "2"))


def test_a_manifest_says_of_each_package_what_the_repository_has(
    repository: Repository, keyring: Keyring, two: tuple[str, str], deb: Make, tmp_path: Path
) -> None:
    add(repository, keyring, deb("yak", "3", "amd64"), deb("emu", "1:4"))
    made = about(repository, keyring, "stable", tmp_path, url="http://apt.example")
    assert (made.origin, made.url, made.suites) == ("Ours", "http://apt.example", ("stable",))
    assert made.keys == (keyring.keys()[0].fingerprint,)
    assert (made.suite, made.withdrawn) == (layout.snapshot_suite(made.snapshot), "")
    assert made.rollback_to == two[1]
    assert [(one.name, one.version, one.architecture) for one in made.packages] == [
        ("emu", "1:4", "all"),
        ("yak", "3", "amd64"),
        ("zoo", "2", "all"),
    ], "of zoo, which the snapshot has twice, hosts take version 2"
    for one in made.packages:
        content = (repository.store.read(one.file)) or b""
        assert (one.size, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert one.md5sums
        assert (one.component, one.source, one.source_version) == ("main", one.name, one.version)
        assert (one.release, one.commit, one.patches, one.step) == ("", "", "", "")


def test_its_indices_are_those_that_release_names(
    repository: Repository, keyring: Keyring, two: tuple[str, str], tmp_path: Path
) -> None:
    made = about(repository, keyring, two[0][:10], tmp_path)
    release = (repository.store.read(f"dists/{made.suite}/Release") or b"").decode()
    section = release.partition("SHA256:\n")[2]
    said = re.findall(r"^ ([0-9a-f]{64}) +\d+ (\S+)$", section, re.MULTILINE)
    assert made.indices == {path: sha256 for sha256, path in said if "/binary-" in path}
    assert made.date.strftime("%a, %d %b %Y %H:%M:%S") in release


def test_a_package_of_a_release_comes_from_where_its_manifest_says(
    repository: Repository, keyring: Keyring, deb: Make, tmp_path: Path
) -> None:
    one = read_deb(deb("zoo"))
    record = {
        "file": one.path.name,
        "name": one.name,
        "version": one.version,
        "architecture": one.architecture,
        "size": one.size,
        "sha256": one.sha256,
    }
    said = release_manifest("zoo", [record])
    patched = said.model_copy(
        update={
            "tree": said.tree.model_validate(
                {**said.tree.model_dump(), "patches": [{"id": "zoo/mend", "sha256": "1" * 64}]}
            )
        }
    )
    repository.add("stable", [one], keyring=keyring, manifest=patched.to_json().encode())
    made = about(repository, keyring, "stable", tmp_path)
    assert made.releases == ("1.0-deb12",)
    package = made.packages[0]
    assert (package.release, package.commit, package.tree) == ("1.0-deb12", "c" * 40, "d" * 40)
    assert package.step == "f" * 64
    assert package.patches == hashlib.sha256(f"{'1' * 64}  zoo/mend\n".encode()).hexdigest()


def test_a_signed_manifest_is_read_by_who_has_the_keys_and_by_nobody_who_altered_it(
    repository: Repository, keyring: Keyring, two: tuple[str, str], tmp_path: Path
) -> None:
    made = about(repository, keyring, two[1], tmp_path)
    public = keyring.export_public(made.keys, armor=False)
    for _ in range(2):
        file, signature = write_signed(made, keyring, tmp_path / "out")
        assert read_signed(file, public) == made
    file.write_text(file.read_text().replace('"withdrawn": ""', '"withdrawn": "x"'))
    with pytest.raises(SigningError, match=r"fleet-manifest\.json has no good signature"):
        read_signed(file, public)
    signature.unlink()
    with pytest.raises(InputError, match=r"fleet-manifest\.json\.asc cannot be read"):
        read_signed(file, public)


def test_hosts_go_back_to_what_the_suite_had_or_to_what_is_named(
    repository: Repository, keyring: Keyring, two: tuple[str, str], deb: Make, tmp_path: Path
) -> None:
    assert about(repository, keyring, two[1], tmp_path).rollback_to == two[0]
    assert about(repository, keyring, two[0], tmp_path).rollback_to == "", "no suite has it now"
    ahead = add(repository, keyring, deb("zoo", "3"), suite="testing")
    assert about(repository, keyring, "testing", tmp_path).rollback_to == ""
    assert about(repository, keyring, ahead, tmp_path, back="stable").rollback_to == two[1]
    assert about(repository, keyring, ahead, tmp_path, back=two[0][:8]).rollback_to == two[0]
    with pytest.raises(InputError, match="hosts cannot go back to testing: it is the snapshot itself"):
        about(repository, keyring, ahead, tmp_path, back="testing")


def test_of_two_suites_that_came_from_elsewhere_the_one_that_is_named_counts(
    repository: Repository,
    keyring: Keyring,
    two: tuple[str, str],
    deb: Make,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = add(repository, keyring, deb("emu"), suite="testing")
    repository.promote("stable", "testing", keyring=keyring, gate=Gate(accept=True))
    assert about(repository, keyring, "stable", tmp_path).rollback_to == two[0]
    assert about(repository, keyring, "testing", tmp_path).rollback_to == other
    assert about(repository, keyring, two[1], tmp_path).rollback_to == ""
    assert "which snapshot hosts go back to is not plain" in caplog.text
    assert "--rollback-to" in caplog.text


def test_a_suite_that_had_nothing_before_has_no_way_back_whatever_others_had(
    repository: Repository, keyring: Keyring, two: tuple[str, str], tmp_path: Path
) -> None:
    repository.promote("stable", "testing", keyring=keyring, new_suite=True)
    assert about(repository, keyring, "testing", tmp_path).rollback_to == ""
    assert about(repository, keyring, two[1], tmp_path).rollback_to == two[0]


def test_a_way_back_that_undoes_a_change_of_keys_alone_is_told(
    repository: Repository,
    keyring: Keyring,
    two: tuple[str, str],
    deb: Make,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add(repository, keyring, deb("ours-archive-keyring"))
    assert about(repository, keyring, "stable", tmp_path).rollback_to == two[1]
    assert "differs in the keyring package alone\n  way out: name it with --rollback-to" in caplog.text


def test_a_withdrawn_snapshot_is_said_to_be_and_no_way_back(
    repository: Repository,
    keyring: Keyring,
    two: tuple[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    withdraw(repository, two[0], keyring=keyring, why="loses edits")
    assert about(repository, keyring, two[0], tmp_path).withdrawn == "loses edits"
    assert about(repository, keyring, "stable", tmp_path).rollback_to == ""
    assert f"{two[0][:16]}, which was there before, is withdrawn: loses edits" in caplog.text
    with pytest.raises(InputError, match=r"cannot go back to .*: it is withdrawn: loses edits"):
        about(repository, keyring, "stable", tmp_path, back=two[0])


def test_a_way_back_that_lost_a_package_is_refused_with_its_name(
    repository: Repository, keyring: Keyring, two: tuple[str, str], deb: Make, tmp_path: Path
) -> None:
    repository.add("stable", [read_deb(deb("emu"))], replace=True, gate=Gate(accept=True), keyring=keyring)
    repository.store.remove(["pool/main/z/zoo/zoo_1_all.deb"])
    with pytest.raises(CheckFailed) as caught:
        about(repository, keyring, "stable", tmp_path)
    assert f"pool/main/z/zoo/zoo_1_all.deb of snapshot {two[1][:16]} is missing, or cut off" in str(
        caught.value
    )
    assert "repo check" in caught.value.hint


def test_a_snapshot_that_nobody_keeps_any_more_is_no_way_back(
    repository: Repository, keyring: Keyring, two: tuple[str, str], tmp_path: Path
) -> None:
    repository.store.remove([layout.snapshot_file(two[0])])
    assert about(repository, keyring, "stable", tmp_path).rollback_to == ""


@pytest.mark.parametrize("forged", ["its own suite", "the history"])
def test_nothing_is_signed_that_was_not(
    repository: Repository, keyring: Keyring, two: tuple[str, str], tmp_path: Path, forged: str
) -> None:
    with Keyring() as other:
        eve = other.new_key("Eve", "eve@bee.example")
        if forged == "the history":
            path = layout.history_file("stable", 2)
            text = repository.store.read(path) or b""
            repository.store.put({f"{path}.asc": other.detach_sign(text, [eve])})
        else:
            folder = layout.release_folder(layout.snapshot_suite(two[1]), 1)
            text = repository.store.read(f"{folder}/Release") or b""
            repository.store.put({f"{folder}/InRelease": other.clearsign(text, [eve])})
        with pytest.raises(SigningError):
            about(repository, keyring, "stable", tmp_path)


@pytest.mark.usefixtures("two")
def test_without_a_key_that_can_sign_nothing_is_read(
    repository: Repository, keyring: Keyring, tmp_path: Path
) -> None:
    with Keyring() as other:
        other.import_key(keyring.export_public(repository.state.settings().keys))
        with pytest.raises(SigningError):
            about(repository, other, "stable", tmp_path)
    assert not (tmp_path / "facts").exists()


@pytest.mark.usefixtures("two")
def test_a_deb_that_was_altered_in_the_pool_is_found(
    repository: Repository, keyring: Keyring, tmp_path: Path
) -> None:
    path = "pool/main/z/zoo/zoo_2_all.deb"
    content = repository.store.read(path) or b""
    repository.store.put({path: content.replace(b"zoo 2", b"zoo 3")})
    with pytest.raises(CheckFailed, match=r"zoo_2_all\.deb was altered"):
        about(repository, keyring, "stable", tmp_path)


@pytest.mark.usefixtures("between")
def test_a_repository_on_s3_has_the_same_manifest(
    repository: Repository, keyring: Keyring, two: tuple[str, str], deb: Make, tmp_path: Path
) -> None:
    fingerprints = repository.state.settings().keys
    far = Repository.init(f"s3://{BUCKET}/deb", origin="Ours", keyring=keyring, fingerprints=fingerprints)
    assert (add(far, keyring, deb("zoo", "1")), add(far, keyring, deb("zoo", "2"))) == two
    here = about(repository, keyring, "stable", tmp_path)
    there = about(far, keyring, "stable", tmp_path / "elsewhere")
    assert there.model_copy(update={"date": here.date}) == here
    assert not [path for path in (tmp_path / "elsewhere/facts").iterdir() if path.name.startswith(".")]


# The command


@pytest.fixture
def fleet(tmp_path: Path, store: KeyStore, repository: Repository) -> Callable[..., Completed]:
    """`fleet manifest` about the repository, in a project of its own."""
    for name in ("recipes", "repo"):
        (tmp_path / "project" / name).mkdir(parents=True)
    env = {"HOME": str(tmp_path), "BIGTOP_BUILDER_KEYS_DIR": str(store.folder)}
    before = ("--project", tmp_path / "project", "fleet", "manifest")
    return lambda *words: program(*before, *words, "--repo", repository.store.name, env=env, cwd=tmp_path)


def test_the_command_says_what_it_wrote(
    fleet: Callable[..., Completed], keyring: Keyring, two: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "project/repo/fleet.toml").write_text('format = 1\n[roles.keeper]\npackages = ["zoo"]\n')
    done = fleet("stable", "--url", "http://apt.example", "--json")
    assert done.returncode == 0, done.complaint
    said = json.loads(done.text)
    file = tmp_path / f"project/build/fleet/{two[1][:16]}/fleet-manifest.json"
    assert said["manifest"] == str(file)
    assert said["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (said["snapshot"], said["rollback_to"]) == (two[1], two[0])
    made = read_signed(file, keyring.export_public([keyring.keys()[0].fingerprint], armor=False))
    assert made.roles == {"keeper": ("zoo",)}
    assert made.url == "http://apt.example"
    first = file.read_bytes()
    told = fleet(two[1][:16], "--output", tmp_path / "there")
    assert told.text.splitlines() == [
        str(tmp_path / "there/fleet-manifest.json"),
        f"1 package of snapshot {two[1][:16]}; hosts go back to {two[0][:16]}",
    ]
    again = fleet("stable", "--url", "http://apt.example")
    assert again.returncode == 0
    assert file.read_bytes() == first, "the same snapshot has the same manifest"


@pytest.mark.parametrize(
    ("words", "definition", "code", "said"),
    [
        (["stable"], '[roles.keeper]\npackages = ["zo"]', 2, "role 'keeper' names package 'zo'"),
        (["stabel"], "", 2, "has no snapshot 'stabel'"),
        (["stable", "--output", "project/repo/fleet.toml/x"], "", 3, "cannot be written by this user"),
        (["stable", "--fleet", "none.toml"], "", 2, "'none.toml' does not exist"),
    ],
)
@pytest.mark.usefixtures("two")
def test_what_is_wrong_is_said_before_anything_is_written(
    fleet: Callable[..., Completed],
    tmp_path: Path,
    words: list[str],
    definition: str,
    code: int,
    said: str,
) -> None:
    (tmp_path / "project/repo/fleet.toml").write_text(f"format = 1\n{definition}\n")
    done = fleet(*words)
    assert done.returncode == code
    assert said in done.complaint
    assert not (tmp_path / "project/build").exists()


@pytest.mark.usefixtures("two")
def test_who_has_no_project_is_not_held_to_the_example_that_came_with_the_tool(
    store: KeyStore, repository: Repository, tmp_path: Path
) -> None:
    env = {"HOME": str(tmp_path), "BIGTOP_BUILDER_KEYS_DIR": str(store.folder)}
    words = ["fleet", "manifest", "stable", "--repo", repository.store.name, "--output", tmp_path / "out"]
    done = program(*words, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.complaint
    assert json.loads((tmp_path / "out/fleet-manifest.json").read_text())["roles"] == {}

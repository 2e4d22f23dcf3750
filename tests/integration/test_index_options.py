# SPDX-License-Identifier: Apache-2.0
"""Indices that a repository has if it is told to: Contents, Translation-en, and Packages in zstandard."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from apt_host import AptHost, write_deb
from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.keys import KeyStore
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.founding import choose_indices
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.index.blocks import block_text
from bigtop_builder.repository.index.contents import amended, parse_lines
from bigtop_builder.repository.layout import FORMS, Block, Form
from bigtop_builder.repository.publish import Repository
from bigtop_builder.repository.removal import remove
from bigtop_builder.run import run
from health import problems

CONTENTS = """
Acquire::IndexTargets::deb::Contents-deb {
  MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)";
  ShortDescription "Contents-$(ARCHITECTURE)"; Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents";
  KeepCompressed "true"; DefaultEnabled "true"; };
"""
"""As apt-file configures apt."""


@pytest.fixture
def deb(tmp_path: Path) -> Callable[..., Deb]:
    (tmp_path / "debs").mkdir()
    return lambda name, version="1", architecture="all": read_deb(
        write_deb(tmp_path / "debs", name, version, architecture=architecture)
    )


def choose(
    repository: Repository,
    *,
    forms: tuple[Form, ...] = FORMS,
    contents: bool = False,
    translations: bool = False,
) -> None:
    with repository.store.lock():
        choose_indices(repository.state, forms=forms, contents=contents, translations=translations)


def contents(repository: Repository, architecture: str = "amd64") -> str:
    path = Path(repository.store.name) / f"dists/stable/main/Contents-{architecture}.gz"
    return gzip.decompress(path.read_bytes()).decode()


def host_of(tmp_path: Path, repository: Repository, store: KeyStore) -> AptHost:
    with store.open() as keyring:
        key = keyring.export_public(store.fingerprints(), armor=False)
    return AptHost.following(tmp_path, url=f"file:{repository.store.name}", suite="stable", key=key)


def test_contents_lists_the_files_of_what_comes_and_not_of_what_goes(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    choose(repository, contents=True)
    repository.add("stable", [deb("emu"), deb("zoo", "1", "amd64")], keyring=keyring)
    assert contents(repository) == "usr/share/emu emu\nusr/share/zoo zoo\n"
    repository.add("stable", [deb("zoo", "2", "amd64"), deb("yak", "1", "arm64")], keyring=keyring)
    assert contents(repository) == "usr/share/emu emu\nusr/share/zoo zoo\n"
    assert contents(repository, "arm64") == "usr/share/emu emu\nusr/share/yak yak\n"
    remove(repository, "stable", ["zoo=1"], keyring=keyring)
    assert "usr/share/zoo zoo\n" in contents(repository)
    remove(repository, "stable", ["zoo=2"], keyring=keyring)
    assert contents(repository) == "usr/share/emu emu\n"
    assert problems(repository.state) == ()


def test_contents_is_made_for_all_packages_when_it_is_chosen_and_goes_when_it_is_not(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    repository.add("stable", [deb("emu")], keyring=keyring)
    choose(repository, contents=True)
    repository.add("stable", [deb("zoo")], keyring=keyring)
    assert contents(repository) == "usr/share/emu emu\nusr/share/zoo zoo\n"
    choose(repository)
    repository.add("stable", [deb("yak")], keyring=keyring)
    assert not (Path(repository.store.name) / "dists/stable/main/Contents-amd64.gz").exists()
    assert problems(repository.state) == ()


def test_a_replacement_leaves_the_contents_that_a_new_repository_would_have(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    choose(repository, contents=True)
    repository.add("stable", [deb("emu"), deb("zoo")], keyring=keyring)
    fresh = [deb("zoo", "2"), deb("yak")]
    repository.add("stable", fresh, keyring=keyring, replace=True, gate=Gate(accept=True))
    assert contents(repository) == "usr/share/yak yak\nusr/share/zoo zoo\n"


def test_apt_fetches_contents_as_apt_file_tells_it_to(
    tmp_path: Path, repository: Repository, keyring: Keyring, store: KeyStore, deb: Callable[..., Deb]
) -> None:
    choose(repository, contents=True)
    repository.add("stable", [deb("emu")], keyring=keyring)
    host = host_of(tmp_path / "host", repository, store)
    with (host.root / "apt.conf").open("a") as file:
        file.write(CONTENTS)
    host.update()
    env = {"APT_CONFIG": str(host.root / "apt.conf")}
    target = ["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Contents-deb"]
    (path,) = run(target, env=env).text.split()
    assert run(["/usr/lib/apt/apt-helper", "cat-file", path], env=env).text == "usr/share/emu emu"


def test_lines_are_cut_into_the_same_blocks_whatever_the_order_they_came_in() -> None:
    paths = {f"usr/lib/part{number % 40}/file{number}": frozenset({"net/emu"}) for number in range(9000)}
    texts: dict[str, str] = {}

    def blocks(parts: list[object]) -> list[Block]:
        made = []
        for part in parts:
            if isinstance(part, Block):
                made.append(part)
            else:
                text = block_text(part)  # type: ignore[arg-type]
                name = hashlib.sha256(text.encode()).hexdigest()
                texts[name] = text
                first, last = (line.split(" ")[0] for line in (text.split("\n")[0], text.split("\n")[-2]))
                made.append(Block(sha256=name, first=first, last=last, count=text.count("\n")))
        return made

    def load(block: Block) -> str:
        return texts[block.sha256]

    whole = blocks([*amended([], paths, {}, load)])
    assert len(whole) > 4
    some = {path: there for number, (path, there) in enumerate(paths.items()) if number % 7}
    others = {path: there for path, there in paths.items() if path not in some}
    apart = blocks([*amended([], some, {}, load)])
    assert blocks([*amended(apart, others, {}, load)]) == whole
    assert blocks([*amended(whole, {}, others, load)]) == apart
    assert blocks([*amended(whole, {}, paths, load)]) == []
    one = dict(list(others.items())[:1])
    kept = {block.sha256 for block in whole}
    assert len({block.sha256 for block in blocks([*amended(whole, {}, one, load)])} - kept) <= 1
    assert dict(parse_lines("a b emu,net/zoo\n")) == {"a b": frozenset({"emu", "net/zoo"})}


def test_apt_reads_packages_in_zstandard_alone_also_when_it_is_joined_and_when_it_is_empty(
    tmp_path: Path, store: KeyStore, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    repository = Repository.init(
        tmp_path / "zst",
        origin="Ours",
        keyring=keyring,
        fingerprints=store.fingerprints(),
        forms=(".zst",),
        sync=False,
    )
    repository.add("stable", [deb(f"emu{number}") for number in range(90)], keyring=keyring)
    pointer = repository.state.unverified_pointer("stable")
    assert pointer
    assert len(repository.state.snapshot(pointer.snapshot).components["main"]["amd64"].blocks) > 1
    host = host_of(tmp_path / "host", repository, store)
    host.update()
    assert host.candidate("emu89") == "1"
    remove(repository, "stable", [f"emu{number}" for number in range(90)], keyring=keyring)
    host.update()
    assert host.candidate("emu89") == ""
    assert problems(repository.state) == ()


def test_a_form_that_is_chosen_later_is_written_by_the_next_change(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    repository.add("stable", [deb("emu")], keyring=keyring)
    choose(repository, forms=(".gz", ".zst"))
    repository.add("stable", [deb("zoo", "1", "arm64")], keyring=keyring)
    for architecture in ("amd64", "arm64"):
        folder = Path(repository.store.name) / f"dists/stable/main/binary-{architecture}"
        assert sorted(path.name for path in folder.iterdir()) == ["Packages.gz", "Packages.zst", "by-hash"]
        said = run(["zstd", "-dc"], stdin=(folder / "Packages.zst").read_bytes()).stdout
        assert said == gzip.decompress((folder / "Packages.gz").read_bytes())
    assert problems(repository.state) == ()


# Translation-en


def shown(host: AptHost, package: str) -> str:
    """What `apt-cache show` says of the description, whatever field apt puts it in."""
    env = {"APT_CONFIG": str(host.root / "apt.conf")}
    said = run(["apt-cache", "show", package], env=env).text
    return said.replace("Description-en: ", "Description: ").partition("Description: ")[2].split("\nDescr")[0]


def english(tmp_path: Path, repository: Repository, store: KeyStore) -> AptHost:
    host = host_of(tmp_path, repository, store)
    conf = host.root / "apt.conf"
    conf.write_text(conf.read_text().replace('Acquire::Languages "none"', 'Acquire::Languages "en"'))
    return host


def files(repository: Repository) -> tuple[str, str]:
    """Packages and Translation-en of amd64."""
    main = Path(repository.store.name) / "dists/stable/main"
    there = main / "i18n/Translation-en"
    return (main / "binary-amd64/Packages").read_text(), there.read_text() if there.exists() else ""


def test_apt_shows_the_same_whether_descriptions_are_in_packages_or_apart(
    tmp_path: Path, repository: Repository, keyring: Keyring, store: KeyStore, deb: Callable[..., Deb]
) -> None:
    repository.add("stable", [deb("emu"), deb("zoo")], keyring=keyring)
    whole, none = files(repository)
    assert none == ""
    host = english(tmp_path / "host", repository, store)
    host.update()
    before = shown(host, "emu")
    assert "A test's package." in before
    choose(repository, translations=True)
    repository.add("stable", [deb("yak")], keyring=keyring)
    packages, translation = files(repository)
    assert "A test's package." not in packages
    assert "Description: emu\nDescription-md5: " in packages
    assert translation.count("Description-en: ") == 3
    host.update()
    assert {shown(host, "emu"), shown(host, "yak").replace("yak", "emu")} == {before}
    choose(repository)
    repository.add("stable", [deb("ant")], keyring=keyring)
    again, none = files(repository)
    assert none == ""
    assert whole in again.replace(again.split("\n\n")[0] + "\n\n", "", 1).replace(
        next(part for part in again.split("\n\n") if part.startswith("Package: yak")) + "\n\n", ""
    )
    assert problems(repository.state) == ()


def test_descriptions_leave_with_the_last_package_that_has_them(
    repository: Repository, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    choose(repository, translations=True)
    repository.add("stable", [deb("emu"), deb("zoo", "1"), deb("yak", "1", "arm64")], keyring=keyring)
    repository.add("stable", [deb("zoo", "2")], keyring=keyring)
    assert files(repository)[1].count("Package: zoo\n") == 1
    remove(repository, "stable", ["zoo=1"], keyring=keyring)
    assert files(repository)[1].count("Package: zoo\n") == 1
    remove(repository, "stable", ["zoo=2"], keyring=keyring)
    assert [line for line in files(repository)[1].split("\n") if line.startswith("Package: ")] == [
        "Package: emu",
        "Package: yak",
    ]
    repository.add("stable", [deb("ox")], keyring=keyring, replace=True, gate=Gate(accept=True))
    assert files(repository)[1].startswith("Package: ox\nDescription-md5: ")
    assert files(repository)[1].count("Package: ") == 1
    assert problems(repository.state) == ()


def test_how_a_repository_came_to_its_packages_does_not_show_in_its_indices(
    tmp_path: Path, store: KeyStore, keyring: Keyring, deb: Callable[..., Deb]
) -> None:
    debs = [deb(f"emu{number}") for number in range(150)]
    found = []
    for name, parts in (("one", [debs]), ("many", [debs[90:], debs[:40], debs[40:90]])):
        repository = Repository.init(
            tmp_path / name, origin="Ours", keyring=keyring, fingerprints=store.fingerprints(), sync=False
        )
        if name == "one":
            choose(repository, contents=True, translations=True)
        for number, part in enumerate(parts):
            if number == 2:
                choose(repository, contents=True, translations=True)
            repository.add("stable", part, keyring=keyring)
        pointer = repository.state.unverified_pointer("stable")
        assert pointer
        found.append(repository.state.snapshot(pointer.snapshot).model_dump())
    assert found[0] == found[1]

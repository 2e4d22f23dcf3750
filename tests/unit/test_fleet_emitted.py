# SPDX-License-Identifier: Apache-2.0
"""What hosts are given to take a snapshot: what the files say, and what a real apt makes of the pins."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from debian.deb822 import Deb822

from apt_host import AptHost
from bigtop_builder.errors import EnvironmentMissing, InputError
from bigtop_builder.fleet.emitted import File, Sources, pins_text
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.fleet.output import lay_out
from bigtop_builder.fleet.trust import Trust
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.run import run

NEW, OLD = "ab" * 32, "cd" * 32
OURS, BEFORE, DEBIANS = "3.8.4-1+bt3.6.0.2~deb12", "3.8.4-1+bt3.5.0.7~deb12", "3.9.3-1"
ROLE = "ansible/roles/apt_our_stack"


def stanza(name: str, version: str, architecture: str = "all") -> Stanza:
    path = f"pool/main/{name[0]}/{name}/{name}_{version}_{architecture}.deb"
    text = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nFilename: {path}\nSize: 1\n"
    return Stanza(
        name=name,
        version=version,
        architecture=architecture,
        filename=path,
        size=1,
        sha256="0" * 64,
        text=f"{text}Maintainer: Ann Bee <ann@bee.example>\nDescription: {name}\nSHA256: {'0' * 64}\n",
    )


def offer(snapshot: str = NEW, *, version: str = OURS, more: tuple[Stanza, ...] = ()) -> Offer:
    there = (stanza("zookeeper", version), stanza("our-stack-archive-keyring", "20261124.1.1"), *more)
    return Offer(
        snapshot=snapshot,
        origin="Our Stack",
        components=("main",),
        packages={"amd64": {one.name: one for one in there}},
    )


def sources(*, rollback: bool = True, url: str = "https://apt.example/deb") -> Sources:
    file = "pool/main/o/our-stack-archive-keyring/our-stack-archive-keyring_20261124.1.1_all.deb"
    return Sources(
        upgrade=offer(),
        rollback=offer(OLD, version=BEFORE) if rollback else None,
        trust=Trust(name="our-stack-archive-keyring", version="20261124.1.1", path=file, content=b"deb"),
        url=url,
    )


def text(made: Sources, name: str) -> str:
    return made.files()[name].content.decode()


def host(root: Path, pins: str, *, installed: str = "", offers: dict[str, tuple[Stanza, ...]]) -> AptHost:
    """A host with sources that each have some packages, and pins."""
    made = AptHost._bare(root)
    for name, packages in offers.items():
        (root / name).mkdir()
        (root / name / "Packages").write_text("\n".join(one.text for one in packages))
        (root / f"etc/apt/sources.list.d/{name}.list").write_text(
            f"deb [trusted=yes] file:{root}/{name} ./\n"
        )
    (root / "etc/apt/preferences.d/ours.pref").write_text(pins)
    if installed:
        one = stanza("zookeeper", installed).text.replace("\n", "\nStatus: install ok installed\n", 1)
        (root / "var/lib/dpkg/status").write_text(one)
    made.update()
    return made


def test_a_source_is_the_snapshots_own_suite_and_trusts_the_keyring_packages_keys() -> None:
    (entry,) = Deb822.iter_paragraphs(text(sources(), "upgrade.sources"))
    assert entry == {
        "Types": "deb",
        "URIs": "https://apt.example/deb",
        "Suites": "snapshot-abababababababab",
        "Components": "main",
        "Signed-By": "/usr/share/keyrings/our-stack-archive-keyring.gpg",
    }
    (back,) = Deb822.iter_paragraphs(text(sources(), "rollback.sources"))
    assert back["Suites"] == "snapshot-cdcdcdcdcdcdcdcd"


def test_each_package_is_pinned_to_its_version_but_for_the_keyring_which_never_goes_back() -> None:
    (pin,) = Deb822.iter_paragraphs(pins_text(offer()))
    assert pin == {
        "Explanation": "snapshot-abababababababab of Our Stack",
        "Package": "zookeeper",
        "Pin": f"version {OURS}",
        "Pin-Priority": "1001",
    }


def test_what_the_other_snapshot_has_is_held_above_debian_and_below_what_is_wanted() -> None:
    other = offer(OLD, version=BEFORE, more=(stanza("gone", "1"),))
    now = offer(more=(stanza("same", "2"),))
    other = replace(other, packages={"amd64": {**other.packages["amd64"], "same": stanza("same", "2")}})
    pins = [
        (one["Package"], one["Pin"].split()[1], one["Pin-Priority"])
        for one in Deb822.iter_paragraphs(pins_text(now, other))
    ]
    assert pins == [
        ("gone", "1", "995"),
        ("same", "2", "1001"),
        ("zookeeper", OURS, "1001"),
        ("zookeeper", BEFORE, "995"),
    ]


def test_debians_newer_package_does_not_win_where_the_snapshots_lists_are_missing(tmp_path: Path) -> None:
    debian = {"debian": (stanza("zookeeper", DEBIANS),)}
    for way, installed in (("upgrade", BEFORE), ("rollback", OURS)):
        pins = text(sources(), f"{way}.pref")
        assert (
            host(tmp_path / way, pins, installed=installed, offers=debian).candidate("zookeeper") == installed
        )


def test_architectures_with_different_versions_have_a_pin_each() -> None:
    both = offer(more=(stanza("hadoop", "2", "amd64"),))
    both = replace(both, packages={**both.packages, "arm64": {"hadoop": stanza("hadoop", "1", "arm64")}})
    pins = [(one["Package"], one["Pin"]) for one in Deb822.iter_paragraphs(pins_text(both))]
    assert pins == [("hadoop", "version 1"), ("hadoop", "version 2"), ("zookeeper", f"version {OURS}")]


def test_debians_newer_package_never_wins(tmp_path: Path) -> None:
    offers = {"debian": (stanza("zookeeper", DEBIANS),), "ours": (stanza("zookeeper", OURS),)}
    assert host(tmp_path / "plain", "", offers=offers).candidate("zookeeper") == DEBIANS
    pinned = host(tmp_path / "pinned", pins_text(offer()), offers=offers)
    assert pinned.candidate("zookeeper") == OURS
    upgraded = host(tmp_path / "upgraded", pins_text(offer()), installed=DEBIANS, offers=offers)
    assert upgraded.candidate("zookeeper") == OURS


def test_the_rollback_twin_takes_a_host_down(tmp_path: Path) -> None:
    offers = {"debian": (stanza("zookeeper", DEBIANS),), "old": (stanza("zookeeper", BEFORE),)}
    pins = text(sources(), "rollback.pref")
    assert host(tmp_path / "h", pins, installed=OURS, offers=offers).candidate("zookeeper") == BEFORE


def test_role_and_module_hold_the_same_texts_as_the_plain_files() -> None:
    files = sources().files()
    plain = {"use-upgrade", "use-rollback", "guard-on", "guard-off"}
    plain |= {"our-stack-archive-keyring_20261124.1.1_all.deb"}
    for folder in (f"{ROLE}/files", "puppet/apt_our_stack/files"):
        assert {name: files[f"{folder}/{name}"] for name in plain} == {name: files[name] for name in plain}
        assert {name for name in files if name.startswith(folder)} == {f"{folder}/{name}" for name in plain}
    assert all(files[name].program for name in ("guard-on", "guard-off", "use-upgrade", "use-rollback"))


def test_the_role_is_good_yaml_and_the_script_says_where_everything_goes() -> None:
    files = sources().files()
    for name, file in files.items():
        if name.endswith(".yml"):
            assert yaml.safe_load(file.content), name
    tasks = yaml.safe_load(files[f"{ROLE}/tasks/main.yml"].content)
    (script,) = [one["ansible.builtin.script"]["cmd"] for one in tasks if "ansible.builtin.script" in one]
    assert script == "use-{{ apt_our_stack_state }}"
    for place in ("sources.list.d/our-stack.sources", "preferences.d/our-stack.pref"):
        assert f"=/etc/apt/{place}\n" in files["use-upgrade"].content.decode()
    assert json.loads(files["puppet/apt_our_stack/metadata.json"].content)["name"].endswith("apt_our_stack")


def test_without_a_way_back_nothing_offers_one() -> None:
    files = sources(rollback=False).files()
    assert not [name for name in files if "rollback" in name]
    offered = [
        name for name, file in files.items() if b"rollback'" in file.content or b"- rollback" in file.content
    ]
    assert offered == []


def test_the_scripts_are_good_shell(tmp_path: Path) -> None:
    lay_out(sources().files(), tmp_path / "out", record="sources.json")
    scripts = sorted(
        one for one in (tmp_path / "out").iterdir() if one.is_file() and one.stat().st_mode & 0o100
    )
    assert [one.name for one in scripts] == ["guard-off", "guard-on", "use-rollback", "use-upgrade"]
    run(["shellcheck", *scripts])


@pytest.mark.parametrize(
    "url", ["", "apt.example", "http://x/$(id)", "http://x/a b", "http://x/'", 'http://x/"']
)
def test_an_address_that_could_be_read_otherwise_in_a_script_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="no address that hosts reach") as caught:
        sources(url=url)
    assert "--url" in caught.value.hint


def laid_out(folder: Path, *names: str) -> None:
    lay_out({name: File(b"x", program=True) for name in ("record", *names)}, folder, record="record")


def files_below(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("[!.]*") if one.is_file())


def test_a_folder_is_replaced_whole_and_one_with_other_things_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    laid_out(folder, "a/b", "old")
    laid_out(folder, "new")
    assert files_below(folder) == ["new", "record"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis").write_text("x")
    with pytest.raises(InputError, match="holds something else"):
        laid_out(tmp_path / "mine", "new")
    assert (tmp_path / "mine/thesis").read_text() == "x"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine", "out"]


@pytest.mark.parametrize("own", ["notes", "a/notes", "hosts/w1.json"])
def test_what_somebody_put_into_a_folder_of_an_earlier_run_is_named_and_left(
    tmp_path: Path, own: str
) -> None:
    folder = tmp_path / "out"
    laid_out(folder, "a/b", "old")
    (folder / own).parent.mkdir(exist_ok=True)
    (folder / own).write_text("x")
    with pytest.raises(InputError, match=f"has {own}, which no earlier run wrote"):
        laid_out(folder, "new")
    assert files_below(folder) == sorted(["a/b", "old", "record", own])


def test_a_folder_that_cannot_be_replaced_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    laid_out(folder, "old")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target == folder and path.name != "out":
            raise OSError(5, "Input/output error", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(EnvironmentMissing, match="Input/output error"):
        laid_out(folder, "new")
    assert files_below(tmp_path) == ["out/old", "out/record"]

# SPDX-License-Identifier: Apache-2.0
"""What images are made of, and what their ids depend on. Nothing is built here."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder import registry
from bigtop_builder.base import BaseSpec, apt_sources
from bigtop_builder.errors import InputError
from bigtop_builder.image import ImageSpec, builder_image, context, target_image
from bigtop_builder.recipe import Recipe
from bigtop_builder.repository.keyring_package import KeyringPackage
from bigtop_builder.run import run
from bigtop_builder.settings import Settings

DIGEST = f"sha256:{'5' * 64}"
JDK = {"package": "openjdk-11-jdk", "version": "11"}


def _recipe(**image: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "format": 1,
            "release": "3.5.0",
            "bigtop": {"repository": "bigtop", "commit": "0" * 40},
            "target": {"distribution": "debian", "suite": "bullseye", "tag": "deb11"},
            "image": {"jdk": JDK, **image},
            "components": [{"name": "bigtop-utils"}],
        }
    )


def _settings(**changed: Any) -> Settings:
    return Settings(**{"ca_certificates": None, "check_valid_until": True, **changed})


def _builder(settings: Settings | None = None, **image: Any) -> ImageSpec:
    return builder_image(_recipe(**image), settings or _settings())


def _certificates(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "site.crt").write_text(content)
    return folder


def test_the_same_inputs_are_the_same_image_whoever_asks() -> None:
    assert _builder() == _builder()
    assert _builder().name == f"bigtop-builder/builder:{_builder().id[:16]}"


def test_a_builder_and_a_target_are_different_images() -> None:
    assert _builder().id != target_image(_recipe(), _settings()).id


@pytest.mark.parametrize(
    "changed",
    [
        {"mirrors": {"debian": "http://mirror.example/debian"}},
        {"check_valid_until": False},
        {"proxy": "http://user:secret@proxy.example:3128"},
        {"image": {"registry": "registry.example"}},
    ],
)
def test_what_cannot_change_the_content_is_not_in_the_id(changed: dict[str, Any]) -> None:
    assert _builder(_settings(**changed)).id == _builder().id


def test_a_pinned_base_has_one_id_whatever_registry_it_comes_from() -> None:
    elsewhere = _builder(registry="mirror.example/debian:11", digest=DIGEST)
    assert elsewhere.id == _builder(registry="debian:11", digest=DIGEST).id


@pytest.mark.parametrize(
    "image",
    [
        {"packages": ["libcap-dev"]},
        {"jdk": {"package": "openjdk-17-jdk", "version": "17"}},
        {"jdk": {**JDK, "suite": "sid"}},
        {"suite": "bookworm"},
        {"registry": "debian:11", "digest": DIGEST},
    ],
)
def test_what_the_recipe_says_of_the_image_is_in_the_id(image: dict[str, Any]) -> None:
    assert _builder(**image).id != _builder().id


def test_gradle_of_the_system_and_missing_security_updates_are_in_the_id() -> None:
    ids = {
        _builder().id,
        _builder(_settings(gradle="system")).id,
        _builder(_settings(mirrors={"debian_security": ""})).id,
    }
    assert len(ids) == 3


def test_the_content_of_a_certificate_is_in_the_id_and_its_folder_is_not(tmp_path: Path) -> None:
    def identity(name: str, content: str) -> str:
        return _builder(_settings(ca_certificates=_certificates(tmp_path / name, content))).id

    assert identity("here", "a") == identity("there", "a") != identity("other", "b")


def test_a_missing_certificate_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        _builder(_settings(ca_certificates=tmp_path / "nothing"))


def test_gradle_is_installed_only_where_the_settings_ask_for_the_systems() -> None:
    assert " gradle " not in _builder().setup
    assert " gradle " in _builder(_settings(gradle="system")).setup


def test_a_jdk_of_another_suite_is_pinned_and_nothing_else_comes_from_there() -> None:
    setup = _builder(jdk={"package": "openjdk-8-jdk", "version": "8", "suite": "sid"}).setup
    assert "Package: *\nPin: release n=sid\nPin-Priority: 100\n" in setup
    assert "Package: openjdk-8-*\nPin: release n=sid\nPin-Priority: 990\n" in setup


def test_a_jdk_of_the_builders_own_suite_needs_no_pin() -> None:
    assert "Pin" not in _builder(jdk={**JDK, "suite": "bullseye"}).setup


def test_a_target_has_neither_a_jdk_nor_a_policy_against_starting_daemons() -> None:
    spec = target_image(_recipe(), _settings())
    assert "openjdk" not in spec.setup
    assert "JAVA_HOME" not in spec.dockerfile
    assert spec.setup.index("rm -f /usr/sbin/policy-rc.d") > spec.setup.index("apt-get -q -y")


@pytest.mark.parametrize("jdk", [JDK, {**JDK, "suite": "sid"}])
def test_the_setup_is_a_shell_script_without_syntax_errors(jdk: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "setup.sh"
    script.write_text(_builder(jdk=jdk).setup)
    assert run(["sh", "-n", script]).complaint == ""


def test_no_proxy_reaches_a_file_of_the_image() -> None:
    settings = _settings(proxy="http://user:secret@proxy.example:3128")
    assert b"secret" not in b"".join(context(_builder(settings), settings).values())


def test_the_sites_mirrors_and_certificates_are_laid_over_the_system(tmp_path: Path) -> None:
    settings = _settings(
        mirrors={"debian": "http://mirror.example/debian"},
        ca_certificates=_certificates(tmp_path / "ca", "certificate"),
    )
    files = context(_builder(settings), settings)
    assert b"mirror.example" in files["root/etc/apt/sources.list.d/debian.sources"]
    assert files["root/usr/local/share/ca-certificates/bigtop-builder/site.crt"] == b"certificate"


def test_the_distributions_sources_never_have_the_name_of_a_repositorys() -> None:
    package = KeyringPackage(
        origin="bigtop-builder",
        keys=b"",
        url="http://repository.example",
        suites=("stable",),
        version="1",
        date=datetime.now(UTC),
        maintainer="Some One <some@one.example>",
    )
    files = context(target_image(_recipe(), _settings()), _settings())
    assert f"root{package.sources}" not in files
    assert "root/etc/apt/sources.list.d/debian.sources" in files


def _base(suite: str, distribution: Any = "debian", *, security: bool = True) -> BaseSpec:
    return BaseSpec(distribution=distribution, suite=suite, architecture="amd64", security=security)


@pytest.mark.parametrize(
    ("base", "suites"),
    [
        (_base("buster"), ["buster buster-updates", "buster/updates"]),
        (_base("bullseye"), ["bullseye bullseye-updates", "bullseye-security"]),
        (_base("trixie"), ["trixie trixie-updates", "trixie-security"]),
        (_base("trixie", security=False), ["trixie trixie-updates"]),
        (_base("sid"), ["sid"]),
        (_base("jammy", "ubuntu"), ["jammy jammy-updates jammy-security"]),
    ],
)
def test_the_sources_have_the_updates_and_security_suites_that_exist(
    base: BaseSpec, suites: list[str]
) -> None:
    text = apt_sources(base, _settings())
    assert [line[8:] for line in text.splitlines() if line.startswith("Suites: ")] == suites


def test_valid_until_is_switched_off_for_the_archive_alone_and_only_when_asked() -> None:
    assert "Check-Valid-Until" not in apt_sources(_base("trixie"), _settings())
    settings = _settings(check_valid_until=False)
    assert apt_sources(_base("trixie"), settings).count("Check-Valid-Until: no") == 2
    assert (
        b"Valid-Until"
        not in context(_builder(settings), settings)["root/etc/apt/apt.conf.d/90bigtop-builder"]
    )


def test_a_pinned_registry_image_is_the_base_unless_the_settings_say_mmdebstrap() -> None:
    pinned: dict[str, Any] = {"registry": "debian:11", "digest": DIGEST}
    assert _builder(**pinned).base.digest == DIGEST
    assert _builder(_settings(image={"base": "mmdebstrap"}), **pinned).base.digest == ""
    assert _builder(registry="debian:11").base.digest == ""


def test_a_registry_image_without_a_digest_is_refused_where_the_settings_ask_for_one() -> None:
    with pytest.raises(InputError, match="pins no base image") as raised:
        _builder(_settings(image={"base": "registry"}), registry="debian:11")
    assert "image pin" in raised.value.hint


def test_a_target_of_another_suite_than_the_builder_never_starts_from_the_builders_base() -> None:
    recipe = _recipe(suite="trixie", registry="debian:13", digest=DIGEST)
    assert builder_image(recipe, _settings()).base.suite == "trixie"
    target = target_image(recipe, _settings(image={"base": "registry"})).base
    assert (target.suite, target.digest) == ("bullseye", "")


@pytest.mark.parametrize(
    ("reference", "host", "name"),
    [
        ("debian:11", "", "docker.io/library/debian:11"),
        ("me/debian", "", "docker.io/me/debian"),
        ("registry.example/me/debian:11", "", "registry.example/me/debian:11"),
        ("localhost/debian:11", "", "localhost/debian:11"),
        ("registry.example/me/debian:11", "127.0.0.1:5000", "127.0.0.1:5000/me/debian:11"),
    ],
)
def test_a_sites_registry_takes_the_place_of_the_recipes(reference: str, host: str, name: str) -> None:
    assert registry.full_name(reference, _settings(image={"registry": host})) == name


def test_a_digest_takes_the_place_of_the_tag_and_leaves_the_port() -> None:
    name = registry.full_name("127.0.0.1:5000/me/debian:11", _settings(), digest=DIGEST)
    assert name == f"127.0.0.1:5000/me/debian@{DIGEST}"

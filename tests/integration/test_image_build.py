# SPDX-License-Identifier: Apache-2.0
"""Images as the engine builds them, from mmdebstrap's base and from a registry of the test's own."""

import io
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from rooms import MINIATURE, site, spec

from bigtop_builder.base import base_tarball
from bigtop_builder.container import Engine
from bigtop_builder.engine_images import ensure_image, list_images, pin
from bigtop_builder.errors import EnvironmentMissing, ImageError, InputError
from bigtop_builder.image import ImageSpec, builder_image, target_image
from bigtop_builder.recipe import Recipe
from bigtop_builder.run import run, stream
from bigtop_builder.settings import Settings
from bigtop_builder.tarstream import pack
from bigtop_builder.workspace import Workspace

pytestmark = [pytest.mark.docker, pytest.mark.network]

CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
RECIPE = """# a comment that stays
format = 1
release = "1.0.0"
bigtop = { repository = "x", commit = "0000000000000000000000000000000000000000" }
target = { distribution = "debian", suite = "bookworm", tag = "deb12" }

[image]
registry = "registry.example/own/base:12" # so does this one

[image.jdk]
package = "openjdk-17-jdk-headless"
version = "17"

[[components]]
name = "some"
"""

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import rooms
from bigtop_builder.container import Engine
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.image import target_image
from bigtop_builder.recipe import Recipe
workspace, settings = rooms.site()
settings = settings.model_copy(update={"ca_certificates": Path(sys.argv[2])})
def die(line):
    if b"Reading package lists" in line:
        os.kill(os.getpid(), signal.SIGKILL)
image = target_image(Recipe.from_toml(rooms.MINIATURE), settings)
ensure_image(Engine.connect(), image, workspace=workspace, settings=settings, on_line=die)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.connect() as engine:
        yield engine


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """This site with a CA of the test's own, so that its images are the test's own too."""
    folder = tmp_path / "ca"
    folder.mkdir()
    subject = f"/CN=bigtop-builder test {os.getpid()} {time.time_ns()}"
    options = ["-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", os.devnull]
    run(["openssl", "req", "-x509", *options, "-out", folder / "own.crt"])
    for certificate in (site()[1].ca_certificates or tmp_path / "none").glob("*.crt"):
        shutil.copy(certificate, folder)
    return site()[1].model_copy(update={"ca_certificates": folder})


@contextmanager
def _removed(engine: Engine, *names: str) -> Iterator[None]:
    try:
        yield
    finally:
        for name in names:
            if engine.client.images.list(name):
                engine.client.images.remove(name, force=True)


def _ensure(engine: Engine, image: ImageSpec, settings: Settings, lines: list[bytes] | None = None) -> str:
    on_line = None if lines is None else lines.append
    return ensure_image(engine, image, workspace=site()[0], settings=settings, on_line=on_line).digest


def _nameless(engine: Engine, image: ImageSpec) -> list[Any]:
    label = f"bigtop-builder.id={image.id}"
    return engine.client.images.list(filters={"label": label, "dangling": True})


def test_an_image_is_built_once_and_holds_what_the_site_says(engine: Engine, own: Settings) -> None:
    image, lines = target_image(Recipe.from_toml(MINIATURE), own), list[bytes]()
    with _removed(engine, image.name):
        built = _ensure(engine, image, own, lines)
        assert any(b"apt-get" in line or b"Reading package lists" in line for line in lines)
        began = time.monotonic()
        assert _ensure(engine, image, own, lines) == built
        assert time.monotonic() - began < 0.2
        assert image.name in {listed.name for listed in list_images(engine)}
        with engine.rooms(image.name).open(purpose="look") as room:
            sources = room.run(["sh", "-c", "cat /etc/apt/sources.list.d/*"]).text
            room.run(["test", "-e", "/etc/ssl/certs/own.pem"])
            assert room.run(["sh", "-c", "ls /usr/sbin/policy-rc.d /tmp/*"], check=False).stdout == b""
        assert own.mirrors.debian in sources
        moved = own.model_copy(
            update={"mirrors": own.mirrors.model_copy(update={"debian": f"{own.mirrors.debian}/"})}
        )
        assert _ensure(engine, image, moved) != built
        assert _nameless(engine, image) == []


def test_a_proxys_password_is_in_no_layer_and_no_history_of_an_image(engine: Engine, own: Settings) -> None:
    mirrors = (own.mirrors.debian, own.mirrors.debian_security)
    around = ",".join(urlsplit(mirror).hostname or "" for mirror in mirrors)
    settings = own.model_copy(
        update={"proxy": "http://user:open-sesame@127.0.0.1:9", "no_proxy": f"{around},localhost"}
    )
    image, lines = target_image(Recipe.from_toml(MINIATURE), settings), list[bytes]()
    with _removed(engine, image.name):
        _ensure(engine, image, settings, lines)
        said = [engine.client.api.inspect_image(image.name), engine.client.api.history(image.name), lines]
        assert "open-sesame" not in str(said)
        end = b""
        for piece in engine.client.images.get(image.name).save():
            assert b"open-sesame" not in end + piece
            end = piece[-20:]


def test_a_killed_build_leaves_no_image_and_no_container_and_the_next_one_works(
    engine: Engine, own: Settings
) -> None:
    image = target_image(Recipe.from_toml(MINIATURE), own)
    label = {"label": f"bigtop-builder.id={image.id}"}
    folders = [Path(__file__).parent, own.ca_certificates or ""]
    with _removed(engine, image.name):
        killed = run([sys.executable, "-c", KILLED, *folders], check=False)
        assert killed.returncode == -signal.SIGKILL, killed.complaint
        assert not engine.client.images.list(image.name)
        deadline = time.monotonic() + 30
        while engine.client.containers.list(all=True, filters=label, ignore_removed=True):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        _ensure(engine, image, own)
        assert _nameless(engine, image) == []


def test_a_package_that_does_not_exist_is_named_and_nothing_is_left(engine: Engine, own: Settings) -> None:
    recipe = Recipe.model_validate(
        Recipe.from_toml(MINIATURE).model_dump()
        | {"image": {"jdk": {"package": "no-such-jdk", "version": "0"}}}
    )
    image = builder_image(recipe, own)
    with pytest.raises(ImageError, match="cannot be built") as raised:
        _ensure(engine, image, own)
    assert "Unable to locate package no-such-jdk" in raised.value.details
    assert "recipe" in raised.value.hint
    assert not engine.client.images.list(image.name)
    assert _nameless(engine, image) == []


def test_a_suite_that_the_mirror_lacks_is_named_and_nothing_half_made_stays(tmp_path: Path) -> None:
    mirrors = site()[1].mirrors.model_copy(update={"debian_security": site()[1].mirrors.debian})
    settings = site()[1].model_copy(update={"mirrors": mirrors})
    workspace = Workspace(tmp_path)
    with pytest.raises(ImageError, match="mmdebstrap cannot make debian bookworm") as raised:
        base_tarball(spec().base, workspace=workspace, settings=settings)
    assert "mirrors.debian_security" in raised.value.hint
    assert list(workspace.images.iterdir()) == []


def test_an_engine_of_another_architecture_is_refused(engine: Engine, own: Settings) -> None:
    other = "arm64" if engine.architecture == "amd64" else "amd64"
    data = Recipe.from_toml(MINIATURE).model_dump()
    image = target_image(
        Recipe.model_validate(data | {"target": {**data["target"], "architecture": other}}), own
    )
    with pytest.raises(EnvironmentMissing, match=f"target is {other}"):
        _ensure(engine, image, own)


def test_a_recipe_without_a_registry_image_cannot_be_pinned(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.replace("registry =", "# registry ="))
    with pytest.raises(InputError, match="names no base image"):
        pin(engine, path, Recipe.from_toml(path), Settings())


def test_an_image_that_a_registry_does_not_have_is_named(
    engine: Engine, registry: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    settings = Settings.model_validate({"image": {"registry": registry}})
    with pytest.raises(ImageError, match=f"{registry}/own/base:12 cannot be had from its registry"):
        pin(engine, path, Recipe.from_toml(path), settings)
    assert path.read_text() == RECIPE


def test_a_base_is_pinned_by_digest_and_built_from_after_the_tag_moved(
    engine: Engine, registry: str, own: Settings, tmp_path: Path
) -> None:
    path, name = tmp_path / "recipe.toml", f"{registry}/own/base"
    path.write_text(RECIPE)
    settings = own.model_copy(
        update={"image": own.image.model_copy(update={"registry": registry, "base": "registry"})}
    )
    with _removed(engine, f"{name}:12"):
        _ensure(engine, spec(), site()[1])
        base = engine.client.images.get(f"bigtop-builder/base:{spec().base.id[:16]}")
        base.tag(name, "12")
        engine.client.images.push(name, tag="12")
        digest = pin(engine, path, Recipe.from_toml(path), settings)
        other = io.BytesIO(b"".join(pack({"marker": b"another base"})))
        engine.client.api.import_image_from_data(other.getvalue(), name, "12")
        engine.client.images.push(name, tag="12")
    assert path.read_text() == RECIPE.replace("[image.jdk]", f'digest = "{digest}"\n\n[image.jdk]').replace(
        "this one\n\ndigest", "this one\ndigest"
    )
    image = target_image(Recipe.from_toml(path), settings)
    with _removed(engine, image.name, f"{name}@{digest}"):
        _ensure(engine, image, settings)
        with engine.rooms(image.name).open(purpose="pinned") as room:
            assert "bookworm" in room.run(["cat", "/etc/os-release"]).text


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on this machine's loopback, where the engine takes plain HTTP."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed (./bootstrap test installs it)")
    folder = tmp_path_factory.mktemp("registry")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(CONFIG.format(folder=folder / "data", port=port))
    lines: list[bytes] = []
    command = ["sh", "-c", 'echo $$; exec docker-registry serve "$1"', "sh", config]
    server = threading.Thread(target=stream, args=(command,), kwargs={"on_line": lines.append})
    server.start()
    try:
        deadline = time.monotonic() + 10
        while not any(b"listening on" in line for line in lines):
            assert time.monotonic() < deadline, lines
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        os.kill(int(lines[0]), signal.SIGTERM)
        server.join()

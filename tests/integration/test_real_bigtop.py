# SPDX-License-Identifier: Apache-2.0
"""Apache Bigtop itself: two of its releases built, published side by side, and installed on clean hosts.

It runs where BIGTOP_GIT names a clone of apache/bigtop. A cold cache builds images and all components, for
minutes; BIGTOP_BUILDER_CACHE_DIR names one to keep. docs/real-builds.md has the figures.
"""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomlkit

from bigtop_builder.container import Engine
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.image import target_image
from bigtop_builder.recipe import Recipe
from bigtop_builder.repository.serve import serve
from bigtop_builder.run import run
from bigtop_builder.settings import load_settings
from bigtop_builder.workspace import Project, Workspace

pytestmark = [
    pytest.mark.real,
    pytest.mark.docker,
    pytest.mark.network,
    pytest.mark.skipif("BIGTOP_GIT" not in os.environ, reason="BIGTOP_GIT names no clone of apache/bigtop"),
]

ORIGIN = Project(Path(__file__).parents[2])
OLD, NEW = "3.3.0", "3.5.0"
UPSTREAM = "https://github.com/apache/bigtop.git"
SERVER = "repository.example"
RUOK = "exec 3<>/dev/tcp/127.0.0.1/2181 && printf ruok >&3 && cat <&3"
AS_ZOOKEEPER = "runuser -s /bin/bash zookeeper -c"

Ask = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Real:
    """A project of the test's own, with both releases published: the old one in stable, the new in testing."""

    project: Project
    cache: Path
    port: int

    def tool(self, *words: str) -> str:
        """What a command of the tool prints."""
        env = {
            "BIGTOP_BUILDER_CACHE_DIR": str(self.cache),
            "BIGTOP_BUILDER_GRADLE": os.environ.get("BIGTOP_BUILDER_GRADLE", "system"),
            "BIGTOP_BUILDER_KEYS_DIR": str(self.project.root / "keys"),
            "BIGTOP_BUILDER_MIRRORS__GIT": json.dumps({UPSTREAM: os.environ["BIGTOP_GIT"]}),
        }
        tool = [sys.executable, "-m", "bigtop_builder", f"--project={self.project.root}"]
        return run([*tool, *words], env=env).text

    def release(self, name: str, *components: str, suite: str) -> None:
        """Build, verify, sign and publish components of a release."""
        chosen = [word for component in components for word in ("-c", component)]
        self.tool("plan", name, *chosen, "--bump")
        self.tool("release", name, *chosen, "--suite", suite)

    @contextmanager
    def host(self) -> Iterator[Ask]:
        """A clean Debian 11 that trusts the repository's stable suite through its keyring package."""
        settings = load_settings()
        spec = target_image(Recipe.from_toml(self.project.recipes / f"{NEW}.toml"), settings)
        folder = self.project.root / "repository"
        with Engine.connect() as engine:
            image = ensure_image(engine, spec, workspace=Workspace(self.cache), settings=settings)
            with (
                engine.rooms(image.name).open(purpose="real") as room,
                serve(folder, host=room.gateway, port=self.port),
            ):

                def ask(line: str) -> str:
                    env = {"DEBIAN_FRONTEND": "noninteractive"}
                    return room.run(["bash", "-ec", line], env=env, cwd="/").text

                keyring = next(folder.glob("pool/**/*-archive-keyring_*.deb")).relative_to(folder)
                url = f"http://{SERVER}:{self.port}/{keyring}"
                ask(f"echo '{room.gateway} {SERVER}' >> /etc/hosts")
                ask(f"/usr/lib/apt/apt-helper download-file {url} /tmp/keyring.deb")
                ask("dpkg --install /tmp/keyring.deb && apt-get update")
                yield ask


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    """Both releases, published."""
    root = tmp_path_factory.mktemp("real")
    cache = Path(os.environ.get("BIGTOP_BUILDER_CACHE_DIR") or root / "cache")
    project = Project(root / "project")
    project.recipes.mkdir(parents=True)
    for recipe in (OLD, NEW):
        shutil.copy(ORIGIN.recipes / f"{recipe}.toml", project.recipes)
    shutil.copytree(ORIGIN.patches, project.patches)
    with socket.create_server(("", 0)) as listening:
        made = Real(project=project, cache=cache, port=listening.getsockname()[1])
    define(made)
    made.release(OLD, "bigtop-jsvc", suite="stable")
    made.release(NEW, "zookeeper", "bigtop-jsvc", suite="testing")
    return made


def define(real: Real) -> None:
    """Write the project's repository definition, with a new key."""
    key = json.loads(real.tool("key", "new", "Real", "real@example.org", "--json"))
    definition = tomlkit.parse(ORIGIN.definition.read_text(encoding="utf-8"))
    definition["origin"] = "Real"
    definition["keys"] = [key["fingerprint"]]
    definition["url"] = f"http://{SERVER}:{real.port}"
    definition["storage"] = "repository"
    real.project.definition.parent.mkdir()
    real.project.definition.write_text(tomlkit.dumps(definition), encoding="utf-8")


def to_testing(host: Ask) -> None:
    """Let a host take its packages from testing."""
    host("sed -i 's/^Suites: .*/Suites: testing/' /etc/apt/sources.list.d/real.sources")


def test_the_set_verifies_with_a_started_and_answering_zookeeper(real: Real) -> None:
    verdict = json.loads((real.project.output / NEW / "verdict.json").read_text(encoding="utf-8"))
    service = [finding for finding in verdict["findings"] if finding["check"] == "service"]
    assert [(one["subject"], one["outcome"]) for one in service] == [("zookeeper-server", "passed")]
    assert "probe succeeded" in service[0]["detail"]


def test_a_host_with_the_older_release_sees_the_newer_one_as_an_upgrade(real: Real) -> None:
    with real.host() as host:
        host("apt-get -y install bigtop-utils bigtop-jsvc")
        assert "Installed: 1.2.4-1+bt3.3.0.1~deb11" in host("apt-cache policy bigtop-jsvc")
        to_testing(host)
        host("apt-get update")
        assert "Candidate: 1.4.0-1+bt3.5.0.1~deb11" in host("apt-cache policy bigtop-jsvc")
        assert "Candidate: 3.5.0-1+bt3.5.0.1~deb11" in host("apt-cache policy bigtop-utils")
        assert "2 upgraded" in host("apt-get -y upgrade")
        version = host("dpkg-query -W -f '${Version}' bigtop-jsvc")
        assert version == "1.4.0-1+bt3.5.0.1~deb11"


def test_a_clean_host_installs_zookeeper_from_the_repository_and_it_says_imok(real: Real) -> None:
    with real.host() as host:
        to_testing(host)
        host("apt-get update")
        version = "3.8.4-1+bt3.5.0.1~deb11"
        wanted = f"zookeeper-server={version} zookeeper={version}"  # Debian has a zookeeper too
        host(f"apt-get -y install {wanted} openjdk-11-jre-headless procps")
        host("echo '4lw.commands.whitelist=ruok' >> /etc/zookeeper/conf/zoo.cfg")
        host(f"{AS_ZOOKEEPER} zookeeper-server-initialize")
        host(f"{AS_ZOOKEEPER} 'zookeeper-server start' > /tmp/start.log 2>&1")
        assert host(f"for i in {{1..60}}; do ({RUOK}) 2>/dev/null && break; sleep 0.5; done") == "imok"

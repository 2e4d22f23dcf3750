# SPDX-License-Identifier: Apache-2.0
"""A host as far as apt is concerned: the real apt with a root folder of its own. Needs no root rights."""

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.run import Completed, run

FOLDERS = (
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "etc/apt/trusted.gpg.d",
    "usr/share/keyrings",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/log/apt",
)


@dataclass(frozen=True)
class AptHost:
    """Apt below `root`; nothing of this machine's apt configuration is read."""

    root: Path

    @classmethod
    def make(cls, root: Path, keyring_package: Path) -> "AptHost":
        """A host on which the archive-keyring package was unpacked, and nothing else."""
        host = cls._bare(root)
        run(["dpkg-deb", "-x", keyring_package, root])
        for sources in (root / "etc/apt/sources.list.d").glob("*.sources"):
            text = sources.read_text()
            sources.write_text(re.sub(r"^Signed-By: ", f"Signed-By: {root}", text, flags=re.MULTILINE))
        return host

    @classmethod
    def following(cls, root: Path, *, url: str, suite: str, key: bytes) -> "AptHost":
        """A host that has one suite among its sources and trusts one key, binary."""
        host = cls._bare(root)
        (root / "usr/share/keyrings/test.gpg").write_bytes(key)
        (root / "etc/apt/sources.list.d/test.sources").write_text(
            f"Types: deb\nURIs: {url}\nSuites: {suite}\nComponents: main\n"
            f"Signed-By: {root}/usr/share/keyrings/test.gpg\n"
        )
        return host

    @classmethod
    def _bare(cls, root: Path) -> "AptHost":
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        (root / "apt.conf").write_text(
            f'Dir "{root}";\nDir::State::status "{root}/var/lib/dpkg/status";\n'
            'Dir::Bin::methods "/usr/lib/apt/methods";\nDir::Bin::dpkg "/usr/bin/dpkg";\n'
            'Dir::Bin::apt-key "/usr/bin/apt-key";\nAPT::Architecture "amd64";\nAPT::Architectures {"amd64";};\n'
            'APT::Sandbox::User "";\nAcquire::http::Proxy "DIRECT";\nAcquire::Languages "none";\n'
        )
        return cls(root)

    def apt(self, *words: str, check: bool = True) -> Completed:
        """Run apt-get."""
        return run(["apt-get", "-q", *words], env={"APT_CONFIG": str(self.root / "apt.conf")}, check=check)

    def update(self, *options: str) -> Completed:
        """`apt-get update`, of which the least warning fails."""
        done = self.apt("update", *options, "-eany", check=False)
        assert done.returncode == 0, done.text + done.complaint
        assert "W:" not in done.complaint, done.complaint
        return done

    def candidate(self, package: str) -> str:
        """Version that apt would install."""
        said = run(["apt-cache", "policy", package], env={"APT_CONFIG": str(self.root / "apt.conf")}).text
        found = re.search(r"Candidate: (\S+)", said)
        return found[1] if found else ""

    def download(self, package: str, folder: Path) -> Path:
        """Fetch a package, as an install would, checked by its hash."""
        done = run(
            ["apt-get", "-q", "download", package],
            env={"APT_CONFIG": str(self.root / "apt.conf")},
            cwd=folder,
        )
        assert done.returncode == 0
        return next(folder.glob(f"{package}_*.deb"))

    def install(self, package: str) -> str:
        """Install a package for real, with dpkg below `root`, and return the version that is there then."""
        forced = ("not-root", "unsafe-io", "script-chrootless")  # there is no shell below `root`
        options = [f"--root={self.root}", *(f"--force-{one}" for one in forced), "--log=/dev/null"]
        self.apt(
            *("-y", "--allow-downgrades", "install", package),
            *(f"-oDPkg::Options::={option}" for option in options),
        )
        queried = run(["dpkg-query", f"--root={self.root}", "-W", "-f${Version} ${Status}", package]).text
        version, _, status = queried.partition(" ")
        assert status == "install ok installed", queried
        return version

    @property
    def lists(self) -> Path:
        """What apt knows of the suites that it follows."""
        return self.root / "var/lib/apt/lists"

    def remember(self, lists: Path) -> None:
        """Be as when another host's lists were taken, with nothing installed."""
        for folder in ("var/lib/apt/lists", "var/cache/apt", "var/lib/dpkg", "usr/share/doc"):
            shutil.rmtree(self.root / folder, ignore_errors=True)
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "var/lib/dpkg/status").touch()
        shutil.copytree(lists, self.lists, dirs_exist_ok=True)


def write_deb(folder: Path, name: str, version: str, *, architecture: str = "all", data: bytes = b"") -> Path:
    """A small package, made by dpkg-deb."""
    root = folder / "tree"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr/share").mkdir(parents=True)
    content = data or f"{name} {version}\n".encode()
    (root / "usr/share" / name).write_bytes(content)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    (root / "DEBIAN/md5sums").write_text(f"{digest}  usr/share/{name}\n")
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        f"Maintainer: Ann Bee <ann@bee.example>\nDescription: {name}\n A test's package.\n"
    )
    target = folder / f"{name}_{version}_{architecture}.deb"
    run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, target])
    shutil.rmtree(root)
    return target

# SPDX-License-Identifier: Apache-2.0
"""A host as far as apt is concerned: the real apt with a root folder of its own. Needs no root rights."""

import re
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
    "var/lib/dpkg",
    "var/log/apt",
)


@dataclass(frozen=True)
class AptHost:
    """Apt below `root`; nothing of this machine's apt configuration is read."""

    root: Path

    @classmethod
    def make(cls, root: Path, keyring_package: Path) -> "AptHost":
        """A host on which the archive-keyring package was unpacked, and nothing else."""
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        (root / "apt.conf").write_text(
            f'Dir "{root}";\nDir::State::status "{root}/var/lib/dpkg/status";\n'
            'Dir::Bin::methods "/usr/lib/apt/methods";\nDir::Bin::dpkg "/usr/bin/dpkg";\n'
            'Dir::Bin::apt-key "/usr/bin/apt-key";\nAPT::Architecture "amd64";\nAPT::Architectures {"amd64";};\n'
            'APT::Sandbox::User "";\nAcquire::http::Proxy "DIRECT";\nAcquire::Languages "none";\n'
        )
        run(["dpkg-deb", "-x", keyring_package, root])
        for sources in (root / "etc/apt/sources.list.d").glob("*.sources"):
            text = sources.read_text()
            sources.write_text(re.sub(r"^Signed-By: ", f"Signed-By: {root}", text, flags=re.MULTILINE))
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

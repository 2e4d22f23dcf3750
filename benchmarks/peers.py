# SPDX-License-Identifier: Apache-2.0
"""reprepro and aptly (Debian's packages of these names) as publishers to be measured beside."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.run import Argument, run

Commands = list[list[Argument]]
SUITE = "stable"


@dataclass(frozen=True, kw_only=True)
class Peers:
    """Where the peers work, and what they sign with.

    Attributes:
        root: Folder for all repositories.
        gnupg: GNUPGHOME with the key.
        key: Its fingerprint.
    """

    root: Path
    gnupg: Path
    key: str

    @classmethod
    def make(cls, root: Path) -> "Peers":
        """Peers with a new key."""
        gnupg = root / "gnupg"
        gnupg.mkdir(parents=True, mode=0o700)
        run(
            ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "Benchmark", "ed25519", "sign"],
            env={"GNUPGHOME": str(gnupg)},
        )
        listing = run(["gpg", "--with-colons", "--list-keys"], env={"GNUPGHOME": str(gnupg)}).text
        key = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        return cls(root=root, gnupg=gnupg, key=key)

    def reprepro(self, name: str, *, forms: str) -> None:
        """Make a repository, which writes Packages in these forms."""
        conf = self.root / name / "conf"
        conf.mkdir(parents=True)
        (conf / "distributions").write_text(
            f"Codename: {SUITE}\nArchitectures: amd64\nComponents: main\nSignWith: {self.key}\n"
            f"DebIndices: Packages Release {forms}\n"
        )

    def reprepro_add(self, name: str, debs: Sequence[Path]) -> Commands:
        """Publish packages."""
        return [["reprepro", "--silent", "-b", self.root / name, "includedeb", SUITE, *debs]]

    def aptly(self, name: str) -> None:
        """Make a repository."""
        folder = self.root / name
        folder.mkdir(parents=True)
        settings = {"rootDir": str(folder), "architectures": ["amd64"], "gpgProvider": "gpg"}
        (folder / "aptly.conf").write_text(json.dumps(settings))
        run([*self._aptly(name), "repo", "create", f"-distribution={SUITE}", "main"])

    def aptly_first(self, name: str, debs: Path) -> Commands:
        """Publish a folder of packages for the first time."""
        publish = [*self._aptly(name), "publish", "repo", *self._options(), "main"]
        return [[*self._aptly(name), "repo", "add", "main", debs], publish]

    def aptly_add(self, name: str, deb: Path) -> Commands:
        """Publish one more package."""
        update = [*self._aptly(name), "publish", "update", *self._options(), SUITE]
        return [[*self._aptly(name), "repo", "add", "main", deb], update]

    def _aptly(self, name: str) -> list[Argument]:
        return ["aptly", f"-config={self.root / name / 'aptly.conf'}"]

    def _options(self) -> list[str]:
        return ["-batch", f"-gpg-key={self.key}", "-skip-contents", "-skip-bz2"]

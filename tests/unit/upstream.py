# SPDX-License-Identifier: Apache-2.0
"""A small upstream: real commits with messages of their own, and patches as a maintainer makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from git_server import PERSON, Repository

from bigtop_builder.mirror import Mirror
from bigtop_builder.run import run

TEXT = "".join(f"line {number} of the file\n" for number in range(1, 41))
FILE = "server/start.sh"


@dataclass(frozen=True)
class Upstream(Repository):
    """A repository whose branch `main` begins with one file of 40 lines."""

    @property
    def mirror(self) -> Mirror:
        return Mirror(path=self.path / ".git", url="")

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def change(self, message: str, files: Mapping[str, str | None] | None = None, **more: str) -> str:
        """Commit files; None takes one out."""
        for name, text in {**(files or {}), **more}.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.head

    def read(self, path: str = FILE) -> str:
        return (self.path / path).read_text()

    def edit(self, message: str, *pairs: tuple[str, str], path: str = FILE) -> str:
        """Commit a file in which old words became new ones."""
        text = self.read(path)
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        return self.change(message, {path: text})

    def diff(self, commit: str, *words: str) -> bytes:
        """A commit's diff as format-patch writes it, without the mail."""
        argv = ["git", "format-patch", "--stdout", "--full-index", "-1", *words, commit]
        whole = run(argv, cwd=self.path, env=PERSON).stdout
        return whole[whole.index(b"diff --git") :]


def new_upstream(path: Path) -> Upstream:
    path.mkdir(parents=True)
    upstream = Upstream(path)
    upstream.git("init", "--quiet", "--initial-branch=main")
    upstream.change("Begin", {FILE: TEXT})
    return upstream


def number(n: int) -> str:
    """A line of the file."""
    return f"line {n} of the file\n"

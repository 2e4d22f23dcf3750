# SPDX-License-Identifier: Apache-2.0
"""A git repository of a test's own, with a work tree: what its git writes and takes is the measure of ours."""

from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.mirror import CLEAN
from bigtop_builder.run import Completed, run

WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "Somebody"),
        ("EMAIL", "somebody@example.org"),
        ("DATE", "@1700000000 +0100"),
    )
}
FORMAT = (
    *("format-patch", "-1", "--stdout", "--zero-commit", "--full-index", "--no-signature", "-N", "--no-stat"),
    "--no-encode-email-headers",
)


class Repository:
    """A folder that git looks after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet")

    def git(
        self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, check: bool = True
    ) -> Completed:
        """Run git here, with no configuration of the user's."""
        return run(
            ["git", "-C", self.folder, *words], env={**CLEAN, **WHO, **(env or {})}, stdin=stdin, check=check
        )

    def write(self, files: Mapping[str, bytes | None]) -> None:
        """Write files; remove those that are None."""
        for path, content in files.items():
            file = self.folder / path
            if content is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def commit(self, message: str | bytes = "a change", *, env: Mapping[str, str] | None = None) -> str:
        """Commit all there is; return the commit's id."""
        self.git("add", "--all")
        text = message.encode() if isinstance(message, str) else message
        self.git("commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "-F", "-", stdin=text, env=env)
        return self.git("rev-parse", "HEAD").text

    def format_patch(self) -> bytes:
        """The newest commit as git writes it for the queue."""
        return self.git(*FORMAT).stdout

# SPDX-License-Identifier: Apache-2.0
"""Writing patches into a test's queue, and naming them in its recipe."""

import difflib
import tomllib
from pathlib import Path

from bigtop_builder.workspace import Project


def diff_of(path: str, old: str, new: str) -> str:
    """A unified diff of one file; an empty `old` makes the file."""
    source = f"a/{path}" if old else "/dev/null"
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), source, f"b/{path}"
    )
    return "".join(lines)


def write_patch(project: Project, patch_id: str, diff: str, *, kind: str = "") -> Path:
    """Put a patch into the queue; return its diff's file."""
    kind = kind or ("tree" if patch_id.startswith("bigtop/") else "component")
    folder = project.patches / patch_id
    folder.mkdir(parents=True)
    (folder / "patch.toml").write_text(
        f'kind = "{kind}"\ntitle = "A test\'s"\nwhy = "A test needs it"\n\n[upstream]\nstate = "to-forward"\n'
    )
    (folder / "default.patch").write_text(diff)
    return folder / "default.patch"


def list_patches(project: Project, *patch_ids: str, release: str = "1.0.0") -> None:
    """Let a recipe have these patches and no others."""
    path = project.recipes / f"{release}.toml"
    text = path.read_text()
    end = text.index("]", text.index("patches = ["))
    listed = ", ".join(f'"{patch_id}"' for patch_id in patch_ids)
    path.write_text(f"{text[: text.index('patches = [')]}patches = [{listed}{text[end:]}")
    tomllib.loads(path.read_text())

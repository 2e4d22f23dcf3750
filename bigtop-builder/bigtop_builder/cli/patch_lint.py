# SPDX-License-Identifier: Apache-2.0
"""`patch lint`: what is wrong with the patches of the queue."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.patch_options import chosen
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.patches.lint import Finding
from bigtop_builder.patches.lint import lint as lint_patch
from bigtop_builder.patches.queue import Entry, known, load_entry
from bigtop_builder.projects import load_projects
from bigtop_builder.schema import counted
from bigtop_builder.upkeep.change import mend
from bigtop_builder.upkeep.recipes import recipes_of
from bigtop_builder.workspace import Project


@click.command(epilog="Example: bigtop-builder patch lint bigtop/rat-plugin")
@click.argument("words", nargs=-1, metavar="[TARGET|TARGET/NAME]...")
@json_option
@click.pass_context
def lint(context: click.Context, words: tuple[str, ...], *, as_json: bool) -> None:
    """Say what is wrong with patches, all by default, by file and line. Exit code 1 if any of it is an error.

    Facts that are missing, mail and trailers that disagree with patch.toml, diffs that dpkg-source would refuse or
    drop in silence, patches that touch the same lines, and what the component's upstream asks of a patch. A note
    is for the reviewer to judge.
    """
    project, _ = setting_up(context)
    mend(project)
    ids, patches = known(project.patches), chosen(words, project)
    entries, found = _read(project, ids)
    recipes = {path.stem: recipe for recipe, path in recipes_of(project)}
    orders = {name: recipe.patches for name, recipe in recipes.items()}
    releases = {name: recipe.release for name, recipe in recipes.items()}
    projects = load_projects(project.patches)
    for entry in entries:
        if not patches or entry.id in patches:
            found += lint_patch(entry, entries, orders, releases, projects=projects)
    shown = sorted({one for one in found if not patches or _among(one, patches, project)})
    answer([asdict(one) for one in shown], as_json=as_json, text=_text(shown, len(patches or ids)))
    if errors := [one for one in shown if one.level == "error"]:
        raise CheckFailed(f"lint found {counted(len(errors), 'error')}", hint="mend what is named above")


def _read(project: Project, ids: Sequence[str]) -> tuple[list[Entry], list[Finding]]:
    """All patches that can be read, and what is wrong with the others."""
    entries, found = [], []
    for patch_id in ids:
        try:
            entries.append(load_entry(project.patches, patch_id))
        except InputError as error:
            text = f"{error.brief}: {error.details}" if error.details else error.brief
            file = str(project.patches / patch_id)
            found.append(Finding(file=file, line=0, rule="unreadable", text=text, hint=error.hint))
    return entries, found


def _among(finding: Finding, patches: Sequence[str], project: Project) -> bool:
    """Whether a finding is of one of these patches, or of a pair with one."""
    file = Path(finding.file)
    own = any(file.is_relative_to(project.patches / one) for one in patches)
    return own or (finding.rule in {"order", "overlap"})


def _text(found: Sequence[Finding], count: int) -> str:
    if not found:
        return f"nothing is wrong with {counted(count, 'patch')}"
    return "\n".join(map(str, found))

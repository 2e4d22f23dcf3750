# SPDX-License-Identifier: Apache-2.0
"""`patch new` and `patch import`: patches come into the queue."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import click

from bigtop_builder.cli.context import answer, json_option, setting_up
from bigtop_builder.cli.patch_options import SHOWN, dry_run_option, written
from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.patches.facts import TREE, Given, UpstreamState
from bigtop_builder.patches.listed import targets_of
from bigtop_builder.patches.mail import Mail
from bigtop_builder.patches.naming import require_id
from bigtop_builder.patches.queue import known
from bigtop_builder.projects import UpstreamProject, load_projects
from bigtop_builder.schema import counted, nearest
from bigtop_builder.upkeep.foreign import Incoming, Read, read_changes, read_commits, read_source
from bigtop_builder.upkeep.intake import Import, bring
from bigtop_builder.upkeep.recipes import recipes_of
from bigtop_builder.upkeep.worktree import WorkTree
from bigtop_builder.workspace import Project

PERSON = re.compile(r"(?P<name>[^<>]*[^<>\s])\s*<(?P<address>[^<>\s]+@[^<>\s]+)>")
GIVEN = ("title", "ticket", "why", "drop_when", "state", "state_why", "tested", "user_facing", "ai")
"""Facts that there is an option for."""
Command = TypeVar("Command", bound=Callable[..., Any])

release_option = click.option(
    "--release",
    "releases",
    multiple=True,
    metavar="RELEASE",
    help="Let this recipe list it, at the end; repeatable. Without it the patch is in the queue alone.",
)


def facts_options(command: Command) -> Command:
    """The options for what goes into patch.toml; the command gets them as one value, `given`."""

    @wraps(command)
    def gathered(*arguments: Any, **options: Any) -> Any:
        facts = {name: options.pop(name) or "" for name in GIVEN}
        return command(*arguments, given=Given(**facts), **options)

    decorated: Any = gathered
    for option in (
        click.option("--tested", default="", help="How it was tested, as upstream's forms ask."),
        click.option(
            "--user-facing", default="", help="What users see change, or No, as upstream's forms ask."
        ),
        click.option("--ai", default="", help="Whether generative AI was used, as upstream's forms ask."),
        click.option("--state-why", default="", help="Reason of a state local-only or closed."),
        click.option(
            "--state",
            type=click.Choice(get_args(UpstreamState)),
            default=None,
            help="Where it stands upstream.",
        ),
        click.option("--drop-when", default="", help="When it can go."),
        click.option("--why", default="", help="Why the fleet needs it."),
        click.option("--ticket", default="", help="Ticket id [default: the one in the subject]."),
        click.option("--title", default="", help="One line [default: the subject without its ticket]."),
    ):
        decorated = option(decorated)
    return cast("Command", decorated)


@click.command(
    "new",
    epilog="Example: bigtop-builder patch new bigtop/date --from ~/bigtop --release 3.5.0 --why 'equal bytes'",
)
@click.argument("patch_id", metavar="TARGET/NAME")
@click.option(
    "--from",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="A git work tree [default: this folder]. What it has and its newest commit has not is taken.",
)
@click.option("--commit", default="", help="Take this commit of it.")
@click.option("--message", "-m", default="", help="What it does and how: the body of the mail.")
@click.option("--author", default="", metavar="'NAME <ADDRESS>'", help="Its author [default: as git has it].")
@release_option
@facts_options
@dry_run_option
@json_option
@click.pass_context
def new_(
    context: click.Context,
    patch_id: str,
    folder: Path,
    commit: str,
    message: str,
    author: str,
    releases: tuple[str, ...],
    *,
    given: Given,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take the changes of a git work tree, or a commit, as the new patch TARGET/NAME.

    It must apply to each RELEASE. What is not said of it is said to be missing by `patch lint`.
    """
    project, settings = setting_up(context)
    require_id(patch_id, "the patch's name")
    target, _, name = patch_id.partition("/")
    _require_target(target, project)
    _require_other(folder, project)
    upstream = load_projects(project.patches).projects.get(target, UpstreamProject())
    title = given.title or ("" if commit else name.replace("-", " "))
    subject = upstream.titled(given.ticket, title) if title else ""
    mail = _said(folder, subject, commit=commit, message=message, author=author)
    read = read_changes(folder, target, name, mail=mail, commit=commit)
    done = bring([read], given=given, releases=releases, dry_run=dry_run, project=project, settings=settings)
    _tell(done, as_json=as_json, dry_run=dry_run)


@click.command(
    "import", epilog="Example: bigtop-builder patch import debian/patches --target hadoop --release 3.5.0"
)
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--target", default="", help="What they are patches to: bigtop or a component.")
@click.option(
    "--git",
    "commits",
    nargs=2,
    metavar="REPOSITORY A..B",
    help="Take the commits of a range, or one commit, of a git repository.",
)
@click.option("--name", default="", help="Name of the patch, where it is one.")
@click.option("--keep-going", is_flag=True, help="Import what can be read, though something else cannot.")
@click.option("--no-check", is_flag=True, help="Let each RELEASE list them though they may not apply.")
@release_option
@facts_options
@dry_run_option
@json_option
@click.pass_context
def import_(
    context: click.Context,
    source: Path | None,
    target: str,
    commits: tuple[str, str] | None,
    name: str,
    releases: tuple[str, ...],
    *,
    given: Given,
    keep_going: bool,
    no_check: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import patches from SOURCE: a file, a folder of .patch and .diff, a quilt series, or another queue.

    All of them are imported or none, unless --keep-going is given. Authors, dates and order are kept: that of an
    mbox, of a series, of the numbers that file names begin with, or of the recipes beside another queue. They must
    apply to each RELEASE, one after the other, unless --no-check is given.
    """
    project, settings = setting_up(context)
    _require_target(target, project)
    read = _reading(source, commits, target, name)
    if given != Given() and any(isinstance(one, Incoming) and one.files for one in read):
        raise InputError(
            f"{source} is a queue, and its patches come with facts of their own",
            hint="leave options such as --state and --why out, and edit each patch.toml afterwards",
        )
    done = bring(
        read,
        given=given,
        releases=releases,
        keep_going=keep_going,
        dry_run=dry_run,
        project=project,
        settings=None if no_check else settings,
    )
    _tell(done, as_json=as_json, dry_run=dry_run)


def _require_target(target: str, project: Project) -> None:
    """Raise if nothing in the project knows such a target: it is misspelt, or no recipe builds it yet."""
    built = {component.name for recipe, _ in recipes_of(project) for component in recipe.components}
    targets = sorted({TREE, *built, *targets_of(known(project.patches))})
    if target and built and target not in targets:
        raise InputError(
            f"no recipe of {project.root} builds {target!r}, so nothing can be a patch to it",
            hint=nearest(target, targets),
        )


def _require_other(folder: Path, project: Project) -> None:
    """Raise if the changes that are to become a patch are those of the project itself."""
    top = WorkTree.at(folder).folder
    if project.root.resolve().is_relative_to(top):
        raise InputError(
            f"{top} is the project's own repository: its changes are no patch",
            hint="name a clone that has the changes: --from FOLDER",
        )


def _said(folder: Path, subject: str, *, commit: str, message: str, author: str) -> Mail:
    """What the options say of a new patch. A commit says the rest itself; of bare changes git knows the author."""
    who, address = _person(author)
    if commit:
        return Mail(author=who, email=address, subject=subject, body=message)
    who, address = (who, address) if author else WorkTree.at(folder).identity()
    now = datetime.now(UTC).astimezone()
    return Mail(author=who, email=address, subject=subject, body=message, date=now)


def _person(author: str) -> tuple[str, str]:
    if not author:
        return "", ""
    found = PERSON.fullmatch(author.strip())
    if not found:
        raise InputError(
            f"--author {author!r} is no author", hint="as in --author 'Ada Lovelace <ada@example.org>'"
        )
    return found["name"], found["address"]


def _reading(source: Path | None, commits: tuple[str, str] | None, target: str, name: str) -> list[Read]:
    if commits and (swallowed := next((one for one in commits if one.startswith("-")), "")):
        raise InputError(
            f"--git takes a repository and a range, and got {swallowed!r} for one of them",
            hint="as in --git REPOSITORY A..B --target bigtop",
        )
    if commits and source:
        raise InputError(f"both {source} and --git are given", hint="import them one after the other")
    if commits:
        if not target:
            raise InputError("commits do not say what they are patches to", hint="name it: --target bigtop")
        return _named(list(read_commits(Path(commits[0]), commits[1], target, name)), name)
    if source is None:
        raise InputError("nothing to import is named", hint="name a file or folder, or commits with --git")
    return _named(list(read_source(source, target, name)), name)


def _named(read: list[Read], name: str) -> list[Read]:
    if name and len(read) > 1:
        raise InputError(f"--name {name} is for one patch, and there are {len(read)}", hint="leave it out")
    return read


def _tell(done: Import, *, as_json: bool, dry_run: bool) -> None:
    lines = [f"{one.what:9} {one.id}  from {one.source}" for one in done.patches]
    lines += [f"failed    {fault}" for fault in done.faults]
    if ids := [one.id for one in done.patches if one.lacking]:
        words = ids if len(ids) <= SHOWN else targets_of(ids)
        lines.append(f"bigtop-builder patch lint {' '.join(words)} says which facts are missing")
    value = {
        "patches": [{"id": one.id, "source": one.source, "what": one.what} for one in done.patches],
        "failed": [{"source": one.source, "reason": one.reason, "hint": one.hint} for one in done.faults],
        "written": done.written,
    }
    answer(value, as_json=as_json, text="\n".join([*lines, *written(done.written, dry_run=dry_run)]))
    if done.faults:
        raise CheckFailed(
            f"{len(done.faults)} of {counted(len(done.faults) + len(done.patches), 'patch')} could not be imported",
            hint="mend them and import them again: those that are in the queue already stay as they are",
        )

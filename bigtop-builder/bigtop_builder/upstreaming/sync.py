# SPDX-License-Identifier: Apache-2.0
"""`upstream sync`: what became of each patch upstream is looked up, and written into its patch.toml.

The base branches are looked at first: of a patch that is merged there, and stays so, nothing is asked of GitHub. What
cannot be read is told of the patch that it is about, and stops no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bigtop_builder.errors import BuilderError, InputError, TreeError
from bigtop_builder.patches.facts import Upstream, with_facts
from bigtop_builder.patches.queue import FACTS, Entry, known, load_entry
from bigtop_builder.projects import Projects, UpstreamProject, load_projects
from bigtop_builder.settings import Settings
from bigtop_builder.upkeep.change import changing
from bigtop_builder.upstreaming.base_branch import BaseBranch
from bigtop_builder.upstreaming.jira import Ticket, Tickets
from bigtop_builder.upstreaming.outcome import SHORT, OnBase, decide
from bigtop_builder.upstreaming.pull_state import PullReader, PullUrl, Reading, Remark
from bigtop_builder.workspace import Project

Place = tuple[str, str]
"""URL of a repository, and a branch of it."""


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What was found of one patch.

    Attributes:
        id: The patch.
        was: What its patch.toml said; None if that cannot be read.
        changes: Keys of `[upstream]` and their new values.
        notes: What else a person should know, one line each.
        remarks: What reviewers want to be changed.
        ticket: Its ticket, as far as it can be read; None if it was not asked for.
        unread: What could not be read, and why; its changes are proved all the same.
    """

    id: str
    was: Upstream | None = None
    changes: Mapping[str, str]
    notes: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    ticket: Ticket | None = None
    unread: tuple[str, ...] = ()

    @property
    def now(self) -> Upstream | None:
        """What its patch.toml is to say."""
        return self.was.model_copy(update=dict(self.changes)) if self.was else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a sync found, and did.

    Attributes:
        rows: By patch.
        files: Those that were written, or would be.
    """

    rows: tuple[Synced, ...]
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Case:
    """A patch that is looked for.

    Attributes:
        upstream: The project that it goes to.
        pull: Its pull request, if it has one.
    """

    entry: Entry
    upstream: UpstreamProject
    pull: PullUrl | None

    @property
    def facts(self) -> Upstream:
        return self.entry.facts.upstream

    @property
    def base(self) -> str:
        return self.facts.base or self.upstream.base

    @property
    def place(self) -> Place:
        return self.upstream.repository, self.base


def sync(
    project: Project, settings: Settings, *, patches: Sequence[str] = (), dry_run: bool = False
) -> Report:
    """Look up what became of patches upstream, and write it.

    Args:
        project: Has the queue.
        settings: For GitHub, mirrors and cache.
        patches: Ids; all if empty.
        dry_run: Write nothing.

    Raises:
        InputError: `patches/upstream.toml` does not fit.
        EnvironmentMissing: This user cannot write the queue.
    """
    projects = load_projects(project.patches)
    cases, rows = _cases(project, projects, patches or known(project.patches))
    rows = [row for row in rows if patches or row.was is None or row.was.state != "local-only"]
    bases = _bases(cases, settings)
    found = _found(cases, bases)
    with PullReader(settings) as reader:
        rows += [_looked(case, bases[case.place], found[case.entry.id], reader) for case in cases]
    rows = _with_tickets(rows, cases, settings)
    return _written(project, sorted(rows, key=lambda row: row.id), dry_run=dry_run)


def _cases(project: Project, projects: Projects, ids: Sequence[str]) -> tuple[list[_Case], list[Synced]]:
    """The patches to look for; and of those that cannot be looked for, why."""
    cases, rows = list[_Case](), list[Synced]()
    for patch_id in ids:
        try:
            entry = load_entry(project.patches, patch_id)
        except InputError as error:
            rows.append(Synced(id=patch_id, changes={}, unread=(_told(error, *error.details.splitlines()),)))
            continue
        was = entry.facts.upstream
        if was.state == "local-only":
            rows.append(Synced(id=patch_id, was=was, changes={}, notes=("it is not looked for",)))
            continue
        pull = PullUrl.parse(was.url)
        try:
            cases.append(_Case(entry=entry, upstream=projects.of(entry.target), pull=pull))
        except InputError as error:
            told = _told(error)
            unread, notes = ((told,), ()) if pull else ((), (told,))
            rows.append(Synced(id=patch_id, was=was, changes={}, notes=notes, unread=unread))
    return cases, rows


def _bases(cases: Sequence[_Case], settings: Settings) -> dict[Place, BaseBranch | BuilderError]:
    """The base branches, each fetched once; an error of one that cannot be had."""
    bases: dict[Place, BaseBranch | BuilderError] = {}
    for case in cases:
        if case.place not in bases:
            try:
                bases[case.place] = BaseBranch.fetched(*case.place, settings=settings)
            except BuilderError as error:
                bases[case.place] = error
    return bases


def _found(
    cases: Sequence[_Case], bases: Mapping[Place, BaseBranch | BuilderError]
) -> dict[str, OnBase | BuilderError]:
    """What the base branches have of the patches, by id."""
    found: dict[str, OnBase | BuilderError] = {}
    for place, base in bases.items():
        entries = [case.entry for case in cases if case.place == place]
        if isinstance(base, BuilderError):
            found |= dict.fromkeys((entry.id for entry in entries), base)
            continue
        try:
            found |= base.search(entries)
        except InputError:  # of one of them: the others are searched for without it
            for entry in entries:
                found[entry.id] = _alone(base, entry)
    return found


def _alone(base: BaseBranch, entry: Entry) -> OnBase | BuilderError:
    try:
        return base.search([entry])[entry.id]
    except BuilderError as error:
        return error


def _looked(
    case: _Case, base: BaseBranch | BuilderError, found: OnBase | BuilderError, reader: PullReader
) -> Synced:
    """What is to be said of a patch. Its pull request is not read if it was merged, and still is."""
    was, unread = case.facts, list[str]()
    if was.state == "pr-open" and not case.pull:
        unread.append(
            f"url {was.url!r} in its {FACTS}, [upstream], is no pull request - write it as in "
            f"https://{case.upstream.place.host}/{case.upstream.place.name}/pull/1; upstream submit finds an open one"
        )
    reading: Reading | None = None
    here = None if isinstance(found, BuilderError) else found
    if isinstance(found, BuilderError):
        unread.append(_told(found))
    try:
        if here and isinstance(base, BaseBranch) and was.commit:
            here = _better(base.follow(case.entry, was.commit, "patch.toml"), here)
        if case.pull and not (was.state == "merged" and here and here.stands):
            to = case.upstream.place
            reading = reader.read(case.pull, to=to, explained=was.state == "closed" and bool(was.why))
            if here and isinstance(base, BaseBranch):
                reading, here = _landed(case, base, reading, here)
    except BuilderError as error:
        unread.append(_told(error))
        here = None if isinstance(error, TreeError) else here
    outcome = decide(
        was,
        base=case.base,
        pull=reading.seen if reading else None,
        found=here,
        ticket=case.entry.facts.ticket,
        unread=bool(case.pull) and reading is None,
    )
    return Synced(
        id=case.entry.id,
        was=was,
        changes=outcome.changes,
        notes=outcome.notes,
        remarks=reading.remarks if reading else (),
        unread=tuple(unread),
    )


def _landed(case: _Case, base: BaseBranch, reading: Reading, here: OnBase) -> tuple[Reading, OnBase]:
    """What the commit that merged or closed a pull request says of it.

    Raises:
        TreeError: The clone lacks the commit that closed it: whether it landed cannot be known.
    """
    seen, commit = reading.seen, reading.closing
    if seen.state == "merged":
        return reading, _better(base.follow(case.entry, seen.merge_commit, "merge button"), here)
    if not commit or case.pull is None:
        return reading, here
    base.require(commit)
    if base.closes(case.entry, commit, case.pull.number):
        landed = base.follow(case.entry, commit, "commit that closed the pull request")
        if landed.commit:
            return reading, _better(landed, here)
    told = f"{commit[:SHORT]} {base.subject(commit)!r}"
    return replace(reading, seen=replace(seen, closing=told)), here


def _better(known_by_id: OnBase, searched: OnBase) -> OnBase:
    """What a commit that is known says counts, unless it was taken back and the patch came again by another."""
    return searched if not known_by_id.commit or (searched.stands and not known_by_id.stands) else known_by_id


def _with_tickets(rows: Sequence[Synced], cases: Sequence[_Case], settings: Settings) -> list[Synced]:
    """The rows with their tickets, but for those that were merged, and still are."""
    tickets = Tickets(settings)
    asked = {case.entry.id: (case.entry.facts.ticket, case.upstream.jira) for case in cases}
    done = []
    for row in rows:
        key, jira = asked.get(row.id, ("", ""))
        over = row.now and row.now.state == "merged" and not row.changes
        done.append(replace(row, ticket=tickets.read(key, jira)) if key and jira and not over else row)
    return done


def _written(project: Project, rows: Sequence[Synced], *, dry_run: bool) -> Report:
    """Write the changes, all or none; a patch that somebody changed meanwhile is left to the next run."""
    told = list(rows)
    if not any(row.changes for row in rows):
        return Report(rows=tuple(told))
    with changing(project, dry_run=dry_run) as change:
        for at, row in enumerate(rows):
            if not row.changes:
                continue
            file = project.patches / row.id / FACTS
            if not file.is_file() or load_entry(project.patches, row.id).facts.upstream != row.was:
                said = "patch.toml was changed meanwhile: run it again"
                told[at] = replace(row, changes={}, unread=(*row.unread, said))
                continue
            change.edit(file, partial(with_facts, changes={"upstream": row.changes}))
        files = change.names
    return Report(rows=tuple(told), files=files)


def _told(error: BuilderError, *details: str) -> str:
    """An error in one line, with what helps."""
    return " - ".join(filter(None, [error.brief, "; ".join(details), error.hint]))

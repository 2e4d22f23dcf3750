# SPDX-License-Identifier: Apache-2.0
"""The texts of a patch in the form that its upstream asks for: branch, title, commit message, file to attach."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from bigtop_builder.errors import InputError
from bigtop_builder.patches.facts import PatchFacts
from bigtop_builder.patches.mail import Mail
from bigtop_builder.patches.title import without_ticket
from bigtop_builder.projects import UpstreamProject
from bigtop_builder.statement import Statement
from bigtop_builder.templates import fill_in

BRANCH: Final = 60
"""Characters of a branch's name at most."""
NUMBERED: Final = re.compile(r"\s*\(#\d+\)$")
"""What GitHub's squash button puts behind a subject."""
COMPONENT: Final = re.compile(r"\[([A-Z][A-Z0-9 ,-]*)\](?=[\[\s])")
TICKET: Final = re.compile(r"[A-Z][A-Z0-9]*-\d+")
KEPT: Final = frozenset(
    {
        "signed-off-by",
        "co-authored-by",
        "reported-by",
        "suggested-by",
        "reviewed-by",
        "tested-by",
        "acked-by",
        "generated-by",
    }
)
"""Trailers that mean something upstream. Others are of the queue, or of the site, and do not leave it."""


def statement_of(project: UpstreamProject, mail: Mail, facts: PatchFacts) -> Statement:
    """What is said of a patch upstream.

    Args:
        project: Where it goes.
        mail: The patch as the queue keeps it.
        facts: Its `patch.toml`.
    """
    return Statement(
        ticket=facts.ticket,
        ticket_url=project.ticket_url.format(ticket=facts.ticket),
        title=bare_title(mail.subject) or facts.title,
        message=mail.body,
        why=facts.why,
        tested=facts.tested,
        user_facing=facts.user_facing,
        ai_disclosure=facts.ai_disclosure,
    )


def require_ticket(project: UpstreamProject, ticket: str) -> None:
    """Raise unless this is a ticket of the project's.

    Raises:
        InputError: There is none, or it is another project's.
    """
    form = " or ".join(f"{key}-N" for key in project.tickets)
    tracker = project.jira or project.ticket_url.format(ticket="")
    if not ticket:
        raise InputError(
            f"the patch has no ticket, and {project.place.name} takes none without one",
            hint=f"open one at {tracker}, and write it into patch.toml: ticket = {form!r}",
        )
    if not project.owns(ticket):
        raise InputError(
            f"ticket {ticket!r} is none of {project.place.name}'s, which are {form}",
            hint="write the right one into patch.toml, or open one there",
        )


def bare_title(subject: str) -> str:
    """A subject without ticket, components, and the number of a pull request."""
    return NUMBERED.sub("", without_ticket(subject)).strip()


def title_of(project: UpstreamProject, statement: Statement, components: Iterable[str] = ()) -> str:
    """The title of a pull request, and the subject of its commit."""
    tags = "".join(f"[{component}]" for component in components)
    return project.titled(statement.ticket, statement.title, tags)


def components_of(project: UpstreamProject, subject: str, paths: Iterable[str]) -> tuple[str, ...]:
    """The components that a title names: those of the patch's own subject, else those of the paths it touches.

    Raises:
        InputError: The project's titles name components, and none is known for this patch.
    """
    if "{components}" not in project.title:
        return ()
    head = subject[: len(subject) - len(without_ticket(subject))]
    if named := [one for one in COMPONENT.findall(f"{head} ") if not TICKET.fullmatch(one)]:
        return tuple(dict.fromkeys(named))
    paths = tuple(paths)
    found = tuple(dict.fromkeys(one for path in paths if (one := _component(project, path))))
    if not found:
        touched = ", ".join(paths) or "no file"
        raise InputError(
            f"a title of {project.place.name} names a component, and none is known for {touched}",
            hint="begin the patch's subject with [TICKET][COMPONENT], or add to components in patches/upstream.toml",
        )
    return found


def branch_of(statement: Statement) -> str:
    """A branch's name, as in `BIGTOP-4032-short-title`: letters, digits and dashes (git-check-ref-format(1))."""
    ascii_title = unicodedata.normalize("NFKD", statement.title).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", ascii_title.lower())
    name = statement.ticket if TICKET.fullmatch(statement.ticket) else "patch"
    for word in words:
        if len(name) + 1 + len(word) > BRANCH:
            break
        name = f"{name}-{word}"
    return name


def commit_message(project: UpstreamProject, mail: Mail, statement: Statement, *, title: str) -> str:
    """The message of the commit: the title, the mail's text as it is wrapped, and the trailers that upstream knows.

    Args:
        project: Where it goes; its `ai_trailer` names a generative AI tool.
        mail: The patch as the queue keeps it.
        statement: What is said of it.
        title: As `title_of` makes it.
    """
    trailers = [(key, value) for key, value in mail.trailers if key.lower() in KEPT]
    named = {key.lower() for key, _ in trailers}
    if project.ai_trailer and statement.ai_tool and project.ai_trailer.lower() not in named:
        trailers.append((project.ai_trailer, statement.ai_tool))
    told = "\n".join(f"{key}: {value}" for key, value in trailers)
    return "\n\n".join(part for part in (title, statement.message.strip("\n"), told) if part) + "\n"


def patch_file_of(project: UpstreamProject, ticket: str, there: Iterable[str]) -> str:
    """Name of the next file to attach to a ticket.

    Args:
        project: Where it goes.
        ticket: The ticket.
        there: Names of the files before it.
    """
    taken = set(there)
    number = 1
    while (name := project.patch_file.format(ticket=ticket, number=number)) in taken:
        number += 1
    return name


def steps_of(project: UpstreamProject, statement: Statement, file: str) -> tuple[str, ...]:
    """What a person does on the ticket, one after another.

    Args:
        project: Where the patch goes.
        statement: What is said of it.
        file: The file to attach.
    """
    return tuple(fill_in(step, **statement.values, file=file).strip() for step in project.steps)


def _component(project: UpstreamProject, path: str) -> str:
    """Component of the longest path of the project that this one is at or below."""
    fitting = (place for place in project.components if f"{path}/".startswith(f"{place.rstrip('/')}/"))
    return project.components.get(max(fitting, key=len, default=""), "")

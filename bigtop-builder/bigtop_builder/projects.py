# SPDX-License-Identifier: Apache-2.0
"""What each upstream project asks of a patch: ours for six projects, with `patches/upstream.toml` laid over it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from jinja2 import TemplateSyntaxError
from pydantic import AfterValidator, Field, ValidationError

from bigtop_builder.errors import InputError
from bigtop_builder.schema import Value, faults, nearest, nearest_line, read_toml
from bigtop_builder.statement import NAMES
from bigtop_builder.templates import names_in

OURS: Final = Path(__file__).parent / "templates/upstream.toml"
FILE: Final = "upstream.toml"
"""Name of the user's file, in `patches/`."""
REPOSITORY: Final = re.compile(r"https://(?P<host>[^/@\s]+)/(?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/?")
LENGTHS: Final = "line-length"
CHECKS: Final = ("ticket", "no-tabs", "trailing-blanks", LENGTHS, "no-author", "test-touched")
LENGTH: Final = re.compile(r"line-length:(?P<columns>[1-9]\d*)(?::(?P<suffixes>\w+(?:,\w+)*))?")


class Place(NamedTuple):
    """Where a repository is.

    Attributes:
        host: GitHub host.
        name: `owner/name`.
    """

    host: str
    name: str


def _repository(url: str) -> str:
    if not REPOSITORY.fullmatch(url):
        raise ValueError("should be https://HOST/OWNER/NAME.git, without a user or password")
    return url


def _form(*needed: str, **names: object) -> AfterValidator:
    """A form in which some names may be filled in, and some must."""

    def check(form: str) -> str:
        try:
            form.format(**names)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            allowed = ", ".join(f"{{{name}}}" for name in names)
            raise ValueError(f"should hold no other braces than {allowed}") from error
        for name in needed:
            if f"{{{name}" not in form:
                raise ValueError(f"should hold {{{name}}}")
        return form

    return AfterValidator(check)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return text


def _template(text: str) -> str:
    try:
        asked = names_in(text)
    except TemplateSyntaxError as error:
        raise ValueError(f"is no Jinja2 text: {error.message}") from error
    for name in sorted(asked - {*NAMES, "file"}):
        raise ValueError(f"there is no fact {name}; {nearest(name, NAMES)}")
    return text


def _check(text: str) -> str:
    name = text.partition(":")[0]
    if name not in CHECKS:
        raise ValueError(f"there is no such check; {nearest(name, CHECKS)}")
    if not LENGTH.fullmatch(text) if name == LENGTHS else text != name:
        raise ValueError("should be a name alone, or as in line-length:100 or line-length:100:java,scala")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
Template = Annotated[str, AfterValidator(_template)]


class UpstreamProject(Value):
    """What one project asks of a patch. All but `repository` and `tickets` may be left out."""

    repository: Annotated[str, AfterValidator(_repository)] = Field(
        "", description="Git URL of its repository, as in `https://github.com/apache/bigtop.git`"
    )
    base: str = Field("master", min_length=1, description="Branch that patches are proposed for")
    tickets: tuple[str, ...] = Field((), description="Projects of its tickets, as in `HDFS`")
    title: Annotated[str, _form("ticket", "title", ticket="", components="", title="")] = Field(
        "{ticket}. {title}", description="Form of a title; `{components}` is filled in as `[SQL][CORE]`"
    )
    components: dict[str, str] = Field(
        default_factory=dict,
        description="Path below the top of its tree -> component, for titles; the longest path counts",
    )
    merge: Literal["button", "script", "ticket-attachment"] = Field(
        "button",
        description="How a patch lands: by GitHub's button, by a script that pushes the commit and closes the pull "
        "request, or as a file attached to the ticket",
    )
    template: tuple[str, ...] = Field(
        (), description="Where on the base branch the text of a pull request may be begun; the first counts"
    )
    answers: dict[Pattern, Template] = Field(
        default_factory=dict,
        description="Regular expression for a heading of that text -> what is written below it (Jinja2)",
    )
    ticks: tuple[Pattern, ...] = Field(
        (), description="Regular expressions for its boxes that hold for every patch prepared here"
    )
    ticket_url: Annotated[str, _form("ticket", ticket="")] = Field(
        "https://issues.apache.org/jira/browse/{ticket}", description="Where a ticket is, for people"
    )
    jira: str = Field(
        "https://issues.apache.org/jira", description="Jira that tickets are read from; or empty"
    )
    ai_trailer: str = Field(
        "", description="Trailer of a commit that names a generative AI tool, if the project asks for it"
    )
    checks: tuple[Annotated[str, AfterValidator(_check)], ...] = Field(
        ("ticket",),
        description="Checks of the patch: `ticket`, `no-tabs`, `trailing-blanks`, `no-author`, `test-touched`, "
        "`line-length:N`, and `line-length:N:java,scala` of such files, URLs and imports aside",
    )
    commands: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(
        (), description="Programs with their arguments, to run in the work tree if that is asked for"
    )
    patch_file: Annotated[str, _form("ticket", "number", ticket="", number=1)] = Field(
        "{ticket}-{number:03}.patch", description="Name of a file that is attached to a ticket"
    )
    steps: tuple[Template, ...] = Field(
        (), description="What a person does on the ticket (Jinja2; `file` is the file to attach)"
    )

    @property
    def place(self) -> Place:
        """Its GitHub host, and its name there."""
        match = REPOSITORY.fullmatch(self.repository)
        return Place(match["host"], match["name"]) if match else Place("", "")

    def titled(self, ticket: str, title: str, components: str = "") -> str:
        """A title in its form; the text alone without a ticket."""
        return self.title.format(ticket=ticket, components=components, title=title) if ticket else title

    def takes(self, title: str) -> bool:
        """Whether a title is of its form, with a ticket of its own."""
        named = {
            "ticket": rf"(?:{'|'.join(map(re.escape, self.tickets))})-\d+",
            "components": r"(?:\[[A-Z][A-Z0-9 ]*\])+",
            "title": r"\S.*",
        }
        pieces = re.split(r"\{(\w+)\}", self.title)
        pattern = [named[one] if number % 2 else re.escape(one) for number, one in enumerate(pieces)]
        return bool(re.fullmatch("".join(pattern), title))

    @property
    def longest(self) -> int:
        """Columns that a line of any file may have; 0 if all may."""
        found = (LENGTH.fullmatch(check) for check in self.checks)
        return next((int(one["columns"]) for one in found if one and not one["suffixes"]), 0)

    @property
    def shown(self) -> str:
        """The form of its titles, for people."""
        return self.titled(f"{self.tickets[0]}-N", "Text", "[COMPONENT]")

    def owns(self, ticket: str) -> bool:
        """Whether a ticket is of one of its ticket projects."""
        key, _, number = ticket.rpartition("-")
        return key in self.tickets and number.isdecimal()


class Projects(Value):
    """The upstream projects that patches are handed over to, by the target of the patches."""

    projects: dict[str, UpstreamProject] = Field(default_factory=dict, description="Projects by target")

    def of(self, target: str) -> UpstreamProject:
        """The project that patches of a target go to.

        Raises:
            InputError: None is known.
        """
        if target not in self.projects:
            raise InputError(
                f"no upstream project is known for {target}: {nearest(target, self.projects)}",
                hint=f"describe it in patches/{FILE}, [projects.{target}]; docs/upstreaming.md shows how",
            )
        return self.projects[target]


def load_projects(patches: Path) -> Projects:
    """The projects: ours, with those of `patches/upstream.toml` laid over them key by key.

    Args:
        patches: The patch queue's folder.

    Raises:
        InputError: The file is malformed or does not fit; file, line, key and the nearest name are named.
    """
    file = patches / FILE
    values, numbers = read_toml(file) if file.is_file() else ({}, {})
    own, _ = read_toml(OURS)
    try:
        found = Projects.model_validate_json(json.dumps(_laid_over(own, values), default=str), strict=True)
    except ValidationError as error:
        raise InputError(
            f"{file} does not fit the format of upstream projects",
            details=faults(error, Projects, lambda loc: f"{file}:{nearest_line(loc, numbers)}"),
            hint="docs/formats.md lists every key",
        ) from error
    for name, project in found.projects.items():
        for key in ("repository", "tickets"):
            if not getattr(project, key):
                line = nearest_line(("projects", name), numbers)
                raise InputError(
                    f"{file}:{line}: projects.{name}.{key}: is required for a project that is not built in",
                    hint=f"add it, or take a name that is built in: {nearest(name, own['projects'])}",
                )
    return found


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees of tables. What both have is taken from the second, whose keys come first: answers go by order."""
    both = {
        key: _laid_over(under[key], value)
        for key, value in over.items()
        if isinstance(value, dict) and isinstance(under.get(key), dict)
    }
    return {**over, **{key: value for key, value in under.items() if key not in over}, **both}

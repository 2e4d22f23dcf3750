# SPDX-License-Identifier: Apache-2.0
"""Templates, rendered with Jinja2; an undefined name is an error."""

import functools
import shlex
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, meta, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment


def render(template: str, **values: Any) -> str:
    """Render one of the tool's templates. XML templates escape what they are given."""
    return _environment().get_template(template).render(**values)


def fill_in(text: str, **values: Any) -> str:
    """Render a text that a project wrote: Markdown or plain text, in which nothing is escaped."""
    return _texts().from_string(text).render(**values)


def names_in(text: str) -> set[str]:
    """Names that `fill_in` asks for; jinja2.TemplateSyntaxError if the text is malformed."""
    return meta.find_undeclared_variables(_texts().parse(text))


def groovy(text: str) -> str:
    """A Groovy string literal in single quotes, in which nothing is filled in (Groovy, Syntax, 4.2)."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bigtop_builder", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=select_autoescape(enabled_extensions=("xml.j2", "html.j2")),
    )
    environment.filters["groovy"] = groovy
    environment.filters["quote"] = shlex.quote
    environment.filters["cell"] = lambda text: text.replace("|", "\\|").replace("\n", " ")
    return environment


@functools.cache
def _texts() -> Environment:
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined)

# SPDX-License-Identifier: Apache-2.0
"""Templates, rendered with Jinja2; an undefined name is an error."""

import functools
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(template: str, **values: Any) -> str:
    """Render one of the tool's templates. XML templates escape what they are given."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("bigtop_builder", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=select_autoescape(enabled_extensions=("xml.j2", "html.j2")),
    )

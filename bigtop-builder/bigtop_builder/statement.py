# SPDX-License-Identifier: Apache-2.0
"""What is said of a patch upstream: the facts that titles, messages and answers are made of."""

import re
from dataclasses import dataclass, fields
from typing import Final

NOT_USED: Final = re.compile(r"(?:no|not|none|nothing)\b", re.IGNORECASE)
BEFORE_TOOL: Final = re.compile(
    r"(?:yes[.,:]?\s+)?(?:generated-by:|(?:written|made|generated|created|drafted)\s+(?:with|by|using))?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The facts, of which the empty ones are not known.

    Attributes:
        ticket: Ticket id, as in `BIGTOP-4032`.
        ticket_url: Where it is.
        title: One line, without the ticket.
        message: What the patch does: its mail's text without the trailers.
        why: Why it is needed.
        tested: How it was tested.
        user_facing: What users see change, or `No`; empty if nobody said.
        ai_disclosure: Whether generative AI was used, and what; empty if nobody said.
        ai_tool: What was used; empty if nothing was, or nobody said.
    """

    ticket: str = ""
    ticket_url: str = ""
    title: str = ""
    message: str = ""
    why: str = ""
    tested: str = ""
    user_facing: str = ""
    ai_disclosure: str = ""

    @property
    def ai_tool(self) -> str:
        """The tool in `ai_disclosure`, as in `Generated-by: TOOL VERSION`."""
        if NOT_USED.match(self.ai_disclosure):
            return ""
        return BEFORE_TOOL.sub("", self.ai_disclosure, count=1).rstrip(".")

    @property
    def values(self) -> dict[str, str]:
        """Each fact by its name."""
        return {name: getattr(self, name) for name in NAMES}


MISSING: Final = {
    "tested": "tested: how it was tested",
    "why": "why: what it is needed for",
    "user_facing": "user_facing: what users see change, or 'No'",
    "ai_disclosure": "ai_disclosure: 'No', or 'Generated-by: NAME VERSION' of the generative AI tool",
}
"""What is to be written into `patch.toml`, by fact."""
NAMES: Final = (*(field.name for field in fields(Statement)), "ai_tool")
"""Names of the facts, for templates."""

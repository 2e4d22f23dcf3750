# SPDX-License-Identifier: Apache-2.0
"""The title of a patch: a ticket and what it does, in the form that the target's upstream asks for."""

import re
from typing import Final, NamedTuple

TICKET: Final = r"[A-Z][A-Z0-9]+-\d+"
"""How Jira names a ticket."""
NAMED: Final = re.compile(rf"\b(?!CVE-){TICKET}\b")
PREFIX: Final = re.compile(
    rf"^(?:\[[A-Za-z][A-Za-z0-9]*-\d+\]\s*|{TICKET}[.:]?\s+)+(?:\[[A-Z][A-Z0-9, -]*\]\s*)*"
)


class Form(NamedTuple):
    """How an upstream writes a title.

    Attributes:
        made: What makes one of ticket and text.
        pattern: What it takes.
        shown: The same for people.
    """

    made: str
    pattern: str
    shown: str


USUAL: Final = "{}. {}"
"""As Bigtop and Hadoop write it, and everyone of whom no other form is known."""
FORMS: Final = {
    "bigtop": Form(USUAL, r"BIGTOP-\d+\. \S.*", "BIGTOP-N. Text"),
    "hadoop": Form(USUAL, r"(?:HADOOP|HDFS|YARN|MAPREDUCE)-\d+\. \S.*", "HADOOP-N. Text"),
    "hive": Form("{}: {}", r"HIVE-\d+: \S.*", "HIVE-N: Text"),
    "spark": Form("[{}] {}", r"\[SPARK-\d+\](?:\[[A-Z][A-Z0-9 ]*\])+ \S.*", "[SPARK-N][COMPONENT] Text"),
    "oozie": Form("{} {}", r"OOZIE-\d+ \S.*", "OOZIE-N Text"),
}
"""By target."""


def subject_of(target: str, ticket: str, title: str) -> str:
    """The subject of a mail, in the form that the target's upstream asks for."""
    made = FORMS[target].made if target in FORMS else USUAL
    return made.format(ticket, title) if ticket else title


def without_ticket(subject: str) -> str:
    """A subject without the tickets and components that it begins with."""
    return PREFIX.sub("", subject)


def ticket_in(subject: str) -> str:
    """The first ticket that a subject names; empty if it names none."""
    found = NAMED.search(subject)
    return found[0] if found else ""

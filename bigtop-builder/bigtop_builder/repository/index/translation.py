# SPDX-License-Identifier: Apache-2.0
"""Texts of Translation-en: long descriptions outside of Packages, which then has their md5 alone. Pure.

apt finds a description by package and md5, and shows the same as if it stood in Packages (Debian wiki,
RepositoryFormat).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bigtop_builder.repository.index.packages import Stanza

LONG = re.compile(r"^Description: (.*(?:\n .*)+)\n", re.MULTILINE)
SHORT = re.compile(r"^Description: .*\nDescription-md5: ([0-9a-f]{32})\n", re.MULTILINE)
WRITTEN = re.compile(r"Package: (.*)\nDescription-md5: ([0-9a-f]{32})\nDescription-en: (.*(?:\n .*)*)")
ENGLISH = "en"

Described = Mapping[tuple[str, str], str]
"""Package and md5 -> description."""


@dataclass(kw_only=True)
class Style:
    """How descriptions stand in Packages.

    Attributes:
        split: The first line and the md5 only.
        before: Descriptions that Packages did not have until now.
        taken: Descriptions that were taken out of stanzas.
    """

    split: bool = False
    before: Described = field(default_factory=dict)
    taken: dict[tuple[str, str], str] = field(default_factory=dict)

    def dress(self, stanza: Stanza) -> Stanza:
        """A stanza in this style; one whose description has a single line needs no other."""
        return self._shortened(stanza) if self.split else self._lengthened(stanza)

    def _shortened(self, stanza: Stanza) -> Stanza:
        found = LONG.search(stanza.text)
        if found is None:
            return stanza
        md5 = hashlib.md5(f"{found[1]}\n".encode(), usedforsecurity=False).hexdigest()
        self.taken[stanza.name, md5] = found[1]
        line = found[1].partition("\n")[0]
        text = f"Description: {line}\nDescription-md5: {md5}\n"
        return replace(stanza, text=stanza.text[: found.start()] + text + stanza.text[found.end() :])

    def _lengthened(self, stanza: Stanza) -> Stanza:
        found = SHORT.search(stanza.text) if self.before else None
        whole = self.before.get((stanza.name, found[1])) if found else None
        if found is None or whole is None:
            return stanza
        text = f"Description: {whole}\n"
        return replace(stanza, text=stanza.text[: found.start()] + text + stanza.text[found.end() :])


def md5_of(stanza: Stanza) -> str:
    """Md5 of a description that does not stand in a stanza; empty if it does."""
    found = SHORT.search(stanza.text)
    return found[1] if found else ""


def translation(name: str, md5: str, description: str) -> Stanza:
    """One description; the md5 stands for its version."""
    return Stanza(
        name=name,
        version=md5,
        architecture=ENGLISH,
        filename="",
        size=0,
        sha256="",
        text=f"Package: {name}\nDescription-md5: {md5}\nDescription-en: {description}\n",
    )


def parse_translations(text: str) -> Iterator[Stanza]:
    """Read the text of a block of Translation-en."""
    for name, md5, description in WRITTEN.findall(text):
        yield translation(name, md5, description)


def described(stanza: Stanza) -> str:
    """The description that a stanza of Translation-en has."""
    return stanza.text.partition("\nDescription-en: ")[2].removesuffix("\n")

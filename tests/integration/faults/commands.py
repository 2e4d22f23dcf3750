# SPDX-License-Identifier: Apache-2.0
"""Commands that are killed, the repositories that they begin with, and how hosts read these."""

from dataclasses import dataclass, replace

PACKAGE = "zoo"
EMPTY = "empty"
FULL = "full"
OLD = "old"
SOURCED = "sourced"
RICH = "rich"
SOURCES_TOO = "-oDir::Etc::sourcelist=with-source.list"
CONTENTS = "-oAcquire::IndexTargets::deb::Contents-deb"
READS = {
    SOURCED: (SOURCES_TOO,),
    RICH: (
        SOURCES_TOO,
        "-oAcquire::Languages=en",
        "-oAcquire::CompressionTypes::Order::=zst",
        f"{CONTENTS}::MetaKey=$(COMPONENT)/Contents-$(ARCHITECTURE)",
        f"{CONTENTS}::ShortDescription=Contents",
        f"{CONTENTS}::Description=$(RELEASE) Contents",
    ),
}
"""Repository -> options with which its hosts update, so that they read every kind of index that it has."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that changes the repository, and what it does to hosts that follow suite `stable`.

    Attributes:
        name: For people.
        words: Its arguments; `{deb}` is the package in its next version, `{build}` the folder of a build of it.
        before: Version of the package that hosts get before it; empty if there is no suite yet.
        after: Version that they get after it; empty if there is no suite any more.
        base: The repository that it begins with.
        many: How many files are many to it: see hook.Fault.
        small: Bytes up to which a package is small to it.
        gone: Folder whose files it removes; killed just before its last call, it may leave the folder itself.
    """

    name: str
    words: tuple[str, ...]
    before: str
    after: str
    base: str = FULL
    many: int | None = None
    small: int | None = None
    gone: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Options with which its hosts update."""
        return READS.get(self.base, ())


ADD = Command(name="add", words=("add", "stable", "{deb}"), before="2", after="4")
ADD_BUILD = Command(
    name="add source", words=("add", "stable", "{build}"), before="2", after="4", base=SOURCED
)
COMMANDS = (
    Command(name="first", words=("add", "stable", "{deb}"), before="", after="4", base=EMPTY),
    ADD,
    replace(ADD, name="add many", many=2),
    replace(ADD, name="add large", small=0),
    ADD_BUILD,
    replace(ADD_BUILD, name="add all indices", base=RICH),
    Command(name="promote", words=("promote", "testing", "stable"), before="2", after="3"),
    Command(name="rollback", words=("rollback", "stable"), before="2", after="1"),
    Command(name="remove", words=("remove", "stable", f"{PACKAGE}=2"), before="2", after="1"),
    Command(name="refresh", words=("refresh", "stable"), before="2", after="2"),
    Command(name="retire", words=("retire", "stable"), before="2", after=""),
    Command(
        name="gc", words=("gc", "--keep", "1"), before="3", after="3", base=OLD, gone="pool/main/a/aardvark"
    ),
)
"""`stable` of the full repository had 1 and has 2, `testing` has 3. In the old one it had 1 and 2 and has 3, all for
days, and a package that only its first snapshot has. The sourced one has 1 and 2 with their sources, .changes and
.buildinfo; the rich one has them too, and all indices that there can be, in all forms."""

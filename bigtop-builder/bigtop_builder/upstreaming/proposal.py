# SPDX-License-Identifier: Apache-2.0
"""A patch in upstream's form, ready to be sent, and its folder: `build/upstream/<target>/<name>/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bigtop_builder.atomic import write_whole
from bigtop_builder.patches.finding import Finding
from bigtop_builder.schema import Value
from bigtop_builder.upkeep.threeway import Outcome
from bigtop_builder.workspace import Project

PROPOSAL: Final = "proposal.json"
BODY: Final = "body.md"
STEPS: Final = "steps.md"
SENT: Final = "sent.json"
PATCH: Final = "proposed.patch"
"""The patch's file, where upstream gives it no name."""


class Proposal(Value):
    """What would be sent of one patch.

    Attributes:
        format: Of this file.
        key: Hash of all that it was made of.
        patch: `target/name`.
        file: The diff in the queue that it was made of.
        repository: Git URL of upstream's repository.
        merge: How a patch lands there.
        base: Branch that it is to go into.
        base_commit: Its commit at that time.
        applied: How the patch went onto that.
        commit: The commit that would be pushed; it is in the cache.
        branch: Name of the branch.
        title: Title of the pull request, and subject of the commit.
        body: Text of the pull request; empty where there is none.
        ticket: Its ticket.
        ticket_url: Where that is.
        attachment: Name of the patch's file in the folder.
        steps: What a person does on the ticket.
        findings: What the project's checks say.
        commands_run: Whether the project's own programs were among them.
    """

    format: Literal[1] = 1
    key: str
    patch: str
    file: str
    repository: str
    merge: Literal["button", "script", "ticket-attachment"]
    base: str
    base_commit: str
    applied: Outcome
    commit: str
    branch: str
    title: str
    body: str
    ticket: str
    ticket_url: str
    attachment: str
    steps: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    commands_run: bool = False

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What is to be mended before it is sent."""
        return tuple(one for one in self.findings if one.level == "error")

    @property
    def by_ticket(self) -> bool:
        """Whether it is attached to the ticket, and not pushed."""
        return self.merge == "ticket-attachment"


class Sent(Value):
    """What `submit` sent of a patch, or was about to, so that it knows its own again after it was killed.

    Attributes:
        heads: Commits that it pushed, or was about to.
        title: Title that it gave the pull request last; empty if it gave none.
        body: The text.
    """

    heads: tuple[str, ...] = ()
    title: str = ""
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The folder of a patch's proposal.

    Attributes:
        folder: It; need not be there.
    """

    folder: Path

    @classmethod
    def of(cls, project: Project, patch_id: str) -> "Kept":
        """The folder of a patch."""
        return cls(folder=project.output / "upstream" / patch_id)

    def proposal(self) -> Proposal | None:
        """What was prepared last; None if nothing was.

        Raises:
            InputError: The file is none of ours.
        """
        file = self.folder / PROPOSAL
        return Proposal.from_json(file.read_bytes(), source=str(file)) if file.is_file() else None

    def sent(self) -> Sent:
        """What was sent.

        Raises:
            InputError: The file is none of ours.
        """
        file = self.folder / SENT
        return Sent.from_json(file.read_bytes(), source=str(file)) if file.is_file() else Sent()

    def put(self, sent: Sent) -> None:
        """Keep what was sent."""
        write_whole(self.folder / SENT, sent.to_json())

    def files(self) -> Mapping[str, bytes]:
        """The patches that are here, by name."""
        return {file.name: file.read_bytes() for file in sorted(self.folder.glob("*.patch"))}

    def keep(self, proposal: Proposal, mail: bytes) -> None:
        """Keep a proposal; its own file comes last, so that it is never of other texts than those beside it.

        Args:
            proposal: The proposal.
            mail: The patch as a mail.
        """
        (self.folder / PROPOSAL).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / proposal.attachment).write_bytes(mail)
        steps = "".join(f"{number}. {step}\n" for number, step in enumerate(proposal.steps, 1))
        for name, text in ((BODY, proposal.body), (STEPS, steps)):
            if text:
                write_whole(self.folder / name, text)
            else:
                (self.folder / name).unlink(missing_ok=True)
        write_whole(self.folder / PROPOSAL, proposal.to_json())

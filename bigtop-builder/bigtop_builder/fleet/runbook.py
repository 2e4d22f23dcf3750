# SPDX-License-Identifier: Apache-2.0
"""The runbook of an upgrade day: what is run where, in which order, what is checked after it, and the way back.

A step is one shell script, run as root on each of its hosts; what is run again after an interruption finishes the
job. The rehearsal runs the same scripts in the same order as people do on the day.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from bigtop_builder.fleet.definition import Text
from bigtop_builder.schema import Value

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
"""Of a phase or a step: what its script is called."""


class Step(Value):
    """One thing that is done on some hosts, or at the operator's desk."""

    id: Id = Field(description="Its script is `steps/<id>`, or `back/<id>` of the way back")
    title: Text = Field(description="What is done, for people")
    hosts: tuple[Text, ...] = Field(
        (), description="Where, in this order; none is the operator's desk, where bigtop-builder is"
    )
    batch: int = Field(0, ge=0, description="Hosts at once; 0 is all of them")
    pause: int = Field(0, ge=0, description="Seconds between two batches")
    run: tuple[Text, ...] = Field(min_length=1, description="Shell lines")
    check: tuple[Text, ...] = Field(
        (), description="Shell lines that must succeed on each host of a batch before the next one is begun"
    )
    stop: str = Field("", description="When the day stops here, and what to look at then")


class Phase(Value):
    """Steps after which hosts stand at a point that one can stay at."""

    id: Id = Field(description="Name")
    title: Text = Field(description="What is done, for people")
    why: str = Field("", description="What it is for, and what holds after it")
    steps: tuple[Step, ...] = Field(min_length=1, description="In order")
    back: tuple[Id, ...] = Field(
        (),
        description="The way back from anywhere within this phase and from its end, as ids of `back`, in order; "
        "none: nothing has to be undone",
    )
    final: bool = Field(False, description="After it there is no way back")


class Runbook(Value):
    """An upgrade day, from one snapshot to another."""

    format: Literal[1] = Field(1, description="Version of this format")
    origin: Text = Field(description="The repository's")
    upgrade: Text = Field(description="Id of the snapshot that hosts go to")
    rollback_to: str = Field("", description="Id of the one that they come from; empty if there is none")
    day: Text = Field("/root/upgrade-day", description="Folder on each host that has the day's files")
    kept: Text = Field(
        "/var/backups/upgrade-day",
        description="Folder on each host for copies and the log; the upgrade's own in it",
    )
    patience: int = Field(300, ge=1, description="Seconds until a check that does not succeed has failed")
    login: str = Field("", description="Shell, run as a service's user before each of its commands")
    phases: tuple[Phase, ...] = Field(min_length=1, description="In order")
    back: tuple[Step, ...] = Field((), description="Steps of ways back")

    @model_validator(mode="after")
    def _ids_are_known_and_single(self) -> Self:
        for ids in ([phase.id for phase in self.phases], [step.id for step in (*self.steps(), *self.back)]):
            if twice := sorted({one for one in ids if ids.count(one) > 1}):
                raise ValueError(f"{twice[0]!r} is there twice")
        ways = {step.id for step in self.back}
        for phase in self.phases:
            if unknown := [one for one in phase.back if one not in ways]:
                raise ValueError(f"phase {phase.id!r} goes back by {unknown[0]!r}, which there is not")
        return self

    def steps(self) -> Iterator[Step]:
        """All steps forward, in order."""
        for phase in self.phases:
            yield from phase.steps

    def way_back(self, phase: Phase) -> list[Step]:
        """What takes hosts back from within a phase, in order."""
        steps = {step.id: step for step in self.back}
        return [steps[one] for one in phase.back]

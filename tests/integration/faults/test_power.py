# SPDX-License-Identifier: Apache-2.0
"""Power loss: what a command did is replayed up to each call, and the disk has lost all it may have lost."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import COMMANDS, Command
from disk import Disk, Keep, Tree, contents, lay
from stage import BY_HASH, Desk, journal_of
from sweep import DOUBLE, LOSSES, SEED, Sweep, share
from test_kill import Kill, hosts_get_one_state, kills, the_same_command_completes_it

MIXTURES = 3
"""Random choices of what was lost, besides all and nothing."""


class Loss:
    """What is found after a power loss."""

    def __init__(self, name: str, tree: Tree) -> None:
        self.name = name
        self.tree = tree

    def __str__(self) -> str:
        return self.name


def keeps(salt: str) -> Iterator[tuple[str, Keep]]:
    """Ways in which a disk loses changes of folders."""
    yield "all that may be is lost", lambda *_: False
    yield "folders are kept, bytes are lost", lambda *_: True
    for number in range(MIXTURES):
        chance = random.Random(f"{SEED} {salt} {number}")  # noqa: S311  # no secret
        yield f"a mixture is lost ({number})", lambda *_, chance=chance: chance.random() < 0.5


def losses(desk: Desk, command: Command) -> list[Loss]:
    """What may be found after a power loss during a command, each state once."""
    lines = journal_of(desk, command).read_text().splitlines()
    desk.lay_out(command.base)
    disk = Disk(desk.root)
    found: dict[int, Loss] = {}
    for number in range(len(lines) + 1):
        if number:
            disk.replay(lines[number - 1 : number])
        for name, keep in keeps(f"{command.name} {number}"):
            tree = disk.after_loss(keep, unsynced=False)
            told = contents(tree)
            key = hash(frozenset(item for item in told.items() if not item[0].startswith("state/tmp")))
            found.setdefault(key, Loss(f"{command.name}, after {number} calls, {name}", tree))
    return list(found.values())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_power_lost_at_any_call_leaves_the_old_or_the_new_state_and_the_same_command_completes_it(
    sweep: Sweep, command: Command
) -> None:
    def attempt(desk: Desk, loss: Loss) -> None:
        lay(loss.tree, desk.root)
        way = ("file", BY_HASH[len(loss.name) % 2])
        hosts_get_one_state(desk, command, [way])
        the_same_command_completes_it(desk, command, way)

    points = sweep.at_a_desk(lambda desk: losses(desk, command))
    chosen = sweep.chosen(points, share(LOSSES, command), salt=f"power {command.name}")
    failures = sweep.failures(f"power loss, {command.name}", chosen, attempt)
    assert not failures, failures


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_what_a_command_said_is_done_outlives_a_power_loss_also_if_it_was_killed_the_first_time(
    sweep: Sweep, command: Command
) -> None:
    def attempt(desk: Desk, kill: Kill) -> None:
        desk.lay_out(command.base)
        disk = Disk(desk.root)
        journal = desk.folder / "journal"
        journal.unlink(missing_ok=True)
        desk.run(command, at=kill.call, journal=journal)
        again = desk.run(command, journal=journal)
        assert again.status == 0, again.said
        disk.replay(journal.read_text().splitlines())
        assert contents(disk.now()) == seen(desk.root), "the journal does not tell all that was done"
        lay(disk.after_loss(lambda *_: False, unsynced=False), desk.root)
        assert desk.problems() == ()
        assert desk.installs(command, "file", "yes") == command.after

    points = [one for one in sweep.at_a_desk(lambda desk: kills(desk, command)) if one.how == "kill"]
    chosen = sweep.chosen(points, share(DOUBLE, command), salt=f"killed, then power loss {command.name}")
    failures = sweep.failures(f"killed, done again, power loss, {command.name}", chosen, attempt)
    assert not failures, failures


def seen(root: Path) -> dict[str, bytes | str]:
    return contents(Disk(root).now())

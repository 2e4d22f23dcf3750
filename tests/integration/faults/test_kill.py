# SPDX-License-Identifier: Apache-2.0
"""SIGKILL before every call that changes the repository, and in the middle of every write."""

import json
from itertools import product
from typing import NamedTuple

import pytest
from commands import COMMANDS, Command
from hook import How
from stage import BY_HASH, METHODS, Desk, journal_of
from sweep import KILLS, Sweep, share


class Kill(NamedTuple):
    """Where a command dies."""

    command: str
    call: int
    how: How
    path: str


def kills(desk: Desk, command: Command) -> list[Kill]:
    """All points of a command, by the calls that it makes when nobody disturbs it."""
    lines = journal_of(desk, command).read_text().splitlines()
    found = []
    for number, event in enumerate(map(json.loads, lines)):
        hows: tuple[How, ...] = ("kill", "torn") if event["call"] == "write" else ("kill",)
        told = f"{event['call']} {event['path'].removeprefix(str(desk.root))}"
        found += [Kill(command.name, number, how, told) for how in hows]
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_killed_at_any_call_it_leaves_the_old_or_the_new_state_and_the_same_command_completes_it(
    sweep: Sweep, command: Command
) -> None:
    def attempt(desk: Desk, kill: Kill) -> None:
        desk.lay_out(command.base)
        journal = desk.folder / "journal"
        journal.unlink(missing_ok=True)
        ended = desk.run(command, at=kill.call, how=kill.how, journal=journal)
        # Processes that make a folder at once fail not always equally often: a last call may not be reached.
        through = command.many and ended.status == 0 and len(journal.read_text().splitlines()) <= kill.call
        assert ended.status == -9 or through, f"it was not killed: {ended}"
        ways = list(product(METHODS, BY_HASH))
        if not sweep.exhaustive:
            ways = [(METHODS[kill.call % 2], by_hash) for by_hash in BY_HASH]
        hosts_get_one_state(desk, command, ways)
        the_same_command_completes_it(desk, command, ways[kill.call % len(ways)])

    points = sweep.at_a_desk(lambda desk: kills(desk, command))
    chosen = sweep.chosen(points, share(KILLS, command), salt=f"kill {command.name}")
    failures = sweep.failures(f"kill, {command.name}", chosen, attempt)
    assert not failures, failures


def hosts_get_one_state(desk: Desk, command: Command, ways: list[tuple[str, str]]) -> None:
    """By any way a host gets the state before or the one after, by a real update and install."""
    assert desk.problems() == ()
    if command.before or (desk.root / "dists/stable").exists():
        versions = {desk.installs(command, method, by_hash) for method, by_hash in ways}
        assert versions in ({command.before}, {command.after}), versions


def the_same_command_completes_it(desk: Desk, command: Command, way: tuple[str, str]) -> None:
    """A rerun succeeds, leaves nothing behind, and hosts get the state after."""
    again = desk.run(command)
    assert again.status == 0, again.said
    assert desk.problems() == ()
    assert not list(desk.root.glob("state/tmp/*"))
    assert not command.gone or not any(path.is_file() for path in (desk.root / command.gone).rglob("*"))
    assert desk.installs(command, *way) == command.after

# SPDX-License-Identifier: Apache-2.0
"""SIGKILL in the very first publish to a suite, and then another publisher with other packages."""

import pytest
from commands import COMMANDS, PACKAGE, Command
from stage import BY_HASH, METHODS, Desk
from sweep import TAKEN_UP, Sweep
from test_kill import Kill, kills

from bigtop_builder.repository.publish import Repository

OTHER = "zebra"
FIRST = next(one for one in COMMANDS if one.name == "first")


def names(desk: Desk) -> list[str]:
    state = Repository.open(desk.root).state
    pointer = state.unverified_pointer("stable")
    assert pointer
    index = state.snapshot(pointer.snapshot).components["main"]["amd64"]
    return [one.name for one in state.packages(index)]


def signed(desk: Desk) -> bool:
    """Whether the publish that was killed left the suite's state, signed."""
    wrapper = desk.root / "releases/stable/1/InRelease"
    return wrapper.exists() or (desk.root / "state/history/stable/1.json.asc").exists()


@pytest.mark.parametrize("twice", [False, True], ids=["", "and the other one is killed too"])
def test_whoever_publishes_next_takes_up_what_was_signed_first(sweep: Sweep, twice: bool) -> None:
    def attempt(desk: Desk, kill: Kill) -> None:
        desk.lay_out(FIRST.base)
        assert desk.run(FIRST, at=kill.call, how=kill.how).status == -9
        there = signed(desk)
        other = desk.stage.deb(OTHER, "1")
        words = ("add", "stable", str(other))
        command = Command(name="next", words=words, before="", after=FIRST.after, base=FIRST.base)
        if twice:
            desk.run(command, at=kill.call, how=kill.how)
            assert desk.problems() == ()
        ended = desk.run(command)
        assert ended.status == 0, ended.said
        assert names(desk) == ([OTHER, PACKAGE] if there else [OTHER])
        assert desk.problems() == ()
        if there:
            way = METHODS[kill.call % 2], BY_HASH[kill.call // 2 % 2]
            assert desk.installs(command, *way) == FIRST.after

    points = sweep.at_a_desk(lambda desk: kills(desk, FIRST))
    # Before the wrapper nothing is signed: most of the sample is of the last calls.
    late = points[len(points) // 2 :]
    chosen = sweep.chosen(points if sweep.exhaustive else late, TAKEN_UP // 2, salt=f"take up {twice}")
    failures = sweep.failures(f"take up, {twice=}", chosen, attempt)
    assert not failures, failures

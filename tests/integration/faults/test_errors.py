# SPDX-License-Identifier: Apache-2.0
"""A disk that fails, is full or cannot be written: a clear error, the right exit status, the old state stands."""

import errno
import os
import shutil
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import ADD, COMMANDS, FULL, PACKAGE, Command
from hook import How
from stage import BY_HASH, METHODS, TOOL, Desk, journal_of
from sweep import ERRORS, Sweep, share
from test_kill import hosts_get_one_state, the_same_command_completes_it

from apt_host import write_deb
from bigtop_builder.errors import PublishError
from bigtop_builder.run import Completed, run

BIG = 24 << 20
"""Bytes of a package that a small disk has no room for."""
UNTRUE = "nothing was switched"
UNTRUE_OF_GC = "or removed"


class Failure(NamedTuple):
    """A call that fails."""

    command: str
    call: int
    how: How
    lasting: bool


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_an_error_at_any_call_is_told_the_old_or_the_new_state_stands_and_the_same_command_completes_it(
    sweep: Sweep, command: Command
) -> None:
    def attempt(desk: Desk, failure: Failure) -> None:
        desk.lay_out(command.base)
        held = files(desk)
        ended = desk.run(command, at=failure.call, how=failure.how, lasting=failure.lasting)
        way = (METHODS[failure.call % 2], BY_HASH[failure.call // 2 % 2])
        hosts_get_one_state(desk, command, [way])
        stands = desk.version()
        if ended.status:
            it_is_told(ended.status, ended.said, failure.how)
            assert stands == command.before or UNTRUE not in ended.said, f"untrue: {ended.said}"
            assert UNTRUE_OF_GC not in ended.said or files(desk) >= held, f"untrue: {ended.said}"
        else:
            assert stands == command.after, f"said to be done: {ended.said}"
        the_same_command_completes_it(desk, command, way)

    def points(desk: Desk) -> list[Failure]:
        calls = len(journal_of(desk, command).read_text().splitlines())
        hows: tuple[tuple[How, bool], ...] = (("EIO", False), ("ENOSPC", True))
        return [Failure(command.name, call, *how) for call, how in product(range(calls), hows)]

    chosen = sweep.chosen(sweep.at_a_desk(points), share(ERRORS, command), salt=f"error {command.name}")
    failures = sweep.failures(f"error, {command.name}", chosen, attempt)
    assert not failures, failures


def files(desk: Desk) -> set[Path]:
    """Paths of what a gc removes."""
    return {path for top in ("snapshots", "by-hash", "pool") for path in (desk.root / top).rglob("*")}


def it_is_told(status: int, said: str, how: str) -> None:
    assert status == PublishError.exit_code, said
    assert os.strerror(getattr(errno, how)) in said, said
    assert "error: " in said
    assert "way out: " in said
    assert "Traceback" not in said
    assert "state/tmp" not in said, said


def with_mount(desk: Desk, before: str, words: list[str], after: str = "") -> Completed:
    """Run the tool between two lines of shell, with mounts that only the three of them see."""
    alone = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    script = f'{before}\nstatus=0\n"$@" || status=$?\n{after}\nexit $status'
    variables = {"BIGTOP_BUILDER_KEYS_DIR": str(desk.stage.keys)}
    return run([*alone, "sh", "-ec", script, "sh", TOOL, *words], check=False, env=variables)


@pytest.fixture(scope="module")
def _mounts() -> None:
    alone = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    if run([*alone, "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode:
        pytest.skip("this account may mount nothing, not even for itself")


@pytest.mark.usefixtures("_mounts")
def test_a_full_disk_is_told_and_what_was_written_in_vain_is_gone(sweep: Sweep, tmp_path: Path) -> None:
    deb = write_deb(tmp_path, "elephant", "1", data=os.urandom(BIG))

    def attempt(desk: Desk) -> None:
        desk.lay_out(FULL)
        full = f"mount -t tmpfs -o size={BIG} none {tmp_path}\ncp -a {desk.root} {tmp_path}/full"
        back = f"rm -r {desk.root}\ncp -a {tmp_path}/full {desk.root}"
        words = ["repo", "add", "stable", str(desk.folder / deb.name), "--repo", f"{tmp_path}/full"]
        shutil.copy(deb, desk.folder)
        ended = with_mount(desk, full, words, back)
        it_is_told(ended.returncode, ended.complaint, "ENOSPC")
        assert "pool/main/e/elephant" in ended.complaint
        assert sum(path.stat().st_size for path in desk.root.rglob("*") if path.is_file()) < BIG // 4
        hosts_get_one_state(desk, ADD, [("http", "yes")])
        the_same_command_completes_it(desk, ADD, ("http", "yes"))

    sweep.at_a_desk(attempt)


@pytest.mark.usefixtures("_mounts")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_a_store_that_may_not_be_written_is_told(sweep: Sweep, command: Command) -> None:
    def attempt(desk: Desk) -> None:
        desk.lay_out(command.base)
        words = desk.stage.words(command, desk.root)
        ended = with_mount(desk, f"mount --bind -o ro {desk.root} {desk.root}", words)
        it_is_told(ended.returncode, ended.complaint, "EROFS")
        assert str(desk.root) in ended.complaint
        assert desk.version() == command.before

    sweep.at_a_desk(attempt)


@pytest.mark.usefixtures("_mounts")
def test_a_store_that_may_not_be_written_is_read_all_the_same(sweep: Sweep) -> None:
    def attempt(desk: Desk) -> None:
        desk.lay_out(FULL)
        read_only = f"mount --bind -o ro {desk.root} {desk.root}"
        for words in (
            ["repo", "list"],
            ["repo", "check"],
            ["repo", "add", "stable", str(desk.stage.deb(PACKAGE, "2"))],
        ):
            ended = with_mount(desk, read_only, [*words, "--repo", str(desk.root)])
            assert ended.returncode == 0, ended.complaint

    sweep.at_a_desk(attempt)

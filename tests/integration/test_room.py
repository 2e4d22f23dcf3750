# SPDX-License-Identifier: Apache-2.0
"""What holds in every room: a container, a chroot, and a folder of this very machine."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rooms import chroots, containers

from bigtop_builder.container import Engine
from bigtop_builder.errors import BuilderError, BuildError
from bigtop_builder.host import HostRooms
from bigtop_builder.room import Room, RoomMaker
from bigtop_builder.tarstream import pack

KINDS = [
    pytest.param("container", marks=[pytest.mark.docker, pytest.mark.network]),
    pytest.param("chroot", marks=pytest.mark.network),
    "host",
]


@pytest.fixture(scope="module", params=KINDS)
def rooms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomMaker]:
    if request.param == "container":
        with Engine.connect() as engine:
            yield containers(engine)
    elif request.param == "chroot":
        yield chroots()
    else:
        yield HostRooms(tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def room(rooms: RoomMaker) -> Iterator[Room]:
    with rooms.open(purpose="test of a room", env={"COLOUR": "green"}) as room:
        yield room


def test_a_command_leaves_its_status_and_both_its_outputs(room: Room) -> None:
    done = room.run(["sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


def test_words_reach_the_command_as_they_are(room: Room) -> None:
    assert room.run(["printf", "%s|", "a b", "$HOME", "*", ""]).stdout == b"a b|$HOME|*||"


def test_commands_start_in_the_workdir_with_a_home_below_it(room: Room) -> None:
    said = room.run(["sh", "-c", 'pwd; echo "$HOME"; [ -d "$HOME" ]']).text.splitlines()
    assert said == [room.workdir, f"{room.workdir}/home"]


def test_the_folder_and_the_variables_are_those_asked_for(room: Room) -> None:
    done = room.run(["sh", "-c", 'pwd; echo "$COLOUR $SIZE"'], cwd="/usr", env={"SIZE": "large one"})
    assert done.text.splitlines() == ["/usr", "green large one"]


def test_the_callers_own_variables_stay_outside(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    assert "secret" not in room.run(["env"]).text


def test_a_failure_is_the_callers_kind_of_error_with_the_commands_last_lines(room: Room) -> None:
    with pytest.raises(BuildError, match="failed with exit status 3") as raised:
        room.run(["sh", "-c", "seq 1000; exit 3"], error=BuildError)
    assert raised.value.details.splitlines()[-1] == "1000"
    assert len(raised.value.details.splitlines()) < 50


def test_a_program_that_is_not_there_is_a_failure_like_any_other(room: Room) -> None:
    assert room.run(["no-such-program"], check=False).returncode == 127


def test_lines_come_while_the_command_runs(room: Room) -> None:
    times: dict[bytes, float] = {}

    def note(line: bytes) -> None:
        times[line] = time.monotonic()

    done = room.run(
        ["sh", "-c", "echo first; sleep 0.5; echo second >&2; printf end"],
        on_line=note,
    )
    assert list(times) == [b"first\n", b"second\n", b"end"]
    assert times[b"second\n"] - times[b"first\n"] > 0.3
    assert done.stdout == done.stderr == b""


def test_a_full_disk_is_named_as_the_cause(room: Room) -> None:
    with pytest.raises(BuilderError, match="the disk is full") as raised:
        room.run(["sh", "-c", "cat /etc/passwd >/dev/full"])
    assert "free space" in raised.value.hint


def test_files_go_in_and_come_out_again_as_the_callers_own(room: Room, tmp_path: Path) -> None:
    large = os.urandom(10_000_000)
    began = time.monotonic()
    room.put(pack({"in/large": large, "in/deep/small": b"s"}), room.workdir)
    room.run(["ln", "-s", "deep/small", "in/link"])
    room.get(f"{room.workdir}/in", tmp_path)
    assert time.monotonic() - began < 5
    assert (tmp_path / "in/large").read_bytes() == large
    assert (tmp_path / "in/link").read_bytes() == b"s"
    assert (tmp_path / "in/large").stat().st_uid == os.getuid()


def test_an_open_file_goes_in_as_well_as_an_iterable(room: Room, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    archive.write_bytes(b"".join(pack({"from-file": b"content"})))
    with archive.open("rb") as stream:
        room.put(stream, room.workdir)
    assert room.run(["cat", "from-file"]).stdout == b"content"


def test_a_folder_that_is_not_there_is_named(room: Room) -> None:
    large = {"large": b"x" * 10_000_000}
    with pytest.raises(BuilderError, match=f"files cannot be put into {room.workdir}/no/such of"):
        room.put(pack(large), f"{room.workdir}/no/such")


def test_a_file_that_is_not_there_is_named(room: Room, tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match=f"{room.workdir}/nothing cannot be copied out"):
        room.get(f"{room.workdir}/nothing", tmp_path)


def test_a_link_out_of_what_is_copied_is_refused(room: Room, tmp_path: Path) -> None:
    room.run(["sh", "-c", "mkdir -p bad && ln -sf /etc/passwd bad/link"])
    with pytest.raises(BuilderError, match="bad/link -> /etc/passwd in the tar stream leads out"):
        room.get(f"{room.workdir}/bad", tmp_path)


def test_an_error_of_the_one_who_packs_comes_through(room: Room, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        room.put(pack({"first": b"x" * 1000, "second": tmp_path / "gone"}), room.workdir)


def test_a_process_that_was_started_lives_until_the_room_is_left(rooms: RoomMaker) -> None:
    with rooms.open(purpose="daemon") as room:
        beat = f"date >{room.name}.beat"  # its own: other rooms' processes are seen beside it
        began = time.monotonic()
        room.run(["sh", "-c", f"(while sleep 0.1; do {beat}; done) & echo started"])
        assert time.monotonic() - began < 3
        time.sleep(0.5)
        assert room.run(["cat", f"{room.name}.beat"]).text
        others = room.run(["sh", "-c", "cat /proc/[0-9]*/cmdline"], check=False).stdout
        assert beat.encode() in others
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            assert beat.encode() not in path.read_bytes()


def test_each_room_is_clean_and_is_gone_with_its_files_also_after_an_error(rooms: RoomMaker) -> None:
    names = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), rooms.open(purpose="x") as room:  # noqa: PT012  # leaving raises
            names.append(room.name)
            assert room.run(["ls"]).text == "home"
            room.run(["touch", "left-behind"])
            raise KeyboardInterrupt
    assert len(set(names)) == 2

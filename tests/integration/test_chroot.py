# SPDX-License-Identifier: Apache-2.0
"""Chroots: clean systems without Docker, of which nothing stays."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from rooms import chroots, site

from bigtop_builder.chroot import ChrootRooms
from bigtop_builder.run import Completed, run

pytestmark = pytest.mark.network

CHECKOUT = Path(__file__).parents[2]
# The second argument is a folder that others may not enter, as root's home: what is in it but the checkout is hidden.
AS_USER = """
mount --bind "$1" /etc/subuid
mount --bind "$1" /etc/subgid
if [ "$2" ]; then
    mkdir -p "$4"
    mount --bind "$3" "$4"
    mount -t tmpfs -o mode=755 none "$2"
    mkdir -p "$3"
    mount --bind "$4" "$3"
fi
shift 4
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
"""
TRY = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from rooms import site, spec
from bigtop_builder.chroot import ChrootRooms
from bigtop_builder.errors import BuilderError
from bigtop_builder.workspace import Workspace
try:
    with ChrootRooms(spec(), workspace=Workspace(Path(sys.argv[2])), settings=site()[1]).open(purpose="user") as room:
        print(room.run(["sh", "-c", "id -u; stat -c %g /var/mail; chown 33:33 /build; stat -c %u /build"]).text)
except BuilderError as error:
    print(error)
    sys.exit(error.exit_code)
"""
LEFT_BEHIND = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from rooms import chroots
with chroots().open(purpose="killed") as room:
    room.run(["sh", "-c", f"sleep {sys.argv[2]} &"])
    print(room.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def rooms() -> ChrootRooms:
    return chroots()


def _folder(name: str) -> Path:
    return site()[0].images / "rooms" / name


def _command_lines() -> bytes:
    paths = Path("/proc").glob("[0-9]*/cmdline")
    return b"\n".join(path.read_bytes() for path in paths if path.exists())


def test_a_chroot_is_a_clean_system_of_the_target_with_devices_and_its_own_processes(
    rooms: ChrootRooms,
) -> None:
    with rooms.open(purpose="system") as room:
        assert "bookworm" in room.run(["cat", "/etc/os-release"]).text
        assert room.run(["id", "-u"]).text == "0"
        assert (
            room.run(["sh", "-c", "head -c 3 /dev/zero | od -An -tx1; echo x >/dev/null"]).text == " 00 00 00"
        )
        assert int(room.run(["sh", "-c", "ls -d /proc/[0-9]* | wc -l"]).text) < 10
        assert room.run(["ls", "/usr/sbin/policy-rc.d"], check=False).returncode == 2


def test_the_archive_is_reached_and_verified_from_within(rooms: ChrootRooms) -> None:
    with rooms.open(purpose="apt") as room:
        room.run(["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"])
        assert "hello" in room.run(["apt-cache", "show", "hello"]).text


def test_an_orphan_that_ends_does_not_stay_as_a_zombie(rooms: ChrootRooms) -> None:
    with rooms.open(purpose="orphan") as room:
        pid = room.run(["sh", "-c", "(sleep 0.2 & echo $!)"]).text
        room.run(["sleep", "0.5"])
        assert room.run(["test", "-e", f"/proc/{pid}"], check=False).returncode == 1


def test_mounts_are_seen_by_nobody_outside_and_the_folder_is_gone_afterwards(rooms: ChrootRooms) -> None:
    with rooms.open(purpose="mounts") as room:
        name = room.name
        assert _folder(name).is_dir()
        assert name not in Path("/proc/self/mounts").read_text()
    assert not _folder(name).exists()


def test_a_process_that_is_killed_takes_its_rooms_processes_along_and_the_folder_is_swept(
    rooms: ChrootRooms,
) -> None:
    seconds = f"4711.{os.getpid()}"
    done = run([sys.executable, "-c", LEFT_BEHIND, Path(__file__).parent, seconds], check=False)
    assert done.returncode == -signal.SIGKILL, done.complaint
    deadline = time.monotonic() + 5
    while seconds.encode() in _command_lines():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert _folder(done.text).exists()
    with rooms.open(purpose="next") as room:
        assert not _folder(done.text).exists()
        assert _folder(room.name).exists()


def _as_user(folder: Path, ranges: str) -> Completed:
    folder.chmod(0o755)
    (folder / "ranges").write_text(ranges)
    words = [sys.executable, "-B", "-c", TRY, str(Path(__file__).parent), str(folder / "cache")]
    env = {"HOME": str(folder / "cache"), "TMPDIR": str(folder / "cache")}
    closed = next((str(one) for one in CHECKOUT.parents if not one.stat().st_mode & 0o001), "")
    places = [str(folder / "ranges"), closed, str(CHECKOUT), str(folder / "checkout")]
    argv = ["unshare", "--mount", "sh", "-euc", AS_USER, "sh", *places, *words]
    return run(argv, env=env, cwd=folder, check=False)


@pytest.fixture
def shared(rooms: ChrootRooms) -> "Path":
    """A folder that another user reaches, with a cache of its own that has the systems made already."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path(run(["mktemp", "-d", "-p", "/var/tmp", "bigtop-builder-test-XXXXXX"]).text)
    images = folder / "cache/images"
    images.mkdir(parents=True)
    for tarball in rooms.tarball.parent.glob("*.tar"):
        shutil.copy(tarball, images)
    for path in (folder / "cache", images, *images.iterdir()):
        os.chown(path, 65534, 65534)
    return folder


@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="uidmap is not installed")
@pytest.mark.skipif(
    " /proc/" in Path("/proc/self/mounts").read_text(),
    reason="a container hides parts of /proc here, and then Linux lets no user mount another (user_namespaces(7))",
)
def test_an_ordinary_user_with_a_range_of_user_ids_is_root_within(shared: Path) -> None:
    try:
        done = _as_user(shared, "nobody:100000:65536\n")
        assert done.text.splitlines() == ["0", "8", "33"], done.text + done.complaint
        assert list((shared / "cache/images/rooms").iterdir()) == []
    finally:
        shutil.rmtree(shared)


def test_an_ordinary_user_without_one_is_told_what_is_missing(shared: Path) -> None:
    try:
        done = _as_user(shared, "")
        assert done.returncode == 3, done.text + done.complaint
        assert "subuid" in done.text
    finally:
        shutil.rmtree(shared)

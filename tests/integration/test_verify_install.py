# SPDX-License-Identifier: Apache-2.0
"""Closure, lintian, installation and services, on clean systems of the miniature's target distribution."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bigtop_builder.artifact import read_deb
from bigtop_builder.chroot import ChrootRooms
from bigtop_builder.container import Engine
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.image import builder_image, target_image
from bigtop_builder.recipe import Recipe, Service
from bigtop_builder.room import Room, RoomMaker
from bigtop_builder.settings import load_settings
from bigtop_builder.verify import services
from bigtop_builder.verify.closure import Judgement, judge_closure
from bigtop_builder.verify.install import Guests, try_packages
from bigtop_builder.verify.integrity import inspect
from bigtop_builder.verify.lintian import check_lintian
from bigtop_builder.verify.packages import Built
from bigtop_builder.verify.run import verify
from bigtop_builder.verify.services import try_service
from bigtop_builder.verify.shelf import furnish, shell
from bigtop_builder.verify.verdict import Finding, Verdict
from bigtop_builder.workspace import Workspace
from verify_debs import STAMP, VERSION, make_deb

pytestmark = [pytest.mark.docker, pytest.mark.network]

MINIATURE = Path(__file__).parents[2] / "recipes/miniature/recipes/1.0.0.toml"
PORT = 7077
DAEMON = f"""#!/usr/bin/perl
use strict; use IO::Socket::INET;
open(my $log, '>>', '/var/log/echod.log'); $log->autoflush(1); print $log "echod starts\\n";
exit 0 if fork;
open(my $pid, '>', '/run/echod.pid'); print $pid $$; close $pid;
my $port = IO::Socket::INET->new(LocalPort => {PORT}, Listen => 1, ReuseAddr => 1) or die $!;
while (my $peer = $port->accept) {{ print $peer "imok"; close $peer; }}
"""
PROBE = (
    "perl -MIO::Socket::INET -e '"
    f'exit(IO::Socket::INET->new("127.0.0.1:{PORT}")->getline eq "imok" ? 0 : 1)'
    "'"
)
STOP = "[ ! -f /run/echod.pid ] || { kill $(cat /run/echod.pid); rm /run/echod.pid; }"
SERVICE = Service(
    package="echod",
    prepare=("touch /run/echod.pid /var/log/echod.log", "chown nobody /run/echod.pid /var/log/echod.log"),
    start="runuser -u nobody -- /usr/bin/echod",
    process="/usr/bin/echod",
    port=PORT,
    probe=PROBE,
    stop=STOP,
    seconds=20,
)
TINY = ("no-copyright-file", "no-changelog", "extended-description-is-empty", "dir-or-file-in-var-run")


def _recipe(
    *, roles: Mapping[str, Sequence[str]], services: Sequence[Service] = (), waive: bool = True
) -> Recipe:
    recipe = Recipe.from_toml(MINIATURE)
    known = [{"tag": tag, "reason": "packages of this test are tiny"} for tag in TINY if waive]
    data = recipe.model_dump()
    data |= {
        "components": [{"name": "part", "services": services}],
        "roles": roles,
        "lintian": known,
        "patches": (),
    }
    return Recipe.model_validate(data)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.connect() as engine:
        yield engine


@pytest.fixture(scope="module")
def targets(engine: Engine) -> RoomMaker:
    return _rooms(engine, target_image)


@pytest.fixture(scope="module")
def builders(engine: Engine) -> RoomMaker:
    return _rooms(engine, builder_image)


def _rooms(engine: Engine, kind: object) -> RoomMaker:
    settings = load_settings()
    spec = kind(Recipe.from_toml(MINIATURE), settings)
    built = ensure_image(engine, spec, workspace=Workspace(root=settings.cache_dir), settings=settings)
    return engine.rooms(built.name)


class Counted:
    """Rooms that are counted."""

    def __init__(self, rooms: RoomMaker) -> None:
        self.rooms = rooms
        self.opened = 0

    @contextmanager
    def open(self, **how: object) -> Iterator[Room]:
        self.opened += 1
        with self.rooms.open(**how) as room:
            yield room


def _verify(
    debs: Sequence[Path], recipe: Recipe, targets: RoomMaker, builders: RoomMaker, **more: object
) -> Verdict:
    return verify(
        [Built(path=path, component="part") for path in debs],
        identity="0" * 64,
        recipe=recipe,
        stamps={"part": STAMP},
        target_rooms=targets,
        builder_rooms=builders,
        tool="test",
        clock=lambda: datetime.now(UTC),
        **more,
    )


def _set(folder: Path) -> list[Path]:
    """A tool with a conffile, a daemon that needs it and a package of the target, and a loner."""
    echod = {"usr/bin/echod": DAEMON}
    return [
        make_deb(folder, "tool", conffiles={"etc/tool/tool.conf": "a = 1\n"}),
        make_deb(
            folder,
            "echod",
            files=echod,
            fields={"Depends": f"tool (= {VERSION}), netbase"},
            scripts={
                "postinst": "mkdir -p /var/lib/echod",
                "prerm": STOP,
                "postrm": '[ "$1" != purge ] || rm -f /var/log/echod.log',
            },
        ),
        make_deb(folder, "loner"),
        make_deb(folder, "hopeless", fields={"Depends": "no-such-thing"}),
    ]


def test_a_good_set_passes_in_one_room_and_says_what_stays_out(
    tmp_path: Path, targets: RoomMaker, builders: RoomMaker
) -> None:
    counted = Counted(targets)
    recipe = _recipe(roles={"server": ["echod"], "client": ["tool"]}, services=[SERVICE])
    verdict = _verify(_set(tmp_path), recipe, counted, builders)
    outcomes = {(f.check, f.subject): (f.outcome, f.detail) for f in verdict.findings}
    assert verdict.passed, [f for f in verdict.findings if f.outcome == "failed"]
    assert counted.opened == 1
    assert outcomes["closure", "server"] == ("passed", "2 packages of the set, 1 of the target")
    for check in ("install", "remove", "purge", "upgrade"):
        assert outcomes[check, "server, client"][0] == "passed"
    assert outcomes["service", "echod"][1] == (
        f"process found, TCP port {PORT} listens, probe succeeded, stopped"
    )
    assert "copies of the same packages" in outcomes["upgrade", "server, client"][1]
    assert "the admin's changes stay in 1 conffiles" in outcomes["upgrade", "server, client"][1]
    assert "/var/lib/echod" in outcomes["purge", "server, client"][1]
    assert any(f.check == "lintian" and f.outcome == "waived" for f in verdict.findings)
    reasons = {package.name: package.not_published for package in verdict.packages}
    assert reasons["tool"] == reasons["echod"] == ""
    assert reasons["loner"] == "in no role: add it to [roles] in the recipe"
    assert "hopeless: Depends: no-such-thing but it is not installable" in reasons["hopeless"]


def test_lintian_errors_fail_a_set_whose_recipe_does_not_list_them(
    tmp_path: Path, builders: RoomMaker
) -> None:
    deb = read_deb(make_deb(tmp_path, "tool"))
    incomplete = tmp_path / "tool.changes"
    incomplete.write_text(f"Checksums-Sha256:\n {'0' * 64} 1 gone.dsc\n")
    with builders.open(purpose="test") as room:
        findings = check_lintian(room, [deb], [], [incomplete])
    assert ("tool", "failed") in {(f.subject, f.outcome) for f in findings}
    assert any(f.detail.startswith("no-copyright-file") for f in findings)


@contextmanager
def _furnished(targets: RoomMaker, debs: Sequence[Path], published: Sequence[Path] = ()) -> Iterator[Room]:
    with targets.open(purpose="test") as room:
        furnish(room, [read_deb(path) for path in debs], [read_deb(path) for path in published])
        yield room


def _judge(
    room: Room,
    debs: Sequence[Path],
    roles: Mapping[str, Sequence[str]],
    unselected: Mapping[str, str] | None = None,
    published: Sequence[Path] = (),
) -> Judgement:
    return judge_closure(
        room,
        [read_deb(path) for path in debs],
        roles=roles,
        unselected=unselected or {},
        published=[read_deb(path) for path in published],
    )


def test_closure_is_judged_per_role_and_names_what_cannot_be_had(tmp_path: Path, targets: RoomMaker) -> None:
    debs = [
        make_deb(tmp_path, "good"),
        make_deb(tmp_path, "lowest", fields={"Depends": "absent (>= 2)"}),
        make_deb(tmp_path, "middle", fields={"Depends": "lowest"}),
        make_deb(tmp_path, "top", fields={"Depends": "middle"}),
        make_deb(tmp_path, "user", fields={"Depends": "hadoop"}),
        # Debian has a package of this name, and of a higher version
        make_deb(tmp_path, "netbase", version=f"0.1-{STAMP}"),
        make_deb(tmp_path, "nethost", fields={"Depends": "zookeeper"}),
    ]
    roles = {
        "fine": ["good", "netbase"],
        "unknown": ["good", "no-such-package"],
        "deep": ["top"],
        "partial": ["good", "hadoop"],
        "behind": ["user"],
        "stranger": ["nethost"],
    }
    unselected = {"hadoop": "hadoop", "zookeeper": "zookeeper"}
    with _furnished(targets, debs) as room:
        judgement = _judge(room, debs, roles, unselected)
        free = _judge(room, debs, {})
    said = {f.subject: (f.outcome, f.detail) for f in judgement.findings}
    assert said["fine"] == ("passed", "2 packages of the set, 0 of the target")
    assert said["unknown"] == (
        "failed",
        "no-such-package is neither in the set nor in the target distribution",
    )
    assert said["deep"][0] == "failed"
    assert "lowest: Depends: absent (>= 2) but it is not installable" in said["deep"][1]
    assert said["partial"] == ("skipped", "needs hadoop of hadoop, which this run leaves out")
    assert said["behind"] == said["partial"]
    assert said["stranger"] == ("skipped", "needs zookeeper of zookeeper, which this run leaves out")
    assert set(judgement.not_published) == {"top", "middle", "lowest", "user", "nethost"}
    assert {f.subject for f in free.findings if f.outcome == "passed"} == {"good", "netbase", "nethost"}
    assert "absent" in free.not_published["lowest"]


def test_what_was_published_stands_in_for_what_this_run_leaves_out(
    tmp_path: Path, targets: RoomMaker
) -> None:
    debs = [make_deb(tmp_path, "user", fields={"Depends": "hadoop (>= 1)"})]
    published = [make_deb(tmp_path, "hadoop", version="1.0-1")]
    with _furnished(targets, debs, published) as room:
        judgement = _judge(room, debs, {"host": ["user"]}, {"hadoop": "hadoop"}, published)
    assert [f.outcome for f in judgement.findings] == ["passed"]
    assert judgement.closures[0].others == {"hadoop": "1.0-1"}


def _try(
    targets: RoomMaker, debs: Sequence[Path], services: Sequence[Service] = (), previous: Sequence[Path] = ()
) -> list[Finding]:
    with _furnished(targets, debs) as room:
        names = [read_deb(path).name for path in debs]
        judgement = _judge(room, debs, {"host": names})
        guests = Guests(
            name="host",
            closures=judgement.closures,
            debs=[(read_deb(path), inspect(path)) for path in debs],
            services=services,
            previous=[read_deb(path) for path in previous],
        )
        return try_packages(room, guests)


def _failed(findings: Sequence[Finding]) -> dict[str, str]:
    return {f.check: f.detail for f in findings if f.outcome == "failed"}


def test_a_postinst_that_fails_fails_the_install_and_the_rest_is_skipped(
    tmp_path: Path, targets: RoomMaker
) -> None:
    deb = make_deb(tmp_path, "sick", scripts={"postinst": "echo what a pity; exit 3"})
    findings = _try(targets, [deb])
    assert "what a pity" in _failed(findings)["install"]
    assert [f.outcome for f in findings[1:]] == ["skipped"] * 4


def test_a_daemon_that_starts_behind_the_guard_and_a_file_that_changes_are_found(
    tmp_path: Path, targets: RoomMaker
) -> None:
    deb = make_deb(
        tmp_path,
        "echod",
        files={"usr/bin/echod": DAEMON, "usr/share/echod/x": "x\n"},
        scripts={"postinst": "echo more >> /usr/share/echod/x; /usr/bin/echod > /dev/null 2>&1"},
    )
    findings = [f for f in _try(targets, [deb], [SERVICE]) if f.outcome == "failed"]
    assert {f.subject for f in findings} == {"host", "echod"}
    assert "/usr/share/echod/x" in findings[0].detail
    assert "although policy-rc.d forbids it" in findings[1].detail


def test_what_stays_after_a_purge_is_found(tmp_path: Path, targets: RoomMaker) -> None:
    deb = make_deb(
        tmp_path,
        "sticky",
        conffiles={"etc/sticky.conf": "a = 1\n"},
        scripts={"postrm": '[ "$1" != purge ] || echo "a = 2" > /etc/sticky.conf'},
    )
    findings = _try(targets, [deb])
    assert _failed(findings) == {"purge": "files of the package stay:\n/etc/sticky.conf"}
    assert findings[-1].outcome == "skipped"


def test_a_daemon_that_outlives_its_package_is_found(
    tmp_path: Path, targets: RoomMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "GONE_WITHIN", 2)
    deb = make_deb(
        tmp_path,
        "echod",
        files={"usr/bin/echod": DAEMON, "usr/share/echod/x": "x\n"},
        scripts={"postrm": "mkdir -p /usr/share/echod; touch /usr/share/echod/x"},
    )
    unstoppable = SERVICE.model_copy(update={"stop": ""})
    findings = [f for f in _try(targets, [deb], [unstoppable]) if f.outcome == "failed"]
    assert [(f.check, f.subject) for f in findings] == [("remove", "echod"), ("remove", "echod")]
    assert "still runs after the removal" in findings[0].detail
    assert findings[1].detail == "files of the package stay:\n/usr/share/echod/x"


def test_an_upgrade_that_overwrites_the_admin_s_conffile_is_found(tmp_path: Path, targets: RoomMaker) -> None:
    rude = make_deb(
        tmp_path,
        "rude",
        conffiles={"etc/rude.conf": "a = 2\n"},
        scripts={"postinst": '[ -z "$2" ] || echo "a = 3" > /etc/rude.conf'},
    )
    old = make_deb(tmp_path, "rude", version="0.9-1", conffiles={"etc/rude.conf": "a = 1\n"})
    findings = _try(targets, [rude], previous=[old])
    assert _failed(findings) == {
        "upgrade": "from the published rude 0.9-1: the admin's changes were lost in:\n/etc/rude.conf"
    }


def test_a_published_package_that_cannot_be_installed_is_replaced_by_a_copy_and_told(
    tmp_path: Path, targets: RoomMaker
) -> None:
    deb = make_deb(tmp_path, "part", conffiles={"etc/part.conf": "a = 2\n"})
    old = make_deb(tmp_path, "part", version="0.9-1", fields={"Depends": "gone"})
    upgrade = _try(targets, [deb], previous=[old])[-1]
    assert upgrade.outcome == "passed"
    assert upgrade.detail.startswith("what was published cannot be installed")
    assert "copies of the same packages" in upgrade.detail


def test_services_that_do_not_come_up_are_told_with_their_logs(tmp_path: Path, targets: RoomMaker) -> None:
    deb = make_deb(tmp_path, "echod", files={"usr/bin/echod": DAEMON})
    cases = {
        "prepare": {"prepare": ("echo cannot; false",)},
        "start": {"start": "echo no start >&2; exit 4"},
        "hangs": {"start": "sleep 60", "seconds": 1},
        "port": {"port": PORT + 1, "seconds": 2},
        "process": {"process": "another", "seconds": 2},
        "probe": {"probe": "echo no answer; false"},
        "stop": {"stop": "exit 5"},
        "taken": {},
    }
    said = {}
    with _furnished(targets, [deb]) as room:
        room.run(["apt-get", "-y", "install", "echod"])
        for name, change in cases.items():
            if name != "taken":
                shell(room, STOP)
            said[name] = try_service(room, SERVICE.model_copy(update=change))
    assert {finding.outcome for finding in said.values()} == {"failed"}
    assert "ended with exit status 1\ncannot" in said["prepare"].detail
    assert "ended with exit status 4\nno start" in said["start"].detail
    assert "did not end in 1 s" in said["hangs"].detail
    assert f"nothing listens on TCP port {PORT + 1}" in said["port"].detail
    assert "/var/log/echod.log\nechod starts" in said["port"].detail
    assert "no process has 'another'" in said["process"].detail
    assert "no answer" in said["probe"].detail
    assert "exit status 5" in said["stop"].detail
    assert "was taken before the start" in said["taken"].detail


def test_the_checks_work_in_a_chroot_too(tmp_path: Path) -> None:
    settings = load_settings()
    spec = target_image(Recipe.from_toml(MINIATURE), settings)
    rooms = ChrootRooms(spec, workspace=Workspace(root=settings.cache_dir), settings=settings)
    findings = _try(rooms, _set(tmp_path)[:2], [SERVICE])
    assert [(f.check, f.outcome) for f in findings] == [
        (check, "passed") for check in ("install", "service", "remove", "purge", "upgrade")
    ], _failed(findings)


def test_roles_that_no_host_can_have_together_get_a_room_each(
    tmp_path: Path, targets: RoomMaker, builders: RoomMaker
) -> None:
    debs = [
        make_deb(tmp_path, "left", fields={"Conflicts": "right"}),
        make_deb(tmp_path, "right", conffiles={"etc/right.conf": "a\n"}),
    ]
    counted = Counted(targets)
    verdict = _verify(debs, _recipe(roles={"one": ["left"], "two": ["right"]}), counted, builders)
    assert verdict.passed, [f for f in verdict.findings if f.outcome == "failed"]
    assert counted.opened == 2
    assert [f.subject for f in verdict.findings if f.check == "upgrade"] == ["one", "two"]

# SPDX-License-Identifier: Apache-2.0
"""Daemons: started on purpose after the install, looked for as a process and a listening port, stopped.

The target needs nothing for it: processes and ports are read from /proc (proc(5)). Each room has its own
processes, so what is seen there is the room's. A chroot shares this machine's ports: one that is taken before
the start says nothing of the daemon.
"""

import logging

from bigtop_builder.recipe import Service
from bigtop_builder.room import Room
from bigtop_builder.verify.shelf import GUARD, HOME, last_lines, shell
from bigtop_builder.verify.verdict import Finding, Outcome

log = logging.getLogger(__name__)

CHECK = "service"
STARTED = f"{HOME}/started"
OUTPUT = f"{HOME}/start.log"

LOOK = r"""
process() {
    for folder in /proc/[0-9]*; do
        [ "$folder" != "/proc/$$" ] || continue
        case "$(tr '\0' ' ' < "$folder/cmdline" 2>/dev/null)" in *"$PROCESS"*) return 0 ;; esac
    done
    return 1
}
listens() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ":$PORT [0-9A-F]*:0000 0A "
}
"""
RUNNING = LOOK + "process"
LISTENING = LOOK + "listens"
WAIT = (
    LOOK
    + r"""
end=$(($(date +%s) + SECONDS_LEFT))
until process && listens; do
    if [ "$(date +%s)" -ge "$end" ]; then
        process || echo "no process has '$PROCESS' in its command line"
        listens || echo "nothing listens on TCP port $PORT_NUMBER"
        exit 1
    fi
    sleep 0.2
done
"""
)
WAIT_GONE = (
    LOOK
    + r"""
end=$(($(date +%s) + SECONDS_LEFT))
while process; do
    [ "$(date +%s)" -lt "$end" ] || exit 1
    sleep 0.2
done
"""
)
COMMAND = f"""
timeout "$SECONDS_LEFT" sh -c "$1" < /dev/null > {OUTPUT} 2>&1
status=$?
[ $status -eq 0 ] || tail -n 15 {OUTPUT}
exit $status
"""
"""Output goes to a file: a daemon may keep it open."""
LOGS = rf"""
find /var/log -type f -newer {STARTED} ! -path '/var/log/apt/*' ! -name 'dpkg.log' | sort | while read -r file; do
    echo "== $file"
    tail -n 15 "$file"
done
"""
GONE_WITHIN = 30
TIMED_OUT = 124
"""Exit status of timeout(1)."""


def try_service(room: Room, service: Service) -> Finding:
    """Start a daemon, wait until it listens, probe it, and stop it if the recipe says how.

    A daemon without a stop command is left running: the removal of its package must end it.
    """
    log.info("starting %s: %s", service.package, service.start)
    shell(room, f"rm -f {GUARD}")
    if shell(room, LISTENING, env=_environment(service)).returncode == 0:
        return _say(service, "failed", f"TCP port {service.port} was taken before the start")
    problem = _prepare(room, service) or _start(room, service) or _stop(room, service)
    if problem:
        return _say(service, "failed", f"{problem}\n{_logs(room)}".rstrip())
    stopped = "stopped" if service.stop else "left running for the removal"
    probed = ", probe succeeded" if service.probe else ""
    return _say(service, "passed", f"process found, TCP port {service.port} listens{probed}, {stopped}")


def runs(room: Room, service: Service) -> bool:
    """A process of the service is there."""
    return shell(room, RUNNING, env=_environment(service)).returncode == 0


def outlives(room: Room, service: Service) -> bool:
    """A process of the service is still there after a while."""
    return shell(room, WAIT_GONE, env=_environment(service, GONE_WITHIN)).returncode != 0


def _prepare(room: Room, service: Service) -> str:
    shell(room, f"touch {STARTED}")
    return next((problem for line in service.prepare if (problem := _do(room, service, "prepare", line))), "")


def _start(room: Room, service: Service) -> str:
    if problem := _do(room, service, "start", service.start):
        return problem
    waited = shell(room, WAIT, env=_environment(service))
    if waited.returncode != 0:
        return f"after {service.seconds} s " + last_lines(waited).replace("\n", ", ")
    return _do(room, service, "probe", service.probe)


def _stop(room: Room, service: Service) -> str:
    problem = _do(room, service, "stop", service.stop)
    if not problem and service.stop and outlives(room, service):
        return f"it still runs after {service.stop!r}"
    return problem


def _do(room: Room, service: Service, what: str, line: str) -> str:
    """Run a line of the recipe and return what went wrong; nothing to run is fine."""
    if not line:
        return ""
    done = shell(room, COMMAND, line, env=_environment(service))
    if done.returncode == 0:
        return ""
    how = (
        f"did not end in {service.seconds} s"
        if done.returncode == TIMED_OUT
        else f"ended with exit status {done.returncode}"
    )
    return f"{what} {line!r} {how}\n{last_lines(done)}"


def _logs(room: Room) -> str:
    return shell(room, LOGS).text


def _environment(service: Service, seconds: int | None = None) -> dict[str, str]:
    """What the scripts above read. The text looked for stays out of their own command lines."""
    return {
        "PROCESS": service.process,
        "PORT": f"{service.port:04X}",
        "PORT_NUMBER": str(service.port),
        "SECONDS_LEFT": str(seconds or service.seconds),
    }


def _say(service: Service, outcome: Outcome, detail: str) -> Finding:
    return Finding(check=CHECK, subject=service.package, outcome=outcome, detail=detail)

# SPDX-License-Identifier: Apache-2.0
"""Services of packages: how each is stopped, kept, upgraded, checked, and taken back on an upgrade day.

What holds for Bigtop's own packages is built in (`templates/fleet/services.toml`); `[services.<package>]` in a
fleet's definition is laid over it, key by key.
"""

import functools
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated

from pydantic import Field, StringConstraints

from bigtop_builder.schema import Name, Value

Line = Annotated[str, StringConstraints(min_length=1)]
"""Shell; functions of the day's `day.sh` are at hand."""


class Service(Value):
    """What an upgrade day does with the service of a package. The first host is the first of the first role."""

    unit: str = Field("", description="What `service` knows it by; the package's name if empty")
    order: int = Field(
        50, ge=0, description="Started in this order, stopped in reverse; of equal ones by name"
    )
    base: bool = Field(
        False,
        description="Others write through it: it is stopped after they are, in phase `save`; else in phase `quiet`",
    )
    ready: tuple[Line, ...] = Field((), description="On each host, days before: what must hold")
    live: tuple[Line, ...] = Field(
        (), description="On the first host, while it still runs and nobody writes any more"
    )
    resume: tuple[Line, ...] = Field(
        (), description="On the first host, on a way back before the switch: ends what `live` began"
    )
    keep: tuple[Line, ...] = Field(
        (), description="Paths, as words of the shell, that are copied on each host while it is stopped"
    )
    put_back: bool = Field(
        False,
        description="On the way back the copies of `keep` replace what lies there: it has no way of its own",
    )
    database: str = Field(
        "", description='A database that `dump` must save. `database = ""` says that there is none'
    )
    dump: tuple[Line, ...] = Field(
        (), description="On the first host, while it is stopped: saves its database as files in `$DUMP`"
    )
    upgrade: tuple[Line, ...] = Field(
        (),
        description="On the first host, with the new packages, before it is started: moves its data forward",
    )
    join: tuple[Line, ...] = Field(
        (), description="On each other host, before it is started, when it runs on the first"
    )
    start: tuple[Line, ...] = Field((), description="Starts it; `start_service UNIT` if empty")
    check: tuple[Line, ...] = Field(
        (), description="On each host: it runs; tried until `patience` is over. `running UNIT` if empty"
    )
    healthy: tuple[Line, ...] = Field(
        (), description="On the first host, when all services run, before the day and after: data is readable"
    )
    restore: tuple[Line, ...] = Field(
        (), description="On the first host, on the way back, with the old packages, before it is started"
    )
    restart: tuple[Name, ...] = Field(
        (),
        description="Packages whose services are started anew on the way back, between `restore` and its start",
    )
    rejoin: tuple[Line, ...] = Field(
        (), description="On each other host, on the way back, when it runs on the first"
    )
    restore_each: tuple[Line, ...] = Field(
        (), description="On each host, on the way back, before it is started"
    )
    finalize: tuple[Line, ...] = Field((), description="On the first host, when there shall be no way back")


class Day(Value):
    """What all hosts of an upgrade day have in common."""

    folder: Line = Field("/root/upgrade-day", description="Where the day's files lie on each host")
    kept: Line = Field(
        "/var/backups/upgrade-day",
        description="Where hosts keep copies of what the upgrade changes, and the log; best on another disk",
    )
    patience: int = Field(300, ge=1, description="Seconds until a check that does not succeed has failed")
    login: str = Field(
        "",
        description="Shell, run as the service's user before each of its commands: "
        '`kinit -kt /etc/security/keytabs/$(id -un).keytab "$(id -un)/$(hostname -f)"`',
    )


class Rehearsal(Value):
    """What a rehearsal does on the host of a role, as root."""

    before: tuple[Line, ...] = Field((), description="On the clean host, before anything is installed")
    prepare: tuple[Line, ...] = Field(
        (),
        description="When the old packages are there and no service runs: configuration, `namenode -format`",
    )
    load: tuple[Line, ...] = Field((), description="When services run: put data in")
    data: tuple[Line, ...] = Field(
        (), description="Print data; what they print must be the same before, after, and back again"
    )


class _Shipped(Value):
    services: dict[Name, Service]


def services_of(own: Mapping[str, Service]) -> dict[str, Service]:
    """Package -> its service: those built in, with a fleet's own laid over them, all with `unit`."""
    merged = dict(_shipped())
    for package, service in own.items():
        said = {key: getattr(service, key) for key in service.model_fields_set}
        merged[package] = merged[package].model_copy(update=said) if package in merged else service
    return {
        package: service if service.unit else service.model_copy(update={"unit": package})
        for package, service in merged.items()
    }


@functools.cache
def _shipped() -> Mapping[str, Service]:
    text = files("bigtop_builder.templates").joinpath("fleet/services.toml").read_text(encoding="utf-8")
    return _Shipped.model_validate(tomllib.loads(text)).services

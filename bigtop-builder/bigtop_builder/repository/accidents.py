# SPDX-License-Identifier: Apache-2.0
"""Ways out of what happens to a repository by accident: lost settings, a copy that followed links."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.errors import CheckFailed, InputError
from bigtop_builder.repository import layout
from bigtop_builder.repository.store import Store


def init_command(where: str, fields: Mapping[str, str]) -> str:
    """The command that makes the settings of suites whose Release has these fields; any, if there are none."""
    options = [("--key", key) for key in fields.get("Signed-By", "FPR").split(", ")]
    options += [(f"--{name.lower()}", fields[name]) for name in ("Origin", "Label") if name in fields]
    told = " ".join(f"{option} {shlex.quote(value)}" for option, value in options)
    return f"bigtop-builder repo init {where} {told}"


def lost_state(where: str) -> str:
    """What mends a repository whose folder `state` is gone: no settings do, for all its blocks are gone too."""
    return (
        f"{where}/state is lost, and hosts go on without it: bring that folder back from a copy of the repository, "
        "or make a new repository elsewhere and add the packages in pool/ to it"
    )


def refuse_inside(store: Store, source: Store | None = None) -> None:
    """See that a new repository or mirror would lie in no other: its files would be strangers there.

    Args:
        store: Where it is to be.
        source: Of a mirror: the repository. On S3 no other is asked for: the parent may be somebody else's.

    Raises:
        InputError: It would.
    """
    around = source.name if source else ""
    if store.origin(""):
        others = (str(one) for one in Path(store.name).resolve().parents if (one / layout.SETTINGS).exists())
        around = next(others, "")
    elif not store.name.startswith(f"{around}/"):
        return
    if around and not (source and store.name == source.name):
        raise InputError(f"{store.name} lies in the repository {around}", hint="name a place outside of it")


def known_again(suite: str) -> str:
    """What mends settings that lack a suite which stands in `dists`."""
    back = f"bring {layout.SETTINGS} back from a copy of the repository"
    return f"bigtop-builder repo refresh {suite} takes it up as it stands; or {back}"


def require_link(store: Store, suite: str, serial: int) -> None:
    """Raise if a suite is a folder where the store should have a link: it cannot be switched.

    Args:
        store: The repository's.
        suite: A suite that is there.
        serial: Where it stands.

    Raises:
        CheckFailed: It is, as in a copy that followed links.
    """
    has_links = bool(store.origin(""))
    if has_links and store.origin(layout.suite_folder(suite)) == f"{store.origin('dists')}/{suite}":
        place = f"{store.name}/{layout.suite_folder(suite)}"
        target = f"../{layout.release_folder(suite, serial)}"
        raise CheckFailed(
            f"{place} is a folder, not a link: it was copied without links, and cannot be switched",
            hint=f"copy the repository with rsync -a --links; or rm -r {place} && ln -s {target} {place}",
        )

# SPDX-License-Identifier: Apache-2.0
"""Taking packages out of a suite by name. Their files stay in the pool, for the snapshots that have them."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches

from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository.authentic import check_signers
from bigtop_builder.repository.drafting import write_snapshot
from bigtop_builder.repository.gate import Gate
from bigtop_builder.repository.incoming import removed
from bigtop_builder.repository.index.packages import Stanza
from bigtop_builder.repository.index.sources import ARCHITECTURE
from bigtop_builder.repository.layout import Removed, Snapshot
from bigtop_builder.repository.publish import CLOSED, Repository
from bigtop_builder.repository.published import Published, unchanged
from bigtop_builder.repository.state import State
from bigtop_builder.repository.wrapper import Change

log = logging.getLogger(__name__)

SOURCE = "src:"
"""What stands before the name of a source package, as in apt."""

Found = Mapping[tuple[str, str], Sequence[Stanza]]
"""Component and architecture of an index -> packages in it."""


def remove(
    repository: Repository,
    suite: str,
    packages: Sequence[str],
    *,
    keyring: Keyring,
    component: str = "",
    architectures: Collection[str] = (),
    gate: Gate = CLOSED,
    who: str = "",
    why: str = "",
) -> Published:
    """Make a snapshot without some packages, and point the suite to it.

    To name a package is to accept that it vanishes, or goes down to an older version that stays: both are warned
    of. Packages that the suite's last switch removed already are no error, so a command that was killed can be
    run again.

    Args:
        repository: The repository.
        suite: The suite.
        packages: `name` or `name=version`; of source packages `src:name`.
        keyring: Holds the repository's keys.
        component: Only from this one; from each if empty.
        architectures: Only packages of these; of each if empty. `all` is one of its own.
        gate: What is demanded first; what vanishes is meant.
        who: Whom the history names.
        why: Reason for the history.

    Raises:
        InputError: The suite has no such package.
        SigningError: A key cannot sign.
        PublishError: What is demanded is wanting, or the store cannot be written; nothing was switched.
    """
    state = repository.state
    check_signers(keyring, state.settings().keys)
    with state.lock():
        pointer = repository.standing(suite, keyring)
        before = state.snapshot(pointer.snapshot)
        found = _find(state, before, _wanted(packages), component, architectures)
        there = {_spelled(one, version=exact) for one in _stanzas(found) for exact in (True, False)}
        if missing := [package for package in packages if package not in there]:
            history = state.history(suite)
            just = history[-1].removed if history and history[-1].action == "remove" else ()
            last = {_spelled(one, version=exact) for one in just for exact in (True, False)}
            if strange := [package for package in missing if package not in last]:
                _require_known(suite, before, component, architectures)
                raise _not_there(state, suite, before, strange)
            if not there:
                return unchanged(pointer)
        waived = gate.demanded(suite, pointer.snapshot, "")
        gone = {place: {one.key for one in stanzas} for place, stanzas in found.items()}
        snapshot = write_snapshot(state, before, lambda draft: draft.shrunk(before, gone))
        loss = repository.loss(pointer, snapshot)
        for lowered in loss.lowered:
            log.warning("%s: goes down: %s; hosts that have it keep it", suite, lowered)
        change = Change(
            suite=suite,
            snapshot=snapshot,
            action="remove",
            who=who,
            why=why,
            removed=_removed(found),
            waived=waived,
        )
        return repository.switch_to(pointer, change, keyring, loss)


def _require_known(suite: str, snapshot: Snapshot, component: str, architectures: Collection[str]) -> None:
    """See that a suite has what the choice of packages names.

    Raises:
        InputError: It has no such component or architecture.
    """
    components = {*snapshot.components, *snapshot.sources}
    known = {*snapshot.architectures, "all", *([ARCHITECTURE] if snapshot.sources else [])}
    for what, named, there in (
        ("component", [component] if component else [], components),
        ("architecture", architectures, known),
    ):
        if strange := sorted(set(named) - there):
            raise InputError(
                f"suite {suite} has no {what} {', '.join(strange)}", hint=f"it has {', '.join(sorted(there))}"
            )


def _wanted(packages: Sequence[str]) -> dict[str, set[str]]:
    """Name -> versions; an empty one stands for all of them.

    Raises:
        InputError: One has no name, or no version after its `=`.
    """
    wanted: dict[str, set[str]] = {}
    for package in packages:
        name, equals, version = package.partition("=")
        if not name or (equals and not version):
            raise InputError(f"{package!r} names no package", hint="PACKAGE or PACKAGE=VERSION")
        wanted.setdefault(name, set()).add(version)
    return wanted


def _find(
    state: State,
    snapshot: Snapshot,
    wanted: Mapping[str, Collection[str]],
    component: str,
    architectures: Collection[str],
) -> Found:
    found: dict[tuple[str, str], list[Stanza]] = {}
    for name, indices in snapshot.components.items():
        for architecture, index in indices.items() if component in {"", name} else ():
            found[name, architecture] = [
                one
                for one in state.find(index, wanted)
                if {"", one.version} & set(wanted.get(one.name, ()))
                and (not architectures or one.architecture in architectures)
            ]
    sources = {
        name.removeprefix(SOURCE): versions for name, versions in wanted.items() if name.startswith(SOURCE)
    }
    for name, index in snapshot.sources.items() if not architectures or ARCHITECTURE in architectures else ():
        if component in {"", name}:
            found[name, ARCHITECTURE] = [
                one
                for one in state.find_sources(index, sources)
                if {"", one.version} & set(sources.get(one.name, ()))
            ]
    return found


def _stanzas(found: Found) -> Iterator[Stanza]:
    for stanzas in found.values():
        yield from stanzas


def _removed(found: Found) -> tuple[Removed, ...]:
    out = {(component, one.key): one for (component, _), stanzas in found.items() for one in stanzas}
    return tuple(removed(component, out[component, key]) for component, key in sorted(out))


def _spelled(package: Stanza | Removed, *, version: bool) -> str:
    name = f"{SOURCE}{package.name}" if package.architecture == ARCHITECTURE else package.name
    return f"{name}={package.version}" if version else name


def _not_there(state: State, suite: str, snapshot: Snapshot, packages: Sequence[str]) -> InputError:
    """The error that names what is not in a suite, and what may have been meant."""
    held = {
        one
        for indices in snapshot.components.values()
        for index in indices.values()
        for one in state.packages(index)
    }
    name = packages[0].partition("=")[0]
    same = sorted({f"{one.name}={one.version} ({one.architecture})" for one in held if one.name == name})
    near = get_close_matches(name, {one.name for one in held}, n=1)
    meant = f"it has {', '.join(same)}" if same else f"did you mean {near[0]}?" if near else ""
    return InputError(
        f"suite {suite} has no {', '.join(packages)} to remove",
        hint=meant or f"bigtop-builder repo list --suite {suite} shows what it has",
    )

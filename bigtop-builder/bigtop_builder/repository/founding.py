# SPDX-License-Identifier: Apache-2.0
"""Making a repository and its suites, and changing its settings: all that writes `state/repository.json`."""

import logging
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final

from pydantic import TypeAdapter, ValidationError

from bigtop_builder.errors import InputError, SigningError
from bigtop_builder.log import plain
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.accidents import init_command, lost_state, refuse_inside
from bigtop_builder.repository.index.release import parse_date
from bigtop_builder.repository.key_expiry import require_lasting
from bigtop_builder.repository.layout import Form, Settings, SuiteSettings
from bigtop_builder.repository.pointer import Pointer, Proven
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Store
from bigtop_builder.schema import TITLE, Name

log = logging.getLogger(__name__)

FREE = frozenset({"suites", "snapshot_days", "revoked", "forms", "contents", "translations"})
"""Settings that may change."""
COMPONENT: Final[TypeAdapter[str]] = TypeAdapter(Name)
"""The name that the models of snapshots take."""


def require_titles(**values: str) -> None:
    """See that origin and label can be what they are: they never change, so they must be right at once.

    Raises:
        InputError: One cannot.
    """
    for name, value in values.items():
        if not re.fullmatch(TITLE, value):
            raise InputError(
                f"{value!r} cannot be the {name} of a repository",
                hint="letters, digits, `.`, `_`, `-` and spaces between them, as in Example",
            )


def begin(state: State, wanted: Settings, keyring: Keyring, named: Collection[str] = ()) -> None:
    """Make a repository; one that has these settings stays as it is.

    A repository that lost its settings gets them anew, with the suites that stand in `dists`.

    Args:
        state: Its store, empty or holding a repository.
        wanted: Its settings, without suites.
        keyring: Holds its keys.
        named: Settings that may change, and do in a repository that is there; its others stay.

    Raises:
        InputError: The store holds something else, or a repository with other settings, or lies in another one.
    """
    if state.store.size(layout.SETTINGS) is None:
        refuse_inside(state.store)
        _refuse_foreign(state.store)
        _warn_of_ending(wanted.keys, keyring)
    elif not _changing(state, wanted, named):
        return
    with state.lock():
        if state.store.size(layout.SETTINGS) is None:
            _found(state, wanted, keyring)
        else:  # another publisher may have made it meanwhile
            change_settings(state, **_changing(state, wanted, named))


def ensure(state: State, suite: str, *, new: bool) -> None:
    """See that a suite is known: under a mistyped name no host would ever look.

    Args:
        state: The repository, locked.
        suite: Name of the suite.
        new: Make it if it is unknown; the first one is made in any case.

    Raises:
        InputError: It is unknown, or its name is none.
    """
    known = state.settings().suites
    if suite in known:
        return
    _check_name(suite)
    retired = state.retired(suite)
    if retired and not new:
        raise unpublished(state, suite)
    if known and not new:
        raise InputError(
            f"{state.store.name} has no suite {suite!r}",
            hint=f"{meant(suite, known)}; --new-suite makes a new one",
        )
    codename = retired.codename if retired else suite
    change_settings(state, suites={**known, suite: SuiteSettings(codename=codename)})


def define(state: State, suite: str, wanted: SuiteSettings) -> None:
    """Make a suite known, or change what may change of it; a retired one stays so. The repository must be locked.

    Raises:
        InputError: The codename would change, or the name is none.
    """
    settings = state.settings()
    there = settings.suites.get(suite)
    if there is None:
        _check_name(suite)
    if there is None and state.retired(suite):
        log.warning("%s was retired, and stays so: take it out of the definition, or --new-suite", suite)
        return
    if there and there.codename != wanted.codename:
        raise InputError(
            f"the codename of {suite} is {there.codename} and cannot become {wanted.codename}: "
            "apt on the hosts would refuse the suite",
            hint="make a suite of another name",
        )
    if there != wanted:
        change_settings(state, suites={**settings.suites, suite: wanted})


def adopt(state: State, pointer: Proven) -> None:
    """Make a suite known again that stands, and that older settings lack. The repository must be locked.

    Raises:
        InputError: It was to be retired.
    """
    known, suite = state.settings().suites, pointer.suite
    if suite in known or layout.OWN_SUITE.fullmatch(suite):
        return
    if state.retired(suite):
        raise unpublished(state, suite)
    change_settings(state, suites={**known, suite: _standing(pointer)})
    log.warning("%s is in %s again", suite, layout.SETTINGS)


def let_snapshots_expire(state: State, days: int | None) -> None:
    """Give snapshots' own suites a Valid-Until from their next refresh on, or none. The repository must be locked."""
    change_settings(state, snapshot_days=days)


def choose_indices(state: State, *, forms: tuple[Form, ...], contents: bool, translations: bool) -> None:
    """Say which indices the next snapshots have. The repository must be locked."""
    change_settings(state, forms=forms, contents=contents, translations=translations)


def change_settings(state: State, **changes: object) -> None:
    """Change some of a repository's settings; the same ones write nothing. The repository must be locked.

    Args:
        state: The repository.
        changes: Fields of `Settings`, with their new values.
    """
    settings = state.settings()
    changed = settings.model_copy(update=changes)
    if changed != settings:
        _write(state, changed)


def require_component(name: str) -> None:
    """Raise unless a component can have this name: a folder below pool/, and so in Packages' Filename.

    Raises:
        InputError: It cannot.
    """
    try:
        COMPONENT.validate_python(name)
    except ValidationError as error:
        raise InputError(
            f"{name!r} cannot be a component's name", hint="lower-case letters, digits, + . and - only"
        ) from error


def meant(suite: str, known: Collection[str]) -> str:
    """The suites that there are, the one that was probably meant first."""
    others = [name for name in known if name != suite]
    near = get_close_matches(suite, others, n=1)
    which = "its other suites" if suite in known else "its suites"
    return f"{f'did you mean {near[0]}? ' if near else ''}{which}: {', '.join(others) or 'none'}"


def unpublished(state: State, suite: str) -> InputError:
    """The error of a command that needs a suite which points to a snapshot: it was retired, or never did."""
    if entry := state.retired(suite):
        why = f": {plain(entry.why)}" if entry.why else ""
        return InputError(
            f"suite {suite} of {state.store.name} was retired at {entry.when:%Y-%m-%d %H:%M} UTC "
            f"by {plain(entry.who)}{why}",
            hint=f"bigtop-builder repo promote {entry.after[:16]} {suite} --new-suite brings back what it had last; "
            f"bigtop-builder repo history {suite} tells more",
        )
    known = state.settings().suites
    return InputError(
        f"nothing was published to suite {suite} of {state.store.name}",
        hint=f"{'publish to it first; ' if suite in known else ''}{meant(suite, known)}",
    )


def _changing(state: State, wanted: Settings, named: Collection[str]) -> dict[str, object]:
    """Settings that are to change of those of a repository that is there.

    Raises:
        InputError: Others would have to, which never do.
    """
    there = state.settings()
    if any(getattr(there, name) != getattr(wanted, name) for name in _fixed(wanted)):
        raise _other_settings(state.store.name, there, wanted)
    return {name: value for name in named if (value := getattr(wanted, name)) != getattr(there, name)}


def _refuse_foreign(store: Store) -> None:
    foreign = [name for name in store.names("") if name != "state"]
    if foreign and not store.names("state/keys"):
        ours = store.names("snapshots") and store.names(layout.BY_HASH)
        raise InputError(
            f"{store.name} was a repository, and its state is gone"
            if ours
            else f"{store.name} holds {foreign[0]} and is no repository of this tool",
            hint=lost_state(store.name) if ours else "name an empty folder",
        )


def _found(state: State, wanted: Settings, keyring: Keyring) -> None:
    public = {layout.key_file(one): keyring.export_public([one], armor=False) for one in wanted.keys}
    standing = _suites(state)
    for pointer in standing:
        _require_same(state, wanted, pointer)
    state.store.put({**public})
    suites = {pointer.suite: _standing(pointer) for pointer in standing}
    _write(state, wanted.model_copy(update={"suites": suites}))


def _warn_of_ending(keys: Sequence[str], keyring: Keyring) -> None:
    """Say at once that nothing can be added with keys that end soon."""
    try:
        require_lasting(keyring.check(keys), now=datetime.now(UTC), valid_days=None)
    except SigningError as error:
        log.warning("%s: nothing can be added\n  way out: %s", error.brief, error.hint)


def _write(state: State, settings: Settings) -> None:
    state.store.put({layout.SETTINGS: settings.to_json().encode()})


def _check_name(suite: str) -> None:
    if layout.SUITE.fullmatch(suite) is None:
        raise InputError(f"{suite!r} cannot be a suite's name", hint="letters, digits, . _ and - only")
    if suite.startswith(layout.snapshot_suite("")):
        raise InputError(f"{suite!r} is a name that a snapshot may have", hint="choose another name")


def _suites(state: State) -> list[Pointer]:
    """Suites of a repository without settings, also one whose InRelease was lost too."""
    named = sorted({*state.store.names("dists"), *state.store.names("state/history")})
    found = [
        state.unverified_pointer(suite) or state.unverified_wrapper(suite)
        for suite in named
        if not layout.OWN_SUITE.fullmatch(suite)
    ]
    return [pointer for pointer in found if pointer]


def _require_same(state: State, wanted: Settings, pointer: Pointer) -> None:
    for name, value in (("Origin", wanted.origin), ("Label", wanted.label)):
        if pointer.fields.get(name, value) != value:
            raise InputError(
                f"{name} of {layout.suite_folder(pointer.suite)} in {state.store.name} is "
                f"{pointer.fields[name]!r}, not {value!r}: apt on the hosts would refuse another one",
                hint=init_command(state.store.name, pointer.fields),
            )


def _standing(pointer: Pointer) -> SuiteSettings:
    fields = pointer.fields
    until = fields.get("Valid-Until")
    return SuiteSettings(
        codename=fields["Codename"],
        description=fields.get("Description", ""),
        architectures=tuple(fields["Architectures"].split()),
        valid_days=(parse_date(until) - pointer.date).days if until else None,
    )


def _other_settings(where: str, there: Settings, wanted: Settings) -> InputError:
    other = [name for name in _fixed(wanted) if getattr(there, name) != getattr(wanted, name)]
    return InputError(
        f"{where} is a repository with other settings: {', '.join(other)}",
        details="\n".join(f"{name} is {_shown(there, name)}, not {_shown(wanted, name)}" for name in other),
        hint="bigtop-builder key rotate changes keys; a rotation that was cut short is completed by the same command"
        if other == ["keys"]
        else "they never change: give the same as before, or name another folder",
    )


def _fixed(settings: Settings) -> list[str]:
    return [name for name in type(settings).model_fields if name not in FREE]


def _shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return ", ".join(value) if isinstance(value, tuple) else repr(value)

# SPDX-License-Identifier: Apache-2.0
"""Making a repository and its suites: `state/repository.json`, the one file that names them."""

from collections.abc import Iterable
from difflib import get_close_matches

from bigtop_builder.errors import InputError
from bigtop_builder.openpgp import Keyring
from bigtop_builder.repository import layout
from bigtop_builder.repository.index import parse_date
from bigtop_builder.repository.layout import Settings, SuiteSettings
from bigtop_builder.repository.state import Pointer, State


def begin(state: State, wanted: Settings, keyring: Keyring) -> None:
    """Make a repository; one that has these settings stays as it is.

    A repository that lost its settings gets them anew, with the suites that stand in `dists`.

    Args:
        state: Its store, empty or holding a repository.
        wanted: Its settings, without suites.
        keyring: Holds its keys.

    Raises:
        InputError: The store holds something else, or a repository with other settings.
    """
    store = state.store
    if store.size(layout.SETTINGS) is not None:
        there = state.settings()
        if there.model_copy(update={"suites": {}}) != wanted:
            raise _other_settings(store.name, there, wanted)
        return
    foreign = [name for name in store.names("") if name != "state"]
    if foreign and not store.names("state/keys"):
        raise InputError(
            f"{store.name} holds {foreign[0]} and is no repository of this tool",
            hint="name an empty folder",
        )
    with store.lock():
        public = {layout.key_file(one): keyring.export_public([one], armor=False) for one in wanted.keys}
        store.put({**public})
        pointers = [state.pointer(suite) for suite in store.names("dists")]
        suites = {pointer.suite: _standing(pointer) for pointer in pointers if pointer}
        store.put({layout.SETTINGS: wanted.model_copy(update={"suites": suites}).to_json().encode()})


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
    if known and not new:
        raise InputError(
            f"{state.store.name} has no suite {suite!r}",
            hint=f"{meant(suite, known)}; --new-suite makes a new one",
        )
    define(state, suite, SuiteSettings(codename=suite))


def define(state: State, suite: str, wanted: SuiteSettings) -> None:
    """Make a suite known, or change what may change of it. The repository must be locked.

    Raises:
        InputError: The codename would change, or the name is none.
    """
    _check_name(suite)
    settings = state.settings()
    there = settings.suites.get(suite)
    if there and there.codename != wanted.codename:
        raise InputError(
            f"the codename of {suite} is {there.codename} and cannot become {wanted.codename}: "
            "apt on the hosts would refuse the suite",
            hint="make a suite of another name",
        )
    if there != wanted:
        grown = settings.model_copy(update={"suites": {**settings.suites, suite: wanted}})
        state.store.put({layout.SETTINGS: grown.to_json().encode()})


def meant(suite: str, known: Iterable[str]) -> str:
    """The suites that there are, the one that was probably meant first."""
    near = [name for name in get_close_matches(suite, known, n=1) if name != suite]
    return f"{f'did you mean {near[0]}? ' if near else ''}its suites: {', '.join(known) or 'none'}"


def _check_name(suite: str) -> None:
    if layout.SUITE.fullmatch(suite) is None:
        raise InputError(f"{suite!r} cannot be a suite's name", hint="letters, digits, . _ and - only")


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
    names = [name for name in type(wanted).model_fields if name != "suites"]
    other = [name for name in names if getattr(there, name) != getattr(wanted, name)]
    return InputError(
        f"{where} is a repository with other settings: {', '.join(other)}",
        details="\n".join(f"{name} is {_shown(there, name)}, not {_shown(wanted, name)}" for name in other),
        hint="they never change: give the same as before, or name another folder",
    )


def _shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return ", ".join(value) if isinstance(value, tuple) else repr(value)

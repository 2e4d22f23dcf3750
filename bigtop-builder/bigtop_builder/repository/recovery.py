# SPDX-License-Identifier: Apache-2.0
"""A suite whose InRelease is gone or spoilt: what else was signed says where it stood. Nothing is written here."""

from bigtop_builder.errors import CheckFailed
from bigtop_builder.repository import layout
from bigtop_builder.repository.accidents import require_link
from bigtop_builder.repository.authentic import newest_signed, proof_of, signed_entry
from bigtop_builder.repository.layout import Entry
from bigtop_builder.repository.pointer import KEPT, DamagedError, Proven, proven_pointer, unverified_pointer
from bigtop_builder.repository.state import State
from bigtop_builder.repository.unfinished import require_origin, require_ours
from bigtop_builder.repository.wrapper import settings_of


def whole(state: State, suite: str, public: bytes) -> Proven | None:
    """Where a suite stands; None if it has no InRelease that can be read, and that a key has signed.

    Raises:
        CheckFailed: It is signed, and not the suite's: somebody has put it there.
    """
    path = f"{layout.suite_folder(suite)}/InRelease"
    signed = state.store.read(path)
    if signed is None or not (proof := proof_of(signed, None, public)):
        return None
    try:
        return proven_pointer(suite, proof, source=f"{state.store.name}/{path}", signed=signed)
    except DamagedError:
        return None


def stood(state: State, suite: str, public: bytes) -> Proven | None:
    """Where a suite stood that has no whole InRelease; its `signed` is empty.

    The link of a suite names the release that it was switched to: this one, and no other, is looked for. Without a
    link it is the newest one that was signed. A first one that was never switched to may be of a publish that was cut
    off: `take_up` makes it anew.

    Args:
        state: The repository.
        suite: The suite.
        public: Keys, binary, of which one must have signed what is believed.

    Returns:
        None if nothing was published to it since it was retired, if it was, or only once and nobody knows whether it
        was switched.

    Raises:
        SigningError: None of the keys has signed the newest wrapper.
        CheckFailed: That one is of another suite, serial or repository, a newer one was lost too, or nothing that is
            signed is left of the release that the link names.
    """
    switched = state.store.size(f"{layout.suite_folder(suite)}/InRelease") is not None
    if serial := linked(state, suite):
        found = _wrapper(state, suite, serial, public) or _told(state, suite, serial, public)
        if found is None:
            raise CheckFailed(
                f"nothing that is signed says where {suite} stood: its release {serial} is spoilt",
                hint=f"bring {layout.release_folder(suite, serial)} back from a copy of the repository",
            )
        return found
    own = layout.OWN_SUITE.fullmatch(suite)
    if not (own or switched) and state.switches(suite) <= state.first(suite):
        return None
    last = _newest(state, suite, public)
    if own:
        return max(filter(None, [last, _own(state, suite, public)]), key=lambda one: one.serial, default=None)
    if last is None:
        return _by_history(state, suite, public)
    if switched:
        require_link(state.store, suite, last.serial)
    _require_last(state, last, public)
    return last


def _by_history(state: State, suite: str, public: bytes) -> Proven:
    """Where a suite stood whose link and wrappers are all gone: the newest entry of its history says it.

    Raises:
        CheckFailed: It is not signed, or its snapshot is gone.
    """
    serial = max(state.entries(suite), default=0)
    found = _told(state, suite, serial, public)
    if found is None or state.store.size(layout.snapshot_file(found.snapshot)) is None:
        gone = f"snapshots/{found.snapshot}" if found else f"releases/{suite}"
        raise CheckFailed(
            f"nothing that is signed and whole says where {suite} stood: {gone} is missing",
            hint=f"bring {gone} back from a copy of the repository; or promote a snapshot to another suite",
        )
    return found


def brought_back(state: State, pointer: Proven) -> str:
    """What is said of a suite that stands again where it stood."""
    release = f"release {pointer.serial} of {pointer.date:%Y-%m-%d %H:%M} UTC"
    sure = linked(state, pointer.suite) == pointer.serial
    which = f"as before, of its {release}" if sure else f"of its newest signed {release}"
    return f"its InRelease was lost or spoilt: it has snapshot {pointer.snapshot[:12]} {which}"


def clear(state: State, suite: str) -> None:
    """Remove an InRelease that is not whole, so that the suite is one without."""
    store = state.store
    path = f"{layout.suite_folder(suite)}/InRelease"
    if store.size(path) is not None:
        store.remove([store.origin(path).removeprefix(f"{store.origin('')}/")])


def linked(state: State, suite: str) -> int:
    """Serial of the release that a suite's link names; 0 if there is none, or an old one was put back."""
    root = state.store.origin("")
    place = state.store.origin(layout.suite_folder(suite)).removeprefix(f"{root}/")
    folder, _, name = place.rpartition("/")
    serial = int(name) if root and folder == f"releases/{suite}" and name.isdecimal() else 0
    return serial if max(state.entries(suite), default=0) <= serial + 1 else 0


def _newest(state: State, suite: str, public: bytes) -> Proven | None:
    for serial in sorted(state.releases(suite), reverse=True):
        if found := _wrapper(state, suite, serial, public):
            return found
        path = f"{layout.release_folder(suite, serial)}/InRelease"
        if (signed := state.store.read(path)) is not None:
            last = unverified_pointer(suite, signed, source=f"{state.store.name}/{path}", serial=serial)
            require_ours(state, last, public)
    return None


def _wrapper(state: State, suite: str, serial: int, public: bytes) -> Proven | None:
    """What a release says whose InRelease is signed, or whose Release is."""
    folder = layout.release_folder(suite, serial)
    inline, release, detached = (
        state.store.read(f"{folder}/{name}") for name in ("InRelease", "Release", "Release.gpg")
    )
    for name, text, signature in (("InRelease", inline, None), ("Release", release, detached or b"")):
        if text is not None and (proof := proof_of(text, signature, public)):
            source = f"{state.store.name}/{folder}/{name}"
            try:
                found = proven_pointer(suite, proof, source=source, serial=serial)
            except DamagedError:
                continue
            require_origin(state, found)
            return found
    return None


def _told(state: State, suite: str, serial: int, public: bytes) -> Proven | None:
    """What the signed history says of a release."""
    path = layout.history_file(suite, serial)
    text = state.store.read(path)
    entry = signed_entry(state, path, text, public) if text is not None else None
    return _pointer(state, entry) if entry else None


def _own(state: State, suite: str, public: bytes) -> Proven | None:
    """Where a snapshot's own suite stood, by its history if that is whole: a gc that was cut off leaves holes."""
    serials = state.entries(suite)
    newest = max(serials, default=0)
    return _told(state, suite, newest, public) if newest and len(serials) == newest else None


def _pointer(state: State, entry: Entry) -> Proven:
    settings = state.settings()
    return Proven(
        suite=entry.suite,
        serial=entry.serial,
        snapshot=entry.after,
        date=entry.when,
        fields={
            "Origin": settings.origin,
            "Label": settings.label,
            "Suite": entry.suite,
            "Codename": settings_of(settings, entry.suite).codename,
            KEPT: entry.kept,
        },
        signed=b"",
    )


def _require_last(state: State, last: Proven, public: bytes) -> None:
    """See that the signed history goes no further than a wrapper: nobody is to be taken back by a loss."""
    if serial := newest_signed(state, last.suite, public, beyond=last.serial):
        path, folder = layout.history_file(last.suite, serial), layout.release_folder(last.suite, serial)
        raise CheckFailed(
            f"{state.store.name}/{folder} is missing, and {path} is signed: release {last.serial} of {last.suite} "
            "is not its newest",
            hint=f"bring {folder} back from a copy; if there never was one, for its publish was cut off, "
            f"remove {path}",
        )

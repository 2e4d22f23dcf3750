# SPDX-License-Identifier: Apache-2.0
"""Folders that are made under a hidden name beside their place, and swept when their maker was killed."""

import logging
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bigtop_builder.folder_lock import locked

log = logging.getLogger(__name__)

HIDDEN = re.compile(r"\.(?P<place>.+)\.[0-9a-f]{32}\.new")


@contextmanager
def unfinished(place: Path) -> Iterator[Path]:
    """A new folder beside a place, for its user to rename; if the block fails, it goes.

    A lock on it says that its maker lives. What a killed one left for this place goes first.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    torn = place.with_name(f".{place.name}.{uuid.uuid4().hex}.new")
    with ExitStack() as stack:
        with locked(place.parent):
            _sweep(_hidden(place.parent, place.name))
            torn.mkdir()
            stack.enter_context(locked(torn))
        try:
            yield torn
        except BaseException:
            shutil.rmtree(torn, ignore_errors=True)
            raise


def sweep(parent: Path) -> None:
    """Remove what killed makers left in a folder, whatever its place was to be."""
    if _hidden(parent):
        with locked(parent):
            _sweep(_hidden(parent))


def _hidden(parent: Path, place: str = "") -> list[Path]:
    """Hidden folders of makers that live or not, of one place or of all."""
    found = ((path, HIDDEN.fullmatch(path.name)) for path in parent.glob(".*.new/"))
    return [path for path, name in found if name and place in {"", name["place"]}]


def _sweep(folders: list[Path]) -> None:
    """The parent is locked, so that no maker is between making its folder and locking it."""
    for folder in folders:
        # FileNotFoundError: its maker is done with it. BlockingIOError: its maker lives.
        with suppress(FileNotFoundError, BlockingIOError), locked(folder, wait=False):
            log.info("removing %s: the process that made it is gone", folder)
            shutil.rmtree(folder, ignore_errors=True)

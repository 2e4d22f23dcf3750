# SPDX-License-Identifier: Apache-2.0
"""What Maven, Gradle, npm and yarn downloaded, kept from build to build, and nothing that a build made.

After a build, only files that Maven says came from a repository, and whose sha1 holds, are taken over: an
artifact is local if `_remote.repositories` has a line `<file>>=` for it, whatever other lines stand there.
Gradle's module files lie in folders named by their sha1, which is checked too; of npm and yarn `node_packages`
knows. The folder's key holds the mirror and its id, because a cache filled under one id does not serve another
(design, invariant 8).

Builds that run at once may harvest and be seeded at the same time. What Gradle notes of its modules is of one
build, and is kept a component; Maven's markers are merged.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from bigtop_builder.atomic import write_whole
from bigtop_builder.gradle import MAVEN_MIRROR_ID
from bigtop_builder.hashes import hash_of
from bigtop_builder.node_packages import NPM, YARN, downloaded_by_npm, downloaded_by_yarn
from bigtop_builder.room import Room
from bigtop_builder.schema import digest
from bigtop_builder.settings import Settings
from bigtop_builder.tarstream import pack, unpack

REMOTE = "_remote.repositories"
MAVEN = "home/.m2/repository"
GRADLE = "home/.gradle/caches/modules-2"
NOTES = f"{GRADLE}/metadata-"
"""Begins the names of what Gradle notes of its modules: where it has looked, and what it found."""
UNHASHED = re.compile(rf"{re.escape(GRADLE)}/(?!files-)")
"""Names of Gradle's files that no hash tells from half a write."""
SEEDED = "home/.seeded"
"""Touched once the seed is in place."""


class Downloads:
    """The shared downloads of one site and one kind of room, whatever image the room is made from.

    Args:
        root: `workspace.downloads`.
        settings: Names the mirrors.
        workdir: Where rooms work: Gradle's cache holds absolute paths. A word will do where each has another.
    """

    def __init__(self, root: Path, settings: Settings, *, workdir: str) -> None:
        mirrors = settings.mirrors
        key = digest(MAVEN_MIRROR_ID, mirrors.maven, mirrors.gradle_plugins, settings.gradle, workdir)
        self.root = root / key[:16]

    def seed(self, component: str, needs: Iterable[str]) -> Iterator[bytes]:
        """A tar stream of what a component used last time, or on its first build what its needs used.

        Its files are read when their turn comes: they are gigabytes. Nobody changes one, it is replaced.
        """
        with self._alone():
            seeds = self._seeds(component, needs)
        return pack(dict(sorted(seeds.items())))

    def harvest(self, new: Path, component: str, needs: Iterable[str], *, failed: bool = False) -> int:
        """Take over what a build downloaded; return the number of files that were not here before.

        Args:
            new: Folder with the files that the build wrote, as `bring_new` left it.
            component: The component.
            needs: What it depends on, as given to `seed`.
            failed: It did not end well. What Gradle notes has no hash, and it may have been killed while it wrote:
                its notes stay those of the last build that ended well.
        """
        names = {
            f"{part}/{path.relative_to(new / part)}": path
            for part, chosen in HARVEST.items()
            for path in chosen(new / part)
        }
        if failed:
            names = {name: path for name, path in names.items() if not UNHASHED.match(name)}
        with self._alone():
            kept = self._seeds(component, needs)
            for name in kept.keys() - names.keys():
                if kept[name] != (own := self._place(name, component)):
                    own.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(kept[name], own)
            text = "".join(f"{name}\n" for name in sorted({*kept, *names}))
            write_whole(self._list(component), text)
            return sum(self._take(path, self._place(name, component)) for name, path in names.items())

    def _seeds(self, component: str, needs: Iterable[str]) -> dict[str, Path]:
        """Name in a room -> file that is seeded."""
        owners = [component] if self._list(component).is_file() else list(needs)
        return {
            name: place
            for owner in owners
            if self._list(owner).is_file()
            for name in self._list(owner).read_text().splitlines()
            if (place := self._place(name, owner)).is_file()
        }

    def _place(self, name: str, owner: str) -> Path:
        return self.root / "notes" / owner / name if name.startswith(NOTES) else self.root / name

    def _list(self, component: str) -> Path:
        return self.root / "lists" / f"{component}.txt"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from changing files that are read, or lists that are added to."""
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / ".lock"):
            yield

    def _take(self, path: Path, target: Path) -> int:
        new = not target.exists()
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.name == REMOTE and not new:
            path.write_text("".join(f"{line}\n" for line in _merged(path, target)))
        path.replace(target)
        return int(new)


def mark_seeded(room: Room) -> None:
    """Remember the moment: what is written from here on was not seeded."""
    room.run(["mkdir", "-p", *(f"{room.workdir}/{part}" for part in HARVEST)])
    room.run(["touch", f"{room.workdir}/{SEEDED}"])


def bring_new(room: Room, into: Path) -> None:
    """Copy what a build wrote below the folders of those that download into a folder of this machine."""
    find = f"find {' '.join(HARVEST)} -type f -cnewer {SEEDED} -print0"
    room.run(["sh", "-c", f"{find} | tar --null --files-from=- --create --file=new.tar"], cwd=room.workdir)
    room.get(f"{room.workdir}/new.tar", into)
    with (into / "new.tar").open("rb") as tar:
        unpack(tar, into)
    (into / "new.tar").unlink()


def bring_all(room: Room, into: Path) -> None:
    """Copy all that a room has below these folders: where no command runs any more, new is not told from seeded."""
    for part in HARVEST:
        (into / part).parent.mkdir(parents=True, exist_ok=True)
        room.get(f"{room.workdir}/{part}", (into / part).parent)


def beside(marker: Path, name: str) -> Path | None:
    """The file of a name in a marker; None if that is no plain name, which could lead out of the folder."""
    return marker.parent / name if name not in {"", ".", ".."} and "/" not in name else None


def downloaded_by_maven(repository: Path) -> list[Path]:
    """Files of a local Maven repository that came from a remote one, checked against their .sha1; its metadata too.

    The `_remote.repositories` files among them are rewritten to hold only lines of such files.
    """
    chosen: list[Path] = []
    for marker in repository.rglob(REMOTE):
        lines = [line for line in marker.read_text(errors="replace").splitlines() if not line.startswith("#")]
        local = {line.partition(">")[0] for line in lines if line.endswith(">=")}
        remote = {line.partition(">")[0] for line in lines} - local
        files = (beside(marker, name) for name in sorted(remote))
        whole = [file for file in files if file and _sha1_holds(file)]
        if whole:
            names = {path.name for path in whole}
            marker.write_text("".join(f"{line}\n" for line in lines if line.partition(">")[0] in names))
            chosen += [marker, *whole, *(path.with_name(f"{path.name}.sha1") for path in whole)]
    known = (path for path in repository.rglob(f"maven-metadata-{MAVEN_MIRROR_ID}.xml") if _sha1_holds(path))
    return chosen + [file for path in known for file in (path, path.with_name(f"{path.name}.sha1"))]


def downloaded_by_gradle(modules: Path) -> list[Path]:
    """Files of Gradle's module cache: artifacts whose sha1 is their folder's name, and its own metadata."""
    chosen = []
    for path in modules.rglob("*"):
        if not path.is_file() or path.name.endswith(".lock"):
            continue
        hashed = path.relative_to(modules).parts[0].startswith("files-")
        if not hashed or hash_of(path, "sha1") == path.parent.name.rjust(40, "0"):
            chosen.append(path)
    return chosen


HARVEST: Mapping[str, Callable[[Path], list[Path]]] = {
    MAVEN: downloaded_by_maven,
    GRADLE: downloaded_by_gradle,
    NPM: downloaded_by_npm,
    YARN: downloaded_by_yarn,
}
"""Folder below the workdir -> what of it is taken over."""


def _merged(*markers: Path) -> list[str]:
    return sorted({line for marker in markers for line in marker.read_text(errors="replace").splitlines()})


def _sha1_holds(path: Path) -> bool:
    said = path.with_name(f"{path.name}.sha1")
    if not (path.is_file() and said.is_file()):
        return False
    return said.read_text(errors="replace").split()[:1] == [hash_of(path, "sha1")]

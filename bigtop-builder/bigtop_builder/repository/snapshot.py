# SPDX-License-Identifier: Apache-2.0
"""Making a snapshot: the one before, grown by some packages. Writes nothing; says what is to be written."""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bigtop_builder.cores import cores
from bigtop_builder.repository import layout
from bigtop_builder.repository.index import xz, zst
from bigtop_builder.repository.index.blocks import Piece, block_text, grow, holding, shrink
from bigtop_builder.repository.index.packages import Key, Stanza, parse_stanzas
from bigtop_builder.repository.index.sources import ARCHITECTURE, SourceStanza
from bigtop_builder.repository.index.translation import Style
from bigtop_builder.repository.layout import Block, Form, Index, IndexFile, Snapshot
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Alias, Content, Present, Upload

LEVEL = 6
"""Of gzip, as its own default; 9 takes twice the time for a hundredth of the size."""
NEW = 8
"""New blocks from which on all cores compress them."""
BATCH = 64
"""Blocks in memory at once; each has 64 names on average."""


PACKERS: Mapping[Form, Callable[[bytes], bytes]] = {".xz": xz.compress, ".zst": zst.compress}
"""Forms whose blocks are kept beside the gzip members."""


@dataclass(frozen=True, kw_only=True)
class _Packed:
    """A block with its text in each form.

    Attributes:
        forms: Empty bytes for a form that is not wanted.
        files: What must be in the store before the snapshot that has it.
    """

    block: Block
    forms: Mapping[Form, bytes]
    files: Mapping[str, Content]


@dataclass(kw_only=True)
class Draft:
    """A snapshot that is being made.

    Attributes:
        state: Where the one before is read from.
        forms: Forms of the indices to write.
        scratch: An existing folder for indices until they are put.
        style: How descriptions stand in Packages.
        files: What must be in the store before the snapshot itself.
    """

    state: State
    forms: tuple[Form, ...]
    scratch: Path
    style: Style = field(default_factory=Style)
    files: dict[str, Content] = field(default_factory=dict)

    def grown(
        self,
        before: Snapshot,
        *,
        component: str,
        added: Sequence[Stanza],
        architectures: Iterable[str],
        manifests: tuple[str, ...],
        sources: Sequence[SourceStanza] = (),
        replace: bool = False,
    ) -> Snapshot:
        """The snapshot before with packages added to a component.

        Every component has an index for every architecture, and packages for `all` are in each of them.

        Args:
            before: The snapshot to grow; it is not changed.
            component: Where the packages go.
            added: Packages that are not there.
            architectures: Those that have an index besides those of `before` and of the packages.
            manifests: Hashes of release manifests, of which new ones are appended.
            sources: Source packages that are not there.
            replace: The component is to have no others than these.
        """
        named = {stanza.architecture for stanza in added} - {"all"}
        every = sorted({*before.architectures, *architectures, *named})
        components: dict[str, dict[str, Index]] = {}
        for name in sorted({*before.components, component}):
            old = {} if replace and name == component else before.components.get(name, {})
            fresh = added if name == component else ()
            if (name in before.translations) != self.style.split:
                held = {one.key: one for index in old.values() for one in self.state.packages(index)}
                old, fresh = {}, [*held.values(), *fresh]
            fresh = [self.style.dress(one) for one in fresh]
            components[name] = {target: self._index(old, target, fresh) for target in every}
        known = before.manifests
        nothing = Index(blocks=(), files={})
        return Snapshot(
            components=components,
            manifests=(*known, *(sha256 for sha256 in manifests if sha256 not in known)),
            sources=self._sources(before.sources, component, sources, replace=replace),
            translations={name: before.translations.get(name, nothing) for name in components}
            if self.style.split
            else {},
        )

    def shrunk(self, before: Snapshot, gone: Mapping[tuple[str, str], Collection[Key]]) -> Snapshot:
        """The snapshot before without some packages.

        Args:
            before: The snapshot to shrink; it is not changed.
            gone: Component and architecture of an index -> keys of packages that it is to have no more; sources
                have the architecture `source`.
        """
        components = {
            name: {
                target: self.written(shrink(index.blocks, keys, self.state.stanzas))
                if (keys := gone.get((name, target)))
                else index
                for target, index in indices.items()
            }
            for name, indices in before.components.items()
        }
        sources = {
            name: self.written(shrink(index.blocks, keys, self.state.sources), layout.SOURCES)
            if (keys := gone.get((name, ARCHITECTURE)))
            else index
            for name, index in before.sources.items()
        }
        return before.model_copy(update={"components": components, "sources": sources})

    def text(self, block: Block) -> str:
        """Text of a block, also of one that is not in the store yet."""
        member = self.files.get(layout.block_file(block.sha256))
        text = gzip.decompress(member) if isinstance(member, bytes) else self.state.block(block)[0]
        return text.decode()

    def stanzas(self, block: Block) -> list[Stanza]:
        """Packages of a block, also of one that is not in the store yet."""
        return list(parse_stanzas(self.text(block)))

    def find(self, index: Index, names: Iterable[str]) -> Iterator[Stanza]:
        """As `State.find`, also in an index that is not in the store yet."""
        for block in holding(index.blocks, names):
            yield from self.stanzas(block)

    def seal(self, snapshot: Snapshot) -> tuple[str, dict[str, Content]]:
        """Id of a snapshot, and the files of its folder."""
        text = snapshot.to_json().encode()
        name = hashlib.sha256(text).hexdigest()
        return name, {layout.snapshot_file(name): text, **links_of(name, snapshot, self.forms)}

    def _index(self, old: dict[str, Index], architecture: str, added: Sequence[Stanza]) -> Index:
        fitting = [stanza for stanza in added if stanza.architecture in {architecture, "all"}]
        index = old.get(architecture)
        if index is None:
            fitting += self._independent(old)
            index = Index(blocks=(), files={})
        elif not fitting and self.has_all_forms(index, layout.PACKAGES):
            return index
        grown = grow(index.blocks, fitting, self.state.stanzas)
        return self.written(grown)

    def _sources(
        self, old: Mapping[str, Index], component: str, added: Sequence[SourceStanza], *, replace: bool
    ) -> dict[str, Index]:
        """Sources of each component that has any."""
        named = {name: index for name, index in old.items() if not (replace and name == component)}
        if added:
            named.setdefault(component, Index(blocks=(), files={}))
        for name, index in named.items():
            fresh = added if name == component else ()
            if fresh or not self.has_all_forms(index, layout.SOURCES):
                grown = grow(index.blocks, fresh, self.state.sources)
                named[name] = self.written(grown, layout.SOURCES)
        return dict(sorted(named.items()))

    def has_all_forms(self, index: Index, name: str) -> bool:
        """Whether an index is written in all forms that are wanted now, or was when there were others."""
        return all(name + form in index.files for form in self._every)

    def _independent(self, indices: dict[str, Index]) -> list[Stanza]:
        """Packages for `all` of a component: they are in each of its indices, so any one tells."""
        index = next(iter(indices.values()), None)
        return [one for one in self.state.packages(index) if one.architecture == "all"] if index else []

    def written(
        self,
        grown: Sequence[Block | Sequence[Piece]],
        name: str = layout.PACKAGES,
        forms: tuple[Form, ...] | None = None,
    ) -> Index:
        """Write the forms of an index to the scratch folder, a batch of blocks at a time.

        Args:
            grown: Its blocks: those that are kept, and the contents of new ones.
            name: Its plain name.
            forms: Forms that are written, in place of the repository's.
        """
        wanted = self.forms if forms is None else forms
        every: tuple[Form, ...] = tuple(dict.fromkeys(("", *wanted)))
        outputs = {form: _output(self.scratch if form in wanted else None, form) for form in every}
        blocks: list[Block] = []
        fresh = sum(not isinstance(part, Block) for part in grown)
        with ThreadPoolExecutor(max(self.state.store.readers, cores() if fresh >= NEW else 0)) as threads:
            for start in range(0, len(grown), BATCH):
                packed = partial(self._packed, forms=wanted)
                batch = list(threads.map(packed, grown[start : start + BATCH]))
                blocks += [one.block for one in batch]
                for one in batch:
                    self.files |= one.files
                list(threads.map(lambda output, batch=batch: output.take(batch), outputs.values()))
        files: dict[str, IndexFile] = {}
        for form, output in outputs.items():
            entry = files[name + form] = output.close()
            if output.path:
                self._keep(entry, output.path)
        return Index(blocks=tuple(blocks), files=files)

    def _keep(self, entry: IndexFile, path: Path) -> None:
        by_sha256 = layout.by_hash("SHA256", entry.sha256)
        store = self.state.store
        # It may be damaged: to make the same index again is to mend it.
        there = store.size(by_sha256) == entry.size and store.sha256(by_sha256) == entry.sha256
        self.files[by_sha256] = Present() if there else Upload(path, entry.sha256)
        self.files[layout.by_hash("SHA512", entry.sha512)] = Alias(by_sha256)

    @property
    def _every(self) -> tuple[Form, ...]:
        """The forms that Release names: the plain one also where only compressed ones are written."""
        return tuple(dict.fromkeys(("", *self.forms)))

    def _packed(self, part: Block | Sequence[Piece], *, forms: tuple[Form, ...]) -> _Packed:
        """A block in each form, from the store where it was kept."""
        files: dict[str, Content] = {}
        if isinstance(part, Block):
            block = part
            text, member = self.state.block(block)
        else:
            text = block_text(part).encode()
            sha256 = hashlib.sha256(text).hexdigest()
            block = Block(sha256=sha256, first=part[0].name, last=part[-1].name, count=len(part))
            path = layout.block_file(sha256)
            if self.state.store.size(path) is None:
                files[path] = member = gzip.compress(text, LEVEL, mtime=0)
            else:
                files[path] = Present()
                member = self.state.block(block)[1]
        made: dict[Form, bytes] = {"": text, ".gz": member}
        for form in (one for one in forms if one in PACKERS):
            path = layout.block_file(block.sha256, form)
            kept = self.state.stream(block.sha256, text, form)
            made[form] = kept or PACKERS[form](text)
            if kept is None:
                files[path] = made[form]
            elif block is not part:
                files[path] = Present()
        return _Packed(block=block, forms=made, files=files)


def changed(before: Index | None, after: Index | None, draft: Draft) -> tuple[list[Stanza], list[Stanza]]:
    """Packages that one of two indices alone has: those of the first, and of the second.

    Blocks that both have are not read.
    """
    old, new = ({block.sha256: block for block in one.blocks} if one else {} for one in (before, after))
    was, now = (
        {one.key: one for name in mine.keys() - other.keys() for one in draft.stanzas(mine[name])}
        for mine, other in ((old, new), (new, old))
    )
    return [was[key] for key in was.keys() - now.keys()], [now[key] for key in now.keys() - was.keys()]


def links_of(name: str, snapshot: Snapshot, forms: Collection[Form]) -> dict[str, Content]:
    """Aliases in a snapshot's folder: its indices by their names, and all by hash."""
    links: dict[str, Content] = {}
    for below, index in snapshot.indices():
        folder = layout.snapshot_index(name, below)
        links[f"{folder}/by-hash"] = Alias(layout.BY_HASH)
        for file, entry in index.written(forms):
            links[f"{folder}/{file}"] = Alias(layout.by_hash("SHA256", entry.sha256))
    return links


class _Output:
    """One form of an index, hashed as it is written.

    Attributes:
        path: The file; None if only its hashes are wanted.
    """

    def __init__(self, scratch: Path | None, form: Form) -> None:
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        if scratch:
            descriptor, name = tempfile.mkstemp(dir=scratch)
            self.path = Path(name)
            self._file = os.fdopen(descriptor, "wb")
        self._form = form
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._sha512 = hashlib.sha512()

    def take(self, batch: Sequence[_Packed]) -> None:
        """Append blocks."""
        self._write(b"".join(packed.forms[self._form] for packed in batch))

    def close(self) -> IndexFile:
        """End the file and say what it is."""
        if self._file:
            self._file.close()
        return IndexFile(size=self._size, sha256=self._sha256.hexdigest(), sha512=self._sha512.hexdigest())

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        self._sha256.update(data)
        self._sha512.update(data)
        if self._file:
            self._file.write(data)


class _Members(_Output):
    """Gzip: members follow one another, and an empty index is one empty member (RFC 1952, 2.2)."""

    def close(self) -> IndexFile:
        if not self._size:
            self._write(gzip.compress(b"", mtime=0))
        return super().close()


class _Frames(_Output):
    """Zstandard: frames follow one another, and an empty index is one empty frame (RFC 8878, 3)."""

    def close(self) -> IndexFile:
        if not self._size:
            self._write(zst.compress(b""))
        return super().close()


class _Stream(_Output):
    """Xz: one stream of all blocks."""

    def __init__(self, scratch: Path | None, form: Form) -> None:
        super().__init__(scratch, form)
        self._joined = xz.Joined()
        self._write(self._joined.begin())

    def take(self, batch: Sequence[_Packed]) -> None:
        self._write(b"".join(self._joined.add(packed.forms[".xz"]) for packed in batch))

    def close(self) -> IndexFile:
        self._write(self._joined.end())
        return super().close()


def _output(scratch: Path | None, form: Form) -> _Output:
    return {"": _Output, ".gz": _Members, ".xz": _Stream, ".zst": _Frames}[form](scratch, form)

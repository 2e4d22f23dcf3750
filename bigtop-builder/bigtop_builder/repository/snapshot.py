# SPDX-License-Identifier: Apache-2.0
"""Making a snapshot: the one before, grown by some packages. Writes nothing; says what is to be written."""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bigtop_builder.repository import layout, xz
from bigtop_builder.repository.index import Stanza, block_text, grow
from bigtop_builder.repository.layout import Block, Form, Index, IndexFile, Snapshot
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Alias, Content, Present, Upload

LEVEL = 6
"""Of gzip, as its own default; 9 takes twice the time for a hundredth of the size."""
THREADS = 16
"""Blocks that are read or compressed at once: more than cores, for stores that answer after a while."""
BATCH = 64
"""Blocks in memory at once; each has 64 names on average."""


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
        files: What must be in the store before the snapshot itself.
    """

    state: State
    forms: tuple[Form, ...]
    scratch: Path
    files: dict[str, Content] = field(default_factory=dict)

    def grown(
        self,
        before: Snapshot,
        *,
        component: str,
        added: Sequence[Stanza],
        architectures: Iterable[str],
        manifests: tuple[str, ...],
    ) -> Snapshot:
        """The snapshot before with packages added to a component.

        Every component has an index for every architecture, and packages for `all` are in each of them.

        Args:
            before: The snapshot to grow; it is not changed.
            component: Where the packages go.
            added: Packages that are not there.
            architectures: Those that have an index besides those of `before` and of the packages.
            manifests: Hashes of release manifests, of which new ones are appended.
        """
        named = {stanza.architecture for stanza in added} - {"all"}
        every = sorted({*before.architectures, *architectures, *named})
        components: dict[str, dict[str, Index]] = {}
        for name in sorted({*before.components, component}):
            old = before.components.get(name, {})
            fresh = added if name == component else ()
            components[name] = {target: self._index(old, target, fresh) for target in every}
        known = before.manifests
        return Snapshot(
            components=components,
            manifests=(*known, *(sha256 for sha256 in manifests if sha256 not in known)),
        )

    def seal(self, snapshot: Snapshot) -> tuple[str, dict[str, Content]]:
        """Id of a snapshot, and the files of its folder."""
        text = snapshot.to_json().encode()
        name = hashlib.sha256(text).hexdigest()
        files: dict[str, Content] = {layout.snapshot_file(name): text}
        for component, indices in snapshot.components.items():
            for architecture, index in indices.items():
                folder = layout.snapshot_index(name, component, architecture)
                files[f"{folder}/by-hash"] = Alias(layout.BY_HASH)
                for form in self.forms:
                    if entry := index.files.get(layout.PACKAGES + form):
                        target = layout.by_hash("SHA256", entry.sha256)
                        files[f"{folder}/{layout.PACKAGES}{form}"] = Alias(target)
        return name, files

    def _index(self, old: dict[str, Index], architecture: str, added: Sequence[Stanza]) -> Index:
        fitting = [stanza for stanza in added if stanza.architecture in {architecture, "all"}]
        index = old.get(architecture)
        if index is None:
            fitting += self._independent(old)
            index = Index(blocks=(), files={})
        elif not fitting:
            return index
        grown = grow(index.blocks, fitting, self.state.stanzas)
        return self._written(grown)

    def _independent(self, indices: dict[str, Index]) -> list[Stanza]:
        """Packages for `all` of a component: they are in each of its indices, so any one tells."""
        index = next(iter(indices.values()), None)
        return [one for one in self.state.packages(index) if one.architecture == "all"] if index else []

    def _written(self, grown: Sequence[Block | list[Stanza]]) -> Index:
        """Write the forms of an index to the scratch folder, a batch of blocks at a time."""
        outputs = {form: _output(self.scratch if form in self.forms else None, form) for form in self._every}
        blocks: list[Block] = []
        with ThreadPoolExecutor(THREADS) as threads:
            for start in range(0, len(grown), BATCH):
                batch = list(threads.map(self._packed, grown[start : start + BATCH]))
                blocks += [packed.block for packed in batch]
                for packed in batch:
                    self.files |= packed.files
                list(threads.map(lambda output, batch=batch: output.take(batch), outputs.values()))
        files: dict[str, IndexFile] = {}
        for form, output in outputs.items():
            entry = files[layout.PACKAGES + form] = output.close()
            if output.path:
                self._keep(entry, output.path)
        return Index(blocks=tuple(blocks), files=files)

    def _keep(self, entry: IndexFile, path: Path) -> None:
        by_sha256 = layout.by_hash("SHA256", entry.sha256)
        there = self.state.store.size(by_sha256) == entry.size
        self.files[by_sha256] = Present() if there else Upload(path, entry.sha256)
        self.files[layout.by_hash("SHA512", entry.sha512)] = Alias(by_sha256)

    @property
    def _every(self) -> tuple[Form, ...]:
        """The forms that Release names: the plain one also where only compressed ones are written."""
        return tuple(dict.fromkeys(("", *self.forms)))

    def _packed(self, part: Block | list[Stanza]) -> _Packed:
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
        stream = b""
        if ".xz" in self.forms:
            path = layout.block_file(block.sha256, ".xz")
            kept = self.state.stream(block.sha256, text)
            stream = kept or xz.compress(text)
            if kept is None:
                files[path] = stream
            elif block is not part:
                files[path] = Present()
        return _Packed(block=block, forms={"": text, ".gz": member, ".xz": stream}, files=files)


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
    return {"": _Output, ".gz": _Members, ".xz": _Stream}[form](scratch, form)

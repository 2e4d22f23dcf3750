# SPDX-License-Identifier: Apache-2.0
"""Making a snapshot: the one before, grown by some packages. Writes nothing; says what is to be written."""

import gzip
import hashlib
import lzma
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.repository import layout
from bigtop_builder.repository.index import Stanza, block_text, grow
from bigtop_builder.repository.layout import Block, Form, Index, IndexFile, Snapshot
from bigtop_builder.repository.state import State
from bigtop_builder.repository.store import Alias, Content, Present, Upload

XZ = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]
"""A dictionary of 1 MB takes a tenth of preset 6's memory, and Packages grow by 2 %."""
EMPTY = gzip.compress(b"", mtime=0)


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
        """Write the forms of an index to the scratch folder, block by block."""
        outputs = {form: _Output(self.scratch) for form in dict.fromkeys(("", *self.forms))}
        xz = lzma.LZMACompressor(format=lzma.FORMAT_XZ, filters=XZ)
        blocks: list[Block] = []
        for part in grown:
            block, text, packed = self._block(part)
            blocks.append(block)
            chunks = {"": text, ".gz": packed, ".xz": xz.compress(text) if ".xz" in outputs else b""}
            for form, output in outputs.items():
                output.write(chunks[form])
        tails = {"": b"", ".gz": b"" if blocks else EMPTY, ".xz": xz.flush()}
        files: dict[str, IndexFile] = {}
        for form, output in outputs.items():
            output.write(tails[form])
            entry = files[layout.PACKAGES + form] = output.close()
            if form in self.forms:
                self._keep(entry, output.path)
        return Index(blocks=tuple(blocks), files=files)

    def _keep(self, entry: IndexFile, path: Path) -> None:
        by_sha256 = layout.by_hash("SHA256", entry.sha256)
        there = self.state.store.size(by_sha256) == entry.size
        self.files[by_sha256] = Present() if there else Upload(path, entry.sha256)
        self.files[layout.by_hash("SHA512", entry.sha512)] = Alias(by_sha256)

    def _block(self, part: Block | list[Stanza]) -> tuple[Block, bytes, bytes]:
        if isinstance(part, Block):
            return (part, *self.state.block(part))
        text = block_text(part).encode()
        block = Block(
            sha256=hashlib.sha256(text).hexdigest(), first=part[0].name, last=part[-1].name, count=len(part)
        )
        path = layout.block_file(block.sha256)
        if self.state.store.size(path) is not None:
            self.files[path] = Present()
            return (block, *self.state.block(block))
        packed = gzip.compress(text, mtime=0)
        self.files[path] = packed
        return block, text, packed


class _Output:
    """One form of an index in the scratch folder, hashed as it is written."""

    def __init__(self, scratch: Path) -> None:
        descriptor, name = tempfile.mkstemp(dir=scratch)
        self.path = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._sha256 = hashlib.sha256()
        self._sha512 = hashlib.sha512()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._sha256.update(data)
        self._sha512.update(data)
        self._file.write(data)

    def close(self) -> IndexFile:
        """End the file and say what it is."""
        size = self._file.tell()
        self._file.close()
        return IndexFile(size=size, sha256=self._sha256.hexdigest(), sha512=self._sha512.hexdigest())

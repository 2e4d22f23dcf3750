# SPDX-License-Identifier: Apache-2.0
"""The text of a draft: the earlier recipe's, block by block, with what differs in it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomlkit

from bigtop_builder.recipe import LOCATIONS, Source
from bigtop_builder.recipe_draft.blocks import Block, carried_in, components_in, split
from bigtop_builder.recipe_draft.choice import Part
from bigtop_builder.recipe_draft.tags import Tag

SOURCE_KEYS = ("kind", *LOCATIONS, "commit", "ref", "sha512", "checked", "signed_by", "keys")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A component as the draft writes it.

    Attributes:
        name: Its name.
        version: Version in place of the bom's; empty for the bom's.
        sources: Its candidates.
        omit_patches: Upstream's own patches that are left out.
        notes: What a human must look at, as comments above it.
    """

    name: str
    version: str
    sources: tuple[Source, ...]
    omit_patches: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What of a draft is not the earlier recipe's.

    Attributes:
        head: Comment at its top.
        tag: The release.
        carried: Parts that come from another commit, and are named so.
        entries: Its components.
        kept: Name -> whether a component's sources are the earlier recipe's, to the letter.
        notes: Table -> what a human must look at, as comments above the first one; at the top for no table.
    """

    head: tuple[str, ...]
    tag: Tag
    carried: tuple[Part, ...]
    entries: tuple[Entry, ...]
    kept: frozenset[str]
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def compose(earlier: str, draft: Draft) -> str:
    """Return the draft's text, which lists the patches of the earlier recipe.

    Args:
        earlier: Text of the earlier recipe.
        draft: What differs.
    """
    top, *blocks = split(earlier)
    old_components, old_carried = components_in(blocks), carried_in(blocks)
    written = [_top(top, draft)]
    done, notes = set[str](), dict(draft.notes)
    for block in blocks:
        if block.group not in ("components", "carry"):
            written.append(_noted(_edited(block, draft), notes.pop(block.name, ())))
        elif block.group == "components" and "components" not in done:
            done.add("components")
            written += [_component(one, old_components.get(one.name), draft) for one in draft.entries]
        if block.name == "bigtop":
            written += [_carry(part, old_carried.get(part.name)) for part in draft.carried]
    return "".join(part if part.endswith("\n") else f"{part}\n" for part in written if part)


def with_notes_on_patches(text: str, notes: Sequence[str]) -> str:
    """The text of a draft with comments above its list of patches."""
    return re.sub(r"^(?=patches\s*=)", lambda _: _comment(notes), text, count=1, flags=re.MULTILINE)


def _top(block: Block, draft: Draft) -> str:
    lines = block.body.splitlines(keepends=True)
    while lines and lines[0].strip()[:1] in ("", "#"):
        lines.pop(0)
    document = tomlkit.parse("".join(lines))
    document["release"] = draft.tag.release
    return _comment([*draft.head, *draft.notes.get("", ())]) + tomlkit.dumps(document)


def _edited(block: Block, draft: Draft) -> Block:
    if block.name != "bigtop":
        return block
    document: Any = tomlkit.parse(block.body)
    document["bigtop"]["commit"], document["bigtop"]["ref"] = draft.tag.commit, draft.tag.name
    return Block(name=block.name, lead=block.lead, body=tomlkit.dumps(document))


def _noted(block: Block, notes: Sequence[str]) -> str:
    return f"{block.lead}{_comment(notes)}{block.body}"


def _comment(lines: Iterable[str]) -> str:
    return "".join(f"# {line}\n" for line in lines)


def _carry(part: Part, old: Block | None) -> str:
    donor = part.donor
    if donor is None or (old and donor.commit in old.body):
        return old.text if old else ""
    said = _comment([f"{donor.where} is the last release with its packaging."])
    rows = {"component": part.name, "from": donor.commit, "ref": donor.ref}
    return f"\n{said}[[carry]]\n{''.join(_rows(rows))}"


def _component(entry: Entry, old: Sequence[Block] | None, draft: Draft) -> str:
    if not old:
        name = "".join(_rows({"name": entry.name}))
        new = Block(name="components", lead="\n", body=f"[[components]]\n{name}")
        return _noted(new, entry.notes) + _sources(entry)
    head, *rest = old
    kept = entry.name in draft.kept
    body = _head(head.body, entry, keep_sources=kept)
    written = [_noted(Block(name=head.name, lead=head.lead, body=body), entry.notes)]
    if kept:
        return "".join([*written, *(block.text for block in rest)])
    if not any(block.name == "components.sources" for block in rest):
        written.append(_sources(entry))
    for number, block in enumerate(rest):
        if block.name != "components.sources":
            written.append(block.text)
        elif all(one.name != "components.sources" for one in rest[:number]):
            written.append(_sources(entry))
    return "".join(written)


def _head(body: str, entry: Entry, *, keep_sources: bool) -> str:
    """The block that names a component, less what does not fit any more."""
    document: Any = tomlkit.parse(body)
    table = document["components"][0]
    if "version" in table and not entry.version:
        table.remove("version")
    if "sources" in table and not keep_sources:
        table.remove("sources")
    for name in [one for one in table.get("omit_patches", ()) if one not in entry.omit_patches]:
        table["omit_patches"].remove(name)
    if "omit_patches" in table and not entry.omit_patches:
        table.remove("omit_patches")
    return tomlkit.dumps(document)


def _sources(entry: Entry) -> str:
    rows = (
        _rows({key: getattr(source, key) for key in SOURCE_KEYS if getattr(source, key)})
        for source in entry.sources
    )
    return "".join(f"\n[[components.sources]]\n{''.join(one)}" for one in rows)


def _rows(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if value:
            yield f"{key} = {tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string()}\n"

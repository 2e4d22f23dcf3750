# SPDX-License-Identifier: Apache-2.0
"""What is told of a draft: Markdown for an issue or a pull request, and the same as plain values."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bigtop_builder.recipe_draft.make import Made
from bigtop_builder.recipe_draft.pins import Pinned
from bigtop_builder.schema import counted

Row = Sequence[str]


def versions(made: Made) -> list[dict[str, Any]]:
    """Each component of the two releases, those that are built first: versions, and what became of it."""
    grounds, parts = made.desk.grounds, {part.name: part for part in made.choice.parts}
    rows = []
    for name in dict.fromkeys([*parts, *grounds.bom.components, *grounds.before.components]):
        part, now, before = (
            parts.get(name),
            grounds.bom.components.get(name),
            grounds.before.components.get(name),
        )
        old = part.before if part and part.before else before
        new = part.now if part else now
        rows.append(
            {
                "component": name,
                "before": old.base_version if old else "",
                "now": new.base_version if new else "",
                "change": _change(old.base_version if old else "", new.base_version if new else ""),
                "built": part is not None,
                "carried_from": part.donor.where if part and part.donor else "",
                "packaging_changed": made.changed.get(name, 0),
            }
        )
    return rows


def value(made: Made) -> dict[str, Any]:
    """The report for --json; `markdown` is the same for people."""
    desk = made.desk
    return {
        "recipe": str(desk.path),
        "release": desk.tag.release,
        "tag": desk.tag.name,
        "commit": desk.tag.commit,
        "repository": desk.earlier.bigtop.repository,
        "bom_version": desk.bom.version,
        "from": desk.base,
        "complete": not made.open,
        "components": versions(made),
        "added": {part.name: part.why for part in made.choice.parts if part.why},
        "pins": [_pin(one) for one in made.pins],
        "patches": [{**asdict(one), "listed": one.listed} for one in made.standings],
        "carried_over": _carried(made),
        "left_out": list(made.left_out),
        "open": [{"what": one.what, "way": one.way} for one in made.open],
        "markdown": markdown(made),
    }


def markdown(made: Made) -> str:
    """The report for people."""
    desk = made.desk
    state = f"{counted(len(made.open), 'open point')}" if made.open else "complete"
    bom = f"; its bom calls itself {desk.bom.version}" if desk.bom.version != desk.tag.release else ""
    intro = (
        f"`{desk.tag.name}` is {desk.tag.commit}{bom}. The draft is `{desk.path.name}`, made of "
        f"`{desk.earlier_path.name}`: {state}."
    )
    parts = [f"# Recipe for Bigtop {desk.tag.release}", intro]
    if made.open:
        parts += [
            "## For a human to decide",
            _points(f"{one.what}\n  Way out: {one.way}" for one in made.open),
        ]
    parts += ["## Versions", *_versions(made), "## Sources", _table(PIN_COLUMNS, map(_pin_row, made.pins))]
    parts += ["## Patches", _patches(made), "## Carried over", _points(_carried(made))]
    if made.left_out:
        parts += ["## Left out", _points(made.left_out)]
    return "\n\n".join(parts) + "\n"


PIN_COLUMNS = ("component", "source", "sha512", "pin")


def _versions(made: Made) -> Iterator[str]:
    built = [row for row in versions(made) if row["built"]]
    rows = (
        (
            row["component"],
            row["before"] or "-",
            row["now"] or "-",
            row["change"],
            f"carried from {row['carried_from']}"
            if row["carried_from"]
            else f"{counted(row['packaging_changed'], 'file')} changed"
            if row["packaging_changed"]
            else "the same",
        )
        for row in built
    )
    yield _table(("component", made.desk.base, made.desk.tag.release, "", "packaging"), rows)
    others = [row for row in versions(made) if not row["built"] and row["change"] != "same"]
    if others:
        said = (
            f"{row['component']} {' → '.join(filter(None, [row['before'], row['now']]))} ({row['change']})"
            for row in others
        )
        yield f"Not built, and changed in the bom: {', '.join(said)}."
    if added := [f"{part.name} ({part.why})" for part in made.choice.parts if part.why]:
        yield f"New in the recipe: {', '.join(added)}."


def _patches(made: Made) -> str:
    if not made.standings:
        return f"`{made.desk.base}` lists none."
    rows = (
        (one.id, one.state, "yes" if one.listed else "no", one.commit[:12] or one.detail or "-")
        for one in made.standings
    )
    return _table(("patch", "state", "listed", "upstream commit, or why"), rows)


def _carried(made: Made) -> list[str]:
    """What the draft has of the earlier recipe as it was."""
    recipe = made.desk.earlier
    names = {part.name for part in made.choice.parts}
    old = [one for one in recipe.components if one.name in names]
    counts = (
        (len(recipe.roles), "role"),
        (len(recipe.lintian), "lintian exception"),
        (len(recipe.smoke), "smoke"),
        (sum(len(one.services) for one in old), "service"),
    )
    target, image = recipe.target, recipe.image
    packages = counted(len(image.packages), "package")
    told = [
        f"target {target.distribution} {target.suite} {target.architecture}, tag {target.tag}",
        f"image {image.registry or 'by mmdebstrap'} with {packages}, JDK {image.jdk.package}",
        f"Gradle {recipe.gradle.version}",
        ", ".join(counted(number, noun) for number, noun in counts if number),
        "resources: " + "; ".join(f"{one.name} {one.memory_mb} MiB, {one.cpus} CPUs" for one in old),
    ]
    told += [f"{part.name}: packaging of {part.donor.where}" for part in made.choice.parts if part.donor]
    told += [
        f"{one.name}: {name} left out"
        for one in (p.component for p in made.pins)
        for name in one.omit_patches
    ]
    told += [
        f"{one.component.name}: version {one.component.version}" for one in made.pins if one.component.version
    ]
    told += [
        f"services of {one.name}, whose packaging has changed: see that they still start and stop so"
        for one in old
        if one.services and one.name in made.changed
    ]
    return [one for one in told if one]


def _pin(one: Pinned) -> dict[str, Any]:
    source, failure = one.chosen, one.failure
    return {
        "component": one.component.name,
        "state": _pin_state(one),
        "source": source.where if source else "",
        "sha512": source.sha512 if source else "",
        "checked": source.checked if source else "",
        "recipe": one.by,
        "failure": "\n".join(filter(None, [failure.brief, failure.details])) if failure else "",
    }


def _pin_state(one: Pinned) -> str:
    if one.failure:
        return "unpinned"
    return "none needed" if one.chosen is None else "pinned"


def _pin_row(one: Pinned) -> Row:
    source = one.chosen
    by = f"as in {one.by}" if one.by else source.checked if source else "nothing to download"
    return (
        one.component.name,
        source.where if source else "-",
        f"`{source.sha512[:16]}…`" if source and source.sha512 else "-",
        "**unpinned**" if one.failure else by,
    )


def _change(before: str, now: str) -> str:
    if not before or not now:
        return "new" if now else "gone"
    if before == now:
        return "same"
    return "up" if _numbers(now) > _numbers(before) else "down"


def _numbers(version: str) -> list[tuple[int, str]]:
    """What versions are compared by: numbers as such, other words as text and before them."""
    return [
        (int(word), "") if word.isdecimal() else (-1, word)
        for word in re.findall(r"\d+|[a-z]+", version.lower())
    ]


def _table(columns: Row, rows: "Iterator[Row] | Sequence[Row] | map[Row]") -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _points(lines: "Iterator[str] | Sequence[str]") -> str:
    return "\n".join(f"- {line}" for line in lines)

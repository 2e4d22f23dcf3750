# SPDX-License-Identifier: Apache-2.0
"""All checks over the packages of a release, added up to a verdict.

Pure checks come first. Where a package is not whole, what would have to unpack it is skipped, never passed.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from bigtop_builder.artifact import Deb, read_deb
from bigtop_builder.errors import CheckFailed
from bigtop_builder.hashes import sha256_of
from bigtop_builder.recipe import Recipe
from bigtop_builder.room import RoomMaker
from bigtop_builder.schema import canonical, digest
from bigtop_builder.verify.conflicts import check_conflicts
from bigtop_builder.verify.hosts import Earlier, services_of, try_on_hosts
from bigtop_builder.verify.integrity import SHOWN
from bigtop_builder.verify.lintian import check_lintian
from bigtop_builder.verify.older import Indexed
from bigtop_builder.verify.packages import Built, Judged, finding, judge_package
from bigtop_builder.verify.verdict import Finding, Verdict

log = logging.getLogger(__name__)

CHECKS_VERSION = "1"
"""Rises when a check judges the same bytes in another way."""
NEED_WHOLE = ("conflicts", "lintian", "closure", "install", "service", "remove", "purge", "upgrade")


def verdict_id(
    packages: Sequence[Built],
    *,
    recipe: Recipe,
    stamps: Mapping[str, str],
    target_image: str,
    previous: Sequence[Indexed] = (),
    unselected: Mapping[str, str] | None = None,
) -> str:
    """Id of the verdict on these packages, without judging them: what has one need not be judged again.

    Of the packages published before, those count that the checks take (`Earlier`): what the set upgrades, and
    what stands in for packages that it does not hold. So a set that was published after it was judged, and now
    lies among them itself, stays judged.

    Args:
        packages: The set; each file is hashed.
        recipe: Its target, roles, services and lintian exceptions count.
        stamps: Component -> stamp that the plan gave.
        target_image: Id of the clean target image: a name made from its inputs, or a digest.
        previous: Packages published before; none of their files is read.
        unselected: Package -> component, of components that this run leaves out.
    """
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(_read, (built.path for built in packages)))
    files = sorted(
        (built.path.name, built.component, deb.sha256 if deb else sha256_of(built.path))
        for built, deb in zip(packages, read, strict=True)
    )
    earlier = Earlier.of([deb for deb in read if deb], previous)
    components = {built.component for built in packages}
    how = {
        "target": recipe.target.model_dump(mode="json"),
        "roles": recipe.roles,
        "lintian": [exception.model_dump(mode="json") for exception in recipe.lintian],
        "services": [service.model_dump(mode="json") for service in services_of(recipe, components)],
        "stamps": {name: stamps.get(name, "") for name in components},
        "unselected": dict(unselected or {}),
        "replaced": sorted((deb.name, deb.sha256) for deb in earlier.replaced),
        "stand_ins": sorted((deb.name, deb.sha256) for deb in earlier.stand_ins),
    }
    return digest(CHECKS_VERSION, target_image, canonical(files), canonical(how))


def _read(path: Path) -> Deb | None:
    """A package of the set; None if it is broken: the checks say so, and a set with it is no upgrade."""
    try:
        return read_deb(path)
    except CheckFailed:
        return None


def verify(
    packages: Sequence[Built],
    *,
    identity: str,
    recipe: Recipe,
    stamps: Mapping[str, str],
    target_rooms: RoomMaker,
    builder_rooms: RoomMaker,
    previous: Sequence[Indexed] = (),
    unselected: Mapping[str, str] | None = None,
    changes: Sequence[Path] = (),
    tool: str,
    clock: Callable[[], datetime],
) -> Verdict:
    """Judge the packages of a release.

    Args:
        packages: The set.
        identity: Its `verdict_id`.
        recipe: What it was built from.
        stamps: Component -> stamp that the plan gave.
        target_rooms: Clean rooms of the target distribution.
        builder_rooms: Rooms that have lintian.
        previous: Packages published before: the upgrade starts from them, and those of components that this run
            leaves out satisfy dependencies.
        unselected: Package -> component, of components that this run leaves out.
        changes: .changes files of the builds, for lintian.
        tool: Name and version of the tool.
        clock: The time now, UTC.

    Raises:
        VerifyError: A check could not do its work. A check that says no is in the verdict.
    """
    opinions = [judge_package(b, architecture=recipe.target.architecture, stamps=stamps) for b in packages]
    findings = [said for opinion in opinions for said in opinion.findings]
    judged = [opinion.judged for opinion in opinions if opinion.judged]
    reasons: Mapping[str, str] = {}
    if obstacle := _obstacle(packages, judged):
        findings.append(finding("set", "*", [obstacle]))
        findings += [Finding(check=c, subject="*", outcome="skipped", detail=obstacle) for c in NEED_WHOLE]
    else:
        findings += _conflicts(judged)
        findings += _lintian(judged, recipe, builder_rooms, changes)
        earlier = _earlier(judged, previous)
        life, reasons = try_on_hosts(judged, recipe, target_rooms, earlier, unselected or {})
        findings += life
    return Verdict(
        id=identity,
        tool=tool,
        created=clock(),
        release=recipe.release,
        target=recipe.target.tag,
        passed=not any(said.outcome == "failed" for said in findings),
        packages=tuple(
            opinion.record.model_copy(update={"not_published": reasons.get(opinion.record.name, "")})
            for opinion in opinions
        ),
        findings=tuple(findings),
    )


def _obstacle(packages: Sequence[Built], judged: Sequence[Judged]) -> str:
    """Why the set cannot be judged as a whole; empty if it can."""
    if not packages:
        return "there are no packages"
    whole = {item.built.path for item in judged}
    if broken := [built.path.name for built in packages if built.path not in whole]:
        return f"{', '.join(broken)} failed integrity"
    names = [item.deb.name for item in judged]
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"the set holds {', '.join(twice)} more than once" if twice else ""


def _earlier(judged: Sequence[Judged], previous: Sequence[Indexed]) -> list[Deb]:
    """Packages published before that the checks take, brought here."""
    chosen = Earlier.of([item.deb for item in judged], previous)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(Indexed.deb, [*chosen.replaced, *chosen.stand_ins]))


def _conflicts(judged: Sequence[Judged]) -> list[Finding]:
    clashes = check_conflicts({item.deb.name: (item.deb, item.contents) for item in judged})
    if not clashes:
        return [finding("conflicts", "*", [])]
    return [
        finding("conflicts", one, [f"{other} owns these files too:", *paths[:SHOWN]])
        for (one, other), paths in clashes.items()
    ]


def _lintian(
    judged: Sequence[Judged], recipe: Recipe, rooms: RoomMaker, changes: Sequence[Path]
) -> list[Finding]:
    log.info("lintian over %d packages", len(judged))
    with rooms.open(purpose="lintian") as room:
        return check_lintian(room, [item.deb for item in judged], recipe.lintian, changes)

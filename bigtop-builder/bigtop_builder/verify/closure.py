# SPDX-License-Identifier: Apache-2.0
"""Closure: can a host of each role install its packages from this set and the target distribution alone?

apt itself answers, in a clean room (Debian policy 7.2 is what it implements). What no role installs stays out
of the repository, with a reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bigtop_builder.artifact import Deb
from bigtop_builder.room import Room
from bigtop_builder.verify.simulate import Simulated, simulate
from bigtop_builder.verify.verdict import Finding, Outcome

CHECK = "closure"


@dataclass(frozen=True, kw_only=True)
class Closure:
    """What a host installs at once.

    Attributes:
        name: Role, or package where the recipe has no roles.
        roots: Packages that are asked for.
        own: Packages of the set that come with them.
        others: Packages of the target distribution that come with them: name -> version.
    """

    name: str
    roots: tuple[str, ...]
    own: frozenset[str]
    others: Mapping[str, str]


@dataclass(kw_only=True)
class Judgement:
    """What came out.

    Attributes:
        findings: One a role, or a package where the recipe has no roles.
        closures: What can be installed.
        not_published: Package -> why it stays out.
    """

    findings: list[Finding] = field(default_factory=list)
    closures: list[Closure] = field(default_factory=list)
    not_published: dict[str, str] = field(default_factory=dict)


def judge_closure(
    room: Room,
    debs: Sequence[Deb],
    *,
    roles: Mapping[str, Sequence[str]],
    unselected: Mapping[str, str],
    published: Sequence[Deb] = (),
) -> Judgement:
    """Judge the closure of each role, or of each package if there are no roles.

    Args:
        room: A room that the set was laid into.
        debs: The set.
        roles: Role -> packages that its hosts install.
        unselected: Package -> component, of components that this run leaves out.
        published: What the room has of them from earlier runs.
    """
    stand_ins = {deb.name: deb.version for deb in published}
    judge = _Judge(room, {deb.name: deb.version for deb in debs}, stand_ins, unselected)
    if roles:
        judge.roles(roles)
    else:
        judge.packages()
    return judge.result


class _Judge:
    def __init__(
        self,
        room: Room,
        versions: Mapping[str, str],
        stand_ins: Mapping[str, str],
        unselected: Mapping[str, str],
    ) -> None:
        self.result = Judgement()
        self._room = room
        self._versions = versions
        self._wanted = {**dict.fromkeys(unselected, ""), **stand_ins, **versions}
        self._unselected = unselected

    def roles(self, roles: Mapping[str, Sequence[str]]) -> None:
        failing: list[str] = []
        for (role, names), outcome in zip(
            roles.items(), simulate(self._room, list(roles.values())), strict=True
        ):
            if not self._settle(role, names, outcome):
                failing += [name for name in names if name in self._versions]
        self._one_by_one(list(dict.fromkeys(failing)))
        covered = {name for closure in self.result.closures for name in closure.own}
        left = [name for name in self._versions if name not in covered | set(self.result.not_published)]
        for name, outcome in zip(left, simulate(self._room, [[name] for name in left]), strict=True):
            reason = "in no role: add it to [roles] in the recipe"
            if not outcome.works:
                reason = f"in no role, and it cannot be installed: {'; '.join(outcome.reasons)}"
            self.result.not_published[name] = reason
        for name in covered & set(self.result.not_published):
            del self.result.not_published[name]

    def packages(self) -> None:
        self._one_by_one(list(self._versions))
        installable = {name for closure in self.result.closures for name in closure.own}
        for name in sorted(self._versions):
            reason = "" if name in installable else self.result.not_published[name]
            self._say(name, "skipped" if reason else "passed", reason and f"not published: {reason}")
        if not installable:
            self._say("*", "failed", "no package of the set can be installed")

    def _one_by_one(self, names: Sequence[str]) -> None:
        """Take what can be installed by itself; note why the rest cannot."""
        for name, outcome in zip(names, simulate(self._room, [[name] for name in names]), strict=True):
            problems = self._problems(outcome)
            if problems:
                self.result.not_published[name] = "; ".join(problems)
            else:
                self._keep(name, (name,), outcome)

    def _settle(self, role: str, names: Sequence[str], outcome: Simulated) -> bool:
        problems = self._problems(outcome)
        if not problems:
            self._keep(role, tuple(names), outcome)
            own = len(self.result.closures[-1].own)
            self._say(
                role, "passed", f"{own} packages of the set, {len(outcome.installs) - own} of the target"
            )
        elif (missing := outcome.missing | self._strangers(outcome)) and missing <= set(self._unselected):
            parts = ", ".join(sorted({self._unselected[name] for name in missing}))
            wanted = ", ".join(sorted(missing))
            self._say(role, "skipped", f"needs {wanted} of {parts}, which this run leaves out")
        else:
            self._say(role, "failed", "\n".join(problems))
        return not problems

    def _problems(self, outcome: Simulated) -> list[str]:
        """Why apt refuses, or which package it would take from elsewhere."""
        return list(outcome.reasons) or [
            f"apt takes {name} {outcome.installs[name]} of the target distribution, not Bigtop's"
            for name in sorted(self._strangers(outcome))
        ]

    def _strangers(self, outcome: Simulated) -> set[str]:
        """Packages that bear a name of ours and are not ours: Debian has a zookeeper too."""
        return {
            name for name, version in outcome.installs.items() if self._wanted.get(name, version) != version
        }

    def _keep(self, name: str, roots: tuple[str, ...], outcome: Simulated) -> None:
        own = frozenset(name for name in outcome.installs if name in self._versions)
        others = {name: version for name, version in outcome.installs.items() if name not in own}
        self.result.closures.append(Closure(name=name, roots=roots, own=own, others=others))

    def _say(self, subject: str, outcome: Outcome, detail: str) -> None:
        self.result.findings.append(Finding(check=CHECK, subject=subject, outcome=outcome, detail=detail))

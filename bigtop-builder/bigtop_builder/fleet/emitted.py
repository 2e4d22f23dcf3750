# SPDX-License-Identifier: Apache-2.0
"""What hosts are given: source, pins, keyring package and guard, as files, as an Ansible role and a Puppet module.

All of it comes from the same data and holds the same texts, so whichever way a host is reached it is brought to the
same state. Hosts' own files are named by the repository's origin, so two repositories do not meet.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.errors import InputError
from bigtop_builder.fleet.offer import Offer
from bigtop_builder.fleet.trust import Trust
from bigtop_builder.templates import render

PRIORITY = 1001
"""Above 1000 apt goes down too (apt_preferences(5)): the way back works, and a newer one of Debian never wins."""
KEEPING = 995
"""Of the other snapshot's versions: above all other sources, so that what is installed stays until it is switched."""
POLICY = "/usr/sbin/policy-rc.d"
MARK = "bigtop-builder guard"
"""By this line in it a policy-rc.d is known as the guard, for scripts and checks alike."""
URL = re.compile(r"(?:https?|file|mirror\+https?)://?[A-Za-z0-9._~:/?&=%@,+\[\]-]+")
"""Addresses that can stand in a .sources file, a shell script, YAML and Puppet's language as they are."""


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        content: What is in it.
        program: Whether it is to be run.
    """

    content: bytes = field(repr=False)
    program: bool = False


Files = Mapping[str, File]
"""Path below the output folder -> file."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything that takes hosts to one snapshot, and back to another.

    Attributes:
        upgrade: The snapshot.
        rollback: The one before; None if there is none.
        trust: The keyring package.
        url: Address of the repository, as hosts reach it.
    """

    upgrade: Offer
    rollback: Offer | None
    trust: Trust
    url: str

    def __post_init__(self) -> None:
        """See that the address can be written.

        Raises:
            InputError: It cannot.
        """
        if not URL.fullmatch(self.url):
            raise InputError(
                f"{self.url!r} is no address that hosts reach a repository by",
                hint="mend `url` in repo/repository.toml, or name another with --url",
            )

    @property
    def slug(self) -> str:
        """The origin as part of file names, as the keyring package has it."""
        return self.trust.name.removesuffix("-archive-keyring")

    @property
    def module(self) -> str:
        """Name of the role and of the module."""
        return f"apt_{self.slug.replace('-', '_')}"

    @property
    def sources_path(self) -> str:
        """The source on hosts: it takes the place of the keyring package's own, a conffile, so there is but one."""
        return f"/etc/apt/sources.list.d/{self.slug}.sources"

    @property
    def pins_path(self) -> str:
        """The pins on hosts."""
        return f"/etc/apt/preferences.d/{self.slug}.pref"

    def source_text(self, offer: Offer) -> str:
        """The deb822 entry of a snapshot (sources.list(5))."""
        return self._render("source.sources", offer, components=offer.components)

    def files(self) -> Files:
        """All files, by path below the output folder."""
        plain = self._plain()
        there = {
            **{name: file for name, file in plain.items() if file.program},
            self.trust.file: File(self.trust.content),
        }
        role, module = f"ansible/roles/{self.module}", f"puppet/{self.module}"
        return {
            "sources.json": _text(json.dumps(self.summary(), indent=2) + "\n"),
            **plain,
            self.trust.file: File(self.trust.content),
            **{f"{role}/files/{name}": file for name, file in there.items()},
            **{f"{role}/{name}": _text(text) for name, text in self._ansible().items()},
            **{f"{module}/files/{name}": file for name, file in there.items()},
            **{f"{module}/{name}": _text(text) for name, text in self._puppet().items()},
        }

    def summary(self) -> dict[str, Any]:
        """What was made of what, for programs."""
        return {
            "format": 1,
            "origin": self.upgrade.origin,
            "url": self.url,
            "snapshot": self.upgrade.snapshot,
            "rollback_to": self.rollback.snapshot if self.rollback else "",
            "keyring_package": {
                "file": self.trust.file,
                "pool": self.trust.path,
                "version": self.trust.version,
            },
            "keyring": self.trust.keyring,
            "sources": self.sources_path,
            "preferences": self.pins_path,
            "role": self.module,
        }

    def _plain(self) -> dict[str, File]:
        """For hosts that a shell reaches."""
        found = {
            f"guard-{way}": _program(render(f"fleet/guard-{way}.sh.j2", mark=MARK)) for way in ("on", "off")
        }
        for way, offer in self._ways():
            source, pins = self.source_text(offer), pins_text(offer, self._other(offer))
            script = self._render("use-snapshot.sh", offer, sources=source, pins=pins)
            found |= {
                f"{way}.sources": _text(source),
                f"{way}.pref": _text(pins),
                f"use-{way}": _program(script),
            }
        return found

    def _ansible(self) -> dict[str, str]:
        names = {
            "tasks/main.yml": "tasks.yml",
            "defaults/main.yml": "defaults.yml",
            "meta/main.yml": "meta.yml",
            "meta/argument_specs.yml": "argument_specs.yml",
        }
        made = {path: self._render(f"ansible/{name}", self.upgrade) for path, name in names.items()}
        return made | {
            f"tasks/guard_{way}.yml": self._render("ansible/guard.yml", self.upgrade, switch=way)
            for way in ("on", "off")
        }

    def _puppet(self) -> dict[str, str]:
        names = {
            "manifests/init.pp": "init.pp",
            "manifests/guard.pp": "guard.pp",
            "metadata.json": "metadata.json",
        }
        return {path: self._render(f"puppet/{name}", self.upgrade) for path, name in names.items()}

    def _other(self, offer: Offer) -> Offer | None:
        return self.rollback if offer is self.upgrade else self.upgrade

    def _ways(self) -> list[tuple[str, Offer]]:
        return [("upgrade", self.upgrade), *([("rollback", self.rollback)] if self.rollback else [])]

    def _render(self, name: str, offer: Offer, **more: Any) -> str:
        return render(
            f"fleet/{name}.j2",
            **{
                "suite": offer.suite,
                "origin": offer.origin,
                "back": self.rollback.suite if self.rollback else "",
                "url": self.url,
                "module": self.module,
                "slug": self.slug,
                "keyring": self.trust.keyring,
                "keyring_file": self.trust.file,
                "keyring_package": self.trust.name,
                "keyring_version": self.trust.version,
                "sources_path": self.sources_path,
                "pins_path": self.pins_path,
                "policy": POLICY,
                "mark": MARK,
                **more,
            },
        )


def pins_text(offer: Offer, other: Offer | None = None) -> str:
    """The pins of a snapshot: each package at exactly its version, above all that any other source has.

    Args:
        offer: The snapshot.
        other: The one that hosts come from, or go back to: what they have of it stays, and Debian's never comes in
            its place, until the snapshot's own is there, or where it has none.
    """
    pins = dict.fromkeys(offer.pins(), (offer.suite, PRIORITY))
    for pin in other.pins() if other else ():
        pins.setdefault(pin, (other.suite if other else "", KEEPING))
    return render(
        "fleet/pins.pref.j2",
        origin=offer.origin,
        pins=[
            (*pin, *how) for pin, how in sorted(pins.items(), key=lambda one: (one[0][0], -one[1][1], one[0]))
        ],
    )


def _text(text: str) -> File:
    return File(text.encode())


def _program(text: str) -> File:
    return File(text.encode(), program=True)

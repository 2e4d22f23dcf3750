# SPDX-License-Identifier: Apache-2.0
"""Control fields of a built package: there, well formed, and saying what its file name says (policy 5)."""

import re

from bigtop_builder.artifact import Deb

REQUIRED = ("Package", "Version", "Architecture", "Maintainer", "Description")
MAINTAINER = re.compile(r"[^<>]*\S ?<[^<>@\s]+@[^<>@\s]+>")
YES_NO = ("Essential", "Protected")


def check_control(deb: Deb, *, architecture: str) -> list[str]:
    """Problems of the control fields, none if they are fine.

    Name, version and architecture themselves are well formed: `read_deb` refuses others.

    Args:
        deb: The package.
        architecture: Debian architecture of the target.
    """
    fields = deb.control
    problems = [f"{field} is missing (Debian policy 5.3)" for field in REQUIRED if not fields.get(field)]
    if (maintainer := fields.get("Maintainer")) and not MAINTAINER.fullmatch(maintainer):
        problems.append(f"Maintainer {maintainer!r} is no `Name <address>` (Debian policy 5.6.2)")
    if not (size := fields.get("Installed-Size", "0")).isdecimal():
        problems.append(f"Installed-Size {size!r} is no number (Debian policy 5.6.20)")
    problems += [f"{field} is set: only the distribution does that" for field in YES_NO if field in fields]
    if deb.architecture not in {"all", architecture}:
        problems.append(f"Architecture is {deb.architecture}: the target's is {architecture}")
    expected = file_name(deb)
    if deb.path.name != expected:
        problems.append(f"the file is named {deb.path.name}, its control file says {expected}")
    return problems


def file_name(deb: Deb) -> str:
    """The name dpkg-deb gives a package: its version goes without the epoch (dpkg-name(1))."""
    version = deb.version.partition(":")[2] or deb.version
    return f"{deb.name}_{version}_{deb.architecture}.deb"

# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of jars that outlive their packaging, for this program and for builder rooms.

dh_strip_nondeterminism(1) rewrites every jar that goes into a package: times, order, manifests, dates in properties
and in javadoc. So hardly one has the bytes that Maven fetched; the names and checksums of all else are the same.

A room runs this file with its own python3, whatever version that is: it takes nothing but the standard library.
"""

import hashlib
import os
import struct
import sys
import zipfile

ENDINGS = (".jar", ".war", ".ear", ".zip", ".tar.gz")
REWRITTEN = (".properties", ".html", "-list", "META-INF/MANIFEST.MF")
"""Ends of names whose content strip-nondeterminism may change; `-list` are javadoc's lists of packages."""
BROKEN = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    IndexError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises for archives that are damaged, encrypted or none: an hour's build must not end with it."""


def fingerprint(archive: zipfile.ZipFile) -> str:
    """Hash of the names, checksums and sizes of what packaging leaves alone; empty if there is nothing of that."""
    lines = sorted(
        f"{one.filename}\0{one.CRC:08x}\0{one.file_size}\n"
        for one in archive.infolist()
        if not one.filename.endswith(("/", *REWRITTEN))
    )
    text = "".join(lines).encode(errors="surrogateescape")
    return hashlib.sha256(text).hexdigest() if lines else ""


def main() -> None:
    """Print sha256, fingerprint or `-`, and path of each archive below the folders that are named."""
    for folder in sys.argv[1:]:
        for place, _, names in os.walk(folder):
            for name in sorted(names):
                if name.endswith(ENDINGS):
                    try:
                        line = " ".join(_line(os.path.join(place, name)))  # noqa: PTH118  # paths are text here
                    except (
                        OSError
                    ) as error:  # a link that leads nowhere, or a file that a daemon removed just now
                        sys.stderr.write(f"{error}\n")
                        continue
                    sys.stdout.buffer.write(os.fsencode(line) + b"\n")


def _line(path: str) -> tuple[str, str, str]:
    with open(path, "rb") as file:  # noqa: PTH123  # likewise
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
        try:
            with zipfile.ZipFile(file) as archive:
                found = fingerprint(archive)
        except BROKEN:
            found = ""
    return digest.hexdigest(), found or "-", path


if __name__ == "__main__":
    main()

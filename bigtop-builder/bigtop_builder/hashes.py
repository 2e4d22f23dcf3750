# SPDX-License-Identifier: Apache-2.0
"""Hashes of files, read in pieces."""

import hashlib
from pathlib import Path


def hash_of(path: Path, algorithm: str) -> str:
    """Hash of a file in hex.

    Args:
        path: The file.
        algorithm: As hashlib knows it: `sha256`. `sha1` and `md5` are for what others name so, not for trust.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def sha256_of(path: Path) -> str:
    """Sha256 of a file in hex."""
    return hash_of(path, "sha256")

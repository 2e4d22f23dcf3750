# SPDX-License-Identifier: Apache-2.0
"""Bringing an object of a bucket to this machine, and keeping it there by its hash."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigtop_builder.errors import PublishError
from bigtop_builder.repository.layout import COPY
from bigtop_builder.repository.store.bucket import CHUNK, Bucket


def fetch(bucket: Bucket, path: str, sha256: str, folder: Path) -> Path:
    """Copy an object to `folder/<sha256>/<its name>`, unless it is there.

    Raises:
        PublishError: It is missing or was altered.
    """
    target = folder / sha256 / path.rpartition("/")[2]
    if target.exists():
        with target.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return target
    with bucket.complaints(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent)
        os.close(descriptor)
    try:
        found = bucket.take(path, lambda answer: _save(answer, Path(temporary)))
        if found != sha256:
            raise PublishError(
                f"{bucket.name}/{path} {'was altered' if found else 'is missing'}",
                hint=COPY,
            )
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def _save(answer: Mapping[str, Any], target: Path) -> str:
    whole = hashlib.sha256()
    with target.open("wb") as file:
        for chunk in answer["Body"].iter_chunks(CHUNK):
            whole.update(chunk)
            file.write(chunk)
    return whole.hexdigest()

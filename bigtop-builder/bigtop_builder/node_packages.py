# SPDX-License-Identifier: Apache-2.0
"""What npm and yarn downloaded, told by their own hashes from what a build made.

npm (cacache): `content-v2/<algorithm>/<hash>` holds bytes; each line of a file below `index-v5` is the sha1 of a
JSON text, a tab and that text, which ties a URL to a hash. yarn 1: a folder a package, with the tarball, where it
came from, and the tarball's files unpacked.
"""

import hashlib
import json
import tarfile
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bigtop_builder.hashes import hash_of

NPM = "home/.npm/_cacache"
YARN = "home/.cache/yarn"
FETCHED = "make-fetch-happen:request-cache:http"
"""Begins the keys of what came over HTTP; npm's other keys are made from that anew."""
METADATA = ".yarn-metadata.json"
TARBALL = ".yarn-tarball.tgz"
HASHES = ("sha512", "sha384", "sha256", "sha1")


def downloaded_by_npm(cache: Path) -> list[Path]:
    """Files of npm's cache that came over HTTP and are what their entry says; the index then holds these alone."""
    chosen: list[Path] = []
    for index in sorted(path for path in cache.glob("index-v5/*/*/*") if path.is_file()):
        lines = {}
        for line in index.read_text(errors="replace").splitlines():
            if (content := _content_of(line, cache)) and content.is_file() and _is_its_name(content):
                lines[line] = content
        if lines:
            index.write_text("".join(f"\n{line}" for line in lines))
            chosen += [index, *lines.values()]
    return list(dict.fromkeys(chosen))


def downloaded_by_yarn(cache: Path) -> list[Path]:
    """Files of packages in yarn's cache that came over HTTP, as far as they are those of their verified tarball."""
    chosen: list[Path] = []
    for metadata in sorted(cache.rglob(METADATA)):
        members = _members(metadata)
        files = [path for path in metadata.parent.rglob("*") if path.is_file()]
        others = [path for path in files if path.name not in {METADATA, TARBALL}]
        names = {str(path.relative_to(metadata.parent)): path for path in others}
        if (
            members
            and names.keys() == members.keys()
            and all(hash_of(names[n], "sha1") == sha1 for n, sha1 in members.items())
        ):
            chosen += sorted(files)
    return chosen


def _content_of(line: str, cache: Path) -> Path | None:
    """Where the bytes of an index line lie; None if it is damaged, or is not about a download."""
    said, _, text = line.partition("\t")
    if hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() != said:
        return None
    entry = _json(text)
    algorithm, _, value = str(entry.get("integrity", "")).split(" ")[0].partition("-")
    if not str(entry.get("key", "")).startswith(FETCHED) or algorithm not in HASHES:
        return None
    digits = _hex(value)
    return cache / "content-v2" / algorithm / digits[:2] / digits[2:4] / digits[4:]


def _is_its_name(content: Path) -> bool:
    """Whether bytes have the hash that their path says."""
    *_, algorithm, first, second, rest = content.parts
    return hash_of(content, algorithm) == f"{first}{second}{rest}"


def _members(metadata: Path) -> Mapping[str, str]:
    """Name -> sha1 of the files in a package's tarball; empty if that is not what its metadata says."""
    remote = _json(metadata.read_text(errors="replace")).get("remote")
    tarball = metadata.with_name(TARBALL)
    if (
        not isinstance(remote, dict)
        or not str(remote.get("reference", "")).startswith("http")
        or not tarball.is_file()
    ):
        return {}
    algorithm, _, value = str(remote.get("integrity", "")).split(" ")[0].partition("-")
    wanted = _hex(value) if algorithm in HASHES else str(remote.get("hash", ""))
    if hash_of(tarball, algorithm if algorithm in HASHES else "sha1") != wanted:
        return {}
    found = {}
    try:
        with tarfile.open(tarball) as tar:
            for member in tar:
                if member.isreg() and (content := tar.extractfile(member)):
                    name = str(PurePosixPath(*PurePosixPath(member.name).parts[1:]))
                    found[name] = hashlib.sha1(content.read(), usedforsecurity=False).hexdigest()
    except (tarfile.TarError, EOFError, OSError):
        return {}
    return found


def _json(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _hex(value: str) -> str:
    try:
        return b64decode(value, validate=True).hex()
    except ValueError:
        return ""

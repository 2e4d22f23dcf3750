# SPDX-License-Identifier: Apache-2.0
"""Of npm's and yarn's caches that is taken over which came over HTTP and is what its own hashes say."""

import hashlib
import io
import json
import tarfile
from base64 import b64encode
from pathlib import Path

import pytest

from bigtop_builder.node_packages import METADATA, TARBALL, downloaded_by_npm, downloaded_by_yarn

KEY = "make-fetch-happen:request-cache:https://registry.npmjs.org/left-pad"


def integrity(content: bytes) -> str:
    return f"sha512-{b64encode(hashlib.sha512(content).digest()).decode()}"


def line(key: str, content: bytes) -> str:
    text = json.dumps({"key": key, "integrity": integrity(content), "size": len(content)})
    return f"{hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}\t{text}"


def npm(cache: Path, *lines: str, content: bytes = b"packument") -> Path:
    index = cache / "index-v5/aa/bb/cc"
    index.parent.mkdir(parents=True)
    index.write_text("".join(f"\n{one}" for one in lines))
    digits = hashlib.sha512(content).hexdigest()
    place = cache / "content-v2/sha512" / digits[:2] / digits[2:4] / digits[4:]
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    return place


def test_what_npm_fetched_is_taken_with_its_entry(tmp_path: Path) -> None:
    content = npm(tmp_path, line(KEY, b"packument"))
    assert downloaded_by_npm(tmp_path) == [tmp_path / "index-v5/aa/bb/cc", content]


def test_what_npm_made_or_holds_no_longer_is_left_out_of_the_entry(tmp_path: Path) -> None:
    npm(
        tmp_path,
        line("pacote:git-manifest:left-pad", b"packument"),
        line(KEY, b"gone"),
        line(KEY, b"packument"),
    )
    index, _ = downloaded_by_npm(tmp_path)
    assert index.read_text() == f"\n{line(KEY, b'packument')}"


@pytest.mark.parametrize("damage", ["entry", "content", "key", "no json"])
def test_of_npm_what_is_damaged_or_did_not_come_over_http_is_not_taken(tmp_path: Path, damage: str) -> None:
    entry = line(KEY, b"packument")
    match damage:
        case "entry":
            entry = entry.replace("left-pad", "right-pad")
        case "key":
            entry = line("pacote:tarball:file:left-pad", b"packument")
        case "no json":
            entry = f"{hashlib.sha1(b'[', usedforsecurity=False).hexdigest()}\t["
    content = npm(tmp_path, entry)
    if damage == "content":
        content.write_bytes(b"Packument")
    assert downloaded_by_npm(tmp_path) == []


def yarn(cache: Path, *, reference: str = "https://registry.example/a.tgz", old: bool = False) -> Path:
    folder = cache / "v6/npm-a-1.0.0-integrity/node_modules/a"
    (folder / "lib").mkdir(parents=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in {"package.json": b"{}", "lib/a.js": b"a\n"}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
            (folder / name).write_bytes(text)
    (folder / TARBALL).write_bytes(packed.getvalue())
    sha1 = hashlib.sha1(packed.getvalue(), usedforsecurity=False).hexdigest()
    said = {"hash": sha1} if old else {"hash": "", "integrity": integrity(packed.getvalue())}
    (folder / METADATA).write_text(json.dumps({"manifest": {}, "remote": {"reference": reference, **said}}))
    return folder


@pytest.mark.parametrize("old", [True, False])
def test_what_yarn_fetched_is_taken_whole(tmp_path: Path, old: bool) -> None:
    folder = yarn(tmp_path, old=old)
    taken = [str(path.relative_to(folder)) for path in downloaded_by_yarn(tmp_path)]
    assert taken == [METADATA, TARBALL, "lib/a.js", "package.json"]


@pytest.mark.parametrize("damage", ["file", "more", "less", "tarball", "metadata", "remote", "cut off"])
def test_of_yarn_what_differs_from_its_tarball_is_not_taken(tmp_path: Path, damage: str) -> None:
    folder = yarn(tmp_path)
    match damage:
        case "file":
            (folder / "lib/a.js").write_text("b\n")
        case "more":
            (folder / "lib/b.js").write_text("b\n")
        case "less":
            (folder / "lib/a.js").unlink()
        case "tarball":
            (folder / TARBALL).write_bytes(b"another")
        case "metadata":
            (folder / METADATA).write_text("[]")
        case "remote":
            (folder / METADATA).write_text('{"remote": "text"}')
        case "cut off":
            (folder / TARBALL).unlink()
    assert downloaded_by_yarn(tmp_path) == []


@pytest.mark.parametrize("reference", ["file:../a", "../a", "git+ssh://git@host/a.git"])
def test_what_yarn_took_from_a_folder_is_not_taken(tmp_path: Path, reference: str) -> None:
    yarn(tmp_path, reference=reference)
    assert downloaded_by_yarn(tmp_path) == []


def test_without_these_caches_there_is_nothing(tmp_path: Path) -> None:
    assert downloaded_by_npm(tmp_path / "none") == []
    assert downloaded_by_yarn(tmp_path / "none") == []

# SPDX-License-Identifier: Apache-2.0
"""GitHub's official description of its REST API: fetched once, held to its hash, made into JSON Schema."""

import base64
import hashlib
import json
import os
import re
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bigtop_builder.download import download
from bigtop_builder.errors import BuilderError
from bigtop_builder.settings import Settings

PACKAGE = "@octokit/openapi"
VERSION = "23.0.2"
INTEGRITY = "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
"""sha512 of the package in base64, as the registry has it; MIT licence."""
CLOUD, ENTERPRISE = "api.github.com", "ghes-3.19"
"""Editions: the files of the package that are used."""
REQUIRED = "BIGTOP_TEST_GITHUB"
"""Where this variable is `required`, as `.ci/run` has it, tests fail without the description; elsewhere they skip."""

BASE = "urn:github"
"""What references are relative to."""

Node = dict[str, Any]

PATHS = re.compile(
    r"/(user|rate_limit|repos/{owner}/{repo}(/(forks|pulls|issues|commits|branches|git)\b.*)?)"
)
"""Templates of the paths that are kept of the description."""
REFERENCE = re.compile(r'"urn:github#/(components/\w+|open)/([^"/]+)"')
PROSE = {"description", "example", "examples", "externalDocs", "summary", "tags", "title", "deprecated"}
COMPOSED = ("allOf", "anyOf", "oneOf")
MAPS = ("properties", "schemas", "responses", "parameters", "headers", "paths")
"""Keys whose values are maps by name, where any word is a name."""
WRONG = {
    # https://github.com/github/rest-api-description/issues/1811: of a deleted fork, `head.repo` is null.
    "/components/schemas/pull-request/properties/head/properties/repo",
    "/components/schemas/pull-request-simple/properties/head/properties/repo",
}
"""Where GitHub's answers are null, and its description denies it."""


@cache
def described(edition: str, version: str) -> Node:
    """`paths` and `components` of an edition at an API version, in JSON Schema.

    Args:
        edition: CLOUD or ENTERPRISE.
        version: A date of `X-GitHub-Api-Version`.
    """
    raw = _fetched(edition)
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    kept = raw.with_name(f"{edition}-{version}-{code}.json")
    if not kept.exists():
        document = json.loads(raw.read_bytes())
        for pointer in WRONG:
            _replace(document, pointer, lambda schema: {"nullable": True, "anyOf": [schema]})
        made = _used(document, version)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(made))
        part.rename(kept)
    found: Node = json.loads(kept.read_bytes())
    return found


def _used(document: Node, version: str) -> Node:
    """The operations of PATHS and what they refer to, reduced; `open` has the schemas that are parts of others."""
    made: Node = {"paths": {}, "components": {}, "open": {}}
    said = {path: what for path, what in document["paths"].items() if PATHS.fullmatch(path)}
    made["paths"] = reduced(said, version, named=True)
    wanted = set(REFERENCE.findall(json.dumps(made["paths"]))) | {("components/schemas", "basic-error")}
    while wanted:
        place, name = wanted.pop()
        kind = place.removeprefix("components/") if place != "open" else "schemas"
        into = made["open"] if place == "open" else made["components"].setdefault(kind, {})
        if name not in into:
            into[name] = reduced(document["components"][kind][name], version, closed=place != "open")
            wanted |= set(REFERENCE.findall(json.dumps(into[name])))
    return made


def reduced(node: Any, version: str, *, named: bool = False, closed: bool = True) -> Any:
    """A part of an OpenAPI 3.0 description as JSON Schema, without its prose, at an API version.

    An object that lists its properties has no others: the description leaves that open, and so would let pass a
    field whose name is misspelt. Parts of an `allOf` stay open, as each sees the fields of the others.
    """
    if isinstance(node, list):
        return [reduced(member, version) for member in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {name: reduced(member, version) for name, member in node.items()}
    for change in node.get("x-github-breaking-changes", ()):
        if change["version"] <= version:
            node = patched(node, change["patch"])
    kept = {
        key: reduced(value, version, named=key in MAPS)
        for key, value in node.items()
        if key not in PROSE and not key.startswith("x-github")
    }
    if "$ref" in kept:
        kept["$ref"] = BASE + kept["$ref"]
    if "allOf" in kept:
        kept["allOf"] = [_opened(reduced(part, version, closed=False)) for part in node["allOf"]]
    if closed and "properties" in kept and not any(word in kept for word in COMPOSED):
        kept.setdefault("additionalProperties", False)
    return _with_null(kept) if kept.pop("nullable", False) else kept


def _opened(part: Node) -> Node:
    return {"$ref": part["$ref"].replace("/components/schemas/", "/open/")} if "$ref" in part else part


def _with_null(schema: Node) -> Node:
    """OpenAPI 3.0.3, Schema Object: `nullable` adds null to the types; JSON Schema lists types."""
    if any(word in schema for word in (*COMPOSED, "$ref")) or "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **more}


def patched(node: Node, patch: Any) -> Node:
    """A part as an API version changes it: by JSON Patch (RFC 6902) or JSON Merge Patch (RFC 7386)."""
    if isinstance(patch, dict):
        merged = {name: value for name, value in node.items() if name not in patch}
        for name, value in patch.items():
            if value is not None:
                old = node.get(name)
                merged[name] = (
                    patched(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
                )
        return merged
    copy: Node = json.loads(json.dumps(node))
    for step in patch:
        _replace(copy, step["path"], lambda _, step=step: step.get("value"), gone=step["op"] == "remove")
    return copy


def _replace(document: Node, pointer: str, change: Any, *, gone: bool = False) -> None:
    """Change, add or remove what a JSON pointer (RFC 6901) names."""
    *way, last = [word.replace("~1", "/").replace("~0", "~") for word in pointer.split("/")[1:]]
    place: Any = document
    for word in way:
        place = place[int(word) if isinstance(place, list) else word]
    key: Any = int(last) if isinstance(place, list) else last
    if gone:
        del place[key]
    else:
        place[key] = change(place.get(key) if isinstance(place, dict) else place[key])


def _fetched(edition: str) -> Path:
    """The package's file for an edition, in the tests' cache."""
    folder, why = package()
    if why and os.environ.get(REQUIRED) == "required":
        pytest.fail(why)
    if why:
        pytest.skip(why)
    return folder / f"{edition}.json"


@cache
def package() -> tuple[Path, str]:
    """The folder with the package's files, and why they are not there."""
    sha512 = base64.b64decode(INTEGRITY).hex()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bigtop-builder/tools"
    folder = cache / f"octokit-openapi-{VERSION}-{sha512[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not all((folder / f"{edition}.json").exists() for edition in (CLOUD, ENTERPRISE)):
            part = folder / "package.tgz"
            try:
                url = f"{registry()}/{PACKAGE}/-/{PACKAGE.split('/')[1]}-{VERSION}.tgz"
                download(url, part, settings=Settings(), sha512=sha512)
            except BuilderError as error:
                return (
                    folder,
                    f"{PACKAGE} {VERSION}, GitHub's API description, is out of reach: {error.brief}",
                )
            _unpack(part, folder)
            part.unlink()
    return folder, ""


def _unpack(package: Path, folder: Path) -> None:
    with tarfile.open(package) as tar:
        for member in tar:
            name = Path(member.name).name
            if name.removesuffix(".json") in {CLOUD, ENTERPRISE}:
                opened = tar.extractfile(member)
                assert opened is not None
                with opened:
                    (folder / f"{name}.part").write_bytes(opened.read())
                (folder / f"{name}.part").rename(folder / name)


def registry() -> str:
    """The registry that npm's own configuration names, or npm's default."""
    file = Path.home() / ".npmrc"
    set_there = re.findall(r"(?m)^registry\s*=\s*(\S+)", file.read_text()) if file.exists() else []
    default = "https://registry.npmjs.org"
    found: str = os.environ.get("npm_config_registry") or (set_there or [default])[-1]  # noqa: SIM112  # npm's name
    return found.rstrip("/")

# SPDX-License-Identifier: Apache-2.0
"""GitHub's description is fetched as npm would fetch it, held to its hash, and made into JSON Schema."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from website import Website, serving

from github import openapi
from github.description import Description, Unfit
from github.openapi import patched, reduced

TARBALL = f"/@octokit/openapi/-/openapi-{openapi.VERSION}.tgz"
DOCUMENT = {
    "paths": {
        "/user": {
            "get": {
                "description": "Who asks",
                "responses": {
                    "200": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/user"}}}
                    }
                },
            }
        },
        "/gists": {"get": {}},
    },
    "components": {
        "parameters": {},
        "responses": {},
        "schemas": {
            "user": {
                "type": "object",
                "properties": {
                    "login": {"type": "string"},
                    "description": {"type": "string", "nullable": True},
                },
                "required": ["login", "description"],
            },
            "basic-error": {"type": "object", "properties": {"message": {"type": "string"}}},
            "pull-request": {"properties": {"head": {"properties": {"repo": {}}}}},
            "pull-request-simple": {"properties": {"head": {"properties": {"repo": {}}}}},
            "gist": {},
        },
    },
}


def package() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for edition in ("ghec", openapi.CLOUD, openapi.ENTERPRISE):
            text = json.dumps(DOCUMENT).encode()
            member = tarfile.TarInfo(f"package/generated/{edition}.json")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return made.getvalue()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    """A registry with a small package; the tests' cache is empty, and nothing of another test is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("bigtop_builder.download.BACKOFF", 0)
    monkeypatch.setattr(openapi, "package", openapi.package.__wrapped__)
    with serving() as site:
        monkeypatch.setenv("npm_config_registry", f"{site.url}/")
        site.files[TARBALL] = package()
        sha512 = hashlib.sha512(site.files[TARBALL]).digest()
        monkeypatch.setattr(openapi, "INTEGRITY", base64.b64encode(sha512).decode())
        yield site


def described() -> Any:
    return openapi.described.__wrapped__(openapi.CLOUD, "2022-11-28")


def test_it_is_fetched_once_and_cut_to_what_is_used(registry: Website, tmp_path: Path) -> None:
    found = described()
    assert described() == found
    assert registry.count(TARBALL) == 1
    assert set(found["paths"]) == {"/user"}
    assert set(found["components"]["schemas"]) == {"user", "basic-error"}
    assert "Who asks" not in json.dumps(found)
    folder = next((tmp_path / "cache/bigtop-builder/tools").iterdir())
    assert folder.name.startswith(f"octokit-openapi-{openapi.VERSION}-")
    assert not list(folder.glob("*.tgz")) + list(folder.glob("ghec*"))


@pytest.mark.parametrize(
    ("fault", "why"), [("replaced", "is not what its pin says"), ("down", "out of reach")]
)
def test_what_is_not_to_be_had_skips_the_test_or_fails_it(
    registry: Website, monkeypatch: pytest.MonkeyPatch, fault: str, why: str
) -> None:
    if fault == "replaced":
        registry.files[TARBALL] += b"more"
    else:
        registry.files.clear()
    monkeypatch.delenv(openapi.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=why):
        described()
    monkeypatch.setenv(openapi.REQUIRED, "required")
    with pytest.raises(pytest.fail.Exception, match=why):
        described()


def test_the_registry_is_npms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    assert openapi.registry() == "https://registry.npmjs.org"
    (tmp_path / ".npmrc").write_text("fund=false\nregistry = https://npm.example/all/\n")
    assert openapi.registry() == "https://npm.example/all"
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://other.example")
    assert openapi.registry() == "https://other.example"


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"type": "string", "nullable": True}, None, True),
        ({"type": "string"}, None, False),
        ({"type": "string", "nullable": True, "enum": ["a"]}, None, True),
        ({"nullable": True, "oneOf": [{"type": "string"}]}, None, True),
        ({"properties": {"nullable": {"type": "string"}}}, {"nullable": "a"}, True),
        ({"properties": {"a": {"type": "string"}}}, {"b": "c"}, False),
        ({"properties": {"a": {}}, "additionalProperties": True}, {"b": "c"}, True),
        ({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"a": 1, "b": 2}, True),
        ({"type": "string", "format": "date-time"}, "2026-11-23T10:00:00Z", True),
        ({"type": "string", "format": "date-time"}, "2026-11-23T10:00:00", False),
    ],
)
def test_openapi_becomes_json_schema(schema: Any, value: Any, fits: bool) -> None:
    said = {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}
    description = Description({"paths": {"/a": {"get": reduced(said, "2022-11-28")}}})
    try:
        description.check_answer("GET", "/a", 200, value)
    except Unfit:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize(
    "patch",
    [
        {"properties": {"old": None}, "required": ["new"]},
        [{"op": "remove", "path": "/properties/old"}, {"op": "remove", "path": "/required/1"}],
    ],
)
def test_a_version_changes_what_it_changes(patch: Any) -> None:
    schema = {"properties": {"new": {}, "old": {}}, "required": ["new", "old"]}
    assert patched(schema, patch) == {"properties": {"new": {}}, "required": ["new"]}
    change = {"x-github-breaking-changes": [{"version": "2026-03-10", "patch": patch}]}
    assert "old" in reduced(schema | change, "2022-11-28")["properties"]
    assert "old" not in reduced(schema | change, "2026-03-10")["properties"]

# SPDX-License-Identifier: Apache-2.0
"""One small real source from Maven Central: pinned, fetched, repacked to the same bytes as everywhere."""

import tarfile
from pathlib import Path

import pytest

from bigtop_builder.hashes import hash_of
from bigtop_builder.pinning import Pin, pin
from bigtop_builder.recipe import Component, Source
from bigtop_builder.settings import Settings, load_settings
from bigtop_builder.sources import fetch
from bigtop_builder.workspace import Workspace

pytestmark = pytest.mark.network

JSVC = Source(kind="maven", coordinates="commons-daemon:commons-daemon:1.4.0:native-src:tar.gz")
SHA512 = (
    "8a54200d547ef7ee647e8d4910fd3cb55bf7d8fc75de8f0e01bc701ef0b386dd"
    "c3843e6c9189e34d2afd62060fb6299ea83c421cf60c7d105d04cb45904500d3"
)
REPACKED = "1c764ecfe0db5bfc407e2591b352d0d1acf825ecfcdd28cdf573005006952f3a"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings().model_copy(update={"cache_dir": tmp_path})


def test_a_real_source_is_pinned_fetched_and_repacked(settings: Settings, tmp_path: Path) -> None:
    workspace = Workspace(settings.cache_dir)
    found = pin(JSVC, workspace=workspace, settings=settings, recipe_dir=tmp_path)
    pinned = JSVC.model_copy(update={"sha512": found.sha512})

    packed = fetch(
        pinned,
        component=Component(name="bigtop-jsvc", sources=(pinned,)),
        destination="commons-daemon-1.4.0.tar.gz",
        top="commons-daemon-1.4.0",
        workspace=workspace,
        settings=settings,
        recipe_dir=tmp_path,
    )

    assert found == Pin(sha512=SHA512, checked=".sha1 beside it")
    assert hash_of(packed, "sha256") == REPACKED
    with tarfile.open(packed) as tar:
        assert tar.getmember("commons-daemon-1.4.0/unix/configure").mode == 0o755

# SPDX-License-Identifier: Apache-2.0
"""Fixtures that many tests share: the miniature Bigtop as a project, and a site of the test's own."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from bigtop_builder.miniature import lay_out
from bigtop_builder.settings import Settings
from bigtop_builder.workspace import Project
from small_queue import clone_of, small_project

pytest_plugins = ("fault_figures",)

ROOT = Path(__file__).parents[1]

# `make faults` sets BIGTOP_FAULTS=all; all else takes a sample that is the same every time, and shows it as it came.
hypothesis.settings.register_profile(
    "sample",
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.register_profile("all", max_examples=500, deadline=None, print_blob=True)
hypothesis.settings.load_profile("all" if os.environ.get("BIGTOP_FAULTS") == "all" else "sample")


@pytest.fixture(autouse=True)
def _story_as_it_was() -> Iterator[None]:
    """A command sets up logging for its process, to the stderr that a test lends it: no other test inherits it."""
    story = logging.getLogger("bigtop_builder")
    before = story.handlers[:], story.level, story.propagate
    yield
    story.handlers[:], story.level, story.propagate = before


@pytest.fixture
def origin() -> Project:
    """This checkout."""
    return Project(ROOT)


@pytest.fixture
def project(tmp_path: Path, origin: Project) -> Project:
    """The miniature Bigtop, laid out as `quickstart` does it."""
    return lay_out(origin, tmp_path / "project")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A site whose cache is empty."""
    return Settings(cache_dir=tmp_path / "cache", gradle="system")


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A small Bigtop of two releases, and no patch."""
    return small_project(tmp_path / "small")


@pytest.fixture
def clone(small: Project, tmp_path: Path) -> Path:
    """A clone of its release 1.0.0."""
    return clone_of(small, tmp_path / "clone")

# SPDX-License-Identifier: Apache-2.0
"""Smokes: what packages do together on one clean host, in order."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bigtop_builder.artifact import read_deb
from bigtop_builder.container import Engine
from bigtop_builder.engine_images import ensure_image
from bigtop_builder.image import target_image
from bigtop_builder.recipe import Recipe, Smoke
from bigtop_builder.room import Room
from bigtop_builder.settings import load_settings
from bigtop_builder.verify.shelf import furnish
from bigtop_builder.verify.smoke import try_smokes
from bigtop_builder.workspace import Workspace
from verify_debs import make_deb

pytestmark = [pytest.mark.docker, pytest.mark.network]

MINIATURE = Path(__file__).parents[2] / "recipes/miniature/recipes/1.0.0.toml"
GREETER = "#!/bin/sh\ncat /etc/greeter\n"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    settings = load_settings()
    spec = target_image(Recipe.from_toml(MINIATURE), settings)
    deb = make_deb(tmp_path_factory.mktemp("debs"), "greeter", files={"usr/bin/greeter": GREETER})
    with Engine.connect() as engine:
        built = ensure_image(engine, spec, workspace=Workspace(root=settings.cache_dir), settings=settings)
        with engine.rooms(built.name).open(purpose="test") as room:
            furnish(room, [read_deb(deb)])
            yield room


def outcomes(room: Room, *smokes: Smoke, unselected: dict[str, str] | None = None) -> list[tuple[str, str]]:
    with TemporaryDirectory() as folder:
        tried = try_smokes(room, smokes, unselected=unselected or {}, logs=Path(folder))
    return [(said.outcome, said.detail) for said in tried]


def test_a_smoke_passes_with_what_was_installed_written_and_prepared_by_it_and_by_those_before(
    room: Room,
) -> None:
    first = Smoke(
        name="greet",
        packages=("greeter",),
        files={"/etc/greeter": "hello\n"},
        prepare=("echo again >> /etc/greeter",),
        run="greeter",
        expect="hello\nagain",
    )
    second = Smoke(name="later", run="greeter | wc --lines", expect="2")
    assert outcomes(room, first, second) == [
        ("passed", "its output has 'hello\\nagain'"),
        ("passed", "its output has '2'"),
    ]


def test_all_that_a_failed_smoke_printed_is_in_a_file_that_its_finding_names(
    room: Room, tmp_path: Path
) -> None:
    """Java's first exception is what matters, and stands far above the end."""
    long = Smoke(name="long", prepare=("echo first",), run="seq 100; echo 'Caused by'; false", expect="x")
    (failed,) = try_smokes(room, [long], unselected={}, logs=tmp_path / "smoke")
    output = tmp_path / "smoke/long.log"
    assert failed.detail.endswith(f"whole output: {output}")
    assert "\n50\n" not in failed.detail
    assert output.read_text().startswith("$ echo first\nfirst\n$ seq 100")
    assert "\n50\n" in output.read_text()


def test_a_smoke_without_its_text_fails_shows_output_and_new_logs_and_ends_the_rest(room: Room) -> None:
    wrong = Smoke(
        name="wrong", prepare=("echo it broke > /var/log/one.log",), run="echo 41; echo 42", expect="43"
    )
    (failed, detail), skipped = outcomes(room, wrong, Smoke(name="next", run="true", expect="x"))
    assert failed == "failed"
    assert "lacks '43':\n41\n42" in detail
    assert "== /var/log/one.log\nit broke" in detail
    assert skipped == ("skipped", "wrong failed before")


def test_a_line_that_fails_or_takes_too_long_or_a_package_that_is_not_there_fails_a_smoke(room: Room) -> None:
    for smoke, said in (
        (
            Smoke(name="a", prepare=("echo oh; false",), run="true", expect="x"),
            "'echo oh; false' ended with exit",
        ),
        (Smoke(name="b", run="sleep 60", expect="x", seconds=1), "'sleep 60' did not end in 1 s"),
        (
            Smoke(name="deaf", run="trap '' TERM; while :; do sleep 1; done", expect="x", seconds=1),
            "did not end in 1 s",
        ),
        (Smoke(name="killed", run="kill -KILL $$", expect="x"), "'kill -KILL $$' ended with exit status 137"),
        (Smoke(name="c", packages=("no-such-thing",), run="true", expect="x"), "Unable to locate package"),
    ):
        ((outcome, detail),) = outcomes(room, smoke)
        assert outcome == "failed"
        assert said in detail


def test_a_smoke_of_a_component_that_is_left_out_is_skipped(room: Room) -> None:
    smoke = Smoke(name="a", packages=("herald",), run="true", expect="x")
    ((outcome, detail),) = outcomes(room, smoke, unselected={"herald": "herald-server"})
    assert (outcome, detail) == ("skipped", "it needs herald-server, which this run leaves out")

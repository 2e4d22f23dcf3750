# SPDX-License-Identifier: Apache-2.0
"""What a killed command leaves of a folder that it was making goes with the next one."""

import os
import signal
import sys
from pathlib import Path

import pytest

from bigtop_builder.hidden_folder import sweep, unfinished
from bigtop_builder.run import run
from bigtop_builder.upkeep.change import changing, mend
from bigtop_builder.workspace import Project

KILLED = """
import os, signal, sys
from pathlib import Path
from bigtop_builder.hidden_folder import unfinished
with unfinished(Path(sys.argv[1])) as torn:
    (torn / "file").write_text("half a ")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_the_maker_of(place: Path) -> None:
    ended = run(
        [sys.executable, "-c", KILLED, place],
        check=False,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == -signal.SIGKILL
    (left,) = place.parent.iterdir()
    assert (left / "file").is_file()


def test_the_next_maker_of_a_folder_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    place = tmp_path / "work/tree"
    kill_the_maker_of(place)
    with unfinished(place) as torn:
        assert list(place.parent.iterdir()) == [torn]
        torn.rename(place)
    assert list(place.parent.iterdir()) == [place]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), unfinished(tmp_path / "tree") as torn:
        (torn / "no folder/file").touch()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_maker_that_lives_stays(tmp_path: Path) -> None:
    with unfinished(tmp_path / "one") as one, unfinished(tmp_path / "one") as other:
        sweep(tmp_path)
        assert one.is_dir()
        assert other.is_dir()


def test_what_has_another_name_is_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / ".notes.new").mkdir()
    (tmp_path / f".file.{'a' * 32}.new").touch()
    (elsewhere := tmp_path / f".elsewhere.{'b' * 32}.new").mkdir()
    with unfinished(tmp_path / "tree"):
        assert elsewhere.is_dir()
    sweep(tmp_path)
    assert not elsewhere.is_dir()
    assert (tmp_path / ".notes.new").is_dir()
    assert (tmp_path / f".file.{'a' * 32}.new").is_file()


@pytest.mark.parametrize("verb", ["reads", "changes"])
def test_any_command_on_the_queue_sweeps_work_trees(project: Project, verb: str) -> None:
    place = project.output / "patches/1.0.0/bigtop"
    kill_the_maker_of(place)
    if verb == "reads":
        mend(project)
    else:
        with changing(project):
            pass
    assert list(place.parent.iterdir()) == []

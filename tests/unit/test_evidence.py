# SPDX-License-Identifier: Apache-2.0
"""Evidence files: read back as written, in the order of releases, and only rewritten when they change."""

from pathlib import Path

import pytest

from bigtop_builder.errors import InputError
from bigtop_builder.upkeep.evidence import FILE, Evidence, Finding, load_evidence, write_evidence

CLEAN = Finding(patch="a" * 64, base="b" * 40, made_of="c" * 64, state="clean")


def test_a_patch_without_evidence_has_none(tmp_path: Path) -> None:
    assert load_evidence(tmp_path) == Evidence()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    landed = Finding(
        patch="a" * 64,
        base="b" * 40,
        state="already-upstream",
        commit="c" * 40,
        by="patch-id",
        since="rel/3.3.0",
    )
    evidence = Evidence(releases={"3.2.1": CLEAN, "3.3.0": landed})
    assert write_evidence(tmp_path, evidence)
    assert load_evidence(tmp_path) == evidence


def test_releases_stand_in_their_order(tmp_path: Path) -> None:
    names = ["3.10.0", "3.6.0", "3.9.0", "3.6.0-RC0", "1.5.0"]
    write_evidence(tmp_path, Evidence(releases=dict.fromkeys(names, CLEAN)))
    assert list(load_evidence(tmp_path).releases) == ["1.5.0", "3.6.0-RC0", "3.6.0", "3.9.0", "3.10.0"]


def test_a_file_that_holds_it_already_is_not_touched(tmp_path: Path) -> None:
    assert write_evidence(tmp_path, Evidence(releases={"3.5.0": CLEAN}))
    before = (tmp_path / FILE).stat()
    assert not write_evidence(tmp_path, Evidence(releases={"3.5.0": CLEAN}))
    assert (tmp_path / FILE).stat() == before


def test_a_finding_is_about_one_diff_on_one_tree_made_of_the_same() -> None:
    assert CLEAN.fits("a" * 64, "b" * 40, "c" * 64)
    assert not CLEAN.fits("0" * 64, "b" * 40, "c" * 64)
    assert not CLEAN.fits("a" * 64, "0" * 40, "c" * 64)
    assert not CLEAN.fits("a" * 64, "b" * 40, "0" * 64)


@pytest.mark.parametrize(
    "text",
    ["<<<<<<< ours\n", '{"format": 2}', '{"format": 1, "releases": {"3.5.0": {"state": "fine"}}}'],
    ids=["a merge conflict", "another format", "an unknown state"],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=r"evidence\.json is not a valid Evidence") as refusal:
        load_evidence(tmp_path)
    assert refusal.value.hint.startswith(f"rm {tmp_path / FILE}")

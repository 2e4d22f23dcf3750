# SPDX-License-Identifier: Apache-2.0
"""`verify --smoke` and what its answer has when it fails, over a component of the miniature, on clean hosts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builds import Bench

from bigtop_builder.artifact import read_deb
from bigtop_builder.building import build_release
from bigtop_builder.errors import CheckFailed
from bigtop_builder.miniature import lay_out
from bigtop_builder.place import Place
from bigtop_builder.release import verify_release
from bigtop_builder.settings import Settings
from bigtop_builder.smoke import require_smoked, smoke_release
from bigtop_builder.survey import survey
from bigtop_builder.verify.older import Indexed
from bigtop_builder.verify.verdict import Verdict
from bigtop_builder.workspace import Project
from verify_debs import make_deb

pytestmark = [pytest.mark.docker, pytest.mark.network]

UTILS = ("1.0.0", "-c", "bigtop-utils")
THERE = """
[[smoke]]
name = "there"
packages = ["bigtop-utils"]
run = "echo it prints; ls /usr/lib/bigtop-utils"
expect = "bigtop-detect-javahome"
"""
GREET = """
[[smoke]]
name = "greet"
packages = ["salute"]
run = "salute Ada"
expect = "Hello, Ada"
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The miniature, of which bigtop-utils is built."""

    bench: Bench
    recipe: str

    def given(self, smokes: str, *, roles: str = "") -> Bench:
        """The same with these smokes and a further role."""
        text = self.recipe.replace("[roles]\n", f"[roles]\n{roles}")
        (self.bench.project.recipes / "1.0.0.toml").write_text(text + smokes)
        return self.bench

    def said(self, name: str) -> Verdict:
        """A verdict that was left in the output folder."""
        file = self.bench.project.output / "1.0.0" / name
        return Verdict.from_json(file.read_bytes(), source=str(file))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("verify")
    project = lay_out(Project(Path(__file__).parents[2]), folder / "project")
    bench = Bench.at(folder / "cache", project).bumped()
    return Site(bench=bench, recipe=(project.recipes / "1.0.0.toml").read_text())


def outcomes(answer: str) -> list[tuple[str, str]]:
    said: dict[str, Any] = json.loads(answer)
    return [(one["subject"], one["outcome"]) for one in said["smoke"]]


def test_smokes_that_can_run_do_and_the_others_are_skipped(site: Site) -> None:
    done = site.given(THERE + GREET)("verify", *UTILS, "--smoke", "--json")
    assert done.returncode == 0, done.complaint
    assert outcomes(done.text) == [("there", "passed"), ("greet", "skipped")]
    kept, verdict = site.said("smoke.json"), site.said("verdict.json")
    assert kept.passed
    assert [one.detail for one in kept.findings] == [
        "its output has 'bigtop-detect-javahome'",
        "it needs salute, which this run leaves out",
    ]
    assert kept.packages == verdict.packages
    assert kept.id != verdict.id
    output = site.bench.project.output / "1.0.0/smoke/there.log"
    assert "it prints\n" in output.read_text()


def test_a_smoke_that_fails_is_in_the_answer_beside_the_verdict_that_passed(site: Site) -> None:
    wrong = THERE.replace('expect = "big', 'expect = "small')
    bench = site.given(wrong)
    done = bench("verify", *UTILS, "--smoke", "--json")
    assert done.returncode == 1
    assert json.loads(done.text)["passed"] is True
    assert outcomes(done.text) == [("there", "failed")]
    assert "smoke: there: the output of" in done.complaint
    assert not site.said("smoke.json").passed

    told = bench("verify", *UTILS, "--smoke")
    assert told.returncode == 1
    assert "packages go in" in told.text, "the verdict that passed"
    assert "smoke" not in told.text


def test_a_verdict_that_says_no_is_the_answer_all_the_same_and_no_smoke_runs(
    site: Site, tmp_path: Path, origin: Project
) -> None:
    bench = site.given(THERE, roles='broken = ["bigtop-utils", "no-such-package"]\n')
    done = bench("verify", *UTILS, "--smoke", "--json")
    said = json.loads(done.text)
    assert (done.returncode, said["passed"]) == (1, False)
    assert [one["subject"] for one in said["findings"] if one["outcome"] == "failed"] == ["broken"]
    assert "smoke" not in said
    assert bench("verify", *UTILS).text == "", "people have it in the error"

    keeper = bench.given(BIGTOP_BUILDER_KEYS_DIR=str(tmp_path / "keys"))
    key = keeper("key", "new", "Ann Bee", "ann@bee.example").text
    bench.project.definition.parent.mkdir(exist_ok=True)
    bench.project.definition.write_text(
        origin.definition.read_text().replace("keys = []", f'keys = ["{key}"]')
    )
    refused = keeper("release", *UTILS, "--suite", "stable", "--repo", str(tmp_path / "apt"), "--json")
    assert refused.returncode == 1, refused.complaint
    answer = json.loads(refused.text)
    assert answer["verdict"] == said["id"]
    assert [one["subject"] for one in answer["findings"] if one["outcome"] == "failed"] == ["broken"]
    assert not (tmp_path / "apt/dists").exists()


def test_what_a_suite_has_stands_in_for_what_is_left_out(site: Site, tmp_path: Path) -> None:
    bench = site.given(GREET)
    old = make_deb(
        tmp_path, "salute", version="0.9", files={"usr/bin/salute": '#!/bin/sh\necho "Hello, $1"\n'}
    )
    published = Indexed(name="salute", version="0.9", sha256=read_deb(old).sha256, bring=lambda: old)
    road = survey("1.0.0", project=bench.project, settings=Settings(cache_dir=bench.cache, gradle="system"))
    with Place(road) as place:
        made = build_release(road, road.plan(["bigtop-utils"]), place)
        verify_release(road, made, place)
        alone = smoke_release(road, made, place)
        together = smoke_release(road, made, place, [published])
    assert not alone.passed
    with pytest.raises(CheckFailed, match=r"no smoke of 1\.0\.0 for deb12 ran") as raised:
        require_smoked(alone, road.output.smoke)
    assert "greet: it needs salute, which this run leaves out" in raised.value.details
    require_smoked(together, road.output.smoke)
    assert [(one.outcome, one.detail) for one in together.findings] == [
        ("passed", "its output has 'Hello, Ada'")
    ]
    assert site.said("smoke.json") == together

# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md says of modules and imports what pyproject.toml holds the code to."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def layers() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return [str(layer) for layer in contracts["contracts"][0]["layers"]]


def test_the_pages_list_of_imports_is_the_one_that_is_held() -> None:
    section = PAGE.partition("## Imports")[2].partition("\n## ")[0]
    assert re.findall(r"^    (\S.*)$", section, re.MULTILINE) == layers()


def test_what_the_page_names_with_its_place_is_there() -> None:
    package = ROOT / "bigtop-builder/bigtop_builder"
    named = re.findall(
        r"`((?:repository|verify|executor|fleet|openpgp|patches|upkeep|upstream|cli)/\w*)[.`]", PAGE
    )
    assert named
    assert [
        one for one in named if not (package / one).is_dir() and not (package / f"{one}.py").exists()
    ] == []


def test_what_the_page_says_of_the_patch_queue_names_modules_that_are_there() -> None:
    package = ROOT / "bigtop-builder/bigtop_builder"
    told = re.findall(r"^- `(patches|upstream|upkeep)/`: (.*?)(?=^- |\n\n)", PAGE, re.MULTILINE | re.DOTALL)
    assert len(told) == 3
    named = [f"{folder}/{name}.py" for folder, text in told for name in re.findall(r"`(\w+)`", text)]
    assert [one for one in named if not (package / one).exists()] == []


def test_the_page_tells_what_each_module_of_the_road_is_for() -> None:
    told = set(re.findall(r"`(\w+)[/.`]", PAGE.partition("## Imports")[0]))
    aside = {"__main__", "errors", "interrupt", "log", "owner", "templates"}
    assert {module for layer in layers() for module in layer.split(" | ")} - aside <= told


def test_only_the_verifier_says_that_a_text_is_signed_and_only_what_is_signed_makes_a_proven_pointer() -> (
    None
):
    """`Signed` and `Proven` are worth something only as long as nobody else makes one."""
    package = ROOT / "bigtop-builder/bigtop_builder"
    made = {
        name: sorted(
            str(path.relative_to(package))
            for path in package.rglob("*.py")
            if re.search(rf"(?<!class )\b{name}\(", path.read_text(encoding="utf-8"))
        )
        for name in ("Signed", "Proven")
    }
    assert made == {
        "Signed": ["openpgp/gpgv.py"],
        # The other two make one of a history entry that `signed_entry` gave out.
        "Proven": ["repository/pointer.py", "repository/recovery.py", "repository/wrapper.py"],
    }

# SPDX-License-Identifier: Apache-2.0
"""Malformed files are refused with file, line and key."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bigtop_builder.errors import InputError
from bigtop_builder.recipe import Recipe, load_recipe
from bigtop_builder.repository.layout import IndexFile
from bigtop_builder.schema import (
    Commit,
    Fingerprint,
    Name,
    OptionalSha256,
    OptionalSha512,
    Sha256,
    Sha512,
    _in_words,
    canonical,
    counted,
    digest,
    line_numbers,
    nearest,
    some,
)
from bigtop_builder.workspace import Project


def _changed(project: Project, old: str, new: str) -> Path:
    path = project.recipes / "1.0.0.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_nearest_word_is_found_whatever_its_capitals_and_however_short_it_was_cut() -> None:
    known = ["bigtop/BIGTOP-4431-mend-the-first-of-two", "bigtop/BIGTOP-4432-mend-the-second", "bigtop/other"]
    assert nearest("bigtop/bigtop-4431", known) == f"the nearest is {known[0]}"
    assert nearest("BIGTOP/Other", known) == "the nearest is bigtop/other"
    assert nearest("nothing of it", known).startswith(f"there are {known[0]}, ")
    assert nearest("", known).startswith("there are ")
    assert nearest("X_OTER", ["X_OTHER", "X_MORE"], prefix="X_") == "the nearest is X_OTHER"


def test_things_are_counted_in_words() -> None:
    assert [counted(number, "patch") for number in (0, 1, 2)] == ["0 patches", "1 patch", "2 patches"]
    assert counted(1, "error") == "1 error"
    assert counted(2000, "new commit") == "2000 new commits"


def test_of_many_names_a_few_are_named() -> None:
    assert [some(list("abcde")[:most]) for most in (0, 3, 5)] == ["", "a, b, c", "a, b, c and 2 more"]
    assert some(list("abcd"), "package") == "a, b, c and 1 more package"


def test_malformed_toml_names_file_and_line(project: Project) -> None:
    path = _changed(project, 'release = "1.0.0"', "release = 1.0.0")
    with pytest.raises(InputError, match=r"1\.0\.0\.toml: malformed TOML: .*line 3") as refusal:
        Recipe.from_toml(path)
    assert refusal.value.details == f"{path}:3: release: release = 1.0.0"


def test_a_malformed_line_names_the_table_that_its_key_is_in(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[[components]]\nname = "a"\n[[components.sources]]\nurl = "https://me:secret@x\n')
    with pytest.raises(InputError) as refusal:
        Recipe.from_toml(path)
    assert refusal.value.details == f'{path}:4: components[0].sources[0].url: url = "https://x'


def test_a_wrong_value_names_file_line_key_and_value(project: Project) -> None:
    path = _changed(project, 'architecture = "amd64"', 'architecture = "sparc"')
    line = path.read_text().splitlines().index('architecture = "sparc"') + 1
    with pytest.raises(InputError) as refusal:
        Recipe.from_toml(path)
    assert f"{path}:{line}: target.architecture" in refusal.value.details
    assert "'sparc'" in refusal.value.details


def test_a_number_in_quotes_is_no_number(project: Project) -> None:
    path = _changed(project, "memory_mb = 2048", 'memory_mb = "2048"')
    with pytest.raises(InputError) as refusal:
        Recipe.from_toml(path)
    assert "memory_mb: should be a number, without quotes (is '2048')" in refusal.value.details


def test_a_pattern_is_told_in_words(project: Project) -> None:
    path = _changed(project, 'commit = "86adb7bb', 'commit = "HEAD')
    with pytest.raises(InputError) as refusal:
        Recipe.from_toml(path)
    assert "bigtop.commit: should be 40 digits, 0-9 and a-f (is 'HEAD" in refusal.value.details
    assert "match pattern" not in refusal.value.details


def test_every_pattern_of_names_and_hashes_has_words() -> None:
    kinds = (Name, Commit, Sha256, Sha512, OptionalSha256, OptionalSha512, Fingerprint)
    assert not any("form" in _in_words(kind.__metadata__[0].pattern) for kind in kinds)


def test_an_index_file_without_a_hash_is_refused() -> None:
    whole = {"size": 1, "sha256": "0" * 64, "sha512": "0" * 128}
    IndexFile.model_validate(whole)
    for name in ("sha256", "sha512"):
        with pytest.raises(ValidationError, match=name):
            IndexFile.model_validate(whole | {name: ""})


def test_a_malformed_first_line_has_no_key_to_name(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("oops\n")
    with pytest.raises(InputError) as refusal:
        Recipe.from_toml(path)
    assert refusal.value.details == f"{path}:1: before the first key: oops"


def test_an_unknown_key_is_an_error_with_its_line(project: Project) -> None:
    path = _changed(project, "memory_mb = 2048", "memory = 2048")
    with pytest.raises(InputError) as refusal:
        Recipe.from_toml(path)
    assert "components[0].memory: there is no such key; the nearest is memory_mb" in refusal.value.details
    line = path.read_text().splitlines().index("memory = 2048") + 1
    assert f":{line}:" in refusal.value.details


def test_a_value_in_the_second_source_of_the_second_component_has_its_own_line() -> None:
    text = '[[components]]\nname = "a"\n\n[[components]]\nname = "b"\n[[components.sources]]\nkind = "x"\n'
    lines = line_numbers(text)
    assert lines["components", 1, "name"] == 5
    assert lines["components", 1, "sources", 0, "kind"] == 7


def test_an_unknown_recipe_is_refused_with_those_that_exist(project: Project) -> None:
    with pytest.raises(InputError) as refusal:
        load_recipe("9.9.9", project.recipes)
    assert "9.9.9" in refusal.value.brief
    assert "1.0.0, 1.1.0" in refusal.value.hint


def test_a_recipe_is_read_by_path_too(project: Project) -> None:
    recipe, path = load_recipe(str(project.recipes / "1.1.0.toml"), Path("/nowhere"))
    assert recipe.release == "1.1.0"
    assert path == project.recipes / "1.1.0.toml"


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"\nformat = 1 # \xe9\n")
    with pytest.raises(InputError, match=r"latin\.toml:2: not UTF-8 at byte 14 \(0xe9\)"):
        Recipe.from_toml(path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        Recipe.from_toml(tmp_path)
    with pytest.raises(InputError, match=r"none\.toml does not exist"):
        Recipe.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["README.md", "folder", "./README.md"])
def test_what_is_no_recipe_is_refused_with_those_that_exist(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(project.root)
    Path("README.md").write_text("# Read me\n")
    Path("folder").mkdir()
    with pytest.raises(InputError) as refusal:
        load_recipe(name, project.recipes)
    assert refusal.value.brief.startswith(f"{name} is no recipe: it is ")
    assert "1.0.0, 1.1.0" in refusal.value.hint


def test_digest_keeps_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")


def test_canonical_json_does_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1})

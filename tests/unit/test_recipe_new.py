# SPDX-License-Identifier: Apache-2.0
"""`recipe new`: from a tag of Bigtop and an earlier recipe to a draft, and what is left for a human."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from git_server import new_repository
from small_bigtop import SRC, SmallBigtop, block, bom, packaging
from website import Website, serving

from bigtop_builder import download
from bigtop_builder.cli.ci_tags import tags
from bigtop_builder.cli.plan import plan
from bigtop_builder.cli.recipe import new
from bigtop_builder.errors import BuilderError, CheckFailed, InputError, TreeError
from bigtop_builder.mirror import Mirror
from bigtop_builder.recipe import Recipe
from bigtop_builder.recipe_draft.desk import Asked
from bigtop_builder.recipe_draft.make import Made, make_draft
from bigtop_builder.recipe_draft.report import markdown, value
from bigtop_builder.settings import Mirrors, Settings
from bigtop_builder.workspace import Project
from local_patches import diff_of, write_patch
from small_queue import numbered

OLD, NEW = numbered(), "a head\n" + numbered((30, "thirty"))
CONTROL = "Source: {0}\n\nPackage: {1}\nArchitecture: all\n"
RECIPE = """# What 1.0.0 is, and no other.
format = 1
release = "1.0.0"

# Who installs what.
[roles]
client = ["base", "spark-core", "procps"]

[bigtop]
repository = "../bigtop.git"
commit = "{commit}"
ref = "rel/1.0.0"
exclude = []

[target]
distribution = "debian"
suite = "bookworm"
tag = "deb12"

[image.jdk]
package = "openjdk-11-jdk"
version = "11"

[[components]]
name = "base"

# It wants memory.
[[components]]
name = "spark"
memory_mb = 8192
omit_patches = ["patch0-gone.diff", "patch1-stays.diff"]

[[components.sources]]
kind = "url"
url = "{site}/spark-1.tar.gz"
sha512 = "{pin}"
checked = "by hand"

[components.environment]
HOW = "fast"

[[components]]
name = "oozie"
"""


def stack(*, old: bool) -> dict[str, str]:
    """A release of Bigtop: spark, which needs base; the old one has oozie, the new one kit, which spark needs too."""
    spark, package = ("1", "spark-core") if old else ("2", "spark")

    def plain(name: str, version: str = "1") -> str:
        return f"'{name}' {{ name = '{name}'; version {{ base = '{version}' }} }}"

    blocks = [plain("base"), block("spark", spark)]
    blocks += [plain("oozie", "5")] if old else [plain("kit"), plain("extra")]
    edges = "base:['spark', 'oozie']" if old else "base:['spark', 'kit'], kit:['spark'], spark:['extra']"
    files = {"bigtop.bom": bom(*blocks, version="1.0.0" if old else "2.0.0", dependencies=edges)}
    for name in ("base", "oozie") if old else ("base", "kit", "extra"):
        files |= packaging(name) | {f"{SRC}/deb/{name}/control": CONTROL.format(name, name)}
    files |= packaging("spark") | {f"{SRC}/deb/spark/control": CONTROL.format("spark", package)}
    files[f"{SRC}/common/spark/patch1-stays.diff"] = diff_of("x", "a\n", "b\n")
    if old:
        files[f"{SRC}/common/spark/patch0-gone.diff"] = diff_of("y", "a\n", "b\n")
    return files | {"build.gradle": OLD if old else NEW}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    with serving() as site:
        yield site


@pytest.fixture
def ours(tmp_path: Path, site: Website) -> Project:
    """A project with a recipe for release 1.0.0; Bigtop has released 2.0.0 since."""
    upstream = SmallBigtop.at(tmp_path)
    commits = [upstream.commit(stack(old=old)) for old in (True, False)]
    for name, commit in zip(("rel/1.0.0", "release-2.0.0"), commits, strict=True):
        upstream.mirror.git("update-ref", f"refs/tags/{name}", commit)
    project = Project(tmp_path)
    project.recipes.mkdir()
    text = RECIPE.format(commit=commits[0], site=site.url, pin="1" * 128)
    (project.recipes / "1.0.0.toml").write_text(text)
    return project


Draft = Callable[..., Made]


@pytest.fixture
def draft(ours: Project, tmp_path: Path) -> Draft:
    settings = Settings(cache_dir=tmp_path / "cache", mirrors=Mirrors(apache="http://127.0.0.1:9"))

    def draft(tag: str = "2.0.0", **options: Any) -> Made:
        return make_draft(Asked(tag=tag, **options), project=ours, settings=settings)

    return draft


def listed(project: Project, *ids: str) -> None:
    """Let release 1.0.0 list patches."""
    path = project.recipes / "1.0.0.toml"
    line = f"patches = {json.dumps(ids)}\n"
    path.write_text(path.read_text().replace('release = "1.0.0"\n', f'release = "1.0.0"\n{line}', 1))


def served(site: Website, *names: str) -> dict[str, str]:
    """Serve files with checksums beside them; their sha512."""
    for name in names:
        body = name.encode()
        site.files[f"/{name}"] = body
        site.files[f"/{name}.sha512"] = hashlib.sha512(body).hexdigest().encode()
    return {name: hashlib.sha512(name.encode()).hexdigest() for name in names}


def whats(made: Made) -> str:
    return "\n".join(one.what for one in made.open)


def states(made: Made) -> dict[str, tuple[str, bool]]:
    return {one.id: (one.state, one.listed) for one in made.standings}


def files(folder: Path) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_draft_of_the_miniatures_next_release_is_its_recipe(project: Project, settings: Settings) -> None:
    path = project.recipes / "1.1.0.toml"
    shipped = Recipe.from_toml(path)
    path.unlink()
    made = make_draft(Asked(tag="rel/1.1.0"), project=project, settings=settings)
    assert Recipe.from_toml(path) == shipped
    assert made.open == ()
    assert states(made) == {
        "bigtop/miniature-changelog-date": ("already-upstream", False),
        "salute/miniature-blank-name": ("offset", True),
        "herald/miniature-loopback-address": ("clean", True),
    }
    assert "upstream has it, in f5ea4ce223e7" in path.read_text()
    assert made.desk.tag.commit == "f5ea4ce223e79e293af1070b767f38fe37ca562f"


def test_the_draft_passes_plan(project: Project, settings: Settings, tmp_path: Path) -> None:
    (project.recipes / "1.1.0.toml").unlink()
    make_draft(Asked(tag="rel/1.1.0"), project=project, settings=settings)
    site = tmp_path / "site.toml"
    site.write_text(f'cache_dir = "{settings.cache_dir}"\ngradle = "system"\n')
    options = {"settings": site, "project": project.root, "verbose": False}
    done = CliRunner().invoke(plan, ["1.1.0", "--bump"], obj=options)
    assert done.exit_code == 0, done.exception
    assert "salute" in done.output


def test_components_versions_and_what_they_newly_need_come_from_the_tag(draft: Draft, site: Website) -> None:
    pins = served(site, "spark-2.tar.gz")
    made = draft()
    recipe = Recipe.from_toml(made.desk.path)
    assert [one.name for one in recipe.components] == ["base", "kit", "spark", "oozie"]
    assert {part.name: part.why for part in made.choice.parts if part.why} == {"kit": "spark needs it"}
    spark = recipe.component("spark")
    assert (spark.memory_mb, spark.environment) == (8192, {"HOW": "fast"})
    assert [(one.url, one.sha512, one.checked) for one in spark.sources] == [
        (f"{site.url}/spark-2.tar.gz", pins["spark-2.tar.gz"], ".sha512 beside it")
    ]
    assert (recipe.release, recipe.bigtop.ref, recipe.bigtop.commit) == (
        "2.0.0",
        "release-2.0.0",
        made.desk.tag.commit,
    )
    text = made.desk.path.read_text()
    assert text.startswith(
        "# Apache Bigtop 2.0.0 for Debian (bookworm).\n# A draft by `recipe new 2.0.0`, made of 1.0.0."
    )
    assert "# Who installs what.\n" in text
    assert '# It wants memory.\n[[components]]\nname = "spark"\n' in text
    assert "no other" not in text


def test_what_the_release_lacks_is_carried_from_the_last_one_that_has_it(draft: Draft, ours: Project) -> None:
    made = draft()
    old = Recipe.from_toml(ours.recipes / "1.0.0.toml").bigtop.commit
    carried = Recipe.from_toml(made.desk.path).carry
    assert [(one.component, one.commit, one.ref) for one in carried] == [("oozie", old, "rel/1.0.0")]
    assert "# rel/1.0.0 is the last release with its packaging.\n[[carry]]\n" in made.desk.path.read_text()
    assert "oozie: packaging of rel/1.0.0" in value(made)["carried_over"]


def test_a_carry_goes_where_the_release_has_the_component_itself_again(draft: Draft) -> None:
    there = draft().desk.path
    made = draft("rel/1.0.0", earlier="2.0.0", name="again")
    assert there.name == "2.0.0.toml"
    assert Recipe.from_toml(made.desk.path).carry == ()
    assert "carry of oozie from rel/1.0.0: the release has it itself" in made.left_out
    assert "2.0.0 leaves" not in str(made.left_out)


def test_a_need_that_the_earlier_recipe_left_out_stays_out(draft: Draft, ours: Project) -> None:
    path = ours.recipes / "1.0.0.toml"
    path.write_text(path.read_text().replace('[[components]]\nname = "base"\n\n', "", 1))
    made = draft()
    assert [part.name for part in made.choice.parts] == [
        "base",
        "kit",
        "spark",
        "oozie",
    ]  # kit is new, and needs it
    path.write_text(path.read_text().replace('kind = "url"', 'kind = "url"  # as ever'))
    again = draft("rel/1.0.0", name="again", earlier="1.0.0")
    assert [part.name for part in again.choice.parts] == ["spark", "oozie"]
    assert "base, which spark needs: 1.0.0 leaves it out too" in again.left_out


def test_c_adds_a_component_and_an_unknown_one_is_refused(draft: Draft) -> None:
    made = draft(components=("extra",))
    assert [part.name for part in made.choice.parts] == ["base", "kit", "spark", "extra", "oozie"]
    assert 'name = "extra"' in made.desk.path.read_text()
    with pytest.raises(
        InputError, match=r"no release of Bigtop up to 2\.0\.0 builds .debs of 'extras'"
    ) as caught:
        draft(name="other", components=("extras",))
    assert "the nearest is extra" in caught.value.hint


def test_what_cannot_be_had_stays_unpinned_and_is_named_with_the_way_out(draft: Draft, site: Website) -> None:
    made = draft()
    assert f"{site.url}/spark-2.tar.gz" in whats(made)
    assert "spark: none of its 1 sources can be pinned, so plan refuses it" in whats(made)
    (way,) = [one.way for one in made.open if one.what.startswith("spark: none")]
    assert way.startswith("bigtop-builder source fetch 2.0.0 -c spark --pin")
    assert not Recipe.from_toml(made.desk.path).component("spark").sources[0].sha512
    assert "open: none of these could be had and pinned: bigtop-builder source fetch 2.0.0 -c spark" in (
        made.desk.path.read_text()
    )


def test_a_pin_that_another_recipe_has_is_taken_from_there(
    draft: Draft, ours: Project, site: Website
) -> None:
    text = (
        (ours.recipes / "1.0.0.toml")
        .read_text()
        .replace("spark-1.tar", "spark-2.tar")
        .replace("1" * 128, "2" * 128)
    )
    (ours.recipes / "1.0.0-b.toml").write_text(text.replace('"deb12"', '"deb13"'))
    made = draft(earlier="1.0.0")
    (spark,) = [one for one in made.pins if one.component.name == "spark"]
    assert spark.chosen
    assert (spark.by, spark.chosen.sha512) == ("1.0.0-b", "2" * 128)
    assert site.asked == [] or all("spark" not in path for path, _ in site.asked)


def test_a_source_in_git_follows_by_its_tag_and_is_pinned(draft: Draft, ours: Project) -> None:
    spark = new_repository(ours.root / "spark")
    first = spark.commit(README="one\n")
    spark.git("tag", "v1")
    second = spark.commit(README="two\n")
    path = ours.recipes / "1.0.0.toml"
    text = path.read_text()
    url = next(line for line in text.splitlines() if line.startswith("url = "))
    git = f'repository = "../spark"\ncommit = "{first}"\nref = "v1"'
    path.write_text(text.replace(url, git).replace('kind = "url"', 'kind = "git"'))
    made = draft()
    assert "spark: source git:../spark@" in str(made.left_out)
    assert "v2 cannot be looked up: ../spark has no tag v2" in str(made.left_out)
    spark.git("tag", "-a", "-m", "two", "v2")
    made = draft(force=True)
    (source,) = Recipe.from_toml(made.desk.path).component("spark").sources
    assert (source.ref, source.commit, source.checked) == ("v2", second, "git commit")
    assert source.sha512


def test_upstreams_patches_that_are_gone_are_left_out_no_more(draft: Draft) -> None:
    made = draft()
    assert Recipe.from_toml(made.desk.path).component("spark").omit_patches == ("patch1-stays.diff",)
    assert "spark: omit_patches patch0-gone.diff: the release has no such patch" in made.left_out


def test_a_version_in_place_of_the_boms_goes_with_the_boms(draft: Draft, ours: Project) -> None:
    path = ours.recipes / "1.0.0.toml"
    text = path.read_text().replace("memory_mb = 8192", 'memory_mb = 8192\nversion = "1.5"')
    path.write_text(text.replace('name = "oozie"', 'name = "oozie"\nversion = "5.5"'))
    made = draft()
    recipe = Recipe.from_toml(made.desk.path)
    assert (recipe.component("spark").version, recipe.component("oozie").version) == ("", "5.5")
    assert "spark: version 1.5, in place of 1 in 1.0.0; the bom now says 2, which the draft takes" in whats(
        made
    )


def test_a_package_of_a_role_that_is_built_no_more_is_open(draft: Draft) -> None:
    made = draft()
    assert "roles.client: no component builds spark-core any more (spark did)" in whats(made)
    assert "procps" not in whats(made)
    assert "# open: roles.client: no component builds spark-core any more (spark did)\n[roles]" in (
        made.desk.path.read_text()
    )


def test_another_gradle_than_the_recipe_pins_is_open(draft: Draft, ours: Project) -> None:
    path = ours.recipes / "1.0.0.toml"
    path.write_text(path.read_text().replace("[image.jdk]", '[gradle]\nversion = "5.6.4"\n\n[image.jdk]'))
    upstream = SmallBigtop(Mirror(path=ours.root / "bigtop.git", url=""), ours.root / "bigtop.git/objects")
    wrapper = "distributionUrl=https\\://services.gradle.org/distributions/gradle-8.1-bin.zip\n"
    commit = upstream.commit(stack(old=False) | {"gradle/wrapper/gradle-wrapper.properties": wrapper})
    upstream.mirror.git("update-ref", "refs/tags/rel/2.1.0", commit)
    made = draft("2.1.0")
    said = "the release's wrapper asks for Gradle 8.1, the recipe pins 5.6.4"
    assert said in whats(made)
    assert f"# open: {said}\n" in made.desk.path.read_text()


def test_a_tag_without_a_bom_is_refused(draft: Draft, ours: Project) -> None:
    upstream = SmallBigtop(Mirror(path=ours.root / "bigtop.git", url=""), ours.root / "bigtop.git/objects")
    upstream.mirror.git("update-ref", "refs/tags/rel/0.9.0", upstream.commit({"README": "read me\n"}))
    with pytest.raises(TreeError, match=r"rel/0\.9\.0 has no bigtop\.bom"):
        draft("0.9.0")


PATCHES = {
    "applies": diff_of("README.local", "", "ours\n"),
    "merges": diff_of("build.gradle", OLD, numbered((28, "mine"))),
    "clashes": diff_of("build.gradle", OLD, numbered((30, "my thirty"))),
}


@pytest.fixture
def queue(ours: Project) -> Project:
    for name in ("applies", "merges"):
        write_patch(ours, f"bigtop/{name}", PATCHES[name])
    write_patch(
        ours,
        "bigtop/clashes",
        diff_of("build.gradle", numbered((28, "mine")), numbered((28, "mine"), (30, "my thirty"))),
    )
    listed(ours, "bigtop/applies", "bigtop/merges", "bigtop/clashes")
    return ours


def test_patches_are_tried_and_the_queue_stays_as_it_is(draft: Draft, queue: Project) -> None:
    before = files(queue.patches)
    made = draft()
    assert states(made) == {
        "bigtop/applies": ("clean", True),
        "bigtop/merges": ("merges", False),
        "bigtop/clashes": ("conflict", False),
    }
    assert files(queue.patches) == before
    assert Recipe.from_toml(made.desk.path).patches == ("bigtop/applies",)
    text = made.desk.path.read_text()
    assert "# open: bigtop/merges: merges:" in text
    ways = {one.what.split(":")[0]: one.way for one in made.open}
    assert ways["patch bigtop/merges"].startswith(
        "bigtop-builder patch rebase 1.0.0 bigtop/merges --onto 2.0.0"
    )
    assert ways["patch bigtop/clashes"] == "bigtop-builder patch edit 2.0.0 bigtop --from 1.0.0"
    assert "build.gradle, hunk 1" in whats(made)
    assert "bigtop-builder-draft" not in text + markdown(made)


def test_with_rebase_the_queue_gets_what_merges(draft: Draft, queue: Project) -> None:
    made = draft(rebase=True)
    assert states(made)["bigtop/merges"] == ("rebased", True)
    assert states(made)["bigtop/clashes"] == ("conflict", False)
    assert (queue.patches / "bigtop/merges/2.0.0.patch").is_file()
    assert Recipe.from_toml(made.desk.path).patches == ("bigtop/applies", "bigtop/merges")
    assert "patch bigtop/merges" not in whats(made)


def test_a_diff_for_the_earlier_release_alone_wants_a_rebase(draft: Draft, ours: Project) -> None:
    file = write_patch(ours, "bigtop/applies", PATCHES["applies"])
    file.rename(file.with_name("1.0.0.patch"))
    listed(ours, "bigtop/applies")
    made = draft()
    assert states(made) == {"bigtop/applies": ("merges", False)}
    made = draft(rebase=True, force=True)
    assert states(made) == {"bigtop/applies": ("rebased", True)}
    assert file.with_name("2.0.0.patch").is_file()
    assert Recipe.from_toml(made.desk.path).patches == ("bigtop/applies",)


def test_a_patch_to_a_component_that_is_gone_is_left_out(draft: Draft, ours: Project) -> None:
    path = ours.recipes / "1.0.0.toml"
    path.write_text(path.read_text() + '\n[[components]]\nname = "nowhere"\n')
    write_patch(ours, "nowhere/mine", diff_of("x", "a\n", "b\n"))
    listed(ours, "nowhere/mine")
    made = draft()
    assert states(made) == {"nowhere/mine": ("no component", False)}
    assert "nowhere of 1.0.0 is left out: no earlier release has it" in whats(made)
    text = made.desk.path.read_text()
    assert "# left out: nowhere/mine: the draft does not build nowhere" in text
    assert "# open: nowhere of 1.0.0 is left out: no earlier release has it\nformat = 1\n" in text


def test_a_patch_to_a_source_that_is_not_here_is_listed_and_open(draft: Draft, ours: Project) -> None:
    write_patch(ours, "spark/mine", diff_of("x", "a\n", "b\n"))
    listed(ours, "spark/mine")
    made = draft()
    assert states(made) == {"spark/mine": ("unknown", True)}
    assert "patch spark/mine: unknown: 2.0.0's source of spark is not on this machine" in whats(made)


def test_a_recipe_that_is_there_is_not_written_over_unasked(draft: Draft, ours: Project) -> None:
    path = ours.recipes / "2.0.0.toml"
    path.write_text((ours.recipes / "1.0.0.toml").read_text().replace("1.0.0", "2.0.0"))
    with pytest.raises(InputError, match=r"2\.0\.0\.toml is there already") as caught:
        draft()
    assert "--force" in caught.value.hint
    assert draft(force=True).desk.base == "1.0.0"
    assert path.read_text().startswith("# Apache Bigtop 2.0.0")


def test_a_draft_that_fails_midway_leaves_what_was_there(
    draft: Draft, queue: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InputError("no more")

    monkeypatch.setattr("bigtop_builder.recipe_draft.make.carried_on", fail)
    with pytest.raises(InputError, match="no more"):
        draft(rebase=True)
    assert not (queue.recipes / "2.0.0.toml").exists()


def test_a_draft_elsewhere_finds_what_its_paths_name(draft: Draft, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    made = draft(output=tmp_path / "a/b/mine.toml")
    assert Recipe.from_toml(made.desk.path).bigtop.repository == "../../bigtop.git"
    assert (
        f"bigtop-builder source fetch {tmp_path}/a/b/mine.toml -c spark --pin" in made.desk.path.read_text()
    )


def test_two_recipes_of_one_release_and_target_are_told(draft: Draft) -> None:
    made = draft("1.0.0", name="other")
    assert "1.0.0.toml is for 1.0.0 and target tag 'deb12' too" in whats(made)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tag": "3.0.0"}, "Bigtop has no tag '3.0.0'"),
        ({"earlier": "0.9"}, "no recipe '0.9'"),
        ({"name": "a/b"}, "is no name for a recipe"),
        ({"name": "a", "output": Path("b.toml")}, "--name and --output both name the draft"),
    ],
)
def test_bad_words_are_refused(draft: Draft, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        draft(**options)


def test_the_command_prints_the_report_and_ends_with_1_while_something_is_open(
    ours: Project, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'cache_dir = "{tmp_path}/cache"\n')
    options = {"settings": file, "project": ours.root, "verbose": False}
    done = CliRunner().invoke(new, ["2.0.0", "--json"], obj=options)
    assert isinstance(done.exception, CheckFailed)
    said = json.loads(done.stdout)
    assert (said["complete"], said["from"], said["tag"]) == (False, "1.0.0", "release-2.0.0")
    assert {row["component"]: (row["before"], row["now"], row["change"]) for row in said["components"]} == {
        "base": ("1", "1", "same"),
        "kit": ("", "1", "new"),
        "spark": ("1", "2", "up"),
        "oozie": ("5", "5", "same"),
        "extra": ("", "1", "new"),
    }
    assert said["markdown"].startswith("# Recipe for Bigtop 2.0.0\n")
    assert "| spark | 1 | 2 | up |" in said["markdown"]
    assert all(one["what"] and one["way"] for one in said["open"])


def test_a_bigtop_that_is_not_there_is_an_error_of_the_tree(draft: Draft, ours: Project) -> None:
    (ours.root / "bigtop.git").rename(ours.root / "gone.git")
    with pytest.raises(BuilderError, match="is no git repository"):
        draft()


def test_ci_tags_names_the_releases_without_a_recipe(ours: Project, draft: Draft, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'cache_dir = "{tmp_path}/cache"\n')
    options = {"settings": file, "project": ours.root, "verbose": False}
    done = CliRunner().invoke(tags, ["--json"], obj=dict(options))
    assert [(one["release"], one["name"]) for one in json.loads(done.stdout)] == [("2.0.0", "release-2.0.0")]
    assert "release-2.0.0" in CliRunner().invoke(tags, [], obj=dict(options)).stdout
    draft()
    done = CliRunner().invoke(tags, [], obj=dict(options))
    assert (done.exit_code, done.stdout) == (0, "every release has a recipe\n")

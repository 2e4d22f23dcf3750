# SPDX-License-Identifier: Apache-2.0
"""The patches that we carry, on the Bigtop releases they name: each applies there, and does what it says.

They run on the clone of apache/bigtop that BIGTOP_GIT names. Whether Gradle configures needs Debian's Gradle and
the plugin portal, jsvc a C compiler and Maven Central, Puppet's own verdict Puppet. CC names another compiler.
"""

import json
import os
import re
import shlex
import shutil
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from debian.deb822 import Deb822

from bigtop_builder.carry import mirror_of
from bigtop_builder.git_index import Index
from bigtop_builder.patches.apply import apply_series, check
from bigtop_builder.patches.component import upstream_series
from bigtop_builder.patches.lint import lint
from bigtop_builder.patches.queue import Entry, known, load_entry, load_patches
from bigtop_builder.projects import load_projects
from bigtop_builder.recipe import Recipe
from bigtop_builder.run import run
from bigtop_builder.settings import Mirrors, Settings
from bigtop_builder.tree import Tree, make_tree
from bigtop_builder.upkeep.source_tree import source_tree
from bigtop_builder.workspace import Workspace

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("BIGTOP_GIT" not in os.environ, reason="BIGTOP_GIT names no clone of apache/bigtop"),
]
needs_gradle = pytest.mark.skipif(shutil.which("gradle") is None, reason="gradle is not installed")

ROOT = Path(__file__).parents[2]
PATCHES, RECIPES = ROOT / "patches", ROOT / "recipes"
RELEASES = ("3.0.1", "3.2.1", "3.3.0", "3.5.0", "3.6.0-RC0")
ENTRIES = {
    name: load_entry(PATCHES, name)
    for name in known(PATCHES)
    if name.startswith(("bigtop/", "bigtop-jsvc/")) and "/miniature-" not in name
}
CARRIED = [(name, release) for name, entry in ENTRIES.items() for release in entry.facts.releases]
TO_THE_TREE = [(name, release) for name, release in CARRIED if name.startswith("bigtop/")]
BIGTOP = "https://github.com/apache/bigtop.git"
PUPPET_CLASS = "bigtop_toolchain/manifests/groovy.pp"
PORTABLE_C = ("jsvc-unix", "arguments", "debug", "dso-dlfcn", "help", "home", "location", "locks", "replace")
"""jsvc's sources that include no header of Java."""


def releases_of(name: str) -> pytest.MarkDecorator:
    """A test for each release that a patch names."""
    return pytest.mark.parametrize("release", ENTRIES[name].facts.releases)


SERIES = [Recipe.from_toml(file) for file in sorted(RECIPES.glob("*.toml"))]


def listed(name: str) -> bool:
    """Whether a recipe lists it, and so says what comes before it."""
    return any(name in recipe.patches for recipe in SERIES)


class Bigtop:
    """A release of Bigtop, without patches and with them."""

    def __init__(self, release: str, cache: Path) -> None:
        self.recipe = Recipe.from_toml(RECIPES / f"{release}.toml")
        self.cache = cache
        clone = Mirrors(git={self.recipe.bigtop.repository: os.environ["BIGTOP_GIT"]})
        self.site = Settings(cache_dir=cache, gradle="system", mirrors=clone)
        self.mirror = mirror_of(self.recipe, workspace=self.workspace, settings=self.site, base=RECIPES)

    @property
    def workspace(self) -> Workspace:
        """Where its objects go."""
        return Workspace(self.cache)

    def order(self) -> list[str]:
        """The patches meant for it: those that recipes list in their order, then the others."""
        meant = [name for name, release in TO_THE_TREE if release == self.recipe.release]
        lists = [one.patches for one in SERIES if one.release == self.recipe.release]
        known = list(dict.fromkeys(name for names in lists for name in names if name in meant))
        return [*known, *(name for name in meant if name not in known)]

    def tree(self, *names: str) -> Tree:
        """The tree of a build with these patches."""
        recipe = self.recipe.model_copy(update={"patches": names})
        loaded = load_patches(PATCHES, recipe)
        return make_tree(recipe, loaded, mirror=self.mirror, objects=self.workspace.objects)

    def written(self, folder: Path, *names: str) -> Path:
        """A folder with that tree."""
        with self.tree(*names).archive() as stream, tarfile.open(fileobj=stream) as tar:
            tar.extractall(folder)  # noqa: S202  # git wrote it
        return folder

    def read(self, path: str, name: str = "") -> str:
        """A file of the commit, or of what a patch makes of it."""
        with Index.temporary(self.mirror, self.workspace.objects) as index:
            tree = self.recipe.bigtop.commit
            if name:
                done = check(index, tree, ENTRIES[name].at(self.recipe.release).diff)
                assert done.tree is not None
                tree = done.tree
            return index("cat-file", "blob", f"{tree}:{path}").stdout.decode()


@pytest.fixture(name="bigtop")
def fixture_bigtop(release: str, tmp_path: Path) -> Bigtop:
    return Bigtop(release, tmp_path / "cache")


def gradle(folder: Path, *words: str, home: Path, check: bool = True, path: str = "") -> str:
    """What Gradle says in a folder, without any init script."""
    env = {"GRADLE_USER_HOME": str(home), "LC_ALL": "C.UTF-8"} | ({"PATH": path} if path else {})
    done = run(["gradle", "--no-daemon", *words], cwd=folder, env=env, check=check)
    return done.text + done.complaint


@pytest.fixture(name="home", scope="module")
def fixture_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gradle-home")


@pytest.mark.parametrize(("name", "release"), TO_THE_TREE)
def test_a_patch_applies_with_its_exact_context(name: str, bigtop: Bigtop) -> None:
    order = bigtop.order()
    base = bigtop.tree(*order[: order.index(name)]) if listed(name) else bigtop.tree()
    with Index.temporary(bigtop.mirror, bigtop.workspace.objects) as index:
        done = check(index, base.id, ENTRIES[name].at(bigtop.recipe.release).diff)
    assert done.refusals == ()
    assert done.tree


@pytest.mark.parametrize("release", RELEASES)
def test_the_patches_of_a_release_go_together(bigtop: Bigtop) -> None:
    assert bigtop.tree(*bigtop.order()).id != bigtop.tree().id


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_lint_has_nothing_to_say(entry: Entry) -> None:
    assert lint(entry, tuple(ENTRIES.values()), projects=load_projects(PATCHES)) == ()


class Tool:
    """The command line, with a cache and the clone."""

    def __init__(self, cache: Path, project: Path) -> None:
        self._project = project
        self._env = {
            "BIGTOP_BUILDER_CACHE_DIR": str(cache),
            "BIGTOP_BUILDER_GRADLE": "system",
            "BIGTOP_BUILDER_MIRRORS__GIT": json.dumps({BIGTOP: os.environ["BIGTOP_GIT"]}),
        }

    def __call__(self, *words: str | Path) -> str:
        ask = [sys.executable, "-m", "bigtop_builder", f"--project={self._project}", *words]
        return run(ask, env=self._env).text

    def states(self, *words: str) -> dict[str, dict[str, dict[str, Any]]]:
        """Patch -> release -> cell, as `patch status` tells it."""
        told = json.loads(self("patch", "status", "--json", *words))
        return {one["id"]: one["releases"] for one in told["patches"]}


def test_the_evidence_of_the_patches_to_the_tree_holds(tmp_path: Path) -> None:
    names = [name for name in ENTRIES if name.startswith("bigtop/")]
    cells = Tool(tmp_path, ROOT).states("--verify", *names)
    assert sorted(cells) == sorted(names)
    listed = [cell for one in cells.values() for cell in one.values() if cell["listed"]]
    assert {cell["state"] for cell in listed} == {"clean"}


@pytest.mark.network
def test_the_evidence_of_the_patches_to_jsvc_holds(tmp_path: Path) -> None:
    names = [name for name in ENTRIES if name.startswith("bigtop-jsvc/")]
    tool = Tool(tmp_path, ROOT)
    for release in RELEASES:
        tool("source", "fetch", release, "-c", "bigtop-jsvc")
    cells = tool.states("--verify", *names)
    for name in names:
        fits = (recipe for recipe, cell in cells[name].items() if cell["state"] in {"clean", "offset"})
        has = {Recipe.from_toml(RECIPES / f"{recipe}.toml").release for recipe in fits}
        assert has == set(ENTRIES[name].facts.releases)


BACKPORTS = 24
"""Of those of benchmarks/detection.txt, the first ones."""


def taken_back(clone: Path, diff: bytes, commit: str) -> tuple[bool, bool]:
    """Whether a diff can be made in a commit's files, and whether it can be taken back from them."""
    env = {"GIT_INDEX_FILE": str(clone.parent / "index"), "GIT_DIR": str(clone)}
    run(["git", "read-tree", commit], env=env)
    asks = (["git", "apply", "--cached", "--check", *way] for way in ([], ["--reverse"]))
    does, undoes = (run(ask, env=env, stdin=diff, check=False).returncode == 0 for ask in asks)
    return does, undoes


def test_upstreams_own_backports_are_found_in_the_releases_whose_files_have_them(tmp_path: Path) -> None:
    """Issue 5's real input (a): each is imported from the branch that took it, into a queue that is thrown away."""
    clone = Path(run(["git", "-C", os.environ["BIGTOP_GIT"], "rev-parse", "--absolute-git-dir"]).text)
    project, objects = tmp_path / "project", tmp_path / "clone" / ".git"
    shutil.copytree(RECIPES, project / "recipes", ignore=shutil.ignore_patterns("miniature"))
    for path in (project / "recipes").glob("*.toml"):
        path.write_text(
            re.sub(r"^patches = \[.*?\]", "patches = []", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        )
    (project / "patches").mkdir()
    run(["git", "init", "--quiet", "--bare", objects])
    (objects / "objects/info/alternates").write_text(f"{clone}/objects\n")
    drawn = (ROOT / "benchmarks/detection.txt").read_text().splitlines()[:BACKPORTS]
    tool = Tool(tmp_path / "cache", project)
    for line in drawn:
        tool("patch", "import", "--git", clone, f"{line.split()[0]}^!", "--target", "bigtop", "--keep-going")
    cells = tool.states()
    assert len(cells) >= 12
    commits = {release: Recipe.from_toml(RECIPES / f"{release}.toml").bigtop.commit for release in RELEASES}
    seen = Counter[str]()
    for name, releases in cells.items():
        diff = load_entry(project / "patches", name).at(RELEASES[0]).diff
        for release, commit in commits.items():
            does, undoes = taken_back(objects, diff, commit)
            state = releases[release]["state"]
            seen[state] += 1
            if does:
                assert state in {"clean", "offset", "conflict"}, (name, release)
            if state == "already-upstream":
                landed = releases[release]["commit"]
                run(["git", f"--git-dir={clone}", "merge-base", "--is-ancestor", landed, commit])
            if undoes and not does:
                seen["has it"] += 1
                seen["found"] += state == "already-upstream"
    assert seen["found"] >= 0.95 * seen["has it"] > 0
    assert min(seen["clean"], seen["conflict"]) > 0


@needs_gradle
@pytest.mark.network
@pytest.mark.parametrize("release", ["3.0.1", "3.2.1", "3.5.0"])  # one of each range of the patch
def test_debians_gradle_does_not_load_the_rat_plugin_of_upstream(
    bigtop: Bigtop, home: Path, tmp_path: Path
) -> None:
    require_old_gradle(home, tmp_path)
    told = gradle(bigtop.written(tmp_path / "bigtop"), "all-components", home=home, check=False)
    assert "'org.nosphere.apache.rat', version: '0.2.0'] was not found" in told or "kotlin/jvm" in told


@needs_gradle
@pytest.mark.network
@pytest.mark.parametrize("release", ["3.6.0-RC0"])
def test_upstreams_build_does_not_configure_without_sudo(bigtop: Bigtop, home: Path, tmp_path: Path) -> None:
    require_old_gradle(home, tmp_path)
    folder = bigtop.written(tmp_path / "bigtop", "bigtop/rat-for-gradle-4")
    told = gradle(folder, "all-components", home=home, check=False, path=without_sudo(tmp_path))
    assert 'Cannot run program "sudo"' in told


@needs_gradle
@pytest.mark.network
@pytest.mark.parametrize("release", RELEASES)
def test_with_our_patches_debians_gradle_configures_without_sudo(
    bigtop: Bigtop, home: Path, tmp_path: Path
) -> None:
    require_old_gradle(home, tmp_path)
    names = bigtop.order()
    folder = bigtop.written(tmp_path / "bigtop", *names)
    told = gradle(folder, "all-components", home=home, path=without_sudo(tmp_path))
    assert "stack includes the following components" in told


def require_old_gradle(home: Path, folder: Path) -> None:
    """Skip unless Gradle is the one of Debian."""
    if "Gradle 4.4.1" not in gradle(folder, "--version", home=home):
        pytest.skip("gradle is not 4.4.1, the version of Debian")


def without_sudo(folder: Path) -> str:
    """A PATH with all of this machine's programs but sudo."""
    (programs := folder / "programs").mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "sudo":
            (programs / program.name).symlink_to(program)
    return str(programs)


def asks_dpkg(script: str, shell: str, folder: Path) -> int:
    """Exit status of Bigtop's own question, where a package database knows the shell by this path."""
    (database := folder / "dpkg" / shell.replace("/", "_") / "info").mkdir(parents=True, exist_ok=True)
    (database / "dash.list").write_text(f"/.\n{shell}\n")
    (database.parent / "status").write_text(
        "Package: dash\nStatus: install ok installed\nArchitecture: all\nMaintainer: Ann <ann@bee.example>\n"
        "Version: 1\nDescription: a shell\n"
    )
    programs = folder / "rpmless"
    programs.mkdir(exist_ok=True)
    if not (programs / "rpm").exists():
        (programs / "rpm").symlink_to("/bin/false")
    env = {"DPKG_ADMINDIR": str(database.parent), "PATH": f"{programs}:{os.environ['PATH']}"}
    return run(["/bin/bash", "-c", script], env=env, check=False).returncode


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg is not installed")
@releases_of("bigtop/merged-usr")
def test_debian_is_recognised_under_either_name_of_the_shell(bigtop: Bigtop, tmp_path: Path) -> None:
    def question(name: str = "") -> str:
        found = re.search(
            r'"/bin/bash", "-c",\s*"""(.*?)"""', bigtop.read("packages.gradle", name), re.DOTALL
        )
        assert found
        return found[1]

    assert [asks_dpkg(question(), path, tmp_path) for path in ("/bin/sh", "/usr/bin/sh")] == [1, 0]
    told = question("bigtop/merged-usr")
    assert [asks_dpkg(told, path, tmp_path) for path in ("/bin/sh", "/usr/bin/sh", "/bin/csh")] == [1, 1, 0]


@needs_gradle
@releases_of("bigtop/changelog-date")
def test_a_changelog_has_the_date_it_is_given(
    bigtop: Bigtop, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(
        r"^def getDate\(\) \{.*?^\}",
        bigtop.read("packages.gradle", "bigtop/changelog-date"),
        re.MULTILINE | re.DOTALL,
    )
    assert found
    (tmp_path / "build.gradle").write_text(f"{found[0]}\ntask date {{ doLast {{ println getDate() }} }}\n")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert "Tue, 14 Nov 2023 22:13:20 +0000" in gradle(tmp_path, "--quiet", "--offline", "date", home=home)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    today = run(["date", "+%Y"]).text
    assert f" {today} " in gradle(tmp_path, "--quiet", "--offline", "date", home=home)


@releases_of("bigtop/dead-maven-hosts")
def test_no_proxy_is_set_up_for_conjars_or_by_http(bigtop: Bigtop) -> None:
    def hosts(name: str = "") -> list[str]:
        return re.findall(r'"name": *"[^"]+", *"url" ?: *"([^"]+)"', bigtop.read("build.gradle", name))

    before, after = hosts(), hosts("bigtop/dead-maven-hosts")
    assert "http://conjars.org" in before
    assert len(after) == len(before) - 1
    assert all(url.startswith("https://") and "conjars" not in url for url in after)


@releases_of("bigtop/toolchain-groovy-syntax")
def test_puppet_can_read_the_class_that_fetches_groovy(bigtop: Bigtop, tmp_path: Path) -> None:
    texts = [bigtop.read(PUPPET_CLASS), bigtop.read(PUPPET_CLASS, "bigtop/toolchain-groovy-syntax")]
    odd = [[line for line in text.splitlines() if line.count('"') % 2] for text in texts]
    assert len(odd[0]) == 1
    assert odd[1] == []
    if shutil.which("puppet"):
        statuses = []
        for number, text in enumerate(texts):
            (file := tmp_path / f"{number}.pp").write_text(text)
            statuses.append(run(["puppet", "parser", "validate", file], check=False).returncode)
        assert statuses == [1, 0]


@releases_of("bigtop/toolchain-groovy-host")
def test_groovy_comes_from_a_host_that_lives(bigtop: Bigtop) -> None:
    assert "dl.bintray.com" in bigtop.read(PUPPET_CLASS)
    text = bigtop.read(PUPPET_CLASS, "bigtop/toolchain-groovy-host")
    assert "bintray" not in text
    assert "https://archive.apache.org/dist/groovy/${groovy_version}/distribution/${groovy}.zip" in text


@pytest.mark.parametrize("component", ["hive", "spark"])
@pytest.mark.parametrize("release", ["3.0.1", "3.2.1"])
def test_no_package_of_a_component_depends_on_python_2(component: str, bigtop: Bigtop) -> None:
    def asking(name: str = "") -> list[str]:
        text = bigtop.read(f"bigtop-packages/src/deb/{component}/control", name)
        told = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
        packages = (one for one in Deb822.iter_paragraphs(told) if "Package" in one)
        return [one["Package"] for one in packages if re.search(r"\bpython\b", one.get("Depends", ""))]

    assert asking() == {"hive": ["hive", "hive-hcatalog"], "spark": ["spark-python"]}[component]
    assert asking(f"bigtop/{component}-without-python") == []


class Jsvc:
    """commons-daemon's C sources as a release builds them, with some of our patches on top."""

    def __init__(self, bigtop: Bigtop, folder: Path) -> None:
        self._bigtop, self._folder = bigtop, folder
        self._source = next(
            source
            for component in bigtop.recipe.components
            for source in component.sources
            if component.name == "bigtop-jsvc" and source.kind == "maven"
        )
        env = {
            "BIGTOP_BUILDER_CACHE_DIR": str(bigtop.cache),
            "BIGTOP_BUILDER_GRADLE": "system",
            "BIGTOP_BUILDER_SOURCES__KINDS": '["maven"]',
            "BIGTOP_BUILDER_MIRRORS__GIT": json.dumps(dict(bigtop.site.mirrors.git)),
        }
        fetch = ["source", "fetch", bigtop.recipe.release, "-c", "bigtop-jsvc"]
        run([sys.executable, "-m", "bigtop_builder", f"--project={ROOT}", *fetch], env=env)

    def errors(self, *words: str, patches: tuple[str, ...] = ()) -> str:
        """What the compiler refuses in the sources with these patches, after Bigtop's own."""
        folder = self._folder / f"jsvc-{len(list(self._folder.glob('jsvc-*')))}"
        for path, content in self._files(patches):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        files = [f"{name}.c" for name in PORTABLE_C]
        flags = ["-fsyntax-only", "-DOS_LINUX", "-DDSO_DLFCN", '-DCPU="amd64"', *words]
        said = run([*compiler(), *flags, *files], cwd=folder / "unix/native", check=False).complaint
        return "\n".join(line for line in said.splitlines() if " error: " in line)

    def _files(self, patches: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        release = self._bigtop.recipe.release
        site, workspace = self._bigtop.site, self._bigtop.workspace
        source = source_tree(self._source, workspace=workspace, settings=site, recipe_dir=RECIPES)
        assert source is not None
        bigtop = self._bigtop.tree()
        series = upstream_series(bigtop.git, bigtop.id, bigtop.bom.components["bigtop-jsvc"])
        diffs = [one.diff for one in series.patches]
        diffs += [ENTRIES[f"bigtop-jsvc/{name}"].at(release).diff for name in patches]
        with Index.temporary(source.mirror, workspace.objects) as index:
            done = tuple(apply_series(index, source.id, diffs))
            assert [one.refusals for one in done] == [()] * len(diffs)
            tree = done[-1].tree if done else source.id
            assert tree is not None
            names = index("ls-tree", "-r", "--name-only", tree, "--", "unix/native").text.splitlines()
            for name in names:
                yield name, index("cat-file", "blob", f"{tree}:{name}").stdout


def compiler() -> list[str]:
    """The C compiler's command."""
    return shlex.split(os.environ.get("CC", "cc"))


@pytest.fixture(name="jsvc")
def fixture_jsvc(bigtop: Bigtop, tmp_path: Path) -> Jsvc:
    if shutil.which(compiler()[0]) is None:
        pytest.skip(f"{compiler()[0]} is not installed")
    return Jsvc(bigtop, tmp_path)


@pytest.mark.network
@releases_of("bigtop-jsvc/c23-bool")
def test_jsvc_compiles_as_c23(jsvc: Jsvc, bigtop: Bigtop, tmp_path: Path) -> None:
    (probe := tmp_path / "probe.c").write_text("bool b = true;\n")
    asked = [*compiler(), "-std=gnu2x", "-fsyntax-only", probe.name]
    if run(asked, cwd=tmp_path, check=False).returncode != 0:
        pytest.skip(f"{compiler()[0]} knows no bool of C23 (gcc does from 13 on)")
    others = [name for name in ENTRIES if bigtop.recipe.release in ENTRIES[name].facts.releases]
    local = [name.partition("/")[2] for name in others if name.startswith("bigtop-jsvc/")]
    without = tuple(name for name in local if name != "c23-bool")
    assert "jsvc.h" in jsvc.errors("-std=gnu2x", patches=without)
    assert jsvc.errors("-std=gnu2x", patches=tuple(local)) == ""


@pytest.mark.network
@releases_of("bigtop-jsvc/sigaction-handler")
def test_jsvc_compiles_where_pointers_of_another_type_are_errors(jsvc: Jsvc) -> None:
    strict = ("-std=gnu17", "-Werror=incompatible-pointer-types")
    assert "incompatible pointer type" in jsvc.errors(*strict)
    assert jsvc.errors(*strict, patches=("sigaction-handler",)) == ""

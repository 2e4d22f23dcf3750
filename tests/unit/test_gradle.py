# SPDX-License-Identifier: Apache-2.0
"""What Bigtop's Gradle is given: command, environment, files, distribution."""

import hashlib
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bigtop_builder import gradle
from bigtop_builder.errors import InputError, TreeError
from bigtop_builder.recipe import Component, Recipe, load_recipe
from bigtop_builder.run import run
from bigtop_builder.settings import Mirrors, Settings
from bigtop_builder.survey import survey
from bigtop_builder.templates import groovy
from bigtop_builder.tree import Tree
from bigtop_builder.workspace import Project

WORKDIR = "/work"
SPACE = "{http://maven.apache.org/SETTINGS/1.0.0}"
NASTY = "<&\"'> ]]>"


@pytest.fixture
def recipe(project: Project) -> Recipe:
    return load_recipe("1.0.0", project.recipes)[0]


@pytest.fixture
def salute(recipe: Recipe) -> Component:
    return recipe.component("salute")


@pytest.fixture
def wrapper(settings: Settings) -> Settings:
    return settings.model_copy(update={"gradle": "wrapper"})


@pytest.fixture
def tree(project: Project, settings: Settings) -> Tree:
    return survey("1.0.0", project=project, settings=settings).tree


def environment(recipe: Recipe, component: Component, settings: Settings) -> dict[str, str]:
    given = gradle.environment(
        recipe, component, settings, stamp="1+bt1.0.0.1~deb12", epoch=1234, workdir=WORKDIR
    )
    return dict(given)


def settings_xml(recipe: Recipe, component: Component, settings: Settings) -> ET.Element:
    return ET.fromstring(gradle.files(recipe, component, settings)["home/.m2/settings.xml"])  # noqa: S314  # our own


def test_the_task_is_the_components_deb(recipe: Recipe, salute: Component, settings: Settings) -> None:
    assert gradle.command(recipe, salute, settings, workdir=WORKDIR) == (
        "gradle",
        "--no-daemon",
        "-I",
        "/work/init.gradle",
        "salute-deb",
    )


def test_with_the_wrapper_bigtops_own_script_is_run(
    recipe: Recipe, salute: Component, wrapper: Settings
) -> None:
    assert gradle.command(recipe, salute, wrapper, workdir=WORKDIR)[0] == "./gradlew"


def test_properties_come_in_order_and_the_components_win(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    shared = recipe.gradle.model_copy(update={"properties": {"buildThreads": "2", "a": "b c"}})
    own = salute.model_copy(update={"gradle_properties": {"buildThreads": "1"}})
    command = gradle.command(recipe.model_copy(update={"gradle": shared}), own, settings, workdir=WORKDIR)
    assert command[4:] == ("-Pa=b c", "-PbuildThreads=1", "salute-deb")


def test_a_build_sees_its_stamp_the_commits_time_and_a_home_of_its_own(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    assert environment(recipe, salute, settings) == {
        "HOME": "/work/home",
        "GRADLE_USER_HOME": "/work/home/.gradle",
        "BIGTOP_BUILD_STAMP": "1+bt1.0.0.1~deb12",
        "BIGTOP_JDK": "17",
        "SOURCE_DATE_EPOCH": "1234",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


def test_a_components_variables_win_over_the_recipes(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    image = recipe.image.model_copy(update={"environment": {"A": "recipe", "TZ": "Europe/Berlin"}})
    own = salute.model_copy(update={"environment": {"A": "component"}})
    given = environment(recipe.model_copy(update={"image": image}), own, settings)
    assert (given["A"], given["TZ"]) == ("component", "Europe/Berlin")


@pytest.mark.parametrize("own", [{}, {"MAVEN_OPTS": "-Xmx2g"}])
def test_mavens_home_is_the_rooms_whatever_a_components_script_gives_maven(
    recipe: Recipe, salute: Component, settings: Settings, tmp_path: Path, own: dict[str, str]
) -> None:
    maven = recipe.maven.model_copy(update={"options": ("-Xmx1g",)})
    given = gradle.files(recipe.model_copy(update={"maven": maven}), salute, settings)
    (tmp_path / ".mavenrc").write_text(given["home/.mavenrc"], encoding="utf-8")
    script = '. "$HOME/.mavenrc"; echo $MAVEN_OPTS'
    told = run(["sh", "-c", script], env={"HOME": str(tmp_path), **own}).text.split()
    assert told == [*own.values(), f"-Duser.home={tmp_path}", "-Xmx1g"]


def test_maven_goes_to_the_sites_mirror_under_the_tools_fixed_id(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    site = settings.model_copy(update={"mirrors": Mirrors(maven="http://mirror.example/m?a=1&b=2")})
    mirror = settings_xml(recipe, salute, site).find(f".//{SPACE}mirror")
    assert mirror is not None
    assert {child.tag.removeprefix(SPACE): child.text for child in mirror} == {
        "id": "bigtop-builder",
        "mirrorOf": "*",
        "url": "http://mirror.example/m?a=1&b=2",
    }


def test_maven_properties_are_escaped_and_the_components_win(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    maven = recipe.maven.model_copy(update={"properties": {"rat.skip": "false", "words": NASTY}})
    own = salute.model_copy(update={"maven_properties": {"rat.skip": "true"}})
    xml = settings_xml(recipe.model_copy(update={"maven": maven}), own, settings)
    properties = xml.find(f".//{SPACE}profile/{SPACE}properties")
    assert properties is not None
    assert [(child.tag.removeprefix(SPACE), child.text) for child in properties] == [
        ("rat.skip", "true"),
        ("words", NASTY),
    ]
    active = [element.text for element in xml.iterfind(f".//{SPACE}activeProfile")]
    assert active == [element.text for element in xml.iterfind(f".//{SPACE}profile/{SPACE}id")]


@pytest.mark.parametrize("name", ["a b", "1a", "a><b", ""])
def test_a_property_that_is_no_xml_name_is_refused(
    recipe: Recipe, salute: Component, settings: Settings, name: str
) -> None:
    own = salute.model_copy(update={"maven_properties": {name: "x"}})
    with pytest.raises(InputError, match=f"Maven property {re.escape(repr(name))} of component salute"):
        gradle.files(recipe, own, settings)


def test_the_init_script_names_the_sites_repositories(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    mirrors = Mirrors(maven="http://mirror.example/maven", gradle_plugins="http://mirror.example/plugins")
    script = gradle.files(recipe, salute, settings.model_copy(update={"mirrors": mirrors}))["init.gradle"]
    assert "'http://mirror.example/maven'" in script
    assert "'http://mirror.example/plugins'" in script
    assert "{{" not in script


def test_urls_with_quotes_and_dollars_stay_what_they_are(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    url = """http://mirror.example/a'b"c/$d/${e}\\n<f>?g=1&h=2"""
    site = settings.model_copy(update={"mirrors": Mirrors(maven=url, gradle_plugins=f"{url}'")})
    script = gradle.files(recipe, salute, site)["init.gradle"].splitlines()
    escaped = r"""http://mirror.example/a\'b"c/$d/${e}\\n<f>?g=1&h=2"""
    assert f"def central = '{escaped}'" in script
    assert f"def portal = '{escaped}\\''" in script
    assert settings_xml(recipe, salute, site).findtext(f".//{SPACE}mirror/{SPACE}url") == url


@pytest.mark.skipif(shutil.which("groovy") is None, reason="groovy is not installed")
def test_groovy_reads_a_literal_as_what_it_was() -> None:
    text = """'it"s' $a ${b} \\u0041 \\"""
    assert run(["groovy", "-e", f"print {groovy(text)}"]).text == text


def test_without_a_proxy_none_is_configured(recipe: Recipe, salute: Component, settings: Settings) -> None:
    assert settings_xml(recipe, salute, settings).find(f"{SPACE}proxies") is None
    assert gradle.files(recipe, salute, settings)["home/.gradle/gradle.properties"] == ""


def test_a_proxy_reaches_gradle_maven_and_the_rest(
    recipe: Recipe, salute: Component, settings: Settings
) -> None:
    site = settings.model_copy(
        update={"proxy": "http://proxy.example:3128", "no_proxy": "localhost, .example"}
    )
    given = environment(recipe, salute, site)
    assert (given["http_proxy"], given["https_proxy"], given["no_proxy"]) == (
        "http://proxy.example:3128",
        "http://proxy.example:3128",
        "localhost,.example",
    )
    assert gradle.files(recipe, salute, site)["home/.gradle/gradle.properties"].splitlines() == [
        "systemProp.http.proxyHost=proxy.example",
        "systemProp.http.proxyPort=3128",
        "systemProp.https.proxyHost=proxy.example",
        "systemProp.https.proxyPort=3128",
        "systemProp.http.nonProxyHosts=localhost|*.example",
    ]
    proxies = settings_xml(recipe, salute, site).findall(f".//{SPACE}proxy")
    assert [
        [proxy.findtext(f"{SPACE}{key}") for key in ("protocol", "host", "port", "nonProxyHosts")]
        for proxy in proxies
    ] == [[scheme, "proxy.example", "3128", "localhost|*.example"] for scheme in ("http", "https")]


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "http://proxy.example", "http://proxy.example:port"])
def test_a_proxy_without_host_or_port_is_refused(
    recipe: Recipe, salute: Component, settings: Settings, proxy: str
) -> None:
    with pytest.raises(InputError, match="is no URL with host and port"):
        gradle.files(recipe, salute, settings.model_copy(update={"proxy": proxy}))


def test_the_distribution_goes_where_bigtops_wrapper_looks(
    recipe: Recipe, tree: Tree, wrapper: Settings
) -> None:
    site = wrapper.model_copy(
        update={"mirrors": Mirrors(gradle_distributions="http://mirror.example/gradle")}
    )
    wanted = b"https://services.gradle.org/distributions/gradle-5.6.4-bin.zip"
    key = hashlib.md5(wanted, usedforsecurity=False).hexdigest()
    assert gradle.distribution(recipe, tree, site) == gradle.Distribution(
        url="http://mirror.example/gradle/gradle-5.6.4-bin.zip",
        sha256=recipe.gradle.sha256,
        folder=f"home/.gradle/wrapper/dists/gradle-5.6.4-bin/{key}",
        file="gradle-5.6.4-bin.zip",
    )


def test_the_systems_gradle_needs_no_distribution(recipe: Recipe, tree: Tree, settings: Settings) -> None:
    assert gradle.distribution(recipe, tree, settings) is None


def test_a_wrapper_of_another_version_than_the_recipes_is_refused(
    recipe: Recipe, tree: Tree, wrapper: Settings
) -> None:
    other = recipe.gradle.model_copy(update={"version": "4.10.3"})
    with pytest.raises(TreeError, match=r"asks for gradle-5\.6\.4-bin\.zip, the recipe pins Gradle 4\.10\.3"):
        gradle.distribution(recipe.model_copy(update={"gradle": other}), tree, wrapper)


def test_a_tree_without_a_wrapper_is_refused(project: Project, recipe: Recipe, wrapper: Settings) -> None:
    path = project.recipes / "1.0.0.toml"
    path.write_text(path.read_text().replace("[bigtop]\n", '[bigtop]\nexclude = ["gradle"]\n'))
    bare = survey("1.0.0", project=project, settings=wrapper).tree
    with pytest.raises(TreeError, match="no distributionUrl") as refusal:
        gradle.distribution(recipe, bare, wrapper)
    assert refusal.value.hint == 'set gradle = "system"'


def test_a_recipe_cannot_change_the_stamp(recipe: Recipe, salute: Component, settings: Settings) -> None:
    own = salute.model_copy(update={"environment": {"BIGTOP_BUILD_STAMP": "1", "HOME": "/root"}})
    given = environment(recipe, own, settings)
    assert (given["BIGTOP_BUILD_STAMP"], given["HOME"]) == ("1+bt1.0.0.1~deb12", "/work/home")

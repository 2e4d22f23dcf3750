# SPDX-License-Identifier: Apache-2.0
"""Reading a bigtop.bom without Groovy."""

import dataclasses
import re

import pytest

from bigtop_builder.bom import Bom, Component, block_of, graft, overlay, parse_bom
from bigtop_builder.errors import InputError, TreeError

STACK = """
/* Two mirrors,
   and what is built. */
bigtop {
  version = "9.1.0-SNAPSHOT"   // the stack's own
  base_version = version.takeWhile { it != '-' }
  stack { 'jdk' { version = "1." + ( System.getenv('JDK') ?: "8" ); version_base = version } }
  mirrors { MAIN = "https://main.example"; OLD = "https://old.example/dist" }
  dependencies = [
    tools:['lake', "river",
           'gone'],
    'lake':['river', 'sea'],
    river:['sea'],
  ]
  components {
    'sea' {
      name    = 'sea'
      pkg     = 'sea-core'
      version { base = '3.0'; pkg = base; release = 2 }
      tarball { destination = "$name-${version.base}.tar.gz"
                source      = "apache-${name}-${version.base}-src.tgz" }
      url     { path = "/$name/$name-${version.base}"
                site = "${mirrors.MAIN}/${path}"
                archive = "${mirrors.OLD}/${path}" }
      maven_parallel_build = true
    }
    river {
      name = 'river'
      version { base = '1.2' }
      tarball { source = "v${version.base}.zip"; destination = source }
      git { repo = 'https://git.example/river'; ref = "v${version.base}"; dir = null; token = 'hush' }
    }
    'lake' { name = "lake"; version { base = bigtop.version; pkg = base-"-SNAPSHOT"; release = 1 } }
    'tools' { name = 'tools'; version { base = bigtop.base_version.replace(".", "_") } }
    'selector' { name = 'selector'; version { base = '1' }; packaging = 'rpm' }
  }
}
"""


def value_of(expression: str, *, before: str = "", environment: dict[str, str] | None = None) -> str:
    """What an expression evaluates to, read through a component's site."""
    text = (
        f"{before}\nbigtop {{ version = '1'; components {{ x {{ name = 'x'; version {{ base = '1' }}\n"
        f"url {{ site = {expression}\n}}\n}} }} }}"
    )
    return parse_bom(text, environment=environment or {}).components["x"].site or ""


@pytest.fixture(name="stack", scope="module")
def fixture_stack() -> Bom:
    return parse_bom(STACK)


def ordering(dependencies: str, *names: str) -> Bom:
    components = "\n".join(f"{name} {{ name = '{name}'; version {{ base = '1' }} }}" for name in names)
    return parse_bom(
        f"bigtop {{ version = '1'\ndependencies = {dependencies}\ncomponents {{\n{components}\n}} }}"
    )


def test_a_component_has_all_that_its_blocks_say(stack: Bom) -> None:
    assert stack.components["sea"] == Component(
        name="sea",
        pkg="sea-core",
        base_version="3.0",
        pkg_version="3.0",
        release="2",
        tarball_source="apache-sea-3.0-src.tgz",
        tarball_destination="sea-3.0.tar.gz",
        packaging=None,
        git={},
        site="https://main.example//sea/sea-3.0",
        archive="https://old.example/dist//sea/sea-3.0",
        maven_parallel_build=True,
    )


def test_what_is_not_said_gets_the_defaults_of_bigtop(stack: Bom) -> None:
    tools = stack.components["tools"]
    assert (tools.pkg, tools.pkg_version, tools.release) == ("tools", "9_1_0", "1")
    assert (tools.tarball_source, tools.tarball_destination, tools.site, tools.packaging) == (None,) * 4
    assert not tools.maven_parallel_build


def test_git_settings_are_those_that_are_set_and_never_a_secret(stack: Bom) -> None:
    assert stack.components["river"].git == {"repo": "https://git.example/river", "ref": "v1.2"}
    assert "hush" not in repr(stack)


def test_components_keep_their_order_and_the_stack_its_version(stack: Bom) -> None:
    assert list(stack.components) == ["sea", "river", "lake", "tools", "selector"]
    assert (stack.version, stack.components["lake"].pkg_version) == ("9.1.0-SNAPSHOT", "9.1.0")


def test_components_can_be_compared_hashed_and_turned_into_plain_values(stack: Bom) -> None:
    assert len(set(stack.components.values())) == 5
    assert dataclasses.asdict(stack)["components"]["river"]["git"]["ref"] == "v1.2"


def test_only_rpms_are_made_where_packaging_says_so(stack: Bom) -> None:
    assert [name for name, component in stack.components.items() if not component.has_deb] == ["selector"]


def test_the_dependency_map_is_kept_whole_and_read_backwards(stack: Bom) -> None:
    assert stack.dependents["tools"] == ("lake", "river", "gone")
    assert stack.dependencies_of("sea") == ("river", "lake")
    assert stack.dependencies_of("tools") == ()


def test_dependencies_that_the_release_lacks_or_builds_as_rpm_only_are_left_out() -> None:
    bom = parse_bom(
        "bigtop { version = '1'; dependencies = [gone: ['x'], r: ['x'], d: ['x']]\ncomponents {\n"
        + "\n".join(
            f"{name} {{ name = '{name}'; version {{ base = '1' }}; packaging = {packaging} }}"
            for name, packaging in (("x", "null"), ("r", "'RPM'"), ("d", "'deb'"))
        )
        + "\n} }"
    )
    assert bom.dependencies_of("x") == ("d",)


def test_the_build_order_puts_dependencies_first_and_keeps_file_order_otherwise(stack: Bom) -> None:
    assert stack.build_order(["selector", "tools", "lake", "river", "sea"]) == (
        "tools",
        "lake",
        "river",
        "sea",
        "selector",
    )
    assert ordering("[c: ['a']]", "a", "b", "c", "d").build_order("dcba") == ("b", "c", "a", "d")


def test_a_component_is_built_on_what_it_needs_through_one_that_is_not_built() -> None:
    bom = ordering("[a: ['b', 'd'], b: ['c'], c: ['d']]", "a", "b", "c", "d")
    assert bom.nearest("d", "abc") == ("a", "c"), "its own needs stand, also where one is behind another"
    assert bom.nearest("d", "ab") == ("a", "b")
    assert bom.nearest("c", "a") == ("a",)
    assert bom.nearest("a", "bcd") == ()
    bom = ordering("[a: ['b'], b: ['d'], c: ['d'], a: ['b', 'c']]", "a", "b", "c", "d")
    assert bom.nearest("d", "ab") == ("b",), "a reaches d through c too, and b's id holds it already"


def test_the_build_order_is_of_exactly_the_names_given_and_looks_through_others(stack: Bom) -> None:
    assert stack.build_order(["sea", "tools"]) == ("tools", "sea")
    assert ordering("[c: ['b'], b: ['a']]", "a", "b", "c", "d").build_order(["a", "c", "d"]) == (
        "c",
        "a",
        "d",
    )
    assert stack.build_order([]) == ()


def test_a_cycle_is_refused_by_name_but_only_where_it_is_needed() -> None:
    bom = ordering("[a: ['b'], b: ['c'], c: ['a']]", "a", "b", "c", "d")
    with pytest.raises(TreeError, match=r"need each other: (a → .*c → .*|b → .*|c → .*)") as caught:
        bom.build_order(["b"])
    assert {"a", "b", "c"} <= set(caught.value.brief.split())
    assert bom.build_order(["d"]) == ("d",)


def test_an_unknown_component_is_answered_with_those_there_are(stack: Bom) -> None:
    with pytest.raises(InputError, match="no component 'lagoon'") as caught:
        stack.build_order(["lagoon"])
    assert "sea, river, lake" in caught.value.hint
    with pytest.raises(InputError, match="no component 'gone'"):
        stack.dependencies_of("gone")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'$a ${b} is plain'", "$a ${b} is plain"),
        (r'''"a\$b\t\\ \u0041 \"q\" 'r'"''', "a$b\t\\ A \"q\" 'r'"),
        (r"'it\'s \n'", "it's \n"),
        ("'a' + 1 + 2.50 + true", "a12.50true"),
        ("1 + 'a'", "1a"),
        ("'a-b-a-b' - 'a-'", "b-a-b"),
        ("'a-b' - 'c'", "a-b"),
        ("'a.b.c'.replace('.', '')", "abc"),
        ("'1.2-rc'.takeWhile { it != '-' } + 'x'", "1.2x"),
        ("'aab'.takeWhile { it == 'a' }", "aa"),
        ("'' ?: null ?: 'third'", "third"),
        ("'first' ?: nowhere", "first"),
        ("('a' + ('b' ?: 'c'))", "ab"),
        ("'a' +\n 'b'", "ab"),
        ("\n 'next line'", "next line"),
        ("(\n'a' + 'b'\n)", "ab"),
        ("'a' /* b\n */ // c", "a"),
        ("map.inner.key", "found"),
        ("\"<${map.inner.key}> $map.inner.key. ${ 'x' + 1 }\"", "<found> found. x1"),
        ('"$itself $nullable $System_x"', "1 2 3"),
    ],
)
def test_expressions_have_the_value_that_groovy_gives_them(expression: str, value: str) -> None:
    before = "map = [inner: ['key': 'found', other: [1, true, null,]], empty: [:], none: []]\n"
    before += "itself = 1; nullable = 2; System_x = 3"
    assert value_of(expression, before=before) == value


def test_the_environment_is_the_callers_and_empty_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JDK", "21")
    expression = "System.getenv('JDK') ?: '8'"
    assert value_of(expression) == "8"
    assert value_of(expression, environment={"JDK": "17"}) == "17"


def test_a_block_sees_outer_names_and_shadows_them_only_inside() -> None:
    before = "n = 'top'\na { seen = n; n = 'inner'; b { c = n } }\nafter = n"
    assert value_of('"${a.seen} ${a.b.c} $after"', before=before) == "top inner top"


def test_a_later_block_of_the_same_name_adds_and_overrides() -> None:
    before = "a { b { x = 'old'; y = x } }\na { b { x = 'new'; z = y } }"
    assert value_of('"${a.b.x} ${a.b.y} ${a.b.z}"', before=before) == "new old old"


def test_a_block_replaces_a_plain_value_and_a_map() -> None:
    assert value_of("a.x + b.x", before="a = 'text'\na { x = 1 + '' }\nb = [y: 2]\nb { x = '3' }") == "13"


def test_a_dotted_name_is_set_in_the_block_of_that_name_around_or_makes_one() -> None:
    before = "a { name = 'a'; a.kind = 'K'; seen = \"${a.kind}\" }\np.q.r = 'deep'"
    assert value_of("a.seen + a.kind + p.q.r", before=before) == "KKdeep"


def test_what_stood_around_a_block_when_first_opened_is_not_seen_when_it_is_opened_again() -> None:
    with pytest.raises(TreeError, match="here: this name is unknown"):
        value_of("'x'", before="a { here = 1; b { c = here } }\na { b { d = here } }")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a = 1 b = 2", "1:7: b: not known"),
        ("a {\n  b = 1\n", "2:8: the end: not known"),
        ("a { } }", "1:7: }: not known"),
        ("a\n= 1", "1:2: the end of the line: not known"),
        ("def a = 1", "1:5: a: not known"),
        ("if (a) { }", "1:4: (: not known"),
        ("a = 'b", "1:5: ': not known"),
        ("a = '''b'''", "1:7: 'b': not known"),
        ("a = 017", "1:5: 0: not known"),
        ("a = [b: 1, 2]", "1:12: 2: not known"),
        ("a = b ? 1 : 2", "1:7: ?: not known"),
        ("a = 'x'.foo()", "1:12: (: not known"),
        ("a = 'x'.size", "1:9: size: unknown here"),
        ("a = System.exit(1)", "1:12: exit: not known"),
        ("a = 'x'\n  - 'y'", "2:3: -: not known"),
        ("a = 1 + 2", "1:5: +: joins only texts"),
        ("a = 2 - 1", "1:5: a number: a text is needed"),
        ("a = 'x' + null", "1:11: null: a text is needed"),
        ("a = 'x'\nb { c = \"y $a ${a.b}\" }", "2:19: b: unknown here"),
        ('a = "${[1]}"', "1:8: a list: a text is needed"),
        ("b { }\na = 'x' + [:]", "2:11: a map: a text is needed"),
        ('b { c = 1 }\na = "$b"', "2:7: a block: a text is needed"),
        ("a = true.replace('t', 'T')", "1:5: a boolean: a text is needed"),
        ('a = "${ }"', "1:8: the end: not known"),
        ('a = "5 $"', "1:5: $: not known in a string"),
        (r"a = '\q'", "1:5: \\: not known in a string"),
        ("a = nowhere", "1:5: nowhere: this name is unknown"),
        ("a = null\nb = a", "2:5: a: this name is unknown"),
        ("a = 1\na.b = 2", "2:1: a: is no block"),
        ("a.b = 1; a.b.c = 2", "1:10: a: is no block"),
    ],
)
def test_what_is_not_known_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(TreeError, match=f"^{re.escape(f'some.bom:{complaint}')}") as caught:
        parse_bom(text, source="some.bom")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("inside", "complaint"),
    [
        ("", "bigtop.version is missing"),
        ("version = ['1']", "bigtop.version is no text"),
        ("version = '1'; components = 3", "bigtop.components is no block"),
        ("version = '1'; components { a = 'b' }", "bigtop.components.a is no block"),
        ("version = '1'; components { a { version { base = '1' } } }", "bigtop.components.a.name is missing"),
        ("version = '1'; components { a { name = 'a' } }", "bigtop.components.a.version.base is missing"),
        ("version = '1'; components { a { name = 'b' } }", "component 'a' calls itself 'b'"),
        ("version = '1'; dependencies = [a: 'b']", "bigtop.dependencies.a is no list of names"),
        ("version = '1'; dependencies = [a: ['b', 1]]", "bigtop.dependencies.a is no list of names"),
    ],
)
def test_a_file_that_is_no_bill_of_materials_is_refused(inside: str, complaint: str) -> None:
    with pytest.raises(TreeError, match=f"^{re.escape(f'bigtop.bom: {complaint}')}"):
        parse_bom(f"bigtop {{ {inside} }}")


def test_an_overlay_changes_version_and_tarball_clears_git_and_leaves_the_rest(stack: Bom) -> None:
    changed = parse_bom(
        STACK.rstrip()
        + overlay("river", version="1.3~rc1", tarball_source="r.zip", tarball_destination="r-1.3.zip")
    )
    assert changed.components["river"] == dataclasses.replace(
        stack.components["river"],
        base_version="1.3~rc1",
        pkg_version="1.3~rc1",
        tarball_source="r.zip",
        tarball_destination="r-1.3.zip",
        git={},
    )
    assert {**changed.components, "river": None} == {**stack.components, "river": None}
    assert (changed.version, changed.dependents) == (stack.version, stack.dependents)


def test_an_overlay_of_a_component_that_is_not_there_is_refused_when_read() -> None:
    with pytest.raises(TreeError, match=r"components\.lagoon\.name is missing"):
        parse_bom(STACK + overlay("lagoon", version="1", tarball_source="a", tarball_destination="b"))


@pytest.mark.parametrize(
    "value", ["", "1'", 'a"', "a$b", "${x}", "1\n", "a b", "../a", "a/b", ".a", "a\\", "é"]
)
def test_an_overlay_takes_no_value_that_could_leave_its_quotes_or_its_folder(value: str) -> None:
    good = {"version": "1.0", "tarball_source": "a.zip", "tarball_destination": "a.tgz"}
    with pytest.raises(InputError, match=r"^component .* does not fit"):
        overlay(value, **good)
    for key in good:
        with pytest.raises(InputError, match=r"does not fit into bigtop\.bom"):
            overlay("x", **{**good, key: value})


def test_a_block_is_found_as_it_is_written_whatever_stands_around_it() -> None:
    text = "bigtop { components { // 'a' { }\n  b { x = '}' }\n  'a' { x = 1 /* } */; y { z = 2 } } } }\n"
    assert block_of(text, "a") == "'a' { x = 1 /* } */; y { z = 2 } }"
    assert block_of(text, "b") == "b { x = '}' }"
    assert block_of(text, "y") == ""


def test_blocks_of_one_name_are_taken_together() -> None:
    text = "bigtop { components { a { x = 1 } } }\nother { a { x = 2 } }\nbigtop { components { 'a' { y = 3 } } }\n"
    assert block_of(text, "a") == "a { x = 1 }\n    'a' { y = 3 }"


def test_grafted_blocks_see_what_their_neighbours_see(stack: Bom) -> None:
    grafted = graft(STACK, ["'lagoon' { name = 'lagoon'; version { base = bigtop.version } }"], {})
    read = parse_bom(grafted).components
    assert read["lagoon"].base_version == stack.version
    assert {**read, "lagoon": None} == {**stack.components, "lagoon": None}


def test_a_grafted_map_of_dependencies_stands_in_for_the_files_own() -> None:
    dependents = {"it's": ("river", "back\\slash"), "river": ()}
    assert parse_bom(graft(STACK, [], dependents)).dependents == dependents


def test_a_file_without_components_takes_no_graft() -> None:
    with pytest.raises(TreeError, match=r"a file: bigtop\.components is missing"):
        graft("bigtop { version = '1' }", [], {}, source="a file")

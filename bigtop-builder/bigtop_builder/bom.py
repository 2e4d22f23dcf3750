# SPDX-License-Identifier: Apache-2.0
"""A release's `bigtop.bom`: what it builds, in which versions, from which tarballs, in which order.

The file is a script for Groovy's ConfigSlurper. It is read here without a JVM, so that a plan is pure and
takes milliseconds. Only the Groovy that Bigtop's releases use is known; all else is refused, never guessed.
"""

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias, cast

from bigtop_builder.errors import InputError, TreeError

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

Value: TypeAlias = "str | int | Decimal | list[Value] | dict[str, Value] | None"
"""What a name in the file can stand for; bool is an int."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component, with the defaults that Bigtop's packages.gradle (`setDefaults`) fills in.

    Attributes:
        name: Key in the file, and name of the Gradle tasks.
        pkg: Name of the source package.
        base_version: `version.base`, upstream's version.
        pkg_version: `version.pkg`, the package's upstream part.
        release: `version.release`, the package's revision where no build stamp is given.
        tarball_source: File name at the download site; None where nothing is downloaded.
        tarball_destination: File name in `dl/`.
        packaging: The only kind of package it has ("rpm"), or None for all kinds.
        git: Those of repo, ref, dir and commit_hash that are set. Never user and token.
        site: First folder URL to download from.
        archive: Second folder URL.
        maven_parallel_build: It may be built with Maven threads.
    """

    name: str
    pkg: str
    base_version: str
    pkg_version: str
    release: str
    tarball_source: str | None
    tarball_destination: str | None
    packaging: str | None
    git: Mapping[str, str] = field(hash=False)
    site: str | None
    archive: str | None
    maven_parallel_build: bool

    @property
    def has_deb(self) -> bool:
        """Whether .debs of it can be built."""
        return self.packaging is None or self.packaging.lower() == "deb"


@dataclass(frozen=True, kw_only=True)
class Bom:
    """A whole `bigtop.bom`.

    Attributes:
        version: Bigtop's own version.
        components: By name, in file order.
        dependents: The file's `dependencies`: a component, and those that are built after it. Names that are
            no component of this release may occur.
    """

    version: str
    components: Mapping[str, Component]
    dependents: Mapping[str, tuple[str, ...]]

    def dependencies_of(self, name: str) -> tuple[str, ...]:
        """Return what is built right before a component, in file order.

        What the release lacks or builds as rpm only is left out.

        Raises:
            InputError: There is no such component.
        """
        self._require(name)
        return tuple(
            other
            for other, component in self.components.items()
            if component.has_deb and name in self.dependents.get(other, ())
        )

    def build_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return exactly these components, each after those it needs, otherwise in file order.

        A need that goes through a component outside `names` counts too.

        Raises:
            InputError: There is no such component.
            TreeError: Components need each other in a circle.
        """
        wanted = frozenset(names)
        needs = self._needs(wanted)
        rank = {name: number for number, name in enumerate(self.components)}
        sorter = TopologicalSorter({name: needs[name] & wanted for name in wanted})
        sorter.prepare()
        ready: list[tuple[int, str]] = []
        order = []
        while sorter.is_active():
            for name in sorter.get_ready():
                heapq.heappush(ready, (rank[name], name))
            order.append(heapq.heappop(ready)[1])
            sorter.done(order[-1])
        return tuple(order)

    def _needs(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """All that each of these components needs, directly or through others."""
        direct: dict[str, tuple[str, ...]] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in direct:
                direct[name] = self.dependencies_of(name)
                waiting.extend(direct[name])
        needs: dict[str, frozenset[str]] = {}
        try:
            for name in TopologicalSorter(direct).static_order():
                needs[name] = frozenset(direct[name]).union(*(needs[other] for other in direct[name]))
        except CycleError as error:
            raise TreeError(
                f"bigtop.bom of {self.version}: components need each other: {' → '.join(error.args[1])}",
                hint="take one of these pairs out of its dependencies",
            ) from error
        return needs

    def _require(self, name: str) -> None:
        if name not in self.components:
            raise InputError(
                f"Bigtop {self.version} has no component {name!r}",
                hint=f"its components are {', '.join(self.components)}",
            )


def parse_bom(
    text: str, *, source: str = "bigtop.bom", environment: Mapping[str, str] = MappingProxyType({})
) -> Bom:
    """Read a `bigtop.bom`.

    Args:
        text: The file's text.
        source: Its name, for errors.
        environment: What `System.getenv` finds. This process's own variables are never read.

    Raises:
        TreeError: It holds Groovy that is not known here, a name without a value, or no whole component.
    """
    bigtop = _Section(source, "", _Slurper(source, environment, [_Frame(_Block(), {})]).read(text)).section(
        "bigtop"
    )
    components = bigtop.section("components")
    return Bom(
        version=bigtop.need("version"),
        components={name: _component(name, components.section(name)) for name in components.values},
        dependents=bigtop.section("dependencies").lists(),
    )


def overlay(name: str, *, version: str, tarball_source: str, tarball_destination: str) -> str:
    """Return Groovy that, at the end of a `bigtop.bom`, gives a component another version and tarball.

    The component's git settings are cleared, so that Bigtop takes the file in `dl/` and never clones. An
    empty map does that in every release's packages.gradle; null would end it with an error.

    Args:
        name: The component.
        version: Its new `version.base` and `version.pkg`.
        tarball_source: File name at the download site; its ending decides how Bigtop unpacks.
        tarball_destination: File name in `dl/`.

    Raises:
        InputError: A value holds other characters than a version or a file name needs.
    """
    given = {
        "component": name,
        "version": version,
        "tarball source": tarball_source,
        "tarball destination": tarball_destination,
    }
    for what, value in given.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*", value):
            raise InputError(
                f"{what} {value!r} does not fit into bigtop.bom",
                hint="letters, digits and . + ~ _ - may be used, and a letter or digit comes first",
            )
    return (
        "\nbigtop { components { '" + name + "' {\n"
        f"  version {{ base = '{version}'; pkg = base }}\n"
        f"  tarball {{ source = '{tarball_source}'; destination = '{tarball_destination}' }}\n"
        "  git = [:]\n"
        "} } }\n"
    )


class _Section(NamedTuple):
    """A block of the evaluated file and its dotted path."""

    source: str
    path: str
    values: dict[str, Value]

    def section(self, key: str) -> "_Section":
        """The block of that name, an empty one where it is missing or null."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            self._refuse(key, "is no block")
        return _Section(self.source, self._path(key), value or {})

    def text(self, key: str) -> str | None:
        """The text of that name; null and the empty string are None, as both are false in Groovy."""
        value = self.values.get(key)
        if isinstance(value, list | dict):
            self._refuse(key, "is no text")
        return None if value is None or value == "" else _groovy_text(value)

    def need(self, key: str) -> str:
        """The text of that name."""
        return self.text(key) or self._refuse(key, "is missing")

    def lists(self) -> dict[str, tuple[str, ...]]:
        """The whole block as lists of texts."""
        return {key: self._names(key) for key in self.values}

    def _names(self, key: str) -> tuple[str, ...]:
        value = self.values[key]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._refuse(key, "is no list of names")
        return tuple(map(str, value))

    def _path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _refuse(self, key: str, what: str) -> NoReturn:
        raise TreeError(
            f"{self.source}: {self._path(key)} {what}",
            hint="the comment at the top of Bigtop's own bigtop.bom says what a component holds",
        )


def _component(label: str, raw: _Section) -> Component:
    if raw.need("name") != label:
        # packages.gradle asserts the same before it makes any task.
        raise TreeError(
            f"{raw.source}: component {label!r} calls itself {raw.need('name')!r}",
            hint="give its block and its name the same text",
        )
    version, tarball, url, git = (raw.section(key) for key in ("version", "tarball", "url", "git"))
    base = version.need("base")
    return Component(
        name=label,
        pkg=raw.text("pkg") or label,
        base_version=base,
        pkg_version=version.text("pkg") or base,
        release=version.text("release") or "1",
        tarball_source=tarball.text("source"),
        tarball_destination=tarball.text("destination"),
        packaging=raw.text("packaging"),
        git={key: value for key in ("repo", "ref", "dir", "commit_hash") if (value := git.text(key))},
        site=url.text("site"),
        archive=url.text("archive"),
        maven_parallel_build=bool(raw.values.get("maven_parallel_build")),
    )


_GRAMMAR: Final = r"""
body: _SEPARATOR* (_statement (_SEPARATOR+ _statement)* _SEPARATOR*)?
_statement: block | assignment
block: (NAME | STRING) "{" body "}"
assignment: NAME ("." NAME)* "=" expression

?expression: sum | sum "?:" expression -> elvis
?sum: member | sum "+" member -> join | sum "-" member -> cut
?member: atom
    | member "." NAME -> property
    | member "." "replace" "(" expression "," expression ")" -> replace
    | member "." "takeWhile" "{" "it" COMPARISON expression "}" -> take_while
?atom: "(" expression ")"
    | STRING -> string
    | NUMBER -> number
    | constant
    | NAME -> name
    | "System" "." "getenv" "(" expression ")" -> getenv
    | "[" (expression ("," expression)* ","?)? "]" -> list
    | "[" (":" | entry ("," entry)* ","?) "]" -> map
!constant: "true" | "false" | "null"
entry: (NAME | STRING) ":" expression

COMPARISON: "==" | "!="
NAME: /[A-Za-z_]\w*/
NUMBER: /(0|[1-9]\d*)(\.\d+)?(?!\w)/
STRING: /'([^'\\\n]|\\.)*'|"([^"\\\n]|\\.)*"/
_SEPARATOR: ";" | "\n"
%ignore /[ \t\r]+/
%ignore /\/\/[^\n]*/
%ignore /\/\*(.|\n)*?\*\//
"""
_STRING_PART: Final = re.compile(
    r"\\(?:u+(?P<code>[0-9A-Fa-f]{4})|(?P<letter>[ntrbf\\'\"$]))"
    r"|\$(?:\{(?P<expression>[^}]*)\}|(?P<path>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*))"
    r"|(?P<unknown>\\|\$)"
)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


class _Lines:
    """Drops the line ends that end no statement: those in brackets and after an operator."""

    always_accept = ("_SEPARATOR",)

    def process(self, stream: Iterator["Token"]) -> Iterator["Token"]:
        depth, goes_on = 0, False
        for mark in stream:
            depth += (mark in ("(", "[")) - (mark in (")", "]"))
            if mark != "\n" or not (depth or goes_on):
                yield mark
                goes_on = mark in ("=", "+", "-", "?:")


@cache
def _parser() -> "Lark":
    # Imported only here: it costs 50 ms, and what imports this module need not read a file.
    from lark import Lark

    return Lark(
        _GRAMMAR, parser="lalr", start=["body", "expression"], postlex=_Lines(), propagate_positions=True
    )


class _Block(dict[str, Value]):
    """A ConfigObject: a block of the file, which a later block of the same name adds to. A map is a dict."""


_KINDS: Final[Mapping[type, str]] = {
    list: "a list",
    dict: "a map",
    _Block: "a block",
    bool: "a boolean",
    int: "a number",
    Decimal: "a number",
    type(None): "null",
}


class _Frame(NamedTuple):
    """One open block: what it holds, and what its names mean, outer ones included."""

    block: _Block
    scope: dict[str, Value]


class _Slurper:
    """Evaluates the file: the method `_do_x` takes what the grammar's rule x is made of.

    Names are looked up as groovy.util.ConfigSlurper does it: in the open block, then among what was assigned
    in and around it before; a false value (null, empty, 0) counts as not found. Where ConfigSlurper would
    then quietly make an empty block of the name, this refuses.

    Args:
        source: Name of the file, for errors.
        environment: What `System.getenv` finds.
        frames: The open blocks, outermost first.
        line: Lines of the file before the text.
        column: Characters before it on its first line.
    """

    def __init__(
        self,
        source: str,
        environment: Mapping[str, str],
        frames: list[_Frame],
        line: int = 0,
        column: int = 0,
    ) -> None:
        self._source = source
        self._environment = environment
        self._frames = frames
        self._line = line
        self._column = column

    def read(self, text: str) -> _Block:
        """Evaluate a whole file."""
        self._value(self._parse(text, "body"))
        return self._frames[0].block

    def _parse(self, text: str, rule: str) -> "Tree[Token]":
        from lark import UnexpectedCharacters, UnexpectedToken  # as in _parser

        try:
            return _parser().parse(text, start=rule)
        except UnexpectedCharacters as error:
            self._refuse(error, error.char, "not known here")
        except UnexpectedToken as error:
            self._refuse(error, error.token, "not known here")

    def _refuse(self, place: Any, found: str, problem: str) -> NoReturn:
        """Raise for a place: a token, or what else of lark has a line and a column."""
        line, column = place.line + self._line, place.column + self._column
        shown = {"": "the end", "\n": "the end of the line"}.get(found, found)
        raise TreeError(
            f"{self._source}:{line}:{column}: {shown}: {problem}",
            hint="only the Groovy of Bigtop's own releases is read; write it plainly, in a local patch",
        )

    def _value(self, tree: "Tree[Token]") -> Value:
        return cast("Value", getattr(self, f"_do_{tree.data}")(*tree.children))

    def _text(self, tree: "Tree[Token]") -> str:
        value = self._value(tree)
        return value if isinstance(value, str) else self._refuse_value(value, tree)

    def _as_text(self, value: Value, tree: "Tree[Token]") -> str:
        """The value as a string that takes it in shows it."""
        if value is None or isinstance(value, list | dict):
            self._refuse_value(value, tree)
        return _groovy_text(value)

    def _refuse_value(self, value: Value, tree: "Tree[Token]") -> NoReturn:
        self._refuse(tree.meta, _KINDS[type(value)], "a text is needed here")

    def _do_body(self, *statements: "Tree[Token]") -> None:
        for statement in statements:
            self._value(statement)

    def _do_block(self, label: "Token", body: "Tree[Token]") -> None:
        name, outer = self._key(label), self._frames[-1]
        there = outer.block.get(name)
        block = there if isinstance(there, _Block) else _Block()
        self._bind(name, block)
        self._frames.append(_Frame(block, dict(outer.scope)))
        self._value(body)
        self._frames.pop()

    def _do_assignment(self, name: "Token", *rest: "Token | Tree[Token]") -> None:
        *keys, expression = rest
        value = self._value(cast("Tree[Token]", expression))
        if not keys:
            self._bind(name, value)
            return
        holder = self._look_up(name) or self._bind(name, _Block())
        for key in keys[:-1]:
            holder = holder.setdefault(str(key), _Block()) if isinstance(holder, dict) else None
        if not isinstance(holder, dict):
            self._refuse(name, name, "is no block")
        holder[str(keys[-1])] = value

    def _bind(self, name: str, value: Value) -> Value:
        frame = self._frames[-1]
        frame.block[str(name)] = frame.scope[str(name)] = value
        return value

    def _look_up(self, name: str) -> Value:
        frame = self._frames[-1]
        return frame.block.get(name) or frame.scope.get(name)

    def _do_elvis(self, first: "Tree[Token]", other: "Tree[Token]") -> Value:
        return self._value(first) or self._value(other)

    def _do_join(self, left: "Tree[Token]", right: "Tree[Token]") -> str:
        first, second = self._value(left), self._value(right)
        if not (isinstance(first, str) or isinstance(second, str)):
            self._refuse(left.meta, "+", "joins only texts")
        return self._as_text(first, left) + self._as_text(second, right)

    def _do_cut(self, left: "Tree[Token]", right: "Tree[Token]") -> str:
        return self._text(left).replace(self._as_text(self._value(right), right), "", 1)

    def _do_property(self, of: "Tree[Token]", name: "Token") -> Value:
        value = self._value(of)
        if not isinstance(value, dict) or name not in value:
            self._refuse(name, name, "unknown here")
        return value[name]

    def _do_replace(self, text: "Tree[Token]", old: "Tree[Token]", new: "Tree[Token]") -> str:
        return self._text(text).replace(self._text(old), self._text(new))

    def _do_take_while(self, text: "Tree[Token]", comparison: "Token", other: "Tree[Token]") -> str:
        wanted, character = comparison == "==", self._text(other)
        return "".join(takewhile(lambda it: (it == character) == wanted, self._text(text)))

    def _do_string(self, token: "Token") -> str:
        parts, start = [], 1
        for match in _STRING_PART.finditer(token, 1, len(token) - 1):
            parts += [token[start : match.start()], self._string_part(match, token)]
            start = match.end()
        return "".join([*parts, token[start:-1]])

    def _string_part(self, match: re.Match[str], token: "Token") -> str:
        """What an escape or an interpolation in a string stands for."""
        kind = match.lastgroup or ""
        if kind == "code":
            return chr(int(match["code"], 16))
        if kind == "letter":
            return _LETTERS.get(match["letter"], match["letter"])
        if token[0] == "'" and match[0][0] == "$":
            return match[0]
        if kind == "unknown":
            self._refuse(token, match[0], "not known in a string")
        inner = _Slurper(
            self._source,
            self._environment,
            self._frames,
            line=self._line + (token.line or 1) - 1,
            column=self._column + (token.column or 1) - 1 + match.start(kind),
        )
        return inner.read_interpolated(match[kind])

    def read_interpolated(self, text: str) -> str:
        """Evaluate what a string has in `${}`."""
        expression = self._parse(text, "expression")
        return self._as_text(self._value(expression), expression)

    def _do_number(self, token: "Token") -> Value:
        return Decimal(token) if "." in token else int(token)

    def _do_constant(self, token: "Token") -> Value:
        return _CONSTANTS[token]

    def _do_name(self, token: "Token") -> Value:
        value = self._look_up(token)
        return value or self._refuse(token, token, "this name is unknown here, or has no value")

    def _do_getenv(self, name: "Tree[Token]") -> Value:
        return self._environment.get(self._text(name))

    def _do_list(self, *items: "Tree[Token]") -> Value:
        return [self._value(item) for item in items]

    def _do_map(self, *entries: "Tree[Token]") -> Value:
        return dict(self._entry(*entry.children) for entry in entries)

    def _entry(self, key: Any, value: Any) -> tuple[str, Value]:
        return self._key(key), self._value(value)

    def _key(self, token: "Token") -> str:
        return self._do_string(token) if token.type == "STRING" else str(token)


def _groovy_text(value: str | int | Decimal) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

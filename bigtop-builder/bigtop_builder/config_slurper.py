# SPDX-License-Identifier: Apache-2.0
"""A reader of Groovy's ConfigSlurper files, as far as Bigtop's `bigtop.bom` uses the language.

Blocks, assignments, strings with `${}`, lists, maps, `+`, `-`, `?:`, `.replace` and `.takeWhile`. All else is
refused with line and column, never guessed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias, cast

from bigtop_builder.errors import TreeError

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

Value: TypeAlias = "str | int | Decimal | list[Value] | dict[str, Value] | None"
"""What a name in the file can stand for; bool is an int."""


def read_config(text: str, *, source: str, environment: Mapping[str, str]) -> dict[str, Value]:
    """Evaluate a ConfigSlurper file.

    Args:
        text: The file.
        source: Its name, for messages.
        environment: What `System.getenv` sees.

    Raises:
        TreeError: It holds Groovy that is not known here, or a name without a value.
    """
    return _Slurper(source, environment, [_Frame(_Block(), {})]).read(text)


class Span(NamedTuple):
    """Where a block stands in the text: from its name's first character to behind its closing brace."""

    start: int
    end: int


def find_blocks(text: str, *names: str, source: str) -> tuple[Span, ...]:
    """Where all blocks of a nested name stand, as in `find_blocks(text, "bigtop", "components")`.

    Raises:
        TreeError: The text holds Groovy that is not known here.
    """
    return _Slurper(source, {}, []).find(text, names)


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

    def find(self, text: str, names: Sequence[str]) -> tuple[Span, ...]:
        """Where all blocks of a nested name stand."""
        bodies = [self._parse(text, "body")]
        for name in names:
            blocks = [block for body in bodies for block in self._blocks(body, name)]
            bodies = [cast("Tree[Token]", block.children[1]) for block in blocks]
        return tuple(Span(block.meta.start_pos, block.meta.end_pos) for block in blocks)

    def _blocks(self, body: "Tree[Token]", name: str) -> Iterator["Tree[Token]"]:
        for statement in cast("list[Tree[Token]]", body.children):
            if statement.data == "block" and self._key(cast("Token", statement.children[0])) == name:
                yield statement

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
        return groovy_text(value)

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


def groovy_text(value: str | int | Decimal) -> str:
    """A value as Groovy puts it into a string."""
    return str(value).lower() if isinstance(value, bool) else str(value)

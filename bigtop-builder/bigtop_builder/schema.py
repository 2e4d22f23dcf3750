# SPDX-License-Identifier: Apache-2.0
"""What all file formats share: strict frozen models, TOML read with line numbers, one JSON text per value."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from bigtop_builder.errors import InputError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.\-]*$")]
"""A Debian package or component name (Debian policy 5.6.1)."""
TITLE = r"^[A-Za-z0-9]([A-Za-z0-9 ._\-]*[A-Za-z0-9._\-])?$"
Title = Annotated[str, StringConstraints(pattern=TITLE)]
"""Origin or label of a repository: it goes into files and scripts on hosts, so nothing in it means anything there."""
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Sha512 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
OptionalSha512 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{128})?$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
OptionalSha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{40}$")]

Loc = tuple[str | int, ...]
Lines = dict[Loc, int]
FEW = 3
"""Names that `some` names."""
HEADER = re.compile(r"^\s*(\[{1,2})\s*([^\[\]#]+?)\s*\]{1,2}\s*(?:#.*)?$")
PLAIN = {
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "dict_type": "should be a table",
    "int_type": "should be a number, without quotes",
    "missing": "is required",
    "model_type": "should be a table",
    "tuple_type": "should be a list",
}
"""Pydantic's names of faults whose messages speak of Python -> what they mean in a file."""
WORDS = {
    r"^[0-9A-F]{40}$": "should be a key's full fingerprint: 40 digits, 0-9 and A-F, as `key list` prints it",
    r"^[a-z0-9][a-z0-9+.\-]*$": "should be a name: small letters, digits, `+`, `.` and `-`",
    TITLE: "should be letters, digits, `.`, `_`, `-` and spaces between them",
    r"^[a-z0-9.+]+$": "should be small letters, digits, `.` and `+`",
    r"^[a-z0-9][a-z0-9.+\-]*/[A-Za-z0-9][A-Za-z0-9._+\-]*$": "should be `target/id`, a folder below patches/",
    r"^[a-z0-9][a-z0-9+.\-]*( *\| *[a-z0-9][a-z0-9+.\-]*)*$": "should be a package, or several with ` | ` between",
    r"^(sha256:[0-9a-f]{64})?$": "should be `sha256:` and 64 digits, 0-9 and a-f",
}
"""Patterns of our formats -> what they mean; those of plain hashes are told by `_in_words`."""
HEX = re.compile(r"\^\(?\[0-9a-f\]\{(\d+)\}\)?\??\$")
KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"'.]+)\s*=")


class Value(BaseModel):
    """Base of all models that are read from or written to a file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def to_json(self) -> str:
        """The one JSON text of this value: keys in the model's order, two spaces, a newline at the end."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str) -> Self:
        """Read a value from JSON.

        Raises:
            InputError: The text is no JSON or does not fit the model; `source` is named.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(
                f"{source} is not a valid {cls.__name__}", details=faults(error, cls, lambda _: "")
            ) from error

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read a value from a TOML file.

        Raises:
            InputError: The file is missing, malformed or does not fit the model; file, line and key are named.
        """
        values, numbers = read_toml(path)
        try:
            # As JSON, since pydantic's strictness takes no list for a tuple elsewhere: "7" is no number.
            return cls.model_validate_json(json.dumps(values, default=str), strict=True)
        except ValidationError as error:
            raise InputError(
                f"{path} does not fit its format",
                details=faults(error, cls, lambda loc: f"{path}:{nearest_line(loc, numbers)}"),
                hint="docs/formats.md lists every key",
            ) from error


def read_toml(path: Path) -> tuple[dict[str, Any], Lines]:
    """Read a TOML file, and the line of each of its keys.

    Raises:
        InputError: The file is missing, not UTF-8 or malformed; file, line and key are named.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="check the path's spelling") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="name a file you may read"
        ) from error
    try:
        text = data.decode()
        return tomllib.loads(text), line_numbers(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: not UTF-8 at byte {error.start} (0x{data[error.start]:02x})",
            hint="save the file as UTF-8",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path}: malformed TOML: {error}",
            details=_malformed(path, text, str(error)),
            hint="mend the line named above",
        ) from error


def faults(error: ValidationError, model: type[BaseModel], place: Callable[[Loc], str]) -> str:
    """What does not fit, one line each: its place, key, what is allowed, and the value.

    Args:
        error: What pydantic found.
        model: The model that was validated.
        place: File and line, or variable, that a key was read from.
    """
    return "\n".join(_fault(fault, model, place) for fault in error.errors())


def digest(*parts: str | bytes) -> str:
    """Sha256, in hex, of parts joined so that no two lists of parts run into one another."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(f"{len(data)}:".encode() + data)
    return whole.hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and no white space, for hashing plain data."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def line_numbers(text: str) -> Lines:
    """Map each key path of a TOML text to its line, counting from 1; arrays of tables count from 0.

    A reading aid for error messages: multi-line strings that hold lines like `a = 1` may add paths of their
    own, which no error ever names.
    """
    lines: Lines = {}
    counts: Lines = {}
    table: Loc = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            table = ()
            names = [part.strip().strip("\"'") for part in header[2].split(".")]
            for depth, name in enumerate(names):
                table = (*table, name)
                if header[1] == "[[" and depth == len(names) - 1:
                    counts[table] = counts.get(table, -1) + 1
                if table in counts:
                    table = (*table, counts[table])
            lines.setdefault(table, number)
        elif key := KEY.match(line):
            path = (*table, *(part.strip("\"'") for part in key[1].split(".")))
            lines.setdefault(path, number)
    return lines


def nearest_line(loc: Loc, numbers: Lines) -> int:
    """Line of a key, or of the innermost table around it that has one; else 1."""
    return next((numbers[loc[:end]] for end in range(len(loc), 0, -1) if loc[:end] in numbers), 1)


def nearest(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """The known word that is meant by a misspelt one, for a message; else all of them.

    Capitals do not make two words differ; the one known word that begins with it is meant by what was cut short.

    Args:
        word: The misspelt one.
        known: The right ones.
        prefix: What all of them begin with; it does not make two words alike.
    """
    import difflib  # 10 ms that only a mistake should pay

    ends = {one.removeprefix(prefix).casefold(): prefix + one.removeprefix(prefix) for one in known}
    sought = word.removeprefix(prefix).casefold()
    begun = [end for end in ends if sought and end.startswith(sought)]
    close = begun if len(begun) == 1 else difflib.get_close_matches(sought, ends, 1)
    return f"the nearest is {ends[close[0]]}" if close else f"there are {', '.join(ends.values()) or 'none'}"


def counted(number: int, noun: str) -> str:
    """A number of things in words: `1 patch`, `2 patches`."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number} {noun}{ending}"


def some(names: Sequence[str], noun: str = "") -> str:
    """A few names, for a line that people read: `a, b, c and 4 more`, or `and 4 more packages` with a noun."""
    left = len(names) - FEW
    more = counted(left, f"more {noun}") if noun else f"{left} more"
    return f"{', '.join(names[:FEW])}{f' and {more}' if left > 0 else ''}"


def masked(value: object) -> object:
    """A value without the user and password of a URL in it."""
    return re.sub(r"//[^/\s]*@", "//", value) if isinstance(value, str) else value


def _malformed(path: Path, text: str, message: str) -> str:
    """The line of a TOML error, with the key that it belongs to."""
    lines = text.splitlines() or [""]
    said = re.search(r"at line (\d+)", message)
    number = min(int(said[1]) if said else len(lines), len(lines))
    before = [(at, loc) for loc, at in line_numbers(text).items() if at <= number]
    key = dotted(max(before, key=lambda found: found[0])[1]) if before else "before the first key"
    return f"{path}:{number}: {key}: {masked(lines[number - 1].strip())}"


def dotted(loc: Loc) -> str:
    """A key path as people write it: `components[0].sources[1].kind`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _fault(fault: "ErrorDetails", model: type[BaseModel], place: Callable[[Loc], str]) -> str:
    loc, value = fault["loc"], fault["input"]
    where = place(loc)
    shown = f" (is {masked(value)!r})" if isinstance(value, str | int | float | bool) else ""
    message = PLAIN.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    if fault["type"] == "string_pattern_mismatch":
        message = _in_words(fault["ctx"]["pattern"])
    if fault["type"] == "extra_forbidden":
        message = f"there is no such key; {nearest(str(loc[-1]), _keys_beside(model, loc))}"
    return ": ".join(part for part in (where, dotted(loc), message) if part) + shown


def _in_words(pattern: str) -> str:
    if digits := HEX.fullmatch(pattern):
        return f"should be {digits[1]} digits, 0-9 and a-f"
    return WORDS.get(pattern, f"should have the form {pattern}")


def _keys_beside(model: type[BaseModel], loc: Loc) -> list[str]:
    """Keys of the table that holds the last part of a key path."""
    for part in loc[:-1]:
        if part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that a type is, or is a list or table of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)

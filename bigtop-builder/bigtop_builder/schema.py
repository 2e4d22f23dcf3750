# SPDX-License-Identifier: Apache-2.0
"""What all file formats share: strict frozen models, TOML read with line numbers, one JSON text per value."""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bigtop_builder.errors import InputError

HEADER = re.compile(r"^\s*(\[{1,2})\s*([^\[\]#]+?)\s*\]{1,2}\s*(?:#.*)?$")
KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"'.]+)\s*=")


class Value(BaseModel):
    """Base of all models that are read from or written to a file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def to_json(self) -> str:
        """The one JSON text of this value: keys in the model's order, two spaces, a newline at the end."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str) -> Self:
        """Read a value from JSON.

        Raises:
            InputError: The text is no JSON or does not fit the model; `source` is named.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"{source} is not a valid {cls.__name__}", details=_lines(error, {})) from error

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read a value from a TOML file.

        Raises:
            InputError: The file is missing, malformed or does not fit the model; file, line and key are named.
        """
        try:
            text = path.read_text(encoding="utf-8")
            return cls.model_validate(tomllib.loads(text))
        except FileNotFoundError as error:
            raise InputError(f"{path} does not exist") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path}: malformed TOML: {error}", hint="mend the line named above") from error
        except ValidationError as error:
            raise InputError(
                f"{path} does not fit the {cls.__name__.lower()} format",
                details=_lines(error, line_numbers(text), name=str(path)),
                hint="docs/formats.md lists every key",
            ) from error


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


def line_numbers(text: str) -> dict[tuple[str | int, ...], int]:
    """Map each key path of a TOML text to its line, counting from 1; arrays of tables count from 0.

    A reading aid for error messages: multi-line strings that hold lines like `a = 1` may add paths of their
    own, which no error ever names.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
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


def _lines(error: ValidationError, numbers: dict[tuple[str | int, ...], int], name: str = "") -> str:
    return "\n".join(_line(item["loc"], item["msg"], item["input"], numbers, name) for item in error.errors())


def _line(
    loc: tuple[str | int, ...],
    message: str,
    value: object,
    numbers: dict[tuple[str | int, ...], int],
    name: str,
) -> str:
    number = next((numbers[loc[:end]] for end in range(len(loc), -1, -1) if loc[:end] in numbers), None)
    where = f"{name}:{number}: " if name and number else ""
    shown = f" (is {value!r})" if isinstance(value, str | int | float | bool) else ""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return f"{where}{key}: {message}{shown}"

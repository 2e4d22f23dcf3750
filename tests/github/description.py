# SPDX-License-Identifier: Apache-2.0
"""Holds requests and answers to GitHub's description, and fills answers up to what it requires."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from github.openapi import BASE, Node, described

FORMATS = FormatChecker(())
NOT_SAID = {301, 304, 307, 400, 401, 403, 404, 415, 429, 500, 502, 503}
"""Statuses that any operation may answer with though the description does not list them for it (GitHub's
"Best practices" and "Troubleshooting the REST API"); all but 304 with a `basic-error`."""
NEVER = "http://not-kept.invalid/"
"""What URLs are that only fill an answer up (RFC 2606: nobody has that name)."""


class Unfit(AssertionError):
    """A request or an answer that GitHub's description does not have."""


@FORMATS.checks("date-time", ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri")
def _is_url(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme and urlsplit(value).netloc)


@dataclass(frozen=True, eq=False)
class Description:
    """An edition of GitHub's API at one of its versions."""

    document: Node

    @cached_property
    def _registry(self) -> Any:
        return Registry().with_resource(BASE, DRAFT202012.create_resource(self.document))

    def resolved(self, node: Node) -> Node:
        while "$ref" in node:
            where: Any = self.document
            for word in node["$ref"].removeprefix(f"{BASE}#/").split("/"):
                where = where[word]
            node = where
        return node

    def operation(self, method: str, path: str) -> Node:
        """What is said of a method on a path template.

        Raises:
            Unfit: Nothing is.
        """
        found: Node | None = self.document["paths"].get(path, {}).get(method.lower())
        if found is None:
            raise Unfit(f"{method} {path} is no operation of GitHub's")
        return found

    @cached_property
    def _forms(self) -> list[tuple[str, re.Pattern[str]]]:
        """Path templates as patterns, those that leave least open first."""
        templates = sorted(self.document["paths"], key=lambda path: (path.count("{"), -len(path)))
        return [(path, self._form(path)) for path in templates]

    def _form(self, path: str) -> re.Pattern[str]:
        operations = self.document["paths"][path].values()
        said = [self.resolved(each) for operation in operations for each in operation.get("parameters", ())]
        deep = {each["name"] for each in said if each.get("x-multi-segment")}
        words = [
            f"(?P<{word[1:-1]}>{'.+' if word[1:-1] in deep else '[^/]+'})"
            if word[0] == "{"
            else re.escape(word)
            for word in re.findall(r"{\w+}|[^{]+", path)
        ]
        return re.compile("".join(words))

    def match(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        """The template of a path, and the values of its names.

        Raises:
            Unfit: GitHub has no such operation.
        """
        for template, form in self._forms:
            found = form.fullmatch(path)
            if found and method.lower() in self.document["paths"][template]:
                return template, found.groupdict()
        raise Unfit(f"{method} {path} is no operation of GitHub's that is kept here")

    def check_request(
        self, method: str, path: str, args: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> Any:
        """Hold a request to the description.

        Args:
            method: Of HTTP.
            path: Template of its path.
            args: Values of the template's names.
            query: Its parameters behind the question mark.
            body: What it carries.

        Returns:
            Its body, parsed; None if it has none.

        Raises:
            Unfit: It does not fit.
        """
        operation = self.operation(method, path)
        parameters = [self.resolved(each) for each in operation.get("parameters", ())]
        for place, given in (("path", args), ("query", query)):
            known = {each["name"]: each for each in parameters if each["in"] == place}
            for name, text in given.items():
                if name not in known:
                    raise Unfit(f"{method} {path} has no {name} in its {place}")
                schema = self.resolved(known[name]["schema"])
                self._hold(_cast(text, schema), schema, f"{name} in the {place} of {method} {path}")
            lacking = [name for name in known if known[name].get("required") and name not in given]
            if lacking:
                raise Unfit(f"{method} {path} lacks {', '.join(lacking)} in its {place}")
        return self._check_body(operation.get("requestBody"), body, f"{method} {path}")

    def _check_body(self, said: Node | None, body: bytes, what: str) -> Any:
        if not body:
            if said and said.get("required"):
                raise Unfit(f"{what} needs a body")
            return None
        if said is None:
            raise Unfit(f"{what} takes no body, and was sent {body[:200]!r}")
        try:
            value = json.loads(body)
        except ValueError as error:
            raise Unfit(f"the body of {what} is no JSON: {error}") from error
        self._hold(value, said["content"]["application/json"]["schema"], f"the body of {what}")
        return value

    def check_answer(self, method: str, path: str, status: int, body: Any) -> None:
        """Hold an answer to the description.

        Raises:
            Unfit: It does not fit.
        """
        what = f"answer {status} to {method} {path}"
        said = self.operation(method, path)["responses"].get(str(status))
        if said is None and status not in NOT_SAID:
            raise Unfit(f"{what}: GitHub's description has no such status there")
        content = self.resolved(said).get("content", {}) if said else {}
        schema = content.get("application/json", {}).get("schema")
        if said is None and status != 304:
            schema = _reference("basic-error")
        if schema is not None:
            self._hold(body, schema, what)
        elif body is not None:
            raise Unfit(f"{what} has no body in GitHub's description, and had {json.dumps(body)[:200]}")

    def _hold(self, value: Any, schema: Node, what: str) -> None:
        validator = Draft202012Validator(schema, registry=self._registry, format_checker=FORMATS)
        error = best_match(validator.iter_errors(value))
        if error is not None:
            raise Unfit(f"{what}: {error.json_path}: {error.message[:600]}")

    def filled(self, name: str, values: Mapping[str, Any]) -> Node:
        """An answer of a named schema: what is given, and something for all else that the schema requires."""
        found: Node = self._filled(_reference(name), values)
        return found

    def _filled(self, schema: Node, value: Any) -> Any:
        schema = self.resolved(schema)
        for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
            if value is not None and self.resolved(choice).get("type") != "null":
                return self._filled(choice, value)
        if isinstance(value, Mapping):
            properties = schema.get("properties", {})
            given = {name: self._filled(properties.get(name, {}), each) for name, each in value.items()}
            required = [name for name in schema.get("required", ()) if name not in value]
            return given | {name: self._something(properties[name]) for name in required}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._filled(schema.get("items", {}), each) for each in value]
        return value

    def _something(self, schema: Node) -> Any:
        schema = self.resolved(schema)
        choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        kind = schema.get("type")
        if (isinstance(kind, list) and "null" in kind) or {"type": "null"} in choices:
            return None
        if choices:
            return self._something(choices[0])
        if "enum" in schema:
            return schema["enum"][0]
        if kind == "object" or "properties" in schema:
            return self._filled(schema, {})
        formats = {"uri": NEVER, "date-time": "2008-04-10T00:00:00Z"}
        text = formats.get(schema.get("format", ""), "0" * schema.get("minLength", 0))
        return {"string": text, "integer": 0, "number": 0, "boolean": False, "array": []}[kind or "string"]


@cache
def description(edition: str, version: str) -> Description:
    """GitHub's description of an edition (CLOUD or ENTERPRISE) at a version of the API."""
    return Description(described(edition, version))


def _cast(text: str, schema: Node) -> Any:
    """A parameter's text as the type that its schema has, if it can be read so."""
    kind = schema.get("type")
    if kind == "integer" and text.lstrip("-").isdecimal():
        return int(text)
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


def _reference(name: str) -> Node:
    return {"$ref": f"{BASE}#/components/schemas/{name}"}

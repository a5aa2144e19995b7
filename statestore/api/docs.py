"""The page that documents the API: each call of the OpenAPI document, as a page of the dashboard."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from ninja import NinjaAPI

from statestore.api.openapi import FILE, NDJSON, Schema
from statestore.api.problems import KINDS, Kind

# One for each path prefix that the dashboard is served below.
_PREFIXES: Final = 4
# What each call may answer, which the page says once.
COMMON: Final = (401, 403, 429, 500, 503)
_REFERENCE: Final = "#/components/schemas/"
# What a line to copy sends, where a call takes a file.
_FILES: Final = {NDJSON: "export.ndjson", FILE: "transcript.jsonl"}


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter or a member of a body: its name, what it may be (as HTML, with links to schemas), its meaning."""

    name: str
    facts: SafeString
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A status that a call answers with: the type of the body as HTML, or the types of problems."""

    status: int
    phrase: str
    type: SafeString
    headers: str
    problems: list[Kind]


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `query` and `body` are those of its example; `file` is sent as the body if it is no JSON."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    tag: str
    parameters: list[Value]
    members: list[Value]
    media: str
    answers: list[Answer]
    query: list[tuple[str, str]]
    body: str
    file: str

    @property
    def pretty_body(self) -> str:
        """The example of the body in lines."""
        return json.dumps(json.loads(self.body), indent=2, ensure_ascii=False) if self.body else ""

    def has(self, words: list[str]) -> bool:
        """Return whether the call's name, path or meaning has each of some words."""
        text = f"{self.method} {self.path} {self.name} {self.summary} {self.description} {self.tag}".lower()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Described:
    """A schema: what it is, and its members."""

    name: str
    description: str
    members: list[Value]


@dataclass(frozen=True, slots=True)
class Document:
    """All calls by their nouns, and the schemas that they name."""

    calls: list[Call]
    schemas: list[Described]


class FilterForm(forms.Form):
    """Which calls are shown."""

    q = forms.CharField(required=False, max_length=200, strip=True)


def page(request: HttpRequest, api: NinjaAPI, path_prefix: str) -> HttpResponse:
    """Return the page, or the calls alone if htmx asks for those that a filter keeps."""
    form, document = FilterForm(request.GET), document_of(api, path_prefix)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    calls = [call for call in document.calls if call.has(text.lower().split())]
    context = {
        "form": form, "text": text, "calls": calls, "number": len(calls), "schemas": document.schemas,
        "api": api, "common": [kind for kind in KINDS.values() if kind.status in COMMON],
    }  # fmt: skip
    template = "statestore/api/_calls.html" if getattr(request, "htmx", None) else "statestore/api/docs.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@lru_cache(maxsize=_PREFIXES)
def document_of(api: NinjaAPI, path_prefix: str) -> Document:
    """Return what the OpenAPI document says, as the page shows it. Made once: it takes a second."""
    schema: Schema = api.get_openapi_schema(path_prefix=path_prefix)
    schemas = schema["components"]["schemas"]
    calls = [
        _call(method, path, operation, schemas)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]
    named = [
        Described(name, one.get("description", ""), list(_members(one)))
        for name, one in sorted(schemas.items())
        if one.get("properties")
    ]
    tags = list(dict.fromkeys(call.tag for call in calls))
    return Document(sorted(calls, key=lambda call: tags.index(call.tag)), named)


def _call(method: str, path: str, operation: Schema, schemas: Schema) -> Call:
    content = operation.get("requestBody", {}).get("content", {})
    media = next(iter(content), "")
    schema = content.get(media, {}).get("schema", {})
    name = _named(schema)
    query = [(one["name"], _example(one["schema"])) for one in operation["parameters"] if one["in"] == "query"
             and one.get("required")]  # fmt: skip
    examples = schemas.get(name, {}).get("examples", [])
    responses = {int(status): response for status, response in operation["responses"].items()}
    return Call(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        tag=operation["tags"][0],
        parameters=[_parameter(one) for one in operation["parameters"]],
        members=list(_members(schemas.get(name, {}))),
        media=" or ".join(content),
        answers=[_answer(status, one) for status, one in sorted(responses.items()) if status not in COMMON],
        query=query,
        body=json.dumps(examples[0], ensure_ascii=False) if examples else "",
        file=_FILES.get(media, ""),
    )


def _answer(status: int, answer: Schema) -> Answer:
    content: Schema = next(iter(answer.get("content", {}).values()), {})
    is_problem = status >= HTTPStatus.BAD_REQUEST
    return Answer(
        status=status,
        phrase=HTTPStatus(status).phrase,
        type=SafeString() if is_problem or not content else _type(content["schema"]),
        headers=", ".join(answer.get("headers", {})),
        problems=[kind for kind in KINDS.values() if kind.status == status] if is_problem else [],
    )


def _members(schema: Schema) -> Iterator[Value]:
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        yield _value(name, member, is_required=name in required)


def _parameter(parameter: Schema) -> Value:
    place, schema = parameter["in"], parameter["schema"]
    if place == "path":
        # Of each id in a path the description is the same: the page says it once.
        return Value(parameter["name"], SafeString("in the path"), "")
    value = _value(parameter["name"], schema, is_required=bool(parameter.get("required")))
    return Value(
        value.name, SafeString(f"{escape(place)}, {value.facts}"), parameter.get("description") or value.description
    )


def _value(name: str, schema: Schema, *, is_required: bool) -> Value:
    """Return a value; one that may be null says most about itself in the schema of what it is otherwise."""
    inner = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    described = (schema.get("description"), *(one.get("description") for one in inner))
    default = schema.get("default")
    facts: list[str] = [_type(schema)]
    facts += ["required"] if is_required else []
    facts += [f"default {escape(json.dumps(default, ensure_ascii=False))}"] if default not in (None, "", [], {}) else []
    return Value(name, SafeString(", ".join(facts)), next((text for text in described if text), ""))


def _type(schema: Schema) -> SafeString:
    """Return a type in words: `list of EditIn`, `integer, 1 to 1000`, `text or null`; names of schemas are links."""
    if name := _named(schema):
        return format_html('<a href="#schema-{}">{}</a>', name, name)
    if "anyOf" in schema:
        return SafeString(" or ".join(map(_type, schema["anyOf"])))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return SafeString("one of " * (len(values) > 1) + escape(", ".join(json.dumps(value) for value in values)))
    if schema.get("type") == "array":
        return SafeString(f"list of {_type(schema.get('items', {}))}")
    return SafeString(escape(_PLAIN.get(schema.get("type", ""), "any JSON") + _bounds(schema)))


_PLAIN: Final = {
    "string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "object": "object",
    "null": "null",
}  # fmt: skip


def _bounds(schema: Schema) -> str:
    if "maxLength" in schema:
        return f" up to {schema['maxLength']:,} characters"
    if "minimum" in schema and "maximum" in schema:
        return f", {schema['minimum']:,} to {schema['maximum']:,}"
    if "minimum" in schema:
        return f", {schema['minimum']:,} or more"
    return f" ({schema['format']})" if "format" in schema else ""


def _named(schema: Schema) -> str:
    """Return the name of the schema that one only refers to, or an empty text."""
    reference = schema.get("$ref") or next((one.get("$ref", "") for one in schema.get("allOf", ())), "")
    return str(reference).removeprefix(_REFERENCE)


def _example(schema: Schema) -> str:
    return str(next(iter(schema.get("examples", ())), ""))

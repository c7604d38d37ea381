"""The reference of the API as one plain page, made from its OpenAPI description: it loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from app.api.html import page

Json = dict[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")


def render(app: FastAPI) -> HTMLResponse:
    """The whole page."""
    described = app.openapi()
    tags = sorted(_operations(described), key=lambda each: each[0])
    sections = [(tag, list(found)) for tag, found in groupby(tags, key=lambda each: each[0])]
    contents = "".join(f'<a href="#{_anchor(tag)}">{escape(tag)}</a>' for tag, _ in sections)
    body = "".join(_section(tag, found, described) for tag, found in sections)
    info = described["info"]
    intro = (
        f"<h1>{escape(info['title'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        '<p>As a machine reads it: <a href="/api/v1/openapi.json">openapi.json</a>.</p>'
    )
    return page(info["title"], f'<main class="doc">{intro}<nav aria-label="Contents">{contents}</nav>{body}</main>')


def _operations(described: Json) -> Iterator[tuple[str, str, str, Json]]:
    """(tag, path, method, operation) in the order of the routes."""
    for path, item in described["paths"].items():
        for method in _METHODS:
            if method in item:
                yield item[method].get("tags", ["other"])[0], path, method, item[method]


def _anchor(tag: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in tag.lower())


def _section(tag: str, found: list[tuple[str, str, str, Json]], described: Json) -> str:
    routes = "".join(_route(path, method, operation, described) for _, path, method, operation in found)
    return f'<h2 id="{_anchor(tag)}">{escape(tag.capitalize())}</h2>{routes}'


def _route(path: str, method: str, operation: Json, described: Json) -> str:
    told = operation.get("description") or operation.get("summary", "")
    brief = told.partition("\n")[0]
    rest = f"<p>{escape(told)}</p>" if told != brief else ""
    parts = [rest, _parameters(operation), _body(operation, described), _answer(operation, described)]
    heading = (
        f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code>'
        f'<br><span class="muted">{escape(brief)}</span>'
    )
    return f"<details><summary>{heading}</summary><div>{''.join(parts)}</div></details>"


def _parameters(operation: Json) -> str:
    found = [each for each in operation.get("parameters", []) if each["in"] in ("path", "query")]
    rows = [
        (each["name"], each["in"], _kind(each["schema"]), "required" if each.get("required") else "") for each in found
    ]
    return _table("Parameters", ("Name", "In", "Type", ""), rows)


def _body(operation: Json, described: Json) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    schema = next((each.get("schema", {}) for each in content.values()), {})
    return _fields("Body", _resolved(schema, described))


def _answer(operation: Json, described: Json) -> str:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            content = answer.get("content", {}).get("application/json", {}).get("schema", {})
            schema = _resolved(content.get("items", content), described)
            kind = " (a list)" if content.get("type") == "array" else ""
            return f"<p>Answers <code>{status}</code>{kind}.</p>{_fields('Answer', schema)}"
    return ""


def _resolved(schema: Json, described: Json) -> Json:
    """A schema in place of its reference; of several, the first that is an object."""
    if "anyOf" in schema:
        schema = next((each for each in schema["anyOf"] if each.get("type") != "null"), {})
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found: Json = described["components"]["schemas"][name]
        return found
    return schema


def _fields(title: str, schema: Json) -> str:
    required = schema.get("required", [])
    rows = [
        (name, _kind(field), "required" if name in required else "", field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    return _table(title, ("Field", "Type", "", ""), rows)


def _kind(schema: Json) -> str:
    """The type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    lines = "".join(
        "<tr>" + f"<td><code>{escape(row[0])}</code></td>" + "".join(f"<td>{escape(c)}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    )
    return f"<h3>{escape(title)}</h3><table><tr>{head}</tr>{lines}</table>"

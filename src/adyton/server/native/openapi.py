"""The description of the API for machines (OpenAPI 3.1), from its routes and shapes."""

import re
from typing import Any, Final

import msgspec

from adyton.server.errors import REFUSALS
from adyton.server.native.routes import Route
from adyton.server.native.shapes import (
    MAX_NUMBER,
    Answer,
    Name,
    OpenApiShown,
    ProofShown,
    Shape,
    User,
)
from adyton.server.refusals import NATIVE, PROBLEM_JSON, ProblemDetails

_REF: Final = "#/components/schemas/{name}"
_OPEN: Final = (OpenApiShown, ProofShown)
"""Answers whose members are described elsewhere."""

_TITLES: Final = {
    403: "No token, an unknown one, or no policy allows it.",
    404: "It is absent, deleted, destroyed, expired, or not to be seen.",
    409: "It contradicts what is there.",
    412: "Check-and-set: another version is the current one.",
    422: "The idempotency key was used for another request.",
}
_ALWAYS: Final = (400, 408, 413, 414, 429, 500, 503)

_REQUEST_ID: Final = {
    "description": "The request's identifier, which its audit records have.",
    "schema": {"type": "string"},
}
_ETAG: Final = {
    "description": "The version, in quotes.",
    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
}
_REPLAYED: Final = {
    "description": "That the answer is the first one again, and nothing was done.",
    "schema": {"type": "string", "enum": ["true"]},
}


def description(routes: list[Route]) -> bytes:
    """The whole description, as JSON."""
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = "/" + NATIVE + re.sub(r"\*\}", "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    queries = {route.query.__name__ for route in routes}
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Adyton",
            "version": "1",
            "summary": "The native API of a store of secrets.",
            "description": "See docs/spec/native-api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"bearer": []}],
        "tags": [
            {"name": "secrets", "description": "Secrets of one namespace."},
            {"name": "store", "description": "The store as a whole."},
        ],
        "paths": paths,
        "components": {
            "responses": _problems(),
            "schemas": {name: found for name, found in schemas.items() if name not in queries},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Vault-Token"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }
    return msgspec.json.encode(document)


def _schemas(routes: list[Route]) -> dict[str, Any]:
    kinds: list[Any] = [ProblemDetails]
    for route in routes:
        kinds += [route.answer, route.body, route.merge_body, route.query]
    used = list(dict.fromkeys(kind for kind in kinds if kind is not None))
    _, found = msgspec.json.schema_components(used, ref_template=_REF)
    answers = {kind.__name__ for kind in Answer.__subclasses__() if kind not in _OPEN}
    for name in answers & set(found):
        found[name]["additionalProperties"] = False
    return found


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"Right: {route.right}.",
        "tags": ["store" if route.place in {"store", "public"} else "secrets"],
        "parameters": [*_path_parameters(route), *_query(route, schemas), *_headers(route)],
        "responses": _responses(route),
    }
    if route.place == "public":
        made["security"] = []
    if route.body is not None:
        content = {"application/json": _content(route.body)}
        if route.merge_body is not None:
            content["application/merge-patch+json"] = _content(route.merge_body)
        made["requestBody"] = {"required": True, "content": content}
    return made


def _content(shape: type[Shape] | type[Answer]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(name=shape.__name__)}}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    known = {
        "user": ("A user id, or me: the namespace of the token.", msgspec.json.schema(User)),
        "name": ("A secret's name; its slashes may be written as %2F.", msgspec.json.schema(Name)),
        "share": ("A share's id.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{24}$"}),
        "hold": ("A legal hold's id.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{24}$"}),
        "accessor": ("A link's accessor.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{24}$"}),
        "notice": ("A notice's id.", {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"}),
        "mute": ("A mute's id.", {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"}),
        "webhook": ("A webhook's id.", {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"}),
        "member": ("A member's name.", msgspec.json.schema(User)),
        "role": ("A role's name.", msgspec.json.schema(User)),
        "request": ("A request's id.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{24}$"}),
        "grant": ("A grant's id.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{24}$"}),
        "index": (
            "The record's index in the log.",
            {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER},
        ),
        "report": ("Which report.", {"type": "string", "pattern": "^[a-z-]{1,32}$"}),
        "slot": (
            "The root's number.",
            {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER},
        ),
    }
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": known[name][0],
            "schema": known[name][1],
        }
        for name in re.findall(r"\{(\w+)\*?\}", route.path)
    ]


def _query(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    shape = schemas[route.query.__name__]
    properties, required = shape.get("properties", {}), shape.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _without_null(schema),
        }
        for name, schema in properties.items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What a parameter may be: there is no null in a query, and none is sent by leaving it out."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _headers(route: Route) -> list[dict[str, Any]]:
    found: list[tuple[str, str, dict[str, Any]]] = []
    if route.conditional:
        found.append(("If-Match", "Write only if this is the current version.", _CONDITION))
        found.append(
            (
                "If-None-Match",
                "Write only if there is no version.",
                {"type": "string", "enum": ["*"]},
            )
        )
    if route.once:
        found.append(("Idempotency-Key", "Do the same request once.", _KEY))
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
        for name, text, schema in found
    ]


_CONDITION: Final = {"type": "string", "pattern": '^"(0|[1-9][0-9]{0,15})"$'}
_KEY: Final = {"type": "string", "pattern": "^[!-~]{1,255}$"}


def _responses(route: Route) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": _REQUEST_ID}
    if route.tagged:
        headers["ETag"] = _ETAG
    if route.once:
        headers["Idempotency-Replayed"] = _REPLAYED
    if route.answer is None:
        found: dict[str, Any] = {"204": {"description": "Done.", "headers": headers}}
    else:
        found = {
            "200": {
                "description": "Done.",
                "headers": headers,
                "content": {"application/json": _content(route.answer)},
            }
        }
    statuses = {*_ALWAYS, *route.errors}
    if route.place != "public":
        statuses.add(403)
    if route.body is not None:
        statuses.add(415)
    if route.once:
        statuses |= {409, 422}
    for status in sorted(statuses):
        found[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    found["431"] = {"$ref": "#/components/responses/HeadersTooLarge"}
    return found


def _problems() -> dict[str, Any]:
    statuses = sorted({*_ALWAYS, *_TITLES, 415})
    found: dict[str, Any] = {f"Problem{status}": _problem(status) for status in statuses}
    found["HeadersTooLarge"] = {
        "description": "More than 100 headers, or too large ones; without a body."
    }
    return found


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _TITLES.get(status) or REFUSALS[status].title + ".",
        "headers": {"X-Request-Id": _REQUEST_ID},
        "content": {PROBLEM_JSON: {"schema": {"$ref": _REF.format(name="ProblemDetails")}}},
    }

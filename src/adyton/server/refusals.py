"""Answers of errors, in the shape that the API at a path has."""

from typing import Final

import msgspec

from adyton.server.errors import INTERNAL, REFUSALS, SEALED, Problem
from adyton.server.http import Response

NATIVE: Final = "v1/adyton/"
PROBLEM_JSON: Final = "application/problem+json"
_URN: Final = "urn:adyton:error:"

_encode = msgspec.json.Encoder().encode


class ProblemDetails(msgspec.Struct):
    """A problem (RFC 9457).

    Attributes:
        type: A stable name of the kind of error.
        title: What it is, in a few words.
        status: The status code.
        detail: What is wrong, and where.
        hint: How to mend it; may be empty.
        request_id: The request's identifier.
    """

    type: str
    title: str
    status: int
    detail: str
    hint: str
    request_id: str


def problem_answer(
    problem: Problem, detail: str, hint: str, request_id: str, *headers: tuple[str, str]
) -> Response:
    """A problem as it is sent."""
    details = ProblemDetails(
        _URN + problem.slug, problem.title, problem.status, detail, hint, request_id
    )
    return Response(
        problem.status, _encode(details), PROBLEM_JSON, (("x-request-id", request_id), *headers)
    )


def refusal(
    path: str, request_id: str, status: int, text: str, *headers: tuple[str, str]
) -> Response:
    """What is told of a request that did not come as far as an API."""
    if path.removeprefix("/").startswith(NATIVE):
        problem = REFUSALS.get(status) or INTERNAL._replace(status=status)
        return problem_answer(problem, text, "", request_id, *headers)
    return Response(status, _encode({"errors": [text]}), headers=headers).identified(request_id)


def sealed_refusal(path: str, request_id: str, text: str, native_text: str) -> Response:
    """What a sealed server tells of a request."""
    if path.startswith(NATIVE):
        return problem_answer(SEALED, native_text, "Unseal it, or wait.", request_id)
    return Response(503, _encode({"errors": [text]}))

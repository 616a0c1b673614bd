"""What requests and answers about decisions, readers and approvals look like."""

from typing import Annotated, Literal

from msgspec import Meta

from adyton.grantvalues import AccessRequest, Explanation, Reader
from adyton.model import MAX_NAME_CHARS
from adyton.server.native.grantshapes import GrantPath, Right
from adyton.server.native.shapes import Answer, Name, Shape, Time


class WhoQuery(Shape, kw_only=True):
    """Which secret or folder is meant."""

    path: Annotated[str, Meta(max_length=MAX_NAME_CHARS + 1)] = "/"


class ExplainQuery(Shape, kw_only=True):
    """Who, what and where; ``address`` is where a request would come from."""

    actor: Annotated[str, Meta(max_length=256)] = ""
    action: Annotated[str, Meta(max_length=32)] = "read"
    path: Annotated[str, Meta(max_length=MAX_NAME_CHARS + 1)] = "/"
    address: Annotated[str, Meta(max_length=64)] = ""


class AskBody(Shape, kw_only=True):
    """What is asked for, and why."""

    right: Right
    path: Name
    reason: Annotated[str, Meta(max_length=500)] = ""


class ApproveBody(Shape, kw_only=True):
    """For how long a request is approved, and how often it may be used."""

    seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 3_600
    uses: Annotated[int, Meta(ge=1, le=1_000)] = 1


class ReaderShown(Answer, kw_only=True):
    """Somebody who could read a secret."""

    actor: str
    kind: Literal["owner", "grant", "policy", "share", "link", "wrapped", "operator"]
    through: str
    path: str
    role: str
    until: Time | None
    conditions: str


class ReaderList(Answer, kw_only=True):
    """All who could read a secret."""

    items: list[ReaderShown]


class StepShown(Answer, kw_only=True):
    """One rule that was looked at."""

    kind: Literal["policy", "grant", "member", "owner"]
    rule: str
    name: str
    line: int
    outcome: Literal["allows", "denies", "does not apply"]
    why: str


class ExplanationShown(Answer, kw_only=True):
    """Whether an actor may do something, which rule decides, and why."""

    allowed: bool
    actor: str
    right: Right
    path: GrantPath
    rule: str
    why: str
    steps: list[StepShown]


class RequestShown(Answer, kw_only=True):
    """A member's wish that somebody else has to approve."""

    id: str
    member: str
    right: Right
    path: str
    reason: str
    state: Literal["open", "approved", "denied"]
    created_at: Time
    decided_by: str
    expires_at: Time
    uses_left: int


class RequestList(Answer, kw_only=True):
    """Requests, the oldest first."""

    items: list[RequestShown]


def shown_reader(found: Reader) -> ReaderShown:
    """Somebody who could read a secret."""
    return ReaderShown(**found._asdict())


def shown_explanation(found: Explanation) -> ExplanationShown:
    """An explanation."""
    steps = [StepShown(**step._asdict()) for step in found.steps]
    return ExplanationShown(**(found._asdict() | {"steps": steps}))


def shown_request(found: AccessRequest) -> RequestShown:
    """A request."""
    return RequestShown(**found._asdict())

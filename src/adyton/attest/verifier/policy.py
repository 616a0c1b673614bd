"""Policies: which evidence a client accepts (``docs/spec/attestation.md``, section 5)."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from adyton.attest.verifier.rules import AnyEntry
from adyton.errors import ConfigurationError, InvalidDocument

_MAX_BYTES: Final = 1024 * 1024


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is accepted. An empty policy accepts nothing.

    Attributes:
        version: Of the format.
        reviewed: False in one that was written from what a server showed: nothing is accepted by
            it until somebody has looked at it.
        max_age: Seconds for which a verification counts, and that evidence may take to arrive.
        log_keys: Verifier keys of audit logs, of which the server's must be one.
        accept: Ways to be accepted, of which one must fit.
    """

    version: Literal[1] = 1
    reviewed: bool = True
    max_age: Annotated[int, Meta(ge=1, le=86_400)] = 600
    log_keys: Annotated[list[str], Meta(min_length=1)] | None = None
    accept: list[AnyEntry] = []


def parse_policy(text: str) -> Policy:
    """The policy that a text of TOML stands for.

    Raises:
        InvalidDocument: It stands for none; the message says where and why.
    """
    try:
        document = tomllib.loads(text)
        return msgspec.convert(document, Policy)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidDocument(
            f"the attestation policy is not one: {error}",
            hint="See docs/guide/attestation.md for what may be in it.",
        ) from None


def load_policy(path: str | Path) -> Policy:
    """The policy in a file.

    Raises:
        ConfigurationError: It can't be read.
        InvalidDocument: It is none.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigurationError(
            f"the attestation policy can't be read ({error.strerror})"
        ) from None
    except UnicodeDecodeError:
        raise InvalidDocument("the attestation policy is not text in UTF-8") from None
    if len(data) > _MAX_BYTES:
        raise InvalidDocument("the attestation policy is too large")
    return parse_policy(text)

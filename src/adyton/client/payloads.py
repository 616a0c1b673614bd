"""From the arguments of the client's methods to bodies; documents that go to and fro in age."""

import base64
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from adyton.client.requests import given, with_null
from adyton.errors import InvalidInput
from adyton.model import (
    CONTENT_BYTES,
    CONTENT_JSON,
    CONTENT_TEXT,
    Value,
    attribute_map,
    check_max_versions,
    secret_name,
    tag_list,
    to_us,
)
from adyton.values import Format, Progress, Watch, check_format, encode_value

MAX_PAGE: Final = 1_000
MAX_VALUE_BYTES: Final = 16 * 1024 * 1024
"""What fits into a request; the server's own limit is smaller."""

Expiry = dt.datetime | None | msgspec.UnsetType


def tags_of(tags: Iterable[str]) -> list[str]:
    """Tags, checked and sorted.

    Raises:
        InvalidInput: One breaks a rule.
    """
    return list(tag_list(tags))


def names_of(names: Iterable[str]) -> list[str]:
    """Names, checked.

    Raises:
        InvalidName: One breaks a rule.
    """
    return [secret_name(name) for name in names]


def value_of(value: Value, content_type: str | None) -> dict[str, object]:
    """A value as it goes on the wire.

    Raises:
        ValueTooLarge: It fits into no request.
        InvalidInput: It is none of bytes, text and JSON object.
    """
    data, kind = encode_value(value, content_type, MAX_VALUE_BYTES)
    body: dict[str, object]
    if isinstance(value, str):
        body, natural = {"encoding": "utf-8", "data": value}, CONTENT_TEXT
    elif isinstance(value, Mapping):
        body, natural = {"encoding": "json", "data": msgspec.Raw(data)}, CONTENT_JSON
    else:
        encoded = base64.b64encode(data).decode()
        body, natural = {"encoding": "base64", "data": encoded}, CONTENT_BYTES
    return body if kind == natural else body | {"content_type": kind}


def item(
    value: Value,
    tags: Iterable[str] | None = None,
    attributes: Mapping[str, str] | None = None,
    expires_at: Expiry = msgspec.UNSET,
    max_versions: int | None = None,
    content_type: str | None = None,
) -> dict[str, object]:
    """A secret to write; what is None stays as it is.

    Raises:
        InvalidInput: Something breaks a rule; the text says what.
    """
    body = given(
        value=value_of(value, content_type),
        tags=None if tags is None else tags_of(tags),
        attributes=None if attributes is None else attribute_map(attributes),
        max_versions=None if max_versions is None else check_max_versions(max_versions),
    )
    return with_null(body, expires_at=_zoned(expires_at))


def changes(
    attributes: Mapping[str, str] | msgspec.UnsetType,
    expires_at: Expiry,
    max_versions: int | msgspec.UnsetType,
    rotation: Mapping[str, str] | msgspec.UnsetType,
) -> dict[str, object]:
    """A change of metadata; what is UNSET stays as it is.

    Raises:
        InvalidInput: Something breaks a rule; the text says what.
    """
    unset = msgspec.UNSET
    body = given(
        attributes=unset if attributes is unset else attribute_map(attributes),
        rotation=unset if rotation is unset else attribute_map(rotation),
        max_versions=unset if max_versions is unset else check_max_versions(max_versions),
    )
    return with_null(body, expires_at=_zoned(expires_at))


def _zoned(time: Expiry) -> Expiry:
    if isinstance(time, dt.datetime):
        to_us(time)  # refuses one without a zone
    return time


# -- documents in age ---------------------------------------------------------------------------


class OneUse(NamedTuple):
    """An age key for one document on its way, so that keys of people never travel."""

    identity: str
    recipient: str

    def __repr__(self) -> str:
        return "<OneUse>"

    def close_under(self, document: bytes, passphrase: str | None) -> bytes:
        """Open a bundle with this key, and close it under a passphrase."""
        from adyton.transfer.bundle import readdress_bundle  # noqa: PLC0415 - loaded on use

        return readdress_bundle(document, identities=[self.identity], new_passphrase=passphrase)


def exclusive(
    format_name: Format, recipients: Sequence[str] | None, passphrase: str | None
) -> OneUse | None:
    """Whom a document is for; a key of one use where that is a passphrase.

    Raises:
        InvalidInput: There is not exactly one way, or the format is not encrypted.
    """
    from adyton.transfer.bundle import check_addressees  # noqa: PLC0415 - loaded on use

    check_format(format_name)
    if format_name != "bundle":
        if recipients or passphrase:
            raise InvalidInput(
                f"a document of format {format_name} is not encrypted",
                hint="Use the format bundle, or leave recipients and passphrase out.",
            )
        return None
    check_addressees(recipients, passphrase)
    return _one_use() if passphrase else None


def readdressed(
    data: bytes, identities: Sequence[str] | None, passphrase: str | None
) -> tuple[bytes, list[str]]:
    """A bundle, closed for a key of one use; and that key.

    Raises:
        InvalidInput: There is not exactly one way in, or an identity is malformed.
        InvalidDocument: It does not open.
    """
    from adyton.transfer.bundle import readdress_bundle  # noqa: PLC0415 - loaded on use

    once = _one_use()
    closed = readdress_bundle(
        data, identities=identities, passphrase=passphrase, recipients=[once.recipient]
    )
    return closed, [once.identity]


def fetched(
    address: str,
    token: str,
    mount: str,
    path: str,
    namespace: str | None,
    ca_file: str | None,
    watch: Watch,
    *,
    all_versions: bool,
) -> tuple[bytes, str]:
    """What a KV v2 mount holds, as a bundle closed for a key of one use; and that key.

    Raises:
        AdytonError: That server can't be read.
    """
    from adyton.transfer.bundle import write_bundle  # noqa: PLC0415 - loaded on use
    from adyton.transfer.kv2 import read_kv2  # noqa: PLC0415 - idem

    found = read_kv2(
        address, token, mount, path, namespace=namespace, ca_file=ca_file,
        all_versions=all_versions, progress=lambda done: watch(Progress("read", done, done)),
    )  # fmt: skip
    once = _one_use()
    return write_bundle(found, recipients=[once.recipient], now=dt.datetime.now(dt.UTC)), once[0]


def _one_use() -> OneUse:
    from adyton.transfer.bundle import one_use_key  # noqa: PLC0415 - loaded on use

    return OneUse(*one_use_key())

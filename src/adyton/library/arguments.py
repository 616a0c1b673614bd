"""From the arguments of the library's methods to what the service takes."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from adyton.errors import InvalidInput
from adyton.model import (
    AuditEntry,
    Value,
    attribute_map,
    check_cas,
    check_max_versions,
    check_versions,
    secret_name,
    tag_list,
    to_us,
)
from adyton.service.directory import Changes
from adyton.service.limits import Limits
from adyton.service.values import Item
from adyton.transfer import PortableSecret, TransferLimits
from adyton.values import Format, Progress, check_format, encode_value

Expiry = dt.datetime | None | msgspec.UnsetType


def item(
    limits: Limits,
    name: str,
    value: Value,
    *,
    tags: Iterable[str] | None,
    attributes: Mapping[str, str] | None,
    expires_at: Expiry,
    max_versions: int | None,
    content_type: str | None,
    cas: int | None,
) -> Item:
    """One secret to write, checked.

    Raises:
        InvalidInput: Something breaks a rule; the text says what.
    """
    secret_name(name)
    data, kind = encode_value(value, content_type, limits.max_value_bytes)
    return Item(
        name,
        data,
        kind,
        None if tags is None else tag_list(tags),
        None if attributes is None else attribute_map(attributes),
        _expiry(expires_at),
        expires_at is msgspec.UNSET,
        None if max_versions is None else check_max_versions(max_versions),
        check_cas(cas),
    )


def value_item(
    limits: Limits, name: str | None, value: Value, *, content_type: str | None, cas: int | None
) -> Item:
    """A value alone, checked; its name is checked where there is one.

    Raises:
        InvalidInput: Something breaks a rule; the text says what.
    """
    if name is not None:
        secret_name(name)
    data, kind = encode_value(value, content_type, limits.max_value_bytes)
    return Item(name or "", data, kind, cas=check_cas(cas))


def items(limits: Limits, values: Mapping[str, Value], tags: Iterable[str] | None) -> list[Item]:
    """Several secrets to write, checked.

    Raises:
        InvalidInput: Something breaks a rule; the text says what.
    """
    checked = None if tags is None else tag_list(tags)
    found = []
    for name, value in values.items():
        secret_name(name)
        found.append(Item(name, *encode_value(value, None, limits.max_value_bytes), checked))
    return found


def versions(numbers: Iterable[int] | None) -> list[int] | None:
    """Version numbers, checked.

    Raises:
        InvalidInput: There is none, or one is not positive.
    """
    return check_versions(numbers)


def tag_changes(tags: Iterable[str] | None, add: Iterable[str], remove: Iterable[str]) -> Changes:
    """A change of tags, checked.

    Raises:
        InvalidInput: A tag breaks a rule.
    """
    return Changes(
        tags=msgspec.UNSET if tags is None else tag_list(tags),
        add_tags=tag_list(add),
        remove_tags=tag_list(remove),
    )


def metadata_changes(
    attributes: Mapping[str, str] | msgspec.UnsetType,
    expires_at: Expiry,
    max_versions: int | msgspec.UnsetType,
    rotation: Mapping[str, str] | msgspec.UnsetType,
) -> Changes:
    """A change of other metadata, checked.

    Raises:
        InvalidInput: Something breaks a rule.
    """
    return Changes(
        attributes=attributes if attributes is msgspec.UNSET else attribute_map(attributes),
        expires_us=msgspec.UNSET if expires_at is msgspec.UNSET else _expiry(expires_at),
        max_versions=(
            max_versions if max_versions is msgspec.UNSET else check_max_versions(max_versions)
        ),
        rotation=rotation if rotation is msgspec.UNSET else attribute_map(rotation),
    )


def _expiry(time: Expiry) -> int | None:
    if time is None or time is msgspec.UNSET:
        return None
    return to_us(time)


def audit_filter(
    name: str | None,
    action: str | None,
    success: bool | None,
) -> Callable[[AuditEntry], bool] | None:
    """Which audit records are wanted, or None for all."""
    if name is None and action is None and success is None:
        return None

    def wanted(entry: AuditEntry) -> bool:
        return (
            (name is None or entry.secret_name == name)
            and (action is None or entry.action == action)
            and (success is None or entry.success == success)
        )

    return wanted


def with_prefix(secrets: list[PortableSecret], prefix: str) -> list[PortableSecret]:
    """The same secrets with something put before each name.

    Raises:
        InvalidName: A name breaks a rule then.
    """
    if not prefix:
        return secrets
    return [msgspec.structs.replace(secret, name=prefix + secret.name) for secret in secrets]


def composer(
    format_name: Format,
    recipients: Sequence[str] | None,
    passphrase: str | None,
    prefix: str,
    *,
    all_versions: bool,
) -> Callable[[list[PortableSecret]], bytes]:
    """What makes a document of secrets; a dotenv file leaves the prefix out of its names.

    Raises:
        InvalidInput: The format does not exist, or does not fit the other arguments.
    """
    check_format(format_name)
    if format_name == "bundle":
        from adyton.transfer.bundle import write_bundle  # noqa: PLC0415 - loaded on use

        return lambda secrets: write_bundle(
            secrets, recipients=recipients, passphrase=passphrase, now=dt.datetime.now(dt.UTC)
        )
    if recipients or passphrase:
        raise InvalidInput(
            f"a document of format {format_name} is not encrypted",
            hint="Use the format bundle, or leave recipients and passphrase out.",
        )
    if all_versions:
        raise InvalidInput(
            f"a document of format {format_name} holds current versions only",
            hint="Use the format bundle.",
        )
    if format_name == "dotenv":
        from adyton.transfer.dotenv import write_dotenv  # noqa: PLC0415 - loaded on use

        return lambda secrets: write_dotenv(secrets, prefix=prefix)
    if format_name == "json":
        from adyton.transfer.json_doc import write_json  # noqa: PLC0415 - loaded on use

        return write_json
    from adyton.transfer.yaml_doc import write_yaml  # noqa: PLC0415 - loaded on use

    return write_yaml


def parser(
    limits: Limits,
    data: bytes,
    format_name: Format,
    identities: Sequence[str] | None,
    passphrase: str | None,
    prefix: str,
    *,
    flatten: bool,
) -> Callable[[], list[PortableSecret]]:
    """What reads a document whole.

    Raises:
        InvalidInput: The format does not exist, or has no objects to flatten.
    """
    check_format(format_name)
    if flatten and format_name not in {"json", "yaml"}:
        raise InvalidInput(f"a document of format {format_name} has no objects to flatten")
    bounds = TransferLimits(value_bytes=limits.max_value_bytes)

    def parse() -> list[PortableSecret]:
        if format_name == "bundle":
            from adyton.transfer.bundle import read_bundle  # noqa: PLC0415

            found = read_bundle(data, identities=identities, passphrase=passphrase, limits=bounds)
            return with_prefix(found, prefix)
        now = dt.datetime.now(dt.UTC)
        if format_name == "dotenv":
            from adyton.transfer.dotenv import read_dotenv  # noqa: PLC0415

            return read_dotenv(data, prefix=prefix, limits=bounds, now=now)
        if format_name == "json":
            from adyton.transfer.json_doc import read_json  # noqa: PLC0415

            return read_json(data, prefix=prefix, limits=bounds, now=now, flatten=flatten)
        from adyton.transfer.yaml_doc import read_yaml  # noqa: PLC0415

        return read_yaml(data, prefix=prefix, limits=bounds, now=now, flatten=flatten)

    return parse


def vault_parser(
    limits: Limits,
    address: str,
    token: str,
    mount: str,
    path: str,
    namespace: str | None,
    ca_file: str | None,
    prefix: str,
    watch: Callable[[Progress], None],
    *,
    all_versions: bool,
) -> Callable[[], list[PortableSecret]]:
    """What reads a KV v2 mount."""

    def parse() -> list[PortableSecret]:
        from adyton.transfer.kv2 import read_kv2  # noqa: PLC0415 - loaded on use

        found = read_kv2(
            address,
            token,
            mount,
            path,
            namespace=namespace,
            ca_file=ca_file,
            all_versions=all_versions,
            limits=TransferLimits(value_bytes=limits.max_value_bytes),
            progress=lambda done: watch(Progress("read", done, done)),
        )
        return with_prefix(found, prefix)

    return parse

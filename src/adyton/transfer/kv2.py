"""A live KV v2 mount of HashiCorp Vault or OpenBao as a source of secrets.

Values are JSON objects and come as canonical JSON with their numbers exact (as far as the server
kept them). Custom metadata become attributes. A version that is deleted or destroyed there has no
value to read: it comes as destroyed when all versions are asked for, and a secret without any
readable version is left out.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from adyton.canonical import canonical_json
from adyton.errors import AccessDenied, AdytonError, InvalidDocument, InvalidInput
from adyton.model import CONTENT_JSON, MAX_VERSIONS_LIMIT, State, secret_name, to_us
from adyton.transfer._kv2_http import Answer, Connection, encode_path
from adyton.transfer._plain import check_depth
from adyton.transfer.records import PortableSecret, PortableVersion, TransferLimits

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_SMALL_ANSWER: Final = 64 * 1024


def read_kv2(
    address: str,
    token: str,
    mount: str,
    prefix: str = "",
    *,
    namespace: str | None = None,
    all_versions: bool = False,
    ca_file: str | None = None,
    timeout: float = 10.0,
    retries: int = 3,
    backoff: float = 0.25,
    limits: TransferLimits | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[PortableSecret]:
    """Read the secrets of a KV v2 mount.

    Args:
        address: ``https://host:8200``; plain ``http`` to this machine only.
        token: A token that may list and read the mount.
        mount: Path of the mount, such as ``secret``.
        prefix: A folder, or one secret, of the mount; names keep it.
        namespace: Namespace of the mount, if the server has such.
        all_versions: Read every version that is still there, not only the current one.
        ca_file: PEM file of certificates to trust instead of the system's.
        timeout: Seconds for each of connecting, sending and waiting.
        retries: How often a request is repeated after a passing failure (429, 5xx, no connection).
        backoff: Seconds before the first repetition; doubled for each further one, at most 5.
        limits: What the answers may cost.
        progress: Called with the number of secrets read so far, after each.

    Returns:
        The secrets, in the order of their names as the server lists them, folder by folder.

    Raises:
        InvalidInput: An argument can't be used, or there is no KV v2 mount there.
        ConfigurationError: The certificates can't be read.
        AccessDenied: The token is not accepted or may not read all that is asked for.
        StoreError: The server can't be reached, is sealed, or keeps failing.
        InvalidDocument: An answer is too large, or not what a KV v2 mount answers. The text counts
            secrets from 1 and never shows a name, a value or the token.
    """
    limits = limits or TransferLimits()
    mount_path, folder = _path(mount, "the mount"), _path(prefix, "the prefix") if prefix else ""
    with Connection(
        address,
        token,
        namespace=namespace,
        ca_file=ca_file,
        timeout=timeout,
        retries=retries,
        backoff=backoff,
    ) as connection:
        source = _Source(connection, mount_path, limits, all_versions=all_versions)
        source.check_mount()
        found: list[PortableSecret] = []
        read = 0
        for position, name in enumerate(source.names(folder), 1):
            try:
                secret = source.secret(name)
            except (InvalidInput, OverflowError) as error:
                text = error.message if isinstance(error, AdytonError) else "a time is out of range"
                raise InvalidDocument(f"secret {position}: {text}") from None
            if secret is None:
                continue
            read += sum(len(v.value) for v in secret.versions if v.value is not None)
            if len(found) >= limits.secrets or read > limits.document_bytes:
                raise InvalidDocument("the mount holds more than the limits of an import")
            found.append(secret)
            if progress is not None:
                progress(len(found))
        return found


class _Source:
    def __init__(
        self, connection: Connection, mount: str, limits: TransferLimits, *, all_versions: bool
    ) -> None:
        self._connection = connection
        self._mount = encode_path(mount)
        self._limits = limits
        self._all_versions = all_versions
        # A character of JSON is at most six bytes on the wire.
        self._value_answer = 6 * limits.value_bytes + _SMALL_ANSWER

    def check_mount(self) -> None:
        """Refuse what is not a KV v2 mount, before its 404 look like an empty one."""
        try:
            path = f"sys/internal/ui/mounts/{self._mount}"
            answer = self._connection.get(path, limit=_SMALL_ANSWER)
        except AccessDenied:  # the server's answer to an absent mount as well
            raise AccessDenied(
                "the server does not accept the token, or the token has no right on such a mount",
                hint="Check the token and the path: 'bao token lookup', 'bao secrets list'.",
            ) from None
        data = answer.data() if answer.status == 200 else {}
        options = data.get("options")
        version = options.get("version") if isinstance(options, dict) else None
        if data.get("type") != "kv" or version != "2":
            raise InvalidInput(
                "there is no KV v2 mount at that path",
                hint="List the mounts with 'bao secrets list -detailed'.",
            )

    def names(self, folder: str) -> Iterator[str]:
        """Every name in a folder, and the folder's own name if that is a secret as well."""
        if folder and self._get("metadata", folder, limit=self._limits.document_bytes):
            yield folder
        stack = [self._list(f"{folder}/" if folder else "")]
        lists = 1
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
            elif name.endswith("/"):
                lists += 1
                if lists > self._limits.secrets:
                    raise InvalidDocument("the mount holds more than the limits of an import")
                stack.append(self._list(name))
            else:
                yield name

    def secret(self, name: str) -> PortableSecret | None:
        """One secret, or None when none of the versions asked for can be read."""
        answer = self._get("metadata", name, limit=self._limits.document_bytes)
        if answer is None:  # erased since it was listed
            return None
        meta = answer.data()
        known = _mapping(meta.get("versions"))
        numbers = sorted(_version_number(text) for text in known)
        if len(numbers) > self._limits.versions:
            raise InvalidDocument(f"it has more than {self._limits.versions} versions")
        wanted = numbers if self._all_versions else numbers[-1:]
        versions = [self._version(name, n, _mapping(known[str(n)])) for n in wanted]
        if not any(v.value is not None for v in versions):
            return None
        attributes = _mapping(meta.get("custom_metadata") or {})
        if not all(isinstance(value, str) for value in attributes.values()):
            raise InvalidDocument("its custom metadata are not text")
        expires = _mapping(known[str(numbers[-1])]).get("deletion_time")
        max_versions = meta.get("max_versions")
        return PortableSecret(
            name=name,
            tags=(),
            attributes={key: str(value) for key, value in attributes.items()},
            # A live version with a time of deletion has it ahead: that is when it expires.
            expires_us=_time(expires) if expires and versions[-1].value is not None else None,
            max_versions=min(max_versions, MAX_VERSIONS_LIMIT)
            if isinstance(max_versions, int)
            else 0,
            created_us=_time(meta.get("created_time")),
            updated_us=_time(meta.get("updated_time")),
            rotation={},
            versions=tuple(versions),
        )

    def _version(self, name: str, number: int, meta: Mapping[str, object]) -> PortableVersion:
        value: bytes | None = None
        if meta.get("destroyed") is not True:
            value = self._value(name, number)
        state = State.DESTROYED if value is None else State.LIVE
        created_us = _time(meta.get("created_time"))
        return PortableVersion(number, created_us, "", state, CONTENT_JSON, value)

    def _value(self, name: str, number: int) -> bytes | None:
        answer = self._get("data", name, query=f"?version={number}", limit=self._value_answer)
        data = answer.data().get("data") if answer else None
        if data is None:  # deleted, or erased since its metadata were read
            return None
        if not isinstance(data, dict):
            raise InvalidDocument("its value is not a JSON object")
        check_depth(data, self._limits.depth)
        value = canonical_json(data)
        if len(value) > self._limits.value_bytes:
            raise InvalidDocument(f"its value is over {self._limits.value_bytes} bytes")
        return value

    def _list(self, folder: str) -> Iterator[str]:
        answer = self._get(
            "metadata", folder, query="?list=true", limit=self._limits.document_bytes
        )
        keys = answer.data().get("keys") if answer else []
        if not isinstance(keys, list):
            raise InvalidDocument("a list of the server has no keys")
        seen: set[str] = set()
        for key in keys:
            # A folder is one segment and a slash; anything else could lead in circles.
            if not isinstance(key, str) or key in seen or "/" in key[:-1] or key in {"", "/"}:
                raise InvalidDocument("a list of the server has a key that is none, or twice")
            seen.add(key)
            try:
                secret_name((folder + key).removesuffix("/"))
            except InvalidInput as error:
                text = f"a name of the source can't be kept: {error.message}"
                raise InvalidDocument(text, hint="Rename it there, or import by prefix.") from None
            yield folder + key

    def _get(self, kind: str, name: str, *, query: str = "", limit: int) -> Answer | None:
        path = f"{self._mount}/{kind}/{encode_path(name)}"
        answer = self._connection.get(path, query=query, limit=limit)
        return answer if answer.status == 200 else None


def _path(text: str, what: str) -> str:
    try:
        return secret_name(text.strip("/"))
    except InvalidInput as error:
        raise InvalidInput(f"{what} can't be used: {error.message}", hint=error.hint) from None


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidDocument("its metadata are not as KV v2 has them")
    return value


def _version_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and text[0] != "0"):
        raise InvalidDocument("a version of it has no number")
    return int(text)


def _time(value: object) -> int:
    """An RFC 3339 time with up to nanoseconds, cut to microseconds."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidDocument("a time of it is not RFC 3339")
    try:
        seconds = dt.datetime.fromisoformat(found[1] + found[3])
    except ValueError:
        raise InvalidDocument("a time of it is not RFC 3339") from None
    return to_us(seconds) + int((found[2] or "0").ljust(6, "0")[:6])

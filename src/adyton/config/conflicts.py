"""What must hold between settings, and between a setting and the machine."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adyton.config.settings import Configuration, split_address
from adyton.errors import ConfigurationError

_IN_THE_CLEAR: Final = (
    "others can reach the server, and without tls.cert tokens and secrets can be read on their "
    "way; right only behind a proxy that adds TLS"
)
_SECRET_IN_URI: Final = re.compile(r"[?&;](?:pin-value|password|secret|token)=", re.IGNORECASE)


def conflicts(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Each thing that is wrong: the key it is told at, and what it is."""
    tls = configuration.tls
    if tls.cert is None and tls.key is not None:
        yield "tls.key", "there is a key and no certificate: TLS needs both tls.cert and tls.key"
    if tls.key is None and tls.cert is not None:
        yield "tls.cert", "there is a certificate and no key: TLS needs both tls.cert and tls.key"
    if tls.client_ca is not None and tls.cert is None and tls.key is None:
        yield "tls.client_ca", "clients show certificates only over TLS: set tls.cert and tls.key"
    try:
        configuration.lifecycle.options()
    except ConfigurationError as error:
        yield "lifecycle.retention_days", error.message
    store = configuration.store
    for key, uris in (("root", (store.root or "",)), ("fallback_roots", store.fallback_roots)):
        if any(_SECRET_IN_URI.search(uri) for uri in uris):
            text = "holds a secret; name a file or an environment variable that holds it"
            yield f"store.{key}", text


def doubts(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Each thing that is allowed and probably not meant: the key, and what it is."""
    found = split_address(configuration.server.listen)
    if configuration.tls.cert is None and found is not None and not _is_local(found[0]):
        yield "server.listen", _IN_THE_CLEAR
    if configuration.attestation.platform != "none" and configuration.tls.cert is None:
        yield (
            "attestation.platform",
            "without tls.cert evidence is bound to no connection, and clients refuse it",
        )
    if configuration.limits.body_bytes < configuration.store.max_value_bytes:
        yield (
            "limits.body_bytes",
            "is smaller than store.max_value_bytes: such values can't be sent",
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def missing_files(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Each file that is named and can't be read: the key, and what is wrong."""
    tls, evidence = configuration.tls, configuration.attestation
    for key, path in (
        ("tls.cert", tls.cert), ("tls.key", tls.key), ("tls.client_ca", tls.client_ca),
        ("attestation.event_log", evidence.event_log),
        ("attestation.certificates", evidence.certificates),
        ("attestation.collateral", evidence.collateral),
    ):  # fmt: skip
        if path is not None and (wrong := _unreadable(path)):
            yield key, wrong


def unknown_places(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Each root or sink of no known kind; its URI, which may hold a secret, is not told."""
    from adyton.roots import schemes  # noqa: PLC0415 - loaded on use
    from adyton.sinks import FORM, KINDS  # noqa: PLC0415 - loaded on use

    root = configuration.store.root
    known = schemes()
    if root is not None and not any(root.startswith(f"{scheme}:") for scheme in known):
        yield (
            "store.root",
            f"names no known root; write one that begins with {', '.join(f'{s}:' for s in known)}",
        )
    named = [sink.partition(":") for sink in configuration.audit.sinks]
    if not all(kind in KINDS and rest for kind, _, rest in named):
        yield "audit.sinks", f"a sink is not of the form {FORM}"


def _unreadable(path: Path) -> str:
    try:
        if not path.exists():
            return f"there is no file {path}"
        if not path.is_file():
            return f"{path} is not a file"
        with path.open("rb"):
            return ""
    except OSError as error:
        return f"can't read {path}: {error.strerror}"
